package render

import (
	"cmp"
	"fmt"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// part is a section of an assessment, the same for every format.
type part struct {
	title string
	style style
	lines []line
}

// line is one item of a part; depth 0 is a subject, 1 what is said about it. What is asked
// of people has its own mark.
type line struct {
	depth int
	ask   bool
	text  string
}

func (p *part) add(depth int, format string, args ...any) {
	p.lines = append(p.lines, line{depth: depth, text: fmt.Sprintf(format, args...)})
}

// Assessment is the answer for a terminal: the verdict and its reasons first.
func Assessment(r *api.AssessmentReport, width int, color bool) []byte {
	if width <= 0 {
		width = 80
	}
	t := &text{width: max(width, 40), color: color}
	for i, p := range assessmentParts(r) {
		title := strings.ToUpper(p.title)
		if i == 0 {
			title = verdictLine(r)
		}
		t.heading(title, p.style)
		for _, l := range p.lines {
			mark := "- "
			if l.ask {
				mark = "? "
			}
			t.item(strings.Repeat("  ", l.depth+1)+mark, l.text)
		}
	}
	return []byte(t.b.String())
}

// AssessmentMarkdown is the same answer as a page.
func AssessmentMarkdown(r *api.AssessmentReport) []byte {
	var b strings.Builder
	for i, p := range assessmentParts(r) {
		if i == 0 {
			fmt.Fprintf(&b, "# %s\n\n%s\n\n", mdText(p.title), mdText(r.Sentence))
		} else {
			fmt.Fprintf(&b, "\n## %s\n\n", mdText(p.title))
		}
		for _, l := range p.lines {
			mark := "- "
			if l.ask {
				mark = "- [ ] "
			}
			b.WriteString(strings.Repeat("  ", l.depth) + mark + mdText(l.text) + "\n")
		}
	}
	return []byte(b.String())
}

// assessmentParts is everything that an assessment says, in its order.
func assessmentParts(r *api.AssessmentReport) []part {
	first := part{title: "Verdict: " + strings.ReplaceAll(cmp.Or(string(r.Verdict), "none"), "-", " "), style: verdictStyle(r.Verdict)}
	for _, b := range r.Because {
		first.add(0, "%s", reasonLine(b))
	}
	out := []part{first}
	for _, p := range []part{dependsPart(r), contradictionsPart(r), questionsPart(r), namespacesPart(r)} {
		if len(p.lines) > 0 {
			out = append(out, p)
		}
	}
	for i := range r.Costs {
		out = append(out, costPart(r, &r.Costs[i]))
	}
	for _, p := range []part{optionsPart(r), unknownsPart(r), changesPart(r)} {
		if len(p.lines) > 0 {
			out = append(out, p)
		}
	}
	return out
}

func dependsPart(r *api.AssessmentReport) part {
	p := part{title: "What it depends on", style: yellow}
	for _, a := range r.Depends {
		p.add(0, "%s", alternativeLine(a))
	}
	return p
}

func contradictionsPart(r *api.AssessmentReport) part {
	p := part{title: "Contradictions", style: yellow}
	for _, c := range r.Contradictions {
		p.add(0, "%s", c)
	}
	return p
}

func questionsPart(r *api.AssessmentReport) part {
	p := part{title: "Five questions", style: bold}
	for _, q := range r.Questions {
		p.add(0, "%d. %s %s. Points: %s (weight: %s)", q.Number, q.Ask, capital(q.Answer), q.Points, q.Weight)
		for _, f := range q.Facts {
			p.add(1, "%s", factLine(f))
		}
		for _, m := range q.Missing {
			p.lines = append(p.lines, line{depth: 1, ask: true, text: "not answered: " + m})
		}
		p.add(1, "what would change it: %s", q.Change)
	}
	return p
}

func optionsPart(r *api.AssessmentReport) part {
	p := part{title: "What could do the work", style: bold}
	for _, o := range r.Options {
		p.add(0, "%s%s", o.Name, inUse(o))
		for _, l := range optionLines(o) {
			p.add(1, "%s", l)
		}
	}
	return p
}

func unknownsPart(r *api.AssessmentReport) part {
	p := part{title: "Not known", style: yellow}
	for _, u := range r.Unknowns {
		p.add(0, "%s; it could change %s. %s", u.What, u.Could, capital(u.Action))
	}
	return p
}

func changesPart(r *api.AssessmentReport) part {
	p := part{title: "What would change the verdict", style: bold}
	for _, a := range r.Changes {
		p.add(0, "%s", alternativeLine(a))
	}
	return p
}

// capital begins a sentence.
func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func verdictLine(r *api.AssessmentReport) string {
	return strings.ToUpper(strings.ReplaceAll(cmp.Or(string(r.Verdict), "no verdict"), "-", " ")) + ": " + r.Sentence
}

func verdictStyle(v api.AssessmentVerdict) style {
	switch v {
	case api.AdoptAmbient, api.MigrateSome:
		return green
	case api.Stay, api.UseGateway, api.UseCilium, api.UseLibraries, api.RemoveMesh:
		return bold
	case api.ItDepends, api.AssessmentUnset:
	}
	return yellow
}

func reasonLine(b api.AssessmentReason) string {
	from := ""
	if b.Question > 0 {
		from = fmt.Sprintf(", question %d", b.Question)
	}
	return fmt.Sprintf("%s (%s%s)", b.What, b.Weight, from)
}

func alternativeLine(a api.Alternative) string {
	out := fmt.Sprintf("if %s: %s", a.If, strings.ReplaceAll(string(a.Verdict), "-", " "))
	if a.Because != "" {
		out += ", because " + a.Because
	}
	return out
}

func factLine(f api.AssessmentFact) string {
	out := f.What
	for i, e := range f.Evidence {
		if i == 0 {
			out += ": "
		} else {
			out += ", "
		}
		out += e.Object.String()
		if e.Source != "" {
			out += " (" + e.Source + ")"
		}
	}
	return out
}

func inUse(o api.Option) string {
	if o.InUse == "" {
		return ", not seen here"
	}
	return ", " + o.InUse
}

func optionLines(o api.Option) []string {
	var out []string
	for _, l := range []struct {
		words string
		list  []string
	}{{"covers", o.Covers}, {"covers in part", o.Partly}, {"does not cover", o.Lacks}} {
		if len(l.list) > 0 {
			out = append(out, l.words+": "+strings.Join(l.list, "; "))
		}
	}
	return append(out, "takes: "+o.Takes)
}

// namespacesPart lists what becomes of each namespace.
func namespacesPart(r *api.AssessmentReport) part {
	p := part{title: fmt.Sprintf("Namespaces of the mesh (%d)", len(r.Namespaces)), style: bold}
	for _, n := range r.Namespaces {
		name := n.Namespace
		if n.Cluster != "" && len(r.Costs) > 1 {
			name = n.Cluster + "/" + name
		}
		p.add(0, "%s: %s; %s", name, strings.ReplaceAll(string(n.Action), "-", " "), freesWords(n))
		for _, w := range n.Why {
			p.add(1, "%s", w)
		}
	}
	return p
}

// freesWords is what moving a namespace brings, by requests.
func freesWords(n api.NamespaceVerdict) string {
	switch {
	case n.Action == api.NamespaceKeep:
		return fmt.Sprintf("%s ask for %s, which moving would free", count(n.Sidecars, "sidecar"), quantity(n.Frees.MilliCPU, n.Frees.MemoryMiB))
	case n.Action == api.NamespaceDone:
		return "nothing to do"
	case n.Frees.MilliCPU < 0 || n.Frees.MemoryMiB < 0:
		return fmt.Sprintf("moving takes %s more CPU and %s more memory (negative is less)", milli(-n.Frees.MilliCPU), mebi(-n.Frees.MemoryMiB))
	}
	return fmt.Sprintf("moving frees %s, without what runs on nodes", quantity(n.Frees.MilliCPU, n.Frees.MemoryMiB))
}

// costPart says what the data plane of one cluster asks for, both ways.
func costPart(r *api.AssessmentReport, c *api.ClusterCost) part {
	p := part{title: "Cost of the data plane", style: bold}
	if len(r.Costs) > 1 {
		p.title += " in " + c.Cluster
	}
	for _, l := range costLines(c) {
		p.add(0, "%s", l)
	}
	return p
}

// limitWords says a sum of limits; where nothing has one there is no ceiling, and a 0 would
// read as one.
func limitWords(r api.Resources) string {
	if r.MilliCPU == 0 && r.MemoryMiB == 0 {
		return "none"
	}
	return quantity(r.MilliCPU, r.MemoryMiB)
}

// costLines is the cost in words, for every format.
func costLines(c *api.ClusterCost) []string {
	k := &c.Cost
	after := "after"
	if len(k.Missing) > 0 {
		after = "after it at least"
	}
	out := []string{
		fmt.Sprintf("requests: %s before, %s %s (%s)", quantity(k.BeforeCPU, k.BeforeMemory), after, quantity(k.AfterCPU, k.AfterMemory), costDifference(k)),
		fmt.Sprintf("limits: %s before%s, %s after%s", limitWords(k.Limits.Before), unlimited(k.Limits.UnlimitedBefore),
			limitWords(k.Limits.After), unlimited(k.Limits.UnlimitedAfter)),
	}
	for _, m := range k.Missing {
		out = append(out, "not known: "+m)
	}
	out = append(out, "figures: "+k.Assumptions)
	if len(k.Waves) > 0 {
		peak := k.Waves[0].Peak
		for _, w := range k.Waves {
			peak.MilliCPU, peak.MemoryMiB = max(peak.MilliCPU, w.Peak.MilliCPU), max(peak.MemoryMiB, w.Peak.MemoryMiB)
		}
		out = append(out, fmt.Sprintf("on the way it asks for up to %s: what is added stands before what it replaces is gone", quantity(peak.MilliCPU, peak.MemoryMiB)))
	}
	out = append(out, breakEvenLines(k)...)
	if p := c.Price; p != nil {
		words := fmt.Sprintf("price of the requests for a month: %.2f %s before, %.2f after", p.Before, p.Currency, p.After)
		if !p.Whole {
			words += ", and what is not known"
		}
		out = append(out, words)
	}
	return out
}

// costDifference says savings and losses by their names.
func costDifference(k *api.Cost) string {
	if len(k.Missing) > 0 {
		return "what it saves is not known"
	}
	d := k.Before().Minus(k.After())
	word := func(n int64, f func(int64) string, what string) string {
		switch {
		case n > 0:
			return "saves " + f(n) + " of " + what
		case n < 0:
			return "costs " + f(-n) + " more of " + what
		}
		return "the same " + what
	}
	return word(d.MilliCPU, milli, "CPU") + ", " + word(d.MemoryMiB, mebi, "memory")
}

func unlimited(n int) string {
	if n == 0 {
		return ""
	}
	return " and " + count(n, "pod") + " without a limit"
}

func milli(n int64) string { return fmt.Sprintf("%dm", n) }
func mebi(n int64) string  { return fmt.Sprintf("%dMi", n) }

// breakEvenLines checks the rule of thumb of 8 to 10 pods a node.
func breakEvenLines(k *api.Cost) []string {
	b := k.BreakEven
	if b == nil {
		return nil
	}
	if b.SidecarsCPU == 0 && b.SidecarsMemory == 0 {
		return []string{"break-even: the sidecars ask for nothing, so by requests ambient mode can only cost more; measure what they use"}
	}
	today := "how many a node has is not known, for no node was read"
	if b.Today > 0 {
		today = fmt.Sprintf("a node has %.1f that go", b.Today)
	}
	out := []string{fmt.Sprintf("break-even: from %s sidecars a node by CPU and %s by memory on, ambient mode asks for less; %s", orNever(b.SidecarsCPU), orNever(b.SidecarsMemory), today)}
	thumb := max(b.SidecarsCPU, b.SidecarsMemory)
	switch {
	case thumb <= 8 && min(b.SidecarsCPU, b.SidecarsMemory) > 0:
		out = append(out, "the rule of thumb of 8 to 10 pods a node is on the safe side here")
	default:
		out = append(out, "the rule of thumb of 8 to 10 pods a node does not hold here: sidecars ask for little")
	}
	for _, s := range b.Shapes {
		out = append(out, fmt.Sprintf("%s of %s CPU and %s: ztunnel and istio-cni take %s of CPU and %s of memory", count(s.Count, "node"), cmp.Or(s.CPU, "unknown"), cmp.Or(s.Memory, "unknown memory"), percent(s.PercentCPU), percent(s.PercentMemory)))
	}
	return out
}

func orNever(f float64) string {
	if f == 0 {
		return "no number of"
	}
	return fmt.Sprintf("%.1f", f)
}

func percent(f float64) string {
	if f == 0 {
		return "an unknown part"
	}
	return fmt.Sprintf("%.1f %%", f)
}
