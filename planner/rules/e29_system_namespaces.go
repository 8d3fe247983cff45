package rules

import (
	"fmt"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var e29 = Rule{
	ID: "E29", Title: "A system namespace is labelled for ambient",
	Doc: Doc{
		Why: "istiod, ztunnel and istio-cni ship with istio.io/dataplane-mode=none, but other pods of their namespaces, and the pods of Kubernetes, of the CNI and of " +
			"storage drivers, do not. Capturing what the data plane itself stands on makes it depend on itself.",
		Effect:  "pods of the control plane, of DNS or of storage go through a ztunnel that needs them to start: after a node restart they may wait for each other",
		Remedy:  "remove istio.io/dataplane-mode=ambient from the namespace",
		Sources: []string{"istio/istio manifests/charts/istio-cni/values.yaml (excludeNamespaces)", "istio.io: Ambient platform prerequisites"},
		Facts:   []string{"E-20", "E-29"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindNamespace, mesh.KindWorkload},
	Check: checkE29,
}

func checkE29(p *Pass) {
	st := p.Mesh()
	nss := st.Namespaces()
	for i := range nss {
		ns := &nss[i]
		if ns.Labels[mesh.LabelDataplaneMode] == "ambient" && systemNamespace(st, ns.Name) {
			p.Report(api.Warning, ns.Ref(), fmt.Sprintf("system namespace %s is labelled for ambient", ns.Name),
				Field(ns.Ref(), Join("metadata.labels", mesh.LabelDataplaneMode), "ambient"))
		}
	}
	perNamespace(st, func(ns *api.Namespace, w *api.Workload) bool {
		return st.ControlPlaneNamespace(ns.Name) && st.Mode(w) == mesh.ModeSidecar
	}, func(ns *api.Namespace, ws []*api.Workload) {
		p.ReportWith(api.Warning, ns.Ref(), fmt.Sprintf("workloads with sidecars share namespace %s with the control plane: %s", ns.Name, workloadNames(ws)),
			"the plan labels no system namespace, so these workloads keep their sidecars and sidecars cannot be switched off in the mesh",
			"move them to a namespace of their own, or enrol them one by one with istio.io/dataplane-mode=ambient in their pod template", workloadsOf(ws)...)
	})
}

// systemNamespace adds the usual namespaces of CNI and storage drivers to those
// of the control plane.
func systemNamespace(st *mesh.State, name string) bool {
	switch name {
	case "calico-system", "calico-apiserver", "tigera-operator", "cilium", "cilium-system", "kube-flannel", "rook-ceph", "longhorn-system", "openebs":
		return true
	}
	return st.ControlPlaneNamespace(name) || strings.HasPrefix(name, "kube-") || strings.HasPrefix(name, "openshift-")
}
