package inventory

import (
	"encoding/json"
	"fmt"
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/internal/corpora"
)

// TestRedact: no name of a mesh occurs in its redacted inventory, every object is still
// there, in the same order, and redacting again changes no more than names.
func TestRedact(t *testing.T) {
	meshes, err := corpora.Meshes("../testdata/corpora")
	if err != nil {
		t.Fatal(err)
	}
	names := 0
	for _, m := range meshes {
		if m.Contradictory {
			continue
		}
		inv, err := Read(t.Context(), Options{Paths: m.Paths, DefaultNamespace: m.Namespace})
		if err != nil {
			t.Fatal(err)
		}
		red, err := Redact(inv)
		if err != nil {
			t.Fatalf("%s: %v", m.Name, err)
		}
		b, err := json.Marshal(red)
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		for _, w := range word.FindAllString(string(b), -1) {
			found[w] = true
		}
		check := func(kind, name string) {
			if kept.MatchString(name) || !isName(name) {
				return
			}
			names++
			// A word of a rule or a field may be spelled as a name is.
			if found[name] && !structuralWord(string(b), name) {
				t.Errorf("%s: %s %s is still there", m.Name, kind, name)
			}
		}
		for i := range inv.Namespaces {
			check("namespace", inv.Namespaces[i].Name)
		}
		for i := range inv.Workloads {
			check("workload", inv.Workloads[i].Name)
			check("service account", inv.Workloads[i].ServiceAccount)
		}
		for i := range inv.Services {
			check("service", inv.Services[i].Name)
		}
		if len(red.Workloads) != len(inv.Workloads) || len(red.Services) != len(inv.Services) || len(red.Objects) != len(inv.Objects) {
			t.Errorf("%s: objects are missing", m.Name)
		}
		for i := range inv.Objects {
			if red.Objects[i].Kind != inv.Objects[i].Kind {
				t.Errorf("%s: the order of objects changed at %s", m.Name, inv.Objects[i].Ref())
				break
			}
		}
	}
	if names < 100 {
		t.Errorf("only %d names were looked for", names)
	}
}

// structuralWord tells whether a word stands as a key or as a value of a structural field.
func structuralWord(text, name string) bool {
	var doc any
	if json.Unmarshal([]byte(text), &doc) != nil {
		return false
	}
	hit := false
	var walk func(v any, key string)
	walk = func(v any, key string) {
		switch v := v.(type) {
		case map[string]any:
			for k, c := range v {
				for _, w := range word.FindAllString(k, -1) {
					hit = hit || w == name
				}
				if _, text := c.(string); text && k == "name" && (key == "ports" || key == "port") {
					hit = hit || c == name // the name of a port
					continue
				}
				walk(c, k)
			}
		case []any:
			for _, c := range v {
				walk(c, key)
			}
		case string:
			for _, w := range word.FindAllString(v, -1) {
				hit = hit || w == name && structural[key]
			}
		}
	}
	walk(doc, "")
	return hit
}

// TestRedactHosts shows what becomes of the values of rules.
func TestRedactHosts(t *testing.T) {
	inv := readString(t, "", callGraphMesh+`---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: web-policy, namespace: shop, annotations: {note: "ask alice"}}
spec:
  selector: {matchLabels: {app: web}}
  rules:
  - from: [{source: {principals: [cluster.local/ns/shop/sa/web-account], namespaces: [shop]}}]
    to: [{operation: {hosts: [cart.shop.svc.cluster.local, pay.bank.example], paths: [/cart/*], methods: [GET]}}]
`)
	red, err := Redact(inv)
	if err != nil {
		t.Fatal(err)
	}
	var policy *api.Object
	for i := range red.Objects {
		if red.Objects[i].Kind == "AuthorizationPolicy" {
			policy = &red.Objects[i]
		}
	}
	ns := policy.Namespace
	got := fmt.Sprint(policy.Content["spec"])
	web := ""
	for i := range red.Services {
		if red.Services[i].Selector != nil {
			web = red.Services[i].Selector["app"]
		}
	}
	if ns == "shop" || web == "" || web == "web" || red.Workloads[0].PodLabels["app"] != web {
		t.Errorf("namespace %q, label %q, pods %v", ns, web, red.Workloads[0].PodLabels)
	}
	want := fmt.Sprintf("map[rules:[map[from:[map[source:map[namespaces:[%s] principals:[cluster.local/ns/%s/sa/%s]]]]", ns, ns, red.Workloads[0].ServiceAccount)
	if len(got) < len(want) || got[:len(want)] != want {
		t.Errorf("got  %s\nwant %s ...", got, want)
	}
}
