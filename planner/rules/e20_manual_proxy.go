package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var e20 = Rule{
	ID: "E20", Title: "A sidecar is written into the template by hand",
	Doc: Doc{
		Why: "istioctl kube-inject and some charts write the istio-proxy container and the annotation sidecar.istio.io/status into " +
			"the pod template itself. istio-cni never captures a pod with that annotation, and no label takes the container out.",
		Effect: "the workload keeps its sidecar after every label of the migration is set: the namespace looks migrated and this workload is not",
		Remedy: "take the istio-proxy container, its init container, its volumes and the annotation sidecar.istio.io/status out of the template " +
			"in the repository that it comes from, let the injector do it, and take the inventory again",
		Sources: []string{"istio/istio cni/pkg/util/enablement_selector.go (Matches)", "istio/istio istioctl/pkg/kubeinject"},
		Facts:   []string{"E-20"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindNamespace, mesh.KindService, mesh.KindWorkload},
	Check: checkE20,
}

func checkE20(p *Pass) {
	st := p.Mesh()
	ws := st.Workloads()
	for i := range ws {
		w := &ws[i]
		if !w.ManualProxy || !st.InMesh(w) {
			continue
		}
		if w.Kind == "Pod" && w.Pods.Observed {
			continue // A live Pod holds what the injector put there; E26 speaks of it.
		}
		ev := Field(w.Ref(), podPath(w, "spec.containers"), "istio-proxy")
		needOf(p, w, api.CapHumanDecision, "the sidecar stands in the pod template itself, so no label of the migration removes it", ev)
		p.Report(api.Blocker, w.Ref(), fmt.Sprintf("the template of %s has an istio-proxy container that no injector put there", w.Ref()), ev)
	}
}
