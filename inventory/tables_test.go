package inventory

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// TestResolveProtocol follows the cases of istio.io/istio pkg/config/kube/conversion_test.go.
func TestResolveProtocol(t *testing.T) {
	app := func(s string) *string { return &s }
	for _, tc := range []struct {
		port            int32
		name, transport string
		app             *string
		want            string
	}{
		{8888, "", "TCP", nil, ""},
		{25, "", "TCP", nil, "TCP"},
		{53, "", "TCP", nil, "TCP"},
		{3306, "", "TCP", nil, "TCP"},
		{27017, "", "TCP", nil, "TCP"},
		{8888, "http", "TCP", nil, "HTTP"},
		{8888, "http-test", "TCP", nil, "HTTP"},
		{8888, "http", "UDP", nil, "UDP"},
		{8888, "httptest", "TCP", nil, ""},
		{25, "httptest", "TCP", nil, "TCP"},
		{8888, "HTTP2-x", "TCP", nil, "HTTP2"},
		{8888, "grpc", "TCP", nil, "GRPC"},
		{8888, "gRPC-Web", "TCP", nil, "GRPC-Web"},
		{8888, "grpc-web-test", "TCP", nil, "GRPC-Web"},
		{8888, "grpc-test", "TCP", nil, "GRPC"},
		{8888, "https-x", "TCP", nil, "HTTPS"},
		{8888, "tls", "TCP", nil, "TLS"},
		{8888, "tcp", "TCP", nil, "TCP"},
		{8888, "udp", "TCP", nil, "UDP"},
		{8888, "mongo", "TCP", nil, "Mongo"},
		{8888, "redis", "TCP", nil, "Redis"},
		{8888, "mysql", "TCP", nil, "MySQL"},
		{8888, "tcp", "TCP", app("http"), "HTTP"},
		{8888, "http", "TCP", app("custom"), ""},
		{8888, "http", "TCP", app("HTTP-1"), "HTTP"},
		{8888, "", "TCP", app("kubernetes.io/h2c"), "HTTP2"},
		{8888, "", "TCP", app("kubernetes.io/ws"), "HTTP"},
		{8888, "", "TCP", app("kubernetes.io/wss"), "HTTPS"},
		{8888, "http", "UDP", app("http"), "UDP"},
	} {
		if got := resolveProtocol(tc.port, tc.name, tc.transport, tc.app); got != tc.want {
			t.Errorf("resolveProtocol(%d, %q, %s) = %q, want %q", tc.port, tc.name, tc.transport, got, tc.want)
		}
	}
}

// TestOwnerOf shows who is taken for the manager of an object, from the most to the least telling mark.
func TestOwnerOf(t *testing.T) {
	for _, tc := range []struct{ name, meta, want string }{
		{"nobody", "{name: a}", ""},
		{"Argo CD's annotation", "{annotations: {argocd.argoproj.io/tracking-id: 'app:apps/Deployment:shop/web'}}", "argocd app"},
		{"Argo CD's label", "{labels: {argocd.argoproj.io/instance: app}}", "argocd app"},
		{"Flux's kustomization", "{labels: {kustomize.toolkit.fluxcd.io/name: k, kustomize.toolkit.fluxcd.io/namespace: flux-system}}", "flux flux-system/k"},
		{"Flux's release beats Helm's mark", "{labels: {helm.toolkit.fluxcd.io/name: r, app.kubernetes.io/managed-by: Helm}}", "flux r"},
		{"a Helm release", "{annotations: {meta.helm.sh/release-name: r, meta.helm.sh/release-namespace: shop}}", "helm shop/r"},
		{"helm template", "{labels: {app.kubernetes.io/managed-by: Helm}}", "helm "},
		{"an old chart", "{labels: {heritage: Tiller, release: r}}", "helm r"},
		{"a controller", "{ownerReferences: [{kind: X, name: x}, {kind: Gateway, name: g, controller: true}]}", "controller Gateway/g"},
		{"two owners and no controller", "{ownerReferences: [{kind: X, name: x}, {kind: Y, name: y}]}", ""},
		{"an operator", "{labels: {app.kubernetes.io/managed-by: kafka-Operator}}", "operator kafka-Operator"},
		{"Istio's operator", "{labels: {install.operator.istio.io/owning-resource: installed-state}}", "operator installed-state"},
		{"a field manager", "{managedFields: [{manager: kubectl}, {manager: helm}, {manager: argocd-controller}]}", "argocd "},
		{"kubectl alone", "{managedFields: [{manager: kubectl}]}", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, _, err := api.DecodeObject([]byte("metadata: "+tc.meta), 1, false)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if o := ownerOf(c); o != nil {
				got = o.By + " " + o.Name
				if o.Evidence == "" {
					t.Error("no evidence")
				}
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestImageTag(t *testing.T) {
	for image, want := range map[string]string{
		"istio/pilot:1.31.0": "1.31.0", "istio/pilot:1.31.0-distroless": "1.31.0", "reg:5000/pilot": "",
		"reg:5000/pilot:1.30.1@sha256:abc": "1.30.1", "pilot@sha256:abc": "", "": "",
	} {
		if got := imageTag(image); got != want {
			t.Errorf("imageTag(%q) = %q, want %q", image, got, want)
		}
	}
}

func TestNewerVersion(t *testing.T) {
	for _, tc := range []struct {
		v, than string
		want    bool
	}{{"1.30.0", "", true}, {"", "1.30.0", false}, {"1.31.0", "1.30.9", true}, {"1.9.0", "1.10.0", false}, {"1.30.1-gke.2", "1.30.0", true}} {
		if got := newerVersion(tc.v, tc.than); got != tc.want {
			t.Errorf("newerVersion(%q, %q) = %v", tc.v, tc.than, got)
		}
	}
}

const callGraphMesh = `apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-v1, namespace: shop}
spec: {template: {metadata: {labels: {app: web}}, spec: {serviceAccountName: web-account}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-v2, namespace: shop}
spec: {template: {metadata: {labels: {app: web}}}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: bank, namespace: shop}
spec: {hosts: [api.bank.example]}
`

// TestReadEdges shows how the ends of calls are found, and what is not found.
func TestReadEdges(t *testing.T) {
	inv := readString(t, "", callGraphMesh)
	edges, unknowns, err := ReadEdges("calls.csv", strings.NewReader("\ufeffsource_namespace,source,target_namespace,target,protocol\n"+
		"shop,web,shop,cart,http\n"+
		"shop,web-v1,shop,api.bank.example,https\n"+
		"shop,web-account,shop,cart,\n"+
		"shop,ghost,shop,cart,http\n"+
		"shop,web-v1,shop,nothing,http\n"+
		"shop,web-v1,shop,cart,http\n"), api.Observed, inv)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range edges {
		got = append(got, e.From.String()+" -> "+e.To.String()+" "+e.Protocol+" "+e.Evidence[0].Source)
		if e.Provenance != api.Observed {
			t.Errorf("provenance %q", e.Provenance)
		}
	}
	if diff := cmp.Diff([]string{
		"Deployment shop/web-v1 -> Service shop/cart http calls.csv:2",
		"Deployment shop/web-v1 -> ServiceEntry shop/bank https calls.csv:3",
		"Deployment shop/web-v2 -> Service shop/cart http calls.csv:2",
		"ServiceAccount shop/web-account -> Service shop/cart  calls.csv:4",
	}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	var missing []string
	for _, u := range unknowns {
		missing = append(missing, u.What)
	}
	if diff := cmp.Diff([]string{
		"calls.csv:6 names a server shop/nothing that is not in the inventory",
		"calls.csv:5 names a client shop/ghost that is not in the inventory",
	}, missing); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestReadEdgesErrors shows what makes a call graph unusable, with its line.
func TestReadEdgesErrors(t *testing.T) {
	const head = "source_namespace,source,target_namespace,target\n"
	for _, tc := range []struct{ name, in, want string }{
		{"empty", "", "c.csv:1: the call graph is empty"},
		{"no rate", "source_namespace,source,target_namespace,target,rps\na,b,c,d,many\n", `c.csv:2: rps "many" is no number of requests a second`},
		{"unknown column", "source_namespace,source,target_namespace,target,size\n", `c.csv:1: unknown column "size"`},
		{"missing column", "source_namespace,source,target_namespace\n", `c.csv:1: column "target" is missing`},
		{"column twice", "source,source\n", `c.csv:1: column "source" is there twice`},
		{"short row", head + "a,b,c,d\na,b\n", "c.csv:3: 2 fields where the header has 4"},
		{"empty field", head + "a,,c,d\n", "c.csv:2: source is empty"},
		{"open quote", head + "a,b,c,\"d\n", "c.csv:"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := ReadEdges("c.csv", strings.NewReader(tc.in), api.Declared, &api.Inventory{})
			if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
		})
	}
	broken := errors.New("disk on fire")
	if _, _, err := ReadEdges("c.csv", iotest.ErrReader(broken), api.Declared, &api.Inventory{}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// FuzzEdges: no call graph makes the reader panic, and errors name the file.
func FuzzEdges(f *testing.F) {
	f.Add("source_namespace,source,target_namespace,target\nshop,web,shop,cart\n")
	f.Add("source_namespace,source,target_namespace,target,protocol,evidence\n\"a\nb\",\"\"\"\",c,d,e,f\n")
	inv, err := Read(f.Context(), Options{Paths: []string{"-"}, Stdin: strings.NewReader(callGraphMesh)})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in string) {
		_, _, err := ReadEdges("c.csv", strings.NewReader(in), api.Declared, inv)
		if err != nil && !strings.HasPrefix(err.Error(), "c.csv:") {
			t.Fatalf("no place: %v", err)
		}
	})
}

// TestAnnotations shows what annotations may say, and what becomes of nonsense.
func TestAnnotations(t *testing.T) {
	inv := readString(t, "", `apiVersion: v1
kind: Namespace
metadata:
  name: shop
  annotations:
    ambientplan.dev/team: checkout
    ambientplan.dev/keep-sidecar: " "
---
apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: shop
  annotations:
    ambientplan.dev/needs: retries, timeouts,teleport
    ambientplan.dev/waive.l7-telemetry: nobody looks
    ambientplan.dev/waive.mirroring: ""
    ambientplan.dev/waive.magic: because
    ambientplan.dev/keep-sidecar: certified with it
    ambientplan.dev/latency-budget: soon
    ambientplan.dev/colour: red
---
apiVersion: v1
kind: Service
metadata: {name: plain, namespace: shop}
`)
	needs, unknowns := Annotations(inv)
	want := []api.FeatureNeeds{
		{TypeMeta: api.TypeMeta{APIVersion: api.APIVersion, Kind: api.KindFeatureNeeds}, Metadata: api.Metadata{Name: "Namespace shop"},
			Services: []api.ServiceNeeds{{Namespace: "shop", Team: "checkout"}}, File: "stdin", Lines: map[string]int{"services[0].team": 6}},
		{TypeMeta: api.TypeMeta{APIVersion: api.APIVersion, Kind: api.KindFeatureNeeds}, Metadata: api.Metadata{Name: "Service shop/web"},
			Services: []api.ServiceNeeds{{Namespace: "shop", Service: "web",
				Capabilities: []api.WantedCapability{{Capability: api.CapRetries}, {Capability: api.CapTimeouts}},
				Waive:        []api.Waiver{{Capability: api.CapL7Telemetry, Reason: "nobody looks"}},
				KeepSidecar:  &api.KeepSidecar{Reason: "certified with it"}}},
			File: "stdin", Lines: map[string]int{"services[0].capabilities": 15, "services[0].waive[0]": 16, "services[0].keepSidecar": 19}},
	}
	if diff := cmp.Diff(want, needs); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	var got []string
	for _, u := range unknowns {
		got = append(got, u.Evidence[0].Source+" "+u.What)
	}
	if diff := cmp.Diff([]string{
		"stdin:7 annotation ambientplan.dev/keep-sidecar of Namespace shop: it is empty",
		"stdin:21 annotation ambientplan.dev/colour of Service shop/web: this version knows no such annotation",
		`stdin:20 annotation ambientplan.dev/latency-budget of Service shop/web: "soon" is not a duration like "2ms"`,
		`stdin:15 annotation ambientplan.dev/needs of Service shop/web: "teleport" is not a capability`,
		`stdin:18 annotation ambientplan.dev/waive.magic of Service shop/web: "magic" is not a capability`,
		"stdin:17 annotation ambientplan.dev/waive.mirroring of Service shop/web: a waiver needs a reason",
	}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
