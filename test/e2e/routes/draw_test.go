package routes

import (
	"fmt"
	"math/rand"
	"strings"

	"github.com/ambientplan/ambientplan/internal/istiodroutes"
)

// pick draws one of a list.
func pick(r *rand.Rand, list ...string) string { return list[r.Intn(len(list))] }

// drawRoutes makes a mesh whose rules are told apart by their timeouts, and policies by their limits.
func drawRoutes(r *rand.Rand) *istiodroutes.Case {
	c := &istiodroutes.Case{Waypoint: pick(r, "shop", "shop", "infra")}
	timeout := 0
	next := func() int { timeout++; return timeout }
	host := func() string {
		return pick(r, "orders", istiodroutes.OrdersHost, istiodroutes.OrdersHost, "'*.shop.svc.cluster.local'", "'*.svc.cluster.local'", "orders-v2.shop.svc.cluster.local")
	}
	exportTo := func() string {
		return pick(r, "", "", "", ", exportTo: ['.']", ", exportTo: ['*']", ", exportTo: [web]", ", exportTo: [shop, infra]", ", exportTo: ['.', infra]")
	}
	to := func() string {
		return pick(r, istiodroutes.OrdersHost, istiodroutes.OrdersHost, istiodroutes.OrdersHost+", subset: v2", "orders-v2.shop.svc.cluster.local")
	}
	match := func() string {
		return pick(r, "", "match: [{uri: {prefix: /a}}], ", "match: [{sourceLabels: {app: web}}], ", "match: [{sourceNamespace: web}, {uri: {exact: /b}}], ",
			"match: [{port: 81}, {gateways: [mesh], sourceNamespace: other}], ", "match: [{uri: {prefix: /}}], ", "match: [{sourceNamespace: shop, uri: {prefix: /s}}], ", "match: [{sourceLabels: {app: cart}, gateways: [mesh], uri: {prefix: /l}}], ",
			"match: [{uri: {prefix: /}, headers: {a: {exact: b}}}], ", "match: [{port: 80, uri: {regex: '.*'}}], ", "match: [{gateways: [public]}, {uri: {prefix: /p}}], ")
	}
	for i := range 1 + r.Intn(6) {
		ns := pick(r, "shop", "shop", "web", "infra", "istio-system")
		meta := fmt.Sprintf("metadata: {name: o%d, namespace: %s, creationTimestamp: \"2026-01-%02dT00:00:00Z\"}\n", i, ns, 1+r.Intn(9))
		switch r.Intn(9) {
		case 0, 1, 2, 3:
			var rules []string
			delegate := r.Intn(6) == 0
			for range 1 + r.Intn(3) {
				rules = append(rules, fmt.Sprintf("{%stimeout: %ds, route: [{destination: {host: %s}}]}", match(), next(), to()))
			}
			if delegate {
				rules = append([]string{fmt.Sprintf("{match: [{uri: {prefix: /a}}], timeout: %ds, delegate: {name: leaf, namespace: %s}}", next(), pick(r, "shop", "web"))}, rules...)
			}
			hosts := host()
			if r.Intn(4) == 0 {
				hosts += ", " + host()
			}
			spec := "hosts: [" + hosts + "], http: [" + strings.Join(rules, ", ") + "]"
			if r.Intn(5) == 0 {
				spec += pick(r, ", tcp: [{match: [{sourceLabels: {app: web}}], route: [{destination: {host: orders-v2.shop.svc.cluster.local}}]}]", ", tcp: [{match: [{port: 9000}], route: [{destination: {host: "+istiodroutes.OrdersHost+", subset: v2}}]}]",
					", tls: [{match: [{sniHosts: ["+istiodroutes.OrdersHost+"]}], route: [{destination: {host: orders-v2.shop.svc.cluster.local}}]}]", ", tls: [{match: [{sniHosts: [other.example], sourceNamespace: web}], route: [{destination: {host: orders-v2.shop.svc.cluster.local}}]}]")
			}
			c.Objects = append(c.Objects, "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"+meta+"spec: {"+spec+pick(r, "", "", "", ", gateways: [mesh]", ", gateways: [public, mesh]", ", gateways: [public]")+exportTo()+"}")
		case 4, 5:
			selector := pick(r, "", "", ", workloadSelector: {matchLabels: {app: web}}")
			policy := fmt.Sprintf("trafficPolicy: {connectionPool: {tcp: {maxConnections: %d}}}, ", 10+i)
			if r.Intn(4) == 0 {
				policy = fmt.Sprintf("trafficPolicy: {connectionPool: {tcp: {maxConnections: %d}}, portLevelSettings: [{port: {number: 80}, connectionPool: {tcp: {maxConnections: %d}}}]}, ", 10+i, 20+i)
			}
			if r.Intn(4) == 0 {
				policy = ""
			}
			subset := pick(r, "", "subsets: [{name: v2, labels: {version: v2}}], ", fmt.Sprintf("subsets: [{name: v2, labels: {version: v2}, trafficPolicy: {connectionPool: {tcp: {maxConnections: %d}}}}], ", 30+i))
			c.Objects = append(c.Objects, "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n"+meta+"spec: {"+policy+subset+"host: "+host()+exportTo()+selector+"}")
		case 6:
			hosts := pick(r, "'*/*'", "'shop/*'", "'./*', 'istio-system/*'", "'*/"+istiodroutes.OrdersHost+"'", "'*/*', '~web/*'", "'web/*', 'shop/"+istiodroutes.OrdersHost+"'", "'*/*.shop.svc.cluster.local'")
			port := pick(r, "", "", "port: {number: 80, protocol: HTTP, name: http}, ")
			c.Objects = append(c.Objects, "apiVersion: networking.istio.io/v1\nkind: Sidecar\n"+meta+"spec: {"+pick(r, "", "workloadSelector: {labels: {app: web}}, ")+"egress: [{"+port+"hosts: ["+hosts+"]}]}")
		case 8:
			gw := "apiVersion: gateway.networking.k8s.io/v1"
			parent := "{group: \"\", kind: Service, namespace: shop, name: orders" + pick(r, "", "", ", port: 80", ", port: 9000", ", port: 443") + "}"
			backend := pick(r, "backendRefs: [{name: orders, namespace: shop, port: 9000}]", "backendRefs: [{name: orders-v2, namespace: shop, port: 80}]")
			switch r.Intn(3) {
			case 0:
				method := pick(r, "", "matches: [{method: {service: a.B, method: C}}], ", "matches: [{method: {service: a.B}}, {headers: [{name: h, value: v}]}], ", "matches: [{method: {method: C}}], ")
				c.Objects = append(c.Objects, gw+"\nkind: GRPCRoute\n"+meta+"spec: {parentRefs: ["+parent+"], rules: [{"+method+"filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x, value: z1}]}}], "+backend+"}]}")
			case 1:
				c.Objects = append(c.Objects, gw+"\nkind: TCPRoute\n"+meta+"spec: {parentRefs: ["+parent+"], rules: [{"+backend+"}]}")
			case 2:
				c.Objects = append(c.Objects, gw+"\nkind: TLSRoute\n"+meta+"spec: {"+pick(r, "", "hostnames: [a.example], ", "hostnames: [a.example, orders.shop.svc.cluster.local], ")+"parentRefs: ["+parent+"], rules: [{"+backend+"}]}")
			}
		case 7:
			path := func() string {
				return pick(r, "matches: [{path: {type: PathPrefix, value: /}}], ", "matches: [{path: {type: Exact, value: /a}}], ", "matches: [{path: {type: PathPrefix, value: /b}, method: GET}, {path: {type: PathPrefix, value: /}}], ", "matches: [{path: {type: PathPrefix, value: /a/b/c}}], ",
					"matches: [{path: {type: RegularExpression, value: /r.*}}], ")
			}
			var rules []string
			for range 1 + r.Intn(2) {
				backends := pick(r, "backendRefs: [{name: orders, namespace: shop, port: 80}]", "backendRefs: [{name: orders-v2, namespace: shop, port: 80}]")
				rules = append(rules, fmt.Sprintf("{%stimeouts: {request: %ds}, %s}", path(), next(), backends))
			}
			port := pick(r, "", "", ", port: 80", ", port: 81")
			c.Objects = append(c.Objects, "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"+meta+"spec: {parentRefs: [{group: \"\", kind: Service, namespace: shop, name: orders"+port+"}], rules: ["+strings.Join(rules, ", ")+"]}")
		}
	}
	if r.Intn(3) == 0 {
		c.Objects = append(c.Objects, fmt.Sprintf("apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: leaf, namespace: web, creationTimestamp: \"2026-01-01T00:00:00Z\"}\nspec: {http: [{match: [{uri: {prefix: /a/b}}], route: [{destination: {host: %s}}]}, {timeout: %ds, route: [{destination: {host: orders.shop.svc.cluster.local}}]}]%s}", istiodroutes.OrdersHost, next(), exportTo()))
	}
	return c
}
