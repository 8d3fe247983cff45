package promql

import (
	"maps"
	"slices"

	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/telemetry/series"
)

// variant is the traffic with something wrong in it, to make alerts fire.
type variant struct {
	name    string
	traffic Traffic
	// everyone of the traffic.
	everyone []series.Workload
	// rare marks traffic in which the two data plane modes differ by design (errors that a proxy makes itself,
	// callers that no waypoint sees). It is used only for what other traffic does not exercise.
	rare bool
	// security marks traffic that only queries about identity and encryption are asked with.
	security bool
	// query is the first that this traffic was made for; nil for the traffic that all queries are asked with.
	query *Query
	// made says that a call was made up, to a service that nobody is known to call.
	made bool
}

// outside is a client that is not in the mesh: the caller that security alerts are about.
func outside() series.Workload {
	return series.Workload{Ref: series.Ref{Namespace: "outside-of-the-mesh", Name: "stranger"}}
}

// withOutside is the state with that client in it.
func withOutside(s series.State) series.State {
	s.Modes = maps.Clone(s.Modes)
	if s.Modes == nil {
		s.Modes = map[series.Ref]mesh.Mode{}
	}
	s.Modes[outside().Ref] = mesh.ModeNone
	return s
}

// variants are what queries are exercised with, the plan's own traffic first.
func variants(t Traffic) []variant {
	each := func(name string, change func(c *series.Call)) variant {
		v := variant{name: name, traffic: Traffic{Workloads: t.Workloads, Calls: slices.Clone(t.Calls)}}
		for i := range v.traffic.Calls {
			change(&v.traffic.Calls[i])
		}
		return v
	}
	failing := func(name, code string) variant {
		return each(name, func(c *series.Call) { c.Errors, c.ErrorCode = .1, code })
	}
	strangers := each("calls from outside of the mesh", func(*series.Call) {})
	strangers.security = true
	unrouted := each("no endpoint for a tenth of the requests", func(c *series.Call) { c.Unrouted = .1 })
	unrouted.rare = true
	for _, c := range t.Calls {
		c.From = outside()
		strangers.traffic.Calls = append(strangers.traffic.Calls, c)
	}
	all := []variant{
		{name: "the known traffic", traffic: t},
		each("no errors", func(c *series.Call) { c.Errors, c.Unrouted = 0, 0 }),
		failing("a tenth of the requests failing", ""),
		failing("a tenth of the requests refused", "403"),
		failing("a tenth of the requests not found", "404"),
		each("half of the requests failing", func(c *series.Call) { c.Errors = .5 }),
		each("every request failing", func(c *series.Call) { c.Errors = 1 }),
		each("gRPC failing at a tenth", func(c *series.Call) {
			if c.Protocol == series.HTTP {
				c.Protocol, c.Errors = series.GRPC, .1
			}
		}),
		each("gRPC servers failing below gRPC at a tenth", func(c *series.Call) {
			if c.Protocol == series.GRPC {
				c.Errors, c.ErrorCode = .1, "500"
			}
		}),
		each("no traffic", func(c *series.Call) { c.Rate = 0 }),
		each("a hundredth of the traffic", func(c *series.Call) { c.Rate /= 100 }),
		each("a half more traffic", func(c *series.Call) { c.Rate *= 1.5 }),
		each("ten times the traffic", func(c *series.Call) { c.Rate *= 10 }),
		each("a thousand times the traffic", func(c *series.Call) { c.Rate *= 1000 }),
		each("requests of 20 seconds", func(c *series.Call) { c.LatencyMS = 20_000 }),
		strangers,
		unrouted,
	}
	for i := range all {
		all[i].everyone = all[i].traffic.Everyone()
	}
	return all
}
