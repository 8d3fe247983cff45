package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var e22 = Rule{
	ID: "E22", Title: "Labelled for injection, and without a sidecar",
	Doc: Doc{
		Why: "Pods that were created before the namespace was labelled, or while the webhook was down, have no sidecar although their labels ask " +
			"for one. They are outside of the mesh by accident. istio-cni enrols such pods live, without a restart, as soon as the namespace is labelled for ambient.",
		Effect: "these pods are plaintext today; labelling the namespace puts them into the mesh at once, with an identity that policies may or may not admit, " +
			"and connections that are open at that moment stay outside",
		Remedy: "decide before the wave: restart them now, so that they are injected like the others and are observed in the mesh, " +
			"or set istio.io/dataplane-mode=none in their template when they should stay outside",
		Sources: []string{"istio/istio cni/pkg/nodeagent/informers.go", "istio/istio pkg/kube/inject/inject.go"},
		Facts:   []string{"E-22", "E-02"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindNamespace, mesh.KindWorkload},
	Check: checkE22,
}

func checkE22(p *Pass) {
	st := p.Mesh()
	perNamespace(st, func(ns *api.Namespace, w *api.Workload) bool {
		return !st.ControlPlaneNamespace(ns.Name) && st.Mode(w) == mesh.ModeNone && mesh.Injected(ns, w)
	}, func(ns *api.Namespace, ws []*api.Workload) {
		p.Report(api.Warning, ns.Ref(), fmt.Sprintf("labels ask for a sidecar and the pods have none in namespace %s: %s", ns.Name, workloadNames(ws)), workloadsOf(ws)...)
	})
}
