package planner

import (
	"fmt"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/proof"
)

// deriver finds constraints by trying: for each call between namespaces, what if
// the server has moved and the client has not, and the other way round.
type deriver struct {
	trial *proof.Trial
	f     *fates
	// before is the mesh of today; active, cut and final are what it is after a
	// namespace has activated its waypoints, has lost its sidecars, has been
	// finalized, and nobody else has done anything.
	before             *proof.Situation
	active, cut, final map[string]*proof.Situation
	changes            map[string]map[string][]api.Change
	// gateways are the waypoints that are made, by namespace; elsewhere says in which
	// other namespaces those of a namespace's Services are.
	gateways  map[string][]api.Change
	elsewhere map[string][]string
}

// Derive tries the orders of the client's and the server's steps for each call
// between namespaces, and keeps those in which the call is treated as today. Each
// constraint carries the request that breaks the other order. What cannot be tried
// because no object asks for it (needs that owners declare, and capabilities that
// the proof does not model) is left to Constrain.
func Derive(st *mesh.State, ds []api.Decision, edges []api.Edge, policy *api.MigrationPolicy) ([]api.Constraint, error) {
	d := &deriver{
		f: newFates(st, ds), active: map[string]*proof.Situation{}, cut: map[string]*proof.Situation{}, final: map[string]*proof.Situation{},
		changes: map[string]map[string][]api.Change{}, gateways: map[string][]api.Change{}, elsewhere: map[string][]string{},
	}
	if !slices.ContainsFunc(edges, d.matters) {
		return nil, nil
	}
	s := newStepper(st, ds, edges, policy)
	wave := api.Wave{Number: 1, Steps: s.wave(Slot{Namespaces: movingNamespaces(st, ds)})}
	if s.err != nil {
		return nil, s.err
	}
	d.sort(wave.Steps)
	for _, x := range ds {
		if w := x.Waypoint; w != nil && w.Namespace != x.Namespace && !slices.Contains(d.elsewhere[x.Namespace], w.Namespace) {
			d.elsewhere[x.Namespace] = append(d.elsewhere[x.Namespace], w.Namespace)
		}
	}
	d.trial = proof.NewTrial(proof.Input{State: st, Calls: edges, Base: s.bases(), Waves: []api.Wave{wave}})
	d.before = d.trial.After(nil)
	agg := &constraints{at: map[constraintKey]int{}, more: map[constraintKey]int{}}
	for _, e := range bestFirst(edges) {
		if d.matters(e) {
			d.edge(agg, e)
		}
	}
	return agg.finish(), nil
}

// movingNamespaces are those in which something cuts over.
func movingNamespaces(st *mesh.State, ds []api.Decision) []string {
	spaces, _ := namespacesOf(st, ds)
	var out []string
	for _, n := range spaces {
		if n.Wave != 0 {
			out = append(out, n.Name)
		}
	}
	return out
}

// bestFirst sorts calls by how sure they are.
func bestFirst(edges []api.Edge) []api.Edge {
	best := slices.Clone(edges)
	slices.SortStableFunc(best, func(a, b api.Edge) int { return provenanceRank(a.Provenance) - provenanceRank(b.Provenance) })
	return best
}

// matters tells whether a call joins two namespaces of which the client's moves.
func (d *deriver) matters(e api.Edge) bool {
	server := d.f.decisions[e.To]
	return server != nil && e.From.Namespace != e.To.Namespace && slices.ContainsFunc(d.f.callers(e.From), d.f.cutsOver)
}

// sort puts the changes of all namespaces by namespace and kind of step.
func (d *deriver) sort(steps []api.Step) {
	for _, s := range steps {
		name, _, _ := strings.Cut(s.Name, "-")
		for _, c := range s.Changes {
			ns := c.Object.Namespace
			if c.Object.Kind == "Namespace" {
				ns = c.Object.Name
			}
			if d.changes[ns] == nil {
				d.changes[ns] = map[string][]api.Change{}
			}
			d.changes[ns][name] = append(d.changes[ns][name], c)
			if c.Object.Kind == "Gateway" {
				d.gateways[ns] = append(d.gateways[ns], c)
			}
		}
	}
}

// after is the state in which one namespace has done some steps.
func (d *deriver) after(at map[string]*proof.Situation, ns string, steps ...string) *proof.Situation {
	s := at[ns]
	if s == nil {
		var changes []api.Change
		for _, other := range d.elsewhere[ns] {
			changes = append(changes, d.gateways[other]...)
		}
		for _, name := range steps {
			changes = append(changes, d.changes[ns][name]...)
		}
		s = d.trial.After(changes)
		at[ns] = s
	}
	return s
}

// edge tries one call.
func (d *deriver) edge(agg *constraints, e api.Edge) {
	client, server := e.From.Namespace, e.To.Namespace
	decision := d.f.decisions[e.To]
	evidence := func(c func(api.Capability) bool) func() []api.Evidence {
		return func() []api.Evidence {
			out := slices.Clone(e.Evidence)
			if n, ok := needWhere(decision.Needs, c); ok {
				out = append(out, n.Evidence...)
			}
			if len(out) == 0 {
				out = append(out, api.Evidence{Object: e.To})
			}
			return out
		}
	}
	cutover := api.StepRef{Namespace: client, Step: stepCutover}
	if d.f.serverMoves(decision) {
		cut := d.after(d.cut, server, stepPrepare, stepActivate, stepEnrol, stepCutover)
		if g := onlyIn(d.trial.Gaps(cut, e, false), d.trial.Gaps(cut, e, true)); g != nil {
			agg.add(cutover, api.StepRef{Namespace: server, Step: stepCutover}, ruleClientFirst, func() string {
				return fmt.Sprintf("clients before servers: %s %s %s; %s", e.From, calls(e), e.To, otherwise(g))
			}, evidence(authorizing))
		}
		final := d.after(d.final, server, stepPrepare, stepActivate, stepEnrol, stepCutover, stepFinalize)
		if g := onlyIn(d.trial.Gaps(final, e, false), d.trial.Gaps(final, e, true)); g != nil {
			agg.add(cutover, api.StepRef{Namespace: server, Step: stepFinalize}, ruleClientFirst, func() string {
				return fmt.Sprintf("%s %s %s, and its sidecar needs the policies that finalize takes away; %s", e.From, calls(e), e.To, otherwise(g))
			}, evidence(authorizing))
		}
	}
	active := d.after(d.active, server, stepPrepare, stepActivate)
	if g := onlyIn(d.trial.Gaps(d.before, e, true), d.trial.Gaps(active, e, true)); g != nil {
		agg.add(api.StepRef{Namespace: server, Step: stepActivate}, cutover, ruleWaypointFirst, func() string {
			return fmt.Sprintf("waypoint before clients: %s %s %s; %s", e.From, calls(e), e.To, otherwise(g))
		}, evidence(clientSide))
	}
}

// onlyIn is a gap of a kind that one order has and the other has not.
func onlyIn(have, not []proof.Gap) *proof.Gap {
	for i := range have {
		if !slices.ContainsFunc(not, func(o proof.Gap) bool { return o.Kind == have[i].Kind }) {
			return &have[i]
		}
	}
	return nil
}

// otherwise says what the other order does to one request.
func otherwise(g *proof.Gap) string {
	return fmt.Sprintf("in the other order %s: today %s; then %s", g.Request, g.Before, g.After)
}

// modelled tells whether a need is one that Derive can try: an object of the
// cluster asks for it, and the proof evaluates objects of that kind.
func modelled(n api.Need) bool {
	switch n.Capability {
	case api.CapWasm, api.CapExtension, api.CapAuditPolicy, api.CapLocality, api.CapL7Egress, api.CapTLSOrigination:
		return false
	}
	return !slices.ContainsFunc(n.Evidence, func(e api.Evidence) bool { return e.Object.Kind == api.KindFeatureNeeds })
}

// notModelled are decisions with those of their needs that Derive cannot try.
func notModelled(ds []api.Decision) []api.Decision {
	out := slices.Clone(ds)
	for i := range out {
		out[i].Needs = slices.DeleteFunc(slices.Clone(out[i].Needs), modelled)
	}
	return out
}
