package render

import (
	"fmt"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// Files is a tree of files that are not a plan's, to be written by Write.
func Files(files map[string][]byte) *Tree { return &Tree{files: files} }

// Telemetry is a report for a terminal of the given width: the numbers, then what needs a person, worst first, by file.
func Telemetry(r *api.TelemetryReport, width int, color bool) []byte {
	if width <= 0 {
		width = 80
	}
	t := &text{width: max(width, 40), color: color}
	t.telemetryHead(r)
	for _, s := range []struct {
		severity api.Severity
		title    string
		c        style
	}{{api.Blocker, "BLOCKERS: settle these before the step that they name", red}, {api.Warning, "WARNINGS", yellow}, {api.Info, "TO KNOW", bold}} {
		t.telemetryPart(r, s.severity, s.title, s.c)
	}
	if len(r.Notes) > 0 {
		t.heading(fmt.Sprintf("NOT UNDERSTOOD (%d): look at these yourself", len(r.Notes)), yellow)
		for _, n := range r.Notes {
			t.item("  "+place(n.Source)+"  ", n.Kind+": "+n.Text)
		}
	}
	if len(r.Assumptions) > 0 {
		t.heading("WHAT THIS RESTS ON", bold)
		t.item("  - ", Legend)
		for _, a := range r.Assumptions {
			t.item("  - ", a)
		}
	}
	return []byte(t.b.String())
}

func (t *text) telemetryHead(r *api.TelemetryReport) {
	s := r.Summary
	title, c := "no query needs a change", green
	if s.Blockers > 0 {
		title, c = count(s.Blockers, "blocker")+", "+count(s.Warnings, "warning"), red
	} else if s.Warnings > 0 {
		title, c = count(s.Warnings, "warning"), yellow
	}
	t.heading("DASHBOARDS AND ALERTS: "+title, c)
	t.para("", fmt.Sprintf("%s with %s read, %d understood; %d not understood otherwise", count(s.Files, "file"), queries(s.Queries), s.Parsed, s.Notes))
	var verdicts []string
	for _, v := range []api.TelemetryVerdict{
		api.TelemetryUnaffected, api.TelemetryGoesSilent, api.TelemetryFiresFalsely, api.TelemetryDoubleCounts, api.TelemetryCountsHalf,
		api.TelemetryChangesMeaning, api.TelemetryAlreadyDead, api.TelemetryCannotTell,
	} {
		if n := s.Verdicts[string(v)]; n > 0 {
			verdicts = append(verdicts, fmt.Sprintf("%s %d", v, n))
		}
	}
	if len(verdicts) > 0 {
		t.para("", strings.Join(verdicts, ", "))
	}
	t.para("", fmt.Sprintf("%s proposed, %d of them proved in every state of the plan", count(s.Rewrites, "rewrite"), s.Proved))
}

func queries(n int) string {
	if n == 1 {
		return "1 query"
	}
	return fmt.Sprintf("%d queries", n)
}

func (t *text) telemetryPart(r *api.TelemetryReport, severity api.Severity, title string, c style) {
	findings := slices.DeleteFunc(slices.Clone(r.Findings), func(f api.TelemetryFinding) bool { return f.Severity != severity })
	list := slices.DeleteFunc(slices.Clone(r.Queries), func(q api.TelemetryQuery) bool { return q.Severity != severity })
	if len(findings)+len(list) == 0 {
		return
	}
	t.heading(fmt.Sprintf("%s (%d)", title, len(findings)+len(list)), c)
	for _, f := range findings {
		head := findingHead(f)
		t.item("  "+head+"  ", f.Message+before(f.Before)+" ["+f.Rule+"]")
		for _, q := range f.Queries {
			t.item("    query: ", q)
		}
		for _, c := range f.Choices {
			t.item("    choice: ", c)
		}
	}
	for i := range list {
		t.telemetryQuery(&list[i])
	}
}

func (t *text) telemetryQuery(q *api.TelemetryQuery) {
	head := place(q.Source)
	if q.Source.Name != "" {
		head += "  " + q.Source.Name
	}
	t.item("  "+head+"  ", fmt.Sprintf("(%s) %s%s [%s]", q.Role, q.Verdict, when(q), q.Rule))
	t.item("    why: ", q.Why)
	if q.Effect != "" {
		t.item("    effect: ", q.Effect)
	}
	if q.Source.Owner != "" {
		t.item("    owner: ", q.Source.Owner)
	}
	if len(q.Spans) > 1 {
		for _, w := range spansWords(q.Spans) {
			t.item("    - ", w)
		}
	}
	t.telemetryRewrite(q.Rewrite)
	for _, a := range q.Advice {
		t.item("    advice: ", a)
	}
}

func (t *text) telemetryRewrite(r *api.TelemetryRewrite) {
	if r == nil {
		return
	}
	if r.By != "" {
		t.item("    mended by: ", "the rewrite of the recording rule "+r.By)
		return
	}
	if r.Query != "" {
		t.item("    rewritten: ", r.Query)
	}
	for _, v := range r.Variables {
		t.item("    variable: ", v)
	}
	if r.Query != "" || len(r.Variables) > 0 {
		t.item("    proof: ", ProofWords(r))
		t.item("    commit: ", "before "+StepWords(r.Before))
	}
	if r.Alert != "" && (r.Query != "" || len(r.Variables) > 0) {
		t.item("    alert: ", r.Alert)
	}
	for _, n := range r.NotIn {
		if r.Query != "" || len(r.Variables) > 0 {
			t.item("    not in ", n)
		}
	}
	if r.Factor != 0 {
		t.item("    threshold: ", fmt.Sprintf("today's value counts each call %g times: divide thresholds outside of the query by that", r.Factor))
	}
	if r.Simpler != "" {
		t.item("    once the plan is done: ", r.Simpler)
	}
	if r.NotWritten != "" {
		t.item("    not written: ", r.NotWritten)
	}
	for _, o := range r.Offers {
		if len(o.Query) > maxOffer {
			t.item("    or: ", fmt.Sprintf("a longer form (%s); see -o markdown", o.Why))
			continue
		}
		t.item("    or: ", strings.TrimSpace(o.Query+" ("+o.Why+")"))
	}
}

// Legend says how ways of calls are written.
const Legend = "S->A+W is a call from a workload with a sidecar to an ambient one whose service has a waypoint; GW is a gateway, which uses the waypoint with iuw (istio.io/ingress-use-waypoint), OUT a client outside of the mesh"

// maxOffer is the longest query of another form that a table shows.
const maxOffer = 200

// place is file:line.
func place(s api.TelemetrySource) string {
	if s.File == "" {
		return ""
	}
	if s.Line == 0 {
		return s.File
	}
	return fmt.Sprintf("%s:%d", s.File, s.Line)
}

// findingHead says what a finding is about.
func findingHead(f api.TelemetryFinding) string {
	switch {
	case f.Source.File != "":
		return place(f.Source)
	case f.Subject != (api.Ref{}):
		return f.Subject.String()
	}
	return "monitoring"
}

func before(s api.TelemetryStep) string {
	if s == (api.TelemetryStep{}) {
		return ""
	}
	return " (before " + StepWords(s) + ")"
}

// StepWords names a step for people.
func StepWords(s api.TelemetryStep) string {
	if s.Step == "" {
		return fmt.Sprintf("wave %d", s.Wave)
	}
	return fmt.Sprintf("wave %d/%s", s.Wave, s.Step)
}

// ProofWords says how far a rewrite is proved.
func ProofWords(r *api.TelemetryRewrite) string {
	w := fmt.Sprintf("proved for all %d ways that calls go between steps", r.States)
	if !r.Proved {
		w = fmt.Sprintf("proved for %d ways that calls go between steps, not for %d", r.States, len(r.NotIn))
	}
	if len(r.Passing) > 0 {
		w += ", not for " + strings.Join(r.Passing, ", ") + " while a step runs"
	}
	return w
}

// when says from which step to which the query's verdict holds.
func when(q *api.TelemetryQuery) string {
	if q.Verdict == api.TelemetryCannotTell || q.Verdict == api.TelemetryAlreadyDead {
		return ""
	}
	for _, s := range q.Spans {
		if s.Verdict == q.Verdict {
			return " " + stretch(s)
		}
	}
	return ""
}

func stretch(s api.TelemetrySpan) string {
	if s.Passing {
		return "while " + StepWords(s.From) + " runs"
	}
	if s.To == (api.TelemetryStep{}) {
		return "from " + StepWords(s.From) + " on"
	}
	if s.From == s.To {
		return "in " + StepWords(s.From)
	}
	return "from " + StepWords(s.From) + " to " + StepWords(s.To)
}

// maxSpans is how many stretches of one verdict are listed one by one.
const maxSpans = 3

// spansWords are spans for people, one a line; many of one verdict are put together.
func spansWords(spans []api.TelemetrySpan) []string {
	type key struct {
		verdict          api.TelemetryVerdict
		passing, forever bool
	}
	groups := map[key][]api.TelemetrySpan{}
	var order []key
	for _, s := range spans {
		k := key{s.Verdict, s.Passing, s.To == (api.TelemetryStep{})}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], s)
	}
	var out []string
	for _, k := range order {
		list := groups[k]
		if len(list) <= maxSpans {
			for _, s := range list {
				out = append(out, SpanWords(s))
			}
			continue
		}
		out = append(out, together(list, k.passing, k.forever))
	}
	return out
}

// together is many spans of one verdict in one line.
func together(list []api.TelemetrySpan, passing, forever bool) string {
	services, paths := map[string]bool{}, []string{}
	from, to := list[0].From, list[0].To
	for _, s := range list {
		for _, name := range s.Services {
			services[name] = true
		}
		for _, p := range strings.Split(s.Path, ", then ") {
			if p != "" && !slices.Contains(paths, p) {
				paths = append(paths, p)
			}
		}
		to = s.To
	}
	w := string(list[0].Verdict)
	switch {
	case passing:
		w += fmt.Sprintf(" while steps run, %s among them", StepWords(from))
	case forever:
		w += " from " + StepWords(from) + " on, service by service"
	default:
		w += " from " + StepWords(from) + ", for the last of them until " + StepWords(to)
	}
	if n := len(services); n > 0 {
		w += ", for " + count(n, "service")
	}
	if len(paths) > 0 {
		w += " (" + strings.Join(paths, ", ") + ")"
	}
	return w
}

// SpanWords is a span in one line.
func SpanWords(s api.TelemetrySpan) string {
	w := string(s.Verdict) + " " + stretch(s)
	if len(s.Services) > 0 {
		names := s.Services
		more := ""
		if len(names) > 4 {
			names, more = names[:3], fmt.Sprintf(" and %d more", len(s.Services)-3)
		}
		w += " for " + strings.Join(names, ", ") + more
	}
	if s.Path != "" {
		w += " (" + s.Path + ")"
	}
	return w
}
