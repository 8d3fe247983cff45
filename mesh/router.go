package mesh

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// RouteCall is the service and port that a router is for.
type RouteCall struct {
	// Host is the full name of the called service, in lower case.
	Host string
	Port int32
	// Retries is the policy of the mesh for rules without any, and for the default route; nil for Istio's own.
	Retries *networking.HTTPRetry
	// Unknown says why that is not known.
	Unknown string
}

// RouteRule is what stands in a rule for HTTP, with what istiod needs to translate it.
type RouteRule struct {
	// Kind of the object: "VirtualService", "HTTPRoute" or "GRPCRoute".
	Kind string
	// Namespace completes the names of destinations, Domain as well.
	Namespace, Domain string
	// Rule is one element of spec.http or spec.rules; Match the one of its conditions that the entry is for, nil
	// when it has none.
	Rule, Match map[string]any
	// Ports are the only ports of the destinations that have no more, by host: what a destination without port means
	// (pilot/pkg/networking/core/route/route.go, GetDestinationCluster).
	Ports map[string]int32
	// Missing are the destinations that nothing declares, Aliases those of type ExternalName.
	Missing, Aliases []string
}

// RouteOptions is what routers are told about the mesh.
type RouteOptions struct {
	// StandsFor says that a Service has the endpoints of a subset of another one, so that leading to the one is the
	// same as leading to the other: the host of the Service to the host and subset (facts C-50). Ports stay.
	StandsFor map[string]RouteTarget
	// ConsistentHash: DestinationRules hash for some of the destinations. Then it counts as well in which order
	// destinations stand, and whether there was a choice of them (route.go, processWeightedDestination).
	ConsistentHash bool
	// Limit of cells in a comparison; 0 is DefaultRouteLimit.
	Limit int
}

// RouteTarget is a host, and a subset of it when that is not empty.
type RouteTarget struct{ Host, Subset string }

// DefaultRouteLimit bounds a comparison of routers.
const DefaultRouteLimit = 20000

// Router is what a proxy does with the HTTP requests to one port of a service: entries of which the first that matches
// counts, as in a virtual host of Envoy. A request that none matches gets 404.
type Router struct {
	entries []routerEntry
	// host is the called service.
	host string
}

// routerEntry is one route: when it matches and what it does.
type routerEntry struct {
	object api.Ref
	path   string
	match  routeConditions
	action RouteAction
	// unknown says why the action is not known, match.unknown why it is not known when it matches.
	unknown string
}

// RouteRequest is a request to the service, as far as routes look at it.
type RouteRequest struct {
	Method, Path, Authority, Scheme string
	// Headers by name in lower case, Query by name. Several values of a header are one, joined by commas.
	Headers, Query map[string]string
}

// String is the request as one would write it: "GET /reviews/x?page=2 end-user=jason".
func (r RouteRequest) String() string {
	var b strings.Builder
	b.WriteString(r.Method + " " + r.Path)
	for i, k := range slices.Sorted(maps.Keys(r.Query)) {
		b.WriteString([]string{"?", "&"}[min(i, 1)] + k + "=" + r.Query[k])
	}
	if r.Authority != "" {
		b.WriteString(" :authority=" + r.Authority)
	}
	if r.Scheme != "" && r.Scheme != "http" {
		b.WriteString(" :scheme=" + r.Scheme)
	}
	for _, k := range slices.Sorted(maps.Keys(r.Headers)) {
		b.WriteString(" " + k + "=" + r.Headers[k])
	}
	return b.String()
}

// RouteResult is what a router does with a request.
type RouteResult struct {
	// Object and Path are the rule that takes the request; none for the default route and for 404.
	Object api.Ref
	Path   string
	Action RouteAction
	// Unknown says why Action is not known.
	Unknown string
}

// String is the result in words: "VirtualService shop/a spec.http[0] -> reviews.shop.svc.cluster.local:80/v2".
func (r RouteResult) String() string {
	does := r.Action.String()
	if r.Unknown != "" {
		does = "not known: " + r.Unknown
	}
	switch {
	case r.Action.NotFound:
		return "no rule -> " + does
	case r.Object.IsZero():
		return "default route -> " + does
	}
	return fmt.Sprintf("%s %s -> %s", r.Object, r.Path, does)
}

// CompileRoutes makes the router of the HTTP rules that act on calls of a service port, in their order; without any it
// is the default route to the service. The second result says why there is none. Source: BuildHTTPRoutesForVirtualService
// and TranslateRoute of pilot/pkg/networking/core/route/route.go; facts L-30, L-34.
func CompileRoutes(routes []Applied, call RouteCall, opts RouteOptions) (*Router, string) {
	if call.Host == "" {
		return nil, "the called service is not known"
	}
	if call.Unknown != "" {
		return nil, call.Unknown
	}
	out := &Router{host: call.Host}
	if len(routes) == 0 {
		e := routerEntry{}
		h := &networking.HTTPRoute{Route: []*networking.HTTPRouteDestination{{Destination: &networking.Destination{Host: call.Host, Port: &networking.PortSelector{Number: uint32(call.Port)}}}}}
		c := routeCompiler{rule: &RouteRule{}, call: call, opts: opts}
		e.action, e.unknown = c.action(h, &e.match)
		out.entries = append(out.entries, e)
		return out, ""
	}
	for _, a := range routes {
		if a.Protocol != "http" || a.Rule == nil {
			return nil, fmt.Sprintf("%s of %s is no rule for HTTP", a.Path, a.Object)
		}
		out.entries = append(out.entries, compileEntry(a, call, opts))
	}
	return out, ""
}

func compileEntry(a Applied, call RouteCall, opts RouteOptions) routerEntry {
	e := routerEntry{object: a.Object, path: a.Path}
	c := routeCompiler{rule: a.Rule, call: call, opts: opts}
	h, m, err := a.Rule.translate()
	if err != "" {
		e.match.unknown, e.unknown = err, err
		return e
	}
	e.match = compileConditions(m, c.gateway())
	e.action, e.unknown = c.action(h, &e.match)
	return e
}

// Route tells what the router does with a request.
func (r *Router) Route(req RouteRequest) RouteResult {
	for i := range r.entries {
		e := &r.entries[i]
		switch {
		case !e.match.hold(&req):
		case e.match.unknown != "":
			return RouteResult{Object: e.object, Path: e.path, Unknown: e.match.unknown}
		default:
			return e.result(req.Path, true)
		}
	}
	return RouteResult{Action: RouteAction{NotFound: true}}
}

// result is what an entry does with the requests for a path, or when it is not exact with all requests whose paths
// match the same conditions.
func (e *routerEntry) result(path string, exact bool) RouteResult {
	out := RouteResult{Object: e.object, Path: e.path, Action: e.action, Unknown: e.unknown}
	out.Action.Path = out.Action.Path.on(path, exact)
	if r := out.Action.Redirect; r != nil {
		c := *r
		c.Path = c.Path.on(path, exact)
		out.Action.Redirect = &c
	}
	return out
}
