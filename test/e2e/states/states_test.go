// Package states compares whole states of plans with a real istiod: it is given the
// objects of the state, and who may call whom is read out of what it generates.
package states

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/internal/corpora"
	"github.com/ambientplan/ambientplan/internal/golden"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner"
	"github.com/ambientplan/ambientplan/planner/proof"
	"github.com/ambientplan/ambientplan/test/e2e/cluster"
	"github.com/ambientplan/ambientplan/test/e2e/istiod"
)

func TestMain(m *testing.M) { istiod.Main(m) }

// planned is a mesh and its plan.
type planned struct {
	input   planner.Input
	objects cluster.Objects
}

func TestStatesOfCorpora(t *testing.T) {
	meshes, err := corpora.Meshes("../../../testdata/corpora")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []string{"bookinfo", "online-boutique"} {
		meshes = append(meshes, corpora.Mesh{Name: "example/" + e, Namespace: "default", Paths: []string{"../../../examples/" + e + "/cluster"}})
	}
	var all counts
	for _, m := range meshes {
		if m.Contradictory {
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			all.add(comparePlan(t, read(t, m.Paths, m.Namespace)))
		})
	}
	t.Log(all)
	if all.states < 60 || all.asked < 50000 {
		t.Errorf("too little was compared: %v", all)
	}
}

// TestStatesOfCases does the same with the meshes that the stages of the planner
// are tested with.
func TestStatesOfCases(t *testing.T) {
	paths, err := filepath.Glob("../../../planner/testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	var all counts
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			all.add(comparePlan(t, readCase(t, path)))
		})
	}
	t.Log(all)
	if all.states < 50 || all.asked < 8000 {
		t.Errorf("too little was compared: %v", all)
	}
}

// counts of what was compared.
type counts struct {
	states, asked int
	// unknown is how many requests the proof gives no answer to.
	unknown int
	// denied is how many both deny, waypoints how many go over a waypoint.
	denied, waypoints int
}

func (c *counts) add(o counts) {
	c.states += o.states
	c.asked += o.asked
	c.unknown += o.unknown
	c.denied += o.denied
	c.waypoints += o.waypoints
}

func (c counts) String() string {
	return fmt.Sprintf("%d states, %d requests (%d denied, %d over a waypoint), %d without an answer", c.states, c.asked, c.denied, c.waypoints, c.unknown)
}

func read(t *testing.T, paths []string, namespace string) planned {
	t.Helper()
	inv, err := inventory.Read(context.Background(), inventory.Options{Paths: paths, DefaultNamespace: namespace})
	if err != nil {
		t.Fatal(err)
	}
	return planned{planner.Input{Inventory: inv}, cluster.Read(t, paths, namespace)}
}

// readCase reads a case of the planner's tests.
func readCase(t *testing.T, path string) planned {
	t.Helper()
	ar, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var needs []api.FeatureNeeds
	var policy *api.MigrationPolicy
	for _, f := range ar.Files {
		switch {
		case strings.HasPrefix(f.Name, golden.OutPrefix):
		case f.Name == "needs.yaml":
			n, err := api.DecodeNeeds(f.Name, strings.NewReader(string(f.Data)))
			if err != nil {
				t.Fatal(err)
			}
			needs = append(needs, *n)
		case f.Name == "policy.yaml":
			if policy, err = api.DecodePolicy(f.Name, strings.NewReader(string(f.Data))); err != nil {
				t.Fatal(err)
			}
		default:
			if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	p := read(t, []string{dir}, "default")
	p.input.Needs, p.input.Policy = needs, policy
	return p
}

// comparePlan compares each state between two steps of a plan, forward and back.
func comparePlan(t *testing.T, in planned) counts {
	t.Helper()
	p, err := planner.Plan(t.Context(), in.input)
	if err != nil {
		t.Fatal(err)
	}
	st, _ := mesh.New(in.input.Inventory)
	trial := proof.NewTrial(proof.Input{State: st, Calls: p.Calls, Base: p.Base, Waves: p.Waves})
	var n counts
	seen := map[string]bool{}
	check := func(name string, changes []api.Change) {
		s := state{name: name, mesh: st, trial: trial, situation: trial.After(changes), objects: in.objects.Apply(changes)}
		if key := s.key(); !seen[key] {
			seen[key] = true
			n.add(s.compare(t))
		}
	}
	check("today", nil)
	var done []api.Change
	for _, w := range p.Waves {
		ends := make([]int, len(w.Steps))
		for i, s := range w.Steps {
			done = append(done, s.Changes...)
			ends[i] = len(done)
			check(fmt.Sprintf("wave %d step %s", w.Number, s.Name), done)
		}
		for i, s := range w.Steps {
			back := append([]api.Change(nil), done[:ends[i]]...)
			for _, r := range s.Rollback {
				back = append(back, r.Changes...)
				check(fmt.Sprintf("wave %d step %s, back %s", w.Number, s.Name, r.Name), back)
			}
		}
	}
	return n
}

// TestDisagreementIsFound shows that the comparison can fail: the state that istiod
// gets lacks a policy that the planner's has.
func TestDisagreementIsFound(t *testing.T) {
	in := readCase(t, "../../../planner/testdata/l7_allow.txtar")
	st, _ := mesh.New(in.input.Inventory)
	trial := proof.NewTrial(proof.Input{State: st})
	for _, p := range st.AuthorizationPolicies() {
		objects := maps.Clone(in.objects)
		delete(objects, p.Ref())
		s := state{name: "without " + p.Name, mesh: st, trial: trial, situation: trial.After(nil), objects: objects}
		if _, found := s.disagreements(t); len(found) == 0 {
			t.Errorf("istiod does not have %s, and nothing is found", p.Ref())
		}
	}
}
