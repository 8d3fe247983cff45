package convert

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

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
	//lint:ignore SA1019 allowOrigin is deprecated, and istiod still reads it
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
