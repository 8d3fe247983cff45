package convert

import (
	"fmt"

	networking "istio.io/api/networking/v1alpha3"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

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
