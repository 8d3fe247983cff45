package router

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	cors "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	fault "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/ambientplan/ambientplan/mesh"
)

// A small evaluator of Envoy's routes, written from its documentation and shared with nothing of package mesh.

func stringMatches(m *matcher.StringMatcher, v string) bool {
	fold := func(s string) string {
		if m.IgnoreCase {
			return strings.ToLower(s)
		}
		return s
	}
	switch p := m.MatchPattern.(type) {
	case *matcher.StringMatcher_Exact:
		return fold(v) == fold(p.Exact)
	case *matcher.StringMatcher_Prefix:
		return strings.HasPrefix(fold(v), fold(p.Prefix))
	case *matcher.StringMatcher_SafeRegex:
		return regexp.MustCompile(`\A(?:` + p.SafeRegex.Regex + `)\z`).MatchString(v)
	}
	panic(fmt.Sprintf("string matcher %v", m))
}

func headerOf(req mesh.RouteRequest, name string) (string, bool) {
	switch strings.ToLower(name) {
	case ":method":
		return req.Method, true
	case ":authority", "host":
		return req.Authority, true
	case ":scheme":
		return req.Scheme, true
	}
	v, ok := req.Headers[strings.ToLower(name)]
	return v, ok
}

func matches(m *routev3.RouteMatch, req mesh.RouteRequest) bool {
	path, fold := req.Path, func(s string) string { return s }
	if m.CaseSensitive != nil && !m.CaseSensitive.Value {
		fold = strings.ToLower
	}
	ok := false
	switch p := m.PathSpecifier.(type) {
	case *routev3.RouteMatch_Prefix:
		ok = strings.HasPrefix(fold(path), fold(p.Prefix))
	case *routev3.RouteMatch_Path:
		ok = fold(path) == fold(p.Path)
	case *routev3.RouteMatch_PathSeparatedPrefix:
		ok = fold(path) == fold(p.PathSeparatedPrefix) || strings.HasPrefix(fold(path), fold(p.PathSeparatedPrefix)+"/")
	case *routev3.RouteMatch_SafeRegex:
		ok = regexp.MustCompile(`\A(?:` + p.SafeRegex.Regex + `)\z`).MatchString(path)
	default:
		panic(fmt.Sprintf("path %v", m))
	}
	for _, h := range m.Headers {
		v, present := headerOf(req, h.Name)
		switch s := h.HeaderMatchSpecifier.(type) {
		case *routev3.HeaderMatcher_PresentMatch:
			ok = ok && (present == s.PresentMatch) != h.InvertMatch
		case *routev3.HeaderMatcher_StringMatch:
			if !present && !h.TreatMissingHeaderAsEmpty {
				ok = false
				continue
			}
			ok = ok && stringMatches(s.StringMatch, v) != h.InvertMatch
		default:
			panic(fmt.Sprintf("header %v", h))
		}
	}
	for _, q := range m.QueryParameters {
		v, present := req.Query[q.Name]
		switch s := q.QueryParameterMatchSpecifier.(type) {
		case *routev3.QueryParameterMatcher_PresentMatch:
			ok = ok && present == s.PresentMatch
		case *routev3.QueryParameterMatcher_StringMatch:
			ok = ok && present && stringMatches(s.StringMatch, v)
		default:
			panic(fmt.Sprintf("query %v", q))
		}
	}
	return ok
}

// pathAfter is the path with what the route matched replaced.
func pathAfter(m *routev3.RouteMatch, path, with string) string {
	switch p := m.PathSpecifier.(type) {
	case *routev3.RouteMatch_Prefix:
		return with + path[len(p.Prefix):]
	case *routev3.RouteMatch_PathSeparatedPrefix:
		return with + path[len(p.PathSeparatedPrefix):]
	}
	return with
}

func substitute(m *matcher.RegexMatchAndSubstitute, path string) string {
	with := regexp.MustCompile(`\\([0-9])`).ReplaceAllString(m.Substitution, "$${$1}")
	return regexp.MustCompile(m.Pattern.Regex).ReplaceAllString(path, with)
}

// sample are headers that operations are tried on.
func sample() map[string][]string {
	return map[string][]string{"x-a": {"o1"}, "x-b": {"o2"}}
}

// envoyHeaders applies lists of operations in order: of each, removals first, then what overwrites, then what appends.
func envoyHeaders(lists ...[2]any) string {
	h := sample()
	for _, l := range lists {
		add, _ := l[0].([]*core.HeaderValueOption)
		remove, _ := l[1].([]string)
		for _, n := range remove {
			delete(h, strings.ToLower(n))
		}
		for _, o := range add {
			if o.AppendAction == core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD {
				h[strings.ToLower(o.Header.Key)] = []string{o.Header.Value}
			}
		}
		for _, o := range add {
			if o.AppendAction == core.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD {
				k := strings.ToLower(o.Header.Key)
				h[k] = append(h[k], o.Header.Value)
			}
		}
	}
	return headersText(h)
}

func headersText(h map[string][]string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(h)) {
		out = append(out, k+"="+strings.Join(h[k], "+"))
	}
	return strings.Join(out, ";")
}

func meshHeaders(effects []mesh.HeaderEffect) string {
	h := sample()
	for _, e := range effects {
		if e.Drop {
			delete(h, e.Name)
		}
		if len(e.Values) > 0 {
			h[e.Name] = append(h[e.Name], e.Values...)
		}
	}
	return headersText(h)
}

// target is a cluster as "host:port/subset", for the waypoint as well.
func target(cluster string) string {
	parts := strings.Split(cluster, "|")
	if len(parts) != 4 {
		return cluster
	}
	subset := parts[2]
	if parts[0] == "inbound-vip" {
		_, subset, _ = strings.Cut(subset, "/")
	}
	return parts[3] + ":" + parts[1] + "/" + subset
}

func share(p *typev3.FractionalPercent) string {
	n := int64(p.GetNumerator())
	switch p.GetDenominator() {
	case typev3.FractionalPercent_HUNDRED:
		n *= 10000
	case typev3.FractionalPercent_TEN_THOUSAND:
		n *= 100
	}
	return fmt.Sprint(n)
}

// destinationsText adds up equal ones and writes their shares.
func destinationsText(weights map[string]int64) []string {
	total := int64(0)
	for _, w := range weights {
		total += w
	}
	var out []string
	for _, k := range slices.Sorted(maps.Keys(weights)) {
		out = append(out, fmt.Sprintf("to %s share %.9f", k, float64(weights[k])/float64(total)))
	}
	return out
}

// envoyDoes writes what a route does with a request, line by line.
func envoyDoes(r *routev3.Route, req mesh.RouteRequest) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	response := [2]any{r.ResponseHeadersToAdd, r.ResponseHeadersToRemove}
	request := [2]any{r.RequestHeadersToAdd, r.RequestHeadersToRemove}
	switch a := r.Action.(type) {
	case *routev3.Route_Redirect:
		d := a.Redirect
		code := map[routev3.RedirectAction_RedirectResponseCode]int{0: 301, 1: 302, 2: 303, 3: 307, 4: 308}[d.ResponseCode]
		path := req.Path
		switch p := d.PathRewriteSpecifier.(type) {
		case *routev3.RedirectAction_PathRedirect:
			if p.PathRedirect != "" {
				path = p.PathRedirect
			}
		case *routev3.RedirectAction_PrefixRewrite:
			path = pathAfter(r.Match, req.Path, p.PrefixRewrite)
		}
		add("redirect %d scheme=%s host=%s port=%d path=%s", code, d.GetSchemeRedirect(), d.HostRedirect, d.PortRedirect, path)
		add("response %s", envoyHeaders(response))
	case *routev3.Route_DirectResponse:
		add("answer %d %q", a.DirectResponse.Status, a.DirectResponse.GetBody().GetInlineString())
		add("response %s", envoyHeaders(response))
	case *routev3.Route_Route:
		out = append(out, envoyForward(r, a.Route, req, request, response)...)
	default:
		panic(fmt.Sprintf("action %v", r))
	}
	if any := r.TypedPerFilterConfig["envoy.filters.http.fault"]; any != nil {
		f := &fault.HTTPFault{}
		if err := any.UnmarshalTo(f); err != nil {
			panic(err)
		}
		if d := f.Delay; d != nil && share(d.Percentage) != "0" {
			add("delay %s %d", share(d.Percentage), d.GetFixedDelay().AsDuration().Nanoseconds())
		}
		if a := f.Abort; a != nil && share(a.Percentage) != "0" {
			add("abort %s http=%d grpc=%d", share(a.Percentage), a.GetHttpStatus(), a.GetGrpcStatus())
		}
	}
	if any := r.TypedPerFilterConfig["envoy.filters.http.cors"]; any != nil {
		c := &cors.CorsPolicy{}
		if err := any.UnmarshalTo(c); err != nil {
			panic(err)
		}
		var origins []string
		for _, o := range c.AllowOriginStringMatch {
			switch p := o.MatchPattern.(type) {
			case *matcher.StringMatcher_Exact:
				origins = append(origins, "exact "+p.Exact)
			case *matcher.StringMatcher_Prefix:
				origins = append(origins, "prefix "+p.Prefix)
			case *matcher.StringMatcher_SafeRegex:
				origins = append(origins, "regex "+p.SafeRegex.Regex)
			}
		}
		sort.Strings(origins)
		add("cors %q methods=%s headers=%s expose=%s age=%s credentials=%v forward=%v", origins, c.AllowMethods, c.AllowHeaders, c.ExposeHeaders, c.MaxAge, c.AllowCredentials.GetValue(), c.ForwardNotMatchingPreflights.GetValue())
	}
	return out
}

func envoyForward(r *routev3.Route, a *routev3.RouteAction, req mesh.RouteRequest, request, response [2]any) []string {
	missing := func(cluster string) int {
		switch {
		case !strings.Contains(cluster, "nobody"):
			return 0
		case a.ClusterNotFoundResponseCode == routev3.RouteAction_INTERNAL_SERVER_ERROR:
			return 500
		}
		return 503
	}
	weights := map[string]int64{}
	one := func(cluster, authority string, weight int64, request, response string) {
		if a.GetHostRewriteLiteral() != "" {
			authority = a.GetHostRewriteLiteral()
		}
		weights[fmt.Sprintf("%s as %q missing %d request %s response %s", target(cluster), authority, missing(cluster), request, response)] += weight
	}
	switch c := a.ClusterSpecifier.(type) {
	case *routev3.RouteAction_Cluster:
		one(c.Cluster, "", 1, envoyHeaders(request), envoyHeaders(response))
	case *routev3.RouteAction_WeightedClusters:
		for _, w := range c.WeightedClusters.Clusters {
			one(w.Name, w.GetHostRewriteLiteral(), int64(w.Weight.GetValue()), envoyHeaders([2]any{w.RequestHeadersToAdd, w.RequestHeadersToRemove}, request), envoyHeaders([2]any{w.ResponseHeadersToAdd, w.ResponseHeadersToRemove}, response))
		}
	}
	out := destinationsText(weights)
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	path := req.Path
	if a.PrefixRewrite != "" {
		path = pathAfter(r.Match, req.Path, a.PrefixRewrite)
	}
	if a.RegexRewrite != nil {
		path = substitute(a.RegexRewrite, req.Path)
	}
	add("path %s", path)
	add("timeout %d", a.Timeout.AsDuration().Nanoseconds())
	if p := a.RetryPolicy; p == nil {
		add("no retries")
	} else {
		on := strings.Split(p.RetryOn, ",")
		slices.Sort(on)
		var codes []int
		for _, c := range p.RetriableStatusCodes {
			codes = append(codes, int(c))
		}
		slices.Sort(codes)
		add("retries %d on %v %v try %d others %v remote %v backoff %d", p.NumRetries.GetValue(), slices.Compact(on), slices.Compact(codes), p.PerTryTimeout.AsDuration().Nanoseconds(), len(p.RetryHostPredicate) > 0, p.RetryPriority != nil, p.RetryBackOff.GetBaseInterval().AsDuration().Nanoseconds())
	}
	var mirrors []string
	for _, m := range a.RequestMirrorPolicies {
		if missing(m.Cluster) == 0 {
			mirrors = append(mirrors, fmt.Sprintf("mirror %s %s", target(m.Cluster), share(m.RuntimeFraction.GetDefaultValue())))
		}
	}
	slices.Sort(mirrors)
	return append(out, mirrors...)
}

// meshDoes writes what package mesh says, in the same words.
func meshDoes(a mesh.RouteAction, req mesh.RouteRequest) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	pathText := func(p mesh.PathChange) string {
		if p.IsZero() {
			return req.Path
		}
		s, err := strconv.Unquote(p.String())
		if err != nil {
			return p.String()
		}
		return s
	}
	switch {
	case a.Redirect != nil:
		add("redirect %d scheme=%s host=%s port=%d path=%s", a.Redirect.Code, a.Redirect.Scheme, a.Redirect.Host, a.Redirect.Port, pathText(a.Redirect.Path))
		add("response %s", meshHeaders(a.Response))
	case a.Direct != nil:
		add("answer %d %q", a.Direct.Status, a.Direct.Body)
		add("response %s", meshHeaders(a.Response))
	default:
		weights := map[string]int64{}
		for _, d := range a.Destinations {
			weights[fmt.Sprintf("%s:%d/%s as %q missing %d request %s response %s", d.Host, d.Port, d.Subset, d.Authority, d.Missing, meshHeaders(d.Request), meshHeaders(d.Response))] += d.Weight
		}
		out = append(out, destinationsText(weights)...)
		add("path %s", pathText(a.Path))
		add("timeout %d", a.Timeout)
		if p := a.Retries; p == nil {
			add("no retries")
		} else {
			add("retries %d on %v %v try %d others %v remote %v backoff %d", p.Attempts, p.On, p.Codes, p.PerTryTimeout, p.OtherHosts, p.RemoteLocalities, p.Backoff)
		}
		var mirrors []string
		for _, m := range a.Mirrors {
			mirrors = append(mirrors, fmt.Sprintf("mirror %s:%d/%s %d", m.Host, m.Port, m.Subset, m.Share))
		}
		slices.Sort(mirrors)
		out = append(out, mirrors...)
	}
	if a.Delay != nil {
		add("delay %d %d", a.Delay.Share, a.Delay.Delay)
	}
	if a.Abort != nil {
		grpc := 0
		if a.Abort.GRPCStatus == "NOT_FOUND" {
			grpc = 5
		}
		add("abort %d http=%d grpc=%d", a.Abort.Share, a.Abort.HTTPStatus, grpc)
	}
	if c := a.CORS; c != nil {
		origins := append([]string(nil), c.Origins...)
		add("cors %q methods=%s headers=%s expose=%s age=%s credentials=%v forward=%v", origins, c.Methods, c.Headers, c.Expose, c.MaxAge, c.Credentials, c.ForwardOtherPreflights)
	}
	return out
}
