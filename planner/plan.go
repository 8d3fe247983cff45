// Package planner turns the state of a mesh into a migration plan:
// needs -> decisions -> constraints -> waves -> steps -> proof. It does no I/O
// and writes no YAML; the only clock is Input.Now.
package planner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/rules"
)

// Input is everything that a plan depends on.
type Input struct {
	Inventory *api.Inventory
	// Needs are the documents of owners and the annotations of the inventory.
	Needs  []api.FeatureNeeds
	Policy *api.MigrationPolicy
	// Now is today; waves get dates only when the policy has a calendar.
	Now time.Time
	// Tool is the version written into the plan.
	Tool string
	// Digest is over the input documents.
	Digest string
	// Agreed are the waves of an earlier plan that this one shall keep.
	Agreed Agreed
	// Elsewhere are needs that the Services of the inventory have in other clusters of
	// the mesh: see Draft.
	Elsewhere []api.Need
}

// Slot is what the schedule says of one wave.
type Slot struct {
	// Number of the wave, from 1; a number is missing where an earlier plan had a wave
	// of which nothing is left.
	Number int
	// Name that the wave had in an earlier plan; empty for one that is new.
	Name string
	// Namespaces that cut over in this wave, sorted.
	Namespaces []string
	// Early are the steps of namespaces of later waves that must be done in this one.
	Early []api.StepRef
	// Reasons say why the wave stands here, in words.
	Reasons []string
	// NotBefore is YYYY-MM-DD, or empty without a calendar.
	NotBefore string
	// begun waves keep their day.
	begun bool
}

// ErrClusters marks an inventory of several clusters.
var ErrClusters = errors.New("a plan is for one cluster, and the inventory is of several")

// clusterNames lists the clusters of an inventory.
func clusterNames(inv *api.Inventory) string {
	var out []string
	for _, c := range inv.Clusters {
		out = append(out, c.Name)
	}
	return strings.Join(out, ", ")
}

// Plan computes the whole plan. It fails only on a contradiction in the input
// that no plan could be honest about, or when ctx is done.
func Plan(ctx context.Context, in Input) (*api.MigrationPlan, error) {
	if n := len(in.Inventory.Clusters); n > 1 {
		return nil, fmt.Errorf("%w: it holds %d (%s); read and plan one at a time", ErrClusters, n, clusterNames(in.Inventory))
	}
	policy := in.Policy
	if policy == nil {
		policy = &api.MigrationPolicy{}
	}
	st, unknowns := mesh.New(in.Inventory)
	res := rules.Run(st, in.Inventory.Coverage, rules.All())
	unknowns = append(unknowns, in.Inventory.Unknowns...)
	unknowns = append(unknowns, res.Unknowns...)
	findings := slices.Clone(res.Findings)
	if err := ctx.Err(); err != nil {
		return nil, err
	}

	unknowns = append(unknowns, unseenNamespaces(st)...)
	ds, fs := Decide(st, slices.Concat(res.Needs, in.Elsewhere), in.Needs, policy)
	findings = append(findings, fs...)
	edges, fs, us := Edges(st, in.Needs)
	findings, unknowns = append(findings, fs...), append(unknowns, us...)
	cs, err := Derive(st, ds, edges, policy)
	if err != nil {
		return nil, err
	}
	cs = joinConstraints(cs, Constrain(st, notModelled(ds), edges))
	findings = append(findings, Impossible(st, ds, edges)...)
	findings = append(findings, httpFeatures(st, ds)...)

	spaces, held := namespacesOf(st, ds)
	var moving []api.PlanNamespace
	for _, n := range spaces {
		if n.Wave != 0 {
			moving = append(moving, n)
		}
	}
	findings = append(findings, policyNames(st, policy)...)
	slots, cs, fs, err := Reschedule(moving, ds, cs, policy, in.Now, in.Agreed)
	if err != nil {
		return nil, err
	}
	findings = append(findings, fs...)

	steps := newStepper(st, ds, edges, policy)
	steps.conversions = steps.conversionsOf()
	findings = append(findings, steps.conversions.findings...)
	waves := []api.Wave{}
	if len(slots) > 0 {
		var all []string
		for _, n := range spaces {
			if n.Mode == mesh.ModeSidecar.String() || n.Mode == mesh.ModeMixed.String() {
				all = append(all, n.Name)
			}
		}
		waves = append(waves, foundation(st, all))
	}
	for _, slot := range slots {
		waves = append(waves, makeWave(slot, spaces, steps.wave(slot)))
	}
	if steps.err != nil {
		return nil, steps.err
	}
	findings = append(findings, steps.findings...)

	p := &api.MigrationPlan{
		TypeMeta: api.TypeMeta{APIVersion: api.APIVersion, Kind: api.KindMigrationPlan},
		Cluster:  clusterNames(in.Inventory), Tool: in.Tool, Digest: in.Digest, Calls: withoutEvidence(edges),
		Decisions: ds, Waves: waves, Held: held, Constraints: cs,
		Findings: findings, Unknowns: unknowns, Coverage: in.Inventory.Coverage,
		Cost: steps.cost(spaces, waves), GitOps: policy.GitOps, Namespaces: spaces, Base: steps.bases(),
	}
	if err := Prove(ctx, st, edges, p); err != nil {
		return nil, err
	}
	p.Unknowns = append(p.Unknowns, behind(in.Agreed.Plan, in.Agreed.Done, p)...)
	settle(p, policy, in.Inventory)
	p.Objects = Dispose(st, p)
	return p, nil
}

// withoutEvidence is the call graph as a plan keeps it.
func withoutEvidence(edges []api.Edge) []api.Edge {
	out := slices.Clone(edges)
	for i := range out {
		out[i].Evidence = nil
	}
	return out
}

// unseenNamespaces are those whose labels decide what is in the mesh and were
// not read.
func unseenNamespaces(st *mesh.State) []api.Unknown {
	var out []api.Unknown
	for i := range st.Namespaces() {
		n := &st.Namespaces()[i]
		if st.ControlPlaneNamespace(n.Name) {
			continue
		}
		open := 0
		for _, w := range st.WorkloadsIn(n.Name) {
			if st.Mode(w) == mesh.ModeUnknown {
				open++
			}
		}
		if open > 0 {
			out = append(out, api.Unknown{
				ID: "namespace-labels", Subject: n.Ref(),
				What:   fmt.Sprintf("the Namespace object of %s was not read, and its labels decide whether %d workloads have sidecars", n.Name, open),
				Could:  "every decision in the namespace, and its place in the order",
				Action: "add the Namespace object to the input, or take the inventory with running pods",
			})
		}
	}
	return out
}

// bases lists what the tree holds before any step, sorted.
func (s *stepper) bases() []api.BaseObject {
	out := make([]api.BaseObject, 0, len(s.tree.base))
	for _, b := range s.tree.base {
		out = append(out, b)
	}
	slices.SortFunc(out, func(a, b api.BaseObject) int { return a.Object.Compare(b.Object) })
	return out
}

// namespacesOf says of each namespace with pods in the mesh whether it moves
// (Wave is then -1 until the schedule knows better) or is held, and why.
func namespacesOf(st *mesh.State, ds []api.Decision) ([]api.PlanNamespace, []api.HeldNamespace) {
	byNS := map[string][]*api.Decision{}
	for i := range ds {
		byNS[ds[i].Namespace] = append(byNS[ds[i].Namespace], &ds[i])
	}
	var spaces []api.PlanNamespace
	var held []api.HeldNamespace
	for i := range st.Namespaces() {
		n := &st.Namespaces()[i]
		ws := st.WorkloadsIn(n.Name)
		if len(ws) == 0 {
			continue
		}
		pn := api.PlanNamespace{Cluster: n.Cluster, Name: n.Name, Mode: modeOf(st, ws).String()}
		for _, w := range ws {
			if st.InMesh(w) {
				pn.Pods += podsOf(w)
			}
		}
		moves, blocked := false, []string(nil)
		for _, d := range byNS[n.Name] {
			pn.Team, pn.Owner, pn.Contact = cmp.Or(pn.Team, d.Team), cmp.Or(pn.Owner, d.Owner), cmp.Or(pn.Contact, d.Contact)
			switch d.Kind {
			case api.Blocked:
				blocked = append(blocked, d.Subject.String()+": "+d.Why)
			case api.L4Only, api.Waypoint:
				moves = moves || d.Mode == mesh.ModeSidecar.String() || d.Mode == mesh.ModeMixed.String()
			case api.KeepSidecarDecision, api.OutOfMesh, api.DecisionUnset:
			}
		}
		switch {
		case len(blocked) > 0:
			held = append(held, api.HeldNamespace{Cluster: n.Cluster, Name: n.Name, Reasons: blocked})
		case moves:
			pn.Wave = -1
		case st.ControlPlaneNamespace(n.Name):
			// It never moves, so nothing holds it back.
		case pn.Mode == mesh.ModeSidecar.String() || pn.Mode == mesh.ModeMixed.String():
			held = append(held, api.HeldNamespace{Cluster: n.Cluster, Name: n.Name, Reasons: []string{"everything in it keeps its sidecar"}})
		}
		spaces = append(spaces, pn)
	}
	return spaces, held
}

// makeWave puts a wave together and writes its number into its namespaces.
func makeWave(slot Slot, spaces []api.PlanNamespace, steps []api.Step) api.Wave {
	w := api.Wave{Number: slot.Number, Name: cmp.Or(slot.Name, waveName(slot.Namespaces)), Namespaces: slot.Namespaces, Reasons: slot.Reasons, NotBefore: slot.NotBefore, Steps: steps}
	if w.Reasons == nil {
		w.Reasons = []string{}
	}
	if w.Steps == nil {
		w.Steps = []api.Step{}
	}
	for i := range spaces {
		if !slices.Contains(slot.Namespaces, spaces[i].Name) {
			continue
		}
		spaces[i].Wave = slot.Number
		w.Pods += spaces[i].Pods
		if t := spaces[i].Team; t != "" && !slices.Contains(w.Teams, t) {
			w.Teams = append(w.Teams, t)
		}
	}
	slices.Sort(w.Teams)
	return w
}

// waveName names a wave after its first namespaces.
func waveName(namespaces []string) string {
	name := strings.Join(namespaces[:min(len(namespaces), 2)], "-")
	if len(namespaces) > 2 {
		name = fmt.Sprintf("%s-and-%d-more", namespaces[0], len(namespaces)-1)
	}
	return shortName(name, "", 60)
}
