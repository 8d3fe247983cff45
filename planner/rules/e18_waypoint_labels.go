package rules

import (
	"cmp"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var e18 = Rule{
	ID:    "E18",
	Title: "Labels that name a waypoint",
	Doc: Doc{
		Why: "A Service or Namespace names its waypoint by a label. Where the Gateway is missing, is no waypoint, does not take traffic for Services or does not admit the namespace, " +
			"istiod leaves the Service without one and says so only in a condition.",
		Effect:  "ambient callers connect directly, past every policy and route at the waypoint",
		Remedy:  "create the Gateway that the label names, let its HBONE listener admit the namespace (allowedRoutes), or remove the label",
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
func judgeWaypointLabel(p *Pass, o api.Ref, namespace string, own map[string]string) {
	name := own[mesh.LabelUseWaypoint]
	if name == "" || name == "none" {
		return
	}
	ev := Field(o, Join("metadata.labels", mesh.LabelUseWaypoint), name)
	ns := cmp.Or(own[mesh.LabelUseWaypointNS], namespace)
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
		if ns != namespace {
			judgeAllowed(p, o, namespace, g, ev)
		}
		return
	}
	p.Report(api.Blocker, o, fmt.Sprintf("%s names the waypoint %s/%s, and the inventory has no such Gateway", o, ns, name), ev)
}

// judgeAllowed judges whether a waypoint of another namespace lets objects of this
// one use it: by the allowedRoutes of its first HBONE listener on port 15008, and
// else its own namespace only. Source: pilot/pkg/serviceregistry/ambient/waypoints.go
// (makeAllowedRoutes), facts E-18.
func judgeAllowed(p *Pass, o api.Ref, namespace string, g mesh.Typed[*gwv1.GatewaySpec], ev api.Evidence) {
	for _, l := range g.Spec.Listeners {
		if l.Protocol != "HBONE" || l.Port != mesh.HBONEPort {
			continue
		}
		if l.AllowedRoutes == nil || l.AllowedRoutes.Namespaces == nil || l.AllowedRoutes.Namespaces.From == nil {
			break
		}
		switch *l.AllowedRoutes.Namespaces.From {
		case gwv1.NamespacesFromAll:
			return
		case gwv1.NamespacesFromSelector:
			sel, err := metav1.LabelSelectorAsSelector(l.AllowedRoutes.Namespaces.Selector)
			if ns := p.Mesh().Namespace(namespace); err == nil && ns != nil && sel.Matches(labels.Set(ns.Labels)) {
				return
			}
		case gwv1.NamespacesFromSame, gwv1.NamespacesFromNone:
		}
		break
	}
	p.Report(api.Blocker, o, fmt.Sprintf("%s names %s as its waypoint, which does not admit namespace %s (allowedRoutes)", o, g.Ref(), namespace), ev)
}
