package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var e24 = Rule{
	ID: "E24", Title: "The pod template asks for a sidecar itself",
	Doc: Doc{
		Why: "A pod label sidecar.istio.io/inject=true or istio.io/rev asks for injection whatever the namespace says, as long as the namespace has no injection " +
			"label at all. Removing istio-injection from the namespace, as guides say, therefore keeps these sidecars; only istio-injection=disabled turns them off.",
		Effect: "after the cutover, as soon as somebody removes istio-injection=disabled from the namespace, the next restart of these pods brings the sidecar " +
			"back and takes them out of ambient mode",
		Remedy: "take the label out of the pod template in the repository that it comes from, at the latest in the finalize step; until then keep " +
			"istio-injection=disabled on the namespace",
		Sources: []string{"istiod chart templates/mutatingwebhook.yaml (rev.object, object)", "istio.io: Installing the Sidecar, controlling the injection policy"},
		Facts:   []string{"E-03", "E-24"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindNamespace, mesh.KindWorkload},
	Check: checkE24,
}

func checkE24(p *Pass) {
	st := p.Mesh()
	asks := func(w *api.Workload) string {
		switch {
		case w.PodLabels[mesh.LabelInject] == "true":
			return mesh.LabelInject
		case w.PodLabels[mesh.LabelRevision] != "":
			return mesh.LabelRevision
		}
		return ""
	}
	perNamespace(st, func(ns *api.Namespace, w *api.Workload) bool {
		return !st.ControlPlaneNamespace(ns.Name) && asks(w) != "" && st.InMesh(w) && w.PodLabels[mesh.LabelInject] != "false"
	}, func(ns *api.Namespace, ws []*api.Workload) {
		ev := make([]api.Evidence, len(ws))
		for i, w := range ws {
			ev[i] = podLabel(w, asks(w))
		}
		p.Report(api.Warning, ns.Ref(), fmt.Sprintf("pod templates in namespace %s ask for a sidecar themselves: %s", ns.Name, workloadNames(ws)), ev...)
	})
}
