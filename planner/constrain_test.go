package planner_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner"
)

// needs declares one capability of a service.
func needs(namespace, service string, c ...api.Capability) api.ServiceNeeds {
	out := api.ServiceNeeds{Namespace: namespace, Service: service}
	for _, x := range c {
		out.Capabilities = append(out.Capabilities, api.WantedCapability{Capability: x})
	}
	return out
}

func call(from, to string) api.DeclaredEdge {
	fns, f, _ := strings.Cut(from, "/")
	tns, t, _ := strings.Cut(to, "/")
	return api.DeclaredEdge{FromNamespace: fns, From: f, ToNamespace: tns, To: t}
}

// decided is a mesh with the decisions and edges of what owners declared.
func decided(t testing.TB, manifests string, p *api.MigrationPolicy, calls []api.DeclaredEdge, svcs ...api.ServiceNeeds) (*mesh.State, []api.Decision, []api.Edge) {
	t.Helper()
	st := readMesh(t, manifests)
	doc := []api.FeatureNeeds{{File: "needs.yaml", Services: svcs, Edges: calls}}
	ds, fs := planner.Decide(st, nil, doc, p)
	if len(fs) > 0 {
		t.Fatalf("findings: %+v", fs)
	}
	edges, _, unknowns := planner.Edges(st, doc)
	if len(unknowns) > 0 {
		t.Fatalf("unknowns: %+v", unknowns)
	}
	return st, ds, edges
}

func orderLines(cs []api.Constraint) []string {
	var out []string
	for _, c := range cs {
		line := fmt.Sprintf("%s/%s < %s/%s %s", c.Before.Namespace, c.Before.Step, c.After.Namespace, c.After.Step, c.Rule)
		if c.Broken != "" {
			line += " broken: " + c.Broken
		}
		out = append(out, line)
	}
	return out
}

func findingLines(fs []api.Finding) []string {
	var out []string
	for _, f := range fs {
		out = append(out, fmt.Sprintf("%s %s %s", f.Severity, f.ID, f.Subject))
	}
	return out
}

func TestConstrain(t *testing.T) {
	base := app("shop", "web", "cart") + app("bank", "pay", "books")
	clientFirst := []string{"shop/cutover < bank/cutover O-30", "shop/cutover < bank/finalize O-30"}
	cases := []struct {
		name      string
		manifests string
		policy    *api.MigrationPolicy
		calls     []api.DeclaredEdge
		needs     []api.ServiceNeeds
		want      []string
		findings  []string
	}{
		{name: "authorization at the server: the client moves first", calls: []api.DeclaredEdge{call("shop/web", "bank/pay")},
			needs: []api.ServiceNeeds{needs("bank", "pay", api.CapL7Authorization)}, want: clientFirst},
		{name: "a namespace as client", calls: []api.DeclaredEdge{call("shop", "bank/pay")},
			needs: []api.ServiceNeeds{needs("bank", "pay", api.CapRequestAuthentication)}, want: clientFirst},
		{name: "routing at the client: the waypoint is active first", calls: []api.DeclaredEdge{call("shop/web", "bank/pay")},
			needs: []api.ServiceNeeds{needs("bank", "pay", api.CapRetries)}, want: []string{"bank/activate < shop/cutover O-30-counter"}},
		{name: "both forces", calls: []api.DeclaredEdge{call("shop/web", "bank/pay")},
			needs: []api.ServiceNeeds{needs("bank", "pay", api.CapHTTPRouting, api.CapExternalAuthorization)},
			want:  append([]string{"bank/activate < shop/cutover O-30-counter"}, clientFirst...)},
		{name: "layer 4 needs no order", calls: []api.DeclaredEdge{call("shop/web", "bank/pay")}},
		{name: "telemetry needs no order", calls: []api.DeclaredEdge{call("shop/web", "bank/pay")},
			needs: []api.ServiceNeeds{needs("bank", "pay", api.CapL7Telemetry)}},
		{name: "inside a namespace the order of restarts decides", calls: []api.DeclaredEdge{call("bank/books", "bank/pay")},
			needs: []api.ServiceNeeds{needs("bank", "pay", api.CapL7Authorization)}},
		{name: "an ingress gateway never moves and makes no order",
			manifests: "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: ingress}\n" + workload("ingress", "gw", "istio: ingressgateway"),
			calls:     []api.DeclaredEdge{call("ingress/gw", "bank/pay")}, needs: []api.ServiceNeeds{needs("bank", "pay", api.CapL7Authorization)}},
		{name: "a caller that is excluded goes past the waypoint for ever", calls: []api.DeclaredEdge{call("shop/web", "bank/pay")},
			policy:   &api.MigrationPolicy{Exclude: []api.ExcludedNamespace{{Namespace: "shop", Reason: "later"}}},
			needs:    []api.ServiceNeeds{needs("bank", "pay", api.CapL7Authorization)},
			findings: []string{"blocker sidecar-caller Service bank/pay"}},
		{name: "so does one that is held because of its neighbour", calls: []api.DeclaredEdge{call("shop/web", "bank/pay")},
			needs:    []api.ServiceNeeds{needs("bank", "pay", api.CapL7Authorization), needs("shop", "cart", api.CapHumanDecision)},
			findings: []string{"blocker sidecar-caller Service bank/pay"}},
		{name: "and one in the same namespace", calls: []api.DeclaredEdge{call("bank/books", "bank/pay")},
			needs:    []api.ServiceNeeds{needs("bank", "pay", api.CapL7Authorization), needs("bank", "books", api.CapSidecar)},
			findings: []string{"blocker sidecar-caller Service bank/pay"}},
		{name: "and one of which nobody knows", manifests: workload("dark", "d", "app: d"), calls: []api.DeclaredEdge{call("dark/d", "bank/pay")},
			needs:    []api.ServiceNeeds{needs("bank", "pay", api.CapL7Authorization)},
			findings: []string{"blocker sidecar-caller Service bank/pay"}},
		{name: "a caller outside the mesh", manifests: strings.ReplaceAll(app("legacy", "old"), ", labels: {istio-injection: enabled}", ""),
			calls: []api.DeclaredEdge{call("legacy/old", "bank/pay")}, needs: []api.ServiceNeeds{needs("bank", "pay", api.CapL7Authorization)},
			findings: []string{"warning outside-caller Service bank/pay"}},
		{name: "a server that stays cannot route for a client that moves", calls: []api.DeclaredEdge{call("shop/web", "bank/pay")},
			needs:    []api.ServiceNeeds{needs("bank", "pay", api.CapRetries, api.CapSidecar)},
			findings: []string{"blocker routing-lost Service bank/pay"}},
		{name: "nor can one whose namespace is held", calls: []api.DeclaredEdge{call("shop/web", "bank/pay")},
			needs:    []api.ServiceNeeds{needs("bank", "pay", api.CapRetries), needs("bank", "books", api.CapHumanDecision)},
			want:     []string{"bank/activate < shop/cutover O-30-counter broken: routing-lost"},
			findings: []string{"blocker routing-lost Service bank/pay"}},
		{name: "nobody told who calls", needs: []api.ServiceNeeds{needs("bank", "pay", api.CapL7Authorization), needs("bank", "books", api.CapRetries)},
			findings: []string{"warning unknown-callers Namespace bank"}},
		{name: "a call that is possible does not tell that there are no others",
			manifests: "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v, namespace: shop}\nspec: {hosts: [pay.bank.svc.cluster.local], http: [{route: [{destination: {host: pay.bank.svc.cluster.local}}]}]}\n",
			needs:     []api.ServiceNeeds{needs("bank", "pay", api.CapL7Authorization)}, want: clientFirst,
			findings: []string{"warning unknown-callers Namespace bank"}},
		{name: "ALLOW policies that name every caller do",
			manifests: "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: bank}\nspec: {rules: [{from: [{source: {namespaces: [shop]}}]}]}\n",
			needs:     []api.ServiceNeeds{needs("bank", "pay", api.CapL7Authorization)}, want: clientFirst},
		{name: "one open rule does not",
			manifests: "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: bank}\nspec: {rules: [{from: [{source: {namespaces: [shop]}}]}, {from: [{source: {principals: [\"*\"]}}]}]}\n",
			needs:     []api.ServiceNeeds{needs("bank", "pay", api.CapL7Authorization)}, want: clientFirst,
			findings: []string{"warning unknown-callers Namespace bank"}},
		{name: "a DENY rule that names callers leaves all others open",
			manifests: "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: bank}\nspec: {action: DENY, rules: [{from: [{source: {namespaces: [shop]}}]}]}\n",
			needs:     []api.ServiceNeeds{needs("bank", "pay", api.CapL7Authorization)},
			findings:  []string{"warning unknown-callers Namespace bank"}},
		{name: "a policy names a caller that nobody has seen",
			manifests: "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: bank}\nspec: {rules: [{from: [{source: {namespaces: [other-cluster]}}]}]}\n",
			needs:     []api.ServiceNeeds{needs("bank", "pay", api.CapL7Authorization)},
			findings:  []string{"warning unseen-caller Service bank/pay"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			st, ds, edges := decided(t, base+c.manifests, c.policy, c.calls, c.needs...)
			cs := planner.Constrain(st, ds, edges)
			if diff := cmp.Diff(c.want, orderLines(cs)); diff != "" {
				t.Errorf("constraints (-want +got):\n%s", diff)
			}
			fs := planner.Impossible(st, ds, edges)
			if diff := cmp.Diff(c.findings, findingLines(fs)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			for _, x := range cs {
				if x.Reason == "" || len(x.Evidence) == 0 {
					t.Errorf("without reason or evidence: %+v", x)
				}
			}
			for _, f := range fs {
				if f.Message == "" || f.Effect == "" || f.Action == "" || len(f.Evidence) == 0 {
					t.Errorf("not complete: %+v", f)
				}
			}
		})
	}
}

// TestConstrainAggregates: many calls make one constraint that counts them, and
// cites what is sure before what is possible.
func TestConstrainAggregates(t *testing.T) {
	var names []string
	var calls []api.DeclaredEdge
	for i := range 9 {
		names = append(names, fmt.Sprintf("web-%d", i))
		calls = append(calls, call("shop/"+names[i], "bank/pay"))
	}
	policy := "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: bank}\nspec: {rules: [{from: [{source: {serviceAccounts: [shop/web-0]}}]}]}\n"
	st, ds, edges := decided(t, app("shop", names...)+app("bank", "pay")+policy, nil, calls, needs("bank", "pay", api.CapL7Authorization))
	cs := planner.Constrain(st, ds, edges)
	if len(cs) != 2 || len(cs[0].Evidence) != 5 {
		t.Fatalf("got %+v", cs)
	}
	want := "clients before servers: Deployment shop/web-0 calls Service bank/pay, which needs l7-authorization (FeatureNeeds needs.yaml) at its waypoint, and a caller that still has a sidecar goes past the waypoint; and 9 more calls like it"
	if cs[0].Reason != want {
		t.Errorf("got  %s\nwant %s", cs[0].Reason, want)
	}
}

// TestImpossibleAggregates: a service has one finding, however many callers stay.
func TestImpossibleAggregates(t *testing.T) {
	var names []string
	var calls []api.DeclaredEdge
	for i := range 9 {
		names = append(names, fmt.Sprintf("web-%d", i))
		calls = append(calls, call("shop/"+names[i], "bank/pay"))
	}
	p := &api.MigrationPolicy{Exclude: []api.ExcludedNamespace{{Namespace: "shop", Reason: "later"}}}
	st, ds, edges := decided(t, app("shop", names...)+app("bank", "pay"), p, calls, needs("bank", "pay", api.CapL7Authorization))
	fs := planner.Impossible(st, ds, edges)
	if len(fs) != 1 || !strings.HasSuffix(fs[0].Message, "Deployment shop/web-0, Deployment shop/web-1, Deployment shop/web-2, Deployment shop/web-3, Deployment shop/web-4 and 4 more") {
		t.Errorf("got %+v", fs)
	}
}

func TestCutoverOrder(t *testing.T) {
	calls := []api.DeclaredEdge{call("shop/a", "shop/b"), call("shop/d", "shop/c"), call("shop/c", "shop/d"), call("shop/d", "shop/a"), call("shop/e", "shop/e")}
	st, ds, edges := decided(t, app("shop", "a", "b", "c", "d", "e")+app("bank", "pay"), nil, calls)
	var got []string
	for _, r := range planner.CutoverOrder(st, ds, edges, "shop") {
		got = append(got, r.Name)
	}
	// c and d call each other and stand together, before a, which d calls.
	if diff := cmp.Diff([]string{"c", "d", "a", "b", "e"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestCallersKnownByAccountRestartFirst: a policy that names a service account
// tells who calls, and the pods of that account lose their sidecars in a step
// before the server's.
func TestCallersKnownByAccountRestartFirst(t *testing.T) {
	st := readMesh(t, app("shop", "a-cart", "web")+`---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: shop}
spec:
  selector: {matchLabels: {app: a-cart}}
  rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}], to: [{operation: {methods: [GET]}}]}]
`)
	p, err := planner.Plan(t.Context(), planner.Input{Inventory: st.Inventory()})
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]int{}
	for _, w := range p.Waves {
		for i, s := range w.Steps {
			for _, c := range s.Changes {
				if strings.HasPrefix(s.Name, "cutover") && c.Object.Kind == "Deployment" {
					at[c.Object.Name] = i + 1
				}
			}
		}
	}
	if at["web"] == 0 || at["web"] >= at["a-cart"] {
		t.Errorf("steps of the restarts: %v", at)
	}
}
