package source

import (
	"fmt"

	"github.com/ambientplan/ambientplan/telemetry/span"
)

// sloth reads the objectives of Sloth: queries with {{.window}} from which it makes recording rules and alerts. It has
// no alert for absence, so an objective without data stays green (observability.md Q62).
func (r *reader) sloth(spec *span.Node, prefix string, o Object) {
	if o.Name == "" {
		o.Name = spec.Str("service")
	}
	for i, s := range spec.List("slos") {
		for _, where := range [][]string{{"sli", "events", "errorQuery"}, {"sli", "events", "error_query"}, {"sli", "events", "totalQuery"}, {"sli", "events", "total_query"}, {"sli", "raw", "errorRatioQuery"}, {"sli", "raw", "error_ratio_query"}} {
			n := s.Get(where...)
			if !n.Is(span.String) {
				continue
			}
			path := fmt.Sprintf("%sslos[%d].%s.%s.%s", prefix, i, where[0], where[1], where[2])
			r.braces(Query{Object: o, Path: path, Name: s.Str("name"), Role: Objective, OnEmpty: EmptySilent, Language: PromQL}, n,
				given(map[string][]string{".window": {"5m"}}))
		}
	}
}

// pyrra reads the objectives of Pyrra: bare selectors from which it makes rules. It also makes an alert for the absence
// of the metric, which is frozen (observability.md Q63).
func (r *reader) pyrra(doc *span.Node, o Object) {
	indicator := doc.Get("spec", "indicator")
	for _, kind := range indicator.Map() {
		for _, part := range kind.Value.Map() {
			n := part.Value.Get("metric")
			path := "spec.indicator." + kind.Key.String + "." + part.Key.String + ".metric"
			if part.Key.String == "metric" {
				n, path = part.Value, "spec.indicator."+kind.Key.String+".metric"
			}
			if !n.Is(span.String) {
				continue
			}
			r.node(&Query{Object: o, Path: path, Name: o.Name, Role: Objective, OnEmpty: EmptySilent, Language: PromQL, SelectorOnly: true}, n, nil, nil)
			if part.Key.String == "total" || part.Key.String == "metric" {
				r.derived(Query{
					Object: o, Path: path + " (absent)", Name: "SLOMetricAbsent of " + o.Name, Role: Alert, OnEmpty: EmptySilent, Language: PromQL,
					Frozen: "Pyrra makes this alert from the objective: change the metric there",
				}, "absent("+n.Text.String+") == 1", n)
			}
		}
	}
}

// derived adds a query that a tool makes of what stands at a place.
func (r *reader) derived(q Query, text string, from *span.Node) {
	added := r.node(&q, &span.Node{Kind: span.String, Text: span.Text{String: text}}, nil, nil)
	added.Line, added.Column = r.position(from.Text.Start())
}
