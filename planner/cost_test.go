package planner_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/planner"
)

// costOf plans the case with changes to its inventory and gives the cost. Namespace
// "server" has the workload cart behind a waypoint.
func costOf(t *testing.T, change func(*api.Inventory)) api.Cost {
	t.Helper()
	inv, _ := planCase(t, "l7_allow")
	change(inv)
	p, err := planner.Plan(t.Context(), planner.Input{Inventory: inv})
	if err != nil {
		t.Fatal(err)
	}
	return p.Cost
}

func workloadNamed(t *testing.T, inv *api.Inventory, name string) *api.Workload {
	t.Helper()
	for i := range inv.Workloads {
		if inv.Workloads[i].Name == name {
			return &inv.Workloads[i]
		}
	}
	t.Fatalf("no workload %s", name)
	return nil
}

// TestCostOfSidecars: what pods are really given counts, then annotations as the injector
// reads them, then the chart.
func TestCostOfSidecars(t *testing.T) {
	ten := int32(10)
	observed := func(p *api.ProxyResources, sidecars int) func(*api.Workload) {
		return func(w *api.Workload) {
			w.Pods = api.PodCounts{Observed: true, Total: sidecars, Sidecar: sidecars, Proxies: p}
		}
	}
	annotated := func(a map[string]string) func(*api.Workload) {
		return func(w *api.Workload) { w.Replicas, w.PodAnnotations = &ten, a }
	}
	for _, c := range []struct {
		name    string
		change  func(*api.Workload)
		want    api.NamespaceCost
		assumed int
	}{
		{"the chart's default", annotated(nil), api.NamespaceCost{Sidecars: 10, Before: api.Resources{MilliCPU: 1000, MemoryMiB: 1280}}, 10},
		{"annotations", annotated(map[string]string{"sidecar.istio.io/proxyCPU": "20m", "sidecar.istio.io/proxyMemory": "64Mi"}),
			api.NamespaceCost{Sidecars: 10, Before: api.Resources{MilliCPU: 200, MemoryMiB: 640}}, 0},
		// With one annotation the injector drops all defaults: no request for memory is left.
		{"one annotation", annotated(map[string]string{"sidecar.istio.io/proxyCPU": "20m"}),
			api.NamespaceCost{Sidecars: 10, Before: api.Resources{MilliCPU: 200}}, 0},
		{"a limit is a request", annotated(map[string]string{"sidecar.istio.io/proxyMemoryLimit": "100Mi"}),
			api.NamespaceCost{Sidecars: 10, Before: api.Resources{MemoryMiB: 1000}}, 0},
		{"running pods", observed(&api.ProxyResources{Pods: 3, Requests: api.Resources{MilliCPU: 30, MemoryMiB: 120}}, 3),
			api.NamespaceCost{Sidecars: 3, Before: api.Resources{MilliCPU: 30, MemoryMiB: 120}}, 0},
		{"running pods that ask for nothing", observed(&api.ProxyResources{Pods: 3, NoRequests: 3}, 3), api.NamespaceCost{Sidecars: 3}, 0},
		{"sidecars that were not read", observed(nil, 3), api.NamespaceCost{Sidecars: 3, Before: api.Resources{MilliCPU: 300, MemoryMiB: 384}}, 3},
		{"one of them was read", observed(&api.ProxyResources{Pods: 1, Requests: api.Resources{MilliCPU: 10, MemoryMiB: 40}}, 3),
			api.NamespaceCost{Sidecars: 3, Before: api.Resources{MilliCPU: 210, MemoryMiB: 296}}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := costOf(t, func(inv *api.Inventory) {
				c.change(workloadNamed(t, inv, "cart"))
				// Of the other workloads the sidecars are known, so that what is assumed is of this one.
				for i := range inv.Workloads {
					if w := &inv.Workloads[i]; w.Name != "cart" {
						w.PodAnnotations = map[string]string{"sidecar.istio.io/proxyCPU": "100m"}
					}
				}
			})
			for _, n := range got.Namespaces {
				if n.Namespace != "server" {
					continue
				}
				n.Namespace, n.Wave, n.Waypoints, n.After = "", 0, 0, api.Resources{}
				if diff := cmp.Diff(c.want, n); diff != "" {
					t.Error(diff)
				}
			}
			if got.Assumed != c.assumed {
				t.Errorf("%d sidecars are assumed, want %d", got.Assumed, c.assumed)
			}
		})
	}
}

// TestBreakEven: the rule of thumb of 8 to 10 pods a node, checked. By the charts' defaults
// ztunnel and istio-cni ask for as much as 3 sidecars by CPU and 4.8 by memory; waypoints
// come on top; where sidecars are small, 8 to 10 is not enough.
func TestBreakEven(t *testing.T) {
	pods := func(n int, each api.Resources, nodes int) func(*api.Inventory) {
		return func(inv *api.Inventory) {
			for i := range inv.Workloads {
				w := &inv.Workloads[i]
				w.Pods = api.PodCounts{Observed: true, Total: n, Sidecar: n, Proxies: &api.ProxyResources{Pods: n, Requests: each.Times(n)}}
			}
			inv.Clusters[0].Nodes = []api.NodeShape{{OS: "linux", CPU: "4", Memory: "16Gi", Count: nodes}, {OS: "windows", CPU: "4", Count: 7}}
			if nodes == 0 {
				inv.Clusters[0].Nodes = nil
			}
		}
	}
	chart := api.Resources{MilliCPU: 100, MemoryMiB: 128}
	for _, c := range []struct {
		name        string
		change      func(*api.Inventory)
		cpu, memory float64
		saves       bool
	}{
		// (300m + 200m of two waypoint pods over 10 nodes) / 100m, and (612 + 25.6) / 128.
		{"defaults, 100 pods on each workload", pods(100, chart, 10), 3.2, 5, true},
		{"few pods on many nodes", pods(2, chart, 10), 3.2, 5, false},
		// Nine a node, as the rule of thumb wants, and still not enough.
		{"small sidecars", pods(45, api.Resources{MilliCPU: 10, MemoryMiB: 40}, 10), 32, 15.9, false},
		{"no node was read", pods(100, chart, 0), 3, 4.8, true},
		{"sidecars that ask for nothing", pods(100, api.Resources{}, 10), 0, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := costOf(t, c.change)
			b := got.BreakEven
			if b == nil || b.SidecarsCPU != c.cpu || b.SidecarsMemory != c.memory {
				t.Errorf("break-even is %+v, want %v by CPU and %v by memory", b, c.cpu, c.memory)
			}
			if saves := got.AfterMemory < got.BeforeMemory; saves != c.saves {
				t.Errorf("memory %d before and %d after; saves is %v, want %v", got.BeforeMemory, got.AfterMemory, saves, c.saves)
			}
			if whole := len(got.Missing) == 0; whole != (got.Nodes > 0) {
				t.Errorf("missing is %q with %d nodes", got.Missing, got.Nodes)
			}
		})
	}
}

// TestCostByWave: what runs on every node comes first and savings later, so that the data
// plane asks for more before it asks for less; the last wave ends at the sum.
func TestCostByWave(t *testing.T) {
	got := costOf(t, func(inv *api.Inventory) {
		inv.Clusters[0].Nodes = []api.NodeShape{{OS: "linux", Count: 3}}
	})
	if len(got.Waves) < 2 {
		t.Fatalf("waves: %+v", got.Waves)
	}
	first, last := got.Waves[0], got.Waves[len(got.Waves)-1]
	if want := got.Before().Plus(api.Resources{MilliCPU: 900, MemoryMiB: 1836}); first.Done != want {
		t.Errorf("after wave 0: %+v, want %+v", first.Done, want)
	}
	if last.Done != got.After() {
		t.Errorf("after the last wave: %+v, want %+v", last.Done, got.After())
	}
	for _, w := range got.Waves {
		if w.Peak.MilliCPU < w.Done.MilliCPU {
			t.Errorf("wave %d has a peak of %+v below its end %+v", w.Wave, w.Peak, w.Done)
		}
	}
}

// TestCostOfHeldNamespaces: a namespace that does not move saves nothing, whatever its
// other services could do.
func TestCostOfHeldNamespaces(t *testing.T) {
	got := costOf(t, func(inv *api.Inventory) {
		inv.Workloads = append(inv.Workloads, api.Workload{
			Group: "apps", Kind: "Deployment", APIVersion: "apps/v1", Namespace: "server", Name: "odd", ServiceAccount: "odd",
			PodLabels: map[string]string{"app": "odd"}, Pods: api.PodCounts{Observed: true, Total: 1, Sidecar: 1}, OS: "windows",
		})
	})
	for _, n := range got.Namespaces {
		if n.Wave == 0 && n.Staying != n.Sidecars {
			t.Errorf("%s does not move and keeps %d of %d sidecars", n.Namespace, n.Staying, n.Sidecars)
		}
		if n.Namespace == "server" && n.Staying == 0 {
			t.Errorf("the Windows workload of %s loses its sidecar: %+v", n.Namespace, n)
		}
	}
	if !strings.Contains(got.Assumptions, "stay") {
		t.Error(got.Assumptions)
	}
}
