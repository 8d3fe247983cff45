package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ambientplan/ambientplan/planner/rules"
)

func newExplainCmd(s *streams) *cobra.Command {
	return &cobra.Command{
		Use:   "explain RULE-ID | explain PLAN SUBJECT",
		Short: "Say why a rule matters, or why a plan decides what it does about a subject",
		Long: `explain RULE-ID prints what a rule looks for, why, what happens if nothing is done,
what to do, and the sources.

explain PLAN SUBJECT prints what a plan says about one service, workload or
namespace, with the evidence. SUBJECT is NAMESPACE, NAMESPACE/NAME or
KIND/NAMESPACE/NAME.`,
		Args: ruleOrSubject,
		Example: s.examples(
			"explain L08",
			"explain out/plan.yaml bookinfo/reviews",
		),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				return explainRule(s.out, args[0])
			}
			return explainSubject(s, args[0], args[1])
		},
	}
}

// explainRule prints a rule's documentation. "L-08", as facts are written, names the rule L08.
func explainRule(w io.Writer, id string) error {
	want := strings.ReplaceAll(id, "-", "")
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
