package main

import (
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// TestDigest fails when an input that changes the plan does not change the digest.
func TestDigest(t *testing.T) {
	inv := func() *api.Inventory {
		return &api.Inventory{Namespaces: []api.Namespace{{Name: "shop"}}}
	}
	needs := []api.FeatureNeeds{{Services: []api.ServiceNeeds{{Namespace: "shop", Team: "web"}}}}
	seen := map[string]string{}
	for _, tt := range []struct {
		name   string
		inv    *api.Inventory
		needs  []api.FeatureNeeds
		policy *api.MigrationPolicy
	}{
		{"inventory", inv(), nil, nil},
		{"another inventory", &api.Inventory{Namespaces: []api.Namespace{{Name: "cart"}}}, nil, nil},
		{"an edge more", &api.Inventory{Namespaces: inv().Namespaces, Edges: []api.Edge{{Port: 80}}}, nil, nil},
		{"with needs", inv(), needs, nil},
		{"with a policy", inv(), nil, &api.MigrationPolicy{First: []string{"shop"}}},
		{"with needs and a policy", inv(), needs, &api.MigrationPolicy{First: []string{"shop"}}},
	} {
		sum, err := digest(tt.inv, tt.needs, tt.policy)
		if err != nil {
			t.Fatal(err)
		}
		again, err := digest(tt.inv, tt.needs, tt.policy)
		if err != nil || again != sum {
			t.Errorf("%s: got %s, then %s (%v)", tt.name, sum, again, err)
		}
		if other, ok := seen[sum]; ok {
			t.Errorf("%q and %q have the same digest", tt.name, other)
		}
		seen[sum] = tt.name
	}
	// A file that says the same under another name is the same input.
	renamed := []api.FeatureNeeds{needs[0]}
	renamed[0].File, renamed[0].Lines = "elsewhere.yaml", map[string]int{"services": 3}
	a, _ := digest(inv(), needs, nil)
	if b, _ := digest(inv(), renamed, nil); a != b {
		t.Errorf("the name of a needs file changes the digest: %s, %s", a, b)
	}
}
