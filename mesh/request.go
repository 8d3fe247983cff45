package mesh

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	security "istio.io/api/security/v1beta1"
)

// Request is one request to a port of a workload or Service, as the proxy that
// judges it sees it. Headers and Claims hold what is there; a key that is missing
// is absent. Claims are keyed as in policies: "request.auth.principal",
// "request.auth.claims[iss]".
type Request struct {
	// Principal of the peer without "spiffe://"; empty for plaintext.
	Principal string
	Source    netip.Addr
	Port      uint16
	Method    string
	Path      string
	Host      string
	Headers   map[string]string
	Claims    map[string]string
	SNI       string
}

// Outcome of an evaluation. The zero value is unknown.
type Outcome int

// Outcomes.
const (
	OutcomeUnknown Outcome = iota
	Allowed
	Denied
	// External: an external authorizer decides (CUSTOM).
	External
)

// String is the word for an outcome.
func (o Outcome) String() string {
	switch o {
	case Allowed:
		return "allowed"
	case Denied:
		return "denied"
	case External:
		return "decided by an external authorizer"
	case OutcomeUnknown:
	}
	return "not known"
}

// Verdict is an outcome and who decided.
type Verdict struct {
	Outcome Outcome
	// By names the policy and rule, or says that none applies.
	By string
}

// ProxyAuthz evaluates AuthorizationPolicies as Envoy does at a sidecar or a
// waypoint: CUSTOM, then DENY, then ALLOW; without any ALLOW everything is
// allowed. tcp is true for a port that Envoy serves without HTTP: there an ALLOW
// rule with a field of HTTP never matches, and a DENY rule is applied as if the
// field were not there. Source: pilot/pkg/security/authz/builder and .../model of
// Istio. A policy that only logs (AUDIT, dry-run) decides nothing.
func ProxyAuthz(policies []Typed[*security.AuthorizationPolicy], r Request, tcp bool) Verdict {
	external := Verdict{}
	allow, has := Verdict{Outcome: Denied, By: "no ALLOW policy matches"}, false
	for _, p := range policies {
		z := Authz(p)
		if z.NotSent == NotSentDryRun {
			continue
		}
		for i, rule := range p.Spec.GetRules() {
			by := p.Ref().String() + " " + z.Rules[i].Path
			switch z.Action {
			case security.AuthorizationPolicy_DENY:
				if proxyMatches(z.Rules[i], rule, r, p.Namespace, tcp, true) {
					return Verdict{Denied, by}
				}
			case security.AuthorizationPolicy_CUSTOM:
				if proxyMatches(z.Rules[i], rule, r, p.Namespace, tcp, true) {
					external = Verdict{External, by}
				}
			case security.AuthorizationPolicy_ALLOW:
				if allow.Outcome != Allowed && proxyMatches(z.Rules[i], rule, r, p.Namespace, tcp, false) {
					allow = Verdict{Allowed, by}
				}
			case security.AuthorizationPolicy_AUDIT:
			}
		}
		has = has || z.Action == security.AuthorizationPolicy_ALLOW
	}
	if !has {
		allow = Verdict{Allowed, "no ALLOW policy applies"}
	}
	if allow.Outcome == Allowed && external.Outcome == External {
		return external
	}
	return allow
}

// proxyMatches tells whether Envoy takes a rule to match.
func proxyMatches(z AuthzRule, rule *security.Rule, r Request, namespace string, tcp, deny bool) bool {
	if tcp && !deny && len(z.Of(FieldL7)) > 0 && slices.ContainsFunc(z.Of(FieldL7), func(f AuthzField) bool { return f.Name != "connection.sni" }) {
		return false
	}
	from := len(rule.GetFrom()) == 0
	for _, f := range rule.GetFrom() {
		from = from || entryMatches(sourceFields(f.GetSource(), ""), r, namespace, tcp)
	}
	to := len(rule.GetTo()) == 0
	for _, t := range rule.GetTo() {
		to = to || entryMatches(operationFields(t.GetOperation(), ""), r, namespace, tcp)
	}
	if !from || !to {
		return false
	}
	for _, c := range rule.GetWhen() {
		if !entryMatches(conditionFields(c, ""), r, namespace, tcp) {
			return false
		}
	}
	return true
}

// entryMatches tells whether all fields of one entry agree with a request.
func entryMatches(fields []AuthzField, r Request, namespace string, tcp bool) bool {
	for _, f := range fields {
		if tcp && f.Class == FieldL7 && f.Name != "connection.sni" {
			continue
		}
		name := strings.TrimPrefix(f.Name, "not")
		name = strings.ToLower(name[:1]) + name[1:]
		hit := slices.ContainsFunc(f.Values, func(v string) bool { return fieldMatches(name, v, r, namespace) })
		if hit == f.Negative {
			return false
		}
	}
	return true
}

// fieldMatches compares one value of a field with a request.
func fieldMatches(name, v string, r Request, namespace string) bool {
	switch name {
	case "methods":
		return matchString(v, r.Method)
	case "paths":
		return matchString(v, r.Path)
	case "hosts":
		return matchString(strings.ToLower(v), strings.ToLower(r.Host))
	case "requestPrincipals", "request.auth.principal":
		return matchString(v, r.Claims["request.auth.principal"])
	case "connection.sni":
		return matchString(v, r.SNI)
	case "remoteIpBlocks", "remote.ip":
		p, ok := prefix(v)
		return ok && p.Contains(r.Source)
	case "source.serviceAccount":
		return matchValue("serviceAccounts", v, Connection{Principal: r.Principal}, namespace)
	case "ports", "destination.port":
		p, err := strconv.ParseUint(v, 10, 16)
		return err == nil && uint16(p) == r.Port
	}
	if key, ok := strings.CutPrefix(name, "request.headers["); ok {
		return matchString(v, r.Headers[strings.ToLower(strings.TrimSuffix(key, "]"))])
	}
	if strings.HasPrefix(name, "request.auth.") {
		return matchString(v, r.Claims[name])
	}
	return matchValue(name, v, Connection{Principal: r.Principal, Source: r.Source, Port: r.Port}, namespace)
}

// ZtunnelVerdict evaluates AuthorizationPolicies as ztunnel does with what istiod
// sends it of them (facts L-01 to L-10).
func ZtunnelVerdict(policies []Typed[*security.AuthorizationPolicy], r Request) Verdict {
	c := Connection{Principal: r.Principal, Source: r.Source, Port: r.Port}
	allow, has := Verdict{Denied, "no ALLOW policy matches at ztunnel"}, false
	for _, p := range policies {
		z := Authz(p)
		if z.NotSent != SentToZtunnel {
			continue
		}
		for _, rule := range z.Rules {
			if !rule.Matches(c, p.Namespace) {
				continue
			}
			if z.Action == security.AuthorizationPolicy_DENY {
				return Verdict{Denied, p.Ref().String() + " " + rule.Path + " at ztunnel"}
			}
			if allow.Outcome != Allowed {
				allow = Verdict{Allowed, p.Ref().String() + " " + rule.Path + " at ztunnel"}
			}
		}
		has = has || z.Action == security.AuthorizationPolicy_ALLOW
	}
	if !has {
		return Verdict{Allowed, "no ALLOW policy applies at ztunnel"}
	}
	return allow
}
