package render_test

import (
	"fmt"
	"os"
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

// BenchmarkReport writes the report of generated meshes as HTML; bytes are its size.
func BenchmarkReport(b *testing.B) {
	for _, namespaces := range []int{10, 100, 500} {
		b.Run(fmt.Sprintf("namespaces=%d", namespaces), func(b *testing.B) {
			size := meshgen.Size(namespaces * 30)
			size.Namespaces, size.Services = namespaces, namespaces*10
			p, err := planner.Plan(b.Context(), planner.Input{Inventory: meshgen.Generate(size)})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			var text []byte
			for b.Loop() {
				if text, err = render.Report(p, "html"); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(text)), "bytes")
			if dir := os.Getenv("REPORT_DIR"); dir != "" {
				if err := os.WriteFile(fmt.Sprintf("%s/report-%d.html", dir, namespaces), text, 0o644); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
