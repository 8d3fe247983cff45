package inventory

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// maxKiali bounds a graph: Kiali's own interface is of no use far below it.
const maxKiali = 256 << 20

// kialiGraph is what Kiali's graph API answers: /api/namespaces/graph, of any graphType.
// Source: kiali/kiali graph/config/common (cytoscape before). Fields that say nothing of who calls whom
// are left out, so decoding is not strict.
type kialiGraph struct {
	Timestamp int64  `json:"timestamp"`
	Duration  int64  `json:"duration"`
	GraphType string `json:"graphType"`
	Elements  *struct {
		Nodes []struct {
			Data kialiNode `json:"data"`
		} `json:"nodes"`
		Edges []struct {
			Data kialiEdge `json:"data"`
		} `json:"edges"`
	} `json:"elements"`
}

type kialiNode struct {
	ID        string `json:"id"`
	Type      string `json:"nodeType"`
	Namespace string `json:"namespace"`
	Workload  string `json:"workload"`
	App       string `json:"app"`
	Service   string `json:"service"`
	// IsWaypoint nodes are there when the graph was asked for with waypoints.
	IsWaypoint bool `json:"isWaypoint"`
	// DestServices are the Services through which a workload was called.
	DestServices []struct {
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
	} `json:"destServices"`
}

type kialiEdge struct {
	Source string `json:"source"`
	Target string `json:"target"`
	// Principal of the client's certificate.
	Principal string `json:"sourcePrincipal"`
	Traffic   struct {
		Protocol string            `json:"protocol"`
		Rates    map[string]string `json:"rates"`
		// Responses are by code; of each the flags with their share.
		Responses map[string]json.RawMessage `json:"responses"`
	} `json:"traffic"`
}

// ReadKiali reads a graph that Kiali has drawn. Service nodes stand between workloads: a
// call leads from a workload to a Service, and what leads on from there is how that is
// carried out. Edges are Observed, with the time that the graph shows. An answer that is
// no graph is an error; nodes that match nothing in the inventory are unknowns.
func ReadKiali(name string, r io.Reader, inv *api.Inventory) ([]api.Edge, []api.Unknown, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxKiali+1))
	if err != nil {
		return nil, nil, err
	}
	if len(data) > maxKiali {
		return nil, nil, &api.InputError{File: name, Line: 1, Msg: "the graph is larger than 256 MiB"}
	}
	var g kialiGraph
	if err := json.Unmarshal(data, &g); err != nil {
		return nil, nil, &api.InputError{File: name, Line: lineOf(data, err), Msg: "it is not the JSON of Kiali's graph API: " + err.Error()}
	}
	if g.Elements == nil {
		return nil, nil, &api.InputError{File: name, Line: 1, Msg: "it has no \"elements\": it is not an answer of Kiali's graph API (/api/namespaces/graph)"}
	}
	k := &kialiReader{name: name, graph: &g, ends: newEndpoints(inv), nodes: map[string]*kialiNode{}, edges: map[callKey]*observed{}, missing: map[string]api.Unknown{}, called: map[string]bool{}}
	for i := range g.Elements.Nodes {
		n := &g.Elements.Nodes[i].Data
		if n.ID == "" {
			return nil, nil, &api.InputError{File: name, Line: 1, Msg: fmt.Sprintf("elements.nodes[%d] has no id", i)}
		}
		if !slices.Contains([]string{"aggregate", "app", "box", "service", "unknown", "workload"}, n.Type) {
			return nil, nil, &api.InputError{File: name, Line: 1, Msg: fmt.Sprintf("elements.nodes[%d] has nodeType %q, which this version does not know", i, n.Type)}
		}
		if k.nodes[n.ID] != nil {
			return nil, nil, &api.InputError{File: name, Line: 1, Msg: fmt.Sprintf("elements.nodes[%d] has the id of another node", i)}
		}
		k.nodes[n.ID] = n
	}
	if len(g.Elements.Edges) == 0 {
		k.missing["no edges"] = api.Unknown{ID: "no-metrics", Subject: api.Ref{Kind: "Kiali", Name: "graph"}, What: name + " shows no call at all", Could: "nobody knows who calls whom",
			Action: "ask for all namespaces and a longer duration", Evidence: []api.Evidence{{Object: api.Ref{Kind: "Kiali", Name: "graph"}, Source: name}}}
	}
	for i := range g.Elements.Edges {
		k.called[g.Elements.Edges[i].Data.Target] = true
	}
	for i := range g.Elements.Edges {
		e := &g.Elements.Edges[i].Data
		from, to := k.nodes[e.Source], k.nodes[e.Target]
		if from == nil || to == nil {
			return nil, nil, &api.InputError{File: name, Line: 1, Msg: fmt.Sprintf("elements.edges[%d] leads from or to a node that is not there", i)}
		}
		k.edge(i, e, from, to)
	}
	return k.result()
}

// lineOf is the line of a syntax error.
func lineOf(data []byte, err error) int {
	offset := 0
	switch e := err.(type) {
	case *json.SyntaxError:
		offset = int(e.Offset)
	case *json.UnmarshalTypeError:
		offset = int(e.Offset)
	}
	line := 1
	for _, c := range data[:min(offset, len(data))] {
		if c == '\n' {
			line++
		}
	}
	return line
}

type kialiReader struct {
	name    string
	graph   *kialiGraph
	ends    *endpoints
	nodes   map[string]*kialiNode
	edges   map[callKey]*observed
	missing map[string]api.Unknown
	// called are the ids of nodes that an edge leads to.
	called map[string]bool
}

// edge reads one line of the graph.
func (k *kialiReader) edge(i int, e *kialiEdge, from, to *kialiNode) {
	if from.Type == "service" && k.called[from.ID] {
		return // how a call is carried out; who calls stands in the edge to the Service
	}
	servers := k.servers(to)
	clients := k.clients(from, e)
	if len(servers) > 1 && to.Type != "service" {
		// The Services of a node are those of all its callers together.
		clients = append(slices.Clone(clients), unmatched)
	}
	for _, server := range servers {
		for _, client := range clients {
			k.add(i, e, callKey{client, server, e.Traffic.Protocol})
		}
	}
}

// add notes a call.
func (k *kialiReader) add(i int, e *kialiEdge, key callKey) {
	x := k.edges[key]
	if x == nil {
		at := fmt.Sprintf("elements.edges[%d]", i)
		x = &observed{Edge: api.Edge{From: key.from, To: key.to, Protocol: key.protocol, Provenance: api.Observed,
			Evidence: []api.Evidence{{Object: key.to, Path: at, Source: k.name}}}}
		k.edges[key] = x
	}
	// Of TCP Kiali gives bytes a second.
	if rate, err := rateOf(e.Traffic.Rates[e.Traffic.Protocol]); err == nil && e.Traffic.Protocol != "tcp" {
		x.Rate += rate
	}
	// Codes of gRPC are those of its status: 0 is OK, 7 is PERMISSION_DENIED.
	for code := range e.Traffic.Responses {
		http := e.Traffic.Protocol == "http" && len(code) == 3
		switch {
		case http && (code[0] == '2' || code[0] == '3'), e.Traffic.Protocol == "grpc" && code == "0":
			x.passed = true
		case http && code == "403", e.Traffic.Protocol == "grpc" && code == "7":
			x.refused = true
		default:
			x.other = true
		}
	}
}

// seen is the time that the graph shows; nil when it does not say.
func (k *kialiReader) seen() *api.Seen {
	if k.graph.Timestamp <= 0 || k.graph.Duration <= 0 {
		return nil
	}
	until := time.Unix(k.graph.Timestamp, 0).UTC()
	return &api.Seen{From: until.Add(-time.Duration(k.graph.Duration) * time.Second).Format(time.RFC3339), Until: until.Format(time.RFC3339)}
}

// servers are the Services that a node stands for.
func (k *kialiReader) servers(n *kialiNode) []api.Ref {
	if n.IsWaypoint {
		return nil // see clients
	}
	var out []api.Ref
	add := func(namespace, name string) {
		if ref, ok := k.ends.server(namespace, name); ok && !slices.Contains(out, ref) {
			out = append(out, ref)
		}
	}
	if n.Service != "" {
		add(n.Namespace, n.Service)
	}
	for _, d := range n.DestServices {
		add(d.Namespace, d.Name)
	}
	if len(out) == 0 && n.Workload != "" {
		out = k.ends.servicesOf(n.Namespace, n.Workload)
	}
	if len(out) == 0 {
		k.unknown(n, "a server")
	}
	return out
}

// clients are the workloads that a node stands for; one that Kiali does not know either is
// a caller that no proxy identified. For whom a waypoint calls, or a Service that nobody
// calls in the graph, is not told: that may be anybody.
func (k *kialiReader) clients(n *kialiNode, e *kialiEdge) []api.Ref {
	if n.IsWaypoint || n.Type == "service" {
		k.missing["hidden "+n.ID] = api.Unknown{ID: "silent-waypoint", Subject: api.Ref{Kind: "Workload", Namespace: plainName(n.Namespace), Name: plainName(n.Workload + n.Service)},
			What:  fmt.Sprintf("%s does not tell for whom %s/%s calls", k.name, n.Namespace, n.Workload+n.Service),
			Could: "anybody may be the caller, and what it calls is judged so", Action: "ask Kiali for the graph without waypoints, or read the calls with --prometheus",
			Evidence: []api.Evidence{{Object: api.Ref{Kind: "Kiali", Name: "graph"}, Source: k.name}}}
		return []api.Ref{unmatched}
	}
	for _, name := range []string{n.Workload, n.App} {
		if !named(name) {
			continue
		}
		if refs := k.ends.callers(n.Namespace, name); len(refs) > 0 {
			return refs
		}
	}
	if !named(n.Workload) && !named(n.App) && !named(e.Principal) {
		return []api.Ref{unidentified}
	}
	k.unknown(n, "a client")
	return []api.Ref{unmatched}
}

func (k *kialiReader) unknown(n *kialiNode, end string) {
	name := n.Workload
	for _, s := range []string{n.Service, n.App} {
		if name == "" {
			name = s
		}
	}
	ref := api.Ref{Kind: "Workload", Namespace: plainName(n.Namespace), Name: plainName(name)}
	u := endpointUnknown(ref, end, k.name)
	k.missing[u.What] = u
}

func (k *kialiReader) result() ([]api.Edge, []api.Unknown, error) {
	var edges []api.Edge
	for _, e := range k.edges {
		if e.Seen = k.seen(); e.Seen != nil {
			e.Seen.Passed, e.Seen.Refused = e.passed, e.refused && !e.passed && !e.other
		}
		edges = append(edges, e.Edge)
	}
	slices.SortFunc(edges, compareEdges)
	var unknowns []api.Unknown
	for _, u := range k.missing {
		unknowns = append(unknowns, u)
	}
	return edges, sortUnknowns(unknowns), nil
}
