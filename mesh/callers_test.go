package mesh

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	security "istio.io/api/security/v1beta1"
	"pgregory.net/rapid"
)

// TestCallersAreComplete: whoever calls, one of the callers is treated alike by
// each policy, whatever the request.
func TestCallersAreComplete(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies := drawPolicies(t)
		callers, ok := Callers(policies, AuthzSettings{TrustDomains: []string{"td", "old"}}, "a")
		if !ok {
			t.Fatal("too many callers")
		}
		part := rapid.StringMatching(`[abx]{1,3}`)
		domain := rapid.SampledFrom([]string{"td", "old", "other", "t", "xr", "ns"})
		principal := domain.Draw(t, "domain") + "/ns/" + part.Draw(t, "namespace") + "/sa/" + part.Draw(t, "account")
		atoms, _ := identityAtoms(policies, AuthzSettings{TrustDomains: []string{"td", "old"}})
		match := func(p string) (out []tri) {
			for i := range atoms {
				out = append(out, atoms[i].matches(&Request{Principal: p}))
			}
			return out
		}
		if !slices.ContainsFunc(callers, func(c string) bool { return slices.Equal(match(c), match(principal)) }) {
			t.Fatalf("none of %v stands for %s under\n%v", callers, principal, policySpecs(policies))
		}
	})
}

func TestCallers(t *testing.T) {
	from := func(s *security.Source) Typed[*security.AuthorizationPolicy] {
		return authzPolicy("p", &security.AuthorizationPolicy{Rules: []*security.Rule{{From: []*security.Rule_From{{Source: s}}}}})
	}
	anyone := []string{"", "td/ns/shop/sa/anybody", "td/ns/another-namespace/sa/anybody"}
	cases := []struct {
		name string
		of   *security.Source
		want []string
	}{
		{"nothing is said of the caller", &security.Source{IpBlocks: []string{"10.0.0.1"}}, anyone},
		{"one principal", &security.Source{Principals: []string{"td/ns/a/sa/x"}}, append(slices.Clone(anyone), "td/ns/a/sa/x")},
		{"the values of one field are one class", &security.Source{Principals: []string{"td/ns/a/sa/x", "td/ns/b/sa/y"}}, append(slices.Clone(anyone), "td/ns/a/sa/x")},
		{"cluster.local is the trust domain of the mesh at an Envoy and not at ztunnel", &security.Source{Principals: []string{"cluster.local/ns/a/sa/x"}},
			append(slices.Clone(anyone), "td/ns/a/sa/x", "cluster.local/ns/a/sa/x")},
		{"an account of the policy's namespace", &security.Source{ServiceAccounts: []string{"x"}}, append(slices.Clone(anyone), "td/ns/shop/sa/x")},
		{"a trust domain", &security.Source{TrustDomains: []string{"other"}}, append(slices.Clone(anyone), "other/ns/shop/sa/anybody")},
		{"any identity at all", &security.Source{Principals: []string{"*"}}, anyone},
	}
	for _, c := range cases {
		got, ok := Callers([]Typed[*security.AuthorizationPolicy]{from(c.of)}, AuthzSettings{TrustDomains: []string{"td"}}, "shop")
		if d := cmp.Diff(c.want, got); !ok || d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
}
