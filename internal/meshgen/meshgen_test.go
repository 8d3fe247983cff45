package meshgen_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/internal/meshgen"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/mesh"
)

func encoded(t *testing.T, inv *api.Inventory) []byte {
	t.Helper()
	b, err := json.Marshal(inv)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSameSeedSameBytes(t *testing.T) {
	p := meshgen.Size(1500)
	first := encoded(t, meshgen.Generate(p))
	if !bytes.Equal(first, encoded(t, meshgen.Generate(p))) {
		t.Error("two runs with one seed differ")
	}
	p.Seed++
	if bytes.Equal(first, encoded(t, meshgen.Generate(p))) {
		t.Error("another seed gives the same mesh")
	}
}

func TestGeneratedInventoryIsADocument(t *testing.T) {
	inv := meshgen.Generate(meshgen.Size(1500))
	got, err := api.Decode[api.Inventory]("inventory.json", bytes.NewReader(encoded(t, inv)))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(inv, got); d != "" {
		t.Errorf("decoding changed it (-want +got):\n%s", d)
	}
}

func TestSizeIsKept(t *testing.T) {
	for _, pods := range []int{1500, 15000} {
		p := meshgen.Size(pods)
		inv := meshgen.Generate(p)
		total := 0
		for _, w := range inv.Workloads {
			if c := w.Pods; c.Total != c.Sidecar+c.Ambient+c.Uncaptured+c.Done {
				t.Errorf("%s: each pod counts once: %+v", w.Ref(), c)
			}
			total += w.Pods.Total
		}
		if total != pods {
			t.Errorf("Size(%d) has %d pods", pods, total)
		}
		if got := len(inv.Services); got != p.Services+3 {
			t.Errorf("Size(%d) has %d services, want %d and three of the platform", pods, got, p.Services)
		}
	}
}

// What the benchmarks are meant to run through has to be there.
func TestMeshHoldsTheMix(t *testing.T) {
	inv := meshgen.Generate(meshgen.Size(1500))
	for _, c := range inv.Coverage {
		switch c.Kind {
		case "Namespace", "Service", "Pod", "Node", "Deployment", "StatefulSet", "DaemonSet", "CronJob", "AuthorizationPolicy",
			"PeerAuthentication", "VirtualService", "DestinationRule", "ServiceEntry", "PodDisruptionBudget", "HorizontalPodAutoscaler", "MeshConfig":
			if c.State != api.Complete {
				t.Errorf("no %s in the mesh: %+v", c.Kind, c)
			}
		}
	}
	if len(inv.Coverage) != len(api.Kinds()) {
		t.Errorf("coverage has %d entries, want one for each of %d kinds", len(inv.Coverage), len(api.Kinds()))
	}
	if _, unknowns := mesh.New(inv); len(unknowns) > 0 {
		t.Errorf("an object does not fit its type: %+v", unknowns[0])
	}
}

var label = regexp.MustCompile(`^[a-z]([-a-z0-9]*[a-z0-9])?$`)

func TestKubernetesTakesTheNames(t *testing.T) {
	inv := meshgen.Generate(meshgen.Size(15000))
	check := func(r api.Ref) {
		if r.Kind == "CustomResourceDefinition" {
			return
		}
		if !label.MatchString(r.Name) || len(r.Name) > 52 {
			t.Errorf("%s has a name that Kubernetes refuses, or cannot add a suffix to", r)
		}
	}
	var refs []api.Ref
	for i := range inv.Namespaces {
		refs = append(refs, inv.Namespaces[i].Ref())
	}
	for i := range inv.Services {
		refs = append(refs, inv.Services[i].Ref())
	}
	for i := range inv.Workloads {
		refs = append(refs, inv.Workloads[i].Ref())
	}
	for i := range inv.Objects {
		refs = append(refs, inv.Objects[i].Ref())
	}
	slices.SortFunc(refs, api.Ref.Compare)
	for i, r := range refs {
		check(r)
		if i > 0 && refs[i-1] == r {
			t.Errorf("%s is there twice", r)
		}
	}
}

func TestOddSizesDoNotPanic(t *testing.T) {
	for _, p := range []meshgen.Params{{}, {Namespaces: 1}, {Services: 5}, {Namespaces: 3, Services: 1, Policies: 4, Routes: 4, Edges: 9},
		{Namespaces: 10, Services: 2, Edges: 50}, {Namespaces: -1, Services: -1, Pods: -1, Policies: -1, Routes: -1, Edges: -1, Nodes: -1}} {
		meshgen.Generate(p)
	}
}

// The reader of files must see in the manifests the mesh that they were written from.
func TestManifestsReadBack(t *testing.T) {
	inv := meshgen.Generate(meshgen.Size(1500))
	var b bytes.Buffer
	if err := meshgen.Manifests(inv, &b); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "cluster.yaml")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := inventory.Read(t.Context(), inventory.Options{Paths: []string{file}})
	if err != nil {
		t.Fatal(err)
	}
	want := *inv
	want.Edges = nil
	if d := cmp.Diff(&want, got, cmpopts.IgnoreTypes(api.Origin{}), cmpopts.EquateEmpty(),
		cmpopts.IgnoreFields(api.Inventory{}, "Coverage", "Documents")); d != "" {
		t.Errorf("reading changed it (-want +got):\n%.4000s", d)
	}
}
