package proof

import (
	"net/netip"
	"slices"
	"strconv"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// way is how one pod of a caller meets one pod of a server.
type way struct {
	client, server mesh.Mode
	// direct: the caller addresses the pod and not the Service, so it goes past the
	// waypoint of the Service (facts M-20).
	direct bool
}

// through tells whether a way leads over the waypoint of the Service. Sidecars go
// past it, and so do gateways unless the Service asks for it, and everybody
// outside of the mesh (table M-10 to M-19 of the facts).
func (v *view) through(w way) bool {
	return v.waypoint != nil && !w.direct && (w.client == mesh.ModeAmbient || w.client == mesh.ModeGateway && v.ingress)
}

// place is where a request was decided.
type place int

const (
	atPod place = iota
	atWaypoint
	atZtunnel
	atTLS
	nowhere
)

// decision is a verdict and where it fell.
type decision struct {
	mesh.Verdict
	at place
}

// enforcers are what decides on requests to the pods of one workload in one
// state, ready to be evaluated.
type enforcers struct {
	view     *view
	pod      *podView
	waypoint *mesh.ProxyProgram
	tokens   mesh.TokenRules
	sidecar  *mesh.ProxyProgram
	own      mesh.TokenRules
	ztunnel  *mesh.ZtunnelProgram
	// contested says why nobody knows as what the pod's sidecar serves the port;
	// empty when it is known or makes no difference.
	contested string
}

func (p *prover) enforcersOf(v *view, pv *podView, c *call) enforcers {
	e := enforcers{view: v, pod: pv, sidecar: p.proxy(pv.policies, c.tcp), ztunnel: p.ztunnel(pv.policies), own: tokenRules(pv.tokens)}
	if v.waypoint != nil {
		e.waypoint, e.tokens = p.proxy(v.attached, c.tcp), tokenRules(v.tokens)
	}
	if other := p.contested(pv.workload, c); other != "" &&
		(len(pv.tokens) > 0 || slices.ContainsFunc(pv.policies, func(o policy) bool { return mesh.Authz(o.authorization).NeedsL7() })) {
		e.contested = other
	}
	return e
}

// contested tells whether another Service leads to the same port of a workload's
// pods and declares a protocol that is served differently. A sidecar has one chain
// for the port, that of the Service which istiod happens to read first. Source:
// buildInboundChainConfigs of pilot/pkg/networking/core/listener_inbound.go.
func (p *prover) contested(w *api.Workload, c *call) string {
	if c.pods {
		return ""
	}
	for _, svc := range p.st.ServicesOf(w) {
		for _, port := range svc.Ports {
			o := call{service: svc, port: port}
			if port.Transport != "UDP" && o.podPort(w) == c.podPort(w) && servedAsTCP(port) != c.tcp {
				return svc.Ref().String() + " leads to the same port of the pods and declares another protocol"
			}
		}
	}
	return ""
}

func tokenRules(ts []tokens) mesh.TokenRules {
	if len(ts) == 0 {
		return mesh.TokenRules{}
	}
	list := make([]authn, len(ts))
	for i := range ts {
		list[i] = ts[i].authn
	}
	return mesh.NewTokenRules(list)
}

// judge evaluates one request on one way: at the waypoint if the way leads over
// it, then at the pod.
func (p *prover) judge(e *enforcers, w way, c *call, r mesh.Request) decision {
	podPort := c.podPort(e.pod.workload)
	mtls := p.mtls(e.pod.workload, podPort, w.server)
	id := c.principal
	if w.client == mesh.ModeNone {
		id = ""
	}
	first := decision{mesh.Verdict{Outcome: mesh.Allowed}, atWaypoint}
	peer := id
	if e.view.through(w) {
		r.Principal, r.Port = id, uint16(c.port.Port)
		forwarded := r.Remote
		// The waypoint takes the client's address for the remote one, but what it
		// compares with ipBlocks is not known (facts T-04); it was called at the
		// address of the Service, not of the pod.
		if !r.Remote.IsValid() {
			r.Remote = r.Source
		}
		r.Source, r.Destination = netip.Addr{}, netip.Addr{}
		checked := e.tokens.Validate(r)
		if checked.Outcome != mesh.Allowed {
			return decision{checked.Verdict, atWaypoint}
		}
		first.Verdict = e.waypoint.Verdict(checked.Seen)
		if first.Outcome == mesh.Denied || first.Outcome == mesh.OutcomeUnknown {
			return first
		}
		r = checked.Next
		// The pod sees the waypoint's address (facts L-12), whatever that is.
		r.Remote = forwarded
		peer = p.st.TrustDomain() + "/ns/" + e.view.waypoint.ref.Namespace + "/sa/" + e.view.waypoint.ref.Name
	} else if w.server == mesh.ModeSidecar && mtls == mesh.MTLSDisable && w.client != mesh.ModeAmbient {
		// Auto mTLS sends plaintext to a port whose mutual TLS is disabled.
		peer = ""
	}
	if peer == "" && mtls == mesh.MTLSStrict && w.server != mesh.ModeNone {
		return decision{mesh.Verdict{Outcome: mesh.Denied, By: "STRICT mutual TLS refuses plaintext"}, atTLS}
	}
	r.Principal, r.Port = peer, podPort
	second := decision{at: atPod}
	switch w.server {
	case mesh.ModeSidecar, mesh.ModeGateway:
		checked := e.own.Validate(r)
		if checked.Outcome != mesh.Allowed {
			return decision{checked.Verdict, atPod}
		}
		if e.contested != "" {
			return decision{mesh.Verdict{By: e.contested}, atPod}
		}
		second.Verdict = e.sidecar.Verdict(checked.Seen)
	case mesh.ModeAmbient:
		second = decision{e.ztunnel.Verdict(r), atZtunnel}
	case mesh.ModeNone:
		return decision{mesh.Verdict{Outcome: mesh.Allowed, By: "nothing is enforced outside of the mesh"}, nowhere}
	case mesh.ModeUnknown, mesh.ModeMixed:
		return decision{mesh.Verdict{By: "the mode of the server's pods is not known"}, nowhere}
	}
	if second.Outcome == mesh.Allowed && first.Outcome != mesh.Allowed {
		return first
	}
	return second
}

// encrypted tells whether a way uses mutual TLS from end to end.
func (p *prover) encrypted(pv *podView, w way, c *call) bool {
	switch {
	case w.client == mesh.ModeNone || w.server == mesh.ModeNone:
		return false
	case w.server == mesh.ModeSidecar && w.client != mesh.ModeAmbient:
		return p.mtls(pv.workload, c.podPort(pv.workload), w.server) != mesh.MTLSDisable
	}
	return true
}

// peerAuth is what the PeerAuthentications give for one workload. No plan changes
// them, so it is resolved once.
type peerAuth struct {
	mode          mesh.MTLSMode
	ports         []mesh.PortMode
	exemptionLost bool
	tied          bool
}

func (p *prover) peerAuthOf(w *api.Workload) peerAuth {
	a, ok := p.peerAuth[w]
	if !ok {
		pa := p.st.PeerAuth(w)
		a = peerAuth{pa.Mode, pa.PortModes(), pa.ExemptionLost(), len(pa.Tied) > 0}
		p.peerAuth[w] = a
	}
	return a
}

// mtls is the mode of mutual TLS at a port of a workload's pods.
func (p *prover) mtls(w *api.Workload, port uint16, server mesh.Mode) mesh.MTLSMode {
	a := p.peerAuthOf(w)
	for _, m := range a.ports {
		if uint16(m.Port) != port || m.Mode == mesh.MTLSUnset {
			continue
		}
		if server == mesh.ModeAmbient && a.exemptionLost {
			return mesh.MTLSStrict
		}
		return m.Mode
	}
	return a.mode
}

// call is one port of a Service as one caller uses it.
type call struct {
	service   *api.Service
	port      api.ServicePort
	principal string
	tcp       bool
	// pods is true for a port that is called at the pods only.
	pods bool
	// tls is the DestinationRule that sets how clients encrypt; empty for none.
	tls string
}

// podPort is the pod's port behind the Service's; 0 when it is not known.
func (c *call) podPort(w *api.Workload) uint16 {
	if c.port.TargetPort == "" {
		return uint16(c.port.Port)
	}
	if n, err := strconv.ParseUint(c.port.TargetPort, 10, 16); err == nil {
		return uint16(n)
	}
	for _, cp := range w.Ports {
		if cp.Name == c.port.TargetPort {
			return uint16(cp.Port)
		}
	}
	return 0
}

// servedAsTCP tells whether proxies serve a port without HTTP. A port that
// declares no protocol is sniffed: it is judged as HTTP, which is what its
// policies speak of.
func servedAsTCP(p api.ServicePort) bool {
	return slices.Contains([]string{"TCP", "TLS", "HTTPS", "Mongo", "Redis", "MySQL"}, p.Protocol)
}
