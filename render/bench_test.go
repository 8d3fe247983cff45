package render_test

import (
	"fmt"
	"testing"

	"github.com/ambientplan/ambientplan/internal/meshgen"
	"github.com/ambientplan/ambientplan/planner"
	"github.com/ambientplan/ambientplan/render"
)

// BenchmarkBuildMesh renders the plan of a generated mesh in memory, without the check by kustomize.
func BenchmarkBuildMesh(b *testing.B) {
	for _, pods := range []int{1500, 15000} {
		b.Run(fmt.Sprintf("pods=%d", pods), func(b *testing.B) {
			p, err := planner.Plan(b.Context(), planner.Input{Inventory: meshgen.Generate(meshgen.Size(pods))})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := render.Build(p, render.Options{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(pods), "ns/pod")
		})
	}
}
