package rules

import (
	"fmt"
	"strings"

	telemetry "istio.io/api/telemetry/v1alpha1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l52 = Rule{
	ID: "L52", Title: "Telemetry is obeyed by waypoints and gateways only",
	Doc: Doc{
		Why: "ztunnel emits fixed layer 4 metrics and logs and reads no Telemetry. A waypoint obeys the Telemetry of the root namespace and of its own namespace when they have no " +
			"selector, and those with targetRefs; never one with a selector. Only waypoints and gateways produce spans.",
		Effect:  "without a waypoint the services disappear from traces, HTTP metrics and access logs, and tags and filters set here do nothing; dashboards and alerts on them go silent",
		Remedy:  "give the services a waypoint when these signals are needed, or waive the need in the FeatureNeeds; the plan copies a Telemetry with selector to targetRefs",
		Sources: []string{"istio/istio pilot/pkg/model/telemetry.go", "istio.io: Telemetry API reference", "istio/istio pull request 60665"},
		Facts:   []string{"L-52", "L-74", "B-07"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindNamespace, mesh.KindService, mesh.KindTelemetry, mesh.KindWorkload},
	Check: checkL52,
}

func checkL52(p *Pass) {
	st := p.Mesh()
	for _, o := range st.Telemetries() {
		ref := o.Ref()
		p.Account(Field(ref, "spec.selector", ""), Field(ref, "spec.targetRef", ""), Field(ref, "spec.targetRefs", ""))
		accountTelemetry(p, ref, o.Spec)
		if o.Spec.GetTargetRef() != nil || len(o.Spec.GetTargetRefs()) > 0 {
			continue // A gateway or waypoint obeys it, before and after.
		}
		wants := telemetryWants(o.Spec)
		all := st.Selected(ref.Namespace, o.Spec.GetSelector().GetMatchLabels())
		members := membersOf(st, all)
		switch {
		case len(all) == 0:
			p.ReportWith(api.Warning, ref, fmt.Sprintf("%s selects no workload that was read", ref), "it does nothing today, or it is meant for pods that this inventory does not hold",
				"remove it, or add the workloads that it is meant for", Field(ref, selectorPath(o.Spec.GetSelector().GetMatchLabels()), ""))
			continue
		case len(members) == 0 || len(wants) == 0:
			continue
		case ref.Namespace == st.RootNamespace() && len(o.Spec.GetSelector().GetMatchLabels()) == 0:
			reportRootTelemetry(p, ref, wants)
			continue
		}
		for _, w := range members {
			for _, want := range wants {
				needOf(p, w, want.cap, fmt.Sprintf("%s sets %s, which ztunnel does not obey", ref, want.field), Field(ref, "spec."+want.field, ""))
			}
		}
		reportClientTelemetry(p, ref, o.Spec)
	}
}

// telemetryWant is one section of a Telemetry that switches something on or changes it.
type telemetryWant struct {
	field string
	cap   api.Capability
}

// telemetryWants lists what a Telemetry asks for. A section that only switches
// off asks for nothing: ambient mode produces none of it anyway.
func telemetryWants(t *telemetry.Telemetry) []telemetryWant {
	var out []telemetryWant
	for _, x := range t.GetTracing() {
		sampling := x.GetRandomSamplingPercentage()
		if !x.GetDisableSpanReporting().GetValue() && (sampling == nil || sampling.GetValue() > 0) {
			out = append(out, telemetryWant{"tracing", api.CapTracing})
			break
		}
	}
	for _, x := range t.GetMetrics() {
		on := len(x.GetOverrides()) == 0
		for _, o := range x.GetOverrides() {
			on = on || !o.GetDisabled().GetValue()
		}
		if on {
			out = append(out, telemetryWant{"metrics", api.CapL7Telemetry})
			break
		}
	}
	for _, x := range t.GetAccessLogging() {
		if !x.GetDisabled().GetValue() {
			out = append(out, telemetryWant{"accessLogging", api.CapL7Telemetry})
			break
		}
	}
	return out
}

func reportRootTelemetry(p *Pass, ref api.Ref, wants []telemetryWant) {
	var fields []string
	ev := make([]api.Evidence, len(wants))
	for i, w := range wants {
		fields = append(fields, w.field)
		ev[i] = Field(ref, "spec."+w.field, "")
	}
	p.ReportWith(api.Warning, ref, fmt.Sprintf("%s sets %s for the whole mesh", ref, strings.Join(fields, ", ")),
		"services with a waypoint keep it, reported once by the waypoint (reporter=\"waypoint\"); services without one lose spans, HTTP metrics and HTTP access logs, and keep ztunnel's TCP metrics and logs",
		"decide for which services these signals matter and ask for l7-telemetry or tracing in their FeatureNeeds; the others need nothing", ev...)
}

// reportClientTelemetry says which parts are about outgoing requests, which
// nothing reports in ambient mode.
func reportClientTelemetry(p *Pass, ref api.Ref, t *telemetry.Telemetry) {
	var ev []api.Evidence
	for i, x := range t.GetTracing() {
		if x.GetMatch().GetMode() == telemetry.WorkloadMode_CLIENT && !x.GetDisableSpanReporting().GetValue() {
			ev = append(ev, Field(ref, fmt.Sprintf("spec.tracing[%d].match.mode", i), "CLIENT"))
		}
	}
	for i, x := range t.GetMetrics() {
		for j, o := range x.GetOverrides() {
			if o.GetMatch().GetMode() == telemetry.WorkloadMode_CLIENT && !o.GetDisabled().GetValue() {
				ev = append(ev, Field(ref, fmt.Sprintf("spec.metrics[%d].overrides[%d].match.mode", i, j), "CLIENT"))
			}
		}
	}
	for i, x := range t.GetAccessLogging() {
		if x.GetMatch().GetMode() == telemetry.WorkloadMode_CLIENT && !x.GetDisabled().GetValue() {
			ev = append(ev, Field(ref, fmt.Sprintf("spec.accessLogging[%d].match.mode", i), "CLIENT"))
		}
	}
	if len(ev) > 0 {
		p.ReportWith(api.Warning, ref, fmt.Sprintf("%s sets what clients report (mode CLIENT)", ref),
			"a waypoint reports as a server, so these parts apply nowhere once the clients are ambient",
			"set the same for the services that are called, without a mode", ev...)
	}
}

// accountTelemetry marks the fields that this rule knows: all of them are
// settings of Envoy that a waypoint obeys and ztunnel does not.
func accountTelemetry(p *Pass, ref api.Ref, t *telemetry.Telemetry) {
	sections := []struct {
		field string
		n     int
		known []string
	}{
		{"tracing", len(t.GetTracing()), []string{"match", "providers", "randomSamplingPercentage", "disableSpanReporting", "customTags", "useRequestIdForTraceSampling", "enableIstioTags", "disableContextPropagation"}},
		{"metrics", len(t.GetMetrics()), []string{"providers", "overrides", "reportingInterval"}},
		{"accessLogging", len(t.GetAccessLogging()), []string{"match", "providers", "disabled", "filter"}},
	}
	for _, s := range sections {
		for i := range s.n {
			for _, k := range s.known {
				p.Account(Field(ref, fmt.Sprintf("spec.%s[%d].%s", s.field, i, k), ""))
			}
		}
	}
}
