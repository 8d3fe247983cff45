// Package analyze runs the analyzers of istioctl over every state of the plans of
// real meshes. A step may not bring an error that the mesh of today does not have.
package analyze

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"istio.io/istio/pkg/config/analysis/analyzers"
	"istio.io/istio/pkg/config/analysis/diag"
	"istio.io/istio/pkg/config/analysis/local"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/internal/corpora"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/planner"
	"github.com/ambientplan/ambientplan/test/e2e/istiod"
)

func TestMain(m *testing.M) { istiod.Main(m) }

// cluster is a mesh as files give it, by object.
type cluster map[api.Ref]map[string]any

func TestAnalyzersFindNothingNew(t *testing.T) {
	meshes, err := corpora.Meshes("../../../testdata/corpora")
	if err != nil {
		t.Fatal(err)
	}
	meshes = append(meshes,
		corpora.Mesh{Name: "example/bookinfo", Namespace: "default", Paths: []string{"../../../examples/bookinfo/cluster"}},
		corpora.Mesh{Name: "example/online-boutique", Namespace: "default", Paths: []string{"../../../examples/online-boutique/cluster"}},
	)
	states, planned := 0, 0
	for _, m := range meshes {
		if m.Contradictory {
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			n := analyzeMesh(t, m)
			states += n
			if n > 0 {
				planned++
			}
		})
	}
	t.Logf("%d states of %d meshes analyzed", states, planned)
	if planned < 5 || states < 50 {
		t.Errorf("only %d states of %d meshes were analyzed", states, planned)
	}
}

// analyzeMesh plans a mesh and analyzes each state. It returns how many there were.
func analyzeMesh(t *testing.T, m corpora.Mesh) int {
	inv, err := inventory.Read(context.Background(), inventory.Options{Paths: m.Paths, DefaultNamespace: m.Namespace})
	if err != nil {
		t.Fatal(err)
	}
	p, err := planner.Plan(context.Background(), planner.Input{Inventory: inv})
	if err != nil {
		t.Fatal(err)
	}
	now := readCluster(t, m)
	known := errorsOf(t, now)
	n := 0
	check := func(state string, c cluster) {
		n++
		for msg := range errorsOf(t, c) {
			if !known[msg] {
				t.Errorf("%s: istioctl analyze has an error that the mesh of today does not have: %s", state, msg)
			}
		}
	}
	for _, w := range p.Waves {
		ends := make([]cluster, len(w.Steps))
		for i, s := range w.Steps {
			now = apply(now, s.Changes)
			ends[i] = now
			check(fmt.Sprintf("wave %d step %s", w.Number, s.Name), now)
		}
		for i, s := range w.Steps {
			back := ends[i]
			for _, r := range s.Rollback {
				back = apply(back, r.Changes)
				check(fmt.Sprintf("wave %d way back %s", w.Number, r.Name), back)
			}
		}
	}
	return n
}

// readCluster reads the documents of a mesh as they stand in its files.
func readCluster(t *testing.T, m corpora.Mesh) cluster {
	out := cluster{}
	for _, root := range m.Paths {
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
				out.put(o, m.Namespace)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func (c cluster) put(o map[string]any, namespace string) {
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

// apply makes the cluster after some changes, those of people included.
func apply(c cluster, changes []api.Change) cluster {
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

// errorsOf are the errors that the analyzers find, each without its position.
func errorsOf(t *testing.T, c cluster) map[string]bool {
	t.Helper()
	var docs []string
	for _, ref := range slices.SortedFunc(maps.Keys(c), api.Ref.Compare) {
		b, err := yaml.Marshal(c[ref])
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, string(b))
	}
	a := local.NewIstiodAnalyzer(analyzers.AllCombined(), "", "istio-system", nil)
	if err := a.AddDefaultResources(); err != nil {
		t.Fatal(err)
	}
	// A document of a kind that the analyzers do not know is an error of the reader, and no reason to stop.
	_ = a.AddTestReaderKubeSource([]local.ReaderSource{{Name: "state", Reader: strings.NewReader(strings.Join(docs, "\n---\n"))}})
	stop := make(chan struct{})
	defer close(stop)
	r, err := a.Analyze(stop)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, m := range r.Messages {
		if m.Type.Level() == diag.Error {
			origin := ""
			if m.Resource != nil {
				origin = m.Resource.Metadata.FullName.String()
			}
			out[fmt.Sprintf("%s %s: %s", m.Type.Code(), origin, fmt.Sprintf(m.Type.Template(), m.Parameters...))] = true
		}
	}
	return out
}

// TestAnalyzersSeeErrors shows that the check can fail: a route to a gateway that
// is not there is an error.
func TestAnalyzersSeeErrors(t *testing.T) {
	c := cluster{}
	c.put(map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "shop"}}, "")
	c.put(map[string]any{
		"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": map[string]any{"name": "v", "namespace": "shop"},
		"spec": map[string]any{"hosts": []any{"a.example"}, "gateways": []any{"none"}, "http": []any{map[string]any{"route": []any{map[string]any{"destination": map[string]any{"host": "a"}}}}}},
	}, "")
	if e := errorsOf(t, c); len(e) == 0 {
		t.Error("the analyzers found nothing in a VirtualService whose gateway does not exist")
	}
}
