package proof

import (
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// Trial evaluates single calls in states that no plan has yet: what if this server
// has moved and that client has not.
type Trial struct {
	p       *prover
	targets map[api.Ref]*target
}

// NewTrial prepares trials on the mesh of an input; its waves are not looked at,
// but for which Services may use waypoints of other namespaces.
func NewTrial(in Input) *Trial {
	p := newProver(in)
	t := &Trial{p: p, targets: map[api.Ref]*target{}}
	for _, x := range p.targets {
		t.targets[x.ref] = x
	}
	return t
}

// Situation is a state to try calls in.
type Situation struct {
	world world
	views map[*target]*view
}

// After is the state after some changes to the mesh of today.
func (t *Trial) After(changes []api.Change) *Situation {
	return &Situation{t.p.advance(t.p.start, changes), map[*target]*view{}}
}

// Gaps are the differences that a call meets in a situation: with its callers as
// they are today, or with all of them ambient. There is at most one of each kind.
func (t *Trial) Gaps(s *Situation, e api.Edge, moved bool) []Gap {
	x, v := t.viewIn(s, e.To)
	if x == nil {
		return nil
	}
	ws, ok := t.p.stands[e.From]
	if !ok {
		ws = t.p.st.Clients(e.From)
		t.p.stands[e.From] = ws
	}
	g := newGaps(t.p)
	for _, w := range ws {
		i := t.p.index[w]
		start := t.p.startModes[i]
		if !start.has(mesh.ModeSidecar) {
			continue
		}
		now := start
		if moved {
			now = only(mesh.ModeAmbient)
		}
		t.callGaps(g, x, v, e, w, now)
		t.routeGaps(g, x, v, e, w, now)
	}
	var out []Gap
	for _, gap := range g.list() {
		if !slices.ContainsFunc(out, func(o Gap) bool { return o.Kind == gap.Kind }) {
			out = append(out, gap)
		}
	}
	return out
}

// callGaps are the differences in who may call.
func (t *Trial) callGaps(g *gaps, x *target, v *view, e api.Edge, w *api.Workload, now modes) {
	i := slices.IndexFunc(x.callers, func(c *caller) bool { return slices.Contains(c.members, w) && c != t.p.everybody })
	if i < 0 {
		return
	}
	c := role{x.callers[i], false}
	n := x.number(v)
	at := make(map[int]modes, len(c.idx))
	for _, i := range c.idx {
		at[i] = now
	}
	for i := range x.ports {
		if port := x.ports[i].port; e.Port != 0 && int32(e.Port) != port.Port {
			continue
		}
		for _, d := range t.p.result(x, v, n, c, &x.ports[i], now).diffs {
			if !d.way.direct {
				g.add(x, v, x.ports[i].port, c, d, func(i int) modes { return at[i] })
			}
		}
	}
}

// routeGaps are the differences in what acts on calls.
func (t *Trial) routeGaps(g *gaps, x *target, v *view, e api.Edge, w *api.Workload, now modes) {
	if x.routing == nil {
		return
	}
	place := t.p.index[w]
	n := slices.IndexFunc(x.routing.clients, func(c client) bool { return slices.Contains(c.idx, place) })
	if n < 0 {
		return
	}
	for i := range x.ports {
		port := x.ports[i].port
		if e.Port != 0 && int32(e.Port) != port.Port {
			continue
		}
		if r := t.p.worst(x, v, n, port, now); r.diff != nil {
			g.addRoute(x, port, &x.routing.clients[n], r.diff, now, func(int) modes { return now })
		}
	}
}
