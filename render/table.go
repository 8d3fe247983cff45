package render

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// maxListed is how many warnings a table lists before it counts the rest, and
// maxAlike how many unknowns that differ by their subject alone.
const (
	maxListed = 20
	maxAlike  = 3
)

// Table is the plan for a terminal of the given width in columns (80 when 0 or
// less; never under 40): the verdict and the numbers, waves, decisions by
// namespace, blockers, warnings, unknowns, and what to run next.
func Table(p *api.MigrationPlan, width int, color bool) []byte {
	if width <= 0 {
		width = 80
	}
	t := &text{width: max(width, 40), color: color}
	t.verdict(p)
	t.waves(p)
	t.decisions(p)
	t.gaps(p)
	t.findings(p, api.Blocker, "BLOCKERS: a person must decide", red)
	t.findings(p, api.Warning, "WARNINGS", yellow)
	t.unknowns(p)
	t.objects(p)
	t.next(p)
	return []byte(t.b.String())
}

func (t *text) verdict(p *api.MigrationPlan) {
	if p.Complete {
		t.heading("COMPLETE: nothing is unknown, held back or unproved", green)
	} else {
		t.heading("NOT COMPLETE: do not start yet", red)
		if len(p.Incomplete) == 0 {
			t.item("  - ", "the plan says that it is not complete, and not why")
		}
		for _, r := range p.Incomplete {
			t.item("  - ", r)
		}
	}
	s := p.Summary
	t.para("", fmt.Sprintf("%s, %s, %s, %s", count(s.Namespaces, "namespace"), count(s.Services, "service"), count(s.Workloads, "workload"), count(s.Pods, "pod")))
	var kinds []string
	for _, k := range slices.Sorted(maps.Keys(s.Decisions)) {
		kinds = append(kinds, fmt.Sprintf("%s %d", cmp.Or(k, "undecided"), s.Decisions[k]))
	}
	if len(kinds) > 0 {
		t.para("", strings.Join(kinds, ", "))
	}
	d := s.Documents
	t.para("", fmt.Sprintf("%s read: %d kept, %d irrelevant, %d unreadable, %d duplicate", count(d.Read, "document"), d.Kept, d.Irrelevant, d.Unreadable, d.Duplicate))
	if r := p.Telemetry; r != nil {
		t.para("", fmt.Sprintf("dashboards and alerts: %s, %d of them change; %s, %s: telemetry/README.md of the tree, or ambientplan dashboards",
			queries(r.Summary.Queries), r.Summary.Queries-r.Summary.Verdicts[string(api.TelemetryUnaffected)], count(r.Summary.Blockers, "blocker"), count(r.Summary.Warnings, "warning")))
	}
	if c := p.Cost; c.Assumptions != "" {
		after := quantity(c.AfterCPU, c.AfterMemory) + " after"
		if len(c.Missing) > 0 {
			after = "after it " + quantity(c.AfterCPU, c.AfterMemory) + " and what is not known"
		}
		t.para("", fmt.Sprintf("requests of the data plane: %s before, %s (%s, %s)", quantity(c.BeforeCPU, c.BeforeMemory), after, count(c.Sidecars, "sidecar"), count(c.Waypoints, "waypoint")))
		for _, m := range c.Missing {
			t.para("", m)
		}
	}
}

// maxGaps is how many gaps the table shows; verify shows all.
const maxGaps = 10

// gaps lists each gap once, with the state that shows it first.
func (t *text) gaps(p *api.MigrationPlan) {
	type first struct {
		where string
		gap   gapPart
	}
	var list []first
	EachProof(p, func(ref StateRef, _ []string, x api.Proof) {
		for _, c := range x.Counterexamples {
			where := fmt.Sprintf("wave %d, step %s", ref.Wave, ref.Step)
			if ref.Back != "" {
				where += ", way back " + ref.Back
			}
			list = append(list, first{where, gapOf(c)})
		}
	})
	if len(list) == 0 {
		return
	}
	t.heading(fmt.Sprintf("GAPS (%d): requests that are treated differently on the way", len(list)), red)
	for i, g := range list {
		if i == maxGaps {
			t.item("  ", fmt.Sprintf("and %d more: ambientplan verify plan.yaml", len(list)-i))
			break
		}
		t.item("  "+g.gap.ID+"  ", g.where+": "+g.gap.Head)
		t.item("    before: ", g.gap.Before)
		t.item("    then:   ", g.gap.After)
		if g.gap.Consented != "" {
			t.item("    consented to by ", g.gap.Consented)
			continue
		}
		for _, c := range g.gap.Choices {
			t.item("    choice: ", c)
		}
	}
}

func quantity(cpu, mem int64) string { return fmt.Sprintf("%dm CPU and %dMi", cpu, mem) }

func (t *text) waves(p *api.MigrationPlan) {
	t.heading(fmt.Sprintf("WAVES (%d)", len(p.Waves)), bold)
	for i := range p.Waves {
		w := &p.Waves[i]
		head := w.Name
		if len(w.Namespaces) > 0 && !slices.Equal(w.Namespaces, []string{w.Name}) {
			head += ": " + strings.Join(w.Namespaces, ", ")
		}
		t.item(fmt.Sprintf("%2d  ", w.Number), head)
		facts := []string{count(w.Pods, "pod"), count(len(w.Steps), "step"), "proved " + provedWords(w)}
		if w.NotBefore != "" {
			facts = append(facts, "not before "+w.NotBefore)
		}
		if len(w.Teams) > 0 {
			facts = append(facts, "teams: "+strings.Join(w.Teams, ", "))
		}
		t.para("    ", strings.Join(facts, "; "))
		for _, r := range w.Reasons {
			t.item("    why: ", r)
		}
	}
	if len(p.Held) > 0 {
		t.heading("HELD BACK: in no wave", yellow)
		for _, h := range p.Held {
			t.item("  ", h.Name)
			for i, r := range h.Reasons {
				if i == 3 {
					t.item("    - ", fmt.Sprintf("and %s more: ambientplan explain plan.yaml %s", count(len(h.Reasons)-i, "reason"), ShellQuote(h.Name)))
					break
				}
				t.item("    - ", r)
			}
		}
	}
}

func (t *text) decisions(p *api.MigrationPlan) {
	if len(p.Decisions) == 0 {
		return
	}
	t.heading("DECISIONS", bold)
	type group struct{ ns, kind, waypoint string }
	names := map[group][]string{}
	for i := range p.Decisions {
		d := &p.Decisions[i]
		g := group{ns: d.Namespace, kind: cmp.Or(string(d.Kind), "undecided")}
		if d.Waypoint != nil {
			g.waypoint = d.Waypoint.Name
			if d.Waypoint.Namespace != d.Namespace {
				g.waypoint = d.Waypoint.Namespace + "/" + d.Waypoint.Name
			}
		}
		name := cmp.Or(d.Service, d.Workload, d.Subject.Name)
		if d.Service == "" {
			name += " (" + d.Subject.Kind + ")"
		}
		names[g] = append(names[g], name)
	}
	keys := slices.SortedFunc(maps.Keys(names), func(a, b group) int {
		return cmp.Or(cmp.Compare(a.ns, b.ns), cmp.Compare(a.kind, b.kind), cmp.Compare(a.waypoint, b.waypoint))
	})
	last := "\x00"
	for _, g := range keys {
		if g.ns != last {
			t.item("  ", g.ns)
			last = g.ns
		}
		slices.Sort(names[g])
		label := fmt.Sprintf("    %-12s ", g.kind)
		list := strings.Join(names[g], ", ")
		if g.waypoint != "" {
			list += " (by " + g.waypoint + ")"
		}
		t.item(label, list)
	}
}

func (t *text) findings(p *api.MigrationPlan, s api.Severity, title string, c style) {
	var list []*api.Finding
	for i := range p.Findings {
		if p.Findings[i].Severity == s {
			list = append(list, &p.Findings[i])
		}
	}
	if len(list) == 0 {
		return
	}
	t.heading(fmt.Sprintf("%s (%d)", title, len(list)), c)
	shown := 0
	for _, g := range findingGroups(list) {
		if s != api.Blocker && shown >= maxListed {
			t.item("  ", fmt.Sprintf("and %d more, in findings of the plan (-o yaml)", len(list)-shown))
			return
		}
		t.findingGroup(g)
		shown += len(g)
	}
}

// findingGroup prints findings that differ by their subject alone as one.
func (t *text) findingGroup(g []*api.Finding) {
	f := g[0]
	if len(g) == 1 {
		t.item("  ", f.ID+"  "+f.Subject.String())
		t.para("    ", f.Message)
	} else {
		t.item("  ", fmt.Sprintf("%s  (%d)", f.ID, len(g)))
		for i, one := range g {
			if f.Severity != api.Blocker && i == maxAlike {
				t.item("    - ", fmt.Sprintf("and %d more, in findings of the plan (-o yaml)", len(g)-i))
				break
			}
			t.item("    - ", one.Message)
		}
	}
	if f.Effect != "" {
		t.item("    effect: ", f.Effect)
	}
	if f.Action != "" {
		t.item("    do: ", f.Action)
	}
	if f.ConsentedBy != "" {
		t.item("    consented to: ", f.ConsentedBy)
	}
}

// findingGroups puts findings with one id and one advice together, in the order of
// their first.
func findingGroups(list []*api.Finding) [][]*api.Finding {
	type key struct{ id, effect, action, consented string }
	at := map[key]int{}
	var out [][]*api.Finding
	for _, f := range list {
		k := key{f.ID, f.Effect, f.Action, f.ConsentedBy}
		n, ok := at[k]
		if !ok {
			n = len(out)
			at[k] = n
			out = append(out, nil)
		}
		out[n] = append(out[n], f)
	}
	return out
}

func (t *text) unknowns(p *api.MigrationPlan) {
	var uncovered []string
	for _, k := range p.Coverage {
		if !k.State.Known() {
			uncovered = append(uncovered, k.Kind+" "+cmp.Or(string(k.State), "unknown"))
		}
	}
	if len(p.Unknowns) == 0 && len(uncovered) == 0 {
		return
	}
	t.heading(fmt.Sprintf("UNKNOWN (%d): not known is not fine", len(p.Unknowns)), yellow)
	for _, g := range unknownGroups(p.Unknowns) {
		t.unknownGroup(g)
	}
	if len(uncovered) > 0 {
		t.item("  not read in full: ", strings.Join(uncovered, ", "))
	}
}

// unknownGroup prints unknowns that differ by their subject alone as one.
func (t *text) unknownGroup(g []*api.Unknown) {
	if len(g) == 1 {
		t.unknown("  ", g[0])
		return
	}
	t.item("  ", fmt.Sprintf("%s  (%d)", g[0].ID, len(g)))
	for i, u := range g {
		if i == maxAlike {
			t.item("    - ", fmt.Sprintf("and %d more, in unknowns of the plan (-o yaml)", len(g)-i))
			break
		}
		t.item("    - ", u.Subject.String()+": "+u.What)
	}
	t.unknownAdvice("  ", g[0])
}

func (t *text) unknown(indent string, u *api.Unknown) {
	t.item(indent, u.ID+"  "+u.Subject.String())
	t.para(indent+"  ", u.What)
	t.unknownAdvice(indent, u)
}

func (t *text) unknownAdvice(indent string, u *api.Unknown) {
	if u.Could != "" {
		t.item(indent+"  could change: ", u.Could)
	}
	if u.Action != "" {
		t.item(indent+"  do: ", u.Action)
	}
	if u.WaivedBy != "" {
		t.item(indent+"  accepted: ", u.WaivedBy)
	}
}

// unknownGroups puts unknowns with one id and one advice together, in the order of
// their first.
func unknownGroups(list []api.Unknown) [][]*api.Unknown {
	type key struct{ id, could, action, waived string }
	at := map[key]int{}
	var out [][]*api.Unknown
	for i := range list {
		u := &list[i]
		k := key{u.ID, u.Could, u.Action, u.WaivedBy}
		n, ok := at[k]
		if !ok {
			n = len(out)
			at[k] = n
			out = append(out, nil)
		}
		out[n] = append(out[n], u)
	}
	return out
}

// next says what to run now.
func (t *text) next(p *api.MigrationPlan) {
	t.heading("NEXT", bold)
	for _, f := range p.Findings {
		if f.Severity == api.Blocker && f.ConsentedBy == "" {
			t.command("ambientplan explain " + ShellQuote(f.ID))
			break
		}
	}
	if len(p.Waves) == 0 {
		t.para("  ", "no wave can be planned: settle what holds the namespaces back")
		return
	}
	t.command("ambientplan render plan.yaml --out DIRECTORY")
	t.command(fmt.Sprintf("ambientplan checklist plan.yaml --wave %d", p.Waves[0].Number))
}
