package translate

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

func parse(t *testing.T, y string) api.Content {
	t.Helper()
	b, err := yaml.YAMLToJSON([]byte(y))
	if err != nil {
		t.Fatal(err)
	}
	var c api.Content
	if err := c.UnmarshalJSON(b); err != nil {
		t.Fatal(err)
	}
	return c
}

func print(t *testing.T, c api.Content) string {
	t.Helper()
	b, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTranslatePortsNeverWidens(t *testing.T) {
	ports := PortMap{"8080": {"80"}, "9090": {"90", "91"}}
	cases := []struct {
		name, in, want string
		matches        bool
	}{
		{"pod port to service port",
			`spec: {rules: [{to: [{operation: {ports: ["8080"]}}]}]}`,
			`spec: {rules: [{to: [{operation: {ports: ["80"]}}]}]}`, true},
		{"one pod port behind two service ports",
			`spec: {rules: [{to: [{operation: {ports: ["9090"]}}]}]}`,
			`spec: {rules: [{to: [{operation: {ports: ["90", "91"]}}]}]}`, true},
		{"an ALLOW of a port that the Service does not have allows nothing, not everything",
			`spec: {rules: [{to: [{operation: {ports: ["1"]}}]}]}`,
			`spec: {}`, true},
		{"a DENY of such a port is not needed",
			`spec: {action: DENY, rules: [{to: [{operation: {ports: ["1"]}}]}]}`,
			`spec: {action: DENY}`, false},
		{"the other operations of a rule stay",
			`spec: {rules: [{to: [{operation: {ports: ["1"]}}, {operation: {methods: [GET]}}]}]}`,
			`spec: {rules: [{to: [{operation: {methods: [GET]}}]}]}`, true},
		{"excluding only foreign ports excludes nothing",
			`spec: {rules: [{to: [{operation: {notPorts: ["1"]}}], from: [{source: {principals: [a]}}]}]}`,
			`spec: {rules: [{from: [{source: {principals: [a]}}]}]}`, true},
		{"condition on a port",
			`spec: {rules: [{when: [{key: destination.port, values: ["8080"]}]}]}`,
			`spec: {rules: [{when: [{key: destination.port, values: ["80"]}]}]}`, true},
		{"condition on a foreign port never holds",
			`spec: {rules: [{when: [{key: destination.port, values: ["1"]}]}, {from: [{source: {principals: [a]}}]}]}`,
			`spec: {rules: [{from: [{source: {principals: [a]}}]}]}`, true},
		{"allow nothing stays", `spec: {}`, `spec: {}`, true},
		{"allow everything stays", `spec: {rules: [{}]}`, `spec: {rules: [{}]}`, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := parse(t, c.in)
			if m := TranslatePorts(got, ports); m != c.matches {
				t.Errorf("matches = %v, want %v", m, c.matches)
			}
			if d := cmp.Diff(print(t, parse(t, c.want)), print(t, got)); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}

func TestExemptWaypoint(t *testing.T) {
	const wp = "cluster.local/ns/shop/sa/waypoint"
	cases := []struct{ name, in, want string }{
		{"a negative list would catch the waypoint",
			`spec: {action: DENY, rules: [{from: [{source: {notPrincipals: [a]}}]}]}`,
			`spec: {action: DENY, rules: [{from: [{source: {notPrincipals: [a]}}], when: [{key: source.principal, notValues: [` + wp + `]}]}]}`},
		{"the layer 4 remainder of a layer 7 rule would catch it",
			`spec: {action: DENY, rules: [{to: [{operation: {ports: ["80"], methods: [DELETE]}}]}]}`,
			`spec: {action: DENY, rules: [{to: [{operation: {ports: ["80"], methods: [DELETE]}}], when: [{key: source.principal, notValues: [` + wp + `]}]}]}`},
		{"a rule on who the client is cannot match the waypoint",
			`spec: {action: DENY, rules: [{from: [{source: {principals: [a]}}]}]}`,
			`spec: {action: DENY, rules: [{from: [{source: {principals: [a]}}]}]}`},
		{"deny everything stays: nobody asked to let the waypoint through",
			`spec: {action: DENY, rules: [{}]}`,
			`spec: {action: DENY, rules: [{}]}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := parse(t, c.in)
			changed := ExemptWaypoint(got, wp)
			if d := cmp.Diff(print(t, parse(t, c.want)), print(t, got)); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
			if changed != (c.in != c.want) {
				t.Errorf("changed = %v", changed)
			}
			if ExemptWaypoint(got, wp) {
				t.Error("the second time changed it again")
			}
		})
	}
}

func TestL7RuleByField(t *testing.T) {
	cases := []struct {
		rule string
		want bool
	}{
		{`{from: [{source: {principals: [a], namespaces: [b], ipBlocks: [10.0.0.0/8], serviceAccounts: [c]}}]}`, false},
		{`{from: [{source: {notPrincipals: [a], notNamespaces: [b], notIpBlocks: [10.0.0.0/8], notServiceAccounts: [c]}}]}`, false},
		{`{from: [{source: {requestPrincipals: ["*"]}}]}`, true},
		{`{from: [{source: {remoteIpBlocks: [10.0.0.0/8]}}]}`, true},
		{`{from: [{source: {somethingNew: [x]}}]}`, true},
		{`{to: [{operation: {ports: ["80"], notPorts: ["81"]}}]}`, false},
		{`{to: [{operation: {methods: [GET]}}]}`, true},
		{`{to: [{operation: {hosts: [a]}}]}`, true},
		{`{to: [{operation: {paths: [/]}}]}`, true},
		{`{when: [{key: source.principal, values: [a]}]}`, false},
		{`{when: [{key: destination.port, values: ["80"]}]}`, false},
		{`{when: [{key: "request.headers[x]", values: [a]}]}`, true},
		{`{when: [{key: connection.sni, values: [a]}]}`, true},
		{`{}`, false},
	}
	for _, c := range cases {
		r := Rules(parse(t, `spec: {rules: [`+c.rule+`]}`))[0]
		if got := L7Rule(r); got != c.want {
			t.Errorf("%s: L7 = %v, want %v", c.rule, got, c.want)
		}
	}
}

func TestKeepL4Rules(t *testing.T) {
	c := parse(t, `spec: {rules: [{to: [{operation: {methods: [GET]}}]}, {from: [{source: {namespaces: [a]}}]}]}`)
	if n := KeepL4Rules(c); n != 1 {
		t.Fatalf("left %d, want 1", n)
	}
	if d := cmp.Diff("spec:\n  rules:\n  - from:\n    - source:\n        namespaces:\n        - a\n", print(t, c)); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

func TestAttach(t *testing.T) {
	o := &api.Object{
		APIVersion: "security.istio.io/v1", Kind: "AuthorizationPolicy", Namespace: "istio-system", Name: "deny",
		Content: parse(t, `{metadata: {name: deny, annotations: {istio.io/dry-run: "true"}}, spec: {selector: {matchLabels: {a: b}}, action: DENY, rules: [{from: [{source: {serviceAccounts: [sa]}}]}]}}`),
	}
	c := Attach(o, "shop", "istio-system-deny-waypoint", []string{"web"})
	QualifyServiceAccounts(c, "istio-system")
	want := `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  annotations:
    ambientplan.dev/copy-of: istio-system/deny
    istio.io/dry-run: "true"
  labels:
    app.kubernetes.io/managed-by: ambientplan
  name: istio-system-deny-waypoint
  namespace: shop
spec:
  action: DENY
  rules:
  - from:
    - source:
        serviceAccounts:
        - istio-system/sa
  targetRefs:
  - group: ""
    kind: Service
    name: web
`
	if d := cmp.Diff(want, print(t, c)); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if _, ok := Spec(o.Content)["selector"]; !ok {
		t.Error("the original was changed")
	}
}

func TestWaypointHasTwoReplicasAndABudget(t *testing.T) {
	objs, err := WaypointGateway(api.WaypointRef{Name: "waypoint", Namespace: "shop"}, api.WaypointPolicy{MinReplicas: 1}, false)
	if err != nil {
		t.Fatal(err)
	}
	data := objs[0]["data"].(map[string]any)
	if d := cmp.Diff("spec:\n  maxReplicas: 5\n  metrics:\n  - resource:\n      name: cpu\n      target:\n        averageUtilization: 70\n        type: Utilization\n    type: Resource\n  minReplicas: 2\n", data["horizontalPodAutoscaler"]); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if data["podDisruptionBudget"] != "spec:\n  minAvailable: 1\n" {
		t.Errorf("budget = %q", data["podDisruptionBudget"])
	}
}
