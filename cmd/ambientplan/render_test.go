package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// TestTreeIsCheckedBeforeItIsWritten renders a plan that is consistent in itself
// and that kustomize does not reproduce: it drops annotations of its own. What
// was built is then not what the plan says, and nothing may be written.
func TestTreeIsCheckedBeforeItIsWritten(t *testing.T) {
	code, stdout, stderr := runForTest("", "plan", "-o", "yaml", "-f", "../../examples/bookinfo/cluster")
	if code != exitDone {
		t.Fatalf("plan: exit code %d: %s", code, stderr)
	}
	p, err := decodePlan("plan", stdout)
	if err != nil {
		t.Fatal(err)
	}
	mark := func(c api.Content) {
		if c["kind"] == "Namespace" {
			meta := c["metadata"].(map[string]any)
			meta["annotations"] = map[string]any{"internal.config.kubernetes.io/path": "x"}
		}
	}
	for i := range p.Base {
		mark(p.Base[i].Content)
	}
	for _, w := range p.Waves {
		for _, s := range w.Steps {
			for _, c := range s.Changes {
				mark(c.After)
			}
			for _, r := range s.Rollback {
				for _, c := range r.Changes {
					mark(c.After)
				}
			}
		}
	}
	var b bytes.Buffer
	if err := api.Encode(&b, p); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	code, stdout, stderr = runForTest(b.String(), "render", "-", "--out", out)
	if code != exitFailed || len(stdout) > 0 || !bytes.HasPrefix(stderr, []byte("error: internal error, nothing was written: ")) {
		t.Errorf("render: got exit code %d, stdout %q, stderr %q; want %d and an internal error", code, stdout, stderr, exitFailed)
	}
	if entries, _ := os.ReadDir(filepath.Dir(out)); len(entries) > 0 {
		t.Errorf("something was written: %v", entries)
	}
}
