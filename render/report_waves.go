package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// reportWave is one wave: its namespaces as boxes, and its checklist.
type reportWave struct {
	*checklist
	// Facts of the whole wave, in words.
	Facts []string
	Boxes []waveBox
	// WholeMesh counts findings and unknowns that concern every wave: they are not repeated in each.
	WholeMesh int
	// Proofs of the steps and of the way back, in the order of Steps and Back.
	Proofs, BackProofs []proofPart
	// Changed are the changes of the steps; those that are alike stand together.
	Changed [][]changeGroup
}

// changeGroup are changes that differ by their object alone.
type changeGroup struct {
	Op, Why, Rules, Owner string
	Objects               []string
}

func changeGroups(rows []changeRow) []changeGroup {
	type key struct{ op, why, rules, owner string }
	at := map[key]int{}
	var out []changeGroup
	for _, r := range rows {
		k := key{r.Op, r.Why, r.Rules, r.Owner}
		n, ok := at[k]
		if !ok {
			n = len(out)
			at[k] = n
			out = append(out, changeGroup{Op: r.Op, Why: r.Why, Rules: r.Rules, Owner: r.Owner})
		}
		out[n].Objects = append(out[n].Objects, r.Object)
	}
	return out
}

// waveBox is one namespace in the picture of the waves.
type waveBox struct {
	Name string
	Pods int
	// Size is 0 to 4, by pods.
	Size int
	// Risk is what makes it more than routine, the worst first; Tone is "bad", "look" or "".
	Risk []string
	Tone string
	// People are team, owner and contact in words.
	People, Today string
	Counts        string
}

// aboutNamespace is what the plan says of a namespace, counted.
type aboutNamespace struct {
	blockers, warnings, unknowns, gaps int
	kinds                              map[string]int
	tier                               string
}

func aboutNamespaces(p *api.MigrationPlan) map[string]*aboutNamespace {
	out := map[string]*aboutNamespace{}
	at := func(ns string) *aboutNamespace {
		if out[ns] == nil {
			out[ns] = &aboutNamespace{kinds: map[string]int{}}
		}
		return out[ns]
	}
	for i := range p.Findings {
		f := &p.Findings[i]
		a := at(namespaceOf(f.Subject))
		switch {
		case f.Severity == api.Blocker && f.ConsentedBy == "":
			a.blockers++
		case f.Severity == api.Warning && f.ConsentedBy == "":
			a.warnings++
		}
	}
	for _, u := range p.Unknowns {
		if u.WaivedBy == "" {
			at(namespaceOf(u.Subject)).unknowns++
		}
	}
	for i := range p.Decisions {
		d := &p.Decisions[i]
		a := at(d.Namespace)
		a.kinds[cmp.Or(string(d.Kind), "not decided")]++
		if d.Tier != "" && (a.tier == "" || d.Tier < a.tier) {
			a.tier = d.Tier
		}
	}
	EachProof(p, func(_ StateRef, _ []string, x api.Proof) {
		for _, c := range x.Counterexamples {
			if c.ConsentedBy == "" {
				at(c.Service.Namespace).gaps++
			}
		}
	})
	return out
}

func (t *Tree) reportWave(i int, about map[string]*aboutNamespace, told map[string]bool) reportWave {
	w := &t.plan.Waves[i]
	out := reportWave{checklist: t.checklist(i)}
	out.Facts = []string{count(w.Pods, "pod"), count(len(w.Steps), "step"), "proved " + provedWords(w)}
	if w.NotBefore != "" {
		out.Facts = append(out.Facts, "not before "+w.NotBefore)
	}
	if len(w.Teams) > 0 {
		out.Facts = append(out.Facts, "teams: "+strings.Join(w.Teams, ", "))
	}
	for _, n := range out.Namespaces {
		out.Boxes = append(out.Boxes, boxOf(n, about[n.Name]))
	}
	here := waveNamespaces(w)
	whole := func(r api.Ref) bool { return !here[namespaceOf(r)] }
	before := len(out.Findings) + len(out.checklist.Unknowns)
	out.Findings = slices.DeleteFunc(out.Findings, func(f api.Finding) bool { return whole(f.Subject) })
	out.checklist.Unknowns = slices.DeleteFunc(out.checklist.Unknowns, func(u api.Unknown) bool { return whole(u.Subject) })
	out.WholeMesh = before - len(out.Findings) - len(out.checklist.Unknowns)
	for k := range out.Steps {
		out.Proofs = append(out.Proofs, shortProof(&w.Steps[k].Proof, told))
		out.Changed = append(out.Changed, changeGroups(out.Steps[k].Changes))
	}
	for k := len(w.Steps) - 1; k >= 0; k-- {
		for j := range w.Steps[k].Rollback {
			out.BackProofs = append(out.BackProofs, shortProof(&w.Steps[k].Rollback[j].Proof, told))
		}
	}
	return out
}

// shortProof says a proof in one line: what it found stands once, among the gaps of the report or in the first state that
// cannot be judged for that reason.
func shortProof(x *api.Proof, told map[string]bool) proofPart {
	full := proofOf(*x)
	out := proofPart{Word: full.Word, Reason: full.Reason}
	var ids []string
	for _, c := range x.Counterexamples {
		ids = append(ids, c.ID)
	}
	if len(ids) > 0 {
		out.Unknowns = append(out.Unknowns, "gaps that begin here: "+shortNames(ids, maxGapIDs))
	}
	if n := len(x.Still); n > 0 {
		out.Still = fmt.Sprintf("%s still open from earlier states", count(n, "gap"))
	}
	again := 0
	for _, u := range full.Unknowns {
		if told[u] {
			again++
			continue
		}
		told[u] = true
		out.Unknowns = append(out.Unknowns, "not known: "+u)
	}
	if again > 0 {
		out.Unknowns = append(out.Unknowns, fmt.Sprintf("nothing can be said of %s either, as an earlier state tells", count(again, "call")))
	}
	return out
}

// maxGapIDs is how many gaps of one state are named; all of them are listed once.
const maxGapIDs = 12

func boxOf(n api.PlanNamespace, a *aboutNamespace) waveBox {
	if a == nil {
		a = &aboutNamespace{}
	}
	b := waveBox{Name: n.Name, Pods: n.Pods, Size: sizeOf(n.Pods), Today: n.Mode}
	add := func(n int, tone, noun string) {
		if n > 0 {
			b.Risk = append(b.Risk, count(n, noun))
			if b.Tone == "" {
				b.Tone = tone
			}
		}
	}
	add(a.gaps, "bad", "gap")
	add(a.blockers, "bad", "blocker")
	add(a.kinds[string(api.Blocked)], "bad", "blocked service")
	add(a.unknowns, "look", "unknown")
	add(a.warnings, "look", "warning")
	if a.tier != "" {
		b.Risk = append(b.Risk, "tier "+a.tier)
	}
	var kinds []string
	for _, k := range []struct{ kind, word string }{
		{string(api.L4Only), "by ztunnel"}, {string(api.Waypoint), "by waypoint"}, {string(api.KeepSidecarDecision), "keep sidecars"}, {string(api.OutOfMesh), "not in the mesh"},
	} {
		if c := a.kinds[k.kind]; c > 0 {
			kinds = append(kinds, fmt.Sprintf("%d %s", c, k.word))
		}
	}
	b.Counts = strings.Join(kinds, ", ")
	var people []string
	for _, s := range []string{n.Team, n.Owner, n.Contact} {
		if s != "" && !slices.Contains(people, s) {
			people = append(people, s)
		}
	}
	b.People = cmp.Or(strings.Join(people, ", "), "owner not known")
	return b
}

// sizeOf classes a number of pods: 0 for few, 4 for hundreds.
func sizeOf(pods int) int {
	size := 0
	for _, limit := range []int{5, 20, 60, 200} {
		if pods > limit {
			size++
		}
	}
	return size
}
