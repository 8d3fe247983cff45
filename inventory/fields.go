package inventory

import (
	"strconv"
	"strings"
)

// The accessors below read decoded objects. A field of another type than
// expected reads as absent: an API server would have refused the object.

// get is the value at the given keys, or nil.
func get(m map[string]any, keys ...string) any {
	var v any = m
	for _, k := range keys {
		at, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = at[k]
	}
	return v
}

// str is the string at the given keys, or "".
func str(m map[string]any, keys ...string) string {
	s, _ := get(m, keys...).(string)
	return s
}

// truth is the boolean at the given keys.
func truth(m map[string]any, keys ...string) bool {
	t, _ := get(m, keys...).(bool)
	return t
}

// object is the map at the given keys, or nil.
func object(m map[string]any, keys ...string) map[string]any {
	o, _ := get(m, keys...).(map[string]any)
	return o
}

// objects are the maps of the list at the given keys, with nil for what is no map.
func objects(m map[string]any, keys ...string) []map[string]any {
	l, _ := get(m, keys...).([]any)
	out := make([]map[string]any, len(l))
	for i, v := range l {
		out[i], _ = v.(map[string]any)
	}
	return out
}

// number is the integer at the given keys; ok is false when there is none that fits.
func number(m map[string]any, keys ...string) (n int32, ok bool) {
	i, ok := get(m, keys...).(int64)
	if !ok || i < -1<<31 || i > 1<<31-1 {
		return 0, false
	}
	return int32(i), true
}

// scalar is a string or number as text.
func scalar(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

// stringMap is a map of strings. Unquoted booleans and numbers, which an API
// server refuses, are taken for what their author meant.
func stringMap(m map[string]any, keys ...string) map[string]string {
	in := object(m, keys...)
	if len(in) == 0 {
		return nil
	}
	out := make(map[string]string, len(in))
	for k, v := range in {
		out[k] = scalar(v)
	}
	return out
}

// meshAnnotations keeps the annotations that the mesh, a scraper or ambientplan reads.
func meshAnnotations(in map[string]string) map[string]string {
	var out map[string]string
	for k, v := range in {
		if !isMeshAnnotation(k) {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[k] = v
	}
	return out
}

func isMeshAnnotation(key string) bool {
	domain, name, ok := strings.Cut(key, "/")
	if !ok {
		return false
	}
	for _, d := range []string{"istio.io", "ambientplan.dev", "prometheus.io", "gateway.networking.k8s.io"} {
		if domain == d || strings.HasSuffix(domain, "."+d) {
			return true
		}
	}
	// A MigrationPolicy may name the keys that hold owner, team and tier.
	switch strings.ToLower(name) {
	case "owner", "team", "tier", "contact", "squad", "oncall":
		return true
	}
	return false
}
