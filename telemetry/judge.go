package telemetry

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ambientplan/ambientplan/telemetry/promql"
	"github.com/ambientplan/ambientplan/telemetry/series"
	"github.com/ambientplan/ambientplan/telemetry/source"
)

// judgement is what a plan does to one query.
type judgement struct {
	q       *source.Query
	verdict promql.Verdict
	why     string
	spans   []stretch
	// healthy says that the silence looks like a good number.
	healthy bool
	// prefix is by how much the text that is evaluated is longer at its start than that of the file.
	prefix int
	// text is what is evaluated.
	text string
	// reps are calls that stand for all kinds that it selects, for other values of its variables.
	reps []*flow
	// some are calls that it selects, of all groups, for a look at several at once.
	some []*flow
	// trials are what a rewrite must be right on: the ways of calls between steps. every has also those while a step
	// runs, last only those that are left in the end. whole are trials with all the ways of a call between steps, in their
	// order.
	trials, every, last, whole []promql.Trial
	names                      promql.Names
	// evaluated counts ways of calls.
	evaluated int
	// silentL4 are Services whose requests nobody counts any more when the plan is done.
	silentL4 []string
	// named says that the query names one of few Services, not the whole mesh.
	named bool
	// passing says that the verdict holds only while steps run.
	passing bool
	// security says that it watches who calls or what is encrypted.
	security bool
}

// stretch is a part of the plan, its states in a row, of states with one verdict.
type stretch struct {
	from, to int // states; to is the last one
	finding  promql.Finding
	services []string
	path     string
	// passing holds only while the step runs.
	passing bool
}

// judge judges a query in all states of the plan.
func (w *world) judge(q *source.Query, b *benches) *judgement {
	j := &judgement{q: q}
	if q.Language != source.PromQL || q.Expr == "" {
		j.why = cmp.Or(q.Unread, "it is not written in PromQL")
		return j
	}
	text := q.Expr
	if q.SelectorOnly {
		// The tool that reads the selector sums it up by itself.
		const wrap = "sum(rate("
		j.prefix, text = len(wrap), wrap+q.Expr+"[5m]))"
	}
	if t := q.Threshold; q.Role == source.Alert && t != nil && !q.SelectorOnly && (t.Reducer == "" || t.Reducer == "last") {
		// The comparison stands beside the query, in an expression of Grafana's.
		j.prefix, text = 1, "("+q.Expr+") "+t.Op+" "+strconv.FormatFloat(t.Value, 'g', -1, 64)
	}
	j.text = text
	rough, err := sketch(q, text)
	if err != nil {
		j.why = err.Error()
		return j
	}
	asks, err := promql.AskedBy(rough, b.rules)
	if err != nil {
		j.why = err.Error()
		return j
	}
	j.security = watchesSecurity(rough)
	if asks.Calls && !asks.Proxies && !asks.Absent {
		w.judgeCalls(j, rough, asks, b)
	} else {
		w.judgeTogether(j, rough, b)
	}
	if q.Role == source.Recording && keepsReporter(rough, j) {
		j.verdict, j.why, j.spans, j.silentL4 = promql.Unaffected, "it keeps the label reporter: the queries that use it are judged by themselves (Q33)", nil, nil
		j.trials, j.every, j.last, j.whole = nil, nil, nil, nil
	}
	if q.Scope != "" && (asks.Calls || asks.Proxies) && j.verdict == promql.Unaffected && j.evaluated > 0 {
		j.verdict = promql.CannotTell
		j.why = "the monitoring adds namespace=" + strconv.Quote(q.Scope) + " to each selector: a waypoint or ztunnel of another namespace is not seen by it (1.4)"
	}
	return j
}

// keepsReporter says that a recording rule hands all reporters on, with their label.
func keepsReporter(q *promql.Query, j *judgement) bool {
	for _, s := range q.Selectors {
		if _, matched := s.Reporters(); matched {
			return false
		}
	}
	kept := false
	for _, s := range j.spans {
		for _, p := range append(slices.Clone(s.finding.Before), s.finding.After...) {
			kept = true
			if !strings.Contains(p.Labels, "reporter=\"") {
				return false
			}
		}
	}
	return kept
}

func watchesSecurity(q *promql.Query) bool {
	for _, s := range q.Selectors {
		for _, m := range s.Matchers {
			if m.Name == "connection_security_policy" || m.Name == "source_principal" || m.Name == "response_code" && m.Value == "403" {
				return true
			}
		}
		if strings.Contains(s.Metric, "rbac") {
			return true
		}
	}
	return false
}

// worse orders verdicts: what lies comes first, what is not known before what is fine.
func worse(v promql.Verdict) int {
	return slices.Index([]promql.Verdict{
		promql.Unaffected, promql.AlreadyDead, promql.CannotTell, promql.ChangesMeaning, promql.CountsHalf, promql.DoubleCounts,
		promql.FiresFalsely, promql.GoesSilent,
	}, v)
}

// outcome is what is known of a query on one kind of way.
type outcome struct {
	mask string
	kind int
}

// maxTries is how many calls are tried for a kind of way that a query selects nothing of.
const maxTries = 3

// survey is what is found out about a query on the metrics of calls.
type survey struct {
	j *judgement
	b *benches
	// found by kind of way; notSelected where the query selects nothing of what was tried.
	found map[outcome]*promql.Finding
	tries map[outcome]int
	// standing and last are the kinds of ways that the trials cover.
	standing, last map[outcome]bool
	nothing        promql.Finding
}

// judgeCalls judges a query on the metrics of calls: for each kind of call by itself, since what is reported of one
// does not depend on another, and for each kind of way once.
func (w *world) judgeCalls(j *judgement, rough *promql.Query, asks promql.Asks, b *benches) {
	groups := w.groupsOf(rough, j.q, asks.Requests, b)
	if len(groups) == 0 {
		w.judgeForeign(j, rough, b)
		return
	}
	j.named = w.fewServices(groups)
	s := &survey{j, b, map[outcome]*promql.Finding{}, map[outcome]int{}, map[outcome]bool{}, map[outcome]bool{}, promql.Finding{}}
	for _, g := range groups {
		if why := s.group(g); why != "" {
			j.verdict, j.why = promql.CannotTell, why
			return
		}
	}
	if len(j.trials) == 0 {
		j.verdict, j.why = promql.CannotTell, cmp.Or(s.nothing.Reason, "it selects none of the calls that are known")
		if s.nothing.Verdict != promql.CannotTell {
			j.verdict = s.nothing.Verdict
		}
		return
	}
	for _, g := range groups {
		if n := maxFlowsJointly - len(j.some); n > 0 {
			j.some = append(j.some, g.flows[:min(len(g.flows), 2, n)]...)
		}
	}
	w.sameNothing(s.found)
	j.names = namesOf(groups)
	j.names.TCP = w.tcp()
	j.fold(w.lay(groups, s.found))
	if j.verdict == promql.Unaffected {
		w.judgeJointly(j, b)
	}
}

// group judges the query on what one group adds to what is known. It says why nothing can be said.
func (s *survey) group(g group) (why string) {
	f := g.flows[0]
	fresh, standing := s.fresh(g), s.uncovered(g, f.course.standing(), s.standing)
	last := s.uncovered(g, []int{f.course.last()}, s.last)
	if len(fresh)+len(standing)+len(last) == 0 {
		return ""
	}
	every := s.b.lane(f, fresh)
	if every.why != "" {
		return every.why
	}
	q, err := promql.ParseFilled(s.j.text, fillFor(s.j.q, f, nil))
	if err != nil {
		return err.Error()
	}
	selected := len(fresh) == 0
	one := map[int]*promql.Finding{}
	for _, n := range fresh {
		one[n] = s.j.evaluate(every, q, n)
		if selected = selected || !empty(one[n]); empty(one[n]) {
			s.nothing = *one[n]
		}
	}
	for _, n := range fresh {
		k := outcome{g.mask, f.course.kinds[n]}
		if s.tries[k]++; selected || s.tries[k] >= maxTries {
			s.found[k] = one[n]
		}
	}
	if !selected {
		return ""
	}
	s.j.reps = append(s.j.reps, f)
	s.j.every = append(s.j.every, promql.Trial{Bench: every.bench, Query: q})
	if len(standing) > 0 {
		s.j.trials = append(s.j.trials, promql.Trial{Bench: s.b.lane(f, standing).bench, Query: q})
		s.j.whole = append(s.j.whole, promql.Trial{Bench: s.b.ends(f).bench, Query: q})
	}
	if len(last) > 0 {
		s.j.last = append(s.j.last, promql.Trial{Bench: s.b.lane(f, last).bench, Query: q})
	}
	for _, n := range standing {
		s.standing[outcome{g.mask, f.course.kinds[n]}] = true
	}
	for _, n := range last {
		s.last[outcome{g.mask, f.course.kinds[n]}] = true
	}
	return ""
}

// fresh are the ways of a group of which nothing is known yet. Today's is asked about only when there is no other.
func (s *survey) fresh(g group) []int {
	f := g.flows[0]
	var out []int
	for n, kind := range f.course.kinds {
		if (n > 0 || len(f.ways) == 1) && s.found[outcome{g.mask, kind}] == nil {
			out = append(out, n)
		}
	}
	return out
}

// uncovered are those of some ways of a group that no trial covers yet.
func (s *survey) uncovered(g group, some []int, covered map[outcome]bool) []int {
	return slices.DeleteFunc(slices.Clone(some), func(n int) bool { return covered[outcome{g.mask, g.flows[0].course.kinds[n]}] })
}

// evaluate judges a query on one way.
func (j *judgement) evaluate(l *lane, q *promql.Query, n int) *promql.Finding {
	if n > 0 && l.states[n] == 0 {
		return &promql.Finding{Verdict: promql.Unaffected, Reason: "the way of today"}
	}
	x := j.asked(l.bench.Judge(q, 0, l.states[n]))
	j.evaluated++
	return &x
}

// asked takes from a finding what does not matter to the reader of the query: the variable of a dashboard takes labels,
// whatever the numbers are.
func (j *judgement) asked(f promql.Finding) promql.Finding {
	switch f.Verdict {
	case promql.DoubleCounts, promql.CountsHalf, promql.ChangesMeaning:
		if j.q.Role == source.Selection && len(f.Before) > 0 && f.Before.SameLabels(f.After) {
			return promql.Finding{Verdict: promql.Unaffected, Reason: "the same labels"}
		}
	default:
	}
	return f
}

// sameNothing is for ways on which a query that gives something elsewhere gives nothing, as it does today.
func (w *world) sameNothing(found map[outcome]*promql.Finding) {
	selects := map[outcome]bool{}
	for k, f := range found {
		if f != nil && !empty(f) {
			selects[outcome{k.mask, w.bases[k.kind]}] = true
		}
	}
	for k, f := range found {
		if f != nil && empty(f) && selects[outcome{k.mask, w.bases[k.kind]}] {
			found[k] = &promql.Finding{Verdict: promql.Unaffected, Reason: "nothing, as today"}
		}
	}
}

// empty says that a finding is about a query that selects nothing.
func empty(f *promql.Finding) bool {
	return f.Verdict == promql.CannotTell && len(f.Before)+len(f.After)+len(f.Evidence) == 0
}

// judgeForeign is for queries that select no call of the inventory: those on metrics of nobody's concern, and those
// that name what is not there.
func (w *world) judgeForeign(j *judgement, rough *promql.Query, b *benches) {
	if len(w.flows) == 0 {
		j.why = "no call of the mesh is known"
		return
	}
	l := b.every(w.flows[0])
	if l.why != "" {
		j.why = l.why
		return
	}
	f := l.bench.Judge(rough, 0, slices.Max(l.states))
	if f.Verdict == promql.AlreadyDead {
		j.verdict, j.why = f.Verdict, f.Reason
		return
	}
	j.why = "it names callers or services that are not in the inventory"
}

func (w *world) fewServices(groups []group) bool {
	services := map[string]bool{}
	for _, g := range groups {
		for _, f := range g.flows {
			services[f.service] = true
		}
	}
	return len(services) <= 5 && len(services)*2 <= max(2, len(w.services()))
}

func (w *world) services() map[string]bool {
	all := map[string]bool{}
	for _, f := range w.flows {
		all[f.service] = true
	}
	return all
}

// tcp are the names of the Services that speak TCP, for queries on connections, which all traffic has in the end.
func (w *world) tcp() []string {
	all := map[string]bool{}
	for _, f := range w.flows {
		if f.call.Protocol == series.TCP {
			all[f.call.Service.Name] = true
		}
	}
	return sortedKeys(all)
}

func namesOf(groups []group) promql.Names {
	var n promql.Names
	waypoints, gateways := map[series.Workload]bool{}, map[string]bool{}
	for _, g := range groups {
		for _, f := range g.flows {
			for _, one := range f.ways {
				if one.waypoint.Name == "" {
					continue
				}
				wp := waypointOf(one.waypoint)
				waypoints[wp.Workload] = true
				if f.gateway && wp.IngressUse {
					gateways[f.call.From.Name] = true
				}
			}
		}
	}
	for wp := range waypoints {
		n.Waypoints = append(n.Waypoints, wp)
	}
	slices.SortFunc(n.Waypoints, func(a, b series.Workload) int { return strings.Compare(a.String(), b.String()) })
	n.Gateways = sortedKeys(gateways)
	return n
}

// step is the worst finding of a Service's calls in one state; nil is unaffected.
type step struct {
	finding *promql.Finding
	path    string
}

func (s step) verdict() promql.Verdict {
	if s.finding == nil {
		return promql.Unaffected
	}
	return s.finding.Verdict
}

// lay puts what happens to flows of one Service over each other, state by state: what holds between steps, and what
// holds while they run.
func (w *world) lay(groups []group, found map[outcome]*promql.Finding) (standing, passing map[string][]step) {
	of := map[string][]int{}
	for i, g := range groups {
		for _, f := range g.flows {
			if have := of[f.service]; len(have) == 0 || have[len(have)-1] != i {
				of[f.service] = append(have, i)
			}
		}
	}
	type laid struct{ standing, passing []step }
	made := map[string]laid{}
	standing, passing = map[string][]step{}, map[string][]step{}
	for service, list := range of {
		key := fmt.Sprint(list)
		x, ok := made[key]
		if !ok {
			x = laid{make([]step, len(w.steps)), make([]step, len(w.steps))}
			for _, i := range list {
				over(x.standing, groups[i], found, func(c *course) [][]int { return c.end })
				over(x.passing, groups[i], found, func(c *course) [][]int { return c.during })
			}
			made[key] = x
		}
		standing[service], passing[service] = x.standing, x.passing
	}
	return standing, passing
}

func over(steps []step, g group, found map[outcome]*promql.Finding, which func(*course) [][]int) {
	f := g.flows[0]
	for i, at := range which(f.course) {
		for _, n := range at {
			x := step{found[outcome{g.mask, f.course.kinds[n]}], f.names[n]}
			if n == 0 && len(f.ways) > 1 {
				x.finding = nil
			} else if x.finding == nil || empty(x.finding) {
				continue // it selects nothing of these calls
			}
			if i == 0 || steps[i].path == "" || worse(x.verdict()) > worse(steps[i].verdict()) {
				steps[i] = x
			}
		}
	}
}

// fold makes stretches of what happens to Services, state by state, and puts Services that share them together.
// standing is what holds between steps; passing, which may be nil, what holds while they run.
func (j *judgement) fold(standing, passing map[string][]step) {
	j.verdict, j.why = promql.Unaffected, "the same result in all states of the plan"
	put := j.collector()
	for _, service := range sortedKeys(standing) {
		steps := standing[service]
		for i := 1; i < len(steps); {
			n := i
			for n < len(steps) && steps[n].verdict() == steps[i].verdict() {
				n++
			}
			put(service, steps[i:n], i, false)
			i = n
		}
		for i := 1; i < len(passing[service]); i++ {
			p := passing[service][i]
			if worse(p.verdict()) > max(worse(steps[i-1].verdict()), worse(steps[i].verdict())) {
				put(service, passing[service][i:i+1], i, true)
			}
		}
		if last := steps[len(steps)-1]; last.verdict() == promql.GoesSilent && !strings.Contains(last.path, "+W") {
			j.silentL4 = append(j.silentL4, service)
		}
	}
	slices.SortStableFunc(j.spans, func(a, b stretch) int {
		return cmp.Or(compareBool(a.passing, b.passing), cmp.Compare(a.from, b.from), cmp.Compare(worse(b.finding.Verdict), worse(a.finding.Verdict)), cmp.Compare(a.to, b.to), cmp.Compare(a.path, b.path))
	})
	defer func() {
		if j.verdict == promql.AlreadyDead {
			j.spans = nil
		}
	}()
	for _, s := range j.spans {
		if worse(s.finding.Verdict) > worse(j.verdict) && (!s.passing || j.verdict == promql.Unaffected || j.passing) {
			j.verdict, j.why, j.passing = s.finding.Verdict, s.finding.Reason, s.passing
		}
	}
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// collector puts stretches of Services together that are alike.
func (j *judgement) collector() func(service string, steps []step, from int, passing bool) {
	type key struct {
		from, to int
		verdict  promql.Verdict
		path     string
		passing  bool
	}
	at := map[key]int{}
	return func(service string, steps []step, from int, passing bool) {
		if steps[0].verdict() == promql.Unaffected {
			return
		}
		f := *steps[0].finding
		var paths []string
		for _, s := range steps {
			if s.path != "" && !slices.Contains(paths, s.path) {
				paths = append(paths, s.path)
			}
		}
		k := key{from, from + len(steps) - 1, f.Verdict, strings.Join(paths, ", then "), passing}
		if _, ok := at[k]; !ok {
			at[k] = len(j.spans)
			j.spans = append(j.spans, stretch{from: k.from, to: k.to, finding: f, path: k.path, passing: passing})
		}
		s := &j.spans[at[k]]
		s.services = append(s.services, service)
		j.healthy = j.healthy || f.LooksHealthy
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
