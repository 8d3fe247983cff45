package planner

import (
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/rules"
)

// Draft is what a plan decides before it orders and proves anything. Istio merges
// Services of the same name across the clusters of a mesh, so they must have one mode
// (facts M-35): a draft can be asked again with what was decided elsewhere, until all
// clusters agree, and only then is each of them planned.
type Draft struct {
	st    *mesh.State
	needs []api.Need
	in    Input
}

// NewDraft reads the needs of a cluster. What the input has under Elsewhere is not used.
func NewDraft(in Input) *Draft {
	if in.Policy == nil {
		in.Policy = &api.MigrationPolicy{}
	}
	st, _ := mesh.New(in.Inventory)
	return &Draft{st: st, needs: rules.Run(st, in.Inventory.Coverage, rules.All()).Needs, in: in}
}

// Mesh is the state that the draft was made from.
func (d *Draft) Mesh() *mesh.State { return d.st }

// Decided is what a draft decides, as Plan would with the same needs from elsewhere.
type Decided struct {
	Decisions  []api.Decision
	Namespaces []api.PlanNamespace
	Held       []api.HeldNamespace
}

// Decide decides with needs that Services have in other clusters.
func (d *Draft) Decide(elsewhere []api.Need) Decided {
	ds, _ := Decide(d.st, slices.Concat(d.needs, elsewhere), d.in.Needs, d.in.Policy)
	spaces, held := namespacesOf(d.st, ds)
	return Decided{Decisions: ds, Namespaces: spaces, Held: held}
}
