package planner_test

import (
	"strings"
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/planner"
)

// TestWaypointSize: a waypoint is sized by the requests that are known, else by what
// owners set aside for sidecars, else by the chart; the MigrationPolicy wins.
func TestWaypointSize(t *testing.T) {
	for _, c := range []struct {
		name   string
		rate   float64
		cpu    string
		policy api.WaypointPolicy
		want   []string
	}{
		{"nothing is known", 0, "", api.WaypointPolicy{}, []string{"cpu: 100m", "minReplicas: 2", "maxReplicas: 5"}},
		{"few requests", 40, "", api.WaypointPolicy{}, []string{"cpu: 100m", "minReplicas: 2", "maxReplicas: 5"}},
		// 4,000 a second are 1,000m, at 70 % that is 1,429m: two pods of 750m.
		{"many requests", 4000, "", api.WaypointPolicy{}, []string{"cpu: 750m", "minReplicas: 2", "maxReplicas: 5"}},
		// 40,000 are 10,000m, at 70 % 14,286m: fifteen pods of 1,000m.
		{"more than two pods can do", 40000, "", api.WaypointPolicy{}, []string{"cpu: 1000m", "minReplicas: 15", "maxReplicas: 30"}},
		{"the policy says how large", 4000, "", api.WaypointPolicy{CPURequest: "200m", MaxReplicas: 20}, []string{"cpu: 200m", "minReplicas: 8", "maxReplicas: 20"}},
		// Three pods with 400m each are 1,200m, at 70 % 1,715m: two pods of 900m.
		{"the owner sized the sidecars", 0, "400m", api.WaypointPolicy{}, []string{"cpu: 900m", "minReplicas: 2"}},
		{"a size that is none", 0, "much", api.WaypointPolicy{}, []string{"cpu: 100m"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inv, _ := planCase(t, "l7_allow")
			three := int32(3)
			for i := range inv.Workloads {
				if w := &inv.Workloads[i]; w.Name == "cart" {
					w.Replicas = &three
					if c.cpu != "" {
						w.PodAnnotations = map[string]string{"sidecar.istio.io/proxyCPU": c.cpu}
					}
				}
			}
			inv.Edges = append(inv.Edges, api.Edge{
				From: api.Ref{Group: "apps", Kind: "Deployment", Namespace: "client", Name: "web"}, To: api.Ref{Kind: "Service", Namespace: "server", Name: "cart"},
				Rate: c.rate, Provenance: api.Observed,
			})
			p, err := planner.Plan(t.Context(), planner.Input{Inventory: inv, Policy: &api.MigrationPolicy{Waypoint: c.policy}})
			if err != nil {
				t.Fatal(err)
			}
			text := ""
			for _, w := range p.Waves {
				for _, s := range w.Steps {
					for _, x := range s.Changes {
						if x.Object.Kind == "ConfigMap" && x.After != nil {
							data, _ := x.After["data"].(map[string]any)
							for _, v := range data {
								text += v.(string)
							}
						}
					}
				}
			}
			for _, want := range c.want {
				if !strings.Contains(text, want+"\n") {
					t.Errorf("want %q in\n%s", want, text)
				}
			}
		})
	}
}
