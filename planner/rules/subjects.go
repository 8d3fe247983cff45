package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// maxListed bounds how many names a message spells out.
const maxListed = 8

// subjectsOf are the subjects that a need of a workload is written down for:
// each Service that selects its pods, or the workload itself behind none.
func subjectsOf(st *mesh.State, w *api.Workload) []api.Ref {
	var out []api.Ref
	for _, s := range st.ServicesOf(w) {
		out = append(out, s.Ref())
	}
	if len(out) == 0 {
		out = append(out, w.Ref())
	}
	return out
}

// needOf writes a need down for every subject of a workload.
func needOf(p *Pass, w *api.Workload, c api.Capability, reason string, ev ...api.Evidence) {
	for _, s := range subjectsOf(p.Mesh(), w) {
		p.Need(s, c, reason, ev...)
	}
}

// membersOf keeps the workloads that are in the mesh today; gateways are not
// among them since they never move.
func membersOf(st *mesh.State, ws []*api.Workload) []*api.Workload {
	return slices.DeleteFunc(slices.Clone(ws), func(w *api.Workload) bool { return !st.InMesh(w) })
}

// podPath is the path, in the object of a workload, of a field of its pods:
// podPath(w, "spec.hostNetwork"), podPath(w, "metadata.labels").
func podPath(w *api.Workload, field string) string {
	switch w.Kind {
	case "Pod":
		return field
	case "CronJob":
		return "spec.jobTemplate.spec.template." + field
	}
	return "spec.template." + field
}

// podLabel is the evidence for a label of the pods of a workload.
func podLabel(w *api.Workload, key string) api.Evidence {
	return Field(w.Ref(), Join(podPath(w, "metadata.labels"), key), w.PodLabels[key])
}

// podAnnotation is the evidence for an annotation of the pods of a workload.
func podAnnotation(w *api.Workload, key string) api.Evidence {
	return Field(w.Ref(), Join(podPath(w, "metadata.annotations"), key), w.PodAnnotations[key])
}

// annotationKeys are the keys of the pods' annotations that keep accepts, sorted.
func annotationKeys(w *api.Workload, keep func(string) bool) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(w.PodAnnotations)) {
		if keep(k) {
			out = append(out, k)
		}
	}
	return out
}

// listed spells names out for people, and counts those beyond maxListed.
func listed(names []string) string {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	if n := len(names) - maxListed; n > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxListed], ", "), n)
	}
	return strings.Join(names, ", ")
}

// workloadNames spells workloads of one namespace out for people.
func workloadNames(ws []*api.Workload) string {
	names := make([]string, len(ws))
	for i, w := range ws {
		names[i] = w.Kind + " " + w.Name
	}
	return listed(names)
}

// workloadsOf is one evidence a workload, for its object as a whole.
func workloadsOf(ws []*api.Workload) []api.Evidence {
	out := make([]api.Evidence, len(ws))
	for i, w := range ws {
		out[i] = api.Evidence{Object: w.Ref()}
	}
	return out
}

// clusterRef is the subject of what concerns a cluster as a whole.
func clusterRef(c *api.Cluster) api.Ref {
	name := c.Name
	if name == "" {
		name = "cluster"
	}
	return api.Ref{Cluster: c.Name, Kind: "Cluster", Name: name}
}

// perNamespace calls f for each namespace that holds workloads for which keep
// is true, with those workloads.
func perNamespace(st *mesh.State, keep func(*api.Namespace, *api.Workload) bool, f func(*api.Namespace, []*api.Workload)) {
	all := st.Namespaces()
	for i := range all {
		ns := &all[i]
		var kept []*api.Workload
		for _, w := range st.WorkloadsIn(ns.Name) {
			if keep(ns, w) {
				kept = append(kept, w)
			}
		}
		if len(kept) > 0 {
			f(ns, kept)
		}
	}
}
