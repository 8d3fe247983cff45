package source

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ambientplan/ambientplan/telemetry/span"
)

// proxyContainer is the name of the sidecar's container.
const proxyContainer = "istio-proxy"

// keda reads the triggers of KEDA. ignoreNullValues is true unless it is said otherwise, so that an empty result counts
// as 0 (observability.md Q69).
func (r *reader) keda(doc *span.Node, o Object) {
	for i, t := range doc.List("spec", "triggers") {
		path := fmt.Sprintf("spec.triggers[%d].metadata.query", i)
		n := t.Get("metadata", "query")
		if t.Str("type") != "prometheus" || !n.Is(span.String) {
			if kind := t.Str("type"); kind == "cpu" || kind == "memory" {
				r.kedaResource(doc, t, o)
			} else if slices.Contains([]string{"metrics-api", "datadog", "new-relic", "dynatrace", "stackdriver", "graphite"}, kind) {
				r.note(t.At, o, FlagOnly, "a trigger of type "+kind+" is not read: look whether it rests on metrics of the mesh")
			}
			continue
		}
		q := Query{
			Object: o, Path: path, Name: orElse(t.Str("name"), doc.Str("spec", "scaleTargetRef", "name")), Role: Autoscaler, Language: PromQL,
			OnEmpty: EmptyZero, Condition: "threshold " + t.Str("metadata", "threshold"),
		}
		if t.Str("metadata", "ignoreNullValues") == "false" {
			// An error: KEDA keeps the number of replicas, or takes that of fallback.
			q.OnEmpty = EmptyKeeps
		}
		if strings.Contains(n.Text.String, "{{") {
			q.Frozen = "the text holds {{: it is a template of Helm or its like, and is to be changed there"
		}
		r.node(&q, n, nil, nil)
	}
}

// kedaResource watches a trigger on resources, of which KEDA makes a metric of its HorizontalPodAutoscaler: of the
// container that it names, or of all together.
func (r *reader) kedaResource(doc, trigger *span.Node, o Object) {
	w := Watch{
		Object: o, Role: Autoscaler, Namespace: o.Namespace, Facts: []string{"1.7", "Q72"},
		Workload: strings.ToLower(orElse(doc.Str("spec", "scaleTargetRef", "kind"), "Deployment")) + "/" + doc.Str("spec", "scaleTargetRef", "name"),
	}
	switch container := trigger.Str("metadata", "containerName"); {
	case container == proxyContainer:
		w.Blocks = true
		w.Text = "its trigger scales by the resources of the container istio-proxy: without it, it fails and scales no more; set containerName to the application's container"
	case container == "" && orElse(trigger.Str("metricType"), trigger.Str("metadata", "type")) == "Utilization":
		w.Text = "its trigger scales by the " + trigger.Str("type") + " of all containers against all requests: without the sidecar's request the percentage changes, mostly upwards; set containerName to the application's container before the step"
	default:
		return
	}
	r.watch(w, trigger)
}

// horizontal reads a HorizontalPodAutoscaler: metrics of the sidecar's container, of the pod's resources, and queries in
// annotations of kube-metrics-adapter.
func (r *reader) horizontal(doc *span.Node, o Object) {
	target := strings.ToLower(doc.Str("spec", "scaleTargetRef", "kind")) + "/" + doc.Str("spec", "scaleTargetRef", "name")
	for i, m := range doc.List("spec", "metrics") {
		kind := m.Str("type")
		watch := Watch{Object: o, Role: Autoscaler, Namespace: o.Namespace, Workload: target, Facts: []string{"1.7", "Q72"}}
		switch {
		case kind == "ContainerResource" && m.Str("containerResource", "container") == proxyContainer:
			watch.Text = "it scales by the resources of the container istio-proxy: without it, it fails (FailedGetContainerResourceMetric) and scales no more; scale by the application's container"
			watch.Blocks = true
		case kind == "Resource" && m.Str("resource", "target", "type") == "Utilization":
			watch.Text = "it scales by the " + m.Str("resource", "name") + " of all containers against all requests: without the sidecar's request the percentage changes, mostly upwards; use ContainerResource of the application's container before the step"
		case kind == "Pods" || kind == "Object" || kind == "External":
			name := m.Str(strings.ToLower(kind), "metric", "name")
			if name != "" {
				r.scalesBy(name, i, m, o)
			}
			continue
		default:
			continue
		}
		r.watch(watch, m)
	}
	for _, a := range doc.Map("metadata", "annotations") {
		if strings.HasPrefix(a.Key.String, "metric-config.") && strings.HasSuffix(a.Key.String, "prometheus/query") && a.Value.Is(span.String) {
			r.node(&Query{
				Object: o, Path: "metadata.annotations[" + a.Key.String + "]", Name: o.Name, Role: Autoscaler, Language: PromQL, OnEmpty: EmptyKeeps,
			}, a.Value, nil, nil)
		}
	}
}

// watch adds a Watch with its place.
func (r *reader) watch(w Watch, n *span.Node) {
	w.File = r.file.Path
	w.Line, w.Column = r.position(n.At)
	r.file.Watches = append(r.file.Watches, w)
}

// vertical reads a VerticalPodAutoscaler.
func (r *reader) vertical(doc *span.Node, o Object) {
	for _, p := range doc.List("spec", "resourcePolicy", "containerPolicies") {
		if p.Str("containerName") == proxyContainer {
			r.watch(Watch{
				Object: o, Role: Autoscaler, Namespace: o.Namespace,
				Workload: strings.ToLower(doc.Str("spec", "targetRef", "kind")) + "/" + doc.Str("spec", "targetRef", "name"),
				Text:     "its policy for the container istio-proxy does nothing any more once the sidecar is gone", Facts: []string{"1.7"},
			}, p)
		}
	}
}

// adapter reads the configuration of prometheus-adapter: the series that metrics of autoscalers are made from. Series
// that are associated with the emitting pod become the waypoint's (observability.md Q70).
func (r *reader) adapter(doc *span.Node, prefix string, o Object) bool {
	found := false
	for _, field := range []string{"rules", "externalRules"} {
		for i, rule := range doc.List(field) {
			n := rule.Get("seriesQuery")
			if !n.Is(span.String) || rule.Get("metricsQuery") == nil {
				continue
			}
			found = true
			r.adapts(rule, n)
			r.node(&Query{
				Object: o, Path: fmt.Sprintf("%s%s[%d].seriesQuery", prefix, field, i), Name: orElse(rule.Str("name", "as"), n.Text.String),
				Role: Autoscaler, Language: PromQL, OnEmpty: EmptyKeeps, SelectorOnly: true, Condition: rule.Str("metricsQuery"),
			}, n, nil, nil)
			for _, m := range rule.Map("resources", "overrides") {
				if meshMetric.MatchString(n.Text.String) && m.Value.Str("resource") == "pod" {
					r.watch(Watch{
						Object: o, Role: Autoscaler, Blocks: true, Facts: []string{"Q70"},
						Text: "its metric belongs to the pod that reports it, which is the waypoint's: pods of the application have none, and no autoscaler scales by it; use type Object on the Service, with overrides for destination_service_namespace and destination_service_name",
					}, m.Value)
				}
			}
		}
	}
	return found
}
