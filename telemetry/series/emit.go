package series

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ambientplan/ambientplan/mesh"
)

// Series is one time series of the model.
type Series struct {
	// Labels without __name__.
	Labels map[string]string
	// Name of the metric.
	Name string
	// Rate is the growth each second of a counter; Value is what a gauge says. One of both is used, see Gauge.
	Rate, Value float64
	Gauge       bool
	// Emitter and Path say who emits it and why; Path is "" for what belongs to no call.
	Emitter Emitter
	Path    string
	// Facts are the facts of the row that made it.
	Facts []string
}

// Key is the identity of the series: its name and its labels, sorted.
func (s Series) Key() string {
	var b strings.Builder
	b.WriteString(s.Name)
	b.WriteByte('{')
	for i, l := range slices.Sorted(maps.Keys(s.Labels)) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(l + "=" + strconv.Quote(s.Labels[l]))
	}
	b.WriteByte('}')
	return b.String()
}

// Situation is all of a state that the series of a call depend on: where it is the same, so are the series.
type Situation struct {
	Path Path
	// Waypoint of the service; the zero value without one.
	Waypoint Waypoint
	// ServerSilenced and WaypointSilenced say whose metrics Telemetry switched off.
	ServerSilenced, WaypointSilenced bool
}

// SituationOf fails as PathOf and Emit do.
func SituationOf(c Call, s State) (Situation, error) {
	p, err := PathOf(c, s)
	if err != nil {
		return Situation{}, err
	}
	if c.Protocol != HTTP && c.Protocol != GRPC && c.Protocol != TCP {
		return Situation{}, &ProtocolError{Service: c.Service}
	}
	w := s.Waypoints[c.Service]
	return Situation{Path: p, Waypoint: w, ServerSilenced: s.NoServerMetrics[c.To.Ref], WaypointSilenced: s.NoServerMetrics[w.Ref]}, nil
}

// Emit is what all emitters on the path of a call report in a state, ordered by row and family. It fails when
// the mode of an end, or the protocol, is not known.
func Emit(c Call, s State) ([]Series, error) { return EmitFamily(c, s, "") }

// EmitFamily is Emit for one of Families by its name; "" is all of them.
func EmitFamily(c Call, s State, name string) ([]Series, error) {
	situation, err := SituationOf(c, s)
	if err != nil {
		return nil, err
	}
	var all []Series
	for _, row := range Rows() {
		if !row.Emits(situation.Path) || silenced(row, situation) {
			continue
		}
		all = append(all, emitRow(row, c, s, situation.Path, name)...)
	}
	return all, nil
}

// ProtocolError says that the protocol of a service's port is not known.
type ProtocolError struct{ Service Ref }

func (e *ProtocolError) Error() string {
	return "service " + e.Service.String() + ": the protocol of the port is not known, so its series cannot be told"
}

// silenced: Telemetry that disables SERVER metrics switches a waypoint off completely (observability.md 1.6).
func silenced(row Row, s Situation) bool {
	switch row.Emitter {
	case SidecarServer:
		return s.ServerSilenced
	case WaypointProxy:
		return s.WaypointSilenced
	}
	return false
}

// outcome is a part of a call's traffic that has its own label values.
type outcome struct {
	rate              float64
	code, grpc, flags string
	unrouted          bool
}

func outcomes(c Call, row Row, p Path, request bool) []outcome {
	if !request {
		return []outcome{{rate: c.Rate * (1 - c.Unrouted), flags: "-"}}
	}
	grpc := func(status string) string {
		if c.Protocol == GRPC {
			return status
		}
		return ""
	}
	// A gRPC failure is a trailer: the response code stays 200, unless the server fails below gRPC.
	failed := c.ErrorCode
	if failed == "" {
		failed = "500"
	}
	if c.Protocol == GRPC && c.ErrorCode != "500" {
		failed = "200"
	}
	routed := c.Rate * (1 - c.Unrouted)
	all := []outcome{{rate: routed * (1 - c.Errors), code: "200", grpc: grpc("0"), flags: "-"}}
	if c.Errors > 0 {
		all = append(all, outcome{rate: routed * c.Errors, code: failed, grpc: grpc("13"), flags: "-"})
	}
	if c.Unrouted > 0 && !row.ServerSide {
		all = append(all, outcome{rate: c.Rate * c.Unrouted, code: "503", grpc: grpc("14"), flags: "UH", unrouted: row.Picks(p)})
	}
	return all
}

func emitRow(row Row, c Call, s State, p Path, only string) []Series {
	request := row.Requests && c.Protocol != TCP
	var all []Series
	for _, o := range outcomes(c, row, p, request) {
		labels := callLabels(row, c, s, p, o)
		for _, f := range Families() {
			if only != "" && f.Name != only {
				continue
			}
			if f.Request != request || f.OnlyGRPC && c.Protocol != GRPC || f.OnlyZtunnel && !row.Node {
				continue
			}
			if f.OnlyZtunnel {
				// Nothing fails in the modelled traffic below HTTP.
				continue
			}
			for _, one := range familySeries(f, c, o.rate) {
				one.Labels = withLabels(labels, one.Labels)
				one.Emitter, one.Path, one.Facts = row.Emitter, p.String(), row.Facts
				all = append(all, one)
			}
		}
	}
	return all
}

func withLabels(base, extra map[string]string) map[string]string {
	l := maps.Clone(base)
	maps.Copy(l, extra)
	return l
}

func familySeries(f Family, c Call, rate float64) []Series {
	switch f.Kind {
	case Counter:
		return []Series{{Name: f.Name, Rate: rate}}
	case BytesCounter:
		return []Series{{Name: f.Name, Rate: rate * c.Bytes}}
	case DurationHistogram:
		return histogram(f.Name, c.LatencyMS, rate)
	case BytesHistogram:
		return histogram(f.Name, c.Bytes, rate)
	case KindUnknown:
	}
	return nil
}

func histogram(name string, value, rate float64) []Series {
	var all []Series
	for _, le := range DefaultBuckets() {
		r := 0.0
		if value <= le {
			r = rate
		}
		all = append(all, Series{Name: name + "_bucket", Rate: r, Labels: map[string]string{"le": strconv.FormatFloat(le, 'f', -1, 64)}})
	}
	return append(all,
		Series{Name: name + "_bucket", Rate: rate, Labels: map[string]string{"le": "+Inf"}},
		Series{Name: name + "_sum", Rate: rate * value},
		Series{Name: name + "_count", Rate: rate})
}

const unknown = "unknown"

func callLabels(row Row, c Call, s State, p Path, o outcome) map[string]string {
	request := row.Requests && c.Protocol != TCP
	l := map[string]string{"reporter": row.Reporter, "response_flags": o.flags, "request_protocol": TCP.String()}
	source, sourceKnown := peer(row.Source, c, s, p)
	destination, destinationKnown := peer(row.Destination, c, s, p)
	destinationKnown = destinationKnown && !o.unrouted
	// A waypoint's TCP chain does not know the endpoint: istio#53593.
	if row.Emitter == WaypointProxy && c.Protocol == TCP {
		destinationKnown = false
	}
	peerLabels(l, "source", source, sourceKnown, row.Canonical)
	peerLabels(l, "destination", destination, destinationKnown, row.Canonical)
	l["source_principal"] = principal(row.SourcePrincipal, c, s, p)
	l["destination_principal"] = principal(row.DestinationPrincipal, c, s, p)
	if o.unrouted {
		l["destination_principal"] = unknown
	}
	l["destination_service"] = c.Service.Name + "." + c.Service.Namespace + ".svc.cluster.local"
	l["destination_service_name"] = c.Service.Name
	l["destination_service_namespace"] = c.Service.Namespace
	l["connection_security_policy"] = security(row, c, s, p)
	if request {
		l["request_protocol"] = c.Protocol.String()
		l["response_code"] = o.code
		if o.grpc != "" {
			l["grpc_response_status"] = o.grpc
		}
	}
	targetLabels(l, row, c, s, p)
	return l
}

func peer(who Peer, c Call, s State, p Path) (Workload, bool) {
	switch who {
	case Client:
		return c.From, p.Client != mesh.ModeNone
	case Server:
		return c.To, true
	case NextHop:
		if p.Via {
			return s.Waypoints[c.Service].Workload, true
		}
		return c.To, true
	case PreviousHop, HeaderPeer:
		if p.Via && (who == PreviousHop || p.Client != mesh.ModeGateway) {
			return s.Waypoints[c.Service].Workload, true
		}
		return c.From, p.Client != mesh.ModeNone
	case TheWaypoint:
		return s.Waypoints[c.Service].Workload, true
	case Nobody:
	}
	return Workload{}, false
}

// principal is the identity that a handshake showed. A sidecar's outbound HBONE tunnel hides it from the source's
// filter, and plaintext has none (observability.md 1.3).
func principal(who Peer, c Call, s State, p Path) string {
	w, ok := peer(who, c, s, p)
	if !ok {
		return unknown
	}
	switch who {
	case PreviousHop, Server:
		if p.Plaintext && !(who == Server && p.Via) {
			return unknown
		}
	case Client:
		if p.Plaintext && !p.Via {
			return unknown
		}
	case Nobody, NextHop, HeaderPeer, TheWaypoint:
	}
	return w.Principal()
}

func security(row Row, c Call, s State, p Path) string {
	// The first hop, to a waypoint, is always HBONE; Plaintext is about the hop to the server.
	plaintext := p.Plaintext
	if p.Via && row.Emitter != SidecarServer {
		plaintext = false
	}
	switch row.Security {
	case MutualOrNone:
		if plaintext {
			return "none"
		}
		return "mutual_tls"
	case MutualOrUnknown:
		if plaintext {
			return unknown
		}
		return "mutual_tls"
	case AlwaysUnknown:
	}
	return unknown
}

func peerLabels(l map[string]string, side string, w Workload, known, canonical bool) {
	or := func(v, otherwise string) string {
		if !known || v == "" {
			return otherwise
		}
		return v
	}
	service := w.App
	if service == "" {
		service = w.Name
	}
	revision := "latest"
	if !known {
		revision = unknown
	}
	l[side+"_workload"] = or(w.Name, unknown)
	l[side+"_workload_namespace"] = or(w.Namespace, unknown)
	l[side+"_canonical_service"] = or(service, unknown)
	l[side+"_canonical_revision"] = or(w.Version, revision)
	l[side+"_cluster"] = or("Kubernetes", unknown)
	l[side+"_app"] = or(w.App, unknown)
	l[side+"_version"] = or(w.Version, unknown)
	if canonical {
		l[side+"_app"] = or(service, unknown)
		l[side+"_version"] = or(w.Version, revision)
	}
}

// targetLabels are those of Istio's sample scrape configuration (observability.md 1.4): they name the pod that was
// scraped, not a party of the call.
func targetLabels(l map[string]string, row Row, c Call, s State, p Path) {
	l["job"] = "istio-system/envoy-stats-monitor"
	l["container"] = "istio-proxy"
	if row.Node {
		host := c.From
		if row.Emitter == ZtunnelDestination {
			host = c.To
		}
		podLabels(l, ztunnelOf(host))
		return
	}
	w, _ := peer(row.Target, c, s, p)
	podLabels(l, w)
}

// ztunnelOf is the ztunnel of the workload's node.
func ztunnelOf(w Workload) Workload {
	node := w.Node
	if node == "" {
		node = w.Namespace + "-" + w.Name
	}
	return Workload{Ref: Ref{Namespace: "istio-system", Name: "ztunnel-" + node}, App: "ztunnel"}
}

func podLabels(l map[string]string, w Workload) {
	l["namespace"], l["pod"] = w.Namespace, w.Name+"-0"
	l["instance"] = w.Name + "-0:15020"
	if w.App != "" {
		l["app"] = w.App
	}
	if w.Version != "" {
		l["version"] = w.Version
	}
}
