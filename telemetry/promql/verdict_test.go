package promql_test

import (
	"testing"

	"github.com/ambientplan/ambientplan/telemetry/promql"
)

// Short words for the table, from the facts.
const (
	ok      = promql.Unaffected
	silent  = promql.GoesSilent
	false_  = promql.FiresFalsely
	double  = promql.DoubleCounts
	half    = promql.CountsHalf
	meaning = promql.ChangesMeaning
	tell    = promql.CannotTell
	dead    = promql.AlreadyDead
)

const dst = `reporter="destination",` + rev

// catalogue are the patterns of observability.md 3, with the verdict of the step from sidecars to each world.
var catalogue = []struct {
	q, expr      string
	client       promql.Verdict // A->S
	mixed        promql.Verdict // A->S+W
	l4, waypoint promql.Verdict
}{
	{"Q01", `sum(rate(istio_requests_total{` + dst + `,response_code=~"5.."}[5m])) / sum(rate(istio_requests_total{` + dst + `}[5m])) > 0.05`, ok, ok, silent, silent},
	{"Q02", `sum by (destination_workload) (rate(istio_requests_total{` + dst + `,response_code=~"5.."}[5m]))`, ok, ok, silent, silent},
	{"Q03", `sum(rate(istio_requests_total{reporter="source",response_code=~"5..",` + rev + `}[5m])) / sum(rate(istio_requests_total{reporter="source",` + rev + `}[5m])) > 0.05`, silent, silent, silent, silent},
	{"Q04", `sum(rate(istio_requests_total{` + dst + `}[5m])) < 10`, ok, ok, silent, silent},
	{"Q05", `sum(rate(istio_requests_total{` + dst + `}[5m])) > 1000`, ok, ok, silent, silent},
	{"Q05 with N", `sum(rate(istio_requests_total{reporter=~"destination|waypoint",` + rev + `}[5m])) > 140`, ok, false_, silent, ok},
	{"Q06", `sum(rate(istio_requests_total{` + rev + `}[5m]))`, half, ok, silent, half},
	{"Q06 alert", `sum(rate(istio_requests_total{` + rev + `}[5m])) < 150`, false_, ok, silent, false_},
	{"Q07", `sum(rate(istio_requests_total{response_code=~"5..",` + rev + `}[5m])) / sum(rate(istio_requests_total{` + rev + `}[5m]))`, ok, ok, silent, ok},
	{"Q08", `sum(rate(istio_requests_total{` + dst + `,response_code=~"5.."}[5m])) or vector(0)`, ok, ok, silent, silent},
	{"Q09", `sum(rate(istio_requests_total{` + dst + `,response_code!~"5.."}[5m])) / sum(rate(istio_requests_total{` + dst + `}[5m])) or on () vector(1)`, ok, ok, silent, silent},
	{"Q10", `histogram_quantile(0.99, sum by (le) (rate(istio_request_duration_milliseconds_bucket{` + dst + `}[5m])))`, ok, meaning, silent, silent},
	{"Q11", `histogram_quantile(0.99, sum by (le, source_canonical_service) (rate(istio_request_duration_milliseconds_bucket{` + rev + `}[5m]))) > 1`, ok, meaning, silent, meaning},
	{"Q12", `rate(istio_request_duration_milliseconds_sum{` + dst + `}[1m]) / rate(istio_request_duration_milliseconds_count{` + dst + `}[1m]) > 100`, ok, meaning, silent, silent},
	{"Q13", `sum(rate(istio_request_duration_milliseconds_bucket{` + dst + `,le="250"}[5m])) / sum(rate(istio_request_duration_milliseconds_count{` + dst + `}[5m]))`, ok, meaning, silent, silent},
	{"Q14", `sum(rate(istio_request_duration_milliseconds_count{` + dst + `}[5m])) - sum(rate(istio_request_duration_milliseconds_bucket{` + dst + `,le="250"}[5m]))`, ok, meaning, silent, silent},
	{"Q15", `sum(rate(istio_requests_total{` + dst + `,response_code="0"}[5m]))`, tell, tell, tell, tell},
	{"Q16", `sum(rate(istio_requests_total{` + dst + `,response_code=~"4.."}[5m])) / sum(rate(istio_requests_total{` + dst + `}[5m])) > 0.05`, ok, ok, silent, silent},
	{"Q17", `sum(rate(istio_requests_total{` + dst + `,grpc_response_status=~"[1-9]\\d*"}[5m])) > 1`, ok, ok, silent, silent},
	{"Q18", `sum(irate(istio_response_bytes_sum{reporter="source",` + rev + `}[1m]))`, silent, silent, silent, silent},
	{"Q19", `sum(rate(istio_requests_total{reporter="source",` + rev + `}[5m])) - sum(rate(istio_requests_total{` + dst + `}[5m])) > 5`, silent, silent, silent, silent},
	{"Q20", `topk(5, sum by (source_workload) (rate(istio_requests_total{` + dst + `}[5m])))`, ok, meaning, silent, silent},
	{"Q21", `sum by (destination_workload) (rate(istio_requests_total{source_workload=~".*-ingressgateway"}[5m]))`, half, half, half, meaning},
	{"Q22", `sum(rate(istio_requests_total{reporter=~"source|waypoint"}[5m]))`, silent, ok, silent, double},
	{"Q23", `sum by (destination_service_name) (rate(istio_requests_total{reporter="destination"}[1h])) == 0`, silent, silent, silent, silent},
	{"Q24", `sum by (request_zone) (rate(istio_requests_total{` + dst + `}[5m]))`, ok, ok, silent, silent},
	{"Q25", `sum(rate(istio_requests_total{` + dst + `,request_host="x"}[5m]))`, tell, tell, tell, tell},
	{"Q26", `sum(rate(istio_requests_total{reporter="destination",namespace="shop"}[5m]))`, silent, silent, silent, silent},
	{"Q27", `sum(rate(istio_requests_total{reporter="source",namespace="shop"}[5m]))`, silent, silent, silent, silent},
	{"Q28", `sum by (pod) (rate(istio_requests_total{reporter="destination",pod=~"reviews-.*"}[5m]))`, ok, ok, silent, silent},
	{"Q29", `sum(rate(istio_requests_total{reporter="destination",app="reviews"}[5m]))`, ok, ok, silent, silent},
	{"Q30", `sum(rate(istio_requests_total{container="istio-proxy",` + dst + `}[5m]))`, ok, ok, silent, silent},
	{"Q31", `sum(rate(istio_requests_total{instance=~".*:15020",` + dst + `}[5m]))`, ok, ok, silent, silent},
	{"Q32", `sum by (label_team) (rate(istio_requests_total{` + dst + `}[5m]) * on (pod, namespace) group_left (label_team) kube_pod_labels)`, ok, ok, silent, silent},
	{"Q35", `sum(rate(istio_tcp_sent_bytes_total{reporter="source",` + rev + `}[5m]))`, meaning, meaning, meaning, meaning},
	{"Q36", `sum(rate(istio_requests_total{` + rev + `,response_code="403"}[5m])) > 0`, half, ok, silent, half},
	{"Q37", `sum(rate(istio_requests_total{` + dst + `,connection_security_policy="none"}[5m])) > 0`, ok, ok, silent, silent},
	{"Q38", `sum(rate(istio_requests_total{` + dst + `,connection_security_policy="mutual_tls"}[5m])) / sum(rate(istio_requests_total{` + dst + `}[5m]))`, ok, ok, silent, silent},
	{"Q39", `sum(rate(istio_tcp_connections_opened_total{reporter="source",connection_security_policy="mutual_tls"}[5m]))`, meaning, meaning, meaning, meaning},
	{"Q40", `sum(rate(istio_requests_total{reporter="source",` + rev + `,response_flags=~".*UO.*|.*UH.*|.*URX.*|.*UT.*"}[5m])) > 0`, silent, silent, silent, silent},
	{"Q41", `sum(rate(istio_requests_total{destination_service_name=~"PassthroughCluster|BlackHoleCluster"}[5m]))`, tell, tell, tell, tell},
	{"Q42", `sum(rate(istio_requests_total{` + dst + `,source_principal!~"spiffe://.*/sa/(productpage|unused)"}[5m])) > 0`, ok, false_, silent, silent},
	{"Q43", `sum(container_memory_working_set_bytes{namespace!="istio-system",container="istio-proxy"}) / count(container_memory_working_set_bytes{namespace!="istio-system",container="istio-proxy"})`, meaning, meaning, silent, meaning},
	{"Q44", `sum(rate(container_cpu_usage_seconds_total{namespace!="istio-system",container="istio-proxy"}[5m]))`, meaning, meaning, silent, meaning},
	{"Q45", `sum(rate(container_cpu_usage_seconds_total{container="istio-proxy"}[5m])) / sum(rate(istio_requests_total{` + rev + `}[5m]))`, meaning, meaning, silent, meaning},
	{"Q46", `increase(kube_pod_container_status_restarts_total{container="istio-proxy",namespace="istio-system",pod=~"istio-ingress.*"}[1h])`, ok, ok, ok, ok},
	{"Q49", `sum(envoy_cluster_upstream_cx_active{cluster_name="xds-grpc",namespace="shop"})`, meaning, meaning, silent, meaning},
	{"Q47 ready", `count(kube_pod_container_status_ready{container="istio-proxy",namespace="shop"} == 1) < 2`, false_, meaning, silent, false_},
	{"Q47 missing", `kube_pod_status_ready{namespace="shop"} unless on (pod) kube_pod_container_info{container="istio-proxy"}`, false_, false_, false_, false_},
	{"Q48", `count(up{job="istio-system/envoy-stats-monitor",namespace="shop"}) < 2`, false_, meaning, silent, false_},
	{"Q48 down", `up{job="istio-system/envoy-stats-monitor"} == 0`, ok, ok, ok, ok},
	{"Q48 any down", `count by (job) (up == 0) > 0`, tell, tell, tell, tell},
	{"Q54 the least", `min(istio_agent_cert_expiry_seconds{namespace="shop"}) < 86400`, meaning, meaning, silent, meaning},
	{"Q50", `pilot_xds < 3`, ok, meaning, false_, ok},
	{"Q51", `sum(rate(pilot_xds_push_errors[5m])) / sum(rate(pilot_xds_pushes[5m])) > .1`, ok, ok, ok, ok},
	{"Q52", `pilot_no_ip > 0`, ok, ok, ok, ok},
	{"Q53", `sum(rate(sidecar_injection_success_total[5m])) == 0`, meaning, meaning, false_, false_},
	{"Q54", `istio_agent_cert_expiry_seconds{namespace="shop"} < 86400`, silent, meaning, silent, silent},
	{"Q55", `sum by (tag) (istio_build{component="proxy",namespace="shop"})`, meaning, meaning, silent, meaning},
	{"Q56", `sum(rate(envoy_cluster_upstream_rq{envoy_cluster_name=~"outbound.*"}[5m]))`, tell, tell, tell, tell},
	{"Q57", `sum(rate(envoy_wasm_envoy_wasm_runtime_v8_active[5m]))`, tell, tell, tell, tell},
	{"Q58", `absent(istio_requests_total{` + dst + `})`, ok, ok, false_, false_},
	{"Q58 over time", `absent_over_time(istio_requests_total{` + dst + `}[10m])`, ok, ok, false_, false_},
	{"Q59", `absent(istio_requests_total)`, ok, ok, ok, ok},
	{"Q60", `absent(istio_requests_total{reporter="source",source_workload="istio-ingressgateway"})`, ok, ok, ok, ok},
	{"Q61", `sum(rate(istio_requests_total{` + dst + `,response_code=~"5.."}[1h])) / sum(rate(istio_requests_total{` + dst + `}[1h])) > (14.4 * 0.001) and sum(rate(istio_requests_total{` + dst + `,response_code=~"5.."}[5m])) / sum(rate(istio_requests_total{` + dst + `}[5m])) > (14.4 * 0.001)`, ok, ok, silent, silent},
	{"Q63", `absent(istio_requests_total{` + dst + `}) == 1`, ok, ok, false_, false_},
	{"Q65", `sum(rate(istio_requests_total{reporter="destination",destination_workload_namespace="shop",destination_workload=~"reviews",response_code!~"5.*"}[1m])) / sum(rate(istio_requests_total{reporter="destination",destination_workload_namespace="shop",destination_workload=~"reviews"}[1m])) * 100`, ok, ok, silent, silent},
	{"Q67", `sum(irate(istio_requests_total{reporter="source",destination_service=~"reviews.shop.svc.cluster.local",response_code!~"5.*"}[5m])) / sum(irate(istio_requests_total{reporter="source",destination_service=~"reviews.shop.svc.cluster.local"}[5m]))`, silent, silent, silent, silent},
	{"Q69", `sum(rate(istio_requests_total{` + rev + `}[2m]))`, half, ok, silent, half},
	{"Q70", `sum by (pod, namespace) (rate(istio_requests_total{` + dst + `}[2m]))`, ok, ok, silent, silent},
	{"Q66", `sum(rate(istio_requests_total{reporter="destination",destination_workload_namespace="shop",destination_workload="reviews",response_code!~"5.*"}[1m])) / sum(rate(istio_requests_total{reporter="destination",destination_workload_namespace="shop",destination_workload="reviews"}[1m])) * 100`, ok, ok, silent, silent},
	{"Q71", `sum(rate(istio_requests_total{` + dst + `}[1m]))`, ok, ok, silent, silent},
	{"Q73", `sum(rate(revision_request_count[1m]))`, tell, tell, tell, tell},
	{"Q74", `sum by (source_workload) (istio_requests_total{reporter="destination",destination_service="reviews.shop.svc.cluster.local"})`, ok, meaning, silent, silent},
	{"dead 1.2", `histogram_quantile(.99, sum by (le) (rate(istio_request_duration_seconds_bucket[5m])))`, dead, dead, dead, dead},
	{"merged 1.5", `sum(rate(orders_total{container="istio-proxy"}[5m]))`, silent, silent, silent, silent},
	{"application", `sum(rate(orders_total[5m]))`, tell, tell, tell, tell},
	{"node", `sum(rate(node_cpu_seconds_total[5m]))`, ok, ok, ok, ok},
	{"absent of a service that nobody knows", `absent(istio_requests_total{destination_service_name="elsewhere"})`, tell, tell, tell, tell},
	{"subquery without end", `max_over_time(sum(rate(istio_requests_total[5m]))[1y:1s])`, tell, tell, tell, tell},
	{"anything", `{job="x"}`, tell, tell, tell, tell},
}

func TestCatalogue(t *testing.T) {
	w := worlds()
	bench, err := promql.NewBench(promql.Input{Traffic: probed()}, w)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range catalogue {
		t.Run(tt.q, func(t *testing.T) {
			q, err := promql.Parse(tt.expr)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range []promql.Verdict{tt.client, tt.mixed, tt.l4, tt.waypoint} {
				got := bench.Judge(q, 0, i+1)
				if got.Verdict != want {
					t.Errorf("%s: %s, want %s\n%s\nreason: %s\nevidence: %+v", w[i+1].Name, got.Verdict, want, tt.expr, got.Reason, got.Evidence)
				}
				if got.Reason == "" {
					t.Errorf("%s: a verdict without a reason", w[i+1].Name)
				}
			}
		})
	}
}

// TestNoRate: a call without traffic makes all states equal, and would make every query unaffected.
func TestNoRate(t *testing.T) {
	traffic := probed()
	traffic.Calls[0].Rate = 0
	if _, err := promql.NewBench(promql.Input{Traffic: traffic}, worlds()); err == nil {
		t.Error("no error")
	}
}

// TestEvidence: a verdict names the selector by its place in the text, and whose series it loses and gains.
func TestEvidence(t *testing.T) {
	w := worlds()
	for _, tt := range []struct {
		name, expr   string
		looksHealthy bool
	}{
		{"Q08 shows 0 errors", `sum(rate(istio_requests_total{` + dst + `,response_code=~"5.."}[5m])) or vector(0)`, true},
		{"Q09 shows 100 %", `sum(rate(istio_requests_total{` + dst + `,response_code!~"5.."}[5m])) / sum(rate(istio_requests_total{` + dst + `}[5m])) or on () vector(1)`, true},
		{"Q04 an alert that is empty is quiet", `sum(rate(istio_requests_total{` + dst + `}[5m])) < 10`, true},
		{"an empty panel is seen", `sum(rate(istio_requests_total{` + dst + `}[5m]))`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q, err := promql.Parse(tt.expr)
			if err != nil {
				t.Fatal(err)
			}
			f := promql.Judge(q, w[0], w[4], promql.Input{Traffic: probed()})
			if f.Verdict != silent || f.LooksHealthy != tt.looksHealthy {
				t.Errorf("%s, looks healthy: %v", f.Verdict, f.LooksHealthy)
			}
			if len(f.Evidence) == 0 {
				t.Fatal("no evidence")
			}
			for _, e := range f.Evidence {
				const lost = "sidecar of the server (reporter=destination) on shop/reviews from productpage"
				if len(e.Lost) != 1 || e.Lost[0] != lost || len(e.Gained) != 0 || len(e.Facts) == 0 {
					t.Errorf("%+v", e)
				}
				if q.Text[e.Start:e.Start+len(e.Selector)] != e.Selector {
					t.Errorf("%q is not at %d", e.Selector, e.Start)
				}
			}
		})
	}
}

// "new metric or old metric" is a living query, also where the traffic has nothing of the new one; a ratio with a dead
// metric is dead.
func TestOneSideOfAnOrMayBeDead(t *testing.T) {
	for text, want := range map[string]promql.Verdict{
		`sum(rate(istio_request_duration_milliseconds_count{source_workload="nobody"}[5m])) or sum(rate(istio_request_duration_seconds_count[5m]))`: promql.CannotTell,
		`sum(rate(istio_requests_total[5m])) / sum(rate(istio_request_duration_seconds_count[5m]))`:                                                 promql.AlreadyDead,
		`sum(rate(istio_request_duration_seconds_count[5m]))`:                                                                                       promql.AlreadyDead,
	} {
		q, err := promql.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := promql.Judge(q, worlds()[0], worlds()[4], promql.Input{Traffic: probed()}); got.Verdict != want {
			t.Errorf("%s: %s (%s), want %s", text, got.Verdict, got.Reason, want)
		}
	}
}
