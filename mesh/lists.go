package mesh

import (
	extensions "istio.io/api/extensions/v1alpha1"
	meshconfig "istio.io/api/mesh/v1alpha1"
	networking "istio.io/api/networking/v1alpha3"
	networkingbeta "istio.io/api/networking/v1beta1"
	security "istio.io/api/security/v1beta1"
	telemetry "istio.io/api/telemetry/v1alpha1"
	netv1 "k8s.io/api/networking/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// Clusters of the state.
func (s *State) Clusters() []api.Cluster { s.saw(KindCluster); return s.ix.inv.Clusters }

// Namespaces, sorted by name.
func (s *State) Namespaces() []api.Namespace { s.saw(KindNamespace); return s.ix.inv.Namespaces }

// Namespace by name; nil when the state has none.
func (s *State) Namespace(name string) *api.Namespace {
	s.saw(KindNamespace)
	return s.ix.namespaces[name]
}

// Workloads, sorted by reference.
func (s *State) Workloads() []api.Workload { s.saw(KindWorkload); return s.ix.inv.Workloads }

// WorkloadsIn a namespace.
func (s *State) WorkloadsIn(namespace string) []*api.Workload {
	s.saw(KindWorkload)
	return s.ix.workloadsIn[namespace]
}

// Services, sorted by reference.
func (s *State) Services() []api.Service { s.saw(KindService); return s.ix.inv.Services }

// ServicesIn a namespace.
func (s *State) ServicesIn(namespace string) []*api.Service {
	s.saw(KindService)
	return s.ix.servicesIn[namespace]
}

// Service by namespace and name; nil when there is none.
func (s *State) Service(namespace, name string) *api.Service {
	s.saw(KindService)
	return s.ix.services[nsName{namespace, name}]
}

// Edges of the call graph.
func (s *State) Edges() []api.Edge { s.saw(KindEdge); return s.ix.inv.Edges }

// MeshConfigs, one for each revision of the control plane.
func (s *State) MeshConfigs() []Typed[*meshconfig.MeshConfig] {
	s.saw(KindMeshConfig)
	return s.ix.meshConfig
}

// AuthorizationPolicies of all namespaces.
func (s *State) AuthorizationPolicies() []Typed[*security.AuthorizationPolicy] {
	s.saw(KindAuthorizationPolicy)
	return s.ix.authz
}

// RequestAuthentications of all namespaces.
func (s *State) RequestAuthentications() []Typed[*security.RequestAuthentication] {
	s.saw(KindRequestAuthentication)
	return s.ix.requestAuthn
}

// PeerAuthentications of all namespaces.
func (s *State) PeerAuthentications() []Typed[*security.PeerAuthentication] {
	s.saw(KindPeerAuthentication)
	return s.ix.peerAuthn
}

// VirtualServices of all namespaces.
func (s *State) VirtualServices() []Typed[*networking.VirtualService] {
	s.saw(KindVirtualService)
	return s.ix.virtual
}

// DestinationRules of all namespaces.
func (s *State) DestinationRules() []Typed[*networking.DestinationRule] {
	s.saw(KindDestinationRule)
	return s.ix.destination
}

// Gateways of networking.istio.io.
func (s *State) Gateways() []Typed[*networking.Gateway] { s.saw(KindGateway); return s.ix.gateways }

// ServiceEntries of all namespaces.
func (s *State) ServiceEntries() []Typed[*networking.ServiceEntry] {
	s.saw(KindServiceEntry)
	return s.ix.entries
}

// Sidecars of all namespaces.
func (s *State) Sidecars() []Typed[*networking.Sidecar] { s.saw(KindSidecar); return s.ix.sidecars }

// WorkloadEntries of all namespaces.
func (s *State) WorkloadEntries() []Typed[*networking.WorkloadEntry] {
	s.saw(KindWorkloadEntry)
	return s.ix.wles
}

// WorkloadGroups of all namespaces.
func (s *State) WorkloadGroups() []Typed[*networking.WorkloadGroup] {
	s.saw(KindWorkloadGroup)
	return s.ix.groups
}

// EnvoyFilters of all namespaces.
func (s *State) EnvoyFilters() []Typed[*networking.EnvoyFilter] {
	s.saw(KindEnvoyFilter)
	return s.ix.filters
}

// ProxyConfigs of all namespaces.
func (s *State) ProxyConfigs() []Typed[*networkingbeta.ProxyConfig] {
	s.saw(KindProxyConfig)
	return s.ix.proxyConfigs
}

// WasmPlugins of all namespaces.
func (s *State) WasmPlugins() []Typed[*extensions.WasmPlugin] {
	s.saw(KindWasmPlugin)
	return s.ix.wasm
}

// TrafficExtensions of all namespaces.
func (s *State) TrafficExtensions() []Typed[*extensions.TrafficExtension] {
	s.saw(KindTrafficExtension)
	return s.ix.trafficExt
}

// Telemetries of all namespaces.
func (s *State) Telemetries() []Typed[*telemetry.Telemetry] {
	s.saw(KindTelemetry)
	return s.ix.telemetry
}

// K8sGateways are the Gateways of gateway.networking.k8s.io, waypoints included.
func (s *State) K8sGateways() []Typed[*gwv1.GatewaySpec] {
	s.saw(KindK8sGateway)
	return s.ix.k8sGateways
}

// HTTPRoutes of all namespaces.
func (s *State) HTTPRoutes() []Typed[*gwv1.HTTPRouteSpec] {
	s.saw(KindHTTPRoute)
	return s.ix.httpRoutes
}

// GRPCRoutes of all namespaces.
func (s *State) GRPCRoutes() []Typed[*gwv1.GRPCRouteSpec] {
	s.saw(KindGRPCRoute)
	return s.ix.grpcRoutes
}

// TCPRoutes of all namespaces.
func (s *State) TCPRoutes() []Typed[*gwv1.TCPRouteSpec] {
	s.saw(KindTCPRoute)
	return s.ix.tcpRoutes
}

// TLSRoutes of all namespaces.
func (s *State) TLSRoutes() []Typed[*gwv1.TLSRouteSpec] {
	s.saw(KindTLSRoute)
	return s.ix.tlsRoutes
}

// NetworkPolicies of networking.k8s.io.
func (s *State) NetworkPolicies() []Typed[*netv1.NetworkPolicySpec] {
	s.saw(KindNetworkPolicy)
	return s.ix.netpols
}

// Objects of a kind as they stand in the inventory, also those whose spec did
// not decode. It is the way to kinds that have no typed list.
func (s *State) Objects(k Kind) []*api.Object { s.saw(k); return s.ix.raw[k] }
