package promql

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Minutes says when an alert fires: the rewrite in the states of a plan, against the original on the old model, for an
// incident that begins at the same minute. The zero value says nothing and is not the same minute.
type Minutes struct {
	// Incident is the traffic that makes it fire, Calm the traffic before and after.
	Incident, Calm string
	// Same says that in every state it starts and stops firing at the original's minute.
	Same bool
	// Off is by how much it starts or stops earlier or later when the incident comes around a transition between
	// neighbouring states, where old series end and new ones begin 15 s later (observability.md 1.10).
	Off time.Duration
	// Alarm names a transition at which it fires without an incident, Gap one at which it stops in the middle of one
	// or does not fire at all. "" without any.
	Alarm, Gap string
	// Why it is not the same, or why nothing can be said.
	Why string
}

// String is one line for a report.
func (m Minutes) String() string {
	switch {
	case !m.Same:
		return "not shown to fire at the same minute: " + m.Why
	case m.Alarm != "":
		return "fires at the same minute in every state, but falsely while pods restart: " + m.Alarm
	case m.Gap != "":
		return "fires at the same minute in every state, but not through the transition " + m.Gap
	case m.Off > 0:
		return fmt.Sprintf("fires at the same minute in every state; up to %.0f min off across a transition", m.Off.Minutes())
	}
	return "fires at the same minute in every state and across every transition"
}

// longestIncident is the longest lookback that alerts are run with minute by minute.
const longestIncident = 2 * time.Hour

// maxMinutePoints is how many steps of subqueries alerts are run with minute by minute.
const maxMinutePoints = 150

// drill is a fixed incident: calm, then the incident from begin to end, then calm until the end of the timeline.
type drill struct {
	calm, incident    int
	begin, end, until time.Duration
	hold, keep        time.Duration
	rewritten         *Query
}

// drill finds traffic that the alert sleeps and fires with on the old model. The lengths follow from how far it looks
// back: it must see only calm before the incident, and only the incident at its end.
func (b *Bench) drill(q *Query, hold, keep time.Duration) (drill, error) {
	d := drill{calm: -1, incident: -1, hold: hold, keep: keep}
	if !q.Alerting() || onlyAbsent(q) {
		return d, errors.New("no traffic makes it begin or end: it is no alert on traffic")
	}
	if hold < 0 || keep < 0 || hold > 24*time.Hour || keep > 24*time.Hour {
		return d, errors.New("it waits longer than a day")
	}
	back := lookback(q)
	if back > longestIncident {
		return d, fmt.Errorf("it looks back %s, which is not run minute by minute", back)
	}
	if n := points(q.Expr); n > maxMinutePoints {
		return d, fmt.Errorf("it has a subquery of %.0f steps, which is not run minute by minute", n)
	}
	vs, ok := b.proving(q)
	if !ok {
		return d, errors.New("no modelled traffic makes it fire")
	}
	for _, v := range vs {
		switch speaks := b.speaks(q, v); {
		case speaks && d.incident < 0:
			d.incident = v
		case !speaks && d.calm < 0:
			d.calm = v
		}
	}
	if d.calm < 0 {
		return d, errors.New("it fires with all modelled traffic")
	}
	whole := func(t time.Duration) time.Duration { return (t + time.Minute - 1).Truncate(time.Minute) }
	d.begin = whole(2*back) + 10*time.Minute
	d.end = d.begin + whole(back+hold) + 10*time.Minute
	d.until = d.end + whole(back+keep) + 10*time.Minute
	return d, nil
}

// SameMinute runs original and rewrite minute by minute, with the alert's "for" and "keep_firing_for".
func (b *Bench) SameMinute(q *Query, r *Rewrite, hold, keep time.Duration) Minutes {
	d, err := b.drill(q, hold, keep)
	if err != nil {
		return Minutes{Why: err.Error()}
	}
	m := Minutes{Incident: b.variants[d.incident].name, Calm: b.variants[d.calm].name}
	rewritten, err := r.evaluated(q)
	if err != nil {
		return Minutes{Why: err.Error()}
	}
	d.rewritten = rewritten
	want, err := b.fires(q, d, 0, 0, 0)
	if err != nil {
		return Minutes{Why: err.Error()}
	}
	if len(want) == 0 {
		m.Why = "the original does not fire with an incident of " + (d.end - d.begin).String() + " on the old model"
		return m
	}
	m.Same = true
	for _, alike := range b.distinct(d) {
		state := alike[0]
		got, err := b.fires(rewritten, d, state, state, 0)
		if err != nil {
			return Minutes{Why: err.Error()}
		}
		if !slices.Equal(got, want) {
			m.Same, m.Why = false, fmt.Sprintf("in %s it fires %s, the original %s", b.states[state].Name, spans(got), spans(want))
			return m
		}
	}
	if err := b.transitions(&m, d, want); err != nil {
		return Minutes{Why: err.Error()}
	}
	return m
}

// SameMinuteAll is SameMinute of all trials whose traffic the query selects: the same minute only if it is that for each,
// and the most that any of them is off. Without a trial that says something it is not the same minute.
func SameMinuteAll(trials []Trial, r *Rewrite, hold, keep time.Duration) Minutes {
	all := Minutes{Why: "it selects none of the traffic"}
	first := true
	for _, t := range trials {
		if !t.sees() {
			continue
		}
		m := t.Bench.SameMinute(t.Query, r, hold, keep)
		if !m.Same {
			return m
		}
		if first {
			all, first = m, false
			continue
		}
		all.Off = max(all.Off, m.Off)
		all.Alarm, all.Gap = cmp.Or(all.Alarm, m.Alarm), cmp.Or(all.Gap, m.Gap)
	}
	return all
}

// transitions runs the incident around each transition that changes the series.
func (b *Bench) transitions(m *Minutes, d drill, want []span) error {
	seen := map[[4]string]bool{}
	for i := 1; i < len(b.states); i++ {
		key := [4]string{b.seen(d.rewritten, i-1, d.calm), b.seen(d.rewritten, i-1, d.incident), b.seen(d.rewritten, i, d.calm), b.seen(d.rewritten, i, d.incident)}
		if seen[key] || key[0] == key[2] && key[1] == key[3] {
			continue
		}
		seen[key] = true
		name := b.states[i-1].Name + " to " + b.states[i].Name
		for _, at := range []time.Duration{d.begin - lookback(d.rewritten) - 5*time.Minute, d.begin - time.Minute, d.begin + d.hold + 2*time.Minute} {
			got, err := b.fires(d.rewritten, d, i-1, i, at)
			if err != nil {
				return err
			}
			m.note(name, got, want, d)
		}
	}
	return nil
}

// note compares the times at which an alert fired with those of the original.
func (m *Minutes) note(name string, got, want []span, d drill) {
	for len(got) > 0 && got[0].to < d.begin {
		m.Alarm, got = name, got[1:]
	}
	if len(got) != len(want) {
		m.Gap = name
		return
	}
	for i := range got {
		m.Off = max(m.Off, (got[i].from - want[i].from).Abs(), (got[i].to - want[i].to).Abs())
	}
}

// distinct groups the states that look alike to the rewrite, in their order.
func (b *Bench) distinct(d drill) [][]int {
	kind := map[[2]string]int{}
	var all [][]int
	for i := range b.states {
		key := [2]string{b.seen(d.rewritten, i, d.calm), b.seen(d.rewritten, i, d.incident)}
		n, ok := kind[key]
		if !ok {
			n = len(all)
			kind[key], all = n, append(all, nil)
		}
		all[n] = append(all[n], i)
	}
	return all
}

// seen is the fingerprint of all that a query selects in a state with a variant of the traffic.
func (b *Bench) seen(q *Query, state, v int) string {
	var prints []byte
	for _, l := range b.prepare(q).leaves {
		n, err := b.printOf(l, state, v)
		if err != nil {
			return err.Error()
		}
		prints = fmt.Appendf(prints, "%d ", n)
	}
	return string(prints)
}

// span is from the first to the last minute that an alert fires.
type span struct{ from, to time.Duration }

func spans(all []span) string {
	if len(all) == 0 {
		return "never"
	}
	text := ""
	for i, s := range all {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("from minute %.0f to %.0f", s.from.Minutes(), s.to.Minutes())
	}
	return text
}

// fires runs the incident, in one state or with a transition to another, and gives when the alert fires.
func (b *Bench) fires(q *Query, d drill, before, after int, transition time.Duration) ([]span, error) {
	line, err := b.Timeline(d.stages(b, before, after, transition))
	if err != nil {
		return nil, err
	}
	states, err := line.Alert(q, d.hold, d.keep, d.until, time.Minute)
	if err != nil {
		return nil, err
	}
	var all []span
	for i, s := range states {
		if s != Firing {
			continue
		}
		at := time.Duration(i) * time.Minute
		if n := len(all); n > 0 && all[n-1].to == at-time.Minute {
			all[n-1].to = at
			continue
		}
		all = append(all, span{at, at})
	}
	return all, nil
}

// stages of the incident, with a transition in it unless both states are the same.
func (d drill) stages(b *Bench, before, after int, transition time.Duration) []Stage {
	calm, incident := &b.variants[d.calm].traffic, &b.variants[d.incident].traffic
	var all []Stage
	add := func(at time.Duration, traffic *Traffic) {
		s := Stage{State: before, From: at, Traffic: traffic}
		if before != after && at >= transition {
			s.State = after
		}
		all = append(all, s)
	}
	move := func(traffic *Traffic) {
		if before != after {
			all = append(all, Stage{State: after, From: transition, Traffic: traffic, Restarts: true})
		}
	}
	add(0, calm)
	if transition < d.begin {
		move(calm)
	}
	add(d.begin, incident)
	if transition > d.begin {
		move(incident)
	}
	add(d.end, calm)
	return all
}
