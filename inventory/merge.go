package inventory

import (
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// Merge puts the inventories of several clusters into one, sorted. Every reference of
// theirs must name its cluster.
func Merge(all []*api.Inventory) *api.Inventory {
	out := &api.Inventory{TypeMeta: api.TypeMeta{APIVersion: api.APIVersion, Kind: api.KindInventory}}
	for _, inv := range all {
		out.Clusters = append(out.Clusters, inv.Clusters...)
		out.Namespaces = append(out.Namespaces, inv.Namespaces...)
		out.Workloads = append(out.Workloads, inv.Workloads...)
		out.Services = append(out.Services, inv.Services...)
		out.Objects = append(out.Objects, inv.Objects...)
		out.Edges = append(out.Edges, inv.Edges...)
		out.Coverage = append(out.Coverage, inv.Coverage...)
		out.Unknowns = append(out.Unknowns, inv.Unknowns...)
		d := inv.Documents
		out.Documents.Read += d.Read
		out.Documents.Kept += d.Kept
		out.Documents.Irrelevant += d.Irrelevant
		out.Documents.Unreadable += d.Unreadable
		out.Documents.Duplicate += d.Duplicate
	}
	slices.SortFunc(out.Namespaces, func(x, y api.Namespace) int { return x.Ref().Compare(y.Ref()) })
	slices.SortFunc(out.Services, func(x, y api.Service) int { return x.Ref().Compare(y.Ref()) })
	slices.SortFunc(out.Workloads, func(x, y api.Workload) int { return x.Ref().Compare(y.Ref()) })
	slices.SortFunc(out.Objects, func(x, y api.Object) int { return x.Ref().Compare(y.Ref()) })
	slices.SortFunc(out.Edges, compareEdges)
	slices.SortFunc(out.Unknowns, api.Unknown.Compare)
	return out
}
