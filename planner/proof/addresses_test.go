package proof

import (
	"net/netip"
	"testing"

	security "istio.io/api/security/v1beta1"
	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// TestAddressesBehindWaypoints: behind a waypoint nobody compares the client's
// address with ipBlocks: the pod sees the waypoint's (facts L-12), and what the
// waypoint takes for it is not known (facts T-04). The remote address is the
// client's at the waypoint only. Without a waypoint both are the client's.
func TestAddressesBehindWaypoints(t *testing.T) {
	client := netip.MustParseAddr("10.1.2.3")
	source, remote := `rules: [{from: [{source: {ipBlocks: [10.1.2.3]}}]}]`, `rules: [{from: [{source: {remoteIpBlocks: [10.1.2.3]}}]}]`
	destination := `rules: [{when: [{key: destination.ip, values: [10.1.2.4]}]}]`
	cases := []struct {
		name, waypoint, pod string
		server              mesh.Mode
		through, direct     mesh.Outcome
	}{
		{"ipBlocks at ztunnel", "rules: [{}]", source, mesh.ModeAmbient, mesh.OutcomeUnknown, mesh.Allowed},
		{"ipBlocks at the sidecar", "rules: [{}]", source, mesh.ModeSidecar, mesh.OutcomeUnknown, mesh.Allowed},
		{"remoteIpBlocks at the sidecar", "rules: [{}]", remote, mesh.ModeSidecar, mesh.OutcomeUnknown, mesh.Allowed},
		{"ipBlocks at the waypoint", source, "rules: [{}]", mesh.ModeAmbient, mesh.OutcomeUnknown, mesh.Allowed},
		{"remoteIpBlocks at the waypoint", remote, "rules: [{}]", mesh.ModeAmbient, mesh.Allowed, mesh.Allowed},
		{"the address of the pod at the waypoint", destination, "rules: [{}]", mesh.ModeAmbient, mesh.OutcomeUnknown, mesh.Allowed},
	}
	policies := func(spec string) []authorization {
		p := &security.AuthorizationPolicy{}
		if err := yaml.Unmarshal([]byte(spec), p); err != nil {
			t.Fatal(err)
		}
		return []authorization{{Object: &api.Object{Kind: "AuthorizationPolicy", Namespace: "shop", Name: "p"}, Spec: p}}
	}
	st, _ := mesh.New(&api.Inventory{})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := &api.Workload{}
			p := &prover{st: st, peerAuth: map[*api.Workload]peerAuth{w: {}}}
			e := &enforcers{
				view: &view{waypoint: &waypoint{ref: api.WaypointRef{Namespace: "shop", Name: "waypoint"}}}, pod: &podView{workload: w},
				waypoint: mesh.CompileProxy(policies(c.waypoint), false), sidecar: mesh.CompileProxy(policies(c.pod), false), ztunnel: mesh.CompileZtunnel(policies(c.pod)),
			}
			to := &call{port: api.ServicePort{Port: 80}, principal: "cluster.local/ns/shop/sa/web"}
			r := mesh.Request{Source: client, Destination: netip.MustParseAddr("10.1.2.4"), Method: "GET", Path: "/"}
			for direct, want := range map[bool]mesh.Outcome{false: c.through, true: c.direct} {
				if got := p.judge(e, way{client: mesh.ModeAmbient, server: c.server, direct: direct}, to, r); got.Outcome != want {
					t.Errorf("past the waypoint %v: %v (%s), want %v", direct, got.Outcome, got.By, want)
				}
			}
		})
	}
}
