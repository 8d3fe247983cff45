package proof

import (
	"cmp"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// caller is a set of workloads that one Service cannot tell apart: they have one
// identity, or the policies of the Service treat their identities alike, and their
// pods are of one kind today.
type caller struct {
	principal string
	members   []*api.Workload
	// outside is a caller without identity that nobody named: whoever reaches the
	// pods from outside of the mesh.
	outside bool
	// anyone is true when no call graph names the caller: policies or nothing keep
	// it from calling.
	anyone bool
	ports  []int32
	// idx are the members by their place in the prover's list.
	idx []int
	// bits is the same as a set, when they are many.
	bits bits
	// start are the modes of the members today.
	start modes
	// id tells the callers of all Services apart.
	id int
}

// callersOf are those who may call a Service. Calls that were observed or declared
// say who does; besides them count the callers that policies and routes name, and
// those outside the mesh when the Service is published there or was seen called by
// somebody that no proxy identified.
// Without any, everybody may: each workload of the mesh, and one outside.
func (p *prover) callersOf(svc *api.Service) []*caller {
	edges := p.edgesTo[svc.Ref()]
	told := slices.ContainsFunc(edges, func(e api.Edge) bool { return e.Provenance == api.Observed || e.Provenance == api.Declared })
	// A caller that was seen and cannot be told may be anybody.
	told = told && !slices.ContainsFunc(edges, func(e api.Edge) bool {
		return e.From.Kind == api.KindOutside && e.From.Name != api.OutsideUnidentified
	})
	outside := slices.ContainsFunc(edges, func(e api.Edge) bool { return e.From.Kind == api.KindOutside })
	type key struct {
		principal string
		start     modes
	}
	byKey := map[key]int{}
	var out []*caller
	add := func(w *api.Workload, port int32) {
		k := key{p.principal(w), p.startModes[p.index[w]]}
		i, ok := byKey[k]
		if !ok {
			i = len(out)
			byKey[k] = i
			out = append(out, &caller{principal: k.principal})
		}
		c := out[i]
		if !slices.Contains(c.members, w) {
			c.members = append(c.members, w)
		}
		if !slices.Contains(c.ports, port) {
			c.ports = append(c.ports, port)
		}
	}
	for _, e := range edges {
		if e.From.Kind == api.KindOutside {
			// Whoever is not in the mesh today has no identity, and may get one.
			for i, w := range p.list {
				if p.startModes[i].has(mesh.ModeNone) {
					add(w, int32(e.Port))
				}
			}
			continue
		}
		ws, ok := p.stands[e.From]
		if !ok {
			ws = p.st.Clients(e.From)
			p.stands[e.From] = ws
		}
		for _, w := range ws {
			add(w, int32(e.Port))
		}
	}
	switch {
	case !told:
		out = append(out, p.everybody, p.nobody)
	case svc.Type == "LoadBalancer" || svc.Type == "NodePort" || outside:
		// Whatever else the call graph of the mesh says, it is published or was called from outside.
		out = append(out, p.nobody)
	}
	for _, c := range out {
		p.index1(c)
	}
	slices.SortStableFunc(out, func(a, b *caller) int {
		return cmp.Or(cmp.Compare(a.principal, b.principal), cmp.Compare(a.start, b.start))
	})
	return out
}

// calls tells whether a caller may use a port of the Service.
func (c *caller) calls(port int32) bool {
	return len(c.ports) == 0 || slices.Contains(c.ports, 0) || slices.Contains(c.ports, port)
}

// principal is the identity of a workload in the mesh.
func (p *prover) principal(w *api.Workload) string {
	return p.st.TrustDomain() + "/ns/" + w.Namespace + "/sa/" + cmp.Or(w.ServiceAccount, "default")
}

// index1 fills what is derived from the members of a caller.
func (p *prover) index1(c *caller) {
	if c.id != 0 {
		return
	}
	p.callers++
	c.id = p.callers
	if c.outside {
		c.start = only(mesh.ModeNone)
	}
	for _, w := range c.members {
		i := p.index[w]
		c.idx = append(c.idx, i)
		c.start |= p.startModes[i]
	}
	if len(c.idx) > 16 {
		c.bits = make(bits, (len(p.list)+63)/64)
		for _, i := range c.idx {
			c.bits.add(i)
		}
	}
}

// split takes everybody apart by what the given policies can tell of identities.
// Each class is represented by all of its workloads. The second result is false
// when the policies have too many rules to take apart.
func (p *prover) split(ps []policy) ([]*caller, bool) {
	classify, ok := p.st.IdentityClasses(plain(ps))
	if !ok {
		return nil, false
	}
	if at, ok := p.classes[classify.Key()]; ok {
		return at, true
	}
	type key struct {
		class string
		start modes
	}
	byClass := map[key]int{}
	var out []*caller
	for _, id := range p.principals {
		class := classify.Of(id)
		for _, w := range p.byPrincipal[id] {
			// What is outside of the mesh today is not like what is in it: put
			// together, what one of them may do would excuse what the other may.
			k := key{class, p.startModes[p.index[w]]}
			i, ok := byClass[k]
			if !ok {
				i = len(out)
				byClass[k] = i
				out = append(out, &caller{principal: id, anyone: true})
			}
			out[i].members = append(out[i].members, w)
		}
	}
	for _, c := range out {
		p.index1(c)
	}
	p.classes[classify.Key()] = out
	return out, true
}
