package source

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8slabels "k8s.io/apimachinery/pkg/labels"
)

// Pod is what a scrape configuration can see of a pod.
type Pod struct {
	Namespace, Name     string
	Labels, Annotations map[string]string
	Containers          []Container
}

// Container of a pod with its declared ports.
type Container struct {
	Name  string
	Ports []Port
}

// Port that a container declares.
type Port struct {
	Name   string
	Number int
}

// Target is what Prometheus would fetch.
type Target struct {
	// Port of the address, 0 when the address has none.
	Port int
	// Path of the metrics.
	Path string
	// Labels of the target, without those that begin with __.
	Labels map[string]string
}

// Waypoint is the pod that Istio makes of a Gateway of class istio-waypoint. Source: Istio's files/waypoint.yaml.
func Waypoint(namespace, name string) Pod {
	return Pod{
		Namespace: namespace, Name: name + "-0",
		Labels: map[string]string{
			"sidecar.istio.io/inject": "false", "istio.io/dataplane-mode": "none", "service.istio.io/canonical-name": name,
			"service.istio.io/canonical-revision": "latest", "gateway.networking.k8s.io/gateway-name": name,
			"gateway.networking.k8s.io/gateway-class-name": "istio-waypoint", "gateway.istio.io/managed": "istio.io-mesh-controller",
		},
		Annotations: map[string]string{"istio.io/rev": "default", "prometheus.io/path": "/stats/prometheus", "prometheus.io/port": "15020", "prometheus.io/scrape": "true"},
		Containers:  []Container{{"istio-proxy", []Port{{"metrics", 15020}, {"status-port", 15021}, {"http-envoy-prom", 15090}}}},
	}
}

// Ztunnel is a pod of ztunnel's DaemonSet. Source: Istio's charts/ztunnel, templates/daemonset.yaml.
func Ztunnel(namespace string) Pod {
	return Pod{
		Namespace: namespace, Name: "ztunnel-0",
		Labels:      map[string]string{"app": "ztunnel", "app.kubernetes.io/name": "ztunnel", "sidecar.istio.io/inject": "false", "istio.io/dataplane-mode": "none"},
		Annotations: map[string]string{"sidecar.istio.io/inject": "false", "prometheus.io/port": "15020", "prometheus.io/scrape": "true"},
		Containers:  []Container{{"istio-proxy", []Port{{"ztunnel-stats", 15020}}}},
	}
}

// Targets are what the configuration makes of a pod. known is false when that cannot be told.
func (s *Scrape) Targets(p Pod) (targets []Target, known bool) {
	if s.Services {
		return nil, s.Unknown == "" && !s.mayReach(p)
	}
	if s.Unknown != "" {
		return nil, false
	}
	selector, err := metav1.LabelSelectorAsSelector(&s.Selector)
	if err != nil {
		return nil, false
	}
	if !s.in(p.Namespace) || !selector.Matches(k8slabels.Set(p.Labels)) {
		return nil, true
	}
	for _, c := range p.Containers {
		ports := c.Ports
		if len(ports) == 0 {
			ports = []Port{{}}
		}
		for _, port := range ports {
			if s.Port != "" && s.Port != port.Name || s.PortNumber != 0 && s.PortNumber != port.Number {
				continue
			}
			if t, ok := s.target(p, c, port); ok {
				targets = append(targets, t)
			}
		}
	}
	return targets, true
}

// mayReach says that a monitor of Services could fetch a pod: endpoints have all ports of their pods, by number, also
// those that no Service names. Which Services a pod has is not known here. Source: Prometheus' discovery/kubernetes,
// endpoints.go.
func (s *Scrape) mayReach(p Pod) bool {
	if !s.in(p.Namespace) || s.PortNumber == 0 {
		return false
	}
	for _, c := range p.Containers {
		for _, port := range c.Ports {
			if port.Number == s.PortNumber {
				return true
			}
		}
	}
	return false
}

// podIP is an address for the rules that rewrite it.
const podIP = "10.0.0.1"

// target applies the relabelling to one port, as the discovery of pods presents it.
func (s *Scrape) target(p Pod, c Container, port Port) (Target, bool) {
	b := labels.NewBuilder(labels.EmptyLabels())
	address := podIP
	if port.Number > 0 {
		address = netip.AddrPortFrom(netip.MustParseAddr(podIP), uint16(port.Number)).String()
		b.Set("__meta_kubernetes_pod_container_port_number", strconv.Itoa(port.Number))
		b.Set("__meta_kubernetes_pod_container_port_name", port.Name)
		b.Set("__meta_kubernetes_pod_container_port_protocol", "TCP")
	}
	b.Set("__address__", address).Set("__scheme__", "http").Set("__metrics_path__", orElse(s.Path, "/metrics")).Set("job", s.Job)
	meta := map[string]string{
		"namespace": p.Namespace, "pod_name": p.Name, "pod_ip": podIP, "pod_container_name": c.Name, "pod_phase": "Running", "pod_ready": "true",
		"pod_node_name": "node", "pod_container_init": "false",
	}
	for k, v := range meta {
		b.Set("__meta_kubernetes_"+k, v)
	}
	if !s.plain {
		b.Set("namespace", p.Namespace).Set("pod", p.Name).Set("container", c.Name).Set("endpoint", port.Name)
	}
	for k, v := range p.Labels {
		b.Set("__meta_kubernetes_pod_label_"+sanitized(k), v).Set("__meta_kubernetes_pod_labelpresent_"+sanitized(k), "true")
	}
	for k, v := range p.Annotations {
		b.Set("__meta_kubernetes_pod_annotation_"+sanitized(k), v).Set("__meta_kubernetes_pod_annotationpresent_"+sanitized(k), "true")
	}
	if !relabel.ProcessBuilder(b, s.Relabel...) {
		return Target{}, false
	}
	t := Target{Path: b.Get("__metrics_path__"), Labels: map[string]string{}}
	if i := strings.LastIndexByte(b.Get("__address__"), ':'); i >= 0 {
		t.Port = number(b.Get("__address__")[i+1:])
	}
	b.Labels().Range(func(l labels.Label) {
		if !strings.HasPrefix(l.Name, "__") {
			t.Labels[l.Name] = l.Value
		}
	})
	return t, true
}

// sanitized is a label's key as discovery writes it.
func sanitized(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '_'
	}, s)
}

// SelectsService says that the configuration looks at a Service with such labels, and at one of its ports by name or
// target port.
func (s *Scrape) SelectsService(namespace string, l map[string]string, ports []string) (yes, known bool) {
	if !s.Services {
		return false, true
	}
	if s.Unknown != "" {
		return false, false
	}
	selector, err := metav1.LabelSelectorAsSelector(&s.Selector)
	if err != nil {
		return false, false
	}
	if !s.in(namespace) || !selector.Matches(k8slabels.Set(l)) {
		return false, true
	}
	if s.Port == "" && s.PortNumber == 0 {
		return true, true
	}
	for _, p := range ports {
		if p == s.Port || p == fmt.Sprint(s.PortNumber) {
			return true, true
		}
	}
	return false, true
}
