package telemetry

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/telemetry/promql"
	"github.com/ambientplan/ambientplan/telemetry/source"
	"github.com/ambientplan/ambientplan/telemetry/span"
)

// Input of an analysis.
type Input struct {
	// State is the mesh of today.
	State *mesh.State
	// Plan whose states are looked at, and what its states are.
	Plan   *api.MigrationPlan
	Planes *mesh.DataPlanes
	// Files with dashboards, rules and the like.
	Files []*source.File
}

// Result of an analysis.
type Result struct {
	Report *api.TelemetryReport
	// Rewritten files, those in which something changes; sorted by path.
	Rewritten []Rewritten
	// Extra are files besides, by path: unit tests for promtool with the rules that they test, a monitor.
	Extra map[string][]byte
}

// Rewritten is a file as it should become.
type Rewritten struct {
	Path string
	Data string
	// Queries that were changed in it, and Variables whose definition was.
	Queries   int
	Variables []string
}

// analysis carries what an analysis gathers.
type analysis struct {
	in     Input
	world  *world
	report *api.TelemetryReport
	// alikes are queries by what their judgement depends on.
	alikes map[likeKey]*judged
	// judged by query; recorded are rewrites of recording rules that were proved, by metric.
	judged   []*judged
	recorded map[string]*judged
	// needMonitor says that a monitor for waypoints and ztunnel is proposed.
	needMonitor bool
	edits       map[*source.File][]span.Edit
	// values are new values of dashboards' variables.
	values map[*source.Variable]map[string]string
}

// judged is a query with its judgement and its rewrite.
type judged struct {
	*judgement
	file    *source.File
	rewrite *promql.Rewrite
	simpler string
	// sharedVariable says what a variable's new value means for a query that did not need it.
	sharedVariable string
	// tested is the path of the alert's unit test, untested why there is none.
	tested, untested string
	// covered says that the new value mends it.
	covered bool
	// minutes says when an alert fires, original and rewrite.
	minutes string
	// whileRunning are the ways on which the rewrite is not equal, those while steps run among them; strict is a larger
	// rewrite that is right on more of these.
	whileRunning []promql.Failure
	strict       *promql.Rewrite
	// compared says that the query compares its result with a number.
	compared bool
	// written says that the file can be edited in place, notWritten why not.
	written    bool
	notWritten string
	// by is the metric of the recording rule whose rewrite mends this query.
	by string
}

// Analyze judges all queries of the files in all states of the plan. It fails when ctx is done, or when
// what it writes cannot be encoded.
func Analyze(ctx context.Context, in Input) (*Result, error) {
	a := &analysis{
		in: in, world: newWorld(in.State, in.Planes, in.Plan.Calls), recorded: map[string]*judged{},
		alikes: map[likeKey]*judged{}, edits: map[*source.File][]span.Edit{}, values: map[*source.Variable]map[string]string{},
		report: &api.TelemetryReport{
			TypeMeta: api.TypeMeta{APIVersion: api.APIVersion, Kind: "TelemetryReport"}, Plan: in.Plan.Digest,
			Queries: []api.TelemetryQuery{}, Findings: []api.TelemetryFinding{}, Notes: []api.TelemetryNote{},
		},
	}
	rules, order := a.rules()
	old := newBenches(rules)
	for _, q := range order {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		a.one(q, old, nil)
	}
	fresh := old
	if len(a.recorded) > 0 {
		fresh = newBenches(a.rewrittenRules(rules))
	}
	for _, j := range a.judged {
		a.mendedBelow(j, fresh)
	}
	for _, f := range in.Files {
		for _, q := range f.Queries {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if q.Role != source.Recording {
				a.one(fileQuery{f, q}, old, fresh)
			}
		}
	}
	a.guard(old)
	tests := a.tests()
	rewritten := a.files()
	a.write()
	if a.needMonitor {
		monitor, err := encodeYAML(ambientMonitor(in.State.RootNamespace()))
		if err != nil {
			return nil, err
		}
		tests["scrape/podmonitor.yaml"] = monitor
	}
	return &Result{Report: a.report, Rewritten: rewritten, Extra: tests}, nil
}

// fileQuery is a query and the file that it stands in.
type fileQuery struct {
	file *source.File
	q    *source.Query
}

// rules are the recording rules of all files, and their queries in such an order that what a rule rests on comes
// before it.
func (a *analysis) rules() ([]promql.Rule, []fileQuery) {
	var rules []promql.Rule
	byRecord := map[string][]fileQuery{}
	var all []fileQuery
	for _, f := range a.in.Files {
		for _, q := range f.Queries {
			if q.Role != source.Recording || q.Record == "" {
				continue
			}
			all = append(all, fileQuery{f, q})
			if q.Expr != "" && q.Language == source.PromQL {
				rules = append(rules, promql.Rule{Record: q.Record, Expr: q.Expr})
				byRecord[q.Record] = append(byRecord[q.Record], fileQuery{f, q})
			}
		}
	}
	var order []fileQuery
	seen := map[*source.Query]bool{}
	var visit func(x fileQuery)
	visit = func(x fileQuery) {
		if seen[x.q] {
			return
		}
		seen[x.q] = true
		if parsed, err := sketch(x.q, x.q.Expr); x.q.Expr != "" && err == nil {
			for _, s := range parsed.Selectors {
				for _, below := range byRecord[s.Metric] {
					visit(below)
				}
			}
		}
		order = append(order, x)
	}
	for _, x := range all {
		visit(x)
	}
	return rules, order
}

// rewrittenRules are the recording rules as they are once the proved rewrites are in force.
func (a *analysis) rewrittenRules(rules []promql.Rule) []promql.Rule {
	out := slices.Clone(rules)
	for i := range out {
		for _, j := range a.judged {
			if j.q.Record == out[i].Record && j.q.Expr == out[i].Expr && j.rewrite != nil && a.worthWriting(j.rewrite) && j.rewrite.Factor == 1 {
				out[i].Expr = j.rewrite.Text
			}
		}
	}
	return out
}

// one judges a query and looks for a rewrite.
func (a *analysis) one(x fileQuery, old, fresh *benches) {
	key, same := likeness(x.q)
	if have := a.alikes[key]; same && have != nil {
		a.again(have, x)
		return
	}
	j := &judged{judgement: a.world.judge(x.q, old), file: x.file}
	a.judged = append(a.judged, j)
	if same {
		a.alikes[key] = j
	}
	if j.verdict == promql.Unaffected || j.verdict == promql.AlreadyDead || len(j.trials) == 0 {
		return
	}
	trials, every, last, whole, b := j.trials, j.every, j.last, j.whole, old
	if by := a.restsOn(x.q); by != "" && fresh != nil && fresh != old {
		now := a.world.judge(x.q, fresh)
		if now.verdict == promql.Unaffected || now.passing {
			j.by = by
			return
		}
		trials, every, last, whole, b = now.trials, now.every, now.last, now.whole, fresh
	}
	r := a.inside(j, a.rewriteAll(j.judgement, trials, b))
	if r.Form == promql.NoForm && r.Connections == "" && len(r.Offers) == 0 {
		return
	}
	if why := outOfScope(j, r); why != "" {
		r.Failed = append(r.Failed, promql.Failure{State: "namespace=" + strconv.Quote(x.q.Scope), Reason: why})
	}
	j.rewrite = &r
	if len(r.Edits)+len(r.Variable) > 0 && len(every) > 0 && j.prefix == 0 {
		if j.whileRunning = promql.Check(every, r); len(j.whileRunning) > len(r.Failed) {
			if strict := promql.RewriteAll(every, j.names); strict.Form > r.Form && len(strict.Failed) < len(j.whileRunning) && strict.Text != r.Text {
				j.strict = &strict
			}
		}
	}
	if x.q.Role == source.Alert && r.Form != promql.NoForm {
		j.minutes = minutesOf(whole, &r, x.q)
	}
	if len(r.Edits) > 0 && len(last) > 0 && j.prefix == 0 {
		if end := promql.RewriteAll(last, j.names); end.Complete() && len(end.Text) < len(r.Text) && end.Text != x.q.Expr {
			j.simpler = end.Text
		}
	}
	if x.q.Role == source.Recording && a.worthWriting(&r) && r.Factor == 1 {
		a.recorded[x.q.Record] = j
	}
	_, j.compared = trials[0].Query.Compared()
	a.settle(j)
}

// outOfScope says what a rewrite rests on that the monitoring keeps from the query, when it adds a namespace to each
// selector; the proof knows nothing of that.
func outOfScope(j *judged, r promql.Rewrite) string {
	if j.q.Scope == "" || len(r.Edits)+len(r.Variable) == 0 {
		return ""
	}
	for _, w := range j.names.Waypoints {
		if w.Namespace != j.q.Scope {
			return "the monitoring adds the namespace to each selector, and the waypoint " + w.String() + " is in another one"
		}
	}
	if r.Form != promql.N && r.Form != promql.D {
		return "the monitoring adds the namespace to each selector, so that what clients of other namespaces report is not seen"
	}
	return ""
}

// settle decides whether a rewrite is written.
func (a *analysis) settle(j *judged) {
	if j.rewrite == nil || !a.worthWriting(j.rewrite) {
		return
	}
	if j.rewrite.Factor != 1 && (!j.compared || j.prefix > 0) {
		j.notWritten = fmt.Sprintf("its value would be %g times smaller: change the file together with thresholds and titles that stand outside of the query", j.rewrite.Factor)
		return
	}
	a.edit(j)
}

// likeKey is what a judgement depends on, besides the mesh and the plan.
type likeKey struct {
	text, scope  string
	role         source.Role
	hold, keep   time.Duration
	selectorOnly bool
	threshold    source.Threshold
}

// likeness is the key of queries that are judged alike: copies of dashboards and rules are common. Queries with
// variables depend on the definitions of these as well, and recording rules on each other.
func likeness(q *source.Query) (likeKey, bool) {
	k := likeKey{q.Expr, q.Scope, q.Role, q.For, q.KeepFiring, q.SelectorOnly, source.Threshold{}}
	if q.Threshold != nil {
		k.threshold = *q.Threshold
	}
	return k, q.Expr != "" && len(q.Variables) == 0 && q.Role != source.Recording
}

// again takes over what was found out about a query that reads the same.
func (a *analysis) again(have *judged, x fileQuery) {
	judgement := *have.judgement
	judgement.q = x.q
	j := *have
	j.judgement, j.file = &judgement, x.file
	j.written, j.notWritten = false, ""
	a.judged = append(a.judged, &j)
	a.settle(&j)
}

// mendedBelow looks whether a recording rule on which nothing was rewritten is mended by what it rests on.
func (a *analysis) mendedBelow(j *judged, fresh *benches) {
	if j.rewrite != nil && a.worthWriting(j.rewrite) || len(j.trials) == 0 {
		return
	}
	if by := a.restsOn(j.q); by != "" {
		if now := a.world.judge(j.q, fresh); now.verdict == promql.Unaffected || now.passing {
			j.by = by
		}
	}
}

// inside takes a rewrite of a query that had to be wrapped to be evaluated back to the text that stands in the file. A
// rewrite that changes the wrapping is none.
func (a *analysis) inside(j *judged, r promql.Rewrite) promql.Rewrite {
	if j.prefix == 0 || r.Form == promql.NoForm {
		return r
	}
	var edits []promql.Edit
	for _, e := range r.Edits {
		switch {
		case e.Start >= j.prefix && e.End <= j.prefix+len(j.q.Expr):
			edits = append(edits, promql.Edit{Start: e.Start - j.prefix, End: e.End - j.prefix, Text: e.Text})
		case e.Start > j.prefix+len(j.q.Expr) && r.Factor != 1:
			// The threshold beside the query: it is said, not written.
		default:
			return promql.Rewrite{Factor: 1}
		}
	}
	r.Edits, r.Connections, r.Offers = edits, "", nil
	if text, err := span.Apply(j.q.Expr, spanEdits(r.Edits)); err == nil {
		r.Text = text
	}
	return r
}

// maxTimelines bounds on how many kinds of calls an alert is run minute by minute.
const maxTimelines = 4

// minutesOf says when the rewrite of an alert fires, compared with the original on the old model: the worst of what it
// does for several kinds of calls.
func minutesOf(trials []promql.Trial, r *promql.Rewrite, q *source.Query) string {
	var worst *promql.Minutes
	for i, t := range trials {
		if i == maxTimelines {
			break
		}
		m := t.Bench.SameMinute(t.Query, r, q.For, q.KeepFiring)
		if worst == nil || worst.Same && !m.Same || worst.Same == m.Same && m.Off > worst.Off {
			worst = &m
		}
	}
	if worst == nil {
		return ""
	}
	return worst.String()
}

// restsOn is a recording rule that was rewritten and that the query uses, itself or through other rules; "" for none.
func (a *analysis) restsOn(q *source.Query) string {
	seen := map[string]bool{}
	var find func(q *source.Query) string
	find = func(q *source.Query) string {
		parsed, err := sketch(q, q.Expr)
		if err != nil {
			return ""
		}
		for _, s := range parsed.Selectors {
			if a.recorded[s.Metric] != nil {
				return s.Metric
			}
			if seen[s.Metric] {
				continue
			}
			seen[s.Metric] = true
			for _, j := range a.judged {
				if j.q.Role == source.Recording && j.q.Record != "" && j.q.Record == s.Metric {
					if by := find(j.q); by != "" {
						return by
					}
				}
			}
		}
		return ""
	}
	return find(q)
}

// worthWriting says that a rewrite is right wherever anything can be: everywhere but on ways on which nobody counts
// requests.
func (a *analysis) worthWriting(r *promql.Rewrite) bool {
	if len(r.Edits) == 0 && len(r.Variable) == 0 {
		return false
	}
	for _, f := range r.Failed {
		if !uncounted(f.State) {
			return false
		}
	}
	return len(r.Proved) > 0
}

// uncounted says that on a way, in the notation of the facts, no proxy sees requests.
func uncounted(way string) bool { return way == "A->A" || way == "OUT->A" || way == "OUT->A+W" }

// edit notes the edits of a rewrite for its file, or why there are none.
func (a *analysis) edit(j *judged) {
	found, err := j.q.Edits(spanEdits(j.rewrite.Edits))
	if err != nil {
		j.notWritten = err.Error()
		return
	}
	for _, v := range j.rewrite.Variable {
		for _, variable := range j.q.Variables {
			if slices.Contains(strings.Split(v.Old, "|"), v.Old) && variable.Kind == source.Fixed && slices.Contains(append(variable.Values, variable.Current...), v.Old) {
				more, err := variable.Edit(v.Old, v.New)
				if err != nil {
					j.notWritten = err.Error()
					return
				}
				if a.values[variable] == nil {
					a.values[variable] = map[string]string{}
				}
				if _, done := a.values[variable][v.Old]; !done {
					a.values[variable][v.Old] = v.New
					a.edits[j.file] = append(a.edits[j.file], more...)
				}
			}
		}
	}
	a.edits[j.file] = append(a.edits[j.file], found...)
	j.written = true
}

// files are the files with all edits made.
func (a *analysis) files() []Rewritten {
	var out []Rewritten
	for _, f := range a.in.Files {
		edits := a.edits[f]
		if len(edits) == 0 {
			continue
		}
		data, err := span.Apply(f.Data, edits)
		if err != nil {
			a.note(f.Path, 0, "suspicious", "it was not rewritten: "+err.Error())
			continue
		}
		r := Rewritten{Path: f.Path, Data: data}
		for _, j := range a.judged {
			if j.file == f && j.written {
				r.Queries++
			}
		}
		for v := range a.values {
			if slices.ContainsFunc(f.Queries, func(q *source.Query) bool { return slices.Contains(q.Variables, v) }) {
				r.Variables = append(r.Variables, v.Name)
			}
		}
		slices.Sort(r.Variables)
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Rewritten) int { return cmp.Compare(a.Path, b.Path) })
	return out
}

func (a *analysis) note(file string, line int, kind, text string) {
	a.report.Notes = append(a.report.Notes, api.TelemetryNote{Source: api.TelemetrySource{File: file, Line: line}, Kind: kind, Text: text})
}

// stepOf names a state of the plan.
func (a *analysis) stepOf(i int) api.TelemetryStep { return a.world.steps[i] }

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
