package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/internal/corpora"
)

// runForTest runs the program in this process, as main does, on the day that tests live in.
func runForTest(stdin string, args ...string) (code int, stdout, stderr []byte) {
	var out, errOut bytes.Buffer
	code = run(context.Background(), append([]string{"ambientplan"}, args...), &streams{
		in: bytes.NewReader([]byte(stdin)), out: &out, errOut: &errOut,
		env: func(string) (string, bool) { return "", false },
		now: time.Date(2026, time.November, 23, 0, 0, 0, 0, time.UTC),
	})
	return code, out.Bytes(), errOut.Bytes()
}

// fileArgs are the -f flags for a mesh.
func fileArgs(m corpora.Mesh) []string {
	var args []string
	for _, p := range m.Paths {
		args = append(args, "-f", p)
	}
	return append(args, "-n", m.Namespace)
}

// TestCorpora plans every real mesh of testdata/corpora through the front door
// and checks what must hold for any mesh: no panic, every document accounted for,
// the same bytes on a second run, with the inputs in another order, and from the
// snapshot, and a tree whose every overlay builds.
func TestCorpora(t *testing.T) {
	meshes, err := corpora.Meshes("../../testdata/corpora")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range meshes {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			args := fileArgs(m)
			if m.Contradictory && refusedAsNoMesh(t, args) {
				return
			}
			first := mustPlan(t, args...)
			if d := cmp.Diff(string(first), string(mustPlan(t, args...))); d != "" {
				t.Fatalf("a second run gives other bytes (-first +second):\n%s", d)
			}
			shuffled := fileArgs(corpora.Mesh{Paths: reversed(t, m.Paths), Namespace: m.Namespace})
			if d := cmp.Diff(string(first), string(mustPlan(t, shuffled...))); d != "" {
				t.Errorf("the files in another order give other bytes (-first +shuffled):\n%s", d)
			}
			// Writing the tree builds every overlay and checks each step against the plan.
			out := filepath.Join(t.TempDir(), "out")
			code, _, stderr := runForTest("", append([]string{"plan", "--fail-on", "never", "--out", out}, args...)...)
			if code != exitDone {
				t.Errorf("plan --out: exit code %d: %s", code, stderr)
			} else if b, err := os.ReadFile(filepath.Join(out, "plan.yaml")); err != nil || !bytes.Equal(b, first) {
				t.Errorf("plan.yaml of the tree is not the plan that was printed (%v)", err)
			}
			snapshot := filepath.Join(t.TempDir(), "inventory.yaml")
			if code, _, stderr := runForTest("", append([]string{"inventory", "--out", snapshot}, args...)...); code != exitDone {
				t.Fatalf("inventory: exit code %d: %s", code, stderr)
			}
			if d := cmp.Diff(string(first), string(mustPlan(t, "-i", snapshot))); d != "" {
				t.Errorf("the plan from the snapshot has other bytes (-files +snapshot):\n%s", d)
			}
		})
	}
}

// refusedAsNoMesh tells whether the input holds nothing of a mesh, which some of
// Istio's own test data does not, and checks that it is refused with the right code.
func refusedAsNoMesh(t *testing.T, args []string) bool {
	t.Helper()
	code, stdout, stderr := runForTest("", append([]string{"inventory"}, args...)...)
	if code == exitDone {
		return false
	}
	if code != exitUsage || len(stdout) > 0 || !bytes.Contains(stderr, []byte("no Kubernetes object that concerns a mesh")) {
		t.Errorf("inventory %v: exit code %d, stdout %q, stderr %q", args, code, stdout, stderr)
	}
	return true
}

// mustPlan returns the plan as YAML, and checks the account of its documents.
func mustPlan(t *testing.T, args ...string) []byte {
	t.Helper()
	code, stdout, stderr := runForTest("", append([]string{"plan", "-o", "yaml", "--fail-on", "never"}, args...)...)
	if code != exitDone {
		t.Fatalf("plan %v: exit code %d: %s", args, code, stderr)
	}
	if len(stderr) > 0 {
		t.Errorf("plan %v wrote to stderr: %s", args, stderr)
	}
	p, err := decodePlan("plan", stdout)
	if err != nil {
		t.Fatalf("the plan does not read back: %v", err)
	}
	if d := p.Summary.Documents; d.Read == 0 || d.Read != d.Kept+d.Irrelevant+d.Unreadable+d.Duplicate {
		t.Errorf("documents are not accounted for: %+v", d)
	}
	return stdout
}

// reversed names the files of the paths one by one, last first: the same input
// in another order.
func reversed(t *testing.T, paths []string) []string {
	t.Helper()
	var files []string
	for _, p := range paths {
		err := filepath.WalkDir(p, func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)) {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Reverse(files)
	if len(files) == 0 {
		t.Fatal(fmt.Errorf("no files below %v", paths))
	}
	return files
}

func decodePlan(name string, b []byte) (*api.MigrationPlan, error) {
	return api.Decode[api.MigrationPlan](name, bytes.NewReader(b))
}
