package planner

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// Requests and limits of the data plane's pods by the charts' defaults. Source:
// manifests/charts in istio (ztunnel, istio-cni, global.proxy and global.waypoint of
// istio-discovery), facts S-01 to S-03. ztunnel and istio-cni have no limits.
var (
	sidecarRequests  = api.Resources{MilliCPU: 100, MemoryMiB: 128}
	sidecarLimits    = api.Resources{MilliCPU: 2000, MemoryMiB: 1024}
	ztunnelRequests  = api.Resources{MilliCPU: 200, MemoryMiB: 512}
	cniRequests      = api.Resources{MilliCPU: 100, MemoryMiB: 100}
	waypointRequests = api.Resources{MilliCPU: 100, MemoryMiB: 128}
	waypointLimits   = api.Resources{MilliCPU: 2000, MemoryMiB: 1024}
)

// Annotations by which owners size the sidecars of their pods. Where one of them is
// set, the chart's default counts for none (files/injection-template.yaml, "resources").
const (
	annotationProxyMemory      = "sidecar.istio.io/proxyMemory"
	annotationProxyCPULimit    = "sidecar.istio.io/proxyCPULimit"
	annotationProxyMemoryLimit = "sidecar.istio.io/proxyMemoryLimit"
)

// madeWaypoint is a waypoint that the plan makes.
type madeWaypoint struct {
	namespace string
	wave      int
	size      api.WaypointPolicy
}

// requests of all its pods, and how many these are at least.
func (w madeWaypoint) requests() (api.Resources, int) {
	pods := max(2, w.size.MinReplicas)
	one := api.Resources{
		MilliCPU:  cmp.Or(int64(milliOf(w.size.CPURequest)), waypointRequests.MilliCPU),
		MemoryMiB: cmp.Or(mebiOf(w.size.MemoryRequest), waypointRequests.MemoryMiB),
	}
	return one.Times(pods), pods
}

// sidecars are those of one workload, and what they are given.
type sidecars struct {
	count, assumed, unlimited int
	requests, limits          api.Resources
}

func (s *sidecars) add(o sidecars) {
	s.count, s.assumed, s.unlimited = s.count+o.count, s.assumed+o.assumed, s.unlimited+o.unlimited
	s.requests, s.limits = s.requests.Plus(o.requests), s.limits.Plus(o.limits)
}

// sidecarsOf counts the sidecars of a workload: what its running pods give them, else
// what annotations ask for, else the chart's default.
func sidecarsOf(w *api.Workload, nodes int) sidecars {
	if p := w.Pods; p.Observed {
		read := sidecars{}
		if p.Proxies != nil {
			read = sidecars{count: p.Proxies.Pods, requests: p.Proxies.Requests, limits: p.Proxies.Limits, unlimited: p.Proxies.NoLimits}
		}
		rest := sidecars{count: max(p.Sidecar-read.count, 0)}
		rest.templated(w.PodAnnotations)
		read.add(rest)
		return read
	}
	out := sidecars{count: podsOf(w)}
	if w.Kind == "DaemonSet" && nodes > 0 {
		out.count = nodes
	}
	out.templated(w.PodAnnotations)
	return out
}

// templated sizes sidecars as the injector does. Counted as assumed are those that get the
// chart's default, for the values of the installation are not read.
func (s *sidecars) templated(annotations map[string]string) {
	sized := false
	for _, k := range []string{annotationProxyCPU, annotationProxyMemory, annotationProxyCPULimit, annotationProxyMemoryLimit} {
		sized = sized || annotations[k] != ""
	}
	if !sized {
		s.requests, s.limits, s.assumed = sidecarRequests.Times(s.count), sidecarLimits.Times(s.count), s.count
		return
	}
	read := func(cpu, memory string) api.Resources {
		return api.Resources{MilliCPU: int64(milliOf(annotations[cpu])), MemoryMiB: mebiOf(annotations[memory])}
	}
	limits := read(annotationProxyCPULimit, annotationProxyMemoryLimit)
	requests := read(annotationProxyCPU, annotationProxyMemory)
	// A limit without a request is the request: the API server writes it down.
	requests.MilliCPU = cmp.Or(requests.MilliCPU, limits.MilliCPU)
	requests.MemoryMiB = cmp.Or(requests.MemoryMiB, limits.MemoryMiB)
	s.requests, s.limits = requests.Times(s.count), limits.Times(s.count)
	if limits.MilliCPU == 0 || limits.MemoryMiB == 0 {
		s.unlimited = s.count
	}
}

// nodeAgents is what runs on each node: today, and in ambient mode.
type nodeAgents struct {
	nodes         int
	before, after api.Resources
	// podsBefore and podsAfter on each node.
	podsBefore, podsAfter int
	assumed               bool
}

// agentsOf reads which node agents run today and what they ask for.
func agentsOf(st *mesh.State) nodeAgents {
	out := nodeAgents{}
	ztunnel, cni := ztunnelRequests, cniRequests
	zSeen, cSeen := false, false
	for _, c := range st.Clusters() {
		for _, n := range c.Nodes {
			if n.OS != "windows" {
				out.nodes += n.Count
			}
		}
		for _, comp := range c.Components {
			switch comp.Name {
			case "ztunnel":
				zSeen = true
				if comp.Requests != nil {
					ztunnel = *comp.Requests
				}
			case "istio-cni-node":
				cSeen = true
				if comp.Requests != nil {
					cni = *comp.Requests
				}
			}
		}
	}
	out.after, out.podsAfter = ztunnel.Plus(cni), 2
	if zSeen {
		out.before, out.podsBefore = out.before.Plus(ztunnel), out.podsBefore+1
	}
	if cSeen {
		out.before, out.podsBefore = out.before.Plus(cni), out.podsBefore+1
	}
	out.assumed = !zSeen || !cSeen
	return out
}

// cost compares what the data plane asks for today with what it asks for after each wave.
func (s *stepper) cost(spaces []api.PlanNamespace, waves []api.Wave) api.Cost {
	agents := agentsOf(s.st)
	by := s.costByNamespace(spaces, agents.nodes)
	c := api.Cost{Nodes: agents.nodes, Waypoints: len(s.made)}
	before, after := agents.before.Times(agents.nodes), agents.after.Times(agents.nodes)
	c.Limits.UnlimitedBefore, c.Limits.UnlimitedAfter = agents.podsBefore*agents.nodes, agents.podsAfter*agents.nodes
	for _, ns := range slices.Sorted(maps.Keys(by)) {
		n := by[ns]
		before, after = before.Plus(n.cost.Before), after.Plus(n.cost.After)
		c.Sidecars, c.Staying = c.Sidecars+n.cost.Sidecars, c.Staying+n.cost.Staying
		c.Assumed += n.all.assumed
		c.WaypointPods += n.waypointPods
		c.Limits.Before = c.Limits.Before.Plus(n.all.limits)
		c.Limits.After = c.Limits.After.Plus(n.staying.limits).Plus(waypointLimits.Times(n.waypointPods))
		c.Limits.UnlimitedBefore += n.all.unlimited
		c.Limits.UnlimitedAfter += n.staying.unlimited
		c.Namespaces = append(c.Namespaces, n.cost)
	}
	c.BeforeCPU, c.BeforeMemory, c.AfterCPU, c.AfterMemory = before.MilliCPU, before.MemoryMiB, after.MilliCPU, after.MemoryMiB
	if c.Nodes == 0 && c.Sidecars > 0 {
		c.Missing = append(c.Missing, fmt.Sprintf("no node was read: ztunnel and istio-cni, which ask for %dm and %dMi on each node, are in no sum", agents.after.MilliCPU, agents.after.MemoryMiB))
	}
	c.BreakEven = breakEven(s.st, &c, agents, s.made)
	c.Waves = s.costByWave(waves, by, agents)
	c.Assumptions = assumptions(&c, agents)
	return c
}

// namespaceSum is what is added up for a namespace.
type namespaceSum struct {
	cost         api.NamespaceCost
	all, staying sidecars
	waypointPods int
}

func (s *stepper) costByNamespace(spaces []api.PlanNamespace, nodes int) map[string]*namespaceSum {
	wave := map[string]int{}
	for _, n := range spaces {
		wave[n.Name] = max(n.Wave, 0)
	}
	out := map[string]*namespaceSum{}
	at := func(ns string) *namespaceSum {
		if out[ns] == nil {
			out[ns] = &namespaceSum{cost: api.NamespaceCost{Namespace: ns, Wave: wave[ns]}}
		}
		return out[ns]
	}
	for i := range s.st.Workloads() {
		w := &s.st.Workloads()[i]
		if m := s.st.Mode(w); m != mesh.ModeSidecar && m != mesh.ModeMixed {
			continue
		}
		n, have := at(w.Namespace), sidecarsOf(w, nodes)
		n.all.add(have)
		if !s.moving[w.Ref()] || s.staying[w.Ref()] || wave[w.Namespace] == 0 {
			n.staying.add(have)
		}
	}
	for _, m := range s.made {
		r, pods := m.requests()
		n := at(m.namespace)
		n.cost.Waypoints++
		n.waypointPods += pods
		n.cost.After = n.cost.After.Plus(r)
	}
	for _, n := range out {
		n.cost.Sidecars, n.cost.Staying = n.all.count, n.staying.count
		n.cost.Before, n.cost.After = n.all.requests, n.cost.After.Plus(n.staying.requests)
	}
	return out
}

// costByWave follows the data plane through the waves. Inside of one its waypoints stand
// before its sidecars go; wave 0 adds what runs on every node.
func (s *stepper) costByWave(waves []api.Wave, by map[string]*namespaceSum, agents nodeAgents) []api.WaveCost {
	now := agents.before.Times(agents.nodes)
	for _, n := range by {
		now = now.Plus(n.all.requests)
	}
	var out []api.WaveCost
	for _, w := range waves {
		if w.Number == 0 {
			now = now.Plus(agents.after.Minus(agents.before).Times(agents.nodes))
		}
		for _, m := range s.made {
			if m.wave == w.Number {
				r, _ := m.requests()
				now = now.Plus(r)
			}
		}
		wc := api.WaveCost{Wave: w.Number, Peak: now}
		for _, ns := range w.Namespaces {
			if n := by[ns]; n != nil && n.cost.Wave == w.Number {
				now = now.Minus(n.all.requests.Minus(n.staying.requests))
			}
		}
		wc.Done = now
		out = append(out, wc)
	}
	return out
}

// breakEven asks from how many sidecars a node on ambient mode asks for less.
func breakEven(st *mesh.State, c *api.Cost, agents nodeAgents, made []madeWaypoint) *api.BreakEven {
	if c.Sidecars == 0 {
		return nil
	}
	added := agents.after.Minus(agents.before)
	sum, waypoints := api.Resources{}, api.Resources{}
	for _, n := range c.Namespaces {
		sum = sum.Plus(n.Before)
	}
	for _, m := range made {
		r, _ := m.requests()
		waypoints = waypoints.Plus(r)
	}
	b := &api.BreakEven{NodeAgents: added, Sidecar: api.Resources{MilliCPU: sum.MilliCPU / int64(c.Sidecars), MemoryMiB: sum.MemoryMiB / int64(c.Sidecars)}}
	per := func(agent, waypoint, sidecars int64) float64 {
		if sidecars == 0 {
			return 0
		}
		need := float64(agent)
		if c.Nodes > 0 {
			need += float64(waypoint) / float64(c.Nodes)
		}
		return tenth(need * float64(c.Sidecars) / float64(sidecars))
	}
	b.SidecarsCPU = per(added.MilliCPU, waypoints.MilliCPU, sum.MilliCPU)
	b.SidecarsMemory = per(added.MemoryMiB, waypoints.MemoryMiB, sum.MemoryMiB)
	if c.Nodes > 0 {
		b.Today = tenth(float64(c.Sidecars-c.Staying) / float64(c.Nodes))
	}
	for _, cl := range st.Clusters() {
		for _, n := range cl.Nodes {
			if n.OS == "windows" {
				continue
			}
			sc := api.ShapeCost{NodeShape: n}
			if have := milliOf(n.CPU); have > 0 {
				sc.PercentCPU = tenth(100 * float64(agents.after.MilliCPU) / float64(have))
			}
			if have := mebiOf(n.Memory); have > 0 {
				sc.PercentMemory = tenth(100 * float64(agents.after.MemoryMiB) / float64(have))
			}
			b.Shapes = append(b.Shapes, sc)
		}
	}
	return b
}

// assumptions says in words where the figures come from.
func assumptions(c *api.Cost, agents nodeAgents) string {
	out := fmt.Sprintf("%d of %d sidecars by what pods or annotations ask for", c.Sidecars-c.Assumed, c.Sidecars)
	if c.Assumed > 0 {
		out += fmt.Sprintf(", %d by the chart's default of %dm/%dMi", c.Assumed, sidecarRequests.MilliCPU, sidecarRequests.MemoryMiB)
	}
	from := "as installed"
	if agents.assumed {
		from = "by the charts' defaults where they are not installed yet"
	}
	out += fmt.Sprintf("; ztunnel and istio-cni %dm/%dMi a node, %s", agents.after.MilliCPU, agents.after.MemoryMiB, from)
	if c.Waypoints > 0 {
		out += fmt.Sprintf("; %s of %s, at the least that their autoscalers keep", counted(c.WaypointPods, "pod"), counted(c.Waypoints, "waypoint"))
	}
	return out + fmt.Sprintf("; %s stay", counted(c.Staying, "sidecar"))
}

// tenth rounds to one decimal.
func tenth(f float64) float64 { return math.Round(f*10) / 10 }

// mebiOf reads a quantity of memory in MiB, rounded up; 0 for none and for one that is none.
func mebiOf(text string) int64 {
	q, err := resource.ParseQuantity(text)
	if err != nil || q.Sign() < 0 {
		return 0
	}
	return (q.Value() + 1<<20 - 1) >> 20
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
