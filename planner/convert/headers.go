package convert

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// headerFilter writes header operations (facts C-31, C-32). Names are not case sensitive.
func (c *conversion) headerFilter(r *rule, field string, in *networking.Headers_HeaderOperations) *gwv1.HTTPHeaderFilter {
	if in == nil || len(in.GetSet())+len(in.GetAdd())+len(in.GetRemove()) == 0 {
		return nil
	}
	at := r.Path + "." + field
	fact := "C-32"
	list := func(name string, values map[string]string) []gwv1.HTTPHeader {
		var out []gwv1.HTTPHeader
		seen := map[string]bool{}
		for _, key := range slices.Sorted(maps.Keys(values)) {
			v := values[key]
			path := at + "." + name + "." + key
			authority := strings.EqualFold(key, "host") || strings.EqualFold(key, ":authority")
			switch {
			case key == "" || strings.HasPrefix(key, ":") && !authority || authority && field == "headers.response":
				c.block(r.Object, path, fact, "istiod takes no such header", refused)
				continue
			case !validValue(v):
				c.block(r.Object, path, fact, "the value has characters that no header may have", refused)
				continue
			case seen[strings.ToLower(key)]:
				c.keep(r.Object, path, fact, "the same header is written twice, under names that differ in case only")
				continue
			case !tokenPattern.MatchString(key) || len(key) > maxName:
				c.keep(r.Object, path, fact, "the Gateway API does not take the name")
				continue
			case v == "" || len(v) > maxHeaderValue:
				c.keep(r.Object, path, fact, fmt.Sprintf("a route takes values of 1 to %d characters", maxHeaderValue))
				continue
			}
			seen[strings.ToLower(key)] = true
			out = append(out, gwv1.HTTPHeader{Name: gwv1.HTTPHeaderName(key), Value: v})
		}
		if len(out) > maxList {
			c.keep(r.Object, at+"."+name, "C-03", fmt.Sprintf("it has %d headers, and a route takes %d", len(out), maxList))
		}
		return out
	}
	f := &gwv1.HTTPHeaderFilter{Set: list("set", in.GetSet()), Add: list("add", in.GetAdd())}
	for i, name := range in.GetRemove() {
		path := fmt.Sprintf("%s.remove[%d]", at, i)
		switch {
		case name == "" || strings.HasPrefix(name, ":") || strings.EqualFold(name, "host"):
			c.block(r.Object, path, fact, "istiod takes no such header", refused)
		case slices.ContainsFunc(f.Remove, func(o string) bool { return strings.EqualFold(o, name) }):
			c.drop(r.Object, path, fact, "the header is removed already")
		case !tokenPattern.MatchString(name) || len(name) > maxName:
			c.keep(r.Object, path, fact, "the Gateway API does not take the name")
		default:
			f.Remove = append(f.Remove, name)
		}
	}
	if len(f.Remove) > maxList {
		c.keep(r.Object, at+".remove", "C-03", fmt.Sprintf("it has %d headers, and a route takes %d", len(f.Remove), maxList))
	}
	return f
}

// validValue tells whether istiod takes a header value (conversion.go, isValidHeaderValue).
func validValue(v string) bool {
	for _, b := range []byte(v) {
		if b != 0x09 && (b < 0x20 || b == 0x7F) {
			return false
		}
	}
	return true
}
