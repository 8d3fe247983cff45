package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l85 = Rule{
	ID: "L85", Title: "Mesh-wide retries and traffic policy",
	Doc: Doc{
		Why: "defaultHttpRetryPolicy and defaultTrafficPolicy are carried out by the client's Envoy. ztunnel retries no request. Waypoints apply the mesh's retries since " +
			"1.30.3 and 1.31; those of 1.29 do not.",
		Effect:  "requests to services without a waypoint, or with one of Istio 1.29, are no longer retried as set here: errors that retries hid reach the callers",
		Remedy:  "ask for retries in the FeatureNeeds of services whose callers rely on them, and set them in a route of the service",
		Sources: []string{"istio/istio pull request 60682", "istio/istio pilot/pkg/networking/core/route/retry/retry.go"},
		Facts:   []string{"L-85", "L-70"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindMeshConfig},
	Check: checkL85,
}

func checkL85(p *Pass) {
	for _, m := range p.Mesh().MeshConfigs() {
		ref := m.Ref()
		if r := m.Spec.GetDefaultHttpRetryPolicy(); r != nil && r.GetAttempts() > 0 {
			p.Report(api.Warning, ref, fmt.Sprintf("%s sets retries for the whole mesh", ref), Field(ref, "spec.defaultHttpRetryPolicy", fmt.Sprintf("%d attempts", r.GetAttempts())))
		} else {
			p.Account(Field(ref, "spec.defaultHttpRetryPolicy", ""))
		}
		if m.Spec.GetDefaultTrafficPolicy() != nil {
			p.ReportWith(api.Warning, ref, fmt.Sprintf("%s sets a traffic policy for the whole mesh", ref),
				"connection limits and outlier detection set here end for services without a waypoint",
				"ask for circuit-breaking or outlier-detection in the FeatureNeeds of services that rely on them", Field(ref, "spec.defaultTrafficPolicy", ""))
		}
	}
}
