package render

import (
	"os"
	"path/filepath"
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/internal/golden"
)

// load reads a plan.
func load(t testing.TB, file string) *api.MigrationPlan {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := api.Decode[api.MigrationPlan](file, f)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func build(t testing.TB, p *api.MigrationPlan) *Tree {
	t.Helper()
	tree, err := Build(p, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// TestTree renders each plan of testdata, holds the tree against the plan and
// compares it with the golden one, in which `kubectl kustomize` works too.
func TestTree(t *testing.T) {
	plans, err := filepath.Glob("testdata/*/plan.yaml")
	if err != nil || len(plans) == 0 {
		t.Fatalf("no plans: %v", err)
	}
	for _, file := range plans {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			tree := build(t, load(t, file))
			if err := tree.Check(); err != nil {
				t.Fatal(err)
			}
			files := map[string][]byte{}
			for _, p := range tree.Paths() {
				files[p] = tree.File(p)
			}
			golden.Tree(t, filepath.Join(filepath.Dir(file), "tree"), files)
		})
	}
}
