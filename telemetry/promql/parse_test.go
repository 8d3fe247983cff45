package promql_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ambientplan/ambientplan/telemetry/promql"
)

// fill is what a reader of dashboards does: every spelling of a variable gets a value.
func fill(text string) string {
	return strings.NewReplacer(
		"${service:regex}", "reviews", "$service", "reviews", "[[service]]", "reviews", "[[z-a]]", "reviews", "{{ namespace }}", "shop",
		"$qrep", "destination", "$client", "source", "$both", "source|destination", "<<.LabelMatchers>>", "reviews",
	).Replace(text)
}

func TestParseFilled(t *testing.T) {
	for _, tt := range []struct{ name, text, values string }{
		{"no variables", `sum(rate(istio_requests_total{reporter="source"}[5m]))`, "source"},
		{"dollar", `sum(rate(istio_requests_total{reporter=~"$qrep",destination_service_name="$service"}[5m]))`, "destination reviews"},
		{"braces and format", `sum(rate(istio_requests_total{destination_service_name=~"${service:regex}"}[5m]))`, "reviews"},
		{"double brackets", `istio_requests_total{destination_service_name=~'[[service]]'}`, "reviews"},
		{"brackets that are no regular expression", `istio_requests_total{destination_service_name=~"[[z-a]]"}`, "reviews"},
		{"Flagger", `istio_requests_total{destination_workload_namespace="{{ namespace }}"}`, "shop"},
		{"prometheus-adapter", `istio_requests_total{destination_service_name="<<.LabelMatchers>>"}`, "reviews"},
		{"two selectors of other lengths", `istio_requests_total{reporter="$qrep"} / istio_requests_total{destination_service_name="$service"}`, "destination | reviews"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q, err := promql.ParseFilled(tt.text, fill)
			if err != nil {
				t.Fatal(err)
			}
			if q.Text != tt.text || q.Filled != fill(tt.text) {
				t.Errorf("text %s, filled %s", q.Text, q.Filled)
			}
			var values []string
			for i, s := range q.Selectors {
				if i > 0 {
					values = append(values, "|")
				}
				if !strings.HasPrefix(s.Text(q), "istio_requests_total{") || !strings.HasSuffix(s.Text(q), "}") {
					t.Errorf("selector %s", s.Text(q))
				}
				for _, m := range s.Matchers {
					if m.Name != "__name__" {
						values = append(values, m.Value)
					}
				}
			}
			if d := cmp.Diff(tt.values, strings.Join(values, " ")); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestParseFilledRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, text, want string
		fill             func(string) string
	}{
		{"more selectors than were written", `sum(up{job="x"})`, "1 selectors become 2", func(string) string { return `sum(up{job="x"} or up)` }},
		{"a selector that stands elsewhere", `sum(up{job="x"})`, "stands elsewhere", func(string) string { return `up{job="x"}` }},
		{"no longer PromQL", `up{job="x"}`, "parse error", func(string) string { return `up{` }},
		{"never was PromQL", `up{job="$service"`, "parse error", fill},
		{"filled without end", `up{job="x"}`, "bytes", func(string) string { return strings.Repeat("x", 1<<20) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := promql.ParseFilled(tt.text, tt.fill); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// TestRewriteCopiesVariables: what a form copies it copies as written, and it is proved with the values.
func TestRewriteCopiesVariables(t *testing.T) {
	for _, tt := range []struct {
		name, plan, expr, want string
		form                   promql.Form
	}{
		{
			name: "D", plan: "client first, waypoint early",
			expr: `sum(rate(istio_requests_total{reporter="destination",destination_service_name=~"${service:regex}"}[5m]))`,
			want: `sum(rate(istio_requests_total{reporter=~"destination|waypoint",` + excluded + `,destination_service_name=~"${service:regex}"}[5m]))`,
			form: promql.D,
		},
		{
			name: "the threshold's side", plan: "client first, waypoint early",
			expr: `sum(rate(istio_requests_total{reporter="destination",destination_service_name="[[service]]"}[5m])) > 90`,
			want: `sum(rate(istio_requests_total{reporter=~"destination|waypoint",` + excluded + `,destination_service_name="[[service]]"}[5m])) > 90`,
			form: promql.D,
		},
		{
			name: "U", plan: "client first, no mixed waypoint",
			expr: `sum(rate(istio_requests_total{reporter="source",destination_service_name="$service"}[5m]))`,
			want: `sum(max by (source_workload,source_workload_namespace,destination_service,response_code) (sum by (reporter,source_workload,source_workload_namespace,destination_service,response_code) (rate(istio_requests_total{` + excluded + `,destination_service_name="$service"}[5m]))))`,
			form: promql.U,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := promql.NewBench(promql.Input{Traffic: probed()}, plans()[tt.plan])
			if err != nil {
				t.Fatal(err)
			}
			q, err := promql.ParseFilled(tt.expr, fill)
			if err != nil {
				t.Fatal(err)
			}
			r := b.Rewrite(q)
			if r.Form != tt.form || r.Text != tt.want || !r.Complete() {
				t.Errorf("form %s\n got %s\nwant %s\nfailed %+v", r.Form, r.Text, tt.want, r.Failed)
			}
		})
	}
}
