package assess

import (
	"slices"
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// view is a cluster that holds these objects, in the way in which an inventory keeps them.
func view(t *testing.T, components []api.Component, objects ...api.Object) clusterView {
	t.Helper()
	st, findings := mesh.New(&api.Inventory{
		Clusters: []api.Cluster{{Name: "here", Components: components}}, Objects: objects,
	})
	for _, f := range findings {
		t.Fatalf("an object of the test is not well formed: %v", f)
	}
	return clusterView{name: "here", st: st}
}

func crd(group string) api.Object {
	return api.Object{
		APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition", Name: "things." + group,
		Content: api.Content{"spec": map[string]any{"group": group}},
	}
}

func class(controller string) api.Object {
	return api.Object{
		APIVersion: "gateway.networking.k8s.io/v1", Kind: "GatewayClass", Name: "some",
		Content: api.Content{"spec": map[string]any{"controllerName": controller}},
	}
}

func ingress(spec map[string]any, annotations map[string]any) api.Object {
	return api.Object{
		APIVersion: "networking.k8s.io/v1", Kind: "Ingress", Namespace: "shop", Name: "web",
		Content: api.Content{"spec": spec, "metadata": map[string]any{"annotations": annotations}},
	}
}

// Products are recognised by what they install, and by nothing that only looks like it.
func TestFindParts(t *testing.T) {
	tests := []struct {
		name       string
		components []api.Component
		object     api.Object
		// want is the product and its kind; empty when nothing may be found.
		want, kind string
	}{
		{name: "Linkerd by its policies", object: crd("policy.linkerd.io"), want: "Linkerd", kind: kindMesh},
		{name: "Consul", object: crd("consul.hashicorp.com"), want: "Consul service mesh", kind: kindMesh},
		{name: "a subgroup counts", object: crd("x.kuma.io"), want: "Kuma", kind: kindMesh},
		{name: "a group that only ends alike does not", object: crd("notkuma.io")},
		{name: "App Mesh", object: crd("appmesh.k8s.aws"), want: "AWS App Mesh", kind: kindMesh},
		{name: "Kong by its class of Ingress", object: ingress(map[string]any{"ingressClassName": "kong"}, nil), want: "Kong", kind: kindGateway},
		{name: "NGINX by the old annotation", object: ingress(nil, map[string]any{"kubernetes.io/ingress.class": "nginx"}), want: "NGINX", kind: kindGateway},
		{name: "an Ingress of nobody", object: ingress(nil, nil)},
		{name: "Envoy Gateway by its controller", object: class("gateway.envoyproxy.io/gatewayclass-controller"), want: "Envoy Gateway", kind: kindGateway},
		{name: "Istio's class for waypoints is no gateway for traffic from outside", object: api.Object{
			APIVersion: "gateway.networking.k8s.io/v1", Kind: "GatewayClass", Name: "istio-waypoint",
			Content: api.Content{"spec": map[string]any{"controllerName": "istio.io/mesh-controller"}},
		}},
		{name: "Cilium", components: []api.Component{{Name: "cilium"}}, object: crd("example.com"), want: "Cilium", kind: kindNetwork},
		{name: "Dataplane V2", components: []api.Component{{Name: "gke-dataplane-v2"}}, object: crd("example.com"), want: "GKE Dataplane V2 (Google's build of Cilium)", kind: kindNetwork},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := findParts(view(t, tt.components, tt.object))
			if tt.want == "" {
				if len(got) > 0 {
					t.Fatalf("found %+v, want nothing", got)
				}
				return
			}
			if len(got) != 1 || got[0].Name != tt.want || got[0].Kind != tt.kind {
				t.Fatalf("found %+v, want %s, a %s", got, tt.want, tt.kind)
			}
			if len(got[0].Evidence) == 0 || got[0].What == "" {
				t.Errorf("found %+v without evidence or without what it is", got[0])
			}
		})
	}
}

// Whether Cilium encrypts is said only when its settings were read.
func TestCiliumEncryption(t *testing.T) {
	tests := []struct {
		settings map[string]string
		what     string
		encrypts bool
	}{
		{map[string]string{"enable-wireguard": "true"}, "its encryption between nodes is switched on", true},
		{map[string]string{"enable-ipsec": "true", "enable-wireguard": "false"}, "its encryption between nodes is switched on", true},
		{map[string]string{"enable-wireguard": "false"}, "its encryption between nodes is switched off", false},
		{nil, "whether it encrypts between nodes was not read", false},
	}
	for _, tt := range tests {
		v := view(t, []api.Component{{Name: "cilium", Settings: tt.settings}})
		got := findParts(v)
		if len(got) != 1 || got[0].What != "network policies and flows; "+tt.what {
			t.Errorf("settings %v: %+v, want one that says %q", tt.settings, got, tt.what)
		}
		if encrypts(v.st) != tt.encrypts {
			t.Errorf("settings %v: encrypts is %v", tt.settings, !tt.encrypts)
		}
	}
}

// Every product has a way to be recognised, and none has the same as another: what is found
// twice would be counted twice.
func TestProductsAreApart(t *testing.T) {
	seen := map[string]string{}
	for _, k := range products() {
		marks := slices.Concat(k.groups, k.controllers, k.classes, k.labels)
		if len(marks) == 0 || k.name == "" || k.kind == "" {
			t.Errorf("%+v cannot be recognised", k)
		}
		for _, m := range marks {
			if seen[m] != "" {
				t.Errorf("%s: %q is the mark of %s too", k.name, m, seen[m])
			}
			seen[m] = k.name + " "
		}
	}
}
