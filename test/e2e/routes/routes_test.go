// Package routes compares what package mesh says of routes and traffic policies with what a real istiod generates, over
// random meshes. Kubernetes is a fake; there are no proxies.
package routes

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"slices"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pilot/test/xdstest"
	"istio.io/istio/pkg/config/schema/gvk"
	"istio.io/istio/pkg/config/schema/gvr"
	"istio.io/istio/pkg/kube/kclient/clienttest"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ambientplan/ambientplan/internal/istiodroutes"
)

var (
	count  = flag.Int("meshes", 200, "random meshes to compare")
	seed   = flag.Int64("seed", 1, "seed of the random meshes; 0 takes the time")
	output = flag.String("record", "", "file to write the meshes and istiod's answers to")
)

// TestMain runs the tests with the environment of Istio's ambient profile: istiod reads its feature flags when it is
// loaded, so that they must be there before.
func TestMain(m *testing.M) {
	if os.Getenv("PILOT_ENABLE_AMBIENT") == "" {
		exe, err := os.Executable()
		if err != nil {
			panic(err)
		}
		panic(syscall.Exec(exe, os.Args, append(os.Environ(), "PILOT_ENABLE_AMBIENT=true", "ISTIOD_CUSTOM_HOST=localhost")))
	}
	os.Exit(m.Run())
}

// TestRoutesAgainstIstiod asks istiod and package mesh what acts on calls of one service: by the sidecars of two clients
// and by the waypoint.
func TestRoutesAgainstIstiod(t *testing.T) {
	from := *seed
	if from == 0 {
		from = time.Now().UnixNano()
	}
	t.Logf("-seed %d", from)
	r := rand.New(rand.NewSource(from))
	var cases []*istiodroutes.Case
	asked, compared := 0, 0
	for i := range *count {
		c := drawRoutes(r)
		t.Run(fmt.Sprint(i), func(t *testing.T) { record(t, c) })
		cases = append(cases, c)
		for _, proxy := range []string{"web", "cart", "waypoint"} {
			asked++
			ds, known, err := c.Compare(proxy)
			if err != nil {
				t.Fatalf("mesh %d, %s: %v", i, proxy, err)
			}
			if known {
				compared++
			}
			if len(ds) > 0 {
				t.Errorf("mesh %d, %s:\n%s\nfor\n%s", i, proxy, strings.Join(ds, "\n"), strings.Join(c.Objects, "\n---\n"))
			}
		}
	}
	t.Logf("%d of %d answers compared, mesh does not know the rest", compared, asked)
	if compared < asked*8/10 {
		t.Errorf("only %d of %d answers were compared", compared, asked)
	}
	if *output == "" {
		return
	}
	b, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(*output, append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// routesMesh is the mesh around the objects of a case, with the namespace of the waypoint as WPNS.
const routesMesh = `apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Namespace
metadata: {name: web}
---
apiVersion: v1
kind: Namespace
metadata: {name: infra}
---
apiVersion: v1
kind: Namespace
metadata: {name: istio-system}
---
apiVersion: v1
kind: Service
metadata:
  name: orders
  namespace: shop
  creationTimestamp: "2025-01-01T00:00:00Z"
  labels: {istio.io/use-waypoint: waypoint, istio.io/use-waypoint-namespace: WPNS}
spec:
  clusterIP: 10.96.1.1
  selector: {app: orders}
  ports: [{name: http, port: 80}, {name: tcp, port: 9000}, {name: tls, port: 443}]
---
apiVersion: v1
kind: Service
metadata: {name: orders-v2, namespace: shop, creationTimestamp: "2025-01-01T00:00:00Z"}
spec:
  clusterIP: 10.96.1.2
  selector: {app: orders, version: v2}
  ports: [{name: http, port: 80}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: WPNS, labels: {istio.io/waypoint-for: service}}
spec:
  gatewayClassName: istio-waypoint
  listeners: [{name: mesh, port: 15008, protocol: HBONE, allowedRoutes: {namespaces: {from: All}}}]
status:
  addresses: [{type: Hostname, value: waypoint.WPNS.svc.cluster.local}]
---
apiVersion: v1
kind: Service
metadata:
  name: waypoint
  namespace: WPNS
  labels: {gateway.istio.io/managed: istio.io-mesh-controller, gateway.networking.k8s.io/gateway-name: waypoint}
spec:
  clusterIP: 10.96.1.9
  selector: {gateway.networking.k8s.io/gateway-name: waypoint}
  ports: [{name: mesh, port: 15008, appProtocol: hbone}]
---
apiVersion: v1
kind: Pod
metadata:
  name: waypoint-0
  namespace: WPNS
  labels: {gateway.istio.io/managed: istio.io-mesh-controller, gateway.networking.k8s.io/gateway-name: waypoint}
spec: {serviceAccountName: waypoint, nodeName: node-0, containers: [{name: istio-proxy, image: x}]}
status:
  phase: Running
  podIP: 10.244.0.3
  podIPs: [{ip: 10.244.0.3}]
  conditions: [{type: Ready, status: "True"}]
`

// served makes istiod read GRPCRoutes, TCPRoutes and TLSRoutes: it waits for CustomResourceDefinitions of a version of
// Gateway API that it knows.
func served(t *testing.T, s *xds.FakeDiscoveryServer, c *istiodroutes.Case) {
	want := 0
	for _, o := range c.Objects {
		for _, k := range []string{"kind: GRPCRoute", "kind: TCPRoute", "kind: TLSRoute"} {
			if strings.Contains(o, k) {
				want++
			}
		}
	}
	if want == 0 {
		return
	}
	for _, g := range []schema.GroupVersionResource{gvr.GRPCRoute, gvr.TCPRoute, gvr.TLSRoute} {
		clienttest.MakeCRDWithAnnotations(t, s.KubeClient(), g, map[string]string{"gateway.networking.k8s.io/bundle-version": "v1.6.0"})
	}
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		names := map[string]bool{}
		for _, cfg := range s.Store().List(gvk.VirtualService, "") {
			for n := range strings.SplitSeq(cfg.Annotations["internal.istio.io/parents"], ",") {
				if strings.HasPrefix(n, "GRPCRoute") || strings.HasPrefix(n, "TCPRoute") || strings.HasPrefix(n, "TLSRoute") {
					names[n] = true
				}
			}
		}
		if len(names) >= want {
			s.EnsureSynced(t)
			time.Sleep(30 * time.Millisecond)
			return
		}
	}
	t.Error("istiod did not read all routes")
}

// record fills in what istiod makes of a case, and drops the objects that it refuses.
func record(t *testing.T, c *istiodroutes.Case) {
	var istio []string
	kube := []string{strings.ReplaceAll(routesMesh, "WPNS", c.Waypoint)}
	for _, o := range c.Objects {
		if strings.Contains(o, "gateway.networking.k8s.io") {
			kube = append(kube, o)
		} else {
			istio = append(istio, o)
		}
	}
	opts := xds.FakeOptions{KubernetesObjectString: strings.Join(kube, "\n---\n")}
	var kept []string
	for _, o := range c.Objects {
		if !slices.Contains(istio, o) {
			kept = append(kept, o)
			continue
		}
		// What istiod's validation refuses is not part of the case.
		cfgs, _, err := crd.ParseInputs(o)
		if err != nil {
			continue
		}
		for i := range cfgs {
			cfgs[i].Domain = "cluster.local"
		}
		opts.Configs = append(opts.Configs, cfgs...)
		kept = append(kept, o)
	}
	c.Objects = kept
	s := xds.NewFakeDiscoveryServer(t, opts)
	served(t, s, c)
	c.Proxies = map[string]*istiodroutes.Proxy{}
	for _, name := range []string{"web", "cart"} {
		ns := map[string]string{"web": "web", "cart": "shop"}[name]
		labels := map[string]string{"app": name}
		p := s.SetupProxy(&model.Proxy{ConfigNamespace: ns, IPAddresses: []string{"10.244.0.5"}, Labels: labels, Metadata: &model.NodeMetadata{Namespace: ns, Labels: labels}})
		c.Proxies[name] = sidecarProxy(t, s, p)
	}
	labels := map[string]string{"gateway.networking.k8s.io/gateway-name": "waypoint", "gateway.istio.io/managed": "istio.io-mesh-controller"}
	deadline := time.Now().Add(5 * time.Second)
	for {
		p := s.SetupProxy(&model.Proxy{Type: model.Waypoint, ConfigNamespace: c.Waypoint, IPAddresses: []string{"10.244.0.3"}, Labels: labels, Metadata: &model.NodeMetadata{Namespace: c.Waypoint, Labels: labels}})
		w := waypointProxy(t, s, p)
		if w != nil {
			c.Proxies["waypoint"] = w
			break
		}
		if time.Now().After(deadline) {
			t.Log("the waypoint does not know the service")
			c.Proxies["waypoint"] = &istiodroutes.Proxy{}
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func httpRules(vh *routev3.VirtualHost) []string {
	var out []string
	for _, r := range vh.Routes {
		to := r.GetRoute().GetCluster()
		if w := r.GetRoute().GetWeightedClusters(); w != nil {
			to = "weighted"
		}
		if r.GetDirectResponse() != nil {
			to = fmt.Sprintf("direct %d", r.GetDirectResponse().Status)
		}
		path := ""
		switch m := r.GetMatch().GetPathSpecifier().(type) {
		case *routev3.RouteMatch_Prefix:
			path = "prefix " + m.Prefix
		case *routev3.RouteMatch_Path:
			path = "exact " + m.Path
		case *routev3.RouteMatch_PathSeparatedPrefix:
			path = "prefix " + m.PathSeparatedPrefix
		case *routev3.RouteMatch_SafeRegex:
			path = "regex " + m.SafeRegex.Regex
		}
		if m := r.GetMatch(); len(m.GetHeaders())+len(m.GetQueryParameters()) > 0 {
			path += " and more"
		}
		out = append(out, fmt.Sprintf("%s|%d|%s", path, int(r.GetRoute().GetTimeout().AsDuration().Seconds()), to))
	}
	return out
}

func limits(cs []*cluster.Cluster, names ...string) map[string]uint32 {
	out := map[string]uint32{}
	for _, c := range cs {
		if !slices.Contains(names, c.Name) {
			continue
		}
		v := c.GetCircuitBreakers().GetThresholds()[0].GetMaxConnections().GetValue()
		if v > 1000000 {
			v = 0
		}
		out[c.Name] = v
	}
	return out
}

func sidecarProxy(t *testing.T, s *xds.FakeDiscoveryServer, p *model.Proxy) *istiodroutes.Proxy {
	out := &istiodroutes.Proxy{}
	for _, rc := range s.Routes(p) {
		if rc.Name != "80" {
			continue
		}
		for _, vh := range rc.VirtualHosts {
			if slices.Contains(vh.Domains, istiodroutes.OrdersHost) {
				out.HTTP = httpRules(vh)
			}
		}
	}
	for _, l := range s.Listeners(p) {
		switch {
		case strings.HasSuffix(l.Name, "_9000"):
			out.TCP = chains(t, l)
		case strings.HasSuffix(l.Name, "_443"):
			out.TLS = chains(t, l)
		}
	}
	out.Limits = limits(s.Clusters(p), "outbound|80||"+istiodroutes.OrdersHost, "outbound|80|v2|"+istiodroutes.OrdersHost, "outbound|80||orders-v2.shop.svc.cluster.local")
	return out
}

func chains(t *testing.T, l *listener.Listener) []string {
	var out []string
	fcs := l.FilterChains
	for _, fc := range fcs {
		for _, f := range fc.Filters {
			if f.Name != "envoy.filters.network.tcp_proxy" {
				continue
			}
			x := &tcp.TcpProxy{}
			if err := f.GetTypedConfig().UnmarshalTo(x); err != nil {
				t.Fatal(err)
			}
			sni := append([]string{}, fc.GetFilterChainMatch().GetServerNames()...)
			sort.Strings(sni)
			out = append(out, strings.Join(sni, ",")+"|"+x.GetCluster())
		}
	}
	return out
}

func waypointProxy(t *testing.T, s *xds.FakeDiscoveryServer, p *model.Proxy) *istiodroutes.Proxy {
	out := &istiodroutes.Proxy{}
	found := false
	for _, l := range s.Listeners(p) {
		if l.Name != "main_internal" {
			continue
		}
		for _, fc := range l.FilterChains {
			if fc.Name == "inbound-vip|80|http|"+istiodroutes.OrdersHost || strings.HasPrefix(fc.Name, "inbound-vip|80|http|"+istiodroutes.OrdersHost) {
				found = true
				if h := xdstest.ExtractHTTPConnectionManager(t, fc); h != nil {
					if rc, ok := h.RouteSpecifier.(*hcm.HttpConnectionManager_RouteConfig); ok {
						for _, vh := range rc.RouteConfig.VirtualHosts {
							out.HTTP = append(out.HTTP, httpRules(vh)...)
						}
					}
				}
			}
			for port, list := range map[string]*[]string{"9000": &out.TCP, "443": &out.TLS} {
				if strings.HasPrefix(fc.Name, "inbound-vip|"+port+"|tcp|"+istiodroutes.OrdersHost) {
					*list = append(*list, chains(t, &listener.Listener{FilterChains: []*listener.FilterChain{fc}})...)
				}
			}
		}
	}
	if !found {
		return nil
	}
	out.Limits = limits(s.Clusters(p), "inbound-vip|80|http|"+istiodroutes.OrdersHost, "inbound-vip|80|http/v2|"+istiodroutes.OrdersHost, "outbound|80||orders-v2.shop.svc.cluster.local")
	return out
}
