package v1alpha1

import "fmt"

// KindInfo is one kind of object that an inventory asks for.
type KindInfo struct {
	Group    string
	Kind     string
	Resource string
}

// ListRule is the rule of a role that lets somebody list the kind, as it stands in YAML.
func (k KindInfo) ListRule() string {
	return fmt.Sprintf(`{apiGroups: [%q], resources: [%s], verbs: [list]}`, k.Group, k.Resource)
}

// Kinds lists every kind that an inventory asks for; coverage has one entry for
// each. Kinds that are read in a shape of their own come first, those kept as
// whole objects after them. It returns a new slice at each call.
func Kinds() []KindInfo {
	return []KindInfo{
		{"", "Namespace", "namespaces"},
		{"", "Service", "services"},
		{"", "Pod", "pods"},
		{"", "Node", "nodes"},
		{"apps", "Deployment", "deployments"},
		{"apps", "StatefulSet", "statefulsets"},
		{"apps", "DaemonSet", "daemonsets"},
		{"apps", "ReplicaSet", "replicasets"},
		{"batch", "Job", "jobs"},
		{"batch", "CronJob", "cronjobs"},
		{"argoproj.io", "Rollout", "rollouts"},
		{"flagger.app", "Canary", "canaries"},

		{"security.istio.io", "AuthorizationPolicy", "authorizationpolicies"},
		{"security.istio.io", "RequestAuthentication", "requestauthentications"},
		{"security.istio.io", "PeerAuthentication", "peerauthentications"},
		{"networking.istio.io", "VirtualService", "virtualservices"},
		{"networking.istio.io", "DestinationRule", "destinationrules"},
		{"networking.istio.io", "Gateway", "gateways"},
		{"networking.istio.io", "ServiceEntry", "serviceentries"},
		{"networking.istio.io", "Sidecar", "sidecars"},
		{"networking.istio.io", "WorkloadEntry", "workloadentries"},
		{"networking.istio.io", "WorkloadGroup", "workloadgroups"},
		{"networking.istio.io", "EnvoyFilter", "envoyfilters"},
		{"networking.istio.io", "ProxyConfig", "proxyconfigs"},
		{"extensions.istio.io", "WasmPlugin", "wasmplugins"},
		{"extensions.istio.io", "TrafficExtension", "trafficextensions"},
		{"telemetry.istio.io", "Telemetry", "telemetries"},
		{"install.istio.io", "IstioOperator", "istiooperators"},

		{"gateway.networking.k8s.io", "Gateway", "gateways"},
		{"gateway.networking.k8s.io", "GatewayClass", "gatewayclasses"},
		{"gateway.networking.k8s.io", "HTTPRoute", "httproutes"},
		{"gateway.networking.k8s.io", "GRPCRoute", "grpcroutes"},
		{"gateway.networking.k8s.io", "TCPRoute", "tcproutes"},
		{"gateway.networking.k8s.io", "TLSRoute", "tlsroutes"},
		{"gateway.networking.k8s.io", "UDPRoute", "udproutes"},
		{"gateway.networking.k8s.io", "ReferenceGrant", "referencegrants"},
		{"gateway.networking.k8s.io", "BackendTLSPolicy", "backendtlspolicies"},
		{"gateway.networking.k8s.io", "ListenerSet", "listenersets"},
		{"gateway.networking.x-k8s.io", "XBackendTrafficPolicy", "xbackendtrafficpolicies"},

		{"networking.k8s.io", "NetworkPolicy", "networkpolicies"},
		{"networking.k8s.io", "Ingress", "ingresses"},
		{"cilium.io", "CiliumNetworkPolicy", "ciliumnetworkpolicies"},
		{"cilium.io", "CiliumClusterwideNetworkPolicy", "ciliumclusterwidenetworkpolicies"},
		{"crd.projectcalico.org", "NetworkPolicy", "networkpolicies"},
		{"crd.projectcalico.org", "GlobalNetworkPolicy", "globalnetworkpolicies"},
		{"policy", "PodDisruptionBudget", "poddisruptionbudgets"},
		{"autoscaling", "HorizontalPodAutoscaler", "horizontalpodautoscalers"},
		{"apiextensions.k8s.io", "CustomResourceDefinition", "customresourcedefinitions"},

		// MeshConfig is not a resource of the API: it is the key "mesh" of Istio's
		// ConfigMap, kept as an object of this kind in the namespace of the ConfigMap.
		{"istio.io", "MeshConfig", ""},
	}
}
