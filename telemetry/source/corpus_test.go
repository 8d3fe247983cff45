package source

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/ambientplan/ambientplan/telemetry/span"
)

// promQL is the parser that callers give.
func promQL(expr string) error {
	_, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	return err
}

// corpusFiles are all files of the test corpora, by path.
func corpusFiles(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, root := range []string{"testdata", filepath.Join("..", "..", "testdata", "monitoring"), os.Getenv("AMBIENTPLAN_TRIAL")} {
		if root == "" {
			continue
		}
		_ = filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() && (strings.HasSuffix(path, ".json") || strings.HasSuffix(path, ".yaml") || strings.HasSuffix(path, ".yml")) {
				all = append(all, path)
			}
			return nil
		})
	}
	return all
}

// edited is a file after edits.
func edited(t *testing.T, f *File, edits []span.Edit) *File {
	t.Helper()
	data, err := span.Apply(f.Data, edits)
	if err != nil {
		t.Fatalf("%s: %v", f.Path, err)
	}
	return Parse(f.Path, data, promQL)
}

// TestEveryQueryIsEditedAlone is the promise of the package: an edit of one query, written to the file and read again,
// changes the text of this query and of no other.
func TestEveryQueryIsEditedAlone(t *testing.T) {
	total, parsed, frozen, variables := 0, 0, 0, 0
	for _, path := range corpusFiles(t) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f := Parse(path, string(data), promQL)
		total += len(f.Queries)
		// Each query alone takes time that grows with the square of the file.
		step := 1 + len(f.Queries)/40
		for i, q := range f.Queries {
			if q.Unread != "" {
				t.Logf("%s:%d: %s: %s", path, q.Line, q.Unread, q.Text)
				continue
			}
			parsed++
			if q.Frozen != "" {
				frozen++
				continue
			}
			if i%step != 0 {
				continue
			}
			if err := editedAlone(t, f, i); err != nil {
				t.Errorf("%s:%d: %s: %v", path, q.Line, q.Path, err)
			}
		}
		if err := editedTogether(t, f); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		variables += variablesEdited(t, f)
		for _, n := range f.Notes {
			t.Logf("%s:%d: note: %s", n.File, n.Line, n.Text)
		}
	}
	t.Logf("%d queries, %d parsed, of these %d frozen; %d values of variables", total, parsed, frozen, variables)
	if parsed < 40 || variables < 10 {
		t.Error("the corpora hold less than they did")
	}
}

func editedAlone(t *testing.T, f *File, i int) error {
	const mark = `(vector(7) # "quoted" \ and é
) or `
	q := f.Queries[i]
	edit := span.Edit{Text: mark}
	if q.SelectorOnly {
		edit.Text = `a_`
	}
	edits, err := q.Edits([]span.Edit{edit})
	if err != nil { // Not every notation holds line breaks.
		edit.Text = strings.ReplaceAll(edit.Text, "\n", " ")
		edits, err = q.Edits([]span.Edit{edit})
	}
	if err != nil {
		return err
	}
	want, err := q.Restored([]span.Edit{edit})
	if err != nil {
		return err
	}
	after := edited(t, f, edits)
	if len(after.Queries) != len(f.Queries) {
		return fmt.Errorf("%d queries become %d", len(f.Queries), len(after.Queries))
	}
	for k, a := range after.Queries {
		if k == i && a.Text != want {
			return fmt.Errorf("it becomes %q, want %q", a.Text, want)
		}
		if b := f.Queries[k]; k != i && b.Frozen == "" && (a.Text != b.Text || a.Path != b.Path || !slices.Equal(a.variableNames(), b.variableNames())) {
			return fmt.Errorf("query %s becomes %q", b.Path, a.Text)
		}
	}
	return nil
}

// editedTogether edits all queries at once.
func editedTogether(t *testing.T, f *File) error {
	var all []span.Edit
	want := map[int]string{}
	for i, q := range f.Queries {
		edit := []span.Edit{{Text: "a_"}}
		if !q.SelectorOnly {
			edit[0].Text = "1 + "
		}
		edits, err := q.Edits(edit)
		if err != nil || q.Expr == "" {
			continue
		}
		all = append(all, edits...)
		if want[i], err = q.Restored(edit); err != nil {
			return err
		}
	}
	after := edited(t, f, all)
	if len(after.Queries) != len(f.Queries) {
		return fmt.Errorf("%d queries become %d when all are edited", len(f.Queries), len(after.Queries))
	}
	for i, text := range want {
		if after.Queries[i].Text != text {
			return fmt.Errorf("%s becomes %q, want %q", f.Queries[i].Path, after.Queries[i].Text, text)
		}
	}
	return nil
}

// variablesEdited gives each value of each Fixed variable another one beside it, and says how many there were: the
// queries stay as they are.
func variablesEdited(t *testing.T, f *File) int {
	done := map[*Variable]bool{}
	n := 0
	for i, q := range f.Queries {
		for k, v := range q.Variables {
			if done[v] || v.edit == nil || q.Frozen != "" || v.All && !v.Multi {
				continue
			}
			done[v] = true
			for _, value := range v.Values {
				edits, err := v.Edit(value, value+"|waypoint")
				if err != nil {
					t.Errorf("%s:%d: %s: %v", f.Path, v.Line, v.Name, err)
					continue
				}
				n++
				after := edited(t, f, edits)
				want := value + "|waypoint"
				if v.Multi {
					want = "waypoint"
				}
				if len(after.Queries) != len(f.Queries) || !slices.Contains(after.Queries[i].Variables[k].Values, want) {
					t.Errorf("%s:%d: %s has no value %s: %q", f.Path, v.Line, v.Name, want, after.Queries[i].Variables[k].Values)
				}
				for j, a := range after.Queries {
					if a.Text != f.Queries[j].Text {
						t.Errorf("%s: %s becomes %q", f.Path, a.Path, a.Text)
					}
				}
			}
		}
	}
	return n
}

func (q *Query) variableNames() []string {
	var out []string
	for _, v := range q.Variables {
		out = append(out, v.Name)
	}
	return out
}
