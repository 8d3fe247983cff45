package source

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/ambientplan/ambientplan/telemetry/span"
)

// spelt notes a spelling, longest first.
func (v *Variable) spelt(s string) {
	if slices.Contains(v.Spellings, s) {
		return
	}
	v.Spellings = append(v.Spellings, s)
	slices.SortFunc(v.Spellings, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b))
	})
}

// names notes that the query names a variable.
func (q *Query) names(v *Variable) {
	if slices.Contains(q.Variables, v) {
		return
	}
	q.Variables = append(q.Variables, v)
	slices.SortFunc(q.Variables, func(a, b *Variable) int { return strings.Compare(a.Name, b.Name) })
}

// variable reads a definition: an entry of templating.list, or the spec of one in schema v2.
func (b *board) variable(n *span.Node, kind string) *Variable {
	v := &Variable{
		Name: n.Str("name"), Multi: n.Str("multi") == "true", All: n.Str("includeAll") == "true", AllValue: n.Str("allValue"),
		Current: strs(n.Get("current", "value")),
	}
	v.Line, _ = b.r.position(place(n))
	query := n.Get("query")
	switch kind {
	case "custom", "interval":
		v.Kind = Fixed
		d := definition{r: b.r, v: v, options: n.Get("options"), current: n.Get("current")}
		if query.Is(span.String) {
			d.csv = query
		}
		v.Values = d.values()
		if b.frozen == "" && n.Str("valuesFormat") != "json" {
			v.edit = d.edit
		}
	case "constant", "textbox":
		v.Kind = Fixed
		d := definition{r: b.r, v: v, single: query, options: n.Get("options"), current: n.Get("current")}
		v.Values = d.values()
		if b.frozen == "" {
			v.edit = d.edit
		}
	case "switch":
		v.Kind = Fixed
		v.Values = append([]string(nil), strs(n.Get("enabledValue"))...)
		v.Values = append(v.Values, strs(n.Get("disabledValue"))...)
	case "query":
		v.Kind = Queried
		if query.Is(span.Object) {
			query = cmp.Or(query.Get("query"), query.Get("spec", "query"), query.Get("spec", "__legacyStringValue"))
		}
		v.Label = selectionOf(query.Str()).label(n.Str("regex"))
		v.Values = optionValues(n.Get("options"))
	case "datasource", "adhoc", "groupby", "snapshot", "system":
		v.Kind = Queried
	}
	return v
}

// strs are a string, or the strings of a list.
func strs(n *span.Node) []string {
	if n.Is(span.String) || n.Is(span.Literal) {
		return []string{n.Text.String}
	}
	var out []string
	for _, i := range n.List() {
		if i.Is(span.String) || i.Is(span.Literal) {
			out = append(out, i.Text.String)
		}
	}
	return out
}

func optionValues(options *span.Node) []string {
	var out []string
	for _, o := range options.List() {
		for _, s := range strs(o.Get("value")) {
			if s != "$__all" && !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	return out
}

// selection is what the query of a variable asks for.
type selection struct {
	// from and to are where PromQL stands in the text; equal if there is none.
	from, to int
	// selector says that it must be one selector.
	selector bool
	// values is the label of label_values.
	values string
}

var (
	labelValues = regexp.MustCompile(`(?s)^\s*label_values\(\s*(?:(.+),)?\s*([a-zA-Z_$\[{][\w$\]{}:]*)\s*\)\s*$`)
	queryResult = regexp.MustCompile(`(?s)^\s*query_result\((.+)\)\s*$`)
	noQuery     = regexp.MustCompile(`(?s)^\s*(?:label_names|metrics)\(.*\)\s*$`)
	// groupOfLabel finds the label whose value a regex takes from a series' text: /.*workload="([^"]*).*/
	groupOfLabel = regexp.MustCompile(`(\w+)=\\?"\(`)
)

// selectionOf reads the query of a variable, after Grafana's PrometheusMetricFindQuery.
func selectionOf(text string) selection {
	if m := labelValues.FindStringSubmatchIndex(text); m != nil {
		s := selection{selector: true, values: text[m[4]:m[5]]}
		if m[2] >= 0 {
			s.from, s.to = m[2], m[3]
		}
		return s
	}
	if m := queryResult.FindStringSubmatchIndex(text); m != nil {
		return selection{from: m[2], to: m[3]}
	}
	if noQuery.MatchString(text) || strings.TrimSpace(text) == "" {
		return selection{}
	}
	// Anything else is a selector of series, whose text the regex is applied to.
	return selection{to: len(text), selector: true}
}

// label whose values are offered.
func (s selection) label(regex string) string {
	if s.values != "" {
		return s.values
	}
	if m := groupOfLabel.FindStringSubmatch(regex); m != nil {
		return m[1]
	}
	return ""
}

// selection adds the query of a variable of the classic schema.
func (b *board) selection(n *span.Node, path string) {
	query, field := n.Get("query"), ".query"
	if query.Is(span.Object) {
		query, field = query.Get("query"), ".query.query"
	}
	q := b.chosenBy(n.Str("name"), query, b.sourceType(n.Get("datasource")), path+field)
	if d := n.Get("definition"); q != nil && d.Is(span.String) && d.Text.String == query.Text.String && d.Text.Editable() {
		q.copies = append(q.copies, d.Text)
	}
}

// chosenBy adds the query of a variable, nil if there is none.
func (b *board) chosenBy(name string, query *span.Node, source string, path string) *Query {
	if !query.Is(span.String) || source == noSource {
		return nil
	}
	l := guessed(languageOf(source), query.Str())
	s := selectionOf(query.Str())
	if s.from == s.to || l == OtherLanguage {
		return nil
	}
	return b.part(Query{Path: path, Name: name, Role: Selection, Language: l, SelectorOnly: s.selector}, query.Text, s.from, s.to)
}
