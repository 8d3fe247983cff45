package rules_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestUnknownsPage fails when a rule emits unknowns and docs/unknowns.md does not say which.
func TestUnknownsPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/unknowns.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	id := regexp.MustCompile(`(?m)^\tID:\s+"([^"]+)"`)
	found := 0
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		m := id.FindSubmatch(src)
		if strings.HasSuffix(f, "_test.go") || m == nil || !strings.Contains(string(src), ".Unknown(") {
			continue
		}
		found++
		if row := "\n| [" + string(m[1]) + "](rules/" + string(m[1]) + ".md) |"; !strings.Contains(string(page), row) {
			t.Errorf("%s emits unknowns, and docs/unknowns.md has no row for %s", f, m[1])
		}
	}
	if found == 0 {
		t.Error("no rule emits unknowns: the test looks at the wrong thing")
	}
}
