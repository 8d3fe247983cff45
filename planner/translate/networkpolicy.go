package translate

import (
	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// probeAddress is the link-local address from which kubelet probes reach
// captured pods (facts M-28, P-08).
const probeAddress = "169.254.7.127/32"

// Labels of the pods of a waypoint, as istiod's gateway controller writes them
// (manifests/charts/istio-control/istio-discovery/files/waypoint.yaml).
const (
	labelGatewayName  = "gateway.networking.k8s.io/gateway-name"
	labelGatewayClass = "gateway.networking.k8s.io/gateway-class-name"
)

// WaypointLabels are the labels on the pods of a waypoint that a selector may see.
func WaypointLabels(name string) map[string]string {
	return map[string]string{labelGatewayName: name, labelGatewayClass: "istio-waypoint", "istio.io/dataplane-mode": "none"}
}

// Opening is the NetworkPolicy that lets mesh traffic through beside an existing
// one: the same pods, the same peers on port 15008 (facts P-07), the probe
// address (P-08), and the waypoints. It isolates no pod in a direction in which
// the existing policy does not, so it can only open. The second result is false
// when nothing needs opening.
func Opening(namespace, name string, s *netv1.NetworkPolicySpec, waypoints []api.WaypointRef) (api.Content, bool, error) {
	in, out := mesh.PolicyDirections(s)
	spec := mesh.HBONEOpening(s)
	if in && !slices.ContainsFunc(s.Ingress, func(r netv1.NetworkPolicyIngressRule) bool { return len(r.From) == 0 && len(r.Ports) == 0 }) {
		for _, w := range waypoints {
			spec.Ingress = append(spec.Ingress, netv1.NetworkPolicyIngressRule{From: []netv1.NetworkPolicyPeer{waypointPeer(w, namespace)}, Ports: hbonePort()})
		}
		spec.Ingress = append(spec.Ingress, netv1.NetworkPolicyIngressRule{From: []netv1.NetworkPolicyPeer{{IPBlock: &netv1.IPBlock{CIDR: probeAddress}}}})
	}
	if out && !slices.ContainsFunc(s.Egress, func(r netv1.NetworkPolicyEgressRule) bool { return len(r.To) == 0 && len(r.Ports) == 0 }) {
		// Waypoints stand in for the services that the policy admits, wherever they run.
		spec.Egress = append(spec.Egress, netv1.NetworkPolicyEgressRule{To: []netv1.NetworkPolicyPeer{{
			NamespaceSelector: &metav1.LabelSelector{},
			PodSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{labelGatewayClass: "istio-waypoint"}},
		}}, Ports: hbonePort()})
	}
	if len(spec.Ingress) == 0 && len(spec.Egress) == 0 {
		return nil, false, nil
	}
	spec.PolicyTypes = nil
	if len(spec.Ingress) > 0 {
		spec.PolicyTypes = append(spec.PolicyTypes, netv1.PolicyTypeIngress)
	}
	if len(spec.Egress) > 0 {
		spec.PolicyTypes = append(spec.PolicyTypes, netv1.PolicyTypeEgress)
	}
	c, err := networkPolicy(namespace, name, spec)
	return c, err == nil, err
}

// WaypointOpening lets a waypoint do its work where another policy isolates its
// pods: callers on 15008, probes and metrics in, everything out.
func WaypointOpening(w api.WaypointRef, name string) (api.Content, error) {
	port := func(n int32) netv1.NetworkPolicyPort {
		tcp, p := corev1.ProtocolTCP, intstr.FromInt32(n)
		return netv1.NetworkPolicyPort{Protocol: &tcp, Port: &p}
	}
	return networkPolicy(w.Namespace, name, netv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{labelGatewayName: w.Name}},
		PolicyTypes: []netv1.PolicyType{netv1.PolicyTypeIngress, netv1.PolicyTypeEgress},
		Ingress:     []netv1.NetworkPolicyIngressRule{{Ports: []netv1.NetworkPolicyPort{port(15008), port(15020), port(15021)}}},
		Egress:      []netv1.NetworkPolicyEgressRule{{}},
	})
}

// SelectsPod tells whether a NetworkPolicy selects a pod with these labels. A
// selector that cannot be read selects it, so that nothing is overlooked.
func SelectsPod(s *netv1.NetworkPolicySpec, podLabels map[string]string) bool {
	sel, err := metav1.LabelSelectorAsSelector(&s.PodSelector)
	if err != nil {
		return true
	}
	return sel.Matches(labelSet(podLabels))
}

// labelSet lets a plain map answer a label selector.
type labelSet map[string]string

// Has tells whether the label is there.
func (l labelSet) Has(k string) bool { _, ok := l[k]; return ok }

// Get returns the value of the label.
func (l labelSet) Get(k string) string { return l[k] }

// Lookup returns the value and whether it is there.
func (l labelSet) Lookup(k string) (string, bool) { v, ok := l[k]; return v, ok }

func networkPolicy(namespace, name string, spec netv1.NetworkPolicySpec) (api.Content, error) {
	return content(&netv1.NetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: map[string]string{LabelManaged: ManagedBy}},
		Spec:       spec,
	})
}

func waypointPeer(w api.WaypointRef, namespace string) netv1.NetworkPolicyPeer {
	p := netv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{labelGatewayName: w.Name}}}
	if w.Namespace != namespace {
		p.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": w.Namespace}}
	}
	return p
}

func hbonePort() []netv1.NetworkPolicyPort {
	tcp, p := corev1.ProtocolTCP, intstr.FromInt32(portHBONE)
	return []netv1.NetworkPolicyPort{{Protocol: &tcp, Port: &p}}
}
