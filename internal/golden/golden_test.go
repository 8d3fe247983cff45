package golden

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// recorder stands in for the test that calls this package, so that its failures can be looked at.
type recorder struct {
	testing.TB
	failures []string
}

// fatal is what a recorder's Fatalf panics with: like the real one it does not return.
type fatal struct{}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(fatal{})
}

// record returns what f reports.
func record(f func(t testing.TB)) (failures []string) {
	r := &recorder{}
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(fatal); !ok {
				panic(p)
			}
		}
		failures = r.failures
	}()
	f(r)
	return nil
}

// wantFailures checks that each wanted text is part of the failure at the same place, and that there are no others.
func wantFailures(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d failures, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
	for i := range want {
		if !strings.Contains(got[i], want[i]) {
			t.Errorf("failure %d: got %q, want it to contain %q", i, got[i], want[i])
		}
	}
}

func TestUpdating(t *testing.T) {
	tests := []struct {
		update bool
		ci     string
		want   bool
		fail   bool
	}{
		{update: false, ci: "", want: false},
		{update: false, ci: "true", want: false},
		{update: true, ci: "", want: true},
		{update: true, ci: "true", fail: true},
	}
	for _, tt := range tests {
		var got bool
		failures := record(func(tb testing.TB) { got = updating(tb, tt.update, tt.ci) })
		if got != tt.want || (len(failures) > 0) != tt.fail {
			t.Errorf("updating(%v, CI=%q) = %v, failures %q; want %v, failure %v", tt.update, tt.ci, got, failures, tt.want, tt.fail)
		}
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "plan.txt")
	wantFailures(t, record(func(tb testing.TB) { file(tb, false, path, []byte("a\n")) }), "no such file")
	wantFailures(t, record(func(tb testing.TB) { file(tb, true, path, []byte("a\n")) }))
	wantFailures(t, record(func(tb testing.TB) { file(tb, false, path, []byte("a\n")) }))
	wantFailures(t, record(func(tb testing.TB) { file(tb, false, path, []byte("b\n")) }), "-want +got")
	wantFailures(t, record(func(tb testing.TB) { file(tb, false, path, []byte("a")) }), "-want +got")
}

const archive = `what this case shows
-- in.yaml --
kind: Service
-- out/needs --
one
-- out/waves --
1
`

func TestTxtar(t *testing.T) {
	tests := []struct {
		name string
		got  map[string][]byte
		want []string
	}{
		{"equal", map[string][]byte{"needs": []byte("one\n"), "waves": []byte("1\n")}, nil},
		{"final newline is added", map[string][]byte{"needs": []byte("one"), "waves": []byte("1")}, nil},
		{"differs", map[string][]byte{"needs": []byte("two\n"), "waves": []byte("1\n")}, []string{"section out/needs (-want +got)"}},
		{"not produced", map[string][]byte{"needs": []byte("one\n")}, []string{`section "out/waves" is expected`}},
		{"empty is not the same as not produced", map[string][]byte{"needs": nil, "waves": []byte("1\n")}, []string{"section out/needs"}},
		{"no section", map[string][]byte{"needs": []byte("one\n"), "waves": []byte("1\n"), "proof": []byte("ok\n")}, []string{`no section "out/proof"`}},
		{"marker in a result", map[string][]byte{"needs": []byte("-- out/waves --\n"), "waves": []byte("1\n")}, []string{"marker line"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := writeArchive(t)
			wantFailures(t, record(func(tb testing.TB) { txtarFile(tb, false, path, tt.got) }), tt.want...)
		})
	}
}

// TestTxtarUpdate: the author's parts stay, sections are replaced in place, new ones come last, dead ones go.
func TestTxtarUpdate(t *testing.T) {
	path := writeArchive(t)
	got := map[string][]byte{"waves": []byte("2\n"), "proof": []byte("gap"), "cost": nil}
	wantFailures(t, record(func(tb testing.TB) { txtarFile(tb, true, path, got) }))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := `what this case shows
-- in.yaml --
kind: Service
-- out/waves --
2
-- out/cost --
-- out/proof --
gap
`
	if d := cmp.Diff(want, string(b)); d != "" {
		t.Errorf("updated archive (-want +got):\n%s", d)
	}
	wantFailures(t, record(func(tb testing.TB) { txtarFile(tb, false, path, got) }))
}

func TestTree(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	got := map[string][]byte{"README.md": []byte("hello\n"), "base/shop/policy.yaml": []byte("kind: A\n")}
	wantFailures(t, record(func(tb testing.TB) { tree(tb, false, dir, got) }), "no such file")
	wantFailures(t, record(func(tb testing.TB) { tree(tb, true, dir, got) }))
	wantFailures(t, record(func(tb testing.TB) { tree(tb, false, dir, got) }))

	changed := map[string][]byte{"base/shop/policy.yaml": []byte("kind: B\n"), "new.yaml": []byte("x\n")}
	wantFailures(t, record(func(tb testing.TB) { tree(tb, false, dir, changed) }),
		"README.md is expected, but nothing produced it",
		"base/shop/policy.yaml (-want +got)",
		"new.yaml is not expected")

	wantFailures(t, record(func(tb testing.TB) { tree(tb, true, dir, changed) }))
	wantFailures(t, record(func(tb testing.TB) { tree(tb, false, dir, changed) }))
	if _, err := os.Stat(filepath.Join(dir, "README.md")); !os.IsNotExist(err) {
		t.Errorf("an update left a file that is no longer produced: %v", err)
	}
}

// TestTreeUpdateRefuses: an update removes files, so it must not be pointed at the repository, nor out of its directory.
func TestTreeUpdateRefuses(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "go.mod"), []byte("module x\n"))
	wantFailures(t, record(func(tb testing.TB) { tree(tb, true, dir, nil) }), "holds go.mod")
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		t.Error(err)
	}
	escape := map[string][]byte{"../../etc/passwd": nil}
	wantFailures(t, record(func(tb testing.TB) { tree(tb, true, filepath.Join(dir, "tree"), escape) }), "would leave the tree")
}

func TestReadTreeRefusesLinks(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
		t.Skip(err)
	}
	if _, err := ReadTree(dir); err == nil {
		t.Error("ReadTree followed a symbolic link")
	}
}

func writeArchive(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "case.txtar")
	writeFile(t, path, []byte(archive))
	return path
}
