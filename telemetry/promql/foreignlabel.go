package promql

import (
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// foreignLabel is a label that the query groups by, joins on or excludes values of, and that no series of the model has:
// a custom dimension (observability.md Q24, Q25) or one of the user's scrape configuration. "" without one. Where other
// emitters take over, nobody can say whether they have it. Labels that a Prometheus adds to all its series alike are
// not asked for.
func (b *Bench) foreignLabel(q *Query) string {
	asked := map[string]bool{}
	makes := false
	parser.Inspect(q.Expr, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.AggregateExpr:
			for _, l := range n.Grouping {
				asked[l] = asked[l] || !n.Without
			}
		case *parser.BinaryExpr:
			if n.VectorMatching != nil && n.VectorMatching.On {
				for _, l := range n.VectorMatching.MatchingLabels {
					asked[l] = true
				}
			}
		case *parser.Call:
			makes = makes || n.Func.Name == "label_replace" || n.Func.Name == "label_join"
		}
		return nil
	})
	for _, s := range q.Selectors {
		for _, m := range s.Matchers {
			// Absent labels are empty: what admits that, other than everything, excludes values.
			if m.Matches("") && !(m.Type == labels.MatchRegexp && m.Matches("any value at all")) {
				asked[m.Name] = true
			}
		}
	}
	for _, l := range []string{"cluster", "prometheus", "prometheus_replica", "tenant_id", nameLabel} {
		delete(asked, l)
	}
	if makes || len(b.states) == 0 {
		return ""
	}
	usual, rare := b.asked(q)
	for _, v := range append(usual, rare...) {
		for _, l := range b.prepare(q).leaves {
			all, err := b.taken(l, 0, v)
			if err != nil {
				return ""
			}
			for _, t := range all {
				t.labels.Range(func(has labels.Label) { delete(asked, has.Name) })
			}
		}
	}
	var left []string
	for l, ok := range asked {
		if ok {
			left = append(left, l)
		}
	}
	if len(left) == 0 {
		return ""
	}
	return slices.Min(left)
}

// unwatched is a proxy or pod whose own metrics, those of no call, the query took on the old model and does not take in a
// state; "" without one. What such gauges say is a stand-in, so an equal number, such as a minimum, is luck.
func (b *Bench) unwatched(q *Query, before, after int) string {
	for _, l := range b.prepare(q).leaves {
		if b.stock.family[l.Metric] != "" {
			continue
		}
		was, errWas := b.taken(l, before, 0)
		is, errIs := b.taken(l, after, 0)
		if errWas != nil || errIs != nil {
			return l.text
		}
		if lost := without(facts(was), facts(is)); len(lost) > 0 {
			return lost[0]
		}
	}
	return ""
}

// moved says that some selector of the query takes other series in a state than on the old model.
func (b *Bench) moved(q *Query, state int) bool {
	return slices.ContainsFunc(b.prepare(q).leaves, func(l leaf) bool {
		was, errWas := b.printOf(l, 0, 0)
		is, errIs := b.printOf(l, state, 0)
		return errWas != nil || errIs != nil || was != is
	})
}
