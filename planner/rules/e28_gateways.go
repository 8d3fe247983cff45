package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var e28 = Rule{
	ID: "E28", Title: "Gateways and ingress controllers in a namespace that moves",
	Doc: Doc{
		Why: "Istio's own gateways carry a proxy that excludes capture, so they stay what they are when their namespace is labelled. An ingress controller of another " +
			"make is a pod like any other: it becomes an ambient client.",
		Effect: "an ingress controller that becomes ambient sends its requests through ztunnel, which balances by connection and not by request, and under the controller's own identity",
		Remedy: "set istio.io/dataplane-mode=none on the controller when it should stay outside of the mesh, or admit its service account in the policies of the services behind it",
		Sources: []string{"istio/istio pilot/pkg/config/kube/gatewaycommon/deploymentcontroller.go (setLabelOverrides)",
			"istio/istio manifests/charts/gateway/templates/deployment.yaml"},
		Facts: []string{"E-28", "L-41"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindNamespace, mesh.KindWorkload},
	Check: checkE28,
}

func checkE28(p *Pass) {
	st := p.Mesh()
	perNamespace(st, func(_ *api.Namespace, w *api.Workload) bool { return st.Mode(w) == mesh.ModeGateway },
		func(ns *api.Namespace, ws []*api.Workload) {
			if st.ControlPlaneNamespace(ns.Name) || len(membersOf(st, st.WorkloadsIn(ns.Name))) == 0 {
				return
			}
			p.ReportWith(api.Info, ns.Ref(), fmt.Sprintf("namespace %s holds Istio gateways, which do not move: %s", ns.Name, workloadNames(ws)),
				"they go on running Envoy with their own configuration and are never captured by ztunnel",
				"a gateway of the chart before 1.25 has no istio.io/dataplane-mode=none in its template: add it, so that a gateway pod which starts without its proxy is not captured",
				workloadsOf(ws)...)
		})
	perNamespace(st, func(_ *api.Namespace, w *api.Workload) bool {
		_, foreign := ingressController(w)
		return foreign && st.InMesh(w)
	}, func(ns *api.Namespace, ws []*api.Workload) {
		ev := make([]api.Evidence, len(ws))
		for i, w := range ws {
			key, _ := ingressController(w)
			ev[i] = podLabel(w, key)
		}
		p.Report(api.Warning, ns.Ref(), fmt.Sprintf("ingress controllers of namespace %s become ambient clients: %s", ns.Name, workloadNames(ws)), ev...)
	})
}

// ingressController tells which label of the pods names an ingress controller
// that is not Istio's, if one does.
func ingressController(w *api.Workload) (key string, ok bool) {
	for _, k := range []string{"app.kubernetes.io/name", "app", "k8s-app"} {
		switch w.PodLabels[k] {
		case "ingress-nginx", "nginx-ingress", "nginx-ingress-controller", "traefik", "haproxy-ingress", "kubernetes-ingress",
			"kong", "contour", "emissary-ingress", "ambassador", "apisix", "skipper-ingress", "voyager", "gloo", "kourier", "3scale-kourier-gateway":
			return k, true
		}
	}
	return "", false
}
