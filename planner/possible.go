package planner

import (
	"fmt"
	"slices"
	"strings"

	security "istio.io/api/security/v1beta1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// fromPolicies reads callers off the ALLOW rules of AuthorizationPolicies: an
// owner who admits a client expects it to call.
func (c *edgeCollector) fromPolicies() {
	for _, p := range c.st.AuthorizationPolicies() {
		if p.Spec.GetAction() != security.AuthorizationPolicy_ALLOW || len(p.Spec.GetRules()) == 0 {
			continue
		}
		var services []api.Ref
		for i, r := range p.Spec.GetRules() {
			for _, n := range admitted(c.st, p.Namespace, r, fmt.Sprintf("spec.rules[%d]", i)) {
				if services == nil {
					services = c.targets(p)
				}
				for _, svc := range services {
					if n.client.Namespace == svc.Namespace && n.client.Kind == "Namespace" {
						continue
					}
					c.add(api.Edge{From: n.client, To: svc, Provenance: api.Possible,
						Evidence: []api.Evidence{{Object: p.Ref(), Path: n.path, Value: n.value, Source: p.Origin.At(n.path)}}})
				}
			}
		}
	}
}

// targets are the Services that a policy protects: those it names, else those
// whose pods it selects.
func (c *edgeCollector) targets(p policyAt) []api.Ref {
	out := []api.Ref{}
	if mesh.HasTargetRef(p.Spec) {
		for _, t := range append(slices.Clone(p.Spec.GetTargetRefs()), p.Spec.GetTargetRef()) {
			if t.GetKind() != "Service" {
				continue
			}
			if svc := c.st.Service(p.Namespace, t.GetName()); svc != nil {
				out = append(out, svc.Ref())
			}
		}
		return out
	}
	seen := map[api.Ref]bool{}
	for _, w := range c.st.Selected(p.Namespace, p.Spec.GetSelector().GetMatchLabels()) {
		for _, svc := range c.servicesOf(w) {
			if !seen[svc] {
				seen[svc] = true
				out = append(out, svc)
			}
		}
	}
	return out
}

func (c *edgeCollector) servicesOf(w *api.Workload) []api.Ref {
	refs, ok := c.services[w.Ref()]
	if !ok {
		for _, svc := range c.st.ServicesOf(w) {
			refs = append(refs, svc.Ref())
		}
		c.services[w.Ref()] = refs
	}
	return refs
}

// namedClient is a client that a rule admits by name, and where.
type namedClient struct {
	client      api.Ref
	path, value string
}

// admitted lists the service accounts and namespaces that a rule names, in its
// sources and in its conditions. Patterns of namespaces stand for the namespaces
// of the state that match; what names nobody in particular ("*") is left out.
func admitted(st *mesh.State, policyNamespace string, r *security.Rule, path string) []namedClient {
	var out []namedClient
	put := func(refs []api.Ref, path, value string) {
		for _, ref := range refs {
			out = append(out, namedClient{ref, path, value})
		}
	}
	for j, f := range r.GetFrom() {
		src, at := f.GetSource(), fmt.Sprintf("%s.from[%d].source", path, j)
		for k, v := range src.GetPrincipals() {
			put(principalClients(st, v), fmt.Sprintf("%s.principals[%d]", at, k), v)
		}
		for k, v := range src.GetServiceAccounts() {
			put(accountClients(policyNamespace, v), fmt.Sprintf("%s.serviceAccounts[%d]", at, k), v)
		}
		for k, v := range src.GetNamespaces() {
			put(namespaceClients(st, v), fmt.Sprintf("%s.namespaces[%d]", at, k), v)
		}
	}
	for j, w := range r.GetWhen() {
		for k, v := range w.GetValues() {
			at := fmt.Sprintf("%s.when[%d].values[%d]", path, j, k)
			switch w.GetKey() {
			case "source.principal":
				put(principalClients(st, v), at, v)
			case "source.serviceAccount":
				put(accountClients(policyNamespace, v), at, v)
			case "source.namespace":
				put(namespaceClients(st, v), at, v)
			}
		}
	}
	return out
}

// principalClients reads "TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT". A pattern for
// the account stands for the namespace; the trust domain may be a pattern.
func principalClients(st *mesh.State, v string) []api.Ref {
	parts := strings.Split(strings.TrimPrefix(v, "spiffe://"), "/")
	n := len(parts)
	if n == 3 && parts[1] == "ns" && strings.HasSuffix(parts[2], "*") {
		return namespaceClients(st, parts[2])
	}
	if n < 4 || parts[n-4] != "ns" || parts[n-2] != "sa" {
		return nil
	}
	ns, account := parts[n-3], parts[n-1]
	if strings.Contains(ns, "*") || strings.Contains(account, "*") {
		return namespaceClients(st, ns)
	}
	return []api.Ref{accountClient(ns, account)}
}

// accountClients reads "NAMESPACE/ACCOUNT", or "ACCOUNT" of the policy's namespace.
func accountClients(policyNamespace, v string) []api.Ref {
	ns, name, ok := strings.Cut(v, "/")
	if !ok {
		ns, name = policyNamespace, v
	}
	return []api.Ref{accountClient(ns, name)}
}

// namespaceClients expands a namespace or a pattern with one "*" at an end.
func namespaceClients(st *mesh.State, v string) []api.Ref {
	prefix, suffix := strings.CutSuffix(v, "*")
	rest, leading := strings.CutPrefix(v, "*")
	switch {
	case v == "" || v == "*":
		return nil
	case !strings.Contains(v, "*"):
		return []api.Ref{namespaceClient(v)}
	}
	var out []api.Ref
	for i := range st.Namespaces() {
		name := st.Namespaces()[i].Name
		if suffix && strings.HasPrefix(name, prefix) || leading && strings.HasSuffix(name, rest) {
			out = append(out, namespaceClient(name))
		}
	}
	return out
}

// callersNamed tells whether ALLOW policies name every caller that a workload
// admits, so that the edges read off them are all there are. A workload without
// ALLOW policy admits everybody.
func callersNamed(st *mesh.State, w *api.Workload) bool {
	named := false
	for _, p := range st.PoliciesFor(w) {
		if p.Spec.GetAction() != security.AuthorizationPolicy_ALLOW {
			continue
		}
		named = true
		for _, r := range p.Spec.GetRules() {
			if !namesCallers(st, p.Namespace, r) {
				return false
			}
		}
	}
	return named
}

// namesCallers tells whether a rule admits nobody but clients that it names:
// each of its sources names some, or a condition does.
func namesCallers(st *mesh.State, policyNamespace string, r *security.Rule) bool {
	conditions := &security.Rule{When: r.GetWhen()}
	if len(admitted(st, policyNamespace, conditions, "")) > 0 {
		return true
	}
	for _, f := range r.GetFrom() {
		if len(admitted(st, policyNamespace, &security.Rule{From: []*security.Rule_From{f}}, "")) == 0 {
			return false
		}
	}
	return len(r.GetFrom()) > 0
}

// fromSidecars reads what clients may call off the egress hosts of Sidecars that
// name a host, or all hosts of one other namespace. "*/*" and the default of the
// root namespace say what is visible and not who calls.
func (c *edgeCollector) fromSidecars() {
	for _, sc := range c.st.Sidecars() {
		if sc.Namespace == c.st.RootNamespace() {
			continue
		}
		clients := []api.Ref{namespaceClient(sc.Namespace)}
		if labels := sc.Spec.GetWorkloadSelector().GetLabels(); len(labels) > 0 {
			clients = nil
			for _, w := range c.st.Selected(sc.Namespace, labels) {
				clients = append(clients, w.Ref())
			}
		}
		for i, e := range sc.Spec.GetEgress() {
			for j, h := range e.GetHosts() {
				path := fmt.Sprintf("spec.egress[%d].hosts[%d]", i, j)
				ev := api.Evidence{Object: sc.Ref(), Path: path, Value: h, Source: sc.Origin.At(path)}
				for _, to := range c.visible(sc.Namespace, h) {
					c.possible(clients, to, 0, ev)
				}
			}
		}
	}
}

// visible are the servers that an egress host of a Sidecar means.
func (c *edgeCollector) visible(ns, host string) []api.Ref {
	from, host, ok := strings.Cut(host, "/")
	switch {
	case !ok || from == "~":
		return nil
	case from == ".":
		from = ns
	}
	if host == "*" && from != "*" && from != ns {
		var out []api.Ref
		for _, svc := range c.st.ServicesIn(from) {
			out = append(out, svc.Ref())
		}
		return out
	}
	if from == "*" {
		from = ns
	}
	return c.hosts(host, from)
}

// hosts are the Service or else the ServiceEntries of a host.
func (c *edgeCollector) hosts(host, ns string) []api.Ref {
	if strings.Contains(host, "*") || host == "" {
		return nil
	}
	if svc, _ := c.st.ServiceByHost(host, ns); svc != nil {
		return []api.Ref{svc.Ref()}
	}
	var out []api.Ref
	for _, e := range c.st.EntriesByHost(host) {
		out = append(out, e.Ref())
	}
	return out
}

// possible adds an edge from each of the clients. That somebody in a namespace
// may call a service of the same namespace says nothing, and is left out.
func (c *edgeCollector) possible(clients []api.Ref, to api.Ref, port int, ev api.Evidence) {
	for _, from := range clients {
		if from.Kind == "Namespace" && from.Namespace == to.Namespace {
			continue
		}
		c.add(api.Edge{From: from, To: to, Port: port, Provenance: api.Possible, Evidence: []api.Evidence{ev}})
	}
}

// unique sorts references and drops repetitions.
func unique(refs []api.Ref) []api.Ref {
	slices.SortFunc(refs, api.Ref.Compare)
	return slices.Compact(refs)
}
