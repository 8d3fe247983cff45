package render

import (
	"fmt"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// Status is where a mesh stands, for a terminal: the verdict and its reasons first.
func Status(st *api.MigrationStatus, width int, color bool) []byte {
	if width <= 0 {
		width = 80
	}
	t := &text{width: max(width, 40), color: color}
	style := map[api.StatusVerdict]style{api.MayProceed: green, api.AllDone: green}[st.Verdict]
	if style == "" {
		style = red
	}
	t.heading(statusHeadline(st), style)
	for _, b := range st.Because {
		t.item("  - ", b)
	}
	if len(st.People) > 0 {
		t.heading("ONLY A PERSON CAN CHECK", yellow)
		for _, p := range st.People {
			t.item("  [ ] ", p)
		}
	}
	t.heading("STEPS", bold)
	for _, s := range st.Steps {
		t.item("  ", fmt.Sprintf("%-7s wave %d  %s%s", stepState(s.State), s.Wave, s.Step, checksHold(s)))
		for _, c := range s.Checks {
			if s.State == api.StepDone && c.Result == api.CheckOK {
				continue
			}
			line := c.What
			if c.Seen != "" {
				line += ": " + c.Seen
			}
			t.item(fmt.Sprintf("          %-8s", checkWord(c.Result)), line)
			if c.Command != "" && c.Result != api.CheckOK {
				t.command("                " + c.Command)
			}
		}
	}
	if len(st.Drift) > 0 {
		t.heading("CHANGED BY OTHERS SINCE THE PLAN WAS MADE", bold)
		for _, d := range st.Drift {
			t.item("  - ", d.Object.String()+": "+d.Why)
		}
		t.para("  ", driftProof(st.Proof))
	}
	return []byte(t.b.String())
}

// StatusMarkdown is the same for a chat or an issue.
func StatusMarkdown(st *api.MigrationStatus) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n", mdText(plain(statusHeadline(st))))
	part := func(title, mark string, lines []string) {
		if len(lines) == 0 {
			return
		}
		fmt.Fprintf(&b, "\n## %s\n\n", title)
		for _, l := range lines {
			fmt.Fprintf(&b, "- %s%s\n", mark, mdText(plain(l)))
		}
	}
	part("Because", "", st.Because)
	part("Only a person can check", "[ ] ", st.People)
	var steps, drift []string
	for _, s := range st.Steps {
		steps = append(steps, fmt.Sprintf("%s: wave %d, %s", stepState(s.State), s.Wave, s.Step))
	}
	part("Steps", "", steps)
	for _, d := range st.Drift {
		drift = append(drift, d.Object.String()+": "+d.Why)
	}
	if len(drift) > 0 {
		drift = append(drift, driftProof(st.Proof))
	}
	part("Changed by others since the plan was made", "", drift)
	return []byte(b.String())
}

// statusHeadline is the verdict in a sentence.
func statusHeadline(st *api.MigrationStatus) string {
	last := "no step of the plan stands yet"
	if st.Last != nil {
		last = fmt.Sprintf("the mesh stands after step %s of wave %d", st.Last.Step, st.Last.Wave)
	}
	switch {
	case st.Verdict == api.AllDone:
		return "DONE: every step of the plan stands"
	case st.Verdict == api.MayProceed && st.Next != nil && len(st.People) > 0:
		return fmt.Sprintf("MAY PROCEED with step %s of wave %d, once a person has checked what follows: %s", st.Next.Step, st.Next.Wave, last)
	case st.Verdict == api.MayProceed && st.Next != nil:
		return fmt.Sprintf("MAY PROCEED with step %s of wave %d: %s", st.Next.Step, st.Next.Wave, last)
	}
	return "STOP: " + last + ", and it must not go on, because"
}

// checksHold counts the checks of a step that is done and that hold.
func checksHold(s api.StepStatus) string {
	n := 0
	for _, c := range s.Checks {
		if c.Result == api.CheckOK {
			n++
		}
	}
	if s.State != api.StepDone || n == 0 {
		return ""
	}
	return fmt.Sprintf(": %s", map[bool]string{true: "1 check holds", false: fmt.Sprintf("%d checks hold", n)}[n == 1])
}

func stepState(s api.StepState) string {
	if s == api.StepUnset {
		return "unknown"
	}
	return string(s)
}

// checkWord is what stands before a check.
func checkWord(r api.CheckResult) string {
	switch r {
	case api.CheckOK:
		return "ok"
	case api.CheckNot:
		return "NOT"
	case api.CheckPerson:
		return "[ ]"
	case api.CheckUnknown, api.CheckUnset:
	}
	return "UNKNOWN"
}

// driftProof says what comes of changes.
func driftProof(x *api.DriftProof) string {
	switch {
	case x == nil:
		return "what they make of the proofs was not asked"
	case x.Holds:
		return "the proofs of the steps that are left hold with these changes, for what the plan knows; plan again with --previous to have them in the plan"
	}
	return fmt.Sprintf("%s got worse by these changes", count(len(x.Worse), "proof"))
}
