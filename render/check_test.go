package render

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

const byHand = "testdata/by-hand/plan.yaml"

// TestCheckCatchesTrees breaks a good tree in one place at a time.
func TestCheckCatchesTrees(t *testing.T) {
	for _, c := range []struct {
		name, file string
		edit       func(string) string
		want       string
	}{
		{"a patch is dropped", "components/b/prepare-w02/kustomization.yaml",
			func(s string) string {
				return strings.Replace(s, "- path: authorizationpolicy.back_patch.yaml\n", "", 1)
			}, "AuthorizationPolicy b/back is not what the plan says"},
		{"a resource is dropped", "components/b/prepare/kustomization.yaml",
			func(s string) string {
				return strings.Replace(s, "resources:\n- gateway.waypoint.yaml", "metadata: {name: x}", 1)
			}, "Gateway b/waypoint is missing"},
		{"a field too many", "components/a/cutover/deployment.front_patch.yaml",
			func(s string) string { return s + "  replicas: 1\n" }, "Deployment a/front is not what the plan says"},
		{"an object too many", "base/b/virtualservice.back.yaml",
			func(s string) string { return s + "---\n" + strings.Replace(s, "name: back", "name: other", 1) }, "VirtualService b/other is built, but the plan does not have it here"},
		{"a fragment may be pruned", "base/a/namespace.a.yaml",
			func(s string) string { return strings.Replace(s, "Prune=false", "Prune=true", 1) }, "Namespace a is not what the plan says"},
		{"a rollback points elsewhere", "waves/01-a/rollback/02-cutover-restart/kustomization.yaml",
			func(s string) string {
				return strings.Replace(s, "- ../../../../components/b/prepare\n", "- ../../../../components/a/cutover\n- ../../../../components/b/prepare\n", 1)
			}, "is not what the plan says"},
		{"a reference leaves the tree", "clusters/default/kustomization.yaml",
			func(s string) string { return s + "- ../../../outside\n" }, "leaves the tree"},
		{"a reference leads nowhere", "clusters/default/kustomization.yaml",
			func(s string) string { return s + "- ../../base/nobody\n" }, "leads nowhere"},
		{"the pointer misses a namespace", "clusters/default/kustomization.yaml",
			func(s string) string { return strings.Replace(s, "- ../../base/a\n", "", 1) }, "not to every base"},
		{"the pointer changes what it points to", "clusters/default/kustomization.yaml",
			func(s string) string { return s + "namePrefix: x\n" }, "namePrefix"},
		{"a kustomization is not YAML", "base/a/kustomization.yaml",
			func(string) string { return "\t:" }, "base/a/kustomization.yaml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree := build(t, load(t, byHand))
			before := string(tree.files[c.file])
			after := c.edit(before)
			if after == before {
				t.Fatalf("the edit of %s changes nothing:\n%s", c.file, before)
			}
			tree.files[c.file] = []byte(after)
			err := tree.Check()
			var ce *CheckError
			if !errors.As(err, &ce) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want a CheckError with %q", err, c.want)
			}
		})
	}
}

// TestCheckPaths: a path that leaves the tree never reaches a disk.
func TestCheckPaths(t *testing.T) {
	for _, p := range []string{"../x", "/x", "a/../../x", "a//b", "a\nb", "c:x"} {
		tree := build(t, load(t, byHand))
		tree.files[p] = []byte("x")
		var ce *CheckError
		if err := tree.Check(); !errors.As(err, &ce) {
			t.Errorf("%q: got %v, want a CheckError", p, err)
		}
	}
}

// TestPlansThatContradictThemselves have no tree.
func TestPlansThatContradictThemselves(t *testing.T) {
	step := func(p *api.MigrationPlan, w, s int) *api.Step { return &p.Waves[w].Steps[s] }
	for _, c := range []struct {
		name string
		edit func(*api.MigrationPlan)
		want string
	}{
		{"a change is dropped", func(p *api.MigrationPlan) { step(p, 0, 0).Changes = nil }, "wave 1, step prepare, rollback prepare: it has a delete of Gateway b/waypoint"},
		{"a patched object has no base", func(p *api.MigrationPlan) { p.Base = p.Base[:2] }, "neither base nor an earlier step holds"},
		{"a rollback change is dropped", func(p *api.MigrationPlan) { step(p, 1, 0).Rollback[0].Changes = step(p, 1, 0).Rollback[0].Changes[1:] }, "VirtualService b/back has other content"},
		{"a rollback returns elsewhere than it says", func(p *api.MigrationPlan) { step(p, 0, 1).Rollback[1].To = "base" }, "is left over"},
		{"a rollback returns to no step", func(p *api.MigrationPlan) { step(p, 0, 1).Rollback[1].To = "nowhere" }, "not an earlier step"},
		{"a rollback returns to its own step", func(p *api.MigrationPlan) { step(p, 0, 1).Rollback[1].To = "cutover" }, "the step that it undoes"},
		{"an object is created twice", func(p *api.MigrationPlan) {
			step(p, 0, 1).Changes = append(step(p, 0, 1).Changes, step(p, 0, 0).Changes[0])
		}, "there already"},
		{"the content is another object", func(p *api.MigrationPlan) { step(p, 0, 0).Changes[0].Object.Name = "other" }, "not Gateway b/other"},
		{"the content is missing", func(p *api.MigrationPlan) { step(p, 0, 0).Changes[0].After = nil }, "the content is"},
		{"an operation is not set", func(p *api.MigrationPlan) { step(p, 0, 0).Changes[0].Op = "" }, `operation ""`},
		{"base lists an object twice", func(p *api.MigrationPlan) { p.Base = append(p.Base, p.Base[0]) }, "listed twice"},
		{"two steps of one name", func(p *api.MigrationPlan) { step(p, 1, 1).Name = "prepare" }, `two steps "prepare"`},
		{"two waves of one name", func(p *api.MigrationPlan) { p.Waves[1].Number, p.Waves[1].Name = 1, "a" }, "two waves"},
		{"two clusters", func(p *api.MigrationPlan) { p.Base[0].Object.Cluster = "east" }, "2 clusters"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := load(t, byHand)
			c.edit(p)
			_, err := Build(p, Options{})
			var pe *PlanError
			if !errors.As(err, &pe) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want a PlanError with %q", err, c.want)
			}
		})
	}
}

// TestChecklistErrors: a wave or format that there is not is said, with those that there are.
func TestChecklistErrors(t *testing.T) {
	p := load(t, byHand)
	var we *WaveError
	if _, err := Checklist(p, 7, "markdown"); !errors.As(err, &we) || !slices.Equal(we.Have, []int{1, 2}) {
		t.Errorf("got %v", err)
	}
	var fe *FormatError
	if _, err := Checklist(p, 1, "pdf"); !errors.As(err, &fe) {
		t.Errorf("got %v", err)
	}
	var se *SubjectError
	if _, err := Explain(p, "nowhere/back"); !errors.As(err, &se) || !slices.Equal(se.Near, []string{"b/back"}) {
		t.Errorf("got %v", err)
	}
}

// TestNotProvedIsSaid: no result but "proved" may read like it.
func TestNotProvedIsSaid(t *testing.T) {
	for _, r := range []api.ProofResult{api.ProofUnset, api.ProofUnknown, api.Gap, "nonsense"} {
		if w := proofOf(api.Proof{Result: r}).Word; strings.HasPrefix(w, "Proved") {
			t.Errorf("%q reads %q", r, w)
		}
	}
}

// jsonMap draws an object as APIs have them: a field has one type. Maps and lists
// nest and may be empty; zeros are explicit.
func jsonMap(depth int) *rapid.Generator[map[string]any] {
	return rapid.Custom(func(t *rapid.T) map[string]any {
		m := map[string]any{}
		scalar := rapid.OneOf(rapid.Just[any]("a"), rapid.Just[any]("b: c"), rapid.Just[any](int64(0)), rapid.Just[any](false), rapid.Just[any](""), rapid.Just[any]("yes"))
		for _, k := range []string{"name", "yes"} {
			if rapid.Bool().Draw(t, k) {
				m[k] = scalar.Draw(t, k)
			}
		}
		if rapid.Bool().Draw(t, "hosts") {
			m["hosts"] = rapid.SliceOfN(scalar, 0, 3).Draw(t, "hosts")
		}
		if depth == 0 {
			return m
		}
		if rapid.Bool().Draw(t, "rules") {
			list := []any{}
			for range rapid.IntRange(0, 2).Draw(t, "rules") {
				list = append(list, jsonMap(depth-1).Draw(t, "rule"))
			}
			m["rules"] = list
		}
		for _, k := range []string{"selector", "x.y/z"} {
			if rapid.Bool().Draw(t, k) {
				m[k] = jsonMap(depth-1).Draw(t, k)
			}
		}
		return m
	})
}

// TestPatchIsTheDifference: whatever a mesh object holds before and after, kustomize
// applies our patch to the one and gets the other.
func TestPatchIsTheDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		object := func(name string) api.Content {
			return api.Content{"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
				"metadata": map[string]any{"name": "p", "namespace": "n"}, "spec": jsonMap(3).Draw(t, name)}
		}
		before, after := object("before"), object("after")
		patch := patchBetween(before, after)
		if patch == nil {
			patch = withIdentity(map[string]any{}, before)
		}
		fs := filesys.MakeFsInMemory()
		for name, c := range map[string]map[string]any{
			"o.yaml": before, "p.yaml": patch,
			"kustomization.yaml": {"resources": []string{"o.yaml"}, "patches": []any{map[string]any{"path": "p.yaml"}}},
		} {
			doc, err := Documents([]map[string]any{c})
			if err != nil {
				t.Fatal(err)
			}
			if err := fs.WriteFile("/d/"+name, doc); err != nil {
				t.Fatal(err)
			}
		}
		b := kustomizeAt(fs, "/d")
		if b.err != nil {
			t.Fatal(b.err)
		}
		want, err := canonical(after)
		if err != nil {
			t.Fatal(err)
		}
		for _, got := range maps.All(b.objects) {
			if got != want {
				t.Fatalf("got %s\nwant %s", got, want)
			}
		}
	})
}

// TestParallel builds and checks trees side by side: kustomize keeps one schema for
// the process. Run it with -race once in a while.
func TestParallel(t *testing.T) {
	p := load(t, byHand)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			tree, err := Build(p, Options{})
			if err == nil {
				err = tree.Check()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// TestKubectl holds our builds against the real command, byte for byte.
func TestKubectl(t *testing.T) {
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("no kubectl on PATH: builds were only made with kustomize's library")
	}
	tree := build(t, load(t, byHand))
	dir := filepath.Join(t.TempDir(), "out")
	if err := tree.Write(dir); err != nil {
		t.Fatal(err)
	}
	fs := filesys.MakeFsOnDisk()
	for _, p := range tree.Paths() {
		if path.Base(p) != "kustomization.yaml" || strings.HasPrefix(p, "components/") {
			continue
		}
		sub := filepath.Join(dir, filepath.FromSlash(path.Dir(p)))
		cmd := exec.Command(kubectl, "kustomize", sub)
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
		var errs strings.Builder
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v %s", p, err, errs.String())
		}
		ours := kustomizeAt(fs, sub)
		if ours.err != nil {
			t.Fatalf("%s: %v", p, ours.err)
		}
		if string(out) != string(ours.yaml) {
			t.Errorf("%s: kubectl builds\n%s\nwe build\n%s", p, out, ours.yaml)
		}
	}
}

// meshPlan is a plan of n namespaces with ten objects each, in waves of five.
func meshPlan(n int) *api.MigrationPlan {
	p := &api.MigrationPlan{TypeMeta: api.TypeMeta{APIVersion: api.APIVersion, Kind: "MigrationPlan"}}
	for i := range n {
		ns := fmt.Sprintf("ns-%04d", i)
		if i%5 == 0 {
			p.Waves = append(p.Waves, api.Wave{Number: i/5 + 1, Name: ns, Steps: []api.Step{{Name: "prepare"}, {Name: "finalize"}}})
		}
		w := &p.Waves[len(p.Waves)-1]
		w.Namespaces = append(w.Namespaces, ns)
		for k := range 10 {
			ref := api.Ref{Group: "security.istio.io", Kind: "AuthorizationPolicy", Namespace: ns, Name: fmt.Sprintf("p%d", k)}
			c := func(action string) api.Content {
				return api.Content{"apiVersion": "security.istio.io/v1", "kind": ref.Kind, "metadata": map[string]any{"name": ref.Name, "namespace": ns}, "spec": map[string]any{"action": action}}
			}
			p.Base = append(p.Base, api.BaseObject{Object: ref, Content: c("ALLOW")})
			w.Steps[0].Changes = append(w.Steps[0].Changes, api.Change{Object: ref, Op: api.OpPatch, After: c("DENY")})
			w.Steps[1].Changes = append(w.Steps[1].Changes, api.Change{Object: ref, Op: api.OpDelete})
		}
	}
	return p
}

func BenchmarkBuild(b *testing.B) {
	for _, n := range []int{10, 100, 500} {
		p := meshPlan(n)
		b.Run(fmt.Sprintf("namespaces=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Build(p, Options{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/namespace")
		})
	}
}

func BenchmarkCheck(b *testing.B) {
	for _, n := range []int{10, 50, 200} {
		tree := build(b, meshPlan(n))
		b.Run(fmt.Sprintf("namespaces=%d", n), func(b *testing.B) {
			for b.Loop() {
				if err := tree.Check(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/namespace")
			b.ReportMetric(float64(runtime.GOMAXPROCS(0)), "procs")
		})
	}
}
