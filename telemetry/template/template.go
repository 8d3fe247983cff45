// Package template makes PromQL with variables parse, and brings edits of the result back to the original.
//
// Inside of string literals and comments the text is left as it is: {reporter=~"$qrep"} parses, and what the variable
// holds is filled in by who evaluates. Outside of strings each variable becomes a placeholder of the kind that fits
// there: a duration in brackets and after offset, a label name in lists of labels, a name before { or (, else a number
// (observability.md 4.2). Placeholders are unique, so that text which an edit copies finds its variable again.
package template

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ambientplan/ambientplan/telemetry/span"
)

// Use is one place of a text that names a variable.
type Use struct {
	// Name of the variable: qrep of ${qrep:regex}, namespace of {{ namespace }}, .Series of <<.Series>>.
	Name string
	// Spelling as it is written, such as ${qrep:regex}.
	Spelling string
	// Start and End of the spelling in Text, in bytes.
	Start, End int
	// InString says that it stands in a string literal or a comment and is in Expr as it was written.
	InString bool
	// Placeholder that stands for it in Expr, "" in strings.
	Placeholder string
}

// Template is a text with variables.
type Template struct {
	// Text as it was given.
	Text string
	// Expr is Text with placeholders for the variables outside of strings. A text without such variables is its own
	// Expr.
	Expr string
	// Uses in the order of the text.
	Uses []Use
}

// Grafana reads the variables of Grafana and Perses: $name, ${name}, ${name:format}, ${name.field}, [[name]]
// (observability.md 4.2). parses says whether an expression can be parsed; nil takes the first guess. The error is that
// of the first guess; the Template is there even then.
func Grafana(text string, parses func(expr string) error) (*Template, error) {
	return read(text, grafanaUse, parses)
}

// Braces reads {{ ... }} of Go templates and their like: Flagger, Argo, Sloth, Iter8, Helm. For parses see Grafana.
func Braces(text string, parses func(expr string) error) (*Template, error) {
	return read(text, func(s string) (string, int) { return between(s, "{{", "}}") }, parses)
}

// Adapter reads <<...>> of prometheus-adapter. For parses see Grafana.
func Adapter(text string, parses func(expr string) error) (*Template, error) {
	return read(text, func(s string) (string, int) { return between(s, "<<", ">>") }, parses)
}

// maxUses is how many variables one text may name outside of strings: placeholders have a fixed width.
const maxUses = 999

// maxTrials is how many guesses are parsed.
const maxTrials = 100

func read(text string, use useFunc, parses func(string) error) (*Template, error) {
	t := &Template{Text: text, Expr: text}
	var guesses [][]kind
	t.Uses, guesses = scan(text, use)
	if len(guesses) > maxUses {
		return t, fmt.Errorf("the text names %d variables outside of strings, more than %d", len(guesses), maxUses)
	}
	if parses == nil {
		parses = func(string) error { return nil }
	}
	var first error
	for i, choice := range choices(guesses) {
		err := t.choose(choice)
		if err == nil {
			err = parses(t.Expr)
		}
		if err == nil {
			return t, nil
		}
		if i == 0 {
			first = err
		}
	}
	if err := t.choose(primary(guesses)); err != nil {
		return t, err
	}
	return t, first
}

// choose writes Expr with placeholders of the given kinds.
func (t *Template) choose(kinds []kind) error {
	var b strings.Builder
	at, n := 0, 0
	for i := range t.Uses {
		u := &t.Uses[i]
		if u.InString {
			continue
		}
		u.Placeholder = kinds[n].placeholder(n + 1)
		n++
		b.WriteString(t.Text[at:u.Start])
		b.WriteString(u.Placeholder)
		at = u.End
	}
	b.WriteString(t.Text[at:])
	t.Expr = b.String()
	if n == 0 || !stems.MatchString(t.Text) {
		return nil
	}
	for _, u := range t.Uses {
		if u.Placeholder != "" && strings.Count(t.Expr, u.Placeholder) != 1 {
			return fmt.Errorf("the text itself holds %q, which would stand for the variable %s", u.Placeholder, u.Spelling)
		}
	}
	return nil
}

// Restore turns edits of Expr into edits of Text. Placeholders that an edit's text holds become the variables that they
// stand for. It fails when an edit begins or ends within a placeholder, overlaps another one or leaves Expr.
func (t *Template) Restore(edits []span.Edit) ([]span.Edit, error) {
	if _, err := span.Apply(t.Expr, edits); err != nil {
		return nil, err
	}
	back := t.back()
	out := make([]span.Edit, 0, len(edits))
	for _, e := range edits {
		start, err := t.offset(e.Start)
		if err != nil {
			return nil, err
		}
		end, err := t.offset(e.End)
		if err != nil {
			return nil, err
		}
		out = append(out, span.Edit{Start: start, End: end, Text: back.Replace(e.Text)})
	}
	slices.SortStableFunc(out, func(a, b span.Edit) int { return cmp.Compare(a.Start, b.Start) })
	return out, nil
}

// Spelled is any text in which placeholders of Expr have become the variables again.
func (t *Template) Spelled(text string) string { return t.back().Replace(text) }

// back puts variables in the place of placeholders.
func (t *Template) back() *strings.Replacer {
	var pairs []string
	for _, u := range t.Uses {
		if u.Placeholder != "" {
			pairs = append(pairs, u.Placeholder, u.Spelling)
		}
	}
	return strings.NewReplacer(pairs...)
}

// offset of Text for one of Expr.
func (t *Template) offset(expr int) (int, error) {
	shift := 0
	for _, u := range t.Uses {
		if u.Placeholder == "" {
			continue
		}
		from := u.Start + shift
		to := from + len(u.Placeholder)
		if expr <= from {
			break
		}
		if expr < to {
			return 0, fmt.Errorf("an edit ends within %s", u.Spelling)
		}
		shift += len(u.Placeholder) - (u.End - u.Start)
	}
	return expr - shift, nil
}

// primary is the first guess for each use.
func primary(guesses [][]kind) []kind {
	out := make([]kind, len(guesses))
	for i, g := range guesses {
		out[i] = g[0]
	}
	return out
}

// choices lists the guesses to try: the first one, then one other kind for one use at a time, then the n-th kind for
// all, then all combinations.
func choices(guesses [][]kind) [][]kind {
	all := [][]kind{primary(guesses)}
	for i, g := range guesses {
		for _, k := range g[1:] {
			if len(all) == maxTrials {
				return all
			}
			c := primary(guesses)
			c[i] = k
			all = append(all, c)
		}
	}
	for n := 1; n < 4; n++ {
		c := primary(guesses)
		for i, g := range guesses {
			c[i] = g[min(n, len(g)-1)]
		}
		all = append(all, c)
	}
	index := make([]int, len(guesses))
	for len(all) < maxTrials {
		i := 0
		for i < len(index) {
			if index[i]++; index[i] < len(guesses[i]) {
				break
			}
			index[i] = 0
			i++
		}
		if i == len(index) {
			break
		}
		c := make([]kind, len(guesses))
		for j := range c {
			c[j] = guesses[j][index[j]]
		}
		all = append(all, c)
	}
	return all[:min(len(all), maxTrials)]
}
