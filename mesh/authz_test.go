package mesh

import (
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

const (
	clientX = "cluster.local/ns/a/sa/x"
	clientY = "cluster.local/ns/b/sa/y"
)

func authzOf(t *testing.T, spec, annotations string) ZtunnelAuthz {
	t.Helper()
	doc := "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: a, annotations: {" + annotations + "}}\nspec: " + spec
	b, err := yaml.YAMLToJSON([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	var c api.Content
	if err := json.Unmarshal(b, &c); err != nil {
		t.Fatal(err)
	}
	s, unknowns := New(&api.Inventory{Objects: []api.Object{{APIVersion: "security.istio.io/v1", Kind: "AuthorizationPolicy", Namespace: "a", Name: "p", Content: c}}})
	if len(unknowns) > 0 {
		t.Fatal(unknowns)
	}
	return Authz(s.AuthorizationPolicies()[0])
}

// TestDenyAtZtunnel is the table of facts L-08: what a DENY rule becomes when the
// parts that ztunnel does not know are gone.
func TestDenyAtZtunnel(t *testing.T) {
	x80 := Connection{Principal: clientX, Port: 80}
	x8080 := Connection{Principal: clientX, Port: 8080}
	y80 := Connection{Principal: clientY, Port: 80}
	y8080 := Connection{Principal: clientY, Port: 8080}
	all := []Connection{x80, x8080, y80, y8080}
	cases := []struct {
		rule                   string
		fires                  []Connection
		never, narrower, wider bool
	}{
		{rule: `{to: [{operation: {methods: [DELETE]}}]}`, never: true, narrower: true},
		{rule: `{from: [{source: {principals: [cluster.local/ns/a/sa/x]}}], to: [{operation: {methods: [DELETE]}}]}`, never: true, narrower: true},
		{rule: `{to: [{operation: {ports: ["8080"], methods: [DELETE]}}]}`, fires: []Connection{x8080, y8080}, wider: true},
		{rule: `{to: [{operation: {methods: [GET]}}, {operation: {ports: ["80"]}}]}`, fires: []Connection{x80, y80}, narrower: true},
		{rule: `{to: [{operation: {methods: [GET]}}, {operation: {ports: ["80"], paths: [/a]}}]}`, fires: []Connection{x80, y80}, narrower: true, wider: true},
		{rule: `{from: [{source: {principals: [cluster.local/ns/a/sa/x]}}], to: [{operation: {ports: ["8080"], paths: [/admin]}}]}`, fires: []Connection{x8080}, wider: true},
		{rule: `{when: [{key: "request.headers[a]", values: [b]}]}`, never: true, narrower: true},
		{rule: `{from: [{source: {principals: [cluster.local/ns/a/sa/x]}}], when: [{key: "request.headers[a]", values: [b]}]}`, never: true, narrower: true},
		{rule: `{from: [{source: {requestPrincipals: ["*"]}}]}`, never: true, narrower: true},
		{rule: `{from: [{source: {notRequestPrincipals: ["*"]}}]}`, never: true, narrower: true},
		{rule: `{}`, fires: all},
		{rule: `{from: [{source: {namespaces: [a]}}]}`, fires: []Connection{x80, x8080}},
		{rule: `{from: [{source: {notNamespaces: [a]}}]}`, fires: []Connection{y80, y8080}},
		{rule: `{from: [{source: {serviceAccounts: [x]}}]}`, fires: []Connection{x80, x8080}},
		{rule: `{from: [{source: {serviceAccounts: [b/y]}}]}`, fires: []Connection{y80, y8080}},
		{rule: `{when: [{key: source.principal, notValues: ["*/sa/x"]}]}`, fires: []Connection{y80, y8080}},
		{rule: `{when: [{key: destination.port, values: ["80"]}, {key: source.namespace, values: [b]}]}`, fires: []Connection{y80}},
		// trustDomains is dropped and nobody is told.
		{rule: `{from: [{source: {trustDomains: [other]}}]}`, never: true, narrower: true},
		{rule: `{from: [{source: {trustDomains: [other], namespaces: [a]}}]}`, fires: []Connection{x80, x8080}, wider: true},
		// A port that is no number is left out like a field of layer 7.
		{rule: `{to: [{operation: {ports: [http]}}]}`, never: true, narrower: true},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			z := authzOf(t, `{action: DENY, rules: [`+c.rule+`]}`, "")
			if z.NotSent != SentToZtunnel {
				t.Fatalf("not sent: %s", z.NotSent)
			}
			r := z.Rules[0]
			var fires []Connection
			for _, conn := range all {
				if r.Matches(conn, "a") {
					fires = append(fires, conn)
				}
			}
			if d := cmp.Diff(c.fires, fires, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
				t.Errorf("fires for other connections (-want +got):\n%s", d)
			}
			if r.Never != c.never || r.Narrower != c.narrower || r.Wider != c.wider || r.Dropped {
				t.Errorf("never %v narrower %v wider %v dropped %v, want %v %v %v false", r.Never, r.Narrower, r.Wider, r.Dropped, c.never, c.narrower, c.wider)
			}
		})
	}
}

// TestAllowAtZtunnel is facts L-05 and L-06: a rule with any layer 7 part is gone
// as a whole, its siblings stay, and a policy without rules denies everything.
func TestAllowAtZtunnel(t *testing.T) {
	x := Connection{Principal: clientX, Source: netip.MustParseAddr("10.0.0.1"), Port: 80}
	cases := []struct {
		name, spec         string
		matches, leftEmpty bool
		dropped            int
		wider              bool
	}{
		{name: "layer 4", spec: `{rules: [{from: [{source: {namespaces: [a]}}]}]}`, matches: true},
		{name: "layer 7", spec: `{rules: [{to: [{operation: {methods: [GET]}}]}]}`, leftEmpty: true, dropped: 1},
		{name: "layer 7 beside layer 4 in one rule", spec: `{rules: [{from: [{source: {namespaces: [a]}}], to: [{operation: {paths: [/]}}]}]}`, leftEmpty: true, dropped: 1},
		{name: "siblings stay", spec: `{rules: [{to: [{operation: {methods: [GET]}}]}, {from: [{source: {namespaces: [a]}}]}]}`, matches: true, dropped: 1},
		{name: "allow all", spec: `{rules: [{}]}`, matches: true},
		{name: "allow nothing was never more", spec: `{}`},
		{name: "only trustDomains", spec: `{rules: [{from: [{source: {trustDomains: [other]}}]}]}`, leftEmpty: true},
		{name: "trustDomains beside namespaces lets others in", spec: `{rules: [{from: [{source: {trustDomains: [other], namespaces: [a]}}]}]}`, matches: true, wider: true},
		{name: "address", spec: `{rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]}`, matches: true},
		{name: "other address", spec: `{rules: [{from: [{source: {ipBlocks: [10.0.0.2]}}]}]}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			z := authzOf(t, c.spec, "")
			matches, dropped, wider := false, 0, false
			for _, r := range z.Rules {
				matches = matches || r.Matches(x, "a")
				wider = wider || r.Wider
				if r.Dropped {
					dropped++
				}
			}
			if matches != c.matches || dropped != c.dropped || z.LeftEmpty() != c.leftEmpty || wider != c.wider {
				t.Errorf("matches %v dropped %d leftEmpty %v wider %v, want %v %d %v %v", matches, dropped, z.LeftEmpty(), wider, c.matches, c.dropped, c.leftEmpty, c.wider)
			}
		})
	}
}

func TestNotSentToZtunnel(t *testing.T) {
	cases := []struct {
		name, spec, annotations string
		want                    NotSent
	}{
		{name: "allow", spec: `{}`, want: SentToZtunnel},
		{name: "custom", spec: `{action: CUSTOM, provider: {name: x}, rules: [{}]}`, want: NotSentAction},
		{name: "audit", spec: `{action: AUDIT, rules: [{}]}`, want: NotSentAction},
		{name: "targetRefs", spec: `{targetRefs: [{kind: Service, name: x}]}`, want: NotSentTargetRef},
		{name: "targetRef", spec: `{targetRef: {kind: Gateway, group: gateway.networking.k8s.io, name: x}}`, want: NotSentTargetRef},
		{name: "dry run", spec: `{}`, annotations: `istio.io/dry-run: "true"`, want: NotSentDryRun},
		{name: "dry run off", spec: `{}`, annotations: `istio.io/dry-run: "false"`, want: SentToZtunnel},
		{name: "dry run unreadable counts as off", spec: `{}`, annotations: `istio.io/dry-run: "yes please"`, want: SentToZtunnel},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := authzOf(t, c.spec, c.annotations).NotSent; got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestFieldClasses is the whole table of facts L-03.
func TestFieldClasses(t *testing.T) {
	z := authzOf(t, `
  rules:
  - from:
    - source: {principals: [p], notPrincipals: [p], namespaces: [ns], notNamespaces: [ns], serviceAccounts: [s], notServiceAccounts: [s],
        ipBlocks: [10.0.0.1], notIpBlocks: [10.0.0.1], remoteIpBlocks: [10.0.0.1], notRemoteIpBlocks: [10.0.0.1],
        requestPrincipals: [r], notRequestPrincipals: [r], trustDomains: [t], notTrustDomains: [t]}
    to:
    - operation: {ports: ["80"], notPorts: ["81"], hosts: [h], notHosts: [h], methods: [GET], notMethods: [GET], paths: [/], notPaths: [/]}
    when:
    - {key: source.ip, values: [10.0.0.1]}
    - {key: source.namespace, notValues: [ns]}
    - {key: source.principal, values: [p]}
    - {key: destination.ip, values: [10.0.0.1]}
    - {key: destination.port, values: ["80"]}
    - {key: connection.sni, values: [x]}
    - {key: source.serviceAccount, values: [x]}
    - {key: source.trustDomain, values: [x]}
    - {key: remote.ip, values: [10.0.0.1]}
    - {key: "request.auth.claims[a]", values: [x]}
    - {key: experimental.envoy.filters.a, values: [x]}
`, "")
	want := map[string]FieldClass{}
	for _, n := range []string{"principals", "notPrincipals", "namespaces", "notNamespaces", "serviceAccounts", "notServiceAccounts", "ipBlocks", "notIpBlocks",
		"ports", "notPorts", "source.ip", "source.namespace", "source.principal", "destination.ip", "destination.port"} {
		want[n] = FieldL4
	}
	for _, n := range []string{"remoteIpBlocks", "notRemoteIpBlocks", "requestPrincipals", "notRequestPrincipals", "hosts", "notHosts", "methods", "notMethods",
		"paths", "notPaths", "connection.sni", "source.serviceAccount", "source.trustDomain", "remote.ip", "request.auth.claims[a]", "experimental.envoy.filters.a"} {
		want[n] = FieldL7
	}
	want["trustDomains"], want["notTrustDomains"] = FieldGap, FieldGap
	got := map[string]FieldClass{}
	for _, f := range z.Rules[0].Fields {
		got[f.Name] = f.Class
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func TestMatchString(t *testing.T) {
	cases := []struct {
		pattern, v string
		want       bool
	}{
		{"*", "a", true}, {"*", "", false}, {"a*", "ab", true}, {"*b", "ab", true}, {"a", "a", true}, {"a", "ab", false}, {"*a", "ab", false},
	}
	for _, c := range cases {
		if got := matchString(c.pattern, c.v); got != c.want {
			t.Errorf("matchString(%q, %q) = %v", c.pattern, c.v, got)
		}
	}
}
