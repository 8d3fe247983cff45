package promql

import "slices"

// Alike says that two queries give the same in one state of the bench, with all traffic that the first is asked with.
// Of queries that cannot be evaluated it says no.
func (b *Bench) Alike(one, other *Query, state int) bool {
	if state < 0 || state >= len(b.states) || bounded(one) != nil || bounded(other) != nil {
		return false
	}
	usual, rare := b.asked(one)
	for _, v := range append(usual, rare...) {
		was, errWas := b.result(one, state, v)
		is, errIs := b.result(other, state, v)
		if errWas != nil || errIs != nil || !numbers(was).Equal(numbers(is)) {
			return false
		}
	}
	return true
}

// Covers says that in one state the other query gives all labels that the first gives in the first state, with all
// traffic that the first is asked with, whatever the values.
func (b *Bench) Covers(one, other *Query, state int) bool {
	if state < 0 || state >= len(b.states) || bounded(one) != nil || bounded(other) != nil {
		return false
	}
	usual, _ := b.asked(one)
	for _, v := range usual {
		was, errWas := b.result(one, 0, v)
		is, errIs := b.result(other, state, v)
		if errWas != nil || errIs != nil {
			return false
		}
		for _, p := range was {
			if !slices.ContainsFunc(is, func(o Point) bool { return o.Labels == p.Labels }) {
				return false
			}
		}
	}
	return true
}

// Matcher is the byte offset in the query at which the selector's matcher of a label ends; -1 when it has none.
func (s Selector) Matcher(q *Query, label string) int {
	at, err := lexSelector(s.Text(q))
	if err != nil {
		return -1
	}
	for _, m := range at.Matchers {
		if m.Label == label {
			return s.Start + m.End
		}
	}
	return -1
}
