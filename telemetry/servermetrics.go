package telemetry

import (
	"fmt"
	"slices"
	"strings"

	telemetry "istio.io/api/telemetry/v1alpha1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// quiet are the namespaces in which Telemetry switches off what servers report: of sidecars, and of waypoints all that
// they report (observability.md 1.6). Overrides for CLIENT are not followed by waypoints.
func quiet(st *mesh.State) map[string]string {
	out := map[string]string{}
	root, by := false, ""
	for _, t := range st.Telemetries() {
		if t.Namespace == st.RootNamespace() && everywhere(t.Spec) {
			if off, says := serverMetricsOff(t.Spec); says {
				root, by = off, t.Ref().String()
			}
		}
	}
	spaces := st.Namespaces()
	for i := range spaces {
		off, why := root, by
		for _, t := range st.Telemetries() {
			if t.Namespace == spaces[i].Name && t.Namespace != st.RootNamespace() && everywhere(t.Spec) {
				if o, says := serverMetricsOff(t.Spec); says {
					off, why = o, t.Ref().String()
				}
			}
		}
		if off {
			out[spaces[i].Name] = why
		}
	}
	return out
}

// everywhere says that a Telemetry is for all of its namespace.
func everywhere(t *telemetry.Telemetry) bool {
	return t.GetSelector() == nil && t.GetTargetRef() == nil && len(t.GetTargetRefs()) == 0
}

// serverMetricsOff says whether the count of requests is switched off for servers, if the Telemetry says anything of
// it.
func serverMetricsOff(t *telemetry.Telemetry) (off, says bool) {
	for _, m := range t.GetMetrics() {
		for _, o := range m.GetOverrides() {
			if o.GetDisabled() == nil || o.GetMatch().GetMode() == telemetry.WorkloadMode_CLIENT || o.GetMatch().GetCustomMetric() != "" {
				continue
			}
			switch o.GetMatch().GetMetric() {
			case telemetry.MetricSelector_ALL_METRICS, telemetry.MetricSelector_REQUEST_COUNT:
				off, says = o.GetDisabled().GetValue(), true
			default:
			}
		}
	}
	return off, says
}

// switchedOn says that a Telemetry gives a waypoint its metrics back: one for the Gateway or for the class.
func switchedOn(st *mesh.State, wp mesh.ActiveWaypoint) bool {
	return slices.ContainsFunc(st.Telemetries(), func(t mesh.Typed[*telemetry.Telemetry]) bool {
		off, says := serverMetricsOff(t.Spec)
		if !says || off {
			return false
		}
		for _, r := range append(slices.Clone(t.Spec.GetTargetRefs()), t.Spec.GetTargetRef()) {
			if r.GetKind() == "Gateway" && t.Namespace == wp.Namespace && r.GetName() == wp.Name ||
				r.GetKind() == "GatewayClass" && t.Namespace == st.RootNamespace() && r.GetName() == "istio-waypoint" {
				return true
			}
		}
		return false
	})
}

// quietWaypoints reports waypoints of the plan that would report nothing.
func (a *analysis) quietWaypoints() {
	byTelemetry := map[string][]string{}
	for _, wp := range a.waypoints() {
		if why, off := a.world.quiet[wp.Namespace]; off && !switchedOn(a.in.State, wp) {
			byTelemetry[why] = append(byTelemetry[why], wp.Namespace+"/"+wp.Name)
		}
	}
	for _, why := range sortedKeys(byTelemetry) {
		a.report.Findings = append(a.report.Findings, api.TelemetryFinding{
			Rule: "T14", Severity: api.Blocker, Facts: []string{"1.6"},
			Message: fmt.Sprintf("%s switches the metrics of servers off, and a waypoint is one: %s would report nothing at all", why, strings.Join(byTelemetry[why], ", ")),
			Choices: []string{"a Telemetry with targetRefs to the Gateway (or, in the root namespace, to the GatewayClass istio-waypoint) that says disabled: false", "leave it, and give up request metrics of these services"},
			Before:  a.firstWaypoint(),
		})
	}
}

// waypoints are all that any state of the plan uses, sorted.
func (a *analysis) waypoints() []mesh.ActiveWaypoint {
	var all []mesh.ActiveWaypoint
	for _, s := range a.in.Planes.States {
		for _, wp := range s.Waypoints {
			wp.IngressUse = false
			all = append(all, wp)
		}
	}
	slices.SortFunc(all, func(x, y mesh.ActiveWaypoint) int {
		return strings.Compare(x.Namespace+"/"+x.Name, y.Namespace+"/"+y.Name)
	})
	return slices.Compact(all)
}

// firstWaypoint is the step with which the first waypoint takes traffic.
func (a *analysis) firstWaypoint() api.TelemetryStep {
	for i, s := range a.in.Planes.States {
		if len(s.Waypoints) > 0 && i > 0 {
			return a.stepOf(i)
		}
	}
	return api.TelemetryStep{}
}
