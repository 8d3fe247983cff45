package inventory

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// TestPlatformOf holds nodes as the platforms make them, and what they say.
func TestPlatformOf(t *testing.T) {
	for _, c := range []struct{ node, want, path string }{
		{`{"metadata":{"labels":{"cloud.google.com/gke-nodepool":"a"}}}`, "gke", `metadata.labels["cloud.google.com/gke-nodepool"]`},
		{`{"metadata":{"labels":{"eks.amazonaws.com/nodegroup":"a"}}}`, "eks", `metadata.labels["eks.amazonaws.com/nodegroup"]`},
		{`{"metadata":{"labels":{"kubernetes.azure.com/cluster":"a"}}}`, "aks", `metadata.labels["kubernetes.azure.com/cluster"]`},
		{`{"metadata":{"labels":{"node.openshift.io/os_id":"rhcos"}}}`, "openshift", `metadata.labels["node.openshift.io/os_id"]`},
		{`{"metadata":{"labels":{"microk8s.io/cluster":"true"}}}`, "microk8s", `metadata.labels["microk8s.io/cluster"]`},
		{`{"metadata":{"labels":{"minikube.k8s.io/name":"minikube"}}}`, "minikube", `metadata.labels["minikube.k8s.io/name"]`},
		{`{"spec":{"providerID":"k3s://k3d-dev-agent-0"}}`, "k3d", "spec.providerID"},
		{`{"spec":{"providerID":"k3s://node-1"}}`, "k3s", "spec.providerID"},
		{`{"spec":{"providerID":"kind://docker/kind/kind-worker"}}`, "kind", "spec.providerID"},
		{`{"spec":{"providerID":"aws:///eu-west-1a/i-1"},"status":{"nodeInfo":{"kubeletVersion":"v1.33.1-eks-1de2ab1"}}}`, "eks", "status.nodeInfo.kubeletVersion"},
		{`{"status":{"nodeInfo":{"kubeletVersion":"v1.32.1+k3s1"}}}`, "k3s", "status.nodeInfo.kubeletVersion"},
		{`{"status":{"nodeInfo":{"kubeletVersion":"v1.32.1+rke2r1"}}}`, "rke2", "status.nodeInfo.kubeletVersion"},
		// A machine of a cloud is not its managed Kubernetes.
		{`{"spec":{"providerID":"gce://project/zone/vm"},"status":{"nodeInfo":{"kubeletVersion":"v1.32.1"}}}`, "", ""},
		{`{"metadata":{"labels":"odd"},"spec":[]}`, "", ""},
	} {
		node, _, err := api.DecodeObject([]byte(c.node), 1, false)
		if err != nil {
			t.Fatal(err)
		}
		if name, path, _ := platformOf(node); name != c.want || path != c.path {
			t.Errorf("%s: %q at %q, want %q at %q", c.node, name, path, c.want, c.path)
		}
	}
}

// TestPlatformsAndPlugins reads a cluster whose nodes and plugins say what they are.
func TestPlatformsAndPlugins(t *testing.T) {
	const text = `
apiVersion: v1
kind: Node
metadata: {name: b, labels: {cloud.google.com/gke-nodepool: x}}
---
apiVersion: v1
kind: Node
metadata: {name: a, labels: {cloud.google.com/gke-nodepool: y}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: cilium-config, namespace: kube-system}
data: {cni-exclusive: "false", enable-bpf-masquerade: "true", identity-allocation-mode: crd}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: cilium, namespace: kube-system, labels: {k8s-app: cilium}}
spec: {template: {spec: {containers: [{name: agent, image: cilium:v1.18.0, env: [{name: PASSWORD, value: x}]}]}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: calico-node, namespace: kube-system, labels: {k8s-app: calico-node}}
spec: {template: {spec: {containers: [{name: calico-node, image: node:v3.27.0, env: [{name: FELIX_BPFENABLED, value: "true"}, {name: PASSWORD, value: x}]}]}}}
`
	c := readString(t, "", text).Clusters[0]
	ref := func(name string) api.Ref {
		return api.Ref{Group: "apps", Kind: "DaemonSet", Namespace: "kube-system", Name: name}
	}
	want := []api.Component{
		{Name: "calico", Version: "v3.27.0", Settings: map[string]string{"FELIX_BPFENABLED": "true"}, Ref: ref("calico-node")},
		{Name: "cilium", Version: "v1.18.0", Settings: map[string]string{"cni-exclusive": "false", "enable-bpf-masquerade": "true"}, Ref: ref("cilium")},
	}
	if d := cmp.Diff(want, c.Components); d != "" {
		t.Errorf("components (-want +got):\n%s", d)
	}
	if len(c.Platforms) != 1 || c.Platforms[0].Name != "gke" || c.Platforms[0].Nodes != 2 || c.Platforms[0].Evidence.Object.Name != "a" || c.Platforms[0].Evidence.Source == "" {
		t.Errorf("platforms: %+v", c.Platforms)
	}
}
