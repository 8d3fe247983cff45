package rewind

import (
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// places lists the steps of a plan in their order.
func places(p *api.MigrationPlan) []api.StepPlace {
	var out []api.StepPlace
	for i := range p.Waves {
		for j := range p.Waves[i].Steps {
			out = append(out, api.StepPlace{Wave: p.Waves[i].Number, Step: p.Waves[i].Steps[j].Name})
		}
	}
	return out
}

// history is what a plan makes of one object.
type history struct {
	ref api.Ref
	// fragment is true when only some fields are the plan's.
	fragment bool
	// fields are all that the plan ever sets, for a fragment.
	fields [][]string
	// first is what the object held before any step; nil when there was none.
	first api.Content
	turns []turn
}

// turn is the content of an object from a step on; nil when the object is gone.
type turn struct {
	// step is the index of the step, from 0.
	step  int
	after api.Content
	// byHand is true when a person makes the change.
	byHand bool
}

// at is the content after the given number of steps.
func (h *history) at(done int) api.Content {
	c := h.first
	for _, t := range h.turns {
		if t.step >= done {
			break
		}
		c = t.after
	}
	return c
}

// histories reads what a plan does to each object, sorted by reference. Changes for
// which nobody wrote down what comes of them are left out.
func histories(p *api.MigrationPlan, was *index) []*history {
	byRef := map[api.Ref]*history{}
	base := map[api.Ref]*api.BaseObject{}
	for i := range p.Base {
		base[p.Base[i].Object] = &p.Base[i]
	}
	step := 0
	for i := range p.Waves {
		for j := range p.Waves[i].Steps {
			for k := range p.Waves[i].Steps[j].Changes {
				c := &p.Waves[i].Steps[j].Changes[k]
				op := c.Op
				if op == api.OpManual {
					op = c.Does
				}
				if op == api.OpUnset || op == api.OpManual {
					continue
				}
				h := byRef[c.Object]
				if h == nil {
					h = &history{ref: c.Object, fragment: op == api.OpFragment}
					h.first = was.before(c.Object, base[c.Object])
					byRef[c.Object] = h
				}
				t := turn{step: step, after: c.After, byHand: c.Op == api.OpManual}
				if op == api.OpDelete {
					t.after = nil
				}
				h.turns = append(h.turns, t)
			}
			step++
		}
	}
	out := make([]*history, 0, len(byRef))
	for _, h := range byRef {
		if h.fragment {
			h.fields = leaves(h)
		}
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b *history) int { return a.ref.Compare(b.ref) })
	return out
}

// leaves are the paths of all fields that a fragment ever sets, without those that
// name the object.
func leaves(h *history) [][]string {
	var out [][]string
	add := func(path []string) {
		if !slices.ContainsFunc(out, func(p []string) bool { return slices.Equal(p, path) }) {
			out = append(out, path)
		}
	}
	var walk func(path []string, m map[string]any)
	walk = func(path []string, m map[string]any) {
		for k, v := range m {
			at := append(slices.Clone(path), k)
			if below, ok := v.(map[string]any); ok {
				walk(at, below)
			} else if !names(at) {
				add(at)
			}
		}
	}
	walk(nil, h.first)
	for _, t := range h.turns {
		walk(nil, t.after)
	}
	slices.SortFunc(out, slices.Compare)
	return out
}

// names tells whether a field says which object it is, not what it holds.
func names(path []string) bool {
	return len(path) == 1 && (path[0] == "apiVersion" || path[0] == "kind") ||
		len(path) == 2 && path[0] == "metadata" && (path[1] == "name" || path[1] == "namespace")
}
