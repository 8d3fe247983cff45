package telemetry_test

import (
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// prices hands its own metrics to the sidecar. What becomes of them depends on who scrapes what, not on any query
// (1.5): only envoy-stats, and they vanish with the sidecar; its own monitor, and their target labels change.
func TestMetricsThatTheSidecarFetched(t *testing.T) {
	t.Parallel()
	const envoy = `apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata: {name: envoy-stats, namespace: monitoring}
spec:
  selector: {matchExpressions: [{key: istio-prometheus-ignore, operator: DoesNotExist}]}
  namespaceSelector: {any: true}
  podMetricsEndpoints: [{path: /stats/prometheus, targetPort: 15020}]
`
	const own = `apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata: {name: prices, namespace: shop}
spec:
  selector: {matchLabels: {app: prices}}
  podMetricsEndpoints: [{path: /metrics, targetPort: 8080}]
`
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  api.Severity
	}{
		{"only the sidecar's port is scraped", map[string]string{"a.yaml": envoy}, api.Blocker},
		{"the application's own port as well", map[string]string{"a.yaml": envoy, "b.yaml": own}, api.Info},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []api.Severity
			for _, f := range newShop(t, clientsFirst).analyzed(t, tt.files).Report.Findings {
				if f.Rule == "T11" && f.Subject.Name == "prices" {
					got = append(got, f.Severity)
					t.Log(f.Message)
				}
			}
			if len(got) != 1 || got[0] != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
