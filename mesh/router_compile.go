package mesh

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// routeCompiler makes actions of the rules of one entry.
type routeCompiler struct {
	rule *RouteRule
	call RouteCall
	opts RouteOptions
	// doubt is the first reason why the action is not known.
	doubt string
}

func (c *routeCompiler) gateway() bool {
	return c.rule.Kind == "HTTPRoute" || c.rule.Kind == "GRPCRoute"
}

func (c *routeCompiler) doubtf(format string, args ...any) {
	if c.doubt == "" {
		c.doubt = fmt.Sprintf(format, args...)
	}
}

// action translates what a rule does; the second result says why it is not known. Source: TranslateRoute,
// applyHTTPRouteDestination, ApplyRedirect and ApplyDirectResponse of pilot/pkg/networking/core/route/route.go.
func (c *routeCompiler) action(h *networking.HTTPRoute, match *routeConditions) (RouteAction, string) {
	out := RouteAction{CORS: c.cors(h.GetCorsPolicy())}
	c.faults(&out, h.GetFault())
	route := headerPhases(h.GetHeaders())
	switch {
	case h.GetRedirect() != nil:
		out.Redirect = c.redirect(h.GetRedirect(), match.path())
		out.Response = headerEffects(route.response)
	case h.GetDirectResponse() != nil:
		out.Direct = &RouteResponse{Status: h.GetDirectResponse().GetStatus()}
		switch b := h.GetDirectResponse().GetBody().GetSpecifier().(type) {
		case *networking.HTTPBody_String_:
			out.Direct.Body = b.String_
		case *networking.HTTPBody_Bytes:
			out.Direct.Body = string(b.Bytes)
		}
		out.Response = headerEffects(route.response)
	default:
		c.forward(&out, h, match.path(), route)
	}
	return out, c.doubt
}

// forward is what a rule does that leads somewhere.
func (c *routeCompiler) forward(out *RouteAction, h *networking.HTTPRoute, path routeCondition, route headerOperations) {
	out.Timeout = h.GetTimeout().AsDuration().Nanoseconds()
	authority := route.authority
	if r := h.GetRewrite(); r != nil {
		if r.GetAuthority() != "" {
			authority = r.GetAuthority()
		}
		out.ForwardsHost = authority != ""
		out.Path = c.rewrite(r, path)
	}
	policy := h.GetRetries()
	if policy == nil {
		policy = c.call.Retries
	}
	out.Retries = retriesOf(policy)
	if m := h.GetMirror(); m != nil {
		share, ok := mirrorShare(h)
		c.mirror(out, m, share, ok)
	}
	for _, m := range h.GetMirrors() {
		share, ok := uint32(1000000), m.GetDestination() != nil
		if p := m.GetPercentage(); p != nil {
			share, ok = percent(p), ok && p.GetValue() > 0
		}
		c.mirror(out, m.GetDestination(), share, ok)
	}
	slices.SortFunc(out.Mirrors, func(a, b RouteMirror) int { return strings.Compare(jsonText(a), jsonText(b)) })
	c.destinations(out, h.GetRoute(), route, authority)
}

// mirrorShare is the share of the requests that go to the mirror; all when nothing is said (MirrorPercent).
func mirrorShare(h *networking.HTTPRoute) (uint32, bool) {
	if p := h.GetMirrorPercentage(); p != nil {
		return percent(p), p.GetValue() > 0
	}
	//lint:ignore SA1019 mirrorPercent is deprecated, and istiod still reads it
	p := h.GetMirrorPercent()
	if p == nil {
		return 1000000, true
	}
	return p.GetValue() * 10000, p.GetValue() > 0
}

// destinations with what happens to headers on the way to each. Those of a single destination are one list with those of
// the route; with several Envoy applies those of the destination first (processDestination, processWeightedDestination).
func (c *routeCompiler) destinations(out *RouteAction, list []*networking.HTTPRouteDestination, route headerOperations, authority string) {
	merged := map[string]int{}
	for _, d := range list {
		own := headerPhases(d.GetHeaders())
		rd := c.destination(d.GetDestination())
		rd.Authority = authority
		if authority == "" {
			rd.Authority = own.authority
		}
		rd.Weight = int64(d.GetWeight())
		if len(list) == 1 {
			rd.Weight = 1
			rd.Request, rd.Response = headerEffects(route.request.then(own.request)), headerEffects(route.response.then(own.response))
		} else {
			rd.Request, rd.Response = headerEffects(own.request, route.request), headerEffects(own.response, route.response)
		}
		if rd.Weight < 0 {
			c.doubtf("a weight is negative")
		}
		if rd.Weight <= 0 {
			continue
		}
		out.order = append(out.order, destination{host: rd.Host, subset: rd.Subset, port: rd.Port}.String())
		key := rd
		key.Weight = 0
		k := jsonText(key)
		if i, ok := merged[k]; ok {
			out.Destinations[i].Weight += rd.Weight
			continue
		}
		merged[k] = len(out.Destinations)
		out.Destinations = append(out.Destinations, rd)
	}
	if len(list) != 1 {
		out.order = append(out.order, "or nothing")
	}
	if len(out.Destinations) == 0 {
		c.doubtf("the rule leads nowhere, which Envoy refuses")
	}
	var divisor int64
	for _, d := range out.Destinations {
		for a, b := d.Weight, divisor; ; a, b = b, a%b {
			if b == 0 {
				divisor = a
				break
			}
		}
	}
	for i := range out.Destinations {
		out.Destinations[i].Weight /= max(divisor, 1)
	}
	slices.SortFunc(out.Destinations, compareRouteDestination)
}

// destination resolves a destination: its full host, and the port that it means.
func (c *routeCompiler) destination(d *networking.Destination) RouteDestination {
	host := d.GetHost()
	if host == "" {
		c.doubtf("a destination has no host")
	}
	if host != "" && host != "*" && !strings.Contains(host, ".") && c.rule.Domain != "" {
		host += "." + c.rule.Namespace + ".svc." + c.rule.Domain
	}
	host = strings.ToLower(host)
	out := RouteDestination{Host: host, Subset: d.GetSubset(), Port: int32(d.GetPort().GetNumber())}
	if d.GetPort() == nil {
		out.Port = c.call.Port
		if p := c.rule.Ports[host]; p != 0 {
			out.Port = p
		}
	}
	if slices.Contains(c.rule.Aliases, host) {
		c.doubtf("%s is an alias", host)
	}
	if slices.Contains(c.rule.Missing, host) {
		out.Missing = 503
		if c.gateway() {
			out.Missing = 500
		}
	}
	if t, ok := c.opts.StandsFor[host]; ok && out.Subset == "" {
		out.Host, out.Subset = t.Host, t.Subset
	}
	return out
}

// mirror adds a mirror. Envoy does not mirror to a cluster that does not exist.
func (c *routeCompiler) mirror(out *RouteAction, d *networking.Destination, share uint32, ok bool) {
	if !ok {
		return
	}
	rd := c.destination(d)
	if rd.Missing == 0 {
		out.Mirrors = append(out.Mirrors, RouteMirror{rd.Host, rd.Subset, rd.Port, share})
	}
}

// rewrite of the path. Source: applyHTTPRouteDestination; what Envoy's prefix_rewrite replaces is what the condition on
// the path matched, of a regular expression the whole path (source/common/router/config_impl.cc; facts C-34).
func (c *routeCompiler) rewrite(r *networking.HTTPRewrite, path routeCondition) PathChange {
	uri := r.GetUri()
	switch {
	case r.GetUriRegexRewrite() != nil:
		m, w := r.GetUriRegexRewrite().GetMatch(), r.GetUriRegexRewrite().GetRewrite()
		if m == "/.*" && !strings.Contains(w, `\`) {
			return PathChange{kind: pathWhole, with: w}
		}
		return PathChange{kind: pathPattern, matched: m, with: w}
	case uri == "":
		return PathChange{}
	case c.gateway() && uri == "/":
		if path.op != routeSegments {
			return PathChange{} // "^(/?)(.*)" becomes "/" and the rest.
		}
		if path.fold {
			c.doubtf("a rewrite without regard to case")
		}
		return PathChange{kind: pathStrip, matched: path.text}
	}
	return prefixChange(uri, path)
}

func prefixChange(with string, path routeCondition) PathChange {
	if path.op == routeRegex || path.op == routeExact {
		return PathChange{kind: pathWhole, with: with}
	}
	return PathChange{kind: pathPrefix, matched: path.text, with: with, fold: path.fold}
}

// redirect: the port is that of the service when it follows the request's, and left out when it is the default one
// (ApplyRedirect, facts C-33).
func (c *routeCompiler) redirect(r *networking.HTTPRedirect, path routeCondition) *RouteRedirect {
	out := &RouteRedirect{Code: r.GetRedirectCode(), Scheme: r.GetScheme(), Host: r.GetAuthority()}
	switch out.Code {
	case 0:
		out.Code = 301
	case 301, 302, 303, 307, 308:
	default:
		c.doubtf("istiod makes no redirect with code %d", out.Code)
	}
	switch {
	case r.GetPrefixRewrite() != "":
		out.Path = prefixChange(r.GetPrefixRewrite(), path)
	case r.GetUri() != "":
		out.Path = PathChange{kind: pathWhole, with: r.GetUri()}
	}
	switch p := r.GetRedirectPort().(type) {
	case *networking.HTTPRedirect_DerivePort:
		if p.DerivePort == networking.HTTPRedirect_FROM_REQUEST_PORT {
			out.Port = uint32(c.call.Port)
		}
	case *networking.HTTPRedirect_Port:
		out.Port = p.Port
	}
	if out.Port == 80 && (out.Scheme == "" || out.Scheme == "http") || out.Port == 443 && out.Scheme == "https" {
		out.Port = 0
	}
	return out
}

// retriesOf is Envoy's policy. Source: ConvertPolicy and parseRetryOn of pilot/pkg/networking/core/route/retry/retry.go;
// facts C-38 to C-41. A DestinationRule with consistentHash lets a retry go to the same host: see
// RouteOptions.ConsistentHash.
func retriesOf(p *networking.HTTPRetry) *RouteRetries {
	on := "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
	out := &RouteRetries{Attempts: 2, OtherHosts: true}
	if p != nil {
		if p.GetAttempts() <= 0 {
			return nil
		}
		out.Attempts = uint32(p.GetAttempts())
		if p.GetRetryOn() != "" {
			on = p.GetRetryOn()
		}
		out.PerTryTimeout = p.GetPerTryTimeout().AsDuration().Nanoseconds()
		if p.GetRetryIgnorePreviousHosts() != nil {
			out.OtherHosts = p.GetRetryIgnorePreviousHosts().GetValue()
		}
		out.RemoteLocalities = p.GetRetryRemoteLocalities().GetValue()
		out.Backoff = p.GetBackoff().AsDuration().Nanoseconds()
	}
	for part := range strings.SplitSeq(on, ",") {
		part = strings.TrimSpace(part)
		n, err := strconv.Atoi(part)
		switch {
		case part == "":
		case err == nil && knownStatus(n):
			out.Codes = append(out.Codes, n)
		default:
			out.On = append(out.On, part)
		}
	}
	if len(out.Codes) > 0 && !strings.Contains(strings.Join(out.On, ","), "retriable-status-codes") {
		out.On = append(out.On, "retriable-status-codes")
	}
	slices.Sort(out.On)
	slices.Sort(out.Codes)
	out.On, out.Codes = slices.Compact(out.On), slices.Compact(out.Codes)
	return out
}

// knownStatus tells whether HTTP names a status, as net/http does, which istiod asks.
func knownStatus(n int) bool {
	for _, r := range [][2]int{{100, 103}, {200, 208}, {226, 226}, {300, 305}, {307, 308}, {400, 418}, {421, 426}, {428, 429}, {431, 431}, {451, 451}, {500, 508}, {510, 511}} {
		if r[0] <= n && n <= r[1] {
			return true
		}
	}
	return false
}

func (r *RouteRetries) isDefault() bool { return jsonText(r) == jsonText(retriesOf(nil)) }

// faults: a share that is not given is none (TranslateFault, facts C-44).
func (c *routeCompiler) faults(out *RouteAction, f *networking.HTTPFaultInjection) {
	if d := f.GetDelay(); d != nil {
		//lint:ignore SA1019 percent is deprecated, and istiod still reads it
		share := uint32(d.GetPercent()) * 10000
		if d.GetPercentage() != nil {
			share = percent(d.GetPercentage())
		}
		if fixed, ok := d.GetHttpDelayType().(*networking.HTTPFaultInjection_Delay_FixedDelay); ok && share > 0 {
			out.Delay = &RouteFault{Share: share, Delay: fixed.FixedDelay.AsDuration().Nanoseconds()}
		}
	}
	if a := f.GetAbort(); a != nil {
		abort := &RouteFault{Share: percent(a.GetPercentage())}
		switch t := a.GetErrorType().(type) {
		case *networking.HTTPFaultInjection_Abort_HttpStatus:
			abort.HTTPStatus = t.HttpStatus
		case *networking.HTTPFaultInjection_Abort_GrpcStatus:
			abort.GRPCStatus = t.GrpcStatus
		default:
			return
		}
		if abort.Share > 0 {
			out.Abort = abort
		}
	}
}

func percent(p *networking.Percent) uint32 {
	v := p.GetValue() * 10000
	if v < 0 || v > 1e9 {
		return 1000001 // No share: such a value is refused, and equal to nothing that is one.
	}
	return uint32(v)
}

// cors is TranslateCORSPolicy (facts C-43).
func (c *routeCompiler) cors(p *networking.CorsPolicy) *RouteCORS {
	if p == nil {
		return nil
	}
	out := &RouteCORS{
		Methods: strings.Join(p.GetAllowMethods(), ","), Headers: strings.Join(p.GetAllowHeaders(), ","), Expose: strings.Join(p.GetExposeHeaders(), ","),
		Credentials: p.GetAllowCredentials().GetValue(), ForwardOtherPreflights: p.GetUnmatchedPreflights() != networking.CorsPolicy_IGNORE,
	}
	for _, o := range p.GetAllowOrigins() {
		switch t := o.GetMatchType().(type) {
		case *networking.StringMatch_Exact:
			out.Origins = append(out.Origins, "exact "+t.Exact)
		case *networking.StringMatch_Prefix:
			out.Origins = append(out.Origins, "prefix "+t.Prefix)
		case *networking.StringMatch_Regex:
			out.Origins = append(out.Origins, "regex "+t.Regex)
		default:
			c.doubtf("an origin without value")
		}
	}
	if p.AllowOrigins == nil {
		//lint:ignore SA1019 allowOrigin is deprecated, and istiod still reads it
		for _, o := range p.GetAllowOrigin() {
			if o == "*" {
				c.doubtf("allowOrigin %q is not modelled", o)
			}
			out.Origins = append(out.Origins, "exact "+o)
		}
	}
	slices.Sort(out.Origins)
	out.Origins = slices.Compact(out.Origins)
	if p.GetMaxAge() != nil {
		out.MaxAge = strconv.FormatInt(p.GetMaxAge().GetSeconds(), 10)
	}
	return out
}

// headerOperations are the operations of a rule or a destination, and the Host header that they set.
type headerOperations struct {
	request, response headerPhase
	authority         string
}

// then joins two lists into one, as for a single destination.
func (p headerPhase) then(q headerPhase) headerPhase {
	return headerPhase{slices.Concat(p.remove, q.remove), slices.Concat(p.set, q.set), slices.Concat(p.add, q.add)}
}

// headerPhases is TranslateHeadersOperations: sorted by name, and what is internal to Envoy is left out.
func headerPhases(h *networking.Headers) headerOperations {
	var out headerOperations
	set, add := "", ""
	out.request.set, set = headerValues(h.GetRequest().GetSet())
	out.request.add, add = headerValues(h.GetRequest().GetAdd())
	out.response.set, _ = headerValues(h.GetResponse().GetSet())
	out.response.add, _ = headerValues(h.GetResponse().GetAdd())
	out.request.remove, out.response.remove = headerNames(h.GetRequest().GetRemove()), headerNames(h.GetResponse().GetRemove())
	out.authority = add
	if set != "" {
		out.authority = set
	}
	return out
}

func headerValues(m map[string]string) (out []headerValue, authority string) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if strings.EqualFold(k, ":authority") || strings.EqualFold(k, "host") {
			authority = m[k]
		}
		if !internalHeader(k) {
			out = append(out, headerValue{k, m[k]})
		}
	}
	return out, authority
}

func headerNames(list []string) []string {
	var out []string
	for _, n := range list {
		if !internalHeader(n) {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

func internalHeader(name string) bool {
	return strings.HasPrefix(name, ":") || strings.EqualFold(name, "host")
}
