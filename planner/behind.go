package planner

import (
	"fmt"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/planner/content"
)

// idDoneStep is the unknown of a plan that holds an object otherwise than the plan
// that is being followed, at the step where the mesh stands.
const idDoneStep = "done-step"

// behind compares what two plans hold after the first steps of the earlier one, which
// are done. A controller that follows the pointer would make the difference at once when
// the new plan is committed, and no state of the proof is that change.
func behind(earlier *api.MigrationPlan, done int, p *api.MigrationPlan) []api.Unknown {
	if earlier == nil || done == 0 {
		return nil
	}
	wave, step := lastDone(earlier, done)
	was, is := holds(earlier, wave, step), holds(p, wave, step)
	var out []api.Unknown
	add := func(ref api.Ref, what string) {
		out = append(out, api.Unknown{
			ID: idDoneStep, Subject: ref,
			What:   fmt.Sprintf("wave %d has come to step %s, and there this plan has another %s: %s. Committing it changes the object at once", wave, step, ref, what),
			Could:  "requests may be treated otherwise from that moment on; the proof is about steps, not about the change from one plan to another",
			Action: "compare the plans with `ambientplan diff`; go back to before the step by the earlier plan, or consent to it by id once somebody has looked at it",
		})
	}
	for ref, c := range is {
		old, there := was[ref]
		switch {
		case !there && c == nil:
			add(ref, "deleted, which the plan that is being followed does not")
		case !there:
			add(ref, "changed, which the plan that is being followed does not")
		case !content.Same(map[string]any(old), map[string]any(c)):
			at := content.Differing(map[string]any(old), map[string]any(c), "", 3)
			add(ref, "it differs at "+strings.Join(at, ", "))
		}
	}
	for ref, c := range was {
		if _, there := is[ref]; !there && c != nil {
			add(ref, "left alone, which the plan that is being followed changes")
		}
	}
	slices.SortFunc(out, api.Unknown.Compare)
	return out
}

// lastDone is the last of the first steps of a plan.
func lastDone(p *api.MigrationPlan, done int) (wave int, step string) {
	n := 0
	for i := range p.Waves {
		for j := range p.Waves[i].Steps {
			if n++; n <= done {
				wave, step = p.Waves[i].Number, p.Waves[i].Steps[j].Name
			}
		}
	}
	return wave, step
}

// holds is what a plan has made of the objects that it changes up to a step, where a
// person would set the pointer; nil of one that it deletes. Without such a step it is
// what the waves before have made.
func holds(p *api.MigrationPlan, wave int, step string) map[api.Ref]api.Content {
	out := map[api.Ref]api.Content{}
	for i := range p.Waves {
		w := &p.Waves[i]
		last := slices.IndexFunc(w.Steps, func(s api.Step) bool { return s.Name == step })
		for j := range w.Steps {
			if w.Number > wave || w.Number == wave && j > last {
				continue
			}
			for _, c := range w.Steps[j].Changes {
				switch {
				case c.Op == api.OpManual:
				case c.Op == api.OpDelete:
					out[c.Object] = nil
				default:
					out[c.Object] = c.After
				}
			}
		}
	}
	return out
}
