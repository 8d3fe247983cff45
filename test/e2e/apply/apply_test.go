// Package apply applies the rendered trees of the plans of real meshes to a real API
// server with a real istiod, as a GitOps controller would.
package apply

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/internal/corpora"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/planner"
	"github.com/ambientplan/ambientplan/render"
	"github.com/ambientplan/ambientplan/test/e2e/apiserver"
	"github.com/ambientplan/ambientplan/test/e2e/cluster"
	"github.com/ambientplan/ambientplan/test/e2e/controlplane"
	"github.com/ambientplan/ambientplan/test/e2e/istiod"
)

func TestMain(m *testing.M) { istiod.Main(m) }

// Field managers: owner has applied the mesh of today and does what the plan leaves
// to people, gitOps applies the tree.
const (
	owner  = apiserver.Manager("owner")
	gitOps = apiserver.Manager("ambientplan-test")
)

// meshes are the corpora that make sense, and the examples.
func meshes(t *testing.T) []corpora.Mesh {
	t.Helper()
	all, err := corpora.Meshes("../../../testdata/corpora")
	if err != nil {
		t.Fatal(err)
	}
	var out []corpora.Mesh
	for _, m := range all {
		if !m.Contradictory {
			out = append(out, m)
		}
	}
	for _, e := range []string{"bookinfo", "online-boutique"} {
		out = append(out, corpora.Mesh{Name: "example/" + e, Namespace: "default", Paths: []string{"../../../examples/" + e + "/cluster"}})
	}
	return out
}

// counts of what was done.
type counts struct {
	// applied and deleted are requests that were accepted, start those for the mesh of today.
	start, applied, deleted, rejected int
	// skipped are objects of the mesh of today that cannot be here: of kinds without
	// a CRD, and webhooks that nobody answers.
	skipped int
	// conditions read back.
	conditions int
}

func (c *counts) add(o counts) {
	c.start += o.start
	c.applied += o.applied
	c.deleted += o.deleted
	c.rejected += o.rejected
	c.skipped += o.skipped
	c.conditions += o.conditions
}

func (c counts) String() string {
	return fmt.Sprintf("%d objects of today's meshes (%d left out); plans: %d applied, %d deleted, %d rejected; %d conditions read", c.start, c.skipped, c.applied, c.deleted, c.rejected, c.conditions)
}

// TestTreesAreAccepted goes forward through every plan. Nothing may be rejected, and at the
// end istiod must say of what the tree holds that it acts.
func TestTreesAreAccepted(t *testing.T) {
	var all counts
	for _, m := range meshes(t) {
		t.Run(m.Name, func(t *testing.T) {
			c := begin(t, m)
			for i := range c.plan.Waves {
				for j := range c.plan.Waves[i].Steps {
					c.forward(t, i, j)
				}
			}
			c.readConditions(t)
			t.Log(c.counts)
			all.add(c.counts)
		})
	}
	t.Log(all)
	if all.applied < 500 || all.conditions < 50 {
		t.Errorf("too little was applied and read: %v", all)
	}
}

// campaign is a mesh in an API server, with its plan on disk.
type campaign struct {
	counts
	server *apiserver.Server
	plan   *api.MigrationPlan
	tree   *render.Tree
	dir    string
	// today are the objects of the mesh that the API server has.
	today cluster.Objects
	// whole are the objects that the tree holds in full.
	whole map[api.Ref]bool
	// made are the objects that the plan has made.
	made map[api.Ref]bool
	// last is what the last overlay held.
	last []map[string]any
}

// begin plans a mesh, writes the tree, and applies the mesh of today.
func begin(t *testing.T, m corpora.Mesh) *campaign {
	t.Helper()
	inv, err := inventory.Read(t.Context(), inventory.Options{Paths: m.Paths, DefaultNamespace: m.Namespace})
	if err != nil {
		t.Fatal(err)
	}
	p, err := planner.Plan(t.Context(), planner.Input{Inventory: inv})
	if err != nil {
		t.Fatal(err)
	}
	tree, err := render.Build(p, render.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := &campaign{plan: p, tree: tree, dir: t.TempDir() + "/tree", today: cluster.Read(t, m.Paths, m.Namespace), whole: map[api.Ref]bool{}, made: map[api.Ref]bool{}}
	if err := tree.Write(c.dir); err != nil {
		t.Fatal(err)
	}
	for _, b := range p.Base {
		if !b.Fragment {
			c.whole[b.Object] = true
		}
	}
	c.server = apiserver.Start(t)
	installed := controlplane.Start(t, c.server)
	c.applyToday(t, installed, m.Namespace)
	return c
}

// applyToday applies the mesh as it is. What the tree holds in full is GitOps's from the
// start: the README of the tree has people take it over first.
func (c *campaign) applyToday(t *testing.T, installed map[api.Ref]bool, namespace string) {
	t.Helper()
	ctx := t.Context()
	for _, ns := range c.namespaces(namespace) {
		if err := c.server.Apply(ctx, map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": ns}}, "setup"); err != nil {
			t.Fatal(err)
		}
	}
	unknown := map[string]int{}
	for _, ref := range slices.SortedFunc(maps.Keys(c.today), inOrder) {
		o := current(c.today[ref])
		version, _ := o["apiVersion"].(string)
		if g := api.GroupOf(version); g != ref.Group { // extensions, which is gone.
			delete(c.today, ref)
			ref.Group = g
			c.today[ref] = o
		}
		gv, err := schema.ParseGroupVersion(version)
		if err != nil {
			t.Fatal(err)
		}
		served, err := c.server.Installed(schema.GroupKind{Group: ref.Group, Kind: ref.Kind}, gv.Version)
		if err != nil {
			t.Fatal(err)
		}
		unscoped := ref
		unscoped.Namespace = ""
		if !served || webhook(ref) || installed[ref] || installed[unscoped] || ref.Name == "" {
			unknown[ref.Kind]++
			c.skipped++
			delete(c.today, ref)
			continue
		}
		by := owner
		if c.whole[ref] {
			by = gitOps
		}
		err = c.server.Apply(ctx, o, by)
		if apierrors.IsBadRequest(err) || apierrors.IsInvalid(err) {
			t.Logf("today's %s is not valid: %v", ref, err)
			err = c.server.ApplyLoose(ctx, o, by)
		}
		if err != nil {
			t.Logf("today's %s is rejected: %v", ref, err)
			c.skipped++
			delete(c.today, ref)
			continue
		}
		c.start++
	}
	if len(unknown) > 0 {
		t.Logf("left out of today's mesh: %v", unknown)
	}
}

// current is a Deployment in the version that there still is, with the selector that
// API servers gave those of old versions.
func current(o map[string]any) map[string]any {
	if v, _ := o["apiVersion"].(string); o["kind"] != "Deployment" || v == "apps/v1" {
		return o
	}
	o = maps.Clone(o)
	o["apiVersion"] = "apps/v1"
	spec, _ := o["spec"].(map[string]any)
	template, _ := spec["template"].(map[string]any)
	meta, _ := template["metadata"].(map[string]any)
	if spec["selector"] == nil && meta["labels"] != nil {
		spec = maps.Clone(spec)
		spec["selector"] = map[string]any{"matchLabels": meta["labels"]}
		o["spec"] = spec
	}
	return o
}

// namespaces are those that objects are in.
func (c *campaign) namespaces(namespace string) []string {
	seen := map[string]bool{namespace: true}
	for ref := range c.today {
		if ref.Namespace != "" {
			seen[ref.Namespace] = true
		}
	}
	for _, b := range c.plan.Base {
		if b.Object.Namespace != "" {
			seen[b.Object.Namespace] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// inOrder puts first what others need.
func inOrder(a, b api.Ref) int {
	first := []string{"CustomResourceDefinition", "Namespace", "ServiceAccount"}
	rank := func(r api.Ref) int {
		if i := slices.Index(first, r.Kind); i >= 0 {
			return i
		}
		return len(first)
	}
	if d := rank(a) - rank(b); d != 0 {
		return d
	}
	return a.Compare(b)
}

// webhook tells whether an object has the API server call a Service, of which none is here.
func webhook(r api.Ref) bool {
	return r.Group == "admissionregistration.k8s.io" || r.Group == "apiregistration.k8s.io"
}

// forward does one step.
func (c *campaign) forward(t *testing.T, wave, step int) {
	t.Helper()
	s := &c.plan.Waves[wave].Steps[step]
	dir, _ := c.tree.Overlay(wave, step)
	c.commit(t, fmt.Sprintf("wave %d step %s", c.plan.Waves[wave].Number, s.Name), dir, s.Changes)
}

// commit does what people have to, applies an overlay, and deletes what the plan deletes.
func (c *campaign) commit(t *testing.T, where, dir string, changes []api.Change) {
	t.Helper()
	ctx := t.Context()
	for i := range changes {
		if changes[i].Op == api.OpManual {
			c.byHand(ctx, t, where, &changes[i])
		}
	}
	if dir != "" {
		objects, err := c.overlay(dir)
		if err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		for _, o := range objects {
			c.apply(ctx, t, where, o, gitOps)
		}
		c.last = objects
	}
	for i := range changes {
		switch ch := &changes[i]; ch.Op {
		case api.OpCreate:
			c.made[ch.Object] = true
		case api.OpDelete:
			c.remove(ctx, t, where, ch.Object)
		case api.OpPatch, api.OpFragment, api.OpManual, api.OpUnset:
		}
	}
}

// byHand does what the plan says a person has to.
func (c *campaign) byHand(ctx context.Context, t *testing.T, where string, ch *api.Change) {
	t.Helper()
	switch ch.Does {
	case api.OpDelete:
		c.remove(ctx, t, where, ch.Object)
	case api.OpCreate, api.OpPatch:
		c.apply(ctx, t, where+", by hand", ch.After, owner)
	case api.OpFragment:
		c.apply(ctx, t, where+", by hand", ch.After, "person")
	case api.OpUnset, api.OpManual:
	}
}

// apply applies an object of the plan; to be rejected is an error.
func (c *campaign) apply(ctx context.Context, t *testing.T, where string, o map[string]any, by apiserver.Manager) {
	t.Helper()
	if err := c.server.Apply(ctx, o, by); err != nil {
		meta, _ := o["metadata"].(map[string]any)
		t.Errorf("%s: %v %v/%v is rejected: %v", where, o["kind"], meta["namespace"], meta["name"], err)
		c.rejected++
		return
	}
	c.applied++
}

func (c *campaign) remove(ctx context.Context, t *testing.T, where string, ref api.Ref) {
	t.Helper()
	if err := c.server.Delete(ctx, ref); err != nil {
		t.Errorf("%s: %s is not deleted: %v", where, ref, err)
		c.rejected++
		return
	}
	c.deleted++
}

// overlay builds a directory of the tree as `kubectl kustomize` does.
func (c *campaign) overlay(dir string) ([]map[string]any, error) {
	opts := krusty.MakeDefaultOptions()
	opts.Reorder = krusty.ReorderOptionUnspecified
	m, err := krusty.MakeKustomizer(opts).Run(filesys.MakeFsOnDisk(), c.dir+"/"+dir)
	if err != nil {
		return nil, err
	}
	var out []map[string]any
	for _, r := range m.Resources() {
		o, err := r.Map()
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	if len(out) == 0 {
		return nil, errors.New("the overlay is empty")
	}
	return out, nil
}
