package source

import (
	"fmt"
	"strings"

	"github.com/ambientplan/ambientplan/telemetry/span"
)

// classic reads a dashboard in Grafana's classic JSON, in a document's part that begins with prefix.
func (r *reader) classic(doc *span.Node, prefix string, o Object, frozen string) {
	if title := doc.Str("title"); title != "" && o.Name == "" {
		o.Name = title
	}
	if uid := doc.Str("uid"); uid != "" {
		o.UID = uid
	}
	if o.Owner == "" {
		o.Owner = tagged(doc.Get("tags"))
	}
	b := r.board(prefix, o, frozen)
	b.begins(doc)
	for _, in := range doc.List("__inputs") {
		if in.Str("type") == "datasource" {
			b.sources[in.Str("name")] = in.Str("pluginId")
		}
	}
	b.definitions(doc)
	for i, n := range doc.List("annotations", "list") {
		b.annotation(n, at("", "annotations.list", i))
	}
	b.panels(doc.Get("panels"), "panels")
	for i, row := range doc.List("rows") {
		b.panels(row.Get("panels"), at("", "rows", i)+".panels")
	}
}

// tagged is the team of a tag such as team:payments, or owner=payments.
func tagged(tags *span.Node) string {
	for _, t := range tags.List() {
		for _, mark := range []string{"team:", "owner:", "team=", "owner="} {
			if v, ok := strings.CutPrefix(t.Str(), mark); ok {
				return strings.TrimSpace(v)
			}
		}
	}
	return ""
}

// definitions reads templating.list: data sources first, since others are of them.
func (b *board) definitions(doc *span.Node) {
	list := doc.List("templating", "list")
	for _, n := range list {
		if n.Str("type") == "datasource" {
			b.sources[n.Str("name")] = n.Str("query")
		}
	}
	for _, n := range list {
		v := b.variable(n, n.Str("type"))
		b.variables[v.Name] = v
	}
	for i, n := range list {
		if n.Str("type") == "query" {
			b.selection(n, at("", "templating.list", i))
		}
	}
}

func (b *board) annotation(n *span.Node, path string) {
	expr := n.Get("expr")
	field := ".expr"
	if !filled(expr) {
		expr, field = n.Get("target", "expr"), ".target.expr"
	}
	if !filled(expr) {
		return
	}
	b.query(Query{Path: path + field, Name: n.Str("name"), Role: Marker, Language: b.language(n.Get("datasource"), nil, expr.Str())}, expr)
}

// titled is what people call a panel.
func (b *board) titled(title, id string) string {
	if title != "" {
		return title
	}
	return "panel " + either(id, "without a title")
}

// filled says that a node is a text with something in it.
func filled(n *span.Node) bool { return n.Is(span.String) && strings.TrimSpace(n.Text.String) != "" }

func (b *board) panels(list *span.Node, path string) {
	for i, p := range list.List() {
		b.onePanel(p, at("", path, i))
	}
}

func (b *board) onePanel(p *span.Node, path string) {
	if lib := p.Get("libraryPanel"); lib != nil && len(p.List("targets")) == 0 {
		b.r.note(p.At, b.object, Remote, fmt.Sprintf("the panel %q is the library panel %q (%s), whose queries are not in this file", p.Str("title"), lib.Str("name"), lib.Str("uid")))
	}
	b.panel = map[string]*Query{}
	for i, t := range p.List("targets") {
		b.target(p, t, at(under(path), "targets", i))
	}
	if alert := p.Get("alert"); alert.Is(span.Object) {
		b.legacyAlert(p, alert)
	}
	b.panels(p.Get("panels"), under(path)+"panels")
}

// under is a path with a dot behind it, if there is one.
func under(path string) string {
	if path == "" {
		return ""
	}
	return path + "."
}

func (b *board) target(p, t *span.Node, path string) {
	expr := t.Get("expr")
	if !filled(expr) {
		b.foreign(p.Str("title"), t)
		return
	}
	source := b.sourceType(t.Get("datasource"))
	if source == noSource {
		return
	}
	q := b.query(Query{Path: path + ".expr", Name: b.titled(p.Str("title"), p.Str("id")), Role: Panel, Language: b.language(t.Get("datasource"), p.Get("datasource"), expr.Str())}, expr)
	if ref := t.Str("refId"); ref != "" {
		b.panel[ref] = q
	}
}

// foreign notes a target of another data source that names the mesh's metrics.
func (b *board) foreign(title string, t *span.Node) {
	var walk func(n *span.Node) bool
	walk = func(n *span.Node) bool {
		if n == nil {
			return false
		}
		if n.Kind == span.String {
			if m := meshMetric.FindString(n.Text.String); m != "" {
				b.r.note(n.At, b.object, FlagOnly, fmt.Sprintf("the panel %q asks another data source for %s; its query is not read", title, m))
				return true
			}
		}
		for _, i := range n.Items {
			if walk(i) {
				return true
			}
		}
		for _, m := range n.Members {
			if walk(m.Value) {
				return true
			}
		}
		return false
	}
	walk(t)
}

// legacyAlert is an alert of a panel, before Grafana 11: it makes an alert of each query that its conditions name.
func (b *board) legacyAlert(p, alert *span.Node) {
	empty := onEmptyOf(alert.Str("noDataState"))
	for _, c := range alert.List("conditions") {
		q := b.panel[c.Str("query", "params", "0")]
		if q == nil {
			continue
		}
		q.Role, q.OnEmpty, q.For = Alert, empty, duration(alert.Str("for"))
		if name := alert.Str("name"); name != "" {
			q.Name = name
		}
		q.Condition, q.Threshold = evaluated(c)
	}
}
