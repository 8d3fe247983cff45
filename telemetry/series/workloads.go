package series

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ambientplan/ambientplan/mesh"
)

// WorkloadFamily is a metric that belongs to a workload's proxy and not to a call.
type WorkloadFamily struct {
	Name  string
	Gauge bool
	// Sidecar, Ztunnel, Waypoint and Gateway are what the series says (rate or value) for a pod with a sidecar,
	// a node's ztunnel, a waypoint or gateway. 0 means that it is not emitted.
	Sidecar, Ztunnel, Waypoint, Gateway float64
	Emitter                             Emitter
	// Labels that do not depend on the pod.
	Labels map[string]string
	Facts  []string
}

// WorkloadFamilies is the table of what containers, targets and proxies report of themselves. The numbers are
// stand-ins of a plausible size: only their presence and their sums carry meaning.
func WorkloadFamilies() []WorkloadFamily {
	proxy := map[string]string{"container": "istio-proxy"}
	return []WorkloadFamily{
		{Name: "container_memory_working_set_bytes", Gauge: true, Sidecar: 50e6, Ztunnel: 60e6, Waypoint: 80e6, Gateway: 90e6, Emitter: Container, Labels: proxy, Facts: []string{"1.7"}},
		{Name: "container_cpu_usage_seconds_total", Sidecar: .05, Ztunnel: .3, Waypoint: .2, Gateway: .2, Emitter: Container, Labels: proxy, Facts: []string{"1.7"}},
		{Name: "kube_pod_container_status_ready", Gauge: true, Sidecar: 1, Ztunnel: 1, Waypoint: 1, Gateway: 1, Emitter: Kubernetes, Labels: proxy, Facts: []string{"1.7: pods go 2/2 -> 1/1"}},
		{Name: "kube_pod_container_info", Gauge: true, Sidecar: 1, Ztunnel: 1, Waypoint: 1, Gateway: 1, Emitter: Kubernetes, Labels: proxy, Facts: []string{"1.7"}},
		{Name: "kube_pod_container_status_restarts_total", Gauge: true, Sidecar: 1, Ztunnel: 1, Waypoint: 1, Gateway: 1, Emitter: Kubernetes, Labels: proxy, Facts: []string{"1.7"}},
		{Name: "up", Gauge: true, Sidecar: 1, Ztunnel: 1, Waypoint: 1, Gateway: 1, Emitter: Container, Labels: map[string]string{"container": "istio-proxy", "job": "istio-system/envoy-stats-monitor"}, Facts: []string{"1.4: the sample PodMonitor", "1.5"}},
		{Name: "istio_agent_cert_expiry_seconds", Gauge: true, Sidecar: 43200, Waypoint: 43200, Gateway: 43200, Emitter: Container, Labels: map[string]string{"resource_name": "default"}, Facts: []string{"1.2: ztunnel exports no certificate metric"}},
		{Name: "istio_build", Gauge: true, Sidecar: 1, Waypoint: 1, Gateway: 1, Emitter: Container, Labels: map[string]string{"component": "proxy", "tag": "1.31.0"}, Facts: []string{"1.2"}},
		{Name: "istio_build", Gauge: true, Ztunnel: 1, Emitter: Container, Labels: map[string]string{"component": "ztunnel", "tag": "1.31.0"}, Facts: []string{"1.2"}},
		{Name: "envoy_cluster_upstream_cx_active", Gauge: true, Sidecar: 1, Waypoint: 1, Gateway: 1, Emitter: Container, Labels: map[string]string{"cluster_name": "xds-grpc"}, Facts: []string{"1.2: the stats matcher admits cluster.xds-grpc"}},
		{Name: "envoy_server_live", Gauge: true, Sidecar: 1, Waypoint: 1, Gateway: 1, Emitter: Container, Facts: []string{"1.2"}},
		{Name: "workload_manager_active_proxy_count", Gauge: true, Ztunnel: 1, Emitter: Container, Facts: []string{"1.2: ztunnel app.rs registers the prefix workload_manager"}},
	}
}

// Workloads is what the workloads of a state emit that belongs to no call: proxies' containers, targets and
// istiod's view. It fails when a mode is not known.
func Workloads(ws []Workload, s State) ([]Series, error) {
	ws = slices.Clone(ws)
	slices.SortFunc(ws, func(a, b Workload) int { return compareRefs(a.Ref, b.Ref) })
	ws = slices.CompactFunc(ws, func(a, b Workload) bool { return a.Ref == b.Ref })
	var all []Series
	clients, injected := 0.0, 0.0
	ztunnels := map[Ref]bool{}
	for _, w := range ws {
		mode, err := modeOf(w.Ref, s)
		if err != nil {
			return nil, err
		}
		all = append(all, podSeries(w)...)
		switch mode {
		case mesh.ModeSidecar:
			injected++
			clients++
			all = append(all, proxySeries(w, func(f WorkloadFamily) float64 { return f.Sidecar })...)
		case mesh.ModeAmbient:
			z := ztunnelOf(w)
			if ztunnels[z.Ref] {
				continue
			}
			ztunnels[z.Ref] = true
			clients++
			all = append(all, podSeries(z)...)
			all = append(all, proxySeries(z, func(f WorkloadFamily) float64 { return f.Ztunnel })...)
		case mesh.ModeGateway:
			clients++
			all = append(all, proxySeries(w, func(f WorkloadFamily) float64 { return f.Gateway })...)
		case mesh.ModeNone, mesh.ModeUnknown, mesh.ModeMixed:
		}
	}
	for _, w := range s.Waypointed() {
		clients++
		all = append(all, podSeries(w)...)
		all = append(all, proxySeries(w, func(f WorkloadFamily) float64 { return f.Waypoint })...)
	}
	return append(all, istiodSeries(clients, injected)...), nil
}

// Footprint is all of a state that Workloads depends on, as one string: where it is the same, so are the series. It
// fails as Workloads does.
func Footprint(ws []Workload, s State) (string, error) {
	var b strings.Builder
	for _, w := range ws {
		mode, err := modeOf(w.Ref, s)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%q %q %q %q %q %q %d\n", w.Namespace, w.Name, w.App, w.Version, w.ServiceAccount, w.Node, mode)
	}
	for _, w := range s.Waypointed() {
		fmt.Fprintf(&b, "waypoint %q %q %q %q %q %q\n", w.Namespace, w.Name, w.App, w.Version, w.ServiceAccount, w.Node)
	}
	return b.String(), nil
}

// PodFamilies are metrics of kube-state-metrics that each pod has, with a proxy or without.
func PodFamilies() []string {
	return []string{"kube_pod_labels", "kube_pod_info", "kube_pod_status_ready"}
}

func podSeries(w Workload) []Series {
	var all []Series
	for _, name := range PodFamilies() {
		l := map[string]string{"namespace": w.Namespace, "pod": w.Name + "-0", "job": "kube-state-metrics"}
		switch name {
		case "kube_pod_labels":
			// Whose team is said by the pod's own labels: a waypoint's pod does not have its servers'.
			l["label_app"], l["label_version"], l["label_team"] = w.App, w.Version, "team-of-"+w.Name
		case "kube_pod_status_ready":
			l["condition"] = "true"
		}
		all = append(all, Series{Name: name, Gauge: true, Value: 1, Labels: l, Emitter: Kubernetes, Facts: []string{"1.7"}})
	}
	return all
}

func proxySeries(w Workload, says func(WorkloadFamily) float64) []Series {
	var all []Series
	for _, f := range WorkloadFamilies() {
		v := says(f)
		if v == 0 {
			continue
		}
		l := map[string]string{}
		podLabels(l, w)
		one := Series{Name: f.Name, Gauge: f.Gauge, Labels: withLabels(l, f.Labels), Emitter: f.Emitter, Facts: f.Facts}
		if f.Gauge {
			one.Value = v
		} else {
			one.Rate = v
		}
		all = append(all, one)
	}
	return all
}

// istiodSeries: istiod counts its clients (observability.md 1.8) and its injections.
func istiodSeries(clients, injected float64) []Series {
	l := map[string]string{"app": "istiod", "namespace": "istio-system", "pod": "istiod-0", "job": "istiod"}
	facts := []string{"1.8: one XDS client per ztunnel, waypoint, gateway and sidecar"}
	all := []Series{
		{Name: "pilot_xds", Gauge: true, Value: clients, Labels: l, Emitter: Istiod, Facts: facts},
		{Name: "sidecar_injection_success_total", Rate: injected / 300, Labels: l, Emitter: Istiod, Facts: []string{"1.8"}},
		{Name: "sidecar_injection_failure_total", Rate: 0, Labels: l, Emitter: Istiod, Facts: []string{"1.8"}},
	}
	for _, name := range []string{"pilot_conflict_inbound_listener", "pilot_no_ip", "pilot_eds_no_instances", "pilot_total_xds_rejects"} {
		all = append(all, Series{Name: name, Gauge: true, Labels: l, Emitter: Istiod, Facts: []string{"1.8: keeps its meaning"}})
	}
	return all
}
