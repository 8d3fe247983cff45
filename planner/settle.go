package planner

import (
	"fmt"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// settle sorts the plan, applies consents, links unknowns to decisions and
// computes what must never be set by hand: Complete and the summary.
func settle(p *api.MigrationPlan, policy *api.MigrationPolicy, inv *api.Inventory) {
	consent(p, policy)
	p.Findings = append(p.Findings, staleConsents(p, policy)...)
	slices.SortFunc(p.Findings, api.Finding.Compare)
	p.Findings = slices.CompactFunc(p.Findings, func(a, b api.Finding) bool { return a.Compare(b) == 0 })
	slices.SortFunc(p.Unknowns, api.Unknown.Compare)
	p.Unknowns = slices.CompactFunc(p.Unknowns, func(a, b api.Unknown) bool { return a.Compare(b) == 0 })
	if p.Findings == nil {
		p.Findings = []api.Finding{}
	}
	if p.Unknowns == nil {
		p.Unknowns = []api.Unknown{}
	}
	if p.Constraints == nil {
		p.Constraints = []api.Constraint{}
	}
	if p.Decisions == nil {
		p.Decisions = []api.Decision{}
	}
	if p.Coverage == nil {
		p.Coverage = []api.KindCoverage{}
	}
	for i := range p.Namespaces {
		p.Namespaces[i].Wave = max(p.Namespaces[i].Wave, 0)
	}
	link(p)
	summarize(p, inv)
	complete(p)
}

// ConsentTo tells whether a consent is about an id and its subject.
func ConsentTo(c api.Consent, id string, subject api.Ref) bool {
	ns := subject.Namespace
	if subject.Kind == "Namespace" {
		ns = subject.Name
	}
	return c.ID == id && (c.Namespace == "" || c.Namespace == ns) && (c.Name == "" || c.Name == subject.Name)
}

// consent marks what the policy consents to by id, with the name of who did.
func consent(p *api.MigrationPlan, policy *api.MigrationPolicy) {
	for _, c := range policy.Consents {
		by := ConsentedBy(c)
		eachCounterexample(p, func(x *api.Counterexample) {
			if ConsentTo(c, x.ID, x.Service) {
				x.ConsentedBy = by
			}
		})
		for i := range p.Findings {
			if f := &p.Findings[i]; ConsentTo(c, f.ID, f.Subject) {
				f.ConsentedBy = by
			}
		}
		for i := range p.Unknowns {
			if u := &p.Unknowns[i]; ConsentTo(c, u.ID, u.Subject) {
				u.WaivedBy = by
			}
		}
	}
	countConsents(p)
}

// ConsentedBy is what a plan shows of a consent.
func ConsentedBy(c api.Consent) string { return c.By + ": " + c.Reason }

// link writes into each decision its wave and the unknowns that could change it:
// those of its namespace, of the root of the mesh and of kinds not seen.
func link(p *api.MigrationPlan) {
	wave := map[string]int{}
	for _, n := range p.Namespaces {
		wave[n.Name] = n.Wave
	}
	byNS := map[string][]string{}
	var everywhere []string
	for _, u := range p.Unknowns {
		switch {
		case u.WaivedBy != "":
		case u.Subject.Kind == "Namespace":
			byNS[u.Subject.Name] = append(byNS[u.Subject.Name], u.ID)
		case u.Subject.Namespace != "":
			byNS[u.Subject.Namespace] = append(byNS[u.Subject.Namespace], u.ID)
		default:
			everywhere = append(everywhere, u.ID)
		}
	}
	for i := range p.Decisions {
		d := &p.Decisions[i]
		if d.Kind == api.L4Only || d.Kind == api.Waypoint {
			d.Wave = wave[d.Namespace]
		}
		d.Unknowns = union(byNS[d.Namespace], everywhere)
	}
}

func summarize(p *api.MigrationPlan, inv *api.Inventory) {
	s := api.Summary{
		Namespaces: len(p.Namespaces), Services: len(inv.Services), Workloads: len(inv.Workloads),
		Decisions: map[string]int{}, Unknowns: len(p.Unknowns), Waypoints: p.Cost.Waypoints, Documents: inv.Documents,
	}
	for _, n := range p.Namespaces {
		s.Pods += n.Pods
	}
	for _, d := range p.Decisions {
		s.Decisions[string(d.Kind)]++
	}
	for _, w := range p.Waves {
		if w.Number > 0 {
			s.Waves++
		}
	}
	for _, f := range p.Findings {
		switch f.Severity {
		case api.Blocker:
			s.Blockers++
		case api.Warning:
			s.Warnings++
		case api.Info, api.SeverityUnset:
		}
	}
	p.Summary = s
}

// complete says whether the plan is whole, and if not, why.
func complete(p *api.MigrationPlan) {
	why := []string{}
	open := 0
	for _, u := range p.Unknowns {
		if u.WaivedBy == "" {
			open++
		}
	}
	if open > 0 {
		why = append(why, fmt.Sprintf("%d unknowns are neither resolved nor waived", open))
	}
	blockers := 0
	for _, f := range p.Findings {
		if f.Severity == api.Blocker && f.ConsentedBy == "" {
			blockers++
		}
	}
	if blockers > 0 {
		why = append(why, fmt.Sprintf("%d blockers are neither resolved nor consented to", blockers))
	}
	if len(p.Held) > 0 {
		why = append(why, fmt.Sprintf("%d namespaces are held", len(p.Held)))
	}
	gaps, unproved := 0, 0
	for _, w := range p.Waves {
		for _, s := range w.Steps {
			for _, x := range append([]api.Proof{s.Proof}, rollbackProofs(&s)...) {
				switch {
				case x.Result == api.Proved || Consented(x):
				case x.Result == api.Gap:
					gaps++
				default:
					unproved++
				}
			}
		}
	}
	if gaps > 0 {
		why = append(why, fmt.Sprintf("%d states have gaps that nobody consented to", gaps))
	}
	if unproved > 0 {
		why = append(why, fmt.Sprintf("%d states are not proved", unproved))
	}
	p.Complete, p.Incomplete = len(why) == 0, why
	if p.Complete {
		p.Incomplete = nil
	}
}

// eachCounterexample visits all counterexamples of a plan.
func eachCounterexample(p *api.MigrationPlan, visit func(*api.Counterexample)) {
	for i := range p.Waves {
		for j := range p.Waves[i].Steps {
			s := &p.Waves[i].Steps[j]
			for k := range s.Proof.Counterexamples {
				visit(&s.Proof.Counterexamples[k])
			}
			for r := range s.Rollback {
				for k := range s.Rollback[r].Proof.Counterexamples {
					visit(&s.Rollback[r].Proof.Counterexamples[k])
				}
			}
		}
	}
}

// Consented tells whether somebody consented to every gap of a state, and nothing
// else is open in it.
func Consented(x api.Proof) bool {
	return x.Result == api.Gap && x.Unconsented == 0 && len(x.Unknowns) == 0
}

// countConsents counts in each state the gaps that nobody consented to. What is
// not listed was not consented to.
func countConsents(p *api.MigrationPlan) {
	consented := map[string]bool{}
	eachCounterexample(p, func(x *api.Counterexample) {
		if x.ConsentedBy != "" {
			consented[x.ID] = true
		}
	})
	one := func(x *api.Proof) {
		x.Unconsented = x.Gaps
		for _, c := range x.Counterexamples {
			if consented[c.ID] {
				x.Unconsented--
			}
		}
		for _, id := range x.Still {
			if consented[id] {
				x.Unconsented--
			}
		}
	}
	for i := range p.Waves {
		for j := range p.Waves[i].Steps {
			s := &p.Waves[i].Steps[j]
			one(&s.Proof)
			for k := range s.Rollback {
				one(&s.Rollback[k].Proof)
			}
		}
	}
}
