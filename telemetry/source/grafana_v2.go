package source

import (
	"fmt"
	"strings"

	"github.com/ambientplan/ambientplan/telemetry/span"
)

// dashboardV2 reads the spec of a dashboard in schema v2, Grafana's default since version 13: panels are a map, and
// queries name the type of their data source (observability.md 4.1).
func (r *reader) dashboardV2(spec *span.Node, prefix string, o Object, frozen string) {
	if title := spec.Str("title"); title != "" {
		o.Name = title
	}
	if o.Owner == "" {
		o.Owner = tagged(spec.Get("tags"))
	}
	b := r.board(prefix, o, frozen)
	b.begins(spec)
	scoped := []scope{{spec.List("variables"), "variables"}}
	scoped = append(scoped, sections(spec.Get("layout"), "layout", 0)...)
	for _, s := range scoped {
		b.definitionsV2(s.list, s.path)
	}
	for i, n := range spec.List("annotations") {
		b.annotationV2(n.Get("spec"), at("", "annotations", i)+".spec")
	}
	for _, m := range spec.Map("elements") {
		b.element(m.Value, "elements."+m.Key.String)
	}
}

// scope is a list of variables: those of the dashboard, or of one tab or row.
type scope struct {
	list []*span.Node
	path string
}

// sections finds the variables of tabs and rows.
func sections(layout *span.Node, path string, depth int) []scope {
	var out []scope
	if depth > maxSections {
		return nil
	}
	for _, field := range []string{"tabs", "rows"} {
		for i, n := range layout.List("spec", field) {
			inner := at(path+".spec.", field, i) + ".spec"
			if list := n.List("spec", "variables"); len(list) > 0 {
				out = append(out, scope{list, inner + ".variables"})
			}
			out = append(out, sections(n.Get("spec", "layout"), inner+".layout", depth+1)...)
		}
	}
	return out
}

// maxSections is how deep tabs and rows may nest.
const maxSections = 20

// definitionsV2 reads a list of variables. Tabs may have variables of one name: what is Fixed in several of them is
// said, since an edit changes the first one only.
func (b *board) definitionsV2(list []*span.Node, path string) {
	for _, n := range list {
		if n.Str("kind") == "DatasourceVariable" {
			b.sources[n.Str("spec", "name")] = n.Str("spec", "pluginId")
		}
	}
	for _, n := range list {
		v := b.variable(n.Get("spec"), variableKinds[n.Str("kind")])
		if b.variables[v.Name] != nil {
			b.r.note(n.At, b.object, Suspicious, fmt.Sprintf("the variable %s is defined more than once: only the first definition is looked at", v.Name))
			continue
		}
		b.variables[v.Name] = v
	}
	for i, n := range list {
		if n.Str("kind") == "QueryVariable" {
			b.selectionV2(n.Get("spec"), at("", path, i)+".spec")
		}
	}
}

// variableKinds are v2's kinds in the classic schema's words.
var variableKinds = map[string]string{
	"QueryVariable": "query", "CustomVariable": "custom", "DatasourceVariable": "datasource", "IntervalVariable": "interval",
	"ConstantVariable": "constant", "TextVariable": "textbox", "AdhocVariable": "adhoc", "GroupByVariable": "groupby",
	"SwitchVariable": "switch",
}

func (b *board) selectionV2(spec *span.Node, path string) {
	query, field := spec.Get("query", "spec", "query"), ".query.spec.query"
	if query == nil {
		query, field = spec.Get("query", "spec", "__legacyStringValue"), ".query.spec.__legacyStringValue"
	}
	q := b.chosenBy(spec.Str("name"), query, b.sourceV2(spec.Get("query"), spec.Get("datasource")), path+field)
	if d := spec.Get("definition"); q != nil && d.Is(span.String) && d.Text.String == query.Text.String && d.Text.Editable() {
		q.copies = append(q.copies, d.Text)
	}
}

// sourceV2 is the type of the data source of a v2 query: its group (v2beta1 on), its kind (v2alpha1), or that of the
// variable which its data source is.
func (b *board) sourceV2(query, datasource *span.Node) string {
	if group := query.Str("group"); group != "" {
		return known(group)
	}
	if kind := query.Str("kind"); kind != "" && kind != "DataQuery" {
		return known(kind)
	}
	if name := query.Get("datasource", "name"); name != nil {
		return b.sourceType(name)
	}
	return b.sourceType(datasource)
}

// known turns the groups that stand for no data source into noSource.
func known(group string) string {
	switch group {
	case "__expr__", "grafana", "datasource":
		return noSource
	}
	return group
}

func (b *board) annotationV2(spec *span.Node, path string) {
	for _, field := range []string{"query.spec.expr", "legacyOptions.expr", "legacyOptions.target.expr"} {
		expr := spec.Get(strings.Split(field, ".")...)
		if !filled(expr) {
			continue
		}
		l := languageOf(b.sourceV2(spec.Get("query"), spec.Get("datasource")))
		b.query(Query{Path: path + "." + field, Name: spec.Str("name"), Role: Marker, Language: guessed(l, expr.Str())}, expr)
		return
	}
}

// guessed is a language, by the looks of the text when nothing else is known.
func guessed(l Language, text string) Language {
	if l == LanguageUnknown && logQL.MatchString(text) {
		return LogQL
	}
	return l
}

func (b *board) element(n *span.Node, path string) {
	spec := n.Get("spec")
	title := spec.Str("title")
	if lib := spec.Get("libraryPanel"); n.Str("kind") == "LibraryPanel" || lib != nil {
		b.r.note(n.At, b.object, Remote, fmt.Sprintf("the panel %q is the library panel %q (%s), whose queries are not in this file", title, lib.Str("name"), lib.Str("uid")))
		return
	}
	title = b.titled(title, spec.Str("id"))
	for i, q := range spec.List("data", "spec", "queries") {
		p := at(path+".spec.data.spec.", "queries", i)
		query := q.Get("spec", "query")
		source := b.sourceV2(query, q.Get("spec", "datasource"))
		expr := query.Get("spec", "expr")
		switch {
		case source == noSource:
		case !filled(expr):
			b.foreign(title, query)
		default:
			b.query(Query{Path: p + ".spec.query.spec.expr", Name: title, Role: Panel, Language: guessed(languageOf(source), expr.Str())}, expr)
		}
	}
}
