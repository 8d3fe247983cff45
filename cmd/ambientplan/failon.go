package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/render"
)

// failOnFlag is --fail-on: how bad a plan may be before the exit code says so.
type failOnFlag struct{ value string }

func (f *failOnFlag) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.value, "fail-on", "blocked", "exit with 1 on: blocked (a blocker, a held namespace or a gap in the proof), warning, info, unknown (blocked, or something unknown) or never")
	complete(cmd, "fail-on", "blocked", "warning", "info", "unknown", "never")
}

func (f *failOnFlag) check() error {
	if f.value == "blocker" { // the word that findings use
		f.value = "blocked"
	}
	return oneOf("fail-on", f.value, "blocked", "warning", "info", "unknown", "never")
}

// judge is the error with exit code 1 when the plan is worse than the flag
// allows. What a policy consents to does not count.
func (f *failOnFlag) judge(p *api.MigrationPlan) error {
	if f.value == "never" {
		return nil
	}
	count := map[api.Severity]int{}
	for _, x := range p.Findings {
		if x.ConsentedBy == "" {
			count[x.Severity]++
		}
	}
	unknowns := 0
	for _, u := range p.Unknowns {
		if u.WaivedBy == "" {
			unknowns++
		}
	}
	var why []string
	add := func(n int, what string) {
		if n > 0 {
			why = append(why, plural(n, what))
		}
	}
	// A severity that is not set is a fault of a rule; it counts as the worst.
	add(count[api.Blocker]+count[api.SeverityUnset], "blocker")
	add(len(p.Held), "held namespace")
	add(openGaps(p), "gap")
	switch f.value {
	case "info":
		add(count[api.Warning], "warning")
		add(count[api.Info], "info finding")
	case "warning":
		add(count[api.Warning], "warning")
	case "unknown":
		add(unknowns, "unknown")
	}
	if len(why) == 0 {
		return nil
	}
	return findingsErrorf("the plan has %s (--fail-on %s: exit code 1)", strings.Join(why, ", "), f.value)
}

// plural is "1 blocker", "2 blockers".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// openGaps counts the gaps that nobody consented to, each once.
func openGaps(p *api.MigrationPlan) int {
	open := map[string]bool{}
	render.EachProof(p, func(_ render.StateRef, _ []string, x api.Proof) {
		for _, c := range x.Counterexamples {
			if c.ConsentedBy == "" {
				open[c.ID] = true
			}
		}
	})
	return len(open)
}
