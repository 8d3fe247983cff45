package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var p09 = Rule{
	ID: "P09", Title: "The network plugin and the nodes",
	Doc: Doc{
		Why:     "istio-cni changes how packets of a pod flow on its node, which some network plugins undo or forbid unless they are told. ztunnel runs on Linux nodes only.",
		Effect:  "pods do not start, probes fail, or pods run uncaptured and in plaintext",
		Remedy:  "check the settings before wave 0, then watch one canary pod with TCP and HTTP probes on every kind of node before wave 1",
		Sources: []string{"istio.io: Platform-specific prerequisites", "istio/istio issues 52208, 52765 and 57911", "istio/istio manifests/charts/ztunnel"},
		Facts:   []string{"P-09", "P-10", "B-10", "E-31"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindCluster},
	Check: checkP09,
}

func checkP09(p *Pass) {
	for i := range p.Mesh().Clusters() {
		c := &p.Mesh().Clusters()[i]
		for _, x := range c.Components {
			at := Field(x.Ref, "spec.template.spec.containers", x.Version)
			switch x.Name {
			case "cilium":
				p.ReportWith(api.Warning, x.Ref, fmt.Sprintf("Cilium %s runs the network of the cluster", x.Version),
					"with cni.exclusive=true it removes istio-cni's configuration and pods start uncaptured; with bpf.masquerade=true probes of captured pods fail; "+
						"with kube-proxy replacement probes may fail",
					"set cni.exclusive=false and bpf.masquerade=false, admit 169.254.7.127/32 (P08), and watch a canary pod before wave 1", at)
			case "calico":
				if v, ok := parseVersion(x.Version); ok && !v.less(version{3, 29, 0}) {
					continue
				}
				p.ReportWith(api.Warning, x.Ref, fmt.Sprintf("Calico %s runs the network of the cluster", x.Version),
					"with its eBPF data plane before 3.29 probes of captured pods fail and pods never become ready",
					"upgrade to 3.29 when the eBPF data plane is on", at)
			}
		}
	}
}
