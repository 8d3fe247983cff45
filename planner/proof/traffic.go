package proof

import (
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// client stands for workloads on whose calls of one Service the same routes and
// policies act, and whose pods are of one kind today.
type client struct {
	workload *api.Workload
	idx      []int
	start    modes
	anyone   bool
	ports    []int32
}

// routing is what was found of the routes of one Service.
type routing struct {
	clients []client
	results map[routingKey]routingResult
	// clean are the ways to the Service on which no client loses anything.
	clean map[string]bool
}

type routingKey struct {
	client   int
	port     int32
	was, now mesh.Mode
	way      string
}

type routingResult struct {
	diff    *mesh.TrafficDiff
	unknown string
}

// addRouting groups the clients of a Service by what may act on their calls. A
// Service that no route and no policy is for needs none.
func (p *prover) addRouting(t *target) {
	groups := p.groupsOf(t)
	if groups == nil {
		return
	}
	t.routing = &routing{results: map[routingKey]routingResult{}, clean: map[string]bool{}}
	type key struct {
		group string
		start modes
		ports string
	}
	at := map[key]int{}
	add := func(i int, group string, c *caller) {
		w := p.list[i]
		if !p.startModes[i].has(mesh.ModeSidecar) && !p.startModes[i].has(mesh.ModeAmbient) && !p.startModes[i].has(mesh.ModeGateway) {
			return
		}
		k := key{group, p.startModes[i], string(portKey(c.ports))}
		n, ok := at[k]
		if !ok {
			n = len(t.routing.clients)
			at[k] = n
			t.routing.clients = append(t.routing.clients, client{workload: w, start: p.startModes[i], anyone: c.anyone, ports: c.ports})
		}
		t.routing.clients[n].idx = append(t.routing.clients[n].idx, i)
	}
	for _, c := range t.callers {
		if c != p.everybody {
			for _, i := range c.idx {
				add(i, groups.of(p.list[i]), c)
			}
			continue
		}
		for _, ns := range p.spacesWithPods {
			each := groups.byWorkload(ns)
			group := ""
			for _, i := range p.inSpace[ns] {
				if slices.Contains(p.behind[t.service], p.list[i]) {
					continue
				}
				if w := p.list[i]; each || group == "" || p.startModes[i].has(mesh.ModeGateway) {
					g := groups.of(w)
					if !p.startModes[i].has(mesh.ModeGateway) {
						group = g
					}
					add(i, g, c)
					continue
				}
				add(i, group, c)
			}
		}
	}
}

// trafficGroups tells clients apart by the routes of today and by those that a plan
// makes.
type trafficGroups []*mesh.TrafficGroups

// groupsOf is nil when nothing acts on calls of a Service, today or later.
func (p *prover) groupsOf(t *target) trafficGroups {
	var out trafficGroups
	if g := p.st.TrafficGroups(t.service); g != nil {
		out = append(out, g)
	}
	if p.reroute != nil && len(p.reroute.of[t]) > 0 && p.reroute.most != nil {
		if g := p.reroute.most.TrafficGroups(t.service); g != nil {
			out = append(out, g)
		}
	}
	return out
}

func (g trafficGroups) of(w *api.Workload) string {
	out := ""
	for _, x := range g {
		out += x.Of(w) + ";"
	}
	return out
}

func (g trafficGroups) byWorkload(namespace string) bool {
	return slices.ContainsFunc(g, func(x *mesh.TrafficGroups) bool { return x.ByWorkload(namespace) })
}

func portKey(ports []int32) []byte {
	var out []byte
	for _, p := range ports {
		out = append(out, byte(p>>8), byte(p))
	}
	return out
}

// routes compares what acts on the calls of a Service in one view with today.
func (e *episode) routes(t *target, v *view) {
	if t.routing == nil {
		return
	}
	way := wayOf(v)
	clean, known := t.routing.clean[way]
	if known && clean && !e.odd && !e.p.in.Exhaustive {
		return
	}
	all := true
	for n := range t.routing.clients {
		c := &t.routing.clients[n]
		var now modes
		for _, i := range c.idx {
			now |= e.during[i]
		}
		for _, port := range t.ports {
			if port.pods {
				continue
			}
			if len(c.ports) > 0 && !slices.Contains(c.ports, 0) && !slices.Contains(c.ports, port.port.Port) {
				continue
			}
			e.routesOf(t, v, n, port.port, now)
			if !known {
				widest := e.p.worst(t, v, n, port.port, c.start|only(mesh.ModeAmbient))
				all = all && widest.diff == nil && widest.unknown == ""
			}
		}
	}
	if !known {
		t.routing.clean[way] = all
	}
	if !t.routing.clean[way] && t.anyone {
		e.p.watched[t] = true
	}
}

// routesOf notes what a client of one port loses in the modes that it may have.
func (e *episode) routesOf(t *target, v *view, n int, port api.ServicePort, now modes) {
	c := &t.routing.clients[n]
	r := e.p.worst(t, v, n, port, now)
	if r.unknown != "" {
		e.unknowns = append(e.unknowns, UnknownCall{Service: t.ref, Port: port.Port, Client: c.workload.Ref().String(), Why: "routes: " + r.unknown})
	}
	if r.diff != nil {
		e.gaps.addRoute(t, port, c, r.diff, now, e.modeAt)
	}
}

// worst is the first difference between what acts today and what acts in any of
// some modes.
func (p *prover) worst(t *target, v *view, n int, port api.ServicePort, now modes) routingResult {
	c := &t.routing.clients[n]
	var out routingResult
	for _, m := range settled(now).each() {
		if m == mesh.ModeNone {
			continue
		}
		// A pod was of the same kind before, or of the one that it was made of.
		was := m
		if !settled(c.start).has(m) {
			was = settled(c.start).each()[0]
		}
		r := p.routesBetween(t, v, n, port, was, m)
		if out.unknown == "" {
			out.unknown = r.unknown
		}
		if r.diff != nil && out.diff == nil {
			out.diff = r.diff
		}
	}
	return out
}

// routesBetween compares what acts on a client's calls in two modes, today and in
// a view.
func (p *prover) routesBetween(t *target, v *view, n int, port api.ServicePort, was, now mesh.Mode) routingResult {
	k := routingKey{n, port.Port, was, now, wayOf(v)}
	if r, ok := t.routing.results[k]; ok {
		return r
	}
	w := t.routing.clients[n].workload
	var r routingResult
	before := p.acting(w, was, &t.today, t, port)
	if t.routing.clients[n].anyone && strangers(before, was) {
		t.routing.results[k] = r
		return r
	}
	for _, d := range mesh.CompareTraffic(before, p.acting(w, now, v, t, port)) {
		if d.Change == mesh.TrafficUnknown {
			if r.unknown == "" {
				r.unknown = d.Why
			}
			continue
		}
		if r.diff == nil {
			r.diff = &d
		}
	}
	t.routing.results[k] = r
	return r
}

// strangers tells that a client which nobody named does not call by its own
// configuration: its Sidecar does not import the Service, or it is a gateway and no
// route leads there.
func strangers(a mesh.Acting, m mesh.Mode) bool {
	return m == mesh.ModeSidecar && a.Where == mesh.PlaceNone || m == mesh.ModeGateway && len(a.Routes) == 0
}

func (p *prover) acting(w *api.Workload, m mesh.Mode, v *view, t *target, port api.ServicePort) mesh.Acting {
	var through *api.WaypointRef
	if v.through(way{client: m}) {
		through = &v.waypoint.ref
	}
	if v.routes == nil {
		return mesh.Acting{Unknown: "a route or traffic policy of this state does not fit its kind"}
	}
	return v.routes.Traffic(w, m, t.service, port, through)
}

// wayOf says how the Service is reached in a view.
func wayOf(v *view) string {
	out := ""
	if v.waypoint != nil {
		out = v.waypoint.ref.Namespace + "/" + v.waypoint.ref.Name
		if v.ingress {
			out += " ingress"
		}
	}
	if v.routesKey != "" {
		out += " routes " + v.routesKey
	}
	return out
}
