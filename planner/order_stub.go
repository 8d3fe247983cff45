package planner

// Stand-ins until edges.go, constrain.go and schedule.go land: delete this file with them.

import (
	"time"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

func Edges(st *mesh.State, needs []api.FeatureNeeds) ([]api.Edge, []api.Finding, []api.Unknown) {
	return st.Edges(), nil, nil
}
func Constrain(st *mesh.State, ds []api.Decision, edges []api.Edge) []api.Constraint { return nil }
func Impossible(st *mesh.State, ds []api.Decision, edges []api.Edge) []api.Finding   { return nil }
func Schedule(nss []api.PlanNamespace, ds []api.Decision, cs []api.Constraint, p *api.MigrationPolicy, now time.Time) ([]Slot, []api.Constraint, []api.Finding, error) {
	var out []Slot
	for _, n := range nss {
		out = append(out, Slot{Namespaces: []string{n.Name}})
	}
	return out, cs, nil, nil
}
func CutoverOrder(st *mesh.State, ds []api.Decision, edges []api.Edge, ns string) []api.Ref {
	var out []api.Ref
	for _, w := range st.WorkloadsIn(ns) {
		out = append(out, w.Ref())
	}
	return out
}
