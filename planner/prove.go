package planner

import (
	"context"
	"fmt"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/proof"
)

// maxCounterexamples bounds how many gaps one state shows, and how many of earlier
// ones it lists; the rest is counted.
const maxCounterexamples = 200

// maxUnknownCalls bounds how many open calls one step lists; the rest is counted.
const maxUnknownCalls = 20

// Prove judges every state of a plan as the plan stands, and writes the result
// into its steps. edges are the calls to judge by; those of the plan itself are
// what Edges finds in the same inventory and needs.
func Prove(ctx context.Context, st *mesh.State, edges []api.Edge, p *api.MigrationPlan) error {
	r, err := proof.Prove(ctx, proof.Input{State: st, Calls: edges, Base: p.Base, Waves: p.Waves})
	if err != nil {
		return err
	}
	at := map[string]*proof.StepProof{}
	for i := range r.Steps {
		s := &r.Steps[i]
		at[fmt.Sprint(s.Wave, "/", s.Step, "/", s.Back)] = s
	}
	advice, seen := newAdviser(p), map[string]bool{}
	for i := range p.Waves {
		w := &p.Waves[i]
		for j := range w.Steps {
			s := &w.Steps[j]
			s.Proof = proofOf(at[fmt.Sprint(w.Number, "/", s.Name, "/")], advice, seen)
			if w.Number == 0 && s.Proof.Result == api.Proved {
				s.Proof.Reason = "nothing in it changes who may do what; that the installation succeeds is what the checks are for"
			}
			for k := range s.Rollback {
				s.Rollback[k].Proof = proofOf(at[fmt.Sprint(w.Number, "/", s.Name, "/", s.Rollback[k].Name)], advice, seen)
			}
		}
	}
	p.Proof = api.PlanProof{Told: r.Told}
	for _, ref := range r.Open {
		p.Proof.Open = append(p.Proof.Open, ref.Namespace+"/"+ref.Name)
	}
	count(p, r)
	return nil
}

// Reprove judges a plan that was read from a file: by its own calls, besides those
// that the inventory's policies and routes name, and with the consents of a
// policy, which may be nil.
func Reprove(ctx context.Context, st *mesh.State, p *api.MigrationPlan, policy *api.MigrationPolicy) error {
	edges, _, _ := Edges(st, nil)
	type key struct {
		from, to api.Ref
		port     int
	}
	have := map[key]bool{}
	all := slices.Clone(p.Calls)
	for _, e := range all {
		have[key{e.From, e.To, e.Port}] = true
	}
	for _, e := range edges {
		if !have[key{e.From, e.To, e.Port}] {
			all = append(all, e)
		}
	}
	if err := Prove(ctx, st, all, p); err != nil {
		return err
	}
	if policy != nil {
		consent(p, policy)
	}
	complete(p)
	return nil
}

// proofOf writes the result of one state for people. seen are the gaps that an
// earlier state has shown.
func proofOf(s *proof.StepProof, advice *adviser, seen map[string]bool) api.Proof {
	out := api.Proof{Result: api.ProofUnknown, Reason: "this step was not evaluated", Counterexamples: []api.Counterexample{}}
	if s == nil {
		return out
	}
	out.States, out.Calls, out.Reason = s.Mixes, s.Calls, ""
	out.Gaps, out.Unconsented = len(s.Gaps), len(s.Gaps)
	for _, g := range s.Gaps {
		switch {
		case seen[g.ID] && len(out.Still) < maxCounterexamples:
			out.Still = append(out.Still, g.ID)
		case !seen[g.ID] && len(out.Counterexamples) < maxCounterexamples:
			seen[g.ID] = true
			out.Counterexamples = append(out.Counterexamples, api.Counterexample{
				ID: g.ID, Kind: g.Kind, Client: g.Client, Service: g.Service, Port: int(g.Port), Anyone: g.Anyone, Outside: g.ClientMode == mesh.ModeNone,
				Request: g.Request, Before: g.Before, After: g.After, Choices: advice.choices(s.Wave, g),
			})
		}
	}
	var open []string
	for _, u := range s.Unknowns {
		who := ""
		if u.Client != "" {
			who = u.Client + " to "
		}
		line := fmt.Sprintf("%s%s: %s", who, u.Service, u.Why)
		if u.Port != 0 {
			line = fmt.Sprintf("%s%s port %d: %s", who, u.Service, u.Port, u.Why)
		}
		open = append(open, line)
	}
	for _, ref := range s.NotFollowed {
		open = append(open, fmt.Sprintf("%s: what changing it does is not modelled", ref))
	}
	open = append(open, s.Broken...)
	slices.Sort(open)
	open = slices.Compact(open)
	out.Unknowns = open[:min(len(open), maxUnknownCalls)]
	switch {
	case len(s.Gaps) > 0:
		out.Result = api.Gap
		out.Reason = plural(len(s.Gaps), "gap")
		if n := len(s.Gaps) - len(out.Counterexamples) - len(out.Still); n > 0 {
			out.Reason += fmt.Sprintf(", of which %d are not shown", n)
		}
		if len(open) > 0 {
			out.Reason += fmt.Sprintf("; nothing can be said of %s", plural(len(open), "more call"))
		}
	case len(open) > 0:
		out.Reason = fmt.Sprintf("nothing can be said of %s: %s", plural(len(open), "call"), shortList(open, 2))
	default:
		out.Result = api.Proved
	}
	return out
}

// adviser knows what could be done about a gap.
type adviser struct {
	wave    map[string]int
	subject map[api.Ref]*api.Decision
}

func newAdviser(p *api.MigrationPlan) *adviser {
	a := &adviser{wave: map[string]int{}, subject: decisionsBySubject(p.Decisions)}
	for _, n := range p.Namespaces {
		a.wave[n.Name] = n.Wave
	}
	return a
}

// choices lists what can be done about a gap, best first.
func (a *adviser) choices(wave int, g proof.Gap) []string {
	var out []string
	service := g.Service.Namespace + "/" + g.Service.Name
	client := g.Client.Namespace + "/" + g.Client.Name
	switch {
	case g.Kind == api.GapRoutes:
		out = append(out, fmt.Sprintf("activate a waypoint of %s before %s loses its sidecar", service, client), fmt.Sprintf("waive the need of %s with a reason, if nobody misses it", service))
	case g.ClientMode == mesh.ModeNone:
		out = append(out, "bring the callers outside the mesh into it first", "admit them with a layer 4 policy (ipBlocks, ports) and accept that layer 7 rules do not hold for them")
	case g.ClientMode == mesh.ModeSidecar && a.wave[g.Client.Namespace] > wave:
		out = append(out, fmt.Sprintf("move %s no later than wave %d", client, wave))
	case g.ClientMode == mesh.ModeSidecar && a.wave[g.Client.Namespace] == wave && wave > 0:
		out = append(out, fmt.Sprintf("restart %s in an earlier step than %s", client, service))
	case g.ClientMode == mesh.ModeSidecar:
		out = append(out, "move "+client+" as well, which this plan does not")
	}
	if g.Anyone && !g.Suspect {
		out = append(out, fmt.Sprintf("say who calls %s (--edges FILE.csv, or edges in the needs): without that everybody may", service))
	}
	return append(out, "keep the sidecar of "+service+" (keepSidecar in its needs)", "consent to "+g.ID+" with a reason")
}

// count sums the proofs of a plan up. A gap counts once, however many states have it.
func count(p *api.MigrationPlan, r *proof.Result) {
	for _, w := range p.Waves {
		for _, s := range w.Steps {
			for _, x := range append([]api.Proof{s.Proof}, rollbackProofs(&s)...) {
				p.Proof.States++
				switch x.Result {
				case api.Proved:
					p.Proof.Proved++
				case api.Gap:
					p.Proof.Gaps++
				case api.ProofUnknown, api.ProofUnset:
					p.Proof.Unknown++
				}
			}
		}
	}
	p.Proof.ByKind = map[string]int{string(api.GapPermissive): 0, string(api.GapRestrictive): 0, string(api.GapPlaintext): 0, string(api.GapRoutes): 0}
	seen := map[string]bool{}
	for i := range r.Steps {
		for _, g := range r.Steps[i].Gaps {
			if !seen[g.ID] {
				seen[g.ID] = true
				p.Proof.ByKind[string(g.Kind)]++
			}
		}
	}
}

func rollbackProofs(s *api.Step) []api.Proof {
	var out []api.Proof
	for _, r := range s.Rollback {
		out = append(out, r.Proof)
	}
	return out
}

// plural is "1 gap", "2 gaps".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
