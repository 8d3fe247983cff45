package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var b03 = Rule{
	ID:    "B03",
	Title: "Pods that refuse the waypoint in front of them",
	Doc: Doc{
		Why: "Behind a waypoint the pods' ztunnel sees the identity of the waypoint instead of the client's. Where an ALLOW policy applies to the pods and none admits " +
			"that identity, or a DENY policy catches it, ztunnel refuses every connection that comes through the waypoint.",
		Effect: "every ambient caller of the Service is refused, with \"allow policies exist, but none allowed\" in ztunnel's log",
		Remedy: "add an ALLOW policy for the identity of the waypoint to the pods, and the identity to the exceptions of DENY policies, before the label is set; " +
			"for Services that this plan moves its prepare step does both",
		Sources: []string{"istio/istio pilot/pkg/serviceregistry/ambient/authorization.go", "ztunnel src/rbac.rs", "istio/istio issues 44256, 44671", "istio.io issue 16586"},
		Facts:   []string{"B-03", "L-13", "O-32"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindAuthorizationPolicy, mesh.KindNamespace, mesh.KindService, mesh.KindWorkload},
	Check: checkB03,
}

func checkB03(p *Pass) {
	st := p.Mesh()
	for i := range st.Services() {
		svc := &st.Services()[i]
		ns, name := waypointLabel(st, svc)
		if name == "" {
			continue
		}
		waypoint := mesh.Request{Principal: st.TrustDomain() + "/ns/" + ns + "/sa/" + name}
		for _, w := range membersOf(st, st.WorkloadsOf(svc)) {
			v := mesh.ZtunnelVerdict(st.PoliciesFor(w), waypoint)
			ev := waypointLabelOf(st, svc)
			switch v.Outcome {
			case mesh.Denied:
				p.Report(api.Warning, svc.Ref(), fmt.Sprintf("%s refuses the waypoint %s/%s of %s: %s", w.Ref(), ns, name, svc.Ref(), v.By), ev)
			case mesh.OutcomeUnknown:
				p.Unknown(svc.Ref(), fmt.Sprintf("whether %s lets the waypoint %s/%s in: it depends on addresses or ports", w.Ref(), ns, name),
					"every connection through the waypoint may be refused", "admit the identity of the waypoint in an ALLOW policy without addresses", ev)
			case mesh.Allowed, mesh.External:
			}
		}
	}
}

// waypointLabelOf is the evidence for the label by which a Service has its waypoint.
func waypointLabelOf(st *mesh.State, svc *api.Service) api.Evidence {
	o, labels := svc.Ref(), svc.Labels
	if _, ok := labels[mesh.LabelUseWaypoint]; !ok {
		if ns := st.Namespace(svc.Namespace); ns != nil {
			o, labels = ns.Ref(), ns.Labels
		}
	}
	return Field(o, Join("metadata.labels", mesh.LabelUseWaypoint), labels[mesh.LabelUseWaypoint])
}
