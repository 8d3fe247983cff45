package rules

import (
	"fmt"

	security "istio.io/api/security/v1beta1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l01 = Rule{
	ID:    "L01",
	Title: "External authorization (action CUSTOM)",
	Doc: Doc{
		Why: "A policy with action CUSTOM asks an external service for each request. istiod does not send it to ztunnel at all, so on ambient " +
			"pods without a waypoint the question is never asked. At a waypoint it works, with targetRefs and the same provider.",
		Effect:  "requests that the external authorizer refuses today are let through",
		Remedy:  "give the Service a waypoint, attach the policy with targetRefs, and close the way past the waypoint; the plan does this",
		Sources: []string{"Istio pilot/pkg/serviceregistry/ambient/authorization.go (convertAuthorizationPolicy, default case of the action)"},
		Facts:   []string{"L-01", "L-18", "C-63", "B-07"},
		Since:   "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindAuthorizationPolicy, mesh.KindNamespace, mesh.KindService, mesh.KindWorkload},
	Check: checkL01,
}

func checkL01(p *Pass) {
	for _, pol := range authzPolicies(p.Mesh()) {
		if pol.NotSent != mesh.NotSentAction || pol.Action != security.AuthorizationPolicy_CUSTOM {
			continue
		}
		provider := pol.Spec.GetProvider().GetName()
		ev := []api.Evidence{Field(pol.Ref(), "spec.action", "CUSTOM")}
		if provider != "" {
			ev = append(ev, Field(pol.Ref(), "spec.provider.name", provider))
		}
		for _, s := range pol.subjects() {
			p.Need(s, api.CapExternalAuthorization, fmt.Sprintf("%s asks the provider %q, and ztunnel never gets the policy", pol.Ref(), provider), ev...)
		}
	}
}
