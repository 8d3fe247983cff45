package promql

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/telemetry/series"
)

// Rewrite is the smallest form of a query that gives the old model's result, with the proof.
type Rewrite struct {
	// Form is the largest that a selector was brought into; NoForm when nothing better than the original is known.
	Form Form
	// Text is the rewritten query and Edits how it differs from the original, by byte.
	Text  string
	Edits []Edit
	// Variable is what the values of variables must become along with the edits, sorted. Text keeps the variables; it
	// is proved with the new values.
	Variable []ValueEdit
	// Factor by which the original's value is larger on the old model, 1 for most. The original counted each call
	// more than once; thresholds that are not in the query must be divided by it.
	Factor float64
	// Proved are the states in which the rewrite gives the old model's value, and fires when the original fired
	// there, for all modelled traffic.
	Proved []string
	// Failed are the states in which it does not, with the reason. A rewrite that failed somewhere is not safe there.
	Failed []Failure
	// Connections is the L4 form, offered where requests are not counted at all; it counts connections, so a human
	// must set its threshold anew. "" when the query asks for what connections do not have.
	Connections string
	// Assumes are matchers on labels of the scrape target, as written, sorted: the rewrite is right if the waypoints are
	// scraped with labels that they admit, as Istio's sample configuration does (observability.md 1.4, Q30, Q31).
	Assumes []string
	// Offers are other queries for the same purpose, where no form is proved in every state.
	Offers []Offer

	// literal is Text with the new values of the variables in it, made by literalEdits.
	literal      string
	literalEdits []Edit
	misses       int
}

// Complete says that the rewrite is proved in every state of the plan.
func (r Rewrite) Complete() bool { return r.Form != NoForm && len(r.Failed) == 0 }

// Failure is a state in which a rewrite is not equal to the original on the old model.
type Failure struct{ State, Reason string }

// assumed lists the matchers of scrape targets that a rewrite leaves in selectors of calls whose series come from elsewhere.
func assumed(q *Query, r Rewrite) []string {
	if r.Form == NoForm || r.Form == Keep {
		return nil
	}
	var all []string
	rewritten, err := r.evaluated(q)
	if err != nil {
		return nil
	}
	for _, s := range rewritten.Selectors {
		b, err := lexSelector(s.Text(rewritten))
		if err != nil {
			continue
		}
		for _, m := range b.Matchers {
			if slices.Contains([]string{"job", "instance", "endpoint", "container", "namespace", "node"}, m.Label) {
				all = append(all, s.Text(rewritten)[m.Start:m.End])
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// candidate is one way to rewrite a query.
type candidate struct {
	server, client Form
	target         bool
}

// candidates, the smallest change first.
func candidates() []candidate {
	var all []candidate
	for _, c := range []candidate{
		{server: Keep, client: Keep}, {server: N, client: S}, {server: D, client: S},
		{server: DPlus, client: U}, {server: U, client: U},
	} {
		all = append(all, c, candidate{c.server, c.client, true})
	}
	return slices.DeleteFunc(all, func(c candidate) bool { return c.server == Keep && c.target })
}

// Rewrite chooses the smallest form that is right in every state of the bench, the first of which is the old model.
// If no form is, the one that is right in most is returned with the states where it is not.
func (b *Bench) Rewrite(q *Query) Rewrite {
	none := Rewrite{Text: q.Text, Factor: 1}
	b.forget()
	if b.prepare(q).err != nil || len(b.states) == 0 || bounded(q) != nil {
		return none
	}
	n := namesOf(b.states, b.in.Traffic)
	every := make([]int, len(b.states))
	for i := range every {
		every[i] = i
	}
	if b.blindTo(q, every...) != "" {
		none.Offers = b.offers(q, n)
		return none
	}
	best := none
	tried := map[string]bool{}
	consider := func(r Rewrite) bool {
		if tried[r.literal] {
			return false
		}
		tried[r.literal] = true
		limit := len(b.states)
		if best.Form != NoForm {
			limit = len(best.Failed)
		}
		if !b.prove(q, &r, limit) {
			return false
		}
		if r.better(best) {
			best = r
		}
		return best.Complete()
	}
	done := false
	for _, c := range candidates() {
		if r, ok := b.build(q, c, n); ok && consider(r) {
			done = true
			break
		}
	}
	if r, ok := b.buildEither(q, n); !done && ok {
		consider(r)
	}
	if len(best.Failed) > 0 {
		best.Connections = b.connections(q, n)
	}
	if !best.Complete() {
		best.Offers = b.offers(q, n)
	}
	best.Assumes = assumed(q, best)
	return best
}

// requestSelectors are those that ask for request metrics, themselves or through a recording rule that keeps the
// reporter.
func (b *Bench) requestSelectors(q *Query) []Selector {
	request := map[string]bool{}
	for _, f := range series.Families() {
		if f.Request {
			for _, suffix := range []string{"", "_bucket", "_sum", "_count"} {
				request[f.Name+suffix] = true
			}
		}
	}
	for _, r := range b.prepare(q).order {
		sub, err := Parse(r.Expr)
		if err != nil {
			continue
		}
		for _, s := range sub.Selectors {
			request[r.Record] = request[r.Record] || request[s.Metric]
		}
	}
	return slices.DeleteFunc(slices.Clone(q.Selectors), func(s Selector) bool { return !request[s.Metric] })
}

func (b *Bench) build(q *Query, c candidate, n names) (Rewrite, bool) {
	r := Rewrite{Factor: 1}
	for _, s := range b.requestSelectors(q) {
		w, ok := newRewriting(q, s, n, c.target)
		if !ok {
			return r, false
		}
		f := c.server
		switch w.role {
		case clientRole:
			f = c.client
		case bothRole:
			// Each call is counted by both sides: the server's view stands for both.
			if f != Keep && w.variable == nil {
				f = max(f, D)
			}
		case otherRole:
			f = Keep
		}
		edits, ok := w.form(f)
		if !ok {
			return r, false
		}
		r.Form = max(r.Form, f)
		r.Edits = append(r.Edits, edits...)
		if w.variable != nil && f != Keep {
			if w.variable.edit.New != w.variable.edit.Old {
				r.Variable = append(r.Variable, w.variable.edit)
			}
			w.literal = true
			edits, _ = w.form(f)
		}
		r.literalEdits = append(r.literalEdits, edits...)
	}
	r.Form = max(r.Form, Keep)
	var ok bool
	if r.Variable, ok = sortedValues(r.Variable); !ok {
		return r, false
	}
	ok = r.apply(q)
	return r, ok
}

// apply makes the texts of the edits.
func (r *Rewrite) apply(q *Query) bool {
	var okText, okLiteral bool
	r.Text, okText = apply(q.Text, r.Edits)
	r.literal, okLiteral = apply(q.Text, r.literalEdits)
	return okText && okLiteral
}

// evaluated is the rewrite as it is proved.
func (r *Rewrite) evaluated(q *Query) (*Query, error) {
	if _, err := q.with(r.Text); err != nil {
		return nil, err
	}
	if r.literal == "" {
		return q.with(r.Text)
	}
	return q.with(r.literal)
}

func (b *Bench) buildEither(q *Query, n names) (Rewrite, bool) {
	r := Rewrite{Form: Either, Factor: 1}
	for _, s := range b.requestSelectors(q) {
		w, ok := newRewriting(q, s, n, false)
		if !ok {
			return r, false
		}
		edits, ok := w.either()
		if !ok {
			return r, false
		}
		r.Edits = append(r.Edits, edits...)
	}
	r.literalEdits = slices.Clone(r.Edits)
	ok := r.apply(q) && len(r.Edits) > 0
	return r, ok
}

// attempt is a rewrite that is being proved.
type attempt struct {
	*Bench
	r *Rewrite
	// q and rewritten are the whole queries, old and now what they watch.
	q, rewritten, old, now *Query
	// vs are the variants that the proof is made with; silent says that none of them exercises the query.
	vs     []int
	silent bool
}

func (b *Bench) attempt(q *Query, r *Rewrite) (attempt, error) {
	a := attempt{Bench: b, r: r, q: q}
	var err error
	if a.rewritten, err = r.evaluated(q); err != nil {
		return a, err
	}
	was, is := b.prepare(q), b.prepare(a.rewritten)
	if err := errors.Join(was.err, is.err); err != nil {
		return a, err
	}
	a.old, a.now = was.watched, is.watched
	vs, ok := b.proving(q)
	a.vs, a.silent = vs, !ok && !onlyAbsent(q)
	return a, nil
}

// prove evaluates the rewrite in all states. It is false when the rewrite does not even parse, is not the original on
// the old model, or fails in more states than the limit: then a better one is known.
func (b *Bench) prove(q *Query, r *Rewrite, limit int) bool {
	a, err := b.attempt(q, r)
	if err != nil || !a.factor() {
		return false
	}
	// The threshold may have changed.
	if a, err = b.attempt(q, r); err != nil {
		return false
	}
	label := b.foreignLabel(q)
	for i, s := range b.states {
		why := a.unequal(i)
		if why == "" && label != "" && b.moved(a.rewritten, i) {
			why = "the model has no label " + label + ", so whether the new series have it is not known (Q24, Q25)"
		}
		if who := b.unwatched(a.rewritten, 0, i); why == "" && who != "" {
			why = "it no longer watches the " + who
		}
		switch {
		case why == "" && a.silent && q.Alerting():
			r.Failed = append(r.Failed, Failure{State: s.Name, Reason: "no modelled traffic makes it fire"})
		case why == "" && a.silent:
			r.Failed = append(r.Failed, Failure{State: s.Name, Reason: "no modelled traffic exercises it"})
		case why == "":
			r.Proved = append(r.Proved, s.Name)
		case i == 0:
			return false
		default:
			r.Failed = append(r.Failed, Failure{State: s.Name, Reason: why})
		}
		if len(r.Failed) > limit {
			return false
		}
	}
	if len(r.Failed) > 0 {
		r.misses = a.misses()
	}
	return true
}

// better says that a rewrite is right in more states than another or, in as many, with more kinds of traffic.
func (r Rewrite) better(than Rewrite) bool {
	return than.Form == NoForm || cmp.Or(len(r.Failed)-len(than.Failed), r.misses-than.misses) < 0
}

// misses counts with how much traffic, over all states, the rewrite is not the original on the old model.
func (a attempt) misses() int {
	n := 0
	for state := range a.states {
		for _, v := range a.vs {
			if a.unlike(state, v) != "" {
				n++
			}
		}
	}
	return n
}

// factor finds by how much the original overcounts on the old model, and divides the threshold in the query by it.
func (a attempt) factor() bool {
	r := a.r
	both := slices.ContainsFunc(a.requestSelectors(a.q), func(s Selector) bool { return roleOf(s) == bothRole })
	if !both || r.Form == Keep || r.Form == Either {
		return true
	}
	for _, v := range a.vs {
		was, errWas := a.result(a.old, 0, v)
		is, errIs := a.result(a.now, 0, v)
		if errWas != nil || errIs != nil {
			return false
		}
		if len(was) == 0 || len(is) == 0 || is.sum() == 0 {
			continue
		}
		r.Factor = was.sum() / is.sum()
		break
	}
	if same(r.Factor, 1) {
		r.Factor = 1
		return true
	}
	if comparesWithin(a.q) {
		return false // another threshold would have to be divided as well
	}
	if c, ok := unwrap(a.q.Expr).(*parser.BinaryExpr); ok && c.Op.IsComparisonOperator() {
		if threshold, ok := unwrap(c.RHS).(*parser.NumberLiteral); ok {
			p := threshold.PositionRange()
			edit := Edit{int(p.Start), int(p.End), strconv.FormatFloat(threshold.Val/r.Factor, 'g', 6, 64)}
			r.Edits, r.literalEdits = append(r.Edits, edit), append(r.literalEdits, edit)
			return r.apply(a.q)
		}
	}
	return true
}

// comparesWithin says that the query compares something besides its result.
func comparesWithin(q *Query) bool {
	top, found := unwrap(q.Expr), false
	parser.Inspect(q.Expr, func(n parser.Node, _ []parser.Node) error {
		b, ok := n.(*parser.BinaryExpr)
		found = found || ok && b.Op.IsComparisonOperator() && parser.Node(b) != parser.Node(top)
		return nil
	})
	return found
}

// unequal says how the rewrite in a state differs from the original on the old model; "" when it does not.
func (a attempt) unequal(state int) string {
	for _, v := range a.vs {
		if why := a.unlike(state, v); why != "" {
			return why
		}
	}
	return ""
}

// unlike is unequal for one variant of the traffic.
func (a attempt) unlike(state, v int) string {
	was, errWas := a.result(a.old, 0, v)
	is, errIs := a.result(a.now, state, v)
	if err := errors.Join(errWas, errIs); err != nil {
		return fmt.Sprint("it cannot be evaluated: ", err)
	}
	was, is = numbers(was), numbers(is)
	for i := range is {
		is[i].Value *= a.r.Factor
	}
	if !was.Equal(is) {
		return a.because(was, is, state, v)
	}
	if !a.q.Alerting() {
		return ""
	}
	fired, errFired := a.result(a.q, 0, v)
	fires, errFires := a.result(a.rewritten, state, v)
	if err := errors.Join(errFired, errFires); err != nil {
		return fmt.Sprint("it cannot be evaluated: ", err)
	}
	if (len(fired) > 0) != (len(fires) > 0) {
		return "with " + a.variants[v].name + " it does not fire as the original did"
	}
	return ""
}

// onlyAbsent says that all selectors feed absent().
func onlyAbsent(q *Query) bool {
	return len(q.Selectors) > 0 && !slices.ContainsFunc(q.Selectors, func(s Selector) bool { return !s.UnderAbsent() })
}

func (b *Bench) because(was, is Result, state, v int) string {
	why := fmt.Sprintf("with %s: %s on the old model, %s here", b.variants[v].name, was, is)
	if len(is) > 0 {
		return why
	}
	for _, c := range b.in.Traffic.Calls {
		p, err := series.PathOf(c, b.states[state])
		if err == nil && p.Client == mesh.ModeAmbient && p.Server == mesh.ModeAmbient && !p.Via {
			return why + "; requests to " + c.Service.String() + " are not counted without a waypoint"
		}
	}
	return why
}

// connections is the L4 form of the query, or "".
func (b *Bench) connections(q *Query, n names) string {
	var edits []Edit
	for _, s := range b.requestSelectors(q) {
		w, ok := newRewriting(q, s, n, false)
		if !ok || s.Metric != "istio_requests_total" {
			return ""
		}
		// The choice stays with a variable: ztunnel reports both sides.
		text, ok := w.connections(w.connectionView())
		if !ok {
			return ""
		}
		edits = append(edits, Edit{w.start, w.end, text})
	}
	text, ok := apply(q.Text, edits)
	if _, err := q.with(text); !ok || err != nil || len(edits) == 0 {
		return ""
	}
	return text
}
