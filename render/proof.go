package render

import (
	"fmt"
	"io"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// proofPart is the proof of one state as documents show it.
type proofPart struct {
	Word, Reason string
	// Gaps begin in this state; Still names those that an earlier state shows.
	Gaps     []gapPart
	Still    string
	Unknowns []string
}

// gapPart is one gap in words.
type gapPart struct {
	ID, Head, Before, After string
	Choices                 []string
	Consented               string
}

// proofOf says a result in words. What was not proved never reads as proved.
func proofOf(p api.Proof) proofPart {
	out := proofPart{Word: "Not proved", Reason: p.Reason, Unknowns: p.Unknowns}
	switch p.Result {
	case api.Proved:
		out.Word = "Proved: every request is allowed, denied, encrypted and routed as before"
		if p.Calls > 0 {
			out.Reason = strings.TrimPrefix(out.Reason+fmt.Sprintf("; %s in %s compared", count(p.Calls, "call"), count(p.States, "state")), "; ")
		}
	case api.Gap:
		out.Word = "GAP: requests are treated differently than before"
	case api.ProofUnknown, api.ProofUnset:
		if out.Reason == "" {
			out.Reason = "the plan does not say why"
		}
	}
	for _, c := range p.Counterexamples {
		out.Gaps = append(out.Gaps, gapOf(c))
	}
	if len(p.Still) > 0 {
		out.Still = "still open from an earlier state: " + shortNames(p.Still, 20)
	}
	return out
}

// gapOf writes one gap.
func gapOf(c api.Counterexample) gapPart {
	name := c.Client.Kind + " " + c.Client.Namespace + "/" + c.Client.Name
	client := name
	switch {
	case c.Outside && c.Client.Name == "":
		client = "any caller outside the mesh"
	case c.Outside:
		client = "any caller outside the mesh, such as " + name
	case c.Anyone:
		client = name + ", or anyone like it (no call graph says who calls)"
	}
	kind := map[api.GapKind]string{
		api.GapPermissive: "more permissive", api.GapRestrictive: "more restrictive", api.GapPlaintext: "plaintext", api.GapRoutes: "other routes",
	}[c.Kind]
	head := fmt.Sprintf("%s: %s from %s to %s/%s", kind, c.Request, client, c.Service.Namespace, c.Service.Name)
	if c.Port != 0 {
		head += fmt.Sprintf(":%d", c.Port)
	}
	return gapPart{ID: c.ID, Head: head, Before: c.Before, After: c.After, Choices: c.Choices, Consented: c.ConsentedBy}
}

// StateRef names a state: a step, or with Back a step of the way back from it.
type StateRef struct {
	Wave       int
	Step, Back string
}

// Proofs writes the states of a plan that are not proved, one after another, and
// how many are. only limits it to some states; nil means all.
func Proofs(out io.Writer, p *api.MigrationPlan, only func(StateRef) bool) error {
	var b strings.Builder
	EachProof(p, func(ref StateRef, namespaces []string, x api.Proof) { writeState(&b, ref, namespaces, x, only) })
	if only == nil {
		b.WriteString(proofLine(p.Proof) + "\n")
		fmt.Fprintf(&b, "%s judged by calls that were observed or declared", count(p.Proof.Told, "service"))
		if n := len(p.Proof.Open); n > 0 {
			fmt.Fprintf(&b, "; %d for every caller, because nobody named theirs: %s", n, plain(shortNames(p.Proof.Open, 5)))
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// EachProof visits the proofs of all states in their order.
func EachProof(p *api.MigrationPlan, visit func(StateRef, []string, api.Proof)) {
	for _, w := range p.Waves {
		for _, s := range w.Steps {
			visit(StateRef{w.Number, s.Name, ""}, s.Namespaces, s.Proof)
			for _, r := range s.Rollback {
				visit(StateRef{w.Number, s.Name, r.Name}, s.Namespaces, r.Proof)
			}
		}
	}
}

func shortNames(names []string, n int) string {
	if len(names) <= n {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:n], ", "), len(names)-n)
}

// proofLine sums the proofs of a plan up in one line.
func proofLine(p api.PlanProof) string {
	kinds := []string{}
	for _, k := range []struct {
		kind api.GapKind
		word string
	}{{api.GapPermissive, "more permissive"}, {api.GapRestrictive, "more restrictive"}, {api.GapPlaintext, "plaintext"}, {api.GapRoutes, "routes lost"}} {
		kinds = append(kinds, fmt.Sprintf("%d %s", p.ByKind[string(k.kind)], k.word))
	}
	return fmt.Sprintf("%d of %d states proved: %s", p.Proved, p.States, strings.Join(kinds, ", "))
}

func writeState(b *strings.Builder, ref StateRef, namespaces []string, p api.Proof, only func(StateRef) bool) {
	if only != nil && !only(ref) {
		return
	}
	name := fmt.Sprintf("wave %d step %s", ref.Wave, ref.Step)
	if ref.Back != "" {
		name += ", way back " + ref.Back
	}
	name += bracket(strings.Join(namespaces, ", "))
	part := proofOf(p)
	switch {
	case p.Result == api.Proved && only == nil:
		return
	case p.Result == api.Proved:
		fmt.Fprintf(b, "%s: %s\n", plain(name), plain(strings.TrimSuffix(part.Word+": "+part.Reason, ": ")))
	case p.Result != api.Gap:
		fmt.Fprintf(b, "%s: UNKNOWN  %s\n", plain(name), plain(part.Reason))
	}
	for _, g := range part.Gaps {
		fmt.Fprintf(b, "%s: GAP  %s\n", plain(name), plain(g.Head))
		fmt.Fprintf(b, "    before: %s\n    in this state: %s\n", plain(g.Before), plain(g.After))
		if g.Consented != "" {
			fmt.Fprintf(b, "    consented to (%s): %s\n", g.ID, plain(g.Consented))
		} else {
			fmt.Fprintf(b, "    choices: %s\n", plain(strings.Join(g.Choices, " | ")))
		}
	}
	if part.Still != "" {
		fmt.Fprintf(b, "%s: GAP  %s\n", plain(name), plain(part.Still))
	}
	for _, u := range part.Unknowns {
		fmt.Fprintf(b, "    not known: %s\n", plain(u))
	}
}
