package rules

import (
	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var e31 = Rule{
	ID: "E31", Title: "Windows pods cannot be ambient",
	Doc: Doc{
		Why:     "ztunnel and istio-cni are DaemonSets for Linux nodes. On a Windows node nothing captures a pod.",
		Effect:  "a pod on a Windows node leaves the mesh when its sidecar goes: its traffic becomes plaintext and anonymous",
		Remedy:  "keep the workload as it is; move it to Linux nodes before it can join the ambient mesh",
		Sources: []string{"istio/istio manifests/charts/ztunnel/templates/daemonset.yaml (nodeSelector kubernetes.io/os: linux)"},
		Facts:   []string{"E-31", "P-10"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindNamespace, mesh.KindService, mesh.KindWorkload},
	Check: checkE31,
}

func checkE31(p *Pass) {
	st := p.Mesh()
	ws := st.Workloads()
	for i := range ws {
		w := &ws[i]
		if w.OS == "windows" && st.InMesh(w) {
			needOf(p, w, api.CapWindows, "its pods run on Windows nodes, where no ztunnel runs",
				Field(w.Ref(), podPath(w, "spec.nodeSelector"), "windows"))
		}
	}
}
