package planner_test

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner"
)

// apart reads a call graph and gives each service a namespace of its own, so that
// the order of services becomes an order of namespaces.
func apart(t *testing.T, name string) *api.Inventory {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "testdata", "corpora", "callgraphs", name+".csv"))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(raw))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	var b strings.Builder
	b.WriteString("source_namespace,source,target_namespace,target\n")
	for _, r := range rows[1:] {
		names = append(names, r[1], r[3])
		b.WriteString(r[1] + "," + r[1] + "," + r[3] + "," + r[3] + "\n")
	}
	slices.Sort(names)
	manifests := ""
	for _, n := range slices.Compact(names) {
		manifests += app(n, n)
	}
	inv, err := inventory.Read(t.Context(), inventory.Options{Paths: []string{"-"}, Stdin: strings.NewReader(manifests)})
	if err != nil {
		t.Fatal(err)
	}
	edges, unknowns, err := inventory.ReadEdges(name+".csv", strings.NewReader(b.String()), api.Observed, inv)
	if err != nil || len(unknowns) > 0 {
		t.Fatal(err, unknowns)
	}
	inv.Edges = edges
	return inv
}

// TestCallGraphs orders real call graphs in which every service is guarded by
// layer 7 policy, which is the hardest order there is. The sizes of the cycles
// were counted by another program; testdata/corpora/callgraphs/SOURCE.md has them too.
func TestCallGraphs(t *testing.T) {
	cases := []struct {
		name   string
		cycles []int
	}{
		{"bookinfo", nil},
		{"online-boutique", nil},
		{"dsb-hotel-reservation", nil},
		{"dsb-social-network", nil},
		{"train-ticket", []int{3}},
		{"onap-authz", []int{4, 7}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			st, _ := mesh.New(apart(t, c.name))
			var nss []api.PlanNamespace
			doc := api.FeatureNeeds{File: "needs.yaml"}
			for i := range st.Namespaces() {
				n := st.Namespaces()[i].Name
				nss = append(nss, api.PlanNamespace{Name: n, Pods: 1})
				doc.Services = append(doc.Services, needs(n, n, api.CapL7Authorization))
			}
			ds, _ := planner.Decide(st, nil, []api.FeatureNeeds{doc}, nil)
			edges, _, _ := planner.Edges(st, nil)
			slots, cs, fs, err := planner.Schedule(nss, ds, planner.Constrain(st, ds, edges), &api.MigrationPolicy{Capacity: api.Capacity{Namespaces: 5}}, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			wave := map[string]int{}
			for i, s := range slots {
				for _, n := range s.Namespaces {
					wave[n] = i
				}
			}
			cycle := map[string][]string{}
			for _, x := range cs {
				a, b := wave[x.Before.Namespace], wave[x.After.Namespace]
				if (x.Broken != "" && x.Broken != "cycle") || a > b || (x.Broken == "" && x.After.Step == "cutover" && a == b) {
					t.Errorf("%s in wave %d, %s in wave %d", x.Before.Namespace, a+1, x.After.Namespace, b+1)
				}
				if x.Broken == "cycle" {
					k := slots[a].Namespaces[0]
					cycle[k] = append(cycle[k], x.Before.Namespace, x.After.Namespace)
				}
			}
			var got []int
			for _, members := range cycle {
				slices.Sort(members)
				got = append(got, len(slices.Compact(members)))
			}
			slices.Sort(got)
			if diff := cmp.Diff(c.cycles, got); diff != "" {
				t.Errorf("cycles (-want +got):\n%s", diff)
			}
			named := 0
			for _, f := range fs {
				if f.ID == "cycle" {
					named++
				}
			}
			if named != len(c.cycles) {
				t.Errorf("%d findings name a cycle, want %d", named, len(c.cycles))
			}
			t.Logf("%d namespaces, %d constraints, %d waves", len(nss), len(cs), len(slots))
		})
	}
}
