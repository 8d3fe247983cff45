package planner

import (
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// CutoverOrder lists the workloads of a namespace in the order in which they
// restart: a client before the servers it calls, and by name where no known call
// decides. Workloads that call each other in a circle stand together, by name.
func CutoverOrder(st *mesh.State, ds []api.Decision, edges []api.Edge, namespace string) []api.Ref {
	bySubject := decisionsBySubject(ds)
	byName := map[string]api.Ref{}
	var names []string
	for _, w := range st.WorkloadsIn(namespace) {
		n := w.Ref().String()
		byName[n] = w.Ref()
		names = append(names, n)
	}
	slices.Sort(names)
	calls := map[string][]string{}
	for _, e := range edges {
		d := bySubject[e.To]
		if e.To.Namespace != namespace || e.From.Namespace != namespace || d == nil {
			continue
		}
		for _, c := range callersOf(st, e.From) {
			for _, srv := range d.Workloads {
				if srv != c.Ref() {
					calls[c.Ref().String()] = append(calls[c.Ref().String()], srv.String())
				}
			}
		}
	}
	comps := components(names, calls)
	at := map[string]int{}
	for i, c := range comps {
		for _, n := range c {
			at[n] = i
		}
	}
	waits := make([]map[int]bool, len(comps))
	for i := range waits {
		waits[i] = map[int]bool{}
	}
	for c, servers := range calls {
		for _, s := range servers {
			if at[c] != at[s] {
				waits[at[s]][at[c]] = true
			}
		}
	}
	var out []api.Ref
	done := make([]bool, len(comps))
	for range comps {
		for i, c := range comps {
			if done[i] || !allDone(waits[i], done) {
				continue
			}
			done[i] = true
			for _, n := range c {
				out = append(out, byName[n])
			}
			break
		}
	}
	return out
}

func allDone(set map[int]bool, done []bool) bool {
	for i := range set {
		if !done[i] {
			return false
		}
	}
	return true
}
