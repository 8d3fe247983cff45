package planner_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
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
	for _, f := range ar.Files {
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
	p, err := planner.Plan(context.Background(), planner.Input{Inventory: inv})
	if err != nil {
		t.Fatal(err)
	}
	return inv, p
}

// verified proves a plan as it stands.
func verified(t *testing.T, inv *api.Inventory, p *api.MigrationPlan) []proof.StepProof {
	t.Helper()
	st, _ := mesh.New(inv)
	edges, _, _ := planner.Edges(st, nil)
	r, err := proof.Prove(t.Context(), proof.Input{State: st, Calls: edges, Base: p.Base, Waves: p.Waves})
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
	for _, name := range []string{"l7_allow", "routes", "callers_in_batches"} {
		t.Run(name, func(t *testing.T) {
			inv, p := planCase(t, name)
			if n := gaps(t, inv, p); n > 0 {
				t.Errorf("%d gaps", n)
			}
		})
	}
}

// without drops changes from all steps of a plan.
func without(p *api.MigrationPlan, drop func(step string, c api.Change) bool) {
	for i := range p.Waves {
		for j := range p.Waves[i].Steps {
			s := &p.Waves[i].Steps[j]
			s.Changes = slices.DeleteFunc(s.Changes, func(c api.Change) bool { return drop(s.Name, c) })
		}
	}
}

// TestVerifyFindsBrokenPlans breaks plans by hand in ways that matter. Each must
// be found: a check that nothing can fail shows nothing.
func TestVerifyFindsBrokenPlans(t *testing.T) {
	named := func(suffix string) func(string, api.Change) bool {
		return func(_ string, c api.Change) bool { return strings.HasSuffix(c.Object.Name, suffix) }
	}
	cases := []struct {
		name, plan string
		mutate     func(*api.MigrationPlan)
	}{
		{"the waypoint is not admitted at the pods", "l7_allow", func(p *api.MigrationPlan) { without(p, named("-from-waypoint")) }},
		{"the policy is not copied to the waypoint", "l7_allow", func(p *api.MigrationPlan) { without(p, named("cart-waypoint")) }},
		{"the server moves before its client", "l7_allow", func(p *api.MigrationPlan) { p.Waves[1], p.Waves[2] = p.Waves[2], p.Waves[1] }},
		{"the waypoint is never activated", "l7_allow", func(p *api.MigrationPlan) {
			without(p, func(step string, _ api.Change) bool { return step == "activate" })
		}},
		{"the copy says the pod's port", "l7_allow", func(p *api.MigrationPlan) {
			for i := range p.Waves {
				for j := range p.Waves[i].Steps {
					for k := range p.Waves[i].Steps[j].Changes {
						c := &p.Waves[i].Steps[j].Changes[k]
						if c.Object.Name == "cart-waypoint" {
							rule := c.After["spec"].(map[string]any)["rules"].([]any)[0].(map[string]any)
							rule["to"].([]any)[0].(map[string]any)["operation"].(map[string]any)["ports"] = []any{"8080"}
						}
					}
				}
			}
		}},
		{"a server restarts together with its caller", "callers_in_batches", func(p *api.MigrationPlan) {
			steps := p.Waves[1].Steps
			i := slices.IndexFunc(steps, func(s api.Step) bool { return s.Name == "cutover" })
			steps[i].Changes = append(steps[i].Changes, steps[i+1].Changes...)
			p.Waves[1].Steps = slices.Delete(steps, i+1, i+2)
		}},
		{"the old policy goes before the pods have moved", "callers_in_batches", func(p *api.MigrationPlan) {
			steps := p.Waves[1].Steps
			last := steps[len(steps)-1]
			p.Waves[1].Steps = append([]api.Step{steps[0], last}, steps[1:len(steps)-1]...)
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			inv, p := planCase(t, c.plan)
			c.mutate(p)
			if gaps(t, inv, p) == 0 {
				t.Error("the plan was broken and nothing was found")
			}
		})
	}
}
