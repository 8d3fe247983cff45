// Package live reads a mesh from a real API server, with a real istiod that injects
// sidecars, and compares it with the same objects read from files.
package live

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/cluster"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/planner"
	"github.com/ambientplan/ambientplan/test/e2e/apiserver"
	objects "github.com/ambientplan/ambientplan/test/e2e/cluster"
	"github.com/ambientplan/ambientplan/test/e2e/controlplane"
	"github.com/ambientplan/ambientplan/test/e2e/istiod"
)

func TestMain(m *testing.M) { istiod.Main(m) }

// reader is who the printed role is bound to.
const reader = "reader@example.com"

// mesh runs an API server with istiod and a mesh in it, its pods running.
func mesh(t *testing.T, paths ...string) *apiserver.Server {
	t.Helper()
	s := apiserver.Start(t)
	controlplane.Start(t, s)
	all := objects.Read(t, paths, "default")
	refs := slices.SortedFunc(maps.Keys(all), api.Ref.Compare)
	slices.SortStableFunc(refs, func(a, b api.Ref) int { return order(a) - order(b) })
	for _, ref := range refs {
		if err := s.Apply(t.Context(), all[ref], "owner"); err != nil {
			t.Fatalf("%s: %v", ref, err)
		}
	}
	deployments := 0
	for ref := range all {
		if ref.Kind == "Deployment" {
			deployments++
		}
	}
	apiserver.Eventually(t, time.Minute, func() error { return running(t, s, deployments) })
	return s
}

// order puts first what others need.
func order(r api.Ref) int {
	switch r.Kind {
	case "Namespace":
		return 0
	case "ServiceAccount":
		return 1
	}
	return 2
}

// running tells whether as many pods as there are Deployments at least are there and all run.
func running(t *testing.T, s *apiserver.Server, least int) error {
	pods, err := s.List(t.Context(), schema.GroupKind{Kind: "Pod"})
	if err != nil {
		return err
	}
	n := 0
	for i := range pods {
		var p corev1.Pod
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(pods[i].Object, &p); err != nil {
			return err
		}
		if p.Status.Phase == corev1.PodRunning {
			n++
		}
	}
	if n < least || n < len(pods) {
		return fmt.Errorf("%d of %d pods run; %d are expected at least", n, len(pods), least)
	}
	return nil
}

// bind applies the role that the tool prints, changed by edit.
func bind(t *testing.T, s *apiserver.Server, edit func(role map[string]any)) {
	t.Helper()
	role, binding := inventory.Role(nil, reader)
	for _, o := range []any{role, binding} {
		b, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		if o == any(role) && edit != nil {
			edit(m)
		}
		if err := s.Apply(t.Context(), m, "admin"); err != nil {
			t.Fatal(err)
		}
	}
}

// read reads the mesh as the reader.
func read(t *testing.T, s *apiserver.Server) *api.Inventory {
	t.Helper()
	c, err := cluster.Connect(cluster.Options{Kubeconfig: s.Kubeconfig, Impersonate: reader})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	inv, err := inventory.ReadCluster(t.Context(), c, inventory.LiveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d objects in %s with %d requests", inv.Documents.Kept, time.Since(begin).Round(time.Millisecond), c.Calls())
	return inv
}

// asFiles lists everything as the administrator and reads it as the output of kubectl.
func asFiles(t *testing.T, s *apiserver.Server) *api.Inventory {
	t.Helper()
	var items []any
	add := func(gk schema.GroupKind, keep func(name string) bool) {
		served, err := s.Installed(gk, "")
		if err != nil {
			t.Fatal(err)
		}
		if !served {
			return
		}
		list, err := s.List(t.Context(), gk)
		if err != nil {
			t.Fatal(err)
		}
		for i := range list {
			if keep == nil || keep(list[i].GetName()) {
				items = append(items, list[i].Object)
			}
		}
	}
	for _, k := range api.Kinds() {
		if k.Resource != "" {
			add(schema.GroupKind{Group: k.Group, Kind: k.Kind}, nil)
		}
	}
	add(schema.GroupKind{Kind: "ConfigMap"}, func(name string) bool { return name == "istio" })
	b, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
	if err != nil {
		t.Fatal(err)
	}
	inv, err := inventory.Read(t.Context(), inventory.Options{Paths: []string{"-"}, Stdin: bytes.NewReader(b)})
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

// bare is a document without places in files, and without what only a cluster says.
func bare(t *testing.T, v any) any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, k := range []string{"origin", "source", "resourceVersion", "kubernetesVersion", "documents", "digest", "inputDigest"} {
				delete(v, k)
			}
			if v["state"] == string(api.Absent) {
				delete(v, "reason")
			}
			for _, c := range v {
				walk(c)
			}
		case []any:
			for _, c := range v {
				walk(c)
			}
		}
	}
	walk(out)
	return out
}

func plan(t *testing.T, inv *api.Inventory) *api.MigrationPlan {
	t.Helper()
	p, err := planner.Plan(t.Context(), planner.Input{Inventory: inv})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestLiveIsAsFiles: with the role that the tool prints, a running mesh is read as its
// objects in files are, and the plan is the same.
func TestLiveIsAsFiles(t *testing.T) {
	for _, example := range []string{"bookinfo", "online-boutique"} {
		t.Run(example, func(t *testing.T) {
			s := mesh(t, "../../../examples/"+example+"/cluster")
			bind(t, s, nil)
			live, files := read(t, s), asFiles(t, s)
			if d := cmp.Diff(bare(t, files), bare(t, live)); d != "" {
				t.Errorf("the inventories differ (-files +cluster):\n%s", d)
			}
			for _, c := range live.Coverage {
				if !c.State.Known() {
					t.Errorf("%s is %s: %s", c.Kind, c.State, c.Reason)
				}
			}
			sidecars := 0
			for i := range live.Workloads {
				sidecars += live.Workloads[i].Pods.Sidecar
			}
			if sidecars < 4 {
				t.Errorf("only %d pods have a sidecar: the webhook did not act", sidecars)
			}
			a, b := plan(t, files), plan(t, live)
			if d := cmp.Diff(bare(t, a), bare(t, b)); d != "" {
				t.Errorf("the plans differ (-files +cluster):\n%s", d)
			}
			t.Logf("%d waves, %v, %d unknowns", b.Summary.Waves, b.Summary.Decisions, b.Summary.Unknowns)
		})
	}
}

// TestForbiddenKinds: a role without EnvoyFilters gives a plan that says so, names the
// rule that is missing, and is not complete.
func TestForbiddenKinds(t *testing.T) {
	s := mesh(t, "../../../examples/bookinfo/cluster")
	bind(t, s, func(role map[string]any) {
		for _, r := range role["rules"].([]any) {
			rule := r.(map[string]any)
			rule["resources"] = slices.DeleteFunc(rule["resources"].([]any), func(v any) bool { return v == "envoyfilters" })
		}
	})
	inv := read(t, s)
	i := slices.IndexFunc(inv.Coverage, func(c api.KindCoverage) bool { return c.Kind == "EnvoyFilter" })
	if c := inv.Coverage[i]; c.State != api.Forbidden || !strings.Contains(c.Reason, "cannot list resource") {
		t.Fatalf("coverage %+v", c)
	}
	p := plan(t, inv)
	const rule = `{apiGroups: ["networking.istio.io"], resources: [envoyfilters], verbs: [list]}`
	id := ""
	for _, u := range p.Unknowns {
		if strings.Contains(u.What, "EnvoyFilter (forbidden") && strings.Contains(u.Action, rule) {
			id = u.ID
		}
	}
	if id == "" || p.Complete {
		t.Fatalf("complete %v, and no unknown names the rule: %+v", p.Complete, p.Unknowns)
	}
	for _, d := range p.Decisions {
		if !slices.Contains(d.Unknowns, id) {
			t.Errorf("the decision on %s does not know of %s", d.Subject, id)
		}
	}
}
