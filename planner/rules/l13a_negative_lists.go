package rules

import (
	"fmt"

	security "istio.io/api/security/v1beta1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l13a = Rule{
	ID:    "L13a",
	Title: "DENY of everybody but a list",
	Doc: Doc{
		Why: "A DENY with notPrincipals, notNamespaces, notServiceAccounts or notIpBlocks refuses whoever is not on the list, and a waypoint in front of " +
			"the pods is not on it.",
		Effect: "if such a policy stays as it is when a waypoint is activated, it refuses everything that comes through the waypoint",
		Remedy: "where the Service gets a waypoint, the plan adds the waypoint's identity to the exceptions before it activates the waypoint, and copies the " +
			"policy to it; do the same for policies that another repository applies",
		Sources: []string{"ztunnel src/rbac.rs", "istio/istio issue 44671"},
		Facts:   []string{"L-13", "L-13a", "B-03"},
		Since:   "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindAuthorizationPolicy, mesh.KindNamespace, mesh.KindService, mesh.KindWorkload},
	Check: checkL13a,
}

func checkL13a(p *Pass) {
	for _, pol := range authzPolicies(p.Mesh()) {
		if pol.Action != security.AuthorizationPolicy_DENY || pol.NotSent != mesh.SentToZtunnel {
			continue
		}
		fields := fieldsWith(pol.Rules, func(f mesh.AuthzField) bool {
			if !f.Negative || f.Class != mesh.FieldL4 {
				return false
			}
			switch f.Name {
			case "notPrincipals", "notNamespaces", "notServiceAccounts", "notIpBlocks", "source.principal", "source.namespace", "source.ip":
				return true
			}
			return false
		})
		if len(fields) > 0 {
			p.Report(api.Info, pol.Ref(), fmt.Sprintf("%s denies whoever is not listed (%s), for %s", pol.Ref(), fieldNames(fields), pol.policyScope), fieldsOf(pol.Ref(), fields)...)
		}
	}
}
