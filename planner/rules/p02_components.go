package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var p02 = Rule{
	ID: "P02", Title: "What ambient mode needs in the cluster",
	Doc: Doc{
		Why: "Ambient mode needs istio-cni and ztunnel on every node, and every chart (base, istiod, cni, ztunnel) installed with profile=ambient; a chart without the profile keeps " +
			"the defaults of sidecars.",
		Effect:  "a labelled pod is not captured: it runs on without a sidecar and outside of the mesh, in plaintext",
		Remedy:  "wave 0: install what is missing, in the minor version of istiod, and wait until both DaemonSets are ready on all nodes",
		Sources: []string{"istio.io: Install with Helm, ambient", "istio/istio manifests/helm-profiles/ambient.yaml"},
		Facts:   []string{"P-01", "P-02"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindCluster},
	Check: checkP02,
}

func checkP02(p *Pass) {
	for i := range p.Mesh().Clusters() {
		c := &p.Mesh().Clusters()[i]
		if len(c.Istiods) == 0 {
			continue // P01 says that the control plane was not seen.
		}
		cp := c.Istiods[0]
		at := Field(cp.Ref, "spec.template.spec.containers", cp.Version)
		istio, known := parseVersion(cp.Version)
		for _, name := range []string{"istio-cni-node", "ztunnel"} {
			found := false
			for _, x := range c.Components {
				if x.Name != name {
					continue
				}
				found = true
				if v, ok := parseVersion(x.Version); ok && known && v.line() != istio.line() {
					p.ReportWith(api.Warning, x.Ref, fmt.Sprintf("%s is %s and istiod is %s", x.Ref, v, istio),
						"the two may not agree on what they tell each other; a ztunnel before 1.29 drops every policy when it meets a dry-run one",
						"bring istiod, istio-cni and ztunnel to one minor version before wave 1", Field(x.Ref, "spec.template.spec.containers", x.Version))
				}
			}
			if !found {
				p.Report(api.Warning, clusterRef(c), fmt.Sprintf("no DaemonSet %s was seen", name), at)
			}
		}
	}
}
