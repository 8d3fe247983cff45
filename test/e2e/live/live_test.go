// Package live reads a mesh from a real API server, with a real istiod that injects
// sidecars, and compares it with the same objects read from files.
package live

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/cluster"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/planner"
	"github.com/ambientplan/ambientplan/test/e2e/apiserver"
	"github.com/ambientplan/ambientplan/test/e2e/istiod"
	"github.com/ambientplan/ambientplan/test/e2e/running"
)

func TestMain(m *testing.M) { istiod.Main(m) }

// read reads the mesh as the reader.
func read(t *testing.T, s *apiserver.Server) *api.Inventory {
	t.Helper()
	c, err := cluster.Connect(cluster.Options{Kubeconfig: s.Kubeconfig, Impersonate: running.Reader})
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
			s := running.Mesh(t, "../../../examples/"+example+"/cluster")
			running.Bind(t, s, nil)
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
	s := running.Mesh(t, "../../../examples/bookinfo/cluster")
	running.Bind(t, s, func(role map[string]any) {
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

// TestTwoRevisions: with two control planes both mesh configurations are read, by the role
// that was printed for both; with the role for one of them, that is not known.
func TestTwoRevisions(t *testing.T) {
	s := running.Mesh(t, "../../../examples/bookinfo/cluster")
	labels := map[string]any{"app": "istiod", "istio.io/rev": "canary"}
	for _, o := range []map[string]any{
		{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "istio-canary", "namespace": "istio-system", "labels": map[string]any{"istio.io/rev": "canary"}},
			"data": map[string]any{"mesh": "trustDomain: canary.example\n"}},
		{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "istiod-canary", "namespace": "istio-system", "labels": labels},
			"spec": map[string]any{"selector": map[string]any{"matchLabels": labels}, "template": map[string]any{"metadata": map[string]any{"labels": labels},
				"spec": map[string]any{"containers": []any{map[string]any{"name": "discovery", "image": "example.com/pilot:1.30.1"}}}}}},
		{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "canary", "labels": map[string]any{"istio.io/rev": "canary"}}},
	} {
		if err := s.Apply(t.Context(), o, "owner"); err != nil {
			t.Fatal(err)
		}
	}
	meshConfig := func(inv *api.Inventory) api.KindCoverage {
		return inv.Coverage[slices.IndexFunc(inv.Coverage, func(c api.KindCoverage) bool { return c.Kind == "MeshConfig" })]
	}
	running.Bind(t, s, nil)
	one := read(t, s)
	if c := meshConfig(one); c.State != api.Forbidden || !strings.Contains(c.Reason, "istio-canary") || plan(t, one).Complete {
		t.Errorf("coverage %+v", c)
	}
	running.Bind(t, s, func(role map[string]any) {
		rules := role["rules"].([]any)
		last := rules[len(rules)-1].(map[string]any)
		last["resourceNames"] = append(last["resourceNames"].([]any), "istio-canary") // as --revision canary prints it
	})
	both := read(t, s)
	if c := meshConfig(both); c.State != api.Complete || c.Count != 2 {
		t.Errorf("coverage %+v", c)
	}
	var revisions []string
	for _, d := range both.Clusters[0].Istiods {
		revisions = append(revisions, d.Revision+" "+d.Version)
	}
	if len(revisions) != 2 || !slices.Contains(revisions, "canary 1.30.1") {
		t.Errorf("control planes %v", revisions)
	}
}
