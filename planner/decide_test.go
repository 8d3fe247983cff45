package planner

import (
	"strings"
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// decideShop decides on a namespace with services a and b over the same pods, and
// a headless service h and a lone workload x.
func decideShop(t *testing.T, needs []api.Need, declared []api.ServiceNeeds, p *api.MigrationPolicy) (map[string]api.Decision, []api.Finding) {
	t.Helper()
	inv := &api.Inventory{
		Namespaces: []api.Namespace{{Name: "shop", Labels: map[string]string{"istio-injection": "enabled"}}, {Name: "dark", Implied: true}},
		Workloads: []api.Workload{
			{Kind: "Deployment", Namespace: "dark", Name: "d", PodLabels: map[string]string{"app": "d"}},
			{Kind: "Deployment", Namespace: "shop", Name: "ab", PodLabels: map[string]string{"app": "ab"}},
			{Kind: "StatefulSet", Namespace: "shop", Name: "h", PodLabels: map[string]string{"app": "h"}},
			{Kind: "Deployment", Namespace: "shop", Name: "x", PodLabels: map[string]string{"app": "x"}},
			{Kind: "Deployment", Namespace: "shop", Name: "out", PodLabels: map[string]string{"app": "out", "sidecar.istio.io/inject": "false"}},
		},
		Services: []api.Service{
			{Namespace: "dark", Name: "d", Selector: map[string]string{"app": "d"}},
			{Namespace: "shop", Name: "a", Selector: map[string]string{"app": "ab"}},
			{Namespace: "shop", Name: "b", Selector: map[string]string{"app": "ab"}},
			{Namespace: "shop", Name: "h", Selector: map[string]string{"app": "h"}, Headless: true},
			{Namespace: "shop", Name: "none"},
			{Namespace: "shop", Name: "out", Selector: map[string]string{"app": "out"}},
		},
	}
	st, _ := mesh.New(inv)
	ds, fs := Decide(st, needs, []api.FeatureNeeds{{File: "needs.yaml", Services: declared}}, p)
	out := map[string]api.Decision{}
	for _, d := range ds {
		out[d.Subject.Namespace+"/"+d.Subject.Name] = d
	}
	return out, fs
}

func service(name string) api.Ref { return api.Ref{Kind: "Service", Namespace: "shop", Name: name} }

func TestDecideByNeeds(t *testing.T) {
	need := func(svc string, c api.Capability) api.Need {
		return api.Need{Subject: service(svc), Capability: c, Rule: "T"}
	}
	cases := []struct {
		name     string
		needs    []api.Need
		declared []api.ServiceNeeds
		policy   *api.MigrationPolicy
		want     map[string]api.DecisionKind
	}{
		{"nothing found", nil, nil, nil, map[string]api.DecisionKind{
			"shop/a": api.L4Only, "shop/b": api.L4Only, "shop/h": api.L4Only, "shop/x": api.L4Only,
			"shop/none": api.OutOfMesh, "shop/out": api.OutOfMesh,
			// Nobody showed the labels of this namespace, so it is not "out of mesh".
			"dark/d": api.Blocked,
		}},
		{"routes need a waypoint, a service without that need does not", []api.Need{need("a", api.CapHTTPRouting)}, nil, nil,
			map[string]api.DecisionKind{"shop/a": api.Waypoint, "shop/b": api.L4Only}},
		{"a workload moves as a whole", []api.Need{need("a", api.CapEnvoyFilter)}, nil, nil,
			map[string]api.DecisionKind{"shop/a": api.Blocked, "shop/b": api.Blocked, "shop/x": api.L4Only}},
		{"the worse of two fates wins", []api.Need{need("a", api.CapEnvoyFilter), need("b", api.CapCaptureExclusion)}, nil, nil,
			map[string]api.DecisionKind{"shop/a": api.Blocked, "shop/b": api.Blocked}},
		{"a waypoint cannot stand in for a headless service", []api.Need{need("h", api.CapL7Authorization)}, nil, nil,
			map[string]api.DecisionKind{"shop/h": api.KeepSidecarDecision}},
		{"a capability nobody knows blocks", []api.Need{need("a", "teleportation")}, nil, nil,
			map[string]api.DecisionKind{"shop/a": api.Blocked}},
		{"declared", nil, []api.ServiceNeeds{{Namespace: "shop", Service: "a", Capabilities: []api.WantedCapability{{Capability: api.CapRetries}}}}, nil,
			map[string]api.DecisionKind{"shop/a": api.Waypoint}},
		{"declared for the namespace", nil, []api.ServiceNeeds{{Namespace: "shop", KeepSidecar: &api.KeepSidecar{Reason: "audit"}}}, nil,
			map[string]api.DecisionKind{"shop/a": api.KeepSidecarDecision, "shop/x": api.KeepSidecarDecision, "shop/out": api.OutOfMesh}},
		{"waived", []api.Need{need("a", api.CapRetries)}, []api.ServiceNeeds{{Namespace: "shop", Service: "a", Waive: []api.Waiver{{Capability: api.CapRetries, Reason: "the client retries"}}}}, nil,
			map[string]api.DecisionKind{"shop/a": api.L4Only}},
		{"authorization cannot be waived", []api.Need{need("a", api.CapL7Authorization)}, []api.ServiceNeeds{{Namespace: "shop", Service: "a", Waive: []api.Waiver{{Capability: api.CapL7Authorization, Reason: "trust me"}}}}, nil,
			map[string]api.DecisionKind{"shop/a": api.Waypoint}},
		{"excluded by policy", nil, nil, &api.MigrationPolicy{Exclude: []api.ExcludedNamespace{{Namespace: "shop", Reason: "later"}}},
			map[string]api.DecisionKind{"shop/a": api.KeepSidecarDecision}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, fs := decideShop(t, c.needs, c.declared, c.policy)
			for name, want := range c.want {
				if got[name].Kind != want {
					t.Errorf("%s: %s (%s), want %s", name, got[name].Kind, got[name].Why, want)
				}
			}
			refused := len(fs) == 1 && fs[0].ID == "waiver-refused" && fs[0].Severity == api.Blocker
			if strings.Contains(c.name, "cannot be waived") != refused {
				t.Errorf("findings: %+v", fs)
			}
		})
	}
}

func TestDecisionsAreNeverUnset(t *testing.T) {
	got, _ := decideShop(t, nil, nil, nil)
	for name, d := range got {
		if d.Kind == api.DecisionUnset || d.Why == "" {
			t.Errorf("%s: kind %q, why %q", name, d.Kind, d.Why)
		}
	}
}
