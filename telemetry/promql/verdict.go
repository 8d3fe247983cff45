package promql

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

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

// Input is what a query is judged by.
type Input struct {
	Traffic Traffic
	// Rules are the recording rules that were read, followed to where their result is used.
	Rules []Rule
}

// Judge compares a query in two states.
func Judge(q *Query, before, after series.State, in Input) Finding {
	j := judge{prover: newProver(), q: q, in: in}
	order, err := needed(q, in.Rules)
	if err != nil {
		return Finding{Reason: err.Error()}
	}
	if f, done := j.unmodelled(order); done {
		return f
	}
	j.evidence, err = evidenceOf(q, order, in.Traffic, before, after)
	if err != nil {
		return Finding{Reason: err.Error()}
	}
	f := j.value(before, after)
	f.Evidence = j.evidence
	if q.Alerting() {
		f = j.alert(f, before, after)
	}
	f.LooksHealthy = f.LooksHealthy || f.Verdict == GoesSilent && q.Alerting()
	return f
}

type judge struct {
	prover   prover
	q        *Query
	in       Input
	evidence []Evidence
}

// unmodelled settles queries on metrics that the model does not have.
func (j judge) unmodelled(order []Rule) (Finding, bool) {
	var foreign, unknown []string
	silent, dead, modelled := "", "", 0
	for _, s := range leaves(j.q, order) {
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
	case silent != "":
		return Finding{Verdict: GoesSilent, Reason: silent}, true
	case dead != "":
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

// value compares the value that the query shows or watches.
func (j judge) value(before, after series.State) Finding {
	text := j.q.Text
	if inner, ok := j.q.Compared(); ok {
		text = inner
	}
	q, err := Parse(text)
	if err != nil {
		return Finding{Reason: err.Error()}
	}
	var f Finding
	for _, v := range variants(j.in.Traffic) {
		if f.Before, err = j.prover.steady(q, v.traffic, before, j.in.Rules); err != nil {
			return Finding{Reason: err.Error()}
		}
		if f.After, err = j.prover.steady(q, v.traffic, after, j.in.Rules); err != nil {
			return Finding{Reason: err.Error()}
		}
		f.Before, f.After = numbers(f.Before), numbers(f.After)
		if len(f.Before) > 0 || len(f.After) > 0 {
			break
		}
	}
	j.compare(&f, before, after)
	return f
}

// numbers drops NaN, which a panel shows as nothing and a comparison drops.
func numbers(r Result) Result {
	return slices.DeleteFunc(r, func(p Point) bool { return math.IsNaN(p.Value) })
}

func (j judge) compare(f *Finding, before, after series.State) {
	set := func(v Verdict, format string, args ...any) { f.Verdict, f.Reason = v, fmt.Sprintf(format, args...) }
	switch {
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
		j.hidden(f)
	default:
		j.differs(f, before, after)
	}
}

// hidden refuses "unaffected" where the equal value rests on nothing: all selectors of a default lost everything.
func (j judge) hidden(f *Finding) {
	if j.q.Defaulted() && slices.ContainsFunc(f.After, func(p Point) bool { return p.Value == 0 }) && len(j.evidence) > 0 {
		f.Verdict, f.Reason = CannotTell, "the default hides what the known traffic shows: "+f.Reason
	}
}

func (j judge) differs(f *Finding, before, after series.State) {
	was, is := f.Before.sum(), f.After.sum()
	f.Reason = fmt.Sprintf("%s in %s, %s in %s for the same traffic", f.Before, before.Name, f.After, after.Name)
	missing := slices.ContainsFunc(f.Before, func(p Point) bool {
		return !slices.ContainsFunc(f.After, func(q Point) bool { return p.Labels == q.Labels })
	})
	lost, more, fewer := j.multiplicities(before, after)
	switch {
	case was > 0 && is == 0:
		f.Verdict, f.LooksHealthy = GoesSilent, j.q.Defaulted()
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
func (j judge) multiplicities(before, after series.State) (lost, more, fewer bool) {
	order, err := needed(j.q, j.in.Rules)
	if err != nil {
		return false, false, false
	}
	for _, s := range leaves(j.q, order) {
		for _, c := range j.in.Traffic.Calls {
			was, now := counted(s.Selector, c, before), counted(s.Selector, c, after)
			lost = lost || was > 0 && now == 0
			more = more || was > 0 && now > was || was == 0 && now > 1
			fewer = fewer || now > 0 && now < was
		}
	}
	return lost, more, fewer
}

// counted is how many emitters' series of a call the selector takes.
func counted(s Selector, c series.Call, state series.State) int {
	all, err := series.Emit(c, state)
	if err != nil {
		return 0
	}
	seen := map[series.Emitter]bool{}
	for _, one := range all {
		if s.Matches(one.Name, one.Labels) {
			seen[one.Emitter] = true
		}
	}
	return len(seen)
}

// alert compares when the alert fires, over variants of the traffic.
func (j judge) alert(f Finding, before, after series.State) Finding {
	var sleeps, barks string
	exercised := false
	for _, v := range variants(j.in.Traffic) {
		was, errWas := j.prover.steady(j.q, v.traffic, before, j.in.Rules)
		is, errIs := j.prover.steady(j.q, v.traffic, after, j.in.Rules)
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
		f.Reason = fmt.Sprintf("with %s it fires in %s and not in %s; %s", sleeps, before.Name, after.Name, f.Reason)
	case barks != "":
		f.Cause, f.Verdict = f.Verdict, FiresFalsely
		f.Reason = fmt.Sprintf("with %s it is quiet in %s and fires in %s; %s", barks, before.Name, after.Name, f.Reason)
	case !exercised && f.Verdict == Unaffected && len(f.Evidence) > 0:
		f.Verdict = CannotTell
		f.Reason = "no modelled traffic makes it fire, so that it still fires cannot be shown; " + f.Reason
	}
	return f
}
