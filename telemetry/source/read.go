package source

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/ambientplan/ambientplan/telemetry/span"
	"github.com/ambientplan/ambientplan/telemetry/template"
)

// maxFile is the largest file that is read, in bytes.
const maxFile = 32 << 20

// Parse reads one file of a name. It never fails: what cannot be read is a note. parses says whether an expression is
// PromQL, with the parser's message if not; with nil every text is taken for readable.
func Parse(path, data string, parses func(expr string) error) *File {
	f := &File{Path: path, Data: data}
	if parses == nil {
		parses = func(string) error { return nil }
	}
	r := &reader{file: f, parses: parses, taken: map[*span.Node]bool{}}
	if len(data) > maxFile {
		r.note(0, Object{}, Unreadable, "the file is larger than 32 MiB and was not read")
		return f
	}
	if sourceCode(path) {
		r.scanText()
		return f
	}
	docs, err := documents(path, span.File(data))
	if err != nil {
		r.unreadable(err)
		return f
	}
	for _, d := range docs {
		r.prefix = ""
		r.document(d)
	}
	return f
}

// documents of a file, by its name.
func documents(path string, t span.Text) ([]*span.Node, error) {
	if strings.HasSuffix(path, ".json") {
		n, err := span.JSON(t)
		return []*span.Node{n}, err
	}
	return span.YAML(t)
}

// reader collects what is found in a file.
type reader struct {
	file   *File
	parses func(expr string) error
	// prefix is put before the path of each query: where the document at hand begins.
	prefix string
	// taken are values, of a ConfigMap for example, that somebody understood.
	taken map[*span.Node]bool
	// within is the Kubernetes object around a document, nil if there is none; frozen says why nothing in it can be
	// edited; pin is the place of a document that has none of its own.
	within *Object
	frozen string
	pin    *int
	// logs says that rules are Loki's.
	logs bool
	// lines are the offsets at which the file's lines begin.
	lines []int
}

// document hands a document to those who may know it. Lists are taken apart; a ConfigMap is for all readers, since each
// key is a document of its own.
func (r *reader) document(doc *span.Node) {
	items, field := doc.List("items"), ".items"
	if doc.Is(span.List) {
		items, field = doc.Items, ""
	}
	if doc.Is(span.List) || strings.HasSuffix(doc.Str("kind"), "List") && items != nil {
		outer := r.prefix
		for i, item := range items {
			r.prefix = strings.TrimPrefix(fmt.Sprintf("%s%s[%d].", strings.TrimSuffix(outer, "."), field, i), ".")
			r.document(item)
		}
		r.prefix = outer
		return
	}
	grafana := r.grafana(doc)
	if grafana && doc.Str("kind") != "ConfigMap" {
		return
	}
	if r.manifest(doc) && doc.Str("kind") != "ConfigMap" {
		return
	}
	r.unrecognised(doc)
}

// syntax says how a text names variables.
type syntax func(text string, parses func(string) error) (*template.Template, error)

// add takes a query whose text is a part of t, from byte from to byte to. It fills File, Line, Column, Text, Expr,
// Unread and Variables, and puts the reader's prefix before the Path. A nil syntax is for texts without variables. Only
// PromQL, and what nobody knows the language of, is parsed.
func (r *reader) add(q *Query, t span.Text, from, to int, names syntax, variables map[string]*Variable) *Query {
	q.File, q.Path, q.Text = r.file.Path, r.prefix+q.Path, t.String[from:to]
	q.text, q.from = t, from
	if r.frozen != "" {
		q.Frozen = r.frozen
	}
	if !t.Editable() && q.Frozen == "" {
		q.Frozen = "the place of the text in the file is not known: it stands behind an alias, or in a folded text"
	}
	place, ok := t.Offset(from)
	if !ok {
		place = t.Start()
	}
	q.Line, q.Column = r.position(place)
	r.file.Queries = append(r.file.Queries, q)
	if names == nil {
		names = func(text string, parses func(string) error) (*template.Template, error) {
			t := &template.Template{Text: text, Expr: text}
			if parses == nil {
				return t, nil
			}
			return t, parses(text)
		}
	}
	parses := r.parses
	if q.Language != PromQL && q.Language != LanguageUnknown {
		parses = nil
	}
	tpl, err := names(q.Text, parses)
	for _, u := range tpl.Uses {
		if v := variables[u.Name]; v != nil && !slices.Contains(q.Variables, v) {
			q.Variables = append(q.Variables, v)
		}
	}
	slices.SortFunc(q.Variables, func(a, b *Variable) int { return strings.Compare(a.Name, b.Name) })
	switch {
	case q.Language == LogQL:
		q.Unread = "it is LogQL: it is not judged and not rewritten"
	case q.Language == OtherLanguage:
		q.Unread = "its data source has another query language than PromQL: it is not judged and not rewritten"
	case err != nil:
		q.Unread = err.Error()
	default:
		q.Language = PromQL
		q.Expr, q.restore, q.spelled = tpl.Expr, tpl.Restore, tpl.Spelled
	}
	return q
}

// node is add for the whole text of a node.
func (r *reader) node(q *Query, n *span.Node, names syntax, variables map[string]*Variable) *Query {
	return r.add(q, n.Text, 0, len(n.Text.String), names, variables)
}

// note at a byte offset of the file.
func (r *reader) note(at int, o Object, k NoteKind, text string) {
	line, column := r.position(at)
	r.file.Notes = append(r.file.Notes, Note{r.file.Path, line, column, o, k, text})
}

// position is span.Position with the lines counted once: large dashboards have thousands of queries.
func (r *reader) position(at int) (line, column int) {
	if r.pin != nil {
		at = *r.pin
	}
	if r.lines == nil {
		r.lines = []int{0}
		for i := range len(r.file.Data) {
			if r.file.Data[i] == '\n' {
				r.lines = append(r.lines, i+1)
			}
		}
	}
	at = min(max(at, 0), len(r.file.Data))
	line, found := slices.BinarySearch(r.lines, at)
	if found {
		line++
	}
	return line, at - r.lines[line-1] + 1
}

// duration as Prometheus writes it, 0 for none and for what is no duration.
func duration(text string) time.Duration {
	d, err := model.ParseDuration(text)
	if err != nil {
		return 0
	}
	return time.Duration(d)
}

// labelsOf are the strings of an object.
func labelsOf(n *span.Node) map[string]string {
	if len(n.Map()) == 0 {
		return nil
	}
	out := map[string]string{}
	for _, m := range n.Map() {
		if m.Value.Is(span.String) || m.Value.Is(span.Literal) {
			out[m.Key.String] = m.Value.Text.String
		}
	}
	return out
}

// objectOf is the Kubernetes object that a document is.
func objectOf(doc *span.Node) Object {
	return Object{Kind: doc.Str("kind"), Namespace: doc.Str("metadata", "namespace"), Name: doc.Str("metadata", "name")}
}
