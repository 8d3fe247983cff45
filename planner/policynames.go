package planner

import (
	"fmt"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// policyNames reports entries of the policy that name what is not there. A
// mistyped namespace under exclude would otherwise move against the policy's
// word. First and last are checked by the schedule.
func policyNames(st *mesh.State, p *api.MigrationPolicy) []api.Finding {
	exists := map[string]bool{}
	for i := range st.Namespaces() {
		exists[st.Namespaces()[i].Name] = true
	}
	at := api.Origin{File: p.File, Fields: p.Lines}
	var out []api.Finding
	report := func(ns, path, message, effect string) {
		if exists[ns] {
			return
		}
		out = append(out, api.Finding{
			ID: "policy-namespace", Severity: api.Warning, Subject: api.Ref{Kind: "Namespace", Name: ns},
			Message: message, Effect: effect, Action: "correct the name, or drop the entry if it is meant for another cluster",
			Evidence: []api.Evidence{{
				Object: api.Ref{Kind: api.KindMigrationPolicy, Name: p.Metadata.Name}, Path: path, Value: ns, Source: at.At(path),
			}},
		})
	}
	for i, e := range p.Exclude {
		report(e.Namespace, fmt.Sprintf("exclude[%d].namespace", i),
			"the MigrationPolicy excludes this namespace, and the inventory does not hold it",
			"the entry has no effect: if the name is mistyped, the namespace that was meant moves")
	}
	for i, g := range p.Together {
		for j, ns := range g.Namespaces {
			report(ns, fmt.Sprintf("together[%d].namespaces[%d]", i, j),
				"group "+g.Name+" of the MigrationPolicy names this namespace, and the inventory does not hold it",
				"the other namespaces of the group move without it")
		}
	}
	if p.Calendar == nil {
		return out
	}
	for i, w := range p.Calendar.Freeze {
		for j, ns := range w.Namespaces {
			report(ns, fmt.Sprintf("calendar.freeze[%d].namespaces[%d]", i, j),
				"freeze window "+w.Name+" of the MigrationPolicy names this namespace, and the inventory does not hold it",
				"the window does not hold for the namespace that was meant")
		}
	}
	return out
}

// staleConsents reports consents that meet no finding and no unknown of the
// plan: either the cause is gone, or the id is mistyped and nothing was accepted.
func staleConsents(plan *api.MigrationPlan, p *api.MigrationPolicy) []api.Finding {
	var out []api.Finding
	at := api.Origin{File: p.File, Fields: p.Lines}
	met := map[string]bool{}
	eachCounterexample(plan, func(x *api.Counterexample) { met[x.ID+" "+x.ConsentedBy] = true })
	for i, c := range p.Consents {
		by := ConsentedBy(c)
		if met[c.ID+" "+by] || slices.ContainsFunc(plan.Findings, func(f api.Finding) bool { return f.ID == c.ID && f.ConsentedBy == by }) ||
			slices.ContainsFunc(plan.Unknowns, func(u api.Unknown) bool { return u.ID == c.ID && u.WaivedBy == by }) {
			continue
		}
		path := fmt.Sprintf("consents[%d].id", i)
		ref := api.Ref{Kind: api.KindMigrationPolicy, Name: p.Metadata.Name}
		out = append(out, api.Finding{
			ID: "policy-consent", Severity: api.Info, Subject: ref,
			Message:  "the MigrationPolicy consents to " + c.ID + ", and the plan has no such finding or unknown that another consent does not cover",
			Effect:   "the consent has no effect, and would silently accept a finding that comes later",
			Action:   "correct the id, or drop the consent",
			Evidence: []api.Evidence{{Object: ref, Path: path, Value: c.ID, Source: at.At(path)}},
		})
	}
	return out
}
