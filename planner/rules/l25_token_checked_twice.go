package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l25 = Rule{
	ID:    "L25",
	Title: "Token that is checked by waypoint and sidecar",
	Doc: Doc{
		Why: "While the waypoint is active and pods behind it still have sidecars, both validate the token. By default the first one strips it, so " +
			"the second sees a request without a token.",
		Effect: "the plan's copy for the waypoint passes the token on until the sidecars are gone, so applications that did not see the token before " +
			"receive it for that time",
		Remedy:  "tell the owners of the application; nothing else, as long as it does not choke on an Authorization header or hand it on to others",
		Sources: []string{"Istio pilot/pkg/security/authn/policy_applier.go (forwardOriginalToken)"},
		Facts:   []string{"L-25", "C-70"},
		Since:   "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindNamespace, mesh.KindRequestAuthentication, mesh.KindService, mesh.KindWorkload},
	Check: checkL25,
}

func checkL25(p *Pass) {
	for _, ra := range requestAuthns(p.Mesh()) {
		var ev []api.Evidence
		for _, i := range tokenDropped(ra) {
			if len(ev) < maxEvidence {
				ev = append(ev, Field(ra.Ref(), fmt.Sprintf("spec.jwtRules[%d].issuer", i), ra.Spec.GetJwtRules()[i].GetIssuer()))
			}
		}
		if len(ev) > 0 {
			p.Report(api.Info, ra.Ref(), fmt.Sprintf("%s strips the token after validating it, for %s", ra.Ref(), ra.policyScope), ev...)
		}
	}
}
