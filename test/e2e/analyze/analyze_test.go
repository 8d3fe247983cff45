// Package analyze runs the analyzers of istioctl over every state of the plans of
// real meshes. A step may not bring an error that the mesh of today does not have.
package analyze

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"istio.io/istio/pkg/config/analysis/analyzers"
	"istio.io/istio/pkg/config/analysis/diag"
	"istio.io/istio/pkg/config/analysis/local"
	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/internal/corpora"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/planner"
	"github.com/ambientplan/ambientplan/test/e2e/cluster"
	"github.com/ambientplan/ambientplan/test/e2e/istiod"
)

func TestMain(m *testing.M) { istiod.Main(m) }

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
	now := cluster.Read(t, m.Paths, m.Namespace)
	known := errorsOf(t, now)
	n := 0
	check := func(state string, c cluster.Objects) {
		n++
		for msg := range errorsOf(t, c) {
			if !known[msg] {
				t.Errorf("%s: istioctl analyze has an error that the mesh of today does not have: %s", state, msg)
			}
		}
	}
	for _, w := range p.Waves {
		ends := make([]cluster.Objects, len(w.Steps))
		for i, s := range w.Steps {
			now = now.Apply(s.Changes)
			ends[i] = now
			check(fmt.Sprintf("wave %d step %s", w.Number, s.Name), now)
		}
		for i, s := range w.Steps {
			back := ends[i]
			for _, r := range s.Rollback {
				back = back.Apply(r.Changes)
				check(fmt.Sprintf("wave %d way back %s", w.Number, r.Name), back)
			}
		}
	}
	return n
}

// errorsOf are the errors that the analyzers find, each without its position.
func errorsOf(t *testing.T, c cluster.Objects) map[string]bool {
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
	c := cluster.Objects{}
	c.Put(map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "shop"}}, "")
	c.Put(map[string]any{
		"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": map[string]any{"name": "v", "namespace": "shop"},
		"spec": map[string]any{"hosts": []any{"a.example"}, "gateways": []any{"none"}, "http": []any{map[string]any{"route": []any{map[string]any{"destination": map[string]any{"host": "a"}}}}}},
	}, "")
	if e := errorsOf(t, c); len(e) == 0 {
		t.Error("the analyzers found nothing in a VirtualService whose gateway does not exist")
	}
}
