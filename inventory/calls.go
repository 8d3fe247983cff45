package inventory

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// Callers of kind api.KindOutside, by name.
var (
	// unidentified has no identity: no proxy knew who it was.
	unidentified = api.Ref{Kind: api.KindOutside, Name: api.OutsideUnidentified}
	// unmatched was seen, but who it is in the inventory is not known: it may be anybody.
	unmatched = api.Ref{Kind: api.KindOutside, Name: api.OutsideUnmatched}
)

type callKey struct {
	from, to api.Ref
	protocol string
}

// calls makes edges of the labels of Istio's metrics (facts 1.3 of telemetry: which proxy
// sets which). A caller is never lost: one that cannot be told makes an edge from
// unmatched, so that its Service is judged for anybody.
type calls struct {
	// host is what evidence calls the server.
	host      string
	seen      api.Seen
	ends      *endpoints
	edges     map[callKey]*observed
	missing   map[string]api.Unknown
	waypoints map[string]bool
	// passedOn are Services that waypoints called, reported those whose waypoint said for whom.
	passedOn, reported map[api.Ref]bool
}

// observed is an edge in the making.
type observed struct {
	api.Edge
	passed, other, refused bool
	// rate by reporter: each sees the whole of the call.
	rate map[string]float64
}

func newCalls(host string, inv *api.Inventory) *calls {
	return &calls{host: host, ends: newEndpoints(inv), edges: map[callKey]*observed{}, missing: map[string]api.Unknown{},
		waypoints: waypointsOf(inv), passedOn: map[api.Ref]bool{}, reported: map[api.Ref]bool{}}
}

// waypointsOf are the namespace/name of Gateways that are waypoints: they pass on the
// calls of others.
func waypointsOf(inv *api.Inventory) map[string]bool {
	out := map[string]bool{}
	for i := range inv.Objects {
		o := &inv.Objects[i]
		if o.Kind == "Gateway" && api.GroupOf(o.APIVersion) == "gateway.networking.k8s.io" && strings.HasPrefix(str(o.Content, "spec", "gatewayClassName"), "istio-waypoint") {
			out[o.Namespace+"/"+o.Name] = true
		}
	}
	return out
}

// named tells whether a label says something: proxies write "unknown" for nothing.
func named(v string) bool { return v != "" && v != "unknown" }

// series makes edges of one series. value is a rate for askPeak, else it is not looked at.
func (c *calls) series(what, query string, label func(string) string, value float64) {
	protocol := label("request_protocol")
	if what == askConnections {
		protocol = cmp.Or(protocol, "tcp")
	}
	to, several := c.servers(label)
	from := c.clients(label)
	for _, server := range to {
		switch {
		case len(from) == 0:
			c.passedOn[server] = true
		case label("reporter") == "waypoint":
			c.reported[server] = true
		}
		for _, client := range from {
			c.add(what, query, callKey{client, server, protocol}, label("reporter"), value)
		}
		if several {
			c.add(what, query, callKey{unmatched, server, protocol}, label("reporter"), value)
		}
	}
}

// add notes one series of a call.
func (c *calls) add(what, query string, k callKey, reporter string, value float64) {
	e := c.edges[k]
	if e == nil {
		if what == askPeak {
			return // a rate of what no other query shows
		}
		e = &observed{rate: map[string]float64{}, Edge: api.Edge{From: k.from, To: k.to, Protocol: k.protocol, Provenance: api.Observed,
			Evidence: []api.Evidence{{Object: k.to, Path: "prometheus " + c.host, Value: query, Source: c.host}}}}
		c.edges[k] = e
	}
	switch what {
	case askPeak:
		// The versions of a Service are several series.
		e.rate[reporter] += value
	case askPassed:
		e.passed = true
	case askRefused:
		e.refused = true
	case askConnections:
		e.other = true
	}
}

// servers finds what was called. When the Service is not named but the pods are, it is
// that of the pods; several is true when any of some Services may have been meant.
func (c *calls) servers(label func(string) string) (to []api.Ref, several bool) {
	ns, name, host := label("destination_service_namespace"), label("destination_service_name"), label("destination_service")
	for _, try := range []string{name, host} {
		if named(try) {
			if to, ok := c.ends.server(ns, try); ok {
				return []api.Ref{to}, false
			}
		}
	}
	if parts := strings.SplitN(host, ".", 4); len(parts) > 2 && parts[2] == "svc" {
		if to, ok := c.ends.server(parts[1], parts[0]); ok {
			return []api.Ref{to}, false
		}
	}
	workload, workloadNS := label("destination_workload"), label("destination_workload_namespace")
	if !named(name) && !named(host) && named(workload) && !c.waypoints[workloadNS+"/"+workload] {
		if to := c.ends.servicesOf(workloadNS, workload); len(to) > 0 {
			return to, len(to) > 1
		}
	}
	if name == "BlackHoleCluster" {
		return nil, false // a sidecar refused it: nobody was called
	}
	what := host
	if !named(what) {
		what = name // "PassthroughCluster", or what else a proxy calls it
	}
	if !named(what) {
		what = "a destination that no proxy identified"
		if named(workload) {
			what = fmt.Sprintf("pods of %s/%s by their address", workloadNS, workload)
		}
	}
	c.unknown("unmatched-call", api.Ref{Kind: "Service", Namespace: plainName(ns), Name: plainName(name)}, "metrics show calls to "+what+", which is no Service or ServiceEntry of the inventory",
		"these calls are in no order and no proof", "see who calls it; add a ServiceEntry or take a newer inventory where it belongs to the mesh")
	return nil, false
}

// plainName drops what is no name of Kubernetes.
func plainName(s string) string {
	if !isName(s) {
		return ""
	}
	return s
}

// clients finds who called: the workload, else the service account of its certificate;
// neither is unidentified or, when a proxy named it, unmatched. A waypoint passes on the
// calls of others, which it reports itself: then there is none.
func (c *calls) clients(label func(string) string) []api.Ref {
	ns, name := label("source_workload_namespace"), label("source_workload")
	if named(name) && named(ns) {
		if c.waypoints[ns+"/"+name] {
			return nil
		}
		if from := c.ends.callers(ns, name); len(from) > 0 {
			return from
		}
	}
	principal := label("source_principal")
	if _, id, ok := strings.Cut(principal, "/ns/"); ok {
		if namespace, account, ok := strings.Cut(id, "/sa/"); ok {
			if c.waypoints[namespace+"/"+account] {
				return nil
			}
			if c.ends.accounts[namespace+"/"+account] {
				return []api.Ref{{Kind: "ServiceAccount", Namespace: namespace, Name: account}}
			}
		}
	}
	who := ""
	switch {
	case named(name):
		who = fmt.Sprintf("workload %s/%s", ns, name)
	case named(principal):
		who = "principal " + principal
	default:
		return []api.Ref{unidentified}
	}
	c.unknown("unmatched-caller", api.Ref{Kind: "Workload", Namespace: plainName(ns), Name: plainName(name)}, fmt.Sprintf("metrics show calls of %s, which is not in the inventory", who),
		"what it calls is judged as if anybody may call it: it may be gone, of another cluster, or not read", "take a newer inventory, or a shorter window")
	return []api.Ref{unmatched}
}

// unknown adds one, each text once.
func (c *calls) unknown(id string, subject api.Ref, what, could, action string) {
	c.missing[what] = api.Unknown{ID: id, Subject: subject, What: what, Could: could, Action: action, Evidence: []api.Evidence{{Object: subject, Source: c.host}}}
}

// result sorts what was found.
func (c *calls) result() ([]api.Edge, []api.Unknown) {
	for to := range c.passedOn {
		if c.reported[to] {
			continue
		}
		c.add(askConnections, "reporter=\"waypoint\"", callKey{from: unmatched, to: to}, "", 0)
		c.unknown("silent-waypoint", to, fmt.Sprintf("a waypoint calls %s, and no metric of the waypoint says for whom", to),
			"anybody may be the caller, and the Service is judged so", "see whether Prometheus scrapes the waypoint, and whether a Telemetry object switches its metrics off")
	}
	edges := make([]api.Edge, 0, len(c.edges))
	for _, e := range c.edges {
		seen := c.seen
		seen.Passed, seen.Refused = e.passed, e.refused && !e.passed && !e.other
		e.Seen = &seen
		for _, rate := range e.rate {
			e.Rate = max(e.Rate, rate)
		}
		edges = append(edges, e.Edge)
	}
	slices.SortFunc(edges, compareEdges)
	unknowns := make([]api.Unknown, 0, len(c.missing))
	for _, u := range c.missing {
		unknowns = append(unknowns, u)
	}
	return edges, sortUnknowns(unknowns)
}
