package mesh

import (
	"cmp"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// sorted gives the inventory with its lists in the order that they are documented to have. People may write an
// inventory by hand, or join two, and the order must not show in a plan. Lists that are in order are shared; what is
// not is copied, so that the caller's document stays as it is.
func sorted(inv *api.Inventory) *api.Inventory {
	out := *inv
	out.Namespaces = inOrder(inv.Namespaces, func(a, b *api.Namespace) int { return a.Ref().Compare(b.Ref()) })
	out.Workloads = inOrder(inv.Workloads, func(a, b *api.Workload) int { return a.Ref().Compare(b.Ref()) })
	out.Services = inOrder(inv.Services, func(a, b *api.Service) int { return a.Ref().Compare(b.Ref()) })
	out.Objects = inOrder(inv.Objects, func(a, b *api.Object) int { return a.Ref().Compare(b.Ref()) })
	out.Edges = inOrder(inv.Edges, func(a, b *api.Edge) int {
		return cmp.Or(a.From.Compare(b.From), a.To.Compare(b.To), cmp.Compare(a.Port, b.Port),
			cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Provenance, b.Provenance), slices.CompareFunc(a.Evidence, b.Evidence, api.Evidence.Compare))
	})
	return &out
}

// inOrder is the list itself when it is in order, else a sorted copy.
func inOrder[T any](list []T, compare func(a, b *T) int) []T {
	for i := 1; i < len(list); i++ {
		if compare(&list[i-1], &list[i]) > 0 {
			out := slices.Clone(list)
			slices.SortStableFunc(out, func(a, b T) int { return compare(&a, &b) })
			return out
		}
	}
	return list
}
