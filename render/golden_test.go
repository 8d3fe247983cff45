package render

import (
	"testing"

	"github.com/ambientplan/ambientplan/internal/golden"
)

// TestDocuments compares what people read: the table, the explanations and the
// HTML checklist. The Markdown is part of the golden trees.
func TestDocuments(t *testing.T) {
	p := load(t, "testdata/by-hand/plan.yaml")
	got := map[string][]byte{"table": Table(p, 80, false), "table-narrow-color": Table(p, 50, true)}
	for name, subject := range map[string]string{"explain-service": "b/back", "explain-namespace": "a", "explain-object": "virtualservice/b/back", "explain-wave": "wave 1", "explain-held": "legacy", "explain-cluster-scoped": "clusterrole/waypoint-reader"} {
		b, err := Explain(p, subject)
		if err != nil {
			t.Fatalf("%s: %v", subject, err)
		}
		got[name] = b
	}
	b, err := Checklist(p, 1, "html")
	if err != nil {
		t.Fatal(err)
	}
	golden.File(t, "testdata/by-hand/checklist.html", b)
	golden.Txtar(t, "testdata/by-hand/documents.txtar", got)
}
