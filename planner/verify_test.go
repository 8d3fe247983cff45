package planner_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/internal/meshgen"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner"
	"github.com/ambientplan/ambientplan/planner/proof"
)

// planCase reads a case of the pipeline and plans it.
func planCase(t *testing.T, name string) (*api.Inventory, *api.MigrationPlan) {
	t.Helper()
	ar, err := txtar.ParseFile(filepath.Join("testdata", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var needs []api.FeatureNeeds
	for _, f := range ar.Files {
		if f.Name == "needs.yaml" {
			n, err := api.DecodeNeeds(f.Name, strings.NewReader(string(f.Data)))
			if err != nil {
				t.Fatal(err)
			}
			needs = append(needs, *n)
		}
		if f.Name == "mesh.yaml" {
			if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	inv, err := inventory.Read(context.Background(), inventory.Options{Paths: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := planner.Plan(context.Background(), planner.Input{Inventory: inv, Needs: needs})
	if err != nil {
		t.Fatal(err)
	}
	return inv, p
}

// verified proves a plan as it stands.
func verified(t *testing.T, inv *api.Inventory, p *api.MigrationPlan) []proof.StepProof {
	t.Helper()
	st, _ := mesh.New(inv)
	r, err := proof.Prove(t.Context(), proof.Input{State: st, Calls: p.Calls, Base: p.Base, Waves: p.Waves})
	if err != nil {
		t.Fatal(err)
	}
	return r.Steps
}

// gaps counts the calls that are judged differently in some state.
func gaps(t *testing.T, inv *api.Inventory, p *api.MigrationPlan) (n int) {
	t.Helper()
	calls := 0
	for _, c := range verified(t, inv, p) {
		calls += c.Calls
		n += len(c.Gaps)
		for _, g := range c.Gaps {
			t.Logf("wave %d %s (back %v): %s to %s:%d %s\n  before: %s\n  after: %s", c.Wave, c.Step, c.Back != "", g.Client, g.Service, g.Port, g.Request, g.Before, g.After)
		}
		if len(c.Unknowns) > 0 {
			t.Errorf("unknown: %v", c.Unknowns)
		}
	}
	if calls == 0 {
		t.Error("no call was compared, so nothing was shown")
	}
	return n
}

func TestVerifyFindsNoGapInOurPlans(t *testing.T) {
	for _, name := range []string{"l7_allow", "l7_deny", "mixed_namespace", "routes", "callers_in_batches", "every_kind", "open_server", "versions"} {
		t.Run(name, func(t *testing.T) {
			inv, p := planCase(t, name)
			if n := gaps(t, inv, p); n > 0 {
				t.Errorf("%d gaps", n)
			}
		})
	}
}

// TestIncrementalIsExhaustive: a step evaluates only what it touches, and what is
// found must be what evaluating everything in every state finds.
func TestIncrementalIsExhaustive(t *testing.T) {
	gaps, steps := 0, 0
	for seed := range uint64(6) {
		inv := meshgen.Generate(meshgen.Params{Seed: seed, Namespaces: 4, Services: 14, Pods: 30, Policies: 10, Routes: 6, Edges: 20, Nodes: 1})
		p, err := planner.Plan(t.Context(), planner.Input{Inventory: inv, Policy: &api.MigrationPolicy{Capacity: api.Capacity{RestartBatch: 3}}})
		if err != nil {
			t.Fatal(err)
		}
		st, _ := mesh.New(inv)
		in := proof.Input{State: st, Calls: p.Calls, Base: p.Base, Waves: p.Waves}
		few, err := proof.Prove(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		in.Exhaustive = true
		all, err := proof.Prove(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for i := range all.Steps {
			a, b := all.Steps[i], few.Steps[i]
			steps++
			gaps += len(a.Gaps)
			if d := cmp.Diff(a.Gaps, b.Gaps); d != "" {
				t.Fatalf("seed %d, wave %d step %s %s: gaps (-all +incremental):\n%s", seed, a.Wave, a.Step, a.Back, d)
			}
			if d := cmp.Diff(a.Unknowns, b.Unknowns); d != "" {
				t.Fatalf("seed %d, wave %d step %s %s: unknowns (-all +incremental):\n%s", seed, a.Wave, a.Step, a.Back, d)
			}
		}
	}
	t.Logf("%d gaps in %d states", gaps, steps)
	if gaps == 0 {
		t.Error("no random mesh had a gap, so nothing was compared")
	}
}
