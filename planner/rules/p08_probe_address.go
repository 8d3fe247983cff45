package rules

import (
	"fmt"
	"net/netip"

	netv1 "k8s.io/api/networking/v1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var p08 = Rule{
	ID: "P08", Title: "NetworkPolicies and the kubelet's probes",
	Doc: Doc{
		Why: "istio-cni rewrites the source of the kubelet's probes to 169.254.7.127 (fd16:9254:7127:1337:ffff:ffff:ffff:ffff), so that ztunnel can tell them from other traffic. Some " +
			"network plugins, Cilium among them, then apply NetworkPolicies to probes, which they let through as traffic of the node before.",
		Effect:  "on such a plugin the probes of captured pods that a policy isolates fail, and the pods never become ready",
		Remedy:  "with Cilium, add a CiliumClusterwideNetworkPolicy that admits 169.254.7.127/32 everywhere; on any plugin, watch one canary pod with TCP and HTTP probes before wave 1",
		Sources: []string{"istio.io: Ambient and Kubernetes NetworkPolicy", "istio.io: Platform-specific prerequisites, Cilium", "istio/istio issue 52208"},
		Facts:   []string{"P-08", "B-09", "B-10"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindCluster, mesh.KindNamespace, mesh.KindNetworkPolicy, mesh.KindWorkload},
	Check: checkP08,
}

func checkP08(p *Pass) {
	st := p.Mesh()
	plugin := ""
	for _, c := range st.Clusters() {
		for _, x := range c.Components {
			switch x.Name {
			case "cilium", "gke-dataplane-v2":
				plugin = "cilium"
			case "calico":
				plugin = x.Name
			}
		}
	}
	var ev []api.Evidence
	count := 0
	for _, np := range st.NetworkPolicies() {
		if in, _ := mesh.PolicyDirections(np.Spec); !in || admitsProbes(np.Spec) {
			continue
		}
		pods, err := st.PolicyPods(np)
		if err != nil || len(membersOf(st, pods)) == 0 {
			continue
		}
		if count++; count <= maxListed {
			ev = append(ev, Field(np.Ref(), "spec.podSelector", "ingress isolated"))
		}
	}
	subject := api.Ref{Kind: "Cluster", Name: "cluster"}
	switch {
	case count == 0:
	case plugin == "cilium":
		p.Report(api.Warning, subject, fmt.Sprintf("%d NetworkPolicies isolate pods of the mesh, and Cilium may apply them to probes", count), ev...)
	case plugin == "":
		p.Report(api.Info, subject, fmt.Sprintf("%d NetworkPolicies isolate pods of the mesh, and the network plugin was not seen: it may apply them to probes", count), ev...)
	}
}

// admitsProbes tells whether some ingress rule lets the probe address through to all ports.
func admitsProbes(spec *netv1.NetworkPolicySpec) bool {
	probe := netip.MustParseAddr("169.254.7.127")
	for _, r := range spec.Ingress {
		if all, _, _ := mesh.AdmittedTCPPorts(r.Ports); !all {
			continue
		}
		if len(r.From) == 0 {
			return true
		}
		for _, f := range r.From {
			if f.IPBlock == nil || len(f.IPBlock.Except) > 0 {
				continue
			}
			if block, err := netip.ParsePrefix(f.IPBlock.CIDR); err == nil && block.Contains(probe) {
				return true
			}
		}
	}
	return false
}
