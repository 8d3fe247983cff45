package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ambientplan/ambientplan/planner/rules"
	"github.com/ambientplan/ambientplan/telemetry"
)

func newExplainCmd(s *streams) *cobra.Command {
	return &cobra.Command{
		Use:   "explain RULE-ID | explain BREAKAGE-ID | explain PLAN SUBJECT",
		Short: "Say why a rule matters, or why a plan decides what it does about a subject",
		Long: `explain RULE-ID prints what a rule looks for, why, what happens if nothing is done,
what to do, and the sources.

explain BREAKAGE-ID (B-01 to B-15, with the hyphen) prints one of the known ways in which
migrations break, which rules foresee it, and what a plan does about it.

explain PLAN SUBJECT prints what a plan says about one service, workload or
namespace, with the evidence. SUBJECT is NAMESPACE, NAMESPACE/NAME or
KIND/NAMESPACE/NAME.`,
		Args: ruleOrSubject,
		Example: s.examples(
			"explain L08",
			"explain B-07",
			"explain out/plan.yaml bookinfo/reviews",
		),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				if b, ok := breakage(args[0]); ok {
					explainBreakage(s.out, b)
					return nil
				}
				return explainRule(s.out, args[0])
			}
			return explainSubject(s, args[0], args[1])
		},
	}
}

// breakage finds one by its id. The hyphen tells it from a rule: B-08 is the
// breakage, B08 the rule.
func breakage(id string) (rules.Breakage, bool) {
	for _, b := range rules.Breakages() {
		if strings.EqualFold(b.ID, id) {
			return b, true
		}
	}
	return rules.Breakage{}, false
}

// explainBreakage prints a breakage with the rules that foresee it.
func explainBreakage(w io.Writer, b rules.Breakage) {
	fmt.Fprintf(w, "%s: %s (fails %s)\n\nForeseen by:\n", b.ID, b.Title, b.Fails)
	for _, r := range rules.All() {
		if slices.Contains(b.Rules, r.ID) {
			fmt.Fprintf(w, "- %s: %s\n%s\n", r.ID, r.Title, indented(wrap("What to do: "+r.Doc.Remedy, tableWidth-2)))
		}
	}
	fmt.Fprintf(w, "\n%s\n\nSeen in: %s.\nPage: docs/breakages.md. Worked example: planner/rules/testdata/breakages/%s.txtar.\n", wrap("The plan "+b.Plan+".", tableWidth), b.Evidence, b.ID)
}

// indented moves every line two columns to the right.
func indented(text string) string { return "  " + strings.ReplaceAll(text, "\n", "\n  ") }

// explainRule prints a rule's documentation. "L-08", as facts are written, names the rule L08.
func explainRule(w io.Writer, id string) error {
	want := strings.ReplaceAll(id, "-", "")
	for _, r := range telemetry.Rules() {
		if strings.EqualFold(r.ID, want) {
			explainTelemetry(w, r)
			return nil
		}
	}
	i := slices.IndexFunc(rules.All(), func(r rules.Rule) bool { return strings.EqualFold(r.ID, want) })
	if i < 0 {
		if slices.ContainsFunc(rules.Retired(), func(r string) bool { return strings.EqualFold(r, want) }) {
			return usageErrorf("rule %s is retired", want)
		}
		if _, err := os.Stat(id); err == nil {
			return usageErrorf("%s is a file: name a subject after it, for example \"explain %s NAMESPACE/SERVICE\"", id, id)
		}
		var ids []string
		for _, r := range rules.All() {
			ids = append(ids, r.ID)
		}
		for _, r := range telemetry.Rules() {
			ids = append(ids, r.ID)
		}
		return usageErrorf("no rule %q; the rules are %s (ids in words are of the planner and the reader: explain PLAN SUBJECT prints those findings)", id, strings.Join(ids, ", "))
	}
	r := rules.All()[i]
	fmt.Fprintf(w, "%s: %s\n\n%s\n", r.ID, r.Title, wrap(r.Doc.Why, tableWidth))
	fmt.Fprintf(w, "\nIf nothing is done:\n%s\n", wrap(r.Doc.Effect, tableWidth))
	fmt.Fprintf(w, "\nWhat to do:\n%s\n\nSources:\n", wrap(r.Doc.Remedy, tableWidth))
	for _, src := range r.Doc.Sources {
		fmt.Fprintf(w, "- %s\n", src)
	}
	fmt.Fprintf(w, "\nFacts: %s (docs/facts.md). Since %s.\n", strings.Join(r.Doc.Facts, ", "), r.Doc.Since)
	return nil
}

// explainTelemetry prints a rule on dashboards and alerts.
func explainTelemetry(w io.Writer, r telemetry.Rule) {
	fmt.Fprintf(w, "%s: %s\n\n%s\n", r.ID, r.Title, wrap(r.Why, tableWidth))
	fmt.Fprintf(w, "\nIf nothing is done:\n%s\n", wrap(r.Effect, tableWidth))
	fmt.Fprintf(w, "\nWhat to do:\n%s\n", wrap(r.Remedy, tableWidth))
	fmt.Fprintf(w, "\nFacts: %s (docs/telemetry/facts.md). Since %s.\n", strings.Join(r.Facts, ", "), r.Since)
}

// wrap breaks a paragraph into lines of at most width characters, at spaces.
func wrap(text string, width int) string {
	var b strings.Builder
	col := 0
	for _, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case col == 0:
		case col+1+n > width:
			b.WriteByte('\n')
			col = 0
		default:
			b.WriteByte(' ')
			col++
		}
		b.WriteString(word)
		col += n
	}
	return b.String()
}
