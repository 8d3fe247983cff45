package telemetry

import (
	"cmp"
	"fmt"
	"slices"
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
	// trials are what a rewrite must be right on, last those with only the ways that are left in the end.
	trials, last []promql.Trial
	names        promql.Names
	// evaluated counts ways of calls, guessed says that callers were guessed for some of them.
	evaluated int
	guessed   bool
	// silentL4 are Services whose requests nobody counts any more when the plan is done.
	silentL4 []string
	// named says that the query names one of few Services, not the whole mesh.
	named bool
	// security says that it watches who calls or what is encrypted.
	security bool
}

// stretch is a part of the plan, its states in a row, of states with one verdict.
type stretch struct {
	from, to int // states; to is the last one
	finding  promql.Finding
	services []string
	path     string
}

// judge judges a query in all states of the plan.
func (w *world) judge(q *source.Query, b *benches) *judgement {
	j := &judgement{q: q}
	if q.Language != source.PromQL || q.Expr == "" {
		j.why = cmp.Or(q.Unread, "it is not written in PromQL")
		return j
	}
	rough, err := sketch(q)
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
	return j
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
	classes := w.classesOf(rough)
	if len(classes) == 0 {
		w.judgeForeign(j, rough, b)
		return
	}
	j.named = w.fewServices(classes)
	type result map[string]promql.Finding
	results := make([]result, len(classes))
	nothing := promql.Finding{}
	for i, c := range classes {
		f := c.flows[0]
		l := b.lane(f)
		if l.why != "" {
			j.why = l.why
			return
		}
		q, err := promql.ParseFilled(j.q.Expr, fillFor(j.q, f, nil))
		if err != nil {
			j.why = err.Error()
			return
		}
		results[i] = result{}
		for name, state := range l.states {
			if state == 0 {
				continue
			}
			results[i][name] = l.bench.Judge(q, 0, state)
			j.evaluated++
		}
		if len(l.states) == 1 {
			results[i][""] = l.bench.Judge(q, 0, 0)
		}
		if unselected(results[i]) {
			for _, one := range results[i] {
				nothing = one
			}
			results[i] = nil
			continue
		}
		j.trials = append(j.trials, promql.Trial{Bench: l.bench, Query: q})
		if end := b.last(f); end.why == "" {
			j.last = append(j.last, promql.Trial{Bench: end.bench, Query: q})
		}
	}
	if len(j.trials) == 0 {
		j.verdict, j.why = promql.CannotTell, cmp.Or(nothing.Reason, "it selects none of the calls that are known")
		if nothing.Verdict != promql.CannotTell {
			j.verdict = nothing.Verdict
		}
		return
	}
	j.names = namesOf(classes)
	byService := map[string][]step{}
	for i, c := range classes {
		for _, f := range c.flows {
			if results[i] != nil {
				j.guessed = j.guessed || f.guessed
				byService[f.service] = f.lay(byService[f.service], results[i])
			}
		}
	}
	j.fold(byService)
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
	l := b.lane(w.flows[0])
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
			for _, ways := range f.ways {
				for _, one := range ways {
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

// lay puts what happens to one flow over what happens to others of its Service.
func (f *flow) lay(steps []step, r map[string]promql.Finding) []step {
	if steps == nil {
		steps = make([]step, len(f.ways))
	}
	today := f.ways[0][0].name(f)
	for i, ways := range f.ways {
		for _, one := range ways {
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

// fold makes spans of what happens to Services, state by state, and puts Services that share their spans together.
func (j *judgement) fold(byService map[string][]step) {
	type key struct {
		from, to int
		verdict  promql.Verdict
		path     string
	}
	at := map[key]int{}
	j.verdict, j.why = promql.Unaffected, "the same result in all states of the plan"
	for _, service := range sortedKeys(byService) {
		steps := byService[service]
		for i := 1; i < len(steps); {
			n := i
			for n < len(steps) && steps[n].finding.Verdict == steps[i].finding.Verdict && steps[n].path == steps[i].path {
				n++
			}
			f := steps[i].finding
			if f.Verdict != promql.Unaffected {
				k := key{i, n - 1, f.Verdict, steps[i].path}
				if _, ok := at[k]; !ok {
					at[k] = len(j.spans)
					j.spans = append(j.spans, stretch{from: i, to: n - 1, finding: f, path: steps[i].path})
				}
				s := &j.spans[at[k]]
				s.services = append(s.services, service)
				j.healthy = j.healthy || f.LooksHealthy
			}
			i = n
		}
		if last := steps[len(steps)-1]; last.finding.Verdict == promql.GoesSilent && !strings.Contains(last.path, "+W") {
			j.silentL4 = append(j.silentL4, service)
		}
	}
	slices.SortStableFunc(j.spans, func(a, b stretch) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(worse(b.finding.Verdict), worse(a.finding.Verdict)), cmp.Compare(a.to, b.to), cmp.Compare(a.path, b.path))
	})
	for _, s := range j.spans {
		if worse(s.finding.Verdict) > worse(j.verdict) {
			j.verdict, j.why = s.finding.Verdict, s.finding.Reason
		}
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

// where says where a judgement holds, for reports.
func (s stretch) where() string {
	return fmt.Sprintf("%s of %s", s.path, strings.Join(s.services, ", "))
}
