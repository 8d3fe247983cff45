package render

import (
	"fmt"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// telemetryPage is the data of telemetry.md.tmpl.
type telemetryPage struct {
	Head        string
	Summary     []string
	Parts       []telemetryPart
	Notes       []string
	Unaffected  []string
	Assumptions []string
}

type telemetryPart struct {
	Title    string
	Findings []telemetryFinding
	Queries  []telemetryQuery
}

type telemetryFinding struct {
	Head, Before, Message, Rule string
	Queries, Choices            []string
}

type telemetryQuery struct {
	Head, Role, Verdict, When, Rule, Why, Effect, Owner, Query, Rewritten, Proof, Simpler, Commit string
	Spans, Advice, Variables, NotIn                                                               []string
	Offers                                                                                        []api.TelemetryOffer
}

// TelemetryMarkdown is a report as a page with boxes to tick.
func TelemetryMarkdown(r *api.TelemetryReport) ([]byte, error) {
	s := r.Summary
	page := telemetryPage{
		Head: fmt.Sprintf("%s, %s. Made for the plan %s.", count(s.Blockers, "blocker"), count(s.Warnings, "warning"), r.Plan),
		Summary: []string{
			fmt.Sprintf("%s with %s read, %d understood", count(s.Files, "file"), queries(s.Queries), s.Parsed),
			fmt.Sprintf("%s proposed, %d proved in every state of the plan", count(s.Rewrites, "rewrite"), s.Proved),
		},
		Assumptions: r.Assumptions,
	}
	for _, p := range []struct {
		severity api.Severity
		title    string
	}{{api.Blocker, "Blockers"}, {api.Warning, "Warnings"}, {api.Info, "To know"}} {
		part := telemetryPart{Title: p.title}
		for _, f := range r.Findings {
			if f.Severity == p.severity {
				part.Findings = append(part.Findings, findingPart(f))
			}
		}
		for i := range r.Queries {
			if r.Queries[i].Severity == p.severity {
				part.Queries = append(part.Queries, queryPart(&r.Queries[i]))
			}
		}
		if len(part.Findings)+len(part.Queries) > 0 {
			page.Parts = append(page.Parts, part)
		}
	}
	for _, n := range r.Notes {
		page.Notes = append(page.Notes, strings.TrimSpace(place(n.Source)+" "+n.Kind+": "+n.Text))
	}
	for i := range r.Queries {
		if q := &r.Queries[i]; q.Verdict == api.TelemetryUnaffected {
			page.Unaffected = append(page.Unaffected, place(q.Source)+" "+q.Source.Name)
		}
	}
	return markdown("telemetry.md.tmpl", page)
}

func findingPart(f api.TelemetryFinding) telemetryFinding {
	out := telemetryFinding{Head: findingHead(f), Message: f.Message, Rule: f.Rule, Queries: f.Queries, Choices: f.Choices}
	if f.Before != (api.TelemetryStep{}) {
		out.Before = StepWords(f.Before)
	}
	return out
}

func queryPart(q *api.TelemetryQuery) telemetryQuery {
	out := telemetryQuery{
		Head: strings.TrimSpace(place(q.Source) + " " + q.Source.Name), Role: q.Role, Verdict: string(q.Verdict), When: when(q), Rule: q.Rule,
		Why: q.Why, Effect: q.Effect, Owner: q.Source.Owner, Query: q.Query, Advice: q.Advice,
	}
	out.Spans = spansWords(q.Spans)
	r := q.Rewrite
	if r == nil {
		return out
	}
	out.Rewritten, out.Proof, out.Simpler, out.Variables, out.NotIn, out.Offers = r.Query, ProofWords(r), r.Simpler, r.Variables, r.NotIn, r.Offers
	if r.Query != "" || len(r.Variables) > 0 || r.By != "" {
		out.Commit = StepWords(r.Before)
	}
	if r.By != "" {
		out.Advice = append(out.Advice, "mended by the rewrite of the recording rule "+r.By)
	}
	if r.Factor != 0 {
		out.Advice = append(out.Advice, fmt.Sprintf("today's value counts each call %g times: divide thresholds outside of the query by that", r.Factor))
	}
	if r.NotWritten != "" {
		out.Advice = append(out.Advice, "not written: "+r.NotWritten)
	}
	return out
}
