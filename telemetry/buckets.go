package telemetry

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/model/labels"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/telemetry/promql"
	"github.com/ambientplan/ambientplan/telemetry/series"
)

// odd reports queries that ask for a bucket which a waypoint does not have (observability.md 1.3, Q13).
func (a *analysis) odd() {
	for _, j := range a.judged {
		if j.q.Expr == "" {
			continue
		}
		q, err := sketch(j.q, j.q.Expr)
		if err != nil {
			continue
		}
		if le := oddBucket(q); le != "" && len(a.waypoints()) > 0 {
			a.report.Findings = append(a.report.Findings, api.TelemetryFinding{
				Rule: "T18", Severity: api.Warning, Source: sourceOf(j.q.File, j.q.Line, j.q.Column, j.q.Object), Facts: []string{"1.3", "Q13"}, Before: a.firstWaypoint(),
				Message: fmt.Sprintf("%s asks for the bucket le=%q, which Istio's histograms do not have by default: a waypoint has it only with the annotation sidecar.istio.io/statsHistogramBuckets", j.q.Name, le),
				Choices: []string{"put the annotation of the pods on the waypoint's Gateway, in spec.infrastructure.annotations", "use a bucket that there is"},
			})
		}
	}
}

// oddBucket is a value of le that a query names and that is no default bucket; "" for none.
func oddBucket(q *promql.Query) string {
	for _, s := range q.Selectors {
		if !strings.HasPrefix(s.Metric, "istio_") || !strings.HasSuffix(s.Metric, "_bucket") {
			continue
		}
		for _, m := range s.Matchers {
			v, err := strconv.ParseFloat(m.Value, 64)
			if m.Name == "le" && m.Type == labels.MatchEqual && err == nil && m.Value != "+Inf" && !slices.Contains(series.DefaultBuckets(), v) {
				return m.Value
			}
		}
	}
	return ""
}
