// Package rbac evaluates what istiod generates for AuthorizationPolicies: Envoy's
// RBAC rules and ztunnel's Authorizations. It follows Envoy and ztunnel, not
// package mesh, which it is the yardstick of. What it does not know is an error,
// never "no match".
package rbac

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	rbacpb "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routepb "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	uritemplate "github.com/envoyproxy/go-control-plane/envoy/extensions/path/match/uri_template/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/ambientplan/ambientplan/mesh"
)

// unknown is thrown where a matcher is not known, and caught by Policy.
type unknown struct{ what string }

// Policy tells whether a policy of an RBAC filter matches a request. tcp is true
// for the network filter, which sees no X-Forwarded-For.
func Policy(p *rbacpb.Policy, r mesh.Request, tcp bool) (hit bool, err error) {
	defer func() {
		if v := recover(); v != nil {
			u, ok := v.(unknown)
			if !ok {
				panic(v)
			}
			hit, err = false, fmt.Errorf("matcher that this test does not know: %s", u.what)
		}
	}()
	e := request{r, tcp}
	return some(p.Permissions, e.permission) && some(p.Principals, e.principal), nil
}

type request struct {
	mesh.Request
	tcp bool
}

func all[T any](l []T, f func(T) bool) bool {
	for _, x := range l {
		if !f(x) {
			return false
		}
	}
	return true
}

func some[T any](l []T, f func(T) bool) bool { return !all(l, func(x T) bool { return !f(x) }) }

func matches(m *matcher.StringMatcher, s string) bool {
	fold := func(s string) string {
		if m.GetIgnoreCase() {
			return strings.ToLower(s)
		}
		return s
	}
	switch x := m.GetMatchPattern().(type) {
	case *matcher.StringMatcher_Exact:
		return fold(s) == fold(x.Exact)
	case *matcher.StringMatcher_Prefix:
		return strings.HasPrefix(fold(s), fold(x.Prefix))
	case *matcher.StringMatcher_Suffix:
		return strings.HasSuffix(fold(s), fold(x.Suffix))
	case *matcher.StringMatcher_SafeRegex:
		return regexp.MustCompile("^(?:" + x.SafeRegex.Regex + ")$").MatchString(s)
	}
	panic(unknown{fmt.Sprint("string ", m)})
}

func within(c *corepb.CidrRange, a netip.Addr) bool {
	return netip.PrefixFrom(netip.MustParseAddr(c.AddressPrefix), int(c.PrefixLen.GetValue())).Contains(a)
}

// path is what Envoy compares: without query and fragment.
func (r request) path() string { return strings.SplitN(strings.SplitN(r.Path, "?", 2)[0], "#", 2)[0] }

func (r request) header(m *routepb.HeaderMatcher) bool {
	var v string
	ok := true
	switch n := strings.ToLower(m.Name); n {
	case ":method":
		v = r.Method
	case ":authority", "host":
		v = r.Host
	case ":path":
		v = r.Path
	default:
		v, ok = r.Headers[n]
	}
	switch {
	case !ok:
		return false
	case m.GetPresentMatch():
		return true
	case m.GetStringMatch() == nil:
		panic(unknown{fmt.Sprint("header ", m)})
	}
	return matches(m.GetStringMatch(), v)
}

func (r request) metadata(m *matcher.MetadataMatcher) bool {
	if m.Filter != "envoy.filters.http.jwt_authn" {
		panic(unknown{"metadata of " + m.Filter})
	}
	var p []string
	for _, s := range m.Path[1:] {
		p = append(p, s.GetKey())
	}
	values, ok := r.Claims["request.auth.claims["+strings.Join(p, "][")+"]"]
	return ok && value(m.Value, values)
}

func value(m *matcher.ValueMatcher, values []string) bool {
	switch x := m.MatchPattern.(type) {
	case *matcher.ValueMatcher_StringMatch:
		return len(values) == 1 && matches(x.StringMatch, values[0])
	case *matcher.ValueMatcher_OrMatch:
		return some(x.OrMatch.ValueMatchers, func(o *matcher.ValueMatcher) bool { return value(o, values) })
	case *matcher.ValueMatcher_ListMatch:
		return len(values) != 1 && some(values, func(v string) bool { return value(x.ListMatch.GetOneOf(), []string{v}) })
	}
	panic(unknown{fmt.Sprint("value ", m)})
}

func (r request) permission(p *rbacpb.Permission) bool {
	switch x := p.Rule.(type) {
	case *rbacpb.Permission_Any:
		return true
	case *rbacpb.Permission_AndRules:
		return all(x.AndRules.Rules, r.permission)
	case *rbacpb.Permission_OrRules:
		return some(x.OrRules.Rules, r.permission)
	case *rbacpb.Permission_NotRule:
		return !r.permission(x.NotRule)
	case *rbacpb.Permission_Header:
		return r.header(x.Header)
	case *rbacpb.Permission_UrlPath:
		return matches(x.UrlPath.GetPath(), r.path())
	case *rbacpb.Permission_DestinationIp:
		return within(x.DestinationIp, r.Destination)
	case *rbacpb.Permission_DestinationPort:
		return x.DestinationPort == uint32(r.Port)
	case *rbacpb.Permission_RequestedServerName:
		return matches(x.RequestedServerName, r.SNI)
	case *rbacpb.Permission_UriTemplate:
		c := &uritemplate.UriTemplateMatchConfig{}
		if err := x.UriTemplate.TypedConfig.UnmarshalTo(c); err != nil {
			panic(unknown{err.Error()})
		}
		return template(c.PathTemplate).MatchString(r.path())
	}
	panic(unknown{fmt.Sprint("permission ", p)})
}

// template is a path template of Envoy as a regular expression: "*" is one
// segment, "**" any number.
func template(t string) *regexp.Regexp {
	segments := strings.Split(strings.TrimPrefix(t, "/"), "/")
	for i, s := range segments {
		switch s {
		case "*":
			segments[i] = "[a-zA-Z0-9\\-._~%!$&'()+,;:@=*]+"
		case "**":
			segments[i] = "[a-zA-Z0-9\\-._~%!$&'()+,;:@=*/]*"
		default:
			segments[i] = regexp.QuoteMeta(s)
		}
	}
	return regexp.MustCompile("^/" + strings.Join(segments, "/") + "$")
}

func (r request) principal(p *rbacpb.Principal) bool {
	switch x := p.Identifier.(type) {
	case *rbacpb.Principal_Any:
		return true
	case *rbacpb.Principal_AndIds:
		return all(x.AndIds.Ids, r.principal)
	case *rbacpb.Principal_OrIds:
		return some(x.OrIds.Ids, r.principal)
	case *rbacpb.Principal_NotId:
		return !r.principal(x.NotId)
	case *rbacpb.Principal_Authenticated_:
		return r.Principal != "" && (x.Authenticated.PrincipalName == nil || matches(x.Authenticated.PrincipalName, "spiffe://"+r.Principal))
	case *rbacpb.Principal_DirectRemoteIp:
		return within(x.DirectRemoteIp, r.Source)
	case *rbacpb.Principal_RemoteIp:
		if r.Remote.IsValid() && !r.tcp {
			return within(x.RemoteIp, r.Remote)
		}
		return within(x.RemoteIp, r.Source)
	case *rbacpb.Principal_Header:
		return r.header(x.Header)
	case *rbacpb.Principal_Metadata:
		return r.metadata(x.Metadata)
	case *rbacpb.Principal_FilterState:
		// The identity behind a waypoint or an HBONE listener.
		if x.FilterState.Key == "io.istio.peer_principal" {
			return r.Principal != "" && matches(x.FilterState.GetStringMatch(), "spiffe://"+r.Principal)
		}
	}
	panic(unknown{fmt.Sprint("principal ", p)})
}
