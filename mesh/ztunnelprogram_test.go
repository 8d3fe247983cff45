package mesh

import (
	"testing"

	security "istio.io/api/security/v1beta1"
	"pgregory.net/rapid"
)

// TestZtunnelProgramIsAuthz: what is compiled to be quick decides as the rules
// that are shown to people (AuthzRule), which a test compares with istiod's own
// conversion.
func TestZtunnelProgramIsAuthz(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies := drawPolicies(t)
		p := CompileZtunnel(policies)
		for range 5 {
			r := drawRequest(t)
			r.Principal = rapid.SampledFrom(drawnCallers).Draw(t, "caller")
			r.Port = rapid.SampledFrom([]uint16{80, 81, 82}).Draw(t, "port")
			c := Connection{Principal: r.Principal, Source: r.Source, Destination: r.Destination, Port: r.Port}
			want, hasAllow, allowed := Allowed, false, false
			for _, q := range policies {
				z := Authz(q)
				if z.NotSent != SentToZtunnel {
					continue
				}
				hasAllow = hasAllow || z.Action == security.AuthorizationPolicy_ALLOW
				for _, rule := range z.Rules {
					if !rule.Matches(c, q.Namespace) {
						continue
					}
					if z.Action == security.AuthorizationPolicy_DENY {
						want = Denied
					} else {
						allowed = true
					}
				}
			}
			if hasAllow && !allowed {
				want = Denied
			}
			if got := p.Verdict(r); got.Outcome != want {
				t.Fatalf("%v (%s), want %v for %+v under\n%v", got.Outcome, got.By, want, r, policySpecs(policies))
			}
		}
	})
}

// TestZtunnelVerdict shows where ztunnel decides otherwise than an Envoy.
func TestZtunnelVerdict(t *testing.T) {
	r := Request{Principal: "td/ns/shop/sa/web", Method: "GET", Port: 80}
	cases := []struct {
		name, policy   string
		envoy, ztunnel Outcome
	}{
		{"a field of HTTP drops an ALLOW rule", "{rules: [{to: [{operation: {methods: [GET]}}]}]}", Allowed, Denied},
		{"a DENY rule of HTTP alone never matches", "{action: DENY, rules: [{to: [{operation: {methods: [GET]}}]}]}", Denied, Allowed},
		{"a DENY rule keeps what is of layer 4", `{action: DENY, rules: [{to: [{operation: {methods: [PUT], ports: ["80"]}}]}]}`, Allowed, Denied},
		{"CUSTOM is not sent", "{action: CUSTOM, provider: {name: a}, rules: [{}]}", External, Allowed},
		{"trust domains are lost: alone they match nothing", "{rules: [{from: [{source: {trustDomains: [td]}}]}]}", Allowed, Denied},
		{"an empty source matches nothing", "{action: DENY, rules: [{from: [{source: {}}]}]}", Denied, Allowed},
		{"the end of a namespace is not that of the identity", `{rules: [{from: [{source: {namespaces: ["*a"]}}]}]}`, Allowed, Denied},
		{"cluster.local is no alias", "{action: DENY, rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}]}]}", Denied, Allowed},
		{"an unreadable port is left out", `{rules: [{to: [{operation: {ports: [http, "80"]}}]}]}`, Denied, Allowed},
	}
	for _, c := range cases {
		p := []Typed[*security.AuthorizationPolicy]{policyYAML(t, c.policy)}
		if got := compileProxy(p, false, AuthzSettings{TrustDomains: []string{"td"}}).Verdict(r); got.Outcome != c.envoy {
			t.Errorf("%s: Envoy: %v, want %v", c.name, got.Outcome, c.envoy)
		}
		if got := ZtunnelVerdict(p, r); got.Outcome != c.ztunnel {
			t.Errorf("%s: ztunnel: %v, want %v", c.name, got.Outcome, c.ztunnel)
		}
	}
	if got := ZtunnelVerdict([]Typed[*security.AuthorizationPolicy]{policyYAML(t, "{action: DENY, rules: [{from: [{source: {ipBlocks: [10.0.0.1]}}]}]}")}, r); got.Outcome != OutcomeUnknown {
		t.Errorf("an address that is not known: %v", got)
	}
}
