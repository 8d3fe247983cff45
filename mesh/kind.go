package mesh

import "sync"

// Kind names what a rule reads from a State. For objects it is the Kubernetes
// kind; Gateway API kinds that share a name with an Istio kind carry a prefix.
type Kind string

// Kinds that a State offers.
const (
	KindNamespace             Kind = "Namespace"
	KindWorkload              Kind = "Workload"
	KindService               Kind = "Service"
	KindEdge                  Kind = "Edge"
	KindCluster               Kind = "Cluster"
	KindMeshConfig            Kind = "MeshConfig"
	KindAuthorizationPolicy   Kind = "AuthorizationPolicy"
	KindRequestAuthentication Kind = "RequestAuthentication"
	KindPeerAuthentication    Kind = "PeerAuthentication"
	KindVirtualService        Kind = "VirtualService"
	KindDestinationRule       Kind = "DestinationRule"
	KindGateway               Kind = "Gateway"
	KindServiceEntry          Kind = "ServiceEntry"
	KindSidecar               Kind = "Sidecar"
	KindWorkloadEntry         Kind = "WorkloadEntry"
	KindWorkloadGroup         Kind = "WorkloadGroup"
	KindEnvoyFilter           Kind = "EnvoyFilter"
	KindProxyConfig           Kind = "ProxyConfig"
	KindWasmPlugin            Kind = "WasmPlugin"
	KindTrafficExtension      Kind = "TrafficExtension"
	KindTelemetry             Kind = "Telemetry"
	KindIstioOperator         Kind = "IstioOperator"
	KindK8sGateway            Kind = "K8sGateway"
	KindGatewayClass          Kind = "GatewayClass"
	KindHTTPRoute             Kind = "HTTPRoute"
	KindGRPCRoute             Kind = "GRPCRoute"
	KindTCPRoute              Kind = "TCPRoute"
	KindTLSRoute              Kind = "TLSRoute"
	KindUDPRoute              Kind = "UDPRoute"
	KindReferenceGrant        Kind = "ReferenceGrant"
	KindBackendTLSPolicy      Kind = "BackendTLSPolicy"
	KindBackendTrafficPolicy  Kind = "XBackendTrafficPolicy"
	KindListenerSet           Kind = "ListenerSet"
	KindNetworkPolicy         Kind = "NetworkPolicy"
	KindForeignNetworkPolicy  Kind = "ForeignNetworkPolicy" // Cilium and Calico kinds
	KindIngress               Kind = "Ingress"
	KindAutoscaler            Kind = "HorizontalPodAutoscaler"
	KindDisruptionBudget      Kind = "PodDisruptionBudget"
	KindCRD                   Kind = "CustomResourceDefinition"
	KindCanary                Kind = "Canary" // of Flagger
)

// groupKind is how an API object is told apart.
type groupKind struct{ group, kind string }

// kindTable maps API group and kind to Kind.
func kindTable() map[groupKind]Kind {
	const sec, net, ext, gw = "security.istio.io", "networking.istio.io", "extensions.istio.io", "gateway.networking.k8s.io"
	return map[groupKind]Kind{
		{sec, "AuthorizationPolicy"}:          KindAuthorizationPolicy,
		{sec, "RequestAuthentication"}:        KindRequestAuthentication,
		{sec, "PeerAuthentication"}:           KindPeerAuthentication,
		{net, "VirtualService"}:               KindVirtualService,
		{net, "DestinationRule"}:              KindDestinationRule,
		{net, "Gateway"}:                      KindGateway,
		{net, "ServiceEntry"}:                 KindServiceEntry,
		{net, "Sidecar"}:                      KindSidecar,
		{net, "WorkloadEntry"}:                KindWorkloadEntry,
		{net, "WorkloadGroup"}:                KindWorkloadGroup,
		{net, "EnvoyFilter"}:                  KindEnvoyFilter,
		{net, "ProxyConfig"}:                  KindProxyConfig,
		{ext, "WasmPlugin"}:                   KindWasmPlugin,
		{ext, "TrafficExtension"}:             KindTrafficExtension,
		{"telemetry.istio.io", "Telemetry"}:   KindTelemetry,
		{"install.istio.io", "IstioOperator"}: KindIstioOperator,
		{gw, "Gateway"}:                       KindK8sGateway,
		{gw, "GatewayClass"}:                  KindGatewayClass,
		{gw, "HTTPRoute"}:                     KindHTTPRoute,
		{gw, "GRPCRoute"}:                     KindGRPCRoute,
		{gw, "TCPRoute"}:                      KindTCPRoute,
		{gw, "TLSRoute"}:                      KindTLSRoute,
		{gw, "UDPRoute"}:                      KindUDPRoute,
		{gw, "ReferenceGrant"}:                KindReferenceGrant,
		{gw, "BackendTLSPolicy"}:              KindBackendTLSPolicy,
		{gw, "ListenerSet"}:                   KindListenerSet,
		{"gateway.networking.x-k8s.io", "XBackendTrafficPolicy"}: KindBackendTrafficPolicy,
		{"networking.k8s.io", "NetworkPolicy"}:                   KindNetworkPolicy,
		{"networking.k8s.io", "Ingress"}:                         KindIngress,
		{"cilium.io", "CiliumNetworkPolicy"}:                     KindForeignNetworkPolicy,
		{"cilium.io", "CiliumClusterwideNetworkPolicy"}:          KindForeignNetworkPolicy,
		{"crd.projectcalico.org", "NetworkPolicy"}:               KindForeignNetworkPolicy,
		{"crd.projectcalico.org", "GlobalNetworkPolicy"}:         KindForeignNetworkPolicy,
		{"policy", "PodDisruptionBudget"}:                        KindDisruptionBudget,
		{"autoscaling", "HorizontalPodAutoscaler"}:               KindAutoscaler,
		{"apiextensions.k8s.io", "CustomResourceDefinition"}:     KindCRD,
		{"istio.io", "MeshConfig"}:                               KindMeshConfig,
		{"", "Namespace"}:                                        KindNamespace,
		{"", "Service"}:                                          KindService,
		{"", "Pod"}:                                              KindWorkload,
		{"", "Node"}:                                             KindCluster,
		{"apps", "Deployment"}:                                   KindWorkload,
		{"apps", "StatefulSet"}:                                  KindWorkload,
		{"apps", "DaemonSet"}:                                    KindWorkload,
		{"apps", "ReplicaSet"}:                                   KindWorkload,
		{"batch", "Job"}:                                         KindWorkload,
		{"batch", "CronJob"}:                                     KindWorkload,
		{"flagger.app", "Canary"}:                                KindCanary,
		{"argoproj.io", "Rollout"}:                               KindWorkload,
	}
}

// KindOf tells which Kind an API group and kind belong to; "" when mesh does
// not know it.
func KindOf(group, kind string) Kind { return kindsByGroup()[groupKind{group, kind}] }

// kindsByGroup builds the table once; nobody writes to it.
var kindsByGroup = sync.OnceValue(kindTable)
