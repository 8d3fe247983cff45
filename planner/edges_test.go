package planner_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner"
)

// readMesh reads manifests.
func readMesh(t testing.TB, manifests string) *mesh.State {
	t.Helper()
	inv, err := inventory.Read(t.Context(), inventory.Options{Paths: []string{"-"}, Stdin: strings.NewReader(manifests)})
	if err != nil {
		t.Fatal(err)
	}
	st, unknowns := mesh.New(inv)
	if len(unknowns) > 0 {
		t.Fatalf("the mesh of this test is not valid: %+v", unknowns)
	}
	return st
}

// app is a namespace with sidecars and in it a Deployment with a Service and a
// service account for each name.
func app(namespace string, names ...string) string {
	out := fmt.Sprintf("---\napiVersion: v1\nkind: Namespace\nmetadata: {name: %s, labels: {istio-injection: enabled}}\n", namespace)
	for _, n := range names {
		out += workload(namespace, n, "app: "+n)
	}
	return out
}

func workload(namespace, name, labels string) string {
	return fmt.Sprintf(`---
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[2]s, namespace: %[1]s}
spec: {selector: {matchLabels: {%[3]s}}, template: {metadata: {labels: {%[3]s}}, spec: {serviceAccountName: %[2]s, containers: [{name: c, image: i}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: %[2]s, namespace: %[1]s}
spec: {selector: {%[3]s}, ports: [{name: http, port: 80}]}
`, namespace, name, labels)
}

// edgeLines writes edges as "from -> to[:port] provenance: evidence".
func edgeLines(edges []api.Edge) []string {
	var out []string
	for _, e := range edges {
		to := e.To.String()
		if e.Port != 0 {
			to += fmt.Sprintf(":%d", e.Port)
		}
		var ev []string
		for _, v := range e.Evidence {
			ev = append(ev, v.Object.Kind+" "+v.Object.Name+" "+v.Path)
		}
		out = append(out, fmt.Sprintf("%s -> %s %s: %s", e.From, to, e.Provenance, strings.Join(ev, ", ")))
	}
	return out
}

func TestEdges(t *testing.T) {
	ingress := "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: ingress}\n" + workload("ingress", "gw", "istio: ingressgateway")
	base := app("shop", "web", "cart") + app("bank", "pay", "books")
	const policyHead = "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: bank}\nspec:\n  selector: {matchLabels: {app: pay}}\n"
	cases := []struct {
		name      string
		manifests string
		want      []string
	}{
		{"an ALLOW rule names its callers", policyHead + `  rules:
  - from:
    - source: {principals: [cluster.local/ns/shop/sa/web, "*/ns/shop/sa/cart", "*"]}
    - source: {namespaces: ["sh*", bank]}
    - source: {serviceAccounts: [books]}
    when: [{key: source.namespace, values: [ops]}]
`, []string{
			"ServiceAccount bank/books -> Service bank/pay possible: AuthorizationPolicy p spec.rules[0].from[2].source.serviceAccounts[0]",
			"Namespace ops/ops -> Service bank/pay possible: AuthorizationPolicy p spec.rules[0].when[0].values[0]",
			"Namespace shop/shop -> Service bank/pay possible: AuthorizationPolicy p spec.rules[0].from[1].source.namespaces[0]",
			"ServiceAccount shop/cart -> Service bank/pay possible: AuthorizationPolicy p spec.rules[0].from[0].source.principals[1]",
			"ServiceAccount shop/web -> Service bank/pay possible: AuthorizationPolicy p spec.rules[0].from[0].source.principals[0]",
		}},
		{"a DENY rule names nobody who calls", policyHead + "  action: DENY\n  rules: [{from: [{source: {namespaces: [shop]}}]}]\n", nil},
		{"a policy with targetRefs protects what it names", `---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: bank}
spec: {targetRefs: [{kind: Service, group: "", name: books}], rules: [{from: [{source: {namespaces: [shop]}}]}]}
`, []string{"Namespace shop/shop -> Service bank/books possible: AuthorizationPolicy p spec.rules[0].from[0].source.namespaces[0]"}},
		{"a Sidecar names what its clients may call", `---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: s, namespace: shop}
spec:
  workloadSelector: {labels: {app: web}}
  egress: [{hosts: ["./*", "*/*", bank/pay.bank.svc.cluster.local, "~/*"]}]
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: wide, namespace: bank}
spec: {egress: [{hosts: ["shop/*"]}]}
`, []string{
			"Namespace bank/bank -> Service shop/cart possible: Sidecar wide spec.egress[0].hosts[0]",
			"Namespace bank/bank -> Service shop/web possible: Sidecar wide spec.egress[0].hosts[0]",
			"Deployment shop/web -> Service bank/pay possible: Sidecar s spec.egress[0].hosts[2]",
		}},
		{"a VirtualService of a gateway makes its pods call", `---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: ingress}
spec: {selector: {istio: ingressgateway}, servers: [{hosts: ["*"], port: {number: 80, name: http, protocol: HTTP}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: v, namespace: shop}
spec:
  hosts: ["*"]
  gateways: [ingress/gw]
  http:
  - {route: [{destination: {host: web, port: {number: 80}}}], mirror: {host: pay.bank.svc.cluster.local}}
`, []string{
			"Deployment ingress/gw -> Service bank/pay possible: VirtualService v spec.http[0]",
			"Deployment ingress/gw -> Service shop/web:80 possible: VirtualService v spec.http[0]",
		}},
		{"a VirtualService for sidecars in another namespace is the clients'", `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: v, namespace: shop}
spec:
  hosts: [pay.bank.svc.cluster.local]
  http:
  - {match: [{sourceLabels: {app: cart}}], route: [{destination: {host: books.bank.svc.cluster.local}}]}
  - {route: [{destination: {host: pay.bank.svc.cluster.local}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: own, namespace: shop}
spec: {hosts: [web], http: [{route: [{destination: {host: web}}]}]}
`, []string{
			"Deployment shop/cart -> Service bank/books possible: VirtualService v spec.http[0]",
			"Namespace shop/shop -> Service bank/pay possible: VirtualService v spec.http[1]",
		}},
		{"routes of Gateway API", `---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: auto, namespace: ingress}
spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: shop}
spec:
  parentRefs: [{name: auto, namespace: ingress}]
  rules: [{backendRefs: [{name: web, port: 80}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: consumer, namespace: shop}
spec:
  parentRefs: [{kind: Service, group: "", name: pay, namespace: bank}]
  rules: [{backendRefs: [{name: books, namespace: bank, port: 80}]}]
`, []string{
			"Gateway ingress/auto -> Service shop/web:80 possible: HTTPRoute r spec.rules[0].backendRefs[0]",
			"Namespace shop/shop -> Service bank/books:80 possible: GRPCRoute consumer spec.rules[0].backendRefs[0]",
			"Namespace shop/shop -> Service bank/pay possible: GRPCRoute consumer spec.rules[0].backendRefs[0]",
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			edges, _, unknowns := planner.Edges(readMesh(t, base+ingress+c.manifests), nil)
			if diff := cmp.Diff(c.want, edgeLines(edges)); diff != "" {
				t.Errorf("edges (-want +got):\n%s", diff)
			}
			if len(unknowns) > 0 {
				t.Errorf("unknowns: %+v", unknowns)
			}
		})
	}
}

func TestDeclaredEdges(t *testing.T) {
	st := readMesh(t, app("shop", "web", "cart")+app("bank", "pay")+`---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: mail, namespace: bank}
spec: {hosts: [smtp.example.com], ports: [{number: 25, name: smtp, protocol: TCP}], resolution: DNS}
`)
	doc := api.FeatureNeeds{File: "needs.yaml", Lines: map[string]int{"edges[4].to": 12, "edges[5].from": 14, "edges[6].fromNamespace": 16}, Edges: []api.DeclaredEdge{
		{FromNamespace: "shop", From: "web", ToNamespace: "bank", To: "pay", Port: 80},
		{FromNamespace: "shop", From: "web", ToNamespace: "bank", To: "pay", Port: 80},
		{FromNamespace: "shop", ToNamespace: "bank", To: "pay"},
		{FromNamespace: "shop", From: "cart", ToNamespace: "bank", To: "smtp.example.com"},
		{FromNamespace: "shop", From: "web", ToNamespace: "bank", To: "apy"},
		{FromNamespace: "shop", From: "wbe", ToNamespace: "bank", To: "pay"},
		{FromNamespace: "shpo", ToNamespace: "bank", To: "pay"},
	}}
	edges, _, unknowns := planner.Edges(st, []api.FeatureNeeds{doc})
	want := []string{
		"Deployment shop/cart -> ServiceEntry bank/mail declared: FeatureNeeds needs.yaml edges[3].to",
		"Deployment shop/web -> Service bank/pay:80 declared: FeatureNeeds needs.yaml edges[0].to, FeatureNeeds needs.yaml edges[1].to",
		"Namespace shop/shop -> Service bank/pay declared: FeatureNeeds needs.yaml edges[2].to",
	}
	if diff := cmp.Diff(want, edgeLines(edges)); diff != "" {
		t.Errorf("edges (-want +got):\n%s", diff)
	}
	var got []string
	for _, u := range unknowns {
		got = append(got, u.Subject.String()+" "+u.Evidence[0].Source)
	}
	if diff := cmp.Diff([]string{"Service bank/apy needs.yaml:12", "Workload shop/wbe needs.yaml:14", "Namespace shpo/shpo needs.yaml:16"}, got); diff != "" {
		t.Errorf("unknowns (-want +got):\n%s", diff)
	}
}

// TestEdgesMerge: of two sources for one call the better provenance stands.
func TestEdgesMerge(t *testing.T) {
	inv, err := inventory.Read(t.Context(), inventory.Options{Paths: []string{"-"}, Stdin: strings.NewReader(app("shop", "web") + app("bank", "pay"))})
	if err != nil {
		t.Fatal(err)
	}
	calls, _, err := inventory.ReadEdges("calls.csv", strings.NewReader("source_namespace,source,target_namespace,target\nshop,web,bank,pay\n"), api.Observed, inv)
	if err != nil {
		t.Fatal(err)
	}
	inv.Edges = calls
	st, _ := mesh.New(inv)
	edges, _, _ := planner.Edges(st, []api.FeatureNeeds{{File: "n.yaml", Edges: []api.DeclaredEdge{{FromNamespace: "shop", From: "web", ToNamespace: "bank", To: "pay"}}}})
	if len(edges) != 1 || edges[0].Provenance != api.Observed || len(edges[0].Evidence) != 2 {
		t.Errorf("got %+v", edges)
	}
	if len(calls[0].Evidence) != 1 {
		t.Error("the inventory's own edge was changed")
	}
}
