package planner

import (
	"cmp"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// cutoverOrder holds what the order of every namespace is read from, so that a plan over many namespaces reads
// decisions and edges once.
type cutoverOrder struct {
	st        *mesh.State
	f         *fates
	bySubject map[api.Ref]*api.Decision
	// within are the edges whose ends are in one namespace, by namespace.
	within map[string][]api.Edge
	// open are the workloads behind a waypoint that decides who may do what, whose
	// callers nobody named: everybody may be one.
	open map[api.Ref]bool
}

func newCutoverOrder(st *mesh.State, ds []api.Decision, edges []api.Edge) *cutoverOrder {
	o := &cutoverOrder{st: st, f: &fates{st: st, found: map[api.Ref][]*api.Workload{}}, bySubject: decisionsBySubject(ds), within: map[string][]api.Edge{}, open: map[api.Ref]bool{}}
	called := map[api.Ref]bool{}
	for _, e := range edges {
		called[e.To] = true
		if e.From.Namespace == e.To.Namespace {
			o.within[e.To.Namespace] = append(o.within[e.To.Namespace], e)
		}
	}
	for _, d := range ds {
		if d.Kind == api.Waypoint && authorizes(d.Needs) && !called[d.Subject] {
			for _, w := range d.Workloads {
				o.open[w] = true
			}
		}
	}
	return o
}

// of lists the workloads of a namespace in the order in which they
// restart: a client before the servers it calls, and where no known call decides,
// servers that anybody may call last, and the rest by name. Workloads that call each other in a circle stand together, by name.
func (o *cutoverOrder) of(namespace string) []api.Ref {
	st := o.st
	byName := map[string]api.Ref{}
	var names []string
	for _, w := range st.WorkloadsIn(namespace) {
		n := w.Ref().String()
		byName[n] = w.Ref()
		names = append(names, n)
	}
	slices.Sort(names)
	calls := map[string][]string{}
	for _, e := range o.within[namespace] {
		d := o.bySubject[e.To]
		if d == nil {
			continue
		}
		for _, c := range o.f.callers(e.From) {
			for _, srv := range d.Workloads {
				if srv != c.Ref() {
					calls[c.Ref().String()] = append(calls[c.Ref().String()], srv.String())
				}
			}
		}
	}
	var out []api.Ref
	circles := components(names, calls)
	slices.SortStableFunc(circles, func(a, b []string) int {
		return cmp.Compare(o.opened(a, byName), o.opened(b, byName))
	})
	for _, comp := range clientsFirst(circles, calls) {
		for _, n := range comp {
			out = append(out, byName[n])
		}
	}
	return out
}

// opened is 1 for workloads of which any may be called by anybody.
func (o *cutoverOrder) opened(names []string, byName map[string]api.Ref) int {
	for _, n := range names {
		if o.open[byName[n]] {
			return 1
		}
	}
	return 0
}

// clientsFirst sorts components topologically; of those that are ready the one
// that stands first in the list comes first.
func clientsFirst(comps [][]string, calls map[string][]string) [][]string {
	at := map[string]int{}
	for i, c := range comps {
		for _, n := range c {
			at[n] = i
		}
	}
	waits := make([]int, len(comps))
	next := make([][]int, len(comps))
	for i, c := range comps {
		for _, n := range c {
			for _, srv := range calls[n] {
				if j, ok := at[srv]; ok && j != i {
					next[i] = append(next[i], j)
				}
			}
		}
		next[i] = compact(next[i])
		for _, j := range next[i] {
			waits[j]++
		}
	}
	var ready []int
	for i, n := range waits {
		if n == 0 {
			ready = append(ready, i)
		}
	}
	out := make([][]string, 0, len(comps))
	for len(ready) > 0 {
		i := ready[0]
		ready = ready[1:]
		out = append(out, comps[i])
		for _, j := range next[i] {
			if waits[j]--; waits[j] == 0 {
				k, _ := slices.BinarySearch(ready, j)
				ready = slices.Insert(ready, k, j)
			}
		}
	}
	return out
}

// CutoverOrder lists the workloads of one namespace in the order in which they restart. A plan over many namespaces
// indexes edges and decisions once instead.
func CutoverOrder(st *mesh.State, ds []api.Decision, edges []api.Edge, namespace string) []api.Ref {
	return newCutoverOrder(st, ds, edges).of(namespace)
}
