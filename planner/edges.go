package planner

import (
	"fmt"
	"slices"
	"strings"

	security "istio.io/api/security/v1beta1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// Edges collects who calls whom: what the inventory observed, what owners
// declared, and what is possible by what is written in policies and Sidecars.
// Gateways' routes are in it as well, since a gateway is a client that never
// moves. An edge is a statement that a call may happen; the absence of an edge
// says nothing.
func Edges(st *mesh.State, needs []api.FeatureNeeds) ([]api.Edge, []api.Finding, []api.Unknown) {
	c := &edgeCollector{st: st, at: map[edgeKey]int{}}
	for _, e := range st.Edges() {
		c.add(e)
	}
	for i := range needs {
		c.declared(&needs[i])
	}
	c.fromPolicies()
	c.fromSidecars()
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
}

// add merges an edge into the list; the better provenance wins.
func (c *edgeCollector) add(e api.Edge) {
	k := edgeKey{e.From, e.To, e.Port}
	if i, ok := c.at[k]; ok {
		old := &c.edges[i]
		if provenanceRank(e.Provenance) < provenanceRank(old.Provenance) {
			old.Provenance = e.Provenance
		}
		if len(old.Evidence) < maxEvidence {
			old.Evidence = append(old.Evidence, e.Evidence...)
		}
		return
	}
	c.at[k] = len(c.edges)
	c.edges = append(c.edges, e)
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
		ev := en.evidence("to", d.To)
		svc := c.st.Service(d.ToNamespace, d.To)
		from, ok := c.client(d.FromNamespace, d.From)
		if svc == nil || !ok {
			c.unknowns = append(c.unknowns, api.Unknown{
				ID: "declared-edge", Subject: api.Ref{Kind: "Service", Namespace: d.ToNamespace, Name: d.To},
				What:     fmt.Sprintf("the declared call from %s/%s to %s/%s names something that the inventory does not have", d.FromNamespace, d.From, d.ToNamespace, d.To),
				Could:    "the order of the two namespaces",
				Action:   "correct the names, or add the missing objects to the inventory",
				Evidence: []api.Evidence{ev},
			})
			continue
		}
		c.add(api.Edge{From: from, To: svc.Ref(), Port: d.Port, Protocol: d.Protocol, Provenance: api.Declared, Evidence: []api.Evidence{ev}})
	}
}

// client finds a workload or a service account by name; without a name it is the
// namespace.
func (c *edgeCollector) client(ns, name string) (api.Ref, bool) {
	if name == "" {
		return namespaceClient(ns), c.st.Namespace(ns) != nil
	}
	for _, w := range c.st.WorkloadsIn(ns) {
		if w.Name == name {
			return w.Ref(), true
		}
	}
	for _, w := range c.st.WorkloadsIn(ns) {
		if w.ServiceAccount == name {
			return api.Ref{Kind: "ServiceAccount", Namespace: ns, Name: name}, true
		}
	}
	return api.Ref{}, false
}

func namespaceClient(ns string) api.Ref {
	return api.Ref{Kind: "Namespace", Namespace: ns, Name: ns}
}

// fromPolicies reads callers off the ALLOW rules of AuthorizationPolicies: an
// owner who admits a client expects it to call.
func (c *edgeCollector) fromPolicies() {
	for _, p := range c.st.AuthorizationPolicies() {
		if p.Spec.GetAction() != security.AuthorizationPolicy_ALLOW || len(p.Spec.GetRules()) == 0 {
			continue
		}
		services := c.targets(p)
		if len(services) == 0 {
			continue
		}
		for i, r := range p.Spec.GetRules() {
			for j, f := range r.GetFrom() {
				path := fmt.Sprintf("spec.rules[%d].from[%d].source", i, j)
				for _, client := range c.clients(p.Namespace, f.GetSource()) {
					for _, svc := range services {
						if client.Namespace == svc.Namespace && client.Kind == "Namespace" {
							continue
						}
						c.add(api.Edge{From: client, To: svc, Provenance: api.Possible,
							Evidence: []api.Evidence{{Object: p.Ref(), Path: path, Source: p.Origin.At(path)}}})
					}
				}
			}
		}
	}
}

// targets are the Services whose pods a policy protects.
func (c *edgeCollector) targets(p policyAt) []api.Ref {
	var out []api.Ref
	for _, w := range c.st.Selected(p.Namespace, p.Spec.GetSelector().GetMatchLabels()) {
		for _, svc := range c.st.ServicesOf(w) {
			if !slices.Contains(out, svc.Ref()) {
				out = append(out, svc.Ref())
			}
		}
	}
	return out
}

// clients are the service accounts and namespaces that a source names exactly.
func (c *edgeCollector) clients(policyNamespace string, src *security.Source) []api.Ref {
	var out []api.Ref
	for _, p := range src.GetPrincipals() {
		parts := strings.Split(p, "/")
		if n := len(parts); n >= 4 && parts[n-4] == "ns" && parts[n-2] == "sa" && !strings.Contains(p, "*") {
			out = append(out, api.Ref{Kind: "ServiceAccount", Namespace: parts[n-3], Name: parts[n-1]})
		}
	}
	for _, sa := range src.GetServiceAccounts() {
		ns, name, ok := strings.Cut(sa, "/")
		if !ok {
			ns, name = policyNamespace, sa
		}
		out = append(out, api.Ref{Kind: "ServiceAccount", Namespace: ns, Name: name})
	}
	for _, ns := range src.GetNamespaces() {
		if !strings.Contains(ns, "*") {
			out = append(out, namespaceClient(ns))
		}
	}
	return out
}

// fromSidecars reads what clients may call off the egress hosts of Sidecars.
func (c *edgeCollector) fromSidecars() {
	for _, sc := range c.st.Sidecars() {
		for i, e := range sc.Spec.GetEgress() {
			for j, h := range e.GetHosts() {
				ns, host, ok := strings.Cut(h, "/")
				if !ok || strings.Contains(host, "*") {
					continue
				}
				if ns == "." || ns == "*" || ns == "~" {
					ns = sc.Namespace
				}
				svc, _ := c.st.ServiceByHost(host, ns)
				if svc == nil {
					continue
				}
				path := fmt.Sprintf("spec.egress[%d].hosts[%d]", i, j)
				for _, w := range c.st.Selected(sc.Namespace, sc.Spec.GetWorkloadSelector().GetLabels()) {
					if w.Namespace != sc.Namespace {
						continue
					}
					c.add(api.Edge{From: w.Ref(), To: svc.Ref(), Provenance: api.Possible,
						Evidence: []api.Evidence{{Object: sc.Ref(), Path: path, Value: h, Source: sc.Origin.At(path)}}})
				}
			}
		}
	}
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
