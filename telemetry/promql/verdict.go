package promql

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/ambientplan/ambientplan/telemetry/series"
)

// Verdict is what a state does to a query. The zero value is CannotTell.
type Verdict int

// Verdicts, from the facts' words ok, silent, false, double, half, meaning.
const (
	CannotTell Verdict = iota
	Unaffected
	GoesSilent
	FiresFalsely
	DoubleCounts
	CountsHalf
	ChangesMeaning
	// AlreadyDead: no Istio emits what the query asks for, before the migration or after it.
	AlreadyDead
)

// String is the word in reports.
func (v Verdict) String() string {
	switch v {
	case Unaffected:
		return "unaffected"
	case GoesSilent:
		return "goes silent"
	case FiresFalsely:
		return "fires falsely"
	case DoubleCounts:
		return "double counts"
	case CountsHalf:
		return "counts half"
	case ChangesMeaning:
		return "changes meaning"
	case AlreadyDead:
		return "already dead"
	case CannotTell:
	}
	return "cannot tell"
}

// Finding is a verdict with its reasons.
type Finding struct {
	Verdict Verdict
	// Cause is the verdict on the value, when Verdict is about an alert that fires or sleeps because of it.
	Cause Verdict
	// Reason in one sentence.
	Reason string
	// LooksHealthy is set when silence shows as a good number: 0 errors, an empty alert.
	LooksHealthy bool
	// Before and After are the values for the same traffic, without the alert's comparison.
	Before, After Result
	// Evidence has one entry for each selector that loses or gains series.
	Evidence []Evidence
}

// Evidence is what happens to the series of one selector.
type Evidence struct {
	// Selector is its text, Start its byte offset in the query. Record is the recording rule that it stands in, if
	// it is not in the query itself.
	Selector string
	Start    int
	Record   string
	// Lost and Gained say which emitters' series it no longer takes and newly takes, sorted.
	Lost, Gained []string
	// Facts are the facts behind them, sorted.
	Facts []string
}

// Judge compares a query in two states.
func Judge(q *Query, before, after series.State, in Input) Finding {
	b, err := NewBench(in, []series.State{before, after})
	if err != nil {
		return Finding{Reason: err.Error()}
	}
	return b.Judge(q, 0, 1)
}

// Judge compares a query in two states of the bench, by their index.
func (b *Bench) Judge(q *Query, before, after int) Finding {
	if before < 0 || after < 0 || max(before, after) >= len(b.states) {
		return Finding{Reason: "no such state"}
	}
	b.forget()
	p := b.prepare(q)
	if p.err != nil {
		return Finding{Reason: p.err.Error()}
	}
	j := judge{Bench: b, prepared: p, q: q, was: before, is: after, before: b.states[before], after: b.states[after]}
	if f, done := j.unmodelled(); done {
		return f
	}
	if err := bounded(q); err != nil {
		return Finding{Reason: err.Error()}
	}
	f, v := j.value()
	var err error
	if f.Evidence, err = j.evidenceOf(v); err != nil {
		return Finding{Reason: err.Error()}
	}
	if f.Verdict == Unaffected && !onlyAbsent(q) {
		j.sameNumber(&f)
	}
	if who := b.unwatched(q, before, after); who != "" && f.Verdict == Unaffected {
		f.Verdict, f.Reason = ChangesMeaning, "it no longer watches the "+who+"; "+f.Reason
	}
	if label := b.foreignLabel(q); label != "" && f.Verdict == Unaffected && newcomers(f.Evidence) {
		f.Verdict, f.Reason = CannotTell, "the model has no label "+label+", so whether the new series have it is not known (Q24, Q25); "+f.Reason
	}
	if text := b.blindTo(q, before, after); text != "" && f.Verdict == Unaffected {
		f.Verdict, f.Reason = CannotTell, text+" selects nothing of the known traffic, in neither state"
	}
	if name := j.dead(); name != "" && len(f.Before)+len(f.After) == 0 {
		return Finding{Verdict: AlreadyDead, Reason: name + " is emitted by no Istio since 1.5: the query was silent before the migration"}
	}
	if q.Alerting() {
		f = j.alert(f)
	}
	f.LooksHealthy = f.LooksHealthy || f.Verdict == GoesSilent && q.Alerting()
	return f
}

// dead is a metric that nobody emits any more and that the query cannot do without: one side of an "or" it can.
func (j judge) dead() string {
	for _, l := range j.leaves {
		if class, _ := classify(l.Selector); class == classDead && !l.alternative() {
			return l.Metric
		}
	}
	return ""
}

// newcomers says that a selector takes series of proxies that were not there before.
func newcomers(all []Evidence) bool {
	return slices.ContainsFunc(all, func(e Evidence) bool {
		return slices.ContainsFunc(e.Gained, func(who string) bool {
			return strings.HasPrefix(who, series.WaypointProxy.String()) || strings.HasPrefix(who, "ztunnel")
		})
	})
}

type judge struct {
	*Bench
	*prepared
	q             *Query
	was, is       int
	before, after series.State
}

// unmodelled settles queries on metrics that the model does not have.
func (j judge) unmodelled() (Finding, bool) {
	var foreign, unknown []string
	silent, dead, modelled := "", "", 0
	for _, s := range j.leaves {
		switch class, why := classify(s.Selector); class {
		case classModelled:
			modelled++
		case classDead:
			dead = s.Metric
		case classForeign:
			foreign = append(foreign, s.Metric)
		case classThroughProxy:
			silent = why
		case classUnknown:
			unknown = append(unknown, why)
		}
	}
	switch {
	case j.targetsDown():
		return Finding{Verdict: Unaffected, Reason: "a target that is gone is not down; ztunnel's and the waypoints' are watched if they are scraped by this job (Q48, 1.4)"}, true
	case silent != "":
		return Finding{Verdict: GoesSilent, Reason: silent}, true
	case dead != "" && modelled == 0:
		return Finding{Verdict: AlreadyDead, Reason: dead + " is emitted by no Istio since 1.5: the query was silent before the migration"}, true
	case len(unknown) > 0:
		return Finding{Reason: strings.Join(unknown, "; ")}, true
	case modelled == 0:
		return Finding{Verdict: Unaffected, Reason: "no series of the mesh is selected"}, true
	case len(foreign) > 0:
		return Finding{Reason: "joined with " + strings.Join(foreign, ", ") + ", which the model has no series of"}, true
	}
	return Finding{}, false
}

// targetsDown says that the query is up == 0, of some targets.
func (j judge) targetsDown() bool {
	b, ok := unwrap(j.q.Expr).(*parser.BinaryExpr)
	if !ok || b.Op != parser.EQLC || b.ReturnBool || len(j.q.Selectors) != 1 || j.q.Selectors[0].Metric != "up" {
		return false
	}
	_, selector := unwrap(b.LHS).(*parser.VectorSelector)
	zero, number := unwrap(b.RHS).(*parser.NumberLiteral)
	return selector && number && zero.Val == 0
}

// value compares the value that the query shows or watches: without the alert's comparison, and without the
// default that hides silence. The first traffic that tells the states apart counts; its index is returned.
func (j judge) value() (Finding, int) {
	q := j.watched
	var err error
	usual, rare := j.asked(j.q)
	first, at := Finding{}, -1
	for _, v := range append(usual, rare...) {
		if j.variants[v].rare && at >= 0 && len(first.Before) > 0 {
			break
		}
		var f Finding
		if f.Before, err = j.result(q, j.was, v); err != nil {
			return Finding{Reason: err.Error()}, 0
		}
		if f.After, err = j.result(q, j.is, v); err != nil {
			return Finding{Reason: err.Error()}, 0
		}
		f.Before, f.After = numbers(f.Before), numbers(f.After)
		if !f.Before.Equal(f.After) {
			j.compare(&f, v)
			f.Reason += " (" + j.variants[v].name + ")"
			f.LooksHealthy = f.Verdict == GoesSilent && j.defaulted
			return f, v
		}
		if at < 0 || len(first.Before) == 0 {
			first, at = f, v
		}
	}
	j.compare(&first, at)
	return first, at
}

// watched is the query without the comparison with a number, and without "or vector(...)".
func (q *Query) watched() (inner *Query, defaulted bool, err error) {
	text := q.Text
	for {
		inner, err = q.with(text)
		if err != nil {
			return nil, false, err
		}
		if compared, ok := inner.Compared(); ok {
			text = compared
			continue
		}
		b, ok := unwrap(inner.Expr).(*parser.BinaryExpr)
		if ok && b.Op == parser.LOR {
			if c, ok := unwrap(b.RHS).(*parser.Call); ok && c.Func.Name == "vector" {
				r := b.LHS.PositionRange()
				text, defaulted = inner.Text[r.Start:r.End], true
				continue
			}
		}
		return inner, defaulted, nil
	}
}

// numbers drops NaN, which a panel shows as nothing and a comparison drops.
func numbers(r Result) Result {
	return slices.DeleteFunc(r, func(p Point) bool { return math.IsNaN(p.Value) })
}

func (j judge) compare(f *Finding, v int) {
	before, after := j.before, j.after
	set := func(v Verdict, format string, args ...any) { f.Verdict, f.Reason = v, fmt.Sprintf(format, args...) }
	switch {
	case len(f.Before) == 0 && len(f.After) == 0 && onlyAbsent(j.q):
		set(Unaffected, "quiet in both states: some of what it watches for is there")
	case len(f.Before) == 0 && len(f.After) == 0:
		set(CannotTell, "it selects nothing of the known traffic in %s, nor in %s", before.Name, after.Name)
	case len(f.Before) == 0 && j.q.Alerting():
		set(FiresFalsely, "empty in %s, %s in %s for the same traffic", before.Name, f.After, after.Name)
	case len(f.Before) == 0:
		set(ChangesMeaning, "empty in %s, %s in %s for the same traffic", before.Name, f.After, after.Name)
	case len(f.After) == 0:
		set(GoesSilent, "%s in %s, empty in %s for the same traffic", f.Before, before.Name, after.Name)
	case f.Before.Equal(f.After):
		set(Unaffected, "%s in both states", f.Before)
	default:
		j.differs(f, v)
	}
}

// sameNumber is for equal values: a latency that another proxy measures covers another way.
func (j judge) sameNumber(f *Finding) {
	for _, e := range f.Evidence {
		if strings.Contains(e.Selector, "istio_request_duration_milliseconds") && len(e.Gained) > 0 {
			f.Verdict = ChangesMeaning
			f.Reason = "it is now measured at the " + e.Gained[0] + ": the way to the server's pod is in it (1.3)"
			return
		}
	}
}

func (j judge) differs(f *Finding, v int) {
	was, is := f.Before.sum(), f.After.sum()
	f.Reason = fmt.Sprintf("%s in %s, %s in %s for the same traffic", f.Before, j.before.Name, f.After, j.after.Name)
	missing := slices.ContainsFunc(f.Before, func(p Point) bool {
		return !slices.ContainsFunc(f.After, func(q Point) bool { return p.Labels == q.Labels })
	})
	lost, more, fewer := j.multiplicities(v)
	switch {
	case was > 0 && is == 0:
		f.Verdict = GoesSilent
	case lost && is < was:
		f.Verdict = GoesSilent
	case missing && len(f.After) < len(f.Before):
		f.Verdict = GoesSilent
	case more && is > was:
		f.Verdict = DoubleCounts
	case fewer && is < was && sameLabels(f.Before, f.After):
		f.Verdict = CountsHalf
	default:
		f.Verdict = ChangesMeaning
	}
}

func sameLabels(a, b Result) bool {
	return slices.EqualFunc(a, b, func(a, b Point) bool { return a.Labels == b.Labels })
}

func (r Result) sum() float64 {
	s := 0.0
	for _, p := range r {
		s += p.Value
	}
	return s
}

// multiplicities says whether some selector counts some call no more, more often, or less often than before.
func (j judge) multiplicities(v int) (lost, more, fewer bool) {
	before, errBefore := j.at(j.was, v)
	after, errAfter := j.at(j.is, v)
	if errBefore != nil || errAfter != nil {
		return false, false, false
	}
	for _, l := range j.leaves {
		for i := range j.variants[v].traffic.Calls {
			was, now := j.counted(l, before[i]), j.counted(l, after[i])
			lost = lost || was > 0 && now == 0
			more = more || was > 0 && now > was || was == 0 && now > 1
			fewer = fewer || now > 0 && now < was
		}
	}
	return lost, more, fewer
}

// counted is how many emitters' series of a call the selector takes.
func (b *Bench) counted(l leaf, of *block) int {
	p, err := b.stock.pick(of, l.id, l.Selector)
	if err != nil {
		return 0
	}
	seen := map[series.Emitter]bool{}
	for _, one := range p.all {
		seen[one.from.emitter] = true
	}
	return len(seen)
}

// alert compares when the alert fires, over variants of the traffic.
func (j judge) alert(f Finding) Finding {
	var sleeps, barks string
	exercised := false
	usual, rare := j.asked(j.q)
	for _, i := range append(usual, rare...) {
		v := j.variants[i]
		if v.rare && exercised {
			break
		}
		was, errWas := j.result(j.q, j.was, i)
		is, errIs := j.result(j.q, j.is, i)
		if err := errors.Join(errWas, errIs); err != nil {
			return Finding{Reason: err.Error(), Evidence: f.Evidence}
		}
		exercised = exercised || len(was) > 0
		switch {
		case len(was) > 0 && len(is) == 0 && sleeps == "":
			sleeps = v.name
		case len(was) == 0 && len(is) > 0 && barks == "":
			barks = v.name
		}
	}
	switch {
	case sleeps != "":
		f.Cause, f.Verdict = f.Verdict, GoesSilent
		f.Reason = fmt.Sprintf("with %s it fires in %s and not in %s; %s", sleeps, j.before.Name, j.after.Name, f.Reason)
	case barks != "":
		f.Cause, f.Verdict = f.Verdict, FiresFalsely
		f.Reason = fmt.Sprintf("with %s it is quiet in %s and fires in %s; %s", barks, j.before.Name, j.after.Name, f.Reason)
	case !exercised && f.Verdict == Unaffected && len(f.Evidence) > 0 && !onlyAbsent(j.q):
		f.Verdict = CannotTell
		f.Reason = "no modelled traffic makes it fire, so that it still fires cannot be shown; " + f.Reason
	}
	return f
}
