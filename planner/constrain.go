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

// Constrain says which step must be done before which where nothing can be tried
// (see Derive): by the needs of the server, from two opposite forces.
// Authorization is enforced at the server: once it is ambient its layer 7 rules
// live at the waypoint, and a client that still has a sidecar goes past it, so
// clients move first (facts M-12, M-13, M-23, O-30). Routing is enforced at the
// client: once the client is ambient its sidecar routes nothing any more, so the
// server's waypoint must be active before (facts M-13, L-30).
//
// Only calls between namespaces and of clients that cut over in this plan make
// constraints; Impossible reports those for which no order helps. Many calls of
// the same kind make one constraint, which cites at most maxEvidence facts and
// counts the rest in its reason. Gateways never move and make none: they reach
// waypoints by istio.io/ingress-use-waypoint (facts E-19).
func Constrain(st *mesh.State, ds []api.Decision, edges []api.Edge) []api.Constraint {
	f := newFates(st, ds)
	agg := &constraints{at: map[constraintKey]int{}, more: map[constraintKey]int{}}
	for _, e := range bestFirst(edges) {
		d := f.decisions[e.To]
		client, server := e.From.Namespace, e.To.Namespace
		if d == nil || d.Kind != api.Waypoint || client == server || !slices.ContainsFunc(f.callers(e.From), f.cutsOver) {
			continue
		}
		if need, ok := needWhere(d.Needs, authorizing); ok && f.serverMoves(d) {
			evidence := func() []api.Evidence { return append(slices.Clone(e.Evidence), need.Evidence...) }
			cutover := api.StepRef{Namespace: client, Step: stepCutover}
			agg.add(cutover, api.StepRef{Namespace: server, Step: stepCutover}, ruleClientFirst, func() string {
				return fmt.Sprintf("clients before servers: %s %s %s, which needs %s at its waypoint, and a caller that still has a sidecar goes past the waypoint", e.From, calls(e), e.To, needWords(need))
			}, evidence)
			agg.add(cutover, api.StepRef{Namespace: server, Step: stepFinalize}, ruleClientFirst, func() string {
				return fmt.Sprintf("%s %s %s, and its sidecar needs the policies that finalize takes away", e.From, calls(e), e.To)
			}, evidence)
		}
		if need, ok := needWhere(d.Needs, clientSide); ok && d.Mode != mesh.ModeAmbient.String() {
			i := agg.add(api.StepRef{Namespace: server, Step: stepActivate}, api.StepRef{Namespace: client, Step: stepCutover}, ruleWaypointFirst, func() string {
				return fmt.Sprintf("waypoint before clients: %s %s %s, and its sidecar applies %s to these calls until it is gone", e.From, calls(e), e.To, needWords(need))
			}, func() []api.Evidence { return append(slices.Clone(e.Evidence), need.Evidence...) })
			if f.held[server] {
				agg.list[i].Broken = idRoutingLost
			}
		}
	}
	return agg.finish()
}

// calls is how sure an edge is, as a verb.
func calls(e api.Edge) string {
	if e.Provenance == api.Observed || e.Provenance == api.Declared {
		return "calls"
	}
	return "may call"
}

// needWords names a need with the first object that asks for it.
func needWords(n api.Need) string {
	if len(n.Evidence) == 0 {
		return string(n.Capability)
	}
	return fmt.Sprintf("%s (%s)", n.Capability, n.Evidence[0].Object)
}

// joinConstraints merges two lists; of two constraints between the same steps by
// the same rule the first stays.
func joinConstraints(first, then []api.Constraint) []api.Constraint {
	out := slices.Clone(first)
	have := map[constraintKey]bool{}
	for _, c := range first {
		have[constraintKey{c.Before, c.After, c.Rule}] = true
	}
	for _, c := range then {
		if !have[constraintKey{c.Before, c.After, c.Rule}] {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, compareConstraints)
	return out
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

// add merges a constraint into the list and returns its index. Words and
// evidence are asked for only where they are kept.
func (c *constraints) add(before, after api.StepRef, rule string, reason func() string, evidence func() []api.Evidence) int {
	k := constraintKey{before, after, rule}
	i, ok := c.at[k]
	if !ok {
		i = len(c.list)
		c.at[k] = i
		c.list = append(c.list, api.Constraint{Before: before, After: after, Rule: rule, Reason: reason()})
	} else {
		c.more[k]++
	}
	if len(c.list[i].Evidence) == maxEvidence {
		return i
	}
	for _, e := range evidence() {
		if len(c.list[i].Evidence) == maxEvidence {
			break
		}
		if !slices.ContainsFunc(c.list[i].Evidence, func(o api.Evidence) bool { return o.Compare(e) == 0 }) {
			c.list[i].Evidence = append(c.list[i].Evidence, e)
		}
	}
	return i
}

// finish sorts the list and counts in words what was left out.
func (c *constraints) finish() []api.Constraint {
	for k, i := range c.at {
		if n := c.more[k]; n > 0 {
			c.list[i].Reason += fmt.Sprintf("; and %d more calls like it", n)
		}
	}
	slices.SortFunc(c.list, compareConstraints)
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
