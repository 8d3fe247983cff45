package meshgen

import (
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// serviceEntries adds an external API to every fourth namespace that is in the mesh.
func (g *generator) serviceEntries() {
	for i, s := range g.spaces {
		if i%4 != 0 || !s.inMesh {
			continue
		}
		host := s.name + ".partner.example"
		g.object("networking.istio.io/v1", "ServiceEntry", s.name, "partner", s.owner, object{
			"hosts": list{host}, "location": "MESH_EXTERNAL", "resolution": "DNS",
			"ports": list{object{"name": "tls", "number": int64(443), "protocol": "TLS"}},
		})
		g.entries = append(g.entries, api.Ref{Group: "networking.istio.io", Kind: "ServiceEntry", Namespace: s.name, Name: "partner"})
	}
}

// edges draws calls that go from one layer of namespaces to a later one, or forward inside a namespace: a graph
// without cycles. Then a few calls between namespaces get one in the other direction.
func (g *generator) edges() {
	if len(g.apps) == 0 {
		return
	}
	// firstOf[t] is the first app of layer t or later in byTier.
	var byTier []*app
	var firstOf [tiers + 1]int
	for t := range tiers {
		firstOf[t] = len(byTier)
		for _, s := range g.spaces {
			if s.tier == t {
				byTier = append(byTier, s.apps...)
			}
		}
	}
	firstOf[tiers] = len(byTier)

	seen := map[[2]api.Ref]bool{}
	var between [][2]*app
	for i := range g.p.Edges {
		from := pick(g, g.apps)
		switch n := g.r.IntN(100); {
		case n < 5 && len(g.entries) > 0:
			g.edge(seen, from.workloads[0], pick(g, g.entries), 443, "TLS")
			continue
		case n < 10:
			gateway := api.Ref{Group: "apps", Kind: "Deployment", Namespace: "istio-ingress", Name: "ingressgateway"}
			to := byTier[g.r.IntN(max(firstOf[1], 1))]
			g.edge(seen, gateway, to.ref(), to.port, to.protocol)
			continue
		}
		to := g.callee(from, byTier, firstOf[min(from.space.tier+1, tiers)])
		if to == nil {
			continue
		}
		g.call(seen, from, to)
		if from.space != to.space && i%1000 == 0 {
			between = append(between, [2]*app{from, to})
		}
	}
	for _, b := range between {
		g.call(seen, b[1], b[0])
	}
}

// callee draws who an app calls: a later app of its namespace, or one of a later layer; nil when there is none.
func (g *generator) callee(from *app, byTier []*app, later int) *app {
	near := from.space.apps[slices.Index(from.space.apps, from)+1:]
	switch {
	case len(near) > 0 && (g.chance(60) || later == len(byTier)):
		return pick(g, near)
	case later < len(byTier):
		return pick(g, byTier[later:])
	}
	return nil
}

func (a *app) ref() api.Ref { return api.Ref{Kind: "Service", Namespace: a.space.name, Name: a.name} }

// call adds the edges of one app to another, one for each workload of the caller.
func (g *generator) call(seen map[[2]api.Ref]bool, from, to *app) {
	for _, w := range from.workloads {
		g.edge(seen, w, to.ref(), to.port, to.protocol)
	}
	if !slices.Contains(to.callers, from) {
		to.callers = append(to.callers, from)
	}
}

// edge adds an edge that is not there yet.
func (g *generator) edge(seen map[[2]api.Ref]bool, from, to api.Ref, port int32, protocol string) {
	if seen[[2]api.Ref{from, to}] {
		return
	}
	seen[[2]api.Ref{from, to}] = true
	provenance := api.Observed
	switch n := g.r.IntN(100); {
	case n < 15:
		provenance = api.Declared
	case n < 20:
		provenance = api.Possible
	}
	g.inv.Edges = append(g.inv.Edges, api.Edge{
		From: from, To: to, Port: int(port), Protocol: protocol, Provenance: provenance,
		Evidence: []api.Evidence{{Object: to, Value: "generated call graph"}},
	})
}
