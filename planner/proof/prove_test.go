package proof_test

import (
	"context"
	"os"
	"testing"

	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner"
	"github.com/ambientplan/ambientplan/planner/proof"
)

func TestTry(t *testing.T) {
	dir := os.Getenv("TRY")
	if dir == "" {
		t.Skip()
	}
	inv, err := inventory.Read(context.Background(), inventory.Options{Paths: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := planner.Plan(context.Background(), planner.Input{Inventory: inv})
	if err != nil {
		t.Fatal(err)
	}
	st, _ := mesh.New(inv)
	edges, _, _ := planner.Edges(st, nil)
	r, err := proof.Prove(context.Background(), proof.Input{State: st, Calls: edges, Base: p.Base, Waves: p.Waves})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("told %d open %d", r.Told, len(r.Open))
	for _, s := range r.Steps {
		t.Logf("wave %d %s %s: %d calls %d mixes %d requests %d gaps %d unknowns", s.Wave, s.Step, s.Back, s.Calls, s.Mixes, s.Requests, len(s.Gaps), len(s.Unknowns))
		for _, g := range s.Gaps {
			t.Logf("   %s %s %s anyone=%v -> %s:%d %s\n        before %s\n        after %s", g.ID, g.Kind, g.Client, g.Anyone, g.Service, g.Port, g.Request, g.Before, g.After)
		}
		for _, u := range s.Unknowns {
			t.Logf("   unknown %v", u)
		}
	}
}
