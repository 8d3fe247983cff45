package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var e23 = Rule{
	ID: "E23", Title: "Pods that were kept out of the mesh would be enrolled",
	Doc: Doc{
		Why: "Pods that opted out of injection run without a sidecar among pods that have one. The label istio.io/dataplane-mode=ambient on the namespace " +
			"makes no difference between them: istio-cni enrols every pod without a sidecar, live and without a restart.",
		Effect: "pods that were deliberately outside of the mesh are captured by ztunnel at the moment the namespace is labelled, unless they carry " +
			"istio.io/dataplane-mode=none before that",
		Remedy: "the plan's prepare step sets istio.io/dataplane-mode=none on them, which keeps them as they are; tell the owner, and remove the label later " +
			"for those that may join the mesh",
		Sources: []string{"istio/istio cni/pkg/nodeagent/informers.go", "istio/istio cni/pkg/util/enablement_selector.go"},
		Facts:   []string{"E-22", "E-23", "E-04"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindNamespace, mesh.KindWorkload},
	Check: checkE23,
}

func checkE23(p *Pass) {
	st := p.Mesh()
	perNamespace(st, func(ns *api.Namespace, w *api.Workload) bool {
		return !st.ControlPlaneNamespace(ns.Name) && !w.HostNetwork && st.Mode(w) == mesh.ModeNone &&
			!mesh.Injected(ns, w) && w.PodLabels[mesh.LabelDataplaneMode] == ""
	}, func(ns *api.Namespace, ws []*api.Workload) {
		if len(membersOf(st, st.WorkloadsIn(ns.Name))) == 0 {
			return // Nothing of the namespace is in the mesh, so nobody labels it.
		}
		ev := make([]api.Evidence, 0, len(ws))
		for _, w := range ws {
			switch {
			case w.PodLabels[mesh.LabelInject] != "":
				ev = append(ev, podLabel(w, mesh.LabelInject))
			case w.PodAnnotations[mesh.LabelInject] != "":
				ev = append(ev, podAnnotation(w, mesh.LabelInject))
			default:
				ev = append(ev, api.Evidence{Object: w.Ref()})
			}
		}
		p.Report(api.Warning, ns.Ref(), fmt.Sprintf("namespace %s has members of the mesh and pods outside of it: %s", ns.Name, workloadNames(ws)), ev...)
	})
}
