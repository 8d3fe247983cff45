// Package rbac evaluates what istiod generates for authorization as the proxies
// do: Envoy's RBAC and ext_authz filters, and ztunnel's Authorization resources.
// It knows nothing of AuthorizationPolicies and shares no code with package mesh,
// whose evaluation it is to judge. What it does not know is an error, never "does
// not match".
package rbac

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbac "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	exthttp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	jwt "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	rbachttp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	exttcp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/ext_authz/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	rbactcp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/ambientplan/ambientplan/mesh"
)

// Names of the filters that decide, as the dynamic metadata they write is keyed.
const (
	httpRBAC = "envoy.filters.http.rbac"
	tcpRBAC  = "envoy.filters.network.rbac"
	jwtAuthn = "envoy.filters.http.jwt_authn"
)

// Chain is the filters of a chain that decide, in their order. It is not safe for
// several goroutines.
type Chain struct {
	http    bool
	filters []filter
	// regexps that were compiled.
	regexps map[string]*regexp.Regexp
}

// filter is one of three kinds: RBAC, ext_authz (enabled), or one that validates tokens.
type filter struct {
	name          string
	rules, shadow *rbac.RBAC
	prefix        string
	enabled       *matcher.MetadataMatcher
	tokens        bool
}

// HTTP reads the HTTP filters of a chain. Filters that are not about authorization
// are passed; one that is and is not known is an error.
func HTTP(filters []*hcm.HttpFilter) (*Chain, error) {
	c := &Chain{http: true, regexps: map[string]*regexp.Regexp{}}
	for _, f := range filters {
		config, out := f.GetTypedConfig(), filter{name: f.Name}
		switch {
		case config.MessageIs(&rbachttp.RBAC{}):
			x := &rbachttp.RBAC{}
			if err := config.UnmarshalTo(x); err != nil {
				return nil, err
			}
			if x.Matcher != nil || x.ShadowMatcher != nil {
				return nil, fmt.Errorf("%s: matcher trees are not known", f.Name)
			}
			out.rules, out.shadow, out.prefix = x.Rules, x.ShadowRules, x.ShadowRulesStatPrefix
		case config.MessageIs(&exthttp.ExtAuthz{}):
			x := &exthttp.ExtAuthz{}
			if err := config.UnmarshalTo(x); err != nil {
				return nil, err
			}
			out.enabled = x.FilterEnabledMetadata
		case config.MessageIs(&jwt.JwtAuthentication{}):
			out.tokens = true
		default:
			if err := harmless(f.Name); err != nil {
				return nil, err
			}
			continue
		}
		c.filters = append(c.filters, out)
	}
	return c, c.check()
}

// Network reads the network filters of a chain. An HTTP connection manager among
// them is not looked into.
func Network(filters []*listener.Filter) (*Chain, error) {
	c := &Chain{regexps: map[string]*regexp.Regexp{}}
	for _, f := range filters {
		config, out := f.GetTypedConfig(), filter{name: f.Name}
		switch {
		case config.MessageIs(&rbactcp.RBAC{}):
			x := &rbactcp.RBAC{}
			if err := config.UnmarshalTo(x); err != nil {
				return nil, err
			}
			if x.Matcher != nil || x.ShadowMatcher != nil {
				return nil, fmt.Errorf("%s: matcher trees are not known", f.Name)
			}
			out.rules, out.shadow, out.prefix = x.Rules, x.ShadowRules, x.ShadowRulesStatPrefix
		case config.MessageIs(&exttcp.ExtAuthz{}):
			x := &exttcp.ExtAuthz{}
			if err := config.UnmarshalTo(x); err != nil {
				return nil, err
			}
			out.enabled = x.FilterEnabledMetadata
		default:
			if err := harmless(f.Name); err != nil {
				return nil, err
			}
			continue
		}
		c.filters = append(c.filters, out)
	}
	return c, c.check()
}

// harmless refuses filters that sound as if they decided.
func harmless(name string) error {
	for _, word := range []string{"authz", "authn", "rbac"} {
		if strings.Contains(name, word) {
			return fmt.Errorf("filter %s is not known", name)
		}
	}
	return nil
}

// check refuses an external authorizer that is asked about every request.
func (c *Chain) check() error {
	for _, f := range c.filters {
		if !f.tokens && f.enabled == nil && strings.Contains(f.name, "ext_authz") {
			return fmt.Errorf("%s: not enabled by metadata", f.name)
		}
	}
	return nil
}

// Policies names the policies that the filters hold, sorted.
func (c *Chain) Policies() []string {
	var out []string
	for _, f := range c.filters {
		out = slices.AppendSeq(out, maps.Keys(f.rules.GetPolicies()))
		out = slices.AppendSeq(out, maps.Keys(f.shadow.GetPolicies()))
	}
	slices.Sort(out)
	return out
}

// evaluation is one request on its way through the filters of a chain.
type evaluation struct {
	*Chain
	request mesh.Request
	// metadata that filters wrote, by filter and key: string, list or map.
	metadata map[string]map[string]any
}

// Judge runs a request through the filters. Claims are known only behind a filter
// that validates tokens.
func (c *Chain) Judge(r mesh.Request) (mesh.Outcome, error) {
	if !r.Source.IsValid() || !r.Destination.IsValid() || r.Port == 0 {
		return mesh.OutcomeUnknown, fmt.Errorf("a proxy knows the addresses and the port of a connection: %+v", r)
	}
	e := &evaluation{Chain: c, request: r, metadata: map[string]map[string]any{}}
	out := mesh.Allowed
	for _, f := range c.filters {
		switch {
		case f.tokens:
			e.metadata[jwtAuthn] = map[string]any{"payload": payload(r.Claims)}
		case f.enabled != nil:
			hit, err := e.matchMetadata(f.enabled)
			if err != nil {
				return mesh.OutcomeUnknown, fmt.Errorf("%s: %w", f.name, err)
			}
			if hit {
				out = mesh.External
			}
		default:
			denied, err := e.rbac(f)
			if err != nil {
				return mesh.OutcomeUnknown, fmt.Errorf("%s: %w", f.name, err)
			}
			if denied {
				return mesh.Denied, nil
			}
		}
	}
	return out, nil
}

// payload builds the dynamic metadata of a token from claims keyed as policies do.
func payload(claims map[string][]string) map[string]any {
	root := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(claims)) {
		path := strings.Split(strings.TrimSuffix(strings.TrimPrefix(key, "request.auth.claims["), "]"), "][")
		m := root
		for _, p := range path[:len(path)-1] {
			next, ok := m[p].(map[string]any)
			if !ok {
				next = map[string]any{}
				m[p] = next
			}
			m = next
		}
		var v any = claims[key]
		if len(claims[key]) == 1 {
			v = claims[key][0]
		}
		m[path[len(path)-1]] = v
	}
	return root
}

// rbac evaluates shadow rules, which only write metadata, and then the rules.
func (e *evaluation) rbac(f filter) (denied bool, err error) {
	rules := f.rules
	if f.shadow != nil {
		name, err := e.matching(f.shadow)
		if err != nil {
			return false, err
		}
		if name != "" {
			e.write(f.name, f.prefix+"shadow_effective_policy_id", name)
		}
	}
	if rules == nil {
		return false, nil
	}
	name, err := e.matching(rules)
	if err != nil {
		return false, err
	}
	switch rules.Action {
	case rbac.RBAC_ALLOW:
		return name == "", nil
	case rbac.RBAC_DENY:
		return name != "", nil
	case rbac.RBAC_LOG:
		return false, nil
	}
	return false, fmt.Errorf("action %v is not known", rules.Action)
}

func (e *evaluation) write(filter, key string, value any) {
	if e.metadata[filter] == nil {
		e.metadata[filter] = map[string]any{}
	}
	e.metadata[filter][key] = value
}

// matching returns the name of the first policy that matches, in the order of names.
func (e *evaluation) matching(r *rbac.RBAC) (string, error) {
	found := ""
	for _, name := range slices.Sorted(maps.Keys(r.Policies)) {
		hit, err := e.policy(r.Policies[name])
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		if hit && found == "" {
			found = name // The others are evaluated too, for their errors.
		}
	}
	return found, nil
}

func (e *evaluation) policy(p *rbac.Policy) (bool, error) {
	if p.Condition != nil || p.CheckedCondition != nil {
		return false, fmt.Errorf("conditions in CEL are not known")
	}
	to, err := anyOf(p.Permissions, e.permission)
	if err != nil {
		return false, err
	}
	from, err := anyOf(p.Principals, e.principal)
	return to && from, err
}

// anyOf and allOf evaluate everything, so that what is not known always shows.
func anyOf[T any](list []T, eval func(T) (bool, error)) (bool, error) {
	out := false
	for _, x := range list {
		hit, err := eval(x)
		if err != nil {
			return false, err
		}
		out = out || hit
	}
	return out, nil
}

func allOf[T any](list []T, eval func(T) (bool, error)) (bool, error) {
	not, err := anyOf(list, func(x T) (bool, error) { hit, err := eval(x); return !hit, err })
	return !not, err
}

func (e *evaluation) permission(p *rbac.Permission) (bool, error) {
	switch x := p.Rule.(type) {
	case *rbac.Permission_AndRules:
		return allOf(x.AndRules.Rules, e.permission)
	case *rbac.Permission_OrRules:
		return anyOf(x.OrRules.Rules, e.permission)
	case *rbac.Permission_NotRule:
		hit, err := e.permission(x.NotRule)
		return !hit, err
	case *rbac.Permission_Any:
		return x.Any, nil
	case *rbac.Permission_Header:
		return e.header(x.Header)
	case *rbac.Permission_UrlPath:
		return e.path(x.UrlPath)
	case *rbac.Permission_UriTemplate:
		return e.template(x.UriTemplate)
	case *rbac.Permission_DestinationIp:
		return inRange(x.DestinationIp, e.request.Destination)
	case *rbac.Permission_DestinationPort:
		return x.DestinationPort == uint32(e.request.Port), nil
	case *rbac.Permission_Metadata:
		//lint:ignore SA1019 istiod still writes this field
		return e.matchMetadata(x.Metadata)
	case *rbac.Permission_RequestedServerName:
		return e.matchString(x.RequestedServerName, e.request.SNI)
	}
	return false, fmt.Errorf("permission %T is not known", p.Rule)
}

func (e *evaluation) principal(p *rbac.Principal) (bool, error) {
	switch x := p.Identifier.(type) {
	case *rbac.Principal_AndIds:
		return allOf(x.AndIds.Ids, e.principal)
	case *rbac.Principal_OrIds:
		return anyOf(x.OrIds.Ids, e.principal)
	case *rbac.Principal_NotId:
		hit, err := e.principal(x.NotId)
		return !hit, err
	case *rbac.Principal_Any:
		return x.Any, nil
	case *rbac.Principal_Authenticated_:
		return e.peer(x.Authenticated.GetPrincipalName())
	case *rbac.Principal_FilterState:
		if x.FilterState.Key != "io.istio.peer_principal" {
			return false, fmt.Errorf("filter state %s is not known", x.FilterState.Key)
		}
		m, ok := x.FilterState.Matcher.(*matcher.FilterStateMatcher_StringMatch)
		if !ok {
			return false, fmt.Errorf("matcher %T of filter state is not known", x.FilterState.Matcher)
		}
		return e.peer(m.StringMatch)
	case *rbac.Principal_DirectRemoteIp:
		return inRange(x.DirectRemoteIp, e.request.Source)
	case *rbac.Principal_RemoteIp:
		return inRange(x.RemoteIp, e.remote())
	case *rbac.Principal_Header:
		return e.header(x.Header)
	case *rbac.Principal_Metadata:
		//lint:ignore SA1019 istiod still writes this field
		return e.matchMetadata(x.Metadata)
	}
	return false, fmt.Errorf("principal %T is not known", p.Identifier)
}

// remote is the client's address: by X-Forwarded-For if there is HTTP.
func (e *evaluation) remote() netip.Addr {
	if e.http && e.request.Remote.IsValid() {
		return e.request.Remote
	}
	return e.request.Source
}

// peer compares the identity of the peer, which plaintext has none of.
func (e *evaluation) peer(m *matcher.StringMatcher) (bool, error) {
	if m == nil {
		return false, fmt.Errorf("a principal without a name is not known")
	}
	hit, err := e.matchString(m, "spiffe://"+e.request.Principal)
	return hit && e.request.Principal != "", err
}

// Policy tells whether one policy of an RBAC filter matches a request whose token
// was validated.
func Policy(p *rbac.Policy, r mesh.Request, http bool) (bool, error) {
	e := &evaluation{
		Chain: &Chain{http: http, regexps: map[string]*regexp.Regexp{}}, request: r,
		metadata: map[string]map[string]any{jwtAuthn: {"payload": payload(r.Claims)}},
	}
	return e.policy(p)
}
