// Package golden compares what a test got with what is committed, and rewrites the committed bytes when
// the test is run with -update:
//
//	go test ./planner -update
//
// Name the package: ./... would hand the flag to test binaries that do not know it. Read the diff that an
// update makes before committing it, and say in the commit message why the bytes changed. With the
// environment variable CI set, -update fails the test: a build server must never bless its own output.
package golden

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite golden files with what the tests got (refused when CI is set)")

// Updating reports whether the test was run with -update, for tests that own other goldens than the ones
// compared here (testscript's UpdateScripts). It fails the test at once when the environment variable CI
// is set as well.
func Updating(t testing.TB) bool {
	t.Helper()
	return updating(t, *update, os.Getenv("CI"))
}

func updating(t testing.TB, update bool, ci string) bool {
	t.Helper()
	if update && ci != "" {
		t.Fatalf("golden: -update is refused because CI=%q is set", ci)
	}
	return update
}

// File compares got with the file at path, byte for byte.
func File(t testing.TB, path string, got []byte) {
	t.Helper()
	file(t, Updating(t), path, got)
}

func file(t testing.TB, update bool, path string, got []byte) {
	t.Helper()
	if update {
		writeFile(t, path, got)
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("golden: %v (run the test with -update to write it)", err)
	}
	report(t, path, want, got)
}

// OutPrefix starts the name of each section of a txtar archive that holds expected output. Every other
// section is input and belongs to the author of the case.
const OutPrefix = "out/"

// Txtar compares got with the out/ sections of the txtar archive at path. The keys of got are section names
// without OutPrefix. Both ways: a section that nothing produced fails like a result that has no section.
// Sections are compared in the order of the file, so that a case that lists the stages of a pipeline in order
// fails first at the stage that broke. An update keeps the comment, the inputs and the order of the sections.
//
// Every section ends with a newline in the txtar format, so one is appended to a result that lacks it.
// A result that holds a line of the form "-- name --" cannot be stored and fails the test.
func Txtar(t testing.TB, path string, got map[string][]byte) {
	t.Helper()
	txtarFile(t, Updating(t), path, got)
}

func txtarFile(t testing.TB, update bool, path string, got map[string][]byte) {
	t.Helper()
	ar, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatalf("golden: %v", err)
	}
	left := make(map[string][]byte, len(got))
	for name, data := range got {
		if len(data) > 0 && !bytes.HasSuffix(data, []byte("\n")) {
			data = append(slices.Clip(data), '\n')
		}
		if len(txtar.Parse(data).Files) > 0 {
			t.Fatalf("golden: %s: result %q holds a txtar marker line and cannot be a section", path, name)
		}
		left[OutPrefix+name] = data
	}
	if update {
		writeFile(t, path, txtar.Format(withSections(ar, left)))
		return
	}
	for _, f := range ar.Files {
		if !strings.HasPrefix(f.Name, OutPrefix) {
			continue
		}
		data, ok := left[f.Name]
		if !ok {
			t.Errorf("%s: section %q is expected, but nothing produced it", path, f.Name)
			continue
		}
		delete(left, f.Name)
		report(t, path+": section "+f.Name, f.Data, data)
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		t.Errorf("%s: no section %q for this result (run the test with -update to add it):\n%s", path, name, left[name])
	}
}

// withSections returns ar with its out/ sections replaced by the ones given: those that ar has stay where
// they are, new ones follow sorted by name, and those that are no longer produced go.
func withSections(ar *txtar.Archive, sections map[string][]byte) *txtar.Archive {
	sections = maps.Clone(sections)
	next := &txtar.Archive{Comment: ar.Comment}
	for _, f := range ar.Files {
		if strings.HasPrefix(f.Name, OutPrefix) {
			data, ok := sections[f.Name]
			if !ok {
				continue
			}
			delete(sections, f.Name)
			f.Data = data
		}
		next.Files = append(next.Files, f)
	}
	for _, name := range slices.Sorted(maps.Keys(sections)) {
		next.Files = append(next.Files, txtar.File{Name: name, Data: sections[name]})
	}
	return next
}

// Tree compares got, a map of slash-separated relative paths to contents, with the files below dir. Both
// ways: a committed file that got does not hold fails like a file that is not committed. Directories count
// only through the files in them. An update also removes what is no longer produced; it refuses a dir that
// holds a go.mod or a .git, and names that would leave dir.
func Tree(t testing.TB, dir string, got map[string][]byte) {
	t.Helper()
	tree(t, Updating(t), dir, got)
}

func tree(t testing.TB, update bool, dir string, got map[string][]byte) {
	t.Helper()
	if update {
		updateTree(t, dir, got)
		return
	}
	want, err := ReadTree(dir)
	if err != nil {
		t.Fatalf("golden: %v (run the test with -update to write it)", err)
	}
	for _, d := range DiffTrees(want, got) {
		t.Errorf("%s: %s", dir, d)
	}
}

// ReadTree returns the regular files below dir by their slash-separated paths relative to it. Anything that
// is neither a directory nor a regular file is an error: a symbolic link compared by its target's
// bytes would hide where those came from.
func ReadTree(dir string) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("%s is not a regular file", path)
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		files[filepath.ToSlash(rel)], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		return nil, err
	}
	return files, nil
}

// DiffTrees says in words how got differs from want, one entry a path, sorted by path; nil means that they are equal.
func DiffTrees(want, got map[string][]byte) []string {
	paths := slices.Sorted(maps.Keys(want))
	for p := range got {
		if _, ok := want[p]; !ok {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	var diffs []string
	for _, p := range paths {
		w, inWant := want[p]
		g, inGot := got[p]
		switch {
		case !inGot:
			diffs = append(diffs, fmt.Sprintf("%s is expected, but nothing produced it", p))
		case !inWant:
			diffs = append(diffs, fmt.Sprintf("%s is not expected:\n%s", p, g))
		case !bytes.Equal(w, g):
			diffs = append(diffs, fmt.Sprintf("%s (-want +got):\n%s", p, diff(w, g)))
		}
	}
	return diffs
}

func updateTree(t testing.TB, dir string, got map[string][]byte) {
	t.Helper()
	for _, marker := range []string{"go.mod", ".git"} {
		if _, err := os.Lstat(filepath.Join(dir, marker)); err == nil {
			t.Fatalf("golden: %s holds %s: refusing to replace it by a tree", dir, marker)
		}
	}
	for p := range got {
		if !filepath.IsLocal(filepath.FromSlash(p)) {
			t.Fatalf("golden: %q would leave the tree %s", p, dir)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatalf("golden: %v", err)
	}
	for _, p := range slices.Sorted(maps.Keys(got)) {
		writeFile(t, filepath.Join(dir, filepath.FromSlash(p)), got[p])
	}
}

func writeFile(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatalf("golden: %v", err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatalf("golden: %v", err)
	}
}

func report(t testing.TB, what string, want, got []byte) {
	t.Helper()
	if !bytes.Equal(want, got) {
		t.Errorf("%s (-want +got):\n%s", what, diff(want, got))
	}
}

// diff compares line by line, which go-cmp prints more readably than one long string.
func diff(want, got []byte) string {
	return cmp.Diff(strings.SplitAfter(string(want), "\n"), strings.SplitAfter(string(got), "\n"))
}
