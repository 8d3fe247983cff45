package rewind

import (
	"fmt"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// matches tells whether an object of the cluster is what a plan says it is at some
// moment. Fields that API servers, controllers and the tree itself add are no difference.
func (h *history) matches(live, want api.Content) bool {
	if h.fragment {
		for _, f := range h.fields {
			x, okX := lookup(live, f)
			y, okY := lookup(want, f)
			if okX != okY || okX && !same(x, y) {
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
		return covers(labelsOf(live), labelsOf(want)) && same(selector(live), selector(want))
	}
	for k, v := range want {
		switch k {
		case "apiVersion", "kind", "status":
		case "metadata":
			if !covers(labelsOf(live), labelsOf(want)) {
				return false
			}
		default:
			if !within(v, live[k]) {
				return false
			}
		}
	}
	return !h.keeps(live, want)
}

func service(r api.Ref) bool { return r.Group == "" && r.Kind == "Service" }

func selector(c api.Content) any {
	v, _ := lookup(c, []string{"spec", "selector"})
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

// within tells whether every field of want has its value in live; lists are of one
// length. What live has besides are defaults, or what others set.
func within(want, live any) bool {
	switch w := want.(type) {
	case map[string]any:
		l, ok := live.(map[string]any)
		if !ok {
			return len(w) == 0 && live == nil
		}
		for k, v := range w {
			if !within(v, l[k]) {
				return false
			}
		}
		return true
	case []any:
		l, ok := live.([]any)
		if !ok || len(l) != len(w) {
			return len(w) == 0 && live == nil
		}
		for i := range w {
			if !within(w[i], l[i]) {
				return false
			}
		}
		return true
	}
	return same(want, live)
}

// same compares values, whatever type their numbers have. An empty map, list or null
// is as good as none.
func same(x, y any) bool {
	switch a := x.(type) {
	case map[string]any:
		b, ok := y.(map[string]any)
		if !ok {
			return len(a) == 0 && y == nil
		}
		for k, v := range a {
			if !same(v, b[k]) {
				return false
			}
		}
		for k, v := range b {
			if _, ok := a[k]; !ok && !same(nil, v) {
				return false
			}
		}
		return true
	case []any:
		b, ok := y.([]any)
		if !ok || len(a) != len(b) {
			return len(a) == 0 && y == nil
		}
		for i := range a {
			if !same(a[i], b[i]) {
				return false
			}
		}
		return true
	case nil:
		switch b := y.(type) {
		case nil:
			return true
		case map[string]any:
			return len(b) == 0
		case []any:
			return len(b) == 0
		}
		return false
	}
	if y == nil {
		return same(y, x)
	}
	return fmt.Sprint(x) == fmt.Sprint(y)
}

// covers tells whether all labels of want stand in live.
func covers(live, want map[string]any) bool {
	for k, v := range want {
		if !same(v, live[k]) {
			return false
		}
	}
	return true
}

func labelsOf(c api.Content) map[string]any {
	v, _ := lookup(c, []string{"metadata", "labels"})
	m, _ := v.(map[string]any)
	return m
}

// lookup finds a field.
func lookup(c api.Content, path []string) (any, bool) {
	var v any = map[string]any(c)
	for _, k := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = m[k]; !ok {
			return nil, false
		}
	}
	return v, true
}

// differing lists the paths at which two values differ, at most so many.
func differing(x, y any, at string, most int) []string {
	if same(x, y) || most <= 0 {
		return nil
	}
	a, okA := x.(map[string]any)
	b, okB := y.(map[string]any)
	if okA && okB {
		keys := sortedKeys(a)
		for k := range b {
			if _, ok := a[k]; !ok {
				keys = append(keys, k)
			}
		}
		slices.Sort(keys)
		var out []string
		for _, k := range keys {
			out = append(out, differing(a[k], b[k], join(at, k), most-len(out))...)
		}
		return out
	}
	l, okL := x.([]any)
	m, okM := y.([]any)
	if okL && okM && len(l) == len(m) {
		var out []string
		for i := range l {
			out = append(out, differing(l[i], m[i], fmt.Sprintf("%s[%d]", at, i), most-len(out))...)
		}
		return out
	}
	return []string{at}
}

// join appends a key to a field path, as evidence is written.
func join(at, k string) string {
	switch {
	case strings.ContainsAny(k, "./[]\""):
		return fmt.Sprintf("%s[%q]", at, k)
	case at == "":
		return k
	}
	return at + "." + k
}
