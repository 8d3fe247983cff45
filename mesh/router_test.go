package mesh

import (
	"fmt"
	"strings"
	"testing"
)

// routerOf is the router of what acts on calls of service orders, port 80, by a sidecar of its namespace.
func routerOf(t testing.TB, objects string, opts RouteOptions) (*Router, string) {
	t.Helper()
	a := trafficCase{way: "cart"}.ask(t, trafficState(t, objects))
	if a.Unknown != "" {
		return nil, a.Unknown
	}
	return CompileRoutes(ofProtocol(a.Routes, "http"), a.Call, opts)
}

// vsHTTP is a VirtualService of service orders with HTTP rules.
func vsHTTP(rules ...string) string {
	return "kind: VirtualService\nmetadata: {name: vs, namespace: shop}\nspec: {hosts: [orders], http: [{" + strings.Join(rules, "}, {") + "}]}"
}

// httpRoute is an HTTPRoute of service orders.
func httpRoute(rules ...string) string {
	return "kind: HTTPRoute\nmetadata: {name: r, namespace: shop}\nspec: {parentRefs: [{group: \"\", kind: Service, name: orders}], rules: [{" + strings.Join(rules, "}, {") + "}]}"
}

func grpcRoute(rules ...string) string {
	return strings.Replace(httpRoute(rules...), "HTTPRoute", "GRPCRoute", 1)
}

const (
	toOrders = "route: [{destination: {host: orders}}]"
	toV2     = "route: [{destination: {host: orders-v2}}]"
	ownRef   = "backendRefs: [{name: orders, port: 80}]"
	v2Ref    = "backendRefs: [{name: orders-v2, port: 80}]"
)

// answerOf compares two routers and writes the answer: "" for equal, a difference, or "unknown: " and why.
func answerOf(a, b *Router, opts RouteOptions) string {
	d, unknown := CompareRouters(a, b, opts)
	switch {
	case d != nil:
		return d.String()
	case unknown != "":
		return "unknown: " + unknown
	}
	return ""
}

// routerPair is two meshes, and part of how calls of service orders differ in them: "" for not at all.
type routerPair struct{ fact, name, a, b, want string }

func (c routerPair) check(t *testing.T, opts RouteOptions) {
	t.Helper()
	var rs [2]*Router
	for i, objects := range []string{c.a, c.b} {
		r, why := routerOf(t, objects, opts)
		if why != "" {
			t.Fatalf("%s %s: %s", c.fact, c.name, why)
		}
		rs[i] = r
	}
	got := answerOf(rs[0], rs[1], opts)
	if c.want == "" && got != "" || !strings.Contains(got, c.want) {
		t.Errorf("%s %s: %q, want %q", c.fact, c.name, got, c.want)
	}
	back := answerOf(rs[1], rs[0], opts)
	if (got == "") != (back == "") || strings.HasPrefix(got, "unknown") != strings.HasPrefix(back, "unknown") {
		t.Errorf("%s %s: %q, the other way round %q", c.fact, c.name, got, back)
	}
}

// when is a condition of a VirtualService in front of a catch-all to the service, matching that of an HTTPRoute.
func when(vs, gateway string) (string, string) {
	return vsHTTP("match: ["+vs+"], "+toV2, toOrders), httpRoute("matches: ["+gateway+"], "+v2Ref, ownRef)
}

// TestRouteConditions is C-02 and C-10 to C-24: a condition of a VirtualService and one of an HTTPRoute.
func TestRouteConditions(t *testing.T) {
	for _, c := range []struct{ fact, name, vs, gateway, want string }{
		{"C-14", "exact", "{uri: {exact: /a}}", "{path: {type: Exact, value: /a}}", ""},
		{"C-14", "exact is case sensitive", "{uri: {exact: /a}}", "{path: {type: Exact, value: /A}}", "GET /a: VirtualService shop/vs spec.http[0].match[0] -> orders-v2.shop.svc.cluster.local:80; HTTPRoute shop/r spec.rules[1] -> orders.shop.svc.cluster.local:80"},
		{"C-15", "prefix is not of segments", "{uri: {prefix: /a}}", "{path: {type: PathPrefix, value: /a}}", "GET /ax: VirtualService shop/vs spec.http[0].match[0] -> orders-v2"},
		{"C-15", "prefix with a slash does not match without", "{uri: {prefix: /a/}}", "{path: {type: PathPrefix, value: /a/}}", "GET /a: VirtualService shop/vs spec.http[1] -> orders.shop"},
		{"C-15", "exact and prefix with a slash are segments", "{uri: {exact: /a}}, {uri: {prefix: /a/}}", "{path: {type: PathPrefix, value: /a/}}", ""},
		{"C-15", "prefix /", "{uri: {prefix: /}}", "{path: {type: PathPrefix, value: /}}", ""},
		{"C-16", "the same expression", "{uri: {regex: '/[a-z]+/x'}}", "{path: {type: RegularExpression, value: '/[a-z]+/x'}}, {path: {type: Exact, value: /9}}", "GET /9: "},
		{"C-16", "an expression that says the same otherwise", "{uri: {regex: '/(a|b)c*'}}", "{path: {type: RegularExpression, value: '/[ab]c{0,}'}}", "unreached"},
		{"C-17", "without case", "{uri: {prefix: /a/}, ignoreUriCase: true}", "{path: {type: Exact, value: /a/b}}", "GET /a/: "},
		{"C-17", "expressions keep case", "{uri: {regex: /a}, ignoreUriCase: true}", "{path: {type: Exact, value: /a}}", ""},
		{"C-17", "without case is an expression", "{uri: {exact: /a}, ignoreUriCase: true}", "{path: {type: RegularExpression, value: '(?i)/a'}}", "unreached"},
		{"C-18", "header", "{headers: {end-user: {exact: jason}}}", "{headers: [{name: end-user, value: jason}]}", ""},
		{"C-18", "names of headers have no case", "{headers: {End-User: {exact: jason}}}", "{headers: [{name: end-user, value: jason}]}", ""},
		{"C-18", "another value", "{headers: {end-user: {exact: jason}}}", "{headers: [{name: end-user, value: jane}]}", "GET / end-user=jane: VirtualService shop/vs spec.http[1] -> orders.shop.svc.cluster.local:80; HTTPRoute shop/r spec.rules[0].matches[0] -> orders-v2"},
		{"C-18", "header by expression", "{headers: {end-user: {regex: 'j.*'}}}", "{headers: [{name: end-user, type: RegularExpression, value: 'j.*'}]}", ""},
		{"C-19", "header by prefix", "{headers: {end-user: {prefix: ja}}}", "{headers: [{name: end-user, type: RegularExpression, value: 'ja.*'}]}", ""},
		{"C-19", "header by prefix and a longer one", "{headers: {end-user: {prefix: ja}}}", "{headers: [{name: end-user, type: RegularExpression, value: 'ja.+'}]}", "GET / end-user=ja: "},
		{"C-19", "presence", "{headers: {end-user: {}}}", "{headers: [{name: end-user, type: RegularExpression, value: '.*'}]}", ""},
		{"C-19", "presence of an empty value", "{headers: {end-user: {}}}", "{headers: [{name: end-user, type: RegularExpression, value: '.+'}]}", "GET / end-user=: "},
		{"C-20", "absence", "{withoutHeaders: {end-user: {exact: jason}}}", "{headers: [{name: end-user, type: RegularExpression, value: '[^j].*'}]}", "GET /: VirtualService shop/vs spec.http[0].match[0] -> orders-v2"},
		{"C-21", "query parameter", "{queryParams: {page: {exact: '2'}}}", "{queryParams: [{name: page, value: '2'}]}", ""},
		{"C-21", "query parameter, names have case", "{queryParams: {Page: {exact: '2'}}}", "{queryParams: [{name: page, value: '2'}]}", "GET /?page=2: "},
		{"C-21", "query parameter by prefix", "{queryParams: {page: {prefix: '2'}}}", "{queryParams: [{name: page, type: RegularExpression, value: '2.*'}]}", ""},
		{"C-21", "query parameter by expression", "{queryParams: {page: {regex: '2+'}}}", "{queryParams: [{name: page, type: RegularExpression, value: '22*'}]}", ""},
		{"C-22", "method", "{method: {exact: GET}}", "{method: GET}", ""},
		{"C-22", "method by expression", "{method: {regex: 'GET|HEAD'}}", "{method: GET}, {method: HEAD}", ""},
		{"C-22", "method by prefix", "{method: {prefix: P}}", "{method: PUT}, {method: POST}, {method: PATCH}", "P /: "},
		{"C-23", "port", "{port: 80, uri: {exact: /a}}", "{path: {type: Exact, value: /a}}", ""},
		{"C-24", "authority", "{authority: {exact: a.example}}", "{headers: [{name: ':authority', value: a.example}]}", ""},
		{"C-24", "authority is no header", "{authority: {exact: a.example}}", "{headers: [{name: x, value: a.example}]}", "GET / :authority=orders.shop.svc.cluster.local x=a.example: "},
		{"C-24", "scheme", "{scheme: {exact: https}}", "{headers: [{name: ':scheme', value: https}]}", ""},
		{"C-24", "another scheme", "{scheme: {exact: https}}", "{headers: [{name: ':scheme', value: http}]}", "GET /: VirtualService shop/vs spec.http[1] -> orders.shop"},
		{"C-27", "names and gateways", "{name: x, statPrefix: z, gateways: [mesh], uri: {exact: /a}}", "{path: {type: Exact, value: /a}}", ""},
		{"C-20", "a claim of a token is not known", "{headers: {'@request.auth.claims.sub': {exact: a}}}", "{path: {type: Exact, value: /a}}", "unknown: spec.http[0].match[0] of VirtualService shop/vs: conditions on claims"},
		{"C-16", "a boundary of words", "{uri: {regex: '/a\\b.*'}}", "{path: {type: RegularExpression, value: '/a.*'}}", "unreached"},
		{"C-16", "an expression that does not compile", "{uri: {regex: '/a('}}", "{path: {type: Exact, value: /a}}", "unknown: spec.http[0].match[0] of VirtualService shop/vs: regular expression \"/a(\" does not compile"},
		{"C-14", "a field that nobody knows", "{uri: {exact: /a}, planet: mars}", "{path: {type: Exact, value: /a}}", "unknown: spec.http[0].match[0] of VirtualService shop/vs: field \"planet\" is not modelled"},
		{"C-14", "a field of HTTPRoute that nobody knows", "{uri: {exact: /a}}", "{path: {type: Exact, value: /a}, planet: mars}", "planet"},
		{"C-16", "an expression for letters that are not ASCII", "{headers: {a: {regex: '[\\x00-\\x7f]+'}}}", "{headers: [{name: a, type: RegularExpression, value: '.+'}]}", "unknown: "},
		{"C-14", "letters that are not ASCII", "{headers: {a: {exact: ä}}}", "{headers: [{name: a, value: ä}]}", "unknown: "},
	} {
		a, b := when(c.vs, c.gateway)
		if c.want == "unreached" {
			// An expression behind the prefix "/" of the catch-all is never reached (C-02): with another catch-all it is.
			routerPair{c.fact, c.name + ", behind the catch-all", a, b, "HTTPRoute shop/r spec.rules[1] -> orders.shop"}.check(t, RouteOptions{})
			b = httpRoute("matches: ["+c.gateway+"], "+v2Ref, "matches: [{path: {type: RegularExpression, value: '/.*'}}], "+ownRef)
			c.want = map[string]string{"a boundary of words": "GET /ax: VirtualService shop/vs spec.http[1] -> orders.shop"}[c.name]
		}
		if strings.HasPrefix(c.name, "the same expression") {
			b = httpRoute("matches: ["+c.gateway+"], "+v2Ref, "matches: [{path: {type: RegularExpression, value: '/.*'}}], "+ownRef)
		}
		routerPair{c.fact, c.name, a, b, c.want}.check(t, RouteOptions{})
	}
}

// TestRouteOrder is C-02: HTTPRoutes are sorted, VirtualServices are not; what no rule takes gets 404.
func TestRouteOrder(t *testing.T) {
	for _, c := range []routerPair{
		{"C-02", "shorter prefix first hides the longer", vsHTTP("match: [{uri: {prefix: /a}}], "+toV2, "match: [{uri: {exact: /a/b}}], "+toOrders, toOrders),
			httpRoute("matches: [{path: {type: RegularExpression, value: '/a.*'}}], "+v2Ref, "matches: [{path: {type: Exact, value: /a/b}}], "+ownRef, "matches: [{path: {type: RegularExpression, value: '/.*'}}], "+ownRef), "GET /a/b: VirtualService shop/vs spec.http[0].match[0] -> orders-v2"},
		{"C-02", "order by length is that of the rules", vsHTTP("match: [{uri: {exact: /a/b}}], "+toOrders, "match: [{uri: {prefix: /a/}}, {uri: {exact: /a}}], "+toV2, toOrders),
			httpRoute("matches: [{path: {type: PathPrefix, value: /a}}], "+v2Ref, "matches: [{path: {type: Exact, value: /a/b}}], "+ownRef, ownRef), ""},
		{"C-02", "rules for other requests in another order", vsHTTP("match: [{uri: {exact: /a}}], timeout: 1s, "+toV2, "match: [{uri: {exact: /b}}], timeout: 2s, "+toV2, toOrders),
			vsHTTP("match: [{uri: {exact: /b}}], timeout: 2s, "+toV2, "match: [{uri: {exact: /a}}], timeout: 1s, "+toV2, toOrders), ""},
		{"C-02", "rules that overlap in another order", vsHTTP("match: [{uri: {exact: /a}}], timeout: 1s, "+toV2, "match: [{headers: {h: {exact: v}}}], timeout: 2s, "+toV2, toOrders),
			vsHTTP("match: [{headers: {h: {exact: v}}}], timeout: 2s, "+toV2, "match: [{uri: {exact: /a}}], timeout: 1s, "+toV2, toOrders), "GET /a h=v: VirtualService shop/vs spec.http[0].match[0] -> orders-v2.shop.svc.cluster.local:80, timeout 1s; VirtualService shop/vs spec.http[0].match[0] -> orders-v2.shop.svc.cluster.local:80, timeout 2s"},
		{"C-02", "no rule for the rest", vsHTTP("match: [{uri: {exact: /a}}], " + toOrders), vsHTTP(toOrders), "GET /: no rule -> 404; VirtualService shop/vs spec.http[0] -> orders.shop"},
		{"C-02", "no rule and the default route", vsHTTP("match: [{uri: {exact: /a}}], " + toOrders), "", "GET /: no rule -> 404; default route -> orders.shop"},
		{"C-10", "a rule that is the default route", vsHTTP("match: [{uri: {prefix: /a}}], "+toOrders, toOrders), "", ""},
		{"C-02", "a rule that is never reached", vsHTTP(toOrders, "match: [{uri: {prefix: /a}}], "+toV2), "", ""},
		{"C-02", "a rule whose requests all went elsewhere", vsHTTP("match: [{uri: {regex: '/[ab].*'}}], "+toV2, "match: [{uri: {prefix: /a}}], timeout: 1s, "+toOrders, toOrders), vsHTTP("match: [{uri: {regex: '/[ab].*'}}], "+toV2, toOrders), ""},
		{"C-02", "a prefix and an expression that overlap behind a longer path", vsHTTP("match: [{uri: {exact: /a/b}}], "+toV2, "match: [{uri: {prefix: /a}}], timeout: 1s, "+toV2, "match: [{uri: {regex: '/[ab]/.*'}}], timeout: 2s, "+toV2, toOrders),
			vsHTTP("match: [{uri: {exact: /a/b}}], "+toV2, "match: [{uri: {regex: '/[ab]/.*'}}], timeout: 2s, "+toV2, "match: [{uri: {prefix: /a}}], timeout: 1s, "+toV2, toOrders), "GET /a/"},
		{"C-46", "a delegate", "kind: VirtualService\nmetadata: {name: vs, namespace: shop}\nspec: {hosts: [orders], http: [{match: [{uri: {prefix: /a/}}], delegate: {name: leaf}}, {" + toOrders + "}]}\n---\nkind: VirtualService\nmetadata: {name: leaf, namespace: shop}\nspec: {http: [{match: [{uri: {exact: /a/b}}], " + toV2 + "}]}",
			httpRoute("matches: [{path: {type: Exact, value: /a/b}}], "+v2Ref, ownRef), ""},
	} {
		c.check(t, RouteOptions{})
	}
}

// TestRouteActions is C-28 to C-45: what a rule of each kind does.
func TestRouteActions(t *testing.T) {
	for _, c := range []struct{ fact, name, vs, gateway, want string }{
		{"C-28", "destination", toV2, v2Ref, ""},
		{"C-28", "short and full names", "route: [{destination: {host: orders-v2.shop.svc.cluster.local, port: {number: 80}}}]", v2Ref, ""},
		{"C-28", "another port", "route: [{destination: {host: orders-v2, port: {number: 81}}}]", v2Ref, "orders-v2.shop.svc.cluster.local:81"},
		{"C-28", "the only port of the destination", "route: [{destination: {host: orders-v2}}]", "backendRefs: [{name: orders-v2, port: 80}]", ""},
		{"C-28", "a Service that is not there", "route: [{destination: {host: gone}}]", "backendRefs: [{name: gone, port: 80}]", "(not declared: 503); HTTPRoute shop/r spec.rules[0] -> gone.shop.svc.cluster.local:80 (not declared: 500)"},
		{"C-29", "subset", "route: [{destination: {host: orders, subset: v2}}]", v2Ref, "orders.shop.svc.cluster.local:80/v2; "},
		{"C-30", "weights", "route: [{destination: {host: orders}, weight: 75}, {destination: {host: orders-v2}, weight: 25}]", "backendRefs: [{name: orders, port: 80, weight: 3}, {name: orders-v2, port: 80}]", ""},
		{"C-30", "other weights", "route: [{destination: {host: orders}, weight: 75}, {destination: {host: orders-v2}, weight: 25}]", "backendRefs: [{name: orders, port: 80, weight: 2}, {name: orders-v2, port: 80}]", "orders-v2.shop.svc.cluster.local:80 weight 1, orders.shop.svc.cluster.local:80 weight 3; "},
		{"C-30", "order of destinations", "route: [{destination: {host: orders}, weight: 75}, {destination: {host: orders-v2}, weight: 25}]", "backendRefs: [{name: orders-v2, port: 80}, {name: orders, port: 80, weight: 3}]", ""},
		{"C-30", "weight 0", "route: [{destination: {host: orders}, weight: 0}, {destination: {host: orders-v2}, weight: 100}]", v2Ref, ""},
		{"C-30", "weight of a single destination", "route: [{destination: {host: orders-v2}, weight: 0}]", v2Ref, ""},
		{"C-30", "weight 1 by default in an HTTPRoute", "route: [{destination: {host: orders}, weight: 50}, {destination: {host: orders-v2}, weight: 50}]", "backendRefs: [{name: orders-v2, port: 80}, {name: orders, port: 80}]", ""},
		{"C-30", "all weights 0", "directResponse: {status: 500}", "backendRefs: [{name: orders-v2, port: 80, weight: 0}]", ""},
		{"C-30", "all weights 0 in a VirtualService", "route: [{destination: {host: orders}}, {destination: {host: orders-v2}}]", v2Ref, "unknown: spec.http[0] of VirtualService shop/vs: the rule leads nowhere"},
		{"C-30", "the same destination twice", "route: [{destination: {host: orders}, weight: 10}, {destination: {host: orders-v2}, weight: 80}, {destination: {host: orders}, weight: 10}]", "backendRefs: [{name: orders-v2, port: 80, weight: 4}, {name: orders, port: 80}]", ""},
		{"C-31", "headers of a destination", "route: [{destination: {host: orders-v2}, headers: {request: {set: {a: b}}}}]", "backendRefs: [{name: orders-v2, port: 80, filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: b}]}}]}]", ""},
		{"C-31", "headers of a single destination are those of the route", "route: [{destination: {host: orders-v2}, headers: {request: {set: {a: b}}}}]", "filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: A, value: b}]}}], " + v2Ref, ""},
		{"C-31", "headers of one of two destinations", "route: [{destination: {host: orders}, weight: 1, headers: {request: {add: {a: b}}}}, {destination: {host: orders-v2}, weight: 1}]", "backendRefs: [{name: orders, port: 80}, {name: orders-v2, port: 80, filters: [{type: RequestHeaderModifier, requestHeaderModifier: {add: [{name: a, value: b}]}}]}]", "request headers"},
		{"C-32", "headers", "headers: {request: {set: {a: b}, remove: [c]}, response: {add: {d: e}}}, " + toV2, "filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: b}], remove: [c]}}, {type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: d, value: e}]}}], " + v2Ref, ""},
		{"C-32", "set is not add", "headers: {request: {set: {a: b}}}, " + toV2, "filters: [{type: RequestHeaderModifier, requestHeaderModifier: {add: [{name: a, value: b}]}}], " + v2Ref, `[{"Name":"a","Drop":true,"Values":["b"]}]`},
		{"C-32", "remove before add is set", "headers: {request: {add: {a: b}, remove: [A]}}, " + toV2, "filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: b}]}}], " + v2Ref, ""},
		{"C-32", "a route adds, its destination sets", "headers: {request: {add: {a: one}}}, route: [{destination: {host: orders-v2}, headers: {request: {set: {a: two}}}}]", "filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: two}], add: [{name: a, value: one}]}}], " + v2Ref, ""},
		{"C-32", "a route sets, its destination sets", "headers: {request: {set: {a: one}}}, route: [{destination: {host: orders-v2}, headers: {request: {set: {a: two}}}}]", "filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: two}]}}], " + v2Ref, ""},
		{"C-32", "a destination of two adds, the route sets", "headers: {request: {set: {a: one}}}, route: [{destination: {host: orders}, weight: 1, headers: {request: {add: {a: two}}}}, {destination: {host: orders-v2}, weight: 1}]", "filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: one}]}}], backendRefs: [{name: orders, port: 80}, {name: orders-v2, port: 80}]", ""},
		{"C-32", "the Host header is the authority", "headers: {request: {set: {host: h.example}}}, " + toV2, "filters: [{type: URLRewrite, urlRewrite: {hostname: h.example}}], " + v2Ref, "unknown: GET /: x-forwarded-host"},
		{"C-32", "a value of Envoy's commands", "headers: {request: {set: {a: '%REQ(b)%'}}}, " + toV2, "filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: '%REQ(b)%'}]}}], " + v2Ref, ""},
		{"C-33", "redirect", "redirect: {uri: /b, authority: new.example, redirectCode: 302}", "filters: [{type: RequestRedirect, requestRedirect: {hostname: new.example, statusCode: 302, path: {type: ReplaceFullPath, replaceFullPath: /b}}}]", ""},
		{"C-33", "default code", "redirect: {authority: new.example}", "filters: [{type: RequestRedirect, requestRedirect: {hostname: new.example}}]", "redirect 301, host new.example; HTTPRoute shop/r spec.rules[0] -> redirect 302"},
		{"C-43", "default age", "corsPolicy: {allowMethods: [GET], maxAge: 5s, unmatchedPreflights: IGNORE}, " + toV2, "filters: [{type: CORS, cors: {allowMethods: [GET]}}], " + v2Ref, ""},
		{"C-33", "port", "redirect: {authority: new.example, port: 8443}", "filters: [{type: RequestRedirect, requestRedirect: {statusCode: 301, hostname: new.example, port: 8443}}]", ""},
		{"C-33", "the default port is left out", "redirect: {authority: new.example, port: 80}", "filters: [{type: RequestRedirect, requestRedirect: {statusCode: 301, hostname: new.example}}]", ""},
		{"C-33", "scheme", "redirect: {scheme: https, authority: new.example}", "filters: [{type: RequestRedirect, requestRedirect: {statusCode: 301, scheme: https, hostname: new.example}}]", ""},
		{"C-33", "a redirect of what goes to /b goes to /b", "redirect: {uri: /b}", "filters: [{type: RequestRedirect, requestRedirect: {statusCode: 301, path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}}]", "GET /z: VirtualService shop/vs spec.http[0] -> redirect 301, path \"/b\"; HTTPRoute shop/r spec.rules[0] -> redirect 301, path \"/bz\""},
		{"C-33", "code that istiod knows not", "redirect: {uri: /b, redirectCode: 304}", v2Ref, "unknown: "},
		{"C-36", "authority", "rewrite: {authority: h.example}, " + toV2, "filters: [{type: URLRewrite, urlRewrite: {hostname: h.example}}], " + v2Ref, ""},
		{"C-37", "timeout", "timeout: 1.5s, " + toV2, "timeouts: {request: 1500ms}, " + v2Ref, ""},
		{"C-37", "another timeout", "timeout: 1m30s, " + toV2, "timeouts: {request: 1m}, " + v2Ref, "timeout 90s; "},
		{"C-37", "0s is none", "timeout: 0s, " + toV2, "timeouts: {request: 0s}, " + v2Ref, ""},
		{"C-37", "none", toV2, "timeouts: {request: 0s}, " + v2Ref, ""},
		{"C-38", "retries as by default", "retries: {attempts: 2}, " + toV2, v2Ref, ""},
		{"C-38", "no retries", "retries: {attempts: 0}, " + toV2, "retry: {attempts: 0}, " + v2Ref, ""},
		{"C-38", "retry without attempts is 2", "retries: {attempts: 2, retryOn: 'cancelled,connect-failure,unavailable,refused-stream'}, " + toV2, "retry: {}, " + v2Ref, ""},
		{"C-38", "no retries and the default", "retries: {attempts: 0}, " + toV2, v2Ref, "no retries"},
		{"C-39", "perTryTimeout", "retries: {attempts: 3, perTryTimeout: 1s, retryOn: 'connect-failure,refused-stream,unavailable,cancelled'}, " + toV2, "retry: {attempts: 3}, timeouts: {backendRequest: 1s}, " + v2Ref, ""},
		{"C-39", "backendRequest without retry is the timeout of the request", "timeout: 1s, " + toV2, "timeouts: {request: 3s, backendRequest: 1s}, " + v2Ref, ""},
		{"C-40", "codes", "retries: {attempts: 3, retryOn: 'connect-failure,refused-stream,unavailable,cancelled,503,502'}, " + toV2, "retry: {attempts: 3, codes: [502, 503]}, " + v2Ref, ""},
		{"C-40", "codes alone do not drop the others", "retries: {attempts: 3, retryOn: '503'}, " + toV2, "retry: {attempts: 3, codes: [503]}, " + v2Ref, `"On":["retriable-status-codes"],"Codes":[503]`},
		{"C-40", "5xx is not a list of codes", "retries: {attempts: 3, retryOn: '5xx'}, " + toV2, "retry: {attempts: 3, codes: [500, 501, 502, 503, 504]}, " + v2Ref, `"On":["5xx"]`},
		{"C-41", "remote localities", "retries: {attempts: 2, retryRemoteLocalities: true}, " + toV2, v2Ref, `"RemoteLocalities":true`},
		{"C-41", "the same hosts", "retries: {attempts: 2, retryIgnorePreviousHosts: false}, " + toV2, v2Ref, `retries {"Attempts":2,"On":["cancelled","connect-failure","refused-stream","retriable-status-codes","unavailable"]}; `},
		{"C-41", "backoff", "retries: {attempts: 2, backoff: 1s, retryOn: 'connect-failure,refused-stream,unavailable,cancelled'}, " + toV2, "retry: {backoff: 1000ms}, " + v2Ref, ""},
		{"C-42", "mirror", "mirror: {host: orders-v2}, " + toOrders, "filters: [{type: RequestMirror, requestMirror: {backendRef: {name: orders-v2, port: 80}}}], " + ownRef, ""},
		{"C-42", "mirror of a share", "mirror: {host: orders-v2}, mirrorPercentage: {value: 12.5}, " + toOrders, "filters: [{type: RequestMirror, requestMirror: {backendRef: {name: orders-v2, port: 80}, fraction: {numerator: 1, denominator: 8}}}], " + ownRef, ""},
		{"C-42", "mirrors in another order", "mirrors: [{destination: {host: orders-v2}, percentage: {value: 5}}, {destination: {host: orders}}], " + toOrders, "filters: [{type: RequestMirror, requestMirror: {backendRef: {name: orders, port: 80}}}, {type: RequestMirror, requestMirror: {backendRef: {name: orders-v2, port: 80}, percent: 5}}], " + ownRef, ""},
		{"C-42", "no mirror", "mirror: {host: orders-v2}, mirrorPercentage: {value: 0}, " + toOrders, ownRef, ""},
		{"C-42", "a mirror that is not there", "mirror: {host: gone}, " + toOrders, ownRef, ""},
		{"C-42", "another share", "mirror: {host: orders-v2}, mirrorPercent: 7, " + toOrders, "filters: [{type: RequestMirror, requestMirror: {backendRef: {name: orders-v2, port: 80}}}], " + ownRef, `"Share":70000}; `},
		{"C-43", "cors", "corsPolicy: {allowOrigins: [{exact: 'https://a'}], allowMethods: [GET], maxAge: 60s, unmatchedPreflights: IGNORE}, " + toV2, "filters: [{type: CORS, cors: {allowOrigins: ['https://a'], allowMethods: [GET], maxAge: 60}}], " + v2Ref, ""},
		{"C-43", "preflights that do not match", "corsPolicy: {allowOrigins: [{exact: 'https://a'}], allowMethods: [GET], maxAge: 60s}, " + toV2, "filters: [{type: CORS, cors: {allowOrigins: ['https://a'], allowMethods: [GET], maxAge: 60}}], " + v2Ref, `"ForwardOtherPreflights":true`},
		{"C-44", "fault", "fault: {abort: {httpStatus: 503, percentage: {value: 10}}}, " + toV2, v2Ref, `fault {"Share":100000,"HTTPStatus":503}`},
		{"C-44", "a fault for nobody", "fault: {abort: {httpStatus: 503}, delay: {fixedDelay: 1s}}, " + toV2, v2Ref, ""},
		{"C-45", "answer", "directResponse: {status: 503, body: {string: none}}", v2Ref, `answer 503, body "none"; `},
		{"C-41", "a field that nobody knows", "retries: {attempts: 2, jitter: 1s}, " + toV2, v2Ref, `unknown: spec.http[0] of VirtualService shop/vs: field "retries.jitter" is not modelled`},
		{"C-41", "a field in a list that nobody knows", "route: [{destination: {host: orders-v2, zone: a}}]", v2Ref, `unknown: spec.http[0] of VirtualService shop/vs: field "route.destination.zone" is not modelled`},
		{"C-41", "sessionPersistence", toV2, "sessionPersistence: {sessionName: a}, " + v2Ref, "unknown: spec.rules[0] of HTTPRoute shop/r: sessionPersistence is not modelled"},
		{"C-28", "another kind of backend", toV2, "backendRefs: [{group: x.example, kind: Bucket, name: b, port: 80}]", "unknown: "},
	} {
		routerPair{c.fact, c.name, vsHTTP(c.vs), httpRoute(c.gateway), c.want}.check(t, RouteOptions{})
	}
}

// TestRouteRewrites is C-34 and C-35: rewrites of paths with the conditions that they replace parts of.
func TestRouteRewrites(t *testing.T) {
	replace := func(match, with string) string {
		return httpRoute("matches: ["+match+"], filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: "+with+"}}}], "+v2Ref, ownRef)
	}
	full := func(match, with string) string {
		return httpRoute("matches: ["+match+"], filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: "+with+"}}}], "+v2Ref, ownRef)
	}
	rewrite := func(match, what string) string {
		return vsHTTP("match: ["+match+"], rewrite: {"+what+"}, "+toV2, toOrders)
	}
	const segments, prefix = "{uri: {exact: /a}}, {uri: {prefix: /a/}}", "{path: {type: PathPrefix, value: /a}}"
	for _, c := range []routerPair{
		{"C-34", "with slashes at both ends, but for /a itself", rewrite(segments, "uri: /b/"), replace(prefix, "/b"), "GET /a: VirtualService shop/vs spec.http[0].match[0] -> orders-v2.shop.svc.cluster.local:80, path \"/b/\"; HTTPRoute shop/r spec.rules[0].matches[0] -> orders-v2.shop.svc.cluster.local:80, path \"/b\""},
		{"C-34", "with slashes where there are some", vsHTTP("match: [{uri: {exact: /a}}], rewrite: {uri: /b}, "+toV2, "match: [{uri: {prefix: /a/}}], rewrite: {uri: /b/}, "+toV2, toOrders), replace(prefix, "/b"), ""},
		{"C-34", "to the root", vsHTTP("match: [{uri: {exact: /a}}, {uri: {prefix: /a/}}], rewrite: {uri: /}, "+toV2, toOrders), replace(prefix, "/"), ""},
		{"C-34", "to the root without a slash in the condition", rewrite("{uri: {prefix: /a}}", "uri: /"), replace("{path: {type: PathPrefix, value: /a}}", "/"), "GET /ax: "},
		{"C-34", "of an exact path", rewrite("{uri: {exact: /a}}", "uri: /b"), full("{path: {type: Exact, value: /a}}", "/b"), ""},
		{"C-34", "of an exact path is that of a prefix", rewrite("{uri: {exact: /a}}", "uri: /b"), httpRoute("matches: [{path: {type: Exact, value: /a}}], filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}}], "+v2Ref, ownRef), ""},
		{"C-34", "of an expression is all of the path", rewrite("{uri: {regex: '/a.*'}}", "uri: /b"), vsHTTP("match: [{uri: {prefix: /a}}], rewrite: {uriRegexRewrite: {match: '/.*', rewrite: /b}}, "+toV2, toOrders), ""},
		{"C-34", "of another prefix for the same", rewrite("{uri: {prefix: /a/}}", "uri: /b/"), vsHTTP("match: [{uri: {prefix: /a/}}], rewrite: {uri: /c/}, "+toV2, toOrders), "GET /a/: "},
		{"C-34", "to itself is none", rewrite("{uri: {prefix: /a/}}", "uri: /a/"), vsHTTP("match: [{uri: {prefix: /a/}}], "+toV2, toOrders), ""},
		{"C-34", "without regard to case it is one", rewrite("{uri: {prefix: /a/}, ignoreUriCase: true}", "uri: /a/"), vsHTTP("match: [{uri: {prefix: /a/}, ignoreUriCase: true}], "+toV2, toOrders), "GET /A/: "},
		{"C-35", "by an expression", rewrite("{uri: {prefix: /a}}", `uriRegexRewrite: {match: '^/a(.*)$', rewrite: '/b\1'}`), rewrite("{uri: {prefix: /a}}", "uri: /b"), "unknown: "},
		{"C-35", "by an expression of one path", rewrite("{uri: {exact: /a/x}}", `uriRegexRewrite: {match: '^/a(.*)$', rewrite: '/b\1'}`), rewrite("{uri: {exact: /a/x}}", "uri: /b/x"), ""},
		{"C-33", "redirect of a prefix", httpRoute("matches: ["+prefix+"], filters: [{type: RequestRedirect, requestRedirect: {statusCode: 301, path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}}]", ownRef), vsHTTP("match: [{uri: {exact: /a}}], redirect: {uri: /b}", "match: [{uri: {prefix: /a/}}], redirect: {uri: /b}", toOrders), "GET /a/: "},
	} {
		c.check(t, RouteOptions{})
	}
}

// TestGRPCRoutes is C-48.
func TestGRPCRoutes(t *testing.T) {
	for _, c := range []routerPair{
		{"C-48", "method", vsHTTP("match: [{uri: {exact: /a.B/C}}], "+toV2, toOrders), grpcRoute("matches: [{method: {service: a.B, method: C}}], "+v2Ref, ownRef), ""},
		{"C-48", "service", vsHTTP("match: [{uri: {prefix: /a.B/}}], "+toV2, toOrders), grpcRoute("matches: [{method: {service: a.B}}], "+v2Ref, ownRef), "GET /a.B: "},
		{"C-48", "service as segments", httpRoute("matches: [{path: {type: PathPrefix, value: /a.B}}], "+v2Ref, ownRef), grpcRoute("matches: [{method: {service: a.B}}], "+v2Ref, ownRef), ""},
		{"C-48", "method of any service", vsHTTP("match: [{uri: {regex: '/[^/]+/C'}}], "+toV2, toOrders), grpcRoute("matches: [{method: {method: C}}], "+v2Ref, ownRef), ""},
		{"C-48", "expressions", vsHTTP("match: [{uri: {regex: '/a.*/.+'}}], "+toV2, toOrders), grpcRoute("matches: [{method: {type: RegularExpression, service: 'a.*'}}], "+v2Ref, ownRef), ""},
		{"C-48", "header", vsHTTP("match: [{headers: {h: {exact: v}}}], "+toV2, toOrders), grpcRoute("matches: [{headers: [{name: h, value: v}]}], "+v2Ref, ownRef), ""},
		{"C-48", "header modifier and mirror", vsHTTP("headers: {request: {set: {a: b}}}, mirror: {host: orders}, " + toV2), grpcRoute("filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: b}]}}, {type: RequestMirror, requestMirror: {backendRef: {name: orders, port: 80}}}], " + v2Ref), ""},
	} {
		c.check(t, RouteOptions{})
	}
}

// TestRouteOptions is C-50: version Services stand for subsets; with hashes the order of destinations counts; the mesh's
// own retries.
func TestRouteOptions(t *testing.T) {
	stands := RouteOptions{StandsFor: map[string]RouteTarget{"orders-v2.shop.svc.cluster.local": {"orders.shop.svc.cluster.local", "v2"}}}
	subset := vsHTTP("route: [{destination: {host: orders, subset: v2}, weight: 20}, {destination: {host: orders}, weight: 80}]")
	service := httpRoute("backendRefs: [{name: orders-v2, port: 80}, {name: orders, port: 80, weight: 4}]")
	routerPair{"C-50", "a Service for the subset", subset, service, ""}.check(t, stands)
	routerPair{"C-50", "a Service that nobody vouches for", subset, service, "/v2 weight 1; "}.check(t, RouteOptions{})
	routerPair{"C-50", "mirror", vsHTTP("mirror: {host: orders, subset: v2}, " + toOrders), httpRoute("filters: [{type: RequestMirror, requestMirror: {backendRef: {name: orders-v2, port: 80}}}], " + ownRef), ""}.check(t, stands)
	hash := RouteOptions{ConsistentHash: true}
	a, b := vsHTTP("route: [{destination: {host: orders-v2}, weight: 100}, {destination: {host: orders}, weight: 0}]"), httpRoute(v2Ref)
	routerPair{"C-30", "a choice of one", a, b, ""}.check(t, RouteOptions{})
	routerPair{"C-30", "a choice of one with a hash", a, b, "unknown: GET /: DestinationRules hash"}.check(t, hash)
	routerPair{"C-30", "no choice with a hash", vsHTTP(toV2), b, ""}.check(t, hash)
	const five = "\n---\nkind: MeshConfig\nmetadata: {name: mc}\nspec: {defaultHttpRetryPolicy: {attempts: 5}}"
	routerPair{"C-38", "the mesh's retries", vsHTTP("retries: {attempts: 5}, "+toV2) + five, httpRoute(v2Ref) + five, ""}.check(t, RouteOptions{})
	routerPair{"C-38", "the mesh's retries of the default route", vsHTTP("retries: {attempts: 5}, "+toOrders) + five, strings.TrimPrefix(five, "\n---\n"), ""}.check(t, RouteOptions{})
	routerPair{"C-38", "the mesh's retries and a VirtualService's", vsHTTP("retries: {attempts: 2}, "+toOrders) + five, strings.TrimPrefix(five, "\n---\n"), "GET /: "}.check(t, RouteOptions{})
}

// TestRoute asks routers for single requests: the first rule that matches, as a whole.
func TestRoute(t *testing.T) {
	r, why := routerOf(t, vsHTTP("match: [{uri: {regex: '/a|/ab'}}], directResponse: {status: 201}", "match: [{uri: {prefix: /A}, ignoreUriCase: true, headers: {h: {regex: 'x+'}}}], directResponse: {status: 202}",
		"match: [{withoutHeaders: {h: {exact: x}}, uri: {prefix: /b}}], directResponse: {status: 203}", "match: [{withoutHeaders: {h: {}}, uri: {prefix: /c}}], directResponse: {status: 204}",
		"match: [{uri: {prefix: /d}, queryParams: {q: {}}}], directResponse: {status: 205}", "match: [{uri: {prefix: /e}, method: {exact: POST}, scheme: {exact: https}, authority: {prefix: a.}}], directResponse: {status: 206}"), RouteOptions{})
	if why != "" {
		t.Fatal(why)
	}
	h := func(v string) map[string]string { return map[string]string{"h": v} }
	for _, c := range []struct {
		fact string
		req  RouteRequest
		want string
	}{
		{"C-16", RouteRequest{Path: "/ab"}, "answer 201"},
		{"C-16", RouteRequest{Path: "/abc"}, "404"},
		{"C-17", RouteRequest{Path: "/abc", Headers: h("xx")}, "answer 202"},
		{"C-17", RouteRequest{Path: "/ABC", Headers: h("x")}, "answer 202"},
		{"C-18", RouteRequest{Path: "/abc", Headers: h("xy")}, "404"},
		{"C-20", RouteRequest{Path: "/b"}, "answer 203"},
		{"C-20", RouteRequest{Path: "/b", Headers: h("x")}, "404"},
		{"C-20", RouteRequest{Path: "/b", Headers: h("")}, "answer 203"},
		{"C-20", RouteRequest{Path: "/c"}, "answer 204"},
		{"C-20", RouteRequest{Path: "/c", Headers: h("")}, "404"},
		{"C-21", RouteRequest{Path: "/d"}, "404"},
		{"C-21", RouteRequest{Path: "/d", Query: map[string]string{"q": ""}}, "answer 205"},
		{"C-24", RouteRequest{Path: "/e", Method: "POST", Scheme: "https", Authority: "a.example"}, "answer 206"},
		{"C-24", RouteRequest{Path: "/e", Method: "POST", Scheme: "http", Authority: "a.example"}, "404"},
		{"C-22", RouteRequest{Path: "/e", Method: "GET", Scheme: "https", Authority: "a.example"}, "404"},
	} {
		if got := r.Route(c.req).Action.String(); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.fact, c.req, got, c.want)
		}
	}
}

// TestRedirectPorts is C-33: without a port an HTTPRoute keeps that of the call, a VirtualService none.
func TestRedirectPorts(t *testing.T) {
	for _, c := range []struct{ kind, rule, want string }{
		{"VirtualService", "redirect: {authority: a.example}", "redirect 301, host a.example"},
		{"VirtualService", "redirect: {authority: a.example, derivePort: FROM_REQUEST_PORT}", "redirect 301, host a.example, port 8080"},
		{"HTTPRoute", "filters: [{type: RequestRedirect, requestRedirect: {statusCode: 301, hostname: a.example}}]", "redirect 301, host a.example, port 8080"},
		{"HTTPRoute", "filters: [{type: RequestRedirect, requestRedirect: {statusCode: 301, hostname: a.example, scheme: https}}]", "redirect 301, scheme https, host a.example"},
		{"HTTPRoute", "filters: [{type: RequestRedirect, requestRedirect: {statusCode: 301, hostname: a.example, scheme: https, port: 443}}]", "redirect 301, scheme https, host a.example"},
	} {
		text := routerText{kind: c.kind, rules: []ruleText{{"", c.rule}}, port: 8080}
		if got := text.compile(t, RouteOptions{}).Route(RouteRequest{Path: "/"}).Action.String(); got != c.want {
			t.Errorf("C-33 %s: %q, want %q", c.rule, got, c.want)
		}
	}
}

// TestCompareTrafficByRequests: rules that read differently and do the same are no difference; where they do not, the
// differences come with a request.
func TestCompareTrafficByRequests(t *testing.T) {
	ask := func(objects string) Acting { return trafficCase{way: "cart"}.ask(t, trafficState(t, objects)) }
	vs := ask(vsHTTP("match: [{uri: {exact: /a}}], timeout: 1s, "+toV2, toOrders))
	same := ask(httpRoute("matches: [{path: {type: Exact, value: /a}}], timeouts: {request: 1s}, "+v2Ref, ownRef))
	if d := CompareTraffic(vs, same); d != nil {
		t.Errorf("the same: %v", d)
	}
	other := ask(httpRoute("matches: [{path: {type: PathPrefix, value: /a}}], timeouts: {request: 1s}, "+v2Ref, ownRef))
	ds := CompareTraffic(vs, other)
	if len(ds) == 0 || ds[0].Example == nil || !strings.HasPrefix(ds[0].Example.String(), "GET /a/: VirtualService shop/vs spec.http[1] -> orders.shop") {
		t.Errorf("another prefix: %v", ds)
	}
	// What is not known stays a difference without an example.
	odd := ask(vsHTTP("match: [{uri: {exact: /a}, planet: mars}], timeout: 1s, "+toV2, toOrders))
	if ds := CompareTraffic(odd, same); len(ds) == 0 || ds[0].Example != nil {
		t.Errorf("a field that nobody knows: %v", ds)
	}
	// C-50: a version Service, with the policy of the subset.
	policy := "trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}}"
	subset := ask(vsHTTP("route: [{destination: {host: orders, subset: v2}}]") + "\n---\nkind: DestinationRule\nmetadata: {name: dr, namespace: shop}\nspec: {host: orders, subsets: [{name: v2, labels: {version: v2}, " + policy + "}]}")
	service := ask(httpRoute(v2Ref) + "\n---\nkind: DestinationRule\nmetadata: {name: dr, namespace: shop}\nspec: {host: orders-v2, " + policy + "}")
	bare := ask(httpRoute(v2Ref))
	stands := RouteOptions{StandsFor: map[string]RouteTarget{"orders-v2.shop.svc.cluster.local": {"orders.shop.svc.cluster.local", "v2"}}}
	if d := CompareTrafficWith(subset, service, stands); d != nil {
		t.Errorf("a Service for the subset: %v", d)
	}
	if d := CompareTrafficWith(subset, bare, stands); len(d) != 1 || d[0].Feature != "connectionPool" {
		t.Errorf("a Service for the subset without its policy: %v", d)
	}
	// A destination without port has the policy of the one with its only port.
	with := ask(vsHTTP(toV2) + "\n---\nkind: DestinationRule\nmetadata: {name: dr, namespace: shop}\nspec: {host: orders-v2, " + policy + "}")
	if d := CompareTraffic(with, bare); len(d) != 1 || d[0].Feature != "connectionPool" {
		t.Errorf("the same routes without the policy of where they lead: %v", d)
	}
	// Two ports of one destination have policies of their own.
	ports := func(n int) Acting {
		return ask(vsHTTP("route: [{destination: {host: orders}, weight: 1}, {destination: {host: orders, port: {number: 9000}}, weight: 1}]") + fmt.Sprintf("\n---\nkind: DestinationRule\nmetadata: {name: dr, namespace: shop}\nspec: {host: orders, "+policy[:len(policy)-1]+", portLevelSettings: [{port: {number: 9000}, connectionPool: {tcp: {maxConnections: %d}}}]}}", n))
	}
	if d := CompareTraffic(ports(5), ports(6)); len(d) != 1 || d[0].Feature != "connectionPool" {
		t.Errorf("another policy of one of two ports: %v", d)
	}
	if d := CompareTraffic(subset, service); len(d) == 0 {
		t.Error("a Service that nobody vouches for is no difference")
	}
}

// BenchmarkCompareRouters: a large VirtualService and the same one written otherwise.
func BenchmarkCompareRouters(b *testing.B) {
	for _, c := range []struct {
		name, a, b string
		n          int
	}{
		{"1000-paths", "uri: {exact: /api/v%d/x}", "uri: {exact: /api/v%d/x}", 1000},
		{"1000-prefixes-and-headers", "uri: {prefix: /api/v%d/}, headers: {h: {exact: v}}", "uri: {prefix: /api/v%d/}, headers: {h: {regex: v}}", 1000},
		{"30-expressions", "uri: {regex: '/api/v%d/.*'}", "uri: {prefix: /api/v%d/}", 30},
		{"12-expressions-that-overlap", "uri: {regex: '.*/v%d/.*'}", "uri: {regex: '/.*/v%d/.*|/v%[1]d/.*'}", 12},
		{"200-headers", "headers: {h%d: {exact: v}}", "headers: {h%d: {regex: v}}", 200},
	} {
		one, other := routerText{kind: "VirtualService"}, routerText{kind: "VirtualService"}
		for i := range c.n {
			one.rules = append(one.rules, ruleText{strings.TrimSpace(fmt.Sprintf(c.a, i)), toV2})
			other.rules = append(other.rules, ruleText{strings.TrimSpace(fmt.Sprintf(c.b, i)), toV2})
		}
		x, y := one.compile(b, RouteOptions{}), other.compile(b, RouteOptions{})
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if d, unknown := CompareRouters(x, y, RouteOptions{}); d != nil || unknown != "" {
					b.Log(d, unknown)
				}
			}
		})
	}
}
