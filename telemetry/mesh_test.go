package telemetry_test

import (
	"strings"
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// shop is the mesh that the catalogue is tried on. early and late call the three Services, and so does the gateway with
// orders:
//
//	prices   ends without a waypoint (L4)
//	reviews  ends with a waypoint (WP)
//	orders   ends with a waypoint that gateways use as well (iuw)
type shop struct {
	state  *mesh.State
	planes *mesh.DataPlanes
	plan   *api.MigrationPlan
}

// move is one step: the workloads that have no sidecar any more at its end, and whether waypoints are on by then.
type move struct {
	name     string
	ambient  []string
	waypoint bool
}

var (
	// clientsFirst is the order of a plan in which no sidecar calls an ambient server.
	clientsFirst = []move{
		{"enroll-clients", []string{"early", "late"}, false},
		{"waypoints-on", []string{"early", "late"}, true},
		{"enroll-servers", []string{"early", "late", "prices", "reviews", "orders"}, true},
	}
	// mixed has a client that moves after its servers.
	mixed = []move{
		{"enroll-early", []string{"early"}, false},
		{"waypoints-on", []string{"early"}, true},
		{"enroll-servers", []string{"early", "prices", "reviews", "orders"}, true},
		{"enroll-late", []string{"early", "late", "prices", "reviews", "orders"}, true},
	}
)

const gatewayName = "istio-ingressgateway"

// newShop lays moves over the mesh. It has neither the planner nor its proof in it: what is judged here is what becomes
// of queries, whatever the plan is.
//
// more are workloads besides, of the Service that is named before the dash: "reviews-v2".
func newShop(t testing.TB, moves []move, more ...string) shop {
	t.Helper()
	inv := &api.Inventory{Namespaces: []api.Namespace{{Name: "shop"}, {Name: "istio-system"}}}
	names := append([]string{"early", "late", "prices", "reviews", "orders", gatewayName}, more...)
	for _, name := range names {
		ns := "shop"
		if name == gatewayName {
			ns = "istio-system"
		}
		app, version, part := strings.Cut(name, "-")
		if !part || name == gatewayName {
			app, version = name, "v1"
		}
		labels := map[string]string{"app": app, "version": version}
		inv.Workloads = append(inv.Workloads, api.Workload{Group: "apps", APIVersion: "apps/v1", Kind: "Deployment", Namespace: ns, Name: name, PodLabels: labels, ServiceAccount: name, PodAnnotations: annotationsOf(name), Containers: []string{name}, Ports: []api.ContainerPort{{Name: "metrics", Port: 8080}}})
		if name == "early" || name == "late" || app != name {
			continue
		}
		inv.Services = append(inv.Services, api.Service{
			Namespace: ns, Name: name, Type: "ClusterIP", Selector: map[string]string{"app": name},
			Ports: []api.ServicePort{{Name: "http", Port: 9080, Transport: "TCP", Protocol: "HTTP"}},
		})
	}
	s := shop{planes: &mesh.DataPlanes{}, plan: &api.MigrationPlan{Digest: "sha256:shop"}}
	var unknown []api.Unknown
	if s.state, unknown = mesh.New(inv); len(unknown) > 0 {
		t.Fatal(unknown)
	}
	ref := func(name string) api.Ref {
		for i := range inv.Workloads {
			if inv.Workloads[i].Name == name {
				return inv.Workloads[i].Ref()
			}
		}
		t.Fatalf("no workload %s", name)
		return api.Ref{}
	}
	for _, name := range names {
		s.planes.Workloads = append(s.planes.Workloads, ref(name))
	}
	for _, to := range []string{"prices", "reviews", "orders"} {
		for _, from := range []string{"early", "late", gatewayName} {
			if from == gatewayName && to != "orders" {
				continue
			}
			s.plan.Calls = append(s.plan.Calls, api.Edge{From: ref(from), To: api.Ref{Kind: "Service", Namespace: "shop", Name: to}})
		}
	}
	before := move{}
	for i, m := range append([]move{{}}, moves...) {
		s.planes.States = append(s.planes.States, planeOf(i, names, before, m))
		before = m
	}
	return s
}

// annotationsOf: prices hands its own metrics to the sidecar, which is what merging is made for.
func annotationsOf(name string) map[string]string {
	if name != "prices" {
		return nil
	}
	return map[string]string{"prometheus.io/scrape": "true", "prometheus.io/port": "8080"}
}

func planeOf(wave int, names []string, before, m move) mesh.DataPlane {
	p := mesh.DataPlane{Wave: wave, Step: m.name}
	mode := func(name string, at move) mesh.Mode {
		if name == gatewayName {
			return mesh.ModeGateway
		}
		for _, a := range at.ambient {
			if a == name {
				return mesh.ModeAmbient
			}
		}
		return mesh.ModeSidecar
	}
	for _, name := range names {
		was, is := mode(name, before), mode(name, m)
		p.Modes = append(p.Modes, []mesh.Mode{is})
		during := []mesh.Mode{is}
		if was != is {
			during = []mesh.Mode{was, is}
		}
		p.During = append(p.During, during)
	}
	if m.waypoint {
		p.Waypoints = map[api.Ref]mesh.ActiveWaypoint{
			{Kind: "Service", Namespace: "shop", Name: "reviews"}: {Namespace: "shop", Name: "waypoint"},
			{Kind: "Service", Namespace: "shop", Name: "orders"}:  {Namespace: "shop", Name: "edge-waypoint", IngressUse: true},
		}
	}
	return p
}
