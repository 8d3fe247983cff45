package mesh

import (
	"regexp"
	"strings"
	"testing"
)

// The matchers for identities and templates are written by hand, to be quick.
// These targets compare them with the regular expressions that istiod gives Envoy
// (RE2, whole text).

// full compiles an expression as Envoy uses it.
func full(expr string) *regexp.Regexp { return regexp.MustCompile("^(?:" + expr + ")$") }

// oneLine leaves out what no identity or path can have.
func oneLine(texts ...string) bool {
	for _, s := range texts {
		if strings.ContainsAny(s, "\n\r") || strings.ToValidUTF8(s, "") != s {
			return false
		}
	}
	return true
}

func FuzzNamespace(f *testing.F) {
	for _, v := range []string{"shop", "sh*", "*op", "*", "s*p", "*a", "**", "", "a*b*c", "*/sa"} {
		for _, p := range []string{"td/ns/shop/sa/web", "ns/shop/sa/web", "td/ns/a/sa/b/", "td/ns//sa/", "/ns/ns/ns/ns/"} {
			f.Add(v, p)
		}
	}
	f.Fuzz(func(t *testing.T, v, p string) {
		if !oneLine(v, p) || p == "" {
			return
		}
		parts := strings.Split(v, "*")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		want := full(".*/ns/" + strings.Join(parts, ".*") + "/.*").MatchString("spiffe://" + p)
		m := proxyNamespaceMatcher(v)
		if got := m.matchPrincipal(p); got != want {
			t.Errorf("namespace %q, principal %q: %v, want %v", v, p, got, want)
		}
	})
}

func FuzzServiceAccount(f *testing.F) {
	for _, v := range []string{"web", "shop/web", "a/b", "", "/", "a/b/c", "sa"} {
		for _, p := range []string{"td/ns/shop/sa/web", "td/ns/shop/x/y/sa/web/more", "td/ns/shop//sa/web", "td/ns/shop/sa/web/", "/ns/shop/sa/web", "td/ns/ns/shop/sa/web", "td/ns/shop/ns/shop/sa/web"} {
			f.Add(v, p)
		}
	}
	f.Fuzz(func(t *testing.T, v, p string) {
		if !oneLine(v, p) || p == "" {
			return
		}
		ns, sa, ok := strings.Cut(v, "/")
		if !ok {
			ns, sa = "shop", v
		}
		want := full("spiffe://.+/ns/" + regexp.QuoteMeta(ns) + "/(.+/|)sa/" + regexp.QuoteMeta(sa) + "(/.+)?").MatchString("spiffe://" + p)
		m := accountMatcher(v, "shop")
		if got := m.matchPrincipal(p); got != want {
			t.Errorf("account %q, principal %q: %v, want %v", v, p, got, want)
		}
	})
}

func FuzzTrustDomain(f *testing.F) {
	for _, v := range []string{"td", "*", "t*", "*d", "t*d", "", "a.b"} {
		for _, p := range []string{"td/ns/shop/sa/web", "tdd/ns/a/sa/b", "t/ns/d/sa/d", "td", "/x"} {
			f.Add(v, p)
		}
	}
	f.Fuzz(func(t *testing.T, v, p string) {
		m := domainMatcher(v)
		if !oneLine(v, p) || p == "" || m.op == opUnknown {
			return
		}
		expr := "spiffe://" + regexp.QuoteMeta(v) + "/.*"
		if v == "*" {
			expr = "spiffe://.*"
		} else if before, after, ok := strings.Cut(v, "*"); ok {
			expr = "spiffe://" + regexp.QuoteMeta(before) + "[^/]*" + regexp.QuoteMeta(after) + "/.*"
		}
		if got, want := m.matchPrincipal(p), full(expr).MatchString("spiffe://"+p); got != want {
			t.Errorf("trust domain %q, principal %q: %v, want %v", v, p, got, want)
		}
	})
}

func FuzzPrincipal(f *testing.F) {
	for _, v := range []string{"td/ns/a/sa/b", "*", "td*", "*b", "**", "", "*/"} {
		f.Add(v, "td/ns/a/sa/b")
		f.Add(v, "x")
	}
	f.Fuzz(func(t *testing.T, v, p string) {
		if !oneLine(v, p) || p == "" {
			return
		}
		var want bool
		switch full := "spiffe://" + p; {
		case v == "*":
			want = true
		case strings.HasPrefix(v, "*"):
			want = regexp.MustCompile("^spiffe://.*" + regexp.QuoteMeta(v[1:]) + "$").MatchString(full)
		case strings.HasSuffix(v, "*"):
			want = strings.HasPrefix(full, "spiffe://"+strings.TrimSuffix(v, "*"))
		default:
			want = full == "spiffe://"+v
		}
		m := stringMatcher(v)
		if got := m.matchPrincipal(p); got != want {
			t.Errorf("principal %q against %q: %v, want %v", v, p, got, want)
		}
	})
}

// templateExpression is what Envoy makes of a template.
func templateExpression(v string) string {
	const letter = `a-zA-Z0-9\-._~%!$&'()+,;:@=`
	segments := strings.Split(strings.TrimPrefix(v, "/"), "/")
	for i, s := range segments {
		switch s {
		case matchOne:
			segments[i] = "[" + letter + "*]+"
		case matchAny:
			segments[i] = "[" + letter + "*/]*"
		default:
			segments[i] = regexp.QuoteMeta(s)
		}
	}
	return "/" + strings.Join(segments, "/")
}

func FuzzPathTemplate(f *testing.F) {
	for _, v := range []string{"/{*}", "/{**}", "/a/{*}/b", "/a/{**}/b", "/{*}/", "/{*}/{**}", "/{*}/{*}/x", "/{**}/a/b", "/a{*}", "/{**}/{*}", "{*}", "//{*}", "/a?/{*}"} {
		for _, p := range []string{"/", "/a", "/a/b", "/a/x/b", "/a//b", "/a/", "/a/x/y/b", "/*=~", `/"`, ""} {
			f.Add(v, p)
		}
	}
	f.Fuzz(func(t *testing.T, v, p string) {
		if !oneLine(v, p) || !isTemplate(v) {
			return
		}
		template := parseTemplate(v)
		if template == nil {
			return
		}
		want := full(templateExpression(v)).MatchString(p)
		if got := template.matches(p); got != want {
			t.Errorf("template %q, path %q: %v, want %v", v, p, got, want)
		}
		// The letter by letter reading that finds paths must agree.
		m := pathMatcher(v)
		machine := newPathMachine(&m)
		state := int16(0)
		for i := range len(p) {
			state = machine.step(state, p[i])
		}
		if got := machine.accepts(state); got != want {
			t.Errorf("template %q, path %q, letter by letter: %v, want %v", v, p, got, want)
		}
	})
}
