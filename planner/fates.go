package planner

import (
	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// fates says of every workload what this plan makes of it.
type fates struct {
	st        *mesh.State
	decisions map[api.Ref]*api.Decision
	// of is the decision of each workload; where several Services share it, the
	// one that moves least.
	of map[api.Ref]api.DecisionKind
	// held are the namespaces in which something is blocked: nothing in them
	// cuts over, whatever the other decisions are.
	held map[string]bool
	// found remembers callers.
	found map[api.Ref][]*api.Workload
}

func newFates(st *mesh.State, ds []api.Decision) *fates {
	f := &fates{st: st, decisions: decisionsBySubject(ds), of: map[api.Ref]api.DecisionKind{}, held: map[string]bool{}, found: map[api.Ref][]*api.Workload{}}
	for i := range ds {
		d := &ds[i]
		if d.Kind == api.Blocked {
			f.held[d.Namespace] = true
		}
		for _, w := range d.Workloads {
			if fateRank(d.Kind) > fateRank(f.of[w]) {
				f.of[w] = d.Kind
			}
		}
	}
	return f
}

func fateRank(k api.DecisionKind) int {
	switch k {
	case api.OutOfMesh:
		return 1
	case api.L4Only:
		return 2
	case api.Waypoint:
		return 3
	case api.KeepSidecarDecision:
		return 4
	case api.Blocked:
		return 5
	case api.DecisionUnset:
	}
	return 0
}

// cutsOver tells whether a workload loses its sidecar in this plan.
func (f *fates) cutsOver(w *api.Workload) bool {
	k := f.of[w.Ref()]
	if f.held[w.Namespace] || (k != api.L4Only && k != api.Waypoint) {
		return false
	}
	m := f.st.Mode(w)
	return m == mesh.ModeSidecar || m == mesh.ModeMixed
}

// staysSidecar tells whether a workload has, or may have, pods with a sidecar
// at the end of this plan. What is not known is not taken for ambient.
func (f *fates) staysSidecar(w *api.Workload) bool {
	switch f.st.Mode(w) {
	case mesh.ModeSidecar, mesh.ModeMixed, mesh.ModeUnknown:
		return !f.cutsOver(w)
	case mesh.ModeAmbient, mesh.ModeNone, mesh.ModeGateway:
	}
	return false
}

// serverMoves tells whether pods behind a Service cut over in this plan.
func (f *fates) serverMoves(d *api.Decision) bool {
	if f.held[d.Namespace] {
		return false
	}
	for _, ref := range d.Workloads {
		k := f.of[ref]
		if (k == api.L4Only || k == api.Waypoint) && (d.Mode == mesh.ModeSidecar.String() || d.Mode == mesh.ModeMixed.String()) {
			return true
		}
	}
	return false
}

// callers are the workloads that the calling end of an edge stands for.
func (f *fates) callers(client api.Ref) []*api.Workload {
	ws, ok := f.found[client]
	if !ok {
		ws = callersOf(f.st, client)
		f.found[client] = ws
	}
	return ws
}

// callersOf are the workloads that a client reference stands for.
func callersOf(st *mesh.State, client api.Ref) []*api.Workload {
	var out []*api.Workload
	for _, w := range st.WorkloadsIn(client.Namespace) {
		switch client.Kind {
		case "Namespace":
			out = append(out, w)
		case "ServiceAccount":
			if accountOf(w) == client.Name {
				out = append(out, w)
			}
		default:
			if w.Ref() == client || (w.Name == client.Name && w.Kind == client.Kind) {
				out = append(out, w)
			}
		}
	}
	return out
}
