package convert

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	networking "istio.io/api/networking/v1alpha3"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// rule is one HTTP rule and the VirtualService that it is of.
type rule struct {
	mesh.HTTPRule
	virtualService *api.Object
}

const (
	refused   = "correct the VirtualService; istiod refuses it as it is"
	maxWeight = 1000000
)

// hostnamePattern is gwv1.PreciseHostname.
var hostnamePattern = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

// action writes what a rule does for requests to one port of the service: all of a route's rule but its matches.
// What cannot be said is noted.
func (c *conversion) action(r *rule, v variant, port int32) gwv1.HTTPRouteRule {
	s := r.Spec
	var out gwv1.HTTPRouteRule
	c.shape(r)
	request := c.headerFilter(r, "headers.request", s.GetHeaders().GetRequest())
	response := c.headerFilter(r, "headers.response", s.GetHeaders().GetResponse())
	if request != nil {
		out.Filters = append(out.Filters, gwv1.HTTPRouteFilter{Type: gwv1.HTTPRouteFilterRequestHeaderModifier, RequestHeaderModifier: request})
	}
	if response != nil {
		out.Filters = append(out.Filters, gwv1.HTTPRouteFilter{Type: gwv1.HTTPRouteFilterResponseHeaderModifier, ResponseHeaderModifier: response})
	}
	if f := c.corsFilter(r); f != nil {
		out.Filters = append(out.Filters, gwv1.HTTPRouteFilter{Type: gwv1.HTTPRouteFilterCORS, CORS: f})
	}
	if s.GetFault() != nil {
		c.keep(r.Object, r.Path+".fault", "C-44", "no route injects faults")
	}
	if s.GetDirectResponse() != nil {
		c.keep(r.Object, r.Path+".directResponse", "C-45", "no route answers by itself")
	}
	if s.GetName() != "" {
		c.drop(r.Object, r.Path+".name", "C-27", "it names the route in telemetry and access logs only; routes are named after their rule")
	}
	if s.GetRedirect() != nil {
		out.Filters = append(out.Filters, gwv1.HTTPRouteFilter{Type: gwv1.HTTPRouteFilterRequestRedirect, RequestRedirect: c.redirect(r, v, port)})
		c.idle(r)
		return out
	}
	for _, m := range c.mirrors(r, port) {
		out.Filters = append(out.Filters, gwv1.HTTPRouteFilter{Type: gwv1.HTTPRouteFilterRequestMirror, RequestMirror: m})
	}
	if f := c.rewrite(r, v); f != nil {
		out.Filters = append(out.Filters, gwv1.HTTPRouteFilter{Type: gwv1.HTTPRouteFilterURLRewrite, URLRewrite: f})
	}
	if len(out.Filters) > maxList {
		c.keep(r.Object, r.Path, "C-03", fmt.Sprintf("it needs %d filters, and a rule takes %d", len(out.Filters), maxList))
	}
	out.BackendRefs = c.backends(r, port)
	c.timeouts(r, &out)
	return out
}

// shape notes what istiod's validation refuses about a rule (pkg/config/validation/virtualservice.go,
// validateHTTPRouteConflict).
func (c *conversion) shape(r *rule) {
	s := r.Spec
	block := func(field, fact, why string) { c.block(r.Object, r.Path+field, fact, why, refused) }
	n := 0
	for _, has := range []bool{len(s.GetRoute()) > 0, s.GetRedirect() != nil, s.GetDirectResponse() != nil} {
		if has {
			n++
		}
	}
	switch {
	case s.GetDelegate() != nil:
		block(".delegate", "C-46", "a delegate has a delegate")
	case n == 0:
		block("", "C-28", "the rule has neither route nor redirect nor directResponse")
	case n > 1:
		block("", "C-28", "the rule has more than one of route, redirect and directResponse")
	}
	if s.GetRewrite() != nil && len(s.GetRoute()) == 0 {
		block(".rewrite", "C-34", "a rewrite stands beside a redirect or a direct response")
	}
	if s.GetFault() != nil && len(s.GetRoute()) == 0 {
		block(".fault", "C-44", "a fault stands beside a redirect or a direct response")
	}
	if s.GetMirror() != nil && len(s.GetMirrors()) > 0 {
		block(".mirror", "C-42", "mirror and mirrors are both set")
	}
}

// idle notes the fields of a redirect that have no effect in the VirtualService either.
func (c *conversion) idle(r *rule) {
	const why = "it has no effect on a redirect"
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"timeout", r.Spec.GetTimeout() != nil}, {"retries", r.Spec.GetRetries() != nil}, {"mirror", r.Spec.GetMirror() != nil},
		{"mirrors", len(r.Spec.GetMirrors()) > 0}, {"mirrorPercentage", r.Spec.GetMirrorPercentage() != nil}, {"mirrorPercent", r.Spec.GetMirrorPercent() != nil}, //nolint:staticcheck // deprecated, and read
	} {
		if f.set {
			c.drop(r.Object, r.Path+"."+f.name, "C-33", why)
		}
	}
}

// headerFilter writes header operations (facts C-31, C-32). Names are not case sensitive.
func (c *conversion) headerFilter(r *rule, field string, in *networking.Headers_HeaderOperations) *gwv1.HTTPHeaderFilter {
	if in == nil || len(in.GetSet())+len(in.GetAdd())+len(in.GetRemove()) == 0 {
		return nil
	}
	at := r.Path + "." + field
	fact := "C-32"
	list := func(name string, values map[string]string) []gwv1.HTTPHeader {
		var out []gwv1.HTTPHeader
		seen := map[string]bool{}
		for _, key := range slices.Sorted(maps.Keys(values)) {
			v := values[key]
			path := at + "." + name + "." + key
			authority := strings.EqualFold(key, "host") || strings.EqualFold(key, ":authority")
			switch {
			case key == "" || strings.HasPrefix(key, ":") && !authority || authority && field == "headers.response":
				c.block(r.Object, path, fact, "istiod takes no such header", refused)
				continue
			case !validValue(v):
				c.block(r.Object, path, fact, "the value has characters that no header may have", refused)
				continue
			case seen[strings.ToLower(key)]:
				c.keep(r.Object, path, fact, "the same header is written twice, under names that differ in case only")
				continue
			case !tokenPattern.MatchString(key) || len(key) > maxName:
				c.keep(r.Object, path, fact, "the Gateway API does not take the name")
				continue
			case v == "" || len(v) > maxHeaderValue:
				c.keep(r.Object, path, fact, fmt.Sprintf("a route takes values of 1 to %d characters", maxHeaderValue))
				continue
			}
			seen[strings.ToLower(key)] = true
			out = append(out, gwv1.HTTPHeader{Name: gwv1.HTTPHeaderName(key), Value: v})
		}
		if len(out) > maxList {
			c.keep(r.Object, at+"."+name, "C-03", fmt.Sprintf("it has %d headers, and a route takes %d", len(out), maxList))
		}
		return out
	}
	f := &gwv1.HTTPHeaderFilter{Set: list("set", in.GetSet()), Add: list("add", in.GetAdd())}
	for i, name := range in.GetRemove() {
		path := fmt.Sprintf("%s.remove[%d]", at, i)
		switch {
		case name == "" || strings.HasPrefix(name, ":") || strings.EqualFold(name, "host"):
			c.block(r.Object, path, fact, "istiod takes no such header", refused)
		case slices.ContainsFunc(f.Remove, func(o string) bool { return strings.EqualFold(o, name) }):
			c.drop(r.Object, path, fact, "the header is removed already")
		case !tokenPattern.MatchString(name) || len(name) > maxName:
			c.keep(r.Object, path, fact, "the Gateway API does not take the name")
		default:
			f.Remove = append(f.Remove, name)
		}
	}
	if len(f.Remove) > maxList {
		c.keep(r.Object, at+".remove", "C-03", fmt.Sprintf("it has %d headers, and a route takes %d", len(f.Remove), maxList))
	}
	return f
}

// validValue tells whether istiod takes a header value (conversion.go, isValidHeaderValue).
func validValue(v string) bool {
	for _, b := range []byte(v) {
		if b != 0x09 && (b < 0x20 || b == 0x7F) {
			return false
		}
	}
	return true
}

// backends of a rule (facts C-28 to C-31).
func (c *conversion) backends(r *rule, port int32) []gwv1.HTTPBackendRef {
	routes := r.Spec.GetRoute()
	var out []gwv1.HTTPBackendRef
	total, positive := int64(0), 0
	for i, d := range routes {
		at := fmt.Sprintf("%s.route[%d]", r.Path, i)
		ref, ok := c.backend(r.Object, r.Namespace, at+".destination", d.GetDestination(), port)
		switch w := d.GetWeight(); {
		case w < 0:
			c.block(r.Object, at+".weight", "C-30", "a weight is negative", refused)
		case w > maxWeight:
			c.keep(r.Object, at+".weight", "C-30", fmt.Sprintf("a route takes weights up to %d", maxWeight))
		default:
			total += int64(w)
			if w > 0 {
				positive++
			}
			if len(routes) > 1 {
				ref.Weight = &w
			} else if w != 0 {
				c.drop(r.Object, at+".weight", "C-30", "the only destination gets everything")
			}
		}
		b := gwv1.HTTPBackendRef{BackendRef: ref}
		at2 := strings.TrimPrefix(at, r.Path+".") + ".headers."
		if f := c.headerFilter(r, at2+"request", d.GetHeaders().GetRequest()); f != nil {
			b.Filters = append(b.Filters, gwv1.HTTPRouteFilter{Type: gwv1.HTTPRouteFilterRequestHeaderModifier, RequestHeaderModifier: f})
		}
		if f := c.headerFilter(r, at2+"response", d.GetHeaders().GetResponse()); f != nil {
			b.Filters = append(b.Filters, gwv1.HTTPRouteFilter{Type: gwv1.HTTPRouteFilterResponseHeaderModifier, ResponseHeaderModifier: f})
		}
		if ok {
			out = append(out, b)
		}
	}
	switch {
	case len(routes) > 1 && total == 0:
		c.block(r.Object, r.Path+".route", "C-30", "all weights are zero", refused)
	case len(routes) > 1 && positive == 1 && r.Spec.GetHeaders() != nil && slices.ContainsFunc(routes, func(d *networking.HTTPRouteDestination) bool { return d.GetWeight() > 0 && d.GetHeaders() != nil }):
		// With one destination left a route applies both sets of header operations in another order.
		c.keep(r.Object, r.Path+".route", "C-31", "only one destination has weight, and headers of it and of the rule would change in another order")
	case total > math.MaxInt32:
		c.keep(r.Object, r.Path+".route", "C-30", "the weights add up to more than Envoy takes")
	case len(routes) > maxList:
		c.keep(r.Object, r.Path+".route", "C-03", fmt.Sprintf("it has %d destinations, and a rule takes %d", len(routes), maxList))
	}
	return out
}

// mirrors of a rule (facts C-42).
func (c *conversion) mirrors(r *rule, port int32) []*gwv1.HTTPRequestMirrorFilter {
	s := r.Spec
	var out []*gwv1.HTTPRequestMirrorFilter
	add := func(at string, d *networking.Destination, share *float64) {
		if share != nil && (*share < 0 || *share > 100 || math.IsNaN(*share)) {
			c.block(r.Object, at, "C-42", "a percentage is not between 0 and 100", refused)
			return
		}
		if share != nil && *share == 0 {
			c.drop(r.Object, at, "C-42", "it mirrors zero percent")
			return
		}
		ref, ok := c.backend(r.Object, r.Namespace, at, d, port)
		f := &gwv1.HTTPRequestMirrorFilter{BackendRef: ref.BackendObjectReference}
		if share != nil && *share < 100 {
			c.share(r, at, *share, f)
		}
		if ok {
			out = append(out, f)
		}
	}
	//nolint:staticcheck // mirrorPercent is deprecated, and istiod still reads it
	whole, share := s.GetMirrorPercent(), s.GetMirrorPercentage()
	switch {
	case s.GetMirror() == nil && (whole != nil || share != nil):
		if whole != nil {
			c.drop(r.Object, r.Path+".mirrorPercent", "C-42", "it has no effect without mirror")
		}
		if share != nil {
			c.drop(r.Object, r.Path+".mirrorPercentage", "C-42", "it has no effect without mirror")
		}
	case s.GetMirror() != nil && share != nil:
		v := share.GetValue()
		add(r.Path+".mirror", s.GetMirror(), &v)
		if whole != nil {
			c.drop(r.Object, r.Path+".mirrorPercent", "C-42", "mirrorPercentage takes its place")
		}
	case s.GetMirror() != nil && whole != nil:
		v := float64(whole.GetValue())
		add(r.Path+".mirror", s.GetMirror(), &v)
	case s.GetMirror() != nil:
		add(r.Path+".mirror", s.GetMirror(), nil)
	}
	for i, m := range s.GetMirrors() {
		at := fmt.Sprintf("%s.mirrors[%d]", r.Path, i)
		var v *float64
		if p := m.GetPercentage(); p != nil {
			x := p.GetValue()
			v = &x
		}
		add(at, m.GetDestination(), v)
	}
	return out
}

// share writes a percentage: as a whole number, or as a fraction of the millionths that Envoy counts in.
func (c *conversion) share(r *rule, at string, percent float64, f *gwv1.HTTPRequestMirrorFilter) {
	if !c.cluster.mirrorShare() {
		c.keep(r.Object, at, "C-42", "a mirror with a percentage needs HTTPRoute of the Gateway API 1.3 or later, which is not known to be installed")
		return
	}
	millionths := int32(percent * 10000)
	if percent == math.Trunc(percent) {
		p := int32(percent)
		f.Percent = &p
		return
	}
	const denominator = int32(1000000)
	d := denominator
	if back := 100 * float64(millionths) / float64(denominator); millionths == 0 || int32(back*10000) != millionths {
		c.keep(r.Object, at, "C-42", fmt.Sprintf("%v percent cannot be written as a fraction that gives the same share", percent))
		return
	}
	f.Fraction = &gwv1.Fraction{Numerator: millionths, Denominator: &d}
}

// rewrite writes a change of path and authority (facts C-34 to C-36).
func (c *conversion) rewrite(r *rule, v variant) *gwv1.HTTPURLRewriteFilter {
	in := r.Spec.GetRewrite()
	if in == nil {
		return nil
	}
	switch {
	case in.GetUriRegexRewrite() != nil && in.GetUri() != "":
		c.block(r.Object, r.Path+".rewrite", "C-35", "uri and uriRegexRewrite are both set", refused)
	case in.GetUriRegexRewrite() != nil:
		if re := in.GetUriRegexRewrite(); re.GetMatch() == "" || re.GetRewrite() == "" {
			c.block(r.Object, r.Path+".rewrite.uriRegexRewrite", "C-35", "match or rewrite is missing", refused)
		} else if _, err := newRegex(re.GetMatch()); err != nil {
			c.block(r.Object, r.Path+".rewrite.uriRegexRewrite.match", "C-35", fmt.Sprintf("the regular expression does not compile: %v", err), refused)
		}
		c.keep(r.Object, r.Path+".rewrite.uriRegexRewrite", "C-35", "no route replaces parts of a path by a regular expression")
	case in.GetUri() == "" && in.GetAuthority() == "":
		c.block(r.Object, r.Path+".rewrite", "C-34", "a rewrite changes nothing", refused)
	}
	if a := in.GetAuthority(); a != "" {
		c.hostname(r, "rewrite.authority", "C-36", a)
		for k := range r.Spec.GetHeaders().GetRequest().GetSet() {
			if strings.EqualFold(k, "host") || strings.EqualFold(k, ":authority") {
				c.block(r.Object, r.Path+".rewrite.authority", "C-36", "the authority is set twice", refused)
			}
		}
	}
	return v.filter(in.GetAuthority())
}

func (c *conversion) hostname(r *rule, field, fact, name string) {
	if !hostnamePattern.MatchString(name) || len(name) > 253 {
		c.keep(r.Object, r.Path+"."+field, fact, fmt.Sprintf("a route takes a lower-case host name without a port, not %q", name))
	}
}

// redirect writes a redirect (facts C-33). Source: pilot/pkg/networking/core/route/route.go (ApplyRedirect) and
// pilot/pkg/config/kube/gateway/conversion.go (createRedirectFilter).
func (c *conversion) redirect(r *rule, v variant, port int32) *gwv1.HTTPRequestRedirectFilter {
	in := r.Spec.GetRedirect()
	at := r.Path + ".redirect"
	out := &gwv1.HTTPRequestRedirectFilter{Path: v.modifier()}
	code := int(in.GetRedirectCode())
	switch code {
	case 0, 301:
		code = 301
	case 302:
	case 303, 307, 308:
		if !c.cluster.redirectCodes() {
			c.keep(r.Object, at+".redirectCode", "C-33", fmt.Sprintf("code %d needs HTTPRoute of the Gateway API 1.5 or later, which is not known to be installed", code))
		}
	default:
		c.block(r.Object, at+".redirectCode", "C-33", fmt.Sprintf("Envoy has no redirect with code %d", code), refused)
	}
	out.StatusCode = &code
	if in.GetUri() != "" && in.GetPrefixRewrite() != "" {
		c.block(r.Object, at, "C-33", "uri and prefixRewrite are both set", refused)
	}
	if uri := in.GetUri(); uri != "" {
		if len(uri) > maxPath {
			c.keep(r.Object, at+".uri", "C-33", "the path is longer than a route takes")
		}
		out.Path = &gwv1.HTTPPathModifier{Type: gwv1.FullPathHTTPPathModifier, ReplaceFullPath: &uri}
	}
	if a := in.GetAuthority(); a != "" {
		c.hostname(r, "redirect.authority", "C-33", a)
		h := gwv1.PreciseHostname(a)
		out.Hostname = &h
	}
	scheme := in.GetScheme()
	if scheme != "" {
		if scheme != "http" && scheme != "https" {
			c.block(r.Object, at+".scheme", "C-33", "a redirect has another scheme than http and https", refused)
		}
		out.Scheme = &scheme
	}
	c.redirectPort(r, port, out)
	return out
}

// redirectPort writes the port of a redirect. Without one a route takes the port of the request, or that of the scheme
// where a scheme is written; a VirtualService takes none. Neither writes port 80 of http and 443 of https.
func (c *conversion) redirectPort(r *rule, port int32, out *gwv1.HTTPRequestRedirectFilter) {
	in := r.Spec.GetRedirect()
	at := r.Path + ".redirect"
	explicit, fromRequest := uint32(0), false
	switch p := in.GetRedirectPort().(type) {
	case *networking.HTTPRedirect_Port:
		explicit = p.Port
		if p.Port > 65535 {
			c.block(r.Object, at+".port", "C-33", "there is no such port", refused)
			return
		}
	case *networking.HTTPRedirect_DerivePort:
		fromRequest = p.DerivePort == networking.HTTPRedirect_FROM_REQUEST_PORT
		if !fromRequest {
			c.drop(r.Object, at+".derivePort", "C-33", "no port is written, as without it")
		}
	}
	if in.GetUri() == "" && in.GetPrefixRewrite() == "" && in.GetAuthority() == "" && in.GetScheme() == "" && in.GetRedirectPort() == nil {
		c.block(r.Object, at, "C-33", "a redirect leads nowhere", refused)
	}
	switch scheme := in.GetScheme(); {
	case explicit != 0:
		p := gwv1.PortNumber(explicit)
		out.Port = &p
	case fromRequest && scheme != "":
		p := gwv1.PortNumber(port)
		out.Port = &p
	case !fromRequest && scheme == "" && port != 80:
		c.keep(r.Object, at, "C-33", fmt.Sprintf("the redirect names no port, and a route would write port %d of the request into it", port))
	}
}

// corsFilter writes a CORS policy (facts C-43).
func (c *conversion) corsFilter(r *rule) *gwv1.HTTPCORSFilter {
	in := r.Spec.GetCorsPolicy()
	if in == nil {
		return nil
	}
	at := r.Path + ".corsPolicy"
	keep := func(field, why string) { c.keep(r.Object, at+field, "C-43", why) }
	if !c.cluster.cors() {
		keep("", "the CORS filter needs HTTPRoute of the Gateway API 1.5 or later, or 1.3 of the experimental channel, which is not known to be installed")
	}
	out := &gwv1.HTTPCORSFilter{}
	c.origins(r, in, out, keep)
	if in.GetUnmatchedPreflights() != networking.CorsPolicy_IGNORE {
		keep(".unmatchedPreflights", "preflight requests of other origins reach the application; a route answers them itself")
	}
	for _, m := range in.GetAllowMethods() {
		if m != "*" && !slices.Contains(methods, m) {
			keep(".allowMethods", "a route allows "+strings.Join(methods, ", ")+" only")
		}
		out.AllowMethods = append(out.AllowMethods, gwv1.HTTPMethodWithWildcard(m))
	}
	if len(out.AllowMethods) > 1 && slices.Contains(out.AllowMethods, "*") || len(out.AllowMethods) > 9 {
		keep(".allowMethods", `a route takes 9 methods, or "*" alone`)
	}
	names := func(field string, in []string) []gwv1.HTTPHeaderName {
		var out []gwv1.HTTPHeaderName
		for _, n := range in {
			if !tokenPattern.MatchString(n) || len(n) > maxName {
				keep(field, fmt.Sprintf("the Gateway API does not take the name %q", n))
			}
			out = append(out, gwv1.HTTPHeaderName(n))
		}
		if len(out) > 64 || len(slices.Compact(slices.Sorted(slices.Values(out)))) != len(out) {
			keep(field, "a route takes 64 names, each once")
		}
		return out
	}
	out.AllowHeaders = names(".allowHeaders", in.GetAllowHeaders())
	out.ExposeHeaders = names(".exposeHeaders", in.GetExposeHeaders())
	if len(out.AllowHeaders) > 1 && slices.Contains(out.AllowHeaders, "*") {
		keep(".allowHeaders", `a route takes "*" alone only`)
	}
	switch age := in.GetMaxAge(); {
	case age == nil:
		keep(".maxAge", "without maxAge no time is sent; a route always sends one")
	case age.GetSeconds() < 1 || age.GetSeconds() > math.MaxInt32:
		keep(".maxAge", "a route takes one second or more")
	default:
		out.MaxAge = int32(age.GetSeconds())
	}
	if in.GetAllowCredentials() != nil {
		if v := in.GetAllowCredentials().GetValue(); v {
			out.AllowCredentials = &v
		} else {
			c.drop(r.Object, at+".allowCredentials", "C-43", "credentials are not allowed without it either")
		}
	}
	return out
}

// originPattern is gwv1.CORSOrigin without a wildcard.
var originPattern = regexp.MustCompile(`^http(s)?://([a-zA-Z0-9\-]+\.)*[a-zA-Z0-9-]+(:([0-9]{1,5}))?$`)

// origins of a CORS policy: exact ones, and the prefixes "http://" and "https://", which a route writes with "*".
func (c *conversion) origins(r *rule, in *networking.CorsPolicy, out *gwv1.HTTPCORSFilter, keep func(field, why string)) {
	//nolint:staticcheck // allowOrigin is deprecated, and istiod still reads it
	old := in.GetAllowOrigin()
	list := in.GetAllowOrigins()
	if list == nil {
		for _, o := range old {
			list = append(list, &networking.StringMatch{MatchType: &networking.StringMatch_Exact{Exact: o}})
		}
	} else if len(old) > 0 {
		c.drop(r.Object, r.Path+".corsPolicy.allowOrigin", "C-43", "allowOrigins takes its place")
	}
	if len(list) == 0 {
		keep(".allowOrigins", "no origin is allowed; a route without origins says nothing about them")
	}
	for i, o := range list {
		field := fmt.Sprintf(".allowOrigins[%d]", i)
		t, ok := matchReader{c.notes, r.Object, r.Path + ".corsPolicy"}.checked(strings.TrimPrefix(field, "."), o, true)
		switch {
		case !ok:
		case t.kind == isExact && originPattern.MatchString(t.value) && len(t.value) <= 253:
			out.AllowOrigins = append(out.AllowOrigins, gwv1.CORSOrigin(t.value))
		case t.kind == hasPrefix && (t.value == "http://" || t.value == "https://"):
			out.AllowOrigins = append(out.AllowOrigins, gwv1.CORSOrigin(t.value+"*"))
		default:
			keep(field, "a route takes an origin as scheme, host and port, and no regular expressions")
		}
	}
	if len(out.AllowOrigins) > 64 || len(slices.Compact(slices.Sorted(slices.Values(out.AllowOrigins)))) != len(out.AllowOrigins) {
		keep(".allowOrigins", "a route takes 64 origins, each once")
	}
}

// timeouts writes timeouts and retries (facts C-37 to C-41).
func (c *conversion) timeouts(r *rule, out *gwv1.HTTPRouteRule) {
	s := r.Spec
	var t gwv1.HTTPRouteTimeouts
	if s.GetTimeout() != nil {
		t.Request = c.duration(r, "timeout", "C-37", s.GetTimeout())
	}
	if p := s.GetRetries(); p != nil {
		out.Retry = c.retry(r, p)
		if p.GetPerTryTimeout() != nil && p.GetAttempts() > 0 {
			t.BackendRequest = c.duration(r, "retries.perTryTimeout", "C-39", p.GetPerTryTimeout())
			limit := s.GetTimeout().AsDuration()
			if try := p.GetPerTryTimeout().AsDuration(); limit > 0 && try > limit {
				c.keep(r.Object, r.Path+".retries.perTryTimeout", "C-39", "it is longer than the timeout of the request, which a route does not take")
			} else if try == 0 {
				c.keep(r.Object, r.Path+".retries.perTryTimeout", "C-39", "it is zero, which a route does not pass on")
			}
		}
	}
	if t != (gwv1.HTTPRouteTimeouts{}) {
		out.Timeouts = &t
	}
}

// sameRetryOn is what istiod retries on for every HTTPRoute with retry (conversion.go, convertHTTPRoute).
var sameRetryOn = []string{"cancelled", "connect-failure", "refused-stream", "unavailable"}

// retry writes a retry policy. Without retries both take the mesh's default.
func (c *conversion) retry(r *rule, p *networking.HTTPRetry) *gwv1.HTTPRouteRetry {
	at := r.Path + ".retries"
	keep := func(field, fact, why string) { c.keep(r.Object, at+field, fact, why) }
	attempts := int(p.GetAttempts())
	switch {
	case attempts < 0:
		c.block(r.Object, at+".attempts", "C-38", "the number of attempts is negative", refused)
	case attempts == 0 && (p.GetPerTryTimeout() != nil || p.GetRetryOn() != "" || p.GetRetryRemoteLocalities() != nil):
		c.block(r.Object, at, "C-38", "retries are switched off by attempts: 0 and set up all the same", refused)
	case !c.cluster.retry():
		keep("", "C-38", "retry needs HTTPRoute of the Gateway API 1.7 or later, or of the experimental channel, which is not known to be installed")
	case attempts == 0 && !c.cluster.noAttempts():
		keep(".attempts", "C-38", "retries are switched off, and the installed HTTPRoute asks for one attempt or more")
	}
	out := &gwv1.HTTPRouteRetry{Attempts: &attempts}
	if p.GetRetryRemoteLocalities() != nil {
		if p.GetRetryRemoteLocalities().GetValue() {
			keep(".retryRemoteLocalities", "C-41", "no route retries in other localities")
		} else {
			c.drop(r.Object, at+".retryRemoteLocalities", "C-41", "it is switched off without it too")
		}
	}
	if p.GetRetryIgnorePreviousHosts() != nil {
		keep(".retryIgnorePreviousHosts", "C-41", "no route chooses whether retries may go to the same pod")
	}
	if b := p.GetBackoff(); b != nil && attempts > 0 {
		out.Backoff = c.duration(r, "retries.backoff", "C-41", b)
		if b.AsDuration() == 0 {
			keep(".backoff", "C-41", "it is zero, which Envoy does not take")
		}
	} else if b != nil {
		c.drop(r.Object, at+".backoff", "C-41", "it has no effect without attempts")
	}
	switch {
	case attempts <= 0:
	case p.GetRetryOn() == "":
		keep(".retryOn", "C-40", namesCodes)
	default:
		c.retryOn(r, p.GetRetryOn(), out)
	}
	return out
}

// namesCodes is why retries without retryOn stay: Envoy then takes status codes from a header of the request.
// Source: pilot/pkg/networking/core/route/retry/retry.go (defaultRetryOn).
const namesCodes = "without retryOn, requests may also name the status codes to retry on, in the header x-envoy-retriable-status-codes; a route does not let them. " +
	"Let retryOn be connect-failure,refused-stream,unavailable,cancelled if nobody does"

// retryOn writes what is retried: a route names status codes, and the rest is always the same (facts C-40).
func (c *conversion) retryOn(r *rule, list string, out *gwv1.HTTPRouteRetry) {
	at := r.Path + ".retries.retryOn"
	var rest []string
	codes, named := map[int]bool{}, false
	for _, part := range strings.Split(list, ",") {
		part = strings.TrimSpace(part)
		if n, err := strconv.Atoi(part); err == nil {
			if n < 400 || n > 599 {
				c.keep(r.Object, at, "C-40", fmt.Sprintf("a route retries on codes 400 to 599, not %d", n))
			}
			codes[n] = true
			continue
		}
		if part == "retriable-status-codes" {
			named = true
		} else if part != "" {
			rest = append(rest, part)
		}
	}
	if named && len(codes) == 0 {
		c.keep(r.Object, at, "C-40", namesCodes)
	}
	slices.Sort(rest)
	if rest = slices.Compact(rest); !slices.Equal(rest, sameRetryOn) {
		c.keep(r.Object, at, "C-40", fmt.Sprintf("a route always retries on %s, and on nothing else but status codes", strings.Join(sameRetryOn, ", ")))
	}
	for _, n := range slices.Sorted(maps.Keys(codes)) {
		out.Codes = append(out.Codes, gwv1.HTTPRouteRetryStatusCode(n))
	}
}

// duration writes a time as the Gateway API does: whole milliseconds, up to four numbers of five digits.
func (c *conversion) duration(r *rule, field, fact string, in *durationpb.Duration) *gwv1.Duration {
	d := in.AsDuration()
	if !in.IsValid() || d < 0 {
		c.block(r.Object, r.Path+"."+field, fact, "a time is negative or too long", refused)
		return nil
	}
	if d%time.Millisecond != 0 || d >= 100000*time.Hour {
		c.keep(r.Object, r.Path+"."+field, fact, fmt.Sprintf("a route takes whole milliseconds, not %v", d))
		return nil
	}
	text := ""
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if n := d / u.unit; n > 0 {
			text += fmt.Sprintf("%d%s", n, u.name)
			d -= n * u.unit
		}
	}
	if text == "" {
		text = "0s"
	}
	out := gwv1.Duration(text)
	return &out
}
