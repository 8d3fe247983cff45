package mesh

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// routerText is a router as text, for properties: rules of a kind with their conditions.
type routerText struct {
	kind  string
	rules []ruleText
	// port of the call, 80 when it is 0.
	port int32
}

// ruleText is an action and one condition, as YAML.
type ruleText struct{ match, rule string }

func (r routerText) compile(t testing.TB, opts RouteOptions) *Router {
	t.Helper()
	var list []Applied
	for i, rt := range r.rules {
		rule := &RouteRule{Kind: r.kind, Namespace: "shop", Domain: "cluster.local"}
		for _, p := range []struct {
			text string
			to   *map[string]any
		}{{rt.rule, &rule.Rule}, {rt.match, &rule.Match}} {
			if p.text == "" {
				continue
			}
			if err := yaml.Unmarshal([]byte("{"+p.text+"}"), p.to); err != nil {
				t.Fatalf("%v in %s", err, p.text)
			}
		}
		list = append(list, Applied{Object: api.Ref{Kind: r.kind, Namespace: "shop", Name: "o"}, Path: fmt.Sprintf("rule[%d]", i), Protocol: "http", Rule: rule})
	}
	out, why := CompileRoutes(list, RouteCall{Host: "orders.shop.svc.cluster.local", Port: max(r.port, 80)}, opts)
	if why != "" {
		t.Fatal(why)
	}
	return out
}

// drawRouter draws rules whose conditions overlap.
func drawRouter(t *rapid.T, label string) routerText {
	if rapid.IntRange(0, 2).Draw(t, label+" kind") == 0 {
		return drawGatewayRouter(t, label)
	}
	out := routerText{kind: "VirtualService"}
	text := rapid.SampledFrom([]string{"{exact: v1}", "{exact: v2}", "{prefix: v}", "{regex: 'v[12]'}", "{regex: '.*1'}", "{regex: '(?i)V1'}", "{}", "{exact: ''}"})
	uri := rapid.SampledFrom([]string{"", "uri: {prefix: /}", "uri: {prefix: /a}", "uri: {prefix: /a/}", "uri: {exact: /a}", "uri: {exact: /a/b}", "uri: {regex: '/a(/.*)?'}", "uri: {regex: '/[ab]+'}", "uri: {regex: '/a.*'}", "uri: {prefix: /A}, ignoreUriCase: true", "uri: {exact: /a}, ignoreUriCase: true"})
	for range rapid.IntRange(1, 5).Draw(t, label+" rules") {
		var m []string
		if u := uri.Draw(t, "uri"); u != "" {
			m = append(m, u)
		}
		for _, k := range []string{"headers: {h: %s}", "withoutHeaders: {h: %s}", "queryParams: {q: %s}", "method: %s"} {
			if rapid.IntRange(0, 4).Draw(t, k) == 0 {
				m = append(m, fmt.Sprintf(k, text.Draw(t, "text")))
			}
		}
		rule := rapid.SampledFrom([]string{"route: [{destination: {host: a}}]", "route: [{destination: {host: b}}]", "route: [{destination: {host: a}}], rewrite: {uri: /z}", "route: [{destination: {host: a}}], rewrite: {uri: /a/}",
			"route: [{destination: {host: a}}], rewrite: {uri: /}", "redirect: {uri: /z}", "directResponse: {status: 503}"}).Draw(t, "rule")
		out.rules = append(out.rules, ruleText{strings.Join(m, ", "), rule})
	}
	return out
}

func drawGatewayRouter(t *rapid.T, label string) routerText {
	out := routerText{kind: "HTTPRoute"}
	for range rapid.IntRange(1, 4).Draw(t, label+" rules") {
		m := []string{rapid.SampledFrom([]string{"path: {type: Exact, value: /a}", "path: {type: PathPrefix, value: /a}", "path: {type: PathPrefix, value: /a/b}", "path: {type: PathPrefix, value: /}", "path: {type: RegularExpression, value: '/a.*'}"}).Draw(t, "path")}
		for _, s := range []string{"method: GET", "headers: [{name: h, value: v1}]", "headers: [{name: h, type: RegularExpression, value: 'v.*'}]", "queryParams: [{name: q, value: v1}]"} {
			if rapid.IntRange(0, 4).Draw(t, s) == 0 && !strings.Contains(strings.Join(m, " "), strings.Split(s, ":")[0]+":") {
				m = append(m, s)
			}
		}
		rule := rapid.SampledFrom([]string{"backendRefs: [{name: a, port: 80}]", "backendRefs: [{name: b, port: 80}]", "backendRefs: [{name: a, port: 80}], filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]",
			"backendRefs: [{name: a, port: 80}], filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /z}}}]", ""}).Draw(t, "rule")
		out.rules = append(out.rules, ruleText{strings.Join(m, ", "), rule})
	}
	return out
}

// varied is a router like another: the same with rules swapped, dropped, repeated, or written otherwise.
func (r routerText) varied(t *rapid.T) routerText {
	out := routerText{kind: r.kind, rules: slices.Clone(r.rules)}
	for range rapid.IntRange(0, 2).Draw(t, "changes") {
		i := rapid.IntRange(0, len(out.rules)-1).Draw(t, "rule")
		switch rapid.IntRange(0, 4).Draw(t, "change") {
		case 0:
			j := rapid.IntRange(0, len(out.rules)-1).Draw(t, "other rule")
			out.rules[i], out.rules[j] = out.rules[j], out.rules[i]
		case 1:
			if len(out.rules) > 1 {
				out.rules = slices.Delete(out.rules, i, i+1)
			}
		case 2:
			out.rules = append(out.rules, out.rules[i])
		default:
			out.rules[i].match = strings.NewReplacer("uri: {prefix: /a/}", "uri: {regex: '/a/.*'}", "uri: {exact: /a}", "uri: {regex: '/a'}", "{exact: v1}", "{regex: v1}", "{prefix: v}", "{regex: 'v.*'}", "uri: {regex: '/a(/.*)?'}", "uri: {regex: '/a|/a/.*'}", "{regex: 'v[12]'}", "{regex: 'v1|v2'}",
				"uri: {regex: '/a.*'}", "uri: {prefix: /a}", "type: Exact, value: /a", "type: RegularExpression, value: /a").Replace(out.rules[i].match)
		}
	}
	return out
}

// drawRequests draws requests that have nothing to do with how routers are compared.
func drawRequests(t *rapid.T) []RouteRequest {
	var out []RouteRequest
	value := rapid.OneOf(rapid.SampledFrom([]string{"v1", "v2", "V1", "v", "1", "x1", "", "v11"}), rapid.StringMatching(`[vV12xz]{0,3}`))
	path := rapid.OneOf(rapid.SampledFrom([]string{"/", "/a", "/A", "/a/", "/a/b", "/ab", "/b", "/a/b/c", "/A/b", "/aB", "/a//"}), rapid.StringMatching(`/[abAZ/]{0,4}`))
	for range 20 {
		r := RouteRequest{Method: rapid.SampledFrom([]string{"GET", "POST", "v1", "v2", "v"}).Draw(t, "method"), Path: path.Draw(t, "path"), Scheme: "http", Headers: map[string]string{}, Query: map[string]string{}}
		if rapid.Bool().Draw(t, "with header") {
			r.Headers["h"] = value.Draw(t, "h")
		}
		if rapid.Bool().Draw(t, "with parameter") {
			r.Query["q"] = value.Draw(t, "q")
		}
		out = append(out, r)
	}
	return out
}

// TestRouterEqualsItself: and compared with itself nothing is unknown.
func TestRouterEqualsItself(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := drawRouter(rt, "router").compile(t, RouteOptions{})
		if got := answerOf(r, r, RouteOptions{}); got != "" {
			rt.Fatal(got)
		}
	})
}

// TestRoutersAgainstRequests: no request contradicts a proof, a difference is one, and the other way round it is the same.
func TestRoutersAgainstRequests(t *testing.T) {
	equal, different := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		text := drawRouter(rt, "a")
		other := text.varied(rt)
		if rapid.IntRange(0, 3).Draw(rt, "another") == 0 {
			other = drawRouter(rt, "b")
		}
		a, b := text.compile(t, RouteOptions{}), other.compile(t, RouteOptions{})
		d, unknown := CompareRouters(a, b, RouteOptions{})
		e, back := CompareRouters(b, a, RouteOptions{})
		if (d == nil) != (e == nil) || (unknown == "") != (back == "") {
			rt.Fatalf("one way %v %q, the other %v %q", d, unknown, e, back)
		}
		switch {
		case d != nil:
			different++
			x, y := a.Route(d.Request), b.Route(d.Request)
			if x.Action.key() == y.Action.key() || x.String() != d.Before.String() || y.String() != d.After.String() {
				rt.Fatalf("%s is no difference: %s; %s", d, x, y)
			}
		case unknown == "":
			equal++
			for _, req := range drawRequests(rt) {
				if x, y := a.Route(req), b.Route(req); x.Action.key() != y.Action.key() {
					rt.Fatalf("proven equal, and %s: %s; %s", req, x, y)
				}
			}
		}
	})
	if equal == 0 || different == 0 {
		t.Errorf("%d equal, %d different: the property shows nothing", equal, different)
	}
}

// TestRoutersFindRequests: when a request shows that routers differ, comparing them says so as well, or that it does not
// know.
func TestRoutersFindRequests(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := drawRouter(rt, "a")
		a, b := text.compile(t, RouteOptions{}), text.varied(rt).compile(t, RouteOptions{})
		for _, req := range drawRequests(rt) {
			x, y := a.Route(req), b.Route(req)
			if x.Action.key() == y.Action.key() {
				continue
			}
			if got := answerOf(a, b, RouteOptions{}); got == "" {
				rt.Fatalf("equal, but %s: %s; %s", req, x, y)
			}
		}
	})
}

// TestRouteCellsAreAll: every request is treated like the one of some cell: by the same rule.
func TestRouteCellsAreAll(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a, b := drawRouter(rt, "a").compile(t, RouteOptions{}), drawRouter(rt, "b").compile(t, RouteOptions{})
		cells, why := RouteCells(a, b, RouteOptions{})
		if why != "" {
			rt.Fatal(why)
		}
		for _, req := range drawRequests(rt) {
			if !slices.ContainsFunc(cells, func(c RouteRequest) bool {
				return a.Route(c).Path == a.Route(req).Path && b.Route(c).Path == b.Route(req).Path
			}) {
				rt.Fatalf("no cell is like %s: %s; %s", req, a.Route(req), b.Route(req))
			}
		}
	})
}

// FuzzTextClasses: the classes for an expression, a prefix and an exact text are right for any text.
func FuzzTextClasses(f *testing.F) {
	for _, s := range [][4]string{{"/a.*", "/a/", "/ab", "/a/b"}, {`\b(x|y)\w+$`, "x", "xy", "xyz"}, {"(?i)^/A+$", "/", "/aA", "/AAa"}, {"[^/]+/", "q", "r", "q/"}, {"(a|ab)(c|bcd)", "a", "abcd", "abc"}} {
		f.Add(s[0], s[1], s[2], s[3])
	}
	f.Fuzz(func(t *testing.T, expression, prefix, exact, text string) {
		var c routeConditions
		for _, a := range []routeCondition{{op: routeRegex, text: expression}, {op: routePrefix, text: prefix}, {op: routeExact, text: exact}, {op: routePrefix, text: exact, fold: true}} {
			a.field = routeField{partHeader, "h"}
			if c.compile(&a) {
				c.all = append(c.all, a)
			}
		}
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) || strings.TrimSpace(text) != text {
			return
		}
		var list []*routeCondition
		for i := range c.all {
			list = append(list, &c.all[i])
		}
		classes, ok := textClassesOf(routeField{partHeader, "h"}, list, nil)
		if !ok {
			return
		}
		vector := func(s string) string {
			var out strings.Builder
			for _, a := range c.all {
				fmt.Fprintf(&out, "%v ", a.holds(s, true))
			}
			return out.String()
		}
		for _, cl := range classes {
			if vector(cl.text) == vector(text) {
				if cl.exact && cl.text != text && exact != text {
					continue
				}
				return
			}
		}
		t.Errorf("no class for %q: %s", text, vector(text))
	})
}

// FuzzRouters: no rule makes the comparison panic, and what is compared with itself never differs.
func FuzzRouters(f *testing.F) {
	f.Add("VirtualService", "uri: {prefix: /a}, headers: {h: {regex: 'a|b'}}", "route: [{destination: {host: a}, weight: 1}, {destination: {host: b}, weight: 2}], timeout: 1s")
	f.Add("HTTPRoute", "path: {type: PathPrefix, value: /a}", "filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}], backendRefs: [{name: a, port: 80}]")
	f.Add("GRPCRoute", "method: {service: a.B}", "backendRefs: [{name: a, port: 80, weight: -1}]")
	f.Add("HTTPRoute", "path: {type: PathPrefix}", "filters: [{type: RequestMirror, requestMirror: {backendRef: {name: a, port: 80}, fraction: {numerator: 1, denominator: 0}}}]")
	f.Add("VirtualService", "uri: {}", "redirect: {uri: '/a?b', prefixRewrite: /c}, corsPolicy: {allowOrigins: [{}]}")
	f.Fuzz(func(t *testing.T, kind, match, rule string) {
		r := &RouteRule{Kind: kind, Namespace: "shop", Domain: "cluster.local"}
		if yaml.Unmarshal([]byte("{"+rule+"}"), &r.Rule) != nil || yaml.Unmarshal([]byte("{"+match+"}"), &r.Match) != nil {
			return
		}
		list := []Applied{{Object: api.Ref{Kind: kind}, Path: "a", Protocol: "http", Rule: r}}
		a, why := CompileRoutes(list, RouteCall{Host: "h", Port: 80}, RouteOptions{})
		if why != "" {
			return
		}
		if d, _ := CompareRouters(a, a, RouteOptions{Limit: 200}); d != nil {
			t.Error(d)
		}
	})
}
