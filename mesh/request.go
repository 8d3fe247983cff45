package mesh

import (
	"net/netip"

	security "istio.io/api/security/v1beta1"
)

// Request is one request to a port of a workload or Service, as the proxy that
// judges it sees it.
type Request struct {
	// Principal of the peer without "spiffe://"; empty for plaintext.
	Principal string
	// Source is the address of the connection. The zero value is not known.
	Source netip.Addr
	// Remote is the client's address by X-Forwarded-For or the PROXY protocol, as
	// the proxy takes it ("remote.ip"); the zero value means there is none, so that
	// it is Source.
	Remote netip.Addr
	// Destination is the address that was called. The zero value is not known.
	Destination netip.Addr
	// Port that was called; 0 is not known.
	Port   uint16
	Method string
	// Path after the normalization that the proxy does, with or without query.
	Path string
	// Host is the authority, with its port if the client sent one.
	Host string
	// Headers by name in lower case; several values are joined by commas. A name
	// that is missing is absent.
	Headers map[string]string
	// Claims of the valid token, keyed as in policies: "request.auth.claims[iss]",
	// "request.auth.claims[a][b]". A claim is a string (one value) or a list; the
	// proxy has already divided those that are lists separated by spaces, like
	// "scope". Claims of other types match nothing, so they are left out.
	Claims map[string][]string
	// Token says whether the request carries one. Policies look only at Claims; see
	// TokenRules.Validate.
	Token Token
	// SNI of the connection; empty when there is none.
	SNI string

	// opaque names headers whose value nobody knows; of those that are not in
	// Headers nobody knows whether they are there.
	opaque []string
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
// waypoint: CUSTOM, DENY, then ALLOW; without any ALLOW everything is allowed. tcp
// is true for a port that Envoy serves without HTTP: there an ALLOW rule with a
// field of HTTP never matches, and a DENY or CUSTOM rule is applied as if the
// field were not there. A policy that only logs (AUDIT, or DENY and ALLOW with
// istio.io/dry-run) decides nothing. CUSTOM rules know no claims, since the
// authorizer comes before the validation of tokens. What cannot be known gives OutcomeUnknown
// when it matters: an address or port that the request leaves open, a condition on
// the metadata of other filters. Source: pilot/pkg/security/authz/builder and
// .../model, and buildWaypointHTTPFilters of pilot/pkg/networking/core of Istio. Use
// CompileProxy to judge many requests.
func ProxyAuthz(policies []Typed[*security.AuthorizationPolicy], r Request, tcp bool) Verdict {
	return CompileProxy(policies, tcp).Verdict(r)
}

// ZtunnelVerdict evaluates AuthorizationPolicies as ztunnel does with what istiod
// sends it of them (facts L-01 to L-10). Use CompileZtunnel to judge many requests.
func ZtunnelVerdict(policies []Typed[*security.AuthorizationPolicy], r Request) Verdict {
	return CompileZtunnel(policies).Verdict(r)
}
