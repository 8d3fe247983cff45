package convert

import (
	"strings"

	networking "istio.io/api/networking/v1alpha3"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// pathChange is what a rule does to the path of a request.
type pathChange int

const (
	// wholePath is replaced by the value. The zero value is no change.
	wholePath pathChange = iota + 1
	// prefixOfAll: "/" at the start is replaced by the value.
	prefixOfAll
	// prefixSegments: the prefix of the entry is replaced by the value; both end in "/".
	prefixSegments
)

// variant is a change of the path with its value.
type variant struct {
	kind  pathChange
	value string
}

// variantOf is how a route can do what a rule does to paths that fit a match (facts C-33, C-34). Envoy replaces what the
// match has matched: the prefix of a prefix, all of the path otherwise.
// Source: pilot/pkg/config/kube/gateway/conversion.go (createRewriteFilter).
func (r matchReader) variantOf(spec *networking.HTTPRoute, m *networking.HTTPMatchRequest) (variant, form, bool) {
	uri, field, fact := spec.GetRewrite().GetUri(), "rewrite.uri", "C-34"
	if spec.GetRedirect() != nil {
		uri, field, fact = spec.GetRedirect().GetPrefixRewrite(), "redirect.prefixRewrite", "C-33"
	}
	if uri == "" {
		return variant{}, plain, false
	}
	keep := func(why string) (variant, form, bool) {
		at := r.path
		if i := strings.Index(at, ".match["); i >= 0 {
			at = at[:i]
		}
		r.notes.keep(r.object, at+"."+field, fact, why)
		return variant{}, plain, false
	}
	if len(uri) > maxPath {
		return keep("the new path is longer than a route takes")
	}
	prefix, isPrefix := "/", m.GetUri().GetMatchType() == nil
	if p, ok := m.GetUri().GetMatchType().(*networking.StringMatch_Prefix); ok {
		prefix, isPrefix = p.Prefix, true
	}
	redirect := spec.GetRedirect() != nil
	switch {
	case !isPrefix && redirect:
		return keep("it replaces the prefix of a match that has none; istiod refuses that")
	case !isPrefix && strings.Contains(uri, `\`):
		return keep(`the new path has a "\", which a route reads as a reference to what was matched`)
	case !isPrefix:
		return variant{wholePath, uri}, plain, false
	case prefix == "/" && !redirect && uri != "/" && strings.HasSuffix(uri, "/"):
		return keep(`of a new prefix the route drops the "/" at its end, and paths behind it would be another`)
	case prefix == "/":
		return variant{prefixOfAll, uri}, plain, true
	case redirect:
		return keep("a route replaces prefixes of whole path segments only")
	case !strings.HasSuffix(prefix, "/") || !strings.HasSuffix(uri, "/"):
		return keep("a route replaces prefixes of whole path segments only: prefix " + prefix + " also takes paths in which it ends within a segment; let prefix and rewrite both end in \"/\"")
	case m.GetIgnoreUriCase():
		return keep("a route replaces prefixes with their case only")
	case !validPath(strings.TrimSuffix(prefix, "/")):
		return keep("the Gateway API does not take the prefix")
	}
	return variant{prefixSegments, uri}, segments, true
}

// at is the change for one path that fits the entry, as a replacement of the whole path.
func (e *entry) at(path string) (variant, bool) {
	switch e.variant.kind {
	case prefixOfAll:
		if e.rule.Spec.GetRedirect() != nil {
			return variant{}, false
		}
		v := variant{wholePath, e.variant.value + strings.TrimPrefix(path, "/")}
		return v, !strings.Contains(v.value, `\`)
	case prefixSegments:
		v := variant{wholePath, e.variant.value + strings.TrimPrefix(path, e.path.value)}
		return v, !strings.Contains(v.value, `\`)
	}
	return e.variant, true
}

// pinned gives each path that PathPrefix takes beyond a prefix with "/" at its end, which is the prefix without that
// slash, entries of its own with type Exact: copies of all entries that fit the path, each before its original. It
// fails when they do not catch every request to that path that the prefix would take, since no route can answer 404.
func pinned(list []*entry) ([]*entry, *entry) {
	for _, seg := range list {
		if seg.form != segments {
			continue
		}
		only := text{kind: isExact, value: strings.TrimSuffix(seg.path.value, "/")}
		gap := seg.condition
		gap.path = only
		var out []*entry
		caught := false
		for _, e := range list {
			if e != seg && !e.path.disjoint(only) {
				pin := *e
				pin.path, pin.form, pin.fixed = only, plain, true
				v, ok := e.at(only.value)
				if !ok {
					return nil, seg
				}
				pin.variant = v
				caught = caught || pin.covers(gap)
				if e.path.equal(only) {
					*e = pin
				} else {
					out = append(out, &pin)
				}
			}
			out = append(out, e)
		}
		if !caught {
			return nil, seg
		}
		list = out
	}
	return list, nil
}

// filter is the change of the path, and of the authority, as a filter of a rule.
func (v variant) filter(authority string) *gwv1.HTTPURLRewriteFilter {
	f := &gwv1.HTTPURLRewriteFilter{}
	if authority != "" {
		h := gwv1.PreciseHostname(authority)
		f.Hostname = &h
	}
	f.Path = v.modifier()
	if f.Path == nil && f.Hostname == nil {
		return nil
	}
	return f
}

func (v variant) modifier() *gwv1.HTTPPathModifier {
	value := v.value
	switch v.kind {
	case wholePath:
		return &gwv1.HTTPPathModifier{Type: gwv1.FullPathHTTPPathModifier, ReplaceFullPath: &value}
	case prefixOfAll, prefixSegments:
		return &gwv1.HTTPPathModifier{Type: gwv1.PrefixMatchHTTPPathModifier, ReplacePrefixMatch: &value}
	}
	return nil
}
