package rules

import (
	"cmp"
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var e18 = Rule{
	ID:    "E18",
	Title: "Labels that name a waypoint",
	Doc: Doc{
		Why: "A Service or Namespace names its waypoint by a label. Where the Gateway is missing, is no waypoint or does not take traffic for Services, " +
			"istiod leaves the Service without one and says so only in a condition.",
		Effect:  "ambient callers connect directly, past every policy and route at the waypoint",
		Remedy:  "create the Gateway that the label names, or remove the label",
		Sources: []string{"Istio pilot/pkg/serviceregistry/ambient/waypoints.go (fetchWaypointForTarget)", "istio/istio.io pull request 17520"},
		Facts:   []string{"E-05", "E-06", "E-08", "E-18", "B-06"},
		Since:   "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindService, mesh.KindNamespace, mesh.KindK8sGateway},
	Check: checkE18,
}

func checkE18(p *Pass) {
	st := p.Mesh()
	for i := range st.Namespaces() {
		n := &st.Namespaces()[i]
		judgeWaypointLabel(p, n.Ref(), n.Name, n.Labels)
	}
	for i := range st.Services() {
		s := &st.Services()[i]
		judgeWaypointLabel(p, s.Ref(), s.Namespace, s.Labels)
	}
}

// judgeWaypointLabel judges the label of one object.
func judgeWaypointLabel(p *Pass, o api.Ref, namespace string, labels map[string]string) {
	name := labels[mesh.LabelUseWaypoint]
	if name == "" || name == "none" {
		return
	}
	ev := Field(o, Join("metadata.labels", mesh.LabelUseWaypoint), name)
	ns := cmp.Or(labels[mesh.LabelUseWaypointNS], namespace)
	for _, g := range p.Mesh().K8sGateways() {
		if g.Namespace != ns || g.Name != name {
			continue
		}
		if g.Spec.GatewayClassName != "istio-waypoint" {
			p.Report(api.Blocker, o, fmt.Sprintf("%s names %s as its waypoint, which is a Gateway of class %s", o, g.Ref(), g.Spec.GatewayClassName), ev)
		}
		if f := g.Labels()[mesh.LabelWaypointFor]; f == "workload" || f == "none" {
			p.Report(api.Blocker, o, fmt.Sprintf("%s names %s as its waypoint, which takes traffic for %q and not for Services", o, g.Ref(), f), ev)
		}
		return
	}
	p.Report(api.Blocker, o, fmt.Sprintf("%s names the waypoint %s/%s, and the inventory has no such Gateway", o, ns, name), ev)
}
