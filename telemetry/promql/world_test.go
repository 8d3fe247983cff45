package promql_test

import (
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/telemetry/promql"
	"github.com/ambientplan/ambientplan/telemetry/series"
)

var (
	gateway     = series.Workload{Ref: series.Ref{Namespace: "istio-system", Name: "istio-ingressgateway"}, App: "istio-ingressgateway"}
	productpage = series.Workload{Ref: series.Ref{Namespace: "shop", Name: "productpage"}, App: "productpage", Version: "v1", Node: "node1"}
	reviews     = series.Workload{Ref: series.Ref{Namespace: "shop", Name: "reviews"}, App: "reviews", Version: "v2", Node: "node1"}
	waypoint    = series.Workload{Ref: series.Ref{Namespace: "shop", Name: "waypoint"}}
)

// probed is the traffic that the published values of observability.md 3 were measured with: 50 rps from the
// gateway to productpage, 100 rps of it to reviews, of which a tenth fail.
func probed() promql.Traffic {
	return promql.Traffic{Calls: []series.Call{
		{From: gateway, To: productpage, Service: productpage.Ref, Protocol: series.HTTP, Rate: 50, LatencyMS: 40, Bytes: 1000},
		{From: productpage, To: reviews, Service: reviews.Ref, Protocol: series.HTTP, Rate: 100, Errors: .1, LatencyMS: 40, Bytes: 1000},
	}}
}

func state(name string, client, server mesh.Mode, waypoints ...series.Ref) series.State {
	s := series.State{Name: name, Modes: map[series.Ref]mesh.Mode{
		gateway.Ref: mesh.ModeGateway, productpage.Ref: client, reviews.Ref: server,
	}, Waypoints: map[series.Ref]series.Waypoint{}}
	for _, w := range waypoints {
		s.Waypoints[w] = series.Waypoint{Workload: waypoint, IngressUse: true}
	}
	return s
}

// worlds are the five of observability.md 3.1, in its order; a migration passes through them in this order too.
func worlds() []series.State {
	return []series.State{
		state("sidecar", mesh.ModeSidecar, mesh.ModeSidecar),
		state("A->S", mesh.ModeAmbient, mesh.ModeSidecar),
		state("A->S+W", mesh.ModeAmbient, mesh.ModeSidecar, reviews.Ref),
		state("L4", mesh.ModeAmbient, mesh.ModeAmbient),
		state("waypoint", mesh.ModeAmbient, mesh.ModeAmbient, reviews.Ref, productpage.Ref),
	}
}
