package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l21 = Rule{
	ID:    "L21",
	Title: "STRICT mutual TLS",
	Doc: Doc{
		Why: "ztunnel accepts plaintext from clients outside the mesh unless STRICT applies, which istiod turns into a DENY of peers without " +
			"identity. Advice that STRICT becomes redundant after the migration is wrong.",
		Effect:  "if the policy is removed with the sidecars, ambient pods accept plaintext from anybody who can reach them",
		Remedy:  "keep the PeerAuthentication; the plan never removes one",
		Sources: []string{"ztunnel src/proxy/inbound_passthrough.rs", "Istio pilot/pkg/serviceregistry/ambient/authorization.go (istio_converted_static_strict)"},
		Facts:   []string{"L-20", "L-21"},
		Since:   "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindNamespace, mesh.KindPeerAuthentication, mesh.KindService, mesh.KindWorkload},
	Check: checkL21,
}

func checkL21(p *Pass) {
	st := p.Mesh()
	for i := range st.Workloads() {
		w := &st.Workloads()[i]
		if !st.InMesh(w) {
			continue
		}
		pa := st.PeerAuth(w)
		var ev []api.Evidence
		if pa.Mode == mesh.MTLSStrict && pa.From != nil {
			ev = append(ev, Field(pa.From.Ref(), "spec.mtls.mode", "STRICT"))
		}
		for _, port := range pa.PortModes() {
			if port.Mode == mesh.MTLSStrict {
				ev = append(ev, Field(pa.Workload.Ref(), Join("spec.portLevelMtls", fmt.Sprint(port.Port))+".mode", "STRICT"))
			}
		}
		if len(ev) == 0 {
			continue
		}
		for _, s := range subjectsOf(st, w) {
			p.Need(s, api.CapMTLS, fmt.Sprintf("%s refuses plaintext, and must go on refusing it at ztunnel", ev[0].Object), ev...)
		}
	}
}
