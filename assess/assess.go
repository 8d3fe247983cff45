package assess

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner"
)

// Input is everything that an assessment depends on.
type Input struct {
	// Clusters, one inventory each.
	Clusters []Cluster
	// Earlier are older inventories of the same clusters, to see what grows; or empty.
	Earlier []*api.Inventory
	Policy  *api.MigrationPolicy
	// Answers are what people say; several may.
	Answers []api.Assessment
	// Unreadable names clusters or files that could not be read, with why.
	Unreadable []string
	// Now is today, for a calendar in the policy.
	Now    time.Time
	Tool   string
	Digest string
}

// Cluster is the inventory of one cluster, and the needs of the owners of its services.
type Cluster struct {
	Inventory *api.Inventory
	Needs     []api.FeatureNeeds
}

// ErrNothing marks an assessment of no inventory.
var ErrNothing = errors.New("there is no inventory to assess")

// clusterView is one cluster with its plan.
type clusterView struct {
	name string
	st   *mesh.State
	plan *api.MigrationPlan
}

// Assess answers for all clusters together. It fails when a plan cannot be made for one of
// them, or when ctx is done.
func Assess(ctx context.Context, in Input) (*api.AssessmentReport, error) {
	if len(in.Clusters) == 0 {
		return nil, ErrNothing
	}
	var views []clusterView
	for _, c := range in.Clusters {
		p, err := planner.Plan(ctx, planner.Input{Inventory: c.Inventory, Needs: c.Needs, Policy: in.Policy, Now: in.Now})
		if err != nil {
			return nil, err
		}
		st, _ := mesh.New(c.Inventory)
		name := ""
		if len(c.Inventory.Clusters) > 0 {
			name = c.Inventory.Clusters[0].Name
		}
		views = append(views, clusterView{name: name, st: st, plan: p})
	}
	slices.SortStableFunc(views, func(a, b clusterView) int { return cmp.Compare(a.name, b.name) })
	f := gather(views, in)
	r := &api.AssessmentReport{
		TypeMeta: api.TypeMeta{APIVersion: api.APIVersion, Kind: api.KindAssessmentReport},
		Tool:     in.Tool, Digest: in.Digest,
		Questions: questions(f), Namespaces: f.namespaces, Options: options(f), Found: f.found,
		Contradictions: f.contradictions, Costs: costs(views, f.prices), Unknowns: f.unknowns,
	}
	judge(r, f)
	if r.Found == nil {
		r.Found = []api.FoundPart{}
	}
	if r.Unknowns == nil {
		r.Unknowns = []api.Unknown{}
	}
	if r.Namespaces == nil {
		r.Namespaces = []api.NamespaceVerdict{}
	}
	return r, nil
}

// hoursPerMonth is 365 days of 24 hours, by 12.
const hoursPerMonth = 730

// costs lists the cost in each cluster with Istio, and its price.
func costs(views []clusterView, prices *api.Prices) []api.ClusterCost {
	out := []api.ClusterCost{}
	for _, v := range views {
		c := v.plan.Cost
		if c.Sidecars == 0 && c.Waypoints == 0 {
			continue
		}
		cc := api.ClusterCost{Cluster: v.name, Cost: c}
		if prices != nil {
			cc.Price = &api.PriceDelta{
				Currency: prices.Currency, Whole: len(c.Missing) == 0,
				Before: monthly(c.Before(), prices), After: monthly(c.After(), prices),
			}
		}
		out = append(out, cc)
	}
	return out
}

// monthly is the price of what is asked for, for a month, to the hundredth.
func monthly(r api.Resources, p *api.Prices) float64 {
	hour := float64(r.MilliCPU)/1000*p.VCPUHour + float64(r.MemoryMiB)/1024*p.GiBHour
	return float64(int64(hour*hoursPerMonth*100+0.5)) / 100
}

// counted is "1 service", "2 services".
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
