package rewind

import (
	"maps"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// index finds the objects of an inventory.
type index struct {
	inv        *api.Inventory
	namespaces map[string]*api.Namespace
	workloads  map[api.Ref]*api.Workload
	services   map[api.Ref]*api.Service
	objects    map[api.Ref]*api.Object
	coverage   map[[2]string]api.CoverageState
}

func newIndex(inv *api.Inventory) *index {
	x := &index{
		inv: inv, namespaces: map[string]*api.Namespace{}, workloads: map[api.Ref]*api.Workload{}, services: map[api.Ref]*api.Service{},
		objects: map[api.Ref]*api.Object{}, coverage: map[[2]string]api.CoverageState{},
	}
	for i := range inv.Namespaces {
		x.namespaces[inv.Namespaces[i].Name] = &inv.Namespaces[i]
	}
	for i := range inv.Workloads {
		x.workloads[anyCluster(inv.Workloads[i].Ref())] = &inv.Workloads[i]
	}
	for i := range inv.Services {
		x.services[anyCluster(inv.Services[i].Ref())] = &inv.Services[i]
	}
	for i := range inv.Objects {
		x.objects[anyCluster(inv.Objects[i].Ref())] = &inv.Objects[i]
	}
	for _, c := range inv.Coverage {
		x.coverage[[2]string{c.Group, c.Kind}] = c.State
	}
	return x
}

// anyCluster drops the cluster: a plan is of one cluster, which files do not name and
// a context does.
func anyCluster(r api.Ref) api.Ref {
	r.Cluster = ""
	return r
}

// seen tells whether the inventory says of a kind what there is.
func (x *index) seen(r api.Ref) bool { return x.coverage[[2]string{r.Group, r.Kind}].Known() }

// before is what an object held before any step of a plan: what the plan says, else
// what the inventory that it was made from says.
func (x *index) before(ref api.Ref, base *api.BaseObject) api.Content {
	if base != nil {
		return base.Content
	}
	if o := x.objects[anyCluster(ref)]; o != nil {
		return o.Content
	}
	if c := x.labelled(ref); c != nil {
		return c
	}
	return nil
}

// labelled is what the inventory knows of an object that is read in a shape of its
// own, as the object holds it: the labels and annotations that fragments set, and for
// a Service its selector. nil when there is none.
func (x *index) labelled(ref api.Ref) api.Content {
	ref = anyCluster(ref)

	switch {
	case ref.Group == "" && ref.Kind == "Namespace":
		n := x.namespaces[ref.Name]
		if n == nil || n.Implied {
			return nil
		}
		return api.Content(map[string]any{"metadata": metadata(n.Labels, n.Annotations)})
	case ref.Group == "" && ref.Kind == "Service":
		s := x.services[ref]
		if s == nil {
			return nil
		}
		return api.Content(map[string]any{"metadata": metadata(s.Labels, s.Annotations), "spec": map[string]any{"selector": values(s.Selector)}})
	}
	w := x.workloads[ref]
	if w == nil {
		return nil
	}
	template := map[string]any{"metadata": metadata(w.PodLabels, w.PodAnnotations)}
	out := map[string]any{"metadata": metadata(w.Labels, nil)}
	switch w.Kind {
	case "CronJob":
		out["spec"] = map[string]any{"jobTemplate": map[string]any{"spec": map[string]any{"template": template}}}
	case "Pod":
		out["metadata"] = metadata(w.PodLabels, w.PodAnnotations)
	default:
		out["spec"] = map[string]any{"template": template}
	}
	return api.Content(out)
}

func metadata(labels, annotations map[string]string) map[string]any {
	return map[string]any{"labels": values(labels), "annotations": values(annotations)}
}

func values(m map[string]string) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

// now is what the inventory holds of an object; known is false when that cannot be told.
func (x *index) now(ref api.Ref) (c api.Content, known bool) {
	if o := x.objects[anyCluster(ref)]; o != nil {
		return o.Content, true
	}
	if c := x.labelled(ref); c != nil {
		return c, true
	}
	return nil, x.seen(ref)
}

// sortedKeys of a map.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
