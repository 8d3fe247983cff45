package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ambientplan/ambientplan/schemas"
)

func newSchemaCmd(s *streams) *cobra.Command {
	return &cobra.Command{
		Use:   "schema [KIND]",
		Short: "Print the JSON schema of a document, or list the documents that have one",
		Long: `schema prints the JSON schema of one kind of document, for editors and for programs that
read what ambientplan writes. Without KIND it lists the kinds.

An unknown field is an error in every document, and so it is in the schemas.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageErrorf("%s takes one kind; there are %d", cmd.CommandPath(), len(args))
			}
			return nil
		},
		ValidArgsFunction: cobra.FixedCompletions(schemas.Kinds(), cobra.ShellCompDirectiveNoFileComp),
		Example: s.examples(
			"schema",
			"schema MigrationPolicy > MigrationPolicy.json",
		),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				fmt.Fprintln(s.out, strings.Join(schemas.Kinds(), "\n"))
				return nil
			}
			i := slices.IndexFunc(schemas.Kinds(), func(k string) bool { return strings.EqualFold(k, args[0]) })
			if i < 0 {
				return usageErrorf("no document %q; there are %s", args[0], strings.Join(schemas.Kinds(), ", "))
			}
			text, _ := schemas.Of(schemas.Kinds()[i])
			_, err := s.out.Write(text)
			return err
		},
	}
}
