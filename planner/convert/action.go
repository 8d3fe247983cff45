package convert

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

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
		{"mirrors", len(r.Spec.GetMirrors()) > 0}, {"mirrorPercentage", r.Spec.GetMirrorPercentage() != nil},
		//lint:ignore SA1019 mirrorPercent is deprecated, and istiod still reads it
		{"mirrorPercent", r.Spec.GetMirrorPercent() != nil},
	} {
		if f.set {
			c.drop(r.Object, r.Path+"."+f.name, "C-33", why)
		}
	}
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
