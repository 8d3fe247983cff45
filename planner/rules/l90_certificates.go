package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l90 = Rule{
	ID: "L90", Title: "Certificates from elsewhere",
	Doc: Doc{
		Why: "ztunnel takes identities and roots from istiod's CA only. Roots that MeshConfig adds for proxies, and a certificate authority that only the proxies are told of, do not reach it. " +
			"Identities from SPIRE are a documented hard blocker.",
		Effect:  "an ambient pod refuses peers whose certificate comes from another authority, and they refuse it: connections between the two halves of the mesh fail",
		Remedy:  "find out which workloads, clusters or gateways use certificates of these authorities; they have to stay on sidecars together, or move to istiod's CA first",
		Sources: []string{"istio/ztunnel src/identity", "istio.io: Migrate from sidecar to ambient, before you begin", "istio.io: Global Mesh Options, caCertificates"},
		Facts:   []string{"L-90", "P-12"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindMeshConfig},
	Check: checkL90,
}

func checkL90(p *Pass) {
	for _, m := range p.Mesh().MeshConfigs() {
		ref := m.Ref()
		if len(m.Spec.GetCaCertificates()) > 0 {
			p.Report(api.Warning, ref, fmt.Sprintf("%s adds certificate authorities for proxies", ref), Field(ref, "spec.caCertificates", ""))
		}
		if len(m.Spec.GetDefaultConfig().GetCaCertificatesPem()) > 0 {
			p.Report(api.Warning, ref, fmt.Sprintf("%s gives every proxy roots of its own", ref), Field(ref, "spec.defaultConfig.caCertificatesPem", ""))
		}
	}
}
