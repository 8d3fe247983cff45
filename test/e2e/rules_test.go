package e2e

import (
	"flag"
	"fmt"
	"net/netip"
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

// rules is how many random rules are compared; rapid prints the seed of a failure.
var rules = flag.Int("rules", 20000, "random rules to compare with istiod's own conversion")

// TestRulesAgainstIstiod converts random rules with istiod's own generator and
// compares what Envoy would decide by the result with package mesh, rule by rule:
// every field, bad values, trust domains and their aliases, HTTP and TCP.
func TestRulesAgainstIstiod(t *testing.T) {
	if err := flag.Set("rapid.checks", fmt.Sprint(*rules)); err != nil {
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
			Object: &api.Object{APIVersion: "security.istio.io/v1", Kind: "AuthorizationPolicy", Namespace: "a", Name: "p"},
			Spec:   &security.AuthorizationPolicy{Action: action, Rules: []*security.Rule{rule}},
		}
		for _, tcp := range []bool{false, true} {
			want := generated(rule, domains, action, tcp)
			program := st.CompileProxy([]mesh.Typed[*security.AuthorizationPolicy]{p}, tcp)
			for range 4 {
				r := drawRequest(t)
				hit := false
				if want != nil {
					var err error
					if hit, err = rbac.Policy(want, r, tcp); err != nil {
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
	m, err := model.New(types.NamespacedName{Namespace: "a", Name: "p"}, rule)
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

var (
	words    = []string{"a", "b", "ab", "ba", "aab", "*", "a*", "*a", "ab*", "*ba", "b*", "*b", "A", "A*", "", "**", "a*b", "*A*"}
	paths    = []string{"/", "/a", "/a/b", "/a*", "/*", "*b", "*/b", "/a/*", "*", "/b/{*}", "/{*}/a", "/a/{**}", "/{**}/b", "/{*}/{**}", "/{**}", "/{*}/"}
	blocks   = []string{"10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "0.0.0.0/0", "2001:db8::/32", "::/0", "10.1.2.7/31", "nonsense", "", "10.0.0.0/99"}
	subjects = []string{"*", "i/s", "i/*", "*/s", "i*", "*s", "j/s", "i/s*", "*i/s", "i", "", "/", "*/", "/*", "*/*", "i/x/s", "*i*"}
	callers  = []string{"", "td/ns/a/sa/a", "td/ns/a/sa/b", "td/ns/b/sa/a", "other/ns/a/sa/a", "old/ns/a/sa/a", "cluster.local/ns/a/sa/a", "td/ns/ab/sa/ba"}
	princs   = []string{"*", "td/ns/a/sa/a", "td/ns/a/*", "*/sa/a", "*b", "cluster.local/ns/a/sa/a", "old/ns/a/sa/a", "*d/ns/a/sa/a", "t*/ns/a/sa/a", "*/ns/a/sa/a", "x/ns/a/sa/a", "td/*", "*/ns/a/sa/*", "old/ns/a/sa/*", ""}
	nss      = []string{"a", "b", "*", "a*", "*a", "*b", "a*b", "", "ab*"}
	sas      = []string{"a", "a/a", "b/a", "ab/ba", "", "a/"}
	tds      = []string{"td", "*", "t*", "*r", "old", "t*d", "cluster.local", "*d"}
	ports    = []string{"80", "81", "not a port", "080", "70000", ""}
	keys     = []string{"request.headers[H]", "request.headers[g]", "request.headers[host]", "request.headers[:method]", "request.headers[:path]", "request.headers[]", "request.headers[[a]]", "request.headersx[h]", "request.auth.claims[c][d]", "request.auth.claims[sub]", "request.auth.claims[c[d]", "request.auth.claims", "request.auth.claimsx", "request.auth.claims[c]x", "request.auth.principal", "request.auth.audiences", "request.auth.presenter", "connection.sni",
		"destination.ip", "source.ip", "remote.ip", "source.namespace", "source.principal", "source.serviceAccount", "source.trustDomain", "request.headers", "destination.port", "destination.labels[x]", "nonsense", "experimental.envoy.filters.a.b"}
)

func maybe(t *rapid.T, l string, v []string) []string {
	if rapid.IntRange(0, 3).Draw(t, l+"?") > 0 {
		return nil
	}
	return rapid.SliceOfN(rapid.SampledFrom(v), 1, 2).Draw(t, l)
}

func drawRule(t *rapid.T) *security.Rule {
	r := &security.Rule{}
	for range rapid.IntRange(0, 2).Draw(t, "from") {
		r.From = append(r.From, &security.Rule_From{Source: &security.Source{
			Principals: maybe(t, "p", princs), NotPrincipals: maybe(t, "np", princs), Namespaces: maybe(t, "ns", nss), NotNamespaces: maybe(t, "nns", nss),
			ServiceAccounts: maybe(t, "sa", sas), NotServiceAccounts: maybe(t, "nsa", sas), TrustDomains: maybe(t, "td", tds), NotTrustDomains: maybe(t, "ntd", tds),
			IpBlocks: maybe(t, "ip", blocks), NotIpBlocks: maybe(t, "nip", blocks), RemoteIpBlocks: maybe(t, "rip", blocks), NotRemoteIpBlocks: maybe(t, "nrip", blocks),
			RequestPrincipals: maybe(t, "rp", subjects), NotRequestPrincipals: maybe(t, "nrp", subjects)}})
	}
	for range rapid.IntRange(0, 2).Draw(t, "to") {
		r.To = append(r.To, &security.Rule_To{Operation: &security.Operation{
			Ports: maybe(t, "po", ports), NotPorts: maybe(t, "npo", ports), Methods: maybe(t, "m", words), NotMethods: maybe(t, "nm", words),
			Hosts: maybe(t, "h", words), NotHosts: maybe(t, "nh", words), Paths: maybe(t, "pa", paths), NotPaths: maybe(t, "npa", paths)}})
	}
	for range rapid.IntRange(0, 2).Draw(t, "when") {
		k := rapid.SampledFrom(keys).Draw(t, "key")
		v := words
		switch k {
		case "destination.ip", "source.ip", "remote.ip":
			v = blocks
		case "source.principal":
			v = princs
		case "source.namespace":
			v = nss
		case "source.serviceAccount":
			v = sas
		case "source.trustDomain":
			v = tds
		case "destination.port":
			v = ports
		case "request.auth.principal":
			v = subjects
		}
		r.When = append(r.When, &security.Condition{Key: k, Values: maybe(t, "v", v), NotValues: maybe(t, "nv", v)})
	}
	return r
}

func drawRequest(t *rapid.T) mesh.Request {
	word := rapid.StringMatching(`[abAx]{1,3}`)
	addr := rapid.Map(rapid.SampledFrom([]string{"10.1.2.3", "10.1.2.6", "10.1.9.9", "10.9.9.9", "1.1.1.1", "2001:db8::9", "::1"}), netip.MustParseAddr)
	r := mesh.Request{Source: addr.Draw(t, "s"), Destination: addr.Draw(t, "d"), Method: word.Draw(t, "m"), Host: word.Draw(t, "h"),
		Path: rapid.StringMatching(`/([ab"x]?/?){0,3}(\?b)?`).Draw(t, "path"), Principal: rapid.SampledFrom(callers).Draw(t, "c"), Port: rapid.SampledFrom([]uint16{80, 81, 82}).Draw(t, "port"),
		Headers: map[string]string{}, Claims: map[string][]string{}}
	if rapid.Bool().Draw(t, "r?") {
		r.Remote = addr.Draw(t, "r")
	}
	if rapid.Bool().Draw(t, "sni?") {
		r.SNI = word.Draw(t, "sni")
	}
	for _, h := range []string{"h", "g", "[a]"} {
		if rapid.Bool().Draw(t, h+"?") {
			r.Headers[h] = rapid.StringMatching(`[abA]{0,3}`).Draw(t, h)
		}
	}
	for _, c := range []string{"iss", "sub", "aud", "azp", "c][d", "c[d"} {
		g := word
		if c == "iss" {
			g = rapid.SampledFrom([]string{"i", "j", "ij", "i/x", "xi"})
		}
		if c == "sub" {
			g = rapid.SampledFrom([]string{"s", "st", "a", "ab", "x/s", ""})
		}
		if v := rapid.SliceOfN(g, 0, 2).Draw(t, c); len(v) > 0 {
			r.Claims["request.auth.claims["+c+"]"] = v
		}
	}
	return r
}
