package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l04 = Rule{
	ID:    "L04",
	Title: "AuthorizationPolicy that ztunnel enforces",
	Doc: Doc{
		Why: "A policy on identities, namespaces, addresses and ports alone is enforced by ztunnel as it is written, as long as no waypoint " +
			"stands in front of the pods. Behind one, ztunnel sees the waypoint's identity and address instead of the client's.",
		Effect:  "if a waypoint is added for another reason, an ALLOW on client identities refuses the waypoint and a DENY no longer sees the client",
		Remedy:  "where a waypoint stands in front, copy the policy to it with targetRefs and admit the waypoint's identity on the pods; the plan does both",
		Sources: []string{"Istio pilot/pkg/serviceregistry/ambient/authorization.go (convertAuthorizationPolicy)", "istio.io issue 16586", "istio/istio issue 44671"},
		Facts:   []string{"L-02", "L-06", "L-13"},
		Since:   "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindAuthorizationPolicy, mesh.KindNamespace, mesh.KindService, mesh.KindWorkload},
	Check: checkL04,
}

func checkL04(p *Pass) {
	for _, pol := range authzPolicies(p.Mesh()) {
		if pol.NotSent != mesh.SentToZtunnel || pol.Has(mesh.FieldL7) {
			continue
		}
		fields := fieldsWith(pol.Rules, func(f mesh.AuthzField) bool { return f.Class == mesh.FieldL4 })
		ev := fieldsOf(pol.Ref(), fields)
		reason := fmt.Sprintf("%s decides on %s", pol.Ref(), fieldNames(fields))
		switch {
		case len(pol.Rules) == 0:
			reason = fmt.Sprintf("%s has no rule: it allows nothing", pol.Ref())
			ev = []api.Evidence{policyNamed(pol.Object)}
		case len(fields) == 0:
			reason = fmt.Sprintf("%s applies to every connection", pol.Ref())
			ev = []api.Evidence{policyNamed(pol.Object)}
		}
		for _, s := range pol.subjects() {
			p.Need(s, api.CapL4Authorization, reason, ev...)
		}
	}
}
