package source

import (
	"fmt"
	"strings"

	"github.com/ambientplan/ambientplan/telemetry/span"
)

// perses says that a document is a dashboard of Perses: its panels are a map.
func perses(doc *span.Node) bool {
	kind := doc.Str("kind")
	if kind != "Dashboard" && kind != "PersesDashboard" || strings.HasPrefix(doc.Str("apiVersion"), "dashboard.grafana.app/") {
		return false
	}
	spec, _ := persesSpec(doc)
	return spec.Get("panels").Is(span.Object)
}

// persesSpec is the spec of a dashboard; PersesDashboard v1alpha2 has it in config.
func persesSpec(doc *span.Node) (*span.Node, string) {
	if c := doc.Get("spec", "config"); c.Get("panels") != nil {
		return c, "spec.config."
	}
	return doc.Get("spec"), "spec."
}

// persesDashboard reads a dashboard of Perses (observability.md 4.1).
func (r *reader) persesDashboard(doc *span.Node) {
	spec, prefix := persesSpec(doc)
	o := objectOf(doc)
	o.Owner = ownerOf(doc)
	if o.Owner == "" {
		o.Owner = doc.Str("metadata", "project")
	}
	b := r.board(prefix, o, "")
	for i, n := range spec.List("variables") {
		v := b.persesVariable(n)
		b.variables[v.Name] = v
		b.persesSelection(n.Get("spec"), at("", "variables", i)+".spec.plugin.spec")
	}
	for _, m := range spec.Map("panels") {
		title := m.Value.Str("spec", "display", "name")
		if title == "" {
			title = m.Key.String
		}
		for i, q := range m.Value.List("spec", "queries") {
			b.persesQuery(title, q.Get("spec", "plugin"), fmt.Sprintf("panels.%s.spec.queries[%d].spec.plugin.spec.query", m.Key.String, i))
		}
	}
}

func (b *board) persesQuery(title string, plugin *span.Node, path string) {
	query := plugin.Get("spec", "query")
	if !filled(query) {
		b.foreign(title, plugin)
		return
	}
	kind := strings.ToLower(plugin.Str("kind"))
	l := guessed(LanguageUnknown, query.Str())
	switch {
	case strings.HasPrefix(kind, "prometheus"):
		l = PromQL
	case strings.HasPrefix(kind, "loki"):
		l = LogQL
	case kind != "":
		l = OtherLanguage
	}
	b.query(Query{Path: path, Name: title, Role: Panel, Language: l}, query)
}

func (b *board) persesVariable(n *span.Node) *Variable {
	spec := n.Get("spec")
	v := &Variable{
		Name: spec.Str("name"), Multi: spec.Str("allowMultiple") == "true", All: spec.Str("allowAllValue") == "true",
		AllValue: spec.Str("customAllValue"), Current: strs(spec.Get("defaultValue")),
	}
	v.Line, _ = b.r.position(n.At)
	plugin := spec.Get("plugin")
	switch {
	case n.Str("kind") == "TextVariable":
		v.Kind, v.Values = Fixed, strs(spec.Get("value"))
		v.edit = definition{r: b.r, v: v, single: spec.Get("value")}.edit
	case plugin.Str("kind") == "StaticListVariable":
		v.Kind = Fixed
		for _, i := range plugin.List("spec", "values") {
			v.Values = append(v.Values, either(i.Str(), i.Str("value")))
		}
		v.edit = staticList{b.r, v, plugin.Get("spec", "values"), spec.Get("defaultValue")}.edit
	case strings.HasPrefix(plugin.Str("kind"), "Prometheus"):
		v.Kind, v.Label = Queried, plugin.Str("spec", "labelName")
	}
	return v
}

func (b *board) persesSelection(spec *span.Node, path string) {
	plugin := spec.Get("plugin")
	if !strings.HasPrefix(plugin.Str("kind"), "Prometheus") {
		return
	}
	for i, m := range plugin.List("spec", "matchers") {
		if filled(m) {
			b.query(Query{Path: at(path+".", "matchers", i), Name: spec.Str("name"), Role: Selection, Language: PromQL, SelectorOnly: true}, m)
		}
	}
	if expr := plugin.Get("spec", "expr"); filled(expr) {
		b.query(Query{Path: path + ".expr", Name: spec.Str("name"), Role: Selection, Language: PromQL}, expr)
	}
}

// staticList is where the values of a Perses list stand: strings, or objects with label and value.
type staticList struct {
	r               *reader
	v               *Variable
	values, current *span.Node
}

// edit is definition.edit for Perses, which escapes values as Grafana does.
func (l staticList) edit(old, with string) ([]span.Edit, error) {
	return listEdit(l.v, old, with, l.replace, l.add)
}

func (l staticList) replace(old, with string) ([]span.Edit, error) {
	var edits []span.Edit
	for _, i := range append(append([]*span.Node{l.current}, l.current.List()...), l.values.List()...) {
		if i.Is(span.Object) {
			i = i.Get("value")
		}
		if i.Is(span.String) && i.Text.String == old {
			e, err := i.Text.Edits([]span.Edit{{End: len(old), Text: with}})
			if err != nil {
				return nil, err
			}
			edits = append(edits, e...)
		}
	}
	return edits, nil
}

func (l staticList) add(olds, more []string) ([]span.Edit, error) {
	edits, err := addItem(l.r, l.values.List(), olds, more)
	if err != nil {
		return nil, err
	}
	e, err := addCurrent(l.r, l.current, olds, more)
	return append(edits, e...), err
}
