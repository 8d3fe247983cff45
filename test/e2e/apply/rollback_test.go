package apply

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// TestWaysBackRestoreTheMesh goes forward to every step of the plans of the examples, and from each all the
// way back, step by step. The mesh must then be what it was, and nothing that the plan made may stay. On the
// way the proofs of the steps back must hold, but for gaps that the example consents to or shows.
func TestWaysBackRestoreTheMesh(t *testing.T) {
	for _, m := range meshes(t) {
		if !strings.HasPrefix(m.Name, "example/") {
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			c := begin(t, m)
			before := c.snapshot(t)
			var way []place
			for i := range c.plan.Waves {
				for j := range c.plan.Waves[i].Steps {
					way = append(way, place{i, j})
				}
			}
			moved := false
			for k := 1; k <= len(way); k++ {
				c.made = map[api.Ref]bool{}
				for _, p := range way[:k] {
					c.forward(t, p.wave, p.step)
				}
				moved = moved || !cmp.Equal(before, c.snapshot(t))
				for _, p := range slices.Backward(way[:k]) {
					c.back(t, p)
				}
				last := &c.plan.Waves[way[k-1].wave].Steps[way[k-1].step]
				if d := cmp.Diff(before, c.snapshot(t)); d != "" {
					t.Fatalf("back from step %s the mesh is not what it was (-start +now):\n%s", last.Name, d)
				}
				for _, ref := range slices.SortedFunc(maps.Keys(c.made), api.Ref.Compare) {
					if _, there := before[ref]; there {
						continue
					}
					if _, err := c.server.Get(t.Context(), ref); !apierrors.IsNotFound(err) {
						t.Errorf("back from step %s: %s was made by the plan and is not gone: %v", last.Name, ref, err)
					}
				}
			}
			if !moved {
				t.Fatal("the plan changes nothing, so there is no way back to try")
			}
			if len(before) < 20 || len(way) < 5 {
				t.Errorf("too little was tried: %d objects, %d steps", len(before), len(way))
			}
			t.Logf("%v; %d objects compared, back from each of %d steps", c.counts, len(before), len(way))
		})
	}
}

// place is a step of a plan.
type place struct{ wave, step int }

// back goes one step back, by its overlays.
func (c *campaign) back(t *testing.T, p place) {
	t.Helper()
	s := &c.plan.Waves[p.wave].Steps[p.step]
	_, back := c.tree.Overlay(p.wave, p.step)
	for k := range s.Rollback {
		if r := s.Rollback[k].Proof.Result; r != api.Proved && r != api.Gap {
			t.Errorf("step back %s is %q: %v", s.Rollback[k].Name, r, s.Rollback[k].Proof.Unknowns)
		}
		dir := ""
		if k < len(back) {
			dir = back[k]
		}
		c.commit(t, "back "+s.Rollback[k].Name, dir, s.Rollback[k].Changes)
	}
	serversFirst(t, s)
}

// serversFirst: while pods restart into sidecars, the namespace stays enrolled and the Services stay at their
// waypoints (fact R-09): no step back up to the restart takes these labels away.
func serversFirst(t *testing.T, s *api.Step) {
	t.Helper()
	if !strings.HasPrefix(s.Name, "cutover") {
		return
	}
	for _, r := range s.Rollback {
		for _, ch := range r.Changes {
			labels, _, _ := unstructured.NestedStringMap(ch.After, "metadata", "labels")
			if ch.Object.Kind == "Namespace" && labels["istio.io/dataplane-mode"] != "ambient" {
				t.Errorf("%s takes %s out of ambient mode before its pods have sidecars again", r.Name, ch.Object)
			}
			if ch.Object.Kind == "Service" && ch.Op == api.OpFragment && labels["istio.io/use-waypoint"] == "" {
				t.Errorf("%s takes the waypoint from %s before its pods have sidecars again", r.Name, ch.Object)
			}
		}
	}
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
		for _, a := range []string{"deployment.kubernetes.io/revision", "argocd.argoproj.io/sync-options", "kustomize.toolkit.fluxcd.io/prune", "kustomize.toolkit.fluxcd.io/ssa"} {
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
