package promql

import (
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// maxText is the longest expression that is read, in bytes. Longer ones are refused, not cut.
const maxText = 256 << 10

// nameLabel is the label that holds a metric's name.
const nameLabel = "__name__"

// Query is a parsed expression.
type Query struct {
	// Text is the expression as written; all positions are byte offsets into it.
	Text string
	// Filled is the expression that is evaluated: Text with the variables in its string literals filled in.
	Filled string
	// Expr is the syntax tree of Text.
	Expr parser.Expr
	// Selectors in the order of the text.
	Selectors []Selector

	fill func(string) string
}

// Selector is one selector of a query: what it asks for and where it stands in the tree.
type Selector struct {
	// Start and End are byte offsets of the selector, without a range or an offset.
	Start, End int
	// Metric is the literal name; "" when the name is matched by a regular expression or not at all.
	Metric string
	// Matchers are those of the filled text.
	Matchers []*labels.Matcher
	// Parents are the nodes above, outermost first.
	Parents []parser.Node
	// filled is the selector's text with its variables filled in.
	filled string
}

// Text of the selector in its query.
func (s Selector) Text(q *Query) string { return q.Text[s.Start:s.End] }

// UnderAbsent says that the selector feeds absent() or absent_over_time().
func (s Selector) UnderAbsent() bool {
	return slices.ContainsFunc(s.Parents, func(n parser.Node) bool {
		c, ok := n.(*parser.Call)
		return ok && (c.Func.Name == "absent" || c.Func.Name == "absent_over_time")
	})
}

// Joined says that the selector is an operand of vector matching by on, ignoring or group modifiers.
func (s Selector) Joined() bool {
	return slices.ContainsFunc(s.Parents, func(n parser.Node) bool {
		b, ok := n.(*parser.BinaryExpr)
		return ok && b.VectorMatching != nil && (b.VectorMatching.On || len(b.VectorMatching.MatchingLabels) > 0)
	})
}

// Labels lists, sorted, the labels that the query's result and joins depend on above the selector: grouping and
// matching labels.
func (s Selector) Labels() []string {
	var all []string
	for _, n := range s.Parents {
		switch n := n.(type) {
		case *parser.AggregateExpr:
			all = append(all, n.Grouping...)
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				all = append(all, n.VectorMatching.MatchingLabels...)
				all = append(all, n.VectorMatching.Include...)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Reporters are the values that the matcher of reporter admits, out of source, destination and waypoint, and
// whether there is a matcher at all.
func (s Selector) Reporters() (values []string, matched bool) {
	for _, r := range []string{"destination", "source", "waypoint"} {
		ok := true
		for _, m := range s.Matchers {
			if m.Name == "reporter" {
				matched = true
				ok = ok && m.Matches(r)
			}
		}
		if ok {
			values = append(values, r)
		}
	}
	return values, matched
}

func newParser() parser.Parser { return parser.NewParser(parser.Options{}) }

func metricName(vs *parser.VectorSelector) string {
	for _, m := range vs.LabelMatchers {
		if m.Name == nameLabel && m.Type == labels.MatchEqual {
			return m.Value
		}
	}
	return ""
}

// Matches says whether the selector takes a series of that name and those labels.
func (s Selector) Matches(name string, l map[string]string) bool {
	for _, m := range s.Matchers {
		v := l[m.Name]
		if m.Name == nameLabel {
			v = name
		}
		if !m.Matches(v) {
			return false
		}
	}
	return true
}

// Compared is the left side of a top-level comparison with a number, as text, the thing whose value an alert
// watches; ok is false when the query is no such comparison.
func (q *Query) Compared() (text string, ok bool) {
	b, isBinary := unwrap(q.Expr).(*parser.BinaryExpr)
	if !isBinary || !b.Op.IsComparisonOperator() || b.ReturnBool {
		return "", false
	}
	if _, isNumber := unwrap(b.RHS).(*parser.NumberLiteral); !isNumber {
		return "", false
	}
	r := b.LHS.PositionRange()
	return q.Text[r.Start:r.End], true
}

// Alerting says that the query is empty while all is well: a comparison that filters, absent(), or unless.
func (q *Query) Alerting() bool {
	found := false
	parser.Inspect(q.Expr, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.BinaryExpr:
			found = found || n.Op.IsComparisonOperator() && !n.ReturnBool || n.Op == parser.LUNLESS
		case *parser.Call:
			found = found || n.Func.Name == "absent" || n.Func.Name == "absent_over_time"
		}
		return nil
	})
	return found
}

func unwrap(e parser.Expr) parser.Expr {
	for {
		switch x := e.(type) {
		case *parser.ParenExpr:
			e = x.Expr
		case *parser.StepInvariantExpr:
			e = x.Expr
		default:
			return e
		}
	}
}
