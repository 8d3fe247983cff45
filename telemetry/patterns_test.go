package telemetry_test

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Files as people write them. SERVICE stands for each of the three Services in turn.

// rule is a rule file with one alert.
func rule(expr string) string {
	return "groups:\n- name: mesh\n  rules:\n  - alert: Pattern\n    expr: " + strconv.Quote(expr) + "\n    for: 5m\n    labels: {severity: page}\n"
}

// record is a rule file with one recording rule.
func record(name, expr string) string {
	return "groups:\n- name: mesh\n  rules:\n  - record: " + name + "\n    expr: " + strconv.Quote(expr) + "\n"
}

// panel is a dashboard with one panel.
func panel(expr string) string {
	text, _ := json.Marshal(expr)
	return `{"title":"Pattern","uid":"pattern","schemaVersion":39,"panels":[{"id":1,"type":"timeseries","title":"Pattern","datasource":{"type":"prometheus","uid":"p"},"targets":[{"refId":"A","expr":` + string(text) + `}]}]}`
}

// chooser is a dashboard with variables, and one panel.
func chooser(variables, expr string) string {
	return strings.Replace(panel(expr), `"panels"`, `"templating":{"list":[`+variables+`]},"panels"`, 1)
}

func keda(query, more string) string {
	return `apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: SERVICE, namespace: shop}
spec:
  scaleTargetRef: {name: SERVICE}
  minReplicaCount: 1
  triggers:
  - type: prometheus
    metadata:
      serverAddress: http://prometheus.monitoring:9090
      threshold: "50"
` + more + `      query: ` + query + "\n"
}

func rollout(condition, query string) string {
	return `apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: success, namespace: shop}
spec:
  args: [{name: service}]
  metrics:
  - name: success
    interval: 1m
    ` + condition + `
    provider:
      prometheus:
        address: http://prometheus.monitoring:9090
        query: |
          ` + query + "\n"
}

const (
	requests = `rate(istio_requests_total{reporter="destination",destination_service_name="SERVICE"}[5m])`
	errors5  = `rate(istio_requests_total{reporter="destination",destination_service_name="SERVICE",response_code=~"5.."}[5m])`
	calls    = `rate(istio_requests_total{reporter="source",destination_service_name="SERVICE"}[5m])`
	calls5   = `rate(istio_requests_total{reporter="source",destination_service_name="SERVICE",response_code=~"5.."}[5m])`
)

// pattern is one of Q01 to Q81 as it stands in a file.
type pattern struct {
	id, file string
}

func patterns() []pattern {
	return []pattern{
		{"Q01", rule(`sum(` + errors5 + `) / sum(` + requests + `) > 0.05`)},
		{"Q02", rule(`sum by (destination_workload) (rate(istio_requests_total{reporter="destination",destination_workload="SERVICE",response_code=~"5.."}[5m])) / sum by (destination_workload) (rate(istio_requests_total{reporter="destination",destination_workload="SERVICE"}[5m])) > 0.05`)},
		{"Q03", rule(`sum(` + calls5 + `) / sum(` + calls + `) > 0.05`)},
		{"Q04", rule(`sum(` + requests + `) < 10`)},
		{"Q05", rule(`sum(` + requests + `) > 1000`)},
		{"Q06", rule(`sum(rate(istio_requests_total{destination_service_name="SERVICE"}[5m])) > 1000`)},
		{"Q06 panel", panel(`sum(rate(istio_requests_total{destination_service_name="SERVICE"}[5m]))`)},
		{"Q07", rule(`sum(rate(istio_requests_total{destination_service_name="SERVICE",response_code=~"5.."}[5m])) / sum(rate(istio_requests_total{destination_service_name="SERVICE"}[5m])) > 0.05`)},
		{"Q08", panel(`sum(` + errors5 + `) or vector(0)`)},
		{"Q08 alert", rule(`(sum(` + errors5 + `) or vector(0)) > 1`)},
		{"Q09", panel(`sum(rate(istio_requests_total{reporter="destination",destination_service_name="SERVICE",response_code!~"5.*"}[5m])) / sum(` + requests + `) or on () vector(1)`)},
		{"Q10", rule(`histogram_quantile(0.99, sum by (le) (rate(istio_request_duration_milliseconds_bucket{reporter="destination",destination_service_name="SERVICE"}[5m]))) > 250`)},
		{"Q11", rule(`histogram_quantile(0.99, sum by (le, source_canonical_service, destination_canonical_service) (rate(istio_request_duration_milliseconds_bucket{destination_canonical_service="SERVICE"}[5m]))) > 1`)},
		{"Q12", rule(`rate(istio_request_duration_milliseconds_sum{reporter="destination",destination_service_name="SERVICE"}[1m]) / rate(istio_request_duration_milliseconds_count{reporter="destination",destination_service_name="SERVICE"}[1m]) > 100`)},
		{"Q13", rule(`sum(rate(istio_request_duration_milliseconds_bucket{reporter="destination",destination_service_name="SERVICE",le="250"}[5m])) / sum(rate(istio_request_duration_milliseconds_count{reporter="destination",destination_service_name="SERVICE"}[5m])) < 0.95`)},
		{"Q14", rule(`(sum(rate(istio_request_duration_milliseconds_count{reporter="destination",destination_service_name="SERVICE"}[5m])) - sum(rate(istio_request_duration_milliseconds_bucket{reporter="destination",destination_service_name="SERVICE",le="250"}[5m]))) / sum(rate(istio_request_duration_milliseconds_count{reporter="destination",destination_service_name="SERVICE"}[5m])) > 0.05`)},
		{"Q15", rule(`sum(rate(istio_requests_total{reporter="source",destination_service_name="SERVICE",response_flags="DC"}[5m])) > 1`)},
		{"Q16", rule(`sum(rate(istio_requests_total{reporter="destination",destination_service_name="SERVICE",response_code=~"4.."}[5m])) / sum(` + requests + `) > 0.2`)},
		{"Q17", rule(`sum(rate(istio_requests_total{reporter="destination",destination_service_name="SERVICE",grpc_response_status=~"[1-9]\\d*"}[5m])) > 1`)},
		{"Q18", panel(`sum(irate(istio_response_bytes_sum{reporter="source",destination_service_name="SERVICE"}[1m]))`)},
		{"Q19", rule(`sum(` + calls + `) - sum(` + requests + `) > 5`)},
		{"Q20", panel(`topk(5, sum by (source_workload) (` + requests + `))`)},
		{"Q21", panel(`sum by (destination_workload) (rate(istio_requests_total{source_workload=~".*-ingressgateway"}[5m]))`)},
		{"Q22", panel(`sum(rate(istio_requests_total{reporter=~"source|waypoint"}[5m]))`)},
		{"Q23", rule(`sum by (destination_service_name) (rate(istio_requests_total{reporter="destination"}[1h])) == 0`)},
		{"Q24", panel(`sum by (request_zone) (rate(istio_requests_total{reporter="destination",request_zone!=""}[5m]))`)},
		{"Q25", panel(`sum(rate(istio_requests_total{reporter="destination",request_host="shop.example.com"}[5m]))`)},
		{"Q26", rule(`sum(rate(istio_requests_total{reporter="destination",namespace="shop"}[5m])) > 1000`)},
		{"Q27", panel(`sum(rate(istio_requests_total{reporter="source",namespace="shop"}[5m]))`)},
		{"Q28", panel(`sum by (pod) (rate(istio_requests_total{reporter="destination",pod=~"SERVICE-.*"}[5m]))`)},
		{"Q29", panel(`sum(rate(istio_requests_total{reporter="destination",app="SERVICE"}[5m]))`)},
		{"Q30", panel(`sum(rate(istio_requests_total{reporter="destination",container="istio-proxy",destination_service_name="SERVICE"}[5m]))`)},
		{"Q31", panel(`sum(rate(istio_requests_total{reporter="destination",instance=~".*:15090",destination_service_name="SERVICE"}[5m]))`)},
		{"Q32", panel(`sum by (label_team) (rate(istio_requests_total{reporter="destination"}[5m]) * on (pod,namespace) group_left(label_team) kube_pod_labels)`)},
		{"Q33", record("workload:istio_requests_total", `sum without (instance, namespace, pod) (istio_requests_total)`)},
		{"Q34", record("workload:requests:rate1m", `sum by (source_canonical_service, destination_canonical_service) (rate(istio_requests_total[1m]))`)},
		{"Q35", panel(`sum(rate(istio_tcp_sent_bytes_total{reporter="source"}[5m]))`)},
		{"Q35 mesh", panel(`sum(rate(istio_tcp_sent_bytes_total{reporter=~"source|waypoint"}[5m]))`)},
		{"Q36", rule(`sum(rate(istio_requests_total{reporter="destination",destination_service_name="SERVICE",response_code="403"}[5m])) > 1`)},
		{"Q37", rule(`sum(rate(istio_requests_total{reporter="destination",connection_security_policy="none"}[5m])) > 0`)},
		{"Q38", rule(`sum(rate(istio_requests_total{reporter="destination",connection_security_policy="mutual_tls"}[5m])) / sum(rate(istio_requests_total{reporter="destination"}[5m])) < 0.99`)},
		{"Q39", panel(`sum(rate(istio_tcp_connections_opened_total{reporter="source",connection_security_policy="mutual_tls"}[5m]))`)},
		{"Q40", rule(`sum(rate(istio_requests_total{reporter="source",destination_service_name="SERVICE",response_flags=~".*UO.*|.*UH.*|.*URX.*|.*UT.*"}[5m])) > 1`)},
		{"Q41", rule(`sum(rate(istio_requests_total{reporter="source",destination_service_name=~"PassthroughCluster|BlackHoleCluster"}[5m])) > 0`)},
		{"Q42", rule(`sum(rate(istio_requests_total{reporter="destination",destination_service_name="SERVICE",source_principal!~"spiffe://cluster.local/ns/shop/sa/(early|late)|spiffe://cluster.local/ns/istio-system/sa/istio-ingressgateway"}[5m])) > 0`)},
		{"Q43", panel(`sum(container_memory_working_set_bytes{namespace!="istio-system",container="istio-proxy"}) / count(container_memory_working_set_bytes{namespace!="istio-system",container="istio-proxy"})`)},
		{"Q44", panel(`sum(rate(container_cpu_usage_seconds_total{namespace!="istio-system",container="istio-proxy"}[5m]))`)},
		{"Q45", panel(`sum(rate(container_cpu_usage_seconds_total{container="istio-proxy"}[5m])) / (sum(rate(istio_requests_total[5m])) / 1000)`)},
		{"Q46", rule(`increase(kube_pod_container_status_restarts_total{container="istio-proxy"}[1h]) > 3`)},
		{"Q47", rule(`count(kube_pod_container_status_ready{namespace="shop",container="istio-proxy"} == 1) < 5`)},
		{"Q48", rule(`count(up{job="envoy-stats",namespace="shop"}) < 5`)},
		{"Q48 down", rule(`up{job="envoy-stats"} == 0`)},
		{"Q49", panel(`sum(envoy_cluster_upstream_cx_active{cluster_name="xds-grpc"})`)},
		{"Q50", rule(`sum(pilot_xds) < 5`)},
		{"Q51", rule(`sum(rate(pilot_xds_push_errors[5m])) / sum(rate(pilot_xds_pushes[5m])) > 0.1`)},
		{"Q52", rule(`sum(pilot_conflict_inbound_listener) > 0`)},
		{"Q53", rule(`sum(rate(sidecar_injection_success_total[5m])) == 0`)},
		{"Q54", rule(`istio_agent_cert_expiry_seconds < 86400`)},
		{"Q55", panel(`sum by (tag) (istio_build{component="proxy"})`)},
		{"Q56", rule(`sum(rate(envoy_cluster_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name=~"outbound\\|.*SERVICE.*"}[5m])) > 1`)},
		{"Q57", panel(`sum(rate(envoy_http_local_rate_limit_rate_limited[5m]))`)},
		{"Q58", rule(`absent(istio_requests_total{reporter="destination",destination_service_name="SERVICE"})`)},
		{"Q59", rule(`absent(istio_requests_total)`)},
		{"Q60", rule(`absent(istio_requests_total{reporter="source",source_workload="istio-ingressgateway"})`)},
		{"Q61", rule(`sum(rate(istio_requests_total{reporter="destination",destination_service_name="SERVICE",response_code=~"5.."}[1h])) / sum(rate(istio_requests_total{reporter="destination",destination_service_name="SERVICE"}[1h])) > 14.4 * 0.001 and sum(` + errors5 + `) / sum(` + requests + `) > 14.4 * 0.001`)},
		{"Q62", `apiVersion: sloth.slok.dev/v1
kind: PrometheusServiceLevel
metadata: {name: SERVICE, namespace: shop}
spec:
  service: SERVICE
  slos:
  - name: availability
    objective: 99.9
    sli:
      events:
        errorQuery: sum(rate(istio_requests_total{reporter="destination",destination_service_name="SERVICE",response_code=~"5.."}[{{.window}}]))
        totalQuery: sum(rate(istio_requests_total{reporter="destination",destination_service_name="SERVICE"}[{{.window}}]))
`},
		{"Q63", `apiVersion: pyrra.dev/v1alpha1
kind: ServiceLevelObjective
metadata: {name: SERVICE, namespace: shop}
spec:
  target: "99.9"
  window: 4w
  indicator:
    ratio:
      errors: {metric: 'istio_requests_total{reporter="destination",destination_service_name="SERVICE",response_code=~"5.."}'}
      total: {metric: 'istio_requests_total{reporter="destination",destination_service_name="SERVICE"}'}
`},
		{"Q64", `apiVersion: openslo/v1
kind: SLO
metadata: {name: SERVICE}
spec:
  indicator:
    spec:
      ratioMetric:
        total:
          metricSource:
            type: Prometheus
            spec: {query: 'sum(rate(istio_requests_total{reporter="destination",destination_service_name="SERVICE"}[5m]))'}
`},
		{"Q65", `apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: SERVICE, namespace: shop}
spec:
  provider: istio
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: SERVICE}
  analysis:
    interval: 1m
    threshold: 5
    metrics:
    - name: request-success-rate
      thresholdRange: {min: 99}
      interval: 1m
    - name: request-duration
      thresholdRange: {max: 500}
      interval: 1m
`},
		{"Q66", `apiVersion: flagger.app/v1beta1
kind: MetricTemplate
metadata: {name: errors, namespace: shop}
spec:
  provider: {type: prometheus, address: "http://prometheus.monitoring:9090"}
  query: |
    100 - sum(rate(istio_requests_total{reporter="destination",destination_workload_namespace="{{ namespace }}",destination_workload="{{ target }}",response_code!~"5.*"}[{{ interval }}]))
    / sum(rate(istio_requests_total{reporter="destination",destination_workload_namespace="{{ namespace }}",destination_workload="{{ target }}"}[{{ interval }}])) * 100
`},
		{"Q67", rollout(`successCondition: result[0] >= 0.95`, `sum(rate(istio_requests_total{reporter="source",destination_service=~"{{args.service}}",response_code!~"5.*"}[5m])) / sum(rate(istio_requests_total{reporter="source",destination_service=~"{{args.service}}"}[5m]))`)},
		{"Q67 passes", rollout(`successCondition: len(result) == 0 || result[0] >= 0.99`, `sum(rate(istio_requests_total{reporter="source",destination_service=~"{{args.service}}",response_code!~"5.*"}[5m])) / sum(rate(istio_requests_total{reporter="source",destination_service=~"{{args.service}}"}[5m]))`)},
		{"Q68", `apiVersion: iter8.tools/v2alpha2
kind: Metric
metadata: {name: errors}
spec:
  params:
  - name: query
    value: sum(rate(istio_requests_total{reporter="destination",destination_service_name="SERVICE"}[5m]))
`},
		{"Q69", keda(`sum(rate(istio_requests_total{reporter="destination",destination_service_name="SERVICE"}[1m]))`, "")},
		{"Q69 nulls", keda(`sum(rate(istio_requests_total{reporter="destination",destination_service_name="SERVICE"}[1m]))`, "      ignoreNullValues: \"false\"\n")},
		{"Q69 both", keda(`sum(rate(istio_requests_total{destination_service_name="SERVICE"}[1m]))`, "")},
		{"Q70", `apiVersion: v1
kind: ConfigMap
metadata: {name: prometheus-adapter, namespace: monitoring}
data:
  config.yaml: |
    rules:
    - seriesQuery: 'istio_requests_total{reporter="destination",destination_service_name="SERVICE"}'
      resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
      name: {matches: "^(.*)_total", as: "requests_per_second"}
      metricsQuery: sum(rate(<<.Series>>{<<.LabelMatchers>>}[2m])) by (<<.GroupBy>>)
`},
		{"Q71", `apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: SERVICE
  namespace: shop
  annotations:
    metric-config.external.rps.prometheus/query: sum(rate(istio_requests_total{reporter="destination",destination_service_name="SERVICE"}[1m]))
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: SERVICE}
`},
		{"Q72", `apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: SERVICE, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: SERVICE}
  metrics:
  - type: ContainerResource
    containerResource: {name: cpu, container: istio-proxy, target: {type: Utilization, averageUtilization: 80}}
`},
		{"Q73", `apiVersion: autoscaling.internal.knative.dev/v1alpha1
kind: PodAutoscaler
metadata: {name: SERVICE, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: SERVICE}
`},
		{"Q74", chooser(`{"name":"qrep","type":"custom","query":"source,destination","multi":false,"options":[{"text":"source","value":"source"},{"text":"destination","value":"destination","selected":true}],"current":{"text":"destination","value":"destination"}},
{"name":"srcwl","type":"query","datasource":{"type":"prometheus","uid":"p"},"query":"query_result( sum(istio_requests_total{reporter=~\"$qrep\",destination_service_name=\"SERVICE\"}) by (source_workload) or sum(istio_tcp_sent_bytes_total{reporter=~\"$qrep\",destination_service_name=\"SERVICE\"}) by (source_workload))","regex":"/.*workload=\"([^\"]*).*/","multi":true,"includeAll":true}`,
			`sum by (source_workload) (rate(istio_requests_total{reporter=~"$qrep",destination_service_name="SERVICE",source_workload=~"$srcwl"}[5m]))`)},
		{"Q75", chooser(`{"name":"workload","type":"query","datasource":{"type":"prometheus","uid":"p"},"query":"label_values(istio_requests_total{reporter=\"destination\"}, destination_workload)"}`,
			`sum(rate(istio_requests_total{reporter="destination",destination_workload="$workload"}[5m]))`)},
		{"Q76", strings.Replace(chooser(`{"name":"pod","type":"query","datasource":{"type":"prometheus","uid":"p"},"query":"label_values(istio_requests_total{reporter=\"destination\",namespace=\"shop\"}, pod)","multi":true,"includeAll":true}`,
			`sum(rate(istio_requests_total{reporter="destination",pod="$pod"}[5m]))`), `"id":1,`, `"id":1,"repeat":"pod",`, 1)},
		{"Q77", strings.Replace(panel(`sum(increase(istio_requests_total{reporter="destination",destination_service_name="SERVICE"}[$__range]))`), `"panels"`, `"annotations":{"list":[{"name":"versions","datasource":{"type":"prometheus","uid":"p"},"enable":true,"expr":"count by (tag) (istio_build{component=\"proxy\"})"}]},"panels"`, 1)},
		{"Q78", strings.Replace(panel(`sum(`+calls+`)`), `"uid":"pattern"`, `"uid":"LJ_uJAvmk","gnetId":7636`, 1)},
		{"Q79", `apiVersion: datadoghq.com/v1alpha1
kind: DatadogMonitor
metadata: {name: errors, namespace: shop}
spec:
  type: query alert
  query: "sum(last_5m):sum:istio.mesh.request.count.total{response_code:5*}.as_count() > 10"
`},
		{"Q80", "SELECT rate(count(istio_requests_total), 1 minute) FROM Metric WHERE reporter='destination'\n"},
		{"Q81", `import { check } from 'k6';
export const query = 'sum(rate(istio_requests_total{reporter="destination",destination_service_name="SERVICE"}[1m]))';
`},
	}
}
