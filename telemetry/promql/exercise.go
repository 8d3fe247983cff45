package promql

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ambientplan/ambientplan/telemetry/series"
)

// Exercised says with which traffic a query gives something on the old model, an alert that it fires: first the traffic
// that all queries are asked with, then what the query's own literals ask for. ok is false when none does: then
// nothing that is said of the query rests on more than silence.
func (b *Bench) Exercised(q *Query) (traffic string, ok bool) {
	vs, ok := b.proving(q)
	if !ok {
		return "", false
	}
	for _, v := range vs {
		if b.speaks(q, v) {
			return b.variants[v].name, true
		}
	}
	return "", false
}

// speaks says whether a query gives something on the old model with a variant of the traffic.
func (b *Bench) speaks(q *Query, v int) bool {
	if !q.Alerting() {
		q = b.prepare(q).watched
	}
	if q == nil || len(b.states) == 0 {
		return false
	}
	r, err := b.result(q, 0, v)
	return err == nil && len(numbers(r)) > 0
}

// proving lists the variants that a proof is made with: those that both data plane modes can count alike and, when none
// of them exercises the query, others that do. ok is false without any that does.
func (b *Bench) proving(q *Query) (vs []int, ok bool) {
	usual, rare := b.asked(q)
	speaks := func(v int) bool { return b.speaks(q, v) }
	if slices.ContainsFunc(usual, speaks) {
		return usual, true
	}
	if slices.ContainsFunc(rare, speaks) {
		return append(usual, rare...), true
	}
	return usual, false
}

// searched looks, once for each query, for traffic that makes it speak on the old model where the usual does not: the
// literals of its matchers and its thresholds drive it. It is the variant's index.
func (b *Bench) searched(q *Query, p *prepared) {
	if p.searched || p.err != nil || len(b.states) == 0 || bounded(q) != nil || onlyAbsent(q) {
		return
	}
	p.searched = true
	for v := range b.variants {
		if b.variants[v].query == nil && b.speaks(q, v) {
			return
		}
	}
	for _, base := range append([]variant{b.variants[0]}, b.madeUp(p)...) {
		if base.made && b.tries(q, p, base) {
			p.extra = append(p.extra, b.keep(base, q))
			return
		}
		touched := b.touched(p, base.traffic)
		for _, c := range changes(p) {
			if len(touched) == 0 {
				break
			}
			if v := changed(base, c, touched); b.tries(q, p, v) {
				p.extra = append(p.extra, b.keep(v, q))
				return
			}
		}
	}
}

// maxCallers bounds how many callers are made up for a service.
const maxCallers = 8

// madeUp lists traffic with a call to a service that nobody is known to call, for services that a selector of the query
// asks for and no known call is to: one for each caller that may be meant, those of the service's namespace first.
func (b *Bench) madeUp(p *prepared) []variant {
	var all []variant
	for _, s := range b.in.Services {
		c := series.Call{To: s.Workload, Service: s.Ref, Protocol: s.Protocol, Rate: 100, Errors: .01, LatencyMS: 40, Bytes: 1000}
		known := slices.ContainsFunc(b.in.Traffic.Calls, func(c series.Call) bool { return c.Service == s.Ref })
		asked := slices.ContainsFunc(p.leaves, func(l leaf) bool { return b.stock.family[l.Metric] != "" && touches(l.Selector, &c) })
		if known || !asked {
			continue
		}
		callers := slices.DeleteFunc(b.in.Traffic.Everyone(), func(w series.Workload) bool { return w.Ref == s.Workload.Ref })
		slices.SortStableFunc(callers, func(x, y series.Workload) int {
			return boolOrder(x.Namespace == s.Namespace, y.Namespace == s.Namespace)
		})
		for _, from := range callers[:min(len(callers), maxCallers)] {
			c.From = from
			v := variant{made: true, name: fmt.Sprintf("calls of %s to %s, which nobody is known to make", from, s.Ref)}
			v.traffic = Traffic{Workloads: b.in.Traffic.Workloads, Calls: append(slices.Clone(b.in.Traffic.Calls), c)}
			v.everyone = v.traffic.Everyone()
			if b.bears(v) {
				all = append(all, v)
			}
		}
	}
	return all
}

// boolOrder puts true first.
func boolOrder(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// bears says that the series of a variant can be told in all states.
func (b *Bench) bears(v variant) bool {
	for i := range b.states {
		if _, err := b.stock.of(v.traffic, v.everyone, b.states[i]); err != nil {
			return false
		}
	}
	return true
}

// touched lists the calls that some selector of the query can take series of.
func (b *Bench) touched(p *prepared, t Traffic) []int {
	var all []int
	for i := range t.Calls {
		c := &t.Calls[i]
		if slices.ContainsFunc(p.leaves, func(l leaf) bool { return b.stock.family[l.Metric] != "" && touches(l.Selector, c) }) {
			all = append(all, i)
		}
	}
	return all
}

// change is one way to make the traffic of some calls worse.
type change struct {
	name string
	make func(*series.Call)
}

// changes for a query, from the mildest on: shares of errors with the codes that it asks for, then doublings of
// traffic, of failing traffic, of latency and of size. It is bounded.
func changes(p *prepared) []change {
	var all []change
	codes := codesOf(p)
	for _, share := range []float64{.001, .01, .02, .05, .1, .2, .5, .9, 1} {
		for _, code := range codes {
			all = append(all, change{fmt.Sprintf("%g %% of the requests answered %s", share*100, code), func(c *series.Call) { c.Errors, c.ErrorCode = share, code }})
		}
	}
	for k := 1; k <= 20; k++ {
		factor := float64(int(1) << k)
		all = append(all,
			change{fmt.Sprintf("%g times the traffic", factor), func(c *series.Call) { c.Rate *= factor }},
			change{fmt.Sprintf("1/%g of the traffic", factor), func(c *series.Call) { c.Rate /= factor }},
			change{fmt.Sprintf("%g times the traffic, all of it failing", factor), func(c *series.Call) { c.Rate, c.Errors = c.Rate*factor, 1 }},
			change{fmt.Sprintf("requests of %g ms", factor), func(c *series.Call) { c.LatencyMS = factor }},
			change{fmt.Sprintf("requests of %g bytes", factor*1024), func(c *series.Call) { c.Bytes = factor * 1024 }},
		)
	}
	return all
}

// codesOf lists the status codes that some selector of the query asks for, of those that servers answer with.
func codesOf(p *prepared) []string {
	var all []string
	for _, code := range strings.Fields("500 501 502 503 504 400 401 402 403 404 405 406 408 409 410 412 413 415 418 422 423 425 429 431 451 201 202 204 301 302 304 307 308") {
		if slices.ContainsFunc(p.leaves, func(l leaf) bool { return only(l.Selector, "response_code", code) && !l.has("response_code", "200") }) {
			all = append(all, code)
		}
	}
	if len(all) == 0 {
		all = []string{"500"}
	}
	return all[:min(len(all), 3)]
}

// changed is some traffic with a change of some calls.
func changed(base variant, c change, touched []int) variant {
	v := variant{name: c.name, traffic: Traffic{Workloads: base.traffic.Workloads, Calls: slices.Clone(base.traffic.Calls)}, everyone: base.everyone}
	if base.made {
		v.name = base.name + ", with " + c.name
	}
	for _, i := range touched {
		c.make(&v.traffic.Calls[i])
	}
	return v
}

// tries evaluates a query on the old model with traffic that is not one of the bench's variants.
func (b *Bench) tries(q *Query, p *prepared, v variant) bool {
	blocks, err := b.stock.of(v.traffic, v.everyone, b.states[0])
	if err != nil {
		return false
	}
	db, err := b.stock.db(blocks, p.leaves)
	if err != nil {
		return false
	}
	text := p.coarse
	if !q.Alerting() {
		text = b.prepare(p.watched).coarse
	}
	r, err := b.prover.look(text, p.order, db, steady)
	return err == nil && len(numbers(r)) > 0
}

// keep makes a variant one of the bench's, and gives its index.
func (b *Bench) keep(v variant, q *Query) int {
	v.query = q
	i := slices.IndexFunc(b.variants, func(have variant) bool {
		return have.query != nil && have.name == v.name && slices.Equal(have.traffic.Calls, v.traffic.Calls)
	})
	if i >= 0 {
		return i
	}
	b.variants = append(b.variants, v)
	return len(b.variants) - 1
}
