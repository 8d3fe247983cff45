package mesh

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

const ingress = `kind: Gateway
metadata: {name: public, namespace: istio-ingress}
spec: {selector: {istio: ingressgateway}, servers: []}
---
kind: VirtualService
metadata: {name: entry, namespace: shop}
spec:
  hosts: [shop.example]
  gateways: [istio-ingress/public]
  http:
  - match: [{uri: {prefix: /orders}}]
    timeout: 1s
    route: [{destination: {host: orders, subset: v2}}]
  - match: [{gateways: [istio-ingress/other], uri: {prefix: /no}}]
    route: [{destination: {host: orders}}]
  - route: [{destination: {host: orders-v2}}]
---
kind: DestinationRule
metadata: {name: dr, namespace: shop}
spec: {host: orders, trafficPolicy: {loadBalancer: {simple: LEAST_REQUEST}, connectionPool: {tcp: {maxConnections: 1}}}, subsets: [{name: v2, labels: {version: v2}}]}
---
`

// TestGatewayFacts is M-17, M-18, L-32 and L-41: a gateway applies its own routes in any case; behind a waypoint it does
// no longer choose the pod, and the routes for the mesh act on its calls as well.
func TestGatewayFacts(t *testing.T) {
	s := trafficState(t, ingress+timeoutVS)
	svc := s.Service("shop", "orders")
	gw := s.WorkloadsIn("istio-ingress")[0]
	direct := s.Traffic(gw, ModeGateway, svc, svc.Ports[0], nil)
	if d := cmp.Diff([]string{
		"entry http[0].match[0]{match route timeout}",
		"dr trafficPolicy{connectionPool loadBalancer}",
		"dr subsets[0]{subset}",
		"dr trafficPolicy{connectionPool loadBalancer}",
	}, acting(direct)); d != "" {
		t.Errorf("M-17, direct (-want +got):\n%s", d)
	}
	behind := s.Traffic(gw, ModeGateway, svc, svc.Ports[0], &api.WaypointRef{Name: "waypoint", Namespace: "shop"})
	if d := cmp.Diff([]string{
		"entry http[0].match[0]{match route timeout}",
		"dr trafficPolicy{connectionPool}",
		"dr trafficPolicy{connectionPool}",
		"then vs http[0]{timeout}",
		"then dr trafficPolicy{connectionPool loadBalancer}",
	}, acting(behind)); d != "" {
		t.Errorf("M-18, through the waypoint (-want +got):\n%s", d)
	}
	var got []string
	for _, d := range CompareTraffic(direct, behind) {
		got = append(got, d.String())
	}
	if d := cmp.Diff([]string{
		"timeout 2s of spec.http[0] of VirtualService shop/vs newly applied: gateway passes waypoint shop/waypoint",
		`subset {"version":"v2"} of spec.subsets[0] of DestinationRule shop/dr no longer applied: gateway passes waypoint shop/waypoint`,
		`loadBalancer {"simple":"LEAST_REQUEST"} of spec.trafficPolicy of DestinationRule shop/dr no longer applied: gateway passes waypoint shop/waypoint`,
	}, got); d != "" {
		t.Errorf("L-32, what the waypoint takes over (-want +got):\n%s", d)
	}
	if d := CompareTraffic(direct, s.Traffic(gw, ModeGateway, svc, svc.Ports[0], nil)); d != nil {
		t.Errorf("L-41: a gateway that stays as it is differs: %v", d)
	}
}

// TestGatewayAPIGateway is L-41 for a Gateway of Gateway API: it is known by the name label of its pods.
func TestGatewayAPIGateway(t *testing.T) {
	s := trafficState(t, `kind: HTTPRoute
metadata: {name: r, namespace: shop}
spec: {parentRefs: [{name: public, namespace: istio-ingress}], rules: [{timeouts: {request: 1s}, backendRefs: [{name: orders, port: 80}]}]}`)
	svc := s.Service("shop", "orders")
	gw := *s.WorkloadsIn("istio-ingress")[0]
	for name, want := range map[string][]string{"public": {"r rules[0]{timeout}"}, "other": nil} {
		gw.PodLabels = map[string]string{LabelGatewayName: name}
		if d := cmp.Diff(want, acting(s.Traffic(&gw, ModeGateway, svc, svc.Ports[0], nil))); d != "" {
			t.Errorf("gateway %s (-want +got):\n%s", name, d)
		}
	}
}

// TestTrafficOfNobody asks for what nobody can answer: never "nothing acts".
func TestTrafficOfNobody(t *testing.T) {
	s := trafficState(t, timeoutVS)
	svc := s.Service("shop", "orders")
	w := s.WorkloadsIn("web")[0]
	alias := *svc
	alias.ExternalName = "orders.example"
	for name, a := range map[string]Acting{
		"no client":     s.Traffic(nil, ModeSidecar, svc, svc.Ports[0], nil),
		"no service":    s.Traffic(w, ModeSidecar, nil, svc.Ports[0], nil),
		"mode unknown":  s.Traffic(w, ModeUnknown, svc, svc.Ports[0], nil),
		"several modes": s.Traffic(w, ModeMixed, svc, svc.Ports[0], nil),
		"externalName":  s.Traffic(w, ModeSidecar, &alias, svc.Ports[0], nil),
		"zero":          {},
	} {
		if a.Where != PlaceUnset || a.Unknown == "" && name != "zero" {
			t.Errorf("%s: acts at %s, unknown %q", name, a.Where, a.Unknown)
		}
		for _, d := range CompareTraffic(a, a) {
			if d.Change != TrafficUnknown {
				t.Errorf("%s compared with itself: %s", name, d)
			}
		}
		if len(CompareTraffic(a, a)) == 0 {
			t.Errorf("%s compared with itself is no difference", name)
		}
	}
}

// TestTrafficServiceExport: a Service that is not exported to the proxy is not known there, and a route to one is an
// unknown (annotation networking.istio.io/exportTo).
func TestTrafficServiceExport(t *testing.T) {
	s := trafficState(t, strings.Replace(timeoutVS, "host: orders}", "host: orders-v2}", 1))
	svc, other := s.Service("shop", "orders"), s.Service("shop", "orders-v2")
	w := s.WorkloadsIn("web")[0]
	if a := s.Traffic(w, ModeSidecar, svc, svc.Ports[0], nil); a.Where != PlaceSidecar || a.Unknown != "" {
		t.Errorf("exported to all: %s, unknown %q", a.Where, a.Unknown)
	}
	other.Annotations = map[string]string{"networking.istio.io/exportTo": "."}
	if a := s.Traffic(w, ModeSidecar, svc, svc.Ports[0], nil); a.Unknown == "" {
		t.Errorf("a route to a service that web does not see is known: %v", acting(a))
	}
	if a := s.Traffic(w, ModeSidecar, other, other.Ports[0], nil); a.Where != PlaceNone {
		t.Errorf("a service that web does not see: acts at %s", a.Where)
	}
	if a := s.Traffic(s.WorkloadsIn("shop")[0], ModeSidecar, other, other.Ports[0], nil); a.Where != PlaceSidecar {
		t.Errorf("a service that cart sees: acts at %s", a.Where)
	}
	if a := s.Traffic(w, ModeAmbient, other, other.Ports[0], &api.WaypointRef{Name: "waypoint", Namespace: "infra"}); a.Unknown == "" {
		t.Error("a waypoint that does not see its service is known")
	}
}
