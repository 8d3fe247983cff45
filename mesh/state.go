package mesh

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"

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

// Typed is an object with its spec decoded. Meaning is read from Spec; presence
// (an explicit zero, an unknown field) is read from Content, since the typed
// form cannot tell "attempts: 0" from no attempts at all.
type Typed[T any] struct {
	*api.Object
	Spec T
}

// State is one state of a mesh. It is immutable; all methods may be called from
// several goroutines. Every accessor reports what it read to the observer that
// Observed sets, so that a rule's declared inputs can be checked.
type State struct {
	ix   *index
	seen func(Kind)
}

// index holds the decoded objects of a state, each list sorted by reference.
type index struct {
	inv           *api.Inventory
	namespaces    map[string]*api.Namespace
	services      map[nsName]*api.Service
	servicesIn    map[string][]*api.Service
	workloadsIn   map[string][]*api.Workload
	labels        labelIndex
	rootNamespace string
	trustDomain   string
	clusterDomain string
	meshConfig    []Typed[*meshconfig.MeshConfig]
	authz         []Typed[*security.AuthorizationPolicy]
	authzIn       map[string][]Typed[*security.AuthorizationPolicy]
	requestAuthn  []Typed[*security.RequestAuthentication]
	peerAuthn     []Typed[*security.PeerAuthentication]
	peerAuthnIn   map[string][]Typed[*security.PeerAuthentication]
	virtual       []Typed[*networking.VirtualService]
	destination   []Typed[*networking.DestinationRule]
	gateways      []Typed[*networking.Gateway]
	entries       []Typed[*networking.ServiceEntry]
	sidecars      []Typed[*networking.Sidecar]
	wles          []Typed[*networking.WorkloadEntry]
	groups        []Typed[*networking.WorkloadGroup]
	filters       []Typed[*networking.EnvoyFilter]
	proxyConfigs  []Typed[*networkingbeta.ProxyConfig]
	wasm          []Typed[*extensions.WasmPlugin]
	trafficExt    []Typed[*extensions.TrafficExtension]
	telemetry     []Typed[*telemetry.Telemetry]
	k8sGateways   []Typed[*gwv1.GatewaySpec]
	httpRoutes    []Typed[*gwv1.HTTPRouteSpec]
	grpcRoutes    []Typed[*gwv1.GRPCRouteSpec]
	tcpRoutes     []Typed[*gwv1.TCPRouteSpec]
	tlsRoutes     []Typed[*gwv1.TLSRouteSpec]
	netpols       []Typed[*netv1.NetworkPolicySpec]
	raw           map[Kind][]*api.Object
	hosts         map[string]*api.Service
	entryHosts    map[string][]Typed[*networking.ServiceEntry]
	// more are Services of a rerouted state that the inventory does not hold, by host.
	more map[string]*api.Service
	// sources are what routes are read from, by reference.
	sources func() *routeSources
	// traffic is built when the first question about routes is asked.
	traffic func() *trafficIndex
}

type nsName struct{ namespace, name string }

// New builds a state from an inventory. Objects whose spec does not decode are
// returned as unknowns and are in no typed list; they stay in Objects, so that
// the ledger still reports their fields.
func New(inv *api.Inventory) (*State, []api.Unknown) {
	inv = sorted(inv)
	ix := &index{
		inv:         inv,
		namespaces:  map[string]*api.Namespace{},
		services:    map[nsName]*api.Service{},
		servicesIn:  map[string][]*api.Service{},
		workloadsIn: map[string][]*api.Workload{},
		authzIn:     map[string][]Typed[*security.AuthorizationPolicy]{},
		peerAuthnIn: map[string][]Typed[*security.PeerAuthentication]{},
		raw:         map[Kind][]*api.Object{},
		hosts:       map[string]*api.Service{},
		entryHosts:  map[string][]Typed[*networking.ServiceEntry]{},
	}
	for i := range inv.Namespaces {
		ix.namespaces[inv.Namespaces[i].Name] = &inv.Namespaces[i]
	}
	for i := range inv.Services {
		s := &inv.Services[i]
		ix.services[nsName{s.Namespace, s.Name}] = s
		ix.servicesIn[s.Namespace] = append(ix.servicesIn[s.Namespace], s)
	}
	for i := range inv.Workloads {
		w := &inv.Workloads[i]
		ix.workloadsIn[w.Namespace] = append(ix.workloadsIn[w.Namespace], w)
	}
	ix.labels = newLabelIndex(ix.workloadsIn, ix.servicesIn)
	var unknowns []api.Unknown
	for i := range inv.Objects {
		o := &inv.Objects[i]
		k := KindOf(api.GroupOf(o.APIVersion), o.Kind)
		ix.raw[k] = append(ix.raw[k], o)
		if err := ix.decode(k, o); err != nil {
			unknowns = append(unknowns, api.Unknown{
				ID: "undecodable-object", Subject: o.Ref(),
				What:     fmt.Sprintf("%s does not fit the type of its kind: %v", o.Ref(), err),
				Could:    "everything that this object configures is missing from the plan",
				Action:   "correct or remove the object; an API server with Istio's CRDs would refuse it",
				Evidence: []api.Evidence{{Object: o.Ref(), Source: o.Origin.At("spec")}},
			})
		}
	}
	ix.settle()
	ix.sources = sync.OnceValue(func() *routeSources { return newRouteSources(ix) })
	ix.traffic = sync.OnceValue(func() *trafficIndex { return newTrafficIndex(ix) })
	slices.SortFunc(unknowns, api.Unknown.Compare)
	return &State{ix: ix}, unknowns
}

// settle fills what depends on all objects.
func (ix *index) settle() {
	ix.rootNamespace, ix.trustDomain, ix.clusterDomain = "istio-system", "cluster.local", "cluster.local"
	if len(ix.meshConfig) > 0 {
		mc := ix.meshConfig[0].Spec
		if mc.RootNamespace != "" {
			ix.rootNamespace = mc.RootNamespace
		}
		if mc.TrustDomain != "" {
			ix.trustDomain = mc.TrustDomain
		}
	}
	for i := range ix.inv.Services {
		s := &ix.inv.Services[i]
		ix.hosts[s.Name+"."+s.Namespace+".svc."+ix.clusterDomain] = s
	}
	for _, e := range ix.entries {
		for _, h := range e.Spec.Hosts {
			ix.entryHosts[h] = append(ix.entryHosts[h], e)
		}
	}
	for _, p := range ix.peerAuthn {
		ix.peerAuthnIn[p.Namespace] = append(ix.peerAuthnIn[p.Namespace], p)
	}
	for _, p := range ix.authz {
		ix.authzIn[p.Namespace] = append(ix.authzIn[p.Namespace], p)
	}
}

// decode adds the typed form of an object to its list.
func (ix *index) decode(k Kind, o *api.Object) error {
	switch k {
	case KindAuthorizationPolicy:
		return add(&ix.authz, o, &security.AuthorizationPolicy{})
	case KindRequestAuthentication:
		return add(&ix.requestAuthn, o, &security.RequestAuthentication{})
	case KindPeerAuthentication:
		return add(&ix.peerAuthn, o, &security.PeerAuthentication{})
	case KindVirtualService:
		return add(&ix.virtual, o, &networking.VirtualService{})
	case KindDestinationRule:
		return add(&ix.destination, o, &networking.DestinationRule{})
	case KindGateway:
		return add(&ix.gateways, o, &networking.Gateway{})
	case KindServiceEntry:
		return add(&ix.entries, o, &networking.ServiceEntry{})
	case KindSidecar:
		return add(&ix.sidecars, o, &networking.Sidecar{})
	case KindWorkloadEntry:
		return add(&ix.wles, o, &networking.WorkloadEntry{})
	case KindWorkloadGroup:
		return add(&ix.groups, o, &networking.WorkloadGroup{})
	case KindEnvoyFilter:
		return add(&ix.filters, o, &networking.EnvoyFilter{})
	case KindProxyConfig:
		return add(&ix.proxyConfigs, o, &networkingbeta.ProxyConfig{})
	case KindWasmPlugin:
		return add(&ix.wasm, o, &extensions.WasmPlugin{})
	case KindTrafficExtension:
		return add(&ix.trafficExt, o, &extensions.TrafficExtension{})
	case KindTelemetry:
		return add(&ix.telemetry, o, &telemetry.Telemetry{})
	case KindK8sGateway:
		return add(&ix.k8sGateways, o, &gwv1.GatewaySpec{})
	case KindHTTPRoute:
		return add(&ix.httpRoutes, o, &gwv1.HTTPRouteSpec{})
	case KindGRPCRoute:
		return add(&ix.grpcRoutes, o, &gwv1.GRPCRouteSpec{})
	case KindTCPRoute:
		return add(&ix.tcpRoutes, o, &gwv1.TCPRouteSpec{})
	case KindTLSRoute:
		return add(&ix.tlsRoutes, o, &gwv1.TLSRouteSpec{})
	case KindNetworkPolicy:
		return add(&ix.netpols, o, &netv1.NetworkPolicySpec{})
	case KindMeshConfig:
		return add(&ix.meshConfig, o, &meshconfig.MeshConfig{})
	default:
		return nil
	}
}

// add decodes spec of o into spec and appends the pair. A missing spec is an
// empty one, as for the API server.
func add[T any](list *[]Typed[T], o *api.Object, spec T) error {
	v, ok := o.Content["spec"]
	if ok && v != nil {
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(b, spec); err != nil {
			return err
		}
	}
	*list = append(*list, Typed[T]{Object: o, Spec: spec})
	return nil
}

// Observed returns the same state whose accessors report each kind they read.
func (s *State) Observed(seen func(Kind)) *State { return &State{ix: s.ix, seen: seen} }

func (s *State) saw(k Kind) {
	if s.seen != nil {
		s.seen(k)
	}
}

// RootNamespace is Istio's root namespace; "istio-system" unless MeshConfig says otherwise.
func (s *State) RootNamespace() string { return s.ix.rootNamespace }

// TrustDomain is the trust domain of the mesh; "cluster.local" unless MeshConfig says otherwise.
func (s *State) TrustDomain() string { return s.ix.trustDomain }

// ClusterDomain is the DNS suffix of Services.
func (s *State) ClusterDomain() string { return s.ix.clusterDomain }

// Inventory is what the state was built from. Rules must not use it: what they
// read here is not observed.
func (s *State) Inventory() *api.Inventory { return s.ix.inv }
