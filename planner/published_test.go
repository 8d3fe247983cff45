package planner_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	security "istio.io/api/security/v1beta1"
	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner"
)

const published = "../testdata/corpora/oracle-istio-docs"

// bookinfoWith plans bookinfo with other objects.
func bookinfoWith(t *testing.T, files ...string) *api.MigrationPlan {
	t.Helper()
	paths := []string{"../testdata/corpora/bookinfo/00-fixture-namespace.yaml", "../testdata/corpora/bookinfo/platform/kube/bookinfo.yaml"}
	for _, f := range files {
		paths = append(paths, filepath.Join(published, filepath.FromSlash(f)))
	}
	inv, err := inventory.Read(t.Context(), inventory.Options{Paths: paths, DefaultNamespace: "bookinfo"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := planner.Plan(t.Context(), planner.Input{Inventory: inv})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func publishedPolicy(t *testing.T, file string) api.Content {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(published, filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	var c api.Content
	if err := yaml.Unmarshal(b, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// made is what a plan leaves of an AuthorizationPolicy; nil for none.
func made(p *api.MigrationPlan, name string) (content api.Content, changed bool) {
	for _, w := range p.Waves {
		for _, s := range w.Steps {
			for _, c := range s.Changes {
				if c.Object.Kind == "AuthorizationPolicy" && c.Object.Name == name {
					content, changed = c.After, true
				}
			}
		}
	}
	return content, changed
}

// TestPublishedPolicies: what Istio's migration guide makes of policies, and what a
// plan makes of them.
func TestPublishedPolicies(t *testing.T) {
	t.Run("a policy of layer 4 stays", func(t *testing.T) {
		p := bookinfoWith(t, "authz-l4-unchanged/before.yaml")
		if _, changed := made(p, "allow-frontend"); changed {
			t.Error("the plan changes it")
		}
	})
	p := bookinfoWith(t, "authz-l7/before.yaml")
	t.Run("a policy of layer 7 is attached to the Service", func(t *testing.T) {
		// The guide replaces the policy under its name; ours is a copy, since the old one
		// must hold until the last pod has restarted (facts C-67, R-10).
		ours, _ := made(p, "allow-get-reviews-waypoint")
		want := publishedPolicy(t, "authz-l7/after.yaml")["spec"].(map[string]any)
		if want["action"] == "ALLOW" {
			delete(want, "action")
		}
		got, _ := ours["spec"].(map[string]any)
		if got["action"] == "ALLOW" {
			delete(got, "action")
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("-published +ours:\n%s", d)
		}
		if last, changed := made(p, "allow-get-reviews"); !changed || last != nil {
			t.Error("the plan leaves the old policy, which denies everything at ztunnel")
		}
	})
	t.Run("nobody gets past the waypoint", func(t *testing.T) {
		// The guide denies everybody but the waypoint. Ours allows the waypoint: beside an
		// ALLOW that is the same, and it can stand before any pod has moved (facts O-31, O-32).
		ours, _ := made(p, "reviews-from-waypoint")
		if d := differ(t, publishedPolicy(t, "waypoint-bypass/after-all-callers-ambient.yaml"), ours); len(d) > 0 {
			t.Errorf("ztunnel treats %v otherwise", d)
		}
		// With a caller left on a sidecar the guide lets it go past the policies of layer 7.
		// Ours never does: callers move first (facts O-30).
		if d := differ(t, publishedPolicy(t, "waypoint-bypass/after-sidecar-caller-left.yaml"), ours); !cmp.Equal(d, []string{"cluster.local/ns/bookinfo/sa/productpage"}) {
			t.Errorf("ztunnel treats %v otherwise, not only the caller that is left", d)
		}
	})
}

// differ are the callers that two policies make ztunnel treat differently.
func differ(t *testing.T, a, b api.Content) []string {
	t.Helper()
	typed := func(c api.Content) []mesh.Typed[*security.AuthorizationPolicy] {
		text, err := yaml.Marshal(c["spec"])
		if err != nil {
			t.Fatal(err)
		}
		spec := &security.AuthorizationPolicy{}
		if err := yaml.Unmarshal(text, spec); err != nil {
			t.Fatal(err)
		}
		return []mesh.Typed[*security.AuthorizationPolicy]{{Object: &api.Object{Kind: "AuthorizationPolicy", Namespace: "bookinfo", Name: "p"}, Spec: spec}}
	}
	one, other := typed(a), typed(b)
	who, ok := mesh.Callers(append(one, other...), mesh.AuthzSettings{}, "bookinfo")
	if !ok {
		t.Fatal("too many callers")
	}
	first, second := mesh.CompileZtunnel(one), mesh.CompileZtunnel(other)
	var out []string
	for _, principal := range who {
		r := mesh.Request{Principal: principal, Port: 9080}
		if first.Verdict(r).Outcome != second.Verdict(r).Outcome {
			out = append(out, principal)
		}
	}
	return out
}

// TestPublishedGatewayRoutes: routes that only gateways apply stay, whatever their
// published twins are: nothing of a gateway changes with the pods behind it (L-32).
func TestPublishedGatewayRoutes(t *testing.T) {
	fate(t, bookinfoWith(t, "ingress-control/before-1.yaml"), "httpbin", api.FateKept)
	// An egress gateway that sidecars are led to: the half for the mesh is a route of
	// callers, which is gone with their sidecars, and there is no Service to give a
	// waypoint to. A person must decide (L-39).
	fate(t, bookinfoWith(t, "egress-gateway/before-http.yaml"), "direct-cnn-through-egress-gateway", api.FateBlocked)
}

// fate demands one of a VirtualService.
func fate(t *testing.T, p *api.MigrationPlan, name string, want api.Fate) {
	t.Helper()
	for _, x := range p.Objects {
		if x.Object.Kind == "VirtualService" && x.Object.Name == name {
			if x.Fate != want {
				t.Errorf("%s is %s: %s", x.Object, x.Fate, x.Why)
			}
			return
		}
	}
	t.Errorf("the plan says nothing of VirtualService %s", name)
}
