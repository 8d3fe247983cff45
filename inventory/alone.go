package inventory

import (
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// Alone is the inventory of one cluster without the name of the cluster in its references,
// as a plan of one cluster has them; the cluster itself keeps its name. The inventory that
// is handed in stays as it is. One of several clusters, or of none that is named, is
// returned unchanged.
func Alone(inv *api.Inventory) *api.Inventory {
	if len(inv.Clusters) != 1 || inv.Clusters[0].Name == "" {
		return inv
	}
	u := unnamer(inv.Clusters[0].Name)
	out := *inv
	c := inv.Clusters[0]
	c.Istiods = each(c.Istiods, func(x *api.ControlPlane) { u.ref(&x.Ref) })
	c.Components = each(c.Components, func(x *api.Component) { u.ref(&x.Ref) })
	c.Platforms = each(c.Platforms, func(x *api.Platform) { u.ref(&x.Evidence.Object) })
	out.Clusters = []api.Cluster{c}
	out.Namespaces = each(inv.Namespaces, func(x *api.Namespace) { u.name(&x.Cluster) })
	out.Workloads = each(inv.Workloads, func(x *api.Workload) {
		u.name(&x.Cluster)
		x.Shifts = each(x.Shifts, u.ref)
	})
	out.Services = each(inv.Services, func(x *api.Service) { u.name(&x.Cluster) })
	out.Objects = each(inv.Objects, func(x *api.Object) { u.name(&x.Cluster) })
	out.Edges = each(inv.Edges, func(x *api.Edge) {
		u.ref(&x.From)
		u.ref(&x.To)
		x.Evidence = each(x.Evidence, u.evidence)
	})
	out.Coverage = each(inv.Coverage, func(x *api.KindCoverage) { u.name(&x.Cluster) })
	out.Unknowns = each(inv.Unknowns, func(x *api.Unknown) {
		u.ref(&x.Subject)
		x.Evidence = each(x.Evidence, u.evidence)
	})
	return &out
}

// unnamer takes the name of a cluster out of references; another name stays, as that of
// the other end of a call between clusters.
type unnamer string

func (u unnamer) name(s *string) {
	if *s == string(u) {
		*s = ""
	}
}

func (u unnamer) ref(r *api.Ref) { u.name(&r.Cluster) }

func (u unnamer) evidence(e *api.Evidence) { u.ref(&e.Object) }

// each changes a copy of a list.
func each[T any](list []T, change func(*T)) []T {
	out := slices.Clone(list)
	for i := range out {
		change(&out[i])
	}
	return out
}
