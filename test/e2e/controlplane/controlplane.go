// Package controlplane installs Istio in an API server, with the manifests of
// istioctl, and runs its istiod in the process of the test: with its webhooks, its
// controller of waypoints and the conditions that it writes. There are no proxies.
package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"istio.io/istio/operator/pkg/render"
	"istio.io/istio/operator/pkg/util/clog"
	"istio.io/istio/pilot/pkg/bootstrap"
	"istio.io/istio/pkg/cluster"
	"istio.io/istio/pkg/config/constants"
	"istio.io/istio/pkg/keepalive"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/test/e2e/apiserver"
)

const (
	manager   = apiserver.Manager("istioctl")
	namespace = "istio-system"
)

// Start installs the CRDs of the Gateway API and Istio's ambient profile, and runs
// istiod until the test ends. It returns what was installed, when istiod's webhooks answer.
func Start(t testing.TB, s *apiserver.Server) map[api.Ref]bool {
	t.Helper()
	ctx := t.Context()
	webhooks := freeAddress(t)
	installed := install(ctx, t, s, webhooks)
	server, err := bootstrap.NewServer(arguments(t, s.Kubeconfig, webhooks))
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	if err := server.Start(stop); err != nil {
		t.Fatal(err)
	}
	apiserver.Eventually(t, 3*time.Minute, func() error { return ready(ctx, s) })
	return installed
}

// install applies the manifests.
func install(ctx context.Context, t testing.TB, s *apiserver.Server, webhooks string) map[api.Ref]bool {
	t.Helper()
	installed := map[api.Ref]bool{}
	apply := func(o map[string]any) {
		if err := s.ApplyLoose(ctx, o, manager); err != nil {
			t.Fatalf("%s %s: %v", o["kind"], (&unstructured.Unstructured{Object: o}).GetName(), err)
		}
		installed[refOf(o)] = true
	}
	for _, o := range gatewayAPI(t) {
		apply(o)
	}
	apply(map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": namespace}})
	settings := []string{"profile=ambient", "hub=example.com", "tag=1"}
	sets, _, err := render.GenerateManifest(nil, settings, false, nil, clog.NewConsoleLogger(io.Discard, io.Discard, nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range sets {
		for _, m := range set.Manifests {
			u := m.Unstructured.DeepCopy()
			if strings.HasSuffix(u.GetKind(), "WebhookConfiguration") {
				pointTo(u, webhooks)
			}
			apply(u.Object)
		}
	}
	return installed
}

// refOf names an object.
func refOf(o map[string]any) api.Ref {
	u := &unstructured.Unstructured{Object: o}
	return api.Ref{Group: u.GroupVersionKind().Group, Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName()}
}

// gatewayAPI is the standard channel of the Gateway API's CRDs.
func gatewayAPI(t testing.TB) []map[string]any {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api").Output()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "config/crd/standard/*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no CRDs of the Gateway API: %v", err)
	}
	var out []map[string]any
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for doc := range strings.SplitSeq("\n"+string(b), "\n---") {
			var o map[string]any
			if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			if k, _ := o["kind"].(string); k != "" && k != "Kustomization" {
				out = append(out, o)
			}
		}
	}
	return out
}

// arguments of an istiod that reads all its settings from the API server.
func arguments(t testing.TB, kubeconfig, webhooks string) *bootstrap.PilotArgs {
	t.Helper()
	args := bootstrap.NewPilotArgs(func(p *bootstrap.PilotArgs) {
		p.Namespace, p.PodName, p.Revision = namespace, "istiod-in-test", "default"
		p.RegistryOptions.Registries = []string{"Kubernetes"}
		p.RegistryOptions.KubeConfig = kubeconfig
		p.RegistryOptions.KubeOptions.ClusterID = cluster.ID("Kubernetes")
		p.RegistryOptions.KubeOptions.DomainSuffix = constants.DefaultClusterLocalDomain
		p.RegistryOptions.KubeOptions.KubernetesAPIQPS = 500
		p.RegistryOptions.KubeOptions.KubernetesAPIBurst = 1000
		p.RegistryOptions.ClusterRegistriesNamespace = namespace
		p.KeepaliveOptions = keepalive.DefaultOption()
		p.ServerOptions = bootstrap.DiscoveryServerOptions{
			HTTPAddr: "127.0.0.1:0", HTTPSAddr: webhooks, GRPCAddr: freeAddress(t), MonitoringAddr: "127.0.0.1:0",
			TLSOptions: bootstrap.TLSOptions{TLSMinVersion: bootstrap.TLSMinVersion1_2},
		}
		p.InjectionOptions.InjectionDirectory = filepath.Join(t.TempDir(), "none") // Absent: it reads the ConfigMap.
		p.ShutdownDuration = time.Millisecond
	})
	if err := args.Complete(); err != nil {
		t.Fatal(err)
	}
	return args
}

// pointTo sends the calls of a webhook to the istiod of the test. `istioctl install`
// adds a webhook for objects without a revision, which the rendered manifests lack:
// so the one that there is sees all objects.
func pointTo(u *unstructured.Unstructured, address string) {
	_, port, _ := net.SplitHostPort(address)
	hooks, _, _ := unstructured.NestedSlice(u.Object, "webhooks")
	for _, h := range hooks {
		hook := h.(map[string]any)
		if u.GetKind() == "ValidatingWebhookConfiguration" {
			delete(hook, "objectSelector")
		}
		client := hook["clientConfig"].(map[string]any)
		path, _, _ := unstructured.NestedString(client, "service", "path")
		delete(client, "service")
		client["url"] = "https://localhost:" + port + path
	}
	_ = unstructured.SetNestedSlice(u.Object, hooks, "webhooks")
}

// ready tells whether istiod has put its certificate into its webhooks, and has
// found that the validating one answers, from when on objects need its consent.
func ready(ctx context.Context, s *apiserver.Server) error {
	for _, kind := range []string{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"} {
		list, err := s.List(ctx, schema.GroupKind{Group: "admissionregistration.k8s.io", Kind: kind})
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return errors.New("there is no " + kind)
		}
		for i := range list {
			hooks, _, _ := unstructured.NestedSlice(list[i].Object, "webhooks")
			for _, h := range hooks {
				hook := h.(map[string]any)
				ca, _, _ := unstructured.NestedString(hook, "clientConfig", "caBundle")
				if ca == "" || hook["failurePolicy"] != "Fail" {
					return fmt.Errorf("%s %s does not act yet", kind, hook["name"])
				}
			}
		}
	}
	return nil
}

// freeAddress is a port of this machine that was free a moment ago: istiod does not
// tell which ones the kernel chose for it.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
