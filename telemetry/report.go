package telemetry

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/telemetry/promql"
	"github.com/ambientplan/ambientplan/telemetry/source"
	"github.com/ambientplan/ambientplan/telemetry/span"
)

// write fills the report.
func (a *analysis) write() {
	for _, j := range a.judged {
		a.report.Queries = append(a.report.Queries, a.query(j))
	}
	slices.SortStableFunc(a.report.Queries, func(x, y api.TelemetryQuery) int {
		return cmp.Or(cmp.Compare(x.Source.File, y.Source.File), cmp.Compare(x.Source.Line, y.Source.Line), cmp.Compare(x.Source.Column, y.Source.Column))
	})
	for _, f := range a.in.Files {
		for _, n := range f.Notes {
			a.report.Notes = append(a.report.Notes, api.TelemetryNote{Source: sourceOf(n.File, n.Line, n.Column, n.Object), Kind: noteKind(n.Kind), Text: n.Text})
		}
		for _, x := range f.Watches {
			a.report.Findings = append(a.report.Findings, a.watch(x))
		}
	}
	a.lost()
	a.quietWaypoints()
	a.unscraped()
	a.odd()
	slices.SortStableFunc(a.report.Findings, compareFindings)
	a.assume()
	a.count()
}

func sourceOf(file string, line, column int, o source.Object) api.TelemetrySource {
	return api.TelemetrySource{File: file, Line: line, Column: column, Kind: o.Kind, Namespace: o.Namespace, Object: o.Name, UID: o.UID, Owner: o.Owner}
}

func noteKind(k source.NoteKind) string {
	switch k {
	case source.Unreadable:
		return "unreadable"
	case source.Remote:
		return "remote"
	case source.Unrecognised:
		return "unrecognised"
	case source.FlagOnly:
		return "flag only"
	case source.Suspicious:
		return "suspicious"
	case source.NoteUnknown:
	}
	return "unknown"
}

// verdicts in documents.
func verdictOf(v promql.Verdict) api.TelemetryVerdict { return api.TelemetryVerdict(v.String()) }

func (a *analysis) query(j *judged) api.TelemetryQuery {
	q := j.q
	out := api.TelemetryQuery{
		Source: sourceOf(q.File, q.Line, q.Column, q.Object), Role: q.Role.String(), Query: q.Text, Verdict: verdictOf(j.verdict), Why: j.q.Spelled(j.why),
	}
	out.Source.Path, out.Source.Name = q.Path, q.Name
	for _, s := range j.spans {
		out.Spans = append(out.Spans, a.span(s))
	}
	out.Rewrite = a.rewriteOf(j)
	out.Rule, out.Severity, out.Effect = judgeSeverity(j)
	if j.sharedVariable != "" {
		out.Advice = append(out.Advice, j.sharedVariable)
	}
	if out.Rewrite == nil && j.by == "" && len(j.spans) > 0 && j.verdict != promql.AlreadyDead {
		out.Advice = append(out.Advice, "no rewrite is known that gives the same result: somebody must decide what it should watch")
	}
	return out
}

func (a *analysis) span(s stretch) api.TelemetrySpan {
	out := api.TelemetrySpan{
		Verdict: verdictOf(s.finding.Verdict), From: a.stepOf(s.from), Path: s.path, Reason: s.finding.Reason,
		Before: s.finding.Before.String(), After: s.finding.After.String(), Passing: s.passing,
	}
	if s.to < len(a.world.steps)-1 {
		out.To = a.stepOf(s.to)
	}
	for _, name := range s.services {
		if name != "" {
			out.Services = append(out.Services, name)
		}
	}
	for _, e := range s.finding.Evidence {
		text := e.Selector
		if e.Record != "" {
			text = e.Record + ": " + text
		}
		if len(e.Lost) > 0 {
			text += " loses " + strings.Join(e.Lost, ", ")
		}
		if len(e.Gained) > 0 {
			text += " gains " + strings.Join(e.Gained, ", ")
		}
		out.Evidence = append(out.Evidence, text)
		out.Facts = append(out.Facts, e.Facts...)
	}
	slices.Sort(out.Facts)
	out.Facts = slices.Compact(out.Facts)
	return out
}

func (a *analysis) rewriteOf(j *judged) *api.TelemetryRewrite {
	first := a.firstStep(j)
	if j.by != "" {
		return &api.TelemetryRewrite{By: j.by, Proved: true, Before: first, States: j.evaluated}
	}
	if j.rewrite == nil || len(j.rewrite.Edits)+len(j.rewrite.Variable)+len(j.rewrite.Offers) == 0 && j.rewrite.Connections == "" {
		return nil
	}
	r := j.rewrite
	out := &api.TelemetryRewrite{Form: r.Form.String(), Proved: r.Complete(), Before: first, States: len(r.Proved), Written: j.written, NotWritten: j.notWritten}
	if len(r.Edits) > 0 {
		text, err := j.q.Restored(spanEdits(r.Edits))
		if err != nil {
			text, out.NotWritten = j.q.Spelled(r.Text), err.Error()
		}
		out.Query = text
	}
	for _, v := range r.Variable {
		for _, variable := range j.q.Variables {
			if slices.Contains(append(variable.Values, variable.Current...), v.Old) {
				out.Variables = append(out.Variables, fmt.Sprintf("%s: %s -> %s", variable.Name, v.Old, v.New))
			}
		}
	}
	slices.Sort(out.Variables)
	out.Variables = slices.Compact(out.Variables)
	for _, f := range r.Failed {
		out.NotIn = append(out.NotIn, j.q.Spelled(f.State+": "+f.Reason))
	}
	slices.Sort(out.NotIn)
	out.NotIn = slices.Compact(out.NotIn)
	for _, f := range j.whileRunning {
		if !slices.ContainsFunc(r.Failed, func(o promql.Failure) bool { return o.State == f.State }) {
			out.Passing = append(out.Passing, f.State)
		}
	}
	slices.Sort(out.Passing)
	out.Passing = slices.Compact(out.Passing)
	if j.strict != nil {
		text, err := j.q.Restored(spanEdits(j.strict.Edits))
		if err != nil {
			text = j.q.Spelled(j.strict.Text)
		}
		out.Offers = append(out.Offers, api.TelemetryOffer{Query: text, Why: "right also for " + strings.Join(out.Passing, " and ") + " while steps run"})
	}
	if r.Factor != 0 && r.Factor != 1 {
		out.Factor = r.Factor
	}
	out.Simpler, out.Alert, out.Test, out.NoTest = j.q.Spelled(j.simpler), j.minutes, j.tested, j.untested
	if r.Connections != "" {
		out.Offers = append(out.Offers, api.TelemetryOffer{Query: j.q.Spelled(r.Connections), Why: "counts connections where requests are not counted: set its threshold anew"})
	}
	for _, o := range r.Offers {
		out.Offers = append(out.Offers, api.TelemetryOffer{Query: j.q.Spelled(o.Text), Why: j.q.Spelled(o.Why)})
	}
	return out
}

func spanEdits(edits []promql.Edit) []span.Edit {
	out := make([]span.Edit, 0, len(edits))
	for _, e := range edits {
		out = append(out, span.Edit{Start: e.Start, End: e.End, Text: e.Text})
	}
	return out
}

// firstStep is the step with which the query is not itself any more.
func (a *analysis) firstStep(j *judged) api.TelemetryStep {
	if len(j.spans) == 0 {
		return api.TelemetryStep{}
	}
	first := j.spans[0].from
	for _, s := range j.spans {
		first = min(first, s.from)
	}
	return a.stepOf(first)
}

func (a *analysis) watch(x source.Watch) api.TelemetryFinding {
	f := api.TelemetryFinding{Rule: "T17", Severity: api.Warning, Source: sourceOf(x.File, x.Line, x.Column, x.Object), Message: x.Text, Facts: x.Facts}
	if x.Blocks {
		f.Severity = api.Blocker
	}
	f.Before = a.moveOf(x.Namespace, x.Workload)
	return f
}

// moveOf is the step with which a workload, or the first one of a namespace, loses its sidecar; the zero step when none
// does.
func (a *analysis) moveOf(namespace, workload string) api.TelemetryStep {
	first := len(a.world.steps)
	for ref, n := range a.world.at {
		if namespace != "" && ref.Namespace != namespace || workload != "" && !strings.HasSuffix("/"+strings.ToLower(ref.Kind+"/"+ref.Name), "/"+strings.ToLower(workload)) {
			continue
		}
		first = min(first, a.world.moves(n))
	}
	if first < len(a.world.steps) {
		return a.stepOf(first)
	}
	return api.TelemetryStep{}
}

// lost reports services that would be without request metrics although somebody watches their requests.
func (a *analysis) lost() {
	watched := map[string][]string{}
	for _, j := range a.judged {
		if !j.named || j.q.Role == source.Selection {
			continue
		}
		for _, s := range j.silentL4 {
			watched[s] = append(watched[s], fmt.Sprintf("%s:%d %s", j.q.File, j.q.Line, j.q.Name))
		}
	}
	for _, service := range sortedKeys(watched) {
		ns, name, _ := strings.Cut(service, "/")
		d := a.decisionOf(ns, name)
		if d == nil || d.Kind != api.L4Only {
			continue
		}
		a.report.Findings = append(a.report.Findings, api.TelemetryFinding{
			Rule: "T13", Severity: api.Blocker, Subject: api.Ref{Kind: "Service", Namespace: ns, Name: name}, Queries: slices.Compact(watched[service]),
			Message: fmt.Sprintf("%s would be L4 only: ztunnel counts its connections, nobody its requests, and %d queries that name it watch requests", service, len(watched[service])),
			Choices: []string{
				"a waypoint for its telemetry: say `needs: [{capability: l7-telemetry}]` for it in FeatureNeeds, and plan again",
				"a metric of the application itself, scraped from its own port, in these queries",
				"alerts on connections (istio_tcp_connections_opened_total, istio_tcp_connections_failed_total), with thresholds set anew",
			},
			Before: a.moveOfService(ns, name), Facts: []string{"1.9", "7.5"},
		})
	}
}

// compareFindings orders the worst first, then by rule, place and subject.
func compareFindings(x, y api.TelemetryFinding) int {
	return cmp.Or(
		cmp.Compare(x.Severity.Rank(), y.Severity.Rank()), cmp.Compare(x.Rule, y.Rule), cmp.Compare(x.Source.File, y.Source.File),
		cmp.Compare(x.Source.Line, y.Source.Line), x.Subject.Compare(y.Subject), cmp.Compare(x.Message, y.Message),
	)
}

func (a *analysis) moveOfService(ns, name string) api.TelemetryStep {
	svc := a.in.State.Service(ns, name)
	if svc == nil {
		return api.TelemetryStep{}
	}
	first := len(a.world.steps)
	for _, w := range a.in.State.WorkloadsOf(svc) {
		if n, ok := a.world.at[w.Ref()]; ok {
			first = min(first, a.world.moves(n))
		}
	}
	if first == len(a.world.steps) {
		return api.TelemetryStep{}
	}
	return a.stepOf(first)
}

func (a *analysis) decisionOf(ns, name string) *api.Decision {
	for i := range a.in.Plan.Decisions {
		if d := &a.in.Plan.Decisions[i]; d.Namespace == ns && d.Service == name {
			return d
		}
	}
	return nil
}

// assume says what the verdicts rest on.
func (a *analysis) assume() {
	say := func(format string, args ...any) {
		a.report.Assumptions = append(a.report.Assumptions, fmt.Sprintf(format, args...))
	}
	say("which proxy reports which series with which labels was read in the source and tests of Istio, Envoy and ztunnel; it was not captured on this cluster")
	if a.world.sniffed > 0 {
		say("%d ports of services name no protocol and are taken for HTTP, which is what proxies look for there", a.world.sniffed)
	}
	if n := len(a.world.parts); n > 0 {
		say("%s of services select a part of the pods of another service and nobody is known to call them by name, so such calls are not looked at: %s", plural(n, "version"), strings.Join(a.world.parts, ", "))
	}
	if a.world.guessed > 0 {
		say("nobody named the callers of %d services: clients that move first and last stand for them; --edges narrows it down", a.world.guessed)
	}
	seen := map[string]bool{}
	for _, b := range a.world.blind {
		if key := b.service + ": " + b.why; !seen[key] {
			seen[key] = true
			say("nothing is said of calls to %s", key)
		}
	}
}

func (a *analysis) count() {
	s := &a.report.Summary
	s.Files, s.Verdicts, s.Notes = len(a.in.Files), map[string]int{}, len(a.report.Notes)
	for _, j := range a.judged {
		if j.q.Expr != "" {
			s.Parsed++
		}
	}
	severities := map[api.Severity]int{}
	for _, q := range a.report.Queries {
		s.Queries++
		s.Verdicts[string(q.Verdict)]++
		severities[q.Severity]++
		if r := q.Rewrite; r != nil && (r.Query != "" || len(r.Variables) > 0 || r.By != "") {
			s.Rewrites++
			if q.Rewrite.Proved {
				s.Proved++
			}
		}
	}
	for _, f := range a.report.Findings {
		severities[f.Severity]++
	}
	s.Blockers, s.Warnings = severities[api.Blocker], severities[api.Warning]
}
