package promql

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
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
	bench *Bench
	db    *synthetic
}

// Timeline lays out stages in time. Series of a new stage are first scraped one interval (15 s) after it begins
// (observability.md 1.10); a series that is gone is marked stale, as Prometheus does.
func (b *Bench) Timeline(stages []Stage) (*Timeline, error) {
	t := &Timeline{bench: b, db: &synthetic{}}
	var open []timed
	for i, st := range stages {
		if st.State < 0 || st.State >= len(b.states) {
			return nil, fmt.Errorf("promql: stage %d: no such state", i)
		}
		if i > 0 && st.From <= stages[i-1].From {
			return nil, fmt.Errorf("promql: stage %d does not begin after the one before", i)
		}
		traffic := b.in.Traffic
		if st.Traffic != nil {
			traffic = *st.Traffic
		}
		from := int64(0)
		if i > 0 {
			from = steady + st.From.Milliseconds()
		}
		next, err := steadyDB(traffic, b.states[st.State])
		if err != nil {
			return nil, err
		}
		open = t.advance(open, next.all, from, st.Restarts, i == 0)
	}
	t.db.all = append(t.db.all, open...)
	slices.SortStableFunc(t.db.all, func(a, b timed) int {
		if c := strings.Compare(a.Key(), b.Key()); c != 0 {
			return c
		}
		return int(min(1, max(-1, a.start-b.start)))
	})
	return t, nil
}

// advance ends the open series at a step, and opens those of the next stage.
func (t *Timeline) advance(open, next []timed, from int64, restarts, first bool) []timed {
	was := map[string]int{}
	for i, o := range open {
		was[o.Key()] = i
	}
	goesOn := map[string]bool{}
	for i := range next {
		n := &next[i]
		n.start, n.end = from/scrapeInterval*scrapeInterval+scrapeInterval, math.MaxInt64/2
		if first {
			n.start = 0
		}
		o, ok := was[n.Key()]
		if !ok {
			continue
		}
		goesOn[n.Key()] = true
		if !restarts {
			n.base = open[o].base + open[o].Rate*float64(n.start-open[o].start)/1000
		}
	}
	for _, o := range open {
		o.end = from
		o.vanishes = !goesOn[o.Key()]
		t.db.all = append(t.db.all, o)
	}
	return next
}

// At evaluates a query at a time of the timeline.
func (t *Timeline) At(q *Query, at time.Duration) (Result, error) {
	return t.bench.timelineLook(q, t.db, steady+at.Milliseconds())
}

func (b *Bench) timelineLook(q *Query, db *synthetic, at int64) (Result, error) {
	if len(b.in.Rules) > 0 {
		own := *db
		db = &own
		if err := b.prover.record(q, b.in.Rules, db, at-3600_000, at); err != nil {
			return nil, err
		}
	}
	return b.prover.at(q.Filled, db, at)
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

// Alert runs an alerting rule with its "for" over the timeline, evaluated each interval from the start until the end,
// and gives the state at each evaluation: of the element that is furthest.
func (t *Timeline) Alert(q *Query, hold, until, interval time.Duration) ([]AlertState, error) {
	if interval <= 0 {
		return nil, fmt.Errorf("promql: an alert is evaluated at an interval, not every %s", interval)
	}
	var states []AlertState
	since := map[string]time.Duration{}
	for at := time.Duration(0); at <= until; at += interval {
		r, err := t.At(q, at)
		if err != nil {
			return nil, err
		}
		active := map[string]time.Duration{}
		state := Inactive
		for _, p := range r {
			begun, ok := since[p.Labels]
			if !ok {
				begun = at
			}
			active[p.Labels] = begun
			now := Pending
			if at-begun >= hold {
				now = Firing
			}
			state = max(state, now)
		}
		since = active
		states = append(states, state)
	}
	return states, nil
}
