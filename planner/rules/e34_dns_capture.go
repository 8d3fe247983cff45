package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var e34 = Rule{
	ID: "E34", Title: "DNS is answered by ztunnel",
	Doc: Doc{
		Why:     "Ambient mode captures DNS of new pods by default since 1.25. With sidecars it is off unless proxyMetadata sets ISTIO_META_DNS_CAPTURE. Where it was off, resolution changes with the cutover.",
		Effect:  "hosts of ServiceEntries without a record in DNS begin to resolve, and names that do not exist and search paths behave differently",
		Remedy:  "test one workload that calls hosts outside of the mesh; set ambient.istio.io/dns-capture=false on pods, or cni.ambient.dnsCapture=false, where it must stay as it was",
		Sources: []string{"istio.io: DNS Proxying", "istio/istio manifests/charts/istio-cni/values.yaml (ambient.dnsCapture)"},
		Facts:   []string{"E-34", "E-12"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindMeshConfig},
	Check: checkE34,
}

func checkE34(p *Pass) {
	for _, m := range p.Mesh().MeshConfigs() {
		if v := m.Spec.GetDefaultConfig().GetProxyMetadata()["ISTIO_META_DNS_CAPTURE"]; v != "true" {
			p.Report(api.Info, m.Ref(), fmt.Sprintf("%s leaves DNS of sidecar pods alone, and ztunnel answers it", m.Ref()), Field(m.Ref(), "spec.defaultConfig.proxyMetadata.ISTIO_META_DNS_CAPTURE", v))
		}
	}
}
