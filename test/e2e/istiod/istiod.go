// Package istiod runs a real istiod in the process of a test, and hands out what
// it generates: resources for ztunnel, filters for sidecars and waypoints. The
// Kubernetes API behind it is a fake; there are no proxies.
package istiod

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	meshconfig "istio.io/api/mesh/v1alpha1"
	securityapi "istio.io/api/security/v1beta1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pilot/pkg/model"
	v3 "istio.io/istio/pilot/pkg/xds/v3"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/config/schema/gvk"
	"istio.io/istio/pkg/log"
	"istio.io/istio/pkg/workloadapi"
	"istio.io/istio/pkg/workloadapi/security"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Main runs the tests of a package that starts an istiod. istiod reads its feature
// flags in package variable initialisers, before a test could set them: so the test
// binary runs itself once more with the environment of the ambient profile, and with
// the host that package controlplane calls istiod's webhooks at.
func Main(m *testing.M) {
	if os.Getenv("PILOT_ENABLE_AMBIENT") == "" {
		exe, err := os.Executable()
		if err == nil {
			err = syscall.Exec(exe, os.Args, append(os.Environ(), "PILOT_ENABLE_AMBIENT=true", "ISTIOD_CUSTOM_HOST=localhost"))
		}
		fmt.Fprintln(os.Stderr, "cannot run the test binary again with PILOT_ENABLE_AMBIENT:", err)
		os.Exit(1)
	}
	quiet()
	os.Exit(m.Run())
}

// quiet leaves only errors of istiod's log, which is for operators.
func quiet() {
	for _, s := range log.Scopes() {
		s.SetOutputLevel(log.NoneLevel)
	}
}

// Config is what an istiod is given.
type Config struct {
	// YAML documents of Kubernetes, the Gateway API and Istio, divided by "---" lines.
	YAML string
	// Policies, besides those in YAML.
	Policies []Policy
	// Mesh is nil for the defaults.
	Mesh *meshconfig.MeshConfig
}

// Policy is an AuthorizationPolicy.
type Policy struct {
	Namespace, Name string
	Annotations     map[string]string
	Spec            *securityapi.AuthorizationPolicy
}

// Server is a running istiod.
type Server struct {
	t    testing.TB
	fake *xds.FakeDiscoveryServer
}

// Start runs an istiod until the test ends, and returns when it has read everything.
func Start(t testing.TB, c Config) *Server {
	t.Helper()
	kube, istio, err := split(c.YAML)
	if err != nil {
		t.Fatal(err)
	}
	opts := xds.FakeOptions{KubernetesObjectString: kube, Configs: istio, MeshConfig: c.Mesh}
	for _, p := range c.Policies {
		meta := metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name, Annotations: p.Annotations}
		object := &securityv1.AuthorizationPolicy{ObjectMeta: meta}
		p.Spec.DeepCopyInto(&object.Spec)
		opts.KubernetesObjects = append(opts.KubernetesObjects, runtime.Object(object))
		opts.Configs = append(opts.Configs, config.Config{
			Meta: config.Meta{GroupVersionKind: gvk.AuthorizationPolicy, Namespace: p.Namespace, Name: p.Name, Annotations: p.Annotations, Domain: "cluster.local"},
			Spec: p.Spec,
		})
	}
	if opts.MeshConfig == nil {
		opts.MeshConfig = mesh.DefaultMeshConfig()
	}
	return &Server{t: t, fake: xds.NewFakeDiscoveryServer(failer{t}, opts)}
}

// failer is testing.TB as istiod's packages want it.
type failer struct{ testing.TB }

// split divides documents: all go to the Kubernetes API, from which the ambient
// index reads, and those of Istio to the config store too, from which proxies are
// configured. A domain is set, or short host names would match nothing.
func split(yaml string) (kube string, istio []config.Config, err error) {
	var all, configs []string
	for _, doc := range strings.Split("\n"+yaml+"\n", "\n---\n") {
		if strings.TrimSpace(doc) == "" {
			continue
		}
		all = append(all, doc)
		if strings.Contains(doc, "istio.io/v1") && !strings.Contains(doc, "gateway.networking.k8s.io/v1") {
			configs = append(configs, doc)
		}
	}
	istio, _, err = crd.ParseInputs(strings.Join(configs, "\n---\n"))
	for i := range istio {
		istio[i].Domain = "cluster.local"
	}
	return strings.Join(all, "\n---\n"), istio, err
}

// Authorizations are the policies that ztunnel gets, by "namespace/name".
func (s *Server) Authorizations() map[string]*security.Authorization {
	s.t.Helper()
	out := map[string]*security.Authorization{}
	if len(s.fake.AmbientIndex.Policies(nil)) == 0 {
		return out // istiod answers nothing at all, for which the client would wait.
	}
	for _, r := range s.ztunnel(v3.WorkloadAuthorizationType) {
		a := &security.Authorization{}
		if err := r.Resource.UnmarshalTo(a); err != nil {
			s.t.Fatal(err)
		}
		out[a.Namespace+"/"+a.Name] = a
	}
	return out
}

// Workloads are the workloads that ztunnel gets, by "namespace/name".
func (s *Server) Workloads() map[string]*workloadapi.Workload {
	s.t.Helper()
	out := map[string]*workloadapi.Workload{}
	for _, a := range s.addresses() {
		if w := a.GetWorkload(); w != nil {
			out[w.Namespace+"/"+w.Name] = w
		}
	}
	return out
}

// Services are the services that ztunnel gets, by "namespace/hostname".
func (s *Server) Services() map[string]*workloadapi.Service {
	s.t.Helper()
	out := map[string]*workloadapi.Service{}
	for _, a := range s.addresses() {
		if svc := a.GetService(); svc != nil {
			out[svc.Namespace+"/"+svc.Hostname] = svc
		}
	}
	return out
}

func (s *Server) addresses() []*workloadapi.Address {
	var out []*workloadapi.Address
	for _, r := range s.ztunnel(v3.AddressType) {
		a := &workloadapi.Address{}
		if err := r.Resource.UnmarshalTo(a); err != nil {
			s.t.Fatal(err)
		}
		out = append(out, a)
	}
	return out
}

// ztunnel asks over delta ADS as ztunnel does.
func (s *Server) ztunnel(typeURL string) []*discovery.Resource {
	ads := s.fake.ConnectDeltaADS().WithType(typeURL).WithMetadata(model.NodeMetadata{NodeName: "node"})
	defer ads.Cleanup()
	return ads.RequestResponseAck(&discovery.DeltaDiscoveryRequest{}).Resources
}

// AuthorizationsOf are the policies that a ztunnel enforces for a workload: those
// of the mesh, of its namespace, and those that the workload lists. Source:
// get_rbac_policies_for and assert_rbac of ztunnel's src/state.rs.
func AuthorizationsOf(w *workloadapi.Workload, all map[string]*security.Authorization) []*security.Authorization {
	named := map[string]bool{}
	for _, p := range w.AuthorizationPolicies {
		named[p] = true
	}
	var out []*security.Authorization
	for key, a := range all {
		switch {
		case a.Scope == security.Scope_GLOBAL, a.Scope == security.Scope_NAMESPACE && a.Namespace == w.Namespace, named[key]:
			out = append(out, a)
		}
	}
	return out
}

// Proxy names an Envoy.
type Proxy struct {
	Namespace, Name string
	IP              string
	Labels          map[string]string
	// Waypoint is true for a waypoint, else it is a sidecar.
	Waypoint bool
}

// Chain is one filter chain of an inbound listener.
type Chain struct {
	Name string
	// Port of the match of a sidecar's chain; 0 at a waypoint.
	Port uint32
	// Transport of the match: "tls", "raw_buffer", or empty for both.
	Transport string
	// HTTP filters in order; nil for a chain that serves TCP.
	HTTP []*hcm.HttpFilter
	// Network filters in order.
	Network []*listener.Filter
}

// Chains are the filter chains for inbound traffic of a proxy: of the listener
// virtualInbound of a sidecar, or main_internal of a waypoint.
func (s *Server) Chains(p Proxy) []Chain {
	s.t.Helper()
	name := model.VirtualInboundListenerName
	if p.Waypoint {
		name = "main_internal"
	}
	var out []Chain
	for _, fc := range s.Listener(p, name).FilterChains {
		out = append(out, s.chain(fc))
	}
	return out
}

// Listener is one listener of a proxy.
func (s *Server) Listener(p Proxy, name string) *listener.Listener {
	s.t.Helper()
	kind := model.SidecarProxy
	if p.Waypoint {
		kind = model.Waypoint
	}
	proxy := s.fake.SetupProxy(&model.Proxy{
		Type: kind, ID: p.Name + "." + p.Namespace, ConfigNamespace: p.Namespace, IPAddresses: []string{p.IP}, Labels: p.Labels,
		Metadata: &model.NodeMetadata{Namespace: p.Namespace, Labels: p.Labels, IstioVersion: "1.31.0"},
	})
	for _, l := range s.fake.Listeners(proxy) {
		if l.Name == name {
			return l
		}
	}
	s.t.Fatalf("%s/%s has no listener %s", p.Namespace, p.Name, name)
	return nil
}

func (s *Server) chain(fc *listener.FilterChain) Chain {
	c := Chain{Name: fc.Name, Port: fc.GetFilterChainMatch().GetDestinationPort().GetValue(), Transport: fc.GetFilterChainMatch().GetTransportProtocol(), Network: fc.Filters}
	for _, f := range fc.Filters {
		h := &hcm.HttpConnectionManager{}
		if !f.GetTypedConfig().MessageIs(h) {
			continue
		}
		if err := f.GetTypedConfig().UnmarshalTo(h); err != nil {
			s.t.Fatal(err)
		}
		c.HTTP = h.HttpFilters
	}
	return c
}
