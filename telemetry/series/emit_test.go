package series_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/telemetry/series"
	"pgregory.net/rapid"
)

var (
	client   = series.Workload{Ref: series.Ref{Namespace: "shop", Name: "productpage"}, App: "productpage"}
	server   = series.Workload{Ref: series.Ref{Namespace: "shop", Name: "reviews"}, App: "reviews", Version: "v2"}
	waypoint = series.Workload{Ref: series.Ref{Namespace: "shop", Name: "waypoint"}}
)

func call(p series.Protocol) series.Call {
	return series.Call{From: client, To: server, Service: server.Ref, Protocol: p, Rate: 100, Errors: .1, LatencyMS: 40, Bytes: 1000}
}

func state(from, to mesh.Mode, with, ingress bool) series.State {
	s := series.State{Name: "tested", Modes: map[series.Ref]mesh.Mode{client.Ref: from, server.Ref: to}}
	if with {
		s.Waypoints = map[series.Ref]series.Waypoint{server.Ref: {Workload: waypoint, IngressUse: ingress}}
	}
	return s
}

// TestMixedStates is observability.md 1.9: how many of 100 requests a second each view counts, "-" for no series.
func TestMixedStates(t *testing.T) {
	const S, A, GW, OUT = mesh.ModeSidecar, mesh.ModeAmbient, mesh.ModeGateway, mesh.ModeNone
	notWaypoint := func(s series.Series) bool {
		return s.Labels["source_workload"] != "waypoint" && !strings.HasSuffix(s.Labels["source_principal"], "/sa/waypoint")
	}
	reporters := func(all ...string) func(series.Series) bool {
		return func(s series.Series) bool { return strings.Contains(strings.Join(all, " "), s.Labels["reporter"]) }
	}
	views := []func(series.Series) bool{
		func(series.Series) bool { return true },
		reporters("source"), reporters("destination"), reporters("source", "waypoint"), reporters("destination", "waypoint"),
		func(s series.Series) bool { return reporters("destination", "waypoint")(s) && notWaypoint(s) },
	}
	for _, tt := range []struct {
		path     string
		from, to mesh.Mode
		with     bool
		iuw      bool
		want     string // no reporter, source, destination, source|waypoint, destination|waypoint, D
	}{
		{"S->S", S, S, false, false, "200 100 100 100 100 100"},
		{"S->S+W", S, S, true, true, "200 100 100 100 100 100"},
		{"S->A", S, A, false, false, "100 100 - 100 - -"},
		{"S->A+W", S, A, true, true, "100 100 - 100 - -"},
		{"A->S", A, S, false, false, "100 - 100 - 100 100"},
		{"A->S+W", A, S, true, true, "200 - 100 100 200 100"},
		{"A->A", A, A, false, false, "- - - - - -"},
		{"A->A+W", A, A, true, true, "100 - - 100 100 100"},
		{"GW->S", GW, S, false, false, "200 100 100 100 100 100"},
		{"GW->A", GW, A, false, false, "100 100 - 100 - -"},
		{"GW->A+W", GW, A, true, false, "100 100 - 100 - -"},
		{"GW->A+W iuw", GW, A, true, true, "200 100 - 200 100 100"},
		{"GW->S+W iuw", GW, S, true, true, "300 100 100 200 200 100"},
		{"OUT->S", OUT, S, false, false, "100 - 100 - 100 100"},
		{"OUT->A", OUT, A, false, false, "- - - - - -"},
	} {
		t.Run(tt.path, func(t *testing.T) {
			c, s := call(series.HTTP), state(tt.from, tt.to, tt.with, tt.iuw)
			p, err := series.PathOf(c, s)
			if err != nil || p.String() != tt.path {
				t.Fatalf("path %q, %v", p, err)
			}
			all, err := series.Emit(c, s)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, view := range views {
				got = append(got, requests(all, view))
			}
			if g := strings.Join(got, " "); g != tt.want {
				t.Errorf("got  %s\nwant %s", g, tt.want)
			}
		})
	}
}

func requests(all []series.Series, view func(series.Series) bool) string {
	sum, some := 0.0, false
	for _, s := range all {
		if s.Name == "istio_requests_total" && view(s) {
			sum, some = sum+s.Rate, true
		}
	}
	if !some {
		return "-"
	}
	return fmt.Sprintf("%g", sum)
}

// TestLabels are the cells of observability.md 1.3 that rewrites rest on.
func TestLabels(t *testing.T) {
	const S, A, OUT = mesh.ModeSidecar, mesh.ModeAmbient, mesh.ModeNone
	for _, tt := range []struct {
		name     string
		protocol series.Protocol
		state    series.State
		emitter  series.Emitter
		label    string
		want     string
	}{
		{"a source sidecar never knows the encryption", series.HTTP, state(S, S, false, false), series.SidecarClient, "connection_security_policy", "unknown"},
		{"mTLS at the server", series.HTTP, state(S, S, false, false), series.SidecarServer, "connection_security_policy", "mutual_tls"},
		{"plaintext at a sidecar", series.HTTP, state(OUT, S, false, false), series.SidecarServer, "connection_security_policy", "none"},
		{"plaintext at ztunnel is never none", series.HTTP, state(OUT, A, false, false), series.ZtunnelDestination, "connection_security_policy", "unknown"},
		{"ztunnel knows it as source too", series.HTTP, state(A, A, false, false), series.ZtunnelSource, "connection_security_policy", "mutual_tls"},
		{"ztunnel's destination is the waypoint", series.HTTP, state(A, A, true, false), series.ZtunnelSource, "destination_workload", "waypoint"},
		{"but the service stays", series.HTTP, state(A, A, true, false), series.ZtunnelSource, "destination_service_name", "reviews"},
		{"the far ztunnel sees the waypoint call", series.HTTP, state(A, A, true, false), series.ZtunnelDestination, "source_workload", "waypoint"},
		{"so does the server's sidecar", series.HTTP, state(A, S, true, false), series.SidecarServer, "source_principal", "spiffe://cluster.local/ns/shop/sa/waypoint"},
		{"a gateway's header survives the waypoint, not its identity", series.HTTP, state(mesh.ModeGateway, S, true, true), series.SidecarServer, "source_workload", "productpage"},
		{"a gateway's call carries the waypoint's identity", series.HTTP, state(mesh.ModeGateway, S, true, true), series.SidecarServer, "source_principal", "spiffe://cluster.local/ns/shop/sa/waypoint"},
		{"an ambient caller's name does not survive", series.HTTP, state(A, S, true, false), series.SidecarServer, "source_workload", "waypoint"},
		{"the waypoint knows the first client", series.HTTP, state(A, A, true, false), series.WaypointProxy, "source_principal", "spiffe://cluster.local/ns/shop/sa/productpage"},
		{"ztunnel counts connections only", series.HTTP, state(A, A, false, false), series.ZtunnelSource, "request_protocol", "tcp"},
		{"ztunnel has no version: canonical revision latest", series.HTTP, state(A, A, false, false), series.ZtunnelSource, "source_version", "latest"},
		{"where a sidecar says unknown", series.HTTP, state(S, S, false, false), series.SidecarClient, "source_version", "unknown"},
		{"the target is the waypoint's pod", series.HTTP, state(A, A, true, false), series.WaypointProxy, "pod", "waypoint-0"},
		{"ztunnel is in istio-system", series.TCP, state(A, A, false, false), series.ZtunnelSource, "namespace", "istio-system"},
		{"a waypoint does not know a TCP endpoint", series.TCP, state(A, A, true, false), series.WaypointProxy, "destination_workload", "unknown"},
		{"gRPC has a status", series.GRPC, state(S, S, false, false), series.SidecarServer, "grpc_response_status", "0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all, err := series.Emit(call(tt.protocol), tt.state)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range all {
				if s.Emitter == tt.emitter {
					if got := s.Labels[tt.label]; got != tt.want {
						t.Errorf("%s = %q, want %q", tt.label, got, tt.want)
					}
					if len(s.Facts) == 0 {
						t.Error("a series without a source")
					}
					return
				}
			}
			t.Error("no such emitter")
		})
	}
}

// TestNoEndpoint: errors that a waypoint makes itself name no workload (observability.md 0.10).
func TestNoEndpoint(t *testing.T) {
	c := call(series.HTTP)
	c.Unrouted = .2
	all, err := series.Emit(c, state(mesh.ModeAmbient, mesh.ModeAmbient, true, false))
	if err != nil {
		t.Fatal(err)
	}
	found := 0.0
	for _, s := range all {
		if s.Name == "istio_requests_total" && s.Labels["destination_workload"] == "unknown" && s.Labels["response_code"] == "503" {
			found += s.Rate
		}
	}
	if found != 20 {
		t.Errorf("%g requests a second without a workload, want 20", found)
	}
}

// TestSilencedWaypoint: Telemetry that disables SERVER metrics switches a waypoint off (observability.md 0.4).
func TestSilencedWaypoint(t *testing.T) {
	s := state(mesh.ModeAmbient, mesh.ModeAmbient, true, false)
	s.NoServerMetrics = map[series.Ref]bool{waypoint.Ref: true}
	all, err := series.Emit(call(series.HTTP), s)
	if err != nil {
		t.Fatal(err)
	}
	if got := requests(all, func(series.Series) bool { return true }); got != "-" {
		t.Errorf("%s requests a second", got)
	}
}

// TestUnknown: what is not known is an error, never "no series".
func TestUnknown(t *testing.T) {
	for name, s := range map[string]series.State{
		"mode not known": {Modes: map[series.Ref]mesh.Mode{client.Ref: mesh.ModeSidecar}},
		"mixed":          {Modes: map[series.Ref]mesh.Mode{client.Ref: mesh.ModeSidecar, server.Ref: mesh.ModeMixed}},
	} {
		if all, err := series.Emit(call(series.HTTP), s); err == nil {
			t.Errorf("%s: %d series and no error", name, len(all))
		}
	}
	if _, err := series.Emit(call(series.ProtocolUnknown), state(mesh.ModeSidecar, mesh.ModeSidecar, false, false)); err == nil {
		t.Error("protocol not known: no error")
	}
}

// TestEmitProperties: series are unique, ztunnel never emits requests, and no emitter counts a call twice.
func TestEmitProperties(t *testing.T) {
	modes := rapid.SampledFrom([]mesh.Mode{mesh.ModeSidecar, mesh.ModeAmbient, mesh.ModeNone, mesh.ModeGateway})
	rapid.Check(t, func(t *rapid.T) {
		c := call(rapid.SampledFrom([]series.Protocol{series.HTTP, series.GRPC, series.TCP}).Draw(t, "protocol"))
		c.Errors, c.Unrouted = rapid.Float64Range(0, 1).Draw(t, "errors"), rapid.Float64Range(0, 1).Draw(t, "unrouted")
		s := state(modes.Draw(t, "from"), modes.Draw(t, "to"), rapid.Bool().Draw(t, "waypoint"), rapid.Bool().Draw(t, "iuw"))
		all, err := series.Emit(c, s)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		counted := map[series.Emitter]float64{}
		for _, one := range all {
			if seen[one.Key()] {
				t.Fatalf("twice: %s", one.Key())
			}
			seen[one.Key()] = true
			if one.Name != "istio_requests_total" {
				continue
			}
			counted[one.Emitter] += one.Rate
			if one.Emitter == series.ZtunnelSource || one.Emitter == series.ZtunnelDestination {
				t.Fatalf("ztunnel emits %s", one.Key())
			}
		}
		for e, rate := range counted {
			if rate > c.Rate*1.000001 {
				t.Fatalf("%s counts %g of %g", e, rate, c.Rate)
			}
		}
	})
}
