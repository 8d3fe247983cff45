package rewind

import (
	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/planner/content"
)

// matches tells whether an object of the cluster is what a plan says it is at some
// moment. Fields that API servers, controllers and the tree itself add are no difference.
func (h *history) matches(live, want api.Content) bool {
	if h.fragment {
		for _, f := range h.fields {
			x, okX := content.Lookup(live, f)
			y, okY := content.Lookup(want, f)
			if okX != okY || okX && !content.Same(x, y) {
				return false
			}
		}
		return live != nil
	}
	if (live == nil) != (want == nil) {
		return false
	}
	if live == nil {
		return true
	}
	if service(h.ref) {
		return covers(labelsOf(live), labelsOf(want)) && content.Same(selector(live), selector(want))
	}
	for k, v := range want {
		switch k {
		case "apiVersion", "kind", "status":
		case "metadata":
			if !covers(labelsOf(live), labelsOf(want)) {
				return false
			}
		default:
			if !content.Within(v, live[k]) {
				return false
			}
		}
	}
	return !h.keeps(live, want)
}

func service(r api.Ref) bool { return r.Group == "" && r.Kind == "Service" }

func selector(c api.Content) any {
	v, _ := content.Lookup(c, []string{"spec", "selector"})
	return v
}

// keeps tells whether the object still has a field that another moment of the plan
// sets and this one does not.
func (h *history) keeps(live, want api.Content) bool {
	moments := []api.Content{h.first}
	for _, t := range h.turns {
		moments = append(moments, t.after)
	}
	for _, m := range moments {
		if m != nil && extra(m["spec"], want["spec"], live["spec"]) {
			return true
		}
	}
	return false
}

// extra tells whether live has a key that other has and want has not.
func extra(other, want, live any) bool {
	o, ok1 := other.(map[string]any)
	l, ok2 := live.(map[string]any)
	if !ok1 || !ok2 {
		return false
	}
	w, _ := want.(map[string]any)
	for k, v := range o {
		x, there := l[k]
		if !there {
			continue
		}
		if y, wanted := w[k]; !wanted || extra(v, y, x) {
			return true
		}
	}
	return false
}

// covers tells whether all labels of want stand in live.
func covers(live, want map[string]any) bool {
	for k, v := range want {
		if !content.Same(v, live[k]) {
			return false
		}
	}
	return true
}

func labelsOf(c api.Content) map[string]any {
	v, _ := content.Lookup(c, []string{"metadata", "labels"})
	m, _ := v.(map[string]any)
	return m
}
