package planner

import "slices"

// components are the strongly connected components of a graph, by Tarjan's
// algorithm without recursion, each sorted, in the order of their first name.
func components(names []string, next map[string][]string) [][]string {
	t := &tarjan{next: next, number: map[string]int{}, low: map[string]int{}, on: map[string]bool{}}
	for _, n := range names {
		if _, ok := t.number[n]; !ok {
			t.visit(n)
		}
	}
	slices.SortFunc(t.out, func(a, b []string) int { return slices.Compare(a, b) })
	return t.out
}

type tarjan struct {
	next        map[string][]string
	number, low map[string]int
	on          map[string]bool
	stack       []string
	out         [][]string
}

// frame is one call of the recursive form: a node and its next edge.
type frame struct {
	node string
	edge int
}

func (t *tarjan) enter(n string) frame {
	t.number[n] = len(t.number)
	t.low[n] = t.number[n]
	t.stack = append(t.stack, n)
	t.on[n] = true
	return frame{node: n}
}

func (t *tarjan) visit(root string) {
	work := []frame{t.enter(root)}
	for len(work) > 0 {
		f := &work[len(work)-1]
		if f.edge < len(t.next[f.node]) {
			m := t.next[f.node][f.edge]
			f.edge++
			if _, ok := t.number[m]; !ok {
				work = append(work, t.enter(m))
			} else if t.on[m] {
				t.low[f.node] = min(t.low[f.node], t.number[m])
			}
			continue
		}
		n := f.node
		work = work[:len(work)-1]
		if len(work) > 0 {
			p := work[len(work)-1].node
			t.low[p] = min(t.low[p], t.low[n])
		}
		if t.low[n] == t.number[n] {
			t.pop(n)
		}
	}
}

// pop takes a finished component off the stack.
func (t *tarjan) pop(n string) {
	i := slices.Index(t.stack, n)
	comp := slices.Clone(t.stack[i:])
	t.stack = t.stack[:i]
	for _, m := range comp {
		t.on[m] = false
	}
	slices.Sort(comp)
	t.out = append(t.out, comp)
}
