package render

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/ambientplan/ambientplan/internal/golden"
)

// names lists what a directory holds, hidden files included.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// TestWrite: a new, an empty and an own directory get exactly the tree, and nothing stays beside it.
func TestWrite(t *testing.T) {
	tree := build(t, load(t, byHand))
	parent := t.TempDir()
	dir := filepath.Join(parent, "deep", "out")
	for _, when := range []string{"new", "again", "a file is missing", "an older tree"} {
		switch when {
		case "a file is missing":
			if err := os.Remove(filepath.Join(dir, "README.md")); err != nil {
				t.Fatal(err)
			}
		case "an older tree":
			if err := build(t, load(t, "testdata/two-namespaces/plan.yaml")).Write(dir); err != nil {
				t.Fatal(err)
			}
		}
		if err := tree.Write(dir); err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		got, err := golden.ReadTree(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got[manifestFile] == nil {
			t.Errorf("%s: no %s", when, manifestFile)
		}
		delete(got, manifestFile)
		for _, d := range golden.DiffTrees(tree.files, got) {
			t.Errorf("%s: %s", when, d)
		}
		if n := names(t, filepath.Dir(dir)); !slices.Equal(n, []string{"out"}) {
			t.Errorf("%s: beside the tree there is %q", when, n)
		}
	}
	empty := filepath.Join(parent, "empty")
	if err := errors.Join(os.Mkdir(empty, 0o755), tree.Write(empty)); err != nil {
		t.Errorf("an empty directory: %v", err)
	}
}

// TestWriteRefuses what would be lost, names it, and leaves everything as it was.
func TestWriteRefuses(t *testing.T) {
	put := func(t *testing.T, path, text string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	tree := build(t, load(t, byHand))
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, dir string)
		file    string
		edited  bool
	}{
		{"a foreign directory", func(t *testing.T, dir string) { put(t, filepath.Join(dir, "notes.txt"), "mine") }, "notes.txt", false},
		{"a foreign file", func(t *testing.T, dir string) {
			mustWrite(t, tree, dir)
			put(t, filepath.Join(dir, "base", "notes.txt"), "mine")
		}, "base/notes.txt", false},
		{"a repository", func(t *testing.T, dir string) {
			mustWrite(t, tree, dir)
			put(t, filepath.Join(dir, ".git", "HEAD"), "ref")
		}, ".git/HEAD", false},
		{"an edited file", func(t *testing.T, dir string) {
			mustWrite(t, tree, dir)
			put(t, filepath.Join(dir, "clusters/default/kustomization.yaml"), "{}")
		}, "clusters/default/kustomization.yaml", true},
		{"a link in the place of a file", func(t *testing.T, dir string) {
			mustWrite(t, tree, dir)
			f := filepath.Join(dir, "COMMITS.md")
			if err := errors.Join(os.Rename(f, f+".was"), os.Symlink("COMMITS.md.was", f)); err != nil {
				t.Skip(err)
			}
		}, "COMMITS.md", false},
		{"a file in the place of the directory", func(t *testing.T, dir string) { put(t, dir, "mine") }, "", false},
		{"a damaged manifest", func(t *testing.T, dir string) {
			mustWrite(t, tree, dir)
			put(t, filepath.Join(dir, manifestFile), "garbage")
		}, "COMMITS.md", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			parent := t.TempDir()
			dir := filepath.Join(parent, "out")
			c.prepare(t, dir)
			before := snapshot(t, parent)
			err := tree.Write(dir)
			var fe *ForeignFileError
			if !errors.As(err, &fe) {
				t.Fatalf("got %v, want a ForeignFileError", err)
			}
			if want := filepath.Join(dir, filepath.FromSlash(c.file)); fe.Path != want || fe.Edited != c.edited {
				t.Errorf("it names %s (edited %v), want %s (edited %v)", fe.Path, fe.Edited, want, c.edited)
			}
			if !strings.Contains(err.Error(), fe.Path) {
				t.Errorf("the message %q does not name the file", err)
			}
			if after := snapshot(t, parent); !maps.Equal(before, after) {
				t.Error("something was written")
			}
		})
	}
}

func mustWrite(t *testing.T, tree *Tree, dir string) {
	t.Helper()
	if err := tree.Write(dir); err != nil {
		t.Fatal(err)
	}
}

// snapshot is every path below dir with its content.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		out[p] = d.Type().String()
		if d.Type().IsRegular() {
			b, err := os.ReadFile(p)
			out[p] += string(b)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestWriteFailsWhole: where the disk refuses, dir is as it was and nothing is left.
func TestWriteFailsWhole(t *testing.T) {
	tree := build(t, load(t, byHand))
	t.Run("no permission", func(t *testing.T) {
		if os.Geteuid() == 0 || runtime.GOOS == "windows" {
			t.Skip("this user may write everywhere")
		}
		parent := t.TempDir()
		if err := os.Chmod(parent, 0o555); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(parent, 0o755)
		if err := tree.Write(filepath.Join(parent, "out")); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the parent is a file", func(t *testing.T) {
		parent := t.TempDir()
		file := filepath.Join(parent, "file")
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := tree.Write(filepath.Join(file, "out")); err == nil {
			t.Error("no error")
		}
	})
	t.Run("a file cannot be written", func(t *testing.T) {
		parent := t.TempDir()
		dir := filepath.Join(parent, "out")
		mustWrite(t, tree, dir)
		before := snapshot(t, parent)
		broken := build(t, load(t, byHand))
		// A file in the place of a directory: the write fails half way.
		broken.files["base/a"] = []byte("x")
		if err := broken.Write(dir); err == nil {
			t.Error("no error")
		}
		if after := snapshot(t, parent); !maps.Equal(before, after) {
			t.Error("the directory, or what is beside it, changed")
		}
	})
}
