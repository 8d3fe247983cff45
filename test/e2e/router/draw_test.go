package router

import (
	"fmt"
	"math/rand"
	"strings"
)

// pick draws one of a list.
func pick(r *rand.Rand, list ...string) string { return list[r.Intn(len(list))] }

// some draws some of a list, joined by commas.
func some(r *rand.Rand, chance float64, list ...string) string {
	var out []string
	for _, s := range list {
		if s != "" && r.Float64() < chance {
			out = append(out, s)
		}
	}
	return strings.Join(out, ", ")
}

// drawObject makes the VirtualService, HTTPRoute or GRPCRoute of service svcN.
func drawObject(r *rand.Rand, n int) string {
	name := fmt.Sprintf("svc%d", n)
	switch r.Intn(6) {
	case 0, 1, 2:
		var rules []string
		for range 1 + r.Intn(4) {
			rules = append(rules, drawRule(r, name))
		}
		return "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " + name + ", namespace: shop}\nspec: {hosts: [" + name + "], http: [" + strings.Join(rules, ", ") + "]}"
	case 3:
		return drawGRPC(r, name)
	}
	var rules []string
	for range 1 + r.Intn(4) {
		rules = append(rules, drawGatewayRule(r, name))
	}
	return "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: " + name + ", namespace: shop}\nspec: {parentRefs: [{group: \"\", kind: Service, name: " + name + pick(r, "", "", ", port: 80") + "}], rules: [" + strings.Join(rules, ", ") + "]}"
}

func stringMatch(r *rand.Rand, values ...string) string {
	return pick(r, "{exact: "+pick(r, values...)+"}", "{prefix: "+pick(r, values...)+"}", "{regex: '"+pick(r, "v.*", "[a-c]+", "a|b", ".+")+"'}")
}

func drawMatch(r *rand.Rand) string {
	uri := pick(r, "", "uri: {exact: /a}", "uri: {exact: /a/b}", "uri: {prefix: /}", "uri: {prefix: /a}", "uri: {prefix: /a/}", "uri: {prefix: /A}", "uri: {prefix: /a/b}", "uri: {regex: '/[a-c]/.*'}", "uri: {regex: '/a(/.*)?'}", "uri: {regex: '.*'}", "uri: {exact: /A/b}")
	list := []string{
		pick(r, "", "", "", "ignoreUriCase: true"),
		pick(r, "", "", "method: {exact: GET}", "method: {regex: 'GET|POST'}", "method: {prefix: P}"),
		pick(r, "", "", "", "authority: "+stringMatch(r, "a.example", "svc0")),
		pick(r, "", "", "", "scheme: {exact: https}"),
		pick(r, "", "", "headers: {x-a: "+stringMatch(r, "v1", "v2")+"}", "headers: {x-a: {}, X-B: "+stringMatch(r, "v1", "a")+"}", "headers: {':method': {exact: GET}}", "headers: {host: {exact: a.example}}"),
		pick(r, "", "", "", "withoutHeaders: {x-a: "+stringMatch(r, "v1", "v2")+"}", "withoutHeaders: {x-b: {}}", "withoutHeaders: {x-b: {exact: ''}}"),
		pick(r, "", "", "queryParams: {q: "+stringMatch(r, "v1", "a")+"}", "queryParams: {q: {}}"),
		pick(r, "", "", "", "port: 80", "port: 81"),
	}
	if uri != "" {
		list = append(list, uri)
	}
	var out []string
	for _, s := range list {
		if s != "" && (s == uri || r.Intn(2) == 0) {
			out = append(out, s)
		}
	}
	return "{" + strings.Join(out, ", ") + "}"
}

func drawDestination(r *rand.Rand, name string) string {
	return "{host: " + pick(r, name, name, name+".shop.svc.cluster.local", "other", "two", "nobody") + pick(r, "", "", ", subset: v2", ", subset: v1") + pick(r, "", ", port: {number: 80}", ", port: {number: 81}") + "}"
}

func drawHeaders(r *rand.Rand) string {
	ops := func() string {
		return "{" + some(r, 0.4, "set: {x-a: s1, X-B: s2}", "add: {x-a: a1, x-c: a2}", "remove: [x-b, x-a]") + "}"
	}
	return "{request: " + ops() + pick(r, "", ", response: "+ops()) + "}"
}

func drawRule(r *rand.Rand, name string) string {
	var parts []string
	add := func(chance float64, s string) {
		if r.Float64() < chance {
			parts = append(parts, s)
		}
	}
	if r.Intn(5) > 0 {
		var ms []string
		for range 1 + r.Intn(2) {
			ms = append(ms, drawMatch(r))
		}
		parts = append(parts, "match: ["+strings.Join(ms, ", ")+"]")
	}
	add(0.3, "headers: "+drawHeaders(r))
	kind := r.Intn(8)
	add(map[bool]float64{true: 0.15}[kind > 1], "fault: {"+pick(r, "delay: {fixedDelay: 2s, percentage: {value: 12.5}}", "abort: {httpStatus: 503, percentage: {value: 1}}", "delay: {fixedDelay: 2s, percent: 5}, abort: {httpStatus: 404}", "abort: {grpcStatus: NOT_FOUND, percentage: {value: 100}}")+"}")
	add(0.15, "corsPolicy: {"+some(r, 0.5, "allowOrigins: [{exact: 'https://b'}, {prefix: 'https://a'}]", "allowMethods: [GET, PUT]", "allowHeaders: [x, w]", "exposeHeaders: [z]", "maxAge: 90s", "allowCredentials: true", "unmatchedPreflights: IGNORE")+"}")
	switch kind {
	case 0:
		port := pick(r, "port: 8443", "port: 80", "derivePort: FROM_REQUEST_PORT", "derivePort: FROM_PROTOCOL_DEFAULT")
		parts = append(parts, "redirect: {"+strings.TrimSuffix(pick(r, "uri: /z, ", "uri: '/z?k=1', ", "authority: b.example, ")+some(r, 0.4, "scheme: "+pick(r, "http", "https"), port, "redirectCode: "+pick(r, "302", "308")), ", ")+"}")
	case 1:
		parts = append(parts, "directResponse: {status: 418"+pick(r, "", ", body: {string: gone}")+"}")
	default:
		add(0.4, "rewrite: {"+pick(r, "uri: /", "uri: /n", "uri: /n/", "authority: r.example", "uri: /n, authority: r.example", "uriRegexRewrite: {match: '^/(.)', rewrite: '/x\\1'}", "uriRegexRewrite: {match: '/.*', rewrite: '/w'}")+"}")
		add(0.3, "timeout: "+pick(r, "1.5s", "3s"))
		add(0.1, "retries: {attempts: 0}")
		add(0.3, "retries: {attempts: "+pick(r, "1", "2", "5")+pick(r, "", ", retryOn: '503,reset'", ", retryOn: 'connect-failure,5xx'", ", retryOn: 'retriable-status-codes,418'")+pick(r, "", ", perTryTimeout: 1s")+pick(r, "", ", retryRemoteLocalities: true")+pick(r, "", ", retryIgnorePreviousHosts: false", ", backoff: 1s")+"}")
		mirror := r.Intn(2) == 0
		add(map[bool]float64{true: 0.3}[mirror], "mirror: "+drawDestination(r, name)+pick(r, "", ", mirrorPercentage: {value: 33.3}", ", mirrorPercentage: {value: 0}", ", mirrorPercent: 7"))
		add(map[bool]float64{false: 0.3}[mirror], "mirrors: [{destination: "+drawDestination(r, name)+"}, {destination: "+drawDestination(r, name)+", percentage: {value: 5}}]")
		var ds []string
		k := 1 + r.Intn(3)
		for i := range k {
			d := "{destination: " + drawDestination(r, name)
			if k > 1 {
				d += ", weight: " + pick(r, "10", "20", "50", []string{"0", "30"}[min(i, 1)])
			}
			if r.Intn(3) == 0 {
				d += ", headers: " + drawHeaders(r)
			}
			ds = append(ds, d+"}")
		}
		parts = append(parts, "route: ["+strings.Join(ds, ", ")+"]")
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func drawBackend(r *rand.Rand, name string) string {
	return "name: " + pick(r, name, name, "other", "two", "nobody") + ", port: " + pick(r, "80", "80", "81")
}

func drawModifier(r *rand.Rand) string {
	return "{" + some(r, 0.5, "set: [{name: x-a, value: s1}, {name: X-B, value: s2}, {name: x-a, value: s3}]", "add: [{name: x-c, value: a2}, {name: x-a, value: a1}]", "remove: [x-b]") + "}"
}

func drawGatewayRule(r *rand.Rand, name string) string {
	var parts []string
	if r.Intn(5) > 0 {
		var ms []string
		for range 1 + r.Intn(2) {
			list := []string{
				pick(r, "path: {type: Exact, value: /a}", "path: {type: PathPrefix, value: /}", "path: {type: PathPrefix, value: /a}", "path: {type: PathPrefix, value: /a/}", "path: {type: PathPrefix, value: /a/b}", "path: {type: RegularExpression, value: '/[a-c]/.*'}", "path: {type: PathPrefix, value: /A}"),
				pick(r, "method: GET", "method: POST"),
				pick(r, "headers: [{name: x-a, value: v1}]", "headers: [{name: X-A, type: RegularExpression, value: 'v.*'}, {name: x-b, value: a}]"),
				pick(r, "queryParams: [{name: q, value: v1}]", "queryParams: [{name: q, type: RegularExpression, value: '[a-c]+'}]"),
			}
			m := some(r, 0.5, list...)
			if !strings.Contains(m, "path:") {
				// As the default of the CRD has it, which the fake API server does not know.
				m = strings.TrimSuffix("path: {type: PathPrefix, value: /}, "+m, ", ")
			}
			ms = append(ms, "{"+m+"}")
		}
		parts = append(parts, "matches: ["+strings.Join(ms, ", ")+"]")
	} else {
		parts = append(parts, "matches: [{path: {type: PathPrefix, value: /}}]")
	}
	var filters []string
	filter := func(chance float64, s string) {
		if r.Float64() < chance {
			filters = append(filters, "{"+s+"}")
		}
	}
	filter(0.25, "type: RequestHeaderModifier, requestHeaderModifier: "+drawModifier(r))
	filter(0.2, "type: ResponseHeaderModifier, responseHeaderModifier: "+drawModifier(r))
	filter(0.15, "type: CORS, cors: {maxAge: "+pick(r, "90", "5")+", "+some(r, 0.7, "allowOrigins: ['https://b', 'https://*.a', '*', 'https://c*']", "allowMethods: [GET, PUT]", "allowHeaders: [x, w]", "exposeHeaders: [z]", "allowCredentials: true")+"}")
	redirect := r.Intn(7) == 0
	if redirect {
		filter(1, "type: RequestRedirect, requestRedirect: {statusCode: "+pick(r, "301", "302", "307")+", "+some(r, 0.4, "hostname: new.example", "scheme: "+pick(r, "http", "https"), "port: "+pick(r, "8443", "80"), pick(r, "path: {type: ReplaceFullPath, replaceFullPath: /z}", "path: {type: ReplacePrefixMatch, replacePrefixMatch: /z}"))+"}")
	} else {
		filter(0.3, "type: URLRewrite, urlRewrite: {"+pick(r, "path: {type: ReplacePrefixMatch, replacePrefixMatch: /}", "path: {type: ReplacePrefixMatch, replacePrefixMatch: /n}", "path: {type: ReplacePrefixMatch, replacePrefixMatch: /n/}", "hostname: r.example", "path: {type: ReplaceFullPath, replaceFullPath: /w}, hostname: r.example")+"}")
		filter(0.15, "type: RequestMirror, requestMirror: {backendRef: {name: other, port: 80}"+pick(r, "", ", percent: 40", ", fraction: {numerator: 1, denominator: 3}", ", percent: 0")+"}")
	}
	if len(filters) > 0 {
		parts = append(parts, "filters: ["+strings.Join(filters, ", ")+"]")
	}
	if r.Intn(3) == 0 {
		parts = append(parts, "timeouts: {"+pick(r, "request: 1500ms", "request: 0s", "request: 3s, backendRequest: 1s", "backendRequest: 1s")+"}")
	}
	if r.Intn(3) == 0 {
		parts = append(parts, "retry: {"+some(r, 0.5, "attempts: "+pick(r, "0", "1", "4"), "codes: [503, 500]", "backoff: 1s")+"}")
	}
	if !redirect && r.Intn(8) > 0 {
		var bs []string
		for range 1 + r.Intn(3) {
			b := "{" + drawBackend(r, name) + pick(r, "", "", ", weight: 3", ", weight: 0", ", weight: 6")
			if r.Intn(4) == 0 {
				b += ", filters: [{type: RequestHeaderModifier, requestHeaderModifier: " + drawModifier(r) + "}]"
			}
			bs = append(bs, b+"}")
		}
		parts = append(parts, "backendRefs: ["+strings.Join(bs, ", ")+"]")
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func drawGRPC(r *rand.Rand, name string) string {
	var rules []string
	for range 1 + r.Intn(3) {
		match := pick(r, "", "matches: [{method: {service: a.B, method: C}}], ", "matches: [{method: {service: a.B}}, {headers: [{name: x-a, value: v1}]}], ", "matches: [{method: {method: C}}], ",
			"matches: [{method: {type: RegularExpression, service: 'a.*', method: 'C|D'}}], ", "matches: [{method: {type: RegularExpression, service: 'a.*'}}], ")
		filter := pick(r, "", "filters: [{type: RequestHeaderModifier, requestHeaderModifier: "+drawModifier(r)+"}], ")
		rules = append(rules, "{"+match+filter+"backendRefs: [{"+drawBackend(r, name)+"}, {"+drawBackend(r, name)+", weight: 2}]}")
	}
	return "apiVersion: gateway.networking.k8s.io/v1\nkind: GRPCRoute\nmetadata: {name: " + name + ", namespace: shop}\nspec: {parentRefs: [{group: \"\", kind: Service, name: " + name + "}], rules: [" + strings.Join(rules, ", ") + "]}"
}
