package mesh

import (
	"maps"
	"slices"
	"strings"

	security "istio.io/api/security/v1beta1"
)

// Cells partitions all requests by what the given policies can tell apart: for
// each attribute that they mention, one value for each class of values that
// match the same patterns. Two requests of one cell are treated alike by every
// rule, so comparing one request of each cell compares all. base holds what is
// fixed: who calls, and which port. The second result is false when there would
// be more than limit cells, or when a pattern is one that the partition does not
// know (a path template): then nothing may be concluded.
func Cells(policies []Typed[*security.AuthorizationPolicy], base Request, limit int) ([]Request, bool) {
	patterns := map[string][]string{}
	for _, p := range policies {
		for _, r := range Authz(p).Rules {
			for _, f := range r.Fields {
				name := strings.TrimPrefix(f.Name, "not")
				name = strings.ToLower(name[:1]) + name[1:]
				switch name {
				case "requestPrincipals", "request.auth.principal", "request.auth.audiences", "request.auth.presenter":
					return nil, false
				case "remoteIpBlocks", "remote.ip", "ipBlocks", "source.ip", "destination.ip":
					// Addresses are not varied: the caller of an edge is known, its address is not.
					return nil, false
				case "ports", "destination.port", "principals", "namespaces", "serviceAccounts", "trustDomains",
					"source.principal", "source.namespace", "source.serviceAccount", "source.trustDomain":
					continue
				case "paths":
					if slices.ContainsFunc(f.Values, func(v string) bool { return strings.Contains(v, "{") }) {
						return nil, false
					}
				}
				patterns[name] = append(patterns[name], f.Values...)
			}
		}
	}
	out := []Request{base}
	for _, name := range slices.Sorted(maps.Keys(patterns)) {
		values := classes(patterns[name], other(name), optional(name))
		if len(out)*len(values) > limit {
			return nil, false
		}
		var next []Request
		for _, r := range out {
			for _, v := range values {
				next = append(next, with(r, name, v))
			}
		}
		out = next
	}
	return out, true
}

// optional tells whether an attribute may be absent from a request.
func optional(name string) bool {
	return strings.HasPrefix(name, "request.") || name == "connection.sni"
}

// other is a value of an attribute that no pattern is likely to mention.
func other(name string) string {
	switch name {
	case "paths":
		return "/anything-else"
	case "methods":
		return "PATCH"
	case "hosts":
		return "anything.else"
	}
	return "anything-else"
}

// classes gives one value for each set of patterns that some value matches.
func classes(patterns []string, other string, absent bool) []string {
	slices.Sort(patterns)
	patterns = slices.Compact(patterns)
	candidates := []string{other, other + "-2"}
	var prefixes, suffixes []string
	for _, p := range patterns {
		switch {
		case p == "*":
		case strings.HasPrefix(p, "*"):
			suffixes = append(suffixes, p[1:])
		case strings.HasSuffix(p, "*"):
			prefixes = append(prefixes, p[:len(p)-1])
		default:
			candidates = append(candidates, p)
		}
	}
	for _, p := range prefixes {
		candidates = append(candidates, p+"anything-else", p)
		for _, s := range suffixes {
			candidates = append(candidates, p+s, p+"-"+s)
		}
	}
	for _, s := range suffixes {
		candidates = append(candidates, other+s)
	}
	seen := map[string]bool{}
	var out []string
	if absent {
		candidates = append([]string{""}, candidates...)
	}
	for _, c := range candidates {
		if c == "" && !absent {
			continue
		}
		var key strings.Builder
		for _, p := range patterns {
			if matchString(p, c) {
				key.WriteByte('1')
			} else {
				key.WriteByte('0')
			}
		}
		k := key.String()
		if !seen[k] {
			seen[k] = true
			out = append(out, c)
		}
	}
	return out
}

// with sets one attribute of a request; an empty value leaves it out.
func with(r Request, name, v string) Request {
	switch name {
	case "methods":
		r.Method = v
	case "paths":
		r.Path = v
	case "hosts":
		r.Host = v
	case "connection.sni":
		r.SNI = v
	default:
		if v == "" {
			return r
		}
		if key, ok := strings.CutPrefix(name, "request.headers["); ok {
			r.Headers = maps.Clone(r.Headers)
			if r.Headers == nil {
				r.Headers = map[string]string{}
			}
			r.Headers[strings.ToLower(strings.TrimSuffix(key, "]"))] = v
			return r
		}
		r.Claims = maps.Clone(r.Claims)
		if r.Claims == nil {
			r.Claims = map[string][]string{}
		}
		r.Claims[name] = []string{v}
	}
	return r
}
