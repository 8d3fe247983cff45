package rbac

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	template "github.com/envoyproxy/go-control-plane/envoy/extensions/path/match/uri_template/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// matchString is StringMatcherImpl of Envoy. Regular expressions match the whole
// string; case is ignored for ASCII only.
func (c *Chain) matchString(m *matcher.StringMatcher, s string) (bool, error) {
	fold := func(v string) string {
		if !m.IgnoreCase {
			return v
		}
		return strings.Map(func(r rune) rune {
			if 'A' <= r && r <= 'Z' {
				return r + 'a' - 'A'
			}
			return r
		}, v)
	}
	switch x := m.MatchPattern.(type) {
	case *matcher.StringMatcher_Exact:
		return fold(s) == fold(x.Exact), nil
	case *matcher.StringMatcher_Prefix:
		return strings.HasPrefix(fold(s), fold(x.Prefix)), nil
	case *matcher.StringMatcher_Suffix:
		return strings.HasSuffix(fold(s), fold(x.Suffix)), nil
	case *matcher.StringMatcher_SafeRegex:
		return c.matchRegexp(x.SafeRegex.Regex, s)
	}
	return false, fmt.Errorf("string matcher %T is not known", m.MatchPattern)
}

// matchRegexp is RE2::FullMatch; package regexp has the same syntax.
func (c *Chain) matchRegexp(pattern, s string) (bool, error) {
	re := c.regexps[pattern]
	if re == nil {
		var err error
		if re, err = regexp.Compile(`\A(?:` + pattern + `)\z`); err != nil {
			return false, fmt.Errorf("regular expression %q: %w", pattern, err)
		}
		c.regexps[pattern] = re
	}
	return re.MatchString(s), nil
}

// header is a HeaderMatcher. A header that is absent matches nothing.
func (e *evaluation) header(m *route.HeaderMatcher) (bool, error) {
	if !e.http {
		return false, fmt.Errorf("header %s on a connection without HTTP", m.Name)
	}
	if m.InvertMatch || m.TreatMissingHeaderAsEmpty {
		return false, fmt.Errorf("inverted header matchers are not known")
	}
	v, ok, err := e.headerValue(strings.ToLower(m.Name))
	if err != nil {
		return false, err
	}
	switch x := m.HeaderMatchSpecifier.(type) {
	case *route.HeaderMatcher_PresentMatch:
		return ok == x.PresentMatch, nil
	case *route.HeaderMatcher_StringMatch:
		hit, err := e.matchString(x.StringMatch, v)
		return ok && hit, err
	}
	return false, fmt.Errorf("header matcher %T is not known", m.HeaderMatchSpecifier)
}

// headerValue looks a header up as Envoy's HeaderMap does, which keeps "host" as
// ":authority".
func (e *evaluation) headerValue(name string) (value string, ok bool, err error) {
	r := &e.request
	switch name {
	case ":authority", "host":
		return r.Host, r.Host != "", nil
	case ":method":
		return r.Method, r.Method != "", nil
	case ":path":
		return r.Path, r.Path != "", nil
	}
	if strings.HasPrefix(name, ":") {
		return "", false, fmt.Errorf("header %s is not known", name)
	}
	v, ok := r.Headers[name]
	return v, ok, nil
}

// path compares the path without query and fragment.
func (e *evaluation) path(m *matcher.PathMatcher) (bool, error) {
	x, ok := m.Rule.(*matcher.PathMatcher_Path)
	if !ok || !e.http {
		return false, fmt.Errorf("path matcher %T is not known", m.Rule)
	}
	hit, err := e.matchString(x.Path, bare(e.request.Path))
	return hit && e.request.Path != "", err
}

func bare(path string) string {
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		return path[:i]
	}
	return path
}

// pchar is what "*" of a URI template matches: characters of a path segment by RFC
// 3986, "=" and, since Envoy 1.35, "*". Source: kLiteral of
// source/extensions/path/uri_template_lib/uri_template_internal.cc of Envoy.
const pchar = `a-zA-Z0-9\-._~%!$&'()+,;:@=*`

// template compares the path with a URI template.
func (e *evaluation) template(config *core.TypedExtensionConfig) (bool, error) {
	t := &template.UriTemplateMatchConfig{}
	if err := config.GetTypedConfig().UnmarshalTo(t); err != nil {
		return false, err
	}
	if !e.http || !strings.HasPrefix(t.PathTemplate, "/") {
		return false, fmt.Errorf("URI template %q is not known", t.PathTemplate)
	}
	pattern, rest := "", false
	for _, s := range strings.Split(t.PathTemplate[1:], "/") {
		pattern += "/"
		switch {
		case rest && strings.Contains(s, "*"):
			return false, fmt.Errorf("URI template %q is refused by Envoy", t.PathTemplate)
		case s == "*":
			pattern += "[" + pchar + "]+"
		case s == "**":
			pattern, rest = pattern+"[/"+pchar+"]*", true
		case strings.ContainsAny(s, "*{}"):
			return false, fmt.Errorf("URI template %q is not known", t.PathTemplate)
		default:
			pattern += regexp.QuoteMeta(s)
		}
	}
	return e.matchRegexp(pattern, bare(e.request.Path))
}

// inRange is CidrRange::isInRange: both of one family.
func inRange(r *core.CidrRange, a netip.Addr) (bool, error) {
	base, err := netip.ParseAddr(r.AddressPrefix)
	if err != nil {
		return false, err
	}
	p := netip.PrefixFrom(base, int(r.PrefixLen.GetValue()))
	if !p.IsValid() {
		return false, fmt.Errorf("address block %v is none", r)
	}
	return p.Contains(a), nil
}

// matchMetadata compares dynamic metadata that a filter before this one wrote.
func (e *evaluation) matchMetadata(m *matcher.MetadataMatcher) (bool, error) {
	if m.Invert {
		return false, fmt.Errorf("inverted metadata matchers are not known")
	}
	switch m.Filter {
	case jwtAuthn, httpRBAC, tcpRBAC:
	default:
		return false, fmt.Errorf("metadata of %s is not known", m.Filter)
	}
	var v any = e.metadata[m.Filter]
	for _, p := range m.Path {
		fields, _ := v.(map[string]any)
		v = fields[p.GetKey()]
	}
	return e.matchValue(m.Value, v)
}

// matchValue compares a value of metadata; nil is one that is not there.
func (e *evaluation) matchValue(m *matcher.ValueMatcher, v any) (bool, error) {
	switch x := m.MatchPattern.(type) {
	case *matcher.ValueMatcher_StringMatch:
		s, ok := v.(string)
		hit, err := e.matchString(x.StringMatch, s)
		return ok && hit, err
	case *matcher.ValueMatcher_ListMatch:
		one, ok := x.ListMatch.MatchPattern.(*matcher.ListMatcher_OneOf)
		if !ok {
			return false, fmt.Errorf("list matcher %T is not known", x.ListMatch.MatchPattern)
		}
		list, _ := v.([]string)
		return anyOf(list, func(s string) (bool, error) { return e.matchValue(one.OneOf, s) })
	case *matcher.ValueMatcher_OrMatch:
		return anyOf(x.OrMatch.ValueMatchers, func(o *matcher.ValueMatcher) (bool, error) { return e.matchValue(o, v) })
	}
	return false, fmt.Errorf("value matcher %T is not known", m.MatchPattern)
}
