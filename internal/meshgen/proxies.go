package meshgen

import api "github.com/ambientplan/ambientplan/api/v1alpha1"

// proxySize is what one proxy of a workload asks for and may take by Istio's charts. ztunnel
// runs the same container name and has no limits.
func proxySize(workload string) (requests, limits api.Resources) {
	if workload == "ztunnel" {
		return api.Resources{MilliCPU: 200, MemoryMiB: 512}, api.Resources{}
	}
	return api.Resources{MilliCPU: 100, MemoryMiB: 128}, api.Resources{MilliCPU: 2000, MemoryMiB: 1024}
}

// proxies adds up what n pods of a workload give to their proxies.
func proxies(workload string, n int) *api.ProxyResources {
	if n == 0 {
		return nil
	}
	requests, limits := proxySize(workload)
	p := &api.ProxyResources{Pods: n, Requests: requests.Times(n), Limits: limits.Times(n)}
	if limits == (api.Resources{}) {
		p.NoLimits = n
	}
	return p
}

// proxyResources are the same as people write them.
func proxyResources(workload string) object {
	if workload == "ztunnel" {
		return object{"requests": object{"cpu": "200m", "memory": "512Mi"}}
	}
	return object{
		"requests": object{"cpu": "100m", "memory": "128Mi"},
		"limits":   object{"cpu": "2", "memory": "1Gi"},
	}
}
