package planner

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// Requests of the data plane's pods by the charts' defaults, in milli-CPU and
// MiB. Source: manifests/charts in istio (ztunnel, istio-cni, global.proxy and
// global.waypoint of istio-discovery), facts S-01 to S-03 and S-08.
const (
	sidecarCPU, sidecarMemory   = 100, 128
	ztunnelCPU, ztunnelMemory   = 200, 512
	cniCPU, cniMemory           = 100, 100
	waypointCPU, waypointMemory = 100, 128
)

// cost compares the requests of today's sidecars with what replaces them.
func cost(st *mesh.State, ds []api.Decision, p *api.MigrationPolicy) api.Cost {
	c := api.Cost{}
	staying := map[api.Ref]bool{}
	waypoints := map[api.WaypointRef]bool{}
	for _, d := range ds {
		if d.Waypoint != nil {
			waypoints[api.WaypointRef{Name: d.Waypoint.Name, Namespace: d.Waypoint.Namespace}] = true
		}
		if d.Kind == api.KeepSidecarDecision || d.Kind == api.Blocked {
			for _, w := range d.Workloads {
				staying[w] = true
			}
		}
	}
	keep := 0
	for i := range st.Workloads() {
		w := &st.Workloads()[i]
		if m := st.Mode(w); m != mesh.ModeSidecar && m != mesh.ModeMixed {
			continue
		}
		n := podsOf(w)
		if w.Pods.Observed {
			n = w.Pods.Sidecar
		}
		c.Sidecars += n
		if staying[w.Ref()] {
			keep += n
		}
	}
	for _, cl := range st.Clusters() {
		for _, n := range cl.Nodes {
			c.Nodes += n.Count
		}
	}
	replicas := 2
	if p != nil {
		replicas = max(2, p.Waypoint.MinReplicas)
	}
	c.Waypoints = len(waypoints)
	c.BeforeCPU, c.BeforeMemory = int64(c.Sidecars)*sidecarCPU, int64(c.Sidecars)*sidecarMemory
	c.AfterCPU = int64(keep)*sidecarCPU + int64(c.Nodes)*(ztunnelCPU+cniCPU) + int64(c.Waypoints*replicas)*waypointCPU
	c.AfterMemory = int64(keep)*sidecarMemory + int64(c.Nodes)*(ztunnelMemory+cniMemory) + int64(c.Waypoints*replicas)*waypointMemory
	c.Assumptions = fmt.Sprintf("requests of the charts' defaults: sidecar %dm/%dMi, ztunnel %dm/%dMi and istio-cni %dm/%dMi for each node, waypoint %dm/%dMi times %d replicas; %d sidecars stay",
		sidecarCPU, sidecarMemory, ztunnelCPU, ztunnelMemory, cniCPU, cniMemory, waypointCPU, waypointMemory, replicas, keep)
	if c.Nodes == 0 {
		c.Assumptions += "; no node was read, so ztunnel and istio-cni are missing from the sum"
	}
	return c
}

// podsOf is how many pods a workload has: counted, else asked for, else 1.
func podsOf(w *api.Workload) int {
	switch {
	case w.Pods.Observed:
		return w.Pods.Total - w.Pods.Done
	case w.Replicas != nil:
		return int(*w.Replicas)
	}
	return 1
}
