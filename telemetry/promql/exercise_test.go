package promql_test

import (
	"strings"
	"testing"

	"github.com/ambientplan/ambientplan/telemetry/promql"
	"github.com/ambientplan/ambientplan/telemetry/series"
)

// TestExercised: the query's own literals drive the traffic that it is proved with (observability.md 5.3).
func TestExercised(t *testing.T) {
	for _, tt := range []struct{ name, expr, traffic string }{
		{"usual", `sum(rate(istio_requests_total{` + dst + `}[5m])) > 90`, "the known traffic"},
		{"a threshold far off", `sum(rate(istio_requests_total{` + dst + `}[5m])) > 1e7`, "131072 times the traffic"},
		{"very little traffic", `sum(rate(istio_requests_total{` + dst + `}[5m])) < 0.001 > 0`, "1/131072 of the traffic"},
		{"a code", `sum(rate(istio_requests_total{` + dst + `,response_code="429"}[5m])) > 0.01`, "0.1 % of the requests answered 429"},
		{"a code in a panel", `sum(rate(istio_requests_total{` + dst + `,response_code=~"502|504"}[5m]))`, "0.1 % of the requests answered 502"},
		{"very slow", `histogram_quantile(0.99, sum by (le) (rate(istio_request_duration_milliseconds_bucket{` + dst + `}[5m]))) > 40000`, "requests of 32768 ms"},
		{"very large", `sum(rate(istio_request_bytes_sum{` + dst + `}[5m])) / sum(rate(istio_request_bytes_count{` + dst + `}[5m])) > 1e6`, "requests of 1.048576e+06 bytes"},
		{"what one side does not see", `sum(rate(istio_requests_total{reporter="source",` + rev + `,response_flags="UH"}[5m])) > 0`, "no endpoint for a tenth of the requests"},
		{"nothing can", `sum(rate(istio_requests_total{` + dst + `}[5m])) > 1e30`, ""},
		{"a flag that the model has not", `sum(rate(istio_requests_total{` + dst + `,response_flags="UO"}[5m])) > 0`, ""},
		{"nobody", `sum(rate(istio_requests_total{destination_service_name="elsewhere"}[5m])) > 0`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := promql.NewBench(promql.Input{Traffic: probed()}, plans()["both at once"])
			if err != nil {
				t.Fatal(err)
			}
			q, err := promql.Parse(tt.expr)
			if err != nil {
				t.Fatal(err)
			}
			traffic, ok := b.Exercised(q)
			if traffic != tt.traffic || ok != (tt.traffic != "") {
				t.Errorf("exercised %v with %q, want %q", ok, traffic, tt.traffic)
			}
			if r := b.Rewrite(q); r.Complete() != ok {
				t.Errorf("proved: %v, failed %+v", r.Complete(), r.Failed)
			}
		})
	}
}

// TestNotProved: what is equal by luck or by silence is not called proved.
func TestNotProved(t *testing.T) {
	for _, tt := range []struct{ name, expr, why string }{
		{"never fires", `sum(rate(istio_requests_total{` + dst + `}[5m])) > 1e30`, "no modelled traffic makes it fire"},
		{"Q19 differs with lost requests", `sum(rate(istio_requests_total{reporter="source",` + rev + `}[5m])) - sum(rate(istio_requests_total{` + dst + `}[5m])) > 5`, "no endpoint for a tenth"},
		{"Q24 a custom dimension", `sum by (request_zone) (rate(istio_requests_total{` + dst + `}[5m]))`, "no label request_zone"},
		{"Q25 an excluded value of one", `sum(rate(istio_requests_total{` + dst + `,request_host!="x"}[5m]))`, "no label request_host"},
		{"Q32 the waypoint's pod has another team", `sum by (label_team) (rate(istio_requests_total{` + dst + `}[5m]) * on (pod, namespace) group_left (label_team) kube_pod_labels)`, "team-of-reviews"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := promql.NewBench(promql.Input{Traffic: probed()}, plans()["both at once"])
			if err != nil {
				t.Fatal(err)
			}
			q, err := promql.Parse(tt.expr)
			if err != nil {
				t.Fatal(err)
			}
			r := b.Rewrite(q)
			if r.Complete() || len(r.Failed) > 0 && !strings.Contains(r.Failed[len(r.Failed)-1].Reason, tt.why) {
				t.Errorf("form %s, failed %+v, want %q", r.Form, r.Failed, tt.why)
			}
			if r.Form != promql.NoForm && len(r.Failed) == 0 {
				t.Error("no reason")
			}
		})
	}
}

// TestMadeUpCalls: a query on a service that the plan knows, and that nobody is known to call, is asked with a call made up
// for it, and says so.
func TestMadeUpCalls(t *testing.T) {
	ratings := series.Workload{Ref: series.Ref{Namespace: "shop", Name: "ratings"}, App: "ratings"}
	states := plans()["both at once"]
	for i := range states {
		states[i].Modes[ratings.Ref] = states[i].Modes[reviews.Ref]
		if i > 0 {
			states[i].Waypoints[ratings.Ref] = states[i].Waypoints[reviews.Ref]
		}
	}
	in := promql.Input{Traffic: probed(), Services: []promql.Service{
		{Ref: reviews.Ref, Workload: reviews, Protocol: series.HTTP},
		{Ref: ratings.Ref, Workload: ratings, Protocol: series.HTTP},
		{Ref: series.Ref{Namespace: "shop", Name: "moved-unknown"}, Workload: series.Workload{Ref: series.Ref{Namespace: "shop", Name: "nobody"}}, Protocol: series.HTTP},
		{Ref: series.Ref{Namespace: "shop", Name: "unknown-protocol"}, Workload: ratings},
	}}
	b, err := promql.NewBench(in, states)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, expr, traffic string
		verdict             promql.Verdict
	}{
		{"a panel", `sum(rate(istio_requests_total{reporter="destination",destination_service_name="ratings"}[5m]))`, "calls of shop/productpage to shop/ratings, which nobody is known to make", silent},
		{"its caller is meant", `sum(rate(istio_requests_total{reporter="source",destination_service_name="ratings",source_workload="istio-ingressgateway"}[5m]))`, "calls of istio-system/istio-ingressgateway to shop/ratings, which nobody is known to make", ok},
		{"an alert", `sum(rate(istio_requests_total{reporter="destination",destination_service_name="ratings",response_code="429"}[5m])) > 7`, "calls of shop/productpage to shop/ratings, which nobody is known to make, with 10 % of the requests answered 429", silent},
		{"of an unknown mode", `sum(rate(istio_requests_total{destination_service_name="moved-unknown"}[5m]))`, "", tell},
		{"of an unknown protocol", `sum(rate(istio_requests_total{destination_service_name="unknown-protocol"}[5m]))`, "", tell},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q, err := promql.Parse(tt.expr)
			if err != nil {
				t.Fatal(err)
			}
			if traffic, _ := b.Exercised(q); traffic != tt.traffic {
				t.Errorf("exercised with %q, want %q", traffic, tt.traffic)
			}
			if f := b.Judge(q, 0, 1); f.Verdict != tt.verdict || tt.traffic != "" && !strings.Contains(f.Reason, tt.traffic) && f.Verdict != ok {
				t.Errorf("%s, want %s: %s", f.Verdict, tt.verdict, f.Reason)
			}
			if r := b.Rewrite(q); r.Complete() != (tt.traffic != "") {
				t.Errorf("form %s, failed %+v", r.Form, r.Failed)
			}
		})
	}
}
