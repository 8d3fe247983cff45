package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var m25 = Rule{
	ID:    "M25",
	Title: "Policies for headless Services",
	Doc: Doc{
		Why: "A headless Service has no address of its own, so a waypoint has no configuration for it: its callers connect to the pods. A policy with a targetRef to it is accepted and " +
			"acts on nobody. Only a waypoint for workloads sees traffic to the addresses of pods.",
		Effect:  "the policy lets every caller through to the pods, and reports itself as accepted",
		Remedy:  "attach the policy to a Service with an address that selects the same pods and have callers use that one, or keep to layer 4 policies by selector, which ztunnel enforces",
		Sources: []string{"istio/istio pilot/pkg/networking/core/waypoint.go", "istio/istio pull request 58774"},
		Facts:   []string{"M-25", "M-20", "B-14"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindAuthorizationPolicy, mesh.KindRequestAuthentication, mesh.KindService},
	Check: checkM25,
}

func checkM25(p *Pass) {
	st := p.Mesh()
	for _, pol := range waypointPolicies(st) {
		if pol.kind != "Service" {
			continue
		}
		if svc := st.Service(pol.namespace, pol.name); svc != nil && svc.Headless {
			p.Report(api.Blocker, svc.Ref(), fmt.Sprintf("%s targets %s, which is headless: no waypoint ever enforces it", pol.evidence.Object, svc.Ref()), pol.evidence)
		}
	}
}
