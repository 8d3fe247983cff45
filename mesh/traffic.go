package mesh

import (
	"fmt"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// Place is the proxy that applies routes and traffic policies to a call. The zero
// value is unset: nothing was found out.
type Place int

// Places.
const (
	PlaceUnset Place = iota
	// PlaceNone: no proxy on the way reads routes or traffic policies. ztunnel does not (facts L-30, M-13, M-15).
	PlaceNone
	// PlaceSidecar is the sidecar of the client.
	PlaceSidecar
	// PlaceGateway is the gateway that calls.
	PlaceGateway
	// PlaceWaypoint is the waypoint of the called service.
	PlaceWaypoint
)

// String is the place in words.
func (p Place) String() string {
	switch p {
	case PlaceNone:
		return "nobody"
	case PlaceSidecar:
		return "client sidecar"
	case PlaceGateway:
		return "gateway"
	case PlaceWaypoint:
		return "waypoint"
	case PlaceUnset:
	}
	return "unknown"
}

// Acting is which routes and traffic policies act on a call on one way.
type Acting struct {
	// Call is the service and port that the call is for.
	Call  RouteCall
	Where Place
	// Why says in words why it is this place: "ambient client, service has no waypoint".
	Why string
	// Routes in the order in which the proxy tries them. A list that ends without a rule for every request
	// answers the rest with 404 (HTTP); an empty one is the default route to the service.
	Routes []Applied
	// Policies are the DestinationRules for the hosts that the routes lead to, with what they set after merging.
	Policies []Applied
	// Destinations are the hosts that the routes lead to, as Applied.Host writes them; sorted.
	Destinations []string
	// StandsFor says which Services have the endpoints of a subset of another one (facts C-50).
	StandsFor map[string]RouteTarget
	// Then is what acts behind a gateway that passes the call on to a waypoint (facts M-18, E-19).
	Then *Acting
	// Unknown says what istiod decides by something that the state does not show; Routes are one reading.
	Unknown string
}

// Applied is one rule of an object, or one condition of a rule, that acts.
type Applied struct {
	Object api.Ref
	// Path of the rule: "spec.http[2]", or "spec.http[2].match[0]" when the rule has conditions.
	Path string
	// Protocol of a route is "http", "tcp" or "tls"; a policy has none.
	Protocol string
	// Host is the destination that a policy holds for, with "/subset" when it is that of a subset.
	Host string
	// Features sorted by name.
	Features []Feature
	// Rule is what stands there, for CompileRoutes; nil for policies and for rules of TCP and TLS.
	Rule *RouteRule
}

// Feature is one thing that a rule asks for.
type Feature struct {
	// Name is the field: "timeout", "retries", "fault", "match", "route", "loadBalancer", "subset", ...
	Name string
	// Value is what stands there, as text for a single value and as JSON with sorted keys otherwise. Hosts of
	// destinations are full names, so that equal values mean the same in any namespace.
	Value string
}

// Traffic tells which VirtualServices, Gateway API routes and DestinationRules act on a call of a service port by a
// client in the given mode. Through is the waypoint that the way leads through, nil for none; a sidecar client never
// passes one (facts M-12). The sidecar of the server applies nothing of them: what acts inbound are Sidecar objects
// (ingress, inboundConnectionPool) and EnvoyFilters, which rules L40 and L51 report. Default retries, which every
// Envoy does without being asked, are not listed either (facts L-85).
//
// Source: Istio pilot/pkg/model (virtualservice.go, push_context.go, sidecar.go, destination_rule.go) and
// pilot/pkg/networking/core (route/route.go, tls.go, listener_waypoint.go, cluster_waypoint.go); facts M-10 to M-22,
// L-30 to L-34, C-01.
func (s *State) Traffic(client *api.Workload, clientMode Mode, svc *api.Service, port api.ServicePort, through *api.WaypointRef) Acting {
	for _, k := range []Kind{KindVirtualService, KindDestinationRule, KindSidecar, KindHTTPRoute, KindGRPCRoute, KindTCPRoute, KindTLSRoute,
		KindGateway, KindK8sGateway, KindMeshConfig, KindService, KindServiceEntry, KindBackendTLSPolicy, KindBackendTrafficPolicy} {
		s.saw(k)
	}
	if client == nil || svc == nil {
		return Acting{Unknown: "the client or the service is not in the inventory"}
	}
	c := trafficCall{s: s, x: s.ix.traffic(), client: client, svc: svc, port: port}
	c.host = s.serviceHost(svc)
	switch {
	case port.Transport == "UDP":
		return c.nobody("no proxy handles UDP")
	case svc.ExternalName != "":
		return Acting{Unknown: fmt.Sprintf("%s is an alias (externalName %s), and what acts on calls of it is decided by the name that it stands for", svc.Ref(), svc.ExternalName)}
	}
	var out Acting
	switch clientMode {
	case ModeSidecar:
		out = c.sidecar()
	case ModeAmbient:
		out = c.ambient(through)
	case ModeNone:
		out = c.nobody("client outside the mesh")
	case ModeGateway:
		out = c.gateway(through)
	case ModeUnknown:
		return Acting{Unknown: fmt.Sprintf("the mode of %s is not known", client.Ref())}
	case ModeMixed:
		return Acting{Unknown: fmt.Sprintf("%s has pods of several modes: ask for each of them", client.Ref())}
	}
	out.Call, out.StandsFor = c.x.routeCall(c.host, port.Port), c.x.standing(out)
	if out.Then != nil {
		out.Then.Call, out.Then.StandsFor = out.Call, out.StandsFor
	}
	if out.Where != PlaceNone {
		out.addUnknown(c.x.disagree)
	}
	if p := c.x.backendPolicy(svc); p != nil && out.Where != PlaceNone {
		out.addUnknown(fmt.Sprintf("%s adds to the traffic policy of %s", p.Ref(), svc.Ref()))
	}
	return out
}

func (a *Acting) addUnknown(why string) {
	switch {
	case why == "":
	case a.Unknown == "":
		a.Unknown = why
	default:
		a.Unknown += "; " + why
	}
}

// trafficCall is one call of a service port.
type trafficCall struct {
	s      *State
	x      *trafficIndex
	client *api.Workload
	svc    *api.Service
	port   api.ServicePort
	// host is the full name of the service.
	host string
}

// carries tells which of the three lists of routes a proxy reads for a port (facts M-24: a port without declared
// protocol is sniffed).
func (c trafficCall) carries() (http, l4 bool, tls bool) {
	switch c.port.Protocol {
	case "HTTP", "HTTP2", "GRPC", "GRPC-Web":
		return true, false, false
	case "":
		return true, true, false
	case "HTTPS", "TLS":
		return false, true, true
	}
	return false, true, false
}

// nobody is a way on which nothing acts.
func (c trafficCall) nobody(why string) Acting {
	return Acting{Where: PlaceNone, Why: why, Destinations: []string{c.host}}
}

// applied is a rule as it acts on this call. That it leads to the called service itself, which the default route does
// as well, is nothing that it asks for.
func (c trafficCall) applied(e routeEntry, protocol string) Applied {
	a := Applied{Object: e.object, Path: e.path, Protocol: protocol, Features: e.features}
	if protocol == "http" {
		a.Rule = c.x.routeRule(e)
	}
	own := []string{c.host, destination{host: c.host, port: c.port.Port}.String()}
	if slices.Contains(own, a.feature("route")) {
		a.Features = slices.DeleteFunc(slices.Clone(a.Features), func(f Feature) bool { return f.Name == "route" })
	}
	return a
}

// ambient: ztunnel reads no route and no policy; a waypoint does (facts M-13 to M-16). It builds no chains for a
// service without virtual address (facts M-20, M-25).
func (c trafficCall) ambient(through *api.WaypointRef) Acting {
	switch {
	case through == nil:
		return c.nobody("ambient client, service has no waypoint")
	case c.svc.Headless:
		return c.nobody("ambient client, calls of a headless service bypass its waypoint")
	}
	out := c.waypoint(*through)
	out.Why = fmt.Sprintf("ambient client, waypoint %s/%s", through.Namespace, through.Name)
	return out
}

// sameRoutes tells whether two lists of rules, which lead to the given destinations,
// are proven to do the same with every request. Then it makes no difference which of them a proxy follows.
func (c trafficCall) sameRoutes(a, b []Applied, to []destination) bool {
	call, opts := c.x.routeCall(c.host, c.port.Port), RouteOptions{StandsFor: c.x.standingAmong(to)}
	one, why := CompileRoutes(a, call, opts)
	if why != "" {
		return false
	}
	other, why := CompileRoutes(b, call, opts)
	if why != "" {
		return false
	}
	d, unknown := CompareRouters(one, other, opts)
	return d == nil && unknown == ""
}

// waypoint is what the waypoint of the service applies (facts L-30, M-31).
func (c trafficCall) waypoint(w api.WaypointRef) Acting {
	out := Acting{Where: PlaceWaypoint}
	if !c.x.serviceVisible(c.svc, w.Namespace) {
		out.addUnknown(fmt.Sprintf("%s is not exported to namespace %s, where its waypoint is", c.svc.Ref(), w.Namespace))
	}
	var mine []*trafficRoute
	kinds := map[bool][]Applied{}
	var to []destination
	for _, r := range c.x.routesFor(c.host, w.Namespace) {
		if r.namespace == w.Namespace || r.namespace == c.svc.Namespace {
			mine = append(mine, r)
		}
	}
	c.x.orderForWaypoint(mine, w.Namespace)
	http, l4, _ := c.carries()
	var used []*trafficRoute
	if http {
		caught := false
		for _, r := range mine {
			es := r.atWaypoint(w.Namespace, c.port.Port)
			if len(es) == 0 {
				continue
			}
			used = append(used, r)
			for _, e := range es {
				a := c.applied(e, "http")
				to = append(to, e.to...)
				kinds[r.gatewayAPI] = append(kinds[r.gatewayAPI], a)
				if !caught {
					out.Routes = append(out.Routes, a)
				}
				caught = caught || e.catchAll
			}
		}
	}
	if l4 {
		if protocol, r, e := waypointL4(mine, c.host, c.port.Port); e != nil {
			used = append(used, r)
			a := c.applied(*e, protocol)
			if e.subnets {
				// A waypoint does not look at addresses: the rule holds for all of them.
				a.Features = slices.DeleteFunc(slices.Clone(a.Features), func(f Feature) bool { return f.Name == "match" })
			}
			out.Routes = append(out.Routes, a)
		}
	}
	if len(kinds) == 2 && !c.sameRoutes(kinds[false], kinds[true], to) {
		out.addUnknown("a VirtualService and a Gateway API route are both for this host, and which one a waypoint follows is not defined")
	}
	out.addUnknown(undatedOrder(used, w.Namespace))
	out.addUnknown(c.withoutCluster(out.Routes, used, w))
	c.policies(&out, used, w.Namespace, func(host, namespace string) *destinationGroup {
		return pickAtWaypoint(c.x.destinationRules(w.Namespace, host, namespace))
	})
	for i := range out.Policies {
		out.Policies[i].Features = withoutZones(out.Policies[i].Features)
	}
	return out
}

// sidecar is what the sidecar of the client applies (facts M-10, M-11, M-12).
func (c trafficCall) sidecar() Acting {
	out := Acting{Where: PlaceSidecar, Why: "client sidecar"}
	ns := c.client.Namespace
	listener, why := c.x.listenerOf(c.client, c.port.Port)
	if why != "" {
		out.addUnknown(why)
	}
	imported := c.imported(listener)
	if listener == nil || !c.x.serviceVisible(c.svc, ns) || !listener.importsService(c.host, c.svc.Namespace) {
		unknown := out.Unknown
		out = c.nobody("the client's sidecar does not know the service and passes the connection through")
		out.Unknown = unknown
		if len(imported) > 0 && c.port.Port == 80 {
			out.addUnknown("the client's Sidecar imports a route of this host and not the service")
		}
		return out
	}
	http, l4, tls := c.carries()
	var used []*trafficRoute
	if http {
		r, rivals, es := c.sidecarHTTP(imported)
		if r != nil {
			used = append(used, r)
		}
		for _, e := range es {
			out.Routes = append(out.Routes, c.applied(e, "http"))
		}
		out.addUnknown(undatedOrder(rivals, ns))
		out.addUnknown(c.x.shortHosts(c.svc, c.port.Port, ns))
	}
	if l4 {
		routes, rivals := c.sidecarL4(imported, tls)
		used = append(used, rivals...)
		out.Routes = append(out.Routes, routes...)
		out.addUnknown(undatedOrder(rivals, ns))
	}
	c.policies(&out, used, ns, func(host, namespace string) *destinationGroup {
		return pickAtSidecar(c.x.destinationRules(ns, host, namespace), ns, c.client.PodLabels)
	})
	for _, a := range out.Routes {
		for _, d := range destinationsOf(used, a) {
			if svc := c.x.ix.serviceAt(d.host); svc != nil && d.host != c.host && !listener.importsService(d.host, svc.Namespace) {
				out.addUnknown(fmt.Sprintf("a route leads to %s, which the client's Sidecar does not import", svc.Ref()))
			}
		}
	}
	return out
}

// withoutCluster tells of a route that a waypoint has no cluster for: it builds one for a service that it does not serve
// itself only when an object names the called service by its full host, and not by a wildcard, and leads there. Requests
// get 503 then (pilot/pkg/networking/core/waypoint.go, filterWaypointOutboundServices).
func (c trafficCall) withoutCluster(routes []Applied, used []*trafficRoute, w api.WaypointRef) string {
	for _, a := range routes {
		for _, d := range destinationsOf(used, a) {
			if d.host != c.host && !c.x.ownedBy(d.host, w) && !c.x.leadsTo(c.host, d.host) {
				return fmt.Sprintf("%s of %s is for a wildcard host, and waypoint %s/%s answers 503 instead of leading to %s unless it is the waypoint of that service too", a.Path, a.Object, w.Namespace, w.Name, d.host)
			}
		}
	}
	return ""
}

// imported are the routes for the service that the client's sidecar reads, in its order.
func (c trafficCall) imported(listener *egressListener) []*trafficRoute {
	var out []*trafficRoute
	for _, r := range c.x.routesFor(c.host, c.client.Namespace) {
		if listener.importsRoute(r) {
			out = append(out, r)
		}
	}
	c.x.orderForSidecar(out, c.client.Namespace)
	return out
}

// sidecarHTTP picks the one object that a sidecar follows for a host: an exact host before any wildcard, the longest
// wildcard before others, and of several the first that has a rule for this client and port. The rivals are those that
// it could be, if their ages were others. Source: pilot/pkg/networking/core/route/route.go
// (BuildSidecarVirtualHostWrapper) and pilot/pkg/model/sidecar.go (computeWildcardHostVirtualServiceIndex).
func (c trafficCall) sidecarHTTP(imported []*trafficRoute) (used *trafficRoute, rivals []*trafficRoute, rules []routeEntry) {
	var best string
	exact := false
	for _, r := range imported {
		for _, h := range r.hosts {
			exact = exact || h == c.host
			if isWildcard(h) && hostMatches(h, c.host) && len(h) > len(best) {
				best = h
			}
		}
	}
	if exact {
		best = c.host
	}
	for _, r := range imported {
		if !slices.Contains(r.hosts, best) || r.gatewayAPI && r.namespace != c.svc.Namespace && r.namespace != c.client.Namespace {
			continue
		}
		if !exact && r.gatewayAPI {
			// Its wildcard hosts stand for themselves, and the object that comes first for a host is the only one.
			return used, rivals, rules
		}
		es := r.atSidecar(c.client, c.port.Port)
		if exact && len(es) == 0 {
			continue
		}
		if used == nil {
			used, rules = r, es
		}
		rivals = append(rivals, r)
	}
	return used, rivals, rules
}

// sidecarL4 are the TLS rules of all objects, or the TCP rules up to the first for all addresses (tls.go,
// buildSidecarOutboundTLSFilterChainOpts, buildSidecarOutboundTCPFilterChainOpts). The objects are those that have a
// say, or would if they came first.
func (c trafficCall) sidecarL4(imported []*trafficRoute, tls bool) ([]Applied, []*trafficRoute) {
	var routes []Applied
	var used []*trafficRoute
	protocol, done := "tcp", false
	if tls {
		protocol = "tls"
	}
	for _, r := range imported {
		list := r.tcp
		if tls {
			list = r.tls
		}
		es := l4AtSidecar(list, tls, c.client, c.port.Port)
		if len(es) > 0 {
			used = append(used, r)
		}
		for _, e := range es {
			a := c.applied(e, protocol)
			// Of several TLS rules for the same names the first is the only one.
			twice := tls && slices.ContainsFunc(routes, func(o Applied) bool { return o.feature("match") == a.feature("match") })
			if !done && !twice {
				routes = append(routes, a)
			}
		}
		done = done || !tls && slices.ContainsFunc(es, func(e routeEntry) bool { return !e.subnets })
	}
	return routes, used
}

// policies adds the DestinationRules of all hosts that the routes lead to. Without any route that is the service.
func (c trafficCall) policies(out *Acting, used []*trafficRoute, proxy string, find func(host, namespace string) *destinationGroup) {
	to := []destination{{host: c.host}}
	if len(out.Routes) > 0 {
		to = nil
		for _, a := range out.Routes {
			to = append(to, destinationsOf(used, a)...)
		}
	}
	c.settings(out, to, proxy, find)
}

// settings adds what the DestinationRules of some destinations set at a proxy of a namespace.
func (c trafficCall) settings(out *Acting, to []destination, proxy string, find func(host, namespace string) *destinationGroup) {
	seen := map[destination]bool{}
	for _, d := range to {
		// The port that is meant without any is left out, so that destinations with and without it compare.
		if d.port == c.clusterPort(destination{host: d.host}) {
			d.port = 0
		}
		if svc := c.x.ix.serviceAt(d.host); svc != nil && d.host != c.host && !c.x.serviceVisible(svc, proxy) {
			out.addUnknown(fmt.Sprintf("a route leads to %s, which is not exported to namespace %s", svc.Ref(), proxy))
		}
		for _, key := range []destination{{host: d.host, port: d.port}, d} {
			if seen[key] {
				continue
			}
			seen[key] = true
			out.Destinations = append(out.Destinations, key.String())
			if g := find(key.host, c.x.namespaceOf(key.host)); g != nil {
				out.Policies = append(out.Policies, g.settings(key, c.clusterPort(key))...)
			}
		}
	}
	slices.Sort(out.Destinations)
	slices.SortStableFunc(out.Policies, compareApplied)
	out.Policies = slices.CompactFunc(out.Policies, sameApplied)
}

// clusterPort is the port of the destination that a proxy connects to: the one that the route names, else the only
// one, else the one that was called (route.go, GetDestinationCluster).
func (c trafficCall) clusterPort(d destination) int32 {
	if d.port != 0 {
		return d.port
	}
	if svc := c.x.ix.serviceAt(d.host); svc != nil && len(svc.Ports) == 1 {
		return svc.Ports[0].Port
	}
	return c.port.Port
}

// gateway is what a gateway applies: the routes that are bound to it and lead to the service, and its traffic
// policy. It passes the waypoint only where the service asks for it (facts M-17, M-18, L-41).
func (c trafficCall) gateway(through *api.WaypointRef) Acting {
	out := Acting{Where: PlaceGateway, Why: "gateway"}
	ns := c.client.Namespace
	var used []*trafficRoute
	for _, g := range c.x.boundTo(c.host, c.client) {
		used = append(used, g.route)
		out.Routes = append(out.Routes, c.applied(g.entry, g.protocol))
	}
	slices.SortStableFunc(out.Routes, compareApplied)
	here := []destination{{host: c.host}}
	for _, a := range out.Routes {
		for _, d := range destinationsOf(used, a) {
			if d.host == c.host {
				here = append(here, d)
			}
		}
	}
	c.settings(&out, here, ns, func(host, namespace string) *destinationGroup {
		return pickAtSidecar(c.x.destinationRules(ns, host, namespace), ns, c.client.PodLabels)
	})
	if through == nil || c.svc.Headless {
		return out
	}
	// The endpoints of the gateway's cluster are now the waypoint's, whatever the subset (facts L-32).
	var kept []Applied
	for _, p := range out.Policies {
		p.Features = slices.DeleteFunc(slices.Clone(p.Features), func(f Feature) bool {
			return f.Name == "subset" || f.Name == "loadBalancer" || f.Name == "outlierDetection"
		})
		if len(p.Features) > 0 {
			kept = append(kept, p)
		}
	}
	out.Policies = kept
	then := c.waypoint(*through)
	then.Why = fmt.Sprintf("gateway passes waypoint %s/%s", through.Namespace, through.Name)
	out.Then = &then
	out.Why = then.Why
	return out
}
