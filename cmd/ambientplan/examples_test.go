package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ambientplan/ambientplan/internal/golden"
)

// exampleArgs are the inputs of each example below examples/.
var exampleArgs = map[string][]string{
	"bookinfo": {"-f", "examples/bookinfo/cluster", "--needs", "examples/bookinfo/needs.yaml"},
	"online-boutique": {
		"-f", "examples/online-boutique/cluster", "--needs", "examples/online-boutique/needs.yaml",
		"--policy", "examples/online-boutique/policy.yaml", "--edges", "examples/online-boutique/edges.csv",
		"--monitoring", "examples/online-boutique/monitoring",
	},
}

// TestExamples plans each example and compares the tree with the committed one,
// byte for byte, then renders the tree again from the plan inside it.
func TestExamples(t *testing.T) {
	repo, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dirs, err := os.ReadDir(filepath.Join(repo, "examples"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		if d.Name() == "fleet" {
			continue // several clusters: TestFleetExample
		}
		t.Run(d.Name(), func(t *testing.T) {
			args, ok := exampleArgs[d.Name()]
			if !ok {
				t.Fatalf("examples/%s is not planned by this test: add its inputs", d.Name())
			}
			work := t.TempDir()
			if err := os.CopyFS(filepath.Join(work, "examples"), os.DirFS(filepath.Join(repo, "examples"))); err != nil {
				t.Fatal(err)
			}
			t.Chdir(work)
			if code, _, stderr := runForTest("", append([]string{"plan", "--fail-on", "never", "--out", "out"}, args...)...); code != exitDone {
				t.Fatalf("plan: exit code %d: %s", code, stderr)
			}
			got, err := golden.ReadTree("out")
			if err != nil {
				t.Fatal(err)
			}
			golden.Tree(t, filepath.Join(repo, "examples", d.Name(), "out"), got)

			for ext, format := range map[string]string{"html": "html", "md": "markdown"} {
				if d.Name() != "bookinfo" {
					break // one is enough to read, and reports are long
				}
				code, text, stderr := runForTest("", slices.Concat([]string{"plan", "--fail-on", "never", "-o", format}, args)...)
				if code != exitDone {
					t.Fatalf("plan -o %s: exit code %d: %s", format, code, stderr)
				}
				golden.File(t, filepath.Join(repo, "examples", d.Name(), "report."+ext), []byte(text))
			}

			code, _, stderr := runForTest("", "render", "out/plan.yaml", "-i", "out/inventory.yaml", "--out", "again")
			if code != exitDone {
				t.Fatalf("render: exit code %d: %s", code, stderr)
			}
			again, err := golden.ReadTree("again")
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range golden.DiffTrees(got, again) {
				t.Errorf("rendering the plan in the tree gives another tree: %s", d)
			}
			code, stdout, stderr := runForTest("", slices.Concat([]string{"plan", "--fail-on", "never", "-o", "yaml"}, args)...)
			if code != exitDone || string(stdout) != string(got["plan.yaml"]) {
				t.Errorf("plan -o yaml (exit code %d, stderr %q) is not the plan.yaml of the tree", code, stderr)
			}
		})
	}
}
