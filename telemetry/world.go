package telemetry

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/telemetry/series"
)

// world is the traffic of a mesh over the states of a plan.
type world struct {
	st     *mesh.State
	planes *mesh.DataPlanes
	// steps names the states; the first is today.
	steps []api.TelemetryStep
	flows []*flow
	// blind are Services whose calls cannot be modelled, with why.
	blind []blind
	// sniffed counts ports whose protocol nobody names; guessed the Services whose callers nobody names.
	sniffed, guessed int
	// parts are Services that select a part of what another one selects and that nobody is known to call: versions.
	parts []string
	// at is the place of a workload in planes.
	at        map[api.Ref]int
	workloads []workload
	// quiet are namespaces in which servers report no requests, with the Telemetry that says so.
	quiet map[string]string
}

// blind is a Service of which nothing can be said.
type blind struct{ service, why string }

// workload is one that reports of itself: its modes by state.
type workload struct {
	series.Workload
	modes []mesh.Mode
}

// flow is one call and its ways through the plan.
type flow struct {
	call series.Call
	// service as namespace/name, for people.
	service string
	// labels by which queries select it, as a sidecar reports them.
	labels map[string]string
	// ways by state: those while the step runs, and last those that are left at its end.
	ways []ways
	// guessed says that nobody named the caller: one that moves early or late stands for it.
	guessed bool
	// quiet says that the server's sidecar reports no requests, quietWaypoints the waypoints that do not.
	quiet          bool
	quietWaypoints map[mesh.ActiveWaypoint]bool
	// key is equal for flows that go the same ways.
	key string
	// gateway says that the client is a gateway.
	gateway bool
}

// outsider stands for clients outside of the mesh.
func outsider() series.Workload {
	return series.Workload{Ref: series.Ref{Namespace: "outside-of-the-mesh", Name: "client"}}
}

// ways are how a call goes while a step runs; the last of them, from end on, are how it goes when the step is over.
type ways struct {
	all []way
	end int
}

// quietOf are the waypoints on the ways of a flow that report nothing.
func (w *world) quietOf(f *flow) map[mesh.ActiveWaypoint]bool {
	var out map[mesh.ActiveWaypoint]bool
	for _, at := range f.ways {
		for _, one := range at.all {
			wp := one.waypoint
			if wp.Name != "" && w.quiet[wp.Namespace] != "" && !switchedOn(w.st, wp) {
				if out == nil {
					out = map[mesh.ActiveWaypoint]bool{}
				}
				out[wp] = true
			}
		}
	}
	return out
}

func (w *ways) add(clients, servers []mesh.Mode, wp mesh.ActiveWaypoint) {
	for _, c := range clients {
		for _, s := range servers {
			if one := (way{c, s, wp}); !slices.Contains(w.all, one) {
				w.all = append(w.all, one)
			}
		}
	}
}

// standing are the ways at the end of the step.
func (w ways) standing() []way { return w.all[w.end:] }

// way is how a call goes in a state.
type way struct {
	client, server mesh.Mode
	waypoint       mesh.ActiveWaypoint
}

func (w way) state(f *flow) series.State {
	s := series.State{Modes: map[series.Ref]mesh.Mode{f.call.From.Ref: w.client, f.call.To.Ref: w.server}}
	if f.call.From.Ref == f.call.To.Ref {
		s.Modes[f.call.To.Ref] = w.server
	}
	if w.waypoint.Name != "" {
		s.Waypoints = map[series.Ref]series.Waypoint{f.call.Service: waypointOf(w.waypoint)}
	}
	if f.quiet || f.quietWaypoints[w.waypoint] {
		s.NoServerMetrics = map[series.Ref]bool{f.call.To.Ref: f.quiet, {Namespace: w.waypoint.Namespace, Name: w.waypoint.Name}: f.quietWaypoints[w.waypoint]}
	}
	if p, err := series.PathOf(f.call, s); err == nil {
		s.Name = p.String()
	}
	return s
}

func waypointOf(w mesh.ActiveWaypoint) series.Waypoint {
	return series.Waypoint{
		Workload:   series.Workload{Ref: series.Ref{Namespace: w.Namespace, Name: w.Name}, ServiceAccount: w.Name},
		IngressUse: w.IngressUse,
	}
}

// newWorld lays calls over the states of a plan.
func newWorld(st *mesh.State, planes *mesh.DataPlanes, calls []api.Edge) *world {
	w := &world{st: st, planes: planes, at: map[api.Ref]int{}, quiet: quiet(st)}
	for _, s := range planes.States {
		w.steps = append(w.steps, api.TelemetryStep{Wave: s.Wave, Step: s.Step})
	}
	for i, r := range planes.Workloads {
		w.at[r] = i
	}
	w.addWorkloads()
	byService := map[api.Ref][]api.Edge{}
	for _, e := range calls {
		byService[e.To] = append(byService[e.To], e)
	}
	services := st.Services()
	for i := range services {
		w.addService(&services[i], byService[services[i].Ref()])
	}
	return w
}

func (w *world) addWorkloads() {
	all := w.st.Workloads()
	for i := range all {
		n, ok := w.at[all[i].Ref()]
		if !ok {
			continue
		}
		x := workload{Workload: seriesWorkload(&all[i])}
		for _, s := range w.planes.States {
			m := mesh.ModeMixed
			if len(s.Modes[n]) == 1 {
				m = s.Modes[n][0]
			}
			x.modes = append(x.modes, m)
		}
		w.workloads = append(w.workloads, x)
	}
}

// seriesWorkload names a workload as telemetry labels do.
func seriesWorkload(w *api.Workload) series.Workload {
	return series.Workload{
		Ref: series.Ref{Namespace: w.Namespace, Name: w.Name}, App: w.PodLabels["app"], Version: w.PodLabels["version"],
		ServiceAccount: cmp.Or(w.ServiceAccount, "default"),
	}
}

// addService adds the calls of a Service, one for each pair of workloads and each kind of protocol.
func (w *world) addService(svc *api.Service, edges []api.Edge) {
	name := svc.Namespace + "/" + svc.Name
	servers := slices.DeleteFunc(slices.Clone(w.st.WorkloadsOf(svc)), func(x *api.Workload) bool {
		n, ok := w.at[x.Ref()]
		return !ok || slices.Contains(w.planes.States[0].Modes[n], mesh.ModeGateway)
	})
	if len(servers) == 0 {
		return
	}
	protocols, sniffed := protocolsOf(svc)
	if len(protocols) == 0 {
		return
	}
	w.sniffed += sniffed
	if len(edges) == 0 {
		if of := w.partOf(svc); of != "" {
			w.parts = append(w.parts, name)
			return
		}
	}
	clients, guessed := w.clientsOf(svc, servers, edges)
	if len(clients) == 0 {
		w.blind = append(w.blind, blind{name, "nobody in the inventory can be its client"})
		return
	}
	if guessed {
		w.guessed++
	}
	for _, p := range protocols {
		for _, c := range clients {
			for _, s := range servers {
				w.addFlow(svc, p, c, s, guessed)
			}
		}
	}
}

// partOf is a Service of the same namespace that selects all that this one selects, by fewer labels; "" for none.
func (w *world) partOf(svc *api.Service) string {
	for _, o := range w.st.ServicesIn(svc.Namespace) {
		if len(o.Selector) == 0 || len(o.Selector) >= len(svc.Selector) {
			continue
		}
		if mesh.Selects(o.Selector, svc.Selector) {
			return o.Name
		}
	}
	return ""
}

// protocolsOf lists the kinds of protocols that ports of a Service have, and how many ports name none: proxies look
// at the first bytes there, and HTTP is what they look for.
func protocolsOf(svc *api.Service) (out []series.Protocol, sniffed int) {
	for _, p := range svc.Ports {
		if p.Transport == "UDP" || p.Transport == "SCTP" {
			continue
		}
		switch strings.ToUpper(p.Protocol) {
		case "HTTP", "HTTP2", "GRPC-WEB":
			out = append(out, series.HTTP)
		case "":
			sniffed++
			out = append(out, series.HTTP)
		case "GRPC":
			out = append(out, series.GRPC)
		default:
			out = append(out, series.TCP)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), sniffed
}

// clientsOf are the workloads that call a Service. Where nobody named them, one that leaves its sidecar first and one
// that leaves it last, or never, stand for all: between them they go all ways that a client may go. A Service that is
// open to the outside is called from there: its client is nil.
func (w *world) clientsOf(svc *api.Service, servers []*api.Workload, edges []api.Edge) (out []*api.Workload, guessed bool) {
	seen := map[api.Ref]bool{}
	for _, e := range edges {
		for _, c := range w.st.Clients(e.From) {
			if _, known := w.at[c.Ref()]; known && !seen[c.Ref()] {
				seen[c.Ref()] = true
				out = append(out, c)
			}
		}
	}
	if len(out) > 0 {
		slices.SortFunc(out, func(a, b *api.Workload) int { return a.Ref().Compare(b.Ref()) })
		return out, false
	}
	if svc.Type == "LoadBalancer" || svc.Type == "NodePort" {
		return []*api.Workload{nil}, true
	}
	var first, last, gateway *api.Workload
	firstAt, lastAt := 0, 0
	all := w.st.Workloads()
	for i := range all {
		n, ok := w.at[all[i].Ref()]
		if !ok || slices.Contains(servers, &all[i]) {
			continue
		}
		today := w.planes.States[0].Modes[n]
		if slices.Contains(today, mesh.ModeGateway) && gateway == nil {
			gateway = &all[i]
		}
		if !slices.Equal(today, []mesh.Mode{mesh.ModeSidecar}) {
			continue
		}
		moves := w.moves(n)
		if first == nil || moves < firstAt {
			first, firstAt = &all[i], moves
		}
		if last == nil || moves > lastAt {
			last, lastAt = &all[i], moves
		}
	}
	for _, c := range []*api.Workload{first, last, gateway} {
		if c != nil && !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out, true
}

// moves is the state from which a workload has no sidecar any more.
func (w *world) moves(n int) int {
	for i, s := range w.planes.States {
		if !slices.Contains(s.Modes[n], mesh.ModeSidecar) {
			return i
		}
	}
	return len(w.planes.States)
}

func (w *world) addFlow(svc *api.Service, p series.Protocol, client, server *api.Workload, guessed bool) {
	from, outside := outsider(), []mesh.Mode{mesh.ModeNone}
	if client != nil {
		from, outside = seriesWorkload(client), nil
	}
	f := &flow{
		call: series.Call{
			From: from, To: seriesWorkload(server), Service: series.Ref{Namespace: svc.Namespace, Name: svc.Name},
			Protocol: p, Rate: 100, Errors: .02, LatencyMS: 40, Bytes: 1000,
		},
		service: svc.Namespace + "/" + svc.Name, guessed: guessed,
	}
	s := w.at[server.Ref()]
	modes := func(of [][]mesh.Mode) []mesh.Mode {
		if client == nil {
			return outside
		}
		return of[w.at[client.Ref()]]
	}
	before := mesh.DataPlane{}
	for i, state := range w.planes.States {
		var at ways
		now := state.Waypoints[svc.Ref()]
		if i > 0 {
			if was := before.Waypoints[svc.Ref()]; was != now {
				at.add(modes(state.During), state.During[s], was)
			}
			at.add(modes(state.During), state.During[s], now)
		}
		var ends ways
		ends.add(modes(state.Modes), state.Modes[s], now)
		at.all = slices.DeleteFunc(at.all, func(o way) bool { return slices.Contains(ends.all, o) })
		at.end = len(at.all)
		at.all = append(at.all, ends.all...)
		f.ways = append(f.ways, at)
		before = state
	}
	f.quiet = w.quiet[server.Namespace] != ""
	f.quietWaypoints = w.quietOf(f)
	f.gateway = slices.Contains(modes(w.planes.States[0].Modes), mesh.ModeGateway)
	if why := f.unmodelled(); why != "" {
		w.blind = append(w.blind, blind{f.service, why})
		return
	}
	if f.labels = identity(f.call); f.labels == nil {
		return
	}
	f.key = f.waysKey()
	w.flows = append(w.flows, f)
}

// unmodelled says why nothing can be said of a flow; "" when something can.
func (f *flow) unmodelled() string {
	if len(f.ways[0].all) != 1 {
		return "pods of " + f.call.From.String() + " or " + f.call.To.String() + " are partly with and partly without a sidecar today"
	}
	for _, at := range f.ways {
		for _, w := range at.all {
			if _, err := series.PathOf(f.call, w.state(f)); err != nil {
				return err.Error()
			}
		}
	}
	return ""
}

// identity are the labels of a call that name its ends, as sidecars report them.
func identity(c series.Call) map[string]string {
	s := series.State{Modes: map[series.Ref]mesh.Mode{c.From.Ref: mesh.ModeSidecar, c.To.Ref: mesh.ModeSidecar}}
	all, err := series.Emit(c, s)
	if err != nil {
		return nil
	}
	for _, one := range all {
		if one.Labels["reporter"] != "destination" {
			continue
		}
		out := map[string]string{}
		for k, v := range one.Labels {
			if (strings.HasPrefix(k, "source_") || strings.HasPrefix(k, "destination_")) && !strings.HasSuffix(k, "_principal") {
				out[k] = v
			}
		}
		return out
	}
	return nil
}

// waysKey tells flows apart that go different sets of ways.
func (f *flow) waysKey() string {
	var all []string
	for _, at := range f.ways {
		for _, w := range at.all {
			all = append(all, w.name(f))
		}
	}
	first := all[0]
	var standing []string
	for _, at := range f.ways {
		for _, w := range at.standing() {
			standing = append(standing, w.name(f))
		}
	}
	slices.Sort(all)
	slices.Sort(standing)
	last := f.ways[len(f.ways)-1].standing()
	return fmt.Sprint(f.call.Protocol, f.gateway, f.quiet, len(f.quietWaypoints), first, slices.Compact(all), slices.Compact(standing), last[len(last)-1].name(f))
}

// name is the way in the notation of the facts.
func (w way) name(f *flow) string { return w.state(f).Name }
