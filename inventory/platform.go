package inventory

import (
	"maps"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// ciliumConfig is the name of Cilium's ConfigMap.
const ciliumConfig = "cilium-config"

// addPlatform counts a node for the platform that it says it belongs to. The node
// whose name comes first is the evidence, whatever the order of documents.
func (b *builder) addPlatform(d *document) {
	name, path, value := platformOf(d.content)
	if name == "" {
		return
	}
	ev := api.Evidence{Object: d.ref(b.cluster), Path: path, Value: value, Source: d.at(path).At(path)}
	p, ok := b.platforms[name]
	if !ok || ev.Object.Compare(p.Evidence.Object) < 0 {
		p.Evidence = ev
	}
	p.Name = name
	p.Nodes++
	b.platforms[name] = p
}

// platformOf recognises the platform of a node by its labels, the provider id and
// the version of its kubelet, from the most to the least telling. Sources: the
// labels that each platform documents for its nodes; facts P-09.
func platformOf(node api.Content) (name, path, value string) {
	labels := stringMap(node, "metadata", "labels")
	for _, l := range []struct{ platform, label string }{
		{"gke", "cloud.google.com/gke-nodepool"}, {"eks", "eks.amazonaws.com/nodegroup"}, {"eks", "alpha.eksctl.io/nodegroup-name"},
		{"aks", "kubernetes.azure.com/cluster"}, {"openshift", "node.openshift.io/os_id"}, {"microk8s", "microk8s.io/cluster"},
		{"minikube", "minikube.k8s.io/name"},
	} {
		if v, ok := labels[l.label]; ok {
			return l.platform, api.FieldPath("metadata.labels", l.label), v
		}
	}
	provider := str(node, "spec", "providerID")
	for _, p := range []struct{ platform, prefix string }{{"k3d", "k3s://k3d-"}, {"k3s", "k3s://"}, {"kind", "kind://"}} {
		if strings.HasPrefix(provider, p.prefix) {
			return p.platform, "spec.providerID", provider
		}
	}
	kubelet := str(node, "status", "nodeInfo", "kubeletVersion")
	for _, k := range []struct{ platform, part string }{{"eks", "-eks-"}, {"gke", "-gke."}, {"k3s", "+k3s"}, {"rke2", "+rke2"}} {
		if strings.Contains(kubelet, k.part) {
			return k.platform, "status.nodeInfo.kubeletVersion", kubelet
		}
	}
	return "", "", ""
}

// componentName recognises a piece of infrastructure by the name and the labels of
// its DaemonSet; "" for any other.
func componentName(name string, label func(string) string) string {
	app, k8s := label("app"), label("k8s-app")
	switch {
	case name == "ztunnel" || app == "ztunnel":
		return "ztunnel"
	case name == "istio-cni-node" || k8s == "istio-cni-node":
		return "istio-cni-node"
	case name == "anetd":
		return "gke-dataplane-v2" // Google's build of Cilium, with the same label
	case k8s == "cilium":
		return "cilium"
	case k8s == "calico-node":
		return "calico"
	case name == "aws-node" || k8s == "aws-node":
		return "aws-vpc-cni"
	case app == "multus" || strings.HasPrefix(name, "kube-multus") || name == "multus":
		return "multus"
	case name == "ovnkube-node" || app == "ovnkube-node":
		return "ovn-kubernetes"
	case strings.HasPrefix(name, "kube-flannel") || app == "flannel":
		return "flannel"
	case name == "kindnet" || k8s == "kindnet":
		return "kindnet"
	case name == "antrea-agent":
		return "antrea"
	}
	return ""
}

// pluginSettings reads the settings of network plugins that are environment
// variables (facts P-09). No other variable is looked at.
func pluginSettings(containers []map[string]any) map[string]string {
	var out map[string]string
	for _, c := range containers {
		for _, e := range objects(c, "env") {
			switch n := str(e, "name"); n {
			case "FELIX_BPFENABLED", "POD_SECURITY_GROUP_ENFORCING_MODE", "ENABLE_POD_ENI":
				if e["value"] != nil {
					if out == nil {
						out = map[string]string{}
					}
					out[n] = scalar(e["value"])
				}
			}
		}
	}
	return out
}

// ciliumConfig keeps the settings of Cilium on which ambient mode depends, and those that
// say what it does of a mesh's work.
func (b *builder) ciliumConfig(d *document) error {
	first, err := b.once(d)
	if err != nil || !first {
		return err
	}
	b.count.Kept++
	c := api.Component{Name: "cilium", Ref: d.ref(b.cluster), Settings: map[string]string{}}
	for _, k := range []string{"cni-exclusive", "enable-bpf-masquerade", "kube-proxy-replacement", "enable-wireguard", "enable-ipsec", "enable-hubble", "enable-l7-proxy"} {
		if v, ok := object(d.content, "data")[k]; ok {
			c.Settings[k] = scalar(v)
		}
	}
	if b.cilium == nil || c.Ref.Compare(b.cilium.Ref) < 0 {
		b.cilium = &c
	}
	return nil
}

// withCilium gives the settings to Cilium's DaemonSet. Where only the ConfigMap was
// read, that is the component.
func (b *builder) withCilium(components []api.Component) []api.Component {
	if b.cilium == nil {
		return components
	}
	found := false
	for i := range components {
		if components[i].Name == "cilium" {
			components[i].Settings = maps.Clone(b.cilium.Settings)
			found = true
		}
	}
	if !found {
		components = append(components, *b.cilium)
	}
	return components
}
