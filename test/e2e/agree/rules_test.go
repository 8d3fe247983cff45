package agree

import (
	"flag"
	"fmt"
	"testing"

	rbacpb "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	security "istio.io/api/security/v1beta1"
	"istio.io/istio/pilot/pkg/security/authz/model"
	"istio.io/istio/pilot/pkg/security/trustdomain"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/test/e2e/rbac"
)

// randomRules is how many random rules are compared; rapid prints the seed of a failure.
var randomRules = flag.Int("agree.rules", 20000, "random rules to compare with istiod's own conversion")

// TestRulesAgainstIstiod converts random rules with istiod's own generator and
// compares what Envoy would decide by the result with package mesh, rule by rule:
// every field, bad values, trust domains and their aliases, HTTP and TCP.
func TestRulesAgainstIstiod(t *testing.T) {
	if err := flag.Set("rapid.checks", fmt.Sprint(*randomRules)); err != nil {
		t.Fatal(err)
	}
	domains := trustdomain.NewBundle("td", []string{"old"})
	mc := map[string]any{"trustDomain": "td", "trustDomainAliases": []any{"old"}}
	st, unknowns := mesh.New(&api.Inventory{Objects: []api.Object{{APIVersion: "istio.io/v1alpha1", Kind: "MeshConfig", Name: "istio", Namespace: "istio-system", Content: map[string]any{"spec": mc}}}})
	if len(unknowns) > 0 || len(st.MeshConfigs()) != 1 {
		t.Fatal(unknowns)
	}
	var compared, hits, open int
	rapid.Check(t, func(t *rapid.T) {
		rule := drawRule(t)
		action := rapid.SampledFrom([]security.AuthorizationPolicy_Action{security.AuthorizationPolicy_ALLOW, security.AuthorizationPolicy_DENY}).Draw(t, "action")
		p := mesh.Typed[*security.AuthorizationPolicy]{
			Object: &api.Object{APIVersion: "security.istio.io/v1", Kind: "AuthorizationPolicy", Namespace: namespace, Name: "p"},
			Spec:   &security.AuthorizationPolicy{Action: action, Rules: []*security.Rule{rule}},
		}
		for _, tcp := range []bool{false, true} {
			want := generated(rule, domains, action, tcp)
			program := st.CompileProxy([]mesh.Typed[*security.AuthorizationPolicy]{p}, tcp)
			for range 4 {
				r := drawRequest(t)
				r.Principal = rapid.SampledFrom(callers).Draw(t, "caller")
				r.Port = rapid.SampledFrom([]uint16{80, 81, 8080}).Draw(t, "port")
				hit := false
				if want != nil {
					var err error
					if hit, err = rbac.Policy(want, r, !tcp); err != nil {
						t.Fatal(err)
					}
				}
				expected := mesh.Denied
				if hit == (action == security.AuthorizationPolicy_ALLOW) {
					expected = mesh.Allowed
				}
				compared++
				if hit {
					hits++
				}
				switch got := program.Verdict(r); {
				case got.Outcome == mesh.OutcomeUnknown:
					open++
				case got.Outcome != expected:
					t.Fatalf("tcp %v %v: mesh says %v, istiod's rules say %v\nrule %v\nrequest %+v\nrbac %v", tcp, action, got, expected, rule, r, want)
				}
			}
		}
	})
	t.Logf("%d requests compared, %d matched a rule, %d not known to mesh", compared, hits, open)
	if hits < compared/20 || open > compared/10 {
		t.Errorf("the random rules show little: %d of %d requests matched, %d unknown", hits, compared, open)
	}
}

// generated is what istiod makes of a rule; nil when it drops the rule.
func generated(rule *security.Rule, domains trustdomain.Bundle, action security.AuthorizationPolicy_Action, tcp bool) *rbacpb.Policy {
	m, err := model.New(types.NamespacedName{Namespace: namespace, Name: "p"}, rule)
	if err != nil {
		return nil
	}
	m.MigrateTrustDomain(domains)
	act := rbacpb.RBAC_ALLOW
	if action == security.AuthorizationPolicy_DENY {
		act = rbacpb.RBAC_DENY
	}
	p, err := m.Generate(tcp, true, act)
	if err != nil {
		return nil
	}
	return p
}
