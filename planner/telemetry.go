package planner

import (
	"fmt"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// AddTelemetry puts a report on dashboards and alerts into the plan that it was made for. Its blockers become findings
// of the plan, and what was not understood an unknown, so that a plan with a canary analysis that passes everything is
// not called complete. Queries that stay as they are are left out.
func AddTelemetry(p *api.MigrationPlan, r *api.TelemetryReport) {
	kept := *r
	kept.Queries = slices.DeleteFunc(slices.Clone(r.Queries), func(q api.TelemetryQuery) bool { return q.Verdict == api.TelemetryUnaffected })
	p.Telemetry = &kept
	for i := range kept.Queries {
		if q := &kept.Queries[i]; q.Severity == api.Blocker {
			p.Findings = append(p.Findings, telemetryQueryFinding(q))
		}
	}
	for _, f := range r.Findings {
		if f.Severity != api.Blocker {
			continue
		}
		subject := f.Subject
		if subject == (api.Ref{}) {
			subject = telemetrySubject(f.Source)
		}
		p.Findings = append(p.Findings, api.Finding{ID: f.Rule, Severity: f.Severity, Subject: subject, Message: f.Message, Action: strings.Join(f.Choices, "; or ")})
	}
	slices.SortStableFunc(p.Findings, api.Finding.Compare)
	if len(r.Notes) > 0 {
		p.Unknowns = append(p.Unknowns, telemetryUnknown(r))
		p.Summary.Unknowns++
	}
	p.Summary.Blockers += r.Summary.Blockers
	complete(p)
}

func telemetrySubject(s api.TelemetrySource) api.Ref {
	ref := api.Ref{Kind: s.Kind, Namespace: s.Namespace, Name: s.Object}
	if ref.Kind == "" {
		ref.Kind = "File"
	}
	if ref.Name == "" {
		ref.Name = s.File
	}
	return ref
}

func placeOf(s api.TelemetrySource) string {
	return api.Origin{File: s.File, Line: s.Line}.At("")
}

func telemetryQueryFinding(q *api.TelemetryQuery) api.Finding {
	f := api.Finding{
		ID: q.Rule, Severity: q.Severity, Subject: telemetrySubject(q.Source), Effect: q.Effect,
		Message:  fmt.Sprintf("%s %q %s: %s", q.Role, q.Source.Name, q.Verdict, q.Why),
		Evidence: []api.Evidence{{Object: telemetrySubject(q.Source), Path: q.Source.Path, Source: placeOf(q.Source)}},
		Action:   "decide what it should watch",
	}
	if r := q.Rewrite; r != nil && (r.Query != "" || len(r.Variables) > 0 || r.By != "") {
		f.Action = fmt.Sprintf("commit its rewrite before wave %d/%s", r.Before.Wave, r.Before.Step)
	}
	return f
}

func telemetryUnknown(r *api.TelemetryReport) api.Unknown {
	u := api.Unknown{
		ID: "T16", Subject: api.Ref{Kind: "Cluster"},
		What:   fmt.Sprintf("%d files or queries on the mesh's metrics were not understood", len(r.Notes)),
		Could:  "dashboards, alerts or autoscalers that break unseen",
		Action: "look at them; hand in what templates render to",
	}
	for _, n := range r.Notes {
		u.Evidence = append(u.Evidence, api.Evidence{Object: telemetrySubject(n.Source), Value: n.Kind + ": " + n.Text, Source: placeOf(n.Source)})
	}
	return u
}
