package main

import (
	"github.com/spf13/cobra"
)

// onlyFlags refuses arguments of commands that take files with -f, and says so:
// "plan mesh.yaml" is the commonest slip.
func onlyFlags(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageErrorf("%s takes no arguments; read files with -f %s", cmd.CommandPath(), args[0])
	}
	return nil
}

// onePlan wants the file of a plan and nothing else.
func onePlan(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usageErrorf("%s takes one argument, the file of a plan; there are %d (see %q)", cmd.CommandPath(), len(args), cmd.CommandPath()+" --help")
	}
	return nil
}

// ruleOrSubject wants a rule's id, or a plan and a subject.
func ruleOrSubject(cmd *cobra.Command, args []string) error {
	if len(args) != 1 && len(args) != 2 {
		return usageErrorf("%s takes a rule's id, or a plan and a subject (see %q)", cmd.CommandPath(), cmd.CommandPath()+" --help")
	}
	return nil
}
