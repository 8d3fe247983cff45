package inventory

import api "github.com/ambientplan/ambientplan/api/v1alpha1"

// count adds a live pod to the counts of its owner. Sidecars are recognised by
// container, native sidecar or the injector's annotation (facts E-27); capture
// by istio-cni's annotation (facts E-10), where a sidecar excludes capture
// (facts E-20). "pending" is not captured yet.
func count(c *api.PodCounts, p *pod) {
	c.Observed = true
	c.Total++
	if p.hostNetwork {
		c.HostNetwork++
	}
	switch {
	case p.done:
		c.Done++
	case p.sidecar:
		c.Sidecar++
		countProxy(c, p.proxy)
		if p.native {
			c.NativeSidecar++
		}
		if p.hbone {
			c.HBONE++
		}
	case p.ambient:
		c.Ambient++
	default:
		c.Uncaptured++
	}
}
