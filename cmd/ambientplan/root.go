package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// streams are all of the outside world that a command sees, but for the files
// that its flags name.
type streams struct {
	in          io.Reader
	out, errOut io.Writer
	// env looks up an environment variable, as os.LookupEnv does.
	env func(string) (string, bool)
	// now is today; only a calendar in a MigrationPolicy makes it matter.
	now time.Time
	// terminal and errTerminal are true when out and errOut are one.
	terminal, errTerminal bool
	// name is how the user calls the program: "ambientplan" or "kubectl ambientplan".
	name string
}

// notef tells the person in front of the program something that is not a result.
func (s *streams) notef(format string, args ...any) {
	fmt.Fprintln(s.errOut, printable(fmt.Sprintf(format, args...)))
}

// examples formats the lines of a command's help, each a command line without
// the name of the program.
func (s *streams) examples(lines ...string) string {
	var b strings.Builder
	for _, l := range lines {
		if comment, ok := strings.CutPrefix(l, "#"); ok {
			fmt.Fprintf(&b, "  #%s\n", comment)
			continue
		}
		fmt.Fprintf(&b, "  %s %s\n", s.name, l)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// run is the program: args include the program's name. It returns the exit code.
func run(ctx context.Context, args []string, s *streams) int {
	s.name = displayName(args)
	root := newRootCmd(s)
	root.SetArgs(args[min(1, len(args)):])
	if err := root.ExecuteContext(ctx); err != nil {
		return report(s.errOut, err)
	}
	return exitDone
}

// displayName is "kubectl ambientplan" when kubectl runs the program as its
// plugin, which is then called kubectl-ambientplan.
func displayName(args []string) string {
	if len(args) > 0 {
		base := strings.TrimSuffix(filepath.Base(args[0]), ".exe")
		if plugin, ok := strings.CutPrefix(base, "kubectl-"); ok && plugin != "" {
			return "kubectl " + plugin
		}
	}
	return "ambientplan"
}

func newRootCmd(s *streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "ambientplan",
		Short: "Plan the migration of an Istio mesh from sidecars to ambient mode",
		Long: `ambientplan plans the migration of a running Istio mesh from sidecars to ambient
mode: which namespaces move in which wave, which services need a waypoint, which
keep the sidecar, what is lost, and how to get back after each step.

It only reads. Its result is a plan and a directory of kustomizations that people
review, commit and let their GitOps controller apply.`,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: s.name},
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.errOut)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageErrorf("%w (see %q)", err, cmd.CommandPath()+" --help")
	})
	root.AddCommand(
		newInventoryCmd(s),
		newAssessCmd(s),
		newPlanCmd(s),
		newVerifyCmd(s),
		newStatusCmd(s),
		newDiffCmd(s),
		newDashboardsCmd(s),
		newRenderCmd(s),
		newChecklistCmd(s),
		newExplainCmd(s),
		newSchemaCmd(s),
		newVersionCmd(s),
	)
	return root
}
