package rules

import (
	"fmt"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l22 = Rule{
	ID:    "L22",
	Title: "Mutual TLS switched off",
	Doc: Doc{
		Why: "DISABLE makes a sidecar accept plaintext only. Ambient mode has no such thing: at ztunnel DISABLE means PERMISSIVE, and peers in the mesh " +
			"always use mutual TLS. While the server still has its sidecar, an ambient client cannot reach it.",
		Effect: "ambient clients are refused by the sidecar, and on ambient pods traffic that was plaintext on purpose becomes encrypted",
		Remedy: "change DISABLE to PERMISSIVE before the migration and see whether anything breaks; a port that must stay plaintext for clients " +
			"outside the mesh needs PERMISSIVE on that port",
		Sources: []string{
			"istio.io docs/ambient/migrate/before-you-begin",
			"Istio pilot/pkg/serviceregistry/ambient/authorization.go (convertedSelectorPeerAuthentications counts PERMISSIVE ports only when the mode is UNSET)",
		},
		Facts: []string{"L-20", "L-22", "C-76", "B-13"},
		Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindNamespace, mesh.KindPeerAuthentication, mesh.KindService, mesh.KindWorkload},
	Check: checkL22,
}

// disabled collects what one PeerAuthentication switches off.
type disabled struct {
	evidence []api.Evidence
	subjects map[api.Ref]bool
	quirk    bool
}

func checkL22(p *Pass) {
	st := p.Mesh()
	found := map[api.Ref]*disabled{}
	note := func(w *api.Workload, e api.Evidence, quirk bool) {
		d := found[e.Object]
		if d == nil {
			d = &disabled{subjects: map[api.Ref]bool{}}
			found[e.Object] = d
		}
		d.quirk = d.quirk || quirk
		if !slices.Contains(d.evidence, e) {
			d.evidence = append(d.evidence, e)
		}
		for _, s := range subjectsOf(st, w) {
			d.subjects[s] = true
			p.Need(s, api.CapPlaintextOnly, fmt.Sprintf("%s switches mutual TLS off", e.Object), e)
		}
	}
	for i := range st.Workloads() {
		w := &st.Workloads()[i]
		if !st.InMesh(w) {
			continue
		}
		pa := st.PeerAuth(w)
		if pa.Mode == mesh.MTLSDisable {
			note(w, Field(pa.From.Ref(), "spec.mtls.mode", "DISABLE"), false)
		}
		for _, port := range pa.PortModes() {
			if port.Mode == mesh.MTLSDisable {
				note(w, Field(pa.Workload.Ref(), Join("spec.portLevelMtls", fmt.Sprint(port.Port))+".mode", "DISABLE"), pa.ExemptionLost())
			}
		}
	}
	for _, pa := range st.PeerAuthentications() {
		d := found[pa.Ref()]
		if d == nil {
			continue
		}
		message := fmt.Sprintf("%s switches mutual TLS off for %d subjects", pa.Ref(), len(d.subjects))
		effect := p.rule.Doc.Effect
		if d.quirk {
			message += "; at ztunnel its ports stay STRICT, because istiod looks for PERMISSIVE alone"
			effect = "clients without mutual TLS are refused on these ports by ambient pods, and ambient clients by the sidecars"
		}
		p.ReportWith(api.Blocker, pa.Ref(), message, effect, p.rule.Doc.Remedy, d.evidence...)
	}
}
