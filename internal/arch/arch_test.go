package arch

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// TestRepository is the house plan as a test.
func TestRepository(t *testing.T) {
	violations, err := Check(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range violations {
		t.Error(v)
	}
}

// TestCheck breaks each rule once: a checker that finds nothing wrong with bad sources would pass TestRepository for ever.
func TestCheck(t *testing.T) {
	const ours = `"github.com/ambientplan/ambientplan/`
	tests := []struct {
		name, file, src string
		want            string // part of the only violation; empty: none
	}{
		{"api is fine", "api/v1alpha1/ref.go", "package v1alpha1\nimport \"io\"\nvar _ io.Reader", ""},
		{"api imports nothing of ours", "api/v1alpha1/ref.go", "package v1alpha1\nimport _ " + ours + `mesh"`, "api/v1alpha1/ref.go:2: api/v1alpha1 may not import mesh: api is the documents"},
		{"api and files", "api/v1alpha1/codec.go", "package v1alpha1\nimport _ \"os\"", "may not import os"},
		{"api and kustomize", "api/v1alpha1/codec.go", "package v1alpha1\nimport _ \"sigs.k8s.io/kustomize/api/krusty\"", "kustomize"},
		{"mesh is fine", "mesh/path.go", "package mesh\nimport _ " + ours + "api/v1alpha1\"\nimport _ \"net/netip\"", ""},
		{"mesh and time", "mesh/path.go", "package mesh\nimport _ \"time\"", "may not import time: mesh is what Istio does"},
		{"mesh and time under another name", "mesh/path.go", "package mesh\nimport clock \"time\"\nvar _ clock.Time", "may not import time"},
		{"mesh and files below os", "mesh/path.go", "package mesh\nimport _ \"os/exec\"", "os/exec"},
		{"mesh and clients", "mesh/path.go", "package mesh\nimport _ \"k8s.io/client-go/kubernetes\"", "k8s.io/client-go/kubernetes"},
		{"mesh and planner", "mesh/path.go", "package mesh\nimport _ " + ours + `planner"`, "may not import planner"},
		{"mesh and its part", "mesh/path.go", "package mesh\nimport _ " + ours + `mesh/authz"`, ""},
		{"a part and its mesh", "mesh/authz/authz.go", "package authz\nimport _ " + ours + `mesh"`, ""},
		{"rules are not a part of planner", "planner/rules/l08.go", "package rules\nimport _ " + ours + `planner/cost"`, "may not import planner/cost"},
		{"a part obeys its parent's row", "mesh/authz/authz.go", "package authz\nimport _ \"net\"", "mesh/authz may not import net"},
		{"rules and planner", "planner/rules/l08.go", "package rules\nimport _ " + ours + `planner"`, "planner/rules may not import planner: a rule is"},
		{"rules and inventory", "planner/rules/l08.go", "package rules\nimport _ " + ours + `inventory"`, "may not import inventory"},
		{"rules and mesh", "planner/rules/l08.go", "package rules\nimport _ " + ours + `mesh"`, ""},
		{"planner and rules", "planner/plan.go", "package planner\nimport _ " + ours + `planner/rules"`, ""},
		{"planner and time as a value", "planner/plan.go", "package planner\nimport \"time\"\nfunc f(now time.Time) {}", ""},
		{"planner and inventory", "planner/plan.go", "package planner\nimport _ " + ours + `inventory"`, "may not import inventory: planner plans from a document"},
		{"planner and http", "planner/plan.go", "package planner\nimport _ \"net/http\"", "net/http"},
		{"inventory and render", "inventory/merge.go", "package inventory\nimport _ " + ours + `render"`, "may not import render"},
		{"inventory and http", "inventory/prometheus.go", "package inventory\nimport _ \"net/http\"", ""},
		{"render and mesh", "render/tree.go", "package render\nimport _ " + ours + `mesh"`, "may not import mesh: render prints"},
		{"render and templates", "render/tree.go", "package render\nimport _ " + ours + `templates"`, ""},
		{"telemetry and planner", "telemetry/rewrite.go", "package telemetry\nimport _ " + ours + `planner"`, "may not import planner"},
		{"product and internal", "render/tree.go", "package render\nimport _ " + ours + `internal/golden"`, "may not import internal/golden"},
		{"cmd and internal", "cmd/ambientplan/main.go", "package main\nimport _ " + ours + `internal/golden"`, "may not import internal/golden"},
		{"cmd and all", "cmd/ambientplan/main.go", "package main\nimport _ " + ours + "render\"\nimport _ " + ours + `inventory"`, ""},
		{"a package without a row", "metrics/metrics.go", "package metrics", "metrics has no row in the import matrix"},
		{"tests import what they need", "mesh/path_test.go", "package mesh\nimport _ \"os\"\nimport _ " + ours + `inventory"`, ""},

		{"exit", "inventory/merge.go", "package inventory\nimport \"os\"\nfunc f() { os.Exit(1) }", "inventory/merge.go:3: os.Exit: exit codes"},
		{"exit as a value", "inventory/merge.go", "package inventory\nimport \"os\"\nvar exit = os.Exit", "os.Exit"},
		{"exit under another name", "inventory/merge.go", "package inventory\nimport sys \"os\"\nfunc f() { sys.Exit(1) }", "os.Exit"},
		{"exit by dot import", "inventory/merge.go", "package inventory\nimport . \"os\"\nfunc f() { Exit(1) }", "dot import of os"},
		{"log.Fatal", "render/tree.go", "package render\nimport \"log\"\nfunc f() { log.Fatal() }", "log.Fatal"},
		{"clock", "planner/plan.go", "package planner\nimport \"time\"\nvar _ = time.Now", "time.Now: same input, same bytes"},
		{"exit of another package", "inventory/merge.go", "package inventory\nimport \"example.com/os2\"\nfunc f() { os2.Exit(1) }", ""},
		{"exit in cmd", "cmd/ambientplan/main.go", "package main\nimport \"os\"\nfunc main() { os.Exit(1) }", ""},
		{"exit in internal", "internal/rulegen/main.go", "package main\nimport \"os\"\nfunc main() { os.Exit(1) }", ""},

		{"folder named util", "mesh/util/x.go", "package labels", `nothing is named "util"`},
		{"package named helpers", "mesh/labels/x.go", "package helpers", `nothing is named "helpers"`},
		{"file named common", "mesh/common.go", "package mesh", `nothing is named "common"`},
		{"init", "mesh/path.go", "package mesh\nfunc init() {}", "mesh/path.go:2: func init"},
		{"init in a test", "mesh/path_test.go", "package mesh\nfunc init() {}", "func init"},
		{"a method may be called init", "mesh/path.go", "package mesh\ntype T int\nfunc (T) init() {}", ""},
		{"long file", "mesh/path.go", "package mesh\n" + strings.Repeat("// x\n", maxLines), "701 lines, more than 700"},
		{"long enough", "mesh/path.go", "package mesh\n" + strings.Repeat("// x\n", maxLines-1), ""},
		{"long test", "mesh/path_test.go", "package mesh\n" + strings.Repeat("// x\n", maxLines), ""},
		{"long generated file", "planner/rules/all_gen.go", "// Code generated by rulegen. DO NOT EDIT.\n\npackage rules\n" + strings.Repeat("// x\n", maxLines), ""},

		{"testdata is not ours", "mesh/testdata/x.go", "package x\nimport _ \"os\"", ""},
		{"hidden", ".work/mesh/x.go", "package x", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := check(t, fstest.MapFS{tt.file: {Data: []byte(tt.src)}})
			if tt.want == "" {
				if len(got) != 0 {
					t.Fatalf("got %q, want no violation of\n%s", got, tt.src)
				}
				return
			}
			if len(got) != 1 || !strings.Contains(got[0].String(), tt.want) {
				t.Fatalf("got %q, want one violation with %q in\n%s", got, tt.want, tt.src)
			}
		})
	}
}

// TestCheckLeavesOut: another module and another worktree have their own rules.
func TestCheckLeavesOut(t *testing.T) {
	bad := &fstest.MapFile{Data: []byte("package x\nfunc init() {}")}
	fsys := fstest.MapFS{
		"go.mod":             {Data: []byte("module m")},
		".git":               {Data: []byte("gitdir: elsewhere")},
		"test/own/go.mod":    {Data: []byte("module own")},
		"test/own/x.go":      bad,
		"wt/feature/.git":    {Data: []byte("gitdir: elsewhere")},
		"wt/feature/mesh.go": bad,
		"mesh/bad.go":        bad,
	}
	got := check(t, fsys)
	if len(got) != 1 || got[0].File != "mesh/bad.go" {
		t.Errorf("got %q, want the one of mesh/bad.go", got)
	}
}

func TestCheckSorts(t *testing.T) {
	bad := &fstest.MapFile{Data: []byte("package mesh\nimport _ \"time\"\nimport _ \"os\"\nfunc init() {}")}
	got := check(t, fstest.MapFS{"mesh/b.go": bad, "mesh/a.go": bad})
	var places []string
	for _, v := range got {
		places = append(places, v.String()[:len("mesh/a.go:2")])
	}
	want := "mesh/a.go:2 mesh/a.go:3 mesh/a.go:4 mesh/b.go:2 mesh/b.go:3 mesh/b.go:4"
	if strings.Join(places, " ") != want {
		t.Errorf("got %v, want %s", places, want)
	}
}

func TestCheckBadSource(t *testing.T) {
	if _, err := Check(fstest.MapFS{"mesh/a.go": {Data: []byte("packag mesh")}}); err == nil || !strings.Contains(err.Error(), "mesh/a.go:1") {
		t.Errorf("got error %v, want one that names mesh/a.go:1", err)
	}
}

// TestMatrixReasons: a rule that cannot say why it is there will be deleted by the first who meets it.
func TestMatrixReasons(t *testing.T) {
	for pkg, r := range matrix {
		if r.why == "" {
			t.Errorf("the row of %s gives no reason", pkg)
		}
	}
}

func check(t *testing.T, fsys fstest.MapFS) []Violation {
	t.Helper()
	got, err := Check(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return got
}
