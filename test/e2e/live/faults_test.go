package live

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/cluster"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/test/e2e/apiserver"
	"github.com/ambientplan/ambientplan/test/e2e/running"
)

// fault decides on a request: true when it has answered it, or has broken the connection.
type fault func(w http.ResponseWriter, r *http.Request, nth int) bool

// before puts a proxy in front of a real API server that breaks some requests, and returns
// a kubeconfig for it. nth counts the requests for one resource.
func before(t *testing.T, s *apiserver.Server, f fault) string {
	t.Helper()
	cfg, err := clientcmd.BuildConfigFromFlags("", s.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(cfg.Host)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	if proxy.Transport, err = rest.TransportFor(cfg); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	count := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		count[r.URL.Path]++
		n := count[r.URL.Path]
		mu.Unlock()
		if !f(w, r, n) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: faulty\ncontexts: [{name: faulty, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: %q}}]\nusers: [{name: u, user: {}}]\n", server.URL)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// answer writes an error as API servers do.
func answer(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) bool {
	w.Header().Set("Content-Type", "application/json")
	if code == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","code":%d,"reason":%q,"message":%q}`, code, reason, message)
	return true
}

// cut ends a connection in the middle of an answer.
func cut(w http.ResponseWriter) bool {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", "100000")
	_, _ = w.Write([]byte(`{"kind":"PodList","apiVersion":"v1","items":[`))
	panic(http.ErrAbortHandler)
}

// TestFaults: whatever happens between the tool and a real API server, the inventory is
// the right one, or says what is missing, or there is none and an error that says why.
func TestFaults(t *testing.T) {
	s := running.Mesh(t, "../../../examples/bookinfo/cluster")
	right := faulty(t, before(t, s, func(http.ResponseWriter, *http.Request, int) bool { return false }), 500)
	list := func(r *http.Request) bool { return r.URL.Query().Get("limit") != "" }
	resource := func(r *http.Request, name string) bool { return strings.HasSuffix(r.URL.Path, "/"+name) }
	for _, tc := range []struct {
		name string
		page int64
		f    fault
		// unknown are the kinds that cannot be read, err a part of the error.
		unknown []string
		err     string
	}{
		{name: "throttled once for each kind", f: func(w http.ResponseWriter, r *http.Request, n int) bool {
			return list(r) && n == 1 && (resource(r, "pods") || resource(r, "virtualservices")) && answer(w, 429, metav1.StatusReasonTooManyRequests, "slow down")
		}},
		{name: "restarted in the middle", f: func(w http.ResponseWriter, r *http.Request, n int) bool {
			return list(r) && n <= 2 && answer(w, 503, metav1.StatusReasonServiceUnavailable, "apiserver is shutting down")
		}},
		{name: "connections cut in the middle of an answer", f: func(w http.ResponseWriter, r *http.Request, n int) bool {
			return (resource(r, "pods") || resource(r, "gateways")) && n == 1 && cut(w)
		}},
		{name: "small pages", page: 3, f: func(http.ResponseWriter, *http.Request, int) bool { return false }},
		{name: "a page expires once", page: 3, f: func(w http.ResponseWriter, r *http.Request, n int) bool {
			return r.URL.Query().Get("continue") != "" && n == 2 && answer(w, 410, metav1.StatusReasonExpired, "the provided continue parameter is too old")
		}},
		{name: "pages always expire", page: 3, unknown: []string{"Deployment", "Pod", "ReplicaSet", "Service"}, f: func(w http.ResponseWriter, r *http.Request, n int) bool {
			ours := resource(r, "pods") || resource(r, "services") || resource(r, "deployments") || resource(r, "replicasets")
			return ours && r.URL.Query().Get("continue") != "" && answer(w, 410, metav1.StatusReasonExpired, "too old")
		}},
		{name: "one kind fails for good", unknown: []string{"DestinationRule"}, f: func(w http.ResponseWriter, r *http.Request, n int) bool {
			return resource(r, "destinationrules") && answer(w, 500, metav1.StatusReasonInternalError, "conversion webhook failed")
		}},
		{name: "an answer that is no list", unknown: []string{"VirtualService"}, f: func(w http.ResponseWriter, r *http.Request, n int) bool {
			if !resource(r, "virtualservices") {
				return false
			}
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"kind":"LoginPage","hello":1}`)
			return true
		}},
		{name: "the API server does not know who asks", err: "cluster faulty (http://127.0.0.1:", f: func(w http.ResponseWriter, r *http.Request, n int) bool {
			return answer(w, 401, metav1.StatusReasonUnauthorized, "Unauthorized")
		}},
		{name: "credentials expire in the middle", err: "Unauthorized", f: func(w http.ResponseWriter, r *http.Request, n int) bool {
			return resource(r, "pods") && answer(w, 401, metav1.StatusReasonUnauthorized, "Unauthorized")
		}},
		{name: "the API server is gone in the middle", err: "cluster faulty (http://127.0.0.1:", f: func(w http.ResponseWriter, r *http.Request, n int) bool {
			return resource(r, "pods") && cut(w)
		}},
		{name: "a login page", err: "cluster faulty", f: func(w http.ResponseWriter, r *http.Request, n int) bool {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<html>log in</html>")
			return true
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := tryRead(t, before(t, s, tc.f), max(tc.page, 0))
			if tc.err != "" {
				away := (*cluster.UnreachableError)(nil)
				if err == nil || !errors.As(err, &away) || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("got %v, want an error with %q", err, tc.err)
				}
				t.Log(err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var unknown []string
			for _, c := range got.Coverage {
				if c.State == api.NotKnown {
					unknown = append(unknown, c.Kind)
					t.Log(c.Kind, c.Reason)
				}
			}
			slices.Sort(unknown)
			if d := cmp.Diff(tc.unknown, unknown); d != "" {
				t.Errorf("unknown kinds (-want +got):\n%s", d)
			}
			if p := plan(t, got); len(tc.unknown) > 0 && (p.Complete || len(p.Unknowns) < 2) {
				t.Error("the plan does not say what it could not see")
			}
			if len(tc.unknown) > 0 {
				return
			}
			if d := cmp.Diff(bare(t, right), bare(t, got)); d != "" {
				t.Errorf("the inventory is another one (-without faults +with):\n%s", d)
			}
		})
	}
}

func tryRead(t *testing.T, kubeconfig string, page int64) (*api.Inventory, error) {
	t.Helper()
	c, err := cluster.Connect(cluster.Options{Kubeconfig: kubeconfig, Backoff: 10 * time.Millisecond, Page: page, Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return inventory.ReadCluster(t.Context(), c, inventory.LiveOptions{})
}

func faulty(t *testing.T, kubeconfig string, page int64) *api.Inventory {
	t.Helper()
	inv, err := tryRead(t, kubeconfig, page)
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

// TestOddClusters: clusters without Istio, with a namespace that is going, with an old
// CRD, and with many pods.
func TestOddClusters(t *testing.T) {
	s := apiserver.Start(t)
	ctx := t.Context()
	apply := func(o map[string]any) {
		t.Helper()
		if err := s.Apply(ctx, o, "owner"); err != nil {
			t.Fatal(err)
		}
	}
	inv := faulty(t, s.Kubeconfig, 0)
	for _, c := range inv.Coverage {
		if c.Group == "networking.istio.io" && (c.State != api.Absent || !strings.Contains(c.Reason, "does not serve")) {
			t.Errorf("without Istio %s is %s (%s)", c.Kind, c.State, c.Reason)
		}
	}

	// A namespace that is going, held by a finalizer of somebody.
	apply(map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "going", "labels": map[string]any{"istio-injection": "enabled"}}})
	apply(map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "held", "namespace": "going", "finalizers": []any{"example.com/held"}}})
	if err := s.Delete(ctx, api.Ref{Kind: "Namespace", Name: "going"}); err != nil {
		t.Fatal(err)
	}

	// A CRD of old: VirtualServices in v1alpha3 only.
	apply(map[string]any{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": "virtualservices.networking.istio.io"},
		"spec": map[string]any{"group": "networking.istio.io", "scope": "Namespaced",
			"names": map[string]any{"kind": "VirtualService", "listKind": "VirtualServiceList", "plural": "virtualservices", "singular": "virtualservice"},
			"versions": []any{map[string]any{"name": "v1alpha3", "served": true, "storage": true,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}}})
	apply(map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "many", "labels": map[string]any{"istio-injection": "enabled"}}})
	apply(map[string]any{"apiVersion": "networking.istio.io/v1alpha3", "kind": "VirtualService", "metadata": map[string]any{"name": "old", "namespace": "many"},
		"spec": map[string]any{"hosts": []any{"web-0"}, "http": []any{map[string]any{"timeout": "1s", "route": []any{map[string]any{"destination": map[string]any{"host": "web-0"}}}}}}})

	// 2,000 pods.
	const deployments, replicas = 20, 100
	for i := range deployments {
		name := fmt.Sprintf("web-%d", i)
		labels := map[string]any{"app": name}
		apply(map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": name, "namespace": "many"},
			"spec": map[string]any{"replicas": int64(replicas), "selector": map[string]any{"matchLabels": labels},
				"template": map[string]any{"metadata": map[string]any{"labels": labels}, "spec": map[string]any{"containers": []any{map[string]any{"name": "web", "image": "web"}}}}}})
	}
	apiserver.Eventually(t, 3*time.Minute, func() error { return running.Running(t, s, deployments*replicas) })
	begin := time.Now()
	inv = faulty(t, s.Kubeconfig, 0)
	t.Logf("%d objects in %s", inv.Documents.Kept, time.Since(begin).Round(time.Millisecond))
	pods := 0
	for i := range inv.Workloads {
		w := &inv.Workloads[i]
		if w.Namespace == "many" && w.Kind != "Deployment" {
			t.Errorf("%s is no workload of its own", w.Ref())
		}
		pods += w.Pods.Uncaptured
	}
	if pods != deployments*replicas {
		t.Errorf("%d pods of %d were counted", pods, deployments*replicas)
	}
	if !slices.ContainsFunc(inv.Unknowns, func(u api.Unknown) bool { return u.ID == inventory.TerminatingNamespace && u.Subject.Name == "going" }) {
		t.Errorf("nobody says that a namespace is going: %+v", inv.Unknowns)
	}
	if !slices.ContainsFunc(inv.Objects, func(o api.Object) bool {
		return o.Kind == "VirtualService" && o.APIVersion == "networking.istio.io/v1alpha3"
	}) {
		t.Error("the VirtualService of an old version was not read")
	}
	if p := plan(t, inv); p.Complete {
		t.Error("a plan for a cluster in this state is called complete")
	}
}
