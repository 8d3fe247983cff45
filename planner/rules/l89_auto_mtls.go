package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l89 = Rule{
	ID: "L89", Title: "Automatic mTLS is off",
	Doc: Doc{
		Why: "With enableAutoMtls: false a sidecar sends mTLS only where a DestinationRule says so. In ambient mode every pod sends and receives HBONE, whatever the DestinationRules " +
			"say. In between, sidecar clients reach ambient servers in plaintext unless a DestinationRule sets ISTIO_MUTUAL.",
		Effect:  "while a namespace moves, sidecar clients without such a DestinationRule stay plaintext: servers under STRICT refuse them, and policies with identities do not match",
		Remedy:  "turn enableAutoMtls on before wave 1 and watch for a day, or check every DestinationRule of the services that move",
		Sources: []string{"istio.io: Global Mesh Options, enableAutoMtls", "istio/istio issue 53526"},
		Facts:   []string{"L-89"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindMeshConfig},
	Check: checkL89,
}

func checkL89(p *Pass) {
	for _, m := range p.Mesh().MeshConfigs() {
		at := Field(m.Ref(), "spec.enableAutoMtls", "false")
		p.Account(at)
		if v := m.Spec.GetEnableAutoMtls(); v != nil && !v.GetValue() {
			p.Report(api.Warning, m.Ref(), fmt.Sprintf("%s turns automatic mTLS off", m.Ref()), at)
		}
	}
}
