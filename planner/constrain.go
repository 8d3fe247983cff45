package planner

import (
	"cmp"
	"fmt"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// maxEvidence bounds how many facts one constraint or edge cites.
const maxEvidence = 5

// Rules of order.
const (
	ruleClientFirst   = "O-30"
	ruleWaypointFirst = "O-30-counter"
)

// Constrain says which step must be done before which, from two opposite forces.
// Authorization is enforced at the server: once it is ambient its layer 7 rules
// live at the waypoint, and a client that still has a sidecar goes past it, so
// clients move first (facts M-12, M-13, M-23, O-30). Routing is enforced at the
// client: once the client is ambient its sidecar routes nothing any more, so the
// server's waypoint must be active before (facts M-13, L-30).
func Constrain(st *mesh.State, ds []api.Decision, edges []api.Edge) []api.Constraint {
	bySubject := decisionsBySubject(ds)
	agg := &constraints{at: map[constraintKey]int{}}
	for _, e := range edges {
		d := bySubject[e.To]
		if d == nil || d.Kind != api.Waypoint || e.From.Namespace == e.To.Namespace || !hasSidecars(st, e.From) {
			continue
		}
		client, server := e.From.Namespace, e.To.Namespace
		if need, ok := needWhere(d.Needs, authorizing); ok {
			agg.add(api.StepRef{Namespace: client, Step: stepCutover}, api.StepRef{Namespace: server, Step: stepCutover}, ruleClientFirst,
				fmt.Sprintf("clients before servers: %s calls %s, which needs %s at its waypoint, and a caller that still has a sidecar goes past the waypoint", e.From, e.To, need.Capability),
				append(slices.Clone(e.Evidence), need.Evidence...))
		}
		if need, ok := needWhere(d.Needs, clientSide); ok {
			agg.add(api.StepRef{Namespace: server, Step: stepActivate}, api.StepRef{Namespace: client, Step: stepCutover}, ruleWaypointFirst,
				fmt.Sprintf("waypoint before clients: %s calls %s, and its sidecar applies %s to these calls until it is gone", e.From, e.To, need.Capability),
				append(slices.Clone(e.Evidence), need.Evidence...))
		}
	}
	slices.SortFunc(agg.list, compareConstraints)
	return agg.finish()
}

type constraintKey struct {
	before, after api.StepRef
	rule          string
}

// constraints collects one constraint for each pair of steps and rule.
type constraints struct {
	list []api.Constraint
	more map[constraintKey]int
	at   map[constraintKey]int
}

func (c *constraints) add(before, after api.StepRef, rule, reason string, ev []api.Evidence) {
	k := constraintKey{before, after, rule}
	i, ok := c.at[k]
	if !ok {
		i = len(c.list)
		c.at[k] = i
		c.list = append(c.list, api.Constraint{Before: before, After: after, Rule: rule, Reason: reason})
	} else {
		if c.more == nil {
			c.more = map[constraintKey]int{}
		}
		c.more[k]++
	}
	for _, e := range ev {
		if len(c.list[i].Evidence) < maxEvidence {
			c.list[i].Evidence = append(c.list[i].Evidence, e)
		}
	}
}

// finish counts in words what was left out.
func (c *constraints) finish() []api.Constraint {
	for i := range c.list {
		k := constraintKey{c.list[i].Before, c.list[i].After, c.list[i].Rule}
		if n := c.more[k]; n > 0 {
			c.list[i].Reason += fmt.Sprintf("; and %d more calls like it", n)
		}
	}
	return c.list
}

func compareConstraints(a, b api.Constraint) int {
	return cmp.Or(
		cmp.Compare(a.Before.Namespace, b.Before.Namespace), cmp.Compare(a.After.Namespace, b.After.Namespace),
		cmp.Compare(a.Before.Step, b.Before.Step), cmp.Compare(a.After.Step, b.After.Step), cmp.Compare(a.Rule, b.Rule),
	)
}

// authorizing tells whether a capability decides at the server who may do what.
func authorizing(c api.Capability) bool {
	switch c {
	case api.CapL7Authorization, api.CapExternalAuthorization, api.CapRequestAuthentication, api.CapAuditPolicy, api.CapWasm, api.CapExtension:
		return true
	}
	return false
}

// clientSide tells whether a capability is applied by the client's sidecar today.
func clientSide(c api.Capability) bool {
	switch c {
	case api.CapHTTPRouting, api.CapTCPRouting, api.CapTLSRouting, api.CapRetries, api.CapTimeouts, api.CapFaultInjection,
		api.CapMirroring, api.CapHeaderManipulation, api.CapRewrite, api.CapRedirect, api.CapCORS, api.CapLoadBalancing,
		api.CapRequestBalancing, api.CapCircuitBreaking, api.CapOutlierDetection, api.CapLocality, api.CapTLSOrigination, api.CapL7Egress:
		return true
	}
	return false
}

func needWhere(needs []api.Need, f func(api.Capability) bool) (api.Need, bool) {
	for _, n := range needs {
		if f(n.Capability) {
			return n, true
		}
	}
	return api.Need{}, false
}

func decisionsBySubject(ds []api.Decision) map[api.Ref]*api.Decision {
	out := make(map[api.Ref]*api.Decision, len(ds))
	for i := range ds {
		out[ds[i].Subject] = &ds[i]
	}
	return out
}

// callersOf are the workloads that a client reference stands for.
func callersOf(st *mesh.State, client api.Ref) []*api.Workload {
	var out []*api.Workload
	for _, w := range st.WorkloadsIn(client.Namespace) {
		switch client.Kind {
		case "Namespace":
			out = append(out, w)
		case "ServiceAccount":
			if cmp.Or(w.ServiceAccount, "default") == client.Name {
				out = append(out, w)
			}
		default:
			if w.Ref() == client || (w.Name == client.Name && w.Kind == client.Kind) {
				out = append(out, w)
			}
		}
	}
	return out
}

// hasSidecars tells whether a client has pods with sidecars that could move.
func hasSidecars(st *mesh.State, client api.Ref) bool {
	return slices.ContainsFunc(callersOf(st, client), func(w *api.Workload) bool {
		m := st.Mode(w)
		return m == mesh.ModeSidecar || m == mesh.ModeMixed
	})
}

// Impossible reports the calls for which no order helps: a caller that keeps its
// sidecar for ever goes past the waypoint of an ambient server (facts M-12, B-04),
// a caller outside the mesh does so as well (M-19), and an ambient caller of a
// server that gets no waypoint loses what its sidecar applied (M-13, B-11).
func Impossible(st *mesh.State, ds []api.Decision, edges []api.Edge) []api.Finding {
	bySubject := decisionsBySubject(ds)
	fate := workloadFates(ds)
	var out []api.Finding
	for _, e := range edges {
		d := bySubject[e.To]
		if d == nil {
			continue
		}
		for _, w := range callersOf(st, e.From) {
			if f, ok := impossible(st, d, e, w, fate[w.Ref()]); ok {
				out = append(out, f)
			}
		}
	}
	out = append(out, unknownCallers(st, ds, edges)...)
	slices.SortFunc(out, api.Finding.Compare)
	return slices.CompactFunc(out, func(a, b api.Finding) bool { return a.Compare(b) == 0 })
}

// impossible judges one caller of one service.
func impossible(st *mesh.State, d *api.Decision, e api.Edge, w *api.Workload, fate api.DecisionKind) (api.Finding, bool) {
	need, authz := needWhere(d.Needs, authorizing)
	mode := st.Mode(w)
	switch {
	case d.Kind == api.Waypoint && authz && mode == mesh.ModeSidecar && (fate == api.KeepSidecarDecision || fate == api.Blocked):
		return api.Finding{
			ID: "sidecar-caller", Severity: api.Blocker, Subject: d.Subject,
			Message:  fmt.Sprintf("%s keeps its sidecar and calls this service, whose %s is enforced at a waypoint", w.Ref(), need.Capability),
			Evidence: append(slices.Clone(e.Evidence), need.Evidence...),
			Effect:   "a sidecar goes past the waypoint: its requests are not checked by the rules at the waypoint, or are refused where ztunnel admits only the waypoint",
			Action:   "move the caller as well, or keep the sidecar of this service (keepSidecar in its needs), or consent to the finding by id",
		}, true
	case d.Kind == api.Waypoint && authz && mode == mesh.ModeNone && st.Namespace(w.Namespace) != nil:
		return api.Finding{
			ID: "outside-caller", Severity: api.Warning, Subject: d.Subject,
			Message:  fmt.Sprintf("%s is outside the mesh and calls this service, whose %s is enforced at a waypoint", w.Ref(), need.Capability),
			Evidence: append(slices.Clone(e.Evidence), need.Evidence...),
			Effect:   "callers outside the mesh connect to the pods directly: after the move ztunnel decides alone, and refuses them where only the waypoint is admitted",
			Action:   "bring the caller into the mesh, or admit it with a layer 4 policy and accept that layer 7 rules do not hold for it",
		}, true
	case (d.Kind == api.KeepSidecarDecision || d.Kind == api.Blocked) && (fate == api.L4Only || fate == api.Waypoint) && mode != mesh.ModeAmbient:
		n, routed := needWhere(d.Needs, clientSide)
		if !routed {
			return api.Finding{}, false
		}
		return api.Finding{
			ID: "routing-lost", Severity: api.Blocker, Subject: d.Subject,
			Message:  fmt.Sprintf("%s becomes ambient and calls this service, which gets no waypoint in this plan; its sidecar applied %s to these calls", w.Ref(), n.Capability),
			Evidence: append(slices.Clone(e.Evidence), n.Evidence...),
			Effect:   "ztunnel ignores routes: the calls go to any pod of the service, without timeouts, retries or header rules",
			Action:   "resolve what keeps this service from moving, or keep the sidecar of the caller, or consent to the finding by id",
		}, true
	}
	return api.Finding{}, false
}

// workloadFates is what the decisions make of each workload; the worst one wins.
func workloadFates(ds []api.Decision) map[api.Ref]api.DecisionKind {
	rank := map[api.DecisionKind]int{api.OutOfMesh: 1, api.L4Only: 2, api.Waypoint: 3, api.KeepSidecarDecision: 4, api.Blocked: 5}
	out := map[api.Ref]api.DecisionKind{}
	for _, d := range ds {
		for _, w := range d.Workloads {
			if rank[d.Kind] > rank[out[w]] {
				out[w] = d.Kind
			}
		}
	}
	return out
}

// unknownCallers reports, once for each namespace, the services whose layer 7
// authorization nobody knows the callers of. Their position in the order rests
// on nothing, which a reader must be told.
func unknownCallers(st *mesh.State, ds []api.Decision, edges []api.Edge) []api.Finding {
	known := map[api.Ref]bool{}
	for _, e := range edges {
		known[e.To] = true
	}
	byNS := map[string][]*api.Decision{}
	var order []string
	for i := range ds {
		d := &ds[i]
		if _, authz := needWhere(d.Needs, authorizing); d.Kind != api.Waypoint || !authz || known[d.Subject] {
			continue
		}
		if byNS[d.Namespace] == nil {
			order = append(order, d.Namespace)
		}
		byNS[d.Namespace] = append(byNS[d.Namespace], d)
	}
	var out []api.Finding
	for _, ns := range order {
		var names []string
		var ev []api.Evidence
		for _, d := range byNS[ns] {
			names = append(names, d.Service)
			if n, _ := needWhere(d.Needs, authorizing); len(ev) < maxEvidence {
				ev = append(ev, n.Evidence[:min(1, len(n.Evidence))]...)
			}
		}
		out = append(out, api.Finding{
			ID: "unknown-callers", Severity: api.Warning, Subject: api.Ref{Kind: "Namespace", Name: ns},
			Message:  "nobody told who calls " + shortList(names, 5) + ", whose authorization needs a waypoint",
			Evidence: ev,
			Effect:   "a caller in another namespace that still has its sidecar when this namespace moves is refused, or goes past the waypoint; the order of waves could not take it into account",
			Action:   "give the plan a call graph: --edges FILE.csv, edges in the needs file, or an inventory with observed traffic; or move this namespace last",
		})
	}
	return out
}
