package corpora

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../../testdata/corpora"

func TestMeshes(t *testing.T) {
	meshes, err := Meshes(root)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	analyzers := 0
	for _, m := range meshes {
		if seen[m.Name] {
			t.Errorf("mesh %s is listed twice", m.Name)
		}
		seen[m.Name] = true
		if m.Namespace == "" {
			t.Errorf("mesh %s has no default namespace", m.Name)
		}
		if yamlFiles(t, m.Paths) == 0 {
			t.Errorf("mesh %s holds no YAML file: %v", m.Name, m.Paths)
		}
		if strings.HasPrefix(m.Name, "istio-testdata/analyzers/") {
			analyzers++
		}
	}
	for _, want := range []string{"bookinfo", "online-boutique", "bank-of-anthos/asm-lab", "kubeflow", "train-ticket"} {
		if !seen[want] {
			t.Errorf("mesh %s is not listed", want)
		}
	}
	if analyzers < 90 {
		t.Errorf("got %d analyzer meshes, want at least 90: did the folder move?", analyzers)
	}
}

func TestMeshesMissingRoot(t *testing.T) {
	if meshes, err := Meshes(t.TempDir()); err == nil {
		t.Errorf("Meshes of an empty directory gave %d meshes, want an error", len(meshes))
	}
}

// TestSources keeps the promise of the corpora's README: no folder without its source and licence.
func TestSources(t *testing.T) {
	if _, err := os.Stat(filepath.Join(root, "LICENSE-Apache-2.0.txt")); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		b, err := os.ReadFile(filepath.Join(root, e.Name(), "SOURCE.md"))
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.Contains(string(b), "Apache-2.0") {
			t.Errorf("%s/SOURCE.md does not name the licence", e.Name())
		}
	}
}

func yamlFiles(t *testing.T, paths []string) int {
	t.Helper()
	n := 0
	for _, p := range paths {
		err := filepath.WalkDir(p, func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() && (strings.HasSuffix(path, ".yaml") || strings.HasSuffix(path, ".yml")) {
				n++
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	return n
}
