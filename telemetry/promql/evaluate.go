package promql

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunks"

	"github.com/ambientplan/ambientplan/telemetry/series"
)

// steady is when a state is looked at, in milliseconds: long after its series began, so that windows of
// 90 days are full.
const steady = int64(100 * 24 * 3600 * 1000)

// maxSamples and timeout bound the evaluation of a hostile expression.
const (
	maxSamples = 5_000_000
	timeout    = 5 * time.Second
)

// Point is one element of a result.
type Point struct {
	// Labels as Prometheus prints them.
	Labels string
	Value  float64
}

// maxPoints is how many steps the subqueries of a query may ask for.
const maxPoints = 10_000

// bounded refuses a query whose subqueries ask for more than can be evaluated in every state.
func bounded(q *Query) error {
	if n := points(q.Expr); n > maxPoints {
		return fmt.Errorf("promql: a subquery of %.0f steps is not evaluated", n)
	}
	return nil
}

// Result is the instant vector that an expression gives, sorted by labels. A scalar has one point without labels.
type Result []Point

// String is for evidence: "empty", a number, or the vector.
func (r Result) String() string {
	switch {
	case len(r) == 0:
		return "empty"
	case len(r) == 1 && r[0].Labels == "{}":
		return number(r[0].Value)
	}
	var parts []string
	for i, p := range r {
		if i == maxPrinted {
			parts = append(parts, fmt.Sprintf("and %d more", len(r)-i))
			break
		}
		l := p.Labels
		if len(l) > maxLabels {
			l = fmt.Sprintf("{%d labels}", strings.Count(l, `="`))
		}
		parts = append(parts, l+" "+number(p.Value))
	}
	return strings.Join(parts, ", ")
}

// maxPrinted and maxLabels bound what evidence shows of a vector: elements, and bytes of the labels of each.
const (
	maxPrinted = 3
	maxLabels  = 160
)

func number(v float64) string { return fmt.Sprintf("%.4g", v) }

// Traffic is the same in every state: the calls, and the workloads that are there even without calls.
type Traffic struct {
	Calls     []series.Call
	Workloads []series.Workload
}

// Everyone lists the workloads of the traffic, each once, sorted.
func (t Traffic) Everyone() []series.Workload {
	all := slices.Clone(t.Workloads)
	for _, c := range t.Calls {
		all = append(all, c.From, c.To)
	}
	slices.SortFunc(all, func(a, b series.Workload) int { return strings.Compare(a.String(), b.String()) })
	return slices.CompactFunc(all, func(a, b series.Workload) bool { return a.Ref == b.Ref })
}

// Rule is a recording rule.
type Rule struct{ Record, Expr string }

// prover evaluates expressions with Prometheus's own engine.
type prover struct{ engine *promql.Engine }

func newProver() prover {
	return prover{promql.NewEngine(promql.EngineOpts{
		MaxSamples: maxSamples, Timeout: timeout, LookbackDelta: 5 * time.Minute,
		EnableAtModifier: true, EnableNegativeOffset: true, Parser: newParser(),
		NoStepSubqueryIntervalFn: func(int64) int64 { return 60_000 },
	})}
}

func (p prover) at(text string, db storage.Queryable, ms int64) (Result, error) {
	v, err := p.vector(text, db, ms)
	if err != nil {
		return nil, err
	}
	out := Result{}
	for _, s := range v {
		out = append(out, Point{Labels: s.Metric.String(), Value: s.F})
	}
	slices.SortFunc(out, func(a, b Point) int { return strings.Compare(a.Labels, b.Labels) })
	return out, nil
}

// vector evaluates at a time in milliseconds. A scalar is one sample without labels, as rules take it.
func (p prover) vector(text string, db storage.Queryable, ms int64) (promql.Vector, error) {
	q, err := p.engine.NewInstantQuery(context.Background(), db, nil, text, time.UnixMilli(ms))
	if err != nil {
		return nil, fmt.Errorf("promql: %w", err)
	}
	defer q.Close()
	res := q.Exec(context.Background())
	if res.Err != nil {
		return nil, fmt.Errorf("promql: %w", res.Err)
	}
	switch v := res.Value.(type) {
	case promql.Scalar:
		return promql.Vector{{T: v.T, F: v.V, Metric: labels.EmptyLabels()}}, nil
	case promql.Vector:
		return slices.Clone(v), nil
	}
	return nil, fmt.Errorf("promql: the expression gives a %s, not a vector", res.Value.Type())
}

// record evaluates rules, sources first, over the window that a query looks at, and stores their series.
func (p prover) record(order []Rule, db *synthetic, from, to int64) error {
	for _, r := range order {
		rq, err := p.engine.NewRangeQuery(context.Background(), db, nil, r.Expr, time.UnixMilli(from), time.UnixMilli(to), scrapeInterval*time.Millisecond)
		if err != nil {
			return fmt.Errorf("promql: recording rule %s: %w", r.Record, err)
		}
		res := rq.Exec(context.Background())
		m, err := res.Matrix()
		if err != nil {
			rq.Close()
			return fmt.Errorf("promql: recording rule %s: %w", r.Record, err)
		}
		for _, s := range m {
			var samples []chunks.Sample
			for _, f := range s.Floats {
				samples = append(samples, sample{f.T, f.F})
			}
			l := labels.NewBuilder(s.Metric).Set(nameLabel, r.Record).Labels()
			db.recorded = append(db.recorded, storage.NewListSeries(l, samples))
		}
		rq.Close()
	}
	return nil
}

// needed orders the rules that the query rests on, directly or not. A circle is an error.
func needed(q *Query, rules []Rule) ([]Rule, error) {
	var (
		order []Rule
		state = map[string]int{} // 1 being visited, 2 done
		visit func(q *Query) error
	)
	visit = func(q *Query) error {
		for _, s := range q.Selectors {
			for _, r := range rules {
				if r.Record != s.Metric || state[r.Record+"\x00"+r.Expr] == 2 {
					continue
				}
				key := r.Record + "\x00" + r.Expr
				if state[key] == 1 {
					return fmt.Errorf("promql: recording rule %s rests on itself", r.Record)
				}
				state[key] = 1
				sub, err := Parse(r.Expr)
				if err != nil {
					return fmt.Errorf("recording rule %s: %w", r.Record, err)
				}
				if err := visit(sub); err != nil {
					return err
				}
				state[key] = 2
				order = append(order, r)
			}
		}
		return nil
	}
	if err := visit(q); err != nil {
		return nil, err
	}
	return order, nil
}

// same says whether two numbers are the same for a reader: within half a per cent.
func same(a, b float64) bool {
	if math.IsNaN(a) || math.IsNaN(b) {
		return math.IsNaN(a) && math.IsNaN(b)
	}
	return a == b || math.Abs(a-b) <= .005*math.Max(math.Abs(a), math.Abs(b))
}

// Equal says that two results have the same labels and, within half a per cent, the same values.
func (r Result) Equal(o Result) bool {
	return slices.EqualFunc(r, o, func(a, b Point) bool { return a.Labels == b.Labels && same(a.Value, b.Value) })
}

// SameLabels says that two results have the same labels, whatever the values.
func (r Result) SameLabels(o Result) bool { return sameLabels(r, o) }

// Evaluate gives the result of the expression for the traffic in a steady state. Rules are the recording rules
// that the expression may rest on.
func Evaluate(text string, t Traffic, s series.State, rules []Rule) (Result, error) {
	q, err := Parse(text)
	if err != nil {
		return nil, err
	}
	b, err := newBench(Input{Traffic: t, Rules: rules}, []series.State{s})
	if err != nil {
		return nil, err
	}
	return b.result(q, 0, 0)
}

// look evaluates an expression at a time, and before it the recording rules that it rests on over the hour before.
func (p prover) look(text string, order []Rule, db *synthetic, at int64) (Result, error) {
	if len(order) > 0 {
		db = &synthetic{all: db.all}
		if err := p.record(order, db, at-3600_000, at); err != nil {
			return nil, err
		}
	}
	return p.at(text, db, at)
}
