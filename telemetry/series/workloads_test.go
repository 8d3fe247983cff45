package series_test

import (
	"testing"

	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/telemetry/series"
)

// TestWorkloads counts what observability.md 1.7 and 1.8 say changes: proxies' containers, targets, and istiod's
// clients, which are one for each node.
func TestWorkloads(t *testing.T) {
	a, b := client, server
	a.Node, b.Node = "node1", "node1"
	for _, tt := range []struct {
		name                            string
		state                           series.State
		containers, clients, expiry, up float64
	}{
		{"sidecars", state(mesh.ModeSidecar, mesh.ModeSidecar, false, false), 2, 2, 2, 2},
		{"one moved", state(mesh.ModeAmbient, mesh.ModeSidecar, false, false), 2, 2, 1, 2},
		{"both moved share a ztunnel", state(mesh.ModeAmbient, mesh.ModeAmbient, false, false), 1, 1, 0, 1},
		{"with a waypoint", state(mesh.ModeAmbient, mesh.ModeAmbient, true, false), 2, 2, 1, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all, err := series.Workloads([]series.Workload{a, b, a}, tt.state)
			if err != nil {
				t.Fatal(err)
			}
			count := func(name string) (n float64) {
				for _, s := range all {
					if s.Name == name {
						n++
					}
				}
				return n
			}
			clients := -1.0
			for _, s := range all {
				if s.Name == "pilot_xds" {
					clients = s.Value
				}
			}
			got := []float64{count("container_memory_working_set_bytes"), clients, count("istio_agent_cert_expiry_seconds"), count("up")}
			for i, want := range []float64{tt.containers, tt.clients, tt.expiry, tt.up} {
				if got[i] != want {
					t.Errorf("%v, want %v %v %v %v", got, tt.containers, tt.clients, tt.expiry, tt.up)
					break
				}
			}
		})
	}
	if _, err := series.Workloads([]series.Workload{waypoint}, series.State{}); err == nil {
		t.Error("an unknown mode is no error")
	}
}
