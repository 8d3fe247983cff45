package promql

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"
)

// Parse reads an expression without variables.
func Parse(text string) (*Query, error) { return ParseFilled(text, nil) }

// ParseFilled reads an expression whose string literals hold variables of a dashboard or template, such as
// reporter=~"$qrep" or namespace="{{ namespace }}". Structure, positions and edits are those of the text; what is
// selected and evaluated is fill(text), in which the variables have concrete values. fill may change nothing but
// the contents of string literals; a filled text of another structure is an error. A nil fill changes nothing.
func ParseFilled(text string, fill func(string) string) (*Query, error) {
	q := &Query{Text: text, Filled: text, fill: fill}
	if fill != nil {
		q.Filled = fill(text)
	}
	for _, t := range []string{q.Text, q.Filled} {
		if len(t) > maxText {
			return nil, fmt.Errorf("promql: the expression has %d bytes, more than %d", len(t), maxText)
		}
	}
	filled, err := newParser().ParseExpr(q.Filled)
	if err != nil {
		return nil, fmt.Errorf("promql: %w", err)
	}
	q.Expr, q.Selectors = filled, selectorsOf(filled, q.Filled)
	if q.Filled == q.Text {
		return q, nil
	}
	q.Expr, err = newParser().ParseExpr(text)
	if err != nil {
		// A variable may be no regular expression, as [[z-a]]. Only positions are asked of this tree.
		if q.Expr, err = newParser().ParseExpr(masked(text)); err != nil {
			return nil, fmt.Errorf("promql: %w", err)
		}
	}
	raw := selectorsOf(q.Expr, text)
	if len(raw) != len(q.Selectors) {
		return nil, fmt.Errorf("promql: %d selectors become %d when the variables are filled in", len(raw), len(q.Selectors))
	}
	for i, r := range raw {
		f := q.Selectors[i]
		if !slices.EqualFunc(r.Parents, f.Parents, func(a, b parser.Node) bool { return reflect.TypeOf(a) == reflect.TypeOf(b) }) {
			return nil, fmt.Errorf("promql: selector %s stands elsewhere when the variables are filled in", r.Text(q))
		}
		r.Matchers, r.Metric, r.filled = f.Matchers, f.Metric, f.filled
		q.Selectors[i] = r
	}
	return q, nil
}

// with reads another text, derived from the query's, with the same variables.
func (q *Query) with(text string) (*Query, error) { return ParseFilled(text, q.fill) }

// selectorsOf lists the selectors in the order of the text.
func selectorsOf(e parser.Expr, text string) []Selector {
	var all []Selector
	parser.Inspect(e, func(n parser.Node, path []parser.Node) error {
		vs, ok := n.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		r := vs.PositionRange()
		all = append(all, Selector{
			Start: int(r.Start), End: int(r.End), Metric: metricName(vs), Matchers: vs.LabelMatchers,
			Parents: slices.Clone(path), filled: text[r.Start:r.End],
		})
		return nil
	})
	slices.SortFunc(all, func(a, b Selector) int { return a.Start - b.Start })
	return all
}

// masked has the contents of string literals replaced by as many letters, so that positions stay.
func masked(text string) string {
	out := []byte(text)
	l := parser.Lex(text)
	for {
		var it parser.Item
		l.NextItem(&it)
		if it.Typ == parser.EOF || it.Typ == parser.ERROR {
			return string(out)
		}
		if it.Typ == parser.STRING && len(it.Val) > 2 {
			copy(out[int(it.Pos)+1:], strings.Repeat("x", len(it.Val)-2))
		}
	}
}
