package render

import (
	"cmp"
	"fmt"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// maxShared is how many shared Services a table lists before it counts the rest.
const maxShared = 20

// FleetTable is the plan of a fleet for a terminal of the given width in columns (80 when 0
// or less; never under 40): the verdict, clusters that could not be read before all others,
// waves, shared Services, findings, unknowns, and what to read next.
func FleetTable(p *api.FleetPlan, width int, color bool) []byte {
	if width <= 0 {
		width = 80
	}
	t := &text{width: max(width, 40), color: color}
	t.fleetVerdict(p)
	t.fleetClusters(p)
	t.fleetWaves(p)
	t.fleetShared(p)
	own := &api.MigrationPlan{Findings: p.Findings, Unknowns: p.Unknowns}
	t.findings(own, api.Blocker, "BLOCKERS of the fleet: a person must decide", red)
	t.findings(own, api.Warning, "WARNINGS of the fleet", yellow)
	t.unknowns(own)
	t.heading("NEXT", bold)
	t.para("  ", "Blockers, warnings and unknowns of one cluster stand in its own plan: --out DIR writes DIR/README.md, and a tree for each cluster that explain, checklist, status and verify work on.")
	return []byte(t.b.String())
}

func (t *text) fleetVerdict(p *api.FleetPlan) {
	if p.Complete {
		t.heading("COMPLETE: nothing is unknown, held back or unproved in any cluster", green)
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
	t.para("", fmt.Sprintf("%s: %d planned, %d blocked, %d not read; %s and %s in those that were read", count(s.Clusters, "cluster"), s.Planned, s.Blocked, s.Unreadable, count(s.Namespaces, "namespace"), count(s.Pods, "pod")))
	t.para("", fmt.Sprintf("%s in more than one cluster, %d of them not known to have one mode", count(s.Shared, "Service"), s.Inconsistent))
}

func (t *text) fleetClusters(p *api.FleetPlan) {
	var first, rest []*api.FleetCluster
	for i := range p.Clusters {
		if c := &p.Clusters[i]; c.Plan == nil {
			first = append(first, c)
		} else {
			rest = append(rest, c)
		}
	}
	if len(first) > 0 {
		t.heading(fmt.Sprintf("NOT READ (%d): nothing is known of these clusters", len(first)), red)
		for _, c := range first {
			t.item("  "+plain(c.Name)+"  ", cmp.Or(c.Reason, "nobody says why"))
		}
	}
	t.heading(fmt.Sprintf("CLUSTERS (%d)", len(rest)), bold)
	for _, c := range rest {
		head := stateWords(c.State)
		if c.Canary {
			head += ", canary"
		}
		t.item("  "+plain(c.Name)+"  ", head)
		if c.Reason != "" {
			t.para("    ", c.Reason)
		}
		known := func(s string) string { return cmp.Or(s, "not known") }
		t.para("    ", fmt.Sprintf("control plane: %s, istiod %s; mesh %s, network %s, trust domain %s", roleWords(c.Role), known(strings.Join(c.Istiod, ", ")), known(c.MeshID), known(c.Network), known(c.TrustDomain)))
		s := c.Plan.Summary
		t.para("    ", fmt.Sprintf("%s, %s, %s of its own; %s, %s, %s", count(s.Namespaces, "namespace"), count(s.Pods, "pod"), count(s.Waves, "wave"), count(s.Blockers, "blocker"), count(s.Warnings, "warning"), count(s.Unknowns, "unknown")))
	}
}

func (t *text) fleetWaves(p *api.FleetPlan) {
	t.heading(fmt.Sprintf("WAVES (%d)", len(p.Waves)), bold)
	for _, w := range p.Waves {
		t.item(fmt.Sprintf("%2d  ", w.Number), w.Name)
		for i, m := range w.Clusters {
			what := fmt.Sprintf("its wave %d", m.Wave)
			if len(m.Namespaces) > 0 {
				what += ": " + strings.Join(m.Namespaces, ", ")
			}
			if m.NotBefore != "" {
				what += "; not before " + m.NotBefore
			}
			when := "then "
			if i == 0 {
				when = "first "
			}
			t.item("    "+when+plain(m.Cluster)+"  ", what)
		}
		for _, r := range w.Reasons {
			t.item("    why: ", r)
		}
	}
}

// fleetShared lists shared Services, those that are not consistent first.
func (t *text) fleetShared(p *api.FleetPlan) {
	if len(p.Shared) == 0 {
		return
	}
	t.heading(fmt.Sprintf("IN MORE THAN ONE CLUSTER (%d): Istio merges these Services", len(p.Shared)), bold)
	shown := 0
	for _, consistent := range []bool{false, true} {
		for i := range p.Shared {
			s := &p.Shared[i]
			if s.Consistent != consistent {
				continue
			}
			if shown == maxShared {
				t.item("  ", fmt.Sprintf("and %d more, in shared of the plan (-o yaml)", len(p.Shared)-shown))
				return
			}
			shown++
			t.item("  ", s.Namespace+"/"+s.Service+": "+strings.Join(sharedParts(s), "; "))
			if s.What != "" {
				t.para("    ", s.What)
			}
		}
	}
}
