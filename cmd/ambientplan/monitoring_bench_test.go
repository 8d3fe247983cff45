package main

import (
	"fmt"
	"testing"
	"time"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/internal/meshgen"
	"github.com/ambientplan/ambientplan/planner"
)

// BenchmarkDashboards judges Istio's own dashboard of the mesh, whose queries look at all calls, by the plan of a
// generated mesh. Its x-plan is the time of that over the time of making the plan in the same run.
func BenchmarkDashboards(b *testing.B) {
	for _, pods := range []int{1500, 15000} {
		b.Run(fmt.Sprintf("pods=%d", pods), func(b *testing.B) {
			inv := meshgen.Generate(meshgen.Size(pods))
			start := time.Now()
			p, err := planner.Plan(b.Context(), planner.Input{Inventory: inv, Now: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)})
			if err != nil {
				b.Fatal(err)
			}
			planning := time.Since(start)
			files, err := readMonitoring([]string{"../../testdata/monitoring/istio/istio-mesh-dashboard.gen.json"})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			var report *api.TelemetryReport
			for b.Loop() {
				res, err := analyze(b.Context(), inv, p, files)
				if err != nil {
					b.Fatal(err)
				}
				report = res.Report
			}
			b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(planning), "x-plan")
			b.ReportMetric(float64(report.Summary.Queries), "queries")
		})
	}
}
