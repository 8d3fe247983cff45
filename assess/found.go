package assess

import (
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// Kinds of what is found.
const (
	kindMesh    = "mesh"
	kindGateway = "gateway"
	kindNetwork = "network"
)

// known is a product that does a part of a mesh's work, and how it is recognised: by a
// group of its CustomResourceDefinitions, the controller of a GatewayClass, the class of
// an Ingress, or a label of its workloads.
type known struct {
	name, kind, what string
	groups           []string
	controllers      []string
	classes          []string
	labels           []string
}

// products are recognised by names that their own documentation gives.
func products() []known {
	return []known{
		{name: "Linkerd", kind: kindMesh, what: "a mesh of sidecars with mutual TLS by default", groups: []string{"policy.linkerd.io", "linkerd.io"}, labels: []string{"linkerd.io/control-plane-component"}},
		{name: "Consul service mesh", kind: kindMesh, what: "a mesh of sidecars", groups: []string{"consul.hashicorp.com"}},
		{name: "Kuma", kind: kindMesh, what: "a mesh of sidecars (Kong Mesh is built from it)", groups: []string{"kuma.io"}},
		{name: "AWS App Mesh", kind: kindMesh, what: "a mesh of sidecars; AWS ended its support on 2026-09-30", groups: []string{"appmesh.k8s.aws"}},
		{name: "Open Service Mesh", kind: kindMesh, what: "a mesh of sidecars; the project is archived", groups: []string{"openservicemesh.io"}},
		{name: "Kong", kind: kindGateway, groups: []string{"configuration.konghq.com"}, controllers: []string{"konghq.com/kic-gateway-controller", "konghq.com/gateway-operator"}, classes: []string{"kong"}},
		{name: "Envoy Gateway", kind: kindGateway, groups: []string{"gateway.envoyproxy.io"}, controllers: []string{"gateway.envoyproxy.io/gatewayclass-controller"}},
		{name: "Emissary-ingress", kind: kindGateway, groups: []string{"getambassador.io"}, classes: []string{"ambassador"}},
		{name: "Traefik", kind: kindGateway, groups: []string{"traefik.io", "traefik.containo.us"}, controllers: []string{"traefik.io/gateway-controller"}, classes: []string{"traefik"}},
		{name: "Apache APISIX", kind: kindGateway, groups: []string{"apisix.apache.org"}, classes: []string{"apisix"}},
		{name: "Gloo Gateway", kind: kindGateway, groups: []string{"gateway.solo.io", "gloo.solo.io"}, controllers: []string{"solo.io/gloo-gateway"}},
		{name: "kgateway", kind: kindGateway, groups: []string{"gateway.kgateway.dev"}, controllers: []string{"kgateway.dev/kgateway"}},
		{name: "Contour", kind: kindGateway, groups: []string{"projectcontour.io"}, controllers: []string{"projectcontour.io/gateway-controller"}, classes: []string{"contour"}},
		{name: "NGINX", kind: kindGateway, groups: []string{"k8s.nginx.org", "gateway.nginx.org"}, controllers: []string{"gateway.nginx.org/nginx-gateway-controller"}, classes: []string{"nginx"}},
		{name: "HAProxy", kind: kindGateway, groups: []string{"core.haproxy.org", "ingress.v3.haproxy.org"}, classes: []string{"haproxy"}},
		{name: "Tyk", kind: kindGateway, groups: []string{"tyk.tyk.io"}},
		{name: "the AWS load balancer controller", kind: kindGateway, groups: []string{"elbv2.k8s.aws"}, classes: []string{"alb"}},
		{name: "the load balancer of GKE", kind: kindGateway, classes: []string{"gce", "gce-internal"}},
		{name: "the gateways of Istio", kind: kindGateway, controllers: []string{"istio.io/gateway-controller"}, classes: []string{"istio"}},
	}
}

// findParts recognises what does a part of the work in one cluster, sorted as listed.
func findParts(v clusterView) []api.FoundPart {
	var out []api.FoundPart
	for _, k := range products() {
		if ev := k.evidence(v.st); len(ev) > 0 {
			what := k.what
			if what == "" {
				what = "a gateway for traffic that enters the cluster"
			}
			out = append(out, api.FoundPart{Cluster: v.name, Name: k.name, Kind: k.kind, What: what, Evidence: ev})
		}
	}
	for _, c := range v.st.Clusters() {
		for _, comp := range c.Components {
			switch comp.Name {
			case "cilium", "gke-dataplane-v2":
				out = append(out, api.FoundPart{Cluster: v.name, Name: networkName(comp.Name), Kind: kindNetwork, What: ciliumDoes(comp), Evidence: []api.Evidence{{Object: comp.Ref}}})
			case "calico", "antrea":
				out = append(out, api.FoundPart{Cluster: v.name, Name: networkName(comp.Name), Kind: kindNetwork, What: "a network plugin with policies of layer 3 and 4", Evidence: []api.Evidence{{Object: comp.Ref}}})
			}
		}
	}
	return out
}

func networkName(component string) string {
	switch component {
	case "cilium":
		return "Cilium"
	case "gke-dataplane-v2":
		return "GKE Dataplane V2 (Google's build of Cilium)"
	case "calico":
		return "Calico"
	}
	return "Antrea"
}

// ciliumDoes says which of a mesh's work Cilium is set to do, as far as its ConfigMap tells.
func ciliumDoes(c api.Component) string {
	on := func(k string) bool { return c.Settings[k] == "true" }
	switch {
	case on("enable-wireguard"), on("enable-ipsec"):
		return "network policies and flows; its encryption between nodes is switched on"
	case c.Settings["enable-wireguard"] != "" || c.Settings["enable-ipsec"] != "":
		return "network policies and flows; its encryption between nodes is switched off"
	}
	return "network policies and flows; whether it encrypts between nodes was not read"
}

// encrypts tells whether Cilium is set to encrypt.
func encrypts(st *mesh.State) bool {
	for _, c := range st.Clusters() {
		for _, comp := range c.Components {
			if comp.Name == "cilium" && (comp.Settings["enable-wireguard"] == "true" || comp.Settings["enable-ipsec"] == "true") {
				return true
			}
		}
	}
	return false
}

// maxFoundEvidence is how many objects are cited for a product.
const maxFoundEvidence = 3

// evidence is what says that the product is there.
func (k known) evidence(st *mesh.State) []api.Evidence {
	var out []api.Evidence
	add := func(o *api.Object, path, value string) {
		if len(out) < maxFoundEvidence {
			out = append(out, api.Evidence{Object: o.Ref(), Path: path, Value: value, Source: o.Origin.At(path)})
		}
	}
	for _, o := range st.Objects(mesh.KindCRD) {
		if g := text(o.Content, "spec", "group"); slices.ContainsFunc(k.groups, func(want string) bool { return g == want || strings.HasSuffix(g, "."+want) }) {
			add(o, "spec.group", g)
		}
	}
	for _, o := range st.Objects(mesh.KindGatewayClass) {
		if c := text(o.Content, "spec", "controllerName"); slices.Contains(k.controllers, c) && o.Name != "istio-waypoint" {
			add(o, "spec.controllerName", c)
		}
	}
	for _, o := range st.Objects(mesh.KindIngress) {
		class := text(o.Content, "spec", "ingressClassName")
		if class == "" {
			class = o.Annotations()["kubernetes.io/ingress.class"]
		}
		if class != "" && slices.Contains(k.classes, class) {
			add(o, "spec.ingressClassName", class)
		}
	}
	for i := range st.Workloads() {
		w := &st.Workloads()[i]
		for _, l := range k.labels {
			if w.Labels[l] != "" && len(out) < maxFoundEvidence {
				out = append(out, api.Evidence{Object: w.Ref(), Path: api.FieldPath("metadata.labels", l), Value: w.Labels[l]})
			}
		}
	}
	return out
}

// text is the string at the given keys of an object, or "".
func text(c map[string]any, keys ...string) string {
	var v any = map[string]any(c)
	for _, k := range keys {
		m, ok := v.(map[string]any)
		if !ok {
			return ""
		}
		v = m[k]
	}
	s, _ := v.(string)
	return s
}
