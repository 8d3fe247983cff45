package mesh

import (
	"encoding/json"
	"fmt"
	"slices"
)

// compact is a value as text: strings as they are, the rest as JSON with sorted keys.
func compact(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

func without(m map[string]any, keys ...string) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		if !slices.Contains(keys, k) && v != nil {
			out[k] = v
		}
	}
	return out
}

func textOf(v any) string {
	s, _ := v.(string)
	return s
}

func textsOf(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, e := range list {
		if s, ok := e.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// intOf reads a number of a document, which is an int64, or a float64 when it went through plain JSON.
func intOf(v any) int32 {
	switch n := v.(type) {
	case int64:
		return int32(n)
	case int:
		return int32(n)
	case float64:
		return int32(n)
	}
	return 0
}

// listAt reads a list at a path of keys; nil when there is none.
func listAt(c map[string]any, path ...string) []any {
	v := any(map[string]any(c))
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	list, _ := v.([]any)
	return list
}

// mapAt reads an object at a path of keys.
func mapAt(c map[string]any, path ...string) (map[string]any, bool) {
	m := c
	for _, p := range path {
		next, ok := m[p].(map[string]any)
		if !ok {
			return nil, false
		}
		m = next
	}
	return m, true
}
