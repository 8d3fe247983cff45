// Package planner turns the state of a mesh into a migration plan:
// needs -> decisions -> constraints -> waves -> steps -> proof. It does no I/O
// and writes no YAML; the only clock is Input.Now.
package planner

import (
	"context"
	"slices"
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
}

// Slot is what the schedule says of one wave.
type Slot struct {
	// Namespaces that cut over in this wave, sorted.
	Namespaces []string
	// Early are the steps of namespaces of later waves that must be done in this one.
	Early []api.StepRef
	// Reasons say why the wave stands here, in words.
	Reasons []string
	// NotBefore is YYYY-MM-DD, or empty without a calendar.
	NotBefore string
}

// Plan computes the whole plan. It fails only on a contradiction in the input
// that no plan could be honest about, or when ctx is done.
func Plan(ctx context.Context, in Input) (*api.MigrationPlan, error) {
	st, unknowns := mesh.New(in.Inventory)
	res := rules.Run(st, in.Inventory.Coverage, rules.All())
	unknowns = append(unknowns, in.Inventory.Unknowns...)
	unknowns = append(unknowns, res.Unknowns...)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	slices.SortFunc(unknowns, api.Unknown.Compare)
	return &api.MigrationPlan{
		TypeMeta: api.TypeMeta{APIVersion: api.APIVersion, Kind: api.KindMigrationPlan},
		Tool:     in.Tool, Digest: in.Digest,
		Findings: res.Findings, Unknowns: unknowns, Coverage: in.Inventory.Coverage,
	}, nil
}
