package mesh

import (
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// TestReadForeignPolicy holds policies of Cilium and Calico as people write them.
// Whatever is not plain must be unknown, never open.
func TestReadForeignPolicy(t *testing.T) {
	inv := &api.Inventory{Workloads: []api.Workload{
		{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web", PodLabels: map[string]string{"app": "web"}},
		{Group: "apps", Kind: "Deployment", Namespace: "pay", Name: "pay", PodLabels: map[string]string{"app": "pay"}},
	}}
	st, _ := New(inv)
	const cilium, calico = "cilium.io/v2", "crd.projectcalico.org/v1"
	for _, c := range []struct {
		name, version, namespace, spec string
		pods                           int // -1: not known
		ingress, egress                HBONEState
	}{
		{"port", cilium, "shop", `{"endpointSelector":{"matchLabels":{"app":"web"}},"ingress":[{"fromEndpoints":[{}],"toPorts":[{"ports":[{"port":"80","protocol":"TCP"}]}]}]}`, 1, HBONEShut, HBONEFree},
		{"port and 15008", cilium, "shop", `{"endpointSelector":{"matchLabels":{"k8s:app":"web"}},"ingress":[{"toPorts":[{"ports":[{"port":"80"},{"port":"15008","protocol":"TCP"}]}]}]}`, 1, HBONEOpen, HBONEFree},
		{"range", cilium, "shop", `{"endpointSelector":{},"ingress":[{"toPorts":[{"ports":[{"port":"15000","endPort":15010}]}]}]}`, 1, HBONEOpen, HBONEFree},
		{"every port", cilium, "shop", `{"endpointSelector":{},"ingress":[{"fromEndpoints":[{}]}],"egress":[{"toEntities":["all"]}]}`, 1, HBONEOpen, HBONEOpen},
		{"nobody", cilium, "shop", `{"endpointSelector":{},"ingress":[]}`, 1, HBONEOpen, HBONEFree},
		{"dns only", cilium, "shop", `{"endpointSelector":{},"egress":[{"toPorts":[{"ports":[{"port":"53","protocol":"ANY"}]}]}]}`, 1, HBONEFree, HBONEOpen},
		{"to the world", cilium, "shop", `{"endpointSelector":{},"egress":[{"toFQDNs":[{"matchName":"a.example.com"}],"toPorts":[{"ports":[{"port":"443"}]}]},{"toEntities":["kube-apiserver"],"toPorts":[{"ports":[{"port":"443"}]}]}]}`, 1, HBONEFree, HBONEOpen},
		{"to the cluster", cilium, "shop", `{"endpointSelector":{},"egress":[{"toEntities":["cluster"],"toPorts":[{"ports":[{"port":"443"}]}]}]}`, 1, HBONEFree, HBONEShut},
		{"addresses", calico, "shop", `{"egress":[{"action":"Allow","protocol":"TCP","destination":{"nets":["10.0.0.0/8"],"ports":[443]}}]}`, 1, HBONEFree, HBONEUnknown},
		{"named port", cilium, "shop", `{"endpointSelector":{},"ingress":[{"toPorts":[{"ports":[{"port":"http"}]}]}]}`, 1, HBONEShut, HBONEFree},
		{"whole cluster", cilium, "", `{"endpointSelector":{"matchLabels":{"k8s:io.kubernetes.pod.namespace":"pay"}},"egress":[{"toPorts":[{"ports":[{"port":"443"}]}]}]}`, 1, HBONEFree, HBONEShut},
		{"deny rules", cilium, "shop", `{"endpointSelector":{},"ingressDeny":[{}]}`, 1, HBONEUnknown, HBONEFree},
		{"expressions", cilium, "shop", `{"endpointSelector":{"matchExpressions":[]},"ingress":[]}`, -1, HBONEOpen, HBONEFree},
		{"reserved", cilium, "", `{"endpointSelector":{"matchLabels":{"reserved:host":""}}}`, -1, HBONEFree, HBONEFree},
		{"nodes", cilium, "", `{"nodeSelector":{},"ingress":[]}`, -1, HBONEOpen, HBONEFree},
		{"odd port", cilium, "shop", `{"endpointSelector":{},"ingress":[{"toPorts":[{"ports":[{}]}]}]}`, 1, HBONEUnknown, HBONEFree},
		{"odd rule", cilium, "shop", `{"endpointSelector":{},"ingress":[{"authentication":{"mode":"required"}}]}`, 1, HBONEUnknown, HBONEFree},
		{"port", calico, "shop", `{"selector":"app == 'web'","ingress":[{"action":"Allow","protocol":"TCP","destination":{"ports":[80,"8080:8090"]}}]}`, 1, HBONEShut, HBONEFree},
		{"15008", calico, "shop", `{"selector":"app == \"web\" && all()","ingress":[{"action":"Allow","protocol":"TCP","destination":{"ports":[80,15008]}}]}`, 1, HBONEOpen, HBONEFree},
		{"default deny", calico, "", `{"types":["Ingress","Egress"],"egress":[{"action":"Allow","protocol":"UDP","destination":{"ports":[53]}}]}`, 2, HBONEOpen, HBONEOpen},
		{"deny rule", calico, "shop", `{"selector":"all()","ingress":[{"action":"Deny"}]}`, 1, HBONEUnknown, HBONEFree},
		{"not equal", calico, "shop", `{"selector":"app != 'web'","ingress":[]}`, -1, HBONEOpen, HBONEFree},
		{"or", calico, "shop", `{"selector":"app == 'web' || app == 'x'","ingress":[]}`, -1, HBONEOpen, HBONEFree},
		{"namespaces", calico, "", `{"namespaceSelector":"team == 'a'","ingress":[]}`, -1, HBONEOpen, HBONEFree},
	} {
		t.Run(c.version+" "+c.name, func(t *testing.T) {
			spec, _, err := api.DecodeObject([]byte(`{"spec":`+c.spec+`}`), 1, false)
			if err != nil {
				t.Fatal(err)
			}
			f := st.ReadForeignPolicy(&api.Object{APIVersion: c.version, Kind: "NetworkPolicy", Namespace: c.namespace, Name: "p", Content: spec})
			pods := -1
			if f.PodsKnown {
				pods = len(f.Pods)
			}
			if pods != c.pods || f.Ingress != c.ingress || f.Egress != c.egress {
				t.Errorf("pods %d, ingress %d, egress %d; want %d, %d, %d", pods, f.Ingress, f.Egress, c.pods, c.ingress, c.egress)
			}
		})
	}
}
