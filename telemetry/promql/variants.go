package promql

import (
	"slices"

	"github.com/ambientplan/ambientplan/telemetry/series"
)

// variant is the traffic with something wrong in it, to make alerts fire.
type variant struct {
	name    string
	traffic Traffic
}

// variants are what alerts are exercised with, the plan's own traffic first.
func variants(t Traffic) []variant {
	each := func(name string, change func(c *series.Call)) variant {
		v := variant{name: name, traffic: Traffic{Workloads: t.Workloads, Calls: slices.Clone(t.Calls)}}
		for i := range v.traffic.Calls {
			change(&v.traffic.Calls[i])
		}
		return v
	}
	return []variant{
		{name: "the known traffic", traffic: t},
		each("no errors", func(c *series.Call) { c.Errors, c.Unrouted = 0, 0 }),
		each("half of the requests failing", func(c *series.Call) { c.Errors = .5 }),
		each("every request failing", func(c *series.Call) { c.Errors = 1 }),
		each("no endpoint for a tenth of the requests", func(c *series.Call) { c.Unrouted = .1 }),
		each("a hundredth of the traffic", func(c *series.Call) { c.Rate /= 100 }),
		each("no traffic", func(c *series.Call) { c.Rate = 0 }),
		each("a half more traffic", func(c *series.Call) { c.Rate *= 1.5 }),
		each("ten times the traffic", func(c *series.Call) { c.Rate *= 10 }),
		each("a thousand times the traffic", func(c *series.Call) { c.Rate *= 1000 }),
		each("requests of 20 seconds", func(c *series.Call) { c.LatencyMS = 20_000 }),
	}
}
