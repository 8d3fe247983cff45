package mesh

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// meshGatewayName is the reserved name that binds a route to sidecars and waypoints.
const meshGatewayName = "mesh"

// visibility is how a route reaches a namespace; istiod reads the smaller ones first.
type visibility int

const (
	private visibility = iota
	exported
	public
	invisible
)

// trafficRoute is a VirtualService, or what istiod makes of the Gateway API routes of one namespace for one host.
type trafficRoute struct {
	ref             api.Ref
	namespace, name string
	// createdAt sorts as text; "" when it is not known.
	createdAt  string
	hosts      []string
	gateways   []string
	gatewayAPI bool
	// export as istiod sees it, with "." spelled out.
	export         []string
	http, tcp, tls []routeEntry
}

// routeEntry is one rule with one of its conditions.
type routeEntry struct {
	object   api.Ref
	path     string
	features []Feature
	match    routeMatch
	// catchAll: every request matches, so that nothing behind it is reached.
	catchAll bool
	// subnets: the rule holds for some addresses of the destination only, which a waypoint does not look at.
	subnets bool
	to      []destination
	// source is the rule and its condition as they stand, of HTTP.
	source RouteRule
	// rank orders the rules of Gateway API routes.
	rank [5]int
}

// routeMatch is the part of a condition that istiod evaluates for each proxy.
type routeMatch struct {
	present         bool
	port            int32
	gateways        []string
	sourceLabels    map[string]string
	sourceNamespace string
	sniHosts        []string
}

// destination is where a route leads to.
type destination struct {
	host, subset string
	port         int32
}

func (r *trafficRoute) forMesh() bool {
	return len(r.gateways) == 0 || slices.Contains(r.gateways, meshGatewayName)
}

func (r *trafficRoute) forGateways() bool {
	return slices.ContainsFunc(r.gateways, func(g string) bool { return g != meshGatewayName })
}

// visibility to proxies of a namespace (initVirtualServices).
func (r *trafficRoute) visibility(namespace string) visibility {
	switch {
	case slices.Contains(r.export, "*"):
		return public
	case slices.Contains(r.export, "~") || !slices.Contains(r.export, namespace):
		return invisible
	case r.namespace == namespace:
		return private
	}
	return exported
}

// foreign is 0 for a Gateway API route of the namespace and 1 for anything else.
func (r *trafficRoute) foreign(namespace string) int {
	if r.gatewayAPI && r.namespace == namespace {
		return 0
	}
	return 1
}

// exportSet spells exportTo out for an object of a namespace. Source: virtualservice_controller.go.
func exportSet(export, defaults []string, namespace string) []string {
	if len(export) == 0 {
		export = defaults
	}
	if len(export) == 0 {
		return []string{"*"}
	}
	out := slices.Clone(export)
	for i := range out {
		if out[i] == "." {
			out[i] = namespace
		}
	}
	return out
}

func compareRouteAge(a, b *trafficRoute) int {
	return cmp.Or(cmp.Compare(a.createdAt, b.createdAt), cmp.Compare(a.name, b.name), cmp.Compare(a.namespace, b.namespace))
}

// atSidecar lists the HTTP rules that istiod writes for the sidecar of a client, up to the first that takes every
// request. Conditions on gateways switch those on the source off (route.go, sourceMatchHTTP, BuildHTTPRoutesForVirtualService).
func (r *trafficRoute) atSidecar(client *api.Workload, port int32) []routeEntry {
	var out []routeEntry
	for _, e := range r.http {
		m := e.match
		if m.port != 0 && m.port != port {
			continue
		}
		if len(m.gateways) > 0 {
			if !slices.Contains(m.gateways, meshGatewayName) {
				continue
			}
		} else if !Selects(m.sourceLabels, client.PodLabels) || m.sourceNamespace != "" && m.sourceNamespace != client.Namespace {
			continue
		}
		out = append(out, e)
		if e.catchAll {
			break
		}
	}
	return out
}

// atWaypoint lists the HTTP rules that istiod writes for a waypoint: conditions on labels of the source are dropped,
// a namespace of the source is compared with the waypoint's own (listener_waypoint.go, waypointInboundRoute).
func (r *trafficRoute) atWaypoint(namespace string, port int32) []routeEntry {
	var out []routeEntry
	for _, e := range r.http {
		m := e.match
		if len(m.sourceLabels) > 0 || m.port != 0 && m.port != port {
			continue
		}
		if len(m.gateways) > 0 {
			if !slices.Contains(m.gateways, meshGatewayName) {
				continue
			}
		} else if m.sourceNamespace != "" && m.sourceNamespace != namespace {
			continue
		}
		out = append(out, e)
		if e.catchAll {
			break
		}
	}
	return out
}

// l4AtSidecar lists the TCP or TLS rules for the sidecar of a client; a TLS rule without condition is none there
// (tls.go, matchTCP, matchTLS).
func l4AtSidecar(entries []routeEntry, sni bool, client *api.Workload, port int32) []routeEntry {
	var out []routeEntry
	for _, e := range entries {
		if (e.match.present || !sni) && e.match.l4(client.PodLabels, client.Namespace, port) {
			out = append(out, e)
			if e.catchAll {
				break
			}
		}
	}
	return out
}

// l4 tells whether a TCP or TLS condition holds for a proxy: gateways, labels, port and namespace each on its own.
func (m routeMatch) l4(labels map[string]string, namespace string, port int32) bool {
	return (len(m.gateways) == 0 || slices.Contains(m.gateways, meshGatewayName)) && Selects(m.sourceLabels, labels) &&
		(m.port == 0 || m.port == port) && (m.sourceNamespace == "" || m.sourceNamespace == namespace)
}

// waypointL4 is the one TCP or TLS rule that a waypoint follows: the first TLS rule whose only SNI is the service,
// else the first TCP rule (getWaypointTCPRoutes, facts L-35).
func waypointL4(rs []*trafficRoute, host string, port int32) (string, *trafficRoute, *routeEntry) {
	for _, r := range rs {
		for i, e := range r.tls {
			if !e.match.present || len(e.match.sniHosts) == 1 && e.match.sniHosts[0] == host && e.match.l4(nil, "", port) {
				return "tls", r, &r.tls[i]
			}
		}
	}
	for _, r := range rs {
		for i, e := range r.tcp {
			if !e.match.present || e.match.l4(nil, "", port) {
				return "tcp", r, &r.tcp[i]
			}
		}
	}
	return "", nil, nil
}

// virtualServices reads the VirtualServices, with their delegates merged in.
func (x *trafficIndex) virtualServices() []*trafficRoute {
	x.delegates = map[nsName]delegate{}
	for _, v := range x.ix.virtual {
		if len(v.Spec.GetHosts()) == 0 {
			x.delegates[nsName{v.Namespace, v.Name}] = delegate{v.Object, exportSet(v.Spec.GetExportTo(), x.vsExport, v.Namespace)}
		}
	}
	var out []*trafficRoute
	for _, v := range x.ix.virtual {
		if len(v.Spec.GetHosts()) == 0 {
			continue
		}
		at, _ := created(v.Object)
		r := &trafficRoute{ref: v.Ref(), namespace: v.Namespace, name: v.Name, createdAt: at, export: exportSet(v.Spec.GetExportTo(), x.vsExport, v.Namespace)}
		for _, h := range v.Spec.GetHosts() {
			r.hosts = append(r.hosts, strings.ToLower(x.ix.resolveHost(h, v.Namespace)))
		}
		r.gateways = gatewayNames(v.Spec.GetGateways(), v.Namespace)
		for i, h := range listAt(v.Content, "spec", "http") {
			rule, _ := h.(map[string]any)
			for _, m := range x.mergedRules(v.Object, rule, i) {
				r.http = append(r.http, x.httpEntries(m)...)
			}
		}
		r.tcp = x.l4Entries(v.Object, "tcp")
		r.tls = x.l4Entries(v.Object, "tls")
		out = append(out, r)
	}
	return out
}

// gatewayNames completes the names of gateways with their namespace.
func gatewayNames(names []string, namespace string) []string {
	var out []string
	for _, g := range names {
		if g != meshGatewayName && !strings.Contains(g, "/") {
			g = namespace + "/" + g
		}
		out = append(out, g)
	}
	return out
}

// httpEntries are the entries of one HTTP rule, one for each of its conditions.
func (x *trafficIndex) httpEntries(m httpRule) []routeEntry {
	base, to := x.ruleFeatures(m)
	e := routeEntry{object: m.object.Ref(), path: m.path, features: base, to: to, catchAll: true}
	e.source = RouteRule{Kind: "VirtualService", Namespace: m.namespace, Rule: m.rule}
	matches := listAt(m.rule, "match")
	if len(matches) == 0 {
		return []routeEntry{e}
	}
	out := make([]routeEntry, 0, len(matches))
	for j, raw := range matches {
		c, _ := raw.(map[string]any)
		me := e
		me.path = fmt.Sprintf("%s.match[%d]", m.path, j)
		me.source.Match = c
		me.match = readMatch(c, m.namespace)
		me.catchAll = matchesAll(c)
		if !me.catchAll {
			me.features = withFeature(base, Feature{"match", compact(without(c, "name", "port", "gateways", "sourceLabels", "sourceNamespace", "statPrefix"))})
		}
		out = append(out, me)
	}
	return out
}

// readMatch reads what istiod evaluates for each proxy.
func readMatch(c map[string]any, namespace string) routeMatch {
	m := routeMatch{present: true, port: intOf(c["port"]), sourceNamespace: textOf(c["sourceNamespace"])}
	m.gateways = gatewayNames(textsOf(c["gateways"]), namespace)
	m.sniHosts = textsOf(c["sniHosts"])
	if l, ok := c["sourceLabels"].(map[string]any); ok {
		m.sourceLabels = map[string]string{}
		for k, v := range l {
			m.sourceLabels[k] = textOf(v)
		}
	}
	return m
}

// routeCall is the call with what the mesh sets for all.
func (x *trafficIndex) routeCall(host string, port int32) RouteCall {
	out := RouteCall{Host: strings.ToLower(host), Port: port}
	for i, m := range x.ix.meshConfig {
		p := m.Spec.GetDefaultHttpRetryPolicy()
		if i > 0 && compact(p) != compact(out.Retries) {
			out.Unknown = fmt.Sprintf("%s and %s have other default retries", x.ix.meshConfig[0].Ref(), m.Ref())
		}
		if i == 0 {
			out.Retries = p
		}
	}
	return out
}

// routeRule is the rule of an entry with what istiod looks up for it.
func (x *trafficIndex) routeRule(e routeEntry) *RouteRule {
	out := e.source
	out.Domain = x.ix.clusterDomain
	for _, d := range e.to {
		svc, entries := x.ix.serviceAt(d.host), x.ix.entryHosts[d.host]
		var ports []int32
		switch {
		case svc != nil && svc.ExternalName != "":
			out.Aliases = append(out.Aliases, d.host)
		case svc != nil:
			for _, p := range svc.Ports {
				ports = append(ports, p.Port)
			}
		case len(entries) > 0:
			for _, p := range entries[0].Spec.GetPorts() {
				ports = append(ports, int32(p.GetNumber()))
			}
		default:
			out.Missing = append(out.Missing, d.host)
		}
		if len(ports) == 1 {
			if out.Ports == nil {
				out.Ports = map[string]int32{}
			}
			out.Ports[d.host] = ports[0]
		}
	}
	return &out
}

// matchesAll tells whether a condition lets every request pass (route.go, IsCatchAllRoute).
func matchesAll(c map[string]any) bool {
	for _, k := range []string{"headers", "withoutHeaders", "queryParams"} {
		if m, _ := c[k].(map[string]any); len(m) > 0 {
			return false
		}
	}
	for _, k := range []string{"method", "authority", "scheme"} {
		if c[k] != nil {
			return false
		}
	}
	uri, ok := c["uri"].(map[string]any)
	return !ok || uri["prefix"] == "/" || uri["regex"] == ".*"
}

// ruleFeatures are what an HTTP rule asks for, and where it leads to.
func (x *trafficIndex) ruleFeatures(m httpRule) ([]Feature, []destination) {
	var out []Feature
	var to []destination
	for _, k := range slices.Sorted(maps.Keys(m.rule)) {
		v := m.rule[k]
		switch k {
		case "match", "name", "delegate":
			continue
		case "route":
			text, ds := x.routeText(v, m.namespace)
			to = append(to, ds...)
			out = append(out, Feature{k, text})
			continue
		case "mirror":
			v = x.fullHost(v, m.namespace)
			to = append(to, destinationOf(v))
		case "mirrors":
			list, _ := v.([]any)
			full := make([]any, 0, len(list))
			for _, e := range list {
				em, _ := e.(map[string]any)
				d := x.fullHost(em["destination"], m.namespace)
				to = append(to, destinationOf(d))
				c := maps.Clone(em)
				if c == nil {
					c = map[string]any{}
				}
				c["destination"] = d
				full = append(full, c)
			}
			v = full
		}
		if v != nil {
			out = append(out, Feature{k, compact(v)})
		}
	}
	return out, to
}

// routeText writes destinations with full names; weights only where there is a choice.
func (x *trafficIndex) routeText(v any, namespace string) (string, []destination) {
	list, _ := v.([]any)
	var parts []string
	var to []destination
	for _, e := range list {
		m, _ := e.(map[string]any)
		d := destinationOf(x.fullHost(m["destination"], namespace))
		to = append(to, d)
		s := d.String()
		if len(list) > 1 {
			s += fmt.Sprintf(" weight %d", intOf(m["weight"]))
		}
		if h, ok := m["headers"]; ok && h != nil {
			s += " headers " + compact(h)
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, ", "), to
}

// String is the destination as documents write it: "orders.shop.svc.cluster.local:80/v2".
func (d destination) String() string {
	s := d.host
	if d.port != 0 {
		s += fmt.Sprintf(":%d", d.port)
	}
	if d.subset != "" {
		s += "/" + d.subset
	}
	return s
}

func (x *trafficIndex) fullHost(v any, namespace string) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	out := maps.Clone(m)
	out["host"] = x.ix.resolveHost(textOf(m["host"]), namespace)
	return out
}

func destinationOf(v any) destination {
	m, _ := v.(map[string]any)
	port, _ := m["port"].(map[string]any)
	return destination{host: strings.ToLower(textOf(m["host"])), subset: textOf(m["subset"]), port: intOf(port["number"])}
}

// l4Entries are the entries of spec.tcp or spec.tls. A rule without destination is skipped (tls.go).
func (x *trafficIndex) l4Entries(o *api.Object, key string) []routeEntry {
	var out []routeEntry
	for i, raw := range listAt(o.Content, "spec", key) {
		rule, _ := raw.(map[string]any)
		text, to := x.routeText(rule["route"], o.Namespace)
		if len(to) == 0 {
			continue
		}
		path := fmt.Sprintf("spec.%s[%d]", key, i)
		e := routeEntry{object: o.Ref(), path: path, features: []Feature{{"route", text}}, to: to, catchAll: key == "tcp"}
		matches := listAt(rule, "match")
		if len(matches) == 0 {
			out = append(out, e)
			continue
		}
		for j, m := range matches {
			c, _ := m.(map[string]any)
			me := e
			me.path = fmt.Sprintf("%s.match[%d]", path, j)
			me.match = readMatch(c, o.Namespace)
			me.subnets = len(textsOf(c["destinationSubnets"])) > 0
			me.catchAll = key == "tcp" && !me.subnets
			if rest := without(c, "port", "gateways", "sourceLabels", "sourceNamespace"); len(rest) > 0 {
				me.features = withFeature(e.features, Feature{"match", compact(rest)})
			}
			out = append(out, me)
		}
	}
	return out
}

// destinationsOf are the destinations of an applied rule.
func destinationsOf(rs []*trafficRoute, a Applied) []destination {
	for _, r := range rs {
		for _, list := range [][]routeEntry{r.http, r.tcp, r.tls} {
			for _, e := range list {
				if e.object == a.Object && e.path == a.Path {
					return e.to
				}
			}
		}
	}
	return nil
}

// withFeature adds a feature to a copy, in order.
func withFeature(fs []Feature, f Feature) []Feature {
	out := append(slices.Clone(fs), f)
	slices.SortFunc(out, compareFeature)
	return out
}

func compareFeature(a, b Feature) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
}

func compareApplied(a, b Applied) int {
	return cmp.Or(cmp.Compare(a.Host, b.Host), a.Object.Compare(b.Object), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Protocol, b.Protocol),
		slices.CompareFunc(a.Features, b.Features, compareFeature))
}
