package mesh

import (
	"slices"

	security "istio.io/api/security/v1beta1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// MTLSMode is the mode of a PeerAuthentication: UNSET, DISABLE, PERMISSIVE or STRICT.
type MTLSMode = security.PeerAuthentication_MutualTLS_Mode

// Modes of a PeerAuthentication.
const (
	MTLSUnset      = security.PeerAuthentication_MutualTLS_UNSET
	MTLSDisable    = security.PeerAuthentication_MutualTLS_DISABLE
	MTLSPermissive = security.PeerAuthentication_MutualTLS_PERMISSIVE
	MTLSStrict     = security.PeerAuthentication_MutualTLS_STRICT
)

// PeerAuth is the effective peer authentication of a workload.
type PeerAuth struct {
	// Mode of all ports without one of their own; never MTLSUnset.
	Mode MTLSMode
	// From is the policy that sets Mode; nil when it is Istio's default, PERMISSIVE.
	From *Typed[*security.PeerAuthentication]
	// Parent is the mode that namespace and mesh give, and ParentFrom says who.
	Parent MTLSMode
	// Workload is the selector policy that applies; nil when there is none. Its
	// port modes are in force.
	Workload *Typed[*security.PeerAuthentication]
	// Tied are policies of one level among which the age decides, when the
	// inventory does not have it: which of them applies is not known.
	Tied []Typed[*security.PeerAuthentication]
}

// PeerAuth resolves workload over namespace over mesh policy; the oldest of
// several wins; a selector in the root namespace is ignored. Source:
// pilot/pkg/serviceregistry/ambient/authorization.go
// (convertedSelectorPeerAuthentications), facts L-20.
func (s *State) PeerAuth(w *api.Workload) PeerAuth {
	s.saw(KindPeerAuthentication)
	var byLevel [3][]Typed[*security.PeerAuthentication]
	for _, p := range s.ix.peerAuthnIn[s.ix.rootNamespace] {
		if len(p.Spec.GetSelector().GetMatchLabels()) == 0 {
			byLevel[0] = append(byLevel[0], p)
		}
	}
	if w.Namespace != s.ix.rootNamespace {
		for _, p := range s.ix.peerAuthnIn[w.Namespace] {
			switch selector := p.Spec.GetSelector().GetMatchLabels(); {
			case len(selector) == 0:
				byLevel[1] = append(byLevel[1], p)
			case Selects(selector, w.PodLabels):
				byLevel[2] = append(byLevel[2], p)
			}
		}
	}
	out := PeerAuth{Mode: MTLSPermissive, Parent: MTLSPermissive}
	for level, list := range byLevel {
		p, tied := oldest(list)
		if tied {
			out.Tied = append(out.Tied, list...)
		}
		if p == nil {
			continue
		}
		if m := p.Spec.GetMtls().GetMode(); m != MTLSUnset {
			out.Mode, out.From = m, p
			if level < 2 {
				out.Parent = m
			}
		}
		if level == 2 {
			out.Workload = p
		}
	}
	return out
}

// oldest picks the policy that was made first; of equals the first by name.
// Without the time stamps of all of them that is a guess, and tied is true.
func oldest(list []Typed[*security.PeerAuthentication]) (p *Typed[*security.PeerAuthentication], tied bool) {
	if len(list) == 0 {
		return nil, false
	}
	best := list[0]
	bestAt, known := created(best.Object)
	for _, o := range list[1:] {
		at, ok := created(o.Object)
		known = known && ok
		if at < bestAt {
			best, bestAt = o, at
		}
	}
	return &best, len(list) > 1 && !known
}

// created is the creation time stamp, which sorts as text (RFC 3339 in UTC).
func created(o *api.Object) (string, bool) {
	meta, _ := o.Content["metadata"].(map[string]any)
	at, ok := meta["creationTimestamp"].(string)
	return at, ok && at != ""
}

// PortModes are the ports of a workload policy in order, with their modes. They
// count only on a policy with selector outside of the root namespace, and are
// ports of the pod (facts L-20).
func (a PeerAuth) PortModes() []PortMode {
	if a.Workload == nil {
		return nil
	}
	var out []PortMode
	for p, m := range a.Workload.Spec.GetPortLevelMtls() {
		out = append(out, PortMode{Port: p, Mode: m.GetMode()})
	}
	slices.SortFunc(out, func(a, b PortMode) int { return int(a.Port) - int(b.Port) })
	return out
}

// PortMode is the mode of one port of the pod.
type PortMode struct {
	Port uint32
	Mode MTLSMode
}

// ExemptionLost tells of the quirk of istiod in which ztunnel keeps a port
// STRICT: the parent is STRICT, the workload policy sets no mode of its own and
// exempts ports with DISABLE only, while istiod looks for PERMISSIVE alone.
func (a PeerAuth) ExemptionLost() bool {
	if a.Workload == nil || a.Workload.Spec.GetMtls().GetMode() != MTLSUnset || a.Parent != MTLSStrict {
		return false
	}
	disable := false
	for _, p := range a.PortModes() {
		switch p.Mode {
		case MTLSPermissive:
			return false
		case MTLSDisable:
			disable = true
		case MTLSUnset, MTLSStrict:
		}
	}
	return disable
}
