package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l80 = Rule{
	ID: "L80", Title: "REGISTRY_ONLY is not enforced in ambient mode",
	Doc: Doc{
		Why: "With outboundTrafficPolicy REGISTRY_ONLY a sidecar refuses connections to hosts that the registry does not know. ztunnel has no such setting: it passes unknown " +
			"destinations through.",
		Effect: "from its cutover on, every workload reaches any address outside of the mesh that the network lets it reach: an egress control of the whole mesh ends, without an error",
		Remedy: "restrict egress by NetworkPolicies, or by an egress gateway or waypoint together with a NetworkPolicy that leaves no other way out, before wave 1; when REGISTRY_ONLY was " +
			"no security control, consent to L80 by id in the MigrationPolicy with the reason",
		Sources: []string{"istio/istio issue 54281", "istio.io: Accessing External Services"},
		Facts:   []string{"L-80", "B-12"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindMeshConfig, mesh.KindNamespace, mesh.KindWorkload},
	Check: checkL80,
}

func checkL80(p *Pass) {
	st := p.Mesh()
	members := 0
	perNamespace(st, func(_ *api.Namespace, w *api.Workload) bool { return st.InMesh(w) }, func(_ *api.Namespace, ws []*api.Workload) { members += len(ws) })
	for _, m := range st.MeshConfigs() {
		ref := m.Ref()
		// The zero value of the typed form is REGISTRY_ONLY, so what stands there is read from the object.
		spec, _ := m.Content["spec"].(map[string]any)
		policy, _ := spec["outboundTrafficPolicy"].(map[string]any)
		mode, ok := policy["mode"]
		if !ok {
			continue // Not set means ALLOW_ANY, and without a mode the ledger reports the rest.
		}
		at := Field(ref, "spec.outboundTrafficPolicy.mode", fmt.Sprint(mode))
		p.Account(at)
		if mode != "ALLOW_ANY" && fmt.Sprint(mode) != "1" && members > 0 {
			p.Report(api.Blocker, ref, fmt.Sprintf("%s restricts what %d workloads may call to hosts that the mesh knows", ref, members), at)
		}
	}
}
