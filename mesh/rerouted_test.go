package mesh

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// TestRerouted: a VirtualService that picks a subset, and an HTTPRoute that picks a
// Service with the same pods, act alike on a waypoint and on sidecars: while both are
// there, and when the VirtualService is gone.
func TestRerouted(t *testing.T) {
	orders := api.Service{Namespace: "shop", Name: "orders", Selector: map[string]string{"app": "orders"}, Ports: []api.ServicePort{{Name: "http", Port: 80, Protocol: "HTTP"}}}
	v2 := api.Service{Namespace: "shop", Name: "orders-v2", Selector: map[string]string{"app": "orders", "version": "v2"}, Ports: orders.Ports}
	inv := &api.Inventory{
		Namespaces: []api.Namespace{{Name: "shop"}, {Name: "web"}, {Name: "istio-system"}},
		Services:   []api.Service{orders},
		Workloads: []api.Workload{
			{Kind: "Deployment", APIVersion: "apps/v1", Group: "apps", Namespace: "web", Name: "web"},
			{Kind: "Deployment", APIVersion: "apps/v1", Group: "apps", Namespace: "shop", Name: "cart"},
		},
		Objects: []api.Object{
			{APIVersion: "networking.istio.io/v1", Kind: "VirtualService", Namespace: "shop", Name: "orders", Content: content(t, `
spec: {hosts: [orders], http: [{timeout: 2s, route: [{destination: {host: orders, subset: v2}}]}]}`)},
			{APIVersion: "networking.istio.io/v1", Kind: "DestinationRule", Namespace: "shop", Name: "orders", Content: content(t, `
spec: {host: orders, trafficPolicy: {loadBalancer: {simple: RANDOM}}, subsets: [{name: v2, labels: {version: v2}}]}`)},
		},
	}
	s, unknowns := New(inv)
	if len(unknowns) > 0 {
		t.Fatal(unknowns)
	}
	vs := api.Ref{Group: "networking.istio.io", Kind: "VirtualService", Namespace: "shop", Name: "orders"}
	route := api.Ref{Group: "gateway.networking.k8s.io", Kind: "HTTPRoute", Namespace: "shop", Name: "orders"}
	rule := api.Ref{Group: "networking.istio.io", Kind: "DestinationRule", Namespace: "shop", Name: "orders-v2"}
	htr := func(timeout string) api.Content {
		return content(t, `{apiVersion: gateway.networking.k8s.io/v1, spec: {parentRefs: [{group: "", kind: Service, name: orders}], rules: [{timeouts: {request: `+timeout+`}, backendRefs: [{name: orders-v2, port: 80}]}]}}`)
	}
	policy := content(t, `{apiVersion: networking.istio.io/v1, spec: {host: orders-v2, trafficPolicy: {loadBalancer: {simple: RANDOM}}}}`)
	wrong := v2
	wrong.Selector = map[string]string{"app": "orders", "version": "v3"}
	for _, c := range []struct {
		name     string
		objects  map[api.Ref]api.Content
		services []api.Service
		want     string
	}{
		{"both", map[api.Ref]api.Content{route: htr("2s"), rule: policy}, []api.Service{v2}, ""},
		{"the route alone", map[api.Ref]api.Content{route: htr("2s"), rule: policy, vs: nil}, []api.Service{v2}, ""},
		{"another timeout", map[api.Ref]api.Content{route: htr("3s"), rule: policy, vs: nil}, []api.Service{v2}, "timeout"},
		{"other pods", map[api.Ref]api.Content{route: htr("2s"), rule: policy, vs: nil}, []api.Service{wrong}, "route"},
		{"the policy of the subset is forgotten", map[api.Ref]api.Content{route: htr("2s"), vs: nil}, []api.Service{v2}, "loadBalancer"},
		{"nothing", map[api.Ref]api.Content{vs: nil}, nil, "timeout"},
	} {
		for _, about := range []*api.Service{nil, &s.Services()[0]} {
			then, err := s.Rerouted(about, c.objects, c.services)
			if err != nil {
				t.Fatal(err)
			}
			compareRerouted(t, c.name, c.want, s, then)
		}
	}
}

// compareRerouted compares all calls of the first Service in two states.
func compareRerouted(t *testing.T, name, want string, s, then *State) {
	t.Helper()
	svc := &s.Services()[0]
	for i := range s.Workloads() {
		client := &s.Workloads()[i]
		for place, way := range map[string]struct {
			mode    Mode
			through *api.WaypointRef
		}{"waypoint": {ModeAmbient, &api.WaypointRef{Namespace: "shop", Name: "waypoint"}}, "sidecar": {ModeSidecar, nil}} {
			before := s.Traffic(client, way.mode, svc, svc.Ports[0], way.through)
			after := then.Traffic(client, way.mode, svc, svc.Ports[0], way.through)
			var got []string
			for _, d := range CompareTraffic(before, after) {
				got = append(got, d.Feature+d.Why)
			}
			if found := strings.Join(got, " "); (want == "") != (found == "") || !strings.Contains(found, want) {
				t.Errorf("%s, %s of %s: found %q, want %q", name, place, client.Ref(), found, want)
			}
		}
	}
}

func content(t *testing.T, text string) api.Content {
	t.Helper()
	var c api.Content
	if err := yaml.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	return c
}
