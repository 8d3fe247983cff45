package convert_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/internal/corpora"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/convert"
)

// newest is a cluster in which every field can be used.
func newest() convert.Cluster {
	d := &convert.Definition{Bundle: convert.Version{Major: 1, Minor: 7}, Experimental: true}
	return convert.Cluster{Istio: convert.Version{Major: 1, Minor: 31}, HTTPRoute: d, GRPCRoute: d, TCPRoute: d, TLSRoute: d}
}

// TestCorpora puts every VirtualService of the corpora into exactly one class, each with its reason. With
// CONVERT_PRINT=1 it prints them.
func TestCorpora(t *testing.T) {
	meshes, err := corpora.Meshes("../../testdata/corpora")
	if err != nil {
		t.Fatal(err)
	}
	counts := map[convert.Class]int{}
	for _, m := range meshes {
		t.Run(m.Name, func(t *testing.T) {
			inv, err := inventory.Read(t.Context(), inventory.Options{Paths: m.Paths, DefaultNamespace: m.Namespace})
			if m.Contradictory && errors.Is(err, inventory.ErrNoDocuments) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			st, _ := mesh.New(inv)
			r := convert.All(st, newest())
			if got, want := len(r.VirtualServices), len(st.VirtualServices()); got != want {
				t.Errorf("%d results for %d VirtualServices", got, want)
			}
			for _, v := range r.VirtualServices {
				counts[v.Class]++
				switch {
				case v.Class == convert.Unset:
					t.Errorf("%s is in no class", v.Object)
				case v.Class == convert.Converted && len(v.Why) > 0:
					t.Errorf("%s is converted in spite of %+v", v.Object, v.Why)
				case v.Class != convert.Converted && len(v.Why) == 0:
					t.Errorf("%s is %s without a reason", v.Object, v.Class)
				}
				show(t, v)
			}
			for _, s := range r.Subsets {
				if s.Class == convert.Unset {
					t.Errorf("subset %s of %s is in no class", s.Subset, s.Rule)
				}
			}
			for _, h := range r.Hosts {
				if (h.Class == convert.Converted) != (len(h.Objects) > 0) {
					t.Errorf("%s is %s with %d objects", h.Host, h.Class, len(h.Objects))
				}
				print(t, h.Objects)
			}
		})
	}
	// A change here is one of what is converted: read it with CONVERT_PRINT=1 before you change the numbers.
	want := map[convert.Class]int{convert.Converted: 13, convert.Kept: 105, convert.Blocked: 37}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func show(t *testing.T, v convert.VirtualServiceResult) {
	t.Helper()
	if os.Getenv("CONVERT_PRINT") == "" {
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s %v %v rest=%v\n", v.Object, v.Class, v.Hosts, v.Others, v.Rest != nil)
	for _, w := range v.Why {
		fmt.Fprintf(&b, "  %s %s %s: %s\n", w.Fact, w.Object.Name, w.Path, w.Text)
	}
	for _, w := range v.Dropped {
		fmt.Fprintf(&b, "  dropped %s %s %s: %s\n", w.Fact, w.Object.Name, w.Path, w.Text)
	}
	t.Log(b.String())
}

func print(t *testing.T, objects []api.Content) {
	t.Helper()
	if os.Getenv("CONVERT_PRINT") != "2" {
		return
	}
	for _, o := range objects {
		b, err := yaml.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("\n%s", b)
	}
}
