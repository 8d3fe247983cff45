package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l84 = Rule{
	ID: "L84", Title: "Mesh-wide locality load balancing",
	Doc: Doc{
		Why: "ztunnel ignores localityLbSetting and zoneAwareLbSetting. It only prefers near endpoints for Services with trafficDistribution, or with the annotation " +
			"networking.istio.io/traffic-distribution; a waypoint balances relative to where the waypoint runs.",
		Effect:  "traffic of services without a waypoint spreads over all zones: latency and the bill for traffic between zones rise, and failover between regions follows other rules",
		Remedy:  "set spec.trafficDistribution: PreferClose, or the annotation on the namespace, for services that should stay in their zone",
		Sources: []string{"istio.io: Global Mesh Options", "istio/ztunnel src/state.rs (load balancing)", "istio/istio pilot/pkg/serviceregistry/ambient/services.go"},
		Facts:   []string{"L-84", "L-76", "E-17"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindMeshConfig},
	Check: checkL84,
}

func checkL84(p *Pass) {
	for _, m := range p.Mesh().MeshConfigs() {
		ref := m.Ref()
		l := m.Spec.GetLocalityLbSetting()
		p.Account(Field(ref, "spec.localityLbSetting", ""), Field(ref, "spec.zoneAwareLbSetting", ""))
		if l != nil && (l.GetEnabled() == nil || l.GetEnabled().GetValue()) {
			p.Report(api.Warning, ref, fmt.Sprintf("%s sets locality load balancing for the whole mesh", ref), Field(ref, "spec.localityLbSetting", ""))
		}
		if m.Spec.GetZoneAwareLbSetting() != nil {
			p.Report(api.Warning, ref, fmt.Sprintf("%s sets zone-aware load balancing, which only sidecars do", ref), Field(ref, "spec.zoneAwareLbSetting", ""))
		}
	}
}
