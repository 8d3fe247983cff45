package promql_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/ambientplan/ambientplan/telemetry/promql"
	"github.com/ambientplan/ambientplan/telemetry/series"
)

const errorRate = `sum by (destination_workload) (rate(istio_requests_total{` + dst + `,response_code=~"5.."}[5m])) > 1`

func alertTest(t *testing.T, expr string, rules []promql.Rule, change func(*promql.AlertRule)) ([]byte, error) {
	t.Helper()
	w := worlds()
	b, err := promql.NewBench(promql.Input{Traffic: healthy(), Rules: rules}, []series.State{w[0], w[1], w[2], w[4], w[4]})
	if err != nil {
		t.Fatal(err)
	}
	q, err := promql.Parse(expr)
	if err != nil {
		t.Fatal(err)
	}
	rewritten, err := promql.Parse(b.Rewrite(q).Text)
	if err != nil {
		t.Fatal(err)
	}
	rule := promql.AlertRule{File: "rules.yaml", Alert: "Errors", Query: rewritten, For: 2 * time.Minute}
	if change != nil {
		change(&rule)
	}
	return b.AlertTest(q, rule)
}

// TestAlertTest: an incident of a tenth of the requests failing from minute 20 to 37 fires, after "for", at the same minutes
// in each state, with labels and annotations as Prometheus expands them. test/e2e/promtool asks the real one.
func TestAlertTest(t *testing.T) {
	out, err := alertTest(t, errorRate, nil, func(r *promql.AlertRule) {
		r.KeepFiringFor = 3 * time.Minute
		r.Labels = map[string]string{"severity": "page", "team": "{{ $labels.destination_workload }}-team"}
		r.Annotations = map[string]string{"summary": `{{ printf "%.0f" $value }} a second{{ $externalLabels.cluster }}`}
	})
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		RuleFiles []string `yaml:"rule_files"`
		Tests     []struct {
			Name        string
			InputSeries []struct{ Series, Values string } `yaml:"input_series"`
			Alerts      []struct {
				EvalTime string `yaml:"eval_time"`
				Alert    string `yaml:"alertname"`
				Expected []struct {
					Labels      map[string]string `yaml:"exp_labels"`
					Annotations map[string]string `yaml:"exp_annotations"`
				} `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	if err := yaml.Unmarshal(out, &file); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, test := range file.Tests {
		line := test.Name + ":"
		for _, a := range test.Alerts {
			line += " " + strings.TrimSuffix(a.EvalTime, "0s")
			for _, e := range a.Expected {
				for _, k := range slices.Sorted(maps.Keys(e.Labels)) {
					line += fmt.Sprintf(" %s=%s", k, e.Labels[k])
				}
				line += " " + e.Annotations["summary"]
			}
		}
		for _, in := range test.InputSeries {
			if !strings.Contains(in.Series, `response_code="500"`) || strings.Contains(in.Series, "reporter=\"source\"") {
				t.Errorf("%s: a series that the rule does not select: %s", test.Name, in.Series)
			}
			if !strings.HasPrefix(in.Values, "_x81 0+150x67 stale") {
				t.Errorf("%s: %s", test.Name, in.Values)
			}
		}
		got = append(got, line)
	}
	const fires = ": 20m 22m 23m destination_workload=reviews severity=page team=reviews-team 6 a second" +
		" 44m destination_workload=reviews severity=page team=reviews-team 2 a second 45m"
	want := []string{"Errors in sidecar, A->S" + fires, "Errors in A->S+W, waypoint, waypoint" + fires}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"rules.yaml"}, file.RuleFiles); d != "" {
		t.Error(d)
	}
}

// TestAlertTestRefuses: what promtool could not be told rightly is left out, with the reason.
func TestAlertTestRefuses(t *testing.T) {
	recorded := []promql.Rule{{Record: "service:errors", Expr: strings.TrimSuffix(errorRate, " > 1")}}
	for _, tt := range []struct {
		name, expr, want string
		rules            []promql.Rule
		change           func(*promql.AlertRule)
	}{
		{"a query in a template", errorRate, "asks for a query", nil, func(r *promql.AlertRule) {
			r.Annotations = map[string]string{"now": `{{ with query "up" }}{{ . | first | value }}{{ end }}`}
		}},
		{"a template that does not parse", errorRate, "annotation broken", nil, func(r *promql.AlertRule) { r.Annotations = map[string]string{"broken": "{{ $nobody }}"} }},
		{"a template without end", errorRate, "label loop", nil, func(r *promql.AlertRule) {
			r.Labels = map[string]string{"loop": `{{ define "x" }}{{ template "x" }}{{ end }}{{ template "x" }}`}
		}},
		{"recording rules", `service:errors > 1`, "rests on recording rules", recorded, nil},
		{"no traffic", `sum(rate(istio_requests_total{` + dst + `}[5m])) > 1e30`, "no modelled traffic makes it fire", nil, nil},
		{"a month", `sum(rate(istio_requests_total{` + dst + `}[30d])) > 1000`, "looks back", nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := alertTest(t, tt.expr, tt.rules, tt.change); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}
