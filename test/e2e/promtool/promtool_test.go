package promtool

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/telemetry/promql"
	"github.com/ambientplan/ambientplan/telemetry/series"
)

// rule is an alert of the catalogue (docs/facts.md, observability.md section 3).
type rule struct {
	name, expr  string
	hold, keep  time.Duration
	labels      map[string]string
	annotations map[string]string
}

const (
	server = `reporter="destination",destination_service_name="reviews"`
	client = `reporter="source",destination_service_name="reviews"`
)

var rules = []rule{
	{
		name: "Q01", expr: `sum(rate(istio_requests_total{` + server + `,response_code=~"5.."}[5m])) / sum(rate(istio_requests_total{` + server + `}[5m])) > 0.05`,
		hold: 2 * time.Minute, labels: map[string]string{"severity": "critical"},
		annotations: map[string]string{"summary": "{{ $value | humanizePercentage }} of the requests to reviews fail"},
	},
	{
		name: "Q02", expr: `sum by (destination_workload, destination_workload_namespace) (rate(istio_requests_total{` + server + `,response_code=~"5.."}[5m])) > 1`,
		hold: 5 * time.Minute, keep: 4 * time.Minute, labels: map[string]string{"team": "{{ $labels.destination_workload_namespace }}"},
		annotations: map[string]string{"summary": `{{ $labels.destination_workload }}: {{ printf "%.1f" $value }} errors a second, of {{ $labels.nothing }}{{ $externalLabels.cluster }}`},
	},
	{name: "Q03", expr: `sum(rate(istio_requests_total{` + client + `,response_code=~"5.."}[5m])) / sum(rate(istio_requests_total{` + client + `}[5m])) > 0.05`},
	{name: "Q04", expr: `sum(rate(istio_requests_total{` + server + `}[5m])) < 10`, hold: 6 * time.Minute},
	{name: "Q05", expr: `sum(rate(istio_requests_total{` + server + `}[5m])) > 1000`},
	{name: "Q06", expr: `sum(rate(istio_requests_total{destination_service_name="reviews"}[5m])) < 150`, hold: time.Minute},
	{name: "Q10", expr: `histogram_quantile(0.99, sum by (le) (rate(istio_request_duration_milliseconds_bucket{` + server + `}[5m]))) > 1000`, keep: 2 * time.Minute},
	{name: "Q61", expr: `sum(rate(istio_requests_total{` + server + `,response_code=~"5.."}[1h])) / sum(rate(istio_requests_total{` + server + `}[1h])) > (14.4 * 0.001) and sum(rate(istio_requests_total{` + server + `,response_code=~"5.."}[5m])) / sum(rate(istio_requests_total{` + server + `}[5m])) > (14.4 * 0.001)`},
}

var (
	productpage = series.Workload{Ref: series.Ref{Namespace: "shop", Name: "productpage"}, App: "productpage", Version: "v1"}
	reviews     = series.Workload{Ref: series.Ref{Namespace: "shop", Name: "reviews"}, App: "reviews", Version: "v2"}
	waypoint    = series.Workload{Ref: series.Ref{Namespace: "shop", Name: "waypoint"}}
)

func plan() []series.State {
	state := func(name string, client, server mesh.Mode, active bool) series.State {
		s := series.State{
			Name: name, Modes: map[series.Ref]mesh.Mode{productpage.Ref: client, reviews.Ref: server},
			Waypoints: map[series.Ref]series.Waypoint{},
		}
		if active {
			s.Waypoints[reviews.Ref] = series.Waypoint{Workload: waypoint}
		}
		return s
	}
	return []series.State{
		state("today", mesh.ModeSidecar, mesh.ModeSidecar, false),
		state("client moved", mesh.ModeAmbient, mesh.ModeSidecar, false),
		state("waypoint on", mesh.ModeAmbient, mesh.ModeSidecar, true),
		state("server moved", mesh.ModeAmbient, mesh.ModeAmbient, true),
	}
}

func bench(t *testing.T) *promql.Bench {
	t.Helper()
	b, err := promql.NewBench(promql.Input{Traffic: promql.Traffic{Calls: []series.Call{
		{From: productpage, To: reviews, Service: reviews.Ref, Protocol: series.HTTP, Rate: 100, LatencyMS: 40, Bytes: 1000},
	}}}, plan())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ruleFile is what users have, with the expression given.
func ruleFile(t *testing.T, dir string, r rule, expr string) string {
	t.Helper()
	alert := map[string]any{"alert": r.name, "expr": expr, "labels": r.labels, "annotations": r.annotations, "for": r.hold.String(), "keep_firing_for": r.keep.String()}
	out, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": r.name, "rules": []any{alert}}}})
	if err != nil {
		t.Fatal(err)
	}
	name := r.name + "-rules.yaml"
	write(t, filepath.Join(dir, name), out)
	return name
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// promtool runs the unit tests of a file with the real one.
func promtool(t *testing.T, path string) (output string, ok bool) {
	t.Helper()
	binary := os.Getenv("PROMTOOL")
	if binary == "" {
		t.Skip("PROMTOOL does not name a promtool; make e2e builds one")
	}
	cmd := exec.Command(binary, "test", "rules", path)
	cmd.Dir = filepath.Dir(path)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err == nil
}

// TestAlerts: the rewritten rule fires at the minutes that we say, with the labels and annotations that we say, in each state
// of the plan; the original does not, and a wrong minute is found.
func TestAlerts(t *testing.T) {
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			b, dir := bench(t), t.TempDir()
			original, err := promql.Parse(r.expr)
			if err != nil {
				t.Fatal(err)
			}
			rewrite := b.Rewrite(original)
			if !rewrite.Complete() {
				t.Fatalf("not proved: %+v", rewrite.Failed)
			}
			rewritten, err := promql.Parse(rewrite.Text)
			if err != nil {
				t.Fatal(err)
			}
			alert := promql.AlertRule{File: ruleFile(t, dir, r, rewrite.Text), Alert: r.name, Query: rewritten, For: r.hold, KeepFiringFor: r.keep, Labels: r.labels, Annotations: r.annotations}
			test, err := b.AlertTest(original, alert)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "test.yaml")
			write(t, path, test)
			if out, ok := promtool(t, path); !ok || !strings.Contains(out, "SUCCESS") {
				t.Fatalf("%.2000s", out)
			}
			if !bytes.Contains(test, []byte("exp_labels")) && !bytes.Contains(test, []byte("- {}")) {
				t.Error("nothing is expected to fire")
			}
			// Not a minute later.
			write(t, path, bytes.Replace(test, []byte("eval_time: "), []byte("eval_time: 1h"), 3))
			if out, ok := promtool(t, path); ok {
				t.Errorf("a wrong minute passes: %s", out)
			}
			write(t, path, test)
			// The original goes silent at the end of the plan, or sooner.
			ruleFile(t, dir, r, r.expr)
			if out, ok := promtool(t, path); ok {
				t.Errorf("the original passes the rewrite's test: %s", out)
			}
		})
	}
}

// TestExpressions: the values that we compute for original and rewrite in each state are the engine's.
func TestExpressions(t *testing.T) {
	b, dir := bench(t), t.TempDir()
	var queries []*promql.Query
	for _, r := range rules {
		original, err := promql.Parse(r.expr)
		if err != nil {
			t.Fatal(err)
		}
		rewritten, err := promql.Parse(b.Rewrite(original).Text)
		if err != nil {
			t.Fatal(err)
		}
		queries = append(queries, original, rewritten)
		if compared, ok := rewritten.Compared(); ok {
			value, err := promql.Parse(compared)
			if err != nil {
				t.Fatal(err)
			}
			queries = append(queries, value)
		}
	}
	test, err := b.UnitTest(queries, nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "test.yaml")
	write(t, path, test)
	if out, ok := promtool(t, path); !ok || !strings.Contains(out, "SUCCESS") {
		t.Fatalf("%.2000s", out)
	}
	wrong := regexp.MustCompile(`(?m)^( +value: ).*$`).ReplaceAll(test, []byte("${1}12345"))
	if bytes.Equal(wrong, test) {
		t.Fatal("no value is expected anywhere")
	}
	write(t, path, wrong)
	if out, ok := promtool(t, path); ok || !strings.Contains(out, "FAILED") {
		t.Errorf("a wrong value passes: %s", out)
	}
}
