package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/render"
)

type checklistOptions struct {
	wave   int
	output outputFlag
}

func newChecklistCmd(s *streams) *cobra.Command {
	var o checklistOptions
	cmd := &cobra.Command{
		Use:   "checklist PLAN --wave N",
		Short: "Print what to do and to check in one wave, and the way back",
		Long: `checklist prints one wave for the person who runs it: each step with what it
changes, the checks before and after, and how to get back. Wave 0 is the foundation.`,
		Args:    onePlan,
		Example: s.examples("checklist out/plan.yaml --wave 1", "checklist out/plan.yaml --wave 1 -o html > wave-1.html"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.output.check(); err != nil {
				return err
			}
			if !cmd.Flags().Changed("wave") {
				return usageErrorf("say which wave with --wave N; 0 is the foundation")
			}
			p, err := decodeFile(s, args[0], api.Decode[api.MigrationPlan])
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(p.Waves, func(w api.Wave) bool { return w.Number == o.wave }) {
				return usageErrorf("%s has no wave %d; its waves are %s", args[0], o.wave, waveNumbers(p))
			}
			b, err := render.Checklist(p, o.wave, o.output.value)
			if err != nil {
				return err
			}
			_, err = s.out.Write(b)
			return err
		},
	}
	o.output.add(cmd, "markdown", "html")
	cmd.Flags().IntVar(&o.wave, "wave", 0, "number of the wave")
	return cmd
}

// waveNumbers is "0, 1, 2", or "none".
func waveNumbers(p *api.MigrationPlan) string {
	if len(p.Waves) == 0 {
		return "none"
	}
	var ns []string
	for _, w := range p.Waves {
		ns = append(ns, strconv.Itoa(w.Number))
	}
	return strings.Join(ns, ", ")
}
