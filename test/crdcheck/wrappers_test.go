package crdcheck

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	celgo "github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/planner"
	"github.com/ambientplan/ambientplan/render"
)

// TestWrappers holds what is rendered for Argo CD and Flux, with everything said and with nothing
// said, against the definitions that their controllers are installed with.
func TestWrappers(t *testing.T) {
	c, err := Load("testdata/crds")
	if err != nil {
		t.Fatal(err)
	}
	said := render.Repository{URL: "ssh://git@git.example.com/mesh.git", Branch: "main", Path: "ambient", Cluster: "in-cluster"}
	depends := said
	depends.Cluster, depends.DependsOn = "", []string{"istio", "infra/cni"}
	n := 0
	for _, example := range []string{"bookinfo", "online-boutique"} {
		inv, err := inventory.Read(t.Context(), inventory.Options{Paths: []string{"../../examples/" + example + "/cluster"}, DefaultNamespace: "default"})
		if err != nil {
			t.Fatal(err)
		}
		p, err := planner.Plan(t.Context(), planner.Input{Inventory: inv})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range []render.Options{
			{GitOps: render.ArgoCD}, {GitOps: render.ArgoCD, Repository: said}, {GitOps: render.Flux}, {GitOps: render.Flux, Repository: depends},
		} {
			tree, err := render.Build(p, o)
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range tree.Paths() {
				if !strings.HasPrefix(path, o.GitOps+"/") || !strings.HasSuffix(path, ".yaml") {
					continue
				}
				for _, u := range decode(t, tree.File(path)) {
					if u.GetKind() == "ConfigMap" || strings.HasPrefix(u.GetAPIVersion(), "kustomize.config.k8s.io/") {
						continue
					}
					n++
					if err := c.Check(u); err != nil {
						t.Errorf("%s: %s: %v", example, path, err)
					}
				}
			}
		}
	}
	if n != 2*4*2 {
		t.Errorf("checked %d objects", n)
	}
}

// TestWrappersCanFail: the definitions do refuse.
func TestWrappersCanFail(t *testing.T) {
	c, err := Load("testdata/crds")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: a, namespace: a}, spec: {project: a, destination: {}, sources: 7}}",
		"{apiVersion: argoproj.io/v1alpha1, kind: AppProject, metadata: {name: a, namespace: a}, spec: {nonsense: 1}}",
		"{apiVersion: kustomize.toolkit.fluxcd.io/v1, kind: Kustomization, metadata: {name: a, namespace: a}, spec: {interval: 1m, prune: true, sourceRef: {kind: Nonsense, name: a}}}",
		"{apiVersion: source.toolkit.fluxcd.io/v1, kind: GitRepository, metadata: {name: a, namespace: a}, spec: {interval: 1m, url: 'git@host:x'}}",
	} {
		for _, u := range decode(t, []byte(text)) {
			if err := c.Check(u); err == nil {
				t.Errorf("%s is accepted", text)
			}
		}
	}
}

func decode(t *testing.T, data []byte) []*unstructured.Unstructured {
	t.Helper()
	var out []*unstructured.Unstructured
	for d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096); ; {
		u := &unstructured.Unstructured{}
		err := d.Decode(&u.Object)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, u)
	}
}

// health is an object in a state, and whether a step may be called done.
type health struct {
	name, object string
	// argo is the health that Argo CD must find; "" where its own check is used.
	argo string
	// flux tells whether Flux must call it current.
	flux bool
}

func states() []health {
	service := func(labels, rest string) string {
		return "{apiVersion: v1, kind: Service, metadata: {name: a, labels: {" + labels + "}}, " + rest + "}"
	}
	policy := func(conditions string) string {
		return "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: a, labels: {app.kubernetes.io/managed-by: ambientplan}}, spec: {targetRefs: [{kind: Service, name: a}]}" + conditions + "}"
	}
	object := func(kind, rest string) string {
		return "{apiVersion: gateway.networking.k8s.io/v1, kind: " + kind + ", metadata: {name: a, generation: 2}" + rest + "}"
	}
	const bound, mine = "istio.io/use-waypoint: w", "spec: {type: ClusterIP}, status: {loadBalancer: {}"
	ok := "{type: Accepted, status: 'True', observedGeneration: 2}, {type: ResolvedRefs, status: 'True', observedGeneration: 2}"
	return []health{
		{"no waypoint", service("a: b", mine+"}"), "Healthy", true},
		{"no labels", "{apiVersion: v1, kind: Service, metadata: {name: a}, " + mine + "}}", "Healthy", true},
		{"waypoint none", service("istio.io/use-waypoint: none", mine+"}"), "Healthy", true},
		{"bound", service(bound, mine+", conditions: [{type: istio.io/WaypointBound, status: 'True', message: m}]}"), "Healthy", true},
		{"not bound yet", service(bound, mine+"}"), "Progressing", false},
		{"refused", service(bound, mine+", conditions: [{type: istio.io/WaypointBound, status: 'False', message: m}]}"), "Progressing", false},
		{"another condition", service(bound, mine+", conditions: [{type: Other, status: 'True', message: m}]}"), "Progressing", false},
		{"load balancer without address", service("a: b", "spec: {type: LoadBalancer}, status: {loadBalancer: {}}"), "Progressing", false},
		{"load balancer", service("a: b", "spec: {type: LoadBalancer}, status: {loadBalancer: {ingress: [{ip: 192.0.2.1}]}}"), "Healthy", true},
		{"policy accepted", policy(", status: {conditions: [{type: WaypointAccepted, status: 'True', reason: Accepted, message: m}]}"), "Healthy", true},
		{"policy waits for activate", policy(", status: {conditions: [{type: WaypointAccepted, status: 'False', reason: AncestorNotBound, message: m}]}"), "Healthy", true},
		{"policy invalid", policy(", status: {conditions: [{type: WaypointAccepted, status: 'False', reason: Invalid, message: m}]}"), "Degraded", false},
		{"policy partly invalid", policy(", status: {conditions: [{type: WaypointAccepted, status: 'True', reason: PartiallyInvalid, message: m}]}"), "Degraded", false},
		{"policy not read", policy(", status: {}"), "Progressing", false},
		{"policy without status", policy(""), "Progressing", false},
		{"policy of others", "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: a}}", "Healthy", true},
		{"policy without spec", "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: a, labels: {b: c}}}", "Healthy", true},
		{"gateway programmed", object("Gateway", ", status: {conditions: [{type: Programmed, status: 'True', observedGeneration: 2}]}"), "", true},
		{"gateway of an older generation", object("Gateway", ", status: {conditions: [{type: Programmed, status: 'True', observedGeneration: 1}]}"), "", false},
		{"gateway pending", object("Gateway", ", status: {conditions: [{type: Programmed, status: Unknown, observedGeneration: 2}]}"), "", false},
		{"gateway without status", object("Gateway", ""), "", false},
		{"route accepted", object("HTTPRoute", ", status: {parents: [{conditions: ["+ok+"]}]}"), "", true},
		{"one parent of two", object("HTTPRoute", ", status: {parents: [{conditions: ["+ok+"]}, {}]}"), "", false},
		{"route with a lost backend", object("GRPCRoute", ", status: {parents: [{conditions: [{type: Accepted, status: 'True', observedGeneration: 2}, {type: ResolvedRefs, status: 'False', observedGeneration: 2}]}]}"), "", false},
		{"route without parents", object("HTTPRoute", ", status: {parents: []}"), "", false},
	}
}

// TestFluxHealth evaluates the expressions as Flux does (fluxcd/pkg/runtime v0.122.0 cel/expression.go): parsed and
// not compiled, the object's fields as variables, and an error as "not ready".
func TestFluxHealth(t *testing.T) {
	env, err := celgo.NewEnv(celgo.HomogeneousAggregateLiterals(), celgo.EagerlyValidateDeclarations(true), celgo.DefaultUTCTimeZone(true),
		celgo.CrossTypeNumericComparisons(true), celgo.OptionalTypes(), ext.Strings(), ext.Sets(), ext.Encoders())
	if err != nil {
		t.Fatal(err)
	}
	programs := map[string]celgo.Program{}
	for _, e := range render.FluxHealth() {
		m := e.(map[string]any)
		ast, issues := env.Parse(m["current"].(string))
		if issues.Err() != nil {
			t.Fatal(issues.Err())
		}
		if programs[m["kind"].(string)], err = env.Program(ast, celgo.EvalOptions(celgo.OptOptimize)); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range states() {
		u := decode(t, []byte(s.object))[0]
		p := programs[u.GetKind()]
		if p == nil {
			t.Fatalf("%s: no expression for %s", s.name, u.GetKind())
		}
		v, _, err := p.Eval(u.Object)
		got := err == nil && v.Value() == true
		if got != s.flux {
			t.Errorf("%s: current is %v (%v), want %v", s.name, v, err, s.flux)
		}
	}
}

// TestArgoHealth runs the health checks with the interpreter that Argo CD uses.
func TestArgoHealth(t *testing.T) {
	scripts := map[string]string{"Service": render.ServiceHealthLua, "AuthorizationPolicy": render.PolicyHealthLua}
	ran := 0
	for _, s := range states() {
		u := decode(t, []byte(s.object))[0]
		script := scripts[u.GetKind()]
		if script == "" || s.argo == "" {
			continue
		}
		ran++
		if got, err := runLua(script, u.Object); err != nil || got != s.argo {
			t.Errorf("%s: %s (%v), want %s", s.name, got, err, s.argo)
		}
	}
	if ran < 17 {
		t.Errorf("only %d states were tried", ran)
	}
}

// runLua runs a check with the object as obj, and returns the status.
func runLua(script string, obj map[string]any) (string, error) {
	l := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer l.Close()
	// As Argo CD: base, table and string, nothing that reaches outside (util/lua/lua.go).
	for name, open := range map[string]lua.LGFunction{lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable, lua.StringLibName: lua.OpenString} {
		if err := l.CallByParam(lua.P{Fn: l.NewFunction(open), NRet: 0, Protect: true}, lua.LString(name)); err != nil {
			return "", err
		}
	}
	l.SetGlobal("obj", luaValue(l, obj))
	if err := l.DoString(script); err != nil {
		return "", err
	}
	hs, ok := l.Get(-1).(*lua.LTable)
	if !ok {
		return "", fmt.Errorf("it returns %s", l.Get(-1).Type())
	}
	return hs.RawGetString("status").String(), nil
}

func luaValue(l *lua.LState, v any) lua.LValue {
	switch v := v.(type) {
	case map[string]any:
		t := l.NewTable()
		for k, e := range v {
			t.RawSetString(k, luaValue(l, e))
		}
		return t
	case []any:
		t := l.NewTable()
		for _, e := range v {
			t.Append(luaValue(l, e))
		}
		return t
	case string:
		return lua.LString(v)
	case bool:
		return lua.LBool(v)
	case nil:
		return lua.LNil
	}
	return lua.LString(fmt.Sprint(v))
}
