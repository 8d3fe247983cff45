package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestGeneratedFilesAreFresh fails when somebody changed a rule and forgot `go generate ./...`.
func TestGeneratedFilesAreFresh(t *testing.T) {
	dir := filepath.Join("..", "..", "planner", "rules")
	files, err := generate(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Errorf("%v (run go generate ./...)", err)
			continue
		}
		if d := cmp.Diff(string(want), string(got)); d != "" {
			t.Errorf("%s is stale, run go generate ./... (-want +got):\n%s", name, d)
		}
	}
	pages, err := filepath.Glob(filepath.Join(dir, docsDir, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		if _, ok := files[filepath.Join(docsDir, filepath.Base(p))]; !ok {
			t.Errorf("%s belongs to no rule, run go generate ./...", p)
		}
	}
}

func TestBadRulesAreRefused(t *testing.T) {
	cases := []struct{ name, src, retired, want string }{
		{name: "same id twice", src: `var a = Rule{ID: "X1"}; var b = Rule{ID: "X1"}`, want: "both have the id X1"},
		{name: "no id", src: `var a = Rule{Title: "t"}`, want: "rule a has no ID"},
		{name: "computed text", src: `var a = Rule{ID: f()}`, want: "string literals alone"},
		{name: "retired id", src: `var a = Rule{ID: "X1"}`, retired: "X1 # replaced by X2\n", want: "is retired"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "a.go"), "package rules\n"+c.src+"\n")
			write(t, filepath.Join(dir, retiredFile), c.retired)
			if _, err := generate(dir); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestRunWritesAndRemovesPages(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "planner", "rules")
	write(t, filepath.Join(dir, "x1_thing.go"), `package rules
var x1 = Rule{ID: "X1", Title: "Thing", Doc: Doc{Why: "a " + "b", Facts: []string{"L-01"}}, Reads: []mesh.Kind{mesh.KindService}}
`)
	stale := filepath.Join(root, "docs", "rules", "X0.md")
	write(t, stale, "old")
	if err := run(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stale); err == nil {
		t.Error("the page of a rule that is no more was kept")
	}
	b, err := os.ReadFile(filepath.Join(root, "docs", "rules", "X1.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# X1: Thing", "a b", "| Facts | L-01 |", "| Reads | Service |"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("page has no %q:\n%s", want, b)
		}
	}
}

func write(t *testing.T, name, data string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}
