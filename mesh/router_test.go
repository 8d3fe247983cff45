package mesh

import (
	"strings"
	"testing"
)

// routerOf is the router of what acts on calls of service orders by a sidecar in the same namespace.
func routerOf(t testing.TB, objects string, opts RouteOptions) (*Router, string) {
	t.Helper()
	s := trafficState(t, objects)
	a := trafficCase{way: "cart"}.ask(t, s)
	if a.Unknown != "" {
		return nil, a.Unknown
	}
	return CompileRoutes(ofProtocol(a.Routes, "http"), a.Call, opts)
}

// vsHTTP is a VirtualService of service orders with HTTP rules.
func vsHTTP(rules string) string {
	return "kind: VirtualService\nmetadata: {name: vs, namespace: shop}\nspec: {hosts: [orders], http: [" + rules + "]}"
}

// httpRoute is an HTTPRoute of service orders.
func httpRoute(rules string) string {
	return "kind: HTTPRoute\nmetadata: {name: r, namespace: shop}\nspec: {parentRefs: [{group: \"\", kind: Service, name: orders}], rules: [" + rules + "]}"
}

const (
	toOrders = "route: [{destination: {host: orders}}]"
	toV2     = "route: [{destination: {host: orders-v2}}]"
	ownRef   = "backendRefs: [{name: orders, port: 80}]"
	v2Ref    = "backendRefs: [{name: orders-v2, port: 80}]"
)

// TestRoutersCompared is C-10 to C-48: a rule of a VirtualService and of a Gateway API route, and whether they do the same.
// want is "" when they do, else part of the difference or, after "unknown", of the reason.
func TestRoutersCompared(t *testing.T) {
	for _, c := range []struct{ fact, name, a, b, want string }{
		{"C-10", "plain", vsHTTP("{" + toV2 + "}"), httpRoute("{" + v2Ref + "}"), ""},
		{"C-10", "other destination", vsHTTP("{" + toV2 + "}"), httpRoute("{" + ownRef + "}"), "GET /: VirtualService shop/vs spec.http[0] -> orders-v2.shop.svc.cluster.local:80; HTTPRoute shop/r spec.rules[0] -> orders.shop.svc.cluster.local:80"},
		{"C-14", "exact", vsHTTP("{match: [{uri: {exact: /a}}], " + toV2 + "}, {" + toOrders + "}"), httpRoute("{matches: [{path: {type: Exact, value: /a}}], " + v2Ref + "}, {" + ownRef + "}"), ""},
		{"C-15", "prefix is not of segments", vsHTTP("{match: [{uri: {prefix: /a}}], " + toV2 + "}, {" + toOrders + "}"), httpRoute("{matches: [{path: {type: PathPrefix, value: /a}}], " + v2Ref + "}, {" + ownRef + "}"), "GET /ax: VirtualService shop/vs spec.http[0].match[0] -> orders-v2.shop.svc.cluster.local:80; HTTPRoute shop/r spec.rules[1] -> orders.shop.svc.cluster.local:80"},
		{"C-15", "prefix as an expression", vsHTTP("{match: [{uri: {prefix: /a}}], " + toV2 + "}, {" + toOrders + "}"), httpRoute("{matches: [{path: {type: RegularExpression, value: \"/a.*\"}}], " + v2Ref + "}, {matches: [{path: {type: RegularExpression, value: \"/.*\"}}], " + ownRef + "}"), ""},
		{"C-15", "exact and prefix with a slash are segments", vsHTTP("{match: [{uri: {exact: /a}}, {uri: {prefix: /a/}}], " + toV2 + "}, {" + toOrders + "}"), httpRoute("{matches: [{path: {type: PathPrefix, value: /a}}], " + v2Ref + "}, {" + ownRef + "}"), ""},
	} {
		a, why := routerOf(t, c.a, RouteOptions{})
		if why != "" {
			t.Fatalf("%s %s: %s", c.fact, c.name, why)
		}
		b, why := routerOf(t, c.b, RouteOptions{})
		if why != "" {
			t.Fatalf("%s %s: %s", c.fact, c.name, why)
		}
		d, unknown := CompareRouters(a, b, RouteOptions{})
		got := ""
		if unknown != "" {
			got = "unknown: " + unknown
		}
		if d != nil {
			got = d.String()
		}
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s %s: %q, want %q", c.fact, c.name, got, c.want)
		}
		// The other way round is the same answer.
		e, other := CompareRouters(b, a, RouteOptions{})
		if (e == nil) != (d == nil) || (other == "") != (unknown == "") {
			t.Errorf("%s %s: the other way round %v, %q", c.fact, c.name, e, other)
		}
	}
}
