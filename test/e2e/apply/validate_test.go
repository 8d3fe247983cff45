package apply

import (
	"errors"
	"testing"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pkg/config/schema/collections"
	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/internal/corpora"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/planner"
)

// TestIstiodValidatesWhatPlansMake asks the validation of istiod's webhook about every object of
// Istio that a step or a way back makes or changes. In a mesh that contradicts itself, an
// object of today that is not valid may stay so.
func TestIstiodValidatesWhatPlansMake(t *testing.T) {
	all, err := corpora.Meshes("../../../testdata/corpora")
	if err != nil {
		t.Fatal(err)
	}
	all = append(all, meshes(t)...)
	asked, invalid := 0, 0
	seen := map[string]bool{}
	for _, m := range all {
		if seen[m.Name] {
			continue
		}
		seen[m.Name] = true
		t.Run(m.Name, func(t *testing.T) {
			a, i := validatePlan(t, m)
			asked, invalid = asked+a, invalid+i
		})
	}
	t.Logf("%d objects validated, %d not valid as they are in a mesh that contradicts itself", asked, invalid)
	if asked < 30 {
		t.Errorf("only %d objects were validated", asked)
	}
}

func validatePlan(t *testing.T, m corpora.Mesh) (asked, invalid int) {
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
	check := func(where string, changes []api.Change) {
		for _, ch := range changes {
			known, err := validate(ch.After)
			if !known {
				continue
			}
			asked++
			switch {
			case err != nil && m.Contradictory:
				invalid++
				t.Logf("%s: %s: %v", where, ch.Object, err)
			case err != nil:
				t.Errorf("%s: %s: %v", where, ch.Object, err)
			}
		}
	}
	for _, w := range p.Waves {
		for _, s := range w.Steps {
			check(s.Name, s.Changes)
			for _, r := range s.Rollback {
				check(r.Name, r.Changes)
			}
		}
	}
	return asked, invalid
}

// validate asks istiod; known is false for kinds that are not Istio's.
func validate(o map[string]any) (known bool, err error) {
	text, err := yaml.Marshal(o)
	if err != nil {
		return false, err
	}
	configs, _, err := crd.ParseInputs(string(text))
	if err != nil {
		return true, err
	}
	for _, c := range configs {
		schema, ok := collections.Pilot.FindByGroupVersionAliasesKind(c.GroupVersionKind)
		if !ok {
			continue
		}
		known = true
		// What istiod only warns of, it accepts.
		if _, err := schema.ValidateConfig(c); err != nil {
			return true, err
		}
	}
	return known, nil
}

// TestValidationSeesErrors shows that the check can fail.
func TestValidationSeesErrors(t *testing.T) {
	known, err := validate(map[string]any{
		"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": map[string]any{"name": "a", "namespace": "b"},
		"spec": map[string]any{"rules": []any{map[string]any{"from": []any{map[string]any{"source": map[string]any{}}}}}},
	})
	if !known || err == nil {
		t.Errorf("known %v, error %v for a source that says nothing", known, err)
	}
}
