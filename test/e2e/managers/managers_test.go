// Package managers applies the fragments of rendered trees to a real API server beside
// the owners of the objects, and looks at who has which fields afterwards. Nothing is
// applied by force but what says so.
package managers

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/csaupgrade"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/planner"
	"github.com/ambientplan/ambientplan/render"
	"github.com/ambientplan/ambientplan/test/e2e/apiserver"
	"github.com/ambientplan/ambientplan/test/e2e/cluster"
)

// Field managers.
const (
	owner = "helm"
	tree  = "ambientplan"
)

// resources are the kinds whose objects the trees hold as fragments.
var resources = map[string]schema.GroupVersionResource{
	"Namespace":  {Version: "v1", Resource: "namespaces"},
	"Service":    {Version: "v1", Resource: "services"},
	"Deployment": {Group: "apps", Version: "v1", Resource: "deployments"},
}

// bench is a mesh in an API server, and the tree of its plan.
type bench struct {
	client dynamic.Interface
	plan   *api.MigrationPlan
	tree   *render.Tree
	fs     filesys.FileSystem
	// objects are the owner's manifests, as far as the tree holds fragments of them.
	objects map[api.Ref]map[string]any
	// rest are the owner's other objects of the same kinds.
	rest map[api.Ref]map[string]any
}

func start(t *testing.T, example string) *bench {
	t.Helper()
	paths := []string{"../../../examples/" + example + "/cluster"}
	inv, err := inventory.Read(t.Context(), inventory.Options{Paths: paths, DefaultNamespace: "default"})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{fs: filesys.MakeFsInMemory(), objects: map[api.Ref]map[string]any{}, rest: map[api.Ref]map[string]any{}}
	if b.plan, err = planner.Plan(t.Context(), planner.Input{Inventory: inv}); err != nil {
		t.Fatal(err)
	}
	if b.tree, err = render.Build(b.plan, render.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, p := range b.tree.Paths() {
		if err := b.fs.WriteFile("/"+p, b.tree.File(p)); err != nil {
			t.Fatal(err)
		}
	}
	fragments := map[api.Ref]bool{}
	for _, x := range b.plan.Base {
		fragments[x.Object] = x.Fragment
	}
	for ref, o := range cluster.Read(t, paths, "default") {
		switch {
		case fragments[ref]:
			b.objects[ref] = o
		case resources[ref.Kind] != schema.GroupVersionResource{} && ref.Group == resources[ref.Kind].Group:
			b.rest[ref] = o
		}
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", apiserver.Start(t).Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	cfg.QPS, cfg.Burst = 1000, 2000
	cfg.WarningHandler = rest.NoWarnings{}
	if b.client, err = dynamic.NewForConfig(cfg); err != nil {
		t.Fatal(err)
	}
	return b
}

// order has Namespaces first.
func order(m map[api.Ref]map[string]any) []api.Ref {
	return slices.SortedFunc(maps.Keys(m), func(a, b api.Ref) int {
		if (a.Kind == "Namespace") != (b.Kind == "Namespace") {
			if a.Kind == "Namespace" {
				return -1
			}
			return 1
		}
		return a.Compare(b)
	})
}

func (b *bench) of(ref api.Ref) dynamic.ResourceInterface {
	return b.client.Resource(resources[ref.Kind]).Namespace(ref.Namespace)
}

// apply applies on the server's side.
func (b *bench) apply(ctx context.Context, ref api.Ref, o map[string]any, by string, force bool) error {
	body, err := json.Marshal(o)
	if err != nil {
		return err
	}
	_, err = b.of(ref).Patch(ctx, ref.Name, types.ApplyPatchType, body, metav1.PatchOptions{FieldManager: by, Force: &force, FieldValidation: metav1.FieldValidationStrict})
	return err
}

func (b *bench) get(t *testing.T, ref api.Ref) *unstructured.Unstructured {
	t.Helper()
	u, err := b.of(ref).Get(t.Context(), ref.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// fragmentsOf are the fragments that a directory of the tree builds to.
func (b *bench) fragmentsOf(t *testing.T, dir string) map[api.Ref]map[string]any {
	t.Helper()
	m, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(b.fs, "/"+dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[api.Ref]map[string]any{}
	for _, r := range m.Resources() {
		o, err := r.Map()
		if err != nil {
			t.Fatal(err)
		}
		meta, _ := o["metadata"].(map[string]any)
		ns, _ := meta["namespace"].(string)
		ref := api.Ref{Group: r.GetGvk().Group, Kind: r.GetKind(), Namespace: ns, Name: r.GetName()}
		if b.objects[ref] != nil {
			out[ref] = o
		}
	}
	return out
}

// steps visits the overlays of a plan, forward.
func (b *bench) steps(visit func(name, dir string)) {
	for i := range b.plan.Waves {
		for j := range b.plan.Waves[i].Steps {
			if dir, _ := b.tree.Overlay(i, j); dir != "" {
				visit(fmt.Sprintf("wave %d, %s", i, b.plan.Waves[i].Steps[j].Name), dir)
			}
		}
	}
}

// conflict is what a refused apply says: the manager that has the field, and the field.
func conflict(err error) string {
	var causes []string
	if s, ok := err.(apierrors.APIStatus); ok && s.Status().Details != nil {
		for _, c := range s.Status().Details.Causes {
			causes = append(causes, c.Message+" "+c.Field)
		}
	}
	slices.Sort(causes)
	return strings.Join(causes, "; ")
}

// setImages gives every container of a Deployment another image.
func setImages(o map[string]any, image string) map[string]any {
	out := copyOf(o)
	containers, _, _ := unstructured.NestedSlice(out, "spec", "template", "spec", "containers")
	for _, c := range containers {
		c.(map[string]any)["image"] = image
	}
	if len(containers) > 0 {
		_ = unstructured.SetNestedSlice(out, containers, "spec", "template", "spec", "containers")
	}
	return out
}

func copyOf(o map[string]any) map[string]any {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	u := &unstructured.Unstructured{}
	u.SetUnstructuredContent(map[string]any{})
	if err := json.Unmarshal(b, &u.Object); err != nil {
		panic(err)
	}
	return (&unstructured.Unstructured{Object: jsonNumbers(u.Object).(map[string]any)}).Object
}

// jsonNumbers makes whole numbers int64, as DeepCopy wants them.
func jsonNumbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = jsonNumbers(e)
		}
	case []any:
		for i, e := range v {
			v[i] = jsonNumbers(e)
		}
	case float64:
		if v == float64(int64(v)) {
			return int64(v)
		}
	}
	return v
}

// holds tells whether an object has every field of another; lists must be equal.
func holds(have, want any, path string) error {
	w, ok := want.(map[string]any)
	if !ok {
		a, _ := json.Marshal(have)
		b, _ := json.Marshal(want)
		if string(a) != string(b) {
			return fmt.Errorf("%s is %s, want %s", path, a, b)
		}
		return nil
	}
	h, _ := have.(map[string]any)
	for _, k := range slices.Sorted(maps.Keys(w)) {
		if err := holds(h[k], w[k], path+"."+k); err != nil {
			return err
		}
	}
	return nil
}

// TestBesideAnOwner goes through every step of two plans beside an owner who applies on the server's side. Nobody
// is forced: each conflict must be on a label that both set, and name the owner, who then gives that label up in
// the manifest, as a person would. The owner's new images survive every step, and the fragments every release.
func TestBesideAnOwner(t *testing.T) {
	for _, example := range []string{"bookinfo", "online-boutique"} {
		t.Run(example, func(t *testing.T) {
			b := start(t, example)
			ctx := t.Context()
			for _, ref := range order(b.objects) {
				if err := b.apply(ctx, ref, b.objects[ref], owner, false); err != nil {
					t.Fatalf("%s: %v", ref, err)
				}
			}
			applied, conflicts, release := 0, 0, 0
			step := func(name, dir string) {
				fragments := b.fragmentsOf(t, dir)
				for _, ref := range order(fragments) {
					if err := b.apply(ctx, ref, fragments[ref], tree, false); apierrors.IsConflict(err) {
						conflicts++
						if got, want := conflict(err), `conflict with "helm" .metadata.labels.istio-injection`; ref.Kind != "Namespace" || got != want {
							t.Errorf("%s: %s: %s, want %s on the Namespace alone", name, ref, got, want)
						}
						b.objects[ref] = copyOf(b.objects[ref])
						unstructured.RemoveNestedField(b.objects[ref], "metadata", "labels", "istio-injection")
						if err := b.apply(ctx, ref, b.objects[ref], owner, false); err != nil {
							t.Fatal(err)
						}
						err = b.apply(ctx, ref, fragments[ref], tree, false)
						if err != nil {
							t.Errorf("%s: %s, after its owner has let go: %v", name, ref, err)
						}
					} else if err != nil {
						t.Errorf("%s: %s: %v", name, ref, err)
					}
					applied++
				}
				release++
				image := fmt.Sprintf("registry.example.com/app:v%d", release)
				for _, ref := range order(fragments) {
					b.objects[ref] = setImages(b.objects[ref], image)
					if err := b.apply(ctx, ref, b.objects[ref], owner, false); err != nil {
						t.Errorf("%s: the owner's release of %s: %v", name, ref, err)
					}
				}
				for _, ref := range order(fragments) {
					if err := b.apply(ctx, ref, fragments[ref], tree, false); err != nil {
						t.Errorf("%s: again %s: %v", name, ref, err)
					}
					live := b.get(t, ref)
					if err := holds(live.Object, fragments[ref], ""); err != nil {
						t.Errorf("%s: %s lost of its fragment: %v", name, ref, err)
					}
					if got, _, _ := unstructured.NestedSlice(live.Object, "spec", "template", "spec", "containers"); ref.Kind == "Deployment" {
						for _, c := range got {
							if c.(map[string]any)["image"] != image {
								t.Errorf("%s: %s runs %v, its owner released %s", name, ref, c.(map[string]any)["image"], image)
							}
						}
					}
				}
			}
			step("before", "clusters/default")
			b.steps(step)
			t.Logf("%d fragments applied, %d conflicts, %d releases", applied, conflicts, release)
			if applied < 50 || conflicts == 0 {
				t.Errorf("too little happened: %d applied, %d conflicts", applied, conflicts)
			}
		})
	}
}

// TestConflictChangesNothing: a field that somebody else has set stays, and so do all others of the fragment.
func TestConflictChangesNothing(t *testing.T) {
	b := start(t, "bookinfo")
	ctx := t.Context()
	for _, ref := range order(b.objects) {
		if err := b.apply(ctx, ref, b.objects[ref], owner, false); err != nil {
			t.Fatal(err)
		}
	}
	ref := api.Ref{Group: "apps", Kind: "Deployment", Namespace: "bookinfo", Name: "details-v1"}
	hand := map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": ref.Name, "namespace": ref.Namespace},
		"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{"labels": map[string]any{"sidecar.istio.io/inject": "true"}}}}}
	if err := b.apply(ctx, ref, hand, "somebody", false); err != nil {
		t.Fatal(err)
	}
	before := b.get(t, ref).GetGeneration()
	found := false
	b.steps(func(name, dir string) {
		f := b.fragmentsOf(t, dir)[ref]
		if v, _, _ := unstructured.NestedString(f, "spec", "template", "metadata", "labels", "sidecar.istio.io/inject"); v != "false" || found {
			return
		}
		found = true
		err := b.apply(ctx, ref, f, tree, false)
		if !apierrors.IsConflict(err) || conflict(err) != `conflict with "somebody" .spec.template.metadata.labels.sidecar.istio.io/inject` {
			t.Errorf("%s: got %v", name, err)
		}
		live := b.get(t, ref)
		mine := slices.ContainsFunc(live.GetManagedFields(), func(e metav1.ManagedFieldsEntry) bool { return e.Manager == tree })
		if after := live.GetGeneration(); after != before || mine {
			t.Errorf("%s: the refused apply changed the object: generation %d to %d, fields of the tree: %v", name, before, after, mine)
		}
	})
	if !found {
		t.Error("no step sets the label")
	}
}

// TestFragmentGoesAlone: the way back, which applies a smaller fragment, takes only the tree's own fields along.
func TestFragmentGoesAlone(t *testing.T) {
	b := start(t, "bookinfo")
	ctx := t.Context()
	b.objects = maps.Clone(b.objects)
	ns := api.Ref{Kind: "Namespace", Name: "bookinfo"}
	b.objects[ns] = copyOf(b.objects[ns])
	_ = unstructured.SetNestedField(b.objects[ns], "restricted", "metadata", "labels", "pod-security.kubernetes.io/warn")
	for _, ref := range order(b.objects) {
		if err := b.apply(ctx, ref, b.objects[ref], owner, false); err != nil {
			t.Fatal(err)
		}
	}
	first := b.fragmentsOf(t, "clusters/default")
	start := map[api.Ref]*unstructured.Unstructured{}
	for _, ref := range order(first) {
		if err := b.apply(ctx, ref, first[ref], tree, false); err != nil {
			t.Fatal(err)
		}
		start[ref] = b.get(t, ref)
	}
	// As controllers do, by force: the owner's label is taken over, and given back by the way back.
	b.steps(func(_, dir string) {
		fragments := b.fragmentsOf(t, dir)
		for _, ref := range order(fragments) {
			if err := b.apply(ctx, ref, fragments[ref], tree, true); err != nil {
				t.Fatal(err)
			}
		}
	})
	for _, ref := range order(first) {
		if err := b.apply(ctx, ref, first[ref], tree, true); err != nil {
			t.Fatal(err)
		}
		live := b.get(t, ref)
		for _, path := range [][]string{{"metadata", "labels"}, {"metadata", "annotations"}, {"spec"}} {
			was, _, _ := unstructured.NestedMap(start[ref].Object, path...)
			is, _, _ := unstructured.NestedMap(live.Object, path...)
			delete(was, "deployment.kubernetes.io/revision")
			delete(is, "deployment.kubernetes.io/revision")
			a, _ := json.Marshal(was)
			c, _ := json.Marshal(is)
			if string(a) != string(c) {
				t.Errorf("%s: %v was %s, is %s", ref, path, a, c)
			}
		}
	}
}

// asKubectl does what kubectl's `apply --server-side` does after each apply (kubectl
// pkg/cmd/apply/apply.go, migrateToSSAIfNecessary): the fields of whoever wrote the
// annotation of client-side apply become those of the new manager, which then applies again.
func (b *bench) asKubectl(ctx context.Context, t *testing.T, ref api.Ref, o map[string]any, by string) error {
	t.Helper()
	if err := b.apply(ctx, ref, o, by, false); err != nil {
		return err
	}
	live := b.get(t, ref)
	names := sets.New[string]()
	for _, e := range live.GetManagedFields() {
		if e.Operation == metav1.ManagedFieldsOperationUpdate && strings.Contains(string(e.FieldsV1.Raw), "last-applied-configuration") {
			names.Insert(e.Manager)
		}
	}
	patch, err := csaupgrade.UpgradeManagedFieldsPatch(live, names, by)
	if err != nil || patch == nil {
		return err
	}
	if _, err := b.of(ref).Patch(ctx, ref.Name, types.JSONPatchType, patch, metav1.PatchOptions{}); err != nil {
		return err
	}
	return b.apply(ctx, ref, o, by, false)
}

// TestKubectlTakesOver: what docs/gitops.md warns of. Of a Namespace that came by plain kubectl apply the owner's
// labels go with the first fragment, unless the owner has applied it on the server's side before.
func TestKubectlTakesOver(t *testing.T) {
	b := start(t, "bookinfo")
	ctx := t.Context()
	for _, c := range []struct {
		name     string
		migrated bool
	}{{"plain", false}, {"migrated", true}} {
		ref := api.Ref{Kind: "Namespace", Name: "bookinfo"}
		manifest := copyOf(b.objects[ref])
		_ = unstructured.SetNestedField(manifest, "books", "metadata", "labels", "team")
		text, err := json.Marshal(manifest)
		if err != nil {
			t.Fatal(err)
		}
		o := &unstructured.Unstructured{Object: copyOf(manifest)}
		o.SetName("bookinfo-" + c.name)
		ref.Name = o.GetName()
		o.SetAnnotations(map[string]string{"kubectl.kubernetes.io/last-applied-configuration": string(text)})
		if _, err := b.of(ref).Create(ctx, o, metav1.CreateOptions{FieldManager: "kubectl-client-side-apply"}); err != nil {
			t.Fatal(err)
		}
		_ = unstructured.SetNestedField(manifest, ref.Name, "metadata", "name")
		if c.migrated {
			if err := b.asKubectl(ctx, t, ref, manifest, "kubectl"); err != nil {
				t.Fatal(err)
			}
		}
		fragment := b.fragmentsOf(t, "clusters/default")[api.Ref{Kind: "Namespace", Name: "bookinfo"}]
		_ = unstructured.SetNestedField(fragment, ref.Name, "metadata", "name")
		if err := b.asKubectl(ctx, t, ref, fragment, tree); err != nil {
			t.Fatal(err)
		}
		if _, has := b.get(t, ref).GetLabels()["team"]; has != c.migrated {
			t.Errorf("%s: the owner's label is there: %v", c.name, has)
		}
	}
}
