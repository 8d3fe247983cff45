package rules

import (
	"fmt"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var p09 = Rule{
	ID: "P09", Title: "The platform and the network plugin",
	Doc: Doc{
		Why:     "istio-cni changes how packets of a pod flow on its node, which some network plugins undo or forbid unless they are told; and platforms keep their plugins in places of their own. ztunnel runs on Linux nodes only.",
		Effect:  "pods do not start, probes fail, or pods run uncaptured and in plaintext",
		Remedy:  "check the settings before wave 0, then watch one canary pod with TCP and HTTP probes on every kind of node before wave 1",
		Sources: []string{"istio.io: Platform-specific prerequisites", "istio/istio issues 52208, 52765 and 57911", "istio/istio manifests/helm-profiles/platform-*.yaml", "istio/istio manifests/charts/ztunnel"},
		Facts:   []string{"P-09", "P-10", "B-10", "E-31"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindCRD, mesh.KindCluster, mesh.KindNamespace, mesh.KindWorkload},
	Check: checkP09,
}

func checkP09(p *Pass) {
	st := p.Mesh()
	platforms := Platforms(st)
	for _, n := range platforms {
		severity, set := api.Warning, fmt.Sprintf("install every chart of Istio with --set global.platform=%s; check: %s", n.Value, n.Check)
		if n.Settled {
			severity, set = api.Info, "check: "+n.Check
		}
		p.ReportWith(severity, api.Ref{Kind: "Cluster", Name: "cluster"}, fmt.Sprintf("the cluster runs on %s: %s", n.Name, n.Why),
			"pods do not start, or run uncaptured, where the platform's setting is missing", set, n.Evidence[:min(len(n.Evidence), maxListed)]...)
	}
	seen := len(platforms) > 0
	for i := range st.Clusters() {
		c := &st.Clusters()[i]
		for _, x := range c.Components {
			seen = seen || isNetworkPlugin(x.Name)
			at := Field(x.Ref, "spec.template.spec.containers", x.Version)
			need, unknown, found := judgePlugin(x)
			switch {
			case unknown:
				p.Unknown(x.Ref, fmt.Sprintf("whether ambient mode works with %s: nothing is known about it", x.Name),
					"probes of captured pods may fail, or pods may start uncaptured", "watch a canary pod with TCP and HTTP probes on every kind of node before wave 1", at)
			case found:
				p.ReportWith(need.severity, x.Ref, need.message, need.effect, need.setting, at)
			}
		}
	}
	for _, o := range st.Objects(mesh.KindCRD) {
		if o.Name == "network-attachment-definitions.k8s.cni.cncf.io" && !runs(st, "multus") {
			seen = true
			p.ReportWith(api.Warning, o.Ref(), "the definitions of Multus are in the cluster, and its DaemonSet was not seen", "Multus delegates to one plugin and does not chain istio-cni into it, so that pods start uncaptured",
				"if Multus runs, install istio-cni with cni.provider=multus and cni.chained=false", Field(o.Ref(), "metadata.name", o.Name))
		}
	}
	if member, ok := someMember(st); ok && !seen {
		p.Unknown(api.Ref{Kind: "Cluster", Name: "cluster"}, "which platform and network plugin run the nodes: no node and no DaemonSet that was read tells",
			"some need settings without which pods start uncaptured or never become ready", "take the inventory from the cluster with nodes and daemonsets of all namespaces; else check by hand against the list of facts P-09 (docs/facts.md)", member)
	}
}

// runs tells whether a component was seen.
func runs(st *mesh.State, name string) bool {
	return slices.ContainsFunc(st.Clusters(), func(c api.Cluster) bool {
		return slices.ContainsFunc(c.Components, func(x api.Component) bool { return x.Name == name })
	})
}
