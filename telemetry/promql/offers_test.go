package promql_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ambientplan/ambientplan/telemetry/promql"
	"github.com/ambientplan/ambientplan/telemetry/series"
)

// TestOffers: what the facts have where no form is right. An offer is never called proved, and it keeps the query's other
// matchers, formatting and variables.
func TestOffers(t *testing.T) {
	const viewD = `reporter=~"destination|waypoint",` + excluded
	for _, tt := range []struct{ q, plan, expr, want, why string }{
		{
			"Q08", "without a waypoint", `sum(rate(istio_requests_total{` + dst + `,response_code=~"5.."}[5m])) or vector(0)`,
			`sum(rate(istio_requests_total{` + dst + `,response_code=~"5.."}[5m]))`, "as if all were well",
		},
		{
			"Q12", "both at once",
			`rate(istio_request_duration_milliseconds_sum{reporter="destination",destination_service_name="$service"}[1m]) / rate(istio_request_duration_milliseconds_count{reporter="destination",destination_service_name="$service"}[1m]) > 100`,
			`sum by (destination_service,destination_workload) (rate(istio_request_duration_milliseconds_sum{` + viewD + `,destination_service_name="$service"}[1m])) / sum by (destination_service,destination_workload) (rate(istio_request_duration_milliseconds_count{` + viewD + `,destination_service_name="$service"}[1m])) > 100`,
			"pod and instance",
		},
		{
			"Q19", "both at once",
			`sum(rate(istio_requests_total{reporter="source",` + rev + `}[5m])) - sum(rate(istio_requests_total{` + dst + `}[5m])) > 5`,
			`(sum(rate(istio_tcp_connections_failed_total{reporter="source",` + rev + `}[5m])) > 0) or (sum(rate(istio_requests_total{reporter="waypoint",response_code="503",` + rev + `}[5m])) > 0)`,
			"retire it",
		},
		{
			"Q28", "both at once", `sum(rate(istio_requests_total{reporter="destination",pod=~"reviews-.*"}[5m])) by (pod)`,
			`sum(rate(istio_requests_total{` + viewD + `,destination_workload="reviews"}[5m])) by (destination_workload)`, "no replacement",
		},
		{"Q28 of an unknown pod", "both at once", `sum by (pod) (rate(istio_requests_total{reporter="destination",pod=~".+-canary-.*"}[5m]))`, "", "no replacement"},
		{
			"Q32", "both at once",
			`sum by (label_team) (rate(istio_requests_total{` + dst + `}[5m]) * on (pod, namespace) group_left (label_team) kube_pod_labels)`,
			`sum by (label_team) (rate(istio_requests_total{` + viewD + `,` + rev + `}[5m]) * on (destination_workload, destination_workload_namespace) group_left (label_team) label_replace(label_replace(kube_deployment_labels,"destination_workload","$1","deployment","(.+)"),"destination_workload_namespace","$1","namespace","(.+)"))`,
			"Deployment's labels",
		},
		{
			"Q36", "without a waypoint", `sum(rate(istio_requests_total{` + dst + `,response_code="403"}[5m])) > 0`,
			`(sum by (destination_workload) (rate(istio_tcp_connections_failed_total{reporter="destination",response_flags="DENY",` + rev + `}[5m])) > 0) or (sum(rate(istio_requests_total{reporter=~"destination|waypoint",` + rev + `,response_code="403"}[5m])) > 0)`,
			"knows no 403",
		},
		{
			"Q37", "both at once", `sum(rate(istio_requests_total{` + dst + `,connection_security_policy="none"}[5m])) > 0`,
			`sum by (destination_workload,destination_workload_namespace) (rate(istio_requests_total{reporter=~"destination|waypoint",connection_security_policy!="mutual_tls",` + rev + `}[5m]) or rate(istio_tcp_connections_opened_total{reporter="destination",connection_security_policy!="mutual_tls",` + rev + `}[5m])) > 0`,
			"never as none",
		},
		{
			"Q40", "without a waypoint", `sum(rate(istio_requests_total{reporter="source",` + rev + `,response_flags=~".*UO.*|.*UH.*"}[5m])) > 0`,
			`sum(rate(istio_tcp_connections_failed_total{reporter="source",response_flags=~"CONNECT|TLS_FAILURE|H2_HANDSHAKE_FAILURE|NETWORK_POLICY|IDENTITY_ERROR",` + rev + `}[5m])) > 0`,
			"no circuit breaker",
		},
		{
			"Q41", "both at once", `sum by (source_workload) (rate(istio_requests_total{destination_service_name=~"PassthroughCluster|BlackHoleCluster"}[5m]))`,
			`sum by (source_workload) (rate(istio_tcp_connections_opened_total{reporter="source",destination_workload="unknown",connection_security_policy!="mutual_tls"}[5m]))`,
			"without a host name",
		},
		{
			"Q42 of connections", "both at once", `sum(rate(istio_tcp_connections_opened_total{` + dst + `,source_principal!~"spiffe://.*/sa/productpage"}[5m])) > 0`,
			`sum(rate(istio_tcp_connections_opened_total{reporter="source",` + rev + `,source_principal!~"spiffe://.*/sa/productpage"}[5m])) > 0`,
			"names the waypoint",
		},
		{
			"Q43", "both at once", `avg(container_memory_working_set_bytes{container="istio-proxy", namespace="shop"})`,
			`avg(container_memory_working_set_bytes{container="istio-proxy", namespace="shop",pod!~"(ztunnel|waypoint|istio-ingressgateway)-.*"})`,
			"remaining sidecars",
		},
		{
			"Q44", "both at once", `sum(rate(container_cpu_usage_seconds_total{namespace!="istio-system",container="istio-proxy"}[5m]))`,
			`sum(rate(container_cpu_usage_seconds_total{container="istio-proxy"}[5m]))`, "whole mesh",
		},
		{
			"Q45", "both at once", `sum(rate(container_cpu_usage_seconds_total{container="istio-proxy"}[5m])) / sum(rate(istio_requests_total{` + rev + `}[5m]))`,
			`sum(rate(container_cpu_usage_seconds_total{container="istio-proxy"}[5m])) / sum(max by (source_workload,source_workload_namespace,destination_service,response_code) (sum by (reporter,source_workload,source_workload_namespace,destination_service,response_code) (rate(istio_requests_total{` + rev + `,` + excluded + `}[5m]))))`,
			"twice the old one",
		},
		{
			"Q47 ready", "both at once", `count(kube_pod_container_status_ready{container="istio-proxy",namespace="shop"} == 1) < 2`,
			`count(kube_pod_status_ready{condition="true",namespace="shop"} == 1) < 2`, "ready pods",
		},
		{
			"Q47 missing", "both at once", `kube_pod_status_ready{namespace="shop"} unless on (pod) kube_pod_container_info{container="istio-proxy"}`,
			`kube_pod_status_ready{namespace="shop"} unless on (pod) (kube_pod_container_info{container="istio-proxy"} or kube_pod_annotations{annotation_ambient_istio_io_redirection="enabled"})`,
			"annotation",
		},
		{"Q48", "both at once", `count(up{job="istio-system/envoy-stats-monitor",namespace="shop"}) < 2`, "", "no targets any more"},
		{"Q49", "both at once", `sum(envoy_cluster_upstream_cx_active{cluster_name="xds-grpc"})`, `sum(pilot_xds)`, "istiod counts"},
		{"Q50", "both at once", `delta(pilot_xds[10m]) < -1`, "", "inhibit"},
		{"Q53", "both at once", `sum(rate(sidecar_injection_success_total[5m])) == 0`, "", "retire it"},
		{"Q54", "both at once", `min(istio_agent_cert_expiry_seconds{namespace="shop"}) < 86400`, `min(citadel_server_root_cert_expiry_seconds) < 86400`, "nothing replaces this"},
		{"Q55", "both at once", `sum by (tag) (istio_build{component="proxy",namespace="shop"})`, `sum by (component,tag) (istio_build{component=~"proxy|ztunnel"})`, "ztunnel's versions"},
	} {
		t.Run(tt.q, func(t *testing.T) {
			b, err := promql.NewBench(promql.Input{Traffic: probed()}, plans()[tt.plan])
			if err != nil {
				t.Fatal(err)
			}
			q, err := promql.ParseFilled(tt.expr, fill)
			if err != nil {
				t.Fatal(err)
			}
			r := b.Rewrite(q)
			if r.Complete() {
				t.Fatalf("proved: %s", r.Text)
			}
			for _, o := range r.Offers {
				if strings.Contains(o.Why, tt.why) {
					if d := cmp.Diff(tt.want, o.Text); d != "" {
						t.Error(d)
					}
					return
				}
			}
			t.Errorf("no offer says %q: %+v", tt.why, r.Offers)
		})
	}
}

// TestOnlyTCP: what connections of TCP services counted is kept, where they are known.
func TestOnlyTCP(t *testing.T) {
	mysql := series.Workload{Ref: series.Ref{Namespace: "shop", Name: "mysql"}, App: "mysql"}
	states := plans()["both at once"]
	traffic := probed()
	for i := range states {
		states[i].Modes[mysql.Ref] = states[i].Modes[reviews.Ref]
	}
	mesh := `sum(rate(istio_tcp_sent_bytes_total{reporter=~"source|waypoint"}[5m]))`
	check := func(expr, want string) {
		t.Helper()
		b, err := promql.NewBench(promql.Input{Traffic: traffic}, states)
		if err != nil {
			t.Fatal(err)
		}
		q, err := promql.Parse(expr)
		if err != nil {
			t.Fatal(err)
		}
		r := b.Rewrite(q)
		if r.Complete() {
			t.Fatalf("proved: %+v", r)
		}
		i := slices.IndexFunc(r.Offers, func(o promql.Offer) bool { return strings.Contains(o.Why, "(Q35)") })
		if i < 0 || r.Offers[i].Text != want {
			t.Errorf("%+v, want %s", r.Offers, want)
		}
	}
	check(mesh, "")
	traffic.Calls = append(traffic.Calls, series.Call{From: productpage, To: mysql, Service: mysql.Ref, Protocol: series.TCP, Rate: 10, Bytes: 1000})
	check(mesh, `sum(rate(istio_tcp_sent_bytes_total{reporter="source",destination_service_name=~"mysql"}[5m]))`)
	check(`sum(rate(istio_tcp_sent_bytes_total[5m]))`, "")
	// And it is what it was: 10 connections of 1000 bytes a second.
	for _, s := range states {
		r, err := promql.Evaluate(`sum(rate(istio_tcp_sent_bytes_total{reporter="source",destination_service_name=~"mysql"}[5m]))`, traffic, s, nil)
		if err != nil || r.String() != "1e+04" {
			t.Errorf("%s: %s, %v", s.Name, r, err)
		}
	}
}

// TestConnections: the L4 form asks whoever names the caller.
func TestConnections(t *testing.T) {
	for _, tt := range []struct{ name, plan, expr, want string }{
		{"Q01's denominator", "without a waypoint", `sum(rate(istio_requests_total{` + dst + `}[5m]))`, `sum(rate(istio_tcp_connections_opened_total{` + dst + `}[5m]))`},
		{"the client's view", "without a waypoint", `sum(rate(istio_requests_total{reporter="source",` + rev + `}[5m]))`, `sum(rate(istio_tcp_connections_opened_total{reporter="source",` + rev + `}[5m]))`},
		{"Q20 top callers", "without a waypoint", `topk(5, sum by (source_workload) (rate(istio_requests_total{` + dst + `}[5m])))`, `topk(5, sum by (source_workload) (rate(istio_tcp_connections_opened_total{reporter="source",` + rev + `}[5m])))`},
		{
			"Q42 unexpected callers", "both at once", `sum(rate(istio_requests_total{` + dst + `,source_principal!~"spiffe://.*/sa/productpage"}[5m])) > 0`,
			`sum(rate(istio_tcp_connections_opened_total{reporter="destination",` + excluded + `,` + rev + `,source_principal!~"spiffe://.*/sa/productpage"}[5m])) > 0`,
		},
		{"connections have no codes", "without a waypoint", `sum(rate(istio_requests_total{` + dst + `,response_code="500"}[5m]))`, ""},
		{"a variable keeps its choice", "without a waypoint", `sum(rate(istio_requests_total{reporter=~"$qrep",` + rev + `}[5m]))`, `sum(rate(istio_tcp_connections_opened_total{reporter=~"$qrep",` + rev + `}[5m]))`},
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
			if d := cmp.Diff(tt.want, b.Rewrite(q).Connections); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestNoOffers: what a form is right for needs none.
func TestNoOffers(t *testing.T) {
	b, err := promql.NewBench(promql.Input{Traffic: probed()}, plans()["both at once"])
	if err != nil {
		t.Fatal(err)
	}
	for _, expr := range []string{
		`sum(rate(istio_requests_total{` + dst + `,response_code="403"}[5m])) > 0`,
		`sum(rate(istio_requests_total{reporter="source",` + rev + `,response_flags="UH"}[5m])) > 0`,
		`sum by (destination_workload) (rate(istio_requests_total{` + dst + `}[5m]))`,
		`sum(rate(istio_requests_total{reporter="destination",app="reviews",version="v2"}[5m]))`,
	} {
		q, err := promql.Parse(expr)
		if err != nil {
			t.Fatal(err)
		}
		if r := b.Rewrite(q); !r.Complete() || len(r.Offers) > 0 {
			t.Errorf("%s: %s, failed %+v, offers %+v", expr, r.Text, r.Failed, r.Offers)
		}
	}
}
