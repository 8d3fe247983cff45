package promql_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ambientplan/ambientplan/telemetry/promql"
)

// TestReporterFromVariable: the query keeps the variable, whose value changes (observability.md 3.1 rule b), and the proof is
// made with the new value.
func TestReporterFromVariable(t *testing.T) {
	const service = `destination_service_name="reviews"`
	server := []promql.ValueEdit{{Raw: "$qrep", Old: "destination", New: "destination|waypoint"}}
	client := []promql.ValueEdit{{Raw: "$client", Old: "source", New: "source|waypoint"}}
	both := []promql.ValueEdit{{Raw: "$both", Old: "source|destination", New: "source|destination|waypoint"}}
	for _, tt := range []struct {
		name, plan, expr, want string
		form                   promql.Form
		variable               []promql.ValueEdit
		complete               bool
	}{
		{
			name: "N is only the variable's value", plan: "client first, no mixed waypoint",
			expr: `sum(rate(istio_requests_total{reporter=~"$qrep",` + service + `}[5m]))`,
			want: `sum(rate(istio_requests_total{reporter=~"$qrep",` + service + `}[5m]))`,
			form: promql.N, variable: server, complete: true,
		},
		{
			name: "D's exclusions stand in the query", plan: "client first, waypoint early",
			expr: `sum(rate(istio_requests_total{reporter=~"$qrep",` + service + `}[5m]))`,
			want: `sum(rate(istio_requests_total{reporter=~"$qrep",` + excluded + `,` + service + `}[5m]))`,
			form: promql.D, variable: server, complete: true,
		},
		{
			name: "= cannot hold an alternation", plan: "client first, no mixed waypoint",
			expr: `sum(rate(istio_requests_total{reporter = "$qrep",` + service + `}[5m]))`,
			want: `sum(rate(istio_requests_total{reporter =~ "$qrep",` + service + `}[5m]))`,
			form: promql.N, variable: server, complete: true,
		},
		{
			name: "two selectors, one variable", plan: "both at once",
			expr: `sum(rate(istio_requests_total{reporter=~"$qrep",response_code=~"5..",` + service + `}[5m])) / sum(rate(istio_requests_total{reporter=~"$qrep",` + service + `}[5m]))`,
			want: `sum(rate(istio_requests_total{reporter=~"$qrep",response_code=~"5..",` + service + `}[5m])) / sum(rate(istio_requests_total{reporter=~"$qrep",` + service + `}[5m]))`,
			form: promql.N, variable: server, complete: true,
		},
		{
			name: "the client's view", plan: "both at once",
			expr: `sum(rate(istio_requests_total{reporter=~"$client",` + service + `}[5m]))`,
			want: `sum(rate(istio_requests_total{reporter=~"$client",` + service + `}[5m]))`,
			form: promql.S, variable: client, complete: true,
		},
		{
			name: "a client that moves first is lost, and U would take the choice away", plan: "client first, no mixed waypoint",
			expr: `sum(rate(istio_requests_total{reporter=~"$client",` + service + `}[5m]))`,
			want: `sum(rate(istio_requests_total{reporter=~"$client",` + service + `}[5m]))`,
			form: promql.S, variable: client,
		},
		{
			name: "both sides selected counted twice, which nothing does any more", plan: "both at once",
			expr: `sum(rate(istio_requests_total{reporter=~"$both",` + service + `}[5m]))`,
			want: `sum(rate(istio_requests_total{reporter=~"$both",` + service + `}[5m]))`,
			form: promql.N, variable: both,
		},
		{
			name: "both sides selected in a ratio: the weight cancels", plan: "both at once",
			expr: `sum(rate(istio_requests_total{reporter=~"$both",response_code=~"5..",` + service + `}[5m])) / sum(rate(istio_requests_total{reporter=~"$both",` + service + `}[5m]))`,
			want: `sum(rate(istio_requests_total{reporter=~"$both",response_code=~"5..",` + service + `}[5m])) / sum(rate(istio_requests_total{reporter=~"$both",` + service + `}[5m]))`,
			form: promql.N, variable: both, complete: true,
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
			if r.Form != tt.form || r.Complete() != tt.complete {
				t.Errorf("form %s, want %s; failed %+v", r.Form, tt.form, r.Failed)
			}
			if d := cmp.Diff(tt.want, r.Text); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(tt.variable, r.Variable); d != "" {
				t.Error(d)
			}
		})
	}
}
