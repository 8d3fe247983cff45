package rules

import (
	"fmt"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l02 = Rule{
	ID:    "L02",
	Title: "Security policy that selects nothing in the mesh",
	Doc: Doc{
		Why: "A selector that matches no pod, or only pods without a proxy, is either left over or misspelt. In the second case somebody believes " +
			"that the policy protects something, and the plan cannot carry over what does not apply.",
		Effect:  "the policy protects nothing, today and after the move, and is not copied to any waypoint",
		Remedy:  "correct the selector, or delete the policy; if its pods are in files that were not given, add them and plan again",
		Sources: []string{"istio.io docs/reference/config/type/workload-selector", "Istio pilot/pkg/serviceregistry/ambient/authorization.go"},
		Facts:   []string{"L-02"},
		Since:   "0.1.0",
	},
	Reads: []mesh.Kind{
		mesh.KindAuthorizationPolicy, mesh.KindK8sGateway, mesh.KindNamespace, mesh.KindPeerAuthentication, mesh.KindRequestAuthentication,
		mesh.KindWorkload,
	},
	Check: checkL02,
}

func checkL02(p *Pass) {
	st := p.Mesh()
	deployed := map[[2]string]bool{}
	for _, g := range st.K8sGateways() {
		deployed[[2]string{g.Namespace, g.Name}] = true
	}
	look := func(o *api.Object, selector map[string]string) {
		if len(selector) == 0 {
			return
		}
		if ws := st.Selected(o.Namespace, selector); len(ws) > 0 {
			inMesh := func(w *api.Workload) bool { return st.Mode(w) != mesh.ModeNone }
			if !slices.ContainsFunc(ws, inMesh) {
				p.Report(api.Warning, o.Ref(), fmt.Sprintf("%s selects only pods that have no proxy, so nothing enforces it", o.Ref()), Field(o.Ref(), "spec.selector.matchLabels", ""))
			}
			return
		}
		if deployed[[2]string{o.Namespace, selector[mesh.LabelGatewayName]}] {
			return // istiod deploys the pods of a Gateway by itself.
		}
		p.Report(api.Warning, o.Ref(), fmt.Sprintf("%s selects no workload that the inventory knows", o.Ref()), Field(o.Ref(), "spec.selector.matchLabels", ""))
	}
	for _, pol := range st.AuthorizationPolicies() {
		if !mesh.HasTargetRef(pol.Spec) {
			look(pol.Object, pol.Spec.GetSelector().GetMatchLabels())
		}
	}
	for _, ra := range st.RequestAuthentications() {
		if ra.Spec.GetTargetRef() == nil && len(ra.Spec.GetTargetRefs()) == 0 {
			look(ra.Object, ra.Spec.GetSelector().GetMatchLabels())
		}
	}
	for _, pa := range st.PeerAuthentications() {
		if pa.Namespace != st.RootNamespace() {
			look(pa.Object, pa.Spec.GetSelector().GetMatchLabels())
		}
	}
}
