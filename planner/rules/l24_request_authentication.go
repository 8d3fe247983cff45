package rules

import (
	"fmt"
	"slices"

	security "istio.io/api/security/v1beta1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l24 = Rule{
	ID:    "L24",
	Title: "RequestAuthentication",
	Doc: Doc{
		Why: "Tokens are validated by a waypoint only, and only for a RequestAuthentication with targetRefs. Those attached by selector, by namespace " +
			"or to the mesh are ignored by ztunnel and by waypoints alike.",
		Effect:  "without a waypoint tokens are no longer validated: invalid ones pass, and rules on request principals allow nobody or deny nobody",
		Remedy:  "give the Service a waypoint and attach the RequestAuthentication with targetRefs; the plan does both",
		Sources: []string{"Istio pilot/pkg/model/policyattachment.go (ShouldAttachPolicy)", "istio/istio issue 45502"},
		Facts:   []string{"L-15", "L-24", "C-70", "B-07"},
		Since:   "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindNamespace, mesh.KindRequestAuthentication, mesh.KindService, mesh.KindWorkload},
	Check: checkL24,
}

// requestAuthn is a RequestAuthentication attached by selector, with what it applies to.
type requestAuthn struct {
	mesh.Typed[*security.RequestAuthentication]
	policyScope
}

// requestAuthns are those without targetRefs that validate tokens for something in the mesh.
func requestAuthns(st *mesh.State) []requestAuthn {
	var out []requestAuthn
	for _, ra := range st.RequestAuthentications() {
		if ra.Spec.GetTargetRef() != nil || len(ra.Spec.GetTargetRefs()) > 0 || len(ra.Spec.GetJwtRules()) == 0 {
			continue
		}
		if s := policyScopeOf(st, ra.Namespace, ra.Spec.GetSelector().GetMatchLabels()); !s.empty() {
			out = append(out, requestAuthn{ra, s})
		}
	}
	return out
}

// jwtFields are the fields of a JWT rule, all of which mean at a waypoint what
// they mean in a sidecar: both are built by the same code of istiod
// (pilot/pkg/security/authn/policy_applier.go).
func jwtFields() []string {
	return []string{
		"issuer", "audiences", "jwksUri", "jwks_uri", "jwks", "fromHeaders", "fromParams", "fromCookies", "outputPayloadToHeader",
		"outputClaimToHeaders", "forwardOriginalToken", "timeout", "spaceDelimitedClaims",
	}
}

func checkL24(p *Pass) {
	for _, ra := range p.Mesh().RequestAuthentications() {
		accountRequestAuthn(p, ra.Object, len(ra.Spec.GetJwtRules()))
	}
	for _, ra := range requestAuthns(p.Mesh()) {
		var ev []api.Evidence
		for i, r := range ra.Spec.GetJwtRules() {
			if i == maxEvidence {
				break
			}
			ev = append(ev, Field(ra.Ref(), fmt.Sprintf("spec.jwtRules[%d].issuer", i), r.GetIssuer()))
		}
		for _, s := range ra.subjects() {
			p.Need(s, api.CapRequestAuthentication, fmt.Sprintf("%s validates tokens", ra.Ref()), ev...)
		}
	}
}

// Ref of the object; both embedded parts would offer one.
func (ra requestAuthn) Ref() api.Ref { return ra.Object.Ref() }

// accountRequestAuthn tells the ledger which fields are understood.
func accountRequestAuthn(p *Pass, o *api.Object, n int) {
	ref := o.Ref()
	p.Account(Field(ref, "spec.selector.matchLabels", ""))
	for i := range n {
		for _, f := range jwtFields() {
			p.Account(Field(ref, fmt.Sprintf("spec.jwtRules[%d].%s", i, f), ""))
		}
	}
	for _, k := range []string{"spec.jwtRules", "spec.selector"} {
		if v, ok := contentAt(o.Content, k).([]any); ok && len(v) == 0 {
			p.Account(Field(ref, k, ""))
		}
		if v, ok := contentAt(o.Content, k).(map[string]any); ok && len(v) == 0 {
			p.Account(Field(ref, k, ""))
		}
	}
}

// tokenDropped lists the rules that strip the token after validating it.
func tokenDropped(ra requestAuthn) []int {
	var out []int
	for i, r := range ra.Spec.GetJwtRules() {
		if !r.GetForwardOriginalToken() {
			out = append(out, i)
		}
	}
	return slices.Clip(out)
}
