package mesh

import (
	"slices"
	"strconv"

	networking "istio.io/api/networking/v1alpha3"
	security "istio.io/api/security/v1beta1"
)

// PortsNamed lists the ports that a policy names, negated ones too, sorted. Values
// that are no port are left out, as istiod does.
func PortsNamed(p Typed[*security.AuthorizationPolicy]) []uint16 {
	var out []uint16
	add := func(values []string) {
		for _, v := range values {
			if n, err := strconv.ParseUint(v, 10, 16); err == nil {
				out = append(out, uint16(n))
			}
		}
	}
	for _, r := range p.Spec.GetRules() {
		for _, t := range r.GetTo() {
			add(t.GetOperation().GetPorts())
			add(t.GetOperation().GetNotPorts())
		}
		for _, c := range r.GetWhen() {
			if c.GetKey() == "destination.port" {
				add(c.GetValues())
				add(c.GetNotValues())
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// SetsTLS tells whether a DestinationRule makes its clients encrypt in another way
// than by Istio's mutual TLS, on any port or subset.
func SetsTLS(r *networking.DestinationRule) bool {
	own := func(t *networking.ClientTLSSettings) bool {
		return t != nil && t.GetMode() != networking.ClientTLSSettings_ISTIO_MUTUAL
	}
	policy := func(p *networking.TrafficPolicy) bool {
		return own(p.GetTls()) || slices.ContainsFunc(p.GetPortLevelSettings(), func(s *networking.TrafficPolicy_PortTrafficPolicy) bool { return own(s.GetTls()) })
	}
	return policy(r.GetTrafficPolicy()) || slices.ContainsFunc(r.GetSubsets(), func(s *networking.Subset) bool { return policy(s.GetTrafficPolicy()) })
}
