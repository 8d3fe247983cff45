package inventory

import (
	"k8s.io/apimachinery/pkg/api/resource"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// countProxy adds what a pod gives to its sidecar. A sidecar that only the injector's
// annotation tells of is left out: what it is given was not read.
func countProxy(c *api.PodCounts, container map[string]any) {
	if container == nil {
		return
	}
	if c.Proxies == nil {
		c.Proxies = &api.ProxyResources{}
	}
	c.Proxies.Pods++
	requests, ok := resourcesOf(container, "requests")
	if !ok {
		c.Proxies.NoRequests++
	}
	limits, ok := resourcesOf(container, "limits")
	if !ok {
		c.Proxies.NoLimits++
	}
	c.Proxies.Requests = c.Proxies.Requests.Plus(requests)
	c.Proxies.Limits = c.Proxies.Limits.Plus(limits)
}

// resourcesOf reads the requests or limits of a container; ok is false when CPU or
// memory is not set. A limit without a request is one too: the API server writes it down.
func resourcesOf(container map[string]any, which string) (r api.Resources, ok bool) {
	set := object(container, "resources", which)
	cpu, err := resource.ParseQuantity(scalar(set["cpu"]))
	hasCPU := err == nil && cpu.Sign() >= 0
	if hasCPU {
		r.MilliCPU = cpu.MilliValue()
	}
	memory, err := resource.ParseQuantity(scalar(set["memory"]))
	hasMemory := err == nil && memory.Sign() >= 0
	if hasMemory {
		r.MemoryMiB = (memory.Value() + 1<<20 - 1) >> 20
	}
	return r, hasCPU && hasMemory
}

// requestsOfPod are the requests of all containers of a pod template; nil when it sets none.
func requestsOfPod(containers []map[string]any) *api.Resources {
	sum := api.Resources{}
	for _, c := range containers {
		r, _ := resourcesOf(c, "requests")
		sum = sum.Plus(r)
	}
	if sum == (api.Resources{}) {
		return nil
	}
	return &sum
}
