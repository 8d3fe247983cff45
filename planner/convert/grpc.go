package convert

import (
	"regexp"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// What a GRPCRoute takes as names (GW apis/v1/grpcroute_types.go).
var (
	grpcService = regexp.MustCompile(`^\.?[A-Za-z_][A-Za-z_0-9]*(\.[A-Za-z_][A-Za-z_0-9]*)*$`)
	grpcMethod  = regexp.MustCompile(`^[A-Za-z_][A-Za-z_0-9]*$`)
)

// grpcRules writes the rules of a route object as those of a GRPCRoute. That is exact only where all rules of the host
// match methods as a whole, headers or everything, and route, mirror or change headers; anything else, such as a timeout
// or the prefix of a package, stays in an HTTPRoute, which routes gRPC as well (facts C-48).
func grpcRules(rules []gwv1.HTTPRouteRule) ([]gwv1.GRPCRouteRule, bool) {
	var out []gwv1.GRPCRouteRule
	for _, r := range rules {
		if r.Timeouts != nil || r.Retry != nil {
			return nil, false
		}
		filters, ok := grpcFilters(r.Filters)
		if !ok {
			return nil, false
		}
		g := gwv1.GRPCRouteRule{Filters: filters}
		for _, b := range r.BackendRefs {
			filters, ok := grpcFilters(b.Filters)
			if !ok {
				return nil, false
			}
			g.BackendRefs = append(g.BackendRefs, gwv1.GRPCBackendRef{BackendRef: b.BackendRef, Filters: filters})
		}
		for _, m := range r.Matches {
			gm, ok := grpcMatch(m)
			if !ok {
				return nil, false
			}
			g.Matches = append(g.Matches, gm)
		}
		if len(g.Matches) == 1 && g.Matches[0].Method == nil && len(g.Matches[0].Headers) == 0 {
			g.Matches = nil
		}
		out = append(out, g)
	}
	return out, true
}

func grpcMatch(m gwv1.HTTPRouteMatch) (gwv1.GRPCRouteMatch, bool) {
	var out gwv1.GRPCRouteMatch
	if m.Method != nil || len(m.QueryParams) > 0 {
		return out, false
	}
	switch path := *m.Path.Value; *m.Path.Type {
	case gwv1.PathMatchExact:
		parts := strings.Split(path, "/")
		if len(parts) != 3 || parts[0] != "" || !grpcService.MatchString(parts[1]) || !grpcMethod.MatchString(parts[2]) {
			return out, false
		}
		kind := gwv1.GRPCMethodMatchExact
		out.Method = &gwv1.GRPCMethodMatch{Type: &kind, Service: &parts[1], Method: &parts[2]}
	case gwv1.PathMatchPathPrefix:
		if path != "/" {
			return out, false
		}
	default:
		return out, false
	}
	for _, h := range m.Headers {
		kind := gwv1.GRPCHeaderMatchType(*h.Type)
		out.Headers = append(out.Headers, gwv1.GRPCHeaderMatch{Type: &kind, Name: gwv1.GRPCHeaderName(h.Name), Value: h.Value})
	}
	return out, true
}

func grpcFilters(in []gwv1.HTTPRouteFilter) ([]gwv1.GRPCRouteFilter, bool) {
	var out []gwv1.GRPCRouteFilter
	for _, f := range in {
		switch f.Type {
		case gwv1.HTTPRouteFilterRequestHeaderModifier, gwv1.HTTPRouteFilterResponseHeaderModifier, gwv1.HTTPRouteFilterRequestMirror:
			out = append(out, gwv1.GRPCRouteFilter{Type: gwv1.GRPCRouteFilterType(f.Type), RequestHeaderModifier: f.RequestHeaderModifier,
				ResponseHeaderModifier: f.ResponseHeaderModifier, RequestMirror: f.RequestMirror})
		default:
			return nil, false
		}
	}
	return out, true
}

// allGRPC tells that every HTTP port of the service is declared for gRPC.
func (t target) allGRPC() bool {
	for _, p := range t.ports {
		if speaksHTTP(p) && p.Protocol != "GRPC" {
			return false
		}
	}
	return true
}

// onlyGRPC tells that a host has GRPCRoutes instead of HTTPRoutes: never both.
func (c *conversion) onlyGRPC(objects [][][]gwv1.HTTPRouteRule) bool {
	if !c.cluster.grpc() || !c.target.allGRPC() {
		return false
	}
	for _, port := range objects {
		for _, rules := range port {
			if _, ok := grpcRules(rules); !ok {
				return false
			}
		}
	}
	return true
}

func (c *conversion) grpcRoute(rules []gwv1.HTTPRouteRule, port int32, number int) *gwv1.GRPCRoute {
	g, _ := grpcRules(rules)
	return &gwv1.GRPCRoute{
		TypeMeta:   metav1.TypeMeta{APIVersion: gwv1.GroupVersion.String(), Kind: "GRPCRoute"},
		ObjectMeta: c.meta("GRPCRoute", port, number),
		Spec:       gwv1.GRPCRouteSpec{CommonRouteSpec: gwv1.CommonRouteSpec{ParentRefs: []gwv1.ParentReference{c.target.parent(port)}}, Rules: g},
	}
}
