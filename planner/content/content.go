// Package content compares what stands in objects: JSON values as decoders of YAML, of
// JSON and of typed objects make them, which agree on everything but the types of numbers.
package content

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// Same compares values, whatever type their numbers have. A null or an empty list is as
// good as none: typed objects lose it. An empty map is not: a peer of a NetworkPolicy
// with namespaceSelector {} is another one than without.
func Same(x, y any) bool {
	switch a := x.(type) {
	case map[string]any:
		b, ok := y.(map[string]any)
		if !ok {
			return false
		}
		for k, v := range a {
			if !Same(v, b[k]) {
				return false
			}
		}
		for k, v := range b {
			if _, ok := a[k]; !ok && !Same(nil, v) {
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
			if !Same(a[i], b[i]) {
				return false
			}
		}
		return true
	case nil:
		b, ok := y.([]any)
		return y == nil || ok && len(b) == 0
	}
	if y == nil {
		return Same(y, x)
	}
	return fmt.Sprint(x) == fmt.Sprint(y)
}

// Within tells whether every field of want has its value in live; lists are of one
// length. What live has besides are defaults, or what others set.
func Within(want, live any) bool {
	switch w := want.(type) {
	case map[string]any:
		l, ok := live.(map[string]any)
		if !ok {
			return false
		}
		for k, v := range w {
			if !Within(v, l[k]) {
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
			if !Within(w[i], l[i]) {
				return false
			}
		}
		return true
	}
	return Same(want, live)
}

// Differing lists the paths at which two values differ, at most so many.
func Differing(x, y any, at string, most int) []string {
	if Same(x, y) || most <= 0 {
		return nil
	}
	a, okA := x.(map[string]any)
	b, okB := y.(map[string]any)
	if okA && okB {
		keys := slices.Collect(maps.Keys(a))
		for k := range b {
			if _, ok := a[k]; !ok {
				keys = append(keys, k)
			}
		}
		slices.Sort(keys)
		var out []string
		for _, k := range keys {
			out = append(out, Differing(a[k], b[k], Join(at, k), most-len(out))...)
		}
		return out
	}
	l, okL := x.([]any)
	m, okM := y.([]any)
	if okL && okM && len(l) == len(m) {
		var out []string
		for i := range l {
			out = append(out, Differing(l[i], m[i], fmt.Sprintf("%s[%d]", at, i), most-len(out))...)
		}
		return out
	}
	return []string{at}
}

// Join appends a key to a field path, as evidence is written.
func Join(at, k string) string {
	switch {
	case strings.ContainsAny(k, "./[]\""):
		return fmt.Sprintf("%s[%q]", at, k)
	case at == "":
		return k
	}
	return at + "." + k
}

// Lookup finds a field.
func Lookup(c api.Content, path []string) (any, bool) {
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
