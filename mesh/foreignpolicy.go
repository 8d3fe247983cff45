package mesh

import (
	"net/netip"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// HBONEState says what a policy of Cilium or Calico does in one direction with TCP
// 15008. The zero value is unknown.
type HBONEState int

// States of a direction.
const (
	HBONEUnknown HBONEState = iota
	// HBONEFree: the policy does not restrict the direction.
	HBONEFree
	// HBONEOpen: whoever is let through to some TCP port is let through to 15008,
	// or nobody is let through at all.
	HBONEOpen
	// HBONEShut: somebody is let through to TCP ports, and not to 15008.
	HBONEShut
)

// ForeignPolicy is what can be told of a policy of Cilium (CiliumNetworkPolicy,
// CiliumClusterwideNetworkPolicy) or Calico (NetworkPolicy, GlobalNetworkPolicy) of
// what the API of Kubernetes has as well. Whatever goes beyond gives an unknown:
// deny rules, entities of hosts, expressions with anything but equality.
type ForeignPolicy struct {
	// Pods that the policy selects; meaningless unless PodsKnown.
	Pods            []*api.Workload
	PodsKnown       bool
	Ingress, Egress HBONEState
	// Probes is true when some ingress rule for all ports lets the address of the
	// kubelet's probes of captured pods through, 169.254.7.127 (facts P-08).
	Probes bool
}

// ReadForeignPolicy reads a policy of Cilium or Calico. Sources:
// docs.cilium.io "Layer 3 and 4 policies", docs.tigera.io "Network policy" reference.
func (s *State) ReadForeignPolicy(o *api.Object) ForeignPolicy {
	s.saw(KindWorkload)
	spec, ok := o.Content["spec"].(map[string]any)
	if !ok || o.Content["specs"] != nil {
		return ForeignPolicy{}
	}
	var p ForeignPolicy
	var matches func(*api.Workload) bool
	if api.GroupOf(o.APIVersion) == "cilium.io" {
		matches = ciliumSelector(spec["endpointSelector"])
		p.Ingress = ciliumDirection(spec, "ingress", "from")
		p.Egress = ciliumDirection(spec, "egress", "to")
		p.Probes = ciliumProbes(spec)
	} else {
		matches = calicoSelector(spec)
		p.Ingress, p.Egress = calicoDirection(spec, "Ingress"), calicoDirection(spec, "Egress")
	}
	if matches == nil {
		return p
	}
	p.PodsKnown = true
	for i := range s.ix.inv.Workloads {
		if w := &s.ix.inv.Workloads[i]; (o.Namespace == "" || w.Namespace == o.Namespace) && matches(w) {
			p.Pods = append(p.Pods, w)
		}
	}
	return p
}

// ciliumSelector reads an endpointSelector; nil for one that cannot be told. Keys
// may begin with their source, "k8s:" or "any:"; the namespace is a label too.
func ciliumSelector(v any) func(*api.Workload) bool {
	m, ok := v.(map[string]any)
	if !ok {
		return nil // also nodeSelector
	}
	sel := &metav1.LabelSelector{MatchLabels: map[string]string{}}
	for key, v := range m {
		list, _ := v.(map[string]any)
		if key != "matchLabels" {
			return nil
		}
		for k, v := range list {
			text, ok := v.(string)
			if source, rest, cut := strings.Cut(k, ":"); cut {
				if source != "k8s" && source != "any" {
					return nil
				}
				k = rest
			}
			if !ok || strings.HasPrefix(k, "io.kubernetes.pod.namespace.labels") || strings.HasPrefix(k, "io.cilium.") {
				return nil
			}
			sel.MatchLabels[k] = text
		}
	}
	return func(w *api.Workload) bool {
		own := map[string]string{"io.kubernetes.pod.namespace": w.Namespace}
		for k, v := range w.PodLabels {
			own[k] = v
		}
		return Selects(sel.MatchLabels, own)
	}
}

// ciliumDirection judges the rules of one direction; side is "from" or "to".
func ciliumDirection(spec map[string]any, direction, side string) HBONEState {
	if spec[direction+"Deny"] != nil || spec["enableDefaultDeny"] != nil {
		return HBONEUnknown
	}
	if _, ok := spec[direction]; !ok {
		return HBONEFree
	}
	rules, ok := spec[direction].([]any)
	if !ok {
		return HBONEUnknown
	}
	shut := false
	for _, v := range rules {
		rule, ok := v.(map[string]any)
		if !ok {
			return HBONEUnknown
		}
		for k := range rule {
			if !strings.HasPrefix(k, side) && k != "toPorts" && k != "icmps" {
				return HBONEUnknown
			}
		}
		if outsideOnly(rule, side) {
			continue
		}
		ports, has := rule["toPorts"].([]any)
		if !has || len(ports) == 0 {
			if rule["icmps"] == nil && rule["toPorts"] != nil {
				return HBONEUnknown
			}
			continue // every port
		}
		var ranges []portRange
		for _, v := range ports {
			entry, _ := v.(map[string]any)
			list, _ := entry["ports"].([]any)
			r, all, ok := ciliumPorts(list)
			if !ok {
				return HBONEUnknown
			}
			if all {
				ranges = append(ranges, portRange{0, 65535})
			}
			ranges = append(ranges, r...)
		}
		shut = shut || lacksPort(ranges)
	}
	if shut {
		return HBONEShut
	}
	return HBONEOpen
}

// outsideOnly tells whether the peers of a rule are no pods: names and addresses,
// which in Cilium never mean endpoints that it manages, and entities of that kind.
func outsideOnly(rule map[string]any, side string) bool {
	peers := 0
	for k, v := range rule {
		switch k {
		case side + "FQDNs", side + "CIDR", side + "CIDRSet":
			peers++
		case side + "Entities":
			list, _ := v.([]any)
			for _, e := range list {
				switch e {
				case "world", "world-ipv4", "world-ipv6", "kube-apiserver", "host", "remote-node":
				default:
					return false
				}
			}
			peers++
		case "toPorts", "icmps":
		default:
			return false
		}
	}
	return peers > 0
}

type portRange struct{ from, to int }

// lacksPort tells whether TCP ports beside that of DNS are let through, and not 15008.
func lacksPort(ranges []portRange) bool {
	carried := false
	for _, r := range ranges {
		if r.from <= HBONEPort && HBONEPort <= r.to {
			return false
		}
		carried = carried || r != portRange{dnsPort, dnsPort}
	}
	return carried
}

// ciliumPorts reads a list of ports; all is true for every port of TCP.
func ciliumPorts(list []any) (out []portRange, all, ok bool) {
	if len(list) == 0 {
		return nil, true, true
	}
	for _, v := range list {
		p, _ := v.(map[string]any)
		switch protocol, _ := p["protocol"].(string); protocol {
		case "", "ANY", "TCP":
		case "UDP", "SCTP", "ICMP", "ICMPv6":
			continue
		default:
			return nil, false, false
		}
		from, err := strconv.Atoi(text(p["port"]))
		if err != nil {
			if text(p["port"]) == "" {
				return nil, false, false
			}
			out = append(out, portRange{-1, -1}) // by name: 15008 has none
			continue
		}
		to := from
		if end := text(p["endPort"]); end != "" {
			if to, err = strconv.Atoi(end); err != nil {
				return nil, false, false
			}
		}
		if from == 0 {
			to = 65535
		}
		out = append(out, portRange{from, to})
	}
	return out, false, true
}

// text is a string or an integer as text.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}

// ciliumProbes tells whether an ingress rule for all ports admits the probes' address.
func ciliumProbes(spec map[string]any) bool {
	probe := netip.MustParseAddr("169.254.7.127")
	rules, _ := spec["ingress"].([]any)
	for _, v := range rules {
		rule, _ := v.(map[string]any)
		if rule["toPorts"] != nil {
			continue
		}
		list, _ := rule["fromCIDR"].([]any)
		for _, c := range list {
			if block, err := netip.ParsePrefix(text(c)); err == nil && block.Contains(probe) {
				return true
			}
		}
	}
	return false
}

// calicoSelector reads a selector of equalities joined by &&; nil for any other, and
// where namespaces or service accounts are selected as well.
func calicoSelector(spec map[string]any) func(*api.Workload) bool {
	for _, k := range []string{"namespaceSelector", "serviceAccountSelector", "applyOnForward", "preDNAT", "doNotTrack"} {
		if v, ok := spec[k]; ok && v != "" && v != false {
			return nil
		}
	}
	expr, ok := spec["selector"].(string)
	if !ok && spec["selector"] != nil {
		return nil
	}
	want := map[string]string{}
	for part := range strings.SplitSeq(expr, "&&") {
		part = strings.TrimSpace(part)
		if part == "" && strings.TrimSpace(expr) == "" || part == "all()" {
			continue
		}
		key, value, ok := strings.Cut(part, "==")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !ok || len(value) < 2 || value[0] != value[len(value)-1] || value[0] != '\'' && value[0] != '"' || strings.ContainsAny(key, " !()|'\"") ||
			strings.ContainsAny(value[1:len(value)-1], `'"`) || strings.HasPrefix(key, "projectcalico.org/") {
			return nil
		}
		want[key] = value[1 : len(value)-1]
	}
	return func(w *api.Workload) bool { return labels.SelectorFromSet(want).Matches(labels.Set(w.PodLabels)) }
}

// calicoDirection judges the rules of one direction, "Ingress" or "Egress". Without
// types a policy restricts the directions that it has rules for, and ingress when it
// has none.
func calicoDirection(spec map[string]any, direction string) HBONEState {
	field := strings.ToLower(direction)
	rules, _ := spec[field].([]any)
	types, typed := spec["types"].([]any)
	applies := !typed && (len(rules) > 0 || direction == "Ingress" && spec["egress"] == nil)
	for _, t := range types {
		applies = applies || t == direction
	}
	if !applies {
		return HBONEFree
	}
	shut := false
	for _, v := range rules {
		rule, _ := v.(map[string]any)
		if rule["action"] != "Allow" || rule["notProtocol"] != nil || rule["http"] != nil {
			return HBONEUnknown
		}
		switch text(rule["protocol"]) {
		case "", "TCP", "6":
		case "UDP", "ICMP", "ICMPv6", "SCTP", "17":
			continue
		default:
			return HBONEUnknown
		}
		dest, _ := rule["destination"].(map[string]any)
		source, _ := rule["source"].(map[string]any)
		if dest["notPorts"] != nil || source["ports"] != nil || source["notPorts"] != nil {
			return HBONEUnknown
		}
		ports, has := dest["ports"].([]any)
		if !has {
			continue // every port
		}
		var ranges []portRange
		for _, p := range ports {
			a, b, isRange := strings.Cut(text(p), ":")
			from, err := strconv.Atoi(a)
			if err != nil {
				ranges = append(ranges, portRange{-1, -1}) // by name
				continue
			}
			to := from
			if isRange {
				if to, err = strconv.Atoi(b); err != nil {
					return HBONEUnknown
				}
			}
			ranges = append(ranges, portRange{from, to})
		}
		if lacksPort(ranges) && (source["nets"] != nil || dest["nets"] != nil) {
			return HBONEUnknown // addresses may be of pods or of the world outside
		}
		shut = shut || lacksPort(ranges)
	}
	if shut {
		return HBONEShut
	}
	return HBONEOpen
}
