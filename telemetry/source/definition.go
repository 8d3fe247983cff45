package source

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/ambientplan/ambientplan/telemetry/span"
)

// definition is where a Fixed variable's values stand in a file. A value is named in up to three places, and the
// dashboard shows the old one until somebody saves it if only one of them is changed (observability.md 4.2 rule 5).
type definition struct {
	r *reader
	v *Variable
	// csv holds values with commas between; single is one value. One of them is nil.
	csv, single *span.Node
	// options are objects with text and value, current is one such.
	options, current *span.Node
}

// element is one value of a csv text.
type element struct {
	value string
	// from and to are where the value stands, end is where the element ends.
	from, to, end int
}

var (
	csvElement = regexp.MustCompile(`(?:\\,|[^,])+`)
	keyValue   = regexp.MustCompile(`^\s*.+\s:\s(.+)$`)
)

// elements of a csv text, as Grafana's custom variable reads it: a comma is written \, and text : value has a label.
func elements(text string) []element {
	var out []element
	for _, m := range csvElement.FindAllStringIndex(text, -1) {
		from, to := m[0], m[1]
		if kv := keyValue.FindStringSubmatchIndex(text[from:to]); kv != nil {
			from, to = from+kv[2], from+kv[3]
		}
		for from < to && text[from] == ' ' {
			from++
		}
		for from < to && strings.IndexByte(" \r\n\t", text[to-1]) >= 0 {
			to--
		}
		out = append(out, element{strings.ReplaceAll(text[from:to], `\,`, ","), from, to, to})
	}
	return out
}

func (d definition) values() []string {
	var out []string
	put := func(s string) {
		if !slices.Contains(out, s) && s != "$__all" {
			out = append(out, s)
		}
	}
	for _, e := range elements(d.csv.Str()) {
		put(e.value)
	}
	if s := d.single.Str(); s != "" {
		put(s)
	}
	for _, s := range append(optionValues(d.options), strs(d.current.Get("value"))...) {
		put(s)
	}
	return out
}

// edit puts a value in the place of another one; see listEdit.
func (d definition) edit(old, with string) ([]span.Edit, error) {
	return listEdit(d.v, old, with, d.replace, d.add)
}

// listEdit puts a value in the place of another one. Where several values may be selected, dashboards escape the | in a
// value, so with and old are taken as alternatives: those of with that are new become values of their own, selected
// where an old one is.
func listEdit(v *Variable, old, with string, replace func(old, with string) ([]span.Edit, error), add func(olds, more []string) ([]span.Edit, error)) ([]span.Edit, error) {
	var edits []span.Edit
	var err error
	if v.Multi || v.All {
		olds := strings.Split(old, "|")
		var more []string
		left := slices.Clone(olds)
		for _, w := range strings.Split(with, "|") {
			if i := slices.Index(left, w); i >= 0 {
				left = slices.Delete(left, i, i+1)
			} else {
				more = append(more, w)
			}
		}
		switch {
		case len(left) == 0 && !v.Multi:
			return nil, fmt.Errorf("the variable %s offers a value for all, so %q in a value is escaped, and only one can be selected: allow several values first", v.Name, "|")
		case len(left) == 0:
			edits, err = add(olds, more)
		case len(left) == 1 && len(more) == 1:
			edits, err = replace(left[0], more[0])
		default:
			return nil, fmt.Errorf("the variable %s may have several values: %q cannot become %q", v.Name, old, with)
		}
	} else {
		edits, err = replace(old, with)
	}
	if err != nil {
		return nil, err
	}
	if len(edits) == 0 && old != with {
		return nil, fmt.Errorf("the definition of the variable %s does not name %q, or has %q already", v.Name, old, with)
	}
	slices.SortStableFunc(edits, func(a, b span.Edit) int { return cmp.Compare(a.Start, b.Start) })
	return edits, nil
}

// replace one value everywhere.
func (d definition) replace(old, with string) ([]span.Edit, error) {
	var edits []span.Edit
	put := func(t span.Text, e span.Edit) error {
		more, err := t.Edits([]span.Edit{e})
		edits = append(edits, more...)
		return err
	}
	for _, e := range elements(d.csv.Str()) {
		if e.value == old {
			if err := put(d.csv.Text, span.Edit{Start: e.from, End: e.to, Text: strings.ReplaceAll(with, ",", `\,`)}); err != nil {
				return nil, err
			}
		}
	}
	// A label of people stays; a text that is the value changes with it.
	var all []*span.Node
	all = append(all, d.single)
	for _, o := range append(slices.Clone(d.options.List()), d.current) {
		for _, field := range []string{"value", "text"} {
			n := o.Get(field)
			all = append(append(all, n), n.List()...)
		}
	}
	for _, n := range all {
		if n.Is(span.String) && n.Text.String == old {
			if err := put(n.Text, span.Edit{End: len(old), Text: with}); err != nil {
				return nil, err
			}
		}
	}
	return edits, nil
}

// add puts more values behind the last one of olds.
func (d definition) add(olds, more []string) ([]span.Edit, error) {
	if d.csv == nil {
		return nil, fmt.Errorf("the variable %s holds one value", d.v.Name)
	}
	missing := slices.DeleteFunc(slices.Clone(more), func(s string) bool { return slices.Contains(d.offered(), s) })
	var edits []span.Edit
	if len(missing) > 0 {
		var last *element
		text := d.csv.Str()
		for _, e := range elements(text) {
			if slices.Contains(olds, e.value) {
				last = &e
			}
		}
		if last == nil {
			return nil, fmt.Errorf("the definition of the variable %s does not name %q", d.v.Name, strings.Join(olds, "|"))
		}
		comma := ","
		if strings.Contains(text, ", ") {
			comma = ", "
		}
		insert := ""
		for _, m := range missing {
			insert += comma + strings.ReplaceAll(m, ",", `\,`)
		}
		e, err := d.csv.Text.Edits([]span.Edit{{Start: last.end, End: last.end, Text: insert}})
		if err != nil {
			return nil, err
		}
		edits = append(edits, e...)
		if e, err = addItem(d.r, d.options.List(), olds, more); err != nil {
			return nil, err
		}
		edits = append(edits, e...)
	}
	for _, field := range []string{"value", "text"} {
		e, err := addCurrent(d.r, d.current.Get(field), olds, more)
		if err != nil {
			return nil, err
		}
		edits = append(edits, e...)
	}
	return edits, nil
}

// offered are the values that may be selected.
func (d definition) offered() []string {
	var out []string
	for _, e := range elements(d.csv.Str()) {
		out = append(out, e.value)
	}
	return out
}

// addItem copies the last of olds in a list, of strings or of objects with a value.
func addItem(r *reader, items []*span.Node, olds, more []string) ([]span.Edit, error) {
	var last *span.Node
	value := func(n *span.Node) string { return either(n.Str(), n.Str("value")) }
	for _, o := range items {
		more = slices.DeleteFunc(slices.Clone(more), func(s string) bool { return s == value(o) })
		if slices.Contains(olds, value(o)) {
			last = o
		}
	}
	if last == nil || len(more) == 0 {
		return nil, nil
	}
	return r.repeat(last, value(last), more)
}

// addCurrent selects more values where one of olds is selected. One that is selected alone becomes a list.
func addCurrent(r *reader, n *span.Node, olds, more []string) ([]span.Edit, error) {
	more = slices.DeleteFunc(slices.Clone(more), func(s string) bool { return slices.Contains(strs(n), s) })
	switch {
	case len(more) == 0:
	case n.Is(span.List):
		return addItem(r, n.Items, olds, more)
	case n.Is(span.String) && slices.Contains(olds, n.Text.String):
		return r.listed(n, more)
	case n.Is(span.String) && slices.Contains(olds, strings.Split(n.Text.String, " + ")[0]):
		end := len(n.Text.String)
		return n.Text.Edits([]span.Edit{{Start: end, End: end, Text: " + " + strings.Join(more, " + ")}})
	}
	return nil, nil
}
