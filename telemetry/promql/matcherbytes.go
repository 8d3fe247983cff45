package promql

import (
	"fmt"

	"github.com/prometheus/prometheus/promql/parser"
)

// matcherBytes is where one matcher stands in the text of its selector.
type matcherBytes struct {
	// Label is the label's name, unquoted; "" for a quoted metric name inside the braces.
	Label string
	// Start and End span name, operator and value; NameEnd is the end of the name, OpStart and OpEnd span the
	// operator, ValueStart is where the quoted value begins.
	Start, NameEnd, OpStart, OpEnd, ValueStart, End int
}

// selectorBytes are the positions inside of a selector's text, which the syntax tree does not have: labels.Matcher
// carries none. Offsets are relative to the selector.
type selectorBytes struct {
	// NameStart and NameEnd span the metric name before the braces; equal when there is none.
	NameStart, NameEnd int
	// Open and Close are the offsets of the braces; both 0 without braces.
	Open, Close int
	Matchers    []matcherBytes
	// TrailingComma is set for {a="b",}.
	TrailingComma bool
}

// lexSelector finds the matchers with Prometheus's own lexer.
func lexSelector(text string) (selectorBytes, error) {
	var (
		b        selectorBytes
		current  *matcherBytes
		inBraces bool
	)
	l := parser.Lex(text)
	for {
		var it parser.Item
		l.NextItem(&it)
		start, end := int(it.Pos), int(it.Pos)+len(it.Val)
		switch {
		case it.Typ == parser.EOF:
			if b.Open != b.Close && inBraces {
				return b, fmt.Errorf("promql: selector %q does not end", text)
			}
			return b, nil
		case it.Typ == parser.ERROR:
			return b, fmt.Errorf("promql: selector %q: %s", text, it.Val)
		case it.Typ == parser.LEFT_BRACE:
			b.Open, inBraces = start, true
		case it.Typ == parser.RIGHT_BRACE:
			b.Close, inBraces = start, false
		case !inBraces && (it.Typ == parser.METRIC_IDENTIFIER || it.Typ == parser.IDENTIFIER):
			b.NameStart, b.NameEnd = start, end
		case it.Typ == parser.COMMA:
			current, b.TrailingComma = nil, true
		case it.Typ == parser.COMMENT || !inBraces:
		case current == nil:
			b.Matchers = append(b.Matchers, matcherBytes{Label: unquoted(it.Val), Start: start, NameEnd: end, End: end})
			current, b.TrailingComma = &b.Matchers[len(b.Matchers)-1], false
		case current.OpEnd == 0 && it.Typ != parser.STRING:
			current.OpStart, current.OpEnd, current.End = start, end, end
		default:
			current.ValueStart, current.End = start, end
		}
	}
}

// unquoted strips the quotes of a UTF-8 label name; names with escapes stay as they are and match no known label.
func unquoted(name string) string {
	if len(name) >= 2 && (name[0] == '"' || name[0] == '\'' || name[0] == '`') && name[len(name)-1] == name[0] {
		return name[1 : len(name)-1]
	}
	return name
}
