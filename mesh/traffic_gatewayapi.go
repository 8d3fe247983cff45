package mesh

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// k8sGatewayPrefix marks the name of a Gateway of Gateway API in trafficRoute.gateways.
const k8sGatewayPrefix = "gateway:"

// routeObject is a Gateway API route of any kind.
type routeObject struct {
	*api.Object
	parents  []gwv1.ParentReference
	protocol string
}

// gatewayAPIRoutes turns Gateway API routes into what istiod makes of them: for a Service or ServiceEntry as parent the
// HTTP rules of one namespace, port and host, also those of HTTPRoutes and GRPCRoutes, become one route and are sorted
// together, TCP and TLS rules one for each object; for a Gateway one route for each object. Source: pilot/pkg/config/kube/gateway/route_collections.go,
// conversion.go; facts C-01, C-02, L-34, L-35.
func (x *trafficIndex) gatewayAPIRoutes() []*trafficRoute {
	var out []*trafficRoute
	merged := map[string]*trafficRoute{}
	for _, o := range x.routeObjects() {
		entries := x.ruleEntries(o)
		if len(entries) == 0 {
			continue
		}
		count := 0
		for _, p := range o.parents {
			ns, kind := o.Namespace, "Gateway"
			if p.Namespace != nil {
				ns = string(*p.Namespace)
			}
			if p.Kind != nil {
				kind = string(*p.Kind)
			}
			if kind == "Gateway" {
				r := x.routeOf(o, o.Name)
				r.gateways = []string{k8sGatewayPrefix + ns + "/" + string(p.Name)}
				r.add(o.protocol, entries)
				out = append(out, r)
				continue
			}
			for _, h := range x.parentHosts(kind, ns, string(p.Name)) {
				key, port := o.Namespace, int32(0)
				if p.Port != nil {
					port = *p.Port
					key += fmt.Sprintf("~%d", port)
				}
				key += "~" + h
				r := merged[key]
				if o.protocol != "http" {
					// One for each parent and host, whose number is part of the name.
					count++
					r, key = nil, fmt.Sprintf("%s~%s~%d", o.Name, o.protocol, count)
				}
				if r == nil {
					r = x.routeOf(o, key)
					r.hosts = []string{h}
					out = append(out, r)
					if o.protocol == "http" {
						merged[key] = r
					}
				}
				r.add(o.protocol, onParent(entries, port, o, h))
			}
		}
	}
	for _, r := range out {
		slices.SortStableFunc(r.http, compareRank)
	}
	return out
}

// routeOf is an empty route that stands for an object.
func (x *trafficIndex) routeOf(o routeObject, name string) *trafficRoute {
	at, _ := created(o.Object)
	return &trafficRoute{ref: o.Ref(), namespace: o.Namespace, name: name, createdAt: at, gatewayAPI: true, export: exportSet(nil, x.vsExport, o.Namespace)}
}

// routeObjects lists the routes in istiod's order of age.
func (x *trafficIndex) routeObjects() []routeObject {
	var out []routeObject
	for _, r := range x.ix.httpRoutes {
		out = append(out, routeObject{r.Object, r.Spec.ParentRefs, "http"})
	}
	for _, r := range x.ix.grpcRoutes {
		out = append(out, routeObject{r.Object, r.Spec.ParentRefs, "http"})
	}
	for _, r := range x.ix.tcpRoutes {
		out = append(out, routeObject{r.Object, r.Spec.ParentRefs, "tcp"})
	}
	for _, r := range x.ix.tlsRoutes {
		out = append(out, routeObject{r.Object, r.Spec.ParentRefs, "tls"})
	}
	slices.SortStableFunc(out, func(a, b routeObject) int {
		at, _ := created(a.Object)
		bt, _ := created(b.Object)
		return cmp.Or(cmp.Compare(at, bt), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind))
	})
	return out
}

func (r *trafficRoute) add(protocol string, entries []routeEntry) {
	switch protocol {
	case "http":
		r.http = append(r.http, entries...)
	case "tcp":
		r.tcp = append(r.tcp, entries...)
	case "tls":
		r.tls = append(r.tls, entries...)
	}
}

// onParent restricts rules to the port of a parent reference, and those of a TLSRoute to its names: without any that
// is the host of the parent.
func onParent(entries []routeEntry, port int32, o routeObject, host string) []routeEntry {
	out := slices.Clone(entries)
	for i := range out {
		e := &out[i]
		if port != 0 {
			e.match.present = true
			e.match.port = port
			e.rank[0] = max(e.rank[0], -1) // The port is a condition.
		}
		if o.protocol != "tls" {
			continue
		}
		e.match.present = true
		names := textsOf(any(listAt(o.Content, "spec", "hostnames")))
		if len(names) > 1 {
			names = slices.DeleteFunc(names, func(n string) bool { return !hostMatches(host, n) })
		}
		if len(names) == 0 {
			names = []string{host}
		}
		e.match.sniHosts = names
		e.features = withFeature(e.features, Feature{"match", compact(map[string]any{"sniHosts": names})})
	}
	return out
}

// parentHosts are the hosts of the Service or ServiceEntry that a route is attached to.
func (x *trafficIndex) parentHosts(kind, namespace, name string) []string {
	if kind == "Service" {
		return []string{strings.ToLower(name + "." + namespace + ".svc." + x.ix.clusterDomain)}
	}
	if kind != "ServiceEntry" {
		return nil
	}
	for _, e := range x.ix.entries {
		if e.Namespace == namespace && e.Name == name {
			return e.Spec.GetHosts()
		}
	}
	return nil
}

// ruleEntries are the rules of a route, one entry for each condition.
func (x *trafficIndex) ruleEntries(o routeObject) []routeEntry {
	var out []routeEntry
	rules := listAt(o.Content, "spec", "rules")
	if spec, ok := mapAt(o.Content, "spec"); ok && spec["rules"] == nil && o.Kind == "HTTPRoute" {
		rules = []any{map[string]any{}} // The default of the CRD: every request, and no backend.
	}
	for i, raw := range rules {
		rule, _ := raw.(map[string]any)
		path := fmt.Sprintf("spec.rules[%d]", i)
		features, to, ok := x.gatewayFeatures(rule, o)
		if !ok {
			// One rule that istiod cannot translate drops the object as a whole (computeRoute).
			return nil
		}
		e := routeEntry{object: o.Ref(), path: path, features: features, to: to, catchAll: true, rank: rankOfMatch(o.Kind, nil)}
		e.source = RouteRule{Kind: o.Kind, Namespace: o.Namespace, Rule: rule}
		matches := listAt(rule, "matches")
		if len(matches) == 0 {
			out = append(out, e)
			continue
		}
		for j, m := range matches {
			c, _ := m.(map[string]any)
			me := e
			me.path = fmt.Sprintf("%s.matches[%d]", path, j)
			me.source.Match = c
			me.rank = rankOfMatch(o.Kind, c)
			me.catchAll = o.Kind == "HTTPRoute" && anyRequest(c) || len(c) == 0
			if !me.catchAll {
				me.features = withFeature(features, Feature{"match", compact(c)})
			}
			out = append(out, me)
		}
	}
	return out
}

// anyRequest tells whether a condition of an HTTPRoute is the default one, prefix "/".
func anyRequest(c map[string]any) bool {
	p, ok := c["path"].(map[string]any)
	root := !ok || textOf(p["value"]) == "/" && (p["type"] == nil || p["type"] == "PathPrefix")
	return root && c["method"] == nil && len(listAt(c, "headers")) == 0 && len(listAt(c, "queryParams")) == 0
}

// gatewayFeatures are what a rule asks for, under the names of VirtualService where both have the thing; false when
// istiod refuses a filter. A rule without a backend of positive weight answers 500.
func (x *trafficIndex) gatewayFeatures(rule map[string]any, o routeObject) ([]Feature, []destination, bool) {
	var out []Feature
	var to []destination
	backends := listAt(rule, "backendRefs")
	var parts []string
	sum := int32(0)
	for _, raw := range backends {
		m, _ := raw.(map[string]any)
		w := int32(1)
		if m["weight"] != nil {
			w = intOf(m["weight"])
		}
		sum += w
		d := x.backendDestination(m, o.Namespace)
		s := d.String()
		if len(backends) > 1 {
			s += fmt.Sprintf(" weight %d", w)
		}
		if f := listAt(m, "filters"); len(f) > 0 {
			s += " filters " + compact(f)
		}
		to = append(to, d)
		parts = append(parts, s)
	}
	for _, p := range []struct{ key, name string }{{"timeouts", "timeout"}, {"retry", "retries"}} {
		if v := rule[p.key]; v != nil {
			out = append(out, Feature{p.name, compact(v)})
		}
	}
	redirect := false
	for _, raw := range listAt(rule, "filters") {
		f, _ := raw.(map[string]any)
		known := false
		for _, p := range []struct{ key, name string }{{"requestHeaderModifier", "headers"}, {"responseHeaderModifier", "headers"}, {"requestRedirect", "redirect"},
			{"requestMirror", "mirrors"}, {"urlRewrite", "rewrite"}, {"cors", "corsPolicy"}} {
			v, ok := f[p.key].(map[string]any)
			if !ok {
				continue
			}
			known, redirect = true, redirect || p.name == "redirect"
			if p.key == "requestMirror" {
				b, _ := v["backendRef"].(map[string]any)
				to = append(to, x.backendDestination(b, o.Namespace))
			}
			out = append(out, Feature{p.name, p.key + " " + compact(v)})
		}
		if !known {
			return nil, nil, false
		}
	}
	switch {
	case sum > 0:
		out = append(out, Feature{"route", strings.Join(parts, ", ")})
	case !redirect && o.protocol == "http":
		out, to = append(out, Feature{"directResponse", "500"}), nil
	case !redirect:
		out, to = append(out, Feature{"route", "nowhere"}), nil
	}
	slices.SortFunc(out, compareFeature)
	return out, to, true
}

func (x *trafficIndex) backendDestination(m map[string]any, namespace string) destination {
	if ns := textOf(m["namespace"]); ns != "" {
		namespace = ns
	}
	host := textOf(m["name"])
	if k := textOf(m["kind"]); k == "" || k == "Service" {
		host += "." + namespace + ".svc." + x.ix.clusterDomain
	}
	return destination{host: strings.ToLower(host), port: intOf(m["port"])}
}

// compareRank is the order that istiod gives the rules of Gateway API routes: exact before prefix before regular
// expression, longer paths first, then a method, then more headers, then more query parameters (conversion.go,
// sortHTTPRoutes; facts C-02).
func compareRank(a, b routeEntry) int {
	for i := range a.rank {
		if c := cmp.Compare(b.rank[i], a.rank[i]); c != 0 {
			return c
		}
	}
	return 0
}

// noMatch is the rank of a rule without conditions, which comes last.
const noMatch = -2

// rankOfMatch reads the rank off a condition of an HTTPRoute or GRPCRoute.
func rankOfMatch(kind string, c map[string]any) [5]int {
	var r [5]int
	if kind == "GRPCRoute" {
		m, ok := c["method"].(map[string]any)
		if ok {
			// The length is that of the path that istiod makes of it (createGRPCURIMatch).
			service, method := textOf(m["service"]), textOf(m["method"])
			regex := textOf(m["type"]) == "RegularExpression"
			switch {
			case service == "":
				r[0], r[1] = 1, len("/[^/]+/")+len(method)
			case regex && method == "":
				r[0], r[1] = 1, len("/"+service+"/.+")
			case regex:
				r[0], r[1] = 1, len("/"+service+"/"+method)
			case method != "":
				r[0], r[1] = 3, len("/"+service+"/"+method)
			default:
				r[0], r[1] = 2, len("/"+service+"/")
			}
		} else {
			r[0] = -1
			if c == nil {
				r[0] = noMatch
			}
		}
		r[3] = len(listAt(c, "headers"))
		return r
	}
	p, ok := c["path"].(map[string]any)
	value := textOf(p["value"])
	if !ok || value == "" {
		value = "/"
	}
	how := textOf(p["type"])
	if value != "/" && (how == "" || how == "PathPrefix") {
		value = strings.TrimSuffix(value, "/") // As istiod does before it sorts (createURIMatch).
	}
	r[0], r[1] = 2, len(value)
	switch how {
	case "Exact":
		r[0] = 3
	case "RegularExpression":
		r[0] = 1
	}
	if c["method"] != nil {
		r[2] = 1
	}
	r[3], r[4] = len(listAt(c, "headers")), len(listAt(c, "queryParams"))
	return r
}
