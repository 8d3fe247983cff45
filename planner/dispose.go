package planner

import (
	"fmt"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/translate"
)

// Dispose says of every object that configures the mesh what a plan makes of it.
// It reads the plan as it stands, with its steps, findings and proofs: what no step
// touches and no finding names is judged by who reads it before and after.
func Dispose(st *mesh.State, p *api.MigrationPlan) []api.Disposition {
	d := newDisposer(st, p)
	out := []api.Disposition{}
	for _, k := range disposedKinds() {
		for _, o := range st.Objects(k) {
			out = append(out, d.object(k, o))
			if k == mesh.KindDestinationRule {
				out = append(out, d.subsets(o)...)
			}
		}
	}
	slices.SortFunc(out, api.Disposition.Compare)
	return out
}

// disposedKinds are the kinds whose objects decide what happens to requests of the
// mesh, or what is seen of them.
func disposedKinds() []mesh.Kind {
	return []mesh.Kind{
		mesh.KindAuthorizationPolicy, mesh.KindRequestAuthentication, mesh.KindPeerAuthentication,
		mesh.KindVirtualService, mesh.KindDestinationRule, mesh.KindServiceEntry, mesh.KindSidecar, mesh.KindGateway,
		mesh.KindWorkloadEntry, mesh.KindWorkloadGroup, mesh.KindEnvoyFilter, mesh.KindProxyConfig, mesh.KindWasmPlugin, mesh.KindTrafficExtension, mesh.KindTelemetry,
		mesh.KindK8sGateway, mesh.KindHTTPRoute, mesh.KindGRPCRoute, mesh.KindTCPRoute, mesh.KindTLSRoute, mesh.KindUDPRoute, mesh.KindReferenceGrant,
		mesh.KindBackendTLSPolicy, mesh.KindBackendTrafficPolicy, mesh.KindListenerSet, mesh.KindNetworkPolicy, mesh.KindForeignNetworkPolicy,
	}
}

// change of an object in a plan.
type placedChange struct {
	api.Change
	wave int
	step string
}

// disposer holds what the fate of an object is read from.
type disposer struct {
	st *mesh.State
	p  *api.MigrationPlan
	// moves are the workloads that lose their sidecar, anyMoves is true when there are any.
	moves    map[api.Ref]bool
	anyMoves bool
	decision map[api.Ref]*api.Decision
	held     map[string]bool
	// last is the last change of each object, copies what was made of it.
	last   map[api.Ref]placedChange
	copies map[api.Ref][]api.Ref
	// copied is where the first copy was made.
	copied map[api.Ref]placedChange
	// blockers and others are the ids of findings and unknowns that name an object.
	blockers, others, consented map[api.Ref][]string
	// named are the objects by "namespace/name".
	named map[string][]*api.Object
	// routed are the subsets that a route leads to, by "host/subset".
	routed map[string]bool
}

func newDisposer(st *mesh.State, p *api.MigrationPlan) *disposer {
	d := &disposer{
		st: st, p: p, moves: map[api.Ref]bool{}, decision: map[api.Ref]*api.Decision{}, held: map[string]bool{},
		last: map[api.Ref]placedChange{}, copies: map[api.Ref][]api.Ref{}, copied: map[api.Ref]placedChange{},
		blockers: map[api.Ref][]string{}, others: map[api.Ref][]string{}, consented: map[api.Ref][]string{}, named: map[string][]*api.Object{}, routed: routedSubsets(st),
	}
	for _, h := range p.Held {
		d.held[h.Name] = true
	}
	f := newFates(st, p.Decisions)
	for i := range st.Workloads() {
		if w := &st.Workloads()[i]; f.cutsOver(w) && !d.held[w.Namespace] {
			d.moves[w.Ref()], d.anyMoves = true, true
		}
	}
	for i := range p.Decisions {
		d.decision[p.Decisions[i].Subject] = &p.Decisions[i]
	}
	for _, k := range disposedKinds() {
		for _, o := range st.Objects(k) {
			d.named[o.Namespace+"/"+o.Name] = append(d.named[o.Namespace+"/"+o.Name], o)
		}
	}
	d.readChanges()
	d.readFindings()
	return d
}

// readChanges finds what the steps do to objects, and what they make of them.
func (d *disposer) readChanges() {
	for _, w := range d.p.Waves {
		for _, s := range w.Steps {
			for _, c := range s.Changes {
				at := placedChange{c, w.Number, s.Name}
				d.last[c.Object] = at
				meta, _ := c.After["metadata"].(map[string]any)
				ann, _ := meta["annotations"].(map[string]any)
				name, _ := ann[translate.AnnotationCopyOf].(string)
				for _, o := range d.originals(c.Object, name) {
					if !slices.Contains(d.copies[o], c.Object) {
						d.copies[o] = append(d.copies[o], c.Object)
						d.copied[o] = at
					}
				}
			}
		}
	}
}

// originals are the objects that "namespace/name" of an annotation stands for: of
// the same kind as the copy, or of a kind that routes were converted from.
func (d *disposer) originals(made api.Ref, name string) []api.Ref {
	var out []api.Ref
	for one := range strings.SplitSeq(name, ",") {
		for _, o := range d.named[one] {
			if o.Kind == made.Kind && api.GroupOf(o.APIVersion) == made.Group || convertedKind(o.Kind, made.Kind) {
				out = append(out, o.Ref())
			}
		}
	}
	return out
}

// convertedKind tells whether a plan makes objects of one kind out of another.
func convertedKind(from, to string) bool {
	return from == "VirtualService" && slices.Contains([]string{"HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute"}, to)
}

// readFindings finds which objects findings and unknowns name.
func (d *disposer) readFindings() {
	add := func(to map[api.Ref][]string, id string, subject api.Ref, ev []api.Evidence) {
		seen := map[api.Ref]bool{}
		for _, r := range append([]api.Ref{subject}, evidenceObjects(ev)...) {
			if !seen[r] {
				seen[r] = true
				to[r] = union(to[r], []string{id})
			}
		}
	}
	for _, f := range d.p.Findings {
		switch {
		case f.Severity == api.Blocker && f.ConsentedBy != "":
			add(d.consented, f.ID, f.Subject, f.Evidence)
		case f.Severity == api.Blocker:
			add(d.blockers, f.ID, f.Subject, f.Evidence)
		default:
			add(d.others, f.ID, f.Subject, f.Evidence)
		}
	}
	for _, u := range d.p.Unknowns {
		if u.WaivedBy != "" {
			add(d.consented, u.ID, u.Subject, u.Evidence)
			continue
		}
		add(d.blockers, u.ID, u.Subject, u.Evidence)
	}
}

func evidenceObjects(ev []api.Evidence) []api.Ref {
	out := make([]api.Ref, len(ev))
	for i := range ev {
		out[i] = ev[i].Object
	}
	return out
}

// object says what becomes of one object.
func (d *disposer) object(k mesh.Kind, o *api.Object) api.Disposition {
	ref := o.Ref()
	out := api.Disposition{Object: ref, Source: o.Origin.At(""), Into: sortedRefs(d.copies[ref]), Findings: union(d.others[ref], d.consented[ref])}
	if ids := d.blockers[ref]; len(ids) > 0 {
		out.Fate, out.Findings = api.FateBlocked, union(ids, out.Findings)
		out.Why = "a person must decide: " + shortList(ids, 5)
		return out
	}
	c, changed := d.last[ref]
	if changed {
		out.Wave, out.Step = c.wave, c.step
	}
	switch {
	case changed && deletes(c.Change) && len(out.Into) > 0:
		out.Fate, out.Why, out.Facts = api.FateConverted, c.Why, c.Rules
		out.Proof = d.proof(d.copied[ref].wave, c.wave)
	case changed && deletes(c.Change):
		out.Fate, out.Why, out.Facts = api.FateDropped, c.Why, c.Rules
	case changed && len(out.Into) > 0 && (k == mesh.KindAuthorizationPolicy || k == mesh.KindVirtualService):
		out.Fate, out.Why, out.Facts = api.FateConverted, c.Why, c.Rules
		out.Proof = d.proof(d.copied[ref].wave, c.wave)
	default:
		v := d.untouched(k, o)
		out.Fate, out.Why, out.Facts = v.fate, v.why, v.facts
		if v.fate == api.FateConverted {
			out.Wave, out.Step = d.copied[ref].wave, d.copied[ref].step
			out.Proof = d.proof(out.Wave, out.Wave)
		}
	}
	return out
}

func deletes(c api.Change) bool {
	return c.Op == api.OpDelete || c.Op == api.OpManual && c.Does == api.OpDelete
}

func sortedRefs(list []api.Ref) []api.Ref {
	out := slices.Clone(list)
	slices.SortFunc(out, api.Ref.Compare)
	return out
}

// proof says what the proofs of the waves in which an object was replaced found.
func (d *disposer) proof(from, to int) string {
	states, proved := 0, 0
	for _, w := range d.p.Waves {
		if w.Number < from || w.Number > to {
			continue
		}
		for i := range w.Steps {
			for _, x := range append([]api.Proof{w.Steps[i].Proof}, rollbackProofs(&w.Steps[i])...) {
				states++
				if x.Result == api.Proved {
					proved++
				}
			}
		}
	}
	waves := fmt.Sprintf("wave %d", from)
	if to != from {
		waves = fmt.Sprintf("waves %d to %d", from, to)
	}
	if proved == states {
		return fmt.Sprintf("all %d states of %s treat every request as today", states, waves)
	}
	return fmt.Sprintf("%d of %d states of %s treat every request as today; verify names the requests that the others do not", proved, states, waves)
}

// verdict on an object that no step changes.
type verdict struct {
	fate  api.Fate
	why   string
	facts []string
}

func kept(why string, facts ...string) verdict    { return verdict{api.FateKept, why, facts} }
func dropped(why string, facts ...string) verdict { return verdict{api.FateDropped, why, facts} }
func blocked(why string, facts ...string) verdict { return verdict{api.FateBlocked, why, facts} }

// untouched judges an object that no step changes by who reads it.
func (d *disposer) untouched(k mesh.Kind, o *api.Object) verdict {
	if !d.anyMoves {
		return kept("nothing moves in this plan")
	}
	switch k {
	case mesh.KindAuthorizationPolicy, mesh.KindRequestAuthentication, mesh.KindWasmPlugin, mesh.KindTrafficExtension, mesh.KindTelemetry,
		mesh.KindPeerAuthentication, mesh.KindEnvoyFilter, mesh.KindProxyConfig, mesh.KindSidecar:
		return d.attached(k, o)
	case mesh.KindVirtualService:
		return d.virtualService(o)
	case mesh.KindDestinationRule:
		return d.destinationRule(o)
	case mesh.KindServiceEntry:
		return d.serviceEntry(o)
	case mesh.KindNetworkPolicy, mesh.KindForeignNetworkPolicy:
		return d.networkPolicy(k, o)
	case mesh.KindGateway, mesh.KindK8sGateway, mesh.KindListenerSet:
		return kept("gateways stay as they are: nothing of a gateway changes with the mode of the pods behind it", "L-41")
	case mesh.KindHTTPRoute, mesh.KindGRPCRoute, mesh.KindTCPRoute, mesh.KindTLSRoute, mesh.KindReferenceGrant, mesh.KindBackendTLSPolicy, mesh.KindBackendTrafficPolicy:
		return kept("gateways and waypoints read it as they do today", "L-34", "L-35", "L-36")
	case mesh.KindUDPRoute:
		return kept("the mesh carries UDP in no mode", "L-37")
	case mesh.KindWorkloadEntry, mesh.KindWorkloadGroup:
		return kept("it describes endpoints outside of the cluster, which ztunnel reaches as sidecars do", "L-38")
	}
	return blocked("this version does not say what becomes of a " + o.Kind)
}

// reach is which workloads of the mesh something applies to, gateways included.
type reach struct {
	all, moving, staying int
	// unserved are workloads that move and have no waypoint.
	unserved int
}

func (d *disposer) reachOf(ws []*api.Workload) reach {
	var r reach
	for _, w := range ws {
		if d.st.Mode(w) == mesh.ModeNone {
			continue
		}
		r.all++
		if !d.moves[w.Ref()] {
			r.staying++
			continue
		}
		r.moving++
		if !d.served(w) {
			r.unserved++
		}
	}
	return r
}

// served tells whether a waypoint stands before a workload.
func (d *disposer) served(w *api.Workload) bool {
	return slices.ContainsFunc(d.st.ServicesOf(w), func(svc *api.Service) bool {
		x := d.decision[svc.Ref()]
		return x != nil && x.Kind == api.Waypoint
	})
}
