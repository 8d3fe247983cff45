package source

import (
	"fmt"
	"strings"

	"github.com/ambientplan/ambientplan/telemetry/span"
)

// openSLO reads an SLI, or one inside of an SLO, of OpenSLO: metric sources whose type is Prometheus. Source:
// OpenSLO's specification, v1, and observability.md Q64.
func (r *reader) openSLO(doc *span.Node, o Object) {
	indicator, path := doc.Get("spec"), "spec."
	if o.Kind == "SLO" {
		indicator, path = doc.Get("spec", "indicator", "spec"), "spec.indicator.spec."
	}
	for _, metric := range [][]string{{"thresholdMetric"}, {"ratioMetric", "good"}, {"ratioMetric", "bad"}, {"ratioMetric", "total"}, {"ratioMetric", "raw"}} {
		source := indicator.Get(append(metric, "metricSource")...)
		if source == nil {
			continue
		}
		if kind := source.Str("type"); kind != "" && !strings.EqualFold(kind, "prometheus") {
			r.note(source.At, o, FlagOnly, "the objective asks "+kind+", whose queries are not read")
			continue
		}
		for _, field := range []string{"query", "promql"} {
			if n := source.Get("spec", field); n.Is(span.String) {
				r.objective(o, path+strings.Join(metric, ".")+".metricSource.spec."+field, o.Name, n)
			}
		}
	}
}

// nobl9 reads an SLO of Nobl9: objectives with PromQL in them.
func (r *reader) nobl9(doc *span.Node, o Object) {
	for i, objective := range doc.List("spec", "objectives") {
		for _, metric := range [][]string{{"rawMetric", "query"}, {"countMetrics", "good"}, {"countMetrics", "bad"}, {"countMetrics", "total"}} {
			for _, m := range objective.Map(metric...) {
				n := m.Value.Get("promql")
				if n.Is(span.String) {
					r.objective(o, fmt.Sprintf("spec.objectives[%d].%s.%s.promql", i, strings.Join(metric, "."), m.Key.String), orElse(objective.Str("displayName"), o.Name), n)
				} else if m.Value.Is(span.Object) {
					r.note(m.Value.At, o, FlagOnly, "the objective asks "+m.Key.String+", whose queries are not read")
				}
			}
		}
	}
}

func (r *reader) objective(o Object, path, name string, n *span.Node) {
	q := Query{Object: o, Path: path, Name: name, Role: Objective, OnEmpty: EmptySilent, Language: PromQL}
	if strings.ContainsAny(n.Text.String, "{") && strings.Contains(n.Text.String, "{{") {
		r.braces(q, n, nil)
		return
	}
	r.node(&q, n, nil, nil)
}

// keptn reads a KeptnMetric, which evaluations and autoscalers take. What an empty result does depends on these, so it
// is not known. The provider is named, and its type stands elsewhere: a text that is no PromQL is for another one.
func (r *reader) keptn(doc *span.Node, o Object) {
	if n := doc.Get("spec", "query"); n.Is(span.String) {
		r.braces(Query{Object: o, Path: "spec.query", Name: o.Name, Role: Canary, Language: PromQL}, n, nil)
	}
}
