package render

import (
	"cmp"
	"fmt"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// diffPart is one section of a comparison: a title and its lines.
type diffPart struct {
	title string
	color style
	lines []string
}

// Diff is what differs between two plans, for a terminal.
func Diff(d *api.PlanDiff, width int, color bool) []byte {
	if width <= 0 {
		width = 80
	}
	t := &text{width: max(width, 40), color: color}
	t.heading(diffVerdict(d), bold)
	for _, p := range diffParts(d) {
		t.heading(p.title, p.color)
		for _, l := range p.lines {
			t.item("  "+l[:2], l[2:])
		}
	}
	return []byte(t.b.String())
}

// DiffMarkdown is the same for a comment on a pull request.
//
// It is at most maxComment characters: what does not fit is counted, section by section, and the verdict and the
// gaps come first.
func DiffMarkdown(d *api.PlanDiff) []byte {
	var b strings.Builder
	left := maxComment - 400*len(diffParts(d)) // for the verdict, the titles and the counts of what is left out
	fmt.Fprintf(&b, "# Migration plan: %s\n", mdText(diffVerdict(d)))
	for _, p := range diffParts(d) {
		fmt.Fprintf(&b, "\n## %s\n\n", mdText(p.title))
		for i, l := range p.lines {
			sign := map[string]string{"+ ": "added: ", "- ": "removed: ", "~ ": "changed: "}[l[:2]]
			line := fmt.Sprintf("- %s%s\n", sign, mdText(plain(l[2:])))
			if left -= len(line); left < 0 {
				fmt.Fprintf(&b, "- and %d more: they do not fit into a comment, `ambientplan diff -o yaml` lists all\n", len(p.lines)-i)
				break
			}
			b.WriteString(line)
		}
	}
	return []byte(b.String())
}

// maxComment is what GitHub takes as a comment, in characters; bytes are counted, which are never fewer.
const maxComment = 65_536

func diffVerdict(d *api.PlanDiff) string {
	switch {
	case d.Same:
		return "the two plans do the same"
	case d.WasComplete && !d.IsComplete:
		return "the plan was complete, and is not any more"
	case !d.WasComplete && d.IsComplete:
		return "the plan was not complete, and is now"
	case d.IsComplete:
		return "the plan differs, and is complete as before"
	}
	return "the plan differs, and is not complete, as before"
}

// sign is how an addition, a removal and a change begin their line.
func sign(op api.DiffOp) string {
	switch op {
	case api.DiffAdded:
		return "+ "
	case api.DiffRemoved:
		return "- "
	case api.DiffChanged, api.DiffUnset:
	}
	return "~ "
}

// diffParts words what differs, what matters most first.
func diffParts(d *api.PlanDiff) []diffPart {
	gaps := diffPart{title: "GAPS IN THE PROOF", color: red}
	for _, g := range d.Gaps {
		gaps.lines = append(gaps.lines, fmt.Sprintf("%s%s, from step %s of wave %d: %s", sign(g.Op), g.Gap.ID, g.Step, g.Wave, g.Gap.Request))
	}
	unknowns := diffPart{title: "UNKNOWN", color: yellow}
	for _, u := range d.Unknowns {
		unknowns.lines = append(unknowns.lines, sign(u.Op)+u.Unknown.ID+": "+strings.TrimSpace(u.Unknown.What))
	}
	spaces := diffPart{title: "WAVES", color: bold}
	for _, n := range d.Namespaces {
		spaces.lines = append(spaces.lines, fmt.Sprintf("~ %s: %s, now %s", n.Name, waveWords(n.Was), waveWords(n.Is)))
	}
	decisions := diffPart{title: "DECISIONS", color: bold}
	for _, x := range d.Decisions {
		line := fmt.Sprintf("%s%s: %s, now %s", sign(x.Op), x.Subject, cmp.Or(x.Was, "nothing"), cmp.Or(x.Is, "nothing"))
		if x.Why != "" {
			line += " (" + x.Why + ")"
		}
		decisions.lines = append(decisions.lines, line)
	}
	steps := diffPart{title: "STEPS", color: bold}
	for _, s := range d.Steps {
		steps.lines = append(steps.lines, stepDiffLines(s)...)
	}
	var out []diffPart
	for _, p := range []diffPart{gaps, findingsPart(d), unknowns, spaces, decisions, steps} {
		if len(p.lines) > 0 {
			out = append(out, p)
		}
	}
	return out
}

func findingsPart(d *api.PlanDiff) diffPart {
	out := diffPart{title: "FINDINGS", color: yellow}
	for _, f := range d.Findings {
		line := fmt.Sprintf("%s%s %s, %s: %s", sign(f.Op), f.Finding.Severity, f.Finding.ID, f.Finding.Subject, f.Finding.Message)
		if f.Was != "" {
			line += fmt.Sprintf(" (was %s)", f.Was)
		}
		out.lines = append(out.lines, line)
	}
	return out
}

func waveWords(n int) string {
	if n == 0 {
		return "in no wave"
	}
	return fmt.Sprintf("in wave %d", n)
}

// stepDiffLines words one step, and each object below it.
func stepDiffLines(s api.StepDiff) []string {
	head := fmt.Sprintf("%swave %d, %s", sign(s.Op), s.Wave, s.Step)
	if s.WasProof != s.IsProof {
		head += fmt.Sprintf(": proof %s, now %s", cmp.Or(string(s.WasProof), "none"), cmp.Or(string(s.IsProof), "none"))
	}
	out := []string{head}
	for _, o := range s.Objects {
		line := "  " + sign(o.Op) + o.Object.String()
		if len(o.Paths) > 0 {
			line += ": " + strings.Join(o.Paths, ", ")
		}
		out = append(out, line)
	}
	return out
}
