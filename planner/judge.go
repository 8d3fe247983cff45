package planner

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	security "istio.io/api/security/v1beta1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/translate"
)

// way is one way that a call takes: the modes of the two pods.
type way struct {
	client, server mesh.Mode
	pod            *api.Workload
}

// compare judges all requests of a call today and in another state. It returns
// the first difference, or why it cannot tell.
func (v *verifier) compare(today, now world, c call) (*CallGap, string) {
	svc := now.st.Service(c.service.Namespace, c.service.Name)
	before, ok := v.ways(today, c, c.service)
	if !ok {
		return nil, "the mode of its pods is not known"
	}
	after, ok := v.ways(now, c, svc)
	if !ok {
		return nil, "the mode of its pods is not known"
	}
	if len(before) == 0 {
		return nil, ""
	}
	cells, ok := mesh.Cells(v.policiesOf(today, now, c, svc), mesh.Request{}, maxCells)
	if !ok {
		return nil, "its policies tell requests apart by addresses or path templates, or into too many kinds"
	}
	for _, r := range cells {
		want := map[mesh.Outcome]string{}
		for _, w := range before {
			d := v.judge(today.st, c, c.service, w, r)
			want[d.Outcome] = d.By
		}
		if len(want) > 1 {
			return nil, "its pods are judged differently today"
		}
		var outcome mesh.Outcome
		for o := range want {
			outcome = o
		}
		for _, w := range after {
			d := v.judge(now.st, c, svc, w, r)
			if d.Outcome == outcome {
				continue
			}
			return &CallGap{
				Client: c.client.Ref(), Service: c.service.Ref(), Port: c.port.Port, Request: requestWords(r),
				Before:     outcome.String() + " (" + want[outcome] + ")",
				After:      d.Outcome.String() + " (" + d.By + "; client " + w.client.String() + ", server " + w.server.String() + ")",
				Permissive: outcome == mesh.Denied,
			}, ""
		}
	}
	return nil, ""
}

// ways lists the mixes of modes in which the pods of a call may meet. The second
// result is false when a mode is not known.
func (v *verifier) ways(w world, c call, svc *api.Service) ([]way, bool) {
	var out []way
	for _, pod := range w.st.WorkloadsOf(svc) {
		for _, cm := range w.of(c.client) {
			for _, sm := range w.of(pod) {
				if cm == mesh.ModeUnknown || sm == mesh.ModeUnknown {
					return nil, false
				}
				for _, a := range split(cm) {
					for _, b := range split(sm) {
						out = append(out, way{a, b, pod})
					}
				}
			}
		}
	}
	return out, true
}

// split takes a mixed workload apart.
func split(m mesh.Mode) []mesh.Mode {
	if m == mesh.ModeMixed {
		return []mesh.Mode{mesh.ModeSidecar, mesh.ModeAmbient}
	}
	return []mesh.Mode{m}
}

// of are the modes of a workload's pods.
func (w world) of(pod *api.Workload) []mesh.Mode {
	if m, ok := w.modes[pod.Ref()]; ok {
		return m
	}
	return []mesh.Mode{w.st.Mode(pod)}
}

// judge evaluates one request on one way: at the waypoint when the way leads
// through it, and at the pod (table M-10 to M-19 of the facts).
func (v *verifier) judge(st *mesh.State, c call, svc *api.Service, w way, r mesh.Request) mesh.Verdict {
	id := v.identity(st, c.client, w.client)
	tcp := svcTCP(c.port)
	waypoint, bound := waypointOf(st, svc)
	through := bound && (w.client == mesh.ModeAmbient || w.client == mesh.ModeGateway && ingressUses(st, svc))
	peer := id
	first := mesh.Verdict{Outcome: mesh.Allowed}
	if through {
		at := r
		at.Principal, at.Port = id, uint16(c.port.Port)
		ps := attachedTo(st, svc, waypoint)
		if !validates(st, svc, waypoint) {
			at.Claims = nil
		}
		first = mesh.ProxyAuthz(ps, at, tcp)
		if first.Outcome == mesh.Denied {
			return mesh.Verdict{Outcome: mesh.Denied, By: first.By + " at waypoint " + waypoint.Namespace + "/" + waypoint.Name}
		}
		peer = translate.Principal(st.TrustDomain(), waypoint)
	}
	at := r
	at.Principal, at.Port = peer, podPort(c.port, w.pod)
	var second mesh.Verdict
	ps := st.PoliciesFor(w.pod)
	switch w.server {
	case mesh.ModeSidecar, mesh.ModeGateway:
		if !st.ValidatesTokens(w.pod) {
			at.Claims = nil
		}
		second = mesh.ProxyAuthz(ps, at, tcp)
	case mesh.ModeAmbient:
		second = mesh.ZtunnelVerdict(ps, at)
	case mesh.ModeNone:
		return mesh.Verdict{Outcome: mesh.Allowed, By: "the server is outside the mesh"}
	case mesh.ModeUnknown, mesh.ModeMixed:
		return mesh.Verdict{Outcome: mesh.OutcomeUnknown, By: "mode not known"}
	}
	if peer == "" && st.PeerAuth(w.pod).Mode == mesh.MTLSStrict {
		return mesh.Verdict{Outcome: mesh.Denied, By: "STRICT mutual TLS refuses plaintext"}
	}
	if second.Outcome == mesh.Allowed && first.Outcome == mesh.External {
		return first
	}
	return second
}

// identity is what the other side sees of a client.
func (v *verifier) identity(st *mesh.State, w *api.Workload, m mesh.Mode) string {
	if m == mesh.ModeNone {
		return ""
	}
	return st.TrustDomain() + "/ns/" + w.Namespace + "/sa/" + accountOf(w)
}

// svcTCP tells whether proxies serve a port without HTTP. A port that declares
// no protocol is sniffed: it is judged as HTTP, which is what its policies speak of.
func svcTCP(p api.ServicePort) bool {
	return slices.Contains([]string{"TCP", "TLS", "HTTPS", "Mongo", "Redis", "MySQL"}, p.Protocol)
}

// podPort is the pod's port behind a port of the service; 0 when it is not known.
func podPort(p api.ServicePort, w *api.Workload) uint16 {
	if p.TargetPort == "" {
		return uint16(p.Port)
	}
	if n, err := strconv.ParseUint(p.TargetPort, 10, 16); err == nil {
		return uint16(n)
	}
	for _, cp := range w.Ports {
		if cp.Name == p.TargetPort {
			return uint16(cp.Port)
		}
	}
	return 0
}

// ingressUses tells whether gateways pass the waypoint of a service (facts E-19).
func ingressUses(st *mesh.State, svc *api.Service) bool {
	if v, ok := svc.Labels[mesh.LabelIngressUse]; ok {
		return v == "true"
	}
	ns := st.Namespace(svc.Namespace)
	return ns != nil && ns.Labels[mesh.LabelIngressUse] == "true"
}

// validates tells whether a waypoint validates tokens for a service.
func validates(st *mesh.State, svc *api.Service, w api.WaypointRef) bool {
	for _, ra := range st.RequestAuthentications() {
		for _, r := range ra.Spec.GetTargetRefs() {
			if r.GetKind() == "Service" && ra.Namespace == svc.Namespace && r.GetName() == svc.Name || r.GetKind() == "Gateway" && ra.Namespace == w.Namespace && r.GetName() == w.Name {
				return true
			}
		}
	}
	return false
}

// policiesOf are all policies that have a say in a call, today or in the state.
func (v *verifier) policiesOf(today, now world, c call, svc *api.Service) []mesh.Typed[*security.AuthorizationPolicy] {
	var out []policyAt
	for _, w := range []world{today, now} {
		for _, pod := range w.st.WorkloadsOf(svc) {
			out = append(out, w.st.PoliciesFor(pod)...)
		}
		if wp, ok := waypointOf(w.st, w.st.Service(svc.Namespace, svc.Name)); ok {
			out = append(out, attachedTo(w.st, svc, wp)...)
		}
	}
	return out
}

// requestWords writes a request for people.
func requestWords(r mesh.Request) string {
	parts := []string{}
	if r.Method != "" {
		parts = append(parts, r.Method)
	}
	if r.Path != "" {
		parts = append(parts, r.Path)
	}
	if r.Host != "" {
		parts = append(parts, "host "+r.Host)
	}
	for _, k := range slices.Sorted(maps.Keys(r.Headers)) {
		parts = append(parts, fmt.Sprintf("header %s: %s", k, r.Headers[k]))
	}
	for _, k := range slices.Sorted(maps.Keys(r.Claims)) {
		parts = append(parts, fmt.Sprintf("%s=%s", k, r.Claims[k]))
	}
	if r.SNI != "" {
		parts = append(parts, "SNI "+r.SNI)
	}
	if len(parts) == 0 {
		return "any request"
	}
	return strings.Join(parts, " ")
}
