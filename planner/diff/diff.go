// Package diff compares two plans, field by field of what they decide and do. It is a
// pure function of the documents.
package diff

import (
	"cmp"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/planner/content"
)

// maxPaths bounds how many fields of one object are named.
const maxPaths = 5

// Plans says what the plan is does otherwise than the plan was.
func Plans(was, is *api.MigrationPlan) *api.PlanDiff {
	d := &api.PlanDiff{
		TypeMeta: api.TypeMeta{APIVersion: api.APIVersion, Kind: api.KindPlanDiff},
		Was:      was.Digest, Is: is.Digest, WasComplete: was.Complete, IsComplete: is.Complete,
		Decisions: decisions(was, is), Namespaces: namespaces(was, is), Steps: steps(was, is),
		Findings: findings(was.Findings, is.Findings), Unknowns: unknowns(was.Unknowns, is.Unknowns), Gaps: gaps(was, is),
	}
	d.Same = was.Complete == is.Complete && len(d.Decisions)+len(d.Namespaces)+len(d.Steps)+len(d.Findings)+len(d.Unknowns)+len(d.Gaps) == 0
	return d
}

// both calls f for every key of the two maps, in order.
func both[K comparable, V any](was, is map[K]V, order func(a, b K) int, f func(k K, was, is *V)) {
	var keys []K
	for k := range is {
		keys = append(keys, k)
	}
	for k := range was {
		if _, ok := is[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, order)
	at := func(m map[K]V, k K) *V {
		if v, ok := m[k]; ok {
			return &v
		}
		return nil
	}
	for _, k := range keys {
		f(k, at(was, k), at(is, k))
	}
}

// op is the side on which something is.
func op[V any](was, is *V) api.DiffOp {
	switch {
	case was == nil:
		return api.DiffAdded
	case is == nil:
		return api.DiffRemoved
	}
	return api.DiffChanged
}

func decisions(was, is *api.MigrationPlan) []api.DecisionDiff {
	index := func(p *api.MigrationPlan) map[api.Ref]*api.Decision {
		out := map[api.Ref]*api.Decision{}
		for i := range p.Decisions {
			out[p.Decisions[i].Subject] = &p.Decisions[i]
		}
		return out
	}
	var out []api.DecisionDiff
	both(index(was), index(is), api.Ref.Compare, func(ref api.Ref, a, b **api.Decision) {
		x := api.DecisionDiff{Subject: ref, Op: op(a, b)}
		if a != nil {
			x.Was, x.Why = decided(*a), (*a).Why
		}
		if b != nil {
			x.Is, x.Why = decided(*b), (*b).Why
		}
		if x.Was != x.Is {
			out = append(out, x)
		}
	})
	return out
}

// decided is a decision in short.
func decided(d *api.Decision) string {
	if d.Waypoint == nil {
		return string(d.Kind)
	}
	return string(d.Kind) + " " + d.Waypoint.Namespace + "/" + d.Waypoint.Name
}

func namespaces(was, is *api.MigrationPlan) []api.NamespaceDiff {
	type key struct{ cluster, name string }
	index := func(p *api.MigrationPlan) map[key]int {
		out := map[key]int{}
		for _, n := range p.Namespaces {
			out[key{n.Cluster, n.Name}] = n.Wave
		}
		return out
	}
	var out []api.NamespaceDiff
	order := func(a, b key) int { return cmp.Or(cmp.Compare(a.cluster, b.cluster), cmp.Compare(a.name, b.name)) }
	both(index(was), index(is), order, func(k key, a, b *int) {
		x := api.NamespaceDiff{Cluster: k.cluster, Name: k.name}
		if a != nil {
			x.Was = *a
		}
		if b != nil {
			x.Is = *b
		}
		if x.Was != x.Is {
			out = append(out, x)
		}
	})
	return out
}

// place is a step of a plan. Rank is where the step stands in its wave.
type place struct {
	wave int
	step string
}

func steps(was, is *api.MigrationPlan) []api.StepDiff {
	rank := map[place]int{}
	index := func(p *api.MigrationPlan) map[place]*api.Step {
		out := map[place]*api.Step{}
		for i := range p.Waves {
			for j := range p.Waves[i].Steps {
				k := place{p.Waves[i].Number, p.Waves[i].Steps[j].Name}
				out[k], rank[k] = &p.Waves[i].Steps[j], j
			}
		}
		return out
	}
	a, b := index(was), index(is)
	order := func(x, y place) int {
		return cmp.Or(cmp.Compare(x.wave, y.wave), cmp.Compare(rank[x], rank[y]), cmp.Compare(x.step, y.step))
	}
	var out []api.StepDiff
	both(a, b, order, func(k place, a, b **api.Step) {
		x := api.StepDiff{Wave: k.wave, Step: k.step, Op: op(a, b)}
		var from, to []api.Change
		if a != nil {
			from = (*a).Changes
		}
		if b != nil {
			to = (*b).Changes
		}
		x.Objects = changes(from, to)
		if a != nil && b != nil && (*a).Proof.Result != (*b).Proof.Result {
			x.WasProof, x.IsProof = (*a).Proof.Result, (*b).Proof.Result
		}
		if x.Op != api.DiffChanged || len(x.Objects) > 0 || x.IsProof != x.WasProof {
			out = append(out, x)
		}
	})
	return out
}

// changes compares what two steps do. Several changes of one object in a step, which
// only people make, are compared by the last.
func changes(was, is []api.Change) []api.ObjectDiff {
	index := func(list []api.Change) map[api.Ref]*api.Change {
		out := map[api.Ref]*api.Change{}
		for i := range list {
			out[list[i].Object] = &list[i]
		}
		return out
	}
	var out []api.ObjectDiff
	both(index(was), index(is), api.Ref.Compare, func(ref api.Ref, a, b **api.Change) {
		x := api.ObjectDiff{Object: ref, Op: op(a, b)}
		if a == nil || b == nil {
			out = append(out, x)
			return
		}
		if (*a).Op != (*b).Op || (*a).Does != (*b).Does {
			x.Paths = append(x.Paths, "op "+string((*a).Op)+" -> "+string((*b).Op))
		}
		switch {
		case ((*a).After == nil) != ((*b).After == nil):
			x.Paths = append(x.Paths, "the whole object")
		case (*a).After != nil:
			x.Paths = append(x.Paths, content.Differing(map[string]any((*a).After), map[string]any((*b).After), "", maxPaths)...)
		case (*a).Manual != (*b).Manual:
			x.Paths = append(x.Paths, "what a person does")
		}
		if len(x.Paths) > 0 {
			out = append(out, x)
		}
	})
	return out
}

func findings(was, is []api.Finding) []api.FindingDiff {
	type key struct {
		id, message string
		subject     api.Ref
	}
	index := func(list []api.Finding) map[key]*api.Finding {
		out := map[key]*api.Finding{}
		for i := range list {
			k := key{list[i].ID, list[i].Message, list[i].Subject}
			if out[k] == nil {
				out[k] = &list[i]
			}
		}
		return out
	}
	var out []api.FindingDiff
	order := func(a, b key) int {
		return cmp.Or(a.subject.Compare(b.subject), cmp.Compare(a.id, b.id), cmp.Compare(a.message, b.message))
	}
	both(index(was), index(is), order, func(_ key, a, b **api.Finding) {
		switch {
		case b == nil:
			out = append(out, api.FindingDiff{Op: api.DiffRemoved, Finding: **a})
		case a == nil:
			out = append(out, api.FindingDiff{Op: api.DiffAdded, Finding: **b})
		case (*a).Severity != (*b).Severity:
			out = append(out, api.FindingDiff{Op: api.DiffChanged, Finding: **b, Was: (*a).Severity})
		}
	})
	slices.SortStableFunc(out, func(a, b api.FindingDiff) int {
		return cmp.Or(cmp.Compare(a.Op, b.Op), cmp.Compare(a.Finding.Severity.Rank(), b.Finding.Severity.Rank()))
	})
	return out
}

func unknowns(was, is []api.Unknown) []api.UnknownDiff {
	type key struct {
		id, what string
		subject  api.Ref
	}
	index := func(list []api.Unknown) map[key]*api.Unknown {
		out := map[key]*api.Unknown{}
		for i := range list {
			out[key{list[i].ID, list[i].What, list[i].Subject}] = &list[i]
		}
		return out
	}
	var out []api.UnknownDiff
	order := func(a, b key) int {
		return cmp.Or(a.subject.Compare(b.subject), cmp.Compare(a.id, b.id), cmp.Compare(a.what, b.what))
	}
	both(index(was), index(is), order, func(_ key, a, b **api.Unknown) {
		switch {
		case b == nil:
			out = append(out, api.UnknownDiff{Op: api.DiffRemoved, Unknown: **a})
		case a == nil:
			out = append(out, api.UnknownDiff{Op: api.DiffAdded, Unknown: **b})
		}
	})
	slices.SortStableFunc(out, func(a, b api.UnknownDiff) int { return cmp.Compare(a.Op, b.Op) })
	return out
}

// gaps compares the counterexamples of the proofs by their ids. A plan lists only the
// first of many: what is missing in a list that was cut is not called gone.
func gaps(was, is *api.MigrationPlan) []api.GapDiff {
	index := func(p *api.MigrationPlan) map[string]api.GapDiff {
		out := map[string]api.GapDiff{}
		add := func(wave int, step string, x api.Proof) {
			for _, c := range x.Counterexamples {
				if _, ok := out[c.ID]; !ok {
					out[c.ID] = api.GapDiff{Wave: wave, Step: step, Gap: c}
				}
			}
		}
		for i := range p.Waves {
			for j := range p.Waves[i].Steps {
				s := &p.Waves[i].Steps[j]
				add(p.Waves[i].Number, s.Name, s.Proof)
				for k := range s.Rollback {
					add(p.Waves[i].Number, s.Name+" back "+s.Rollback[k].Name, s.Rollback[k].Proof)
				}
			}
		}
		return out
	}
	var out []api.GapDiff
	both(index(was), index(is), cmp.Compare[string], func(_ string, a, b *api.GapDiff) {
		switch {
		case b == nil:
			x := *a
			x.Op = api.DiffRemoved
			out = append(out, x)
		case a == nil:
			x := *b
			x.Op = api.DiffAdded
			out = append(out, x)
		}
	})
	slices.SortStableFunc(out, func(a, b api.GapDiff) int { return cmp.Compare(a.Op, b.Op) })
	return out
}
