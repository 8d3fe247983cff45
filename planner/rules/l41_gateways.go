package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l41 = Rule{
	ID:    "L41",
	Title: "Gateways",
	Doc: Doc{
		Why: "Gateways are Envoys of their own and work as before: they route by VirtualServices and routes bound to them and reach ambient pods over HBONE. They go past " +
			"waypoints unless a Service is labelled istio.io/ingress-use-waypoint; that label on a Gateway does nothing.",
		Effect:  "nothing changes for the Gateway itself",
		Remedy:  "label Services, not Gateways; the plan labels each Service that gets a waypoint",
		Sources: []string{"Istio pilot/pkg/serviceregistry/ambient/services.go (ingressUseWaypointFromLabels)"},
		Facts:   []string{"L-41", "E-08", "E-19", "M-17", "M-18", "B-05"},
		Since:   "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindGateway, mesh.KindK8sGateway, mesh.KindGatewayClass, mesh.KindReferenceGrant, mesh.KindListenerSet, mesh.KindBackendTLSPolicy, mesh.KindBackendTrafficPolicy},
	Check: checkL41,
}

func checkL41(p *Pass) {
	for _, k := range []mesh.Kind{mesh.KindGateway, mesh.KindGatewayClass, mesh.KindReferenceGrant, mesh.KindListenerSet} {
		for _, o := range p.Mesh().Objects(k) {
			p.Account(Field(o.Ref(), "spec", ""))
			ingressLabel(p, o)
		}
	}
	for _, g := range p.Mesh().K8sGateways() {
		p.Account(Field(g.Ref(), "spec", ""))
		ingressLabel(p, g.Object)
		if g.Spec.GatewayClassName == "istio-waypoint" {
			p.ReportWith(api.Info, g.Ref(), fmt.Sprintf("%s is a waypoint that exists already", g.Ref()), "the plan uses it where it has the name that the plan would choose", "see that it has at least two replicas", Field(g.Ref(), "spec.gatewayClassName", "istio-waypoint"))
		}
	}
	for _, k := range []mesh.Kind{mesh.KindBackendTLSPolicy, mesh.KindBackendTrafficPolicy} {
		for _, o := range p.Mesh().Objects(k) {
			p.ReportWith(api.Warning, o.Ref(), fmt.Sprintf("%s acts at gateways and waypoints, and not at ztunnel", o.Ref()),
				"a Service that it targets needs a waypoint for it; this version does not derive that need", "declare tls-origination or load-balancing in the needs of the Service that it targets", Field(o.Ref(), "spec", ""))
		}
	}
}

// ingressLabel reports the label where nobody reads it.
func ingressLabel(p *Pass, o *api.Object) {
	if v, ok := o.Labels()[mesh.LabelIngressUse]; ok {
		p.ReportWith(api.Warning, o.Ref(), fmt.Sprintf("%s carries %s, which istiod reads from Services and Namespaces only", o.Ref(), mesh.LabelIngressUse),
			"its traffic goes past the waypoints", "put the label on the Services behind it", Field(o.Ref(), Join("metadata.labels", mesh.LabelIngressUse), v))
	}
}
