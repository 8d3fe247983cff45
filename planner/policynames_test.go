package planner

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

func TestPolicyNames(t *testing.T) {
	st, _ := mesh.New(&api.Inventory{Namespaces: []api.Namespace{{Name: "shop"}}})
	policy := &api.MigrationPolicy{
		Exclude:  []api.ExcludedNamespace{{Namespace: "shop"}, {Namespace: "shpo"}},
		Together: []api.Group{{Name: "g", Namespaces: []string{"shop", "crat"}}},
		Calendar: &api.Calendar{Freeze: []api.FreezeWindow{{Name: "sale", Namespaces: []string{"shop", "apy"}}}},
		File:     "policy.yaml", Lines: map[string]int{"exclude[1].namespace": 7},
	}
	got := map[string]string{}
	for _, f := range policyNames(st, policy) {
		if f.Severity != api.Warning || f.Effect == "" || f.Action == "" {
			t.Errorf("finding without severity, effect or action: %+v", f)
		}
		got[f.Subject.Name] = f.Evidence[0].Path + " " + f.Evidence[0].Source
	}
	want := map[string]string{
		"shpo": "exclude[1].namespace policy.yaml:7",
		"crat": "together[0].namespaces[1] policy.yaml",
		"apy":  "calendar.freeze[0].namespaces[1] policy.yaml",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("namespaces reported (-want +got):\n%s", d)
	}
}

func TestStaleConsents(t *testing.T) {
	policy := &api.MigrationPolicy{Consents: []api.Consent{
		{ID: "L08", Reason: "seen", By: "ann"},
		{ID: "M02", Reason: "seen", By: "ann"},
		{ID: "L80", Reason: "mistyped", By: "ann"},
	}}
	plan := &api.MigrationPlan{Findings: []api.Finding{{ID: "L08"}}, Unknowns: []api.Unknown{{ID: "M02"}}}
	consent(plan, policy)
	var ids []string
	for _, f := range staleConsents(plan, policy) {
		ids = append(ids, f.Evidence[0].Value)
	}
	if !slices.Equal(ids, []string{"L80"}) {
		t.Errorf("stale consents: got %v, want [L80]", ids)
	}
}
