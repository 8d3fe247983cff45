package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"unicode"

	"github.com/ambientplan/ambientplan/cluster"
	"github.com/ambientplan/ambientplan/inventory"
)

// The exit codes, as README.md lists them.
const (
	exitDone     = 0
	exitFindings = 1 // findings at or over --fail-on
	exitUsage    = 2 // usage or bad input
	exitFailed   = 3 // a file could not be read or written, or a fault of the program
)

// exitError is an error with its exit code.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// usageErrorf is the user's to mend on the command line or in an input.
func usageErrorf(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// internalErrorf is a fault of the program, found before anything was written.
func internalErrorf(format string, args ...any) error {
	return &exitError{exitFailed, fmt.Errorf("internal error, nothing was written: "+format, args...)}
}

// findingsError ends a command whose result was printed and is not good enough.
func findingsErrorf(format string, args ...any) error {
	return &exitError{exitFindings, fmt.Errorf(format, args...)}
}

// codeOf is the exit code of an error: what it carries, else 3 when a file could
// not be read or written, a cluster or Prometheus gave no answer or the user interrupted, else 2.
func codeOf(err error) int {
	var exit *exitError
	var read *inventory.ReadError
	var path *fs.PathError
	var away *cluster.UnreachableError
	var metrics *inventory.MetricsError
	switch {
	case errors.As(err, &exit):
		return exit.code
	case errors.As(err, &read), errors.As(err, &path), errors.As(err, &away), errors.As(err, &metrics), errors.Is(err, context.Canceled):
		return exitFailed
	}
	return exitUsage
}

// report writes each of the joined errors on a line of its own, and returns the exit code.
func report(w io.Writer, err error) int {
	code := codeOf(err)
	prefix := "error: "
	if code == exitFindings {
		prefix = ""
	}
	if code == exitFailed && errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	for _, line := range lines(err) {
		fmt.Fprintln(w, prefix+printable(line))
	}
	return code
}

// lines takes joined errors apart; any other error is one line.
func lines(err error) []string {
	if exit, ok := err.(*exitError); ok {
		return lines(exit.err)
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok && strings.Contains(err.Error(), "\n") {
		var all []string
		for _, e := range joined.Unwrap() {
			all = append(all, lines(e)...)
		}
		return all
	}
	return []string{err.Error()}
}

// printable escapes what could move the cursor, colour the terminal or fake a
// second line: names in messages come from other people's files.
func printable(s string) string {
	clean := func(r rune) bool { return !unicode.IsPrint(r) }
	if strings.IndexFunc(s, clean) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		q := strconv.QuoteRuneToASCII(r)
		b.WriteString(q[1 : len(q)-1])
	}
	return b.String()
}
