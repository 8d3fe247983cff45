package rules

import (
	"fmt"

	security "istio.io/api/security/v1beta1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l20 = Rule{
	ID:    "L20",
	Title: "PeerAuthentication that is ignored or cannot be resolved",
	Doc: Doc{
		Why: "A selector in the root namespace is ignored, port modes count only on a policy with a selector, and of several policies of " +
			"one level the oldest wins. What somebody wrote down is then not what is in force.",
		Effect:  "whoever relies on the ignored part is not protected by it, before the move or after it",
		Remedy:  "move the policy into the namespace of its workloads, give port modes a selector, and keep one policy a level",
		Sources: []string{"Istio pilot/pkg/serviceregistry/ambient/authorization.go (convertedSelectorPeerAuthentications, convertPeerAuthentication)", "Istio architecture/ambient/peer-authentication.md"},
		Facts:   []string{"L-20", "C-76"},
		Since:   "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindNamespace, mesh.KindPeerAuthentication, mesh.KindWorkload},
	Check: checkL20,
}

func checkL20(p *Pass) {
	st := p.Mesh()
	for _, pa := range st.PeerAuthentications() {
		ref := pa.Ref()
		accountPeerAuthn(p, pa)
		selector := pa.Spec.GetSelector().GetMatchLabels()
		switch {
		case len(selector) > 0 && pa.Namespace == st.RootNamespace():
			p.Report(api.Warning, ref, fmt.Sprintf("%s has a selector in the root namespace: Istio ignores it", ref), Field(ref, "spec.selector.matchLabels", ""))
		case len(selector) == 0 && len(pa.Spec.GetPortLevelMtls()) > 0:
			p.Report(api.Warning, ref, fmt.Sprintf("%s sets modes of ports without a selector: Istio ignores them", ref), Field(ref, "spec.portLevelMtls", ""))
		}
	}
	tied := map[api.Ref][]api.Evidence{}
	for i := range st.Workloads() {
		w := &st.Workloads()[i]
		if !st.InMesh(w) {
			continue
		}
		list := st.PeerAuth(w).Tied
		if len(list) == 0 {
			continue
		}
		var ev []api.Evidence
		for _, pa := range list {
			ev = append(ev, policyNamed(pa.Object))
		}
		tied[list[0].Ref()] = ev
	}
	for _, pa := range st.PeerAuthentications() {
		ev, ok := tied[pa.Ref()]
		if !ok {
			continue
		}
		p.Unknown(pa.Ref(), fmt.Sprintf("which of %d PeerAuthentications of one level applies: the oldest does, and their age is not in the inventory", len(ev)),
			"pods may accept plaintext, or refuse it, other than the plan assumes",
			"take the inventory from the cluster, or keep only one of them", ev...)
	}
}

// accountPeerAuthn tells the ledger which fields are understood.
func accountPeerAuthn(p *Pass, pa mesh.Typed[*security.PeerAuthentication]) {
	ref := pa.Ref()
	p.Account(Field(ref, "spec.selector.matchLabels", ""), Field(ref, "spec.mtls.mode", ""))
	for port := range pa.Spec.GetPortLevelMtls() {
		// The key is a number in the typed object and text in the document.
		path := Join("spec.portLevelMtls", fmt.Sprint(port))
		p.Account(Field(ref, path+".mode", ""))
		if m, ok := contentAt(pa.Content, path).(map[string]any); ok && len(m) == 0 {
			p.Account(Field(ref, path, ""))
		}
	}
	for _, k := range []string{"spec.selector", "spec.mtls", "spec.portLevelMtls"} {
		if m, ok := contentAt(pa.Content, k).(map[string]any); ok && len(m) == 0 {
			p.Account(Field(ref, k, ""))
		}
	}
}
