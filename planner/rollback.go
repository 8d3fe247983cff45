package planner

import (
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// rollback is the way back from the end of a step to the state before it. A
// cutover goes back in up to three commits: first the label that injects
// sidecars, then the pods, so that no pod is recreated before the injector knows;
// what guarded the ambient pods goes last (facts ).
func (s *step) rollback(prev string) []api.RollbackStep {
	if len(s.order) == 0 && len(s.undo) == 0 {
		return []api.RollbackStep{}
	}
	var first, pods, rest []api.Change
	for _, ref := range s.order {
		c := s.reverse(ref)
		switch {
		case strings.HasPrefix(s.name, stepCutover) && ref.Kind == "Namespace":
			first = append(first, c)
		case strings.HasPrefix(s.name, stepCutover) && s.t.frag[ref]:
			pods = append(pods, c)
		default:
			rest = append(rest, c)
		}
	}
	// What people changed last they take back first.
	for _, c := range slices.Backward(s.undo) {
		switch {
		case strings.HasPrefix(s.name, stepCutover) && c.Object.Kind == "Namespace":
			first = append(first, c)
		case strings.HasPrefix(s.name, stepCutover) && mesh.TemplateLabels(c.Object.Kind) != nil:
			pods = append(pods, c)
		default:
			rest = append(rest, c)
		}
	}
	var out []api.RollbackStep
	add := func(suffix, what string, changes []api.Change, checks ...api.Check) {
		if len(changes) > 0 {
			out = append(out, api.RollbackStep{Name: s.name + suffix, What: what, Changes: changes, Checks: checks})
		}
	}
	add("-injection", "turn sidecar injection of the namespace on again; no pod changes yet", first,
		api.Check{When: "after", What: "the namespace carries its injection label again", Command: "kubectl get namespace --show-labels", Expect: "the label as it was before the migration"})
	add("-restart", "let the workloads restart with sidecars; dataplane-mode and use-waypoint still stand, so running ambient pods stay reachable", pods,
		api.Check{When: "after", What: "every restarted pod has a sidecar again", Command: "kubectl get pods -A -o custom-columns=NS:.metadata.namespace,POD:.metadata.name,SIDECAR:.metadata.annotations.sidecar\\.istio\\.io/status", Expect: "no <none> for the workloads of this step"})
	var checks []api.Check
	if s.name == stepActivate {
		checks = append(checks, api.Check{When: "after", What: "ztunnel sends nobody to these waypoints any more; only then undo prepare, whose policies admit the waypoint", Command: "istioctl ztunnel-config service", Expect: "no waypoint for the services of this step"})
	}
	add("", "undo "+s.name, rest, checks...)
	if len(out) > 0 {
		out[len(out)-1].To = prev
	}
	return out
}
