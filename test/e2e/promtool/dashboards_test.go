package promtool

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner"
	"github.com/ambientplan/ambientplan/telemetry"
	"github.com/ambientplan/ambientplan/telemetry/promql"
	"github.com/ambientplan/ambientplan/telemetry/source"
)

// alerts are rules as people copy them, for services of the examples.
const alerts = `
groups:
- name: copied
  rules:
  - alert: High5xxErrorRate
    expr: sum(rate(istio_requests_total{reporter="destination", response_code=~"5.*"}[5m])) / sum(rate(istio_requests_total{reporter="destination"}[5m])) * 100 > 5
    for: 1m
    labels: {severity: warning}
    annotations: {summary: 'high error rate (instance {{ $labels.instance }})'}
  - alert: HighTotalRequestRate
    expr: sum(rate(istio_requests_total{reporter="destination"}[5m])) > 1000
    for: 2m
  - alert: LowTotalRequestRate
    expr: sum(rate(istio_requests_total{reporter="destination"}[5m])) < 10
    for: 2m
  - alert: ClientErrors
    expr: sum by (destination_service_name) (rate(istio_requests_total{reporter="source", response_code=~"5.."}[5m])) > 1
    for: 5m
    labels: {team: '{{ $labels.destination_service_name }}'}
  - alert: SlowP99
    expr: histogram_quantile(0.99, sum by (le) (rate(istio_request_duration_milliseconds_bucket{reporter="destination"}[5m]))) > 1000
    for: 3m
`

// What "dashboards --rewrite" writes for the examples passes the real promtool, and its tests fail on rules that were
// not rewritten.
func TestUnitTestsOfRewrittenAlertsPassPromtool(t *testing.T) {
	for _, example := range []string{"bookinfo", "online-boutique"} {
		t.Run(example, func(t *testing.T) {
			extra := rewritten(t, filepath.Join("..", "..", "..", "examples", example))
			dir := t.TempDir()
			tests := 0
			for name, data := range extra {
				path := filepath.Join(dir, filepath.FromSlash(name))
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, data, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			for name := range extra {
				if !strings.HasSuffix(name, ".test.yaml") {
					continue
				}
				tests++
				path := filepath.Join(dir, filepath.FromSlash(name))
				if out, ok := promtool(t, path); !ok {
					t.Errorf("%s: %s", name, out)
				}
				original(t, path)
				if out, ok := promtool(t, path); ok {
					t.Errorf("%s passes with the rule as it was, so it shows nothing:\n%s", name, out)
				}
			}
			if tests < 3 {
				t.Errorf("%d unit tests were written", tests)
			}
		})
	}
}

// original puts the reporter back that a rule had before it was rewritten.
func original(t *testing.T, test string) {
	t.Helper()
	rules := strings.TrimSuffix(test, ".test.yaml") + ".rules.yaml"
	data, err := os.ReadFile(rules)
	if err != nil {
		t.Fatal(err)
	}
	old := strings.NewReplacer("destination|waypoint", "destination", "source|waypoint", "source").Replace(string(data))
	if err := os.WriteFile(rules, []byte(old), 0o644); err != nil {
		t.Fatal(err)
	}
}

func rewritten(t *testing.T, example string) map[string][]byte {
	t.Helper()
	f, err := os.Open(filepath.Join(example, "out", "inventory.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	inv, err := api.Decode[api.Inventory]("inventory.yaml", f)
	if err != nil {
		t.Fatal(err)
	}
	p, err := planner.Plan(context.Background(), planner.Input{Inventory: inv, Now: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	st, _ := mesh.New(inv)
	planes, err := planner.DataPlanes(context.Background(), st, p)
	if err != nil {
		t.Fatal(err)
	}
	parses := func(expr string) error { _, err := promql.Parse(expr); return err }
	res, err := telemetry.Analyze(context.Background(), telemetry.Input{
		State: st, Plan: p, Planes: planes, Files: []*source.File{source.Parse("alerts.yaml", alerts, parses)},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range res.Report.Queries {
		if q.Rewrite != nil {
			t.Logf("%s: %s, proved %v, %s, test %q %q", q.Source.Name, q.Verdict, q.Rewrite.Proved, q.Rewrite.Alert, q.Rewrite.Test, q.Rewrite.NoTest)
		}
	}
	return res.Extra
}
