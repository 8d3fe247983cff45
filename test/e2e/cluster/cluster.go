// Package cluster holds the objects of a mesh as its files give them, and changes
// them as the steps of a plan do, without asking anything of the planner's own model.
package cluster

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// Objects of a mesh.
type Objects map[api.Ref]map[string]any

// Read reads the documents of a mesh as they stand in its files. Those that name no
// namespace belong to the given one.
func Read(t testing.TB, paths []string, namespace string) Objects {
	t.Helper()
	out := Objects{}
	for _, root := range paths {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || (filepath.Ext(path) != ".yaml" && filepath.Ext(path) != ".yml") {
				return err
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for doc := range strings.SplitSeq("\n"+string(b), "\n---") {
				var o map[string]any
				if yaml.Unmarshal([]byte(doc), &o) != nil || o["kind"] == nil {
					continue // Not a Kubernetes object: the reader of inventories reports it.
				}
				out.Put(o, namespace)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// Put adds an object.
func (c Objects) Put(o map[string]any, namespace string) {
	meta, _ := o["metadata"].(map[string]any)
	if meta == nil {
		return
	}
	kind, _ := o["kind"].(string)
	version, _ := o["apiVersion"].(string)
	name, _ := meta["name"].(string)
	ns, _ := meta["namespace"].(string)
	if ns == "" && kind != "Namespace" {
		ns = namespace
		meta["namespace"] = ns
	}
	c[api.Ref{Group: api.GroupOf(version), Kind: kind, Namespace: ns, Name: name}] = o
}

// Apply makes the objects after some changes, those of people included.
func (c Objects) Apply(changes []api.Change) Objects {
	out := maps.Clone(c)
	for _, x := range changes {
		op := x.Op
		if op == api.OpManual {
			op = x.Does
		}
		switch op {
		case api.OpCreate, api.OpPatch:
			out[x.Object] = x.After
		case api.OpFragment:
			out[x.Object] = overlay(runtime.DeepCopyJSON(jsonCopy(out[x.Object])), x.After)
		case api.OpDelete:
			delete(out, x.Object)
		case api.OpManual, api.OpUnset:
		}
	}
	return out
}

// jsonCopy makes numbers what DeepCopyJSON accepts.
func jsonCopy(o map[string]any) map[string]any {
	b, _ := yaml.Marshal(o)
	out := map[string]any{}
	_ = yaml.Unmarshal(b, &out)
	return out
}

// overlay sets the fields of a fragment.
func overlay(o, fragment map[string]any) map[string]any {
	if o == nil {
		o = map[string]any{}
	}
	for k, v := range fragment {
		if m, ok := v.(map[string]any); ok {
			below, _ := o[k].(map[string]any)
			o[k] = overlay(below, m)
			continue
		}
		o[k] = v
	}
	return o
}
