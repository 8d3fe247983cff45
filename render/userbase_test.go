package render

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// repository is a directory with a user's base for namespace a of the plan by-hand: its Deployment and Namespace
// whole, and an object that the plan does not know.
func repository(t *testing.T) (root, base string) {
	t.Helper()
	root = t.TempDir()
	base = filepath.Join(root, "apps", "a")
	files := map[string]string{
		"apps/a/kustomization.yaml":      "resources: [namespace.yaml, ../shared]\nimages: [{name: front, newTag: v9}]\n",
		"apps/a/namespace.yaml":          "{apiVersion: v1, kind: Namespace, metadata: {name: a, labels: {team: books, istio-injection: enabled}}}\n",
		"apps/shared/kustomization.yaml": "namespace: a\nresources: [front.yaml]\n",
		"apps/shared/front.yaml": `apiVersion: apps/v1
kind: Deployment
metadata: {name: front}
spec:
  replicas: 3
  selector: {matchLabels: {app: front}}
  template:
    metadata: {labels: {app: front}}
    spec: {containers: [{name: front, image: front}]}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {a: b}}
`,
	}
	for name, text := range files {
		file := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return root, base
}

// TestUserBase: on a user's own base each overlay is the user's objects, whole, with the plan's changes and no other
// field; Check says so, and what is written builds from disk.
func TestUserBase(t *testing.T) {
	root, base := repository(t)
	out := filepath.Join(root, "mesh", "ambient")
	p := load(t, byHand)
	tree, err := Build(p, Options{Bases: map[string]string{"a": base}, Dir: out})
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.Check(); err != nil {
		t.Fatal(err)
	}
	if got, want := string(tree.File("base/a/kustomization.yaml")), "- ../../../../apps/a\n"; !strings.HasSuffix(got, want) {
		t.Errorf("base/a is\n%s", got)
	}
	for _, path := range tree.Paths() {
		if strings.HasPrefix(path, "base/a/") && path != "base/a/kustomization.yaml" {
			t.Errorf("%s is captured", path)
		}
	}
	if err := tree.Write(out); err != nil {
		t.Fatal(err)
	}
	steps := 0
	for i := range p.Waves {
		for j := range p.Waves[i].Steps {
			dir, back := tree.Overlay(i, j)
			for _, d := range append(slices.Clone(back), dir) {
				steps++
				b := onDisk(filepath.Join(out, d))
				if b.err != nil {
					t.Fatal(b.err)
				}
				front := b.objects[api.Ref{Group: "apps", Kind: "Deployment", Namespace: "a", Name: "front"}]
				if front != "" && (!strings.Contains(front, `"image":"front:v9"`) || !strings.Contains(front, `"replicas":3`)) {
					t.Errorf("%s: the Deployment lost what its owner set: %s", d, front)
				}
				for ref, text := range b.objects {
					if ref.Namespace == "a" && strings.Contains(text, "kustomize.toolkit.fluxcd.io") {
						t.Errorf("%s: %s is whole, and marked as a fragment: %s", d, ref, text)
					}
				}
			}
		}
	}
	dir, _ := tree.Overlay(0, 1)
	ns := onDisk(filepath.Join(out, dir)).objects[api.Ref{Kind: "Namespace", Name: "a"}]
	if !strings.Contains(ns, "ambient") || !strings.Contains(ns, `"team":"books"`) {
		t.Errorf("after the cutover the Namespace is %s", ns)
	}
	if steps < 5 {
		t.Errorf("only %d overlays", steps)
	}
}

// TestUserBaseErrors: a base that cannot carry the plan is refused before anything is written, and the error names
// what it lacks.
func TestUserBaseErrors(t *testing.T) {
	for _, c := range []struct {
		name, file, text, namespace, want string
	}{
		{"an object is missing", "apps/a/namespace.yaml", "{apiVersion: v1, kind: Namespace, metadata: {name: other}}", "a", "Namespace other, which is not of this namespace"},
		{"a patched object is missing", "apps/a/kustomization.yaml", "resources: [../shared]", "a", "it lacks Namespace a, which the plan patches"},
		{"it does not build", "apps/a/kustomization.yaml", "resources: [gone.yaml]", "a", "kustomize does not build it"},
		{"no such namespace", "", "", "nowhere", `no object that is in namespace "nowhere"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			root, base := repository(t)
			if c.file != "" {
				if err := os.WriteFile(filepath.Join(root, c.file), []byte(c.text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			var be *BaseError
			_, err := Build(load(t, byHand), Options{Bases: map[string]string{c.namespace: base}, Dir: filepath.Join(root, "out")})
			if !errors.As(err, &be) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want a BaseError with %q", err, c.want)
			}
		})
	}
	root, base := repository(t)
	var be *BaseError
	for _, dir := range []string{filepath.Join(base, "out"), base, root} {
		if _, err := Build(load(t, byHand), Options{Bases: map[string]string{"a": base}, Dir: dir}); !errors.As(err, &be) {
			t.Errorf("tree in %s: got %v", dir, err)
		}
	}
}

// TestUserBaseChanges: what the user's base is when Check builds counts: an object that went since is found.
func TestUserBaseChanges(t *testing.T) {
	root, base := repository(t)
	tree, err := Build(load(t, byHand), Options{Bases: map[string]string{"a": base}, Dir: filepath.Join(root, "out")})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "apps/shared/front.yaml"), []byte("{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {a: b}}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var ce *CheckError
	if err := tree.Check(); !errors.As(err, &ce) {
		t.Errorf("got %v, want a CheckError", err)
	}
}

// TestUserBaseWhole: of an object that the plan holds whole the base must hold the same, in any version; deletes are
// patches with the version of the user's.
func TestUserBaseWhole(t *testing.T) {
	p := load(t, byHand)
	root := t.TempDir()
	base := filepath.Join(root, "b")
	if err := os.Mkdir(base, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(edit func(api.Content)) {
		var objects []map[string]any
		for _, b := range p.Base {
			if folderOf(b.Object) == "b" {
				c := clone(b.Content).(map[string]any)
				edit(c)
				objects = append(objects, c)
			}
		}
		text, err := Documents(objects)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.WriteFile(base+"/all.yaml", text, 0o644), os.WriteFile(base+"/kustomization.yaml", []byte("resources: [all.yaml]\n"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	o := Options{Bases: map[string]string{"b": base}, Dir: filepath.Join(root, "out")}
	for _, version := range []string{"", "v1beta1"} {
		write(func(c api.Content) {
			if v, _ := c["apiVersion"].(string); version != "" && strings.Contains(v, "istio.io/") {
				c["apiVersion"] = api.GroupOf(v) + "/" + version
			}
		})
		tree, err := Build(p, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.Check(); err != nil {
			t.Errorf("version %q: %v", version, err)
		}
		deleted := false
		for path := range maps.Keys(tree.files) {
			deleted = deleted || strings.HasPrefix(path, "components/b/") && strings.HasSuffix(path, "_removal.yaml")
		}
		if !deleted {
			t.Error("the plan deletes nothing, so this tests too little")
		}
	}
	write(func(c api.Content) {
		if c["kind"] == "VirtualService" {
			c["spec"] = map[string]any{"hosts": []any{"elsewhere"}}
		}
	})
	var be *BaseError
	if _, err := Build(p, o); !errors.As(err, &be) || !strings.Contains(err.Error(), "another spec than in the inventory") {
		t.Errorf("got %v", err)
	}
}
