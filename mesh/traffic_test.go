package mesh

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// trafficState is a mesh with the given objects. Services orders and orders-v2 are in namespace shop, the clients in
// web (labels app: web) and shop (app: cart); the gateway is in istio-ingress.
func trafficState(t testing.TB, documents string) *State {
	t.Helper()
	inv := &api.Inventory{
		Namespaces: []api.Namespace{{Name: "shop"}, {Name: "web"}, {Name: "infra"}, {Name: "istio-system"}, {Name: "istio-ingress"}},
		Services: []api.Service{
			{Namespace: "shop", Name: "orders", Ports: []api.ServicePort{{Port: 80, Protocol: "HTTP"}, {Port: 9000, Protocol: "TCP"}, {Port: 443, Protocol: "TLS"}}},
			{Namespace: "shop", Name: "orders-v2", Ports: []api.ServicePort{{Port: 80, Protocol: "HTTP"}}},
			{Namespace: "shop", Name: "db", Headless: true, Ports: []api.ServicePort{{Port: 80, Protocol: "HTTP"}}},
		},
		Workloads: []api.Workload{
			{Kind: "Deployment", APIVersion: "apps/v1", Group: "apps", Namespace: "web", Name: "web", PodLabels: map[string]string{"app": "web"}},
			{Kind: "Deployment", APIVersion: "apps/v1", Group: "apps", Namespace: "shop", Name: "cart", PodLabels: map[string]string{"app": "cart"}},
			{Kind: "Deployment", APIVersion: "apps/v1", Group: "apps", Namespace: "istio-ingress", Name: "gw", PodLabels: map[string]string{"istio": "ingressgateway"}},
		},
	}
	for doc := range strings.SplitSeq(documents, "\n---\n") {
		if strings.TrimSpace(doc) == "" {
			continue
		}
		b, err := yaml.YAMLToJSON([]byte(doc))
		if err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		var c api.Content
		if err := json.Unmarshal(b, &c); err != nil {
			t.Fatal(err)
		}
		meta, _ := c["metadata"].(map[string]any)
		kind, _ := c["kind"].(string)
		inv.Objects = append(inv.Objects, api.Object{APIVersion: apiVersionOf(kind), Kind: kind, Namespace: textOf(meta["namespace"]), Name: textOf(meta["name"]), Content: c})
	}
	s, unknowns := New(inv)
	if len(unknowns) > 0 {
		t.Fatal(unknowns)
	}
	return s
}

func apiVersionOf(kind string) string {
	switch kind {
	case "HTTPRoute", "GRPCRoute":
		return "gateway.networking.k8s.io/v1"
	case "TCPRoute", "TLSRoute":
		return "gateway.networking.k8s.io/v1alpha2"
	case "BackendTLSPolicy":
		return "gateway.networking.k8s.io/v1"
	case "MeshConfig":
		return "istio.io/v1alpha1"
	}
	return "networking.istio.io/v1"
}

// acting writes what acts in short: "waypoint: spec.http[0]{timeout}" and so on.
func acting(a Acting) []string {
	var out []string
	if a.Unknown != "" {
		out = append(out, "unknown")
	}
	for _, list := range [][]Applied{a.Routes, a.Policies} {
		for _, r := range list {
			var names []string
			for _, f := range r.Features {
				names = append(names, f.Name)
			}
			out = append(out, r.Object.Name+" "+strings.TrimPrefix(r.Path, "spec.")+"{"+strings.Join(names, " ")+"}")
		}
	}
	if a.Then != nil {
		for _, s := range acting(*a.Then) {
			out = append(out, "then "+s)
		}
	}
	return out
}

// trafficCase asks for one call. Way is "web", "cart" or "gw" for the client, with "+ambient", "+none", "+waypoint"
// (in shop) or "+infra" (waypoint in infra).
type trafficCase struct {
	fact, name, objects, way string
	port                     int32
	service                  string
	where                    Place
	want                     []string
}

func (c trafficCase) ask(t testing.TB, s *State) Acting {
	t.Helper()
	client, how, _ := strings.Cut(c.way, "+")
	ns := map[string]string{"web": "web", "cart": "shop", "gw": "istio-ingress"}[client]
	mode := ModeSidecar
	var through *api.WaypointRef
	switch how {
	case "ambient":
		mode = ModeAmbient
	case "none":
		mode = ModeNone
	case "waypoint":
		mode, through = ModeAmbient, &api.WaypointRef{Name: "waypoint", Namespace: "shop"}
	case "infra":
		mode, through = ModeAmbient, &api.WaypointRef{Name: "waypoint", Namespace: "infra"}
	}
	if client == "gw" {
		mode = ModeGateway
	}
	if c.service == "" {
		c.service = "orders"
	}
	if c.port == 0 {
		c.port = 80
	}
	svc := s.Service("shop", c.service)
	for _, p := range svc.Ports {
		if p.Port == c.port {
			return s.Traffic(s.WorkloadsIn(ns)[0], mode, svc, p, through)
		}
	}
	t.Fatalf("%s has no port %d", c.service, c.port)
	return Acting{}
}

const timeoutVS = `
kind: VirtualService
metadata: {name: vs, namespace: shop}
spec: {hosts: [orders], http: [{route: [{destination: {host: orders}}], timeout: 2s}]}
`

const poolDR = `
kind: DestinationRule
metadata: {name: dr, namespace: shop}
spec: {host: orders, trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}}}
`

// TestWhoApplies is the table of facts M-10 to M-20, L-30 to L-34 and C-01.
func TestWhoApplies(t *testing.T) {
	both := timeoutVS + "---\n" + poolDR
	all := []string{"vs http[0]{timeout}", "dr trafficPolicy{connectionPool}"}
	for _, c := range []trafficCase{
		{fact: "M-10", name: "client sidecar", objects: both, way: "web", where: PlaceSidecar, want: all},
		{fact: "M-12", name: "client sidecar bypasses the waypoint", objects: both, way: "web", where: PlaceSidecar, want: all},
		{fact: "M-13", name: "ambient client without waypoint", objects: both, way: "web+ambient", where: PlaceNone},
		{fact: "M-16", name: "ambient client with waypoint", objects: both, way: "web+waypoint", where: PlaceWaypoint, want: all},
		{fact: "M-31", name: "waypoint in another namespace", objects: both, way: "web+infra", where: PlaceWaypoint, want: all},
		{fact: "M-19", name: "client outside of the mesh", objects: both, way: "web+none", where: PlaceNone},
		{fact: "M-25", name: "headless", objects: strings.ReplaceAll(both, "orders", "db"), way: "web+waypoint", service: "db", where: PlaceNone},
		{fact: "L-30", name: "client namespace, sidecar", objects: strings.ReplaceAll(strings.ReplaceAll(both, "namespace: shop", "namespace: web"), "host: orders", "host: orders.shop.svc.cluster.local"), way: "web", where: PlaceSidecar,
			want: []string{"dr trafficPolicy{connectionPool}"}},
	} {
		t.Run(c.fact+" "+c.name, func(t *testing.T) {
			got := c.ask(t, trafficState(t, c.objects))
			if got.Where != c.where {
				t.Errorf("acts at %s, want %s", got.Where, c.where)
			}
			if d := cmp.Diff(c.want, acting(got)); d != "" {
				t.Errorf("acts (-want +got):\n%s", d)
			}
		})
	}
}

// TestCompareTraffic is what the plan may lose.
func TestCompareTraffic(t *testing.T) {
	s := trafficState(t, timeoutVS+"---\n"+poolDR)
	ask := func(way string) Acting { return trafficCase{way: way}.ask(t, s) }
	for _, c := range []struct {
		before, after string
		want          []string
	}{
		{"web", "web+waypoint", nil},
		{"web", "web+ambient", []string{
			"timeout 2s of spec.http[0] of VirtualService shop/vs no longer applied: ambient client, service has no waypoint",
			`connectionPool {"tcp":{"maxConnections":1}} of spec.trafficPolicy of DestinationRule shop/dr no longer applied: ambient client, service has no waypoint`,
		}},
		{"web+ambient", "web", []string{
			"timeout 2s of spec.http[0] of VirtualService shop/vs newly applied: client sidecar",
			`connectionPool {"tcp":{"maxConnections":1}} of spec.trafficPolicy of DestinationRule shop/dr newly applied: client sidecar`,
		}},
	} {
		var got []string
		for _, d := range CompareTraffic(ask(c.before), ask(c.after)) {
			got = append(got, d.String())
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s -> %s (-want +got):\n%s", c.before, c.after, d)
		}
	}
}

// TestCompareTrafficRules is what differs between two versions of the same rules.
func TestCompareTrafficRules(t *testing.T) {
	const to = "route: [{destination: {host: orders}}]"
	for _, c := range []struct {
		name, before, after string
		want                []string
	}{
		{"moved to the service's namespace", strings.Replace(rules("{timeout: 2s, route: [{destination: {host: orders.shop.svc.cluster.local}}]}"), "namespace: shop}\nspec: {hosts: [orders]", "namespace: infra}\nspec: {hosts: [orders.shop.svc.cluster.local]", 1), rules("{timeout: 2s, " + to + "}"), nil},
		{"a plain route is no rule", rules("{" + to + "}"), "", nil},
		{"another timeout", rules("{timeout: 2s, " + to + "}"), rules("{timeout: 3s, " + to + "}"),
			[]string{"timeout 3s of spec.http[0] of VirtualService shop/vs changed from 2s: client sidecar"}},
		{"another order", rules("{match: [{uri: {prefix: /a}}], timeout: 1s, " + to + "}, {match: [{uri: {exact: /a/b}}], timeout: 2s, " + to + "}, {" + to + "}"),
			rules("{match: [{uri: {exact: /a/b}}], timeout: 2s, " + to + "}, {match: [{uri: {prefix: /a}}], timeout: 1s, " + to + "}, {" + to + "}"),
			[]string{`order of spec.http[1].match[0] of VirtualService shop/vs changed for requests that match {"uri":{"prefix":"/a"}}: client sidecar`}},
		{"another order of rules for other paths", rules("{match: [{uri: {prefix: /a}}], timeout: 1s, " + to + "}, {match: [{uri: {exact: /b}}], timeout: 2s, " + to + "}, {" + to + "}"),
			rules("{match: [{uri: {exact: /b}}], timeout: 2s, " + to + "}, {match: [{uri: {prefix: /a}}], timeout: 1s, " + to + "}, {" + to + "}"), nil},
		{"one of two rules", rules("{match: [{uri: {prefix: /a}}], timeout: 1s, retries: {attempts: 3}, " + to + "}, {" + to + "}"), rules("{" + to + "}"),
			[]string{`retries {"attempts":3} of spec.http[0].match[0] of VirtualService shop/vs no longer applied for requests that match {"uri":{"prefix":"/a"}}: client sidecar`,
				`timeout 1s of spec.http[0].match[0] of VirtualService shop/vs no longer applied for requests that match {"uri":{"prefix":"/a"}}: client sidecar`}},
		{"a catch-all comes", rules("{match: [{uri: {prefix: /a}}], timeout: 1s, " + to + "}"), rules("{match: [{uri: {prefix: /a}}], timeout: 1s, " + to + "}, {" + to + "}"),
			[]string{"route to the service for all other requests of spec.http[1] of VirtualService shop/vs newly applied: client sidecar"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ask := trafficCase{way: "web"}
			var got []string
			for _, d := range CompareTraffic(ask.ask(t, trafficState(t, c.before)), ask.ask(t, trafficState(t, c.after))) {
				got = append(got, d.String())
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}
