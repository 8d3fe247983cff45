package render

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	htmltemplate "html/template"
	"maps"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/templates"
)

// report is a whole plan as its report shows it. Both formats show all of it.
type report struct {
	Tool, Digest string
	// Incomplete is empty only when the plan says that it is complete.
	Incomplete []string
	Story      []string
	Numbers    []reportNumber
	Cost       reportCost
	Waves      []reportWave
	Held       []api.HeldNamespace
	Calls      callPicture
	Orders     []orderRow
	Decisions  []reportDecision
	// Kinds and Spaces are what decisions can be filtered by.
	Kinds, Spaces []string
	Findings      []reportFindings
	Unknowns      []reportUnknowns
	Uncovered     []api.KindCoverage
	Fates         []string
	Objects       []reportObject
	Proof, Open   string
	// MoreGaps are those after the first ones, which nobody reads before these are settled.
	Gaps, MoreGaps []reportGap
	Telemetry      string
}

// firstGaps is how many gaps are shown without a click.
const firstGaps = 20

// reportNumber is one figure of the head. Bad marks one that keeps the plan from starting.
type reportNumber struct {
	Label, Value string
	Bad          bool
}

// reportCost is the cost of the data plane, in words and by namespace and wave.
type reportCost struct {
	Lines      []string
	Namespaces []costRow
	Waves      []costRow
}

type costRow struct{ Name, Sidecars, Waypoints, Before, After string }

// reportFindings are findings of one severity; those that differ by their subject alone stand together.
type reportFindings struct {
	Title  string
	Groups []findingPartOf
}

type findingPartOf struct {
	ID, Severity, Effect, Action, Consented string
	// Open ones are shown whole from the start.
	Open     bool
	Messages []subjectLine
}

// subjectLine is what is said about one object, and where that was seen.
type subjectLine struct {
	Subject, What string
	Evidence      []string
}

type reportUnknowns struct {
	ID, Could, Action, Waived string
	What                      []subjectLine
}

type reportObject struct{ Object, Fate, Why, Into, Proof, Source string }

// reportGap is a gap with the state that shows it first.
type reportGap struct {
	Where string
	gapPart
}

// orderRow is a constraint between two steps.
type orderRow struct{ Before, After, Reason, Rule, Broken string }

// reportPage is what the HTML template reads besides the report: the one style and the one script of the file, and the
// policy that lets a browser run nothing else and load nothing at all.
type reportPage struct {
	*report
	Style  htmltemplate.CSS
	Script htmltemplate.JS
	Policy string
}

// Report is the whole plan for people: verdict and numbers, the waves and what shaped their order, a part for each wave
// with its checklist, proof and way back, and every decision with its evidence. format is "markdown" or "html"; the HTML
// is one file that loads nothing. Errors are *FormatError or *PlanError.
func Report(p *api.MigrationPlan, format string) ([]byte, error) {
	if format != "markdown" && format != "html" {
		return nil, &FormatError{Format: format}
	}
	t, err := assemble(p, Options{})
	if err != nil {
		return nil, err
	}
	r := t.report()
	if format == "markdown" {
		return markdown("report.md.tmpl", r)
	}
	style, err := templates.FS.ReadFile("report.css")
	if err != nil {
		return nil, err
	}
	script, err := templates.FS.ReadFile("report.js")
	if err != nil {
		return nil, err
	}
	return html("report.html.tmpl", reportPage{
		report: r, Style: htmltemplate.CSS(style), Script: htmltemplate.JS(script),
		Policy: fmt.Sprintf("default-src 'none'; style-src %s; script-src %s; base-uri 'none'; form-action 'none'", hashSource(style), hashSource(script)),
	})
}

// hashSource is the source expression of a Content-Security-Policy that allows exactly b.
func hashSource(b []byte) string {
	sum := sha256.Sum256(b)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func (t *Tree) report() *report {
	p := t.plan
	r := &report{
		Tool: p.Tool, Digest: p.Digest, Incomplete: incompleteWords(p), Story: storyOf(p), Numbers: numbersOf(p), Cost: reportCostOf(p),
		Held: p.Held, Calls: callsOf(p), Uncovered: uncoveredOf(p),
		Proof: proofLine(p.Proof), Telemetry: telemetryLine(p),
	}
	if n := len(p.Proof.Open); n > 0 {
		r.Open = fmt.Sprintf("%s judged for every caller, because nobody named theirs: %s", count(n, "service"), shortNames(p.Proof.Open, 20))
	}
	about, told := aboutNamespaces(p), map[string]bool{}
	for i := range p.Waves {
		r.Waves = append(r.Waves, t.reportWave(i, about, told))
	}
	for _, c := range p.Constraints {
		r.Orders = append(r.Orders, orderRow{Before: stepName(c.Before), After: stepName(c.After), Reason: c.Reason, Rule: c.Rule, Broken: c.Broken})
	}
	for i := range p.Decisions {
		r.Decisions = append(r.Decisions, reportDecisionOf(&p.Decisions[i]))
	}
	r.Kinds, r.Spaces = filtersOf(r.Decisions)
	r.Findings, r.Unknowns = reportFindingsOf(p), reportUnknownsOf(p)
	r.Objects, r.Fates = reportObjects(p)
	EachProof(p, func(ref StateRef, _ []string, x api.Proof) {
		for _, c := range x.Counterexamples {
			where := fmt.Sprintf("wave %d, step %s", ref.Wave, ref.Step)
			if ref.Back != "" {
				where += ", way back " + ref.Back
			}
			r.Gaps = append(r.Gaps, reportGap{where, gapOf(c)})
		}
	})
	if len(r.Gaps) > firstGaps {
		r.Gaps, r.MoreGaps = r.Gaps[:firstGaps], r.Gaps[firstGaps:]
	}
	return r
}

// incompleteWords says why a plan must not be started; never nothing for one that is not complete.
func incompleteWords(p *api.MigrationPlan) []string {
	if !p.Complete && len(p.Incomplete) == 0 {
		return []string{"the plan says that it is not complete, and not why"}
	}
	return p.Incomplete
}

func uncoveredOf(p *api.MigrationPlan) []api.KindCoverage {
	var out []api.KindCoverage
	for _, k := range p.Coverage {
		if !k.State.Known() {
			if k.State == api.CoverageUnset {
				k.State = api.NotKnown
			}
			out = append(out, k)
		}
	}
	return out
}

// storyOf tells the plan in a few sentences.
func storyOf(p *api.MigrationPlan) []string {
	s, d := p.Summary, p.Summary.Documents
	out := []string{
		fmt.Sprintf("%s with %s in %s.", capital(count(s.Services, "service")), count(s.Pods, "pod"), count(s.Namespaces, "namespace")),
		fmt.Sprintf("%s read: %d kept, %d irrelevant, %d unreadable, %d duplicate.", capital(count(d.Read, "document")), d.Kept, d.Irrelevant, d.Unreadable, d.Duplicate),
	}
	words := map[api.DecisionKind]string{
		api.L4Only: "ztunnel alone is enough", api.Waypoint: "a waypoint is needed", api.KeepSidecarDecision: "the sidecar stays",
		api.Blocked: "a person has to decide first", api.OutOfMesh: "the mesh carries no traffic today, and nothing changes",
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(s.Decisions)) {
		parts = append(parts, fmt.Sprintf("for %d %s", s.Decisions[k], cmp.Or(words[api.DecisionKind(k)], "nothing is decided")))
	}
	if len(parts) > 0 {
		out = append(out, capital(strings.Join(parts, "; "))+".")
	}
	switch n := len(p.Waves); {
	case n == 0:
		out = append(out, "No wave can be planned: settle first what holds the namespaces back.")
	case len(p.Held) > 0:
		out = append(out, fmt.Sprintf("%s, wave 0 is the foundation; %s held back and in none of them.", count(n, "wave"), count(len(p.Held), "namespace")))
	default:
		out = append(out, fmt.Sprintf("%s, wave 0 is the foundation.", capital(count(n, "wave"))))
	}
	return out
}

func numbersOf(p *api.MigrationPlan) []reportNumber {
	s := p.Summary
	one := func(noun string, n int) reportNumber {
		value, label, _ := strings.Cut(count(n, noun), " ")
		return reportNumber{Label: label, Value: value}
	}
	bad := func(noun string, n int) reportNumber {
		out := one(noun, n)
		out.Bad = n > 0
		return out
	}
	unknowns, gaps, unproved := 0, 0, 0
	for _, u := range p.Unknowns {
		if u.WaivedBy == "" {
			unknowns++
		}
	}
	EachProof(p, func(_ StateRef, _ []string, x api.Proof) {
		for _, c := range x.Counterexamples {
			if c.ConsentedBy == "" {
				gaps++
			}
		}
		if x.Result != api.Proved && (x.Result != api.Gap || x.Unconsented > 0) {
			unproved++
		}
	})
	out := []reportNumber{
		one("namespace", s.Namespaces), one("service", s.Services), one("pod", s.Pods), one("wave", len(p.Waves)), one("waypoint", s.Waypoints),
		bad("blocker", s.Blockers), one("warning", s.Warnings), bad("unknown", unknowns), bad("gap", gaps),
		{Label: "states proved", Value: fmt.Sprintf("%d of %d", p.Proof.Proved, p.Proof.States), Bad: unproved > 0},
		bad("namespace", len(p.Held)),
	}
	out[len(out)-1].Label += " held back"
	if k := &p.Cost; k.Assumptions != "" {
		after := quantity(k.AfterCPU, k.AfterMemory)
		if len(k.Missing) > 0 {
			after = "not known"
		}
		out = append(out, reportNumber{Label: "asked for by the data plane today", Value: quantity(k.BeforeCPU, k.BeforeMemory)}, reportNumber{Label: "afterwards", Value: after})
	}
	return out
}

func reportCostOf(p *api.MigrationPlan) reportCost {
	k := &p.Cost
	if k.Assumptions == "" {
		return reportCost{}
	}
	out := reportCost{Lines: costLines(&api.ClusterCost{Cost: *k})}
	for _, n := range k.Namespaces {
		out.Namespaces = append(out.Namespaces, costRow{
			Name: n.Namespace, Sidecars: sidecarWords(n.Sidecars, n.Staying), Waypoints: fmt.Sprint(n.Waypoints),
			Before: quantity(n.Before.MilliCPU, n.Before.MemoryMiB), After: quantity(n.After.MilliCPU, n.After.MemoryMiB),
		})
	}
	for _, w := range k.Waves {
		out.Waves = append(out.Waves, costRow{Name: fmt.Sprintf("wave %d", w.Wave), Before: quantity(w.Peak.MilliCPU, w.Peak.MemoryMiB), After: quantity(w.Done.MilliCPU, w.Done.MemoryMiB)})
	}
	return out
}

func sidecarWords(n, staying int) string {
	if staying == 0 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d, %d stay", n, staying)
}

func reportFindingsOf(p *api.MigrationPlan) []reportFindings {
	var out []reportFindings
	for _, part := range []struct {
		severity api.Severity
		title    string
	}{{api.Blocker, "Blockers: a person must decide"}, {api.Warning, "Warnings: behaviour changes, and a person must look"}, {api.Info, "Good to know"}} {
		var list []*api.Finding
		for i := range p.Findings {
			if p.Findings[i].Severity == part.severity {
				list = append(list, &p.Findings[i])
			}
		}
		if len(list) == 0 {
			continue
		}
		f := reportFindings{Title: fmt.Sprintf("%s (%d)", part.title, len(list))}
		for _, g := range findingGroups(list) {
			one := findingPartOf{ID: g[0].ID, Severity: string(part.severity), Effect: g[0].Effect, Action: g[0].Action, Consented: g[0].ConsentedBy, Open: part.severity == api.Blocker && g[0].ConsentedBy == ""}
			for _, x := range g {
				one.Messages = append(one.Messages, subjectLine{aboutWhom(x.Subject, x.Message), x.Message, evidenceLines(x.Evidence)})
			}
			f.Groups = append(f.Groups, one)
		}
		out = append(out, f)
	}
	return out
}

func reportUnknownsOf(p *api.MigrationPlan) []reportUnknowns {
	var out []reportUnknowns
	for _, g := range unknownGroups(p.Unknowns) {
		one := reportUnknowns{ID: g[0].ID, Could: g[0].Could, Action: g[0].Action, Waived: g[0].WaivedBy}
		for _, u := range g {
			one.What = append(one.What, subjectLine{aboutWhom(u.Subject, u.What), u.What, evidenceLines(u.Evidence)})
		}
		out = append(out, one)
	}
	return out
}

func reportObjects(p *api.MigrationPlan) (rows []reportObject, fates []string) {
	for _, c := range api.CountFates(p.Objects) {
		fates = append(fates, c.Kind+": "+fateWords(c))
	}
	for i := range p.Objects {
		d := &p.Objects[i]
		name := d.Object.String()
		if d.Part != "" {
			name += " " + d.Part
		}
		var into []string
		for _, o := range d.Into {
			into = append(into, o.String())
		}
		rows = append(rows, reportObject{name, cmp.Or(string(d.Fate), "not decided"), d.Why, strings.Join(into, ", "), d.Proof, d.Source})
	}
	return rows, fates
}

// aboutWhom names the subject of a sentence; "" when the sentence names it itself, or is about the whole cluster.
func aboutWhom(r api.Ref, sentence string) string {
	if name := r.String(); r.Kind != "Cluster" && !strings.Contains(sentence, name) {
		return name
	}
	return ""
}

// telemetryLine counts what happens to dashboards and alerts; "" when none were handed in.
func telemetryLine(p *api.MigrationPlan) string {
	r := p.Telemetry
	if r == nil {
		return ""
	}
	return fmt.Sprintf("%s of dashboards and alerts, %d of them change; %s, %s. What concerns a wave stands in its part; all is in telemetry/README.md of the tree.",
		queries(r.Summary.Queries), r.Summary.Queries-r.Summary.Verdicts[string(api.TelemetryUnaffected)], count(r.Summary.Blockers, "blocker"), count(r.Summary.Warnings, "warning"))
}

// evidenceLines are evidence in words, one a line.
func evidenceLines(list []api.Evidence) []string {
	var out []string
	for _, e := range list {
		var b bytes.Buffer
		b.WriteString(e.Object.String())
		for _, part := range []string{e.Path, e.Value, e.Source} {
			if part != "" {
				b.WriteString(", " + part)
			}
		}
		out = append(out, b.String())
	}
	return out
}
