package telemetry

import (
	"fmt"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/telemetry/promql"
	"github.com/ambientplan/ambientplan/telemetry/series"
	"github.com/ambientplan/ambientplan/telemetry/source"
)

// maxTogether bounds how many calls, workloads and states are evaluated at once for queries that look at the mesh as
// a whole.
const (
	maxFlowsTogether     = 12
	maxWorkloadsTogether = 12
	maxStatesTogether    = 40
)

// judgeTogether judges a query that looks at proxies or at absence: for a choice of calls and workloads that stand for
// all, in the states of the plan as they follow each other.
func (w *world) judgeTogether(j *judgement, rough *promql.Query, b *benches) {
	t := w.pick(rough, j.q, b)
	if t.why != "" {
		j.why = t.why
		return
	}
	bench, err := promql.NewBench(promql.Input{Traffic: t.traffic, Rules: b.rules}, t.states)
	if err != nil {
		j.why = err.Error()
		return
	}
	var f *flow
	if len(t.flows) > 0 {
		f = t.flows[0]
	}
	q, err := promql.ParseFilled(j.text, fillFor(j.q, f, nil))
	if err != nil {
		j.why = err.Error()
		return
	}
	found := make([]promql.Finding, len(t.states))
	for i := range t.states {
		if i > 0 {
			found[i] = fewerThan(q, bench.Judge(q, 0, i))
			j.evaluated++
		}
	}
	if len(t.states) == 1 {
		found[0] = bench.Judge(q, 0, 0)
		j.verdict, j.why = found[0].Verdict, found[0].Reason
		return
	}
	steps := make([]step, len(w.steps))
	for i, n := range t.index {
		if n > 0 {
			steps[i] = step{finding: &found[n]}
		}
	}
	service := ""
	if len(t.flows) > 0 && t.oneService() {
		service = t.flows[0].service
	}
	j.fold(map[string][]step{service: steps}, nil)
	j.silentL4 = nil
	if j.verdict == promql.Unaffected {
		j.why = found[len(found)-1].Reason
	}
	j.trials = []promql.Trial{{Bench: bench, Query: q}}
	j.whole = j.trials
	j.names = namesOf([]group{{flows: t.flows}})
}

// fewerThan is for alerts on fewer proxies, targets or injections than a number. The model has one pod of each workload
// that stands for others, so on which side of the number they are says nothing: what falls as the plan goes on reaches
// it (Q47, Q48, Q50).
func fewerThan(q *promql.Query, f promql.Finding) promql.Finding {
	c, ok := q.Expr.(*parser.BinaryExpr)
	if !ok || c.Op != parser.LSS && c.Op != parser.LTE || len(f.Before) != 1 || len(f.After) > 1 {
		return f
	}
	if _, number := c.RHS.(*parser.NumberLiteral); !number {
		return f
	}
	switch {
	case len(f.After) == 1 && f.After[0].Value < f.Before[0].Value:
		f.Verdict = promql.FiresFalsely
		f.Reason = "what it counts falls while nothing is wrong; where the threshold lies must be compared with the real number of pods: " + f.Reason
	case len(f.After) == 1 && f.Verdict == promql.GoesSilent && f.After[0].Value > f.Before[0].Value:
		f.Verdict = promql.ChangesMeaning
		f.Reason = "it counts others than before; where the threshold lies must be compared with the real number of pods: " + f.Reason
	}
	return f
}

// choice is the part of the mesh that stands for all of it.
type choice struct {
	flows   []*flow
	traffic promql.Traffic
	states  []series.State
	// index gives the state of the choice for each state of the plan.
	index []int
	why   string
}

func (c choice) oneService() bool {
	for _, f := range c.flows {
		if f.service != c.flows[0].service {
			return false
		}
	}
	return true
}

// pick chooses calls that go different ways, and workloads that move at different times.
func (w *world) pick(q *promql.Query, of *source.Query, b *benches) choice {
	var c choice
	for _, g := range w.groupsOf(q, of, false, b) {
		if len(c.flows) < maxFlowsTogether {
			c.flows = append(c.flows, g.flows[0])
		}
	}
	if len(c.flows) == 0 {
		for _, f := range w.flows {
			if len(c.flows) < maxFlowsTogether && !sameWays(c.flows, f) {
				c.flows = append(c.flows, f)
			}
		}
	}
	if len(c.flows) == 0 {
		c.why = "no call of the mesh is known"
		return c
	}
	for _, f := range c.flows {
		c.traffic.Calls = append(c.traffic.Calls, f.call)
	}
	seen := map[string]bool{}
	var chosen []workload
	for _, x := range w.workloads {
		key := fmt.Sprint(x.modes, x.Namespace)
		if len(x.modes) > 0 && x.modes[0] == mesh.ModeSidecar && !seen[key] && len(chosen) < maxWorkloadsTogether {
			seen[key] = true
			chosen = append(chosen, x)
			c.traffic.Workloads = append(c.traffic.Workloads, x.Workload)
		}
	}
	w.statesOf(&c, chosen)
	return c
}

func sameWays(have []*flow, f *flow) bool {
	for _, h := range have {
		if h.course == f.course {
			return true
		}
	}
	return false
}

// statesOf makes the different states that the choice goes through.
func (w *world) statesOf(c *choice, chosen []workload) {
	byKey := map[string]int{}
	for i := range w.steps {
		s := series.State{Name: w.nameOf(i), Modes: map[series.Ref]mesh.Mode{}, Waypoints: map[series.Ref]series.Waypoint{}}
		var key strings.Builder
		for _, x := range chosen {
			s.Modes[x.Ref] = x.modes[i]
			fmt.Fprint(&key, x.modes[i], " ")
		}
		for _, f := range c.flows {
			end := f.ways[f.course.end[i][len(f.course.end[i])-1]]
			s.Modes[f.call.From.Ref], s.Modes[f.call.To.Ref] = end.client, end.server
			if end.waypoint.Name != "" {
				s.Waypoints[f.call.Service] = waypointOf(end.waypoint)
			}
			if f.quiet || f.quietWaypoints[end.waypoint] {
				if s.NoServerMetrics == nil {
					s.NoServerMetrics = map[series.Ref]bool{}
				}
				s.NoServerMetrics[f.call.To.Ref] = f.quiet
				s.NoServerMetrics[series.Ref{Namespace: end.waypoint.Namespace, Name: end.waypoint.Name}] = f.quietWaypoints[end.waypoint]
			}
			fmt.Fprint(&key, end, " ")
		}
		n, ok := byKey[key.String()]
		if !ok {
			n = len(c.states)
			byKey[key.String()] = n
			c.states = append(c.states, s)
		}
		c.index = append(c.index, n)
	}
	if len(c.states) > maxStatesTogether {
		c.why = fmt.Sprintf("the plan has %d different states for it, more than %d are not evaluated", len(c.states), maxStatesTogether)
	}
}

// nameOf a state, in evidence.
func (w *world) nameOf(i int) string {
	if i == 0 {
		return "today"
	}
	return fmt.Sprintf("wave %d/%s", w.steps[i].Wave, w.steps[i].Step)
}
