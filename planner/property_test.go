package planner_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/internal/meshgen"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner"
)

// drawMesh draws a small mesh: few namespaces, so that calls and policies meet.
func drawMesh(t *rapid.T) *api.Inventory {
	return meshgen.Generate(meshgen.Params{
		Seed:       rapid.Uint64().Draw(t, "seed"),
		Namespaces: rapid.IntRange(1, 12).Draw(t, "namespaces"),
		Services:   rapid.IntRange(0, 20).Draw(t, "services"),
		Pods:       rapid.IntRange(0, 60).Draw(t, "pods"),
		Policies:   rapid.IntRange(0, 30).Draw(t, "policies"),
		Routes:     rapid.IntRange(0, 20).Draw(t, "routes"),
		Edges:      rapid.IntRange(0, 60).Draw(t, "edges"),
		Nodes:      1,
	})
}

func drawPolicy(t *rapid.T) *api.MigrationPolicy {
	return &api.MigrationPolicy{
		TypeMeta: api.TypeMeta{APIVersion: api.APIVersion, Kind: api.KindMigrationPolicy},
		Capacity: api.Capacity{
			Namespaces:   rapid.IntRange(0, 3).Draw(t, "namespaces a wave"),
			RestartBatch: rapid.IntRange(0, 3).Draw(t, "restart batch"),
		},
		Waypoint: api.WaypointPolicy{Scope: rapid.SampledFrom([]string{"", "namespace", "service"}).Draw(t, "scope")},
	}
}

func mustPlan(t *rapid.T, inv *api.Inventory, policy *api.MigrationPolicy) *api.MigrationPlan {
	p, err := planner.Plan(t.Context(), planner.Input{Inventory: inv, Policy: policy})
	if err != nil {
		t.Fatalf("Plan: %v", err)
	}
	return p
}

// treeObjects is what a tree holds: whole objects and fragments. Contents are never edited, only replaced.
type treeObjects map[api.Ref]api.Content

// apply folds changes into a copy, as Change.After documents. A change of what is not there, or a creation of
// what is, is an error: the way there and back must agree on what exists.
func (o treeObjects) apply(changes []api.Change) (treeObjects, error) {
	out := maps.Clone(o)
	for _, c := range changes {
		_, exists := out[c.Object]
		switch c.Op {
		case api.OpManual:
			// The tree does not hold it: people do it, and Does says what comes of it.
			if gone := c.Does == api.OpUnset || c.Does == api.OpDelete; gone != (c.After == nil) {
				return nil, fmt.Errorf("a manual change of %s does %q and has content: %t", c.Object, c.Does, c.After != nil)
			}
		case api.OpCreate:
			if exists {
				return nil, fmt.Errorf("it creates %s, which is there", c.Object)
			}
			out[c.Object] = c.After
		case api.OpPatch, api.OpFragment:
			if !exists || c.After == nil {
				return nil, fmt.Errorf("%s of %s: there before: %t, content after: %t", c.Op, c.Object, exists, c.After != nil)
			}
			out[c.Object] = c.After
		case api.OpDelete:
			if !exists {
				return nil, fmt.Errorf("it deletes %s, which is not there", c.Object)
			}
			delete(out, c.Object)
		default:
			return nil, fmt.Errorf("operation %q of %s", c.Op, c.Object)
		}
	}
	return out, nil
}

// Every step has a way back, and it ends in exactly the state that the step left: forward, back, forward again.
func TestRollbackRestores(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := mustPlan(t, drawMesh(t), drawPolicy(t))
		now := treeObjects{}
		for _, b := range p.Base {
			if _, ok := now[b.Object]; ok {
				t.Fatalf("base holds %s twice", b.Object)
			}
			now[b.Object] = b.Content
		}
		for _, w := range p.Waves {
			ends := map[string]treeObjects{"base": now}
			for _, s := range w.Steps {
				now = roundTrip(t, fmt.Sprintf("wave %d, step %s", w.Number, s.Name), now, s, ends)
				ends[s.Name] = now
			}
		}
	})
}

// roundTrip applies a step, goes back and forward again; it returns the state after the step. ends are the states at
// the end of the earlier steps of the wave.
func roundTrip(t *rapid.T, where string, before treeObjects, s api.Step, ends map[string]treeObjects) treeObjects {
	apply := func(what string, o treeObjects, cs []api.Change) treeObjects {
		next, err := o.apply(cs)
		if err != nil {
			t.Fatalf("%s, %s: %v", where, what, err)
		}
		return next
	}
	same := func(what string, want, got treeObjects) {
		if !reflect.DeepEqual(want, got) {
			t.Fatalf("%s, %s (-want +got):\n%s", where, what, cmp.Diff(want, got))
		}
	}
	if _, twice := ends[s.Name]; twice {
		t.Fatalf("%s: the wave has this step twice", where)
	}
	after := apply("forward", before, s.Changes)
	back := after
	for _, r := range s.Rollback {
		back = apply("rollback "+r.Name, back, r.Changes)
		if r.To == "" {
			continue
		}
		want, ok := ends[r.To]
		if !ok {
			t.Fatalf("%s, rollback %s: it returns to %q, which is no earlier step", where, r.Name, r.To)
		}
		same("rollback "+r.Name+" returns to "+r.To, want, back)
	}
	same("back again", before, back)
	if n := len(s.Rollback); n > 0 && s.Rollback[n-1].To == "" {
		t.Fatalf("%s: the last rollback step does not say which state it returns to", where)
	}
	same("forward again", after, apply("forward again", back, s.Changes))
	return after
}

// Base is what stands in the cluster: else a rollback to it would not restore anything.
func TestBaseIsTheCluster(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inv := drawMesh(t)
		specs := map[api.Ref]any{}
		for i := range inv.Objects {
			specs[inv.Objects[i].Ref()] = inv.Objects[i].Content["spec"]
		}
		labels := map[api.Ref]map[string]string{}
		for i := range inv.Namespaces {
			labels[inv.Namespaces[i].Ref()] = inv.Namespaces[i].Labels
		}
		for i := range inv.Services {
			labels[inv.Services[i].Ref()] = inv.Services[i].Labels
		}
		for _, b := range mustPlan(t, inv, drawPolicy(t)).Base {
			if !b.Fragment {
				spec, ok := specs[b.Object]
				if d := cmp.Diff(spec, b.Content["spec"]); !ok || d != "" {
					t.Errorf("base of %s is not what the inventory holds (-want +got):\n%s", b.Object, d)
				}
				continue
			}
			have, ok := labels[b.Object]
			if !ok {
				continue // A workload: its template's annotations are not all in the inventory.
			}
			meta, _ := b.Content["metadata"].(map[string]any)
			got, _ := meta["labels"].(map[string]any)
			for k, v := range got {
				if have[k] != v {
					t.Errorf("base of %s has the label %s=%v, the cluster %q", b.Object, k, v, have[k])
				}
			}
		}
	})
}

// The order of the input's lists says nothing, so it must not show in the plan.
func TestOrderOfInputIsIrrelevant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inv, policy := drawMesh(t), drawPolicy(t)
		want := planJSON(t, inv, policy)
		other := *inv
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "shuffle"), 0))
		other.Namespaces = shuffled(r, inv.Namespaces)
		other.Workloads = shuffled(r, inv.Workloads)
		other.Services = shuffled(r, inv.Services)
		other.Objects = shuffled(r, inv.Objects)
		other.Edges = shuffled(r, inv.Edges)
		if got := planJSON(t, &other, policy); got != want {
			t.Fatalf("the plan depends on the order of the inventory (-sorted +shuffled):\n%s", cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")))
		}
	})
}

func shuffled[T any](r *rand.Rand, in []T) []T {
	out := slices.Clone(in)
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func planJSON(t *rapid.T, inv *api.Inventory, policy *api.MigrationPolicy) string {
	b, err := json.MarshalIndent(mustPlan(t, inv, policy), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// No namespace of the mesh is forgotten, and none moves twice.
func TestEveryNamespaceHasOnePlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inv := drawMesh(t)
		p := mustPlan(t, inv, drawPolicy(t))
		places := map[string][]string{}
		for _, w := range p.Waves {
			if w.Number == 0 {
				continue
			}
			for _, n := range w.Namespaces {
				places[n] = append(places[n], fmt.Sprintf("wave %d", w.Number))
			}
		}
		for _, h := range p.Held {
			places[h.Name] = append(places[h.Name], "held")
		}
		for n, at := range places {
			if len(at) > 1 {
				t.Errorf("namespace %s is in %v", n, at)
			}
		}
		st, _ := mesh.New(inv)
		for i := range inv.Workloads {
			w := &inv.Workloads[i]
			if m := st.Mode(w); (m == mesh.ModeSidecar || m == mesh.ModeMixed) && len(places[w.Namespace]) == 0 {
				t.Errorf("%s has sidecars, and its namespace is in no wave and not held", w.Ref())
			}
		}
	})
}

// Whatever an inventory holds, Plan answers; and what it answers still goes back and forth.
func TestMangledMeshesArePlanned(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inv := drawMesh(t)
		mangle(t, inv)
		p, err := planner.Plan(t.Context(), planner.Input{Inventory: inv, Policy: drawPolicy(t)})
		if err == nil && p == nil {
			t.Fatal("neither a plan nor an error")
		}
	})
}

// mangle breaks up to ten things.
func mangle(t *rapid.T, inv *api.Inventory) {
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "mangle"), 0))
	for range rapid.IntRange(1, 10).Draw(t, "breaks") {
		switch r.IntN(9) {
		case 0:
			inv.Namespaces = slices.Delete(inv.Namespaces, 0, 1+r.IntN(len(inv.Namespaces)))
			inv.Namespaces = append(inv.Namespaces, api.Namespace{})
		case 1:
			inv.Services = slices.Delete(inv.Services, 0, r.IntN(len(inv.Services)+1))
		case 2:
			inv.Workloads = append(inv.Workloads, inv.Workloads[r.IntN(len(inv.Workloads))])
		case 3:
			w := &inv.Workloads[r.IntN(len(inv.Workloads))]
			w.PodLabels, w.Replicas, w.Pods, w.Kind = nil, nil, api.PodCounts{}, "Sand"
		case 4:
			o := &inv.Objects[r.IntN(len(inv.Objects))]
			o.Content = maps.Clone(o.Content)
			if o.Content == nil {
				o.Content = api.Content{}
			}
			o.Content["spec"] = []any{nil, "text", []any{int64(1)}, map[string]any{}, map[string]any{"rules": []any{nil}, "http": []any{nil}, "hosts": []any{""}}}[r.IntN(5)]
		case 5:
			inv.Objects[r.IntN(len(inv.Objects))].Content = nil
		case 6:
			inv.Edges = append(inv.Edges, api.Edge{}, api.Edge{From: api.Ref{Kind: "Namespace", Name: "gone"}, To: api.Ref{Kind: "Service", Namespace: "gone", Name: "gone"}, Port: -1})
		case 7:
			inv.Coverage = slices.Delete(inv.Coverage, 0, r.IntN(len(inv.Coverage)+1))
		case 8:
			inv.Clusters = nil
		}
	}
}
