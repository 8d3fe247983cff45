package mesh

import (
	"fmt"
	"slices"
	"strconv"

	meshconfig "istio.io/api/mesh/v1alpha1"
	security "istio.io/api/security/v1beta1"
)

// AuthzSettings is what MeshConfig says about authorization.
type AuthzSettings struct {
	// TrustDomains of the mesh: its own, then its aliases. None means "cluster.local".
	TrustDomains []string
	// Providers of CUSTOM policies by name; nil when they are not known.
	Providers map[string]AuthzProvider
}

// AuthzProvider is a kind of external authorizer. The zero value is unset.
type AuthzProvider int

// Kinds of external authorizers.
const (
	ProviderUnset AuthzProvider = iota
	// ProviderHTTP serves HTTP only: on a TCP port istiod leaves it out.
	ProviderHTTP
	// ProviderGRPC serves HTTP and TCP.
	ProviderGRPC
	// ProviderOther is an extension that authorizes nothing, like a tracer.
	ProviderOther
)

// AuthzSettings reads the MeshConfig of the state. Without a MeshConfig, or with
// several that may differ, the providers are not known.
func (s *State) AuthzSettings() AuthzSettings {
	configs := s.MeshConfigs()
	out := AuthzSettings{TrustDomains: []string{s.TrustDomain()}}
	if len(configs) == 0 {
		return out
	}
	mc := configs[0].Spec
	out.TrustDomains = append(out.TrustDomains, mc.GetTrustDomainAliases()...)
	if len(configs) > 1 {
		return out
	}
	out.Providers = map[string]AuthzProvider{}
	for _, p := range mc.GetExtensionProviders() {
		kind := ProviderOther
		switch p.GetProvider().(type) {
		case *meshconfig.MeshConfig_ExtensionProvider_EnvoyExtAuthzHttp:
			kind = ProviderHTTP
		case *meshconfig.MeshConfig_ExtensionProvider_EnvoyExtAuthzGrpc:
			kind = ProviderGRPC
		}
		out.Providers[p.GetName()] = kind
	}
	return out
}

// ProxyProgram is a list of AuthorizationPolicies, ready to be evaluated as one
// Envoy does. It is immutable; Verdict may be called from several goroutines.
type ProxyProgram struct {
	deny, allow, custom []proxyRule
	// hasAllow: some ALLOW policy is enforced, even if none of its rules is left.
	hasAllow bool
	// providers of the CUSTOM policies, sorted.
	providers []string
	badCustom string
}

// proxyRule matches when one of from and one of to does.
type proxyRule struct {
	policy   int
	from, to [][]field
	by       string
	// provider and dry-run of a CUSTOM rule.
	provider string
	dryRun   bool
	// ignored: a CUSTOM rule that calls nobody on this kind of port.
	ignored bool
	// unsure: whether it calls anybody is not known.
	unsure bool
}

// CompileProxy prepares policies as istiod does for an Envoy of a mesh with the
// trust domain "cluster.local" without aliases; State.CompileProxy knows the real
// one. See ProxyAuthz for what is evaluated.
func CompileProxy(policies []Typed[*security.AuthorizationPolicy], tcp bool) *ProxyProgram {
	return compileProxy(policies, tcp, AuthzSettings{})
}

// CompileProxy prepares policies as istiod does for an Envoy of this mesh: with
// its trust domain and aliases and its external authorizers.
func (s *State) CompileProxy(policies []Typed[*security.AuthorizationPolicy], tcp bool) *ProxyProgram {
	return compileProxy(policies, tcp, s.AuthzSettings())
}

func compileProxy(policies []Typed[*security.AuthorizationPolicy], tcp bool, set AuthzSettings) *ProxyProgram {
	if len(set.TrustDomains) == 0 {
		set.TrustDomains = []string{"cluster.local"}
	}
	out := &ProxyProgram{}
	for n, p := range policies {
		dry, _ := strconv.ParseBool(p.Annotations()[AnnotationDryRun])
		action := p.Spec.GetAction()
		c := proxyCompiler{namespace: p.Namespace, tcp: tcp, strict: action == security.AuthorizationPolicy_ALLOW, custom: action == security.AuthorizationPolicy_CUSTOM, domains: set.TrustDomains}
		var rules []proxyRule
		for i, r := range p.Spec.GetRules() {
			if compiled, ok := c.rule(r); ok {
				compiled.policy, compiled.by = n, fmt.Sprintf("%s spec.rules[%d]", p.Ref(), i)
				rules = append(rules, compiled)
			}
		}
		switch action {
		case security.AuthorizationPolicy_ALLOW:
			if !dry {
				out.allow, out.hasAllow = append(out.allow, rules...), true
			}
		case security.AuthorizationPolicy_DENY:
			if !dry {
				out.deny = append(out.deny, rules...)
			}
		case security.AuthorizationPolicy_CUSTOM:
			provider := p.Spec.GetProvider().GetName()
			out.providers = append(out.providers, provider)
			for i := range rules {
				rules[i].provider, rules[i].dryRun = provider, dry
				if tcp {
					rules[i].ignored = set.Providers[provider] == ProviderHTTP
					rules[i].unsure = set.Providers == nil
				}
			}
			out.custom = append(out.custom, rules...)
		case security.AuthorizationPolicy_AUDIT:
		}
	}
	out.settle(set)
	return out
}

// settle finds out whether istiod can call the external authorizers. If it
// cannot, it denies what their rules match. Source: buildHTTP of
// pilot/pkg/security/authz/builder/builder.go; several providers for one workload
// need PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS, which is off by default.
func (p *ProxyProgram) settle(set AuthzSettings) {
	slices.Sort(p.providers)
	p.providers = slices.Compact(p.providers)
	if len(p.providers) > 1 {
		p.badCustom = "several external authorizers apply, so it denies"
		return
	}
	if len(p.providers) == 0 || set.Providers == nil {
		return
	}
	switch set.Providers[p.providers[0]] {
	case ProviderUnset, ProviderOther:
		p.badCustom = fmt.Sprintf("extension provider %q is not defined, so it denies", p.providers[0])
	case ProviderHTTP, ProviderGRPC:
	}
}

// proxyCompiler turns rules into what istiod makes of them for one policy.
type proxyCompiler struct {
	namespace string
	tcp       bool
	// strict: what cannot be said skips the rule (ALLOW); else only that part.
	strict bool
	// custom rules are evaluated before tokens are validated, so they know no claims.
	custom  bool
	domains []string
	bad     bool
}

// rule compiles one rule; the second result is false when istiod skips it.
func (c *proxyCompiler) rule(r *security.Rule) (proxyRule, bool) {
	if r == nil {
		return proxyRule{}, false
	}
	c.bad = false
	var out proxyRule
	var when []field
	for _, w := range r.GetWhen() {
		a, state := conditionAttribute(w.GetKey())
		if state == keyUnknown {
			return proxyRule{}, false
		}
		if state == keyBad {
			c.bad = c.bad || len(w.GetValues())+len(w.GetNotValues()) > 0
			continue
		}
		when = c.add(when, a, w.GetValues(), w.GetNotValues())
	}
	for _, f := range r.GetFrom() {
		out.from = append(out.from, c.source(f.GetSource()))
	}
	for _, t := range r.GetTo() {
		out.to = append(out.to, c.operation(t.GetOperation()))
	}
	if len(out.from) == 0 {
		out.from = [][]field{nil}
	}
	if len(out.to) == 0 {
		out.to = [][]field{nil}
	}
	for i := range out.from {
		out.from[i] = slices.Concat(out.from[i], when)
	}
	return out, !(c.bad && c.strict)
}

func (c *proxyCompiler) source(s *security.Source) []field {
	var out []field
	out = c.add(out, attribute{kind: attrPrincipal}, s.GetPrincipals(), s.GetNotPrincipals())
	out = c.add(out, attribute{kind: attrNamespace}, s.GetNamespaces(), s.GetNotNamespaces())
	out = c.add(out, attribute{kind: attrServiceAccount}, s.GetServiceAccounts(), s.GetNotServiceAccounts())
	out = c.add(out, attribute{kind: attrTrustDomain}, s.GetTrustDomains(), s.GetNotTrustDomains())
	out = c.add(out, attribute{kind: attrSourceIP}, s.GetIpBlocks(), s.GetNotIpBlocks())
	out = c.add(out, attribute{kind: attrRemoteIP}, s.GetRemoteIpBlocks(), s.GetNotRemoteIpBlocks())
	return c.add(out, attribute{kind: attrTokenPrincipal}, s.GetRequestPrincipals(), s.GetNotRequestPrincipals())
}

func (c *proxyCompiler) operation(o *security.Operation) []field {
	var out []field
	out = c.add(out, attribute{kind: attrPort}, o.GetPorts(), o.GetNotPorts())
	out = c.add(out, attribute{kind: attrHost}, o.GetHosts(), o.GetNotHosts())
	out = c.add(out, attribute{kind: attrMethod}, o.GetMethods(), o.GetNotMethods())
	return c.add(out, attribute{kind: attrPath}, o.GetPaths(), o.GetNotPaths())
}

// add compiles both lists of a field. A list of which nothing is left is not
// there at all (permission and principal of pilot/pkg/security/authz/model).
func (c *proxyCompiler) add(out []field, a attribute, values, not []string) []field {
	for _, l := range []struct {
		values   []string
		negative bool
	}{{values, false}, {not, true}} {
		if len(l.values) == 0 {
			continue
		}
		if c.tcp && !a.onTCP() {
			c.bad = true
			continue
		}
		if c.tcp && a.kind == attrRemoteIP {
			a.kind = attrSourceIP // Without HTTP there is no X-Forwarded-For.
		}
		f := field{of: a, negative: l.negative}
		if whole := a == (attribute{kind: attrClaim}); whole || c.custom && a.ofClaims() {
			out = append(out, f) // Without values it matches nothing.
			continue
		}
		for _, v := range l.values {
			f.values = append(f.values, c.matchers(a, v)...)
		}
		if len(f.values) > 0 {
			out = append(out, f)
		}
	}
	return out
}

// matchers compiles one value; none when istiod cannot read it.
func (c *proxyCompiler) matchers(a attribute, v string) []valueMatcher {
	var out []valueMatcher
	switch a.kind {
	case attrPrincipal:
		for _, p := range withAliases(v, c.domains) {
			out = append(out, stringMatcher(p))
		}
		return out
	case attrTrustDomain:
		for _, d := range domainAliases(v, c.domains) {
			out = append(out, domainMatcher(d))
		}
		return out
	case attrSourceIP, attrRemoteIP, attrDestinationIP:
		m, ok := blockMatcher(v)
		return c.readable(m, ok)
	case attrPort:
		m, ok := portMatcher(v)
		return c.readable(m, ok)
	case attrNamespace:
		return []valueMatcher{proxyNamespaceMatcher(v)}
	case attrServiceAccount:
		return []valueMatcher{accountMatcher(v, c.namespace)}
	case attrTokenPrincipal:
		return []valueMatcher{tokenPrincipalMatcher(v)}
	case attrHost:
		return []valueMatcher{hostMatcher(v)}
	case attrPath:
		return []valueMatcher{pathMatcher(v)}
	case attrFilterMetadata:
		return []valueMatcher{{op: opUnknown, text: v}}
	default:
		return []valueMatcher{stringMatcher(v)}
	}
}

func (c *proxyCompiler) readable(m valueMatcher, ok bool) []valueMatcher {
	if !ok {
		c.bad = true
		return nil
	}
	return []valueMatcher{m}
}

// Verdict evaluates a request. It allocates nothing unless an external
// authorizer or something unknown decides.
func (p *ProxyProgram) Verdict(r Request) Verdict {
	return p.verdict(&r)
}

func (p *ProxyProgram) verdict(r *Request) Verdict {
	external, doubt := p.external(r)
	if external.Outcome == Denied {
		return external
	}
	for i := range p.deny {
		switch p.deny[i].matches(r) {
		case yes:
			return Verdict{Denied, p.deny[i].by}
		case maybe:
			doubt = p.deny[i].by
		case no:
		}
	}
	if p.hasAllow {
		by, hit := firstMatch(p.allow, r)
		switch hit {
		case no:
			return Verdict{Denied, "no ALLOW policy matches"}
		case maybe:
			return Verdict{OutcomeUnknown, by + " may match"}
		case yes:
			if doubt == "" && external.Outcome == OutcomeUnknown {
				return Verdict{Allowed, by}
			}
		}
	}
	switch {
	case doubt != "":
		return Verdict{OutcomeUnknown, doubt + " may match"}
	case external.Outcome == External:
		return external
	}
	return Verdict{Allowed, "no ALLOW policy applies"}
}

// external tells whether an external authorizer decides (External) or denies
// because it cannot be called (Denied), and which rule may change that.
func (p *ProxyProgram) external(r *Request) (v Verdict, doubt string) {
	asked := ""
	for i := range p.custom {
		c := &p.custom[i]
		if c.ignored && p.badCustom == "" || c.dryRun && p.badCustom != "" {
			continue
		}
		hit := c.matches(r)
		switch {
		case hit == no:
		case c.dryRun || hit == yes && c.unsure:
			// A dry-run CUSTOM rule denies in some versions of istiod and asks the authorizer in others.
			doubt = c.by
		case hit == maybe:
			asked = c.by
		case p.badCustom != "":
			return Verdict{Denied, c.by + ": " + p.badCustom}, ""
		case v.Outcome != External:
			v = Verdict{External, c.by}
		}
	}
	if doubt == "" && v.Outcome != External {
		doubt = asked
	}
	return v, doubt
}

// firstMatch finds the first rule that matches, or else one that may.
func firstMatch(rules []proxyRule, r *Request) (by string, hit tri) {
	hit = no
	for i := range rules {
		switch rules[i].matches(r) {
		case yes:
			return rules[i].by, yes
		case maybe:
			by, hit = rules[i].by, maybe
		case no:
		}
	}
	return by, hit
}

func (p *proxyRule) matches(r *Request) tri {
	to := anyEntry(p.to, r)
	if to == no {
		return no
	}
	return to.and(anyEntry(p.from, r))
}

// anyEntry tells whether all fields of one of the entries hold.
func anyEntry(entries [][]field, r *Request) tri {
	out := no
	for i := range entries {
		switch allFields(entries[i], r) {
		case yes:
			return yes
		case maybe:
			out = maybe
		case no:
		}
	}
	return out
}

func allFields(fields []field, r *Request) tri {
	out := yes
	for i := range fields {
		if out = out.and(fields[i].holds(r)); out == no {
			return no
		}
	}
	return out
}
