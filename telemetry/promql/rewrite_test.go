package promql_test

import (
	"strings"
	"testing"

	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/telemetry/promql"
	"github.com/ambientplan/ambientplan/telemetry/series"
)

// sequences of states; each plan passes through all of its states.
func plans() map[string][]series.State {
	w := worlds()
	return map[string][]series.State{
		"client first, no mixed waypoint": {w[0], w[1], w[4]},
		"client first, waypoint early":    {w[0], w[1], w[2], w[4]},
		"both at once":                    {w[0], w[4]},
		"server first":                    {w[0], state("S->A", mesh.ModeSidecar, mesh.ModeAmbient, reviews.Ref), w[4]},
		"without a waypoint":              {w[0], w[3]},
	}
}

const excluded = `source_principal!~".*/ns/shop/sa/waypoint",source_workload!~"waypoint"`

func TestRewrite(t *testing.T) {
	for _, tt := range []struct {
		name, plan, expr, want string
		form                   promql.Form
		failed                 string
		factor                 float64
	}{
		{
			name: "N is enough when no service is ever A->S+W", plan: "client first, no mixed waypoint",
			expr: `sum(rate(istio_requests_total{reporter="destination",destination_service_name="reviews"}[5m]))`,
			want: `sum(rate(istio_requests_total{reporter=~"destination|waypoint",destination_service_name="reviews"}[5m]))`,
			form: promql.N,
		},
		{
			name: "Q01 needs only N, double weight cancels in a ratio", plan: "client first, waypoint early",
			expr: `sum(rate(istio_requests_total{reporter="destination",response_code=~"5..",destination_service_name="reviews"}[5m])) / sum(rate(istio_requests_total{reporter="destination",destination_service_name="reviews"}[5m])) > 0.05`,
			want: `sum(rate(istio_requests_total{reporter=~"destination|waypoint",response_code=~"5..",destination_service_name="reviews"}[5m])) / sum(rate(istio_requests_total{reporter=~"destination|waypoint",destination_service_name="reviews"}[5m])) > 0.05`,
			form: promql.N,
		},
		{
			name: "Q05 needs D; formatting and comments stay", plan: "client first, waypoint early",
			expr: "sum ( rate(istio_requests_total{ destination_service_name='reviews', # the shop\n  reporter=\"destination\" }[5m]) ) > 1000",
			want: "sum ( rate(istio_requests_total{ destination_service_name='reviews', # the shop\n  reporter=~\"destination|waypoint\"," + excluded + " }[5m]) ) > 1000",
			form: promql.D,
		},
		{
			name: "Q08 is green no more", plan: "client first, waypoint early",
			expr: `sum(rate(istio_requests_total{reporter="destination",response_code=~"5..",destination_service_name="reviews"}[5m])) or vector(0)`,
			want: `sum(rate(istio_requests_total{reporter=~"destination|waypoint",` + excluded + `,response_code=~"5..",destination_service_name="reviews"}[5m])) or vector(0)`,
			form: promql.D,
		},
		{
			name: "Q22 keeps the client's view apart from gateways through a waypoint", plan: "both at once",
			expr: `sum(rate(istio_requests_total{reporter=~"source|waypoint"}[5m]))`,
			want: `sum((rate(istio_requests_total{reporter="source"}[5m]) or rate(istio_requests_total{reporter="waypoint",source_workload!~"istio-ingressgateway"}[5m])))`,
			form: promql.S,
		},
		{
			name: "Q03 needs U while clients are ahead", plan: "client first, no mixed waypoint",
			expr: `sum(rate(istio_requests_total{reporter="source",destination_service_name="reviews"}[5m]))`,
			want: `sum(max by (source_workload,source_workload_namespace,destination_service,response_code) (sum by (reporter,source_workload,source_workload_namespace,destination_service,response_code) (rate(istio_requests_total{` + excluded + `,destination_service_name="reviews"}[5m]))))`,
			form: promql.U,
		},
		{
			name: "server first needs the client as stand-in", plan: "server first",
			expr: `sum(rate(istio_requests_total{reporter="destination",destination_service_name="reviews"}[5m]))`,
			form: promql.DPlus,
		},
		{
			name: "Q06 counted each call twice: the threshold is halved", plan: "client first, waypoint early",
			expr: `sum(rate(istio_requests_total{destination_service_name="reviews"}[5m])) < 150`,
			want: `sum(rate(istio_requests_total{destination_service_name="reviews",reporter=~"destination|waypoint",` + excluded + `}[5m])) < 75`,
			form: promql.D, factor: 2,
		},
		{
			name: "Q26 names the workload's namespace, not the scraped pod's", plan: "both at once",
			expr: `sum(rate(istio_requests_total{reporter="destination",namespace="shop"}[5m]))`,
			want: `sum(rate(istio_requests_total{reporter=~"destination|waypoint",namespace="shop"}[5m]))`,
			form: promql.N,
		},
		{
			name: "Q29", plan: "both at once",
			expr: `sum(rate(istio_requests_total{reporter="destination",app="reviews"}[5m]))`,
			want: `sum(rate(istio_requests_total{reporter=~"destination|waypoint",destination_app="reviews"}[5m]))`,
			form: promql.N,
		},
		{
			name: "Q58 either", plan: "without a waypoint",
			expr: `absent(istio_requests_total{reporter="destination",destination_service_name="reviews"})`,
			want: `absent(istio_requests_total{destination_service_name="reviews"} or istio_tcp_connections_opened_total{destination_service_name="reviews"})`,
			form: promql.Either,
		},
		{
			name: "requests end without a waypoint, and that is said", plan: "without a waypoint",
			expr:   `sum(rate(istio_requests_total{reporter="destination",destination_service_name="reviews"}[5m]))`,
			form:   promql.Keep,
			failed: "L4",
		},
		{
			name: "unaffected stays as it is", plan: "client first, waypoint early",
			expr: `sum(rate(istio_requests_total{reporter="source",source_workload="istio-ingressgateway"}[5m]))`,
			want: `sum(rate(istio_requests_total{reporter="source",source_workload="istio-ingressgateway"}[5m]))`,
			form: promql.Keep,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := promql.NewBench(promql.Input{Traffic: probed()}, plans()[tt.plan])
			if err != nil {
				t.Fatal(err)
			}
			q, err := promql.Parse(tt.expr)
			if err != nil {
				t.Fatal(err)
			}
			got := b.Rewrite(q)
			if got.Form != tt.form || tt.want != "" && got.Text != tt.want {
				t.Errorf("form %s, want %s\n got %s\nwant %s\nfailed: %+v", got.Form, tt.form, got.Text, tt.want, got.Failed)
			}
			var failed []string
			for _, f := range got.Failed {
				failed = append(failed, f.State)
			}
			if g := strings.Join(failed, ","); g != tt.failed {
				t.Errorf("failed in %q, want %q: %+v", g, tt.failed, got.Failed)
			}
			if tt.factor != 0 && got.Factor != tt.factor {
				t.Errorf("factor %v, want %v", got.Factor, tt.factor)
			}
		})
	}
}

// TestAssumes: a proof over scrape targets' labels says on which it rests.
func TestAssumes(t *testing.T) {
	b, err := promql.NewBench(promql.Input{Traffic: probed()}, plans()["both at once"])
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ expr, want string }{
		{`sum(rate(istio_requests_total{container="istio-proxy", instance=~".*:15020",` + dst + `}[5m]))`, `container="istio-proxy" instance=~".*:15020"`},
		{`sum(rate(istio_requests_total{` + dst + `}[5m]))`, ""},
		{`sum(rate(istio_requests_total{reporter="source",source_workload="istio-ingressgateway",job="istio-system/envoy-stats-monitor"}[5m]))`, ""},
	} {
		q, err := promql.Parse(tt.expr)
		if err != nil {
			t.Fatal(err)
		}
		if r := b.Rewrite(q); !r.Complete() || strings.Join(r.Assumes, " ") != tt.want {
			t.Errorf("%s: assumes %q, want %q; failed %+v", tt.expr, r.Assumes, tt.want, r.Failed)
		}
	}
}
