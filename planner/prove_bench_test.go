package planner_test

import (
	"fmt"
	"testing"

	"github.com/ambientplan/ambientplan/internal/meshgen"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner"
)

// BenchmarkProve proves all states of a plan: ten services, forty calls and thirty
// pods to a namespace. x-plan is its time over that of making the plan, the proof
// included; states are the steps and steps back.
func BenchmarkProve(b *testing.B) {
	for _, namespaces := range []int{50, 100, 250, 500} {
		b.Run(fmt.Sprintf("namespaces=%d", namespaces), func(b *testing.B) {
			inv := meshgen.Generate(meshgen.Params{
				Seed: 1, Namespaces: namespaces, Services: 10 * namespaces, Pods: 30 * namespaces,
				Policies: 5 * namespaces, Routes: 3 * namespaces, Edges: 40 * namespaces, Nodes: namespaces,
			})
			p, err := planner.Plan(b.Context(), planner.Input{Inventory: inv})
			if err != nil {
				b.Fatal(err)
			}
			st, _ := mesh.New(inv)
			b.ReportAllocs()
			for b.Loop() {
				if err := planner.Prove(b.Context(), st, p.Calls, p); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(p.Proof.States), "states")
			b.ReportMetric(float64(p.Proof.Gaps), "gap-states")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(p.Calls)), "ns/call")
		})
	}
}
