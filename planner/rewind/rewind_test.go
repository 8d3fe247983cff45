package rewind_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/internal/corpora"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/planner"
	"github.com/ambientplan/ambientplan/planner/diff"
	"github.com/ambientplan/ambientplan/planner/rewind"
)

// cluster holds raw objects, and is changed as the steps of a plan say, without
// asking the code under test.
type cluster map[api.Ref]map[string]any

// readCluster reads the objects of a mesh and gives every Deployment a pod.
func readCluster(t *testing.T, m corpora.Mesh) cluster {
	t.Helper()
	c := cluster{}
	for _, root := range m.Paths {
		err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" && filepath.Ext(path) != ".yml" {
				return err
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for doc := range strings.SplitSeq("\n"+string(b), "\n---") {
				var o map[string]any
				if yaml.Unmarshal([]byte(doc), &o) == nil && o["kind"] != nil {
					c.put(o, m.Namespace)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c cluster) put(o map[string]any, namespace string) {
	meta, _ := o["metadata"].(map[string]any)
	name, _ := meta["name"].(string)
	kind, _ := o["kind"].(string)
	version, _ := o["apiVersion"].(string)
	ns, _ := meta["namespace"].(string)
	if name == "" || kind == "List" || kind == "Pod" {
		return
	}
	if ns == "" && kind != "Namespace" && kind != "CustomResourceDefinition" && kind != "GatewayClass" {
		ns = namespace
		meta["namespace"] = ns
	}
	if strings.HasPrefix(version, "extensions/") && kind == "Deployment" {
		version = "apps/v1" // under which API servers keep it
		o["apiVersion"] = version
	}
	c[api.Ref{Group: api.GroupOf(version), Kind: kind, Namespace: ns, Name: name}] = o
}

// step carries a step out.
func (c cluster) step(changes []api.Change) cluster {
	out := maps.Clone(c)
	for _, x := range changes {
		op := x.Op
		if op == api.OpManual {
			op = x.Does
		}
		switch op {
		case api.OpCreate, api.OpPatch:
			out[x.Object] = x.After
		case api.OpFragment:
			out[x.Object] = merged(deepCopy(out[x.Object]), x.After)
		case api.OpDelete:
			delete(out, x.Object)
		case api.OpManual, api.OpUnset:
		}
	}
	return out
}

func deepCopy(o map[string]any) map[string]any {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	out := map[string]any{}
	if err := json.Unmarshal(b, &out); err != nil {
		panic(err)
	}
	return out
}

func merged(o, fragment map[string]any) map[string]any {
	if o == nil {
		o = map[string]any{}
	}
	for k, v := range fragment {
		if m, ok := v.(map[string]any); ok {
			below, _ := o[k].(map[string]any)
			o[k] = merged(below, m)
			continue
		}
		o[k] = v
	}
	return o
}

func at(o map[string]any, path ...string) map[string]any {
	for _, k := range path {
		o, _ = o[k].(map[string]any)
	}
	return o
}

// inventory writes the objects as kubectl prints them, with a pod for each Deployment
// as the injector and istio-cni would have it, and what istiod makes for Gateways.
func (c cluster) inventory(t *testing.T, namespace string) *api.Inventory {
	t.Helper()
	var items []any
	for _, ref := range slices.SortedFunc(maps.Keys(c), api.Ref.Compare) {
		o := c[ref]
		items = append(items, o)
		switch {
		case ref.Kind == "Deployment":
			items = append(items, c.pod(ref))
		case ref.Kind == "Gateway" && ref.Group == "gateway.networking.k8s.io" && at(o, "spec")["gatewayClassName"] == "istio-waypoint":
			labels := map[string]any{"gateway.networking.k8s.io/gateway-name": ref.Name}
			meta := map[string]any{"name": ref.Name, "namespace": ref.Namespace, "labels": labels}
			items = append(items,
				map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": map[string]any{
					"selector": map[string]any{"matchLabels": labels},
					"template": map[string]any{"metadata": map[string]any{"labels": labels}, "spec": map[string]any{"containers": []any{map[string]any{"name": "istio-proxy", "image": "p"}}}}}},
				map[string]any{"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta, "spec": map[string]any{"minAvailable": 1}},
				map[string]any{"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": map[string]any{"name": ref.Name, "namespace": ref.Namespace,
					"ownerReferences": []any{map[string]any{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "name": ref.Name, "controller": true}}}, "spec": map[string]any{"maxReplicas": 5}},
				map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": map[string]any{"selector": labels, "ports": []any{map[string]any{"port": 15008, "name": "mesh"}}}})
		}
	}
	b, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
	if err != nil {
		t.Fatal(err)
	}
	inv, err := inventory.Read(t.Context(), inventory.Options{Paths: []string{"-"}, Stdin: strings.NewReader(string(b)), DefaultNamespace: namespace})
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

// pod of a Deployment.
func (c cluster) pod(ref api.Ref) map[string]any {
	template := at(c[ref], "spec", "template")
	labels := map[string]any{"pod-template-hash": "1"}
	maps.Copy(labels, at(template, "metadata", "labels"))
	ns := at(c[api.Ref{Kind: "Namespace", Name: ref.Namespace}], "metadata", "labels")
	annotations := map[string]any{}
	containers := []any{map[string]any{"name": "app", "image": "a"}}
	switch {
	case (ns["istio-injection"] == "enabled" || ns["istio.io/rev"] != nil && ns["istio-injection"] != "disabled") && labels["sidecar.istio.io/inject"] != "false":
		containers = append(containers, map[string]any{"name": "istio-proxy", "image": "p"})
		annotations["sidecar.istio.io/status"] = "{}"
		labels["security.istio.io/tlsMode"], labels["networking.istio.io/tunnel"] = "istio", "http"
	case ns["istio.io/dataplane-mode"] == "ambient" && labels["istio.io/dataplane-mode"] != "none":
		annotations["ambient.istio.io/redirection"] = "enabled"
	}
	return map[string]any{"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"name": ref.Name + "-1-x", "namespace": ref.Namespace, "uid": "u", "labels": labels, "annotations": annotations,
			"ownerReferences": []any{map[string]any{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": ref.Name + "-1", "controller": true}}},
		"spec":   map[string]any{"containers": containers, "serviceAccountName": at(template, "spec")["serviceAccountName"]},
		"status": map[string]any{"phase": "Running"}}
}

// meshes are the corpora and examples of which plans have steps.
func meshes(t *testing.T) []corpora.Mesh {
	t.Helper()
	all, err := corpora.Meshes("../../testdata/corpora")
	if err != nil {
		t.Fatal(err)
	}
	out := slices.DeleteFunc(all, func(m corpora.Mesh) bool { return m.Contradictory })
	for _, e := range []string{"bookinfo", "online-boutique"} {
		out = append(out, corpora.Mesh{Name: "example/" + e, Namespace: "default", Paths: []string{"../../examples/" + e + "/cluster"}})
	}
	return out
}

func plan(t *testing.T, inv *api.Inventory, agreed planner.Agreed) *api.MigrationPlan {
	t.Helper()
	p, err := planner.Plan(t.Context(), planner.Input{Inventory: inv, Agreed: agreed})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestRewindAtEveryStep carries the plan of every mesh out, step by step. After each
// step the rewound inventory must be the one before the migration, nothing may look
// like drift, and a plan made of it must be the plan that is being followed.
func TestRewindAtEveryStep(t *testing.T) {
	steps := 0
	for _, m := range meshes(t) {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			c := readCluster(t, m)
			was := c.inventory(t, m.Namespace)
			p := plan(t, was, planner.Agreed{})
			k := 0
			for i := range p.Waves {
				for j := range p.Waves[i].Steps {
					c = c.step(p.Waves[i].Steps[j].Changes)
					k++
					res, err := rewind.Rewind(p, was, c.inventory(t, m.Namespace))
					if err != nil {
						t.Fatal(err)
					}
					where := fmt.Sprintf("after %d/%s", p.Waves[i].Number, p.Waves[i].Steps[j].Name)
					if len(res.Off) > 0 || len(res.Drift) > 0 || res.Partly {
						t.Fatalf("%s: partly %v, off %+v, drift %+v", where, res.Partly, res.Off, res.Drift)
					}
					if observable(p.Waves[i].Steps[j].Changes) && res.Done != k {
						t.Fatalf("%s: %d steps of %d", where, res.Done, k)
					}
					if d := cmp.Diff(withoutPlaces(was), withoutPlaces(res.Inventory)); d != "" {
						t.Fatalf("%s (-before the migration +rewound):\n%s", where, d)
					}
					steps++
				}
			}
			if k == 0 {
				return
			}
			res, err := rewind.Rewind(p, was, c.inventory(t, m.Namespace))
			if err != nil {
				t.Fatal(err)
			}
			again := plan(t, res.Inventory, planner.AgreedOf(p, res.Done, res.Begun))
			if d := cmp.Diff(core(p), core(again)); d != "" {
				t.Errorf("the plan of the end is another one (-followed +made again):\n%s", d)
			}
		})
	}
	t.Cleanup(func() {
		if steps < 50 {
			t.Errorf("only %d steps were tried", steps)
		}
	})
}

// observable tells whether a step changes an object that an inventory shows.
func observable(changes []api.Change) bool {
	return slices.ContainsFunc(changes, func(c api.Change) bool {
		return c.Op != api.OpManual || c.Does != api.OpUnset && c.Does != api.OpManual
	})
}

// withoutPlaces leaves out where things were read and how many documents there were.
func withoutPlaces(in *api.Inventory) *api.Inventory {
	b, err := json.Marshal(in)
	if err != nil {
		panic(err)
	}
	var out api.Inventory
	if err := json.Unmarshal(b, &out); err != nil {
		panic(err)
	}
	out.Documents, out.Coverage = api.DocumentCount{}, nil
	for i := range out.Namespaces {
		out.Namespaces[i].Origin = api.Origin{}
	}
	for i := range out.Workloads {
		out.Workloads[i].Origin = api.Origin{}
	}
	for i := range out.Services {
		out.Services[i].Origin = api.Origin{}
	}
	for i := range out.Objects {
		out.Objects[i].Origin = api.Origin{}
	}
	return &out
}

// core is what a plan does: decisions and steps, without proofs and evidence.
func core(p *api.MigrationPlan) any {
	type step struct {
		Wave    int
		Name    string
		Changes []api.Change
	}
	var out []step
	for _, w := range p.Waves {
		for _, s := range w.Steps {
			out = append(out, step{w.Number, w.Name + "/" + s.Name, s.Changes})
		}
	}
	return out
}

// halfway carries bookinfo's plan out up to the step before the last one.
func halfway(t *testing.T) (c cluster, p *api.MigrationPlan, was *api.Inventory, next []api.Change) {
	t.Helper()
	m := meshes(t)[0]
	c = readCluster(t, m)
	was = c.inventory(t, m.Namespace)
	p = plan(t, was, planner.Agreed{})
	var steps []api.Step
	for _, w := range p.Waves {
		steps = append(steps, w.Steps...)
	}
	for _, s := range steps[:len(steps)-1] {
		c = c.step(s.Changes)
	}
	return c, p, was, steps[len(steps)-1].Changes
}

// TestDrift shows what is found when somebody changes a mesh that is half way.
func TestDrift(t *testing.T) {
	c, p, was, next := halfway(t)
	if len(next) < 2 {
		t.Fatal("the last step of bookinfo is too small for this test")
	}
	reviews := api.Ref{Group: "apps", Kind: "Deployment", Namespace: "bookinfo", Name: "reviews-v1"}
	gateway := api.Ref{Group: "gateway.networking.k8s.io", Kind: "Gateway", Namespace: "bookinfo", Name: "waypoint"}
	rule := api.Ref{Group: "networking.istio.io", Kind: "DestinationRule", Namespace: "bookinfo", Name: "reviews"}
	route := api.Ref{Group: "networking.istio.io", Kind: "VirtualService", Namespace: "bookinfo", Name: "reviews"}
	if !slices.ContainsFunc(next, func(x api.Change) bool { return x.Object == route && x.Op == api.OpDelete }) {
		t.Fatalf("the last step does not delete %s", route)
	}
	for _, ref := range []api.Ref{reviews, gateway, rule, route} {
		if c[ref] == nil {
			t.Fatalf("there is no %s", ref)
		}
	}
	set := func(ref api.Ref, fragment map[string]any) func(cluster) {
		return func(c cluster) { c[ref] = merged(deepCopy(c[ref]), fragment) }
	}
	label := func(k, v string) map[string]any {
		return map[string]any{"metadata": map[string]any{"labels": map[string]any{k: v}}}
	}
	podLabel := func(k, v string) map[string]any {
		return map[string]any{"spec": map[string]any{"template": label(k, v)}}
	}
	last := api.StepPlace{}
	for _, w := range p.Waves {
		for _, s := range w.Steps[:len(w.Steps)-1] {
			last = api.StepPlace{Wave: w.Number, Step: s.Name}
		}
	}
	cases := []struct {
		name string
		edit func(cluster)
		off  []string
		// drift as "object what paths".
		drift  []string
		partly bool
	}{
		{name: "nothing", edit: func(cluster) {}},
		{name: "a new workload", edit: func(c cluster) {
			ref := reviews
			ref.Name = "new"
			o := deepCopy(c[reviews])
			o["metadata"].(map[string]any)["name"] = "new"
			c[ref] = o
		}, drift: []string{"Deployment bookinfo/new added"}},
		{name: "a workload is gone", edit: func(c cluster) { delete(c, reviews) },
			off:   []string{"Deployment bookinfo/reviews-v1: it is not there, and the plan has it"},
			drift: []string{"Deployment bookinfo/reviews-v1 removed"}},
		{name: "a label that the plan does not set", edit: set(reviews, podLabel("version", "v9")),
			drift: []string{"Deployment bookinfo/reviews-v1 changed spec.template.metadata.labels.version"}},
		{name: "somebody wants the sidecar back", edit: set(reviews, podLabel("sidecar.istio.io/inject", "true")),
			off: []string{`Deployment bookinfo/reviews-v1: it is not as the plan has it at any place spec.template.metadata.labels["sidecar.istio.io/inject"]`}},
		{name: "the waypoint is gone", edit: func(c cluster) { delete(c, gateway) },
			off: []string{"Gateway bookinfo/waypoint: it is as it was before the migration"}},
		{name: "somebody edits what the plan leaves alone", edit: set(rule, map[string]any{"spec": map[string]any{"host": "other"}}),
			drift: []string{"DestinationRule bookinfo/reviews changed spec.host"}},
		{name: "somebody edits what the plan is about to delete", edit: set(route, map[string]any{"spec": map[string]any{"hosts": []any{"other"}}}),
			off: []string{"VirtualService bookinfo/reviews: it is not as the plan has it at any place spec.hosts[0]"}},
		{name: "a new policy", edit: func(c cluster) {
			c[api.Ref{Group: "security.istio.io", Kind: "AuthorizationPolicy", Namespace: "bookinfo", Name: "none"}] = map[string]any{
				"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": map[string]any{"name": "none", "namespace": "bookinfo"}, "spec": map[string]any{}}
		}, drift: []string{"AuthorizationPolicy bookinfo/none added"}},
		{name: "the next step has begun", edit: func(c cluster) { maps.Copy(c, c.step(next[:1])); drop(c, next[:1]) }, partly: true},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			c := maps.Clone(c)
			tc.edit(c)
			res, err := rewind.Rewind(p, was, c.inventory(t, "bookinfo"))
			if err != nil {
				t.Fatal(err)
			}
			if got := res.Places[res.Done-1]; got != last || res.Partly != tc.partly || res.Begun != last.Wave {
				t.Errorf("stands after %v (partly %v, begun %d), want %v", got, res.Partly, res.Begun, last)
			}
			var off, drift []string
			for _, o := range res.Off {
				off = append(off, strings.TrimSpace(o.Object.String()+": "+o.Why+" "+strings.Join(o.Paths, " ")))
			}
			for _, d := range res.Drift {
				drift = append(drift, strings.TrimSpace(d.Object.String()+" "+d.What+" "+strings.Join(d.Paths, " ")))
			}
			if d := cmp.Diff(tc.off, off); d != "" {
				t.Errorf("off (-want +got):\n%s", d)
			}
			if d := cmp.Diff(tc.drift, drift); d != "" {
				t.Errorf("drift (-want +got):\n%s", d)
			}
		})
	}
}

// drop deletes what changes delete: a map cannot be taken away from by copying.
func drop(c cluster, changes []api.Change) {
	for _, x := range changes {
		if x.Op == api.OpDelete {
			delete(c, x.Object)
		}
	}
}

// TestOtherMesh: a plan is not followed in a cluster that has nothing of it.
func TestOtherMesh(t *testing.T) {
	_, p, was, _ := halfway(t)
	other := cluster{{Kind: "Namespace", Name: "elsewhere"}: {"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "elsewhere"}}}
	if _, err := rewind.Rewind(p, was, other.inventory(t, "default")); !errors.Is(err, rewind.ErrOtherMesh) {
		t.Errorf("got %v", err)
	}
}

// TestUnseenKinds: what cannot be read is neither gone nor unchanged.
func TestUnseenKinds(t *testing.T) {
	c, p, was, _ := halfway(t)
	now := c.inventory(t, "bookinfo")
	now.Objects = slices.DeleteFunc(now.Objects, func(o api.Object) bool { return o.Kind == "DestinationRule" })
	for i := range now.Coverage {
		if now.Coverage[i].Kind == "DestinationRule" {
			now.Coverage[i].State, now.Coverage[i].Reason = api.Forbidden, "not allowed"
		}
	}
	res, err := rewind.Rewind(p, was, now)
	if err != nil {
		t.Fatal(err)
	}
	unseen := slices.ContainsFunc(res.Drift, func(d api.Drift) bool { return d.What == rewind.Unseen && d.Object.Kind == "DestinationRule" })
	if len(res.Off) > 0 || !unseen {
		t.Errorf("off %+v, drift %+v", res.Off, res.Drift)
	}
	for _, d := range res.Drift {
		if d.What == rewind.Removed {
			t.Errorf("%s is called removed, and was not seen", d.Object)
		}
	}
}

// TestPlanAgainHalfWay: what others changed while a migration runs is planned for, and
// where that touches what is done the plan says so and is not complete.
func TestPlanAgainHalfWay(t *testing.T) {
	c, p, was, _ := halfway(t)
	policy := func(name string, spec map[string]any) func(cluster) {
		return func(c cluster) {
			c[api.Ref{Group: "security.istio.io", Kind: "AuthorizationPolicy", Namespace: "bookinfo", Name: name}] = map[string]any{
				"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": map[string]any{"name": name, "namespace": "bookinfo"}, "spec": spec}
		}
	}
	l7 := map[string]any{"selector": map[string]any{"matchLabels": map[string]any{"app": "ratings"}},
		"rules": []any{map[string]any{"to": []any{map[string]any{"operation": map[string]any{"methods": []any{"GET"}}}}}}}
	for _, tc := range []struct {
		name string
		edit func(cluster)
		// unknown is what an unknown must say; empty when there must be none.
		unknown string
	}{
		{name: "nothing", edit: func(cluster) {}},
		{name: "a policy that has to be copied in a step that is done", edit: policy("late", l7), unknown: "wave 1 has come to step route, and there this plan has another AuthorizationPolicy bookinfo/late-waypoint: changed, "},
		{name: "the injector's label is back", unknown: "does not stand where the migration does", edit: func(c cluster) {
			ref := api.Ref{Kind: "Namespace", Name: "bookinfo"}
			c[ref] = merged(deepCopy(c[ref]), map[string]any{"metadata": map[string]any{"labels": map[string]any{"istio-injection": "enabled"}}})
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := maps.Clone(c)
			tc.edit(c)
			res, err := rewind.Rewind(p, was, c.inventory(t, "bookinfo"))
			if err != nil {
				t.Fatal(err)
			}
			again := plan(t, res.Inventory, planner.AgreedOf(p, res.Done, res.Begun))
			d := diff.Plans(p, again)
			var told []string
			for _, u := range d.Unknowns {
				told = append(told, u.Unknown.What)
			}
			if tc.unknown == "" {
				if !d.Same {
					t.Errorf("the plan is another one: %+v", d)
				}
				return
			}
			if !strings.Contains(strings.Join(told, "\n"), tc.unknown) || again.Complete || d.Same {
				t.Errorf("complete %v, unknowns:\n%s", again.Complete, strings.Join(told, "\n"))
			}
		})
	}
}
