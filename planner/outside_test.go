package planner_test

import (
	"strings"
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/planner"
)

// TestOutsideCallers: a Service with a known caller is judged by it. One that somebody was
// seen to call whom nobody can tell stays open to everybody, and one without any caller is
// never taken for one that nobody calls.
func TestOutsideCallers(t *testing.T) {
	to := api.Ref{Kind: "Service", Namespace: "pay", Name: "pay"}
	known := api.Edge{From: api.Ref{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "shop"}, To: to, Provenance: api.Observed}
	outside := func(name string) api.Edge {
		return api.Edge{From: api.Ref{Kind: api.KindOutside, Name: name}, To: to, Provenance: api.Observed}
	}
	for _, tc := range []struct {
		name  string
		edges []api.Edge
		told  int
	}{
		{"no caller", nil, 0},
		{"a known caller", []api.Edge{known}, 1},
		{"and one without identity", []api.Edge{known, outside(api.OutsideUnidentified)}, 1},
		{"and one that may be anybody", []api.Edge{known, outside(api.OutsideUnmatched)}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inv, err := inventory.Read(t.Context(), inventory.Options{Paths: []string{"-"}, Stdin: strings.NewReader(app("shop", "shop") + app("pay", "pay"))})
			if err != nil {
				t.Fatal(err)
			}
			inv.Edges = tc.edges
			p, err := planner.Plan(t.Context(), planner.Input{Inventory: inv})
			if err != nil {
				t.Fatal(err)
			}
			if p.Proof.Told != tc.told {
				t.Errorf("%d Services are judged by known callers, want %d", p.Proof.Told, tc.told)
			}
		})
	}
}
