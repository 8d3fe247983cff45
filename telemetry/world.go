package telemetry

import (
	"cmp"
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
	// movers are the workloads with a sidecar in the order in which they leave it; gateway is one of the gateways.
	movers  []*api.Workload
	gateway *api.Workload
	// courses and kinds are interned: what flows go alike, and the ways in the notation of the facts.
	courses map[string]*course
	kinds   map[string]int
	// bases are kinds without the way itself: who calls whom how today, by kind.
	bases []int
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

// newWorld lays calls over the states of a plan.
func newWorld(st *mesh.State, planes *mesh.DataPlanes, calls []api.Edge) *world {
	w := &world{st: st, planes: planes, at: map[api.Ref]int{}, quiet: quiet(st), courses: map[string]*course{}, kinds: map[string]int{}}
	for _, s := range planes.States {
		w.steps = append(w.steps, api.TelemetryStep{Wave: s.Wave, Step: s.Step})
	}
	for i, r := range planes.Workloads {
		w.at[r] = i
	}
	w.addWorkloads()
	w.order()
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
	for _, c := range []*api.Workload{w.mover(servers, false), w.mover(servers, true), w.gateway} {
		if c != nil && !slices.Contains(out, c) && !slices.Contains(servers, c) {
			out = append(out, c)
		}
	}
	return out, true
}

// mover is the workload that leaves its sidecar first, or last, and is none of some.
func (w *world) mover(but []*api.Workload, last bool) *api.Workload {
	for i := range w.movers {
		x := w.movers[i]
		if last {
			x = w.movers[len(w.movers)-1-i]
		}
		if !slices.Contains(but, x) {
			return x
		}
	}
	return nil
}

// order finds who leaves its sidecar when, and a gateway.
func (w *world) order() {
	all := w.st.Workloads()
	at := map[*api.Workload]int{}
	for i := range all {
		n, ok := w.at[all[i].Ref()]
		if !ok {
			continue
		}
		today := w.planes.States[0].Modes[n]
		if slices.Contains(today, mesh.ModeGateway) && w.gateway == nil {
			w.gateway = &all[i]
		}
		if slices.Equal(today, []mesh.Mode{mesh.ModeSidecar}) {
			w.movers = append(w.movers, &all[i])
			at[&all[i]] = w.moves(n)
		}
	}
	slices.SortStableFunc(w.movers, func(a, b *api.Workload) int { return at[a] - at[b] })
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
	f.gateway = slices.Contains(modes(w.planes.States[0].Modes), mesh.ModeGateway)
	f.quiet = w.quiet[server.Namespace] != ""
	var all []passage
	before := mesh.DataPlane{}
	for i, state := range w.planes.States {
		var at passage
		now := state.Waypoints[svc.Ref()]
		if i > 0 {
			if was := before.Waypoints[svc.Ref()]; was != now {
				at.during = ways(at.during, modes(state.During), state.During[s], was)
			}
			at.during = ways(at.during, modes(state.During), state.During[s], now)
		}
		at.end = ways(nil, modes(state.Modes), state.Modes[s], now)
		all = append(all, at)
		before = state
	}
	if len(all[0].end) != 1 {
		w.blind = append(w.blind, blind{f.service, "pods of " + f.call.From.String() + " or " + f.call.To.String() + " are partly with and partly without a sidecar today"})
		return
	}
	if err := w.course(f, all); err != nil {
		w.blind = append(w.blind, blind{f.service, err.Error()})
		return
	}
	if f.labels = identity(f.call); f.labels == nil {
		return
	}
	w.flows = append(w.flows, f)
}

// identity are the labels of a call that name its ends, as sidecars report them.
func identity(c series.Call) map[string]string {
	s := series.State{Modes: map[series.Ref]mesh.Mode{c.From.Ref: mesh.ModeSidecar, c.To.Ref: mesh.ModeSidecar}}
	family := "istio_requests_total"
	if c.Protocol == series.TCP {
		family = "istio_tcp_connections_opened_total"
	}
	all, err := series.EmitFamily(c, s, family)
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
