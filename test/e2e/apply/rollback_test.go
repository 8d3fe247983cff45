package apply

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// TestWaysBackRestoreTheMesh goes to the end of bookinfo's plan and all the way back, step by step. The
// mesh must be what it was, and nothing that the plan made may stay.
func TestWaysBackRestoreTheMesh(t *testing.T) {
	c := begin(t, meshes(t)[0])
	before := c.snapshot(t)
	type place struct{ wave, step int }
	var done []place
	for i := range c.plan.Waves {
		for j := range c.plan.Waves[i].Steps {
			c.forward(t, i, j)
			done = append(done, place{i, j})
		}
	}
	if cmp.Equal(before, c.snapshot(t)) {
		t.Fatal("the plan changes nothing, so there is no way back to try")
	}
	for _, p := range slices.Backward(done) {
		s := &c.plan.Waves[p.wave].Steps[p.step]
		_, back := c.tree.Overlay(p.wave, p.step)
		for k := range s.Rollback {
			dir := ""
			if k < len(back) {
				dir = back[k]
			}
			c.commit(t, "back "+s.Rollback[k].Name, dir, s.Rollback[k].Changes)
		}
	}
	if d := cmp.Diff(before, c.snapshot(t)); d != "" {
		t.Errorf("the mesh is not what it was (-start +after all ways back):\n%s", d)
	}
	for _, ref := range slices.SortedFunc(maps.Keys(c.made), api.Ref.Compare) {
		if _, there := before[ref]; there {
			continue
		}
		if _, err := c.server.Get(t.Context(), ref); !apierrors.IsNotFound(err) {
			t.Errorf("%s was made by the plan and is not gone: %v", ref, err)
		}
	}
	t.Logf("%v; %d objects compared, %d made and taken away", c.counts, len(before), len(c.made))
}

// snapshot reads the objects of the mesh, without what the API server, controllers and
// the tree's own marks against pruning add.
func (c *campaign) snapshot(t *testing.T) map[api.Ref]map[string]any {
	t.Helper()
	out := map[api.Ref]map[string]any{}
	for ref := range c.today {
		u, err := c.server.Get(t.Context(), ref)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []string{"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp"} {
			unstructured.RemoveNestedField(u.Object, "metadata", f)
		}
		for _, a := range []string{"deployment.kubernetes.io/revision", "argocd.argoproj.io/sync-options", "kustomize.toolkit.fluxcd.io/prune"} {
			unstructured.RemoveNestedField(u.Object, "metadata", "annotations", a)
		}
		if len(u.GetAnnotations()) == 0 {
			unstructured.RemoveNestedField(u.Object, "metadata", "annotations")
		}
		if len(u.GetLabels()) == 0 {
			unstructured.RemoveNestedField(u.Object, "metadata", "labels")
		}
		unstructured.RemoveNestedField(u.Object, "status")
		out[ref] = u.Object
	}
	return out
}
