package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// tableWidth is the width that every terminal has.
const tableWidth = 80

// outputFlag is -o with the values that a command knows; the first is the default.
type outputFlag struct {
	value   string
	allowed []string
}

func (f *outputFlag) add(cmd *cobra.Command, allowed ...string) {
	f.allowed = allowed
	cmd.Flags().StringVarP(&f.value, "output", "o", allowed[0], "output format: "+orList(allowed))
	complete(cmd, "output", allowed...)
}

func (f *outputFlag) check() error { return oneOf("output", f.value, f.allowed...) }

// colorFlag is --color.
type colorFlag struct{ value string }

func (f *colorFlag) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.value, "color", "auto", "colour the table: auto, always or never; NO_COLOR turns auto off")
	complete(cmd, "color", "auto", "always", "never")
}

func (f *colorFlag) check() error { return oneOf("color", f.value, "auto", "always", "never") }

// on decides with https://no-color.org: NO_COLOR set to anything but the empty
// string turns colour off unless the user asks for it on the command line.
func (f *colorFlag) on(s *streams) bool {
	switch f.value {
	case "always":
		return true
	case "never":
		return false
	}
	if v, ok := s.env("NO_COLOR"); ok && v != "" {
		return false
	}
	if v, _ := s.env("TERM"); v == "dumb" {
		return false
	}
	return s.terminal
}

// encode writes a document of ours as YAML or JSON.
func encode(w io.Writer, format string, v any) error {
	if format == "yaml" {
		return api.Encode(w, v)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// complete offers the values of a flag to the shell.
func complete(cmd *cobra.Command, flag string, values ...string) {
	err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(fmt.Sprintf("flag --%s of %s: %v", flag, cmd.Name(), err)) // a flag that this file does not declare
	}
}

// orList is "a, b or c".
func orList(words []string) string {
	out := ""
	for i, w := range words {
		switch {
		case i == 0:
		case i == len(words)-1:
			out += " or "
		default:
			out += ", "
		}
		out += w
	}
	return out
}
