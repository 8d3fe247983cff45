package promql

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

// notation writes the samples of series, from time 0 on, as promtool's unit tests have them: one each 15 s.
func notation(db *synthetic, until time.Duration) []inputSeries {
	var all []inputSeries
	for i := 0; i < len(db.all); {
		j := i + 1
		for j < len(db.all) && labels.Equal(db.all[j].labels, db.all[i].labels) {
			j++
		}
		if values := values(db.all[i:j], until.Milliseconds()/scrapeInterval); values != "" {
			all = append(all, inputSeries{Series: db.all[i].labels.String(), Values: values})
		}
		i = j
	}
	return all
}

// values of the lives of one series until the last sample's number; "" when there is none.
func values(lives []timed, last int64) string {
	var parts []string
	next := int64(0)
	for _, t := range lives {
		first := (t.start + scrapeInterval - 1) / scrapeInterval
		end := min(t.end/scrapeInterval, last)
		if end < first || first < next {
			continue
		}
		if first > next {
			parts = append(parts, fmt.Sprintf("_x%d", first-next))
		}
		from, by := t.value, 0.0
		if !t.gauge {
			by = t.rate * scrapeInterval / 1000
			from = t.base + t.rate*float64(first*scrapeInterval-t.start)/1000
		}
		parts = append(parts, fmt.Sprintf("%s+%sx%d", plain(from), plain(by), end-first))
		if next = end + 1; t.vanishes && next <= last {
			parts = append(parts, "stale")
			next++
		}
	}
	return strings.Join(parts, " ")
}

// plain is a number without an exponent, which the series notation does not always read, rounded so that it is the same
// whatever it was computed from.
func plain(v float64) string {
	return strconv.FormatFloat(roundTo(v, 1e6), 'f', -1, 64)
}

func roundTo(v, digits float64) float64 {
	if rounded := float64(int64(v*digits+.5)) / digits; v*digits < 1e15 && v >= 0 {
		return rounded
	}
	return v
}

// read gives the series of the notation as promtool reads them, so that what is expected is computed from the very same
// samples.
func read(all []inputSeries) (*synthetic, error) {
	db := &synthetic{}
	for _, in := range all {
		l, values, err := newParser().ParseSeriesDesc(in.Series + " " + in.Values)
		if err != nil {
			return nil, fmt.Errorf("promql: %w", err)
		}
		db.recorded = append(db.recorded, storage.NewListSeries(l, samplesOf(values)))
	}
	slices.SortFunc(db.recorded, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	return db, nil
}

func samplesOf(values []parser.SequenceValue) []chunks.Sample {
	var all []chunks.Sample
	for i, v := range values {
		if !v.Omitted {
			all = append(all, sample{int64(i) * scrapeInterval, v.Value})
		}
	}
	return all
}
