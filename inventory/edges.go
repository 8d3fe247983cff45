package inventory

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// UnknownEndpoint is the id of the unknown for a call whose end is not in the inventory.
const UnknownEndpoint = "unknown-endpoint"

// edgeColumns are the columns of a call graph; the first four must be there.
func edgeColumns() []string {
	return []string{"source_namespace", "source", "target_namespace", "target", "protocol", "rps", "evidence"}
}

// ReadEdges reads a call graph as CSV with a header line: source_namespace,
// source, target_namespace, target and, if known, protocol, rps (requests a second) and
// evidence, in any order. A source is a workload, a Service (then each of its workloads calls) or
// a ServiceAccount; a target is a Service or the host of a ServiceEntry. An end
// that the inventory does not know is an unknown and not an edge. Errors are
// *api.InputError with the line, or wrap that of the reader. Edges come sorted
// and without repetitions.
func ReadEdges(name string, r io.Reader, p api.Provenance, inv *api.Inventory) ([]api.Edge, []api.Unknown, error) {
	cr := csv.NewReader(newBOMSkipper(r))
	cr.FieldsPerRecord = -1
	cr.TrimLeadingSpace = true
	header, err := cr.Read()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil, &api.InputError{File: name, Line: 1, Msg: "the call graph is empty"}
		}
		return nil, nil, csvError(name, err)
	}
	column := map[string]int{}
	for i, h := range header {
		h = strings.ToLower(strings.TrimSpace(h))
		if !slices.Contains(edgeColumns(), h) {
			return nil, nil, &api.InputError{File: name, Line: 1, Msg: fmt.Sprintf("unknown column %q; columns are %s", h, strings.Join(edgeColumns(), ", "))}
		}
		if _, ok := column[h]; ok {
			return nil, nil, &api.InputError{File: name, Line: 1, Msg: fmt.Sprintf("column %q is there twice", h)}
		}
		column[h] = i
	}
	for _, h := range edgeColumns()[:4] {
		if _, ok := column[h]; !ok {
			return nil, nil, &api.InputError{File: name, Line: 1, Msg: fmt.Sprintf("column %q is missing", h)}
		}
	}
	ends := newEndpoints(inv)
	var edges []api.Edge
	var unknowns []api.Unknown
	for {
		row, err := cr.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, csvError(name, err)
		}
		line, _ := cr.FieldPos(0)
		if len(row) != len(header) {
			return nil, nil, &api.InputError{File: name, Line: line, Msg: fmt.Sprintf("%d fields where the header has %d", len(row), len(header))}
		}
		cell := func(h string) string {
			if i, ok := column[h]; ok {
				return strings.TrimSpace(row[i])
			}
			return ""
		}
		for _, h := range edgeColumns()[:4] {
			if cell(h) == "" {
				return nil, nil, &api.InputError{File: name, Line: line, Msg: h + " is empty"}
			}
		}
		from := ends.clients(cell("source_namespace"), cell("source"))
		to, ok := ends.server(cell("target_namespace"), cell("target"))
		at := fmt.Sprintf("%s:%d", name, line)
		if len(from) == 0 {
			unknowns = append(unknowns, endpointUnknown(api.Ref{Kind: "Workload", Namespace: cell("source_namespace"), Name: cell("source")}, "a client", at))
		}
		if !ok {
			unknowns = append(unknowns, endpointUnknown(to, "a server", at))
		}
		rate, err := rateOf(cell("rps"))
		if err != nil {
			return nil, nil, &api.InputError{File: name, Line: line, Msg: err.Error()}
		}
		for _, f := range from {
			if ok {
				edges = append(edges, api.Edge{From: f, To: to, Protocol: cell("protocol"), Rate: rate / float64(len(from)), Provenance: p,
					Evidence: []api.Evidence{{Object: to, Value: cell("evidence"), Source: at}}})
			}
		}
	}
	return sortEdges(edges), sortUnknowns(unknowns), nil
}

// rateOf reads requests a second; empty is 0, which means that nobody said.
func rateOf(text string) (float64, error) {
	if text == "" {
		return 0, nil
	}
	r, err := strconv.ParseFloat(text, 64)
	if err != nil || r < 0 || math.IsNaN(r) || math.IsInf(r, 0) {
		return 0, fmt.Errorf("rps %q is no number of requests a second", text)
	}
	return r, nil
}

func endpointUnknown(ref api.Ref, what, at string) api.Unknown {
	return api.Unknown{
		ID: UnknownEndpoint, Subject: ref,
		What:     fmt.Sprintf("%s names %s %s/%s that is not in the inventory", at, what, ref.Namespace, ref.Name),
		Could:    "a call that the order of the waves does not respect",
		Action:   "correct the name, or read the manifests that hold it",
		Evidence: []api.Evidence{{Object: ref, Source: at}},
	}
}

func sortUnknowns(u []api.Unknown) []api.Unknown {
	slices.SortFunc(u, api.Unknown.Compare)
	return u
}

// sortEdges sorts edges and drops those that say the same with the same provenance.
func sortEdges(edges []api.Edge) []api.Edge {
	slices.SortFunc(edges, compareEdges)
	return slices.CompactFunc(edges, func(a, b api.Edge) bool {
		return a.From == b.From && a.To == b.To && a.Port == b.Port && a.Protocol == b.Protocol && a.Provenance == b.Provenance
	})
}

func compareEdges(a, b api.Edge) int {
	c := a.From.Compare(b.From)
	if c == 0 {
		c = a.To.Compare(b.To)
	}
	if c == 0 {
		c = a.Port - b.Port
	}
	if c == 0 {
		c = strings.Compare(a.Protocol, b.Protocol)
	}
	if c == 0 {
		c = strings.Compare(string(a.Provenance), string(b.Provenance))
	}
	for i := 0; c == 0 && i < len(a.Evidence) && i < len(b.Evidence); i++ {
		c = a.Evidence[i].Compare(b.Evidence[i])
	}
	return c
}

// csvError moves a CSV error to file:line; other errors are the reader's.
func csvError(name string, err error) error {
	var p *csv.ParseError
	if errors.As(err, &p) {
		return &api.InputError{File: name, Line: p.Line, Msg: p.Err.Error()}
	}
	return fmt.Errorf("%s: %w", name, err)
}

// endpoints finds the ends of calls by namespace and name.
type endpoints struct {
	workloads map[string][]api.Ref
	services  map[string]*api.Service
	accounts  map[string]bool
	hosts     map[string]api.Ref
	inv       *api.Inventory
}

func newEndpoints(inv *api.Inventory) *endpoints {
	e := &endpoints{workloads: map[string][]api.Ref{}, services: map[string]*api.Service{}, accounts: map[string]bool{}, hosts: map[string]api.Ref{}, inv: inv}
	for i := range inv.Workloads {
		w := &inv.Workloads[i]
		key := w.Namespace + "/" + w.Name
		e.workloads[key] = append(e.workloads[key], w.Ref())
		e.accounts[w.Namespace+"/"+w.ServiceAccount] = true
	}
	for i := range inv.Services {
		s := &inv.Services[i]
		e.services[s.Namespace+"/"+s.Name] = s
	}
	for i := range inv.Objects {
		o := &inv.Objects[i]
		if o.Kind != "ServiceEntry" {
			continue
		}
		e.hosts[o.Namespace+"/"+o.Name] = o.Ref()
		hosts, _ := get(o.Content, "spec", "hosts").([]any)
		for _, h := range hosts {
			host, _ := h.(string)
			if _, ok := e.hosts[host]; !ok && host != "" {
				e.hosts[host] = o.Ref()
			}
		}
	}
	return e
}

// clients are the workloads of a name, else of the Service of that name, else its ServiceAccount.
func (e *endpoints) clients(namespace, name string) []api.Ref {
	key := namespace + "/" + name
	if w := e.workloads[key]; len(w) > 0 {
		return w
	}
	if s := e.services[key]; s != nil && len(s.Selector) > 0 {
		var out []api.Ref
		for i := range e.inv.Workloads {
			w := &e.inv.Workloads[i]
			if w.Namespace == namespace && selects(s.Selector, w.PodLabels) {
				out = append(out, w.Ref())
			}
		}
		if len(out) > 0 {
			return out
		}
	}
	if e.accounts[key] {
		return []api.Ref{{Kind: "ServiceAccount", Namespace: namespace, Name: name}}
	}
	return nil
}

// callers are clients by the name that a proxy gives its workload. That is the Deployment
// or CronJob for most, but may be the ReplicaSet or the Job (pkg/kube GetDeployMeta of Istio).
func (e *endpoints) callers(namespace, name string) []api.Ref {
	if from := e.clients(namespace, name); len(from) > 0 {
		return from
	}
	i := strings.LastIndexByte(name, '-')
	if i <= 0 {
		return nil
	}
	owners, suffix := e.workloads[namespace+"/"+name[:i]], name[i+1:]
	of := func(kinds ...string) []api.Ref {
		return slices.DeleteFunc(slices.Clone(owners), func(r api.Ref) bool { return !slices.Contains(kinds, r.Kind) })
	}
	switch {
	case len(suffix) >= 8 && strings.Trim(suffix, "0123456789") == "":
		return of("CronJob") // its Jobs are named by the minute
	case len(suffix) >= 8 && len(suffix) <= 10 && strings.Trim(suffix, "bcdfghjklmnpqrstvwxz2456789") == "":
		return of("Deployment", "Rollout") // pod-template-hash
	}
	return nil
}

// servicesOf are the Services that select the pods of a workload.
func (e *endpoints) servicesOf(namespace, name string) []api.Ref {
	var out []api.Ref
	for i := range e.inv.Workloads {
		w := &e.inv.Workloads[i]
		if w.Namespace != namespace || w.Name != name {
			continue
		}
		for j := range e.inv.Services {
			s := &e.inv.Services[j]
			if s.Namespace == namespace && len(s.Selector) > 0 && selects(s.Selector, w.PodLabels) && !slices.Contains(out, s.Ref()) {
				out = append(out, s.Ref())
			}
		}
	}
	return out
}

func selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if got, ok := labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// server is the Service of a name, else the ServiceEntry of that name or host.
func (e *endpoints) server(namespace, name string) (api.Ref, bool) {
	if s := e.services[namespace+"/"+name]; s != nil {
		return s.Ref(), true
	}
	if r, ok := e.hosts[namespace+"/"+name]; ok {
		return r, true
	}
	if r, ok := e.hosts[name]; ok {
		return r, true
	}
	return api.Ref{Kind: "Service", Namespace: namespace, Name: name}, false
}
