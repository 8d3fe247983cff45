package planner

import (
	"context"
	"strings"
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// shop is a small mesh: web calls cart; cart is guarded by an L7 ALLOW, pay by an
// L7 DENY, and both have pods with sidecars.
func shop(objects ...api.Object) *api.Inventory {
	inv := &api.Inventory{Namespaces: []api.Namespace{{Name: "shop", Labels: map[string]string{"istio-injection": "enabled"}}}, Objects: objects}
	for _, n := range []string{"cart", "pay", "web"} {
		labels := map[string]string{"app": n}
		inv.Workloads = append(inv.Workloads, api.Workload{Group: "apps", Kind: "Deployment", APIVersion: "apps/v1", Namespace: "shop", Name: n, PodLabels: labels, ServiceAccount: n})
		inv.Services = append(inv.Services, api.Service{Namespace: "shop", Name: n, Selector: labels, Ports: []api.ServicePort{{Name: "http", Port: 80, TargetPort: "8080", Protocol: "HTTP"}}})
	}
	for _, k := range api.Kinds() {
		inv.Coverage = append(inv.Coverage, api.KindCoverage{Group: k.Group, Kind: k.Kind, State: api.Complete})
	}
	return inv
}

func policy(name, app, action string, rule map[string]any) api.Object {
	return api.Object{
		APIVersion: "security.istio.io/v1", Kind: "AuthorizationPolicy", Namespace: "shop", Name: name,
		Content: api.Content{
			"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
			"metadata": map[string]any{"name": name, "namespace": "shop"},
			"spec": map[string]any{
				"selector": map[string]any{"matchLabels": map[string]any{"app": app}},
				"action":   action, "rules": []any{rule},
			},
		},
	}
}

func methods(m string) map[string]any {
	return map[string]any{"to": []any{map[string]any{"operation": map[string]any{"methods": []any{m}}}}}
}

func mustPlan(t *testing.T, inv *api.Inventory) *api.MigrationPlan {
	t.Helper()
	p, err := Plan(context.Background(), Input{Inventory: inv, Needs: []api.FeatureNeeds{{Services: []api.ServiceNeeds{
		{Namespace: "shop", Service: "cart", Capabilities: []api.WantedCapability{{Capability: api.CapL7Authorization}}},
		{Namespace: "shop", Service: "pay", Capabilities: []api.WantedCapability{{Capability: api.CapL7Authorization}}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// outline writes one line for each change: "wave/step op Kind name".
func outline(p *api.MigrationPlan) string {
	var b strings.Builder
	for _, w := range p.Waves {
		for _, s := range w.Steps {
			for _, c := range s.Changes {
				if w.Number > 0 {
					b.WriteString(s.Name + " " + string(c.Op) + " " + c.Object.String() + "\n")
				}
			}
		}
	}
	return b.String()
}

func TestStepsOfGuardedServices(t *testing.T) {
	p := mustPlan(t, shop(policy("cart-allow", "cart", "ALLOW", methods("GET")), policy("pay-deny", "pay", "DENY", methods("DELETE"))))
	t.Log(outline(p))
	for _, d := range p.Decisions {
		t.Log(d.Subject, d.Kind, d.Why)
	}
}
