package render

import (
	"fmt"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// telemetryRow is a line of a wave's checklist about a dashboard, an alert or the like.
type telemetryRow struct {
	// Do is what has to be done before which step; Open tells that nobody knows how.
	Do string
	// What it is, where, whose, what becomes of it and what that does.
	What, Place, Owner, Happens, Effect string
	Severity                            api.Severity
	Rule                                string
}

// telemetryOf are the rows of a wave: what changes in it, and what must be settled before one of its steps.
func telemetryOf(p *api.MigrationPlan, w *api.Wave) (rows []telemetryRow, notUnderstood int) {
	r := p.Telemetry
	if r == nil {
		return nil, 0
	}
	for i := range r.Queries {
		if q := &r.Queries[i]; concernsWave(q, w.Number) {
			rows = append(rows, queryRow(q, w.Number))
		}
	}
	for _, f := range r.Findings {
		if f.Before.Wave == w.Number && (f.Before.Step != "" || w.Number == 0) {
			rows = append(rows, findingRow(f))
		}
	}
	if w.Number == 0 {
		notUnderstood = len(r.Notes)
	}
	return rows, notUnderstood
}

// concernsWave says that what happens to a query begins, ends or must be settled in a wave.
func concernsWave(q *api.TelemetryQuery, wave int) bool {
	if q.Verdict == api.TelemetryUnaffected || q.Verdict == api.TelemetryAlreadyDead {
		return false
	}
	for _, s := range q.Spans {
		if s.From.Wave == wave || s.To != (api.TelemetryStep{}) && s.To.Wave == wave {
			return true
		}
	}
	return len(q.Spans) == 0 && wave == 0
}

func queryRow(q *api.TelemetryQuery, wave int) telemetryRow {
	row := telemetryRow{
		What: strings.TrimSpace(q.Role + " " + q.Source.Name), Place: place(q.Source), Owner: q.Source.Owner,
		Effect: q.Effect, Severity: q.Severity, Rule: q.Rule, Do: "decide what it should watch",
	}
	row.Happens = strings.Join(spansWords(q.Spans), "; ")
	if row.Happens == "" {
		row.Happens = string(q.Verdict) + ": " + q.Why
	}
	r := q.Rewrite
	if r == nil || r.Query == "" && len(r.Variables) == 0 && r.By == "" {
		return row
	}
	where := "the rewrite"
	switch {
	case r.By != "":
		where = "the rewrite of the recording rule " + r.By
	case r.Written:
		where = "telemetry/" + q.Source.File
	}
	row.Do = fmt.Sprintf("commit %s before %s", where, StepWords(r.Before))
	if r.Before.Wave != wave {
		row.Do = fmt.Sprintf("%s was committed before %s", where, StepWords(r.Before))
	}
	return row
}

func findingRow(f api.TelemetryFinding) telemetryRow {
	row := telemetryRow{What: findingHead(f), Owner: f.Source.Owner, Happens: f.Message, Severity: f.Severity, Rule: f.Rule, Do: "settle it before " + StepWords(f.Before)}
	if len(f.Choices) > 0 {
		row.Effect = "choices: " + strings.Join(f.Choices, "; or ")
	}
	return row
}
