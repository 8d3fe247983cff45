package planner

import (
	"cmp"
	"fmt"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// Edges collects who calls whom: what the inventory observed, what owners
// declared, and what is possible by what is written in policies, Sidecars and
// routes. Gateways' routes are in it as well, since a gateway is a client that
// never moves. Of several sources for one call the best provenance counts, and
// at most maxEvidence facts are kept. An edge is a statement that a call may
// happen; the absence of an edge says nothing.
func Edges(st *mesh.State, needs []api.FeatureNeeds) ([]api.Edge, []api.Finding, []api.Unknown) {
	c := &edgeCollector{st: st, at: map[edgeKey]int{}, services: map[api.Ref][]api.Ref{}, gateways: map[api.Ref][]api.Ref{}}
	for _, e := range st.Edges() {
		c.add(e)
	}
	for i := range needs {
		c.declared(&needs[i])
	}
	c.fromPolicies()
	c.fromSidecars()
	c.fromVirtualServices()
	c.fromRoutes()
	for i := range c.edges {
		e := &c.edges[i]
		slices.SortFunc(e.Evidence, api.Evidence.Compare)
		e.Evidence = slices.CompactFunc(e.Evidence, func(a, b api.Evidence) bool { return a.Compare(b) == 0 })
	}
	slices.SortFunc(c.edges, compareEdges)
	slices.SortFunc(c.unknowns, api.Unknown.Compare)
	return c.edges, nil, c.unknowns
}

type edgeKey struct {
	from, to api.Ref
	port     int
}

type edgeCollector struct {
	st       *mesh.State
	edges    []api.Edge
	at       map[edgeKey]int
	unknowns []api.Unknown
	// services remembers the Services of a workload.
	services map[api.Ref][]api.Ref
	// gateways remembers the workloads of a Gateway.
	gateways map[api.Ref][]api.Ref
}

// add merges an edge into the list. The better provenance wins, and its facts
// stand before those of a worse one.
func (c *edgeCollector) add(e api.Edge) {
	k := edgeKey{e.From, e.To, e.Port}
	i, ok := c.at[k]
	if !ok {
		// The evidence is cut and sorted later and belongs to the caller.
		e.Evidence = slices.Clone(e.Evidence[:min(len(e.Evidence), maxEvidence)])
		c.at[k] = len(c.edges)
		c.edges = append(c.edges, e)
		return
	}
	old := &c.edges[i]
	if provenanceRank(e.Provenance) < provenanceRank(old.Provenance) {
		old.Provenance = e.Provenance
		old.Evidence = append(slices.Clone(e.Evidence), old.Evidence...)
	} else {
		old.Evidence = append(old.Evidence, e.Evidence...)
	}
	old.Evidence = old.Evidence[:min(len(old.Evidence), maxEvidence)]
	if old.Protocol == "" {
		old.Protocol = e.Protocol
	}
	old.Rate = max(old.Rate, e.Rate)
	old.Seen = laterSeen(old.Seen, e.Seen)
}

// laterSeen joins what two sources saw of one call: the later time, and what became of
// the requests of both.
func laterSeen(a, b *api.Seen) *api.Seen {
	if a == nil || b == nil {
		return cmp.Or(a, b)
	}
	out := *a
	if b.Until > a.Until {
		out = *b
	}
	out.Passed = a.Passed || b.Passed
	out.Refused = a.Refused && b.Refused
	return &out
}

func provenanceRank(p api.Provenance) int {
	switch p {
	case api.Observed:
		return 0
	case api.Declared:
		return 1
	case api.Possible:
		return 2
	case api.ProvenanceUnset:
	}
	return 3
}

// declared adds the edges of a FeatureNeeds document. One that names what the
// inventory does not have is unknown, never dropped.
func (c *edgeCollector) declared(doc *api.FeatureNeeds) {
	for i, d := range doc.Edges {
		en := entry{doc: doc, path: indexed("edges", i)}
		to, known := c.server(d.ToNamespace, d.To)
		from := c.client(d.FromNamespace, d.From)
		if !known {
			c.unknowns = append(c.unknowns, declaredUnknown(to, d, "the server", en.evidence("to", d.To)))
		}
		if len(from) == 0 {
			ref := api.Ref{Kind: "Workload", Namespace: d.FromNamespace, Name: d.From}
			field, value := "from", d.From
			if d.From == "" {
				ref, field, value = namespaceClient(d.FromNamespace), "fromNamespace", d.FromNamespace
			}
			c.unknowns = append(c.unknowns, declaredUnknown(ref, d, "the client", en.evidence(field, value)))
		}
		for _, f := range from {
			if known {
				c.add(api.Edge{From: f, To: to, Port: d.Port, Protocol: d.Protocol, Provenance: api.Declared, Evidence: []api.Evidence{en.evidence("to", d.To)}})
			}
		}
	}
}

func declaredUnknown(subject api.Ref, d api.DeclaredEdge, end string, ev api.Evidence) api.Unknown {
	return api.Unknown{
		ID: "declared-edge", Subject: subject,
		What:     fmt.Sprintf("the inventory does not have %s of the declared call from %s to %s/%s", end, client(d), d.ToNamespace, d.To),
		Could:    "the order of the two namespaces",
		Action:   "correct the name, or add the missing object to the inventory",
		Evidence: []api.Evidence{ev},
	}
}

// client is the calling end of a declared edge in words.
func client(d api.DeclaredEdge) string {
	if d.From == "" {
		return "namespace " + d.FromNamespace
	}
	return d.FromNamespace + "/" + d.From
}

// server finds a Service by name, else a ServiceEntry by name or host.
func (c *edgeCollector) server(ns, name string) (api.Ref, bool) {
	if svc := c.st.Service(ns, name); svc != nil {
		return svc.Ref(), true
	}
	for _, e := range c.st.ServiceEntries() {
		if e.Namespace == ns && e.Name == name {
			return e.Ref(), true
		}
	}
	for _, e := range c.st.EntriesByHost(name) {
		return e.Ref(), true
	}
	return api.Ref{Kind: "Service", Namespace: ns, Name: name}, false
}

// client finds workloads by name, else those of the Service of that name, else
// the service account; without a name it is the namespace.
func (c *edgeCollector) client(ns, name string) []api.Ref {
	if name == "" {
		if c.st.Namespace(ns) == nil {
			return nil
		}
		return []api.Ref{namespaceClient(ns)}
	}
	var out []api.Ref
	for _, w := range c.st.WorkloadsIn(ns) {
		if w.Name == name {
			out = append(out, w.Ref())
		}
	}
	if len(out) > 0 {
		return out
	}
	if svc := c.st.Service(ns, name); svc != nil {
		for _, w := range c.st.WorkloadsOf(svc) {
			out = append(out, w.Ref())
		}
		if len(out) > 0 {
			return out
		}
	}
	for _, w := range c.st.WorkloadsIn(ns) {
		if accountOf(w) == name {
			return []api.Ref{accountClient(ns, name)}
		}
	}
	return nil
}

// accountOf is the service account that a workload runs as.
func accountOf(w *api.Workload) string { return cmp.Or(w.ServiceAccount, "default") }

func accountClient(ns, name string) api.Ref {
	return api.Ref{Kind: "ServiceAccount", Namespace: ns, Name: name}
}

func namespaceClient(ns string) api.Ref {
	return api.Ref{Kind: "Namespace", Namespace: ns, Name: ns}
}

func compareEdges(a, b api.Edge) int {
	if c := a.From.Compare(b.From); c != 0 {
		return c
	}
	if c := a.To.Compare(b.To); c != 0 {
		return c
	}
	return a.Port - b.Port
}
