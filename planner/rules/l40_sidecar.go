package rules

import (
	"fmt"
	"slices"

	networking "istio.io/api/networking/v1alpha3"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l40 = Rule{
	ID:    "L40",
	Title: "Sidecar objects",
	Doc: Doc{
		Why:     "A Sidecar object says what a sidecar may reach and how it listens. Ambient pods and waypoints ignore it.",
		Effect:  "the scope disappears: an ambient pod reaches whatever it can resolve",
		Remedy:  "nothing where the object only kept sidecars small; where it is a control, replace it by NetworkPolicy or by AuthorizationPolicy at the called services",
		Sources: []string{"Istio pilot/pkg/model/push_context.go (doGetSidecarScope)"},
		Facts:   []string{"L-40", "C-74", "B-12"},
		Since:   "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindSidecar, mesh.KindWorkload, mesh.KindService, mesh.KindNamespace},
	Check: checkL40,
}

func checkL40(p *Pass) {
	scopes := map[string][]api.Evidence{}
	var order []string
	for _, s := range p.Mesh().Sidecars() {
		for _, k := range []string{"workloadSelector", "egress", "ingress", "outboundTrafficPolicy", "inboundConnectionPool"} {
			p.Account(Field(s.Ref(), "spec."+k, ""))
		}
		ws := membersOf(p.Mesh(), p.Mesh().Selected(s.Namespace, s.Spec.GetWorkloadSelector().GetLabels()))
		if len(ws) == 0 {
			continue
		}
		if o := s.Spec.GetOutboundTrafficPolicy(); o != nil && o.GetMode() == networking.OutboundTrafficPolicy_REGISTRY_ONLY {
			control(p, s.Object, ws, api.CapEgressScope, Field(s.Ref(), "spec.outboundTrafficPolicy.mode", "REGISTRY_ONLY"),
				"lets its pods call known hosts only", "an ambient pod reaches every host that the network lets it reach",
				"replace it by a NetworkPolicy for egress, or waive egress-scope with a reason in the owner's needs")
		}
		if len(s.Spec.GetIngress()) > 0 {
			control(p, s.Object, ws, api.CapHumanDecision, Field(s.Ref(), "spec.ingress", ""),
				"maps ports of the sidecar to endpoints of its own", "the mapping is gone with the sidecar, and calls arrive at the ports of the pod",
				"let the Service's targetPort say what the mapping said, and remove ingress from the Sidecar")
		}
		if s.Spec.GetInboundConnectionPool() != nil {
			needs(p, ws, api.CapCircuitBreaking, Field(s.Ref(), "spec.inboundConnectionPool", ""))
		}
		if len(s.Spec.GetEgress()) > 0 {
			if scopes[s.Namespace] == nil {
				order = append(order, s.Namespace)
			}
			scopes[s.Namespace] = append(scopes[s.Namespace], Field(s.Ref(), "spec.egress", ""))
		}
	}
	slices.Sort(order)
	for _, ns := range order {
		p.ReportWith(api.Warning, api.Ref{Kind: "Namespace", Name: ns}, fmt.Sprintf("%d Sidecar objects of namespace %s list what pods may see; ambient pods see everything", len(scopes[ns]), ns),
			"unlisted hosts become visible; this was never a security boundary unless outboundTrafficPolicy made it one", "delete the objects when the namespace has moved; guard called services by AuthorizationPolicy", scopes[ns]...)
	}
}

// control reports a Sidecar that somebody may rely on.
func control(p *Pass, o *api.Object, ws []*api.Workload, c api.Capability, ev api.Evidence, what, effect, action string) {
	needs(p, ws, c, ev)
	p.ReportWith(api.Blocker, o.Ref(), fmt.Sprintf("%s %s", o.Ref(), what), effect, action, ev)
}

func needs(p *Pass, ws []*api.Workload, c api.Capability, ev api.Evidence) {
	for _, w := range ws {
		needOf(p, w, c, ev.Object.String(), ev)
	}
}
