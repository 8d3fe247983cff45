package rules

import (
	"fmt"

	meshconfig "istio.io/api/mesh/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l87 = Rule{
	ID: "L87", Title: "Namespaces outside of discoverySelectors",
	Doc: Doc{
		Why: "istiod knows nothing of a namespace that no discovery selector matches, and so neither does ztunnel: pods there are captured without an identity that peers " +
			"can check, and their services do not exist for the mesh. The namespaces of ztunnel and istio-cni have to match as well.",
		Effect:  "workloads of these namespaces cannot be reached through the mesh once they are ambient; with ztunnel's own namespace outside, nothing works",
		Remedy:  "add a selector, or label the namespaces so that one matches, before they move",
		Sources: []string{"istio/istio pkg/kube/namespace/filter.go", "istio-ecosystem/sail-operator docs/migrate-from-sidecar-to-ambient"},
		Facts:   []string{"L-87"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindCluster, mesh.KindMeshConfig, mesh.KindNamespace, mesh.KindWorkload},
	Check: checkL87,
}

func checkL87(p *Pass) {
	st := p.Mesh()
	infra := map[string]bool{}
	for _, c := range st.Clusters() {
		for _, x := range c.Components {
			if x.Name == "ztunnel" || x.Name == "istio-cni-node" {
				infra[x.Ref.Namespace] = true
			}
		}
	}
	for _, m := range st.MeshConfigs() {
		ref := m.Ref()
		at := Field(ref, "spec.discoverySelectors", "")
		p.Account(at)
		if len(m.Spec.GetDiscoverySelectors()) == 0 {
			continue
		}
		selectors, err := selectorsOf(m.Spec.GetDiscoverySelectors())
		if err != nil {
			p.Unknown(ref, fmt.Sprintf("which namespaces istiod sees: %v", err), "workloads outside cannot be reached once they are ambient", "correct the selector", at)
			continue
		}
		var outside []string
		ev := []api.Evidence{at}
		nss := st.Namespaces()
		for i := range nss {
			ns := &nss[i]
			// The API server sets this label on every namespace.
			set := labels.Set{"kubernetes.io/metadata.name": ns.Name}
			for k, v := range ns.Labels {
				set[k] = v
			}
			if ns.Implied || matchesAny(selectors, set) || !infra[ns.Name] && len(membersOf(st, st.WorkloadsIn(ns.Name))) == 0 {
				continue
			}
			outside = append(outside, ns.Name)
			ev = append(ev, Field(ns.Ref(), "metadata.labels", ""))
		}
		if len(outside) > 0 {
			p.Report(api.Warning, ref, fmt.Sprintf("no discovery selector of %s matches namespaces %s", ref, listed(outside)), ev...)
		}
	}
}

// selectorsOf turns the selectors of MeshConfig into Kubernetes' own.
func selectorsOf(in []*meshconfig.LabelSelector) ([]labels.Selector, error) {
	var out []labels.Selector
	for i, s := range in {
		k := &metav1.LabelSelector{MatchLabels: s.GetMatchLabels()}
		for _, e := range s.GetMatchExpressions() {
			k.MatchExpressions = append(k.MatchExpressions, metav1.LabelSelectorRequirement{Key: e.GetKey(), Operator: metav1.LabelSelectorOperator(e.GetOperator()), Values: e.GetValues()})
		}
		sel, err := metav1.LabelSelectorAsSelector(k)
		if err != nil {
			return nil, fmt.Errorf("discoverySelectors[%d]: %w", i, err)
		}
		out = append(out, sel)
	}
	return out, nil
}

func matchesAny(selectors []labels.Selector, set labels.Set) bool {
	for _, s := range selectors {
		if s.Matches(set) {
			return true
		}
	}
	return false
}
