package mesh

import "strings"

// pathTemplate is a path of an AuthorizationPolicy with "{*}" (one segment) or
// "{**}" (any rest). Envoy matches it against the whole path without its query.
// Source: pilot/pkg/security/authz/matcher/template.go and
// pkg/config/security/security.go of Istio,
// source/extensions/path/uri_template_lib/uri_template_internal.cc of Envoy.
type pathTemplate struct {
	// head is what comes before "{**}", or everything: "" stands for "{*}" there
	// only together with one, since literals are never empty inside.
	head []templatePart
	// rest is true when the template has "{**}"; tail is what follows it, only literals.
	rest bool
	tail string
}

// templatePart is a run of literal characters, or one segment of any characters.
type templatePart struct {
	literal string
	one     bool
}

const (
	matchOne = "{*}"
	matchAny = "{**}"
)

// isTemplate tells whether istiod takes a path for a template.
func isTemplate(v string) bool { return strings.Contains(v, matchOne) || strings.Contains(v, matchAny) }

// parseTemplate reads a template. It returns nil for one that istiod's webhook
// refuses or of which Envoy refuses the whole listener: what happens with such a
// policy cannot be known.
func parseTemplate(v string) *pathTemplate {
	if !strings.HasPrefix(v, "/") {
		return nil
	}
	t := &pathTemplate{}
	segments := strings.Split(v[1:], "/")
	for i, s := range segments {
		last := i == len(segments)-1
		switch {
		case s == matchOne && !t.rest:
			t.literal("/")
			t.head = append(t.head, templatePart{one: true})
		case s == matchAny && !t.rest:
			t.literal("/")
			t.rest = true
		case s == "" && last && i > 0, isPathText(s) && s != "" && !strings.Contains(s, "*"):
			t.literal("/" + s)
		default:
			return nil
		}
	}
	return t
}

func (t *pathTemplate) literal(s string) {
	switch n := len(t.head); {
	case t.rest:
		t.tail += s
	case n > 0 && !t.head[n-1].one:
		t.head[n-1].literal += s
	default:
		t.head = append(t.head, templatePart{literal: s})
	}
}

// matches a path without query.
func (t *pathTemplate) matches(path string) bool {
	for _, p := range t.head {
		if !p.one {
			rest, ok := strings.CutPrefix(path, p.literal)
			if !ok {
				return false
			}
			path = rest
			continue
		}
		n := 0
		for n < len(path) && path[n] != '/' && isPathByte(path[n]) {
			n++
		}
		if n == 0 {
			return false
		}
		path = path[n:]
	}
	if !t.rest {
		return path == ""
	}
	body, ok := strings.CutSuffix(path, t.tail)
	if !ok {
		return false
	}
	for i := range len(body) {
		if body[i] != '/' && !isPathByte(body[i]) {
			return false
		}
	}
	return true
}

func isPathText(s string) bool {
	for i := range len(s) {
		if !isPathByte(s[i]) {
			return false
		}
	}
	return true
}

// isPathByte tells whether Envoy's "*" takes a character. The asterisk itself is
// one since Envoy 1.35, which all versions of Istio that are planned for have.
func isPathByte(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || strings.IndexByte("-._~%!$&'()+,;:@=*", b) >= 0
}
