package mesh

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// vs writes a VirtualService for orders with one rule that has a timeout, so that it shows.
func vs(namespace, name, extra string) string {
	if !strings.Contains(extra, "hosts:") {
		extra += ", hosts: [orders.shop.svc.cluster.local]"
	}
	return fmt.Sprintf("kind: VirtualService\nmetadata: {name: %s, namespace: %s}\nspec: {http: [{route: [{destination: {host: orders.shop.svc.cluster.local}}], timeout: 2s}]%s}\n---\n", name, namespace, extra)
}

// aged sets the creation time of an object that vs or dr wrote: the day of 2026-01.
func aged(day int, object string) string {
	return strings.Replace(object, "namespace:", fmt.Sprintf("creationTimestamp: \"2026-01-%02dT00:00:00Z\", namespace:", day), 1)
}

// rules writes a VirtualService in shop with the given HTTP rules.
func rules(http string) string {
	return "kind: VirtualService\nmetadata: {name: vs, namespace: shop}\nspec: {hosts: [orders], http: [" + http + "]}\n---\n"
}

func dr(namespace, name, extra string) string {
	if !strings.Contains(extra, "host:") {
		extra += ", host: orders.shop.svc.cluster.local"
	}
	return fmt.Sprintf("kind: DestinationRule\nmetadata: {name: %s, namespace: %s}\nspec: {trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}}%s}\n---\n", name, namespace, extra)
}

func sidecar(namespace, name, spec string) string {
	return fmt.Sprintf("kind: Sidecar\nmetadata: {name: %s, namespace: %s}\nspec: %s\n---\n", name, namespace, spec)
}

// route writes an HTTPRoute with Service orders as parent.
func route(namespace, name, rules string) string {
	return fmt.Sprintf("kind: HTTPRoute\nmetadata: {name: %s, namespace: %s}\nspec: {parentRefs: [{group: \"\", kind: Service, namespace: shop, name: orders}], rules: [%s]}\n---\n", name, namespace, rules)
}

const own = `backendRefs: [{name: orders, namespace: shop, port: 80}]`

// TestRouteFacts is which routes act, by fact.
func TestRouteFacts(t *testing.T) {
	one := []string{"vs http[0]{timeout}"}
	for _, c := range []trafficCase{
		// L-30: who reads a VirtualService.
		{fact: "L-30", name: "consumer VirtualService at the sidecars of its namespace", objects: vs("web", "vs", ""), way: "web", want: one},
		{fact: "L-30", name: "consumer VirtualService at sidecars of other namespaces", objects: vs("web", "vs", ""), way: "cart", want: one},
		{fact: "L-30", name: "consumer VirtualService never at the waypoint", objects: vs("web", "vs", ""), way: "web+waypoint"},
		{fact: "L-30", name: "VirtualService in the waypoint's namespace", objects: vs("infra", "vs", ""), way: "web+infra", want: one},
		{fact: "L-30", name: "VirtualService in the waypoint's namespace and another waypoint", objects: vs("infra", "vs", ""), way: "web+waypoint"},
		{fact: "L-30", name: "bound to a gateway only", objects: vs("shop", "vs", ", gateways: [public]"), way: "web"},
		{fact: "L-39", name: "bound to mesh and a gateway", objects: vs("shop", "vs", ", gateways: [mesh, public]"), way: "web", want: one},
		{fact: "L-39", name: "bound to mesh and a gateway, waypoint", objects: vs("shop", "vs", ", gateways: [mesh, public]"), way: "web+waypoint", want: one},
		// Hosts.
		{fact: "L-30", name: "short host is of its own namespace", objects: vs("web", "vs", ", hosts: [orders]"), way: "web"},
		{fact: "L-30", name: "half a host stands for a Host header", objects: vs("shop", "vs", ", hosts: [orders.shop]"), way: "web", want: []string{"unknown"}},
		{fact: "L-30", name: "wildcard host at the sidecar", objects: vs("shop", "vs", ", hosts: ['*.shop.svc.cluster.local']"), way: "web", want: one},
		{fact: "L-30", name: "wildcard host at the waypoint", objects: vs("shop", "vs", ", hosts: ['*.shop.svc.cluster.local']"), way: "web+waypoint", want: one},
		{fact: "L-30", name: "exact host before wildcard at the sidecar", objects: aged(1, vs("shop", "wild", ", hosts: ['*.shop.svc.cluster.local']")) + aged(2, vs("shop", "vs", "")), way: "web", want: one},
		{fact: "L-30", name: "longer wildcard first at the sidecar", objects: aged(1, vs("shop", "wild", ", hosts: ['*.svc.cluster.local']")) + aged(2, vs("shop", "vs", ", hosts: ['*.shop.svc.cluster.local']")), way: "web", want: one},
		{fact: "L-30", name: "all hosts that match at the waypoint, up to the first for all requests", objects: aged(1, vs("shop", "wild", ", hosts: ['*.shop.svc.cluster.local']")) + aged(2, vs("shop", "vs", "")), way: "web+waypoint", want: []string{"wild http[0]{timeout}"}},
		// Visibility.
		{fact: "L-30", name: "exportTo own namespace hides it from others", objects: vs("shop", "vs", ", exportTo: ['.']"), way: "web"},
		{fact: "L-30", name: "exportTo own namespace", objects: vs("shop", "vs", ", exportTo: ['.']"), way: "cart", want: one},
		{fact: "L-30", name: "exportTo a namespace", objects: vs("shop", "vs", ", exportTo: [web]"), way: "web", want: one},
		{fact: "L-30", name: "exportTo nobody", objects: vs("shop", "vs", ", exportTo: ['~']"), way: "cart"},
		{fact: "L-30", name: "exportTo own namespace at a waypoint elsewhere", objects: vs("shop", "vs", ", exportTo: ['.']"), way: "web+infra"},
		{fact: "L-30", name: "exportTo own namespace at the waypoint there", objects: vs("shop", "vs", ", exportTo: ['.']"), way: "web+waypoint", want: one},
		{fact: "L-30", name: "default of the mesh", objects: vs("shop", "vs", "") + "kind: MeshConfig\nmetadata: {name: mc}\nspec: {defaultVirtualServiceExportTo: ['.']}", way: "web"},
		{fact: "L-30", name: "revisions with other defaults", objects: vs("shop", "vs", "") + "kind: MeshConfig\nmetadata: {name: a}\nspec: {defaultVirtualServiceExportTo: ['.']}\n---\nkind: MeshConfig\nmetadata: {name: b}\nspec: {}", way: "cart", want: []string{"unknown", "vs http[0]{timeout}"}},
		// Several objects.
		{fact: "L-30", name: "oldest first at the sidecar", objects: aged(2, vs("shop", "a", "")) + aged(1, vs("shop", "vs", "")), way: "web", want: one},
		{fact: "L-30", name: "private before older public", objects: aged(1, vs("shop", "a", "")) + aged(2, vs("web", "vs", ", exportTo: ['.']")), way: "web", want: one},
		{fact: "L-30", name: "without ages the first is not known", objects: vs("shop", "a", "") + vs("shop", "vs", ""), way: "web", want: []string{"unknown", "a http[0]{timeout}"}},
		{fact: "L-30", name: "the second when the first has no rule for the client", objects: aged(1, strings.ReplaceAll(rules("{match: [{sourceLabels: {app: cart}}], timeout: 1s, route: [{destination: {host: orders}}]}"), "name: vs", "name: a")) + aged(2, vs("shop", "vs", "")), way: "web", want: one},
		{fact: "L-30", name: "joined at the waypoint", objects: aged(1, strings.ReplaceAll(rules("{match: [{uri: {prefix: /a}}], timeout: 1s, route: [{destination: {host: orders}}]}"), "name: vs", "name: a")) + aged(2, vs("shop", "vs", "")), way: "web+waypoint",
			want: []string{"a http[0].match[0]{match timeout}", "vs http[0]{timeout}"}},
		{fact: "L-30", name: "not joined at the sidecar", objects: aged(1, strings.ReplaceAll(rules("{match: [{uri: {prefix: /a}}], timeout: 1s, route: [{destination: {host: orders}}]}"), "name: vs", "name: a")) + aged(2, vs("shop", "vs", "")), way: "web",
			want: []string{"a http[0].match[0]{match timeout}"}},
		// Conditions on the source.
		{fact: "L-30", name: "sourceLabels of this client", objects: rules("{match: [{sourceLabels: {app: web}}], timeout: 1s, route: [{destination: {host: orders}}]}"), way: "web", want: []string{"vs http[0].match[0]{timeout}"}},
		{fact: "L-30", name: "sourceLabels of another", objects: rules("{match: [{sourceLabels: {app: web}}], timeout: 1s, route: [{destination: {host: orders}}]}"), way: "cart"},
		{fact: "L-30", name: "sourceLabels at the waypoint", objects: rules("{match: [{sourceLabels: {app: web}}], timeout: 1s, route: [{destination: {host: orders}}]}"), way: "web+waypoint"},
		{fact: "L-30", name: "sourceNamespace", objects: rules("{match: [{sourceNamespace: web}], timeout: 1s, route: [{destination: {host: orders}}]}"), way: "web", want: []string{"vs http[0].match[0]{timeout}"}},
		{fact: "L-30", name: "sourceNamespace of the clients at the waypoint", objects: rules("{match: [{sourceNamespace: web}], timeout: 1s, route: [{destination: {host: orders}}]}"), way: "web+waypoint"},
		{fact: "L-30", name: "sourceNamespace of the waypoint is everybody", objects: rules("{match: [{sourceNamespace: shop}], timeout: 1s, route: [{destination: {host: orders}}]}"), way: "web+waypoint", want: []string{"vs http[0].match[0]{timeout}"}},
		{fact: "L-30", name: "a condition on gateways switches the others off", objects: rules("{match: [{gateways: [mesh], sourceNamespace: other}], timeout: 1s, route: [{destination: {host: orders}}]}"), way: "web", want: []string{"vs http[0].match[0]{timeout}"}},
		{fact: "L-30", name: "another port", objects: rules("{match: [{port: 81}], timeout: 1s, route: [{destination: {host: orders}}]}"), way: "web"},
		{fact: "L-30", name: "nothing behind a rule for all requests", objects: rules("{match: [{uri: {prefix: /}}], timeout: 1s, route: [{destination: {host: orders}}]}, {timeout: 2s, route: [{destination: {host: orders}}]}"), way: "web", want: []string{"vs http[0].match[0]{timeout}"}},
		// Delegates (C-46).
		{fact: "C-46", name: "delegate", objects: rules("{match: [{uri: {prefix: /a}}], timeout: 1s, delegate: {name: leaf, namespace: web}}") +
			"kind: VirtualService\nmetadata: {name: leaf, namespace: web}\nspec: {http: [{match: [{uri: {exact: /a/b}}], route: [{destination: {host: orders.shop.svc.cluster.local}}]}, {match: [{uri: {exact: /c}}], route: [{destination: {host: orders}}]}]}", way: "web",
			want: []string{"leaf http[0].match[0]{match timeout}"}},
		{fact: "C-46", name: "delegate that is not exported", objects: rules("{delegate: {name: leaf, namespace: web}}") +
			"kind: VirtualService\nmetadata: {name: leaf, namespace: web}\nspec: {exportTo: ['.'], http: [{timeout: 1s, route: [{destination: {host: orders.shop.svc.cluster.local}}]}]}", way: "web"},
		// L-40: the Sidecar of the client.
		{fact: "L-40", name: "not imported", objects: vs("shop", "vs", "") + sidecar("web", "default", "{egress: [{hosts: ['./*', 'istio-system/*']}]}"), way: "web", where: PlaceNone, want: []string{}},
		{fact: "L-40", name: "imported", objects: vs("shop", "vs", "") + sidecar("web", "default", "{egress: [{hosts: ['shop/*']}]}"), way: "web", want: one},
		{fact: "L-40", name: "service imported and VirtualService not", objects: vs("infra", "vs", "") + sidecar("web", "default", "{egress: [{hosts: ['shop/*']}]}"), way: "web"},
		{fact: "L-40", name: "by host, any namespace", objects: vs("infra", "vs", "") + sidecar("web", "default", "{egress: [{hosts: ['*/orders.shop.svc.cluster.local']}]}"), way: "web", want: one},
		{fact: "L-40", name: "excluded", objects: vs("infra", "vs", "") + sidecar("web", "default", "{egress: [{hosts: ['*/*', '~infra/*']}]}"), way: "web"},
		{fact: "L-40", name: "of the root namespace", objects: vs("infra", "vs", "") + sidecar("istio-system", "default", "{egress: [{hosts: ['shop/*']}]}"), way: "web"},
		{fact: "L-40", name: "own before that of the root namespace", objects: vs("infra", "vs", "") + sidecar("istio-system", "default", "{egress: [{hosts: ['shop/*']}]}") + sidecar("web", "default", "{egress: [{hosts: ['*/*']}]}"), way: "web", want: one},
		{fact: "L-40", name: "selector first", objects: vs("shop", "vs", "") + sidecar("web", "a", "{egress: [{hosts: ['shop/*']}]}") + sidecar("web", "b", "{workloadSelector: {labels: {app: web}}, egress: [{hosts: ['./*']}]}"), way: "web", where: PlaceNone},
		{fact: "L-40", name: "listener of another port", objects: vs("shop", "vs", "") + sidecar("web", "default", "{egress: [{port: {number: 81, protocol: HTTP, name: http}, hosts: ['shop/*']}]}"), way: "web", where: PlaceNone},
		{fact: "L-40", name: "no effect at a waypoint", objects: vs("shop", "vs", "") + sidecar("shop", "default", "{egress: [{hosts: ['istio-system/*']}]}"), way: "web+waypoint", want: one},
		// C-01, C-02, L-34: Gateway API routes.
		{fact: "C-01", name: "HTTPRoute at a sidecar without any waypoint", objects: route("shop", "r", "{timeouts: {request: 1s}, "+own+"}"), way: "web", want: []string{"r rules[0]{timeout}"}},
		{fact: "L-34", name: "HTTPRoute at the waypoint", objects: route("shop", "r", "{timeouts: {request: 1s}, "+own+"}"), way: "web+waypoint", want: []string{"r rules[0]{timeout}"}},
		{fact: "M-15", name: "HTTPRoute and no waypoint", objects: route("shop", "r", "{timeouts: {request: 1s}, "+own+"}"), way: "web+ambient", where: PlaceNone},
		{fact: "L-34", name: "consumer route for its namespace", objects: route("web", "r", "{timeouts: {request: 1s}, "+own+"}"), way: "web", want: []string{"r rules[0]{timeout}"}},
		{fact: "L-34", name: "consumer route not for others", objects: route("web", "r", "{timeouts: {request: 1s}, "+own+"}"), way: "cart"},
		{fact: "L-34", name: "consumer route not at the waypoint", objects: route("web", "r", "{timeouts: {request: 1s}, "+own+"}"), way: "web+waypoint"},
		{fact: "C-01", name: "older VirtualService wins for other namespaces", objects: aged(1, vs("shop", "vs", "")) + aged(2, route("shop", "r", "{timeouts: {request: 1s}, "+own+"}")), way: "web", want: one},
		{fact: "C-01", name: "the route wins in its own namespace", objects: aged(1, vs("shop", "vs", "")) + aged(2, route("shop", "r", "{timeouts: {request: 1s}, "+own+"}")), way: "cart", want: []string{"r rules[0]{timeout}"}},
		{fact: "C-01", name: "without ages not known", objects: vs("shop", "vs", "") + route("shop", "r", "{timeouts: {request: 1s}, "+own+"}"), way: "web", want: []string{"unknown", "r rules[0]{timeout}"}},
		{fact: "L-30", name: "VirtualService and HTTPRoute at a waypoint", objects: aged(1, vs("shop", "vs", "")) + aged(2, route("shop", "r", "{timeouts: {request: 1s}, "+own+"}")), way: "web+waypoint", want: []string{"unknown", "r rules[0]{timeout}"}},
		{fact: "C-02", name: "rules are sorted", objects: route("shop", "r", "{matches: [{path: {type: PathPrefix, value: /a}}], "+own+"}, {matches: [{path: {type: Exact, value: /a}}, {path: {type: PathPrefix, value: /a/b}}], "+own+"}"), way: "web",
			want: []string{"r rules[1].matches[0]{match}", "r rules[1].matches[1]{match}", "r rules[0].matches[0]{match}"}},
		{fact: "C-02", name: "a closing slash is no part of the length", objects: route("shop", "r", "{matches: [{path: {type: PathPrefix, value: /a}}], timeouts: {request: 1s}, "+own+"}, {matches: [{path: {type: PathPrefix, value: /a/}}], "+own+"}"), way: "web",
			want: []string{"r rules[0].matches[0]{match timeout}", "r rules[1].matches[0]{match}"}},
		{fact: "C-02", name: "the length of a method of gRPC is that of its expression", objects: strings.Replace(route("shop", "r", "{matches: [{method: {method: C}}], "+own+"}, {matches: [{method: {type: RegularExpression, service: 'a.*', method: 'C|D'}}], "+own+"}, {matches: [{method: {type: RegularExpression, service: a}}], "+own+"}"), "HTTPRoute", "GRPCRoute", 1), way: "web",
			want: []string{"r rules[0].matches[0]{match}", "r rules[1].matches[0]{match}", "r rules[2].matches[0]{match}"}},
		{fact: "C-02", name: "a rule for gRPC without conditions is last, behind an empty condition", objects: strings.Replace(route("shop", "r", "{"+own+"}, {matches: [{}], "+own+"}"), "HTTPRoute", "GRPCRoute", 1), way: "web",
			want: []string{"r rules[1].matches[0]{}"}},
		{fact: "C-02", name: "the port of a parent is a condition", objects: strings.NewReplacer("HTTPRoute", "GRPCRoute", "name: orders}]", "name: orders, port: 80}]").Replace(route("shop", "r", "{"+own+"}, {matches: [{}], "+own+"}")), way: "web",
			want: []string{"r rules[0]{}"}},
		{fact: "C-02", name: "routes of a namespace are joined", objects: aged(2, route("shop", "b", "{matches: [{path: {type: Exact, value: /b}}], "+own+"}")) + aged(1, route("shop", "r", "{timeouts: {request: 1s}, "+own+"}")), way: "web",
			want: []string{"b rules[0].matches[0]{match}", "r rules[0]{timeout}"}},
		{fact: "L-34", name: "no backend answers 500", objects: route("shop", "r", "{timeouts: {request: 1s}}"), way: "web", want: []string{"r rules[0]{directResponse timeout}"}},
		{fact: "L-34", name: "no rules are one without backends", objects: strings.Split(route("shop", "r", ""), ", rules:")[0] + "}", way: "web", want: []string{"r rules[0]{directResponse}"}},
		{fact: "L-34", name: "a filter that istiod refuses drops the route", objects: route("shop", "r", "{filters: [{type: ExtensionRef, extensionRef: {group: g, kind: K, name: ext}}], "+own+"}"), way: "web"},
		// Layer 4.
		{fact: "L-35", name: "TCP rule at the sidecar", objects: "kind: VirtualService\nmetadata: {name: vs, namespace: shop}\nspec: {hosts: [orders], tcp: [{match: [{sourceLabels: {app: cart}}], route: [{destination: {host: orders}}]}, {match: [{port: 9000}], route: [{destination: {host: orders-v2}}]}]}", way: "web", port: 9000,
			want: []string{"vs tcp[1].match[0]{route}"}},
		{fact: "L-35", name: "TCP rule at the waypoint", objects: "kind: VirtualService\nmetadata: {name: vs, namespace: shop}\nspec: {hosts: [orders], tcp: [{match: [{sourceNamespace: web}], route: [{destination: {host: orders}}]}, {route: [{destination: {host: orders-v2}}]}]}", way: "web+waypoint", port: 9000,
			want: []string{"vs tcp[1]{route}"}},
		{fact: "L-35", name: "addresses count at the sidecar", objects: "kind: VirtualService\nmetadata: {name: vs, namespace: shop}\nspec: {hosts: [orders], tcp: [{match: [{destinationSubnets: [10.0.0.0/8]}], route: [{destination: {host: orders-v2}}]}]}", way: "web", port: 9000,
			want: []string{"vs tcp[0].match[0]{match route}"}},
		{fact: "L-35", name: "addresses do not count at the waypoint", objects: "kind: VirtualService\nmetadata: {name: vs, namespace: shop}\nspec: {hosts: [orders], tcp: [{match: [{destinationSubnets: [10.0.0.0/8]}], route: [{destination: {host: orders-v2}}]}]}", way: "web+waypoint", port: 9000,
			want: []string{"vs tcp[0].match[0]{route}"}},
		{fact: "L-35", name: "SNI of the host at the waypoint", objects: "kind: VirtualService\nmetadata: {name: vs, namespace: shop}\nspec: {hosts: [orders], tls: [{match: [{sniHosts: [a.example]}], route: [{destination: {host: orders}}]}, {match: [{sniHosts: [orders.shop.svc.cluster.local]}], route: [{destination: {host: orders-v2}}]}]}", way: "web+waypoint", port: 443,
			want: []string{"vs tls[1].match[0]{match route}"}},
		{fact: "L-35", name: "every SNI at the sidecar", objects: "kind: VirtualService\nmetadata: {name: vs, namespace: shop}\nspec: {hosts: [orders], tls: [{match: [{sniHosts: [a.example]}], route: [{destination: {host: orders}}]}, {match: [{sniHosts: [orders.shop.svc.cluster.local]}], route: [{destination: {host: orders-v2}}]}]}", way: "web", port: 443,
			want: []string{"vs tls[0].match[0]{match}", "vs tls[1].match[0]{match route}"}},
		{fact: "L-35", name: "of two rules for an SNI the first at the sidecar", objects: "kind: VirtualService\nmetadata: {name: vs, namespace: shop}\nspec: {hosts: [orders], tls: [{match: [{sniHosts: [a.example]}], route: [{destination: {host: orders-v2}}]}, {match: [{sniHosts: [a.example]}], route: [{destination: {host: orders}}]}]}", way: "web", port: 443,
			want: []string{"vs tls[0].match[0]{match route}"}},
		{fact: "L-35", name: "HTTP rules and TCP ports", objects: vs("shop", "vs", ""), way: "web", port: 9000},
	} {
		if c.where == PlaceUnset {
			c.where = PlaceSidecar
			if strings.HasSuffix(c.way, "+waypoint") || strings.HasSuffix(c.way, "+infra") {
				c.where = PlaceWaypoint
			}
		}
		t.Run(c.fact+" "+c.name, func(t *testing.T) { c.check(t) })
	}
}

func (c trafficCase) check(t *testing.T) {
	t.Helper()
	got := c.ask(t, trafficState(t, c.objects))
	if got.Where != c.where {
		t.Errorf("acts at %s, want %s", got.Where, c.where)
	}
	want, have := append([]string{}, c.want...), append([]string{}, acting(got)...)
	if d := cmp.Diff(want, have); d != "" {
		t.Errorf("acts (-want +got):\n%s%s", d, got.Unknown)
	}
}

const subsets = `, subsets: [{name: v2, labels: {version: v2}, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 1}}}]`

// TestPolicyFacts is which DestinationRules act, by fact L-33.
func TestPolicyFacts(t *testing.T) {
	one := []string{"dr trafficPolicy{connectionPool}"}
	toV2 := rules("{route: [{destination: {host: orders, subset: v2}}]}")
	toOther := rules("{route: [{destination: {host: orders-v2}}]}")
	for _, c := range []trafficCase{
		{name: "client namespace first at the sidecar", objects: dr("web", "dr", "") + dr("shop", "b", ""), way: "web", want: one},
		{name: "client namespace never at the waypoint", objects: dr("web", "a", "") + dr("shop", "dr", ""), way: "web+waypoint", want: one},
		{name: "waypoint's namespace first at the waypoint", objects: dr("infra", "dr", "") + dr("shop", "b", ""), way: "web+infra", want: one},
		{name: "service's namespace", objects: dr("shop", "dr", "") + dr("istio-system", "b", ""), way: "web", want: one},
		{name: "root namespace last", objects: dr("istio-system", "dr", ", host: '*.cluster.local'"), way: "web", want: one},
		{name: "root namespace last at the waypoint", objects: dr("istio-system", "dr", ", host: '*.cluster.local'"), way: "web+waypoint", want: one},
		{name: "other namespaces never", objects: dr("infra", "dr", ""), way: "web"},
		{name: "longest host", objects: dr("shop", "a", ", host: '*.cluster.local'") + dr("shop", "dr", ", host: '*.shop.svc.cluster.local'"), way: "web", want: one},
		{name: "exact host before wildcard", objects: dr("shop", "a", ", host: '*.shop.svc.cluster.local'") + dr("shop", "dr", ""), way: "web", want: one},
		{name: "a wildcard of the client's namespace hides the service's", objects: dr("web", "dr", ", host: '*.cluster.local'") + dr("shop", "b", ""), way: "web", want: one},
		{name: "exportTo own namespace", objects: dr("shop", "dr", ", exportTo: ['.']"), way: "web"},
		{name: "exportTo own namespace at home", objects: dr("shop", "dr", ", exportTo: ['.']"), way: "cart", want: one},
		{name: "exportTo own namespace at the waypoint there", objects: dr("shop", "dr", ", exportTo: ['.']"), way: "web+waypoint", want: one},
		{name: "exportTo own namespace at a waypoint elsewhere", objects: dr("shop", "dr", ", exportTo: ['.']"), way: "web+infra"},
		{name: "exportTo a namespace", objects: dr("shop", "dr", ", exportTo: [web]"), way: "web", want: one},
		{name: "default of the mesh", objects: dr("shop", "dr", "") + "kind: MeshConfig\nmetadata: {name: mc}\nspec: {defaultDestinationRuleExportTo: ['.']}", way: "web"},
		{name: "workloadSelector of this client", objects: dr("web", "a", "") + dr("web", "dr", ", workloadSelector: {matchLabels: {app: web}}"), way: "web", want: one},
		{name: "workloadSelector of others", objects: dr("web", "dr", "") + dr("web", "b", ", workloadSelector: {matchLabels: {app: other}}"), way: "web", want: one},
		{name: "workloadSelector at the waypoint", objects: dr("shop", "dr", ", workloadSelector: {matchLabels: {app: web}}"), way: "web+waypoint"},
		{name: "the first traffic policy of two", objects: aged(1, dr("shop", "dr", "")) + aged(2, dr("shop", "b", "")), way: "web", want: one},
		{name: "rules whose exportTo holds the other's are one", objects: aged(1, dr("shop", "dr", ", exportTo: ['.']")) + aged(2, dr("shop", "b", ", exportTo: ['.', infra]")), way: "cart", want: one},
		{name: "subset that a route uses", objects: dr("shop", "dr", subsets) + toV2, way: "web", want: []string{"vs http[0]{route}", "dr trafficPolicy{connectionPool}", "dr subsets[0]{subset}", "dr subsets[0].trafficPolicy{outlierDetection}", "dr trafficPolicy{connectionPool}"}},
		{name: "subset at the waypoint", objects: dr("shop", "dr", subsets) + toV2, way: "web+waypoint", want: []string{"vs http[0]{route}", "dr trafficPolicy{connectionPool}", "dr subsets[0]{subset}", "dr subsets[0].trafficPolicy{outlierDetection}", "dr trafficPolicy{connectionPool}"}},
		{name: "subset of a second rule", objects: aged(1, dr("shop", "a", "")) + aged(2, dr("shop", "dr", subsets)) + toV2, way: "web", want: []string{"vs http[0]{route}", "a trafficPolicy{connectionPool}", "a trafficPolicy{connectionPool}", "dr subsets[0]{subset}", "dr subsets[0].trafficPolicy{outlierDetection}"}},
		{name: "subset that no route uses", objects: dr("shop", "dr", subsets), way: "web", want: one},
		{name: "policy of the host that is routed to", objects: dr("shop", "a", "") + dr("shop", "dr", ", host: orders-v2") + toOther, way: "web", want: []string{"vs http[0]{route}", "dr trafficPolicy{connectionPool}"}},
		{name: "port level settings replace all", objects: "kind: DestinationRule\nmetadata: {name: dr, namespace: shop}\nspec: {host: orders, trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}, portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}}]}}", way: "web",
			want: []string{"dr trafficPolicy.portLevelSettings[0]{loadBalancer}"}},
		{name: "mutual TLS is no setting", objects: "kind: DestinationRule\nmetadata: {name: dr, namespace: shop}\nspec: {host: orders, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}", way: "web"},
		{name: "TLS origination is one", objects: "kind: DestinationRule\nmetadata: {name: dr, namespace: shop}\nspec: {host: orders, trafficPolicy: {tls: {mode: SIMPLE}}}", way: "web+waypoint", want: []string{"dr trafficPolicy{tls}"}},
		{name: "zoneAwareLbSetting at the sidecar", objects: "kind: DestinationRule\nmetadata: {name: dr, namespace: shop}\nspec: {host: orders, trafficPolicy: {loadBalancer: {zoneAwareLbSetting: {enabled: true}}}}", way: "web", want: []string{"dr trafficPolicy{loadBalancer}"}},
		{name: "zoneAwareLbSetting not at the waypoint", objects: "kind: DestinationRule\nmetadata: {name: dr, namespace: shop}\nspec: {host: orders, trafficPolicy: {loadBalancer: {zoneAwareLbSetting: {enabled: true}}}}", way: "web+waypoint", want: []string{"dr trafficPolicy{}"}},
		{name: "BackendTLSPolicy", objects: "kind: BackendTLSPolicy\nmetadata: {name: b, namespace: shop}\nspec: {targetRefs: [{group: '', kind: Service, name: orders}]}", way: "web", want: []string{"unknown"}},
	} {
		c.where = PlaceSidecar
		if strings.Contains(c.way, "+") {
			c.where = PlaceWaypoint
		}
		t.Run("L-33 "+c.name, func(t *testing.T) { c.check(t) })
	}
}
