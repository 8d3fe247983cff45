package mesh

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// HBONEPort is the TCP port of a pod on which all mesh traffic between ambient
// pods arrives, whatever port the application serves (ztunnel's inbound port, P-07).
const HBONEPort = 15008

// dnsPort is left out of the checks: cluster DNS is served by no mesh member.
const dnsPort = 53

// AdmitsHBONE tells, for each direction, whether everyone whom the policy lets
// through to some TCP port is also let through to port 15008. A direction that
// the policy does not restrict admits; so does one without any rule, since it
// lets nobody through to any port. Source: Istio's "Ambient and Kubernetes
// NetworkPolicy" page, rule P-07.
func AdmitsHBONE(spec *netv1.NetworkPolicySpec) (ingress, egress bool) {
	o := HBONEOpening(spec)
	return len(o.Ingress) == 0, len(o.Egress) == 0
}

// HBONEOpening is the smallest NetworkPolicy for the same pods which, added to
// the given one, admits TCP 15008 from and to the same peers. Policies add up,
// so it takes nothing away. It has no rules where nothing has to be opened.
//
// Peers are all or nothing: on 15008 the port that the application serves is no
// longer visible to a NetworkPolicy, so every port of the pod is open to them.
func HBONEOpening(spec *netv1.NetworkPolicySpec) netv1.NetworkPolicySpec {
	out := netv1.NetworkPolicySpec{PodSelector: *spec.PodSelector.DeepCopy()}
	tcp, port := corev1.ProtocolTCP, intstr.FromInt32(HBONEPort)
	hbone := []netv1.NetworkPolicyPort{{Protocol: &tcp, Port: &port}}
	in, eg := PolicyDirections(spec)
	if in {
		var open [][]netv1.NetworkPolicyPeer
		for _, r := range spec.Ingress {
			if opensPort(r.Ports, HBONEPort) {
				open = append(open, r.From)
			}
		}
		for _, r := range spec.Ingress {
			if lacksHBONE(r.Ports, r.From) && !covered(r.From, open) {
				out.Ingress = append(out.Ingress, netv1.NetworkPolicyIngressRule{Ports: hbone, From: r.DeepCopy().From})
				open = append(open, r.From)
			}
		}
	}
	if eg {
		var open [][]netv1.NetworkPolicyPeer
		for _, r := range spec.Egress {
			if opensPort(r.Ports, HBONEPort) {
				open = append(open, r.To)
			}
		}
		for _, r := range spec.Egress {
			if lacksHBONE(r.Ports, r.To) && !covered(r.To, open) {
				out.Egress = append(out.Egress, netv1.NetworkPolicyEgressRule{Ports: hbone, To: r.DeepCopy().To})
				open = append(open, r.To)
			}
		}
	}
	if len(out.Ingress) > 0 {
		out.PolicyTypes = append(out.PolicyTypes, netv1.PolicyTypeIngress)
	}
	if len(out.Egress) > 0 {
		out.PolicyTypes = append(out.PolicyTypes, netv1.PolicyTypeEgress)
	}
	return out
}

// PolicyDirections tells which directions a policy restricts, with the API's
// default: ingress always, egress when it has egress rules.
func PolicyDirections(spec *netv1.NetworkPolicySpec) (ingress, egress bool) {
	if len(spec.PolicyTypes) == 0 {
		return true, len(spec.Egress) > 0
	}
	for _, t := range spec.PolicyTypes {
		switch t {
		case netv1.PolicyTypeIngress:
			ingress = true
		case netv1.PolicyTypeEgress:
			egress = true
		}
	}
	return ingress, egress
}

// AdmittedTCPPorts lists what a rule's ports say about TCP: all is true when
// every port is admitted; named ports are given by name in names.
func AdmittedTCPPorts(ports []netv1.NetworkPolicyPort) (all bool, numbers [][2]int32, names []string) {
	if len(ports) == 0 {
		return true, nil, nil
	}
	for _, p := range ports {
		if p.Protocol != nil && *p.Protocol != corev1.ProtocolTCP {
			continue
		}
		switch {
		case p.Port == nil:
			return true, nil, nil
		case p.Port.Type == intstr.String:
			names = append(names, p.Port.StrVal)
		case p.EndPort != nil:
			numbers = append(numbers, [2]int32{p.Port.IntVal, *p.EndPort})
		default:
			numbers = append(numbers, [2]int32{p.Port.IntVal, p.Port.IntVal})
		}
	}
	return false, numbers, names
}

// opensPort tells whether the ports of a rule include a TCP port by number.
func opensPort(ports []netv1.NetworkPolicyPort, port int32) bool {
	all, numbers, _ := AdmittedTCPPorts(ports)
	if all {
		return true
	}
	for _, r := range numbers {
		if r[0] <= port && port <= r[1] {
			return true
		}
	}
	return false
}

// lacksHBONE tells whether a rule lets mesh peers through to TCP ports, and not to 15008.
func lacksHBONE(ports []netv1.NetworkPolicyPort, peers []netv1.NetworkPolicyPeer) bool {
	all, numbers, names := AdmittedTCPPorts(ports)
	if all || opensPort(ports, HBONEPort) {
		return false
	}
	carried := len(names) > 0
	for _, r := range numbers {
		if r != [2]int32{dnsPort, dnsPort} {
			carried = true
		}
	}
	return carried && mayHoldPods(peers)
}

// covered tells whether all peers are admitted by rules that open 15008: by one
// for everybody, or each by name.
func covered(peers []netv1.NetworkPolicyPeer, open [][]netv1.NetworkPolicyPeer) bool {
	for _, o := range open {
		if len(o) == 0 {
			return true
		}
	}
	if len(peers) == 0 {
		return false
	}
	for _, p := range peers {
		found := false
		for _, o := range open {
			for _, q := range o {
				found = found || p.String() == q.String()
			}
		}
		if !found {
			return false
		}
	}
	return true
}

// mayHoldPods tells whether a pod of the mesh may be among the peers. Only an
// IPv4 block outside of the private ranges is taken for the world outside.
func mayHoldPods(peers []netv1.NetworkPolicyPeer) bool {
	if len(peers) == 0 {
		return true
	}
	for _, p := range peers {
		if p.IPBlock == nil {
			return true
		}
		block, err := netip.ParsePrefix(p.IPBlock.CIDR)
		if err != nil || block.Addr().Is6() {
			return true
		}
		for _, private := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15"} {
			if block.Overlaps(netip.MustParsePrefix(private)) {
				return true
			}
		}
	}
	return false
}

// PolicyPods lists the workloads whose pods a NetworkPolicy selects. It fails
// on a selector that the API server would refuse.
func (s *State) PolicyPods(p Typed[*netv1.NetworkPolicySpec]) ([]*api.Workload, error) {
	sel, err := metav1.LabelSelectorAsSelector(&p.Spec.PodSelector)
	if err != nil {
		return nil, fmt.Errorf("%s: podSelector: %w", p.Ref(), err)
	}
	var out []*api.Workload
	for _, w := range s.WorkloadsIn(p.Namespace) {
		if sel.Matches(labels.Set(w.PodLabels)) {
			out = append(out, w)
		}
	}
	return out, nil
}
