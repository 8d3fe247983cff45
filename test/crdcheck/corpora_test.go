package crdcheck

import (
	"errors"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/internal/corpora"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/planner"
)

// builtin are the kinds without a CRD that a plan may create whole. Everything
// else that is created must have one.
func builtin(r api.Ref) bool {
	return r.Group == "" && (r.Kind == "ConfigMap" || r.Kind == "Service") || r.Group == "networking.k8s.io" && r.Kind == "NetworkPolicy"
}

// TestPlannedObjects plans every corpus and validates each whole object that a
// step or a way back puts into the cluster, as an API server with the real CRDs
// would: schema, unknown fields, list types and CEL.
func TestPlannedObjects(t *testing.T) {
	c := load(t)
	meshes, err := corpora.Meshes("../../testdata/corpora")
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, m := range meshes {
		t.Run(m.Name, func(t *testing.T) {
			inv, err := inventory.Read(t.Context(), inventory.Options{Paths: m.Paths, DefaultNamespace: m.Namespace})
			if errors.Is(err, inventory.ErrNoDocuments) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			p, err := planner.Plan(t.Context(), planner.Input{Inventory: inv})
			if err != nil {
				t.Fatal(err)
			}
			total += checkPlan(t, c, p, m.Contradictory)
		})
	}
	if total < 50 {
		t.Errorf("only %d objects were checked: the corpora give more than that", total)
	}
}

// checkPlan returns how many objects it validated. In a contradictory mesh a
// copy of an object that is invalid itself may be invalid.
func checkPlan(t *testing.T, c *Checker, p *api.MigrationPlan, contradictory bool) int {
	n := 0
	check := func(where string, ch api.Change) {
		if ch.After == nil || ch.Op == api.OpFragment || builtin(ch.Object) {
			return
		}
		u := &unstructured.Unstructured{Object: ch.After}
		if !c.Known(u.GroupVersionKind()) {
			t.Errorf("%s: %s has no CRD and is not on the list of built-in kinds", where, ch.Object)
			return
		}
		n++
		if err := c.Check(u); err != nil && !contradictory {
			t.Errorf("%s: %s: %v", where, ch.Object, err)
		}
	}
	for _, w := range p.Waves {
		for _, s := range w.Steps {
			for _, ch := range s.Changes {
				check(s.Name, ch)
			}
			for _, r := range s.Rollback {
				for _, ch := range r.Changes {
					check("rollback "+r.Name, ch)
				}
			}
		}
	}
	return n
}
