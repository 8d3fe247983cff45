package fleet

import (
	"cmp"
	"fmt"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/planner"
)

// chooseCanary decides which cluster goes first: the policy's word, else the smallest one
// by pods of the mesh that is not critical and has something to move.
func (f *fleet) chooseCanary() {
	var can []*member
	for _, m := range f.members {
		if m.state == api.FleetPlanned {
			can = append(can, m)
		}
	}
	if name := f.policy.CanaryCluster; name != "" {
		m := f.member(name)
		if m.state == api.FleetPlanned {
			f.canary, f.because = m, "the MigrationPolicy names it as the canary"
			return
		}
		f.findings = append(f.findings, api.Finding{
			ID: idCanary, Severity: api.Blocker, Subject: m.ref(),
			Message: fmt.Sprintf("the MigrationPolicy names cluster %s as the canary, and it cannot go first: %s", name, m.reason),
			Effect:  "another cluster would take each step first, which is not what the policy asks for",
			Action:  "make the cluster plannable, or name another one",
		})
	}
	if len(can) == 0 {
		return
	}
	rank := func(m *member) (nothing, critical, pods int) {
		if m.moving() == 0 {
			nothing = 1
		}
		if m.critical() {
			critical = 1
		}
		return nothing, critical, m.pods()
	}
	f.canary = slices.MinFunc(can, func(a, b *member) int {
		an, ac, ap := rank(a)
		bn, bc, bp := rank(b)
		return cmp.Or(cmp.Compare(an, bn), cmp.Compare(ac, bc), cmp.Compare(ap, bp), cmp.Compare(a.Name, b.Name))
	})
	f.because = fmt.Sprintf("it is the smallest, with %d pods in the mesh, of the clusters that have something to move and no critical service", f.canary.pods())
	if f.canary.critical() {
		f.because = fmt.Sprintf("it is the smallest, with %d pods in the mesh; every cluster that has something to move has critical services", f.canary.pods())
	}
	if f.canary.moving() == 0 {
		f.because = "nothing moves in any cluster"
	}
}

// pods of the mesh in the cluster.
func (m *member) pods() int {
	n := 0
	for _, s := range m.decided.Namespaces {
		n += s.Pods
	}
	return n
}

// moving is how many namespaces move.
func (m *member) moving() int {
	n := 0
	for _, s := range m.decided.Namespaces {
		if s.Wave != 0 {
			n++
		}
	}
	return n
}

// critical tells whether an owner calls a service of the mesh in the cluster critical.
func (m *member) critical() bool {
	return slices.ContainsFunc(m.decided.Decisions, func(d api.Decision) bool {
		return d.Kind != api.OutOfMesh && planner.Critical(d.Tier)
	})
}
