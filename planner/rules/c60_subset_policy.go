package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var c60 = Rule{
	ID:    "C60",
	Title: "Layer 7 policy on some of a Service's pods",
	Doc: Doc{
		Why: "A sidecar policy is attached to pods, a waypoint policy to a Service. A policy with layer 7 parts whose selector matches only some of " +
			"the pods behind a Service cannot be said at a waypoint, which decides before it picks a pod.",
		Effect: "a copy for the whole Service would also decide on requests to the other pods, and without a copy nothing decides on requests to these",
		Remedy: "give the selected pods a Service of their own, or let the selector match all pods of the Service",
		Sources: []string{
			"Istio pilot/pkg/model/policyattachment.go (ShouldAttachPolicy)",
			"istio.io docs/ambient/usage/l7-features",
		},
		Facts: []string{"C-60", "L-15"},
		Since: "0.1.0",
	},
	Reads: []mesh.Kind{
		mesh.KindAuthorizationPolicy, mesh.KindNamespace, mesh.KindRequestAuthentication, mesh.KindService, mesh.KindWorkload,
	},
	Check: checkC60,
}

func checkC60(p *Pass) {
	for _, pol := range authzPolicies(p.Mesh()) {
		if pol.NeedsL7() {
			subset(p, pol.Object, pol.policyScope)
		}
	}
	for _, ra := range requestAuthns(p.Mesh()) {
		subset(p, ra.Object, ra.policyScope)
	}
}

// subset reports a policy that applies to some of the pods behind Services.
func subset(p *Pass, o *api.Object, s policyScope) {
	for _, svc := range s.split {
		ev := Field(o.Ref(), "spec.selector.matchLabels", "")
		p.Need(svc.Ref(), api.CapSubsetPolicy, fmt.Sprintf("%s selects only some of the pods behind it", o.Ref()), ev)
		p.Report(api.Blocker, svc.Ref(), fmt.Sprintf("%s selects only some of the pods behind %s", o.Ref(), svc.Ref()), ev)
	}
}
