// Package fleet makes one plan for several clusters. Each cluster is planned from its own
// inventory by package planner; this package sees to it that Services which several
// clusters of a mesh have under one name get one mode (facts M-35), puts the waves of the
// clusters into one order with a canary cluster first, and says what no cluster's own
// proof covers.
package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/planner"
)

// Input is everything that the plan of a fleet depends on.
type Input struct {
	Members []Member
	Policy  *api.MigrationPolicy
	// Now is today; waves get dates only when the policy has a calendar.
	Now time.Time
	// Tool is the version written into the plans.
	Tool string
	// Digest is over all input documents.
	Digest string
}

// Member is one cluster of a fleet.
type Member struct {
	Name string
	// Inventory of this cluster alone, whose references all name it; nil when it could not
	// be read.
	Inventory *api.Inventory
	// Unreadable says why there is no inventory.
	Unreadable string
	// Needs are the documents of owners, and the annotations of this inventory.
	Needs []api.FeatureNeeds
	// Digest is over the documents of this cluster alone, for its plan.
	Digest string
}

// ErrNames marks clusters that cannot be told apart, or a policy that names none of them.
var ErrNames = errors.New("the clusters of the fleet")

// ErrUnreadable marks a fleet of which no cluster could be read.
var ErrUnreadable = errors.New("no cluster could be read")

// fleet is what is known while the plan is made.
type fleet struct {
	in      Input
	policy  *api.MigrationPolicy
	members []*member
	// canary is the cluster that goes first; nil when every cluster is blocked.
	canary *member
	// because is why the canary was chosen.
	because  string
	shared   []*shared
	findings []api.Finding
	unknowns []api.Unknown
}

// member is one cluster while the plan is made.
type member struct {
	Member
	facts
	// mesh numbers the sets of clusters that are or may be one mesh.
	mesh    int
	draft   *planner.Draft
	decided planner.Decided
	// byService finds the decisions on Services.
	byService map[serviceName]*api.Decision
	// elsewhere is what its Services need in other clusters.
	elsewhere []api.Need
	state     api.FleetState
	reason    string
	plan      *api.MigrationPlan
}

// readable tells whether anything is known of the cluster.
func (m *member) readable() bool { return m.Inventory != nil }

// ref of the cluster itself.
func (m *member) ref() api.Ref { return api.Ref{Kind: "Cluster", Name: m.Name} }

// Plan plans a fleet. It fails when clusters cannot be told apart, when none of them could
// be read, when the policy contradicts itself, or when ctx is done.
func Plan(ctx context.Context, in Input) (*api.FleetPlan, error) {
	f := &fleet{in: in, policy: in.Policy}
	if f.policy == nil {
		f.policy = &api.MigrationPolicy{}
	}
	if err := f.admit(); err != nil {
		return nil, err
	}
	f.meshes()
	f.block()
	f.findShared()
	if err := f.agree(ctx); err != nil {
		return nil, err
	}
	f.chooseCanary()
	if err := f.plan(ctx); err != nil {
		return nil, err
	}
	waves, err := f.order()
	if err != nil {
		return nil, err
	}
	f.topology()
	out := &api.FleetPlan{
		TypeMeta: api.TypeMeta{APIVersion: api.APIVersion, Kind: api.KindFleetPlan},
		Tool:     in.Tool, Digest: in.Digest, Waves: waves, Clusters: f.clusters(), Shared: f.parts(waves),
	}
	out.Findings, out.Unknowns = f.findings, f.unknowns
	f.settle(out)
	return out, nil
}

// admit takes the members in, sorted by name.
func (f *fleet) admit() error {
	read := false
	for _, m := range f.in.Members {
		switch {
		case m.Name == "":
			return fmt.Errorf("%w: one of them has no name; read it with inventory --cluster NAME", ErrNames)
		case slices.ContainsFunc(f.members, func(o *member) bool { return o.Name == m.Name }):
			return fmt.Errorf("%w: two of them are called %q", ErrNames, m.Name)
		}
		in := &member{Member: m, state: api.FleetPlanned}
		if m.Inventory == nil {
			in.state, in.reason = api.FleetUnreadable, cmp.Or(m.Unreadable, "nobody says why")
		} else {
			read = true
			in.draft = planner.NewDraft(f.input(in))
			in.facts = factsOf(in.draft.Mesh())
			in.settleOn(in.draft.Decide(nil))
		}
		f.members = append(f.members, in)
	}
	slices.SortFunc(f.members, func(a, b *member) int { return cmp.Compare(a.Name, b.Name) })
	if !read {
		return ErrUnreadable
	}
	if c := f.policy.CanaryCluster; c != "" && f.member(c) == nil {
		return fmt.Errorf("%w: canaryCluster of the MigrationPolicy is %q, and there is no such cluster", ErrNames, c)
	}
	return nil
}

// input is what a cluster is planned from.
func (f *fleet) input(m *member) planner.Input {
	return planner.Input{
		Inventory: m.Inventory, Needs: m.Needs, Policy: f.in.Policy, Now: f.in.Now,
		Tool: f.in.Tool, Digest: m.Digest, Elsewhere: m.elsewhere,
	}
}

// member finds a cluster by its name; nil when there is none.
func (f *fleet) member(name string) *member {
	i := slices.IndexFunc(f.members, func(m *member) bool { return m.Name == name })
	if i < 0 {
		return nil
	}
	return f.members[i]
}

// plan plans each cluster: the canary first, and the others in its order where their own
// constraints let them.
func (f *fleet) plan(ctx context.Context) error {
	one := func(m *member, like *member) error {
		in := f.input(m)
		if like != nil && like.mesh == m.mesh {
			in.Agreed = planner.AgreedOf(like.plan, 0, 0)
			in.Agreed.Plan, in.Agreed.Cluster = nil, like.Name
		}
		var err error
		if m.plan, err = planner.Plan(ctx, in); err != nil {
			return fmt.Errorf("cluster %s: %w", m.Name, err)
		}
		m.settleOn(planner.Decided{Decisions: m.plan.Decisions, Namespaces: m.plan.Namespaces, Held: m.plan.Held})
		return nil
	}
	if f.canary != nil {
		if err := one(f.canary, nil); err != nil {
			return err
		}
	}
	for _, m := range f.members {
		if !m.readable() || m == f.canary {
			continue
		}
		if err := one(m, f.canary); err != nil {
			return err
		}
	}
	return nil
}

// clusters is what the plan says of each.
func (f *fleet) clusters() []api.FleetCluster {
	out := make([]api.FleetCluster, 0, len(f.members))
	for _, m := range f.members {
		c := api.FleetCluster{Name: m.Name, Role: m.role, State: m.state, Reason: m.reason, Plan: m.plan}
		if !m.readable() {
			c.Role = api.RoleUnknown
		} else {
			c.Network, c.MeshID, c.TrustDomain, c.Istiod = m.network.value, m.meshID.value, m.trustDomain.value, m.versions
		}
		if m == f.canary {
			c.Canary, c.Reason = true, f.because
		}
		out = append(out, c)
	}
	return out
}
