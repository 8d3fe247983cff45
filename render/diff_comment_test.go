package render

import (
	"fmt"
	"strings"
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// TestDiffMarkdownFitsAComment makes a diff of ten thousand gaps and unknowns with long and multi-byte words, and wants
// the verdict, each section and the count of what is left out in what GitHub accepts.
func TestDiffMarkdownFitsAComment(t *testing.T) {
	d := &api.PlanDiff{WasComplete: true}
	for i := range 10_000 {
		id := fmt.Sprintf("gap-%d", i)
		d.Gaps = append(d.Gaps, api.GapDiff{Op: api.DiffAdded, Wave: 1, Step: "enrol", Gap: api.Counterexample{ID: id, Request: strings.Repeat("ü", i%3000)}})
		d.Unknowns = append(d.Unknowns, api.UnknownDiff{Op: api.DiffAdded, Unknown: api.Unknown{ID: id, What: "what"}})
	}
	got := string(DiffMarkdown(d))
	if len(got) > 65_536 {
		t.Errorf("%d bytes do not fit into a comment", len(got))
	}
	for _, want := range []string{"was complete, and is not any more", "GAPS IN THE PROOF", "UNKNOWN", "- and 10000 more", "added: gap-0"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if small := string(DiffMarkdown(&api.PlanDiff{Gaps: d.Gaps[:1]})); strings.Contains(small, "more") {
		t.Errorf("nothing had to be left out of %s", small)
	}
}
