package rules

import (
	"fmt"

	security "istio.io/api/security/v1beta1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l05 = Rule{
	ID:    "L05",
	Title: "ALLOW policy that loses rules at ztunnel",
	Doc: Doc{
		Why: "An ALLOW rule with any layer 7 field is dropped as a whole on its way to ztunnel, while the policy itself stays. Since an ALLOW " +
			"policy is there, whatever no remaining rule allows is denied.",
		Effect: "once a pod is ambient, connections that only a dropped rule allowed are refused, unless they come from a waypoint that is admitted",
		Remedy: "nothing by hand: the plan copies the policy to the waypoint, admits the waypoint's identity and moves known callers first; what is left of " +
			"the old policy then keeps everybody else from going past the waypoint",
		Sources: []string{"Istio pilot/pkg/serviceregistry/ambient/authorization.go (handleRule)", "istio.io docs/ambient/usage/l4-policy"},
		Facts:   []string{"L-05", "O-36", "B-02"},
		Since:   "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindAuthorizationPolicy, mesh.KindNamespace, mesh.KindService, mesh.KindWorkload},
	Check: checkL05,
}

func checkL05(p *Pass) {
	for _, pol := range authzPolicies(p.Mesh()) {
		if pol.NotSent != mesh.SentToZtunnel || pol.Action != security.AuthorizationPolicy_ALLOW {
			continue
		}
		dropped := 0
		var fields []mesh.AuthzField
		for _, r := range pol.Rules {
			if r.Dropped {
				dropped++
				fields = append(fields, r.Of(mesh.FieldL7)...)
			}
		}
		if dropped == 0 {
			continue
		}
		message := fmt.Sprintf("ztunnel drops %d of %d rules of %s because of %s", dropped, len(pol.Rules), pol.Ref(), fieldNames(fields))
		if pol.LeftEmpty() {
			message += "; none is left, so on ambient pods it allows nothing for " + pol.policyScope.String()
		}
		p.Report(api.Info, pol.Ref(), message, fieldsOf(pol.Ref(), fields)...)
	}
}
