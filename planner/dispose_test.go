package planner_test

import (
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/internal/corpora"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner"
)

// TestEveryObjectHasAFate: on every mesh of the corpora each object that configures
// the mesh has exactly one fate with a reason; a converted one says into what and how
// that is known, a blocked one what must be decided.
func TestEveryObjectHasAFate(t *testing.T) {
	meshes, err := corpora.Meshes("../testdata/corpora")
	if err != nil {
		t.Fatal(err)
	}
	total := map[api.Fate]int{}
	for _, m := range meshes {
		t.Run(m.Name, func(t *testing.T) {
			inv, err := inventory.Read(t.Context(), inventory.Options{Paths: m.Paths, DefaultNamespace: m.Namespace})
			if err != nil {
				if m.Contradictory {
					t.Skip(err)
				}
				t.Fatal(err)
			}
			p, err := planner.Plan(t.Context(), planner.Input{Inventory: inv})
			if err != nil {
				t.Fatal(err)
			}
			seen := map[api.Ref]int{}
			for _, x := range p.Objects {
				if x.Part == "" {
					seen[x.Object]++
				}
				total[x.Fate]++
				switch {
				case x.Fate == api.FateUnset || x.Why == "":
					t.Errorf("%s %s has fate %q because %q", x.Object, x.Part, x.Fate, x.Why)
				case x.Fate == api.FateConverted && (len(x.Into) == 0 || x.Proof == ""):
					t.Errorf("%s %s is converted into %v, known by %q", x.Object, x.Part, x.Into, x.Proof)
				}
			}
			for i := range inv.Objects {
				o := &inv.Objects[i]
				switch mesh.KindOf(api.GroupOf(o.APIVersion), o.Kind) {
				case mesh.KindAuthorizationPolicy, mesh.KindRequestAuthentication, mesh.KindPeerAuthentication, mesh.KindVirtualService, mesh.KindDestinationRule,
					mesh.KindServiceEntry, mesh.KindSidecar, mesh.KindEnvoyFilter, mesh.KindWasmPlugin, mesh.KindTrafficExtension, mesh.KindTelemetry, mesh.KindNetworkPolicy:
					if seen[o.Ref()] != 1 {
						t.Errorf("%s has %d fates", o.Ref(), seen[o.Ref()])
					}
				}
			}
			for _, c := range api.CountFates(p.Objects) {
				t.Logf("%-28s converted %3d  kept %3d  dropped %3d  blocked %3d", c.Kind, c.Converted, c.Kept, c.Dropped, c.Blocked)
			}
		})
	}
	t.Log(total)
	for _, f := range []api.Fate{api.FateConverted, api.FateKept, api.FateDropped, api.FateBlocked} {
		if total[f] == 0 {
			t.Errorf("nothing is %s in all corpora", f)
		}
	}
}
