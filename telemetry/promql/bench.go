package promql

import (
	"fmt"
	"github.com/prometheus/prometheus/promql/parser"
	"math"
	"slices"

	"github.com/ambientplan/ambientplan/telemetry/series"
)

// Input is what a query is judged by.
type Input struct {
	Traffic Traffic
	// Services are those that the plan knows, whether or not a call of them is known. Queries that select one which
	// nobody is known to call are asked with a call made up for it.
	Services []Service
	// Rules are the recording rules that were read, followed to where their result is used.
	Rules []Rule
}

// Service is a Service with the workload that serves it. The modes of the workload must be known in all states.
type Service struct {
	series.Ref
	Workload series.Workload
	// Protocol of its port; of an unknown one no calls are made up.
	Protocol series.Protocol
}

// Bench holds the series of a plan's states for the same traffic, so that many queries are judged without
// making them anew, and remembers results: most states of a plan are alike for a query. It is not safe for
// concurrent use.
type Bench struct {
	prover prover
	in     Input
	// states with the stranger of the security variants in them.
	states   []series.State
	variants []variant
	stock    *stock
	// blocks by state and variant; nil until needed.
	blocks [][][]*block
	// prepared queries, results and fingerprints: dropped together with what the stock remembers of selectors.
	prepared map[[2]string]*prepared
	results  map[resultKey]Result
	prints   map[printKey]int
}

type resultKey struct {
	text   string
	series string
}

type printKey struct {
	id       string
	state, v int
}

// maxRemembered is how many series and results a bench remembers for selectors and queries.
const maxRemembered = 100_000

// NewBench prepares the states of a plan, in their order. It fails when the series of a state cannot be told:
// an unknown or mixed data plane mode, an unknown protocol.
func NewBench(in Input, states []series.State) (*Bench, error) {
	for _, c := range in.Traffic.Calls {
		if c.Rate <= 0 || math.IsNaN(c.Rate) || math.IsInf(c.Rate, 0) {
			return nil, fmt.Errorf("promql: the call of %s to %s has no rate: without traffic nothing can be compared", c.From.Ref, c.Service)
		}
	}
	return newBench(in, states)
}

func newBench(in Input, states []series.State) (*Bench, error) {
	b := &Bench{
		prover: newProver(), in: in, variants: variants(in.Traffic), stock: newStock(),
		prepared: map[[2]string]*prepared{}, results: map[resultKey]Result{}, prints: map[printKey]int{},
	}
	for i, s := range states {
		b.states = append(b.states, withOutside(s))
		b.blocks = append(b.blocks, make([][]*block, len(b.variants)))
		if _, err := b.at(i, 0); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// at lists the blocks of a state with a variant of the traffic.
func (b *Bench) at(state, v int) ([]*block, error) {
	if n := len(b.variants); len(b.blocks[state]) < n {
		b.blocks[state] = append(b.blocks[state], make([][]*block, n-len(b.blocks[state]))...)
	}
	if b.blocks[state][v] == nil {
		all, err := b.stock.of(b.variants[v].traffic, b.variants[v].everyone, b.states[state])
		if err != nil {
			return nil, err
		}
		b.blocks[state][v] = all
	}
	return b.blocks[state][v], nil
}

// prepared is what is asked of a query again and again.
type prepared struct {
	order  []Rule
	leaves []leaf
	// watched is the query without the comparison with a number and without its default.
	watched   *Query
	defaulted bool
	// coarse is what is evaluated in states that have been as they are for long.
	coarse string
	err    error
	// extra are variants that were searched for this query.
	extra    []int
	searched bool
}

func (b *Bench) prepare(q *Query) *prepared {
	key := [2]string{q.Text, q.Filled}
	if p, ok := b.prepared[key]; ok {
		return p
	}
	p := &prepared{}
	if p.order, p.err = needed(q, b.in.Rules); p.err == nil {
		p.leaves, p.coarse = leaves(q, p.order), coarse(q.Filled)
		p.watched, p.defaulted, p.err = q.watched()
	}
	b.prepared[key] = p
	return p
}

// asked lists the variants that a query is asked with, by index: first the usual ones and those that were searched for
// it, then the rare ones.
func (b *Bench) asked(q *Query) (usual, rare []int) {
	p := b.prepare(q)
	b.searched(q, p)
	security := false
	for _, s := range p.leaves {
		for _, m := range s.Matchers {
			security = security || m.Name == "connection_security_policy" || m.Name == "source_principal"
		}
	}
	for i, v := range b.variants {
		switch {
		case v.query != nil:
			if slices.Contains(p.extra, i) {
				usual = append(usual, i)
			}
		case v.rare:
			rare = append(rare, i)
		case !v.security || security:
			usual = append(usual, i)
		}
	}
	return usual, rare
}

// forget drops what is remembered, when that is much. Only between queries: what was handed out stays as it is.
func (b *Bench) forget() {
	if b.stock.picked+len(b.results)+len(b.prints) < maxRemembered {
		return
	}
	b.stock.forget()
	clear(b.prepared)
	clear(b.results)
	clear(b.prints)
}

// printOf is the fingerprint of what a selector takes in a state with a variant of the traffic.
func (b *Bench) printOf(l leaf, state, v int) (int, error) {
	key := printKey{l.id, state, v}
	if n, ok := b.prints[key]; ok {
		return n, nil
	}
	blocks, err := b.at(state, v)
	if err != nil {
		return 0, err
	}
	n, err := b.stock.fingerprint(blocks, l.id, l.Selector)
	if err == nil {
		b.prints[key] = n
	}
	return n, err
}

// taken lists the series that a selector takes in a state with a variant of the traffic.
func (b *Bench) taken(l leaf, state, v int) ([]*timed, error) {
	blocks, err := b.at(state, v)
	if err != nil {
		return nil, err
	}
	return b.stock.taken(blocks, l)
}

func (k *stock) taken(blocks []*block, l leaf) ([]*timed, error) {
	var all []*timed
	for _, one := range blocks {
		if one.call != nil && !touches(l.Selector, one.call) {
			continue
		}
		p, err := k.pick(one, l.id, l.Selector)
		if err != nil {
			return nil, err
		}
		all = append(all, p.all...)
	}
	return all, nil
}

// db is the storage of what selectors take of blocks, in a state that has been as it is for long.
func (k *stock) db(blocks []*block, ls []leaf) (*synthetic, error) {
	seen := map[*timed]bool{}
	var all []timed
	for _, l := range ls {
		p, err := k.taken(blocks, l)
		if err != nil {
			return nil, err
		}
		for _, t := range p {
			if !seen[t] {
				seen[t] = true
				all = append(all, *t)
			}
		}
	}
	return &synthetic{all: merged(all)}, nil
}

// result of a query in a state with a variant of the traffic.
func (b *Bench) result(q *Query, state, v int) (Result, error) {
	p := b.prepare(q)
	if p.err != nil {
		return nil, p.err
	}
	key := resultKey{text: q.Filled}
	var prints []byte
	for _, l := range p.leaves {
		n, err := b.printOf(l, state, v)
		if err != nil {
			return nil, err
		}
		prints = fmt.Appendf(prints, "%d ", n)
	}
	key.series = string(prints)
	if r, ok := b.results[key]; ok {
		return slices.Clone(r), nil
	}
	blocks, err := b.at(state, v)
	if err != nil {
		return nil, err
	}
	db, err := b.stock.db(blocks, p.leaves)
	if err != nil {
		return nil, err
	}
	r, err := b.prover.look(p.coarse, p.order, db, steady)
	if err != nil {
		return nil, err
	}
	b.results[key] = r
	return slices.Clone(r), nil
}

// blindTo is the text of a selector that takes nothing in any of the states, with any traffic: what is said of its query
// would rest on nothing. absent() of a service that nobody knows is equal in all states, and means nothing.
func (b *Bench) blindTo(q *Query, states ...int) string {
	usual, rare := b.asked(q)
	first, seen := "", false
	for _, l := range b.prepare(q).leaves {
		if class, _ := classify(l.Selector); class == classDead {
			continue // empty on purpose: "new metric or old metric" is a living query
		}
		switch {
		case b.sees(l, states, append(usual, rare...)):
			seen = true
		case !l.alternative():
			return l.text
		case first == "":
			first = l.text
		}
	}
	if seen {
		return ""
	}
	return first
}

// alternative says that the selector is one of several that "or" joins: the others may have something where it has
// nothing.
func (s Selector) alternative() bool {
	return slices.ContainsFunc(s.Parents, func(n parser.Node) bool {
		b, ok := n.(*parser.BinaryExpr)
		return ok && b.Op == parser.LOR
	})
}

func (b *Bench) sees(l leaf, states, variants []int) bool {
	for _, state := range states {
		for _, v := range variants {
			if n, err := b.printOf(l, state, v); err != nil || n != nothing {
				return err == nil
			}
		}
	}
	return false
}
