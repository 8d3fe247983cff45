package planner

import (
	"context"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/proof"
)

// DataPlanes are the states that a plan leads through, as far as they decide who carries, and reports, the traffic. st
// is the mesh that the plan was made from. It fails only when ctx is done.
func DataPlanes(ctx context.Context, st *mesh.State, p *api.MigrationPlan) (*mesh.DataPlanes, error) {
	return proof.DataPlanes(ctx, proof.Input{State: st, Calls: p.Calls, Base: p.Base, Waves: p.Waves})
}
