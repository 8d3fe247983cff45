package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var o39 = Rule{
	ID:    "O39",
	Title: "Policy in dry-run mode",
	Doc: Doc{
		Why: "A policy annotated istio.io/dry-run only logs what it would decide. istiod does not send it to ztunnel unless " +
			"AMBIENT_ENABLE_DRY_RUN_AUTHORIZATION_POLICY is set (from 1.29); with it set, a ztunnel older than 1.29 enforces the policy.",
		Effect:  "at ztunnel the policy logs nothing, so a trial that runs over the migration shows no denials and looks safe when it is not",
		Remedy:  "finish the trial while the pods have sidecars, or attach a copy to a waypoint, where dry-run works as it does in a sidecar",
		Sources: []string{"Istio pilot/pkg/serviceregistry/ambient/authorization.go (convertAuthorizationPolicy)", "Istio pilot/pkg/features/ambient.go (EnableWdsDryRunAuthzPol)"},
		Facts:   []string{"L-01", "O-39"},
		Since:   "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindAuthorizationPolicy, mesh.KindNamespace, mesh.KindService, mesh.KindWorkload},
	Check: checkO39,
}

func checkO39(p *Pass) {
	for _, pol := range authzPolicies(p.Mesh()) {
		if pol.NotSent != mesh.NotSentDryRun {
			continue
		}
		p.Report(api.Warning, pol.Ref(),
			fmt.Sprintf("%s is a dry run for %s, and ztunnel does not get it", pol.Ref(), pol.policyScope),
			Field(pol.Ref(), Join("metadata.annotations", mesh.AnnotationDryRun), pol.Annotations()[mesh.AnnotationDryRun]))
	}
}
