package rules

import (
	"fmt"

	security "istio.io/api/security/v1beta1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l03a = Rule{
	ID:    "L03a",
	Title: "Authorization field that is lost without a word",
	Doc: Doc{
		Why: "istiod drops trustDomains and notTrustDomains on the way to ztunnel, and ports or addresses that it cannot parse, and neither the " +
			"status of the policy nor istioctl says so.",
		Effect: "a rule that has other fields as well matches more than was written, and one that has none never matches",
		Remedy: "write the trust domain into principals (\"DOMAIN/ns/NAMESPACE/sa/ACCOUNT\", or with a \"*\" at either end) and correct ports and addresses",
		Sources: []string{
			"Istio pilot/pkg/serviceregistry/ambient/authorization.go (handleRule builds no match for trustDomains; stringToPort, stringToIP skip bad values)",
		},
		Facts: []string{"L-03"},
		Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindAuthorizationPolicy, mesh.KindNamespace, mesh.KindService, mesh.KindWorkload},
	Check: checkL03a,
}

func checkL03a(p *Pass) {
	for _, pol := range authzPolicies(p.Mesh()) {
		if pol.NotSent != mesh.SentToZtunnel {
			continue
		}
		gap := fieldsWith(pol.Rules, func(f mesh.AuthzField) bool { return f.Class == mesh.FieldGap })
		if len(gap) == 0 {
			continue
		}
		wider, never := false, false
		for _, r := range pol.Rules {
			if len(r.Of(mesh.FieldGap)) > 0 {
				wider, never = wider || r.Wider, never || r.Never
			}
		}
		effect := "ambient pods match the rule as if the field were not there"
		deny := pol.Action == security.AuthorizationPolicy_DENY
		switch {
		case never && deny:
			effect = "the rule never fires on ambient pods: what it denies today is let through"
		case never:
			effect = "the rule never matches on ambient pods: what it allows today is denied"
		case wider && deny:
			effect = "the rule denies more on ambient pods than it does today"
		case wider:
			effect = "the rule lets in more clients on ambient pods than it does today"
		}
		p.ReportWith(api.Blocker, pol.Ref(),
			fmt.Sprintf("%s uses %s, which istiod drops for ztunnel without saying so; it applies to %s", pol.Ref(), fieldNames(gap), pol.policyScope),
			effect, p.rule.Doc.Remedy, fieldsOf(pol.Ref(), gap)...)
		for _, s := range pol.subjects() {
			p.Need(s, api.CapHumanDecision, fmt.Sprintf("%s uses %s, which ztunnel never gets", pol.Ref(), fieldNames(gap)), fieldsOf(pol.Ref(), gap)...)
		}
	}
}
