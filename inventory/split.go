package inventory

import api "github.com/ambientplan/ambientplan/api/v1alpha1"

// Split gives each cluster of an inventory its own, so that what has the same name in two
// clusters is not taken for one thing. What names no cluster goes to all of them. An
// inventory of one cluster, or of none that is named, is returned as it is.
func Split(inv *api.Inventory) []*api.Inventory {
	if len(inv.Clusters) <= 1 {
		return []*api.Inventory{inv}
	}
	out := make([]*api.Inventory, 0, len(inv.Clusters))
	for _, c := range inv.Clusters {
		part := &api.Inventory{TypeMeta: inv.TypeMeta, Clusters: []api.Cluster{c}, Documents: inv.Documents}
		part.Namespaces = only(inv.Namespaces, func(n *api.Namespace) string { return n.Cluster }, c.Name)
		part.Workloads = only(inv.Workloads, func(w *api.Workload) string { return w.Cluster }, c.Name)
		part.Services = only(inv.Services, func(s *api.Service) string { return s.Cluster }, c.Name)
		part.Objects = only(inv.Objects, func(o *api.Object) string { return o.Cluster }, c.Name)
		part.Edges = only(inv.Edges, func(e *api.Edge) string { return e.To.Cluster }, c.Name)
		part.Coverage = only(inv.Coverage, func(k *api.KindCoverage) string { return k.Cluster }, c.Name)
		part.Unknowns = only(inv.Unknowns, func(u *api.Unknown) string { return u.Subject.Cluster }, c.Name)
		out = append(out, part)
	}
	return out
}

// only keeps what belongs to a cluster, and what belongs to none.
func only[T any](list []T, cluster func(*T) string, name string) []T {
	var out []T
	for i := range list {
		if at := cluster(&list[i]); at == name || at == "" {
			out = append(out, list[i])
		}
	}
	return out
}
