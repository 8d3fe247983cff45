package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var e25 = Rule{
	ID: "E25", Title: "Pods on the host network are never captured",
	Doc: Doc{
		Why: "A pod with hostNetwork has neither a sidecar nor ambient capture. ztunnel knows it as an endpoint without tunnel, so traffic to it is plaintext and it " +
			"has no identity in the mesh. That is the same as with sidecars, but the namespace looks migrated as a whole.",
		Effect: "traffic from and to these pods stays plaintext and anonymous: policies with principals or namespaces do not match it, and policies with IP blocks see node addresses",
		Remedy: "nothing has to be done for the move; do not count these pods as members of the mesh, and on Istio 1.29 and 1.30 use a patch later than 1.29.6 or 1.30.3, " +
			"in which such pods are no longer taken for enrolled ones",
		Sources: []string{"istio/istio cni/pkg/util/enablement_selector.go", "istio/istio issue 61168"},
		Facts:   []string{"E-25"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindNamespace, mesh.KindWorkload},
	Check: checkE25,
}

func checkE25(p *Pass) {
	st := p.Mesh()
	perNamespace(st, func(ns *api.Namespace, w *api.Workload) bool {
		return !st.ControlPlaneNamespace(ns.Name) && (w.HostNetwork || w.Pods.HostNetwork > 0)
	}, func(ns *api.Namespace, ws []*api.Workload) {
		if len(membersOf(st, st.WorkloadsIn(ns.Name))) == 0 {
			return
		}
		ev := make([]api.Evidence, len(ws))
		for i, w := range ws {
			ev[i] = Field(w.Ref(), podPath(w, "spec.hostNetwork"), "true")
		}
		p.Report(api.Info, ns.Ref(), fmt.Sprintf("namespace %s has pods on the host network: %s", ns.Name, workloadNames(ws)), ev...)
	})
}
