package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var m02 = Rule{
	ID: "M02", Title: "Sidecars that do not accept HBONE yet",
	Doc: Doc{
		Why: "A sidecar accepts HBONE on port 15008 only when it was started with ISTIO_META_ENABLE_HBONE=true, which the ambient profile sets; the injector then labels " +
			"the pod networking.istio.io/tunnel=http. Sidecars that were started before have to be restarted once. Until then ztunnel and waypoints reach them in plaintext.",
		Effect: "the first ambient client of such a pod falls to plaintext: refused under STRICT mTLS, and under PERMISSIVE it arrives without identity, so that every policy with " +
			"principals or namespaces denies it",
		Remedy:  "wave 0: after istiod runs with the ambient profile, restart these workloads once, and check that their pods carry networking.istio.io/tunnel=http",
		Sources: []string{"istio/istio pkg/model/proxy.go", "istio/istio pkg/kube/inject/webhook.go", "istio/istio issue 53942"},
		Facts:   []string{"M-02", "M-03", "B-13", "E-15", "P-04"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindNamespace, mesh.KindWorkload},
	Check: checkM02,
}

func checkM02(p *Pass) {
	st := p.Mesh()
	perNamespace(st, func(_ *api.Namespace, w *api.Workload) bool {
		return w.Pods.Observed && w.Pods.Sidecar > w.Pods.HBONE && st.InMesh(w)
	}, func(ns *api.Namespace, ws []*api.Workload) {
		pods := 0
		for _, w := range ws {
			pods += w.Pods.Sidecar - w.Pods.HBONE
		}
		p.Report(api.Warning, ns.Ref(), fmt.Sprintf("%d sidecar pods of namespace %s do not accept HBONE: %s", pods, ns.Name, workloadNames(ws)), workloadsOf(ws)...)
	})
	// Without pods there is one unknown for the whole cluster, not one a namespace.
	unseen, total := []api.Evidence{}, 0
	perNamespace(st, func(_ *api.Namespace, w *api.Workload) bool {
		return !w.Pods.Observed && st.Mode(w) == mesh.ModeSidecar
	}, func(ns *api.Namespace, ws []*api.Workload) {
		total += len(ws)
		if len(unseen) < maxListed {
			unseen = append(unseen, api.Evidence{Object: ws[0].Ref()})
		}
	})
	if total > 0 {
		p.Unknown(api.Ref{Kind: "Cluster", Name: "cluster"}, fmt.Sprintf("whether the running sidecars of %d workloads accept HBONE: no pod of theirs was read", total),
			"the first ambient client of a sidecar without HBONE falls to plaintext, and is refused under STRICT mTLS or by any policy with identities",
			"take the inventory from the cluster, or restart every sidecar once under the ambient profile before wave 1", unseen...)
	}
}
