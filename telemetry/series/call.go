package series

import (
	"fmt"
	"slices"

	"github.com/ambientplan/ambientplan/mesh"
)

// Ref names a workload or a service.
type Ref struct {
	// Namespace and Name as in Kubernetes.
	Namespace, Name string
}

// String is namespace/name.
func (r Ref) String() string { return r.Namespace + "/" + r.Name }

// Workload is the owner of pods, as telemetry labels name it.
type Workload struct {
	Ref
	// App and Version are the pod labels app and version; "" makes the label unknown.
	App, Version string
	// ServiceAccount makes the principal; "" is the workload's name.
	ServiceAccount string
	// Node is where its pods run; workloads of a node share its ztunnel. "" is a node of its own.
	Node string
}

// Principal is the SPIFFE identity of the workload, as it stands in source_principal.
func (w Workload) Principal() string {
	sa := w.ServiceAccount
	if sa == "" {
		sa = w.Name
	}
	return fmt.Sprintf("spiffe://cluster.local/ns/%s/sa/%s", w.Namespace, sa)
}

// Protocol is how Istio treats the port that is called. The zero value is unknown.
type Protocol int

// Protocols.
const (
	ProtocolUnknown Protocol = iota
	HTTP
	GRPC
	TCP
)

// String is the value of the label request_protocol.
func (p Protocol) String() string {
	switch p {
	case HTTP:
		return "http"
	case GRPC:
		return "grpc"
	case TCP:
		return "tcp"
	case ProtocolUnknown:
	}
	return "unknown"
}

// Call is traffic between two workloads, which is the same in every state of a plan.
type Call struct {
	From, To Workload
	// Service is the Service that the client dials.
	Service Ref
	// Protocol of the port.
	Protocol Protocol
	// Rate is requests (connections, for TCP) each second.
	Rate float64
	// Errors is the share of Rate, 0 to 1, that the server answers with ErrorCode (gRPC status 13).
	Errors float64
	// ErrorCode is an HTTP status; "" is 500. For gRPC only "500" counts: a server that fails below gRPC.
	ErrorCode string
	// Unrouted is the share of Rate that finds no healthy endpoint: 503 UH, made by whoever picks the endpoint.
	Unrouted float64
	// LatencyMS is the duration of every request in milliseconds.
	LatencyMS float64
	// Bytes is the size of a request and of a response.
	Bytes float64
}

// Waypoint is an active waypoint of a service.
type Waypoint struct {
	Workload
	// IngressUse says that istio.io/ingress-use-waypoint is in force: gateways go through the waypoint too.
	IngressUse bool
}

// State is one state of a plan: which workloads are in which mode, and which services have a waypoint that
// serves them. A workload that is in no map is of unknown mode, never "sidecar".
type State struct {
	// Name is printed in evidence.
	Name string
	// Modes by workload.
	Modes map[Ref]mesh.Mode
	// Waypoints by service.
	Waypoints map[Ref]Waypoint
	// NoHBONE are workloads whose sidecars were not restarted for HBONE: ztunnel and waypoints reach them in
	// plaintext. Source: istio.md M-03.
	NoHBONE map[Ref]bool
	// NoServerMetrics are workloads and waypoints for which Telemetry switches the server's metrics off; for a
	// waypoint that is all of its metrics (observability.md 1.6).
	NoServerMetrics map[Ref]bool
}

// Waypointed lists the waypoints of the state, by namespace and name, each once.
func (s State) Waypointed() []Workload {
	var all []Workload
	for _, w := range s.Waypoints {
		all = append(all, w.Workload)
	}
	slices.SortFunc(all, func(a, b Workload) int { return compareRefs(a.Ref, b.Ref) })
	return slices.CompactFunc(all, func(a, b Workload) bool { return a.Ref == b.Ref })
}

func compareRefs(a, b Ref) int {
	switch {
	case a.String() < b.String():
		return -1
	case a.String() > b.String():
		return 1
	}
	return 0
}

// Path is the way of a call in a state: the row of observability.md 1.9 that applies.
type Path struct {
	Client, Server mesh.Mode
	// Via says that the request goes through the service's waypoint; a waypoint that a sidecar, or a gateway
	// without ingress-use-waypoint, bypasses is not on the path.
	Via bool
	// Waypoint is set when the service has one, on the path or not.
	Waypoint bool
	// Plaintext says that the last hop, to a sidecar that was not restarted for HBONE, is not encrypted.
	Plaintext bool
}

// String is the notation of observability.md, such as "A->S+W".
func (p Path) String() string {
	letter := map[mesh.Mode]string{mesh.ModeSidecar: "S", mesh.ModeAmbient: "A", mesh.ModeGateway: "GW", mesh.ModeNone: "OUT"}
	s := letter[p.Client] + "->" + letter[p.Server]
	if p.Waypoint {
		s += "+W"
	}
	if p.Via && p.Client == mesh.ModeGateway {
		s += " iuw"
	}
	return s
}

// PathOf is the path of a call in a state. It fails when a mode is not known or mixed: then nobody can say what
// is emitted. Source: observability.md 1.9; sidecars bypass waypoints (istio.md M-10).
func PathOf(c Call, s State) (Path, error) {
	client, err := modeOf(c.From.Ref, s)
	if err != nil {
		return Path{}, err
	}
	server, err := modeOf(c.To.Ref, s)
	if err != nil {
		return Path{}, err
	}
	w, has := s.Waypoints[c.Service]
	p := Path{Client: client, Server: server, Waypoint: has}
	p.Via = has && (client == mesh.ModeAmbient || client == mesh.ModeGateway && w.IngressUse)
	viaHBONE := p.Via || client == mesh.ModeAmbient
	p.Plaintext = client == mesh.ModeNone || server == mesh.ModeNone ||
		viaHBONE && server == mesh.ModeSidecar && s.NoHBONE[c.To.Ref]
	return p, nil
}

func modeOf(r Ref, s State) (mesh.Mode, error) {
	switch m := s.Modes[r]; m {
	case mesh.ModeSidecar, mesh.ModeAmbient, mesh.ModeGateway, mesh.ModeNone:
		return m, nil
	case mesh.ModeMixed, mesh.ModeUnknown:
		return m, fmt.Errorf("state %s: workload %s: the data plane mode is %s, so its series cannot be told", s.Name, r, m)
	default:
		return m, fmt.Errorf("state %s: workload %s: no such mode %d", s.Name, r, m)
	}
}
