// Package migrate plays a whole migration with the program itself, against a real API
// server and a real istiod: inventory, plan, each step applied as a GitOps controller
// does, status after each, a wave rolled back in the middle, and all the way back.
package migrate

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/test/e2e/apiserver"
	"github.com/ambientplan/ambientplan/test/e2e/istiod"
	"github.com/ambientplan/ambientplan/test/e2e/running"
)

func TestMain(m *testing.M) { istiod.Main(m) }

// gitOps applies the tree; the owner has applied the mesh.
const gitOps = apiserver.Manager("gitops")

// stood is a step of a plan.
type stood struct{ wave, step int }

// story is one migration, with what was said.
type story struct {
	t      *testing.T
	s      *apiserver.Server
	bin    string
	dir    string
	plan   *api.MigrationPlan
	way    []stood
	script strings.Builder
	// last are the objects that the last commit held; true for those that are not pruned.
	last map[api.Ref]bool
}

// begin builds the program and runs a mesh.
func begin(t *testing.T, example string) *story {
	t.Helper()
	st := &story{t: t, dir: t.TempDir(), last: map[api.Ref]bool{}}
	st.bin = filepath.Join(st.dir, "ambientplan")
	if out, err := exec.Command("go", "build", "-o", st.bin, "github.com/ambientplan/ambientplan/cmd/ambientplan").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	st.s = running.Mesh(t, "../../../examples/"+example+"/cluster")
	running.Bind(t, st.s, nil)
	return st
}

// run runs the program as the reader and keeps what it says.
func (st *story) run(want int, args ...string) string {
	st.t.Helper()
	if args[0] == "inventory" || args[0] == "status" {
		args = append(args, "--kubeconfig", st.s.Kubeconfig, "--as", running.Reader)
	}
	cmd := exec.Command(st.bin, args...)
	cmd.Dir = st.dir
	var out, notes bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &notes
	err := cmd.Run()
	fmt.Fprintf(&st.script, "$ ambientplan %s\n%s%s\n", strings.Join(args, " "), &notes, &out)
	code := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		st.t.Fatal(err)
	}
	if code != want {
		st.t.Fatalf("ambientplan %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), code, want, &notes, &out)
	}
	return out.String()
}

// read reads the plan that the program wrote.
func (st *story) read() {
	st.t.Helper()
	b, err := os.ReadFile(filepath.Join(st.dir, "out/plan.yaml"))
	if err != nil {
		st.t.Fatal(err)
	}
	if st.plan, err = api.Decode[api.MigrationPlan]("plan.yaml", bytes.NewReader(b)); err != nil {
		st.t.Fatal(err)
	}
	for i := range st.plan.Waves {
		for j := range st.plan.Waves[i].Steps {
			if st.plan.Waves[i].Number > 0 {
				st.way = append(st.way, stood{i, j})
			}
		}
	}
}

// apply builds a directory as `kubectl apply -k --server-side` does, applies it, and deletes
// what the directory before held and this one does not, as a controller that prunes does.
func (st *story) apply(dir string) {
	st.t.Helper()
	opts := krusty.MakeDefaultOptions()
	m, err := krusty.MakeKustomizer(opts).Run(filesys.MakeFsOnDisk(), filepath.Join(st.dir, "out", dir))
	if err != nil {
		st.t.Fatal(err)
	}
	fmt.Fprintf(&st.script, "$ kubectl apply -k out/%s --server-side\n\n", dir)
	now := map[api.Ref]bool{}
	for _, r := range m.Resources() {
		o, err := r.Map()
		if err != nil {
			st.t.Fatal(err)
		}
		if err := st.s.Apply(st.t.Context(), o, gitOps); err != nil {
			st.t.Fatalf("%s: %s: %v", dir, r.CurId(), err)
		}
		// The tree asks controllers not to prune what it holds only fragments of.
		u := &unstructured.Unstructured{Object: o}
		now[refOf(o)] = strings.Contains(u.GetAnnotations()["argocd.argoproj.io/sync-options"], "Prune=false")
	}
	for _, ref := range slices.SortedFunc(maps.Keys(st.last), api.Ref.Compare) {
		if _, stays := now[ref]; stays || st.last[ref] {
			continue
		}
		if err := st.s.Delete(st.t.Context(), ref); err != nil && !apierrors.IsNotFound(err) {
			st.t.Fatalf("%s: %s: %v", dir, ref, err)
		}
	}
	st.last = now
}

func refOf(o map[string]any) api.Ref {
	u := &unstructured.Unstructured{Object: o}
	return api.Ref{Group: u.GroupVersionKind().Group, Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName()}
}

// snapshot is what stands in the namespaces of the mesh, without what servers write.
func (st *story) snapshot(namespaces []string) map[api.Ref]any {
	st.t.Helper()
	out := map[api.Ref]any{}
	for _, k := range api.Kinds() {
		if k.Resource == "" || k.Kind == "Pod" || k.Kind == "ReplicaSet" || k.Kind == "CustomResourceDefinition" || k.Kind == "Node" {
			continue
		}
		gk := schema.GroupKind{Group: k.Group, Kind: k.Kind}
		if there, err := st.s.Installed(gk, ""); err != nil || !there {
			continue
		}
		list, err := st.s.List(st.t.Context(), gk)
		if err != nil {
			st.t.Fatal(err)
		}
		for i := range list {
			o := list[i].Object
			ref := refOf(o)
			space := ref.Namespace
			if ref.Kind == "Namespace" {
				space = ref.Name
			}
			if !slices.Contains(namespaces, space) {
				continue
			}
			for _, f := range []string{"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp"} {
				unstructured.RemoveNestedField(o, "metadata", f)
			}
			for _, a := range []string{"deployment.kubernetes.io/revision", "argocd.argoproj.io/sync-options", "kustomize.toolkit.fluxcd.io/prune", "kustomize.toolkit.fluxcd.io/ssa"} {
				unstructured.RemoveNestedField(o, "metadata", "annotations", a)
			}
			u := &unstructured.Unstructured{Object: o}
			if len(u.GetAnnotations()) == 0 {
				unstructured.RemoveNestedField(o, "metadata", "annotations")
			}
			delete(o, "status")
			out[ref] = o
		}
	}
	return out
}

// meddle changes what stands, as people do, and asks for the status each time.
func (st *story) meddle() {
	st.t.Helper()
	ctx := st.t.Context()
	stops := func(because string) {
		st.t.Helper()
		if out := strings.Join(strings.Fields(st.run(1, "status", "out")), " "); !strings.HasPrefix(out, "STOP") || !strings.Contains(out, because) {
			st.t.Errorf("status says\n%s\nwant STOP, because %s", out, because)
		}
	}
	apply := func(o map[string]any) {
		st.t.Helper()
		if err := st.s.Apply(ctx, o, "somebody"); err != nil {
			st.t.Fatal(err)
		}
	}
	policy := api.Ref{Group: "security.istio.io", Kind: "AuthorizationPolicy", Namespace: "bookinfo", Name: "surprise"}
	apply(map[string]any{"apiVersion": "security.istio.io/v1", "kind": policy.Kind, "metadata": map[string]any{"name": policy.Name, "namespace": policy.Namespace},
		"spec": map[string]any{"selector": map[string]any{"matchLabels": map[string]any{"app": "ratings"}}, "rules": []any{map[string]any{"to": []any{map[string]any{"operation": map[string]any{"methods": []any{"GET"}}}}}}}})
	stops("AuthorizationPolicy bookinfo/surprise: added since the plan was made")
	stops("its proof was") // a layer 7 policy that nothing was copied of
	if err := st.s.Delete(ctx, policy); err != nil {
		st.t.Fatal(err)
	}
	apply(map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "bookinfo", "labels": map[string]any{"istio.io/dataplane-mode": "none"}}})
	stops("Namespace bookinfo is off the plan")
	st.apply(st.overlay(st.way[len(st.way)/2-1].wave, st.way[len(st.way)/2-1].step, ""))
	running.Bind(st.t, st.s, func(role map[string]any) {
		for _, r := range role["rules"].([]any) {
			rule := r.(map[string]any)
			rule["resources"] = slices.DeleteFunc(rule["resources"].([]any), func(v any) bool { return v == "daemonsets" || v == "authorizationpolicies" })
		}
	})
	stops("it is not known whether the DaemonSets ztunnel and istio-cni-node are ready on every node")
	stops("every AuthorizationPolicy was read when the plan was made, and now they are forbidden")
	running.Bind(st.t, st.s, nil)
	next := st.plan.Waves[st.way[len(st.way)/2].wave]
	st.settled(fmt.Sprintf("MAY PROCEED with step %s of wave %d", next.Steps[st.way[len(st.way)/2].step].Name, next.Number))
}

// asBefore waits until the garbage collector has taken away what istiod made for waypoints,
// and compares what stands with what stood.
func (st *story) asBefore(when string, before map[api.Ref]any, spaces []string) {
	st.t.Helper()
	d := ""
	_ = apiserver.Within(time.Minute, func() error {
		if d = cmp.Diff(before, st.snapshot(spaces)); d != "" {
			return errors.New("it differs")
		}
		return nil
	})
	if d != "" {
		st.t.Errorf("%s the mesh is not what it was (-start +now):\n%s", when, d)
	}
}

// settled waits until the program no longer waits for the cluster.
func (st *story) settled(want string) string {
	st.t.Helper()
	out := st.run(0, "status", "out", "--watch", "--interval", "1s", "--timeout", "90s")
	if !strings.HasPrefix(out, want) {
		st.t.Fatalf("status says\n%s\nwant %q", out, want)
	}
	return out
}

// forward applies steps, and waits after each until the next one may start.
func (st *story) forward(from, to int) {
	st.t.Helper()
	for k := from; k < to; k++ {
		st.apply(st.overlay(st.way[k].wave, st.way[k].step, ""))
		if k+1 == len(st.way) {
			st.settled("DONE")
			continue
		}
		next := st.plan.Waves[st.way[k+1].wave]
		st.settled(fmt.Sprintf("MAY PROCEED with step %s of wave %d", next.Steps[st.way[k+1].step].Name, next.Number))
	}
}

// back takes steps back, and waits after each until it may be done again.
func (st *story) back(from, to int) {
	st.t.Helper()
	for k := from - 1; k >= to; k-- {
		w := &st.plan.Waves[st.way[k].wave]
		s := &w.Steps[st.way[k].step]
		for _, r := range s.Rollback {
			st.apply(st.overlay(st.way[k].wave, st.way[k].step, r.Name))
		}
		st.settled(fmt.Sprintf("MAY PROCEED with step %s of wave %d", s.Name, w.Number))
	}
}

// takeOver applies the tree as it is before the first step: the controller takes over what
// the tree holds in full.
func (st *story) takeOver() {
	st.t.Helper()
	st.apply(filepath.Join(filepath.Dir(st.overlay(st.way[0].wave, st.way[0].step, "")), "_start"))
}

// consents are for what a cluster without nodes and images of its own cannot tell.
const consents = `apiVersion: ambientplan.dev/v1alpha1
kind: MigrationPolicy
consents:
- {id: P01, by: test, reason: "this istiod is linked into the test, and is 1.31"}
- {id: P09, by: test, reason: "there are no real nodes"}
`

// TestMigration is the story of bookinfo.
func TestMigration(t *testing.T) {
	st := begin(t, "bookinfo")
	spaces := []string{"bookinfo"}
	before := st.snapshot(spaces)
	if len(before) < 10 {
		t.Fatalf("only %d objects", len(before))
	}
	st.run(0, "inventory", "--out", "inventory.yaml")
	if err := os.WriteFile(filepath.Join(st.dir, "policy.yaml"), []byte(consents), 0o600); err != nil {
		t.Fatal(err)
	}
	needs := abs(t, "../../../examples/bookinfo/needs.yaml")
	st.run(0, "plan", "-i", "inventory.yaml", "--needs", needs, "--out", "not-complete", "--fail-on", "never")
	if out := st.run(1, "status", "not-complete"); !strings.Contains(out, "STOP") || !strings.Contains(out, "the plan is not complete") {
		t.Errorf("a plan that is not complete may start:\n%s", out)
	}
	st.run(0, "plan", "-i", "inventory.yaml", "--needs", needs, "--policy", "policy.yaml", "--out", "out")
	st.read()
	if len(st.plan.Waves) < 2 {
		t.Fatal("there is nothing to migrate")
	}
	out := st.settled("MAY PROCEED with step prepare of wave 1")
	t.Logf("before the first step:\n%s", out)

	st.takeOver()
	half := len(st.way) / 2
	st.forward(0, half)
	st.run(0, "inventory", "--out", "halfway.yaml")
	st.run(0, "plan", "-i", "halfway.yaml", "--needs", needs, "--policy", "policy.yaml", "--previous", "out", "--out", "again")
	if d := st.run(0, "diff", "out", "again"); !strings.Contains(d, "the two plans do the same") {
		t.Errorf("planned again half way, the plan is another one:\n%s", d)
	}
	st.meddle()
	st.back(half, 0)
	st.asBefore("after the way back from the middle", before, spaces)
	st.forward(0, len(st.way))
	st.back(len(st.way), 0)
	st.asBefore("after all the way back", before, spaces)
	apiserver.Eventually(t, time.Minute, func() error { return sidecars(t, st, "bookinfo") })
	file := filepath.Join(os.TempDir(), "ambientplan-migration.txt")
	if err := os.WriteFile(file, []byte(st.script.String()), 0o600); err == nil {
		t.Logf("%d steps forward twice and back; the transcript is %s", len(st.way), file)
	}
}

// sidecars tells whether every pod of a namespace has one.
func sidecars(t *testing.T, st *story, namespace string) error {
	pods, err := st.s.List(t.Context(), schema.GroupKind{Kind: "Pod"})
	if err != nil {
		return err
	}
	n := 0
	for i := range pods {
		if pods[i].GetNamespace() != namespace {
			continue
		}
		if pods[i].GetAnnotations()["sidecar.istio.io/status"] == "" {
			return fmt.Errorf("pod %s has no sidecar", pods[i].GetName())
		}
		n++
	}
	if n == 0 {
		return errors.New("there is no pod")
	}
	return nil
}

func abs(t *testing.T, path string) string {
	t.Helper()
	p, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// overlay is the directory of a step, or of one of its steps back.
func (st *story) overlay(wave, step int, back string) string {
	w := &st.plan.Waves[wave]
	dirs, err := filepath.Glob(filepath.Join(st.dir, "out/waves", fmt.Sprintf("%02d-*", w.Number)))
	if err != nil || len(dirs) != 1 {
		st.t.Fatalf("wave %d has the directories %v (%v)", w.Number, dirs, err)
	}
	dir, err := filepath.Rel(filepath.Join(st.dir, "out"), dirs[0])
	if err != nil {
		st.t.Fatal(err)
	}
	if back != "" {
		steps, err := filepath.Glob(filepath.Join(st.dir, "out", dir, "rollback", "[0-9][0-9]-"+back))
		if err != nil || len(steps) != 1 {
			st.t.Fatalf("step back %s of wave %d has the directories %v (%v)", back, w.Number, steps, err)
		}
		return filepath.Join(dir, "rollback", filepath.Base(steps[0]))
	}
	return filepath.Join(dir, w.Steps[step].Name)
}

// TestMigrationWithPolicies is the story of online-boutique, a mesh that denies everything
// that its layer 7 policies do not allow.
func TestMigrationWithPolicies(t *testing.T) {
	const dir = "../../../examples/online-boutique/"
	st := begin(t, "online-boutique")
	spaces := []string{"onlineboutique"}
	before := st.snapshot(spaces)
	b, err := os.ReadFile(dir + "policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	policy := string(b) + strings.TrimPrefix(consents[strings.Index(consents, "consents:"):], "consents:\n")
	calendar, consented := strings.Index(policy, "calendar:"), strings.Index(policy, "waypoint:")
	if err := os.WriteFile(filepath.Join(st.dir, "policy.yaml"), []byte(policy[:calendar]+policy[consented:]), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(st.dir, "dates.yaml"), []byte(strings.Replace(policy, "2027-01-11", "2127-01-11", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	st.run(0, "inventory", "--edges", abs(t, dir+"edges.csv"), "--out", "inventory.yaml")
	st.run(0, "plan", "-i", "inventory.yaml", "--needs", abs(t, dir+"needs.yaml"), "--policy", "dates.yaml", "--out", "later", "--fail-on", "never")
	if out := st.run(1, "status", "later"); !strings.Contains(out, "does not start before 2127-") {
		t.Errorf("a wave may start a hundred years early:\n%s", out)
	}
	st.run(0, "plan", "-i", "inventory.yaml", "--needs", abs(t, dir+"needs.yaml"), "--policy", "policy.yaml", "--out", "out", "--fail-on", "never")
	st.read()
	t.Log(st.plan.Incomplete)
	st.takeOver()
	st.forward(0, len(st.way))
	st.back(len(st.way), 0)
	st.asBefore("after all the way back", before, spaces)
	t.Logf("%d steps forward and back", len(st.way))
}
