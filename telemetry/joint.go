package telemetry

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ambientplan/ambientplan/telemetry/promql"
	"github.com/ambientplan/ambientplan/telemetry/series"
)

// Each kind of call is judged by itself, since what is reported of one does not depend on another. What a query makes
// of several does: a ratio in which some calls are counted twice and others once is right for each of them and wrong for
// all, the larger of two reporters may be one's client and the other's server, and a selector that was widened may take
// calls that the original never took. So what is proved for each is proved again for all of them at once, with
// different rates and different shares of errors.

// maxFlowsJointly bounds how many calls are looked at at once.
const maxFlowsJointly = 10

// jointTrial is a trial with several calls in one Prometheus.
type jointTrial struct {
	promql.Trial
	lane *lane
}

// jointly are trials with all calls of the query in one Prometheus, calls that it does not select among them.
func (w *world) jointly(j *judgement, b *benches) []jointTrial {
	if len(j.some) == 0 || len(w.flows) < 2 {
		return nil
	}
	var counted []*flow
	flows := slices.Clone(j.some)
	for _, f := range w.flows {
		if len(flows) < maxFlowsJointly && !slices.Contains(flows, f) && f.call.Protocol == flows[0].call.Protocol && !sameWays(flows, f) {
			flows = append(flows, f)
		}
	}
	for _, f := range flows {
		if f.firstUncounted() == len(w.steps) {
			counted = append(counted, f)
		}
	}
	var out []jointTrial
	for _, some := range [][]*flow{flows, counted} {
		if len(some) < 2 || len(out) > 0 && len(some) == len(flows) {
			continue
		}
		l := b.jointBench(w, some)
		if l.why != "" {
			continue
		}
		q, err := promql.ParseFilled(j.text, fillFor(j.q, j.some[0], nil))
		if err == nil {
			out = append(out, jointTrial{promql.Trial{Bench: l.bench, Query: q}, l})
		}
	}
	return out
}

// firstUncounted is the first state in which nobody counts a call's requests, from which on nothing can be equal.
func (f *flow) firstUncounted() int {
	for i, during := range f.course.during {
		for _, n := range during {
			if uncounted(f.names[n]) || f.quiet || f.quietWaypoints[f.ways[n].waypoint] {
				return i
			}
		}
	}
	return len(f.course.during)
}

// jointBench is the bench of some flows at once, up to the first state in which nobody counts one of them.
func (b *benches) jointBench(w *world, flows []*flow) *lane {
	var key strings.Builder
	for _, f := range flows {
		fmt.Fprintf(&key, "%p ", f)
	}
	if l, ok := b.joint[key.String()]; ok {
		return l
	}
	c, last := choice{flows: flows}, len(w.steps)
	for i, f := range flows {
		call := f.call
		call.Rate = 100 + 40*float64(i)
		call.Errors = []float64{.1, .01, .04}[i%3]
		c.traffic.Calls = append(c.traffic.Calls, call)
		last = min(last, f.firstUncounted())
	}
	w.statesOf(&c, nil)
	l := &lane{}
	b.joint[key.String()] = l
	var states []series.State
	for i := range last {
		n := c.index[i]
		if n == len(states) {
			states = append(states, c.states[n])
		}
		l.steps = append(l.steps, n)
	}
	if l.why = c.why; l.why == "" && len(states) < 2 {
		l.why = "nothing changes while all of them are counted"
	}
	if l.why != "" {
		return l
	}
	var err error
	if l.bench, err = promql.NewBench(promql.Input{Traffic: c.traffic, Rules: b.rules}, states); err != nil {
		l.why = err.Error()
	}
	return l
}

// judgeJointly judges a query that is unaffected for each kind of call by itself: a ratio may still change when some
// calls count for more than they did, and others do not.
func (w *world) judgeJointly(j *judgement, b *benches) {
	for _, t := range w.jointly(j, b) {
		steps := make([]step, len(w.steps))
		worst := promql.Unaffected
		for i := range steps {
			steps[i] = step{finding: &promql.Finding{Verdict: promql.Unaffected}}
			if i < len(t.lane.steps) && t.lane.steps[i] > 0 {
				f := j.asked(t.Bench.Judge(t.Query, 0, t.lane.steps[i]))
				if f.Verdict == promql.CannotTell {
					continue
				}
				if f.Verdict != promql.Unaffected {
					f.Reason = "the calls that it counts do not all count for as much as before, compared with each other: " + f.Reason
				}
				steps[i].finding = &f
				if worse(f.Verdict) > worse(worst) {
					worst = f.Verdict
				}
			}
		}
		if worst != promql.Unaffected {
			j.spans = nil
			j.fold(map[string][]step{"": steps}, nil)
			j.silentL4 = nil
			return
		}
	}
}

// rewriteAll is the smallest rewrite that is right for each kind of call and for all of them at once.
func (a *analysis) rewriteAll(j *judgement, trials []promql.Trial, b *benches) promql.Rewrite {
	r := promql.RewriteAll(trials, j.names)
	if r.Form == promql.NoForm || len(r.Edits)+len(r.Variable) == 0 && len(r.Failed) > 0 {
		return r
	}
	var all []promql.Trial
	for _, t := range a.world.jointly(j, b) {
		all = append(all, t.Trial)
	}
	if len(promql.Check(all, r)) == 0 {
		return r
	}
	return promql.RewriteAll(append(slices.Clone(trials), all...), j.names)
}
