package source

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/ambientplan/ambientplan/telemetry/span"
)

// vendorMetric are the names that vendors and collectors have for the mesh's telemetry (observability.md 3.8).
var vendorMetric = regexp.MustCompile(`\bistio\.(?:mesh|galley|mixer|pilot|citadel|istiod|sidecar|ztunnel|proxy)\.[\w.]+|\benvoy\.[\w.]+|istio\.io/service/[\w/]+|` + meshMarker.String())

// vendors are kinds of objects whose queries are in languages of vendors, or whose configuration names what they collect.
var vendors = map[string]string{
	"datadoghq.com/DatadogMonitor":            "Datadog asks",
	"datadoghq.com/DatadogSLO":                "Datadog asks",
	"datadoghq.com/DatadogDashboard":          "Datadog asks",
	"datadoghq.com/DatadogMetric":             "an autoscaler asks Datadog",
	"datadoghq.com/DatadogAgent":              "Datadog's agent collects",
	"monitoring.kiali.io/MonitoringDashboard": "a dashboard of Kiali asks",
	"kiali.io/Kiali":                          "Kiali asks",
	"opentelemetry.io/OpenTelemetryCollector": "an OpenTelemetry collector takes",
	"dynatrace.com/DynaKube":                  "Dynatrace collects",
	"chaosmesh.org/Workflow":                  "an experiment asks",
	"litmuschaos.io/ChaosEngine":              "an experiment asks",
	"k6.io/TestRun":                           "a load test asks",
	"iter8.tools/Experiment":                  "Iter8 asks",
	"extensions.kuadrant.io/TelemetryPolicy":  "Kuadrant counts",
	"logging.banzaicloud.io/Flow":             "logs are taken by",
	"logging.banzaicloud.io/ClusterFlow":      "logs are taken by",
	"fluentbit.fluent.io/ClusterFilter":       "logs are taken by",
	"fluentbit.fluent.io/ClusterInput":        "logs are taken by",
	"collectors.grafana.com/Alloy":            "Alloy collects",
	"monitoring.grafana.com/MetricsInstance":  "Grafana's agent collects",
}

// vendor notes where a vendor's object names the mesh's telemetry: these are flagged, never rewritten.
func (r *reader) vendor(group string, doc *span.Node, o Object) bool {
	what, ok := vendors[group+"/"+o.Kind]
	if !ok {
		return false
	}
	r.eachText(doc, func(n *span.Node, t span.Text) {
		m := vendorMetric.FindStringIndex(t.String)
		if m == nil {
			return
		}
		at, ok := t.Offset(m[0])
		if !ok {
			at = t.Start()
		}
		r.note(at, o, FlagOnly, fmt.Sprintf("%s %s: it is not rewritten, look at it", what, strings.TrimSpace(t.String[m[0]:m[1]])))
	})
	return true
}

// eachText calls f for each string of a document, in the order of the file.
func (r *reader) eachText(n *span.Node, f func(n *span.Node, t span.Text)) {
	if n == nil || r.taken[n] {
		return
	}
	if n.Is(span.String) {
		f(n, n.Text)
	}
	for _, i := range n.Items {
		r.eachText(i, f)
	}
	for _, m := range n.Members {
		r.eachText(m.Value, f)
	}
}

// autodiscovery watches annotations by which Datadog's agent finds the sidecar: they are of each pod and vanish with
// the sidecar, and ztunnel and waypoints need their own (observability.md 4.3, Q79).
func (r *reader) autodiscovery(doc *span.Node, o Object) {
	for _, where := range [][]string{{"metadata", "annotations"}, {"spec", "template", "metadata", "annotations"}, {"spec", "jobTemplate", "spec", "template", "metadata", "annotations"}} {
		for _, a := range doc.Map(where...) {
			if !strings.HasPrefix(a.Key.String, "ad.datadoghq.com/"+proxyContainer+".") {
				continue
			}
			r.watch(Watch{
				Object: o, Namespace: o.Namespace, Workload: strings.ToLower(o.Kind) + "/" + o.Name, Facts: []string{"4.3", "Q79"},
				Text: "the annotation " + a.Key.String + " tells Datadog's agent of the sidecar, and does nothing once it is gone: waypoints take theirs from spec.infrastructure.annotations of the Gateway, ztunnel from its pods",
			}, a.Value)
			break // One note for a template: the annotations of one container belong together.
		}
	}
}
