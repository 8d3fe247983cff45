package convert_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	networking "istio.io/api/networking/v1alpha3"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/convert"
)

const corpusDir = "../../testdata/corpora"

// load reads files of the corpora into one namespace.
func load(t *testing.T, namespace string, files ...string) *mesh.State {
	t.Helper()
	var paths []string
	for _, f := range files {
		paths = append(paths, filepath.Join(corpusDir, filepath.FromSlash(f)))
	}
	inv, err := inventory.Read(t.Context(), inventory.Options{Paths: paths, DefaultNamespace: namespace})
	if err != nil {
		t.Fatal(err)
	}
	st, unknowns := mesh.New(inv)
	if len(unknowns) > 0 {
		t.Fatal(unknowns)
	}
	return st
}

// TestPublishedPairs: what others have written by hand for a VirtualService and what this package writes do the same
// for every request; where they do not, the pair says why.
func TestPublishedPairs(t *testing.T) {
	const bookinfo = "bookinfo/platform/kube/bookinfo.yaml"
	tests := []struct {
		namespace, host string
		before, after   []string
		// other is part of the difference to the published twin, and because why it is right.
		other, because string
	}{
		{"bookinfo", "reviews", []string{bookinfo, "bookinfo/networking/destination-rule-all.yaml", "bookinfo/networking/virtual-service-all-v1.yaml"}, []string{bookinfo, "bookinfo/platform/kube/bookinfo-versions.yaml", "bookinfo/gateway-api/route-all-v1.yaml"}, "", ""},
		{"bookinfo", "details", []string{bookinfo, "bookinfo/networking/destination-rule-all.yaml", "bookinfo/networking/virtual-service-all-v1.yaml"}, []string{bookinfo, "bookinfo/platform/kube/bookinfo-versions.yaml", "bookinfo/gateway-api/route-all-v1.yaml"}, "", ""},
		{"bookinfo", "ratings", []string{bookinfo, "bookinfo/networking/destination-rule-all.yaml", "bookinfo/networking/virtual-service-all-v1.yaml"}, []string{bookinfo, "bookinfo/platform/kube/bookinfo-versions.yaml", "bookinfo/gateway-api/route-all-v1.yaml"}, "", ""},
		{"bookinfo", "productpage", []string{bookinfo, "bookinfo/networking/destination-rule-all.yaml", "bookinfo/networking/virtual-service-all-v1.yaml"}, []string{bookinfo, "bookinfo/platform/kube/bookinfo-versions.yaml", "bookinfo/gateway-api/route-all-v1.yaml"}, "", ""},
		{"bookinfo", "reviews", []string{bookinfo, "bookinfo/networking/destination-rule-all.yaml", "bookinfo/networking/virtual-service-reviews-50-v3.yaml"}, []string{bookinfo, "bookinfo/platform/kube/bookinfo-versions.yaml", "bookinfo/gateway-api/route-reviews-50-v3.yaml"}, "", ""},
		{"bookinfo", "reviews", []string{bookinfo, "bookinfo/networking/destination-rule-all.yaml", "bookinfo/networking/virtual-service-reviews-90-10.yaml"}, []string{bookinfo, "bookinfo/platform/kube/bookinfo-versions.yaml", "bookinfo/gateway-api/route-reviews-90-10.yaml"}, "", ""},
		{"bookinfo", "reviews", []string{bookinfo, "bookinfo/networking/destination-rule-all.yaml", "bookinfo/networking/virtual-service-reviews-v3.yaml"}, []string{bookinfo, "bookinfo/platform/kube/bookinfo-versions.yaml", "bookinfo/gateway-api/route-reviews-v3.yaml"}, "", ""},
		{"bookinfo", "reviews", []string{bookinfo, "bookinfo/networking/destination-rule-reviews.yaml", "oracle-istio-docs/header-routing/before.yaml"}, []string{bookinfo, "oracle-istio-docs/header-routing/after.yaml"}, "", ""},
		{"default", "httpbin", []string{"oracle-istio-docs/mirroring/workloads.yaml", "oracle-istio-docs/mirroring/before-1-default-route.yaml"}, []string{"oracle-istio-docs/mirroring/workloads.yaml", "oracle-istio-docs/mirroring/after-1-default-route.yaml"},
			"httpbin.default.svc.cluster.local:80/v1", "the published version Services have port 80 where httpbin has 8000; ours keep the ports of the service, so that clients that call them by name find what they had"},
	}
	for i, tt := range tests {
		t.Run(fmt.Sprintf("%d %s", i, filepath.Base(tt.before[len(tt.before)-1])+" "+tt.host), func(t *testing.T) {
			before, published := load(t, tt.namespace, tt.before...), load(t, tt.namespace, tt.after...)
			host := tt.host + "." + tt.namespace + ".svc.cluster.local"
			r := hostOf(t, convert.All(before, newest()), host)
			if r.Class != convert.Converted {
				t.Fatalf("%s: %+v", r.Class, r.Why)
			}
			opts := stands(before, r)
			ours := without(t, before, r)
			for _, p := range before.Service(tt.namespace, tt.host).Ports {
				got := compareAt(t, ours, published, tt.namespace, tt.host, p, opts)
				if tt.other == "" && got != "" || !strings.Contains(got, tt.other) {
					t.Errorf("port %d: %q, want %q (%s)", p.Port, got, tt.other, tt.because)
				}
			}
		})
	}
}

// stands are the version Services as the comparison of routers takes them.
func stands(st *mesh.State, r convert.HostResult) mesh.RouteOptions {
	opts := mesh.RouteOptions{StandsFor: map[string]mesh.RouteTarget{}}
	for _, v := range r.Versions {
		opts.StandsFor[v.Service.Name+"."+v.Service.Namespace+".svc."+st.ClusterDomain()] = mesh.RouteTarget{Host: v.Of.Name + "." + v.Of.Namespace + ".svc." + st.ClusterDomain(), Subset: v.Subset}
	}
	return opts
}

// compareAt compares what a waypoint does with calls of a service in two states; "" when that is the same.
func compareAt(t *testing.T, a, b *mesh.State, namespace, name string, p api.ServicePort, opts mesh.RouteOptions) string {
	t.Helper()
	caller := &api.Workload{Kind: "Deployment", APIVersion: "apps/v1", Group: "apps", Namespace: namespace, Name: "caller"}
	var routers []*mesh.Router
	for _, st := range []*mesh.State{a, b} {
		x := st.Traffic(caller, mesh.ModeAmbient, st.Service(namespace, name), p, &api.WaypointRef{Namespace: namespace, Name: "waypoint"})
		if x.Unknown != "" {
			return x.Unknown
		}
		r, why := mesh.CompileRoutes(ofHTTP(x), x.Call, opts)
		if why != "" {
			return why
		}
		routers = append(routers, r)
	}
	d, why := mesh.CompareRouters(routers[0], routers[1], opts)
	if d != nil {
		return d.String()
	}
	return why
}

func hostOf(t *testing.T, r convert.Result, host string) convert.HostResult {
	t.Helper()
	for _, h := range r.Hosts {
		if h.Host == host {
			return h
		}
	}
	t.Fatalf("no host %s", host)
	return convert.HostResult{}
}

// TestBookinfoAlternatives: each of Istio's VirtualServices for bookinfo by itself.
func TestBookinfoAlternatives(t *testing.T) {
	want := map[string]string{
		"bookinfo-gateway.yaml":                    "kept L-32",
		"certmanager-gateway.yaml":                 "kept L-32",
		"egress-rule-google-apis.yaml":             "converted",
		"fault-injection-details-v1.yaml":          "kept C-44",
		"virtual-service-all-v1.yaml":              "converted",
		"virtual-service-details-v2.yaml":          "converted",
		"virtual-service-ratings-db.yaml":          "converted",
		"virtual-service-ratings-mysql-vm.yaml":    "converted",
		"virtual-service-ratings-mysql.yaml":       "converted",
		"virtual-service-ratings-test-abort.yaml":  "kept C-44",
		"virtual-service-ratings-test-delay.yaml":  "kept C-44",
		"virtual-service-reviews-50-v3.yaml":       "converted",
		"virtual-service-reviews-80-20.yaml":       "converted",
		"virtual-service-reviews-90-10.yaml":       "converted",
		"virtual-service-reviews-jason-v2-v3.yaml": "converted",
		"virtual-service-reviews-test-v2.yaml":     "converted",
		"virtual-service-reviews-v2-v3.yaml":       "converted",
		"virtual-service-reviews-v3.yaml":          "converted",
	}
	dir := filepath.Join(corpusDir, "bookinfo", "networking")
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, f := range files {
		st := load(t, "bookinfo", "bookinfo/platform/kube/bookinfo.yaml", "bookinfo/networking/destination-rule-all.yaml", "bookinfo/networking/"+f.Name())
		if len(st.VirtualServices()) == 0 {
			continue
		}
		seen++
		var got []string
		for _, v := range convert.All(st, newest()).VirtualServices {
			got = append(got, v.Class.String())
			for _, w := range v.Why {
				got = append(got, w.Fact)
			}
		}
		if s := strings.Join(slices.Compact(got), " "); s != want[f.Name()] {
			t.Errorf("%s: %q, want %q", f.Name(), s, want[f.Name()])
		}
	}
	if seen != len(want) {
		t.Errorf("%d files have VirtualServices, %d are in the list", seen, len(want))
	}
}

// TestIngress2Gateway converts the inputs of ingress2gateway as if they were for the mesh. That tool writes a route for
// each of them; we refuse most, since it leaves out what routes cannot say, and istiod refuses some of the inputs.
func TestIngress2Gateway(t *testing.T) {
	tests := []struct {
		file string
		want []string // of each VirtualService: class, facts
	}{
		// redirect, route, directResponse and delegate in one rule: istiod takes only one of them. The published route
		// has a redirect and backends with weight 0, which its own CRD refuses.
		{"2-virtualservice-http.yaml", []string{"blocked"}},
		{"3-virtualservice-tls.yaml", nil},
		{"4-virtualservice-tcp.yaml", nil},
		// uri and uriRegexRewrite together, which istiod refuses; the published route takes the first.
		{"6-virtualservice-http-rewrite.yaml", []string{"blocked", "blocked"}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			st := asMesh(t, load(t, "default", "oracle-gateway-conversion/ingress2gateway/input/"+tt.file))
			var got []string
			for _, v := range convert.All(st, newest()).VirtualServices {
				got = append(got, v.Class.String())
				t.Log(v.Object, v.Class, facts(v.Why))
			}
			if tt.want != nil && !slices.Equal(got, tt.want) {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

// asMesh binds all VirtualServices to the mesh and declares a Service for each host and destination, with port 80 for
// HTTP and those that rules name.
func asMesh(t *testing.T, st *mesh.State) *mesh.State {
	t.Helper()
	inv := *st.Inventory()
	inv.Services, inv.Objects = nil, slices.Clone(inv.Objects)
	ports := map[string]map[int32]string{}
	add := func(host, ns string, port uint32, protocol string) {
		host = st.ResolveHost(host, ns)
		if ports[host] == nil {
			ports[host] = map[int32]string{}
		}
		if port != 0 {
			ports[host][int32(port)] = protocol
		} else if protocol == "HTTP" {
			ports[host][80] = protocol
		}
	}
	for _, v := range st.VirtualServices() {
		for _, h := range v.Spec.GetHosts() {
			if len(v.Spec.GetHttp()) > 0 {
				add(h, v.Namespace, 0, "HTTP")
			}
		}
		dest := func(d *networking.Destination, protocol string) {
			add(d.GetHost(), v.Namespace, d.GetPort().GetNumber(), protocol)
		}
		for _, r := range v.Spec.GetHttp() {
			for _, d := range r.GetRoute() {
				dest(d.GetDestination(), "HTTP")
			}
			for _, m := range r.GetMatch() {
				for _, h := range v.Spec.GetHosts() {
					add(h, v.Namespace, m.GetPort(), "HTTP")
				}
			}
			for _, m := range r.GetMirrors() {
				dest(m.GetDestination(), "HTTP")
			}
		}
		for _, r := range v.Spec.GetTcp() {
			for _, d := range r.GetRoute() {
				dest(d.GetDestination(), "TCP")
			}
			for _, m := range r.GetMatch() {
				for _, h := range v.Spec.GetHosts() {
					add(h, v.Namespace, m.GetPort(), "TCP")
				}
			}
		}
		for _, r := range v.Spec.GetTls() {
			for _, d := range r.GetRoute() {
				dest(d.GetDestination(), "TLS")
			}
		}
	}
	for i := range inv.Objects {
		if spec, ok := inv.Objects[i].Content["spec"].(map[string]any); ok && inv.Objects[i].Kind == "VirtualService" {
			c := map[string]any{}
			for k, v := range spec {
				if k != "gateways" {
					c[k] = v
				}
			}
			content := api.Content{}
			for k, v := range inv.Objects[i].Content {
				content[k] = v
			}
			content["spec"] = c
			inv.Objects[i].Content = content
		}
	}
	for host, ps := range ports {
		parts := strings.Split(host, ".")
		if len(parts) < 3 || parts[2] != "svc" {
			continue
		}
		s := api.Service{Namespace: parts[1], Name: parts[0], Selector: map[string]string{"app": parts[0]}}
		for p, protocol := range ps {
			s.Ports = append(s.Ports, api.ServicePort{Port: p, Protocol: protocol, Transport: "TCP"})
		}
		inv.Services = append(inv.Services, s)
	}
	out, unknowns := mesh.New(&inv)
	if len(unknowns) > 0 {
		t.Fatal(unknowns)
	}
	return out
}

// TestReverse converts what istiod makes of Gateway API routes of the mesh back to routes, and proves that they do the
// same as the VirtualServices. (Not the same as the routes they came from: istiod reads prefixes in them by segments.)
func TestReverse(t *testing.T) {
	dir := filepath.Join(corpusDir, "oracle-gateway-conversion", "istio-gateway-testdata")
	files, err := filepath.Glob(filepath.Join(dir, "*.golden"))
	if err != nil || len(files) == 0 {
		t.Fatal(err, "no goldens")
	}
	classes := map[convert.Class]int{}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var docs []string
		for doc := range strings.SplitSeq(string(raw), "\n---\n") {
			if strings.Contains(doc, "kind: VirtualService") && strings.Contains(doc, "  - mesh\n") {
				docs = append(docs, strings.NewReplacer("domain.suffix", "cluster.local", "~", "-").Replace(doc)) // no API server takes "~"
			}
		}
		if len(docs) == 0 {
			continue
		}
		t.Run(filepath.Base(f), func(t *testing.T) {
			st := asMesh(t, read(t, strings.Join(docs, "\n---\n")))
			for _, h := range convert.All(st, newest()).Hosts {
				classes[h.Class]++
				if h.Class != convert.Converted {
					t.Log(h.Host, h.Class, h.Why)
					continue
				}
				if h.Service.Kind != "Service" {
					continue
				}
				after := without(t, st, h)
				for _, p := range st.Service(h.Service.Namespace, h.Service.Name).Ports {
					if d := compareAt(t, st, after, h.Service.Namespace, h.Service.Name, p, stands(st, h)); d != "" {
						t.Errorf("%s: %s", h.Host, d)
					}
				}
			}
		})
	}
	t.Log(classes)
	if classes[convert.Converted] < 7 {
		t.Errorf("only %v", classes)
	}
}

// TestPublishedTCP: Istio's TCP pairs are bound to a gateway, so the VirtualServices stay (facts L-32); as if they were
// for the mesh, they become routes with the same backends as the published ones.
func TestPublishedTCP(t *testing.T) {
	for _, name := range []string{"tcp-echo-all-v1.yaml", "tcp-echo-20-v2.yaml"} {
		raw, err := os.ReadFile(filepath.Join(corpusDir, "istio-samples", "tcp-echo", name))
		if err != nil {
			t.Fatal(err)
		}
		published := load(t, "default", "istio-samples/tcp-echo/gateway-api/"+name).TCPRoutes()
		r := convert.All(load(t, "default", "istio-samples/tcp-echo/"+name), newest())
		for _, v := range r.VirtualServices {
			if v.Class != convert.Kept || v.Why[0].Fact != "L-32" {
				t.Errorf("%s: %s %+v", name, v.Class, v.Why)
			}
		}
		own := strings.NewReplacer(`- "*"`, "- tcp-echo", "  gateways:\n  - tcp-echo-gateway\n", "", "port: 31400", "port: 9000").Replace(string(raw))
		st := read(t, own+`
---
apiVersion: v1
kind: Service
metadata: {name: tcp-echo, namespace: shop}
spec: {selector: {app: tcp-echo}, ports: [{name: tcp, port: 9000}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: echo, namespace: shop}
spec: {host: tcp-echo, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
`)
		h := hostOf(t, convert.All(st, newest()), "tcp-echo.shop.svc.cluster.local")
		routes := kind(h, "TCPRoute")
		if len(routes) != 1 || len(published) != 1 {
			t.Fatalf("%s: %s %+v, %d published", name, h.Class, h.Why, len(published))
		}
		got := fmt.Sprint(routes[0]["spec"].(map[string]any)["rules"])
		want := fmt.Sprint(published[0].Content["spec"].(map[string]any)["rules"])
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
