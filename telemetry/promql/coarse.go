package promql

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// fewSteps is how many steps of a subquery are looked at in a state that has been as it is for long.
const fewSteps = 5

// coarse is an expression that gives the same in a state that has been as it is for long: an average, or another such
// function, over a subquery is that of its last few steps, since all are alike. Of 30 days in steps of five minutes
// that saves all but a thousandth.
func coarse(text string) string {
	e, err := newParser().ParseExpr(text)
	if err != nil {
		return text
	}
	var edits []Edit
	parser.Inspect(e, func(n parser.Node, path []parser.Node) error {
		s, ok := n.(*parser.SubqueryExpr)
		if !ok || len(path) == 0 {
			return nil
		}
		c, ok := path[len(path)-1].(*parser.Call)
		if !ok || !slices.Contains([]string{"avg_over_time", "max_over_time", "min_over_time", "quantile_over_time", "last_over_time"}, c.Func.Name) {
			return nil
		}
		step := stepOf(s)
		start, end := int(s.Expr.PositionRange().End), int(s.PositionRange().End)
		open, close := strings.IndexByte(text[start:end], '['), strings.IndexByte(text[start:end], ']')
		if s.Range > fewSteps*step && open >= 0 && close > open {
			edits = append(edits, Edit{start + open, start + close + 1, fmt.Sprintf("[%dms:%dms]", (fewSteps * step).Milliseconds(), step.Milliseconds())})
		}
		return nil
	})
	out, ok := apply(text, edits)
	if _, err := newParser().ParseExpr(out); !ok || err != nil {
		return text
	}
	return out
}

// stepOf is the step of a subquery.
func stepOf(s *parser.SubqueryExpr) time.Duration {
	if s.Step <= 0 {
		return time.Minute
	}
	return s.Step
}

// points is how many steps the nested subqueries of an expression ask for.
func points(e parser.Expr) float64 {
	most := 1.0
	parser.Inspect(e, func(n parser.Node, path []parser.Node) error {
		all := 1.0
		for _, p := range append(slices.Clone(path), n) {
			if s, ok := p.(*parser.SubqueryExpr); ok {
				all *= float64(s.Range)/float64(stepOf(s)) + 1
			}
		}
		most = max(most, all)
		return nil
	})
	return most
}
