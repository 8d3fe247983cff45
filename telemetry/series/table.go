package series

import "github.com/ambientplan/ambientplan/mesh"

// Emitter is what counts a call. The zero value is unknown.
type Emitter int

// Emitters.
const (
	EmitterUnknown Emitter = iota
	SidecarClient
	SidecarServer
	GatewayClient
	ZtunnelSource
	ZtunnelDestination
	WaypointProxy
	// Container, Istiod and Kubernetes emit what belongs to no call; see Workloads.
	Container
	Istiod
	Kubernetes
)

// String says who it is, in evidence.
func (e Emitter) String() string {
	switch e {
	case SidecarClient:
		return "sidecar of the client"
	case SidecarServer:
		return "sidecar of the server"
	case GatewayClient:
		return "gateway"
	case ZtunnelSource:
		return "ztunnel of the client"
	case ZtunnelDestination:
		return "ztunnel of the server"
	case WaypointProxy:
		return "waypoint"
	case Container:
		return "container"
	case Istiod:
		return "istiod"
	case Kubernetes:
		return "kube-state-metrics"
	case EmitterUnknown:
	}
	return "unknown"
}

// Peer is whom a label names.
type Peer int

// Peers. The zero value writes the label value "unknown", as Istio does.
const (
	Nobody Peer = iota
	Client
	Server
	// NextHop is the waypoint when the call goes through it, else the server.
	NextHop
	// PreviousHop is the waypoint when the call goes through it, else the client.
	PreviousHop
	// HeaderPeer is PreviousHop, except that a gateway's own metadata header survives the waypoint [INF].
	HeaderPeer
	// TheWaypoint of the service.
	TheWaypoint
)

// Security is how connection_security_policy is made.
type Security int

// Securities.
const (
	// AlwaysUnknown is an Envoy that reports as source.
	AlwaysUnknown Security = iota
	// MutualOrNone is an Envoy that reports as destination, and a waypoint.
	MutualOrNone
	// MutualOrUnknown is ztunnel, which has no "none".
	MutualOrUnknown
)

// Row says what one emitter reports of a call.
type Row struct {
	Emitter  Emitter
	Reporter string
	// Emits says whether this emitter is on the path.
	Emits func(Path) bool
	// Requests says that it emits the HTTP families for HTTP and gRPC; without it every call is istio_tcp_*.
	Requests bool
	// Source and Destination are whom source_* and destination_* name, SourcePrincipal and
	// DestinationPrincipal whose identity the handshake showed.
	Source, SourcePrincipal, Destination, DestinationPrincipal Peer
	// Canonical says that *_app and *_version hold the canonical name and revision, not the pod labels.
	Canonical bool
	Security  Security
	// Target is the peer whose pod is scraped: the labels pod, namespace, app of the scrape.
	Target Peer
	// Node says that the pod scraped is the node's ztunnel.
	Node bool
	// Picks says that this emitter picks the endpoint, and so makes the errors of calls that find none.
	Picks func(Path) bool
	// ServerSide says that calls which found no endpoint never reach this emitter.
	ServerSide bool
	// Facts are sections of the facts, with the upstream source.
	Facts []string
}

func never(Path) bool       { return false }
func always(Path) bool      { return true }
func bypassing(p Path) bool { return !p.Via }

// Rows is the metrics model of calls.
func Rows() []Row {
	return []Row{
		{
			Emitter: SidecarClient, Reporter: "source", Requests: true,
			Emits:  func(p Path) bool { return p.Client == mesh.ModeSidecar },
			Source: Client, SourcePrincipal: Client, Destination: Server, DestinationPrincipal: Server,
			Security: AlwaysUnknown, Target: Client, Picks: always,
			Facts: []string{"1.1 reporter=source outbound: istio pilot/pkg/model/telemetry.go generateStatsConfig", "1.3 sidecar source"},
		},
		{
			Emitter: GatewayClient, Reporter: "source", Requests: true,
			Emits:  func(p Path) bool { return p.Client == mesh.ModeGateway },
			Source: Client, SourcePrincipal: Client, Destination: NextHop, DestinationPrincipal: NextHop,
			Security: AlwaysUnknown, Target: Client, Picks: bypassing,
			Facts: []string{"1.1 gateways report source", "1.9 GW rows"},
		},
		{
			Emitter: ZtunnelSource, Reporter: "source",
			Emits:  func(p Path) bool { return p.Client == mesh.ModeAmbient },
			Source: Client, SourcePrincipal: Client, Destination: NextHop, DestinationPrincipal: NextHop, Canonical: true,
			Security: MutualOrUnknown, Node: true, Picks: never,
			Facts: []string{"1.1 ztunnel never emits HTTP: ztunnel proxy/metrics.rs", "1.3 destination_workload is the waypoint: ztunnel proxy/outbound.rs build_request"},
		},
		{
			Emitter: WaypointProxy, Reporter: "waypoint", Requests: true,
			Emits:  func(p Path) bool { return p.Via },
			Source: Client, SourcePrincipal: Client, Destination: Server, DestinationPrincipal: Server,
			Security: MutualOrNone, Target: TheWaypoint, Picks: always,
			Facts: []string{"1.1 reporter=waypoint always (SERVER_GATEWAY): istio pilot/pkg/model/telemetry.go", "1.3 destination_workload unknown without an endpoint: envoy istio_stats.cc ServerGateway"},
		},
		{
			Emitter: SidecarServer, Reporter: "destination", Requests: true,
			Emits:  func(p Path) bool { return p.Server == mesh.ModeSidecar },
			Source: HeaderPeer, SourcePrincipal: PreviousHop, Destination: Server, DestinationPrincipal: Server,
			Security: MutualOrNone, Target: Server, Picks: never, ServerSide: true,
			Facts: []string{"1.1 reporter=destination inbound", "1.9 the server sidecar sees the waypoint as peer: envoy peer_metadata.cc"},
		},
		{
			Emitter: ZtunnelDestination, Reporter: "destination",
			Emits:  func(p Path) bool { return p.Server == mesh.ModeAmbient },
			Source: PreviousHop, SourcePrincipal: PreviousHop, Destination: Server, DestinationPrincipal: Server, Canonical: true,
			Security: MutualOrUnknown, Node: true, Picks: never, ServerSide: true,
			Facts: []string{"1.1 ztunnel emits reporter=destination too: ztunnel proxy/metrics.rs; tests/integration/ambient buildL4Query", "1.3 connection_security_policy is never none at ztunnel"},
		},
	}
}

// Kind is what a family counts. The zero value is unknown.
type Kind int

// Kinds.
const (
	KindUnknown Kind = iota
	// Counter counts requests or connections.
	Counter
	// BytesCounter counts bytes.
	BytesCounter
	// DurationHistogram and BytesHistogram have _bucket, _sum and _count.
	DurationHistogram
	BytesHistogram
)

// Family is one metric of calls.
type Family struct {
	// Name without _bucket, _sum and _count.
	Name string
	Kind Kind
	// Request says that it is HTTP or gRPC, never emitted by ztunnel.
	Request bool
	// OnlyGRPC and OnlyZtunnel restrict it further.
	OnlyGRPC, OnlyZtunnel bool
}

// Families are the call metrics, in the order of observability.md 1.2.
func Families() []Family {
	return []Family{
		{Name: "istio_requests_total", Kind: Counter, Request: true},
		{Name: "istio_request_duration_milliseconds", Kind: DurationHistogram, Request: true},
		{Name: "istio_request_bytes", Kind: BytesHistogram, Request: true},
		{Name: "istio_response_bytes", Kind: BytesHistogram, Request: true},
		{Name: "istio_request_messages_total", Kind: Counter, Request: true, OnlyGRPC: true},
		{Name: "istio_response_messages_total", Kind: Counter, Request: true, OnlyGRPC: true},
		{Name: "istio_tcp_connections_opened_total", Kind: Counter},
		{Name: "istio_tcp_connections_closed_total", Kind: Counter},
		{Name: "istio_tcp_sent_bytes_total", Kind: BytesCounter},
		{Name: "istio_tcp_received_bytes_total", Kind: BytesCounter},
		{Name: "istio_tcp_connections_failed_total", Kind: Counter, OnlyZtunnel: true},
	}
}

// DefaultBuckets are the upper bounds of Istio's histograms, in milliseconds or bytes (observability.md 1.3).
// A sidecar may have others by annotation; a waypoint has these unless the annotation is carried over.
func DefaultBuckets() []float64 {
	return []float64{0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 600000, 1800000, 3600000}
}

// Dead are metrics that no Istio since 1.5 emits: a query on them was silent before the migration
// (observability.md 1.2).
func Dead() []string {
	return []string{"istio_request_duration_seconds", "istio_tcp_sent_bytes_total_count", "mixer_", "galley_"}
}
