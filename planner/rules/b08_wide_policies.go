package rules

import (
	"fmt"

	security "istio.io/api/security/v1beta1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var b08 = Rule{
	ID:    "B08",
	Title: "Policy for a whole namespace or mesh",
	Doc: Doc{
		Why: "A waypoint ignores every policy without targetRefs, also those for its namespace and for the mesh. They act at each pod's ztunnel " +
			"alone, and there on the waypoint's identity.",
		Effect: "the plan copies the policy to each Service that gets a waypoint; a Service that is created later behind such a waypoint is not covered " +
			"by any copy, so what the policy denies today is let through for it",
		Remedy: "after the migration, add a policy with a targetRef to the waypoint's Gateway (for the mesh: to the GatewayClass istio-waypoint, in the root " +
			"namespace), and keep the one without targetRefs for ztunnel",
		Sources: []string{"Istio pilot/pkg/model/policyattachment.go (ShouldAttachPolicy)", "istio/istio issues 58838, 58316"},
		Facts:   []string{"L-02", "L-15", "B-08", "C-64", "C-65"},
		Since:   "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindAuthorizationPolicy, mesh.KindNamespace, mesh.KindService, mesh.KindWorkload},
	Check: checkB08,
}

func checkB08(p *Pass) {
	st := p.Mesh()
	for _, pol := range authzPolicies(st) {
		if len(pol.Spec.GetSelector().GetMatchLabels()) > 0 || pol.NotSent == mesh.NotSentDryRun || allowsAll(pol) {
			continue
		}
		where := "namespace " + pol.Namespace
		if pol.Namespace == st.RootNamespace() {
			where = "the mesh"
		}
		p.Report(api.Warning, pol.Ref(), fmt.Sprintf("%s is for all of %s, and no waypoint enforces it as it stands", pol.Ref(), where), policyNamed(pol.Object))
	}
}

// allowsAll tells whether a policy restricts nothing: an ALLOW with a rule
// without conditions.
func allowsAll(pol authzPolicy) bool {
	if pol.Action != security.AuthorizationPolicy_ALLOW {
		return false
	}
	for i, r := range pol.Spec.GetRules() {
		if len(r.GetFrom())+len(r.GetTo())+len(r.GetWhen()) == 0 && len(pol.Rules[i].Fields) == 0 {
			return true
		}
	}
	return false
}
