package telemetry

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/ambientplan/ambientplan/telemetry/promql"
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
	// classes of calls that it selects, for other values of its variables.
	classes []class
	// trials are what a rewrite must be right on: the ways of calls between steps. every has also those while a step
	// runs, last only those that are left in the end.
	trials, every, last []promql.Trial
	names               promql.Names
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
		w.judgeCalls(j, rough, b)
	} else {
		w.judgeTogether(j, rough, b)
	}
	if q.Role == source.Recording && keepsReporter(rough, j) {
		j.verdict, j.why, j.spans, j.silentL4 = promql.Unaffected, "it keeps the label reporter: the queries that use it are judged by themselves (Q33)", nil, nil
		j.trials, j.every, j.last = nil, nil, nil
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

// judgeCalls judges a query on the metrics of calls: for each kind of call by itself, since what is reported of one
// does not depend on another.
func (w *world) judgeCalls(j *judgement, rough *promql.Query, b *benches) {
	classes := w.classesOf(rough, j.q, b)
	if len(classes) == 0 {
		w.judgeForeign(j, rough, b)
		return
	}
	j.named, j.classes = w.fewServices(classes), classes
	type result map[string]promql.Finding
	results := make([]result, len(classes))
	nothing := promql.Finding{}
	for i, c := range classes {
		f := c.flows[0]
		l, ends, last := b.every(f), b.ends(f), b.last(f)
		if l.why != "" {
			j.why = l.why
			return
		}
		q, err := promql.ParseFilled(j.text, fillFor(j.q, f, nil))
		if err != nil {
			j.why = err.Error()
			return
		}
		results[i] = result{}
		for _, name := range sortedKeys(l.states) {
			state := l.states[name]
			if state == 0 {
				continue
			}
			results[i][name] = j.asked(l.bench.Judge(q, 0, state))
			j.evaluated++
		}
		if len(l.states) == 1 {
			results[i][""] = l.bench.Judge(q, 0, 0)
		}
		if unselected(results[i]) {
			for _, name := range sortedKeys(results[i]) {
				nothing = results[i][name]
			}
			results[i] = nil
			continue
		}
		sameNothing(results[i])
		j.every = append(j.every, promql.Trial{Bench: l.bench, Query: q})
		j.trials = append(j.trials, promql.Trial{Bench: ends.bench, Query: q})
		j.last = append(j.last, promql.Trial{Bench: last.bench, Query: q})
	}
	if len(j.trials) == 0 {
		j.verdict, j.why = promql.CannotTell, cmp.Or(nothing.Reason, "it selects none of the calls that are known")
		if nothing.Verdict != promql.CannotTell {
			j.verdict = nothing.Verdict
		}
		return
	}
	j.names = namesOf(classes)
	standing, passing := map[string][]step{}, map[string][]step{}
	for i, c := range classes {
		for _, f := range c.flows {
			if results[i] != nil {
				standing[f.service] = f.lay(standing[f.service], results[i], ways.standing)
				passing[f.service] = f.lay(passing[f.service], results[i], func(w ways) []way { return w.all })
			}
		}
	}
	j.fold(standing, passing)
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
func sameNothing(r map[string]promql.Finding) {
	for name, f := range r {
		if f.Verdict == promql.CannotTell && len(f.Before)+len(f.After)+len(f.Evidence) == 0 {
			r[name] = promql.Finding{Verdict: promql.Unaffected, Reason: "nothing, as today"}
		}
	}
}

// unselected says that none of the findings is about a query that selects something.
func unselected(r map[string]promql.Finding) bool {
	for _, f := range r {
		if f.Verdict != promql.CannotTell || len(f.Before)+len(f.After)+len(f.Evidence) > 0 {
			return false
		}
	}
	return true
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
	f := l.bench.Judge(rough, 0, len(l.states)-1)
	if f.Verdict == promql.AlreadyDead {
		j.verdict, j.why = f.Verdict, f.Reason
		return
	}
	j.why = "it names callers or services that are not in the inventory"
}

func (w *world) fewServices(classes []class) bool {
	services := map[string]bool{}
	for _, c := range classes {
		for _, f := range c.flows {
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

func namesOf(classes []class) promql.Names {
	var n promql.Names
	for _, c := range classes {
		for _, f := range c.flows {
			for _, at := range f.ways {
				for _, one := range at.all {
					if one.waypoint.Name == "" {
						continue
					}
					wp := waypointOf(one.waypoint)
					n.Waypoints = append(n.Waypoints, wp.Workload)
					if f.gateway && wp.IngressUse {
						n.Gateways = append(n.Gateways, f.call.From.Name)
					}
				}
			}
		}
	}
	slices.SortFunc(n.Waypoints, func(a, b workloadRef) int { return strings.Compare(a.String(), b.String()) })
	n.Waypoints = slices.Compact(n.Waypoints)
	slices.Sort(n.Gateways)
	n.Gateways = slices.Compact(n.Gateways)
	return n
}

// step is the worst finding of a Service's calls in one state.
type step struct {
	finding promql.Finding
	path    string
	set     bool
}

// lay puts what happens to one flow over what happens to others of its Service, on the ways that which chooses.
func (f *flow) lay(steps []step, r map[string]promql.Finding, which func(ways) []way) []step {
	if steps == nil {
		steps = make([]step, len(f.ways))
	}
	today := f.ways[0].all[0].name(f)
	for i, at := range f.ways {
		for _, one := range which(at) {
			name := one.name(f)
			found := promql.Finding{Verdict: promql.Unaffected}
			if name != today {
				found = r[name]
			} else if only, ok := r[""]; ok {
				found = only
			}
			if !steps[i].set || worse(found.Verdict) > worse(steps[i].finding.Verdict) {
				steps[i] = step{found, name, true}
			}
		}
	}
	return steps
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
			for n < len(steps) && steps[n].finding.Verdict == steps[i].finding.Verdict {
				n++
			}
			put(service, steps[i:n], i, false)
			i = n
		}
		for i := 1; i < len(passing[service]); i++ {
			p := passing[service][i]
			if worse(p.finding.Verdict) > max(worse(steps[i-1].finding.Verdict), worse(steps[i].finding.Verdict)) {
				put(service, passing[service][i:i+1], i, true)
			}
		}
		if last := steps[len(steps)-1]; last.finding.Verdict == promql.GoesSilent && !strings.Contains(last.path, "+W") {
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
		f := steps[0].finding
		if f.Verdict == promql.Unaffected {
			return
		}
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
