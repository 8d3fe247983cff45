package status

import (
	"fmt"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// CompareProofs says what got worse from the proofs of a plan to the same proofs for
// another mesh, in the steps from the given one on and on the ways back of all.
func CompareProofs(was, is *api.MigrationPlan, from int) *api.DriftProof {
	out := &api.DriftProof{Holds: true}
	known := map[string]bool{}
	each(was, func(_ int, _ api.WorseStep, x api.Proof) {
		for _, c := range x.Counterexamples {
			known[c.ID] = true
		}
		for _, id := range x.Still {
			known[id] = true
		}
	})
	before := map[api.StepPlace]map[string]api.Proof{}
	each(was, func(_ int, at api.WorseStep, x api.Proof) {
		if before[at.StepPlace] == nil {
			before[at.StepPlace] = map[string]api.Proof{}
		}
		before[at.StepPlace][at.Back] = x
	})
	each(is, func(i int, at api.WorseStep, x api.Proof) {
		if i < from && at.Back == "" {
			return
		}
		old := before[at.StepPlace][at.Back]
		at.Was, at.Is = old.Result, x.Result
		for _, c := range x.Counterexamples {
			if !known[c.ID] {
				at.Gaps = append(at.Gaps, c)
			}
		}
		if rank(at.Is) > rank(at.Was) || len(at.Gaps) > 0 || x.Gaps > old.Gaps {
			out.Worse = append(out.Worse, at)
		}
	})
	out.Holds = len(out.Worse) == 0
	return out
}

// rank orders results from good to bad.
func rank(r api.ProofResult) int {
	switch r {
	case api.Proved:
		return 0
	case api.Gap:
		return 1
	case api.ProofUnknown, api.ProofUnset:
	}
	return 2
}

// each visits the proofs of all steps and of their ways back, with the index of the step.
func each(p *api.MigrationPlan, visit func(i int, at api.WorseStep, x api.Proof)) {
	i := 0
	for _, w := range p.Waves {
		for _, s := range w.Steps {
			at := api.WorseStep{StepPlace: api.StepPlace{Wave: w.Number, Step: s.Name}}
			visit(i, at, s.Proof)
			for _, r := range s.Rollback {
				at.Back = r.Name
				visit(i, at, r.Proof)
			}
			i++
		}
	}
}

// AddProof puts a comparison into a status; a proof that got worse stops.
func AddProof(st *api.MigrationStatus, x *api.DriftProof) {
	st.Proof = x
	for _, w := range x.Worse {
		where := fmt.Sprintf("wave %d, %s", w.Wave, w.Step)
		if w.Back != "" {
			where += ", on the way back (" + w.Back + ")"
		}
		what := fmt.Sprintf("its proof was %q and is %q for the mesh as it is now", w.Was, w.Is)
		if len(w.Gaps) > 0 {
			what += fmt.Sprintf("; for example %s: before %s, after %s", w.Gaps[0].Request, w.Gaps[0].Before, w.Gaps[0].After)
		}
		st.Because = append(st.Because, where+": "+what)
	}
	if len(st.Because) > 0 {
		st.Verdict = api.Stop
	}
}

// touching says which drift concerns the wave of the next step: the plan was made without it.
func touching(st *api.MigrationStatus) (stop, people []string) {
	if st.Next == nil {
		return nil, nil
	}
	for _, d := range st.Drift {
		if d.Wave != st.Next.Wave || d.Wave == 0 {
			continue
		}
		line := fmt.Sprintf("%s: %s", d.Object, d.Why)
		if d.Maybe {
			people = append(people, line)
			continue
		}
		stop = append(stop, line+"; plan again with --previous")
	}
	return slices.Compact(stop), slices.Compact(people)
}
