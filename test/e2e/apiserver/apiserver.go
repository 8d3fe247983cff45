// Package apiserver runs the binary of module test/apiserver, a real kube-apiserver
// with etcd and controllers, and applies objects to it.
package apiserver

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// binary is the variable that holds the path of the binary. `make e2e` sets it.
const binary = "APISERVER"

// Server is a running API server.
type Server struct {
	// Kubeconfig is the path of one of the group system:masters.
	Kubeconfig string

	dynamic dynamic.Interface
	mapper  *restmapper.DeferredDiscoveryRESTMapper
}

// Start runs an API server until the test ends. Without the binary the test is skipped.
func Start(t testing.TB) *Server {
	t.Helper()
	bin := os.Getenv(binary)
	if bin == "" {
		t.Skip(binary + " names no kube-apiserver: run `make e2e`")
	}
	// go test looks at what a test stats, not at what it runs, to tell whether a result is still good.
	if _, err := os.Stat(bin); err != nil {
		t.Fatal(err)
	}
	s := &Server{Kubeconfig: run(t, bin)}
	cfg, err := clientcmd.BuildConfigFromFlags("", s.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	cfg.QPS, cfg.Burst = 1000, 2000
	cfg.WarningHandler = rest.NoWarnings{}
	if s.dynamic, err = dynamic.NewForConfig(cfg); err != nil {
		t.Fatal(err)
	}
	dc, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(dc))
	return s
}

// run starts the binary and returns the path of its kubeconfig.
func run(t testing.TB, bin string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "apiserver")
	if err != nil {
		t.Fatal(err)
	}
	// Not t.TempDir: etcd may still write while it ends, which must not fail the test.
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cmd := exec.Command(bin, "-dir", dir, "-nodes", "2")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	for sc := bufio.NewScanner(out); sc.Scan(); {
		if filepath.Base(sc.Text()) == "kubeconfig" {
			return sc.Text()
		}
	}
	_ = cmd.Wait()
	t.Fatalf("the API server ended: %s", log.String())
	return ""
}

// Manager is a field manager.
type Manager string

// Apply applies an object as a GitOps controller does: on the server's side, by
// force, and refusing fields that there are not. A cluster-scoped object loses its namespace.
func (s *Server) Apply(ctx context.Context, o map[string]any, by Manager) error {
	return s.apply(ctx, o, by, metav1.FieldValidationStrict)
}

// ApplyLoose is Apply for objects that others wrote: unknown fields are dropped.
func (s *Server) ApplyLoose(ctx context.Context, o map[string]any, by Manager) error {
	return s.apply(ctx, o, by, metav1.FieldValidationIgnore)
}

func (s *Server) apply(ctx context.Context, o map[string]any, by Manager, validation string) error {
	u, err := copyOf(o)
	if err != nil {
		return err
	}
	gvk := u.GroupVersionKind()
	r, root, err := s.resource(gvk.GroupKind(), gvk.Version, u.GetNamespace())
	if err != nil {
		return err
	}
	if root {
		u.SetNamespace("")
	}
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	body, err := u.MarshalJSON()
	if err != nil {
		return err
	}
	force := true
	opts := metav1.PatchOptions{FieldManager: string(by), Force: &force, FieldValidation: validation}
	return retry(ctx, func() error {
		_, err := r.Patch(ctx, u.GetName(), types.ApplyPatchType, body, opts)
		return err
	})
}

// copyOf goes over JSON: readers of YAML make numbers that DeepCopy refuses.
func copyOf(o map[string]any) (*unstructured.Unstructured, error) {
	b, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	u := &unstructured.Unstructured{}
	return u, json.Unmarshal(b, &u.Object)
}

// retry repeats what fails because a CRD or a ServiceAccount is not served yet.
func retry(ctx context.Context, f func() error) error {
	for i := 0; ; i++ {
		err := f()
		if err == nil || i == 40 || !strings.Contains(err.Error(), "could not find the requested resource") && !strings.Contains(err.Error(), "error looking up service account") {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Installed tells whether the API server serves a kind.
func (s *Server) Installed(gk schema.GroupKind, version string) (bool, error) {
	_, err := s.mapping(gk, version, 2)
	if meta.IsNoMatchError(err) {
		return false, nil
	}
	return err == nil, err
}

// Get returns an object; an error of the API server that says so when there is none.
func (s *Server) Get(ctx context.Context, ref api.Ref) (*unstructured.Unstructured, error) {
	r, _, err := s.resource(schema.GroupKind{Group: ref.Group, Kind: ref.Kind}, "", ref.Namespace)
	if err != nil {
		return nil, err
	}
	return r.Get(ctx, ref.Name, metav1.GetOptions{})
}

// Delete deletes an object.
func (s *Server) Delete(ctx context.Context, ref api.Ref) error {
	r, _, err := s.resource(schema.GroupKind{Group: ref.Group, Kind: ref.Kind}, "", ref.Namespace)
	if err != nil {
		return err
	}
	return r.Delete(ctx, ref.Name, metav1.DeleteOptions{})
}

// List returns all objects of a kind.
func (s *Server) List(ctx context.Context, gk schema.GroupKind) ([]unstructured.Unstructured, error) {
	r, _, err := s.resource(gk, "", "")
	if err != nil {
		return nil, err
	}
	l, err := r.List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	return l.Items, nil
}

// resource finds how objects of a kind are reached; the version may be empty.
func (s *Server) resource(gk schema.GroupKind, version, namespace string) (r dynamic.ResourceInterface, root bool, err error) {
	m, err := s.mapping(gk, version, 40)
	if err != nil {
		return nil, false, err
	}
	if m.Scope.Name() == meta.RESTScopeNameRoot {
		return s.dynamic.Resource(m.Resource), true, nil
	}
	return s.dynamic.Resource(m.Resource).Namespace(namespace), false, nil
}

// mapping asks again some times: a fresh CRD takes a moment to be served.
func (s *Server) mapping(gk schema.GroupKind, version string, times int) (m *meta.RESTMapping, err error) {
	var versions []string
	if version != "" {
		versions = []string{version}
	}
	for range times {
		if m, err = s.mapper.RESTMapping(gk, versions...); !meta.IsNoMatchError(err) {
			return m, err
		}
		s.mapper.Reset()
		time.Sleep(50 * time.Millisecond)
	}
	return nil, err
}

// Eventually asks until there is no error, or fails the test with the last one.
func Eventually(t testing.TB, max time.Duration, f func() error) {
	t.Helper()
	if err := Within(max, f); err != nil {
		t.Fatal(err)
	}
}

// Within asks until there is no error, and returns the last one otherwise.
func Within(max time.Duration, f func() error) error {
	err := errors.New("never asked")
	for end := time.Now().Add(max); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = f(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("after %s: %w", max, err)
}
