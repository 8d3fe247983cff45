package rules

import (
	"fmt"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// PlatformNeed is what ambient mode needs on one platform.
type PlatformNeed struct {
	// Name of the platform, as in api.Platform.
	Name string
	// Value of the charts' global.platform; "" where Istio has none for it.
	Value string
	// Why the setting is needed, and what to check beside it.
	Why, Check string
	// Settled is true where there is nothing to set.
	Settled  bool
	Evidence []api.Evidence
}

// Platforms that the nodes and the definitions of a cluster tell of, with what
// each needs, sorted by name. Sources: istio.io "Platform-specific prerequisites" and
// manifests/helm-profiles/platform-*.yaml of Istio (facts P-09).
func Platforms(st *mesh.State) []PlatformNeed {
	byName := map[string][]api.Evidence{}
	for _, c := range st.Clusters() {
		for _, p := range c.Platforms {
			byName[p.Name] = append(byName[p.Name], p.Evidence)
		}
	}
	for _, o := range st.Objects(mesh.KindCRD) {
		switch o.Name {
		case "clusterversions.config.openshift.io", "securitycontextconstraints.security.openshift.io":
			byName["openshift"] = append(byName["openshift"], Field(o.Ref(), "metadata.name", o.Name))
		case "eniconfigs.crd.k8s.amazonaws.com", "cninodes.vpcresources.k8s.aws", "securitygrouppolicies.vpcresources.k8s.aws":
			byName["eks"] = append(byName["eks"], Field(o.Ref(), "metadata.name", o.Name))
		}
	}
	var out []PlatformNeed
	for _, n := range platformTable() {
		if ev, ok := byName[n.Name]; ok {
			n.Evidence = ev
			out = append(out, n)
		}
	}
	return out
}

// platformTable lists the platforms that are known, sorted by name.
func platformTable() []PlatformNeed {
	cniPaths := "the plugin's binary and its configuration stand in directories of their own there, so istio-cni's go where nothing reads them"
	return []PlatformNeed{
		{Name: "aks", Settled: true, Why: "Istio has no platform value for AKS",
			Check: "with Azure CNI powered by Cilium, what Cilium needs holds as well"},
		{Name: "eks", Settled: true, Why: "Istio has no platform value for EKS",
			Check: "with Security Groups for Pods, POD_SECURITY_GROUP_ENFORCING_MODE=standard on the DaemonSet aws-node (or Istio 1.31, which repairs the probes of such pods itself)"},
		{Name: "gke", Value: "gke", Why: "GKE admits pods of the priority system-node-critical only in namespaces with a ResourceQuota for it",
			Check: "the ResourceQuota is in the namespace of ztunnel and istio-cni (the platform value creates it)"},
		{Name: "k3d", Value: "k3d", Why: cniPaths, Check: "cniConfDir=/var/lib/rancher/k3s/agent/etc/cni/net.d and cniBinDir=/bin (the platform value sets both)"},
		{Name: "k3s", Value: "k3s", Why: cniPaths, Check: "cniConfDir=/var/lib/rancher/k3s/agent/etc/cni/net.d and cniBinDir=/var/lib/rancher/k3s/data/cni (the platform value sets both; older k3s keeps binaries in data/current/bin)"},
		{Name: "kind", Settled: true, Why: "kind needs no platform value", Check: "nothing beside the network plugin"},
		{Name: "microk8s", Value: "microk8s", Why: cniPaths, Check: "cniConfDir and cniBinDir below /var/snap/microk8s/current (the platform value sets both)"},
		{Name: "minikube", Value: "minikube", Why: "the docker driver keeps network namespaces in /var/run/docker/netns", Check: "cniNetnsDir=/var/run/docker/netns (the platform value sets it)"},
		{Name: "openshift", Value: "openshift", Why: "OpenShift runs Multus, which does not chain plugins, and SELinux, which keeps ztunnel from network namespaces",
			Check: "istio-cni and ztunnel in kube-system, provider multus and chained=false (the platform value sets these two), and with OVN-Kubernetes the local gateway mode (routingViaHost: true)"},
	}
}

// pluginNeed is what one network plugin needs of its own settings.
type pluginNeed struct {
	severity                 api.Severity
	message, effect, setting string
}

// judgePlugin says what has to be set for a network plugin; false where nothing
// is known to be wrong with it, and unknown where nobody knows.
func judgePlugin(x api.Component) (need pluginNeed, unknown, found bool) {
	runs := strings.TrimSpace(pluginTitle(x.Name)+" "+x.Version) + " runs the network of the cluster"
	switch x.Name {
	case "cilium":
		return judgeCilium(x, runs)
	case "gke-dataplane-v2":
		return pluginNeed{api.Warning, runs, "it is a Cilium that Google configures: probes of captured pods may fail, and NetworkPolicies are applied to them",
			"admit 169.254.7.127/32 (P08), and watch a canary pod with TCP and HTTP probes before wave 1"}, false, true
	case "calico":
		return judgeCalico(x, runs)
	case "aws-vpc-cni":
		if x.Settings["ENABLE_POD_ENI"] == "true" && x.Settings["POD_SECURITY_GROUP_ENFORCING_MODE"] != "standard" {
			return pluginNeed{api.Warning, runs + ", with Security Groups for Pods in strict mode", "pods with a security group of their own get a branch interface that kubelet's probes do not reach once they are captured; " +
				"Istio 1.31 repairs this itself", "set POD_SECURITY_GROUP_ENFORCING_MODE=standard on the DaemonSet aws-node and recreate these pods, or run Istio 1.31"}, false, true
		}
	case "multus":
		return pluginNeed{api.Warning, runs, "Multus delegates to one plugin and does not chain istio-cni into it, so that pods start uncaptured",
			"install istio-cni with cni.provider=multus and cni.chained=false, and name it in a NetworkAttachmentDefinition"}, false, true
	case "ovn-kubernetes":
		return pluginNeed{api.Warning, runs, "in shared gateway mode the packets of the host do not pass its routing tables, so kubelet's probes to captured pods fail",
			"set the local gateway mode (gatewayConfig.routingViaHost: true)"}, false, true
	case "flannel", "kindnet":
	case "antrea":
		return pluginNeed{}, true, true
	}
	return pluginNeed{}, false, false
}

func pluginTitle(name string) string {
	switch name {
	case "cilium":
		return "Cilium"
	case "calico":
		return "Calico"
	case "aws-vpc-cni":
		return "the VPC CNI of AWS"
	case "multus":
		return "Multus"
	case "ovn-kubernetes":
		return "OVN-Kubernetes"
	case "gke-dataplane-v2":
		return "GKE Dataplane V2"
	}
	return name
}

// networkPlugins are the names of components that run the network of a cluster.
func networkPlugins() []string {
	return []string{"antrea", "aws-vpc-cni", "calico", "cilium", "flannel", "gke-dataplane-v2", "kindnet", "multus", "ovn-kubernetes"}
}

func isNetworkPlugin(name string) bool { return slices.Contains(networkPlugins(), name) }

// judgeCilium reads the settings that were seen and names those that were not.
// cni-exclusive is true unless it is set, and so is nothing else.
func judgeCilium(x api.Component, runs string) (pluginNeed, bool, bool) {
	var effects, settings []string
	unseen := x.Settings == nil
	if unseen {
		runs += ", whose configuration was not read"
	}
	if x.Settings["cni-exclusive"] != "false" {
		effects = append(effects, "with cni.exclusive=true, its default, it removes istio-cni's configuration and pods start uncaptured")
		settings = append(settings, "set cni.exclusive=false")
	}
	if v := x.Settings["enable-bpf-masquerade"]; v == "true" || unseen {
		effects = append(effects, "with bpf.masquerade=true probes of captured pods fail")
		settings = append(settings, "set bpf.masquerade=false")
	}
	if v := x.Settings["kube-proxy-replacement"]; v != "false" && v != "disabled" {
		effects = append(effects, "with kube-proxy replacement probes may fail (istio/istio issue 52208, open)")
	}
	settings = append(settings, "admit 169.254.7.127/32 (P08)", "watch a canary pod with TCP and HTTP probes before wave 1")
	if len(effects) == 0 {
		return pluginNeed{api.Info, runs + ", with the settings that ambient mode needs",
			"it applies NetworkPolicies to the probes of captured pods", strings.Join(settings, ", and ")}, false, true
	}
	return pluginNeed{api.Warning, runs, strings.Join(effects, "; "), strings.Join(settings, ", and ")}, false, true
}

func judgeCalico(x api.Component, runs string) (pluginNeed, bool, bool) {
	v, ok := parseVersion(x.Version)
	if ok && !v.less(version{3, 29, 0}) || strings.EqualFold(x.Settings["FELIX_BPFENABLED"], "false") {
		return pluginNeed{}, false, false
	}
	if !ok {
		runs += ", in a version that was not seen"
	}
	return pluginNeed{api.Warning, runs, "with its eBPF data plane before 3.29 probes of captured pods fail and pods never become ready",
		fmt.Sprintf("upgrade to 3.29 when the eBPF data plane is on (FELIX_BPFENABLED is %s here; bpfEnabled of the FelixConfiguration also turns it on)", orNotSet(x.Settings["FELIX_BPFENABLED"]))}, false, true
}

func orNotSet(v string) string {
	if v == "" {
		return "not set"
	}
	return v
}
