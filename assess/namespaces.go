package assess

import (
	"cmp"
	"fmt"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// maxWhy is how many reasons are given for a namespace.
const maxWhy = 4

// namespacesOf says of each namespace of the mesh what moving it would bring.
func (f *facts) namespacesOf(v clusterView) {
	cost := map[string]api.NamespaceCost{}
	for _, c := range v.plan.Cost.Namespaces {
		cost[c.Namespace] = c
	}
	held := map[string][]string{}
	for _, h := range v.plan.Held {
		held[h.Name] = h.Reasons
	}
	for _, n := range v.plan.Namespaces {
		if v.st.ControlPlaneNamespace(n.Name) {
			continue
		}
		nv := api.NamespaceVerdict{Cluster: n.Cluster, Namespace: n.Name, Why: []string{}}
		c := cost[n.Name]
		nv.Sidecars, nv.Waypoints, nv.Frees = c.Sidecars, c.Waypoints, c.Before.Minus(c.After)
		services(&nv, v.plan.Decisions)
		switch {
		case n.Mode == mesh.ModeAmbient.String():
			nv.Action, nv.Why = api.NamespaceDone, []string{"its pods are in ambient mode"}
		case n.Mode != mesh.ModeSidecar.String() && n.Mode != mesh.ModeMixed.String():
			continue
		case n.Wave == 0:
			nv.Action = api.NamespaceKeep
			nv.Why = short(held[n.Name])
			if len(nv.Why) == 0 {
				nv.Why = []string{"the plan has no wave for it"}
			}
			nv.Frees = c.Before
			f.keeping++
		case nv.Frees.MilliCPU <= 0 && nv.Frees.MemoryMiB <= 0:
			nv.Action = api.NamespaceLittle
			nv.Why = []string{fmt.Sprintf("%s would go, and its %s asks for as much or more: a waypoint shared with other namespaces (waypoint.scope in the MigrationPolicy) changes that", counted(nv.Sidecars-c.Staying, "sidecar"), counted(nv.Waypoints, "waypoint"))}
			f.little++
		default:
			nv.Action = api.NamespaceMove
			nv.Why = []string{moveWhy(&nv)}
			if c.Staying > 0 {
				nv.Why = append(nv.Why, counted(c.Staying, "sidecar")+" in it stay")
			}
			f.moving++
		}
		f.namespaces = append(f.namespaces, nv)
	}
	slices.SortFunc(f.namespaces, func(a, b api.NamespaceVerdict) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Namespace, b.Namespace))
	})
}

// services counts the services of a namespace, and those for which ztunnel is enough.
func services(nv *api.NamespaceVerdict, ds []api.Decision) {
	for i := range ds {
		if d := &ds[i]; d.Namespace == nv.Namespace && d.Service != "" && d.Kind != api.OutOfMesh {
			nv.Services++
			if d.Kind == api.L4Only {
				nv.L4Only++
			}
		}
	}
}

func moveWhy(nv *api.NamespaceVerdict) string {
	out := fmt.Sprintf("%s, and ztunnel is enough for %d of %s", counted(nv.Sidecars, "sidecar")+" go", nv.L4Only, counted(nv.Services, "service"))
	if nv.Waypoints > 0 {
		out += "; " + counted(nv.Waypoints, "waypoint") + " for the others"
	}
	return out
}

// short keeps the first reasons and counts the rest.
func short(reasons []string) []string {
	if len(reasons) <= maxWhy {
		return slices.Clone(reasons)
	}
	return append(slices.Clone(reasons[:maxWhy]), fmt.Sprintf("and %d more", len(reasons)-maxWhy))
}
