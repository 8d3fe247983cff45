// Package router compares the routers of package mesh with the routes that a real istiod generates, request by request,
// over random VirtualServices, HTTPRoutes and GRPCRoutes. Kubernetes is a fake; there are no proxies: a small evaluator
// stands for Envoy.
package router

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pilot/test/xdstest"
	"istio.io/istio/pkg/config/schema/gvk"
	"istio.io/istio/pkg/config/schema/gvr"
	"istio.io/istio/pkg/kube/kclient/clienttest"
	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/test/e2e/istiod"
)

var (
	meshes = flag.Int("meshes", 20, "random meshes, each with an object for each of its services")
	seed   = flag.Int64("seed", 1, "seed of the random meshes; 0 takes the time")
)

// services in a mesh that have an object.
const services = 25

func TestMain(m *testing.M) { istiod.Main(m) }

// TestRoutersAgainstIstiod asks istiod and package mesh what becomes of a request of each cell of each router, at the
// sidecar of a client and at the waypoint.
func TestRoutersAgainstIstiod(t *testing.T) {
	from := *seed
	if from == 0 {
		from = time.Now().UnixNano()
	}
	t.Logf("-seed %d", from)
	r := rand.New(rand.NewSource(from))
	total := &tally{unknown: map[string]int{}}
	for i := range *meshes {
		var objects []string
		for n := range services {
			objects = append(objects, drawObject(r, n))
		}
		t.Run(fmt.Sprint(i), func(t *testing.T) { compare(t, objects, total) })
	}
	t.Logf("%d routers, %d requests compared; %d routers not known: %v", total.routers, total.requests, total.skipped, total.unknown)
	if total.skipped*4 > total.routers {
		t.Errorf("%d of %d routers are not known", total.skipped, total.routers)
	}
}

type tally struct {
	routers, requests, skipped int
	unknown                    map[string]int
}

const around = `apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Namespace
metadata: {name: istio-system}
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
metadata:
  name: waypoint
  namespace: shop
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
  namespace: shop
  labels: {gateway.istio.io/managed: istio.io-mesh-controller, gateway.networking.k8s.io/gateway-name: waypoint}
spec: {serviceAccountName: waypoint, nodeName: node-0, containers: [{name: istio-proxy, image: x}]}
status:
  phase: Running
  podIP: 10.244.0.3
  podIPs: [{ip: 10.244.0.3}]
  conditions: [{type: Ready, status: "True"}]
`

// serviceNames are the services; all but "other" have two ports, for HTTP.
func serviceNames() []string {
	out := []string{"other", "two"}
	for n := range services {
		out = append(out, fmt.Sprintf("svc%d", n))
	}
	return out
}

// start runs istiod over the objects that it accepts, and gives these.
func start(t *testing.T, objects []string) (*xds.FakeDiscoveryServer, []string) {
	kube := []string{around}
	for i, n := range serviceNames() {
		ports := "{name: http, port: 80}, {name: http-b, port: 81}"
		if n == "other" {
			ports = "{name: http, port: 80}"
		}
		kube = append(kube, fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}\nspec: {clusterIP: 10.96.2.%d, selector: {app: %s}, ports: [%s]}", n, i+1, n, ports))
	}
	var opts xds.FakeOptions
	var kept []string
	grpc := 0
	for _, o := range objects {
		if strings.Contains(o, "gateway.networking.k8s.io") {
			kube, kept = append(kube, o), append(kept, o)
			if strings.Contains(o, "kind: GRPCRoute") {
				grpc++
			}
			continue
		}
		cfgs, _, err := crd.ParseInputs(o)
		if err != nil {
			t.Logf("istiod refuses: %v", err)
			continue
		}
		for i := range cfgs {
			cfgs[i].Domain = "cluster.local"
		}
		opts.Configs, kept = append(opts.Configs, cfgs...), append(kept, o)
	}
	opts.KubernetesObjectString = strings.Join(kube, "\n---\n")
	s := xds.NewFakeDiscoveryServer(t, opts)
	if grpc > 0 {
		clienttest.MakeCRDWithAnnotations(t, s.KubeClient(), gvr.GRPCRoute, map[string]string{"gateway.networking.k8s.io/bundle-version": "v1.6.0"})
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			seen := 0
			for _, cfg := range s.Store().List(gvk.VirtualService, "") {
				if strings.HasPrefix(cfg.Annotations["internal.istio.io/parents"], "GRPCRoute") {
					seen++
				}
			}
			if seen >= grpc {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("istiod read %d of %d GRPCRoutes", seen, grpc)
			}
		}
		s.EnsureSynced(t)
		time.Sleep(30 * time.Millisecond)
	}
	return s, kept
}

// sidecarHosts are the virtual hosts of a sidecar for port 80, by service.
func sidecarHosts(s *xds.FakeDiscoveryServer) map[string]*routev3.VirtualHost {
	labels := map[string]string{"app": "client"}
	p := s.SetupProxy(&model.Proxy{ConfigNamespace: "shop", IPAddresses: []string{"10.244.0.5"}, Labels: labels, Metadata: &model.NodeMetadata{Namespace: "shop", Labels: labels}})
	out := map[string]*routev3.VirtualHost{}
	for _, rc := range s.Routes(p) {
		if rc.Name != "80" {
			continue
		}
		for _, vh := range rc.VirtualHosts {
			for _, n := range serviceNames() {
				if slices.Contains(vh.Domains, n+".shop.svc.cluster.local") {
					out[n] = vh
				}
			}
		}
	}
	return out
}

// waypointHosts are the virtual hosts of the waypoint for port 80, by service.
func waypointHosts(t *testing.T, s *xds.FakeDiscoveryServer) map[string]*routev3.VirtualHost {
	labels := map[string]string{"gateway.networking.k8s.io/gateway-name": "waypoint", "gateway.istio.io/managed": "istio.io-mesh-controller"}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		p := s.SetupProxy(&model.Proxy{Type: model.Waypoint, ConfigNamespace: "shop", IPAddresses: []string{"10.244.0.3"}, Labels: labels, Metadata: &model.NodeMetadata{Namespace: "shop", Labels: labels}})
		out := map[string]*routev3.VirtualHost{}
		for _, l := range s.Listeners(p) {
			if l.Name != "main_internal" {
				continue
			}
			for _, fc := range l.FilterChains {
				for _, n := range serviceNames() {
					if !strings.HasPrefix(fc.Name, "inbound-vip|80|http|"+n+".shop.svc.cluster.local") {
						continue
					}
					if h := xdstest.ExtractHTTPConnectionManager(t, fc); h != nil {
						if rc, ok := h.RouteSpecifier.(*hcm.HttpConnectionManager_RouteConfig); ok {
							out[n] = rc.RouteConfig.VirtualHosts[0]
						}
					}
				}
			}
		}
		if len(out) == len(serviceNames()) {
			return out
		}
		if time.Now().After(deadline) {
			t.Fatalf("the waypoint knows %d of %d services", len(out), len(serviceNames()))
		}
	}
}

// state is the same mesh for package mesh.
func state(t *testing.T, objects []string) *mesh.State {
	inv := &api.Inventory{
		Namespaces: []api.Namespace{{Name: "shop"}, {Name: "istio-system"}},
		Workloads:  []api.Workload{{Kind: "Deployment", APIVersion: "apps/v1", Group: "apps", Namespace: "shop", Name: "client", PodLabels: map[string]string{"app": "client"}}},
	}
	for _, n := range serviceNames() {
		svc := api.Service{Namespace: "shop", Name: n, Labels: map[string]string{mesh.LabelUseWaypoint: "waypoint"}, Ports: []api.ServicePort{{Name: "http", Port: 80, Protocol: "HTTP"}}}
		if n != "other" {
			svc.Ports = append(svc.Ports, api.ServicePort{Name: "http-b", Port: 81, Protocol: "HTTP"})
		}
		inv.Services = append(inv.Services, svc)
	}
	for _, doc := range objects {
		b, err := yaml.YAMLToJSON([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		var c api.Content
		if err := json.Unmarshal(b, &c); err != nil {
			t.Fatal(err)
		}
		meta, _ := c["metadata"].(map[string]any)
		o := api.Object{Content: c}
		o.APIVersion, _ = c["apiVersion"].(string)
		o.Kind, _ = c["kind"].(string)
		o.Namespace, _ = meta["namespace"].(string)
		o.Name, _ = meta["name"].(string)
		inv.Objects = append(inv.Objects, o)
	}
	st, unknowns := mesh.New(inv)
	if len(unknowns) > 0 {
		t.Fatal(unknowns)
	}
	return st
}

func compare(t *testing.T, objects []string, total *tally) {
	s, kept := start(t, objects)
	st := state(t, kept)
	client := st.WorkloadsIn("shop")[0]
	for _, place := range []string{"sidecar", "waypoint"} {
		mode, through, hosts := mesh.ModeSidecar, (*api.WaypointRef)(nil), map[string]*routev3.VirtualHost(nil)
		if place == "sidecar" {
			hosts = sidecarHosts(s)
		} else {
			mode, through, hosts = mesh.ModeAmbient, &api.WaypointRef{Name: "waypoint", Namespace: "shop"}, waypointHosts(t, s)
		}
		for _, n := range serviceNames() {
			svc := st.Service("shop", n)
			a := st.Traffic(client, mode, svc, svc.Ports[0], through)
			total.routers++
			if a.Unknown != "" {
				total.skipped++
				total.unknown[a.Unknown]++
				continue
			}
			router, why := mesh.CompileRoutes(a.Routes, a.Call, mesh.RouteOptions{})
			var cells []mesh.RouteRequest
			if why == "" {
				cells, why = mesh.RouteCells(router, router, mesh.RouteOptions{})
			}
			if why != "" {
				total.skipped++
				total.unknown[why]++
				continue
			}
			vh := hosts[n]
			if vh == nil {
				t.Fatalf("%s: istiod has no virtual host for %s", place, n)
			}
			for _, req := range cells {
				got := router.Route(req)
				if got.Unknown != "" {
					total.unknown[got.Unknown]++
					continue
				}
				total.requests++
				want := []string{"404"}
				if i := slices.IndexFunc(vh.Routes, func(r *routev3.Route) bool { return matches(r.Match, req) }); i >= 0 {
					want = envoyDoes(vh.Routes[i], req)
				}
				have := []string{"404"}
				if !got.Action.NotFound {
					have = meshDoes(got.Action, req)
				}
				if !slices.Equal(want, have) {
					t.Errorf("%s: %s at %s\nistiod:\n  %s\nmesh (%s %s):\n  %s\nfor\n%s", place, req, n, strings.Join(want, "\n  "), got.Object, got.Path, strings.Join(have, "\n  "), objectOf(kept, n))
					break
				}
			}
		}
	}
}

func objectOf(objects []string, name string) string {
	for _, o := range objects {
		if strings.Contains(o, "metadata: {name: "+name+",") {
			return o
		}
	}
	return ""
}
