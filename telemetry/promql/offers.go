package promql

import (
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// Offer is another query for the same purpose. It is not the original on the old model, so nothing about it is proved
// and a human must decide; it is made where no form is right in every state.
type Offer struct {
	// Text is the query offered; "" when the original should go, or be changed in a way that the plan does not know.
	Text string
	// Why it is another query, and what to look at, with the fact.
	Why string
}

// offerer makes an offer for queries of one kind.
type offerer struct {
	b *Bench
	q *Query
	n names
}

// offers lists what the facts have for queries that no form is right for.
func (b *Bench) offers(q *Query, n names) []Offer {
	if b.prepare(q).err != nil {
		return nil
	}
	o := offerer{b, q, n}
	var all []Offer
	for _, make := range []func() (Offer, bool){
		o.pairwise, o.lostRequests, o.perPod, o.kubeLabels, o.denied, o.plaintext, o.flags, o.egress, o.principals,
		o.remainingSidecars, o.meshCost, o.costPerRequest, o.sidecarReady, o.sidecarMissing, o.targets, o.connectedProxies,
		o.fewerProxies, o.injection, o.certificates, o.versions, o.noDefault, o.onlyTCP,
	} {
		offer, ok := make()
		if !ok {
			continue
		}
		if offer.Text != "" {
			if _, err := q.with(offer.Text); err != nil {
				continue
			}
		}
		all = append(all, offer)
	}
	return all
}

// edited applies edits to the query.
func (o offerer) edited(why string, edits ...Edit) (Offer, bool) {
	text, ok := apply(o.q.Text, edits)
	return Offer{Text: text, Why: why}, ok && len(edits) > 0
}

// rewritings are the selectors that a test admits.
func (o offerer) rewritings(admits func(Selector) bool) []rewriting {
	var all []rewriting
	for _, s := range o.q.Selectors {
		if !admits(s) {
			continue
		}
		if w, ok := newRewriting(o.q, s, o.n, false); ok && w.variable == nil {
			all = append(all, w)
		}
	}
	return all
}

func named(names ...string) func(Selector) bool {
	return func(s Selector) bool { return slices.Contains(names, s.Metric) }
}

func (o offerer) requests() []rewriting {
	request := o.b.requestSelectors(o.q)
	return o.rewritings(func(s Selector) bool {
		return slices.ContainsFunc(request, func(r Selector) bool { return r.Start == s.Start })
	})
}

// view is the form that keeps whose view a selector asks for.
func (w rewriting) view() ([]Edit, bool) {
	if w.role == clientRole {
		return w.form(S)
	}
	return w.form(D)
}

// with is the selector, and the function over its range, with other matchers: those of dropped labels go, more are
// added, and the metric is another; "" keeps it.
func (w rewriting) with(metric string, more string, dropped ...string) string {
	kept := []string{}
	for _, m := range w.bytes.Matchers {
		if !slices.Contains(dropped, m.Label) {
			kept = append(kept, w.s.Text(w.q)[m.Start:m.End])
		}
	}
	if metric == "" {
		metric = w.s.Metric
	}
	all := join(more, strings.Join(kept, ","))
	selector := metric
	if all != "" {
		selector += "{" + all + "}"
	}
	return w.q.Text[w.start:w.s.Start] + selector + w.q.Text[w.s.End:w.end]
}

// only says that the matchers of a label admit a value and none of the others.
func only(s Selector, label, value string, others ...string) bool {
	found := false
	for _, m := range s.Matchers {
		if m.Name != label {
			continue
		}
		found = found || m.Matches(value)
		if !m.Matches(value) || slices.ContainsFunc(others, m.Matches) {
			return false
		}
	}
	return found
}

// ofRequests are labels that connections do not have, or that name the emitter.
var ofRequests = []string{"reporter", "response_code", "grpc_response_status", "response_flags", "request_protocol", "le", "pod", "namespace", "app", "instance", "version", "container", "job"}

// relabelled edits the labels of an aggregation or of a vector matching between two offsets, outside of its operands.
func (o offerer) relabelled(from, to int, skipped []parser.Expr, change map[string]string) []Edit {
	var edits []Edit
	l := parser.Lex(o.q.Text[from:to])
	for {
		var it parser.Item
		l.NextItem(&it)
		if it.Typ == parser.EOF || it.Typ == parser.ERROR {
			return edits
		}
		start := from + int(it.Pos)
		inside := slices.ContainsFunc(skipped, func(e parser.Expr) bool {
			r := e.PositionRange()
			return start >= int(r.Start) && start < int(r.End)
		})
		if new, ok := change[it.Val]; ok && !inside && it.Typ == parser.IDENTIFIER {
			edits = append(edits, Edit{start, start + len(it.Val), new})
		}
	}
}

// inspect visits all nodes of the query.
func (o offerer) inspect(visit func(parser.Node)) {
	parser.Inspect(o.q.Expr, func(n parser.Node, _ []parser.Node) error {
		visit(n)
		return nil
	})
}

func (o offerer) binaries(op parser.ItemType) []*parser.BinaryExpr {
	var all []*parser.BinaryExpr
	o.inspect(func(n parser.Node) {
		if b, ok := n.(*parser.BinaryExpr); ok && b.Op == op && b.VectorMatching != nil {
			all = append(all, b)
		}
	})
	return all
}

// noDefault is Q08 and Q09: where requests are not counted any more, the default shows a good number.
func (o offerer) noDefault() (Offer, bool) {
	p := o.b.prepare(o.q)
	return Offer{
		Text: p.watched.Text,
		Why:  "without a waypoint nothing is counted and the default shows as if all were well: without it there is no data, which is true (Q08, Q09)",
	}, p.defaulted && len(o.requests()) > 0
}

// pairwise is Q12: a division of two rates that joins on all labels, pod and instance among them.
func (o offerer) pairwise() (Offer, bool) {
	var edits []Edit
	ws := o.requests()
	for _, b := range o.binaries(parser.DIV) {
		if b.VectorMatching.On || len(b.VectorMatching.MatchingLabels) > 0 {
			continue
		}
		for _, side := range []parser.Expr{b.LHS, b.RHS} {
			r := side.PositionRange()
			i := slices.IndexFunc(ws, func(w rewriting) bool { return w.start == int(r.Start) && w.end == int(r.End) })
			if i < 0 || ws[i].aggregated {
				return Offer{}, false
			}
			more, ok := ws[i].view()
			if !ok {
				return Offer{}, false
			}
			edits = append(edits, Edit{ws[i].start, ws[i].start, "sum by (destination_service,destination_workload) ("})
			edits = append(edits, more...)
			edits = append(edits, Edit{ws[i].end, ws[i].end, ")"})
		}
	}
	return o.edited("both sides are joined on all labels, pod and instance among them; by service and workload the series of all proxies add up, and $labels in annotations have only these two (Q12)", edits...)
}

// lostRequests is Q19: what clients sent less what servers got.
func (o offerer) lostRequests() (Offer, bool) {
	for _, b := range o.binaries(parser.SUB) {
		var sides [2]*rewriting
		for _, w := range o.requests() {
			for i, e := range []parser.Expr{b.LHS, b.RHS} {
				if r := e.PositionRange(); w.start >= int(r.Start) && w.end <= int(r.End) {
					sides[i] = &w
				}
			}
		}
		if sides[0] == nil || sides[1] == nil || sides[0].role != clientRole || sides[1].role != serverRole {
			continue
		}
		w := *sides[0]
		failed := w.with("istio_tcp_connections_failed_total", `reporter="source"`, ofRequests...)
		refused := w.with("", `reporter="waypoint",response_code="503"`, "reporter", "response_code")
		return Offer{
			Text: "(sum(" + failed + ") > 0) or (sum(" + refused + ") > 0)",
			Why:  "no proxy of an ambient client or server counts its half, so the difference means nothing: retire it; failed connections and the waypoint's own 503 say that requests were lost (Q19)",
		}, true
	}
	return Offer{}, false
}

// perPod is Q28 and Q70: the server's pod is named by its own sidecar only.
func (o offerer) perPod() (Offer, bool) {
	const why = "there is no replacement: neither waypoints nor ztunnel name the server's pod; by workload the detail is lost, the application's own metrics have it (Q28)"
	var edits []Edit
	asked := false
	for _, w := range o.requests() {
		for _, m := range w.s.Matchers {
			asked = asked || m.Name == "pod" || m.Name == "instance"
		}
		for _, l := range w.s.Labels() {
			asked = asked || l == "pod" || l == "instance"
		}
		workload, ok := workloadOf(w.s)
		if !ok || w.s.Joined() {
			return Offer{Why: why}, asked && !w.s.Joined()
		}
		view := join(serverReporters, w.names.exclusion())
		edits = append(edits, Edit{w.start, w.end, w.with("", join(view, workload), "reporter", "pod", "instance")})
	}
	o.inspect(func(n parser.Node) {
		if a, ok := n.(*parser.AggregateExpr); ok {
			r := a.PositionRange()
			edits = append(edits, o.relabelled(int(r.Start), int(r.End), []parser.Expr{a.Expr}, map[string]string{
				"pod": "destination_workload", "instance": "destination_workload", "namespace": "destination_workload_namespace",
			})...)
		}
	})
	if !asked {
		return Offer{}, false
	}
	return o.edited(why, edits...)
}

// workloadOf translates pod=~"NAME-.*" into a matcher of the workload; ok is false for other matchers of pods.
func workloadOf(s Selector) (string, bool) {
	for _, m := range s.Matchers {
		if m.Name == "instance" {
			return "", false
		}
		if m.Name != "pod" {
			continue
		}
		name, ok := strings.CutSuffix(m.Value, "-.*")
		if !ok || m.Type != labels.MatchRegexp || strings.ContainsAny(name, `.*+?()[]{}|^$\`) {
			return "", false
		}
		return `destination_workload="` + name + `"`, true
	}
	return "", true
}

// kubeLabels is Q32: a join with labels of the pod that was scraped.
func (o offerer) kubeLabels() (Offer, bool) {
	const renamed = `,"destination_workload","$1","deployment","(.+)"),"destination_workload_namespace","$1","namespace","(.+)")`
	for _, b := range o.binaries(parser.MUL) {
		w := o.rewritings(named("kube_pod_labels"))
		if !b.VectorMatching.On || !slices.Contains(b.VectorMatching.MatchingLabels, "pod") || len(w) != 1 {
			continue
		}
		lhs, rhs := b.LHS.PositionRange(), b.RHS.PositionRange()
		if w[0].s.Start != int(rhs.Start) || w[0].s.End != int(rhs.End) {
			continue
		}
		edits := o.relabelled(int(lhs.End), int(rhs.Start), nil, map[string]string{"pod": "destination_workload", "namespace": "destination_workload_namespace"})
		edits = append(edits, Edit{int(rhs.Start), int(rhs.End), "label_replace(label_replace(" + w[0].with("kube_deployment_labels", "", "pod", "namespace") + renamed})
		for _, r := range o.requests() {
			more, ok := r.view()
			if !ok {
				return Offer{}, false
			}
			edits = append(edits, more...)
		}
		return o.edited("pod and namespace are the waypoint's, not the server's: joined with the Deployment's labels, which must be exported and be those of the pods (Q32)", edits...)
	}
	return Offer{}, false
}
