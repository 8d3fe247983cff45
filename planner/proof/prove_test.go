package proof_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/proof"
)

const space = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
`

func deployment(name string, labels ...string) string {
	return fmt.Sprintf(`
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: %s, namespace: shop}
spec: {template: {metadata: {labels: {app: %s%s}}, spec: {serviceAccountName: %s}}}
`, name, name, strings.Join(append([]string{""}, labels...), ", "), name)
}

func service(name string) string {
	return fmt.Sprintf(`
---
apiVersion: v1
kind: Service
metadata: {name: %s, namespace: shop}
spec: {selector: {app: %s}, ports: [{name: http, port: 80, targetPort: 8080}]}
`, name, name)
}

func policy(spec string) string {
	return `
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: shop}
spec: ` + spec + "\n"
}

// fragment sets labels at a path of an object.
func fragment(kind, name string, path []string, labels map[string]any) api.Change {
	group := map[string]string{"Deployment": "apps"}[kind]
	ns := "shop"
	if kind == "Namespace" {
		ns = ""
	}
	var v any = labels
	for i := len(path) - 1; i >= 0; i-- {
		v = map[string]any{path[i]: v}
	}
	return api.Change{Object: api.Ref{Group: group, Kind: kind, Namespace: ns, Name: name}, Op: api.OpFragment, After: v.(map[string]any)}
}

// gateway is a gateway with the Gateway "public" of Istio.
const gateway = `
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: shop}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: gateway, namespace: shop}
spec: {template: {metadata: {labels: {istio: ingressgateway}, annotations: {inject.istio.io/templates: gateway}}, spec: {serviceAccountName: gateway}}}
`

var virtualServiceRef = api.Ref{Group: "networking.istio.io", Kind: "VirtualService", Namespace: "shop", Name: "v"}

// virtualService leads to Service a with a timeout of two seconds.
func virtualService(bound string) string {
	return `
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: v, namespace: shop}
spec: {` + bound + `, http: [{timeout: 2s, route: [{destination: {host: a}}]}]}
`
}

// route is the content of such a VirtualService.
func route(bound, timeout, host string) api.Content {
	var c api.Content
	text := "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: v, namespace: shop}, spec: {" + bound + ", http: [{timeout: " + timeout + ", route: [{destination: {host: " + host + "}}]}]}}"
	if err := yaml.Unmarshal([]byte(text), &c); err != nil {
		panic(err)
	}
	return c
}

func rerouted(bound, timeout string) api.Change {
	return api.Change{Object: virtualServiceRef, Op: api.OpPatch, After: route(bound, timeout, "a")}
}

func ambient() api.Change {
	return fragment("Namespace", "shop", []string{"metadata", "labels"}, map[string]any{"istio.io/dataplane-mode": "ambient"})
}

func restarted(name string) api.Change {
	return fragment("Deployment", name, mesh.TemplateLabels("Deployment"), map[string]any{"sidecar.istio.io/inject": "false"})
}

// TestProve: one mesh and the changes of one or two steps made by hand for each
// thing that a proof must see.
func TestProve(t *testing.T) {
	noAdmin := `{selector: {matchLabels: {app: a}}, action: DENY, rules: [{to: [{operation: {paths: [/admin]}}]}]}`
	cases := []struct {
		name  string
		mesh  string
		steps [][]api.Change
		// want are "step kind from-mode->to-mode" of all gaps, and "step unknown".
		want []string
	}{
		{name: "no policy: a restart changes nothing", mesh: deployment("a") + service("a"), steps: [][]api.Change{{ambient()}, {restarted("a")}}},
		{name: "a rule that ztunnel does not enforce", mesh: deployment("a") + service("a") + deployment("b") + policy(noAdmin),
			steps: [][]api.Change{{ambient()}, {restarted("a")}}, want: []string{"1 permissive none->ambient", "1 permissive sidecar->ambient"}},
		{name: "so too where no Service selects the pods", mesh: deployment("a") + deployment("b") + policy(noAdmin),
			steps: [][]api.Change{{ambient()}, {restarted("a")}}, want: []string{"1 permissive none->ambient", "1 permissive sidecar->ambient"}},
		{name: "a pod that loses its sidecar and is not captured", mesh: deployment("a") + service("a") + deployment("b"),
			steps: [][]api.Change{{restarted("a")}}, want: []string{"0 plaintext sidecar->none"}},
		{name: "label and restart in one step: either may be first", mesh: deployment("a") + service("a") + deployment("b"),
			steps: [][]api.Change{{ambient(), restarted("a")}}, want: []string{"0 plaintext sidecar->none"}},
		{name: "the injector is off before the workload has moved: a pod that is recreated has no sidecar", mesh: deployment("a") + service("a") + deployment("b") + policy(noAdmin),
			steps: [][]api.Change{{fragment("Namespace", "shop", []string{"metadata", "labels"}, map[string]any{"istio-injection": "disabled"})}},
			want:  []string{"0 permissive none->none", "0 permissive sidecar->none", "0 plaintext sidecar->none", "0 plaintext none->sidecar"}},
		{name: "a DestinationRule that turns mutual TLS off: who is seen is not evaluated",
			mesh: deployment("a") + service("a") + deployment("b") + policy(`{rules: [{from: [{source: {principals: ["*"]}}]}]}`) + `
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: d, namespace: shop}
spec: {host: a, trafficPolicy: {tls: {mode: DISABLE}}}
`, steps: [][]api.Change{{ambient()}}, want: []string{"0 unknown"}},
		{name: "a VirtualService goes, and the plan does not say how it was", mesh: deployment("a") + service("a") + deployment("b") + virtualService("hosts: [a]"),
			steps: [][]api.Change{{{Object: virtualServiceRef, Op: api.OpDelete}}}, want: []string{"0 routes sidecar->unknown"}},
		{name: "a VirtualService says something else", mesh: deployment("a") + service("a") + deployment("b") + virtualService("hosts: [a]"),
			steps: [][]api.Change{{rerouted("hosts: [a]", "5s")}}, want: []string{"0 routes sidecar->unknown"}},
		{name: "the same in other words", mesh: deployment("a") + service("a") + deployment("b") + virtualService("hosts: [a]"),
			steps: [][]api.Change{{rerouted("hosts: [a.shop.svc.cluster.local]", "2s")}}},
		{name: "what a gateway does with calls of a Service", mesh: deployment("a") + service("a") + gateway + virtualService("hosts: [a.example], gateways: [public]"),
			steps: [][]api.Change{{rerouted("hosts: [a.example], gateways: [public]", "5s")}}, want: []string{"0 routes gateway->unknown"}},
		{name: "routes that lead to nothing with pods are not evaluated", mesh: deployment("a") + service("a") + virtualService("hosts: [a]"),
			steps: [][]api.Change{{{Object: api.Ref{Group: "networking.istio.io", Kind: "VirtualService", Namespace: "shop", Name: "other"}, Op: api.OpCreate, After: route("hosts: [b.example]", "1s", "b.example")}}},
			want:  []string{"0 not followed"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var wave api.Wave
			for i, changes := range c.steps {
				wave.Steps = append(wave.Steps, api.Step{Name: fmt.Sprint(i), Changes: changes})
			}
			r, err := proof.Prove(t.Context(), proof.Input{State: read(t, space+c.mesh), Waves: []api.Wave{wave}})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			add := func(line string) {
				if len(got) == 0 || !strings.Contains(strings.Join(got, "\n"), line) {
					got = append(got, line)
				}
			}
			for _, s := range r.Steps {
				for _, g := range s.Gaps {
					add(fmt.Sprintf("%s %s %s->%s", s.Step, g.Kind, g.ClientMode, g.ServerMode))
				}
				if len(s.Unknowns) > 0 {
					add(s.Step + " unknown")
				}
				if len(s.NotFollowed) > 0 {
					add(s.Step + " not followed")
				}
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

func read(t *testing.T, manifests string) *mesh.State {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mesh.yaml")
	if err := os.WriteFile(path, []byte(manifests), 0o600); err != nil {
		t.Fatal(err)
	}
	inv, err := inventory.Read(context.Background(), inventory.Options{Paths: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	st, unknowns := mesh.New(inv)
	if len(unknowns) > 0 {
		t.Fatal(unknowns)
	}
	return st
}
