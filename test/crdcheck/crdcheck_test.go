package crdcheck

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	// The modules whose CRDs are loaded: imported, so that the go command has them unpacked.
	_ "istio.io/api/annotation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	_ "sigs.k8s.io/gateway-api/apis/v1"
)

// load returns a Checker for the CRDs of the Istio and Gateway API versions that the product is built against.
func load(t testing.TB) *Checker {
	t.Helper()
	c, err := Load(
		filepath.Join(moduleDir(t, "istio.io/api"), "kubernetes", "customresourcedefinitions.gen.yaml"),
		filepath.Join(moduleDir(t, "sigs.k8s.io/gateway-api"), "config", "crd", "standard"),
	)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// moduleDir returns where the go command keeps the module.
func moduleDir(t testing.TB, module string) string {
	t.Helper()
	dir := listModule(t, ".", "{{.Dir}}", module)
	if dir == "" {
		t.Fatalf("module %s is not in the module cache", module)
	}
	return dir
}

func listModule(t testing.TB, dir, format, module string) string {
	t.Helper()
	cmd := exec.Command("go", "list", "-m", "-f", format, module)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list -m %s: %v", module, err)
	}
	return strings.TrimSpace(string(out))
}

// TestVersions: the CRDs must be those of the types that the product is built with.
func TestVersions(t *testing.T) {
	// go test keys its cache on the files that a test opens, and not on what a subprocess reads.
	for _, f := range []string{"go.mod", "../../go.mod"} {
		if _, err := os.ReadFile(f); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range []string{"istio.io/api", "sigs.k8s.io/gateway-api"} {
		here := listModule(t, ".", "{{.Version}}", m)
		product := listModule(t, "../..", "{{.Version}}", m)
		if here != product {
			t.Errorf("%s: got version %s here, want %s as in the product", m, here, product)
		}
	}
}

// TestCheck holds one accepted and several refused objects for each layer of validation. The verdicts are those
// of a real kube-apiserver.
func TestCheck(t *testing.T) {
	const authz = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
	const gateway = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n"
	const route = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
	tests := []struct {
		name, yaml string
		want       string // part of the error; empty: valid
	}{
		{"waypoint", gateway + `
metadata: {name: waypoint, namespace: shop, labels: {istio.io/waypoint-for: service}}
spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}`, ""},
		{"policy on a Service", authz + `
metadata: {name: a, namespace: shop}
spec: {targetRefs: [{group: "", kind: Service, name: web}], rules: [{to: [{operation: {methods: [GET]}}]}]}`, ""},
		{"cluster-scoped", "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass" + `
metadata: {name: a}
spec: {controllerName: istio.io/mesh-controller}`, ""},

		{"CEL: selector and targetRefs", authz + `
metadata: {name: a, namespace: shop}
spec: {selector: {matchLabels: {app: a}}, targetRefs: [{group: "", kind: Service, name: web}]}`, "only one of targetRefs or selector"},
		{"CEL: hostname on TCP", gateway + `
metadata: {name: a, namespace: shop}
spec: {gatewayClassName: x, listeners: [{name: a, port: 1, protocol: TCP, hostname: a.example.com}]}`, "hostname must not be specified"},
		{"CEL: path", route + `
metadata: {name: a, namespace: shop}
spec: {rules: [{matches: [{path: {type: PathPrefix, value: x}}]}]}`, "start with '/'"},
		{"unknown field", authz + `
metadata: {name: a, namespace: shop}
spec: {rulez: []}`, "rulez"},
		{"enum", authz + `
metadata: {name: a, namespace: shop}
spec: {action: PERMIT}`, "Unsupported value"},
		{"duplicate in a list keyed by name", gateway + `
metadata: {name: a, namespace: shop}
spec: {gatewayClassName: x, listeners: [{name: a, port: 1, protocol: HTTP}, {name: a, port: 2, protocol: HTTP}]}`, "Duplicate"},
		{"name", authz + `
metadata: {name: ../etc, namespace: shop}`, "metadata.name"},
		{"no namespace", authz + `
metadata: {name: a}`, "metadata.namespace: Required"},
		{"namespace on a cluster-scoped kind", "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass" + `
metadata: {name: a, namespace: shop}
spec: {controllerName: istio.io/mesh-controller}`, "metadata.namespace"},
		{"label", authz + `
metadata: {name: a, namespace: shop, labels: {app: "two words"}}`, "metadata.labels"},
		{"unknown field of metadata", authz + `
metadata: {name: a, namespace: shop, lables: {app: a}}`, "lables"},
		{"no metadata", authz, "metadata: Required"},
		{"unknown kind", "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: shop}", "no CRD is loaded for /v1, Kind=Service"},
		{"version that is not served", "apiVersion: security.istio.io/v9\nkind: AuthorizationPolicy\nmetadata: {name: a, namespace: shop}", "no CRD is loaded"},
	}
	c := load(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(tt.yaml), &u.Object); err != nil {
				t.Fatal(err)
			}
			before := u.DeepCopy()
			err := c.Check(u)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("got %v, want valid", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
			if got, want := mustJSON(t, u), mustJSON(t, before); got != want {
				t.Errorf("Check changed the object\nfrom %s\nto   %s", want, got)
			}
		})
	}
}

// TestKinds: the kinds that a plan renders must be among those that are checked.
func TestKinds(t *testing.T) {
	c := load(t)
	known := map[string]bool{}
	for _, gvk := range c.Kinds() {
		known[gvk.Group+"/"+gvk.Version+"/"+gvk.Kind] = true
	}
	for _, want := range []string{
		"security.istio.io/v1/AuthorizationPolicy",
		"security.istio.io/v1/PeerAuthentication",
		"security.istio.io/v1/RequestAuthentication",
		"networking.istio.io/v1/VirtualService",
		"networking.istio.io/v1/DestinationRule",
		"networking.istio.io/v1/ServiceEntry",
		"networking.istio.io/v1alpha3/EnvoyFilter",
		"telemetry.istio.io/v1/Telemetry",
		"extensions.istio.io/v1alpha1/WasmPlugin",
		"gateway.networking.k8s.io/v1/Gateway",
		"gateway.networking.k8s.io/v1/HTTPRoute",
		"gateway.networking.k8s.io/v1/GRPCRoute",
	} {
		if !known[want] {
			t.Errorf("%s is not among the loaded CRDs", want)
		}
	}
}

func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tests := []struct{ name, path, want string }{
		{"missing", filepath.Join(dir, "nowhere.yaml"), "nowhere.yaml"},
		{"no CRD", write("service.yaml", "apiVersion: v1\nkind: Service\n"), "no new CustomResourceDefinition"},
		{"not YAML", write("broken.yaml", "a: [b\n"), "broken.yaml"},
		{"empty directory", t.TempDir(), "no new CustomResourceDefinition"},
	}
	for _, tt := range tests {
		if _, err := Load(tt.path); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error with %q", tt.name, err, tt.want)
		}
	}
}

func mustJSON(t *testing.T, u *unstructured.Unstructured) string {
	t.Helper()
	b, err := u.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
