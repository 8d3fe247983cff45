package planner_test

import (
	"fmt"
	"testing"
	"time"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner"
)

// BenchmarkOrder orders meshes up to Kubernetes' published limit of 10,000
// services, five calls a service, half of the services guarded by layer 7 policy
// and the others with routes. ns/edge should not grow with the size.
func BenchmarkOrder(b *testing.B) {
	for _, services := range []int{100, 1000, 10000} {
		b.Run(fmt.Sprintf("services=%d", services), func(b *testing.B) {
			inv := &api.Inventory{}
			doc := api.FeatureNeeds{}
			var nss []api.PlanNamespace
			const perNamespace = 20
			ref := func(i int) (string, string) { return fmt.Sprintf("ns-%03d", i/perNamespace), fmt.Sprintf("s-%05d", i) }
			for i := range services {
				ns, n := ref(i)
				labels := map[string]string{"app": n}
				if i%perNamespace == 0 {
					inv.Namespaces = append(inv.Namespaces, api.Namespace{Name: ns, Labels: map[string]string{"istio-injection": "enabled"}})
					nss = append(nss, api.PlanNamespace{Name: ns, Pods: i % 97})
				}
				inv.Workloads = append(inv.Workloads, api.Workload{Group: "apps", Kind: "Deployment", Namespace: ns, Name: n, PodLabels: labels})
				inv.Services = append(inv.Services, api.Service{Namespace: ns, Name: n, Selector: labels})
				c := api.CapL7Authorization
				if i%2 == 0 {
					c = api.CapRetries
				}
				doc.Services = append(doc.Services, needs(ns, n, c))
				for k := range 5 {
					// Forward, so that the order is deep; some calls back make small cycles.
					j := min(i+1+k*k*7, services-1)
					if k == 4 && i%400 == 0 {
						j = max(i-perNamespace, 0)
					}
					tns, tn := ref(j)
					inv.Edges = append(inv.Edges, api.Edge{
						From: api.Ref{Group: "apps", Kind: "Deployment", Namespace: ns, Name: n}, To: api.Ref{Kind: "Service", Namespace: tns, Name: tn}, Provenance: api.Observed,
					})
				}
			}
			st, _ := mesh.New(inv)
			ds, _ := planner.Decide(st, nil, []api.FeatureNeeds{doc}, nil)
			b.ReportAllocs()
			for b.Loop() {
				edges, _, _ := planner.Edges(st, nil)
				cs := planner.Constrain(st, ds, edges)
				planner.Impossible(st, ds, edges)
				if _, _, _, err := planner.Schedule(nss, ds, cs, &api.MigrationPolicy{}, time.Time{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(inv.Edges)), "ns/edge")
		})
	}
}
