package agree

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	meshconfig "istio.io/api/mesh/v1alpha1"
	security "istio.io/api/security/v1beta1"
	typev1beta1 "istio.io/api/type/v1beta1"
	istiomesh "istio.io/istio/pkg/config/mesh"
	ztunnelpb "istio.io/istio/pkg/workloadapi/security"
	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/test/e2e/istiod"
	"github.com/ambientplan/ambientplan/test/e2e/rbac"
)

func TestMain(m *testing.M) { istiod.Main(m) }

// namespace of everything that is made here.
const namespace = "shop"

// cellLimit bounds how many cells of a case are compared.
const cellLimit = 400

// set is all policies of one workload, and the requests that they are asked about.
type set struct {
	name     string
	policies []policy
	// requests besides the cells. Callers and ports are varied for each.
	requests []mesh.Request
	// doubtful: mesh may say that it does not know.
	doubtful bool
}

type policy struct {
	spec   *security.AuthorizationPolicy
	dryRun bool
}

// settings of a mesh, as ConfigMap text.
type settings string

const (
	plain settings = `
extensionProviders: [` + providers + `]`
	aliased settings = `
trustDomain: td
trustDomainAliases: [old, other1]
extensionProviders: [` + providers + `]`
	providers = `
{name: web, envoyExtAuthzHttp: {service: authz.shop.svc.cluster.local, port: 8000}},
{name: rpc, envoyExtAuthzGrpc: {service: authz.shop.svc.cluster.local, port: 9000}},
{name: trace, zipkin: {service: authz.shop.svc.cluster.local, port: 9411}}`
)

func (s settings) istio(t testing.TB) *meshconfig.MeshConfig {
	t.Helper()
	c, err := istiomesh.ApplyMeshConfigDefaults(string(s))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// state is how mesh knows the settings.
func (s settings) state(t testing.TB) *mesh.State {
	t.Helper()
	content := map[string]any{}
	if err := yaml.Unmarshal([]byte(s), &content); err != nil {
		t.Fatal(err)
	}
	state, unknowns := mesh.New(&api.Inventory{Objects: []api.Object{{
		APIVersion: "istio.io/v1alpha1", Kind: "MeshConfig", Namespace: "istio-system", Name: "istio",
		Content: api.Content{"spec": content},
	}}})
	if len(unknowns) > 0 {
		t.Fatal(unknowns)
	}
	return state
}

// world is what all sets of a run share: a waypoint, an authorizer, validation of
// tokens, and a Sidecar that keeps the listeners of sidecars small.
const world = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio.io/use-waypoint: waypoint}}
---
apiVersion: v1
kind: Service
metadata: {name: authz, namespace: shop}
spec:
  clusterIP: 10.96.0.2
  ports: [{name: http, port: 8000}, {name: grpc, port: 9000}, {name: zipkin, port: 9411}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: shop, labels: {istio.io/waypoint-for: service}}
spec:
  gatewayClassName: istio-waypoint
  listeners: [{name: mesh, port: 15008, protocol: HBONE}]
status:
  addresses: [{type: Hostname, value: waypoint.shop.svc.cluster.local}]
---
apiVersion: v1
kind: Service
metadata: {name: waypoint, namespace: shop, labels: {gateway.istio.io/managed: istio.io-mesh-controller, gateway.networking.k8s.io/gateway-name: waypoint}}
spec:
  clusterIP: 10.96.0.3
  selector: {gateway.networking.k8s.io/gateway-name: waypoint}
  ports: [{name: mesh, port: 15008, appProtocol: hbone}]
---
apiVersion: v1
kind: Pod
metadata: {name: waypoint, namespace: shop, labels: {gateway.istio.io/managed: istio.io-mesh-controller, gateway.networking.k8s.io/gateway-name: waypoint}}
spec: {serviceAccountName: waypoint, nodeName: node, containers: [{name: istio-proxy, image: example.com/proxy}]}
status: {phase: Running, podIP: 10.0.0.3, podIPs: [{ip: 10.0.0.3}], conditions: [{type: Ready, status: "True"}]}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: small, namespace: shop}
spec: {egress: [{hosts: ["~/*"]}]}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: sidecars, namespace: shop}
spec: {jwtRules: [{issuer: i, jwks: '{"keys":[]}'}]}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: waypoint, namespace: shop}
spec: {targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: waypoint}], jwtRules: [{issuer: i, jwks: '{"keys":[]}'}]}
`

var waypointProxy = istiod.Proxy{Namespace: namespace, Name: "waypoint", IP: "10.0.0.3", Waypoint: true,
	Labels: map[string]string{"gateway.networking.k8s.io/gateway-name": "waypoint", "gateway.istio.io/managed": "istio.io-mesh-controller"}}

// app is the Service and the pod of a set. The ports are named for their protocol,
// so that each has a chain of one kind; the Service's differ from the pod's.
func app(i int) (doc string, p istiod.Proxy) {
	ip := fmt.Sprintf("10.0.%d.%d", 1+i/250, 1+i%250)
	doc = fmt.Sprintf(`
---
apiVersion: v1
kind: Service
metadata: {name: s%[1]d, namespace: shop}
spec:
  clusterIP: 10.96.%[2]d.%[3]d
  selector: {app: s%[1]d}
  ports: [{name: http, port: 80, targetPort: 8080}, {name: tcp, port: 81, targetPort: 9090}]
---
apiVersion: v1
kind: Pod
metadata: {name: s%[1]d, namespace: shop, labels: {app: s%[1]d}, annotations: {ambient.istio.io/redirection: enabled}}
spec: {serviceAccountName: default, nodeName: node, containers: [{name: app, image: example.com/app}]}
status: {phase: Running, podIP: %[4]s, podIPs: [{ip: %[4]s}], conditions: [{type: Ready, status: "True"}]}`,
		i, 1+i/250, 1+i%250, ip)
	return doc, istiod.Proxy{Namespace: namespace, Name: fmt.Sprintf("s%d", i), IP: ip, Labels: map[string]string{"app": fmt.Sprintf("s%d", i)}}
}

// Ports of a pod and of its Service.
const (
	podHTTP, podTCP         = 8080, 9090
	serviceHTTP, serviceTCP = 80, 81
)

// callers of all kinds, "" for plaintext.
var callers = []string{"", "cluster.local/ns/shop/sa/web", "cluster.local/ns/shop/sa/api", "cluster.local/ns/other/sa/web", "td/ns/shop/sa/web",
	"old/ns/shop/sa/web", "cluster.local/ns/istio-system/sa/shop"}

// disagreement is a request about which mesh and istiod disagree.
type disagreement struct {
	set    set
	where  string
	mesh   mesh.Verdict
	istiod mesh.Outcome
	on     mesh.Request
}

func (d disagreement) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s: mesh says %v (%s), istiod's configuration %v\nof %+v\n", d.set.name, d.where, d.mesh.Outcome, d.mesh.By, d.istiod, d.on)
	for _, p := range d.set.policies {
		y, err := yaml.Marshal(p.spec)
		fmt.Fprintf(&b, "--- dry run %v %v\n%s", p.dryRun, err, y)
	}
	return b.String()
}

// compare runs all sets in one istiod and returns the first disagreement of each.
func compare(t testing.TB, s settings, sets []set) []disagreement {
	t.Helper()
	if len(sets) == 0 {
		return nil
	}
	c := istiod.Config{YAML: world, Mesh: s.istio(t)}
	proxies := make([]istiod.Proxy, len(sets))
	for i, one := range sets {
		doc, proxy := app(i)
		c.YAML += doc
		proxies[i] = proxy
		for j, p := range one.policies {
			for _, attached := range []bool{false, true} {
				c.Policies = append(c.Policies, p.istio(i, j, attached))
			}
		}
	}
	server := istiod.Start(t, c)
	state, waypoint := s.state(t), byName(server.Chains(waypointProxy))
	workloads, all := server.Workloads(), server.Authorizations()
	var out []disagreement
	for i, one := range sets {
		w := workloads[namespace+"/"+proxies[i].Name]
		if w == nil {
			t.Fatalf("ztunnel has no workload %s", proxies[i].Name)
		}
		for _, p := range one.places(t, i, state, server.Chains(proxies[i]), istiod.AuthorizationsOf(w, all), waypoint) {
			if d := one.first(t, p, state); d != nil {
				out = append(out, *d)
				break
			}
		}
	}
	return out
}

// istio is policy j of set i, for the pod by a selector or for its Service.
func (p policy) istio(i, j int, attached bool) istiod.Policy {
	spec := p.spec.DeepCopy()
	name, app := fmt.Sprintf("s%d-p%d", i, j), fmt.Sprintf("s%d", i)
	if attached {
		name += "-w"
		spec.TargetRefs = []*typev1beta1.PolicyTargetReference{{Kind: "Service", Name: app}}
	} else {
		spec.Selector = &typev1beta1.WorkloadSelector{MatchLabels: map[string]string{"app": app}}
	}
	return istiod.Policy{Namespace: namespace, Name: name, Annotations: p.annotations(), Spec: spec}
}

func (p policy) annotations() map[string]string {
	if !p.dryRun {
		return nil
	}
	return map[string]string{mesh.AnnotationDryRun: "true"}
}

// typed is how mesh knows the policies of a set.
func (s set) typed() []mesh.Typed[*security.AuthorizationPolicy] {
	var out []mesh.Typed[*security.AuthorizationPolicy]
	for i, p := range s.policies {
		o := &api.Object{APIVersion: "security.istio.io/v1", Kind: "AuthorizationPolicy", Namespace: namespace, Name: fmt.Sprintf("p%d", i)}
		if p.dryRun {
			o.Content = api.Content{"metadata": map[string]any{"annotations": map[string]any{mesh.AnnotationDryRun: "true"}}}
		}
		out = append(out, mesh.Typed[*security.AuthorizationPolicy]{Object: o, Spec: p.spec})
	}
	return out
}

// place is a proxy and a port, judged by both.
type place struct {
	name   string
	port   uint16
	mesh   func(mesh.Request) mesh.Verdict
	istiod func(mesh.Request) (mesh.Outcome, error)
}

func byName(chains []istiod.Chain) map[string]istiod.Chain {
	out := map[string]istiod.Chain{}
	for _, c := range chains {
		out[c.Name] = c
	}
	return out
}

// chainPlace is a chain of an Envoy that serves a port.
func chainPlace(t testing.TB, state *mesh.State, policies []mesh.Typed[*security.AuthorizationPolicy], name string, c istiod.Chain, port uint16, isHTTP bool) place {
	t.Helper()
	if (c.HTTP != nil) != isHTTP {
		t.Fatalf("%s: chain %s serves HTTP: %v", name, c.Name, c.HTTP != nil)
	}
	var chain *rbac.Chain
	var err error
	if isHTTP {
		chain, err = rbac.HTTP(c.HTTP)
	} else {
		chain, err = rbac.Network(c.Network)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return place{name + " " + c.Name, port, state.CompileProxy(policies, !isHTTP).Verdict, chain.Judge}
}

// workloadPlaces are the chains of the sidecar for both ports, and ztunnel.
func workloadPlaces(t testing.TB, state *mesh.State, policies []mesh.Typed[*security.AuthorizationPolicy], sidecar []istiod.Chain, ztunnel []*ztunnelpb.Authorization) []place {
	t.Helper()
	var out []place
	seen := map[uint32]bool{}
	for _, c := range sidecar {
		if c.Port == podHTTP || c.Port == podTCP {
			out = append(out, chainPlace(t, state, policies, "sidecar", c, uint16(c.Port), c.Port == podHTTP))
			seen[c.Port] = true
		}
	}
	if len(seen) < 2 {
		t.Fatalf("sidecar has chains for the ports %v only", seen)
	}
	z := mesh.CompileZtunnel(policies)
	judge := func(r mesh.Request) (mesh.Outcome, error) { return rbac.Ztunnel(ztunnel, r) }
	return append(out, place{"ztunnel", podHTTP, z.Verdict, judge}, place{"ztunnel", podTCP, z.Verdict, judge})
}

// places are those of the workload of set i and those of its Service at the waypoint.
func (s set) places(t testing.TB, i int, state *mesh.State, sidecar []istiod.Chain, ztunnel []*ztunnelpb.Authorization, waypoint map[string]istiod.Chain) []place {
	t.Helper()
	policies := s.typed()
	out := workloadPlaces(t, state, policies, sidecar, ztunnel)
	for _, p := range []struct {
		name string
		port uint16
	}{{"http", serviceHTTP}, {"tcp", serviceTCP}} {
		c, ok := waypoint[fmt.Sprintf("inbound-vip|%d|%s|s%d.%s.svc.cluster.local", p.port, p.name, i, namespace)]
		if !ok {
			t.Fatalf("waypoint has no chain for port %d of set %d", p.port, i)
		}
		out = append(out, chainPlace(t, state, policies, "waypoint", c, p.port, p.name == "http"))
	}
	return out
}

// Addresses of requests that leave them open.
var (
	someSource      = netip.MustParseAddr("10.1.2.3")
	someDestination = netip.MustParseAddr("10.0.1.1")
	waypointSource  = netip.MustParseAddr("10.0.0.3")
)

// first finds a request about which a place is judged differently.
func (s set) first(t testing.TB, p place, state *mesh.State) *disagreement {
	t.Helper()
	cells, _ := mesh.Space{Policies: s.typed(), Callers: callers, Ports: []uint16{p.port}, Settings: state.AuthzSettings(), Limit: cellLimit}.Cells(mesh.Request{})
	for _, r := range slices.Concat(s.requests, cells) {
		if !r.Source.IsValid() {
			r.Source = someSource
		}
		if !r.Destination.IsValid() {
			r.Destination = someDestination
		}
		r.Port = p.port
		for _, c := range callers {
			r.Principal = c
			got := p.mesh(r)
			want, err := p.istiod(r)
			if err != nil {
				t.Fatalf("%s at %s: %v", s.name, p.name, err)
			}
			if got.Outcome != want && !(got.Outcome == mesh.OutcomeUnknown && s.doubtful) {
				return &disagreement{s, p.name, got, want, r}
			}
		}
	}
	return nil
}
