package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// judged runs dashboards in a directory and gives its report.
func judged(t *testing.T, dir string, args ...string) *api.TelemetryReport {
	t.Helper()
	t.Chdir(dir)
	code, out, errOut := runForTest("", append([]string{"dashboards", "--fail-on", "never", "-o", "json"}, args...)...)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, errOut)
	}
	var r api.TelemetryReport
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	return &r
}

// Istio's own dashboards on bookinfo: every query is understood and has a verdict with a reason, the same bytes come
// out twice, and what was rewritten needs no rewrite any more.
func TestIstiosOwnDashboards(t *testing.T) {
	repo, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "istio"), os.DirFS(filepath.Join(repo, "testdata", "monitoring", "istio"))); err != nil {
		t.Fatal(err)
	}
	const one = "istio/istio-mesh-dashboard.gen.json"
	args := []string{"-i", filepath.Join(repo, "examples", "bookinfo", "out", "inventory.yaml")}
	first := judged(t, dir, append(args, "-f", "istio", "--rewrite", "out")...)
	for _, q := range first.Queries {
		if q.Verdict == api.TelemetryUnset || q.Why == "" {
			t.Errorf("%s:%d: verdict %q without a reason", q.Source.File, q.Source.Line, q.Verdict)
		}
	}
	if first.Summary.Queries < 240 || first.Summary.Parsed != first.Summary.Queries {
		t.Errorf("%d of %d queries were understood", first.Summary.Parsed, first.Summary.Queries)
	}
	if d := cmp.Diff(judged(t, dir, append(args, "-f", one)...), judged(t, dir, append(args, "-f", one)...)); d != "" {
		t.Errorf("a second run says something else (-first +second):\n%s", d)
	}
	again := judged(t, filepath.Join(dir, "out"), append(args, "-f", "istio/istio-workload-dashboard.json")...)
	for _, q := range again.Queries {
		if q.Rewrite != nil && q.Rewrite.Written {
			t.Errorf("%s:%d %s: rewritten again: %s %v", q.Source.File, q.Source.Line, q.Source.Name, q.Rewrite.Query, q.Rewrite.Variables)
		}
	}
}
