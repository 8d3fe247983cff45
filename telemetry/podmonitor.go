package telemetry

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// podMonitor is the part of prometheus-operator's PodMonitor that is written.
type podMonitor struct {
	APIVersion string         `yaml:"apiVersion"`
	Kind       string         `yaml:"kind"`
	Metadata   podMonitorMeta `yaml:"metadata"`
	Spec       podMonitorSpec `yaml:"spec"`
}

type podMonitorMeta struct {
	Name      string `yaml:"name"`
	Namespace string `yaml:"namespace"`
}

type podMonitorSpec struct {
	NamespaceSelector struct {
		Any bool `yaml:"any"`
	} `yaml:"namespaceSelector"`
	Selector  podSelector   `yaml:"selector"`
	Endpoints []podEndpoint `yaml:"podMetricsEndpoints"`
}

type podSelector struct {
	MatchExpressions []podRequirement `yaml:"matchExpressions"`
}

type podRequirement struct {
	Key      string                       `yaml:"key"`
	Operator metav1.LabelSelectorOperator `yaml:"operator"`
	Values   []string                     `yaml:"values,flow"`
}

type podEndpoint struct {
	Path        string       `yaml:"path"`
	Interval    string       `yaml:"interval"`
	Relabelings []relabeling `yaml:"relabelings"`
}

type relabeling struct {
	Action       string   `yaml:"action,omitempty"`
	SourceLabels []string `yaml:"sourceLabels,flow"`
	Regex        string   `yaml:"regex,omitempty"`
	TargetLabel  string   `yaml:"targetLabel,omitempty"`
}

// ambientMonitor selects what ambient mode adds: waypoints in all namespaces, and ztunnel. The label app tells ztunnel's
// series from Envoy's, for Kiali. Source: observability.md 1.4.
func ambientMonitor(namespace string) podMonitor {
	m := podMonitor{APIVersion: "monitoring.coreos.com/v1", Kind: "PodMonitor", Metadata: podMonitorMeta{"istio-ambient", namespace}}
	m.Spec.NamespaceSelector.Any = true
	m.Spec.Selector.MatchExpressions = []podRequirement{{"sidecar.istio.io/inject", metav1.LabelSelectorOpIn, []string{"false"}}}
	m.Spec.Endpoints = []podEndpoint{{Path: "/stats/prometheus", Interval: "15s", Relabelings: []relabeling{
		{Action: "keep", SourceLabels: []string{"__meta_kubernetes_pod_container_name"}, Regex: "istio-proxy"},
		{Action: "keep", SourceLabels: []string{"__meta_kubernetes_pod_container_port_number"}, Regex: "15020"},
		{SourceLabels: []string{"__meta_kubernetes_pod_label_app"}, TargetLabel: "app"},
		{SourceLabels: []string{"__meta_kubernetes_namespace"}, TargetLabel: "namespace"},
		{SourceLabels: []string{"__meta_kubernetes_pod_name"}, TargetLabel: "pod"},
	}}}
	return m
}
