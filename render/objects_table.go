package render

import (
	"fmt"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// maxFates is how many objects of one fate the table shows; the plan has all.
const maxFates = 10

// objects counts what becomes of the objects of the mesh, and names those that are
// lost or that a person must decide about.
func (t *text) objects(p *api.MigrationPlan) {
	if len(p.Objects) == 0 {
		return
	}
	var sum api.FateCount
	counts := api.CountFates(p.Objects)
	for _, c := range counts {
		sum.Converted, sum.Kept, sum.Dropped, sum.Blocked = sum.Converted+c.Converted, sum.Kept+c.Kept, sum.Dropped+c.Dropped, sum.Blocked+c.Blocked
	}
	t.heading(fmt.Sprintf("OBJECTS (%d): %s", len(p.Objects), fateWords(sum)), bold)
	for _, c := range counts {
		t.item("  "+c.Kind+": ", fateWords(c))
	}
	t.ofFate(p, api.FateBlocked, "blocked", "somebody must decide")
	t.ofFate(p, api.FateDropped, "dropped", "nobody reads it any more")
}

// fateWords is a count in words, without what is zero.
func fateWords(c api.FateCount) string {
	var out []string
	for _, x := range []struct {
		n    int
		word string
	}{{c.Converted, "converted"}, {c.Kept, "kept"}, {c.Dropped, "dropped"}, {c.Blocked, "blocked"}} {
		if x.n > 0 {
			out = append(out, fmt.Sprintf("%d %s", x.n, x.word))
		}
	}
	return strings.Join(out, ", ")
}

// ofFate lists the objects of one fate with the reason. Objects that are there for the
// same reason stand together.
func (t *text) ofFate(p *api.MigrationPlan, f api.Fate, word, what string) {
	var order []string
	alike := map[string][]string{}
	for _, x := range p.Objects {
		if x.Fate != f {
			continue
		}
		name := x.Object.String()
		if x.Part != "" {
			name += " " + x.Part
		}
		if alike[x.Why] == nil {
			order = append(order, x.Why)
		}
		alike[x.Why] = append(alike[x.Why], name)
	}
	if len(order) == 0 {
		return
	}
	t.para("", fmt.Sprintf("%s: %s", word, what))
	for i, why := range order {
		if i == maxFates {
			t.item("  ", fmt.Sprintf("and %d more reasons, in objects of the plan (-o yaml)", len(order)-i))
			return
		}
		names := alike[why]
		list := strings.Join(names[:min(len(names), maxAlike)], ", ")
		if n := len(names) - maxAlike; n > 0 {
			list += fmt.Sprintf(" and %d more", n)
		}
		t.item("  - ", list)
		t.item("    ", why)
	}
}
