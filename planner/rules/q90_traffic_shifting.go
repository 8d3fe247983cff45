package rules

import (
	"cmp"
	"fmt"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var q90 = Rule{
	ID: "Q90", Title: "Canaries that rewrite routes",
	Doc: Doc{
		Why: "Argo Rollouts and Flagger shift traffic by writing weights into VirtualServices and labels into DestinationRules. When a plan turns these into routes of the Gateway API, or a " +
			"canary begins in the middle of the migration, the controller and the plan write over each other.",
		Effect: "a release sends all of its traffic to one version, or fails, or brings back the routes that the plan replaced",
		Remedy: "before the wave, move the controller to the Gateway API: the plugin argoproj-labs/gatewayAPI of Argo Rollouts, provider gatewayapi:v1 of Flagger, with the Service as the " +
			"parent of the HTTPRoute and a waypoint in front; begin no release during the wave",
		Sources: []string{"argo-rollouts.readthedocs.io: Traffic management, Istio", "docs.flagger.app: How it works"},
		Facts:   []string{"Q-90", "Q-91", "Q-92"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindCanary, mesh.KindDestinationRule, mesh.KindNamespace, mesh.KindService, mesh.KindVirtualService, mesh.KindWorkload},
	Check: checkQ90,
}

func checkQ90(p *Pass) {
	st := p.Mesh()
	for i := range st.Workloads() {
		w := &st.Workloads()[i]
		if len(w.Shifts) == 0 || !st.InMesh(w) {
			continue
		}
		ev := []api.Evidence{Field(w.Ref(), "metadata.name", "trafficRouting.istio")}
		var names []string
		for _, r := range w.Shifts {
			names = append(names, r.String())
		}
		reportShift(p, w.Ref(), []*api.Workload{w}, fmt.Sprintf("Argo Rollouts writes %s for %s", listed(names), w.Ref()), ev)
	}
	for _, o := range st.Objects(mesh.KindCanary) {
		spec, _ := o.Content["spec"].(map[string]any)
		if provider, _ := spec["provider"].(string); provider != "" && provider != "istio" {
			continue
		}
		target, _ := spec["targetRef"].(map[string]any)
		kind, _ := target["kind"].(string)
		name, _ := target["name"].(string)
		var ws []*api.Workload
		for _, w := range st.WorkloadsIn(o.Namespace) {
			// Flagger runs the pods of NAME as NAME-primary, and NAME only during a release.
			if w.Kind == cmp.Or(kind, "Deployment") && (w.Name == name || w.Name == name+"-primary") && st.InMesh(w) {
				ws = append(ws, w)
			}
		}
		if len(ws) > 0 {
			reportShift(p, o.Ref(), ws, fmt.Sprintf("Flagger generates and rewrites the Services, VirtualService and DestinationRules of %s", o.Ref()),
				[]api.Evidence{Field(o.Ref(), "spec", kind+" "+name)})
		}
	}
}

// reportShift keeps the Services of the workloads from moving until a person decided.
func reportShift(p *Pass, subject api.Ref, ws []*api.Workload, what string, ev []api.Evidence) {
	ev = append(ev, writtenFor(p.Mesh(), ws)...)
	for _, w := range ws {
		needOf(p, w, api.CapHumanDecision, what, ev...)
	}
	p.Report(api.Blocker, subject, what, ev...)
}

// writtenFor is evidence for the routes that the controller writes, where they were read.
func writtenFor(st *mesh.State, ws []*api.Workload) []api.Evidence {
	var out []api.Evidence
	for _, k := range []mesh.Kind{mesh.KindVirtualService, mesh.KindDestinationRule} {
		for _, o := range st.Objects(k) {
			if slices.ContainsFunc(ws, func(w *api.Workload) bool { return slices.Contains(w.Shifts, o.Ref()) }) {
				out = append(out, Field(o.Ref(), "metadata.name", o.Name))
			}
		}
	}
	return out
}
