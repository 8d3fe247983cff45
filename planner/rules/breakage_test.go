package rules_test

// Each known breakage has a worked example, testdata/breakages/ID.txtar: common.yaml
// (if any) with broken.yaml is a mesh in which the migration would break, and with
// sound.yaml the same mesh without the cause. Lines of broken.yaml say which rule has
// to find what there, as in the cases of rules; every rule of the table must be named.

import (
	"bytes"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/internal/golden"
	"github.com/ambientplan/ambientplan/planner/rules"
)

func TestBreakages(t *testing.T) {
	var ids []string
	for _, b := range rules.Breakages() {
		ids = append(ids, b.ID)
		t.Run(b.ID, func(t *testing.T) {
			ar, err := txtar.ParseFile(filepath.Join("testdata", "breakages", b.ID+".txtar"))
			if err != nil {
				t.Fatal(err)
			}
			if strings.TrimSpace(string(ar.Comment)) == "" {
				t.Error("no comment: say what breaks")
			}
			files := map[string][]byte{}
			for _, f := range ar.Files {
				files[f.Name] = f.Data
			}
			wants := breakWants(t, files["broken.yaml"])
			if d := cmp.Diff(b.Rules, slices.Sorted(maps.Keys(wants))); d != "" {
				t.Errorf("the example shows other rules than the table names (-table +example):\n%s", d)
			}
			for _, id := range b.Rules {
				r, ok := ruleByID(id)
				if !ok {
					t.Errorf("there is no rule %s", id)
					continue
				}
				broken := foundBy(t, r, files, "broken.yaml")
				for w := range wants[id] {
					if !broken[w] {
						t.Errorf("%s does not find %q; it finds %q", id, w, slices.Sorted(maps.Keys(broken)))
					}
					if foundAnywhere(t, r, files, "sound.yaml", strings.Fields(w)[1:]) {
						t.Errorf("%s finds %q also without the cause: the example shows nothing", id, w)
					}
				}
			}
		})
	}
	for i, id := range ids {
		if want := fmt.Sprintf("B-%02d", i+1); id != want {
			t.Errorf("breakage %d is %s, want %s", i, id, want)
		}
	}
	if len(ids) != 15 {
		t.Errorf("%d breakages, want 15", len(ids))
	}
}

func ruleByID(id string) (rules.Rule, bool) {
	i := slices.IndexFunc(rules.All(), func(r rules.Rule) bool { return r.ID == id })
	if i < 0 {
		return rules.Rule{}, false
	}
	return rules.All()[i], true
}

// breakWants reads "# want ID WHAT" from broken.yaml: for each rule, "line what".
func breakWants(t *testing.T, data []byte) map[string]map[string]bool {
	t.Helper()
	out := map[string]map[string]bool{}
	for i, line := range strings.Split(string(data), "\n") {
		_, text, ok := strings.Cut(line, "# want ")
		if !ok {
			continue
		}
		for part := range strings.SplitSeq(text, ";") {
			id, what, ok := strings.Cut(strings.TrimSpace(part), " ")
			if !ok {
				t.Fatalf("broken.yaml:%d: cannot read %q", i+1, part)
			}
			if out[id] == nil {
				out[id] = map[string]bool{}
			}
			out[id][fmt.Sprintf("%d %s", i+1, what)] = true
		}
	}
	return out
}

// foundBy runs one rule on the common part and one variant, and says what it
// found on which line of the variant.
func foundBy(t *testing.T, r rules.Rule, files map[string][]byte, variant string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	note := func(what string, ev []api.Evidence) {
		for _, e := range ev {
			if line, ok := strings.CutPrefix(e.Source, variant+":"); ok {
				out[line+" "+what] = true
			}
		}
		if len(ev) == 0 || !strings.HasPrefix(ev[0].Source, variant) {
			out["elsewhere "+what] = true
		}
	}
	res, _ := check(load(t, map[string][]byte{"common.yaml": files["common.yaml"], variant: files[variant]}, nil), complete(), r)
	for _, n := range res.Needs {
		note("need "+string(n.Capability), n.Evidence)
	}
	for _, f := range res.Findings {
		note(string(f.Severity), f.Evidence)
	}
	for _, u := range res.Unknowns {
		note("unknown", u.Evidence)
	}
	return out
}

// foundAnywhere tells whether a rule finds the same thing in a variant, on whatever line.
func foundAnywhere(t *testing.T, r rules.Rule, files map[string][]byte, variant string, what []string) bool {
	t.Helper()
	for w := range foundBy(t, r, files, variant) {
		if slices.Equal(strings.Fields(w)[1:], what) {
			return true
		}
	}
	return false
}

// TestBreakagesPage compares docs/breakages.md with the table; -update writes it.
func TestBreakagesPage(t *testing.T) {
	var b bytes.Buffer
	b.WriteString(`# How migrations break, and what foresees it

These are the known ways in which moving a mesh from sidecars to ambient mode broke (facts B-01 to B-15 in
[facts.md](facts.md)). Each has rules that find it in an inventory before anything is changed, and a worked example that
runs as a test: a small mesh in which it would happen, the same mesh without the cause, and which line each rule points
to. ` + "`ambientplan explain B-07`" + ` prints one of them.

"Fails open" means that traffic is let through that was denied; "closed" that traffic is denied that was let through.

<!-- Written by go test ./planner/rules -run Breakages -update from planner/rules/breakage.go. -->

| | What breaks | Fails | Rules |
|---|---|---|---|
`)
	for _, x := range rules.Breakages() {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s | %s |\n", x.ID, strings.ToLower(x.ID), x.Title, x.Fails, ruleLinks(x.Rules))
	}
	for _, x := range rules.Breakages() {
		fmt.Fprintf(&b, "\n## %s\n\n%s. Fails %s.\n\n", x.ID, x.Title, x.Fails)
		for _, id := range x.Rules {
			r, _ := ruleByID(id)
			fmt.Fprintf(&b, "- [%s](rules/%s.md) %s\n", id, id, r.Title)
		}
		fmt.Fprintf(&b, "\nThe plan %s.\n\nSeen in: %s. Worked example: [%s.txtar](../planner/rules/testdata/breakages/%s.txtar).\n", x.Plan, x.Evidence, x.ID, x.ID)
	}
	golden.File(t, filepath.Join("..", "..", "docs", "breakages.md"), b.Bytes())
}

func ruleLinks(ids []string) string {
	var out []string
	for _, id := range ids {
		out = append(out, fmt.Sprintf("[%s](rules/%s.md)", id, id))
	}
	return strings.Join(out, ", ")
}
