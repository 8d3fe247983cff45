package proof

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// rerouting is what the changes of a plan do to routes and traffic policies. It is
// nil for a plan that leaves them alone.
type rerouting struct {
	// of are the objects that decide about the calls of a Service, for each Service
	// that a change concerns; sorted.
	of map[*target][]rerouted
	// concerns is the same by object.
	concerns map[api.Ref][]*target
	// states by what they hold.
	states map[string]*mesh.State
	// versions of contents, by their address.
	versions map[uintptr]int
	// distant are the Services for which objects of other namespaces count.
	distant map[*target]bool
	// most is a state that holds all that there ever is.
	most *mesh.State
}

// rerouted is an object that decides about the calls of a Service: it is for the
// Service itself, or for something that routes of the Service lead to.
type rerouted struct {
	ref api.Ref
	// always: it is for the Service itself, or a route that no plan touches leads
	// there. Else some of via must be there for it to count.
	always bool
	via    []api.Ref
}

// far tells whether what is known of the routes of a Service follows from more than
// its own namespace.
func (r *rerouting) far(t *target) bool { return r != nil && r.distant[t] }

// counts tells whether the object decides anything in a world.
func (r *rerouted) counts(w world) bool {
	return r.always || slices.ContainsFunc(r.via, func(v api.Ref) bool { return w.content(v) != nil })
}

// routingRef tells whether a change of an object is one of routes: of a route, of a
// traffic policy, or of a Service that the mesh of today does not have.
func (p *prover) routingRef(ref api.Ref) bool {
	if ref.Group == "" && ref.Kind == "Service" {
		return p.st.Service(ref.Namespace, ref.Name) == nil
	}
	return mesh.RoutingObject(ref.Group, ref.Kind)
}

// findRerouting reads which Services the changes of all waves concern.
func (p *prover) findRerouting() {
	ever := map[api.Ref][]api.Content{}
	note := func(changes []api.Change) {
		for _, c := range changes {
			if !p.routingRef(c.Object) {
				continue
			}
			if _, ok := ever[c.Object]; !ok {
				ever[c.Object] = []api.Content{}
				p.seed(c.Object)
				if b := p.start.content(c.Object); b != nil {
					ever[c.Object] = append(ever[c.Object], b)
				}
			}
			if c.After != nil {
				ever[c.Object] = append(ever[c.Object], c.After)
			}
		}
	}
	for _, w := range p.in.Waves {
		for _, s := range w.Steps {
			note(s.Changes)
			for _, r := range s.Rollback {
				note(r.Changes)
			}
		}
	}
	if len(ever) == 0 {
		return
	}
	p.reroute = &rerouting{of: map[*target][]rerouted{}, concerns: map[api.Ref][]*target{}, distant: map[*target]bool{}, states: map[string]*mesh.State{}, versions: map[uintptr]int{}}
	p.reroute.most = p.withRoutes(ever)
	refs := slices.SortedFunc(maps.Keys(ever), api.Ref.Compare)
	byHost := map[string][]api.Ref{}
	for _, ref := range refs {
		for _, h := range p.ownHosts(ref, ever[ref]) {
			byHost[h] = append(byHost[h], ref)
		}
	}
	untouched, touched := p.leadingTo(ever)
	for _, t := range p.targets {
		host := p.hostOf(t.service.Namespace, t.service.Name)
		found := map[api.Ref]*rerouted{}
		note := func(h string, always bool, via ...api.Ref) {
			for _, ref := range append(slices.Clone(byHost[h]), byHost["*"]...) {
				if found[ref] == nil {
					found[ref] = &rerouted{ref: ref}
				}
				found[ref].always = found[ref].always || always
				found[ref].via = append(found[ref].via, via...)
			}
		}
		note(host, true)
		for _, h := range untouched[host] {
			note(h, true)
		}
		for _, l := range touched[host] {
			note(l.to, false, l.route)
		}
		for _, ref := range slices.SortedFunc(maps.Keys(found), api.Ref.Compare) {
			p.reroute.of[t] = append(p.reroute.of[t], *found[ref])
			p.reroute.concerns[ref] = append(p.reroute.concerns[ref], t)
			if ref.Namespace != t.service.Namespace {
				p.reroute.distant[t] = true
			}
		}
	}
}

// seed puts an object of the inventory into the world of today if the plan does not
// say how it was: a plan edited by hand may change what its base does not hold.
func (p *prover) seed(ref api.Ref) {
	if p.start.content(ref) != nil {
		return
	}
	s := p.start.space(ref.Namespace)
	if s == nil {
		return
	}
	for _, o := range p.st.Objects(mesh.KindOf(ref.Group, ref.Kind)) {
		if o.Ref() == ref {
			s.contents[ref] = o.Content
		}
	}
}

// withRoutes is a state that has the last of each of some contents.
func (p *prover) withRoutes(ever map[api.Ref][]api.Content) *mesh.State {
	objects := map[api.Ref]api.Content{}
	for ref, cs := range ever {
		if len(cs) > 0 {
			objects[ref] = cs[len(cs)-1]
		}
	}
	return p.routedBy(nil, objects)
}

// routedBy is the state with some objects as they are given, nil for those that are
// gone, for calls of a Service, or nil for all; nil when one of them does not fit its kind.
func (p *prover) routedBy(svc *api.Service, objects map[api.Ref]api.Content) *mesh.State {
	routes := map[api.Ref]api.Content{}
	var services []api.Service
	for _, ref := range slices.SortedFunc(maps.Keys(objects), api.Ref.Compare) {
		if ref.Kind != "Service" {
			routes[ref] = objects[ref]
			continue
		}
		if c := objects[ref]; c != nil {
			services = append(services, serviceIn(ref, c))
		}
	}
	st, err := p.st.Rerouted(svc, routes, services)
	if err != nil {
		return nil
	}
	return st
}

// serviceIn reads a Service as a plan creates it.
func serviceIn(ref api.Ref, c api.Content) api.Service {
	out := api.Service{
		Cluster: ref.Cluster, Namespace: ref.Namespace, Name: ref.Name, Labels: stringsAt(c, "metadata", "labels"),
		Annotations: stringsAt(c, "metadata", "annotations"), Selector: stringsAt(c, "spec", "selector"),
	}
	spec, _ := c["spec"].(map[string]any)
	out.Headless = spec["clusterIP"] == "None"
	out.PublishNotReady, _ = spec["publishNotReadyAddresses"].(bool)
	out.Type, _ = spec["type"].(string)
	list, _ := spec["ports"].([]any)
	for _, x := range list {
		m, _ := x.(map[string]any)
		p := api.ServicePort{Port: number(m["port"])}
		p.Name, _ = m["name"].(string)
		p.AppProtocol, _ = m["appProtocol"].(string)
		p.Transport, _ = m["protocol"].(string)
		switch t := m["targetPort"].(type) {
		case string:
			p.TargetPort = t
		default:
			if n := number(t); n != 0 {
				p.TargetPort = strconv.Itoa(int(n))
			}
		}
		out.Ports = append(out.Ports, p)
	}
	return out
}

func number(v any) int32 {
	switch n := v.(type) {
	case int64:
		return int32(n)
	case float64:
		return int32(n)
	case int:
		return int32(n)
	}
	return 0
}

// hostOf is the full name of a Service.
func (p *prover) hostOf(namespace, name string) string {
	return p.st.FQDN(name, namespace)
}

// ownHosts are the hosts that an object is for; "*" stands for one with a wildcard.
func (p *prover) ownHosts(ref api.Ref, contents []api.Content) []string {
	var out []string
	add := func(host string) {
		if strings.HasPrefix(host, "*") {
			host = "*"
		} else {
			host = p.st.FQDN(host, ref.Namespace)
		}
		out = append(out, host)
	}
	if ref.Kind == "Service" {
		add(ref.Name)
	}
	for _, c := range contents {
		spec, _ := c["spec"].(map[string]any)
		if h, ok := spec["host"].(string); ok {
			add(h)
		}
		for _, h := range textList(spec["hosts"]) {
			add(h)
		}
		gateway := slices.ContainsFunc(textList(spec["gateways"]), func(g string) bool { return g != "mesh" })
		parents, _ := spec["parentRefs"].([]any)
		for _, x := range parents {
			m, _ := x.(map[string]any)
			if m["kind"] != "Service" && m["kind"] != "ServiceEntry" {
				gateway = true
				continue
			}
			name, _ := m["name"].(string)
			ns, ok := m["namespace"].(string)
			if !ok {
				ns = ref.Namespace
			}
			out = append(out, p.hostOf(ns, name))
		}
		if gateway {
			// What a gateway does with calls is felt by the Services that it calls.
			out = append(out, destinationHosts(p, ref.Namespace, spec)...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func textList(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, x := range list {
		if s, ok := x.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// lead is that a route leads to a host.
type lead struct {
	route api.Ref
	to    string
}

// leadingTo are the hosts that routes lead to, by the host that they are for: of
// those that no change touches, and of those that some do, in any of their contents.
func (p *prover) leadingTo(ever map[api.Ref][]api.Content) (untouched map[string][]string, touched map[string][]lead) {
	untouched, touched = map[string][]string{}, map[string][]lead{}
	for _, k := range []mesh.Kind{mesh.KindVirtualService, mesh.KindHTTPRoute, mesh.KindGRPCRoute, mesh.KindTCPRoute, mesh.KindTLSRoute} {
		for _, o := range p.st.Objects(k) {
			if _, ok := ever[o.Ref()]; ok {
				continue
			}
			to := destinationHosts(p, o.Namespace, o.Content["spec"])
			for _, h := range p.ownHosts(o.Ref(), []api.Content{o.Content}) {
				untouched[h] = append(untouched[h], to...)
			}
		}
	}
	for _, ref := range slices.SortedFunc(maps.Keys(ever), api.Ref.Compare) {
		if ref.Kind == "Service" || ref.Kind == "DestinationRule" {
			continue
		}
		for _, c := range ever[ref] {
			for _, h := range p.ownHosts(ref, []api.Content{c}) {
				for _, to := range destinationHosts(p, ref.Namespace, c["spec"]) {
					touched[h] = append(touched[h], lead{ref, to})
				}
			}
		}
	}
	return untouched, touched
}

// destinationHosts finds the destinations and backends anywhere in a spec.
func destinationHosts(p *prover, namespace string, v any) []string {
	var out []string
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			out = append(out, destinationHosts(p, namespace, x)...)
		}
	case map[string]any:
		for k, x := range v {
			m, _ := x.(map[string]any)
			if h, ok := m["host"].(string); ok && (k == "destination" || k == "mirror") {
				out = append(out, p.st.FQDN(h, namespace))
			}
			out = append(out, destinationHosts(p, namespace, x)...)
		}
		if name, ok := v["name"].(string); ok && v["port"] != nil {
			ns, ok := v["namespace"].(string)
			if !ok {
				ns = namespace
			}
			out = append(out, p.hostOf(ns, name))
		}
	}
	return out
}

// contentVersion is versionOf, which writes the content out, once for each content.
func (p *prover) contentVersion(ref api.Ref, c api.Content) int {
	k := reflect.ValueOf(c).Pointer()
	id, ok := p.reroute.versions[k]
	if !ok {
		id = p.versionOf(ref, c)
		p.reroute.versions[k] = id
	}
	return id
}

// reroutes tells whether a change of an object may alter what acts on calls of a
// Service between two worlds.
func (p *prover) reroutes(t *target, ref api.Ref, from, end world) bool {
	if p.reroute == nil {
		return false
	}
	i := slices.IndexFunc(p.reroute.of[t], func(r rerouted) bool { return r.ref == ref })
	return i >= 0 && (p.reroute.of[t][i].counts(from) || p.reroute.of[t][i].counts(end))
}

// routesIn gives a view the state of the routes to its Service in a world, and the
// part of the view's key that tells it from others, "" while they are as they are
// today. The state is nil when an object of it does not fit its kind.
func (p *prover) routesIn(w world, t *target) (st *mesh.State, key string) {
	if p.reroute == nil || t == nil || len(p.reroute.of[t]) == 0 {
		return p.st, ""
	}
	objects := map[api.Ref]api.Content{}
	var b []byte
	same := true
	for i := range p.reroute.of[t] {
		r := &p.reroute.of[t][i]
		ref := r.ref
		if !r.counts(w) {
			b = append(b, ",."...)
			continue
		}
		c, today := w.content(ref), p.start.content(ref)
		if c == nil && today == nil {
			b = append(b, ",-"...)
			continue
		}
		objects[ref] = c
		id := 0
		if c != nil {
			id = p.contentVersion(ref, c)
		}
		same = same && c != nil && today != nil && id == p.contentVersion(ref, today)
		b = strconv.AppendInt(append(b, ','), int64(id), 10)
	}
	if same {
		return p.st, ""
	}
	key = strconv.Itoa(t.n) + string(b)
	st, known := p.reroute.states[key]
	if !known {
		st = p.routedBy(t.service, objects)
		p.reroute.states[key] = st
	}
	return st, key
}
