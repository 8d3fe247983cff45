package meshgen

import (
	"strconv"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// Versions of the platform that every mesh here runs on.
const (
	istioVersion      = "1.31.1"
	kubernetesVersion = "1.37.2"
	gatewayAPIVersion = "v1.6.3"
)

// platform adds the control plane, what ambient needs on the nodes, the ingress gateway and the cluster's DNS.
func (g *generator) platform() {
	for _, name := range []string{"istio-system", "istio-ingress", "kube-system"} {
		labels := map[string]string{"kubernetes.io/metadata.name": name}
		if name == "istio-ingress" {
			labels["istio-injection"] = "enabled"
		}
		g.inv.Namespaces = append(g.inv.Namespaces, api.Namespace{Name: name, Labels: labels})
	}
	g.platformWorkload("Deployment", "istio-system", "istiod", "discovery", 2, false)
	g.platformWorkload("DaemonSet", "istio-system", "ztunnel", "istio-proxy", g.p.Nodes, false)
	g.platformWorkload("DaemonSet", "istio-system", "istio-cni-node", "install-cni", g.p.Nodes, true)
	g.platformWorkload("Deployment", "kube-system", "coredns", "coredns", 2, false)
	g.gateway()

	g.service("istio-system", "istiod", map[string]string{"app": "istiod"}, api.ServicePort{Name: "grpc-xds", Port: 15010, TargetPort: "15010", Transport: "TCP", Protocol: "GRPC"})
	g.service("kube-system", "kube-dns", map[string]string{"app": "coredns"}, api.ServicePort{Name: "dns", Port: 53, TargetPort: "53", Transport: "UDP", Protocol: "UDP"})

	g.object("istio.io/v1alpha1", "MeshConfig", "istio-system", "istio", nil, object{"accessLogFile": "/dev/stdout", "trustDomain": "cluster.local"})
	for _, crd := range [][2]string{{"gateways", "Gateway"}, {"httproutes", "HTTPRoute"}, {"grpcroutes", "GRPCRoute"}, {"referencegrants", "ReferenceGrant"}} {
		g.gatewayCRD(crd[0], crd[1])
	}
	ztunnel, _ := proxySize("ztunnel")
	istiod := api.Ref{Group: "apps", Kind: "Deployment", Namespace: "istio-system", Name: "istiod"}
	g.inv.Clusters = []api.Cluster{{
		KubernetesVersion: kubernetesVersion,
		Istiods:           []api.ControlPlane{{Ref: istiod, Version: istioVersion, Flags: map[string]string{"PILOT_ENABLE_AMBIENT": "true"}}},
		Nodes:             []api.NodeShape{{OS: "linux", CPU: "16", Memory: "64Gi", Count: g.p.Nodes}},
		Components: []api.Component{
			{Name: "istio-cni-node", Version: istioVersion, Ref: api.Ref{Group: "apps", Kind: "DaemonSet", Namespace: "istio-system", Name: "istio-cni-node"}},
			{Name: "ztunnel", Version: istioVersion, Ref: api.Ref{Group: "apps", Kind: "DaemonSet", Namespace: "istio-system", Name: "ztunnel"}, Requests: &ztunnel},
		},
	}}
}

// platformWorkload adds a workload that is in no mesh.
func (g *generator) platformWorkload(kind, namespace, name, container string, pods int, hostNetwork bool) {
	w := api.Workload{
		Group: "apps", Kind: kind, Namespace: namespace, Name: name, APIVersion: "apps/v1", ServiceAccount: name,
		PodLabels: map[string]string{"app": name}, Containers: []string{container}, HostNetwork: hostNetwork,
		Pods: api.PodCounts{Observed: true, Total: pods, Uncaptured: pods},
	}
	if hostNetwork {
		w.Pods.HostNetwork = pods
	}
	if kind == "Deployment" {
		n := int32(pods)
		w.Replicas = &n
	}
	// A proxy that is written into the template is what ztunnel is; it is no sidecar of anything.
	if container == "istio-proxy" {
		w.ManualProxy = true
		w.Pods.Sidecar, w.Pods.Uncaptured = pods, 0
		w.Pods.Proxies = proxies(name, pods)
	}
	g.inv.Workloads = append(g.inv.Workloads, w)
}

// gateway adds an injected ingress gateway and the Gateway it serves.
func (g *generator) gateway() {
	replicas := int32(3)
	g.inv.Workloads = append(g.inv.Workloads, api.Workload{
		Group: "apps", Kind: "Deployment", Namespace: "istio-ingress", Name: "ingressgateway", APIVersion: "apps/v1", ServiceAccount: "ingressgateway",
		PodLabels:      map[string]string{"app": "ingressgateway", "istio": "ingressgateway"},
		PodAnnotations: map[string]string{"inject.istio.io/templates": "gateway"},
		Replicas:       &replicas, Containers: []string{"istio-proxy"}, ManualProxy: true,
		Pods: api.PodCounts{Observed: true, Total: 3, Sidecar: 3, Proxies: proxies("ingressgateway", 3)},
	})
	g.service("istio-ingress", "ingressgateway", map[string]string{"app": "ingressgateway"},
		api.ServicePort{Name: "https", Port: 443, TargetPort: "8443", Transport: "TCP", Protocol: "HTTPS"})
	g.inv.Services[len(g.inv.Services)-1].Type = "LoadBalancer"
	g.object("networking.istio.io/v1", "Gateway", "istio-ingress", "public", nil, object{
		"selector": object{"istio": "ingressgateway"},
		"servers": list{object{
			"hosts": list{"*.example.com"},
			"port":  object{"name": "https", "number": int64(443), "protocol": "HTTPS"},
			"tls":   object{"credentialName": "public", "mode": "SIMPLE"},
		}},
	})
}

// gatewayCRD adds what the inventory keeps of a CustomResourceDefinition of the Gateway API.
func (g *generator) gatewayCRD(plural, kind string) {
	const group = "gateway.networking.k8s.io"
	g.object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", plural+"."+group, nil, object{
		"group": group, "scope": "Namespaced",
		"names":    object{"kind": kind, "plural": plural},
		"versions": list{object{"name": "v1", "served": true, "storage": true}},
	})
	o := &g.inv.Objects[len(g.inv.Objects)-1]
	o.Content["metadata"].(object)["annotations"] = object{group + "/bundle-version": gatewayAPIVersion, group + "/channel": "standard"}
}

// service adds a Service of type ClusterIP.
func (g *generator) service(namespace, name string, selector map[string]string, ports ...api.ServicePort) {
	g.inv.Services = append(g.inv.Services, api.Service{Namespace: namespace, Name: name, Type: "ClusterIP", Selector: selector, Ports: ports})
}

func portText(port int32) string { return strconv.Itoa(int(port)) }
