package source

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/ambientplan/ambientplan/telemetry/span"
)

// metricTemplate reads Flagger's MetricTemplate. A query without values fails the check, and the release is rolled back
// after some of these (observability.md Q65, Q66).
func (r *reader) metricTemplate(doc *span.Node, o Object) {
	if t := doc.Str("spec", "provider", "type"); t != "prometheus" {
		r.note(doc.At, o, FlagOnly, fmt.Sprintf("the MetricTemplate asks a provider of type %q, whose queries are not read", t))
		return
	}
	if n := doc.Get("spec", "query"); n.Is(span.String) {
		r.braces(Query{Object: o, Path: "spec.query", Name: o.Name, Role: Canary, OnEmpty: EmptyFails, Language: PromQL}, n, nil)
	}
}

// builtIn are the queries in Flagger's binary for the provider istio. Source: fluxcd/flagger, pkg/metrics/observers/istio.go.
var builtIn = map[string]string{
	"request-success-rate": `sum(rate(istio_requests_total{reporter="destination",destination_workload_namespace="{{ namespace }}",destination_workload=~"{{ target }}",response_code!~"5.*"}[{{ interval }}]))` +
		` / sum(rate(istio_requests_total{reporter="destination",destination_workload_namespace="{{ namespace }}",destination_workload=~"{{ target }}"}[{{ interval }}])) * 100`,
	"request-duration": `histogram_quantile(0.99, sum(rate(istio_request_duration_milliseconds_bucket{reporter="destination",destination_workload_namespace="{{ namespace }}",destination_workload=~"{{ target }}"}[{{ interval }}])) by (le))`,
}

// flaggerCanary reads the metrics of Flagger's Canary: its own, and inline queries.
func (r *reader) flaggerCanary(doc *span.Node, o Object) {
	for i, m := range doc.List("spec", "analysis", "metrics") {
		variables := given(map[string][]string{
			"namespace": {o.Namespace}, "target": {doc.Str("spec", "targetRef", "name")}, "interval": {orElse(m.Str("interval"), "1m")},
		})
		q := Query{Object: o, Path: fmt.Sprintf("spec.analysis.metrics[%d]", i), Name: m.Str("name"), Role: Canary, OnEmpty: EmptyFails, Language: PromQL, Condition: rangeOf(m)}
		if n := m.Get("query"); n.Is(span.String) {
			q.Path += ".query"
			r.braces(q, n, variables)
			continue
		}
		text, ok := builtIn[m.Str("name")]
		if !ok || m.Get("templateRef") != nil || withoutIstio.MatchString(doc.Str("spec", "provider")) {
			continue
		}
		q.Frozen = "the query is in Flagger's binary: write a MetricTemplate and name it with templateRef"
		at := m.Get("name")
		for name, v := range variables {
			if len(v.Values) == 1 {
				text = strings.ReplaceAll(text, "{{ "+name+" }}", v.Values[0])
			}
		}
		r.derived(q, text, at)
	}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func rangeOf(m *span.Node) string {
	var parts []string
	if v := m.Str("thresholdRange", "min"); v != "" {
		parts = append(parts, ">= "+v)
	}
	if v := m.Str("thresholdRange", "max"); v != "" {
		parts = append(parts, "<= "+v)
	}
	return strings.Join(parts, " and ")
}

// analysis reads the templates of Argo Rollouts. What an empty result does is decided by the condition: result[0] of
// nothing is an error, which ends the run after some of these; len(result) == 0 || lets every release pass
// (observability.md Q67).
func (r *reader) analysis(doc *span.Node, o Object) {
	values := map[string][]string{}
	for _, a := range doc.List("spec", "args") {
		values["args."+a.Str("name")] = nil
		if v := a.Str("value"); v != "" {
			values["args."+a.Str("name")] = []string{v}
		}
	}
	for i, m := range doc.List("spec", "metrics") {
		for _, provider := range m.Map("provider") {
			path := fmt.Sprintf("spec.metrics[%d].provider.%s", i, provider.Key.String)
			n := provider.Value.Get("query")
			if provider.Key.String != "prometheus" || !n.Is(span.String) {
				if provider.Key.String != "prometheus" {
					r.note(provider.Value.At, o, FlagOnly, "the metric "+m.Str("name")+" asks "+provider.Key.String+", whose queries are not read")
				}
				continue
			}
			success, failure := m.Str("successCondition"), m.Str("failureCondition")
			q := Query{Object: o, Path: path + ".query", Name: m.Str("name"), Role: Canary, Language: PromQL, OnEmpty: emptyAnalysis(success, failure), Condition: success}
			if success == "" && failure != "" {
				q.Condition = "not " + failure
			}
			r.braces(q, n, given(values))
		}
	}
}

// emptyAnalysis is what an empty result does. A condition that asks for the length of the result, in a way that is not
// known to refuse an empty one, is taken for one that passes: the other mistake would call the worst case fine.
func emptyAnalysis(success, failure string) OnEmpty {
	squeeze := func(s string) string {
		return strings.NewReplacer(" ", "", "\n", "", "\t", "", "(", "", ")", "").Replace(s)
	}
	success, failure = squeeze(success), squeeze(failure)
	refuses := refusesEmpty.MatchString(success) && !strings.Contains(success, "||")
	switch {
	case refuses:
		return EmptyFails
	case strings.Contains(success, "lenresult"), strings.Contains(success, "default"), strings.Contains(success, "??"), strings.Contains(success, "result==nil"):
		return EmptyPasses
	case success == "" && strings.Contains(failure, "lenresult"):
		return EmptyPasses
	case strings.Contains(success, "result[0]"), strings.Contains(failure, "result[0]"):
		return EmptyFails
	}
	return EmptyUnknown
}

// refusesEmpty is a part of a success condition, without blanks and parentheses, that no empty result meets.
var refusesEmpty = regexp.MustCompile(`^(?:.*&&)?lenresult(?:>0|>=1|!=0)(?:&&|$)`)

// withoutIstio are providers of Flagger whose built-in checks do not read the mesh's metrics; all others do. Source:
// fluxcd/flagger, pkg/metrics/observers/factory.go.
var withoutIstio = regexp.MustCompile(`^(?:appmesh.*|linkerd|contour|gloo.*|nginx|kubernetes|skipper|traefik)$`)
