package promql

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// unitTest is the file that "promtool test rules" reads. Source: Prometheus documentation, unit testing for rules.
type unitTest struct {
	RuleFiles          []string    `yaml:"rule_files"`
	EvaluationInterval string      `yaml:"evaluation_interval"`
	FuzzyCompare       bool        `yaml:"fuzzy_compare"`
	Tests              []testGroup `yaml:"tests"`
}

type testGroup struct {
	Name        string        `yaml:"name"`
	Interval    string        `yaml:"interval"`
	InputSeries []inputSeries `yaml:"input_series"`
	Alerts      []alertTest   `yaml:"alert_rule_test,omitempty"`
	Exprs       []exprTest    `yaml:"promql_expr_test,omitempty"`
}

type inputSeries struct {
	Series string `yaml:"series"`
	Values string `yaml:"values"`
}

type exprTest struct {
	Expr     string       `yaml:"expr"`
	EvalTime string       `yaml:"eval_time"`
	Samples  []exprSample `yaml:"exp_samples"`
}

type exprSample struct {
	Labels string  `yaml:"labels"`
	Value  float64 `yaml:"value"`
}

// longestWindow is the longest window that a unit test is written for: promtool holds all samples in memory.
const longestWindow = 6 * time.Hour

// UnitTest writes a unit test for "promtool test rules" that users can keep: for each state of the plan, the series that
// the queries select and what each query gives on them. Queries are the original and its rewrite, by text. Recording
// rules are named as files that hold them, as promtool wants it. It fails for queries that look back further than
// six hours and for those that cannot be evaluated.
func (b *Bench) UnitTest(queries []*Query, ruleFiles []string) ([]byte, error) {
	window := 10 * time.Minute
	for _, q := range queries {
		window = max(window, 2*lookback(q))
	}
	if window > 2*longestWindow {
		return nil, fmt.Errorf("promql: a unit test over %s would be too large", window/2)
	}
	if ruleFiles == nil {
		ruleFiles = []string{}
	}
	file := unitTest{RuleFiles: ruleFiles, EvaluationInterval: "15s", FuzzyCompare: true}
	for i, s := range b.states {
		g, err := b.testGroup(i, queries, window)
		if err != nil {
			return nil, err
		}
		g.Name = s.Name
		file.Tests = append(file.Tests, g)
	}
	out, err := yaml.Marshal(file)
	if err != nil {
		return nil, fmt.Errorf("promql: %w", err)
	}
	return out, nil
}

func (b *Bench) testGroup(state int, queries []*Query, window time.Duration) (testGroup, error) {
	g := testGroup{Interval: "15s"}
	var all []leaf
	for _, q := range queries {
		p := b.prepare(q)
		if p.err != nil {
			return g, p.err
		}
		all = append(all, p.leaves...)
	}
	blocks, err := b.at(state, 0)
	if err != nil {
		return g, err
	}
	db, err := b.stock.db(blocks, all)
	if err != nil {
		return g, err
	}
	if g.InputSeries = notation(db, window); len(g.InputSeries) > 0 {
		if db, err = read(g.InputSeries); err != nil {
			return g, err
		}
	}
	for _, q := range queries {
		r, err := b.prover.look(q.Filled, b.prepare(q).order, db, window.Milliseconds())
		if err != nil {
			return g, err
		}
		e := exprTest{Expr: q.Filled, EvalTime: window.String(), Samples: []exprSample{}}
		for _, p := range r {
			e.Samples = append(e.Samples, exprSample(p))
		}
		g.Exprs = append(g.Exprs, e)
	}
	return g, nil
}

// lookback is how far a query looks into the past: the sum of nested ranges, subqueries and offsets.
func lookback(q *Query) time.Duration {
	longest := time.Duration(0)
	parser.Inspect(q.Expr, func(n parser.Node, path []parser.Node) error {
		var sum time.Duration
		for _, p := range append(slices.Clone(path), n) {
			switch p := p.(type) {
			case *parser.MatrixSelector:
				sum = saturating(sum, p.Range)
			case *parser.SubqueryExpr:
				sum = saturating(saturating(sum, p.Range), p.OriginalOffset)
			case *parser.VectorSelector:
				sum = saturating(sum, p.OriginalOffset)
			}
		}
		longest = max(longest, sum)
		return nil
	})
	return longest
}

func saturating(a, b time.Duration) time.Duration {
	if b > 0 && a > math.MaxInt64/4-b {
		return math.MaxInt64 / 4
	}
	return a + b
}

// Summary is one line for a report: form, factor and where the rewrite is not proved.
func (r Rewrite) Summary() string {
	parts := []string{"form " + r.Form.String()}
	if !same(r.Factor, 1) {
		parts = append(parts, "the original counted each request "+number(r.Factor)+" times: divide thresholds by it")
	}
	for _, f := range r.Failed {
		parts = append(parts, "not in "+f.State+": "+f.Reason)
	}
	return strings.Join(parts, "; ")
}
