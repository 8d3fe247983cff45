package rules

import (
	"fmt"
	"strings"

	security "istio.io/api/security/v1beta1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l08 = Rule{
	ID:    "L08",
	Title: "DENY rule that ztunnel does not enforce as written",
	Doc: Doc{
		Why: "A DENY rule keeps its layer 4 fields at ztunnel and loses the others. An entry that has only layer 7 fields becomes empty, ztunnel " +
			"skips empty entries, and a rule with a clause of only such entries never fires. Istio's documentation says that such a policy " +
			"denies all traffic; the source does the opposite, in every release from 1.24 to 1.31.",
		Effect: "on ambient pods without a waypoint the denied requests are let through, or a whole port is denied where only some requests were meant",
		Remedy: "give the Service a waypoint, attach a copy of the policy with targetRefs, and deny at layer 4 whoever goes past the waypoint before the pods " +
			"lose their sidecars; the plan does this",
		Sources: []string{
			"Istio pilot/pkg/serviceregistry/ambient/authorization.go (handleRule)",
			"ztunnel src/rbac.rs (test rbac_empty_policy)",
			"istio/istio issue 61126, pull request 61166",
		},
		Facts: []string{"L-07", "L-08", "B-01", "O-37"},
		Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindAuthorizationPolicy, mesh.KindNamespace, mesh.KindService, mesh.KindWorkload},
	Check: checkL08,
}

func checkL08(p *Pass) {
	for _, pol := range authzPolicies(p.Mesh()) {
		if pol.NotSent != mesh.SentToZtunnel || pol.Action != security.AuthorizationPolicy_DENY {
			continue
		}
		var never, narrower, wider []string
		var fields []mesh.AuthzField
		for _, r := range pol.Rules {
			lost := r.Of(mesh.FieldL7)
			if len(lost) == 0 {
				continue
			}
			fields = append(fields, lost...)
			if r.Never {
				never = append(never, r.Path)
				continue
			}
			if r.Narrower {
				narrower = append(narrower, r.Path)
			}
			if r.Wider {
				wider = append(wider, r.Path)
			}
		}
		if len(fields) == 0 {
			continue
		}
		var what, effect []string
		if len(never) > 0 {
			what = append(what, strings.Join(never, ", ")+" never fires at ztunnel")
			effect = append(effect, "requests that it denies today would be let through by ambient pods without a waypoint")
		}
		if len(narrower) > 0 {
			what = append(what, strings.Join(narrower, ", ")+" loses some of its alternatives at ztunnel")
			effect = append(effect, "requests that match only the lost alternatives would be let through")
		}
		if len(wider) > 0 {
			what = append(what, strings.Join(wider, ", ")+" keeps only its layer 4 part at ztunnel")
			effect = append(effect, "connections that it allows today would be denied on ambient pods")
		}
		p.ReportWith(api.Warning, pol.Ref(),
			fmt.Sprintf("DENY policy for %s: %s", pol.policyScope, strings.Join(what, "; ")),
			strings.Join(effect, "; "), p.rule.Doc.Remedy, fieldsOf(pol.Ref(), fields)...)
	}
}
