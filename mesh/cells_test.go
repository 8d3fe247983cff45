package mesh

import (
	"slices"
	"testing"

	security "istio.io/api/security/v1beta1"
	"pgregory.net/rapid"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// TestClassesAreComplete: whatever value a request has, some class matches the
// same patterns.
func TestClassesAreComplete(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SampledFrom([]string{"a", "b", "ab", "ba", "aa", "abab"})
		patterns := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
			switch rapid.IntRange(0, 3).Draw(t, "form") {
			case 0:
				return word.Draw(t, "exact")
			case 1:
				return word.Draw(t, "prefix") + "*"
			case 2:
				return "*" + word.Draw(t, "suffix")
			}
			return "*"
		}), 0, 4).Draw(t, "patterns")
		value := rapid.StringMatching(`[abc]{0,6}`).Draw(t, "value")
		match := func(v string) (out []bool) {
			for _, p := range patterns {
				out = append(out, matchString(p, v))
			}
			return out
		}
		got := classes(slices.Clone(patterns), "zzz", true)
		if !slices.ContainsFunc(got, func(c string) bool { return slices.Equal(match(c), match(value)) }) {
			t.Fatalf("no class of %v stands for %q under %v", got, value, patterns)
		}
	})
}

func authzPolicy(name string, spec *security.AuthorizationPolicy) Typed[*security.AuthorizationPolicy] {
	return Typed[*security.AuthorizationPolicy]{Object: &api.Object{APIVersion: "security.istio.io/v1", Kind: "AuthorizationPolicy", Namespace: "shop", Name: name}, Spec: spec}
}

func TestProxyAuthz(t *testing.T) {
	get := &security.Rule{To: []*security.Rule_To{{Operation: &security.Operation{Methods: []string{"GET"}}}}}
	admin := &security.Rule{
		From: []*security.Rule_From{{Source: &security.Source{NotPrincipals: []string{"td/ns/a/sa/admin"}}}},
		To:   []*security.Rule_To{{Operation: &security.Operation{Paths: []string{"/admin*"}}}},
	}
	jwt := &security.Rule{When: []*security.Condition{{Key: "request.auth.claims[iss]", Values: []string{"*"}}}}
	allowGet := authzPolicy("allow", &security.AuthorizationPolicy{Rules: []*security.Rule{get}})
	denyAdmin := authzPolicy("deny", &security.AuthorizationPolicy{Action: security.AuthorizationPolicy_DENY, Rules: []*security.Rule{admin}})
	allowJWT := authzPolicy("jwt", &security.AuthorizationPolicy{Rules: []*security.Rule{jwt}})
	nothing := authzPolicy("nothing", &security.AuthorizationPolicy{})
	cases := []struct {
		name     string
		policies []Typed[*security.AuthorizationPolicy]
		r        Request
		tcp      bool
		want     Outcome
	}{
		{"no policy", nil, Request{}, false, Allowed},
		{"allow nothing", []Typed[*security.AuthorizationPolicy]{nothing}, Request{Method: "GET"}, false, Denied},
		{"method allowed", []Typed[*security.AuthorizationPolicy]{allowGet}, Request{Method: "GET"}, false, Allowed},
		{"method not allowed", []Typed[*security.AuthorizationPolicy]{allowGet}, Request{Method: "PUT"}, false, Denied},
		{"deny wins", []Typed[*security.AuthorizationPolicy]{allowGet, denyAdmin}, Request{Method: "GET", Path: "/admin/x", Principal: "td/ns/a/sa/b"}, false, Denied},
		{"deny spares who it names", []Typed[*security.AuthorizationPolicy]{allowGet, denyAdmin}, Request{Method: "GET", Path: "/admin/x", Principal: "td/ns/a/sa/admin"}, false, Allowed},
		{"plaintext is not the one it names", []Typed[*security.AuthorizationPolicy]{denyAdmin}, Request{Path: "/admin"}, false, Denied},
		{"claim there", []Typed[*security.AuthorizationPolicy]{allowJWT}, Request{Claims: map[string][]string{"request.auth.claims[iss]": {"x"}}}, false, Allowed},
		{"claim missing", []Typed[*security.AuthorizationPolicy]{allowJWT}, Request{}, false, Denied},
		{"HTTP in an ALLOW on a TCP port never matches", []Typed[*security.AuthorizationPolicy]{allowGet}, Request{Method: "GET"}, true, Denied},
		{"HTTP in a DENY on a TCP port is not looked at", []Typed[*security.AuthorizationPolicy]{denyAdmin}, Request{}, true, Denied},
	}
	for _, c := range cases {
		if got := ProxyAuthz(c.policies, c.r, c.tcp); got.Outcome != c.want {
			t.Errorf("%s: %v (%s), want %v", c.name, got.Outcome, got.By, c.want)
		}
	}
}
