package source

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is read of each kind of manifest, one line for each query: line, role, name, what an empty result does, and why
// it is not edited or not understood.
func TestManifests(t *testing.T) {
	tests := map[string][]string{
		"rules.yaml": {
			`8 recording rule workload:istio_requests_total empty=1`,
			`13 alert HighErrorRate empty=1 for 10m0s keep 5m0s owner payments`,
			`21 alert Literal empty=1`,
			`23 alert Broken empty=1 unread`,
		},
		"loki.yaml": {`5 alert Errors empty=1 unread`},
		"objects.yaml": {
			`12 alert Absent empty=1 owner payments`,
			`25 recording rule slo:sli_error:ratio_rate5m empty=1 frozen`,
			`36 SLO requests empty=1 .window=5m`,
			`37 SLO requests empty=1 .window=5m`,
			`45 SLO payments empty=1`,
			`46 SLO payments empty=1`,
			`46 alert SLOMetricAbsent of payments empty=1 frozen`,
			`54 canary analysis errors empty=5 interval= namespace= target=`,
			`63 canary analysis request-success-rate empty=5 >= 99 frozen`,
			`70 canary analysis inline empty=5 interval=30s target=payments`,
			`82 canary analysis fails-on-nothing empty=5 result[0] >= 0.95 args.service=`,
			`87 canary analysis passes-on-nothing empty=6 len(result) == 0 || result[0] >= 0.99 args.service=`,
			`98 autoscaler payments empty=4 threshold 100`,
			`100 autoscaler payments empty=3 threshold 100`,
			`110 autoscaler payments empty=3`,
			`137 autoscaler requests_per_second empty=3 sum(rate(<<.Series>>{<<.LabelMatchers>>}[2m])) by (<<.GroupBy>>)`,
			`149 alert Down empty=1`,
			`159 alert Prom empty=1`,
			`161 alert Metrics empty=1 unread`,
		},
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile("testdata/manifests/" + name)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, q := range Parse(name, string(data), promQL).Queries {
				got = append(got, oneLine(q))
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func oneLine(q *Query) string {
	s := fmt.Sprintf("%d %s %s empty=%d", q.Line, q.Role, q.Name, q.OnEmpty)
	if q.For > 0 {
		s += fmt.Sprintf(" for %s keep %s", q.For, q.KeepFiring)
	}
	if q.Condition != "" {
		s += " " + q.Condition
	}
	if q.Object.Owner != "" {
		s += " owner " + q.Object.Owner
	}
	for _, v := range q.Variables {
		s += " " + v.Name + "=" + strings.Join(v.Values, ",")
	}
	if q.Unread != "" {
		s += " unread"
	}
	if q.Frozen != "" {
		s += " frozen"
	}
	return s
}

func TestWatchesAndNotesOfManifests(t *testing.T) {
	data, err := os.ReadFile("testdata/manifests/objects.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f := Parse("objects.yaml", string(data), promQL)
	Relate([]*File{f})
	var got []string
	for _, w := range f.Watches {
		got = append(got, fmt.Sprintf("%d %s %s %v", w.Line, w.Object.Kind, w.Workload, w.Blocks))
	}
	for _, n := range f.Notes {
		got = append(got, fmt.Sprintf("note %d %s %d", n.Line, n.Object.Kind, n.Kind))
	}
	want := []string{
		"114 HorizontalPodAutoscaler deployment/payments true",
		"116 HorizontalPodAutoscaler deployment/payments false",
		"128 VerticalPodAutoscaler deployment/payments false",
		"141 ConfigMap  true",
		"note 89 AnalysisTemplate 4",
		"note 101 ScaledObject 4",
		"note 118 HorizontalPodAutoscaler 4",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestASecretIsNeverRead(t *testing.T) {
	f := Parse("x.yaml", `
apiVersion: v1
kind: Secret
metadata: {name: scrape, namespace: monitoring}
stringData:
  prometheus-additional.yaml: |
    - job_name: mesh
      kubernetes_sd_configs: [{role: pod}]
  rules.yml: |
    groups: [{name: a, rules: [{alert: A, expr: up == 0}]}]
`, promQL)
	if len(f.Scrapes) != 0 || len(f.Queries) != 0 {
		t.Errorf("it was read: %+v %+v", f.Scrapes, f.Queries)
	}
	if len(f.Notes) != 1 || !strings.Contains(f.Notes[0].Text, "never read") {
		t.Errorf("notes %+v", f.Notes)
	}
}
