// Package running runs a mesh in a real API server with a real istiod, which injects
// sidecars into its pods, and binds the role that the tool prints.
package running

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/test/e2e/apiserver"
	objects "github.com/ambientplan/ambientplan/test/e2e/cluster"
	"github.com/ambientplan/ambientplan/test/e2e/controlplane"
)

// Reader is who the printed role is bound to.
const Reader = "reader@example.com"

// Mesh runs an API server with istiod and a mesh in it, its pods running.
func Mesh(t testing.TB, paths ...string) *apiserver.Server {
	t.Helper()
	s := apiserver.Start(t)
	controlplane.Start(t, s)
	all := objects.Read(t, paths, "default")
	refs := slices.SortedFunc(maps.Keys(all), api.Ref.Compare)
	slices.SortStableFunc(refs, func(a, b api.Ref) int { return order(a) - order(b) })
	for _, ref := range refs {
		if err := s.Apply(t.Context(), all[ref], "owner"); err != nil {
			t.Fatalf("%s: %v", ref, err)
		}
	}
	deployments := 0
	for ref := range all {
		if ref.Kind == "Deployment" {
			deployments++
		}
	}
	apiserver.Eventually(t, time.Minute, func() error { return Running(t, s, deployments) })
	return s
}

// order puts first what others need.
func order(r api.Ref) int {
	switch r.Kind {
	case "Namespace":
		return 0
	case "ServiceAccount":
		return 1
	}
	return 2
}

// Running tells whether as many pods as there are Deployments at least are there and all run.
func Running(t testing.TB, s *apiserver.Server, least int) error {
	pods, err := s.List(t.Context(), schema.GroupKind{Kind: "Pod"})
	if err != nil {
		return err
	}
	n := 0
	for i := range pods {
		var p corev1.Pod
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(pods[i].Object, &p); err != nil {
			return err
		}
		if p.Status.Phase == corev1.PodRunning {
			n++
		}
	}
	if n < least || n < len(pods) {
		return fmt.Errorf("%d of %d pods run; %d are expected at least", n, len(pods), least)
	}
	return nil
}

// Bind applies the role that the tool prints, changed by edit.
func Bind(t testing.TB, s *apiserver.Server, edit func(role map[string]any)) {
	t.Helper()
	role, binding := inventory.Role(nil, Reader)
	for _, o := range []any{role, binding} {
		b, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		if o == any(role) && edit != nil {
			edit(m)
		}
		if err := s.Apply(t.Context(), m, "admin"); err != nil {
			t.Fatal(err)
		}
	}
}
