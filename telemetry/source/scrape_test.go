package source

import (
	"fmt"
	"strings"
	"testing"
)

// Which of the common scrape configurations see a waypoint, ztunnel and a pod with a sidecar: the table of
// observability.md 1.4.
func TestWhatScrapeConfigurationsSelect(t *testing.T) {
	sidecar := Pod{
		Namespace: "shop", Name: "cart-0", Labels: map[string]string{"app": "cart", "security.istio.io/tlsMode": "istio"},
		Annotations: map[string]string{"prometheus.io/scrape": "true", "prometheus.io/port": "15020", "prometheus.io/path": "/stats/prometheus"},
		Containers:  []Container{{"cart", []Port{{"http", 8080}}}, {"istio-proxy", []Port{{"http-envoy-prom", 15090}}}},
	}
	const monitor = `
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata: {name: m, namespace: istio-system}
spec:
  namespaceSelector: {any: true}
`
	tests := map[string]struct {
		yaml                       string
		sidecar, waypoint, ztunnel string
	}{
		"Istio's sample": {monitor + `
  selector:
    matchExpressions:
    - {key: istio-prometheus-ignore, operator: DoesNotExist}
  podMetricsEndpoints:
  - path: /stats/prometheus
    relabelings:
    - {action: keep, sourceLabels: [__meta_kubernetes_pod_container_name], regex: istio-proxy}
    - {action: keep, sourceLabels: [__meta_kubernetes_pod_annotationpresent_prometheus_io_scrape]}
    - action: replace
      regex: (\d+);((([0-9]+?)(\.|$)){4})
      replacement: $2:$1
      sourceLabels: [__meta_kubernetes_pod_annotation_prometheus_io_port, __meta_kubernetes_pod_ip]
      targetLabel: __address__
`, "15020", "15020", "15020"},
		"by the label of sidecars": {monitor + `
  selector: {matchLabels: {security.istio.io/tlsMode: istio}}
  podMetricsEndpoints: [{port: http-envoy-prom}]
`, "15090", "", ""},
		"by the port of Envoy": {monitor + `
  selector: {}
  podMetricsEndpoints: [{port: http-envoy-prom}]
`, "15090", "15090", ""},
		"only its own namespace": {strings.Replace(monitor, "namespaceSelector: {any: true}", "{}", 1) + "", "", "", ""},
		"annotations": {`
scrape_configs:
- job_name: kubernetes-pods
  kubernetes_sd_configs: [{role: pod}]
  relabel_configs:
  - {action: keep, regex: true, source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape]}
  - action: replace
    regex: (\d+);((([0-9]+?)(\.|$)){4})
    replacement: $2:$1
    source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_port, __meta_kubernetes_pod_ip]
    target_label: __address__
  - {action: labelmap, regex: __meta_kubernetes_pod_label_(.+)}
`, "15020", "15020", "15020"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := Parse("x.yaml", tt.yaml, promQL)
			ports := func(p Pod) string {
				seen := ""
				for _, s := range f.Scrapes {
					targets, known := s.Targets(p)
					if !known {
						return "unknown"
					}
					for _, x := range targets {
						if port := fmt.Sprint(x.Port); !strings.Contains(seen, port) {
							seen += port
						}
					}
				}
				return seen
			}
			for what, p := range map[string]struct {
				pod  Pod
				want string
			}{"sidecar": {sidecar, tt.sidecar}, "waypoint": {Waypoint("shop", "waypoint"), tt.waypoint}, "ztunnel": {Ztunnel("istio-system"), tt.ztunnel}} {
				if got := ports(p.pod); got != p.want {
					t.Errorf("%s: ports %q, want %q", what, got, p.want)
				}
			}
		})
	}
}

func TestAMonitorOfServicesSelectsByLabelAndPort(t *testing.T) {
	f := Parse("x.yaml", `
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: m, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  endpoints: [{port: metrics}]
`, promQL)
	s := f.Scrapes[0]
	for _, tt := range []struct {
		namespace, app, port string
		want                 bool
	}{{"shop", "cart", "metrics", true}, {"shop", "cart", "http", false}, {"shop", "other", "metrics", false}, {"else", "cart", "metrics", false}} {
		if got, known := s.SelectsService(tt.namespace, map[string]string{"app": tt.app}, []string{tt.port}); got != tt.want || !known {
			t.Errorf("%+v: %v, known %v", tt, got, known)
		}
	}
}
