package promql

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// Stage is a span of a timeline: a state of the bench, and the traffic while it lasts.
type Stage struct {
	// State is an index into the bench's states.
	State int
	// From is when it begins, from the start of the timeline. The first stage has always been.
	From time.Duration
	// Traffic is nil for the bench's own; an incident is a stage with other traffic.
	Traffic *Traffic
	// Restarts says that all proxies restart at the beginning, so that no counter goes on. Without it, a series that
	// both stages have goes on.
	Restarts bool
}

// Timeline is the series of stages that follow each other.
type Timeline struct {
	bench  *Bench
	stages []laid
	// dbs by the ids of the selectors that they hold the series of.
	dbs map[string]*synthetic
	// origin is the time of the timeline's start, in milliseconds: how long the first stage has been.
	origin int64
}

// laid is a stage with what is emitted in it, from a time in milliseconds on.
type laid struct {
	blocks   []*block
	from     int64
	restarts bool
}

// Timeline lays out stages in time. Series of a new stage are first scraped one interval (15 s) after it begins
// (observability.md 1.10); a series that is gone is marked stale, as Prometheus does.
func (b *Bench) Timeline(stages []Stage) (*Timeline, error) { return b.timeline(stages, steady) }

func (b *Bench) timeline(stages []Stage, origin int64) (*Timeline, error) {
	t := &Timeline{bench: b, dbs: map[string]*synthetic{}, origin: origin}
	for i, st := range stages {
		if st.State < 0 || st.State >= len(b.states) {
			return nil, fmt.Errorf("promql: stage %d: no such state", i)
		}
		if i > 0 && st.From <= stages[i-1].From {
			return nil, fmt.Errorf("promql: stage %d does not begin after the one before", i)
		}
		l := laid{restarts: st.Restarts}
		if i > 0 {
			l.from = origin + st.From.Milliseconds()
		}
		var err error
		if st.Traffic == nil {
			l.blocks, err = b.at(st.State, 0)
		} else {
			l.blocks, err = b.stock.of(*st.Traffic, st.Traffic.Everyone(), b.states[st.State])
		}
		if err != nil {
			return nil, err
		}
		t.stages = append(t.stages, l)
	}
	return t, nil
}

// db is the storage of the series that a query takes.
func (t *Timeline) db(p *prepared) (*synthetic, error) {
	var ids []string
	for _, l := range p.leaves {
		ids = append(ids, l.id)
	}
	key := strings.Join(ids, "\n")
	if db, ok := t.dbs[key]; ok {
		return db, nil
	}
	var past, open []timed
	for i, st := range t.stages {
		next, err := t.bench.stock.db(st.blocks, p.leaves)
		if err != nil {
			return nil, err
		}
		ended := advance(open, next.all, st, i == 0)
		past, open = append(past, ended...), next.all
	}
	all := append(past, open...)
	slices.SortStableFunc(all, func(a, b timed) int {
		if c := labels.Compare(a.labels, b.labels); c != 0 {
			return c
		}
		return int(min(1, max(-1, a.start-b.start)))
	})
	t.dbs[key] = &synthetic{all: all}
	return t.dbs[key], nil
}

// advance ends the open series at a stage, and opens those that come next.
func advance(open, next []timed, st laid, first bool) (ended []timed) {
	was := map[string]int{}
	for i, o := range open {
		was[string(o.labels.Bytes(nil))] = i
	}
	goesOn := map[int]bool{}
	for i := range next {
		n := &next[i]
		n.start, n.end = st.from/scrapeInterval*scrapeInterval+scrapeInterval, math.MaxInt64/2
		if first {
			n.start = 0
		}
		o, ok := was[string(n.labels.Bytes(nil))]
		if !ok {
			continue
		}
		goesOn[o] = true
		if !st.restarts {
			n.base = open[o].base + open[o].rate*float64(n.start-open[o].start)/1000
		}
	}
	for i, o := range open {
		o.end = st.from
		o.vanishes = !goesOn[i]
		ended = append(ended, o)
	}
	return ended
}

// At evaluates a query at a time of the timeline.
func (t *Timeline) At(q *Query, at time.Duration) (Result, error) {
	p := t.bench.prepare(q)
	if p.err != nil {
		return nil, p.err
	}
	db, err := t.db(p)
	if err != nil {
		return nil, err
	}
	return t.bench.prover.look(q.Filled, p.order, db, t.origin+at.Milliseconds())
}

// AlertState is what an alert is at a time. The zero value is unknown.
type AlertState int

// Alert states, as Prometheus names them.
const (
	AlertUnknown AlertState = iota
	Inactive
	Pending
	Firing
)

// Alert runs an alerting rule with its "for" and "keep_firing_for" over the timeline, evaluated each interval from the
// start until the end, and gives the state at each evaluation: of the element that is furthest. Source: Prometheus
// rules/alerting.go Eval.
func (t *Timeline) Alert(q *Query, hold, keep, until, interval time.Duration) ([]AlertState, error) {
	if interval <= 0 {
		return nil, fmt.Errorf("promql: an alert is evaluated at an interval, not every %s", interval)
	}
	var states []AlertState
	all := actives{}
	for at := time.Duration(0); at <= until; at += interval {
		r, err := t.At(q, at)
		if err != nil {
			return nil, err
		}
		present := map[string]bool{}
		for _, p := range r {
			present[p.Labels] = true
		}
		states = append(states, all.step(present, at, hold, keep))
	}
	return states, nil
}

// active is an element of an alert that is pending or firing.
type active struct {
	since  time.Duration
	firing bool
	// kept is since when it fires without being there; negative while it is there.
	kept time.Duration
}

// actives are an alert's elements by their labels.
type actives map[string]*active

// step evaluates once, with the elements that are there, and gives the state of the one that is furthest.
func (all actives) step(present map[string]bool, at, hold, keep time.Duration) AlertState {
	for key := range present {
		if all[key] == nil {
			all[key] = &active{since: at}
		}
		all[key].kept = -1
	}
	state := Inactive
	for key, a := range all {
		if !present[key] {
			if a.firing && a.kept < 0 {
				a.kept = at
			}
			if !a.firing || at-a.kept >= keep {
				delete(all, key)
				continue
			}
		}
		a.firing = a.firing || at-a.since >= hold
		now := Pending
		if a.firing {
			now = Firing
		}
		state = max(state, now)
	}
	return state
}
