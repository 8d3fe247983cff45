package mesh

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	security "istio.io/api/security/v1beta1"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

func jwtRules(t *testing.T, specs ...string) TokenRules {
	t.Helper()
	var list []Typed[*security.RequestAuthentication]
	for _, s := range specs {
		ra := &security.RequestAuthentication{}
		if err := yaml.Unmarshal([]byte(s), ra); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		list = append(list, Typed[*security.RequestAuthentication]{Object: &api.Object{APIVersion: "security.istio.io/v1", Kind: "RequestAuthentication", Namespace: "shop", Name: "ra"}, Spec: ra})
	}
	return newTokenRules(list)
}

func tokenOf(issuer, at string, more ...string) Request {
	r := claims(append([]string{claimIssuer, issuer, claimSubject, "s"}, more...)...)
	r.Token.At = at
	return r
}

func invalidAt(at string) Request { return Request{Token: Token{TokenInvalid, at}} }

// TestValidate shows what a proxy does with a token: whether the request goes on,
// which claims the policies of the proxy see, and whether the next proxy gets the
// token.
func TestValidate(t *testing.T) {
	one := "{jwtRules: [{issuer: a}]}"
	both := "{jwtRules: [{issuer: a}, {issuer: b}]}"
	header := "{jwtRules: [{issuer: a, fromHeaders: [{name: X-Jwt}]}]}"
	cases := []struct {
		name  string
		rules []string
		r     Request
		want  Outcome
		seen  bool
		next  TokenState
	}{
		{"no rule, so nobody looks", nil, tokenOf("a", ""), Allowed, false, TokenValid},
		{"no rule, not even at a bad one", nil, invalidAt(""), Allowed, false, TokenInvalid},
		{"no token", []string{one}, Request{}, Allowed, false, TokenNone},
		{"the issuer's, which is taken off", []string{one}, tokenOf("a", ""), Allowed, true, TokenNone},
		{"forwarded on demand", []string{"{jwtRules: [{issuer: a, forwardOriginalToken: true}]}"}, tokenOf("a", ""), Allowed, true, TokenValid},
		{"another issuer's", []string{one}, tokenOf("b", ""), Denied, false, TokenValid},
		{"an invalid one", []string{one}, invalidAt(""), Denied, false, TokenInvalid},
		{"each of two issuers", []string{both}, tokenOf("b", ""), Allowed, true, TokenNone},
		{"two RequestAuthentications are as one", []string{one, "{jwtRules: [{issuer: b}]}"}, tokenOf("b", ""), Allowed, true, TokenNone},
		{"neither of two", []string{both}, tokenOf("c", ""), Denied, false, TokenValid},
		{"where no rule looks", []string{header}, tokenOf("a", ""), Allowed, false, TokenValid},
		{"a bad one where no rule looks", []string{header}, invalidAt(""), Allowed, false, TokenInvalid},
		{"in the header that the rule names", []string{header}, tokenOf("a", "header x-jwt"), Allowed, true, TokenNone},
		{"in a header with a prefix", []string{"{jwtRules: [{issuer: a, fromHeaders: [{name: X-Jwt, prefix: 'T '}]}]}"}, tokenOf("a", "header x-jwt T"), Allowed, true, TokenNone},
		{"authorization by its own name", []string{"{jwtRules: [{issuer: a, fromHeaders: [{name: Authorization, prefix: 'Bearer '}]}]}"}, tokenOf("a", ""), Allowed, true, TokenNone},
		{"in a parameter", []string{"{jwtRules: [{issuer: a, fromParams: [t]}]}"}, tokenOf("a", "param t"), Allowed, true, TokenNone},
		{"in the default parameter", []string{one}, tokenOf("a", "param access_token"), Allowed, true, TokenNone},
		{"in a cookie", []string{"{jwtRules: [{issuer: a, fromCookies: [c]}]}"}, tokenOf("b", "cookie c"), Denied, false, TokenValid},
		{"a cookie stays where it is", []string{"{jwtRules: [{issuer: a, fromCookies: [c]}]}"}, tokenOf("a", "cookie c"), Allowed, true, TokenValid},
		{"a rule that takes the whole header cannot read a prefix", []string{"{jwtRules: [{issuer: a, fromHeaders: [{name: Authorization}]}]}"}, tokenOf("a", ""), Denied, false, TokenValid},
		{"a rule with another prefix does not see it", []string{"{jwtRules: [{issuer: a, fromHeaders: [{name: Authorization, prefix: 'JWT '}]}]}"}, tokenOf("a", ""), Allowed, false, TokenValid},
		{"unless the token may contain the prefix", []string{"{jwtRules: [{issuer: a, fromHeaders: [{name: Authorization, prefix: 'ey'}]}]}"}, tokenOf("a", ""), OutcomeUnknown, false, TokenValid},
		{"the right audience", []string{"{jwtRules: [{issuer: a, audiences: [me, https://you/]}]}"}, tokenOf("a", "", claimAudience, "you"), Allowed, true, TokenNone},
		{"the wrong audience", []string{"{jwtRules: [{issuer: a, audiences: [me]}]}"}, tokenOf("a", "", claimAudience, "you"), Denied, false, TokenValid},
		{"no audience", []string{"{jwtRules: [{issuer: a, audiences: [me]}]}"}, tokenOf("a", ""), Denied, false, TokenValid},
		{"any issuer whose key it is", []string{"{jwtRules: [{jwksUri: https://keys}]}"}, tokenOf("a", ""), OutcomeUnknown, false, TokenValid},
		{"two rules that do different things with one token", []string{one, "{jwtRules: [{issuer: a, forwardOriginalToken: true}]}"}, tokenOf("a", ""), OutcomeUnknown, false, TokenValid},
	}
	for _, c := range cases {
		v := jwtRules(t, c.rules...).Validate(c.r)
		if v.Outcome != c.want || (v.Seen.Claims != nil) != c.seen || v.Next.Token.State != c.next {
			t.Errorf("%s: %v (%s), claims seen %v, next token %v; want %v, %v, %v", c.name, v.Outcome, v.By, v.Seen.Claims != nil, v.Next.Token.State, c.want, c.seen, c.next)
		}
		if v.Next.Token.State != TokenValid && v.Next.Claims != nil {
			t.Errorf("%s: claims without a token", c.name)
		}
	}
}

// TestForwardedToken is facts L-25: behind a waypoint that validates, a sidecar
// that demands a token refuses everything, unless the waypoint forwards it.
func TestForwardedToken(t *testing.T) {
	demand := []Typed[*security.AuthorizationPolicy]{policyYAML(t, `{action: DENY, rules: [{from: [{source: {notRequestPrincipals: ["*"]}}]}]}`)}
	sidecar := jwtRules(t, "{jwtRules: [{issuer: a}]}")
	for forward, want := range map[string]Outcome{"false": Denied, "true": Allowed} {
		waypoint := jwtRules(t, "{jwtRules: [{issuer: a, forwardOriginalToken: "+forward+"}]}")
		first := waypoint.Validate(tokenOf("a", ""))
		if got := ProxyAuthz(demand, first.Seen, false); got.Outcome != Allowed {
			t.Errorf("at the waypoint: %v", got)
		}
		second := sidecar.Validate(first.Next)
		if got := ProxyAuthz(demand, second.Seen, false); second.Outcome != Allowed || got.Outcome != want {
			t.Errorf("forwardOriginalToken %s: sidecar %v, want %v", forward, got, want)
		}
	}
}

func TestTokenHeaders(t *testing.T) {
	rules := jwtRules(t, "{jwtRules: [{issuer: a, outputPayloadToHeader: X-Payload, outputClaimToHeaders: [{header: X-Sub, claim: sub}, {header: X-Groups, claim: realm.groups}]}]}")
	forged := func(r Request) Request {
		r.Headers = map[string]string{"x-sub": "admin", "x-payload": "forged", "authorization": "Bearer t", "x-other": "o"}
		return r
	}
	match := func(r Request, key, value string) Outcome {
		p := authzPolicy("p", &security.AuthorizationPolicy{Rules: []*security.Rule{{When: []*security.Condition{{Key: key, Values: []string{value}}}}}})
		return ProxyAuthz([]Typed[*security.AuthorizationPolicy]{p}, r, false).Outcome
	}
	// Envoy asks the rules in the order of their issuers and stops at the first that
	// accepts: what later rules set, the client can set as well.
	later := jwtRules(t, "{jwtRules: [{issuer: z, outputPayloadToHeader: X-Payload}, {issuer: a}]}").Validate(forged(tokenOf("a", ""))).Seen
	valid := rules.Validate(forged(tokenOf("a", "", claimKey("realm", "groups"), "x,y"))).Seen
	none := rules.Validate(forged(Request{})).Seen
	for _, c := range []struct {
		name       string
		r          Request
		key, value string
		want       Outcome
	}{
		{"the claim", valid, "request.headers[x-sub]", "s", Allowed},
		{"not what the client wrote", valid, "request.headers[x-sub]", "admin", Denied},
		{"not even without token", none, "request.headers[x-sub]", "admin", Denied},
		{"the payload is there", valid, "request.headers[x-payload]", "*", Allowed},
		{"what it is nobody knows", valid, "request.headers[x-payload]", "e*", OutcomeUnknown},
		{"without token it is not there", none, "request.headers[x-payload]", "*", Denied},
		{"how a list is written nobody knows", valid, "request.headers[x-groups]", "x", OutcomeUnknown},
		{"nor whether it is", valid, "request.headers[x-groups]", "*", OutcomeUnknown},
		{"a token that is not forwarded is gone", valid, "request.headers[authorization]", "*", Denied},
		{"a header of a rule that was not asked", later, "request.headers[x-payload]", "forged", Allowed},
		{"other headers stay", none, "request.headers[x-other]", "o", Allowed},
	} {
		if got := match(c.r, c.key, c.value); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestTokensOf(t *testing.T) {
	ra := func(ns, name string, spec map[string]any) api.Object {
		spec["jwtRules"] = []any{map[string]any{"issuer": name}}
		return api.Object{APIVersion: "security.istio.io/v1", Kind: "RequestAuthentication", Namespace: ns, Name: name, Content: map[string]any{"spec": spec}}
	}
	ref := func(kind, name string) map[string]any {
		return map[string]any{"targetRefs": []any{map[string]any{"kind": kind, "name": name}}}
	}
	selector := func(app string) map[string]any {
		return map[string]any{"selector": map[string]any{"matchLabels": map[string]any{"app": app}}}
	}
	st, unknown := New(&api.Inventory{Objects: []api.Object{
		ra("istio-system", "mesh", map[string]any{}), ra("shop", "namespace", map[string]any{}), ra("shop", "selected", selector("web")),
		ra("shop", "not-selected", selector("db")), ra("other", "elsewhere", map[string]any{}),
		ra("shop", "service", ref("Service", "web")), ra("shop", "other-service", ref("Service", "db")), ra("gw", "gateway", ref("Gateway", "wp")),
		ra("shop", "not-its-gateway", ref("Gateway", "wp")), ra("istio-system", "class", ref("GatewayClass", "istio-waypoint")), ra("shop", "class-elsewhere", ref("GatewayClass", "istio-waypoint")),
	}})
	if len(unknown) > 0 {
		t.Fatal(unknown)
	}
	issuers := func(r TokenRules) (out []string) {
		for _, x := range r.Rules() {
			out = append(out, x.GetIssuer())
		}
		return out
	}
	w := &api.Workload{Namespace: "shop", PodLabels: map[string]string{"app": "web"}}
	if d := cmp.Diff([]string{"mesh", "namespace", "selected"}, issuers(st.Tokens(w))); d != "" {
		t.Errorf("sidecar (-want +got):\n%s", d)
	}
	svc := &api.Service{Namespace: "shop", Name: "web"}
	if d := cmp.Diff([]string{"class", "gateway", "service"}, issuers(st.TokensAtWaypoint(svc, api.WaypointRef{Namespace: "gw", Name: "wp"}))); d != "" {
		t.Errorf("waypoint (-want +got):\n%s", d)
	}
}

// TestCellsCoverTokens: whatever token a request has, some cell is validated and
// judged alike by proxies of any of the rules, alone and one after the other.
func TestCellsCoverTokens(t *testing.T) {
	pool := []string{
		"{jwtRules: [{issuer: i}]}", "{jwtRules: [{issuer: j, forwardOriginalToken: true}]}", "{jwtRules: [{issuer: i, audiences: [a, b]}]}",
		"{jwtRules: [{issuer: i, fromHeaders: [{name: x-jwt}]}]}", "{jwtRules: [{issuer: j}, {issuer: i, fromParams: [t]}]}", "{jwtRules: [{issuer: i, fromHeaders: [{name: Authorization}]}, {issuer: j, fromHeaders: [{name: x-jwt, prefix: 'T '}]}]}", "{jwtRules: [{jwksUri: https://k}]}",
	}
	var sets []TokenRules
	for _, s := range pool {
		sets = append(sets, jwtRules(t, s))
	}
	rapid.Check(t, func(t *rapid.T) {
		first, second := rapid.SampledFrom(sets).Draw(t, "first"), rapid.SampledFrom(sets).Draw(t, "second")
		policies := drawPolicies(t)
		space := Space{Policies: policies, Tokens: slices.Concat(first.Rules(), second.Rules()), Callers: []string{"td/ns/a/sa/a"}, Limit: 5000}
		cells, ok := space.Cells(Request{})
		if !ok {
			return
		}
		outcome := func(r Request) string {
			a := first.Validate(r)
			b := second.Validate(a.Next)
			c := second.Validate(r)
			out := a.Outcome.String() + b.Outcome.String() + c.Outcome.String()
			for _, v := range []Validation{a, b, c} {
				for n := range policies {
					out += judged([][]Typed[*security.AuthorizationPolicy]{policies[n : n+1]}, v.Seen, space.Callers)
				}
			}
			return out
		}
		seen := map[string]bool{}
		for _, c := range cells {
			seen[outcome(c)] = true
		}
		for range 5 {
			r := drawRequest(t)
			at := rapid.SampledFrom([]string{"", "header x-jwt", "header x-jwt T", "header authorization", "param t"}).Draw(t, "at")
			switch {
			case r.Token.State == TokenValid:
				r.Token.At = at
			case rapid.Bool().Draw(t, "invalid"):
				r.Token = Token{TokenInvalid, at}
			}
			if !seen[outcome(r)] {
				t.Fatalf("no cell of %d stands for %+v under\n%v\n%v", len(cells), r, space.Tokens, policySpecs(policies))
			}
		}
	})
}
