package fleet

import (
	"fmt"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/planner"
)

// ownPrefix begins the ids of what is said of a fleet and not of one cluster.
const ownPrefix = "fleet-"

// settle sorts, applies consents and computes what must never be set by hand.
func (f *fleet) settle(p *api.FleetPlan) {
	f.dropForeign()
	if p.Findings == nil {
		p.Findings = []api.Finding{}
	}
	if p.Unknowns == nil {
		p.Unknowns = []api.Unknown{}
	}
	if p.Waves == nil {
		p.Waves = []api.FleetWave{}
	}
	for _, c := range f.policy.Consents {
		met := false
		by := planner.ConsentedBy(c)
		for i := range p.Findings {
			if x := &p.Findings[i]; planner.ConsentTo(c, x.ID, x.Subject) {
				x.ConsentedBy, met = by, true
			}
		}
		for i := range p.Unknowns {
			if x := &p.Unknowns[i]; planner.ConsentTo(c, x.ID, x.Subject) {
				x.WaivedBy, met = by, true
			}
		}
		if !met && strings.HasPrefix(c.ID, ownPrefix) && !f.inPlans(c.ID) {
			p.Findings = append(p.Findings, api.Finding{
				ID: "policy-consent", Severity: api.Info, Subject: api.Ref{Kind: api.KindMigrationPolicy, Name: f.policy.Metadata.Name},
				Message: "the MigrationPolicy consents to " + c.ID + ", and the fleet has no such finding or unknown",
				Effect:  "the consent has no effect, and would silently accept a finding that comes later",
				Action:  "correct the id, or drop the consent",
			})
		}
	}
	slices.SortFunc(p.Findings, api.Finding.Compare)
	slices.SortFunc(p.Unknowns, api.Unknown.Compare)
	summarize(p)
	complete(p)
}

// inPlans tells whether a plan has a finding of an id that begins like those of fleets.
func (f *fleet) inPlans(id string) bool {
	return slices.ContainsFunc(f.members, func(m *member) bool {
		return m.plan != nil && slices.ContainsFunc(m.plan.Findings, func(x api.Finding) bool { return x.ID == id })
	})
}

// dropForeign takes out of the plans that a name or consent of the policy meets nothing,
// when it does meet something in another cluster, or is about the fleet.
func (f *fleet) dropForeign() {
	count := map[string]int{}
	plans := 0
	of := func(x *api.Finding) string {
		if x.ID != "policy-consent" && x.ID != "policy-namespace" || len(x.Evidence) == 0 {
			return ""
		}
		return x.ID + " " + x.Evidence[0].Path
	}
	for _, m := range f.members {
		if m.plan == nil {
			continue
		}
		plans++
		for i := range m.plan.Findings {
			if k := of(&m.plan.Findings[i]); k != "" {
				count[k]++
			}
		}
	}
	for _, m := range f.members {
		if m.plan == nil {
			continue
		}
		m.plan.Findings = slices.DeleteFunc(m.plan.Findings, func(x api.Finding) bool {
			k := of(&x)
			gone := k != "" && (count[k] < plans || x.ID == "policy-consent" && strings.HasPrefix(x.Evidence[0].Value, ownPrefix))
			if gone && x.Severity == api.Warning {
				m.plan.Summary.Warnings--
			}
			return gone
		})
	}
}

func summarize(p *api.FleetPlan) {
	s := api.FleetSummary{Clusters: len(p.Clusters), Shared: len(p.Shared), Unknowns: len(p.Unknowns)}
	for _, c := range p.Clusters {
		switch c.State {
		case api.FleetPlanned:
			s.Planned++
		case api.FleetBlocked:
			s.Blocked++
		case api.FleetUnreadable, api.FleetStateUnset:
			s.Unreadable++
		}
		if c.Plan == nil {
			continue
		}
		if c.Plan.Complete {
			s.Complete++
		}
		s.Namespaces += c.Plan.Summary.Namespaces
		s.Pods += c.Plan.Summary.Pods
	}
	for _, w := range p.Waves {
		if w.Number > 0 {
			s.Waves++
		}
	}
	for _, x := range p.Shared {
		if !x.Consistent {
			s.Inconsistent++
		}
	}
	for _, x := range p.Findings {
		switch x.Severity {
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
func complete(p *api.FleetPlan) {
	var why []string
	for _, c := range p.Clusters {
		switch {
		case c.Plan == nil:
			why = append(why, fmt.Sprintf("cluster %s could not be read", c.Name))
		case !c.Plan.Complete:
			why = append(why, fmt.Sprintf("the plan of cluster %s is not complete: %s", c.Name, strings.Join(c.Plan.Incomplete, ", ")))
		}
	}
	blockers, open := 0, 0
	for _, x := range p.Findings {
		if x.Severity == api.Blocker && x.ConsentedBy == "" {
			blockers++
		}
	}
	for _, u := range p.Unknowns {
		if u.WaivedBy == "" {
			open++
		}
	}
	if blockers > 0 {
		why = append(why, fmt.Sprintf("%d blockers of the fleet are neither resolved nor consented to", blockers))
	}
	if open > 0 {
		why = append(why, fmt.Sprintf("%d unknowns of the fleet are neither resolved nor accepted", open))
	}
	p.Complete, p.Incomplete = len(why) == 0, why
}
