package inventory

import (
	"cmp"
	"maps"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// finish puts together what was collected, sorted.
func (b *builder) finish() (*api.Inventory, error) {
	b.aggregate()
	b.implyNamespaces()
	cluster := api.Cluster{Name: b.cluster, KubernetesVersion: b.version, Istiods: b.istiods, Components: b.components}
	for shape, n := range b.nodes {
		shape.Count = n
		cluster.Nodes = append(cluster.Nodes, shape)
	}
	cluster.Components = b.withCilium(cluster.Components)
	for _, name := range slices.Sorted(maps.Keys(b.platforms)) {
		cluster.Platforms = append(cluster.Platforms, b.platforms[name])
	}
	slices.SortFunc(cluster.Nodes, func(x, y api.NodeShape) int {
		return cmp.Or(cmp.Compare(x.OS, y.OS), cmp.Compare(x.CPU, y.CPU), cmp.Compare(x.Memory, y.Memory))
	})
	slices.SortFunc(cluster.Istiods, func(x, y api.ControlPlane) int { return x.Ref.Compare(y.Ref) })
	slices.SortFunc(cluster.Components, func(x, y api.Component) int {
		return cmp.Or(cmp.Compare(x.Name, y.Name), x.Ref.Compare(y.Ref))
	})
	inv := &api.Inventory{
		TypeMeta:   api.TypeMeta{APIVersion: api.APIVersion, Kind: api.KindInventory},
		Clusters:   []api.Cluster{cluster},
		Namespaces: b.namespaces,
		Services:   b.services,
		Objects:    b.objects,
		Coverage:   b.coverage(),
		Unknowns:   b.unknowns,
		Documents:  b.count,
	}
	for _, w := range b.workloads {
		inv.Workloads = append(inv.Workloads, *w)
	}
	slices.SortFunc(inv.Namespaces, func(x, y api.Namespace) int { return x.Ref().Compare(y.Ref()) })
	slices.SortFunc(inv.Services, func(x, y api.Service) int { return x.Ref().Compare(y.Ref()) })
	slices.SortFunc(inv.Workloads, func(x, y api.Workload) int { return x.Ref().Compare(y.Ref()) })
	slices.SortFunc(inv.Objects, func(x, y api.Object) int { return x.Ref().Compare(y.Ref()) })
	slices.SortFunc(inv.Unknowns, api.Unknown.Compare)
	return inv, nil
}

// implyNamespaces adds the namespaces of which only the objects were read.
func (b *builder) implyNamespaces() {
	known := map[string]bool{}
	for _, n := range b.namespaces {
		known[n.Name] = true
	}
	imply := func(name string) {
		if name != "" && !known[name] {
			known[name] = true
			b.namespaces = append(b.namespaces, api.Namespace{Cluster: b.cluster, Name: name, Implied: true})
		}
	}
	for i := range b.services {
		imply(b.services[i].Namespace)
	}
	for i := range b.objects {
		imply(b.objects[i].Namespace)
	}
	for _, w := range b.workloads {
		imply(w.Namespace)
	}
}
