package convert_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ambientplan/ambientplan/planner/convert"
)

// lines are the rules of the HTTPRoutes of a result, one line for each match in istiod's order of writing:
// "reviews: Exact /a GET x=1 ?q=~2 -> reviews:80".
func lines(r convert.HostResult) []string {
	var out []string
	for _, o := range kind(r, "HTTPRoute") {
		spec := o["spec"].(map[string]any)
		name := o["metadata"].(map[string]any)["name"]
		if p, ok := spec["parentRefs"].([]any)[0].(map[string]any)["port"]; ok {
			name = fmt.Sprintf("port %v", p)
		}
		for _, raw := range spec["rules"].([]any) {
			rule := raw.(map[string]any)
			does := action(rule)
			for _, m := range rule["matches"].([]any) {
				out = append(out, fmt.Sprintf("%v: %s -> %s", name, match(m.(map[string]any)), does))
			}
		}
	}
	return out
}

func match(m map[string]any) string {
	p := m["path"].(map[string]any)
	s := fmt.Sprintf("%v %v", p["type"], p["value"])
	if v, ok := m["method"]; ok {
		s += fmt.Sprintf(" %v", v)
	}
	for _, list := range []struct{ key, mark string }{{"headers", ""}, {"queryParams", "?"}} {
		hs, _ := m[list.key].([]any)
		for _, raw := range hs {
			h := raw.(map[string]any)
			eq := "="
			if h["type"] == "RegularExpression" {
				eq = "=~"
			}
			s += fmt.Sprintf(" %s%v%s%v", list.mark, h["name"], eq, h["value"])
		}
	}
	return s
}

func action(rule map[string]any) string {
	var parts []string
	bs, _ := rule["backendRefs"].([]any)
	for _, raw := range bs {
		b := raw.(map[string]any)
		s := fmt.Sprintf("%v:%v", b["name"], b["port"])
		if ns, ok := b["namespace"]; ok {
			s = fmt.Sprintf("%v/%s", ns, s)
		}
		if w, ok := b["weight"]; ok {
			s += fmt.Sprintf("*%v", w)
		}
		if f, ok := b["filters"]; ok {
			s += fmt.Sprintf("%v", f)
		}
		parts = append(parts, s)
	}
	for _, k := range []string{"filters", "timeouts", "retry"} {
		if v, ok := rule[k]; ok {
			parts = append(parts, strings.ReplaceAll(fmt.Sprint(v), "map[", "["))
		}
	}
	return strings.Join(parts, " ")
}

// TestRules are the fields of a rule, each by itself, converted or refused with its fact.
func TestRules(t *testing.T) {
	const to = `, route: [{destination: {host: reviews}}]`
	tests := []struct {
		name, rule string
		want       []string // lines, or facts of a refusal
	}{
		{"everything", `{route: [{destination: {host: reviews}}]}`, []string{"reviews: PathPrefix / -> reviews:80"}},
		{"exact path", `{match: [{uri: {exact: /a}}]` + to + `}`, []string{"reviews: Exact /a -> reviews:80"}},
		{"exact path that the API refuses", `{match: [{uri: {exact: /a//b}}]` + to + `}`, []string{"reviews: RegularExpression /a//b -> reviews:80"}},
		{"exact path with dots", `{match: [{uri: {exact: "/a/../b.c"}}]` + to + `}`, []string{`reviews: RegularExpression /a/\.\./b\.c -> reviews:80`}},
		{"prefix is of characters, not of segments", `{match: [{uri: {prefix: /a}}]` + to + `}`, []string{"reviews: RegularExpression /a.* -> reviews:80"}},
		{"prefix with slash does not take the path without", `{match: [{uri: {prefix: /a/}}]` + to + `}`, []string{"reviews: RegularExpression /a/.* -> reviews:80"}},
		{"prefix of everything", `{match: [{uri: {prefix: /}}]` + to + `}`, []string{"reviews: PathPrefix / -> reviews:80"}},
		{"empty prefix", `{match: [{uri: {prefix: ""}}]` + to + `}`, []string{"reviews: RegularExpression .* -> reviews:80"}},
		{"regular expression", `{match: [{uri: {regex: "/a|/b"}}]` + to + `}`, []string{"reviews: RegularExpression /a|/b -> reviews:80"}},
		{"without case", `{match: [{uri: {prefix: /aB1}, ignoreUriCase: true}]` + to + `}`, []string{"reviews: RegularExpression /[aA][bB]1.* -> reviews:80"}},
		{"headers", `{match: [{headers: {x: {exact: "1"}, y: {prefix: a.}, z: {}}}]` + to + `}`, []string{`reviews: PathPrefix / x=1 y=~a\..* z=~.* -> reviews:80`}},
		{"empty value of a header", `{match: [{headers: {x: {exact: ""}}}]` + to + `}`, []string{"reviews: PathPrefix / x=~^$ -> reviews:80"}},
		{"query", `{match: [{queryParams: {q: {exact: "1"}, r: {regex: "a|b"}}}]` + to + `}`, []string{"reviews: PathPrefix / ?q=1 ?r=~a|b -> reviews:80"}},
		{"method", `{match: [{method: {exact: GET}}]` + to + `}`, []string{"reviews: PathPrefix / GET -> reviews:80"}},
		{"list of methods", `{match: [{method: {regex: "P(OST|UT)"}}]` + to + `}`, []string{"reviews: PathPrefix / POST -> reviews:80", "reviews: PathPrefix / PUT -> reviews:80"}},
		{"unknown method", `{match: [{method: {exact: PURGE}}]` + to + `}`, []string{"C-22 spec.http[0].match[0].method"}},
		{"methods without end", `{match: [{method: {regex: "P.*"}}]` + to + `}`, []string{"C-22 spec.http[0].match[0].method"}},
		{"authority", `{match: [{authority: {exact: a}}]` + to + `}`, []string{"C-24 spec.http[0].match[0].authority"}},
		{"scheme", `{match: [{scheme: {exact: https}}]` + to + `}`, []string{"C-24 spec.http[0].match[0].scheme"}},
		{"without headers", `{match: [{withoutHeaders: {x: {}}}]` + to + `}`, []string{"C-20 spec.http[0].match[0].withoutHeaders"}},
		{"pseudo header", `{match: [{headers: {":path": {exact: /}}}]` + to + `}`, []string{"C-24 spec.http[0].match[0].headers.:path"}},
		{"labels of the caller", `{match: [{sourceLabels: {a: b}}]` + to + `}`, []string{"C-25 spec.http[0].match[0].sourceLabels"}},
		{"namespace of the caller", `{match: [{sourceNamespace: a}]` + to + `}`, []string{"C-26 spec.http[0].match[0].sourceNamespace"}},
		{"broken expression", `{match: [{uri: {regex: "("}}]` + to + `}`, []string{"C-16 spec.http[0].match[0].uri"}},
		{"expression that is whole in parentheses only", `{match: [{uri: {regex: "a)|(b"}}]` + to + `}`, []string{"C-16 spec.http[0].match[0].uri"}},
		{"empty prefix of a header", `{match: [{headers: {x: {prefix: ""}}}]` + to + `}`, []string{"C-19 spec.http[0].match[0].headers.x"}},
		{"gateways only", `{match: [{gateways: [ingress], uri: {exact: /a}}, {uri: {exact: /b}}]` + to + `}`, []string{"reviews: Exact /b -> reviews:80"}},

		{"subsets", `{route: [{destination: {host: reviews, subset: v1}, weight: 90}, {destination: {host: reviews, subset: v2}, weight: 10}]}`,
			[]string{"reviews: PathPrefix / -> reviews-v1:80*90 reviews-v2:80*10"}},
		{"weight of the only one", `{route: [{destination: {host: reviews}, weight: 0}]}`, []string{"reviews: PathPrefix / -> reviews:80"}},
		{"another namespace", `{route: [{destination: {host: far.web.svc.cluster.local}}]}`, []string{"reviews: PathPrefix / -> web/far:80"}},
		{"a ServiceEntry", `{route: [{destination: {host: api.example.com}}]}`, []string{"reviews: PathPrefix / -> api.example.com:80"}},
		{"no such host", `{route: [{destination: {host: nobody}}]}`, []string{"C-28 spec.http[0].route[0].destination.host"}},
		{"name and namespace are no host", `{route: [{destination: {host: far.web}}]}`, []string{"C-28 spec.http[0].route[0].destination.host"}},
		{"no such port", `{route: [{destination: {host: reviews, port: {number: 81}}}]}`, []string{"C-28 spec.http[0].route[0].destination.port"}},
		{"no such subset", `{route: [{destination: {host: reviews, subset: v9}}]}`, []string{"C-29 spec.http[0].route[0].destination.subset"}},
		{"weights of zero", `{route: [{destination: {host: reviews}}, {destination: {host: ratings}}]}`, []string{"C-30 spec.http[0].route"}},
		{"negative weight", `{route: [{destination: {host: reviews}, weight: -1}, {destination: {host: ratings}, weight: 101}]}`, []string{"C-30 spec.http[0].route[0].weight"}},
		{"no action", `{match: [{uri: {exact: /a}}]}`, []string{"C-28 spec.http[0]"}},

		{"headers of the rule", `{headers: {request: {set: {a: b}, add: {c: d}, remove: [e]}, response: {remove: [f]}}` + to + `}`,
			[]string{"reviews: PathPrefix / -> reviews:80 [[requestHeaderModifier:[add:[[name:c value:d]] remove:[e] set:[[name:a value:b]]] type:RequestHeaderModifier] [responseHeaderModifier:[remove:[f]] type:ResponseHeaderModifier]]"}},
		{"empty value to set", `{headers: {request: {set: {a: ""}}}` + to + `}`, []string{"C-32 spec.http[0].headers.request.set.a"}},
		{"timeout", `{timeout: 1500ms` + to + `}`, []string{"reviews: PathPrefix / -> reviews:80 [request:1s500ms]"}},
		{"no timeout", `{timeout: 0s` + to + `}`, []string{"reviews: PathPrefix / -> reviews:80 [request:0s]"}},
		{"time in fractions of milliseconds", `{timeout: 0.0005s` + to + `}`, []string{"C-37 spec.http[0].timeout"}},
		{"retries by default", `{retries: {attempts: 3, perTryTimeout: 2s}` + to + `}`, []string{"C-40 spec.http[0].retries.retryOn"}},
		{"retries with a time for each", `{retries: {attempts: 3, perTryTimeout: 2s, retryOn: "unavailable,cancelled,connect-failure,refused-stream"}` + to + `}`,
			[]string{"reviews: PathPrefix / -> reviews:80 [backendRequest:2s] [attempts:3]"}},
		{"retries on what routes retry on", `{retries: {attempts: 3, retryOn: "503,unavailable,cancelled,connect-failure,refused-stream"}` + to + `}`,
			[]string{"reviews: PathPrefix / -> reviews:80 [attempts:3 codes:[503]]"}},
		{"retries on 5xx", `{retries: {attempts: 3, retryOn: 5xx}` + to + `}`, []string{"C-40 spec.http[0].retries.retryOn"}},
		{"retries on codes alone", `{retries: {attempts: 3, retryOn: "503"}` + to + `}`, []string{"C-40 spec.http[0].retries.retryOn"}},
		{"no retries", `{retries: {attempts: 0}` + to + `}`, []string{"C-38 spec.http[0].retries.attempts"}},
		{"other localities", `{retries: {attempts: 1, retryRemoteLocalities: true, retryOn: "unavailable,cancelled,connect-failure,refused-stream"}` + to + `}`, []string{"C-41 spec.http[0].retries.retryRemoteLocalities"}},
		{"mirror", `{mirror: {host: ratings}, mirrorPercentage: {value: 0.5}` + to + `}`,
			[]string{"reviews: PathPrefix / -> reviews:80 [[requestMirror:[backendRef:[name:ratings port:80] fraction:[denominator:1000000 numerator:5000]] type:RequestMirror]]"}},
		{"mirror of nothing", `{mirror: {host: ratings}, mirrorPercentage: {value: 0}` + to + `}`, []string{"reviews: PathPrefix / -> reviews:80"}},
		{"mirror to nobody", `{mirror: {host: nobody}` + to + `}`, []string{"C-28 spec.http[0].mirror.host"}},
		{"fault", `{fault: {abort: {httpStatus: 500, percentage: {value: 1}}}` + to + `}`, []string{"C-44 spec.http[0].fault"}},
		{"direct response", `{directResponse: {status: 503}}`, []string{"C-45 spec.http[0].directResponse"}},
		{"cors", `{corsPolicy: {allowOrigins: [{exact: "https://a.example.com"}], allowMethods: [GET], maxAge: 5s, unmatchedPreflights: IGNORE}` + to + `}`,
			[]string{"reviews: PathPrefix / -> reviews:80 [[cors:[allowMethods:[GET] allowOrigins:[https://a.example.com] maxAge:5] type:CORS]]"}},
		{"cors that forwards", `{corsPolicy: {allowOrigins: [{exact: "https://a.example.com"}], maxAge: 5s}` + to + `}`, []string{"C-43 spec.http[0].corsPolicy.unmatchedPreflights"}},
		{"cors by expression", `{corsPolicy: {allowOrigins: [{regex: ".*"}], maxAge: 5s, unmatchedPreflights: IGNORE}` + to + `}`, []string{"C-43 spec.http[0].corsPolicy.allowOrigins[0]"}},

		{"redirect", `{redirect: {authority: a.example.com, uri: /x}}`,
			[]string{"reviews: PathPrefix / -> [[requestRedirect:[hostname:a.example.com path:[replaceFullPath:/x type:ReplaceFullPath] statusCode:301] type:RequestRedirect]]"}},
		{"redirect that Envoy does not know", `{redirect: {uri: /x, redirectCode: 304}}`, []string{"C-33 spec.http[0].redirect.redirectCode"}},
		{"redirect to a host with a port", `{redirect: {authority: "a.example.com:81"}}`, []string{"C-33 spec.http[0].redirect.authority"}},
		{"rewrite of the authority", `{rewrite: {authority: a.example.com}` + to + `}`, []string{"reviews: PathPrefix / -> reviews:80 [[type:URLRewrite urlRewrite:[hostname:a.example.com]]]"}},
		{"rewrite of an exact path", `{match: [{uri: {exact: /a}}], rewrite: {uri: /b}` + to + `}`,
			[]string{"reviews: Exact /a -> reviews:80 [[type:URLRewrite urlRewrite:[path:[replaceFullPath:/b type:ReplaceFullPath]]]]"}},
		{"rewrite with a backslash", `{match: [{uri: {exact: /a}}], rewrite: {uri: '/b\1'}` + to + `}`, []string{"C-34 spec.http[0].rewrite.uri"}},
		{"rewrite of every path", `{rewrite: {uri: /b}` + to + `}`, []string{"reviews: PathPrefix / -> reviews:80 [[type:URLRewrite urlRewrite:[path:[replacePrefixMatch:/b type:ReplacePrefixMatch]]]]"}},
		{"rewrite of every path to a folder", `{rewrite: {uri: /b/}` + to + `}`, []string{"C-34 spec.http[0].rewrite.uri"}},
		{"rewrite of a prefix within a segment", `{match: [{uri: {prefix: /a}}], rewrite: {uri: /b}` + to + `}`, []string{"C-34 spec.http[0].rewrite.uri"}},
		{"rewrite of a folder whose own path would be 404", `{match: [{uri: {prefix: /a/}}], rewrite: {uri: /}` + to + `}`, []string{"C-34 spec.http[0].rewrite.uri"}},
		{"rewrite by expression", `{rewrite: {uriRegexRewrite: {match: "a", rewrite: "b"}}` + to + `}`, []string{"C-35 spec.http[0].rewrite.uriRegexRewrite"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := host(t, newest(), virtualService("reviews", "  http: ["+tt.rule+"]\n"))
			got := lines(r)
			if r.Class != convert.Converted {
				got = facts(r.Why)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s: -want +got\n%s\n%+v", r.Class, diff, r.Why)
			}
		})
	}
}

// TestOrder are rules whose written order is not the order of routes.
func TestOrder(t *testing.T) {
	const a, b, c = `route: [{destination: {host: reviews}}]`, `route: [{destination: {host: ratings}}]`, `timeout: 1s, route: [{destination: {host: reviews}}]`
	tests := []struct {
		name, rules string
		want        []string
	}{
		{"as routes sort anyway", `{match: [{uri: {exact: /a}}], ` + a + `}, {` + b + `}`,
			[]string{"Exact /a -> reviews:80", "PathPrefix / -> ratings:80"}},
		{"prefix before everything: everything must rank lower", `{match: [{uri: {prefix: /a}}], ` + a + `}, {` + b + `}`,
			[]string{"RegularExpression /a.* -> reviews:80", "RegularExpression /.* -> ratings:80"}},
		{"short prefix before everything: it must be longer", `{match: [{uri: {regex: "/"}}], ` + a + `}, {` + b + `}`,
			[]string{"RegularExpression ^^^/ -> reviews:80", "RegularExpression /.* -> ratings:80"}},
		{"header before path", `{match: [{headers: {x: {exact: "1"}}}], ` + a + `}, {match: [{uri: {exact: /a}}], ` + b + `}, {` + c + `}`,
			[]string{"PathPrefix / x=1 -> reviews:80", "RegularExpression ^^/a -> ratings:80", "RegularExpression /.* -> reviews:80 [request:1s]"}},
		{"apart by a header", `{match: [{headers: {x: {exact: "1"}}}], ` + a + `}, {match: [{headers: {x: {exact: "2"}}, uri: {exact: /a}}], ` + b + `}`,
			[]string{"PathPrefix / x=1 -> reviews:80", "Exact /a x=2 -> ratings:80"}},
		{"never reached", `{match: [{uri: {prefix: /a}}], ` + a + `}, {match: [{uri: {exact: /a/b}}], ` + b + `}`,
			[]string{"RegularExpression /a.* -> reviews:80"}},
		{"one header before two", `{match: [{uri: {exact: /a}, headers: {x: {exact: "1"}}}], ` + a + `}, {match: [{uri: {exact: /a}, headers: {y: {exact: "1"}, z: {exact: "1"}}}], ` + b + `}`,
			[]string{"Exact /a x=1 -> reviews:80", "RegularExpression /a y=1 z=1 -> ratings:80"}},
		{"folder with its own path", `{match: [{uri: {prefix: /a/}}], rewrite: {uri: /}, ` + a + `}, {` + b + `}`,
			[]string{"PathPrefix /a -> reviews:80 [[type:URLRewrite urlRewrite:[path:[replacePrefixMatch:/ type:ReplacePrefixMatch]]]]", "Exact /a -> ratings:80", "PathPrefix / -> ratings:80"}},
		{"prefix to rewrite after one that must be an expression", `{match: [{uri: {prefix: /b}, headers: {x: {}}}], ` + b + `}, {rewrite: {uri: /x}, ` + a + `}`,
			[]string{"C-02 spec.http[1]"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := host(t, newest(), virtualService("reviews", "  http: ["+tt.rules+"]\n"))
			var got []string
			for _, l := range lines(r) {
				got = append(got, strings.TrimPrefix(l, "reviews: "))
			}
			if r.Class != convert.Converted {
				got = facts(r.Why)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s: -want +got\n%s\n%+v", r.Class, diff, r.Why)
			}
		})
	}
}

// TestPorts: rules for one port, and destinations whose port is that of the request.
func TestPorts(t *testing.T) {
	tests := []struct {
		name, rules string
		want        []string
	}{
		{"the same for both", `{route: [{destination: {host: reviews}}]}`, []string{"two: PathPrefix / -> reviews:80"}},
		{"the port of the request", `{route: [{destination: {host: two}}]}`, []string{"port 8080: PathPrefix / -> two:8080", "port 80: PathPrefix / -> two:80"}},
		{"one port only", `{match: [{port: 8080}], route: [{destination: {host: reviews}}]}`, []string{"port 8080: PathPrefix / -> reviews:80"}},
		{"no HTTP on the port", `{match: [{port: 9000}, {port: 80}], route: [{destination: {host: reviews}}]}`, []string{"port 80: PathPrefix / -> reviews:80"}},
		{"redirect to the port of the request", `{redirect: {scheme: https, derivePort: FROM_REQUEST_PORT}}`, []string{
			"port 8080: PathPrefix / -> [[requestRedirect:[port:8080 scheme:https statusCode:301] type:RequestRedirect]]",
			"port 80: PathPrefix / -> [[requestRedirect:[port:80 scheme:https statusCode:301] type:RequestRedirect]]"}},
		{"redirect without a port", `{redirect: {uri: /x}}`, []string{"C-33 spec.http[0].redirect"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := host(t, newest(), virtualService("two", "  http: ["+tt.rules+"]\n"))
			got := lines(r)
			if r.Class != convert.Converted {
				got = facts(r.Why)
			}
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s: -want +got\n%s\n%+v", r.Class, diff, r.Why)
			}
		})
	}
}

// TestVersions: the Service of a subset, and the settings that it keeps (facts C-50, C-51).
func TestVersions(t *testing.T) {
	r := host(t, newest(), virtualService("reviews", "  http: [{route: [{destination: {host: reviews, subset: v2}}]}]\n"))
	want := strings.TrimLeft(`
- apiVersion: v1
  kind: Service
  metadata:
    annotations:
      ambientplan.dev/copy-of: shop/reviews
    labels:
      app.kubernetes.io/managed-by: ambientplan
    name: reviews-v2
    namespace: shop
  spec:
    ports:
    - name: http
      port: 80
      protocol: TCP
      targetPort: 9080
    selector:
      app: reviews
      version: v2
`, "\n")
	if diff := cmp.Diff(want, asYAML(t, kind(r, "Service"))); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	want = strings.TrimLeft(`
- apiVersion: networking.istio.io/v1
  kind: DestinationRule
  metadata:
    annotations:
      ambientplan.dev/copy-of: shop/reviews
    labels:
      app.kubernetes.io/managed-by: ambientplan
    name: reviews-v2
    namespace: shop
  spec:
    host: reviews-v2.shop.svc.cluster.local
    trafficPolicy:
      connectionPool:
        http:
          http2MaxRequests: 10
      loadBalancer:
        simple: LEAST_REQUEST
`, "\n")
	if diff := cmp.Diff(want, asYAML(t, kind(r, "DestinationRule"))); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestL4: TCP and TLS rules, by port, in the version that istiod reads (facts C-47, L-35, P-05).
func TestL4(t *testing.T) {
	const tcp, tls = `tcp: [{match: [{port: 5432}], route: [{destination: {host: db}, weight: 1}, {destination: {host: two, port: {number: 9000}}, weight: 3}]}]`,
		`tls: [{match: [{sniHosts: [secure.shop.svc.cluster.local]}], route: [{destination: {host: secure}}]}]`
	old := newest()
	old.Istio = convert.Version{Major: 1, Minor: 29}
	tests := []struct {
		name, host, spec string
		cluster          convert.Cluster
		want             []string
	}{
		{"tcp", "db", tcp, newest(), []string{"gateway.networking.k8s.io/v1 TCPRoute"}},
		{"tcp of an old istiod", "db", tcp, old, []string{"gateway.networking.k8s.io/v1alpha2 TCPRoute"}},
		{"tcp of an unknown cluster", "db", tcp, convert.Cluster{}, []string{"P-05 spec.tcp[0]"}},
		{"tls", "secure", tls, newest(), []string{"gateway.networking.k8s.io/v1 TLSRoute"}},
		{"tls that istiod would ignore", "secure", tls, old, []string{"P-05 spec.tls[0]"}},
		{"tls of another name", "secure", `tls: [{match: [{sniHosts: [secure]}], route: [{destination: {host: secure}}]}]`, newest(), []string{"gateway.networking.k8s.io/v1 TLSRoute"}},
		{"tls by several names", "secure", `tls: [{match: [{sniHosts: [a.example.com, b.example.com]}], route: [{destination: {host: secure}}]}]`, newest(), []string{"L-35 spec.tls[0].match[0].sniHosts"}},
		{"subnets", "db", `tcp: [{match: [{destinationSubnets: [10.0.0.0/8]}], route: [{destination: {host: db}}]}]`, newest(), []string{"C-47 spec.tcp[0].match[0].destinationSubnets"}},
		{"callers", "db", `tcp: [{match: [{sourceLabels: {a: b}}], route: [{destination: {host: db}}]}]`, newest(), []string{"C-25 spec.tcp[0].match[0].sourceLabels"}},
		{"http rules on a TCP port", "db", `http: [{route: [{destination: {host: db}}]}]`, newest(), []string{"C-23 spec.http[0]"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := host(t, tt.cluster, virtualService(tt.host, "  "+tt.spec+"\n"))
			var got []string
			for _, o := range r.Objects {
				got = append(got, fmt.Sprintf("%v %v", o["apiVersion"], o["kind"]))
			}
			if r.Class != convert.Converted {
				got = facts(r.Why)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s: -want +got\n%s\n%+v", r.Class, diff, r.Why)
			}
		})
	}
}

// TestGRPC: a GRPCRoute where it says the same, else an HTTPRoute (facts C-48).
func TestGRPC(t *testing.T) {
	const to = `, route: [{destination: {host: calls}}]}`
	for rules, want := range map[string]string{
		`{match: [{uri: {exact: /pkg.Svc/Do}}]` + to + `, {route: [{destination: {host: calls}}]}`: "GRPCRoute",
		`{match: [{uri: {prefix: /pkg.Svc/}}]` + to:                                                "HTTPRoute",
		`{match: [{uri: {exact: /pkg.Svc/Do}}], timeout: 1s` + to:                                  "HTTPRoute",
		`{match: [{headers: {x: {regex: a}}}]` + to:                                                "GRPCRoute",
	} {
		r := host(t, newest(), virtualService("calls", "  http: ["+rules+"]\n"))
		if len(r.Objects) != 1 || r.Objects[0]["kind"] != want {
			t.Errorf("%s: want one %s, got %s", rules, want, asYAML(t, r))
		}
	}
}

// TestVersionsOfDefinitions: fields that the installed definitions do not have are not used, since an API server would
// drop them without a word; what is not known to be installed is not there (facts P-05, P-06).
func TestVersionsOfDefinitions(t *testing.T) {
	at := func(minor int, experimental bool) convert.Cluster {
		d := &convert.Definition{Bundle: convert.Version{Major: 1, Minor: minor}, Experimental: experimental}
		return convert.Cluster{Istio: convert.Version{Major: 1, Minor: 31}, HTTPRoute: d, GRPCRoute: d}
	}
	const to = `route: [{destination: {host: reviews}}]`
	tests := []struct {
		name, host, rule     string
		standard, experiment int // the first minor version of 1 that has it; 99 for none
	}{
		{"plain", "reviews", `{` + to + `}`, 0, 0},
		{"timeout", "reviews", `{timeout: 1s, ` + to + `}`, 2, 0},
		{"one port", "two", `{match: [{port: 80}], ` + to + `}`, 1, 0},
		{"share of a mirror", "reviews", `{mirror: {host: ratings}, mirrorPercentage: {value: 1}, ` + to + `}`, 3, 2},
		{"cors", "reviews", `{corsPolicy: {allowOrigins: [{exact: "https://a.example.com"}], maxAge: 5s, unmatchedPreflights: IGNORE}, ` + to + `}`, 5, 3},
		{"redirect with code 308", "reviews", `{redirect: {uri: /x, redirectCode: 308}}`, 5, 5},
		{"retries", "reviews", `{retries: {attempts: 1, retryOn: "unavailable,cancelled,connect-failure,refused-stream"}, ` + to + `}`, 7, 2},
	}
	for _, tt := range tests {
		for minor := range 8 {
			for _, experimental := range []bool{false, true} {
				from := tt.standard
				if experimental {
					from = min(from, tt.experiment)
				}
				r := host(t, at(minor, experimental), virtualService(tt.host, "  http: ["+tt.rule+"]\n"))
				if got := r.Class == convert.Converted; got != (minor >= from) {
					t.Errorf("%s with 1.%d, experimental %v: %s %+v", tt.name, minor, experimental, r.Class, r.Why)
				}
			}
		}
		if r := host(t, convert.Cluster{}, virtualService(tt.host, "  http: ["+tt.rule+"]\n")); (r.Class == convert.Converted) != (tt.name == "plain") {
			t.Errorf("%s without knowing anything: %s %+v", tt.name, r.Class, r.Why)
		}
	}
}
