package planner

import (
	"cmp"
	"fmt"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// Ids of the findings about calls for which no order helps.
const (
	idSidecarCaller  = "sidecar-caller"
	idOutsideCaller  = "outside-caller"
	idUnseenCaller   = "unseen-caller"
	idRoutingLost    = "routing-lost"
	idUnknownCallers = "unknown-callers"
)

// Impossible reports the calls for which no order helps: a caller that keeps its
// sidecar for ever goes past the waypoint of an ambient server (facts M-12, B-04),
// a caller outside the mesh does so as well (M-19), and an ambient caller of a
// server that gets no waypoint loses what its sidecar applied (M-13, B-11). It
// also reports the services of which nobody told who calls them. There is one
// finding for each service and cause, however many callers.
func Impossible(st *mesh.State, ds []api.Decision, edges []api.Edge) []api.Finding {
	im := &impossible{f: newFates(st, ds), callers: map[trouble]*callerList{}}
	for _, e := range edges {
		d := im.f.decisions[e.To]
		if d == nil {
			continue
		}
		ws := im.f.callers(e.From)
		for _, w := range ws {
			if id := im.judge(d, w); id != "" {
				im.note(id, d, w.Ref(), e)
			}
		}
		if _, authz := needWhere(d.Needs, authorizing); authz && len(ws) == 0 && e.From.Kind != "Gateway" && im.f.serverMoves(d) {
			im.note(idUnseenCaller, d, e.From, e)
		}
	}
	out := im.findings()
	out = append(out, unknownCallers(im.f, ds, edges)...)
	slices.SortFunc(out, api.Finding.Compare)
	return out
}

// trouble is one cause at one service.
type trouble struct {
	id      string
	subject api.Ref
}

type callerList struct {
	names    []string
	seen     map[string]bool
	evidence []api.Evidence
}

type impossible struct {
	f       *fates
	callers map[trouble]*callerList
}

// judge says which finding one caller of one service is a case of; "" when none.
func (im *impossible) judge(d *api.Decision, w *api.Workload) string {
	_, authz := needWhere(d.Needs, authorizing)
	_, routed := needWhere(d.Needs, clientSide)
	mode := im.f.st.Mode(w)
	switch {
	case authz && d.Kind == api.Waypoint && im.f.serverMoves(d) && im.f.staysSidecar(w):
		return idSidecarCaller
	case authz && d.Kind == api.Waypoint && im.f.serverMoves(d) && mode == mesh.ModeNone:
		return idOutsideCaller
	case routed && im.noWaypoint(d) && im.f.cutsOver(w):
		return idRoutingLost
	}
	return ""
}

// noWaypoint tells whether this plan makes no waypoint for a service that asks for one.
func (im *impossible) noWaypoint(d *api.Decision) bool {
	switch d.Kind {
	case api.KeepSidecarDecision, api.Blocked:
		return true
	case api.Waypoint:
		return im.f.held[d.Namespace] && d.Mode != mesh.ModeAmbient.String()
	case api.L4Only, api.OutOfMesh, api.DecisionUnset:
	}
	return false
}

func (im *impossible) note(id string, d *api.Decision, caller api.Ref, e api.Edge) {
	k := trouble{id, d.Subject}
	l := im.callers[k]
	if l == nil {
		l = &callerList{seen: map[string]bool{}}
		im.callers[k] = l
	}
	if name := caller.String(); !l.seen[name] {
		l.seen[name] = true
		l.names = append(l.names, name)
	}
	for _, ev := range e.Evidence {
		if len(l.evidence) < maxEvidence && !slices.ContainsFunc(l.evidence, func(o api.Evidence) bool { return o.Compare(ev) == 0 }) {
			l.evidence = append(l.evidence, ev)
		}
	}
}

// findings writes one finding for each service and cause.
func (im *impossible) findings() []api.Finding {
	out := make([]api.Finding, 0, len(im.callers))
	for k, l := range im.callers {
		slices.Sort(l.names)
		d := im.f.decisions[k.subject]
		need, _ := needWhere(d.Needs, authorizing)
		if k.id == idRoutingLost {
			need, _ = needWhere(d.Needs, clientSide)
		}
		who := shortList(l.names, 5)
		f := api.Finding{ID: k.id, Subject: d.Subject, Evidence: append(l.evidence, need.Evidence...)}
		switch k.id {
		case idSidecarCaller:
			f.Severity = api.Blocker
			f.Message = fmt.Sprintf("this service needs %s at its waypoint, and these callers keep their sidecars or may keep them: %s", need.Capability, who)
			f.Effect = "a sidecar goes past the waypoint: its requests are not checked by the rules at the waypoint, or are refused where ztunnel admits only the waypoint"
			f.Action = "move the callers as well, or keep the sidecar of this service (keepSidecar in its needs), or consent to the finding by id"
		case idOutsideCaller:
			f.Severity = api.Warning
			f.Message = fmt.Sprintf("this service needs %s at its waypoint, and these callers are outside the mesh: %s", need.Capability, who)
			f.Effect = "callers outside the mesh connect to the pods directly: after the move ztunnel decides alone, and refuses them where only the waypoint is admitted"
			f.Action = "bring the callers into the mesh, or admit them with a layer 4 policy and accept that layer 7 rules do not hold for them"
		case idUnseenCaller:
			f.Severity = api.Warning
			f.Message = fmt.Sprintf("this service needs %s at its waypoint, and policies or routes name callers that the inventory does not hold: %s", need.Capability, who)
			f.Effect = "if such a caller exists and has a sidecar when this service moves, it goes past the waypoint or is refused"
			f.Action = "read the namespaces or clusters that hold them into the inventory, or remove the names from the policies if nobody uses them"
		case idRoutingLost:
			f.Severity = api.Blocker
			f.Message = fmt.Sprintf("this service gets no waypoint in this plan, and these callers become ambient, whose sidecars applied %s to their calls: %s", need.Capability, who)
			f.Effect = "ztunnel ignores routes: the calls go to any pod of the service, without timeouts, retries or header rules"
			f.Action = "resolve what keeps this service or its namespace from moving, or keep the sidecars of the callers, or consent to the finding by id"
		}
		out = append(out, f)
	}
	return out
}

// unknownCallers reports, once for each namespace, the services whose layer 7
// authorization or routing nobody knows the callers of. Their position in the
// order rests on nothing, which a reader must be told. Callers are known when a
// call was observed or declared, or when ALLOW policies name everyone who may
// call. Where no other namespace has workloads in the mesh there is no order to
// get wrong, and nothing is said.
func unknownCallers(f *fates, ds []api.Decision, edges []api.Edge) []api.Finding {
	told := map[api.Ref]bool{}
	for _, e := range edges {
		if e.Provenance == api.Observed || e.Provenance == api.Declared {
			told[e.To] = true
		}
	}
	inMesh := map[string]bool{}
	for i := range f.st.Workloads() {
		if w := &f.st.Workloads()[i]; f.st.InMesh(w) {
			inMesh[w.Namespace] = true
		}
	}
	byNS := map[string][]*api.Decision{}
	var order []string
	for i := range ds {
		d := &ds[i]
		_, authz := needWhere(d.Needs, authorizing)
		_, routed := needWhere(d.Needs, clientSide)
		elsewhere := len(inMesh) > 1 || len(inMesh) == 1 && !inMesh[d.Namespace]
		if d.Kind != api.Waypoint || !(authz || routed) || told[d.Subject] || !elsewhere || named(f, d) {
			continue
		}
		if byNS[d.Namespace] == nil {
			order = append(order, d.Namespace)
		}
		byNS[d.Namespace] = append(byNS[d.Namespace], d)
	}
	var out []api.Finding
	for _, ns := range order {
		out = append(out, unknownCallersOf(ns, byNS[ns]))
	}
	return out
}

// named tells whether ALLOW policies name everyone who may call a service.
func named(f *fates, d *api.Decision) bool {
	service := f.st.Service(d.Namespace, d.Service)
	if service == nil || d.Subject.Kind != "Service" {
		return false
	}
	ws := f.st.WorkloadsOf(service)
	return len(ws) > 0 && !slices.ContainsFunc(ws, func(w *api.Workload) bool { return !callersNamed(f.st, w) })
}

func unknownCallersOf(ns string, ds []*api.Decision) api.Finding {
	var guarded, routed []string
	var ev []api.Evidence
	for _, d := range ds {
		name := cmp.Or(d.Service, d.Workload)
		n, authz := needWhere(d.Needs, authorizing)
		if authz {
			guarded = append(guarded, name)
		}
		if r, ok := needWhere(d.Needs, clientSide); ok {
			routed = append(routed, name)
			if !authz {
				n = r
			}
		}
		if len(ev) < maxEvidence && len(n.Evidence) > 0 {
			ev = append(ev, n.Evidence[0])
		}
	}
	out := api.Finding{
		ID: idUnknownCallers, Severity: api.Warning, Subject: api.Ref{Kind: "Namespace", Name: ns}, Evidence: ev,
		Message: "nobody told who calls ",
		Action:  "give the plan a call graph: --edges FILE.csv, edges in the needs file, or an inventory with observed traffic",
	}
	if len(guarded) > 0 {
		out.Message += shortList(guarded, 5) + " (authorization at a waypoint)"
		out.Effect = "a caller in another namespace that still has its sidecar when this namespace moves goes past the waypoint or is refused"
		out.Action += "; or move this namespace last"
	}
	if len(routed) > 0 {
		if len(guarded) > 0 {
			out.Message += " and "
			out.Effect += "; "
		}
		out.Message += shortList(routed, 5) + " (routes that callers' sidecars apply)"
		out.Effect += "a caller in another namespace that becomes ambient before the waypoint is active loses routes, timeouts and retries"
	}
	out.Effect += ". The order of waves could not take them into account."
	return out
}
