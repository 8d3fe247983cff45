package mesh

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	networking "istio.io/api/networking/v1alpha3"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// translate is the rule and its condition as a VirtualService says it, which is what istiod makes of Gateway API routes
// as well; the text says why it cannot be told.
func (r *RouteRule) translate() (*networking.HTTPRoute, *networking.HTTPMatchRequest, string) {
	switch r.Kind {
	case "VirtualService":
		return r.virtualService()
	case "HTTPRoute":
		return r.httpRoute()
	case "GRPCRoute":
		return r.grpcRoute()
	}
	return nil, nil, fmt.Sprintf("rules of kind %q are not modelled", r.Kind)
}

func (r *RouteRule) virtualService() (*networking.HTTPRoute, *networking.HTTPMatchRequest, string) {
	rule := maps.Clone(r.Rule)
	delete(rule, "match")
	h := &networking.HTTPRoute{}
	if err := decodeProto(rule, h); err != "" {
		return nil, nil, err
	}
	if h.GetDelegate() != nil {
		return nil, nil, "a delegate that is not merged"
	}
	if r.Match == nil {
		return h, nil, ""
	}
	m := &networking.HTTPMatchRequest{}
	if err := decodeProto(r.Match, m); err != "" {
		return nil, nil, err
	}
	return h, m, ""
}

// decodeProto decodes a document strictly: a field that the type does not have is an error.
func decodeProto(from map[string]any, to interface {
	ProtoReflect() protoreflect.Message
	UnmarshalJSON([]byte) error
}) string {
	if unknown := unknownField(from, to.ProtoReflect().Descriptor()); unknown != "" {
		return fmt.Sprintf("field %q is not modelled", unknown)
	}
	b, err := json.Marshal(from)
	if err == nil {
		err = to.UnmarshalJSON(b)
	}
	if err != nil {
		return "it does not decode: " + err.Error()
	}
	return ""
}

// unknownField is the first field of a document that a message does not have; "" when it has all.
func unknownField(doc map[string]any, d protoreflect.MessageDescriptor) string {
	for _, k := range slices.Sorted(maps.Keys(doc)) {
		f := d.Fields().ByJSONName(k)
		if f == nil {
			f = d.Fields().ByTextName(k)
		}
		if f == nil {
			return k
		}
		if f.Message() == nil || strings.HasPrefix(string(f.Message().FullName()), "google.protobuf.") {
			continue
		}
		if unknown := unknownIn(doc[k], f); unknown != "" {
			return k + "." + unknown
		}
	}
	return ""
}

func unknownIn(v any, f protoreflect.FieldDescriptor) string {
	switch {
	case f.IsMap():
		m, _ := v.(map[string]any)
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if e, ok := m[k].(map[string]any); ok && f.MapValue().Message() != nil {
				if unknown := unknownField(e, f.MapValue().Message()); unknown != "" {
					return unknown
				}
			}
		}
	case f.IsList():
		list, _ := v.([]any)
		for _, raw := range list {
			if e, ok := raw.(map[string]any); ok {
				if unknown := unknownField(e, f.Message()); unknown != "" {
					return unknown
				}
			}
		}
	default:
		if e, ok := v.(map[string]any); ok {
			return unknownField(e, f.Message())
		}
	}
	return ""
}

// decodeStrict decodes a document into a type of Gateway API.
func decodeStrict(from map[string]any, to any) string {
	b, err := json.Marshal(from)
	if err != nil {
		return "it does not decode: " + err.Error()
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return "it does not decode: " + err.Error()
	}
	return ""
}

// httpRoute is convertHTTPRoute of pilot/pkg/config/kube/gateway/conversion.go.
func (r *RouteRule) httpRoute() (*networking.HTTPRoute, *networking.HTTPMatchRequest, string) {
	doc := maps.Clone(r.Rule)
	delete(doc, "matches")
	var rule gwv1.HTTPRouteRule
	var match gwv1.HTTPRouteMatch
	if err := decodeStrict(doc, &rule); err != "" {
		return nil, nil, err
	}
	var m *networking.HTTPMatchRequest
	if r.Match != nil {
		if err := decodeStrict(r.Match, &match); err != "" {
			return nil, nil, err
		}
		var err string
		if m, err = httpMatch(match); err != "" {
			return nil, nil, err
		}
	}
	if rule.SessionPersistence != nil {
		return nil, nil, "sessionPersistence is not modelled"
	}
	h := &networking.HTTPRoute{}
	for _, f := range rule.Filters {
		if err := r.filter(h, f); err != "" {
			return nil, nil, err
		}
	}
	if err := retriesAndTimeouts(h, rule.Retry, rule.Timeouts); err != "" {
		return nil, nil, err
	}
	var err string
	h.Route, err = r.backends(rule.BackendRefs, h.GetRedirect() != nil)
	if len(h.Route) == 0 && h.GetRedirect() == nil {
		h.DirectResponse = &networking.HTTPDirectResponse{Status: 500}
	}
	return h, m, err
}

// grpcRoute is convertGRPCRoute of the same file: header modifiers and mirrors only (facts C-48).
func (r *RouteRule) grpcRoute() (*networking.HTTPRoute, *networking.HTTPMatchRequest, string) {
	doc := maps.Clone(r.Rule)
	delete(doc, "matches")
	var rule gwv1.GRPCRouteRule
	if err := decodeStrict(doc, &rule); err != "" {
		return nil, nil, err
	}
	if rule.SessionPersistence != nil {
		return nil, nil, "sessionPersistence is not modelled"
	}
	var m *networking.HTTPMatchRequest
	if r.Match != nil {
		var match gwv1.GRPCRouteMatch
		if err := decodeStrict(r.Match, &match); err != "" {
			return nil, nil, err
		}
		var err string
		if m, err = grpcMatch(match); err != "" {
			return nil, nil, err
		}
	}
	h := &networking.HTTPRoute{}
	for _, f := range rule.Filters {
		switch f.Type {
		case gwv1.GRPCRouteFilterRequestHeaderModifier, gwv1.GRPCRouteFilterResponseHeaderModifier, gwv1.GRPCRouteFilterRequestMirror:
		default:
			return nil, nil, fmt.Sprintf("istiod refuses filter %q", f.Type)
		}
		if err := r.filter(h, gwv1.HTTPRouteFilter{Type: gwv1.HTTPRouteFilterType(f.Type), RequestHeaderModifier: f.RequestHeaderModifier, ResponseHeaderModifier: f.ResponseHeaderModifier, RequestMirror: f.RequestMirror}); err != "" {
			return nil, nil, err
		}
	}
	var refs []gwv1.HTTPBackendRef
	for _, b := range rule.BackendRefs {
		ref := gwv1.HTTPBackendRef{BackendRef: b.BackendRef}
		for _, f := range b.Filters {
			ref.Filters = append(ref.Filters, gwv1.HTTPRouteFilter{Type: gwv1.HTTPRouteFilterType(f.Type), RequestHeaderModifier: f.RequestHeaderModifier, ResponseHeaderModifier: f.ResponseHeaderModifier})
		}
		refs = append(refs, ref)
	}
	var err string
	h.Route, err = r.backends(refs, false)
	if len(h.Route) == 0 {
		h.DirectResponse = &networking.HTTPDirectResponse{Status: 500}
	}
	return h, m, err
}

// filter adds what a filter does; of several of one type the last counts.
func (r *RouteRule) filter(h *networking.HTTPRoute, f gwv1.HTTPRouteFilter) string {
	if h.Headers == nil {
		h.Headers = &networking.Headers{}
	}
	switch {
	case f.Type == gwv1.HTTPRouteFilterRequestHeaderModifier:
		h.Headers.Request = headerFilter(f.RequestHeaderModifier, h.Headers.Request)
	case f.Type == gwv1.HTTPRouteFilterResponseHeaderModifier:
		h.Headers.Response = headerFilter(f.ResponseHeaderModifier, h.Headers.Response)
	case f.Type == gwv1.HTTPRouteFilterRequestRedirect && f.RequestRedirect != nil:
		h.Redirect = redirectFilter(f.RequestRedirect)
	case f.Type == gwv1.HTTPRouteFilterRequestMirror && f.RequestMirror != nil:
		d, err := r.backend(f.RequestMirror.BackendRef)
		if err != "" {
			return err
		}
		m := &networking.HTTPMirrorPolicy{Destination: d}
		if fr := f.RequestMirror.Fraction; fr != nil {
			of := int32(100)
			if fr.Denominator != nil {
				of = *fr.Denominator
			}
			if of == 0 {
				return "a fraction of nothing"
			}
			m.Percentage = &networking.Percent{Value: 100 * float64(fr.Numerator) / float64(of)}
		} else if p := f.RequestMirror.Percent; p != nil {
			m.Percentage = &networking.Percent{Value: float64(*p)}
		}
		h.Mirrors = append(h.Mirrors, m)
	case f.Type == gwv1.HTTPRouteFilterURLRewrite && f.URLRewrite != nil:
		h.Rewrite = rewriteFilter(f.URLRewrite)
	case f.Type == gwv1.HTTPRouteFilterCORS && f.CORS != nil:
		h.CorsPolicy = corsFilter(f.CORS)
	default:
		return fmt.Sprintf("filter %q is not modelled", f.Type)
	}
	return ""
}

// backends are the destinations of positive weight (buildHTTPDestination).
func (r *RouteRule) backends(refs []gwv1.HTTPBackendRef, redirect bool) ([]*networking.HTTPRouteDestination, string) {
	var out []*networking.HTTPRouteDestination
	for _, b := range refs {
		w := int32(1)
		if b.Weight != nil {
			w = *b.Weight
		}
		if w == 0 {
			continue
		}
		d, err := r.backend(b.BackendObjectReference)
		if err != "" && !redirect {
			return nil, err
		}
		rd := &networking.HTTPRouteDestination{Destination: d, Weight: w}
		for _, f := range b.Filters {
			if rd.Headers == nil {
				rd.Headers = &networking.Headers{}
			}
			switch f.Type {
			case gwv1.HTTPRouteFilterRequestHeaderModifier:
				rd.Headers.Request = headerFilter(f.RequestHeaderModifier, rd.Headers.Request)
			case gwv1.HTTPRouteFilterResponseHeaderModifier:
				rd.Headers.Response = headerFilter(f.ResponseHeaderModifier, rd.Headers.Response)
			default:
				return nil, fmt.Sprintf("istiod refuses filter %q at a backend", f.Type)
			}
		}
		out = append(out, rd)
	}
	return out, ""
}

// backend is the destination that a reference names; a Service, or a host by Istio's kind Hostname (buildDestination).
func (r *RouteRule) backend(b gwv1.BackendObjectReference) (*networking.Destination, string) {
	group, kind := "", "Service"
	if b.Group != nil {
		group = string(*b.Group)
	}
	if b.Kind != nil {
		kind = string(*b.Kind)
	}
	if b.Port == nil {
		return nil, fmt.Sprintf("backend %s has no port, and istiod refuses the route", b.Name)
	}
	out := &networking.Destination{Host: string(b.Name), Port: &networking.PortSelector{Number: uint32(*b.Port)}}
	switch {
	case group == "" && kind == "Service":
		ns := r.Namespace
		if b.Namespace != nil && *b.Namespace != "" {
			ns = string(*b.Namespace)
		}
		if strings.Contains(out.Host, ".") {
			return nil, fmt.Sprintf("backend %s is no name of a Service, and istiod refuses the route", b.Name)
		}
		out.Host += "." + ns + ".svc." + r.Domain
	case group == "networking.istio.io" && kind == "Hostname" && b.Namespace == nil:
	default:
		return nil, fmt.Sprintf("backends of kind %s are not modelled", kind)
	}
	return out, ""
}

func httpMatch(match gwv1.HTTPRouteMatch) (*networking.HTTPMatchRequest, string) {
	m := &networking.HTTPMatchRequest{}
	kind, path := gwv1.PathMatchPathPrefix, "/"
	if match.Path != nil && match.Path.Type != nil {
		kind = *match.Path.Type
	}
	if match.Path != nil && match.Path.Value != nil {
		path = *match.Path.Value
	}
	switch kind {
	case gwv1.PathMatchPathPrefix:
		if path != "/" {
			path = strings.TrimSuffix(path, "/")
		}
		m.Uri = &networking.StringMatch{MatchType: &networking.StringMatch_Prefix{Prefix: path}}
	case gwv1.PathMatchExact:
		m.Uri = exactMatch(path)
	case gwv1.PathMatchRegularExpression:
		m.Uri = regexMatch(path)
	default:
		return nil, fmt.Sprintf("path type %q is not modelled", kind)
	}
	if match.Method != nil {
		m.Method = exactMatch(string(*match.Method))
	}
	for _, h := range match.Headers {
		if m.Headers == nil {
			m.Headers = map[string]*networking.StringMatch{}
		}
		switch {
		case h.Type == nil || *h.Type == gwv1.HeaderMatchExact:
			m.Headers[string(h.Name)] = exactMatch(h.Value)
		case *h.Type == gwv1.HeaderMatchRegularExpression:
			m.Headers[string(h.Name)] = regexMatch(h.Value)
		default:
			return nil, fmt.Sprintf("header type %q is not modelled", *h.Type)
		}
	}
	for _, q := range match.QueryParams {
		if m.QueryParams == nil {
			m.QueryParams = map[string]*networking.StringMatch{}
		}
		switch {
		case q.Type == nil || *q.Type == gwv1.QueryParamMatchExact:
			m.QueryParams[string(q.Name)] = exactMatch(q.Value)
		case *q.Type == gwv1.QueryParamMatchRegularExpression:
			m.QueryParams[string(q.Name)] = regexMatch(q.Value)
		default:
			return nil, fmt.Sprintf("query parameter type %q is not modelled", *q.Type)
		}
	}
	return m, ""
}

// grpcMatch is createGRPCURIMatch and createGRPCHeadersMatch: the method is a path "/service/method".
func grpcMatch(match gwv1.GRPCRouteMatch) (*networking.HTTPMatchRequest, string) {
	m := &networking.HTTPMatchRequest{}
	for _, h := range match.Headers {
		if m.Headers == nil {
			m.Headers = map[string]*networking.StringMatch{}
		}
		switch {
		case h.Type == nil || *h.Type == gwv1.GRPCHeaderMatchExact:
			m.Headers[string(h.Name)] = exactMatch(h.Value)
		case *h.Type == gwv1.GRPCHeaderMatchRegularExpression:
			m.Headers[string(h.Name)] = regexMatch(h.Value)
		default:
			return nil, fmt.Sprintf("header type %q is not modelled", *h.Type)
		}
	}
	g := match.Method
	if g == nil {
		return m, ""
	}
	regex := g.Type != nil && *g.Type == gwv1.GRPCMethodMatchRegularExpression
	if !regex && g.Type != nil && *g.Type != gwv1.GRPCMethodMatchExact {
		return nil, fmt.Sprintf("method type %q is not modelled", *g.Type)
	}
	switch {
	case g.Method == nil && g.Service == nil:
		return nil, "a method match without service and method, which istiod refuses"
	case g.Service == nil:
		m.Uri = regexMatch("/[^/]+/" + *g.Method)
	case g.Method == nil && regex:
		m.Uri = regexMatch("/" + *g.Service + "/.+")
	case g.Method == nil:
		m.Uri = &networking.StringMatch{MatchType: &networking.StringMatch_Prefix{Prefix: "/" + *g.Service + "/"}}
	case regex:
		m.Uri = regexMatch("/" + *g.Service + "/" + *g.Method)
	default:
		m.Uri = exactMatch("/" + *g.Service + "/" + *g.Method)
	}
	return m, ""
}

func exactMatch(v string) *networking.StringMatch {
	return &networking.StringMatch{MatchType: &networking.StringMatch_Exact{Exact: v}}
}

func regexMatch(v string) *networking.StringMatch {
	return &networking.StringMatch{MatchType: &networking.StringMatch_Regex{Regex: v}}
}

// headerFilter is createHeadersFilter: of entries for one name the first counts.
func headerFilter(f *gwv1.HTTPHeaderFilter, before *networking.Headers_HeaderOperations) *networking.Headers_HeaderOperations {
	if f == nil {
		return before
	}
	first := func(list []gwv1.HTTPHeader) map[string]string {
		out := map[string]string{}
		for _, h := range list {
			if k := strings.ToLower(string(h.Name)); out[k] == "" {
				out[k] = h.Value
			}
		}
		return out
	}
	return &networking.Headers_HeaderOperations{Set: first(f.Set), Add: first(f.Add), Remove: f.Remove}
}

// Defaults that an API server fills in (kubebuilder:default in gateway-api apis/v1/httproute_types.go), so that istiod never
// sees the fields empty.
const (
	defaultRedirectCode = 302
	defaultMaxAge       = 5
)

// redirectFilter is createRedirectFilter: without port, that of the request, or with a scheme its default (facts C-33).
func redirectFilter(f *gwv1.HTTPRequestRedirectFilter) *networking.HTTPRedirect {
	out := &networking.HTTPRedirect{RedirectCode: defaultRedirectCode}
	if f.StatusCode != nil {
		out.RedirectCode = uint32(*f.StatusCode)
	}
	if f.Hostname != nil {
		out.Authority = string(*f.Hostname)
	}
	if f.Scheme != nil {
		out.Scheme = *f.Scheme
	}
	switch {
	case f.Port != nil:
		out.RedirectPort = &networking.HTTPRedirect_Port{Port: uint32(*f.Port)}
	case f.Scheme == nil:
		out.RedirectPort = &networking.HTTPRedirect_DerivePort{DerivePort: networking.HTTPRedirect_FROM_REQUEST_PORT}
	default:
		out.RedirectPort = &networking.HTTPRedirect_DerivePort{DerivePort: networking.HTTPRedirect_FROM_PROTOCOL_DEFAULT}
	}
	if p := f.Path; p != nil {
		switch {
		case p.Type == gwv1.FullPathHTTPPathModifier && p.ReplaceFullPath != nil:
			out.Uri = *p.ReplaceFullPath
		case p.Type == gwv1.PrefixMatchHTTPPathModifier && p.ReplacePrefixMatch != nil:
			out.PrefixRewrite = *p.ReplacePrefixMatch
		}
	}
	return out
}

// rewriteFilter is createRewriteFilter.
func rewriteFilter(f *gwv1.HTTPURLRewriteFilter) *networking.HTTPRewrite {
	out := &networking.HTTPRewrite{}
	if p := f.Path; p != nil {
		switch {
		case p.Type == gwv1.PrefixMatchHTTPPathModifier && p.ReplacePrefixMatch != nil:
			out.Uri = strings.TrimSuffix(*p.ReplacePrefixMatch, "/")
			if out.Uri == "" {
				out.Uri = "/"
			}
		case p.Type == gwv1.FullPathHTTPPathModifier && p.ReplaceFullPath != nil:
			out.UriRegexRewrite = &networking.RegexRewrite{Match: "/.*", Rewrite: *p.ReplaceFullPath}
		}
	}
	if f.Hostname != nil {
		out.Authority = string(*f.Hostname)
	}
	if out.Uri == "" && out.UriRegexRewrite == nil && out.Authority == "" {
		return nil
	}
	return out
}

// corsFilter is createCorsFilter: preflights that do not match are answered, not forwarded (facts C-43).
func corsFilter(f *gwv1.HTTPCORSFilter) *networking.CorsPolicy {
	out := &networking.CorsPolicy{UnmatchedPreflights: networking.CorsPolicy_IGNORE}
	for _, o := range f.AllowOrigins {
		s := string(o)
		switch {
		case s == "":
		case s == "*":
			out.AllowOrigins = append(out.AllowOrigins, regexMatch(`^[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s?#]+$`))
		case !strings.Contains(s, "*"):
			out.AllowOrigins = append(out.AllowOrigins, exactMatch(s))
		case strings.Count(s, "*") == 1 && strings.HasSuffix(s, "*"):
			out.AllowOrigins = append(out.AllowOrigins, &networking.StringMatch{MatchType: &networking.StringMatch_Prefix{Prefix: strings.TrimSuffix(s, "*")}})
		default:
			out.AllowOrigins = append(out.AllowOrigins, regexMatch("^"+strings.ReplaceAll(regexp.QuoteMeta(s), `\*`, ".*")+"$"))
		}
	}
	if f.AllowCredentials != nil && *f.AllowCredentials {
		out.AllowCredentials = wrapperspb.Bool(true)
	}
	for _, m := range f.AllowMethods {
		out.AllowMethods = append(out.AllowMethods, string(m))
	}
	for _, h := range f.AllowHeaders {
		out.AllowHeaders = append(out.AllowHeaders, string(h))
	}
	for _, h := range f.ExposeHeaders {
		out.ExposeHeaders = append(out.ExposeHeaders, string(h))
	}
	out.MaxAge = &durationpb.Duration{Seconds: defaultMaxAge}
	if f.MaxAge > 0 {
		out.MaxAge.Seconds = int64(f.MaxAge)
	}
	return out
}

// retriesAndTimeouts is the part of convertHTTPRoute for both: backendRequest is the timeout of one try only when there
// is a retry, else that of the request (facts C-37 to C-40).
func retriesAndTimeouts(h *networking.HTTPRoute, r *gwv1.HTTPRouteRetry, t *gwv1.HTTPRouteTimeouts) string {
	if r != nil {
		on := []string{"connect-failure", "refused-stream", "unavailable", "cancelled"}
		for _, c := range r.Codes {
			on = append(on, strconv.Itoa(int(c)))
		}
		h.Retries = &networking.HTTPRetry{Attempts: 2, RetryOn: strings.Join(on, ",")}
		if r.Attempts != nil {
			h.Retries.Attempts = int32(*r.Attempts)
		}
		if r.Backoff != nil {
			d, err := gatewayDuration(*r.Backoff)
			if err != "" {
				return err
			}
			h.Retries.Backoff = d
		}
	}
	if t == nil {
		return ""
	}
	for _, p := range []struct {
		d   *gwv1.Duration
		try bool
	}{{t.Request, false}, {t.BackendRequest, true}} {
		if p.d == nil {
			continue
		}
		d, err := gatewayDuration(*p.d)
		switch {
		case err != "":
			return err
		case d.GetSeconds() == 0 && d.GetNanos() == 0:
		case p.try && h.Retries != nil:
			h.Retries.PerTryTimeout = d
		default:
			h.Timeout = d
		}
	}
	return ""
}

// gatewayDuration reads a duration of Gateway API: "1h30m", "500ms" (GEP-2257).
func gatewayDuration(d gwv1.Duration) (*durationpb.Duration, string) {
	var ns int64
	for rest := string(d); rest != ""; {
		i := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if i < 1 || i > 5 {
			return nil, fmt.Sprintf("%q is no duration", d)
		}
		n, err := strconv.ParseInt(rest[:i], 10, 64)
		unit := rest[i:]
		if j := strings.IndexFunc(unit, func(r rune) bool { return '0' <= r && r <= '9' }); j >= 0 {
			unit = unit[:j]
		}
		of := map[string]int64{"h": 3600e9, "m": 60e9, "s": 1e9, "ms": 1e6}[unit]
		if err != nil || of == 0 {
			return nil, fmt.Sprintf("%q is no duration", d)
		}
		ns += n * of
		rest = rest[i+len(unit):]
	}
	return &durationpb.Duration{Seconds: ns / 1e9, Nanos: int32(ns % 1e9)}, ""
}
