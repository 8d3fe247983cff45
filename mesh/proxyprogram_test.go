package mesh

import (
	"net/netip"
	"strings"
	"testing"

	security "istio.io/api/security/v1beta1"
	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// policyYAML reads the spec of a policy of namespace shop.
func policyYAML(t *testing.T, spec string) Typed[*security.AuthorizationPolicy] {
	t.Helper()
	p := &security.AuthorizationPolicy{}
	if err := yaml.Unmarshal([]byte(spec), p); err != nil {
		t.Fatalf("%s: %v", spec, err)
	}
	return authzPolicy("p", p)
}

// from is a request of an identity.
func fromPrincipal(p string) Request { return Request{Principal: p} }

func claims(kv ...string) Request {
	r := Request{Claims: map[string][]string{}, Token: Token{State: TokenValid}}
	for i := 0; i < len(kv); i += 2 {
		r.Claims[kv[i]] = strings.Split(kv[i+1], ",")
	}
	return r
}

// TestEachKey shows for each key what an ALLOW rule with it matches at an Envoy.
// match and miss are requests that it does and does not.
func TestEachKey(t *testing.T) {
	web := "td/ns/shop/sa/web"
	header := func(v string) Request { return Request{Headers: map[string]string{"x-a": v}} }
	source := func(a string) Request { return Request{Source: netip.MustParseAddr(a)} }
	cases := []struct {
		name, rule  string
		match, miss []Request
	}{
		{"method: exact, with regard to case", `to: [{operation: {methods: [GET]}}]`, []Request{{Method: "GET"}}, []Request{{Method: "get"}, {Method: "GETS"}}},
		{"method: prefix", `to: [{operation: {methods: ["P*"]}}]`, []Request{{Method: "PUT"}, {Method: "P"}}, []Request{{Method: "GET"}}},
		{"path: without its query", `to: [{operation: {paths: [/a]}}]`, []Request{{Path: "/a"}, {Path: "/a?b=c"}, {Path: "/a#b"}}, []Request{{Path: "/a/"}, {Path: "/A"}}},
		{"path: suffix", `to: [{operation: {paths: ["*.json"]}}]`, []Request{{Path: "/x.json?y"}}, []Request{{Path: "/x?y.json"}}},
		{"path: one segment", `to: [{operation: {paths: ["/a/{*}/c"]}}]`, []Request{{Path: "/a/b/c"}, {Path: "/a/b.*~%20=/c?d"}}, []Request{{Path: "/a//c"}, {Path: "/a/b/b/c"}, {Path: "/a/b|b/c"}, {Path: "/a/b/c/"}}},
		{"path: any rest", `to: [{operation: {paths: ["/a/{**}"]}}]`, []Request{{Path: "/a/"}, {Path: "/a/b/c"}, {Path: "/a//"}}, []Request{{Path: "/a"}, {Path: `/a/"`}}},
		{"path: any rest and an end", `to: [{operation: {paths: ["/a/{**}/z"]}}]`, []Request{{Path: "/a/b/c/z"}, {Path: "/a//z"}}, []Request{{Path: "/a/z"}, {Path: "/a/b/zz"}}},
		{"path: one segment and a closing slash", `to: [{operation: {paths: ["/{*}/"]}}]`, []Request{{Path: "/a/"}}, []Request{{Path: "/a"}, {Path: "/"}}},
		{"host: whatever the case, port and all", `to: [{operation: {hosts: [Shop.Example]}}]`, []Request{{Host: "shop.example"}, {Host: "SHOP.EXAMPLE"}}, []Request{{Host: "shop.example:80"}, {Host: "shop"}}},
		{"host: suffix", `to: [{operation: {hosts: ["*.Example"]}}]`, []Request{{Host: "a.EXAMPLE"}}, []Request{{Host: "example"}}},
		{"header: exact, with regard to case", `when: [{key: "request.headers[X-A]", values: [v]}]`, []Request{header("v")}, []Request{header("V"), header(""), {}}},
		{"header: present, even if empty", `when: [{key: "request.headers[X-A]", values: ["*"]}]`, []Request{header("v"), header("")}, []Request{{}}},
		{"header: absent, or not one of", `when: [{key: "request.headers[X-A]", notValues: [v]}]`, []Request{{}, header("w"), header("")}, []Request{header("v")}},
		{"header: absent", `when: [{key: "request.headers[X-A]", notValues: ["*"]}]`, []Request{{}}, []Request{header("")}},
		{"header: one of, and not another", `when: [{key: "request.headers[X-A]", values: ["v*"], notValues: [v1]}]`, []Request{header("v2")}, []Request{header("v1"), {}}},
		{"header host is the authority, with regard to case", `when: [{key: "request.headers[Host]", values: [a]}]`, []Request{{Host: "a"}}, []Request{{Host: "A"}, {}}},
		{"principal: exact", `from: [{source: {principals: [td/ns/shop/sa/web]}}]`, []Request{fromPrincipal(web)}, []Request{fromPrincipal(web + "2"), {}}},
		{"principal: any is any identity, not plaintext", `from: [{source: {principals: ["*"]}}]`, []Request{fromPrincipal(web)}, []Request{{}}},
		{"principal: end", `from: [{source: {principals: ["*/web"]}}]`, []Request{fromPrincipal(web)}, []Request{fromPrincipal("td/ns/shop/sa/x-web")}},
		{"principal: beginning", `from: [{source: {principals: ["td/ns/shop/*"]}}]`, []Request{fromPrincipal(web)}, []Request{fromPrincipal("td/ns/shops/sa/web")}},
		{"principal: not one of, so plaintext as well", `from: [{source: {notPrincipals: [td/ns/shop/sa/web]}}]`, []Request{{}, fromPrincipal("td/ns/shop/sa/x")}, []Request{fromPrincipal(web)}},
		{"principal of cluster.local is one of the mesh", `from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}]`, []Request{fromPrincipal(web), fromPrincipal("old/ns/shop/sa/web")}, []Request{fromPrincipal("cluster.local/ns/shop/sa/web")}},
		{"principal of an alias", `when: [{key: source.principal, values: [old/ns/shop/sa/web]}]`, []Request{fromPrincipal(web)}, []Request{fromPrincipal("new/ns/shop/sa/web")}},
		{"principal of an unknown trust domain", `from: [{source: {principals: [new/ns/shop/sa/web]}}]`, []Request{fromPrincipal("new/ns/shop/sa/web")}, []Request{fromPrincipal(web)}},
		{"principal: an end keeps the trust domain that it fits", `from: [{source: {principals: ["*ld/ns/shop/sa/web"]}}]`, []Request{fromPrincipal("old/ns/shop/sa/web"), fromPrincipal(web)}, []Request{fromPrincipal("new/ns/shop/sa/web")}},
		{"namespace: exact", `from: [{source: {namespaces: [shop]}}]`, []Request{fromPrincipal(web)}, []Request{fromPrincipal("td/ns/shops/sa/web"), {}}},
		{"namespace: beginning", `from: [{source: {namespaces: ["sh*"]}}]`, []Request{fromPrincipal(web)}, []Request{fromPrincipal("td/ns/x/sa/sh")}},
		{"namespace: both ends", `from: [{source: {namespaces: ["s*p"]}}]`, []Request{fromPrincipal(web)}, []Request{fromPrincipal("td/ns/ship1/sa/web")}},
		{"namespace: an end of a, as in sa, is every identity", `from: [{source: {namespaces: ["*a"]}}]`, []Request{fromPrincipal(web)}, []Request{{}}},
		{"namespace: not, so plaintext as well", `when: [{key: source.namespace, notValues: [shop]}]`, []Request{{}, fromPrincipal("td/ns/a/sa/b")}, []Request{fromPrincipal(web)}},
		{"account: of the policy's namespace", `from: [{source: {serviceAccounts: [web]}}]`, []Request{fromPrincipal(web), fromPrincipal("any/ns/shop/sa/web")}, []Request{fromPrincipal("td/ns/a/sa/web"), fromPrincipal("td/ns/shop/sa/web2"), {}}},
		{"account: of another", `when: [{key: source.serviceAccount, values: [a/b]}]`, []Request{fromPrincipal("td/ns/a/sa/b")}, []Request{fromPrincipal(web)}},
		{"trust domain, with its aliases", `from: [{source: {trustDomains: [td]}}]`, []Request{fromPrincipal(web), fromPrincipal("old/ns/shop/sa/web")}, []Request{fromPrincipal("td2/ns/shop/sa/web"), {}}},
		{"trust domain: end", `from: [{source: {trustDomains: ["*.corp"]}}]`, []Request{fromPrincipal("a.corp/ns/a/sa/b")}, []Request{fromPrincipal(web), fromPrincipal("a/ns/x.corp/sa/b")}},
		{"trust domain: any identity", `from: [{source: {trustDomains: ["*"]}}]`, []Request{fromPrincipal(web)}, []Request{{}}},
		{"source address", `from: [{source: {ipBlocks: [10.0.0.0/8, "::1"]}}]`, []Request{source("10.1.2.3"), source("::ffff:10.1.2.3"), source("::1")}, []Request{source("11.0.0.1"), source("::2")}},
		{"all of IPv4 is not IPv6", `when: [{key: source.ip, values: [0.0.0.0/0]}]`, []Request{source("11.0.0.1")}, []Request{source("::1")}},
		{"remote address: that of the connection without X-Forwarded-For", `from: [{source: {remoteIpBlocks: [10.0.0.1]}}]`,
			[]Request{source("10.0.0.1"), {Source: netip.MustParseAddr("1.1.1.1"), Remote: netip.MustParseAddr("10.0.0.1")}},
			[]Request{{Source: netip.MustParseAddr("10.0.0.1"), Remote: netip.MustParseAddr("1.1.1.1")}}},
		{"destination address", `when: [{key: destination.ip, values: [10.0.0.1]}]`, []Request{{Destination: netip.MustParseAddr("10.0.0.1")}}, []Request{{Destination: netip.MustParseAddr("10.0.0.2")}}},
		{"port", `to: [{operation: {ports: ["80", "81"]}}]`, []Request{{Port: 81}}, []Request{{Port: 8}}},
		{"port, as a condition", `when: [{key: destination.port, notValues: ["80"]}]`, []Request{{Port: 81}}, []Request{{Port: 80}}},
		{"SNI", `when: [{key: connection.sni, values: ["*.a"]}]`, []Request{{SNI: "x.a"}}, []Request{{SNI: "x.A"}, {}}},
		{"token: any", `from: [{source: {requestPrincipals: ["*"]}}]`, []Request{claims(claimIssuer, "i", claimSubject, "s")}, []Request{{}, claims(claimIssuer, "i")}},
		{"token: issuer is a URL", `from: [{source: {requestPrincipals: [https://i/x/s]}}]`, []Request{claims(claimIssuer, "https://i/x", claimSubject, "s")}, []Request{claims(claimIssuer, "https://i", claimSubject, "x/s")}},
		{"token: any subject of an issuer", `from: [{source: {requestPrincipals: ["https://i/*"]}}]`, []Request{claims(claimIssuer, "https://i", claimSubject, "s")}, []Request{claims(claimIssuer, "https://i/x", claimSubject, "s"), claims(claimIssuer, "https://i")}},
		{"token: the end of the issuer", `from: [{source: {requestPrincipals: ["*i/s"]}}]`, []Request{claims(claimIssuer, "xi", claimSubject, "s")}, []Request{claims(claimIssuer, "xi", claimSubject, "ss")}},
		{"token: a beginning without slash is that of the issuer", `from: [{source: {requestPrincipals: ["i*"]}}]`, []Request{claims(claimIssuer, "ij", claimSubject, "s")}, []Request{claims(claimIssuer, "j", claimSubject, "i")}},
		{"token: an end without slash is that of the subject", `from: [{source: {requestPrincipals: ["*s"]}}]`, []Request{claims(claimIssuer, "i", claimSubject, "xs")}, []Request{claims(claimIssuer, "s", claimSubject, "x")}},
		{"token: none, or not this one", `from: [{source: {notRequestPrincipals: ["i/s"]}}]`, []Request{{}, claims(claimIssuer, "i", claimSubject, "t")}, []Request{claims(claimIssuer, "i", claimSubject, "s")}},
		{"claim: a string or one of a list", `when: [{key: "request.auth.claims[groups]", values: [dev]}]`, []Request{claims(claimKey("groups"), "dev"), claims(claimKey("groups"), "ops,dev")}, []Request{claims(claimKey("groups"), "devs"), {}}},
		{"claim: none of a list", `when: [{key: "request.auth.claims[groups]", notValues: [dev]}]`, []Request{{}, claims(claimKey("groups"), "ops")}, []Request{claims(claimKey("groups"), "ops,dev")}},
		{"claim: nested", `when: [{key: "request.auth.claims[realm][roles]", values: ["a*"]}]`, []Request{claims(claimKey("realm", "roles"), "b,ab")}, []Request{claims(claimKey("roles"), "ab")}},
		{"audience", `when: [{key: request.auth.audiences, values: [me]}]`, []Request{claims(claimAudience, "you,me")}, []Request{claims(claimAudience, "you")}},
		{"presenter", `when: [{key: request.auth.presenter, values: [app]}]`, []Request{claims(claimPresenter, "app")}, []Request{{}}},
		{"no source is any source", `from: [{source: {}}]`, []Request{{}, fromPrincipal(web)}, nil},
		{"nothing is everything", `{}`, []Request{{}}, nil},
		{"an empty list of values is no condition", `when: [{key: "request.headers[x]"}]`, []Request{{}}, nil},
		{"the sources of a rule are one or the other, its fields one and the other", `{from: [{source: {namespaces: [a], principals: ["*/x"]}}, {source: {namespaces: [b]}}]}`,
			[]Request{fromPrincipal("td/ns/a/sa/x"), fromPrincipal("td/ns/b/sa/y")}, []Request{fromPrincipal("td/ns/a/sa/y")}},
		{"an ALLOW rule with something unreadable is skipped", `to: [{operation: {ports: ["80", http]}}]`, nil, []Request{{Port: 80}}},
		{"an ALLOW rule with an unknown key is skipped", `when: [{key: "destination.labels[a]", values: [b]}]`, nil, []Request{{}}},
	}
	for _, c := range cases {
		if !strings.HasPrefix(c.rule, "{") {
			c.rule = "{" + c.rule + "}"
		}
		p := compileProxy([]Typed[*security.AuthorizationPolicy]{policyYAML(t, "rules: ["+c.rule+"]")}, false, AuthzSettings{TrustDomains: []string{"td", "old"}})
		for _, r := range c.match {
			if got := p.Verdict(r); got.Outcome != Allowed {
				t.Errorf("%s: %s: %+v is %v (%s), want allowed", c.name, c.rule, r, got.Outcome, got.By)
			}
		}
		for _, r := range c.miss {
			if got := p.Verdict(r); got.Outcome != Denied {
				t.Errorf("%s: %s: %+v is %v (%s), want denied", c.name, c.rule, r, got.Outcome, got.By)
			}
		}
	}
}

// TestActions shows what istiod makes of policies as a whole, with HTTP and on a
// TCP port.
func TestActions(t *testing.T) {
	both := AuthzSettings{Providers: map[string]AuthzProvider{"http": ProviderHTTP, "grpc": ProviderGRPC, "tracer": ProviderOther}}
	post := Request{Method: "POST", Principal: "cluster.local/ns/a/sa/b", Port: 80}
	denyPost := "{action: DENY, rules: [{to: [{operation: {methods: [POST]}}]}]}"
	cases := []struct {
		name     string
		policies []string
		set      AuthzSettings
		r        Request
		http     Outcome
		tcp      Outcome
	}{
		{"DENY with a field of HTTP denies all on TCP", []string{denyPost}, both, Request{Method: "GET"}, Allowed, Denied},
		{"DENY with a port besides denies that on TCP", []string{`{action: DENY, rules: [{to: [{operation: {methods: [POST], ports: ["80"]}}]}]}`}, both, Request{Method: "GET", Port: 81}, Allowed, Allowed},
		{"ALLOW with a field of HTTP allows nothing on TCP", []string{"{rules: [{to: [{operation: {methods: [POST]}}]}]}"}, both, post, Allowed, Denied},
		{"an ALLOW rule keeps its brothers", []string{`{rules: [{to: [{operation: {methods: [GET]}}]}, {to: [{operation: {ports: ["80"]}}]}]}`}, both, post, Allowed, Allowed},
		{"nobody reads X-Forwarded-For on TCP", []string{"{action: DENY, rules: [{from: [{source: {remoteIpBlocks: [10.0.0.1]}}]}]}"}, both,
			Request{Source: netip.MustParseAddr("1.1.1.1"), Remote: netip.MustParseAddr("10.0.0.1")}, Denied, Allowed},
		{"SNI is known on TCP", []string{"{rules: [{when: [{key: connection.sni, values: [a]}]}]}"}, both, Request{SNI: "a"}, Allowed, Allowed},
		{"a token is not", []string{`{action: DENY, rules: [{from: [{source: {requestPrincipals: ["*"]}}]}]}`}, both, post, Allowed, Denied},
		{"an empty ALLOW denies", []string{"{}"}, both, post, Denied, Denied},
		{"an ALLOW of which no rule is left denies", []string{`{rules: [{when: [{key: nonsense, values: [a]}]}]}`}, both, post, Denied, Denied},
		{"a DENY rule with an unknown key is skipped", []string{`{action: DENY, rules: [{when: [{key: nonsense, values: [a]}]}]}`}, both, post, Allowed, Allowed},
		{"a DENY rule with something unreadable goes on without", []string{`{action: DENY, rules: [{to: [{operation: {ports: [http, "80"]}}]}]}`}, both, Request{Port: 81}, Allowed, Allowed},
		{"a DENY rule with nothing readable denies all", []string{`{action: DENY, rules: [{to: [{operation: {ports: [http]}}]}]}`}, both, post, Denied, Denied},
		{"a header key without brackets, in DENY, is no condition", []string{`{action: DENY, rules: [{when: [{key: request.headers, values: [a]}]}]}`}, both, post, Denied, Denied},
		{"a DENY without rules denies nothing", []string{"{action: DENY}"}, both, post, Allowed, Allowed},
		{"AUDIT decides nothing", []string{"{action: AUDIT, rules: [{}]}"}, both, post, Allowed, Allowed},
		{"an external authorizer is asked", []string{"{action: CUSTOM, provider: {name: grpc}, rules: [{}]}"}, both, post, External, External},
		{"one of HTTP is not, on TCP", []string{"{action: CUSTOM, provider: {name: http}, rules: [{}]}"}, both, post, External, Allowed},
		{"whether it is one of HTTP is not known", []string{"{action: CUSTOM, provider: {name: http}, rules: [{}]}"}, AuthzSettings{}, post, External, OutcomeUnknown},
		{"CUSTOM with fields of HTTP asks for all on TCP", []string{"{action: CUSTOM, provider: {name: grpc}, rules: [{to: [{operation: {methods: [GET]}}]}]}"}, both, post, Allowed, External},
		{"DENY wins over what the authorizer may say", []string{"{action: CUSTOM, provider: {name: grpc}, rules: [{}]}", denyPost}, both, post, Denied, Denied},
		{"so does ALLOW that does not", []string{"{action: CUSTOM, provider: {name: grpc}, rules: [{}]}", "{}"}, both, post, Denied, Denied},
		{"an undefined provider denies what the policy matches", []string{"{action: CUSTOM, provider: {name: nobody}, rules: [{to: [{operation: {ports: [\"80\"]}}]}]}"}, both, post, Denied, Denied},
		{"and nothing else", []string{"{action: CUSTOM, provider: {name: nobody}, rules: [{to: [{operation: {ports: [\"81\"]}}]}]}"}, both, post, Allowed, Allowed},
		{"a provider that authorizes nothing is undefined", []string{"{action: CUSTOM, provider: {name: tracer}, rules: [{}]}"}, both, post, Denied, Denied},
		{"two providers deny", []string{"{action: CUSTOM, provider: {name: grpc}, rules: [{}]}", "{action: CUSTOM, provider: {name: http}, rules: [{to: [{operation: {ports: [\"81\"]}}]}]}"}, both, post, Denied, Denied},
		{"metadata of filters is not known", []string{`{rules: [{when: [{key: "experimental.envoy.filters.network.mysql_proxy[db]", values: [a]}]}]}`}, both, post, OutcomeUnknown, OutcomeUnknown},
		{"unless it does not matter", []string{`{rules: [{when: [{key: "experimental.envoy.filters.network.mysql_proxy[db]", values: [a]}]}, {}]}`}, both, post, Allowed, Allowed},
		{"an address that is not known", []string{`{action: DENY, rules: [{from: [{source: {ipBlocks: [10.0.0.1]}}]}]}`}, both, post, OutcomeUnknown, OutcomeUnknown},
		{"a template that Envoy refuses", []string{`{action: DENY, rules: [{to: [{operation: {paths: ["a/{*}"]}}]}]}`}, both, Request{Path: "/a"}, OutcomeUnknown, Denied},
	}
	for _, c := range cases {
		var policies []Typed[*security.AuthorizationPolicy]
		for _, p := range c.policies {
			policies = append(policies, policyYAML(t, p))
		}
		for tcp, want := range map[bool]Outcome{false: c.http, true: c.tcp} {
			if got := compileProxy(policies, tcp, c.set).Verdict(c.r); got.Outcome != want {
				t.Errorf("%s (tcp %v): %v (%s), want %v", c.name, tcp, got.Outcome, got.By, want)
			}
		}
	}
}

func TestDryRun(t *testing.T) {
	dry := func(spec string) Typed[*security.AuthorizationPolicy] {
		p := policyYAML(t, spec)
		p.Object = &api.Object{APIVersion: p.APIVersion, Kind: p.Kind, Namespace: p.Namespace, Name: p.Name,
			Content: map[string]any{"metadata": map[string]any{"annotations": map[string]any{AnnotationDryRun: "true"}}}}
		return p
	}
	cases := []struct {
		name, spec string
		want       Outcome
	}{
		{"DENY", "{action: DENY, rules: [{}]}", Allowed},
		{"ALLOW does not even make the rest denied", "{rules: [{to: [{operation: {methods: [GET]}}]}]}", Allowed},
		{"CUSTOM asks in some versions and denies in others", "{action: CUSTOM, provider: {name: a}, rules: [{}]}", OutcomeUnknown},
		{"CUSTOM that does not match", "{action: CUSTOM, provider: {name: a}, rules: [{to: [{operation: {methods: [GET]}}]}]}", Allowed},
	}
	for _, c := range cases {
		if got := ProxyAuthz([]Typed[*security.AuthorizationPolicy]{dry(c.spec)}, Request{Method: "PUT"}, false); got.Outcome != c.want {
			t.Errorf("%s: %v (%s), want %v", c.name, got.Outcome, got.By, c.want)
		}
	}
}
