package promql

import (
	"context"
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/ambientplan/ambientplan/telemetry/series"
)

// scrapeInterval of the modelled Prometheus, in milliseconds.
const scrapeInterval = 15_000

// timed is a series that lives from start to end, in milliseconds.
type timed struct {
	name   string
	labels labels.Labels
	// rate is the growth each second of a counter, value what a gauge says.
	rate, value float64
	gauge       bool
	from        *origin
	start, end  int64
	// base is what a counter starts at.
	base float64
	// vanishes says that the target is gone at the end: Prometheus marks the series stale.
	vanishes bool
}

func newTimed(one series.Series, from *origin) timed {
	b := labels.NewScratchBuilder(len(one.Labels) + 1)
	b.Add(nameLabel, one.Name)
	for name, v := range one.Labels {
		if v != "" {
			b.Add(name, v)
		}
	}
	b.Sort()
	return timed{name: one.Name, labels: b.Labels(), rate: one.Rate, value: one.Value, gauge: one.Gauge, from: from, end: math.MaxInt64 / 2}
}

// synthetic is a Prometheus storage that makes the samples of the model when it is asked for them, so a window
// of 30 days costs no more than its samples.
type synthetic struct {
	all []timed
	// recorded are series with samples, made by recording rules or read from a unit test.
	recorded []storage.Series
}

// merged sorts by labels and start, and adds up series of one identity: two calls with the same labels are one series.
func merged(all []timed) []timed {
	slices.SortStableFunc(all, func(a, b timed) int {
		if c := labels.Compare(a.labels, b.labels); c != 0 {
			return c
		}
		return int(min(1, max(-1, a.start-b.start)))
	})
	var out []timed
	for _, t := range all {
		if n := len(out); n > 0 && out[n-1].start == t.start && labels.Equal(out[n-1].labels, t.labels) {
			out[n-1].rate += t.rate
			continue
		}
		out = append(out, t)
	}
	return out
}

// Querier implements storage.Queryable.
func (s *synthetic) Querier(_, _ int64) (storage.Querier, error) { return s, nil }

// Close implements storage.Querier.
func (s *synthetic) Close() error { return nil }

// LabelValues implements storage.Querier; the engine does not call it.
func (s *synthetic) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// LabelNames implements storage.Querier; the engine does not call it.
func (s *synthetic) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// Select implements storage.Querier.
func (s *synthetic) Select(_ context.Context, _ bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	var found []storage.Series
	all := s.all
	for i := 0; i < len(all); {
		// Lives of one series are neighbours.
		j := i + 1
		for j < len(all) && labels.Equal(all[j].labels, all[i].labels) {
			j++
		}
		if matchesAll(all[i].labels, ms) {
			var samples []chunks.Sample
			for _, t := range all[i:j] {
				samples = append(samples, t.samples(hints)...)
			}
			found = append(found, storage.NewListSeries(all[i].labels, samples))
		}
		i = j
	}
	for _, r := range s.recorded {
		if matchesAll(r.Labels(), ms) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	return &seriesSet{all: found, at: -1}
}

func matchesAll(l labels.Labels, ms []*labels.Matcher) bool {
	for _, m := range ms {
		if !m.Matches(l.Get(m.Name)) {
			return false
		}
	}
	return true
}

// samples of the asked interval. A long range is sampled more rarely: a rate over it is the same.
func (t timed) samples(hints *storage.SelectHints) []chunks.Sample {
	step := int64(scrapeInterval)
	if hints.Range/40 > step {
		step = hints.Range / 40 / scrapeInterval * scrapeInterval
	}
	if hints.Range == 0 && hints.End-hints.Start > 3600_000 {
		// A subquery over instants finds a sample within the lookback of five minutes.
		step = 60_000
	}
	from, to := max(hints.Start, t.start), min(hints.End, t.end)
	var all []chunks.Sample
	for at := (from + step - 1) / step * step; at <= to; at += step {
		v := t.value
		if !t.gauge {
			v = t.base + t.rate*float64(at-t.start)/1000
		}
		all = append(all, sample{at, v})
	}
	if gone := t.end/scrapeInterval*scrapeInterval + scrapeInterval; t.vanishes && t.end < hints.End && gone <= hints.End && gone >= hints.Start {
		all = append(all, sample{gone, math.Float64frombits(value.StaleNaN)})
	}
	return all
}

// seriesSet is a storage.SeriesSet over a slice.
type seriesSet struct {
	all []storage.Series
	at  int
}

func (s *seriesSet) Next() bool                        { s.at++; return s.at < len(s.all) }
func (s *seriesSet) At() storage.Series                { return s.all[s.at] }
func (s *seriesSet) Err() error                        { return nil }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }

// sample is a chunks.Sample of a float.
type sample struct {
	t int64
	v float64
}

func (s sample) T() int64                      { return s.t }
func (s sample) ST() int64                     { return 0 }
func (s sample) F() float64                    { return s.v }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }
