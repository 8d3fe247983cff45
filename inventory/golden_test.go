package inventory

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/internal/golden"
)

// TestGolden reads the files of each txtar archive as one input and compares
// the inventory. Kinds that are absent are left out of the coverage shown.
func TestGolden(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, path := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			path, err := filepath.Abs(path)
			if err != nil {
				t.Fatal(err)
			}
			ar, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			t.Chdir(unpack(t, ar))
			got := map[string][]byte{}
			inv, err := Read(t.Context(), Options{Paths: []string{"in"}})
			if err != nil {
				got["error"] = []byte(err.Error() + "\n")
			} else {
				inv.Coverage = slices.DeleteFunc(inv.Coverage, func(c api.KindCoverage) bool { return c.State == api.Absent })
				got["inventory.yaml"] = encoded(t, inv)
			}
			golden.Txtar(t, path, got)
		})
	}
}

// unpack writes the input files of an archive below a new directory.
func unpack(t *testing.T, ar *txtar.Archive) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range ar.Files {
		if strings.HasPrefix(f.Name, golden.OutPrefix) {
			continue
		}
		p := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func encoded(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := api.Encode(&b, v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
