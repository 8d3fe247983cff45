package rules

import (
	"fmt"

	security "istio.io/api/security/v1beta1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l18 = Rule{
	ID:    "L18",
	Title: "Audit policy (action AUDIT)",
	Doc: Doc{
		Why: "A policy with action AUDIT marks requests for an audit log. Only Envoy does that: istiod does not send the policy to ztunnel, " +
			"so a waypoint is needed to go on marking.",
		Effect:  "the requests are no longer marked, and the audit log has a hole that nobody reports",
		Remedy:  "give the Service a waypoint and attach the policy with targetRefs; the plan does both",
		Sources: []string{"Istio pilot/pkg/serviceregistry/ambient/authorization.go (convertAuthorizationPolicy, default case of the action)"},
		Facts:   []string{"L-01", "L-18", "C-63"},
		Since:   "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindAuthorizationPolicy, mesh.KindNamespace, mesh.KindService, mesh.KindWorkload},
	Check: checkL18,
}

func checkL18(p *Pass) {
	for _, pol := range authzPolicies(p.Mesh()) {
		if pol.NotSent != mesh.NotSentAction || pol.Action != security.AuthorizationPolicy_AUDIT {
			continue
		}
		for _, s := range pol.subjects() {
			p.Need(s, api.CapAuditPolicy, fmt.Sprintf("%s marks requests for the audit log, and ztunnel never gets the policy", pol.Ref()), Field(pol.Ref(), "spec.action", "AUDIT"))
		}
	}
}
