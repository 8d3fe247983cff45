package proof

import (
	"cmp"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// episode is the evaluation of one step, or of one step back.
type episode struct {
	p         *prover
	from, end world
	changes   []api.Change
	// touched are the namespaces that a change is felt in.
	touched map[string]bool
	// during are the modes that the pods of each workload may have.
	during []modes
	// odd is true when some pod may be in a mode that no plan of ours leads to.
	odd   bool
	cache map[int]modes
	// gaps and unknowns are those of the Service that is evaluated.
	gaps     *gaps
	unknowns []UnknownCall
	// sets are during as one set of workloads for each mode.
	sets [mesh.ModeGateway + 1]bits
	out  StepProof
}

// near tells whether the namespace of a Service's waypoint is touched.
func (e *episode) near(t *target) bool {
	for _, x := range []world{e.from, e.end} {
		if wp := e.p.waypointOf(x, t.service); wp != nil && e.touched[wp.ref.Namespace] {
			return true
		}
	}
	return false
}

// service evaluates one Service in all states of the step.
func (e *episode) service(t *target, near bool) {
	var views []*view
	if !near {
		views = append(views, e.same(t))
	} else {
		var ok bool
		if views, ok = e.views(t); !ok {
			e.unknowns = append(e.unknowns, UnknownCall{Service: t.ref, Why: "more changes of the step touch it than can be evaluated in every order"})
			return
		}
	}
	e.out.Mixes += len(views)
	for _, v := range views {
		e.routes(t, v)
		n := t.number(v)
		callers, ok := e.p.spell(t, v)
		if !ok {
			e.unknowns = append(e.unknowns, UnknownCall{Service: t.ref, Why: "its policies have too many rules to tell all callers apart"})
			continue
		}
		e.out.Calls += len(callers) * len(t.ports)
		all := e.odd || e.p.in.Exhaustive
		if !all && e.p.cleanFor(t, v, n, callers) {
			continue
		}
		for _, c := range callers {
			if c.anyone {
				clean := e.p.cleanOf(t, v, n, c)
				if clean && !all {
					continue
				}
				if !clean {
					e.p.watched[t] = true
				}
			}
			now := e.modesOf(c.caller)
			for i := range t.ports {
				if t.ports[i].pods || c.calls(t.ports[i].port.Port) {
					e.call(t, v, n, c, &t.ports[i], now)
				}
			}
		}
	}
}

// call evaluates one caller of one port.
func (e *episode) call(t *target, v *view, n int, c role, port *call, now modes) {
	o := e.p.result(t, v, n, c, port, now)
	if len(o.diffs) > 0 && c.anyone {
		// Nobody is taken to call himself, unless somebody says so.
		others, self := e.others(t, c.caller)
		if self && others != now {
			if others == 0 {
				return
			}
			o = e.p.result(t, v, n, c, port, others)
		}
	}
	if o.unknown != "" {
		e.unknowns = append(e.unknowns, UnknownCall{Service: t.ref, Port: port.port.Port, Client: e.p.nameOf(c.caller), Why: o.unknown})
	}
	for _, d := range o.diffs {
		e.gaps.add(t, v, port.port, c, d, e.modeAt)
	}
}

// modeAt are the modes of a workload in the step.
func (e *episode) modeAt(i int) modes { return e.during[i] }

// others are the modes of a caller without the workloads behind the Service; self
// is true when there are some.
func (e *episode) others(t *target, c *caller) (out modes, self bool) {
	if c.outside {
		return only(mesh.ModeNone), false
	}
	if c.bits != nil {
		own := e.p.behindBits(t)
		return e.modesBut(c.bits, own), c.bits.meets(own)
	}
	for i, w := range c.members {
		if slices.Contains(e.p.behind[t.service], w) {
			self = true
			continue
		}
		out |= e.during[c.idx[i]]
	}
	return out, self
}

// behindBits are the workloads behind a Service as a set.
func (p *prover) behindBits(t *target) bits {
	if t.own == nil {
		t.own = make(bits, (len(p.list)+63)/64)
		for _, w := range p.behind[t.service] {
			t.own.add(p.index[w])
		}
	}
	return t.own
}

// result compares one caller of one port in one view, once.
func (p *prover) result(t *target, v *view, n int, c role, port *call, now modes) *outcome {
	k := resultKey{n, c.id, c.start, now, port.port.Port, c.suspect}
	o := t.results[k]
	if o == nil {
		one := *port
		one.principal, one.tls = c.principal, t.tls
		r := p.compare(&t.today, v, &one, c.start, now, c.suspect)
		p.requests += r.requests
		o = &r
		t.results[k] = o
	}
	return o
}

// cleanFor tells whether nobody is treated differently in a view, whatever the
// modes of the callers are between today's and ambient. Then nothing has to be
// evaluated again when only callers move.
func (p *prover) cleanFor(t *target, v *view, n int, callers []role) bool {
	clean, ok := t.clean[n]
	if ok {
		return clean
	}
	clean = true
	for _, c := range callers {
		clean = clean && p.cleanOf(t, v, n, c)
	}
	t.clean[n] = clean
	return clean
}

// cleanOf is cleanFor for one caller.
func (p *prover) cleanOf(t *target, v *view, n int, c role) bool {
	widest := c.start
	if !c.outside {
		widest |= only(mesh.ModeAmbient)
	}
	for i := range t.ports {
		if !t.ports[i].pods && !c.calls(t.ports[i].port.Port) {
			continue
		}
		if o := p.result(t, v, n, c, &t.ports[i], widest); o.unknown != "" || len(o.diffs) > 0 {
			return false
		}
	}
	return true
}

// number gives a view of a Service a number by its key.
func (t *target) number(v *view) int {
	n, ok := t.views[v.key]
	if !ok {
		n = len(t.views) + 1
		t.views[v.key] = n
	}
	return n
}

// same is the view of a Service that no change of the step touches.
func (e *episode) same(t *target) *view {
	spaces := [3]*space{e.from.space(t.service.Namespace), e.from.space(e.p.st.RootNamespace())}
	if t.last.waypoint != nil {
		spaces[2] = e.from.space(t.last.waypoint.ref.Namespace)
	}
	if t.last.key == "" || spaces != t.lastSpaces || e.p.reroute.far(t) {
		t.last = e.p.viewOf(e.from, t.service)
		spaces[2] = nil
		if t.last.waypoint != nil {
			spaces[2] = e.from.space(t.last.waypoint.ref.Namespace)
		}
		t.lastSpaces = spaces
	}
	return &t.last
}

// modesOf is the union of what the caller's pods may be.
func (e *episode) modesOf(c *caller) modes {
	if c.outside {
		return only(mesh.ModeNone)
	}
	m, ok := e.cache[c.id]
	if !ok {
		if c.bits == nil {
			for _, i := range c.idx {
				m |= e.during[i]
			}
		} else {
			m = e.modesIn(c.bits)
		}
		e.cache[c.id] = m
	}
	return m
}

// role is a caller of a Service. A suspect is one that the call graph does not
// name: it need not get through, but it must not get through where it did not.
type role struct {
	*caller
	suspect bool
}

// modesIn is the union of the modes of a set of workloads.
func (e *episode) modesIn(set bits) modes { return e.modesBut(set, nil) }

// modesBut is the union of the modes of a set of workloads without some of them.
func (e *episode) modesBut(set, without bits) (out modes) {
	if e.sets[0] == nil {
		for m := range e.sets {
			e.sets[m] = make(bits, len(set))
		}
		for i, ms := range e.during {
			for m := range e.sets {
				if ms&(1<<m) != 0 {
					e.sets[m].add(i)
				}
			}
		}
	}
	for m := range e.sets {
		if e.sets[m].meetsBut(set, without) {
			out |= 1 << m
		}
	}
	return out
}

// bits is a set of workloads by their place in the prover's list.
type bits []uint64

func (b bits) add(i int) { b[i/64] |= 1 << (i % 64) }

func (b bits) meets(o bits) bool { return b.meetsBut(o, nil) }

// meetsBut tells whether two sets have something in common besides some workloads.
func (b bits) meetsBut(o, without bits) bool {
	for i := range b {
		x := b[i] & o[i]
		if without != nil {
			x &^= without[i]
		}
		if x != 0 {
			return true
		}
	}
	return false
}

// spell lists all callers of a Service: those that are known to call, and
// everybody else, taken apart as far as the policies of the Service can tell. The
// second result is false when they have too many rules for that.
func (p *prover) spell(t *target, v *view) ([]role, bool) {
	if out, ok := t.spelled[v.key]; ok {
		return out, out != nil
	}
	out := []role{}
	for _, c := range t.callers {
		if c != p.everybody && c != p.nobody {
			out = append(out, role{c, false})
		}
	}
	var ps []policy
	for _, x := range []*view{&t.today, v} {
		ps = append(ps, x.attached...)
		for i := range x.pods {
			ps = append(ps, x.pods[i].policies...)
		}
	}
	classes, ok := p.split(ps)
	if !ok {
		t.spelled[v.key] = nil
		return nil, false
	}
	for _, c := range classes {
		out = append(out, role{c, !t.anyone})
	}
	out = append(out, role{p.nobody, !slices.Contains(t.callers, p.nobody)})
	t.spelled[v.key] = out
	return out, true
}

// views are the different views of a Service while the changes of a step take
// hold, in whatever order. The second result is false when there are too many.
func (e *episode) views(t *target) ([]*view, bool) {
	var mine []api.Change
	for _, c := range e.changes {
		if e.concerns(t, c) {
			mine = append(mine, c)
		}
	}
	if len(mine) > maxOrders {
		return nil, false
	}
	seen := map[string]bool{}
	var out []*view
	for set := range 1 << len(mine) {
		var some []api.Change
		for i := range mine {
			if set&(1<<i) != 0 {
				some = append(some, mine[i])
			}
		}
		x := e.from
		if len(some) > 0 {
			x = e.p.apply(e.from, some)
		}
		v := e.p.viewOf(x, t.service)
		if !seen[v.key] {
			seen[v.key] = true
			out = append(out, &v)
		}
	}
	slices.SortFunc(out, func(a, b *view) int { return cmp.Compare(a.key, b.key) })
	return out, true
}

// concerns tells whether a change may alter the view of a Service.
func (e *episode) concerns(t *target, c api.Change) bool {
	p, svc := e.p, t.service
	if p.routingRef(c.Object) {
		return p.reroutes(t, c.Object, e.from, e.end)
	}
	switch c.Object.Group + "/" + c.Object.Kind {
	case "/Namespace":
		return c.Object.Name == svc.Namespace
	case "/Service":
		return c.Object == svc.Ref()
	case "security.istio.io/AuthorizationPolicy", "security.istio.io/RequestAuthentication":
		for _, o := range []api.Content{e.from.content(c.Object), e.end.content(c.Object)} {
			if o != nil && e.reaches(t, c.Object.Namespace, o) {
				return true
			}
		}
		return false
	case "gateway.networking.k8s.io/Gateway":
		for _, x := range []world{e.from, e.end} {
			if wp := p.waypointOf(x, svc); wp != nil && wp.ref.Namespace == c.Object.Namespace && wp.ref.Name == c.Object.Name {
				return true
			}
		}
		return false
	}
	return slices.ContainsFunc(p.behind[svc], func(wl *api.Workload) bool { return wl.Ref() == c.Object })
}

// reaches tells whether a policy applies to the pods of a Service or, when it has
// a waypoint around this step, to the Service.
func (e *episode) reaches(t *target, ns string, content api.Content) bool {
	p := e.p
	spec, _ := content["spec"].(map[string]any)
	if spec["targetRefs"] != nil || spec["targetRef"] != nil {
		return p.waypointOf(e.from, t.service) != nil || p.waypointOf(e.end, t.service) != nil
	}
	if ns != t.service.Namespace && ns != p.st.RootNamespace() {
		return false
	}
	selector := stringsAt(content, "spec", "selector", "matchLabels")
	return slices.ContainsFunc(p.behind[t.service], func(wl *api.Workload) bool {
		return mesh.Selects(selector, e.from.podLabels(wl)) || mesh.Selects(selector, e.end.podLabels(wl))
	})
}
