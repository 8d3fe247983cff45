package agree

import (
	"maps"
	"slices"
	"strings"
	"testing"

	jwt "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/encoding/prototext"
	security "istio.io/api/security/v1beta1"
	ztunnelpb "istio.io/istio/pkg/workloadapi/security"
	"sigs.k8s.io/yaml"

	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/test/e2e/istiod"
	"github.com/ambientplan/ambientplan/test/e2e/rbac"
)

// The tests of this file are named after the facts of docs/facts.md that they ask
// istiod about.

// factWorld has one Service s0 (80 to 8080, 81 to 9090) with a pod, behind a waypoint.
func factWorld(t *testing.T, docs ...string) (*istiod.Server, istiod.Proxy) {
	t.Helper()
	doc, proxy := app(0)
	return istiod.Start(t, istiod.Config{YAML: world + doc + "\n---\n" + strings.Join(docs, "\n---\n"), Mesh: plain.istio(t)}), proxy
}

// authz is an AuthorizationPolicy for namespace/name; attach is its selector or targetRefs.
func authz(namespace, name, attach, spec string) string {
	return "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: " + name + ", namespace: " + namespace + "}\nspec: {" + attach + spec + "}"
}

const (
	onPod     = `selector: {matchLabels: {app: s0}}, `
	onService = `targetRefs: [{group: "", kind: Service, name: s0}], `
	onGateway = `targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: waypoint}], `
	onClass   = `targetRefs: [{group: gateway.networking.k8s.io, kind: GatewayClass, name: istio-waypoint}], `
)

// httpChain is the chain of the waypoint for port 80 of s0.
func httpChain(t *testing.T, s *istiod.Server) *rbac.Chain {
	t.Helper()
	c, err := rbac.HTTP(byName(s.Chains(waypointProxy))["inbound-vip|80|http|s0.shop.svc.cluster.local"].HTTP)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// judge asks a proxy or ztunnel about a connection.
func judge(t *testing.T, by func(mesh.Request) (mesh.Outcome, error), principal string, port uint16) mesh.Outcome {
	t.Helper()
	got, err := by(mesh.Request{Principal: principal, Port: port, Source: someSource, Destination: someDestination, Method: "GET", Path: "/"})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// atZtunnel are the policies of the pod of s0.
func atZtunnel(s *istiod.Server) []*ztunnelpb.Authorization {
	return istiod.AuthorizationsOf(s.Workloads()["shop/s0"], s.Authorizations())
}

func wantOutcome(t *testing.T, what string, got, want mesh.Outcome) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// TestL11PortsAtWaypointAreServicePorts also confirms T-01: istiod writes ports as
// they are, and chooses the chain by the destination port of the connection, which
// is that of the Service. ztunnel compares the pod's.
func TestL11PortsAtWaypointAreServicePorts(t *testing.T) {
	s, _ := factWorld(t, authz("shop", "w", onService, `rules: [{to: [{operation: {ports: ["80"]}}]}]`), authz("shop", "z", onPod, `rules: [{to: [{operation: {ports: ["8080"]}}]}]`))
	chain := httpChain(t, s)
	wantOutcome(t, "service port at the waypoint", judge(t, chain.Judge, "", 80), mesh.Allowed)
	wantOutcome(t, "pod port at the waypoint", judge(t, chain.Judge, "", 8080), mesh.Denied)
	tree := prototext.Format(s.Listener(waypointProxy, "main_internal").FilterChainMatcher)
	for _, want := range []string{"DestinationPortInput", `"80"`, `"81"`} {
		if !strings.Contains(tree, want) {
			t.Errorf("the chain is not chosen by %s", want)
		}
	}
	// The port of the pod is only asked for traffic to addresses of pods.
	_, services, _ := strings.Cut(tree, `"80"`)
	if i, j := strings.Index(services, "inbound-vip|80"), strings.Index(services, "8080"); i < 0 || j >= 0 && j < i {
		t.Errorf("port 80 does not lead to inbound-vip|80 at once")
	}
	z := func(r mesh.Request) (mesh.Outcome, error) { return rbac.Ztunnel(atZtunnel(s), r) }
	wantOutcome(t, "pod port at ztunnel", judge(t, z, "", 8080), mesh.Allowed)
	wantOutcome(t, "service port at ztunnel", judge(t, z, "", 80), mesh.Denied)
}

// TestL25WaypointStripsTokens also confirms T-02: a RequestAuthentication does not
// forward the token unless forwardOriginalToken is set.
func TestL25WaypointStripsTokens(t *testing.T) {
	for extra, forward := range map[string]bool{"": false, ", forwardOriginalToken: true": true} {
		s, _ := factWorld(t, tokenRule("copy", onService, "strip", extra))
		got, ok := issuers(t, byName(s.Chains(waypointProxy))["inbound-vip|80|http|s0.shop.svc.cluster.local"])["strip"]
		if !ok || got != forward {
			t.Errorf("with %q the waypoint validates: %v, and forwards the token: %v", extra, ok, got)
		}
	}
}

// TestL24TokensAtWaypoint: a waypoint validates only by targetRefs, a sidecar only
// without.
func TestL24TokensAtWaypoint(t *testing.T) {
	s, proxy := factWorld(t, tokenRule("pod", onPod, "pod", ""), tokenRule("service", onService, "service", ""))
	// Those of issuer i are of the world: one for the namespace, one for the Gateway.
	at := issuers(t, byName(s.Chains(waypointProxy))["inbound-vip|80|http|s0.shop.svc.cluster.local"])
	if got := slices.Sorted(maps.Keys(at)); !slices.Equal(got, []string{"i", "service"}) {
		t.Errorf("the waypoint validates tokens of %v", got)
	}
	for _, c := range s.Chains(proxy) {
		if c.Port != podHTTP {
			continue
		}
		if got := slices.Sorted(maps.Keys(issuers(t, c))); !slices.Equal(got, []string{"i", "pod"}) {
			t.Errorf("the sidecar validates tokens of %v", got)
		}
	}
}

func tokenRule(name, attach, issuer, extra string) string {
	return "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: " + name + ", namespace: shop}\n" +
		"spec: {" + attach + "jwtRules: [{issuer: " + issuer + `, jwks: '{"keys":[]}'` + extra + "}]}"
}

// issuers are those whose tokens a chain validates, and whether it forwards the token.
func issuers(t *testing.T, c istiod.Chain) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for _, f := range c.HTTP {
		j := &jwt.JwtAuthentication{}
		if !f.GetTypedConfig().MessageIs(j) {
			continue
		}
		if err := f.GetTypedConfig().UnmarshalTo(j); err != nil {
			t.Fatal(err)
		}
		for _, p := range j.Providers {
			out[p.Issuer] = p.Forward
		}
	}
	return out
}

// TestMetadataOfOtherFilters: a condition on what other filters know is in istiod's
// configuration, so a proxy looks at it; mesh must not claim to know the answer.
func TestMetadataOfOtherFilters(t *testing.T) {
	rule := `rules: [{when: [{key: "experimental.envoy.filters.a.b[c]", values: [d]}]}]`
	s, _ := factWorld(t, authz("shop", "w", onService, rule))
	r := mesh.Request{Port: 80, Source: someSource, Destination: someDestination, Method: "GET", Path: "/"}
	if got, err := httpChain(t, s).Judge(r); err == nil {
		t.Errorf("the configuration does not ask other filters: %v", got)
	}
	spec := &security.AuthorizationPolicy{}
	if err := yaml.Unmarshal([]byte("{"+rule+"}"), spec); err != nil {
		t.Fatal(err)
	}
	if got := mesh.ProxyAuthz(set{policies: []policy{{spec: spec}}}.typed(), r, false); got.Outcome != mesh.OutcomeUnknown {
		t.Errorf("mesh says %v", got)
	}
}

// TestT04AddressesAtWaypoint: ipBlocks become direct_remote_ip and remoteIpBlocks
// remote_ip, at a waypoint as at a sidecar. The address of the client reaches the
// inner listener only as the filter state original_dst.remote_ip, which Envoy takes
// for the remote address; X-Forwarded-For is not trusted on the way. Whether Envoy
// takes it for the direct one too is not in istiod's hands and stays open.
func TestT04AddressesAtWaypoint(t *testing.T) {
	s, _ := factWorld(t, authz("shop", "w", onService, `rules: [{from: [{source: {ipBlocks: [10.1.2.0/24]}}]}, {from: [{source: {remoteIpBlocks: [10.1.3.0/24]}}]}]`))
	l := s.Listener(waypointProxy, "main_internal")
	text := prototext.Format(l)
	for _, want := range []string{"direct_remote_ip", "remote_ip"} {
		if !strings.Contains(text, want+":") {
			t.Errorf("no %s in the chain", want)
		}
	}
	if !strings.Contains(prototext.Format(s.Listener(waypointProxy, "connect_terminate")), "envoy.filters.listener.original_dst.remote_ip") {
		t.Error("the client's address is not handed to the inner listener")
	}
	for _, fc := range l.FilterChains {
		for _, f := range fc.Filters {
			h := &hcm.HttpConnectionManager{}
			if f.GetTypedConfig().MessageIs(h) {
				if err := f.GetTypedConfig().UnmarshalTo(h); err != nil {
					t.Fatal(err)
				}
				if h.UseRemoteAddress.GetValue() || h.XffNumTrustedHops != 0 {
					t.Errorf("%s: use_remote_address %v, xff_num_trusted_hops %d", fc.Name, h.UseRemoteAddress, h.XffNumTrustedHops)
				}
			}
		}
	}
}

// TestT05TrustDomainsAreNotSent: an entry with nothing else is left empty, so its
// rule never matches; one with more matches whatever the trust domain is.
func TestT05TrustDomainsAreNotSent(t *testing.T) {
	s, _ := factWorld(t, authz("shop", "z", onPod, `rules: [{from: [{source: {trustDomains: [td]}}]}, {from: [{source: {trustDomains: [td], namespaces: [shop]}}]}]`))
	z := func(r mesh.Request) (mesh.Outcome, error) { return rbac.Ztunnel(atZtunnel(s), r) }
	wantOutcome(t, "of the trust domain", judge(t, z, "td/ns/other/sa/web", 8080), mesh.Denied)
	wantOutcome(t, "of the namespace, from another trust domain", judge(t, z, "x/ns/shop/sa/web", 8080), mesh.Allowed)
}

// TestL01WhatIsNotSent: CUSTOM, AUDIT, dry runs and targetRefs do not reach ztunnel.
func TestL01WhatIsNotSent(t *testing.T) {
	dry := strings.Replace(authz("shop", "dry", onPod, `action: DENY, rules: [{}]`), "namespace: shop}", `namespace: shop, annotations: {istio.io/dry-run: "true"}}`, 1)
	s, _ := factWorld(t, authz("shop", "custom", onPod, `action: CUSTOM, provider: {name: web}, rules: [{}]`), authz("shop", "audit", onPod, `action: AUDIT, rules: [{}]`),
		dry, authz("shop", "attached", onService, `action: DENY, rules: [{}]`), authz("shop", "sent", onPod, `action: DENY, rules: [{}]`))
	got := s.Authorizations()
	if len(got) != 1 || got["shop/sent"] == nil {
		t.Errorf("ztunnel gets %v", got)
	}
}

// TestL05AllowWithHTTP: the rule is dropped as a whole, its sibling is not; a policy
// of which nothing is left is there all the same, so it denies everything.
func TestL05AllowWithHTTP(t *testing.T) {
	s, _ := factWorld(t, authz("shop", "z", onPod, `rules: [{from: [{source: {principals: [p]}}], to: [{operation: {methods: [GET]}}]}, {to: [{operation: {ports: ["9090"]}}]}]`))
	if z := s.Authorizations()["shop/z"]; len(z.GetGroups()) != 1 {
		t.Errorf("ztunnel gets %v", z)
	}
	s, _ = factWorld(t, authz("shop", "z", onPod, `rules: [{to: [{operation: {methods: [GET]}}]}]`))
	if z := s.Authorizations()["shop/z"]; z == nil || len(z.Groups) != 0 {
		t.Errorf("ztunnel gets %v", z)
	}
	z := func(r mesh.Request) (mesh.Outcome, error) { return rbac.Ztunnel(atZtunnel(s), r) }
	wantOutcome(t, "anything", judge(t, z, "cluster.local/ns/shop/sa/web", 8080), mesh.Denied)
}

// TestL08DenyOfOnlyHTTP: what is left of the clause is an empty match, with which
// the rule never matches; what is written next to the HTTP fields is kept.
func TestL08DenyOfOnlyHTTP(t *testing.T) {
	s, _ := factWorld(t, authz("shop", "z", onPod, `action: DENY, rules: [{from: [{source: {namespaces: [shop]}}], to: [{operation: {methods: [GET]}}]}]`))
	z := func(r mesh.Request) (mesh.Outcome, error) { return rbac.Ztunnel(atZtunnel(s), r) }
	wantOutcome(t, "only HTTP in to", judge(t, z, "cluster.local/ns/shop/sa/web", 8080), mesh.Allowed)
	s, _ = factWorld(t, authz("shop", "z", onPod, `action: DENY, rules: [{from: [{source: {namespaces: [shop]}}], to: [{operation: {methods: [GET], ports: ["8080"]}}]}]`))
	z = func(r mesh.Request) (mesh.Outcome, error) { return rbac.Ztunnel(atZtunnel(s), r) }
	wantOutcome(t, "HTTP and a port in to", judge(t, z, "cluster.local/ns/shop/sa/web", 8080), mesh.Denied)
}

// TestL12L13ClientsBehindWaypoint: istiod sends ztunnel the selector policies
// unchanged when the Service has a waypoint; neither the identity nor the address of
// the waypoint, which is what ztunnel then sees, is added to them.
func TestL12L13ClientsBehindWaypoint(t *testing.T) {
	const client, waypoint = "cluster.local/ns/shop/sa/web", "cluster.local/ns/shop/sa/waypoint"
	s, _ := factWorld(t, authz("shop", "z", onPod, `rules: [{from: [{source: {principals: [`+client+`]}}]}]`))
	if w := s.Workloads()["shop/waypoint"]; w.GetServiceAccount() != "waypoint" {
		t.Fatalf("the waypoint is %v", w)
	}
	if svc := s.Services()["shop/s0.shop.svc.cluster.local"]; svc.GetWaypoint() == nil {
		t.Fatalf("the Service has no waypoint: %v", svc)
	}
	z := func(r mesh.Request) (mesh.Outcome, error) { return rbac.Ztunnel(atZtunnel(s), r) }
	wantOutcome(t, "the client", judge(t, z, client, 8080), mesh.Allowed)
	wantOutcome(t, "the waypoint", judge(t, z, waypoint, 8080), mesh.Denied)
	s, _ = factWorld(t, authz("shop", "z", onPod, `rules: [{from: [{source: {ipBlocks: [`+someSource.String()+`]}}]}]`))
	r := mesh.Request{Principal: waypoint, Port: 8080, Source: waypointSource, Destination: someDestination}
	got, err := rbac.Ztunnel(atZtunnel(s), r)
	if err != nil {
		t.Fatal(err)
	}
	wantOutcome(t, "the waypoint's address", got, mesh.Denied)
}

// TestL15Attachment: which policies a waypoint and a sidecar take.
func TestL15Attachment(t *testing.T) {
	deny := `action: DENY, rules: [{}]`
	s, proxy := factWorld(t,
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: other}",
		authz("shop", "service", onService, deny), authz("shop", "gateway", onGateway, deny), authz("istio-system", "class", onClass, deny),
		authz("shop", "class-elsewhere", onClass, deny), authz("istio-system", "gateway-elsewhere", onGateway, deny), authz("other", "service-elsewhere", onService, deny),
		authz("shop", "pod", onPod, deny), authz("shop", "namespace", "", deny), authz("istio-system", "mesh", "", deny),
		authz("shop", "waypoint-pod", `selector: {matchLabels: {gateway.networking.k8s.io/gateway-name: waypoint}}, `, deny))
	want := []string{"ns[istio-system]-policy[class]-rule[0]", "ns[shop]-policy[gateway]-rule[0]", "ns[shop]-policy[service]-rule[0]"}
	if got := httpChain(t, s).Policies(); !slices.Equal(got, want) {
		t.Errorf("the waypoint takes %v, want %v", got, want)
	}
	want = []string{"ns[istio-system]-policy[mesh]-rule[0]", "ns[shop]-policy[namespace]-rule[0]", "ns[shop]-policy[pod]-rule[0]"}
	for _, c := range s.Chains(proxy) {
		if c.Port != podHTTP {
			continue
		}
		chain, err := rbac.HTTP(c.HTTP)
		if err != nil {
			t.Fatal(err)
		}
		if got := chain.Policies(); !slices.Equal(got, want) {
			t.Errorf("the sidecar takes %v, want %v", got, want)
		}
	}
}
