package telemetry

import (
	"slices"
	"strings"

	"github.com/ambientplan/ambientplan/telemetry/promql"
	"github.com/ambientplan/ambientplan/telemetry/source"
	"github.com/ambientplan/ambientplan/telemetry/span"
)

// guard looks after the queries that share a variable whose definition changes. A reporter's variable that takes in
// the waypoint mends queries on requests; the same variable in queries on connections would count those of a waypoint
// again. They get a matcher that keeps the waypoint out, if that keeps them what they are.
func (a *analysis) guard(b *benches) {
	for _, j := range a.judged {
		choice := a.changed(j.q)
		if len(choice) == 0 || j.prefix > 0 || j.rewrite != nil && len(j.rewrite.Variable) > 0 || len(j.reps) == 0 {
			continue
		}
		if a.alike(j, b, j.q.Expr, choice) {
			continue
		}
		if j.q.Role == source.Selection && a.covers(j, b, choice) {
			j.sharedVariable = "with the new value of " + strings.Join(sortedKeys(choice), ", ") + " it offers all that it offered before, and waypoints"
			j.covered = true
			continue
		}
		edits := keepWaypointOut(j.q)
		text, err := span.Apply(j.q.Expr, edits)
		if err != nil || len(edits) == 0 || !a.alike(j, b, text, choice) {
			j.sharedVariable = "it shares the variable " + strings.Join(sortedKeys(choice), ", ") + " with queries that need its new value, with which it shows something else"
			continue
		}
		found, err := j.q.Edits(edits)
		if err != nil {
			j.sharedVariable = "it shares a variable whose value changes: " + err.Error()
			continue
		}
		a.edits[j.file] = append(a.edits[j.file], found...)
		j.sharedVariable = "its text gets reporter!=\"waypoint\", so that the variable's new value changes nothing here"
		j.written = true
	}
}

// changed are the new values of the variables that a query names.
func (a *analysis) changed(q *source.Query) map[string]string {
	out := map[string]string{}
	for _, v := range q.Variables {
		for _, old := range sortedKeys(a.values[v]) {
			out[v.Name] = joined(strings.Split(a.values[v][old], "|"))
		}
	}
	return out
}

// alike says that a text with new values of variables gives, on every way of calls, what the query gives with the old
// ones.
func (a *analysis) alike(j *judged, b *benches, text string, choice map[string]string) bool {
	for _, f := range j.reps {
		l := b.every(f)
		if l.why != "" {
			return false
		}
		was, err := promql.ParseFilled(j.text, fillFor(j.q, f, nil))
		if err != nil {
			return false
		}
		is, err := promql.ParseFilled(text, fillFor(j.q, f, choice))
		if err != nil {
			return false
		}
		for _, state := range l.states {
			if state >= 0 && !l.bench.Alike(was, is, state) {
				return false
			}
		}
	}
	return true
}

// covers says that with new values of variables a query offers, between steps, all that it offers today.
func (a *analysis) covers(j *judged, b *benches, choice map[string]string) bool {
	for _, f := range j.reps {
		l := b.ends(f)
		was, err := promql.ParseFilled(j.text, fillFor(j.q, f, nil))
		if err != nil || l.why != "" {
			return false
		}
		is, err := promql.ParseFilled(j.q.Expr, fillFor(j.q, f, choice))
		if err != nil {
			return false
		}
		for _, state := range l.states {
			if state >= 0 && !l.bench.Covers(was, is, state) {
				return false
			}
		}
	}
	return true
}

// keepWaypointOut adds a matcher to each selector whose reporter is a variable.
func keepWaypointOut(q *source.Query) []span.Edit {
	parsed, err := promql.Parse(q.Expr)
	if err != nil {
		return nil
	}
	var edits []span.Edit
	for _, s := range parsed.Selectors {
		for _, m := range s.Matchers {
			if m.Name == "reporter" && slices.ContainsFunc(q.Variables, func(v *source.Variable) bool { return names(v, m.Value) }) {
				if at := s.Matcher(parsed, "reporter"); at >= 0 {
					edits = append(edits, span.Edit{Start: at, End: at, Text: ",reporter!=\"waypoint\""})
				}
			}
		}
	}
	return edits
}

// names says that a text names a variable.
func names(v *source.Variable, text string) bool {
	return slices.ContainsFunc(v.Spellings, func(s string) bool { return strings.Contains(text, s) })
}
