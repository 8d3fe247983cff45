package promql

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/telemetry/series"
)

// Form is a way to rewrite a selector. The zero value is no form. Source: observability.md 3.1.
type Form int

// Forms, the smallest first.
const (
	NoForm Form = iota
	// Keep leaves the selector as it is.
	Keep
	// N is the server's view without exclusions.
	N
	// D is the server's view: waypoints that the server's sidecar sees as callers are left out.
	D
	// S is the client's view; behind gateways that use waypoints it is two selectors.
	S
	// U takes the larger of what reporters say.
	U
	// DPlus is D with the client's view standing in where D has nothing.
	DPlus
	// Either watches HTTP and TCP, for absent().
	Either
	// L4 watches connections: another meaning, so it is never proved, only offered.
	L4
)

// String is the letter of the facts.
func (f Form) String() string {
	switch f {
	case Keep:
		return "keep"
	case N:
		return "N"
	case D:
		return "D"
	case S:
		return "S"
	case U:
		return "U"
	case DPlus:
		return "D+"
	case Either:
		return "either"
	case L4:
		return "L4"
	case NoForm:
	}
	return "none"
}

// Edit replaces the bytes from Start to End of a query.
type Edit struct {
	Start, End int
	Text       string
}

// apply makes the edits, which must not overlap.
func apply(text string, edits []Edit) (string, bool) {
	edits = slices.Clone(edits)
	slices.SortStableFunc(edits, func(a, b Edit) int { return a.Start - b.Start })
	var b strings.Builder
	at := 0
	for _, e := range edits {
		if e.Start < at || e.End < e.Start || e.End > len(text) {
			return "", false
		}
		b.WriteString(text[at:e.Start])
		b.WriteString(e.Text)
		at = e.End
	}
	b.WriteString(text[at:])
	return b.String(), true
}

// names are the facts of the plan that forms are filled with, never a guess like .*waypoint.*.
type names struct {
	// principals and workloads of the waypoints, gateways of services with ingress-use-waypoint: regular
	// expressions, "" without any.
	principals, workloads, gateways string
	// tcp are the names of the services that speak TCP.
	tcp string
}

// gateways are the names of the workloads that are gateways in some state, as regular expressions, sorted.
func (b *Bench) gateways() []string {
	var all []string
	for _, s := range b.states {
		for _, w := range b.in.Traffic.Everyone() {
			if s.Modes[w.Ref] == mesh.ModeGateway {
				all = append(all, regexp.QuoteMeta(w.Name))
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func namesOf(states []series.State, t Traffic) names {
	var principals, workloads, gateways, tcp []string
	for _, c := range t.Calls {
		if c.Protocol == series.TCP {
			tcp = append(tcp, regexp.QuoteMeta(c.Service.Name))
		}
	}
	for _, s := range states {
		for _, w := range s.Waypointed() {
			principals = append(principals, ".*"+regexp.QuoteMeta(strings.TrimPrefix(w.Principal(), "spiffe://cluster.local")))
			workloads = append(workloads, regexp.QuoteMeta(w.Name))
		}
		for _, c := range t.Calls {
			if w, ok := s.Waypoints[c.Service]; ok && w.IngressUse && s.Modes[c.From.Ref] == mesh.ModeGateway {
				gateways = append(gateways, regexp.QuoteMeta(c.From.Name))
			}
		}
	}
	join := func(all []string) string {
		slices.Sort(all)
		return strings.Join(slices.Compact(all), "|")
	}
	return names{join(principals), join(workloads), join(gateways), join(tcp)}
}

// exclusion is the pair of matchers that leaves the waypoints out, "" when the plan has none.
func (n names) exclusion() string {
	if n.workloads == "" {
		return ""
	}
	return "source_principal!~" + strconv.Quote(n.principals) + ",source_workload!~" + strconv.Quote(n.workloads)
}

// role is whose view a selector of request metrics asks for.
type role int

const (
	otherRole role = iota
	serverRole
	clientRole
	// bothRole counts what both sides report: it has no matcher of reporter, or one that takes source and destination.
	bothRole
)

func roleOf(s Selector) role {
	values, matched := s.Reporters()
	switch {
	case !matched, slices.Contains(values, "source") && slices.Contains(values, "destination"):
		return bothRole
	case slices.Equal(values, []string{"destination"}), slices.Equal(values, []string{"destination", "waypoint"}):
		return serverRole
	case slices.Equal(values, []string{"source"}), slices.Equal(values, []string{"source", "waypoint"}):
		return clientRole
	}
	return otherRole
}

// targetLabel is what a matcher on the scrape target's label becomes: whose namespace and app was meant
// depends on the reporter (observability.md 3.3).
func targetLabel(label string, r role) string {
	side := "destination"
	if r == clientRole {
		side = "source"
	}
	switch label {
	case "namespace":
		return side + "_workload_namespace"
	case "app":
		return side + "_app"
	case "version":
		return side + "_canonical_revision"
	}
	return ""
}

// rewriting is one selector with the positions that edits need.
type rewriting struct {
	q     *Query
	s     Selector
	bytes selectorBytes
	role  role
	// start and end span the smallest expression that can be replaced whole: the function over the range, or the
	// selector.
	start, end int
	aggregated bool
	names      names
	target     bool
	// variable is set when the value of the reporter's matcher comes from a variable, which is not widened in the
	// query (observability.md 3.1 rule b).
	variable *reporterVariable
	// literal writes the variable's new value into the query: that is the text for the proof.
	literal bool
}

func newRewriting(q *Query, s Selector, n names, target bool) (rewriting, bool) {
	b, err := lexSelector(s.Text(q))
	if err != nil {
		return rewriting{}, false
	}
	w := rewriting{q: q, s: s, bytes: b, role: roleOf(s), start: s.Start, end: s.End, names: n, target: target}
	reporters := 0
	for _, m := range b.Matchers {
		if m.Label == "reporter" {
			reporters++
		}
	}
	if reporters > 1 {
		return w, false
	}
	if w.variable, err = variableOf(q, s, b); err != nil {
		return w, false
	}
	for i := len(s.Parents) - 1; i >= 0; i-- {
		switch p := s.Parents[i].(type) {
		case *parser.Call:
			if i+1 < len(s.Parents) {
				if _, ok := s.Parents[i+1].(*parser.MatrixSelector); ok {
					r := p.PositionRange()
					w.start, w.end = int(r.Start), int(r.End)
				}
			}
		case *parser.AggregateExpr:
			w.aggregated = true
		}
	}
	return w, true
}

// selector is the text between start and end with the reporter's matcher replaced ("" removes it) and more
// matchers added.
func (w rewriting) selector(reporter, more string) (string, bool) {
	edits, ok := w.edits(reporter, more)
	if !ok {
		return "", false
	}
	for i := range edits {
		edits[i].Start -= w.start
		edits[i].End -= w.start
	}
	return apply(w.q.Text[w.start:w.end], edits)
}

// edits are the byte edits of selector, in the query.
func (w rewriting) edits(reporter, more string) ([]Edit, bool) {
	var edits []Edit
	add := join(reporter, more)
	done := add == ""
	for i, m := range w.bytes.Matchers {
		if m.Label == "reporter" && w.variable != nil {
			edits = append(edits, w.variableEdits(m, more)...)
			done = true
			continue
		}
		if m.Label == "reporter" {
			e := Edit{w.s.Start + m.Start, w.s.Start + m.End, add}
			if add == "" {
				// The comma goes too: the one behind, or for the last matcher the one before.
				switch {
				case i+1 < len(w.bytes.Matchers):
					e.End = w.s.Start + w.bytes.Matchers[i+1].Start
				case i > 0:
					e.Start = w.s.Start + w.bytes.Matchers[i-1].End
				}
			}
			edits = append(edits, e)
			done = true
			continue
		}
		if to := targetLabel(m.Label, w.role); w.target && to != "" {
			edits = append(edits, Edit{w.s.Start + m.Start, w.s.Start + m.NameEnd, to})
		}
	}
	switch n := len(w.bytes.Matchers); {
	case done:
	case n > 0:
		at := w.s.Start + w.bytes.Matchers[n-1].End
		edits = append(edits, Edit{at, at, "," + add})
	case w.bytes.Open < w.bytes.Close:
		at := w.s.Start + w.bytes.Open + 1
		edits = append(edits, Edit{at, at, add})
	case w.bytes.NameEnd > w.bytes.NameStart:
		edits = append(edits, Edit{w.s.End, w.s.End, "{" + add + "}"})
	default:
		return nil, false
	}
	return edits, true
}

func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), ",")
}

const (
	serverReporters = `reporter=~"destination|waypoint"`
	clientReporters = `reporter=~"source|waypoint"`
)

// form gives the edits that bring the selector into a form; ok is false where the form does not fit.
func (w rewriting) form(f Form) (edits []Edit, ok bool) {
	whole := func(text string, ok bool) ([]Edit, bool) { return []Edit{{w.start, w.end, text}}, ok }
	if w.variable != nil {
		return w.variableForm(f)
	}
	switch f {
	case Keep:
		return nil, true
	case N:
		return w.edits(serverReporters, "")
	case D:
		return w.edits(serverReporters, w.names.exclusion())
	case S:
		if w.names.gateways == "" {
			return w.edits(clientReporters, "")
		}
		return whole(w.clientView())
	case U:
		return whole(w.universal())
	case DPlus:
		return whole(w.serverElseClient())
	}
	return nil, false
}

func (w rewriting) clientView() (string, bool) {
	a, okA := w.selector(`reporter="source"`, "")
	b, okB := w.selector(`reporter="waypoint"`, "source_workload!~"+strconv.Quote(w.names.gateways))
	return "(" + a + " or " + b + ")", okA && okB && w.instantFits()
}

// instantFits: a set operator cannot stand where a selector has an offset or an @ behind it.
func (w rewriting) instantFits() bool {
	if w.start != w.s.Start {
		return true
	}
	rest := strings.TrimLeft(w.q.Text[w.end:], " \t\n\r")
	return !strings.HasPrefix(rest, "@") && !strings.HasPrefix(strings.ToLower(rest), "offset") && !strings.HasPrefix(rest, "[")
}

// key are the labels K of the facts: what tells one kind of request from another, and what the query groups by.
func (w rewriting) key() string {
	k := []string{"source_workload", "source_workload_namespace", "destination_service", "response_code"}
	for _, l := range w.s.Labels() {
		if !slices.Contains(k, l) {
			k = append(k, l)
		}
	}
	if strings.HasSuffix(w.s.Metric, "_bucket") && !slices.Contains(k, "le") {
		k = append(k, "le")
	}
	return strings.Join(k, ",")
}

// groups says that the result can be grouped by key: an aggregation above drops the other labels, and none asks
// for the reporter.
func (w rewriting) groups() bool {
	if !w.aggregated || slices.Contains(w.s.Labels(), "reporter") {
		return false
	}
	return !slices.ContainsFunc(w.s.Parents, func(n parser.Node) bool {
		a, ok := n.(*parser.AggregateExpr)
		return ok && (a.Without || a.Op != parser.SUM && a.Op != parser.TOPK && a.Op != parser.MAX)
	})
}

func (w rewriting) universal() (string, bool) {
	x, ok := w.selector("", w.names.exclusion())
	k := w.key()
	return "max by (" + k + ") (sum by (reporter," + k + ") (" + x + "))", ok && w.groups() && w.instantFits()
}

func (w rewriting) serverElseClient() (string, bool) {
	d, okD := w.selector(serverReporters, w.names.exclusion())
	s, okS := w.selector(`reporter="source"`, "")
	k := w.key()
	server := "sum by (" + k + ") (" + d + ")"
	client := "sum by (" + k + ") (" + s + ")"
	return "((" + server + ") or ((" + client + ") unless on (" + k + ") (" + server + " > 0)))", okD && okS && w.groups() && w.instantFits()
}

// either watches connections besides requests: for absent(), of one selector.
func (w rewriting) either() ([]Edit, bool) {
	http, ok := w.selector("", "")
	if !ok || w.variable != nil || w.start != w.s.Start || !w.instantFits() || !w.s.UnderAbsent() {
		return nil, false
	}
	tcp, ok := w.connections("", "")
	return []Edit{{w.start, w.end, http + " or " + tcp}}, ok
}

// connectionView is whose count of connections stands for the selector's requests. Behind a waypoint the server's ztunnel
// names the waypoint as caller: who calls is the client's to say, except for callers that are not expected, which may
// have no ztunnel; for these the waypoints are left out (observability.md Q20, Q42).
func (w rewriting) connectionView() (reporter, more string) {
	if w.role == clientRole {
		return `reporter="source"`, ""
	}
	callers := false
	for _, m := range w.bytes.Matchers {
		if m.Label == "source_principal" {
			return `reporter="destination"`, w.names.exclusion()
		}
		callers = callers || strings.HasPrefix(m.Label, "source_")
	}
	for _, l := range w.s.Labels() {
		callers = callers || strings.HasPrefix(l, "source_")
	}
	if callers {
		return `reporter="source"`, ""
	}
	return `reporter="destination"`, ""
}

// connections is the selector of connections with the same matchers; ok is false when one of them asks for what
// connections do not have.
func (w rewriting) connections(reporter, more string) (string, bool) {
	for _, m := range w.bytes.Matchers {
		switch m.Label {
		case "response_code", "grpc_response_status", "response_flags", "request_protocol", "le", "__name__", "pod", "namespace", "app", "instance", "version":
			return "", false
		}
	}
	if w.bytes.NameEnd == w.bytes.NameStart {
		return "", false
	}
	text, ok := w.selector(reporter, more)
	if !ok {
		return "", false
	}
	return strings.Replace(text, w.s.Metric, "istio_tcp_connections_opened_total", 1), true
}
