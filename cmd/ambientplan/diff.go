package main

import (
	"bytes"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/planner/diff"
	"github.com/ambientplan/ambientplan/render"
)

type diffOptions struct {
	output   outputFlag
	color    colorFlag
	exitCode bool
}

func newDiffCmd(s *streams) *cobra.Command {
	var o diffOptions
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Say what a new plan does otherwise than an old one",
		Long: `diff compares two plans: decisions, the wave of each namespace, the steps with the
objects that they change, findings, unknowns and the gaps of the proofs. OLD and NEW are
files, or directories that "plan --out" wrote.

A plan that was made with --previous keeps the waves of the old one, so that only what
really changed is listed.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usageErrorf("%s takes two plans; there are %d (see %q)", cmd.CommandPath(), len(args), cmd.CommandPath()+" --help")
			}
			return nil
		},
		Example: s.examples(
			"diff out/plan.yaml new/plan.yaml",
			"# for a comment on a pull request",
			"diff main/out out -o markdown",
			"# in a pipeline: 1 when they differ",
			"diff old.yaml new.yaml --exit-code",
		),
		RunE: func(_ *cobra.Command, args []string) error { return o.run(s, args[0], args[1]) },
	}
	o.output.add(cmd, "table", "markdown", "yaml", "json")
	o.color.add(cmd)
	cmd.Flags().BoolVar(&o.exitCode, "exit-code", false, "exit with 1 when the plans differ")
	return cmd
}

func (o *diffOptions) run(s *streams, was, is string) error {
	if err := o.output.check(); err != nil {
		return err
	}
	if err := o.color.check(); err != nil {
		return err
	}
	if err := oneStdin(was, is); err != nil {
		return err
	}
	a, err := readPlan(s, was)
	if err != nil {
		return err
	}
	b, err := readPlan(s, is)
	if err != nil {
		return err
	}
	d := diff.Plans(a, b)
	var out bytes.Buffer
	switch o.output.value {
	case "table":
		out.Write(render.Diff(d, tableWidth, o.color.on(s)))
	case "markdown":
		out.Write(render.DiffMarkdown(d))
	default:
		if err := encode(&out, o.output.value, d); err != nil {
			return internalErrorf("%w", err)
		}
	}
	if _, err := s.out.Write(out.Bytes()); err != nil {
		return err
	}
	if o.exitCode && !d.Same {
		return findingsErrorf("the plans differ (exit code 1)")
	}
	return nil
}

// readPlan reads a plan from a file, from stdin, or from the directory of a tree.
func readPlan(s *streams, path string) (*api.MigrationPlan, error) {
	if info, err := os.Stat(path); path != "-" && err == nil && info.IsDir() {
		path = filepath.Join(path, "plan.yaml")
	}
	return decodeFile(s, path, api.Decode[api.MigrationPlan])
}
