package mesh

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	security "istio.io/api/security/v1beta1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// TokenState says what a request carries as a token.
type TokenState int

// States of a token.
const (
	// TokenNone: there is none.
	TokenNone TokenState = iota
	// TokenInvalid: it is expired, badly signed or no token at all.
	TokenInvalid
	// TokenValid: its issuer signed it; its claims are in Request.Claims.
	TokenValid
)

// Token is the token of a request. At most one is told apart.
type Token struct {
	State TokenState
	// At is where it is: "" for "Authorization: Bearer", else "header NAME",
	// "header NAME PREFIX", "param NAME" or "cookie NAME".
	At string
}

// TokenRules are the rules of all RequestAuthentications that one proxy applies.
// The zero value applies none: the proxy looks at no token and knows no claims.
type TokenRules struct {
	rules []tokenRule
}

// tokenRule is one JWT rule, ready to be applied.
type tokenRule struct {
	spec      *security.JWTRule
	by        string
	places    []tokenPlace
	audiences []string
}

// tokenPlace is where a rule looks for a token: at is as in Token.At; header and
// prefix are set for headers.
type tokenPlace struct {
	at, header, prefix string
}

// Tokens are the rules that apply at the sidecar of a workload: those without
// targetRefs of its own and of the root namespace whose selector matches. Source:
// GetJwtPoliciesForWorkload of pilot/pkg/model/authentication.go.
func (s *State) Tokens(w *api.Workload) TokenRules {
	s.saw(KindRequestAuthentication)
	var out []Typed[*security.RequestAuthentication]
	for _, ra := range s.ix.requestAuthn {
		if ra.Spec.GetTargetRef() != nil || len(ra.Spec.GetTargetRefs()) > 0 {
			continue
		}
		if (ra.Namespace == s.ix.rootNamespace || ra.Namespace == w.Namespace) && Selects(ra.Spec.GetSelector().GetMatchLabels(), w.PodLabels) {
			out = append(out, ra)
		}
	}
	return newTokenRules(out)
}

// ValidatesTokens tells whether a sidecar of the workload validates tokens.
// Without that it knows no claims.
func (s *State) ValidatesTokens(w *api.Workload) bool { return len(s.Tokens(w).rules) > 0 }

// TokensAtWaypoint are the rules that apply at a waypoint to requests for a
// Service: those with targetRefs to the Service, the waypoint's Gateway, or, from
// the root namespace, the class of waypoints (facts L-15, L-24).
func (s *State) TokensAtWaypoint(svc *api.Service, gateway api.WaypointRef) TokenRules {
	s.saw(KindRequestAuthentication)
	var out []Typed[*security.RequestAuthentication]
	for _, ra := range s.ix.requestAuthn {
		refs := ra.Spec.GetTargetRefs()
		if r := ra.Spec.GetTargetRef(); r != nil {
			refs = append(slices.Clone(refs), r)
		}
		for _, r := range refs {
			if r.GetNamespace() != "" && r.GetNamespace() != ra.Namespace {
				continue
			}
			service := r.GetGroup() == "" && r.GetKind() == "Service" && ra.Namespace == svc.Namespace && r.GetName() == svc.Name
			own := r.GetKind() == "Gateway" && ra.Namespace == gateway.Namespace && r.GetName() == gateway.Name
			class := r.GetKind() == "GatewayClass" && ra.Namespace == s.ix.rootNamespace && r.GetName() == "istio-waypoint"
			if service || own || class {
				out = append(out, ra)
				break
			}
		}
	}
	return newTokenRules(out)
}

// NewTokenRules are the rules of a list of RequestAuthentications that one proxy
// applies.
func NewTokenRules(list []Typed[*security.RequestAuthentication]) TokenRules {
	return newTokenRules(list)
}

func newTokenRules(list []Typed[*security.RequestAuthentication]) TokenRules {
	var out TokenRules
	for _, ra := range list {
		for i, r := range ra.Spec.GetJwtRules() {
			if r != nil {
				t := newTokenRule(r)
				t.by = ra.Ref().String() + " spec.jwtRules[" + strconv.Itoa(i) + "]"
				out.rules = append(out.rules, t)
			}
		}
	}
	// As istiod sorts them; the first that accepts a token counts.
	slices.SortStableFunc(out.rules, func(a, b tokenRule) int { return cmp.Compare(a.spec.GetIssuer(), b.spec.GetIssuer()) })
	return out
}

func newTokenRule(r *security.JWTRule) tokenRule {
	t := tokenRule{spec: r, places: tokenPlaces(r)}
	for _, a := range r.GetAudiences() {
		t.audiences = append(t.audiences, audience(a))
	}
	return t
}

// tokenPlaces are the places where a rule looks for a token. Naming any place
// replaces the default ones.
func tokenPlaces(r *security.JWTRule) []tokenPlace {
	var out []tokenPlace
	for _, h := range r.GetFromHeaders() {
		name := strings.ToLower(h.GetName())
		at := strings.TrimSpace("header " + name + " " + strings.TrimSpace(h.GetPrefix()))
		if at == "header authorization Bearer" {
			at = ""
		}
		out = append(out, tokenPlace{at, name, h.GetPrefix()})
	}
	for _, p := range r.GetFromParams() {
		out = append(out, tokenPlace{at: "param " + p})
	}
	for _, c := range r.GetFromCookies() {
		out = append(out, tokenPlace{at: "cookie " + c})
	}
	if len(out) == 0 {
		out = []tokenPlace{{"", "authorization", "Bearer "}, {at: "param access_token"}}
	}
	return out
}

// headerOf is the header in which a token is, and what comes before it.
func headerOf(at string) (name, prefix string) {
	if at == "" {
		return "authorization", "Bearer"
	}
	rest, ok := strings.CutPrefix(at, "header ")
	if !ok {
		return "", ""
	}
	name, prefix, _ = strings.Cut(rest, " ")
	return name, prefix
}

// finds tells whether a rule takes a token at a place for one, and whether it can
// read it. A rule that takes the whole header reads "Bearer …" as a bad token; one
// with another prefix looks for that anywhere in the header. Source:
// source/extensions/filters/http/jwt_authn/extractor.cc of Envoy.
func (t *tokenRule) finds(at string) (found, readable tri) {
	found = no
	name, before := headerOf(at)
	for _, p := range t.places {
		switch {
		case p.at == at:
			return yes, yes
		case name == "" || p.header != name:
		case p.prefix == "":
			found = yes
		case strings.Contains(before+" ", p.prefix) || strings.Trim(p.prefix, base64Letters) == "":
			return maybe, maybe
		}
	}
	return found, no
}

// base64Letters are those that a token is written with.
const base64Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

// audience is what Envoy compares of one: without scheme and closing slash.
func audience(a string) string {
	a = strings.TrimPrefix(strings.TrimPrefix(a, "http://"), "https://")
	return strings.TrimSuffix(a, "/")
}

// Rules lists the rules, for Space.Tokens.
func (t TokenRules) Rules() []*security.JWTRule {
	out := make([]*security.JWTRule, len(t.rules))
	for i := range t.rules {
		out[i] = t.rules[i].spec
	}
	return out
}

// Validation is what a proxy does with the token of a request.
type Validation struct {
	// Outcome is Allowed when the request goes on, Denied for 401, OutcomeUnknown
	// when it cannot be told.
	Verdict
	// Seen is the request as the policies of this proxy see it: with the claims that
	// the proxy has validated, and no others.
	Seen Request
	// Next is the request as the next proxy gets it: without the token unless it is
	// forwarded (facts L-25).
	Next Request
}

// Validate applies the rules to the token of a request. A token at a place where
// a rule looks must be valid by one of the rules; a request without any goes on
// without claims. Source: convertToEnvoyJwtConfig of
// pilot/pkg/security/authn/policy_applier.go: one of all providers, or else each of
// them or no token for it.
func (t TokenRules) Validate(r Request) Validation {
	out := Validation{Verdict: Verdict{Allowed, "no token is validated"}, Seen: r, Next: r}
	out.Seen.Claims = nil
	var accepted *tokenRule
	asked := len(t.rules) // Envoy asks no further once a rule accepts.
	doubt, refused := "", ""
	for i := range t.rules {
		rule := &t.rules[i]
		if r.Token.State == TokenNone {
			continue
		}
		found, readable := rule.finds(r.Token.At)
		if found == no {
			continue
		}
		accepts := rule.accepts(&r)
		if readable != yes {
			accepts = readable
		}
		switch accepts {
		case yes:
			if accepted != nil && !accepted.sameEffect(rule) {
				doubt = rule.by
			}
			if accepted == nil {
				accepted, asked = rule, i+1
			}
		case no:
			refused = cmp.Or(refused, rule.by)
		case maybe:
			doubt = rule.by
		}
	}
	out.sanitize(t.rules[:asked])
	switch {
	case doubt != "":
		out.Verdict = Verdict{OutcomeUnknown, doubt + " may accept the token"}
	case accepted != nil:
		out.accept(accepted, r)
	case refused != "":
		out.Verdict = Verdict{Denied, refused + " refuses the token"}
	}
	return out
}

// accepts tells whether a token that the rule finds is good for it. A rule without
// issuer takes what its keys have signed, which is not known here.
func (t *tokenRule) accepts(r *Request) tri {
	if r.Token.State != TokenValid {
		return no
	}
	if len(t.audiences) > 0 && !slices.ContainsFunc(r.Claims[claimAudience], func(a string) bool { return slices.Contains(t.audiences, audience(a)) }) {
		return no
	}
	iss := r.Claims[claimIssuer]
	if t.spec.GetIssuer() == "" {
		return maybe
	}
	return answer(len(iss) == 1 && iss[0] == t.spec.GetIssuer())
}

// sameEffect tells whether it does not matter which of two rules accepts a token.
func (t *tokenRule) sameEffect(o *tokenRule) bool {
	outputs := func(r *security.JWTRule) string {
		parts := []string{r.GetOutputPayloadToHeader(), strconv.FormatBool(r.GetForwardOriginalToken())}
		for _, c := range r.GetOutputClaimToHeaders() {
			parts = append(parts, c.GetHeader()+"="+c.GetClaim())
		}
		return strings.Join(parts, "\n")
	}
	return outputs(t.spec) == outputs(o.spec)
}

// sanitize removes the headers that the rules set, so that no client can.
func (v *Validation) sanitize(rules []tokenRule) {
	var names []string
	for i := range rules {
		names = append(names, rules[i].outputs()...)
	}
	if len(names) == 0 || len(v.Seen.Headers) == 0 {
		return
	}
	v.Seen.Headers = maps.Clone(v.Seen.Headers)
	for _, n := range names {
		delete(v.Seen.Headers, n)
	}
	v.Next.Headers = v.Seen.Headers
}

// outputs names the headers that a rule sets.
func (t *tokenRule) outputs() []string {
	var out []string
	if h := t.spec.GetOutputPayloadToHeader(); h != "" {
		out = append(out, strings.ToLower(h))
	}
	for _, c := range t.spec.GetOutputClaimToHeaders() {
		out = append(out, strings.ToLower(c.GetHeader()))
	}
	return out
}

// accept lets the request go on with the claims of the token.
func (v *Validation) accept(t *tokenRule, r Request) {
	v.Verdict = Verdict{Allowed, t.by}
	v.Seen.Claims = r.Claims
	headers := maps.Clone(v.Seen.Headers)
	if headers == nil {
		headers = map[string]string{}
	}
	opaque := slices.Clone(r.opaque)
	if h := strings.ToLower(t.spec.GetOutputPayloadToHeader()); h != "" {
		// The payload as it is: base64url of JSON, whose bytes are not known.
		headers[h], opaque = "(payload of the token)", append(opaque, h)
	}
	for _, c := range t.spec.GetOutputClaimToHeaders() {
		h := strings.ToLower(c.GetHeader())
		values := r.Claims[claimKey(strings.Split(c.GetClaim(), ".")...)]
		switch {
		case len(values) == 1 && values[0] != "":
			headers[h] = values[0]
		case len(values) == 1:
		default:
			// A number or boolean is written, which claims here leave out; of a list it
			// depends on the version of Envoy whether and how.
			opaque = append(opaque, h)
		}
	}
	if !t.spec.GetForwardOriginalToken() {
		v.remove(r.Token.At, headers)
	}
	v.Seen.Headers, v.Seen.opaque = headers, opaque
	v.Next.Headers, v.Next.opaque = headers, opaque
}

// remove takes the token off the request. Envoy leaves cookies as they are.
func (v *Validation) remove(at string, headers map[string]string) {
	if strings.HasPrefix(at, "cookie ") {
		return
	}
	if name, _ := headerOf(at); name != "" {
		delete(headers, name)
	}
	v.Seen.Token, v.Next.Token, v.Next.Claims = Token{}, Token{}, nil
}

// tokenGroups are what rules of tokens tell apart, as groups of their own: whether
// a rule looks at a token, and whether it accepts it.
func tokenGroups(rules []*security.JWTRule) []group {
	var out []group
	for i, r := range rules {
		if r == nil {
			continue
		}
		t := newTokenRule(r)
		found := field{of: attribute{kind: attrToken}}
		for _, p := range t.places {
			at := valueMatcher{op: opTokenAt, text: p.at}
			found.values = append(found.values, at)
			if !misread(rules, p) {
				continue
			}
			// A place by itself: other rules find there what they cannot read.
			out = append(out, group{"token at " + p.at, []conjunction{{field{of: attribute{kind: attrToken}, values: []valueMatcher{at}}}}})
		}
		valid := field{of: attribute{kind: attrToken}, values: []valueMatcher{{op: opTokenValid}}}
		iss := field{of: attribute{attrClaim, claimIssuer}, values: []valueMatcher{{op: opExact, text: r.GetIssuer()}}}
		if r.GetIssuer() == "" {
			iss.values = []valueMatcher{{op: opUnknown}}
		}
		good := conjunction{found, valid, iss}
		if len(t.audiences) > 0 {
			aud := field{of: attribute{attrClaim, claimAudience}}
			for _, a := range t.audiences {
				aud.values = append(aud.values, valueMatcher{op: opAudience, text: a})
			}
			good = append(good, aud)
		}
		n := strconv.Itoa(i)
		out = append(out, group{"token found " + n, []conjunction{{found}}}, group{"token good " + n, []conjunction{good}})
	}
	return out
}

// misread tells whether some rule looks at the header of a place otherwise.
func misread(rules []*security.JWTRule, p tokenPlace) bool {
	for _, r := range rules {
		if r != nil && slices.ContainsFunc(tokenPlaces(r), func(o tokenPlace) bool { return p.header != "" && o.header == p.header && o.at != p.at }) {
			return true
		}
	}
	return false
}

// tokenValues sets the tokens that rules can tell apart, apart from their claims.
func tokenValues(atoms []field) []func(Request) Request {
	out := []func(Request) Request{func(r Request) Request { r.Token, r.Claims = Token{}, nil; return r }}
	for _, a := range atoms {
		for _, m := range a.values {
			if m.op != opTokenAt {
				continue
			}
			for _, state := range []TokenState{TokenInvalid, TokenValid} {
				out = append(out, func(r Request) Request { r.Token = Token{state, m.text}; return r })
			}
		}
	}
	return out
}

// touchesTokens tells whether a header holds a token or is set from one. Then it
// cannot be varied by itself.
func touchesTokens(rules []*security.JWTRule, header string) bool {
	for _, r := range rules {
		if r == nil {
			continue
		}
		t := newTokenRule(r)
		if slices.Contains(t.outputs(), header) {
			return true
		}
		for _, p := range t.places {
			if p.header == header || strings.HasPrefix(p.at, "cookie ") && header == "cookie" {
				return true
			}
		}
	}
	return false
}
