package telemetry

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/telemetry/series"
)

// flow is one call and its ways through the plan.
type flow struct {
	call series.Call
	// service as namespace/name, for people.
	service string
	// labels by which queries select it, as a sidecar reports them.
	labels map[string]string
	// ways are the different ones that it goes, today's first, and names what the facts call them.
	ways  []way
	names []string
	// course says which of them it goes when.
	course *course
	// guessed says that nobody named the caller: one that moves early or late stands for it.
	guessed bool
	// quiet says that the server's sidecar reports no requests, quietWaypoints the waypoints that do not.
	quiet          bool
	quietWaypoints map[mesh.ActiveWaypoint]bool
	// gateway says that the client is a gateway.
	gateway bool
}

// course is which ways a flow goes in which state, shared by all flows that go alike.
type course struct {
	// kinds are the ways of the flow, as the world numbers them, today's first.
	kinds []int
	// during and end are, by state, indexes into kinds: the ways while a step runs, those at its end among them, and
	// those at its end.
	during, end [][]int
}

// standing are the indexes of the ways between steps, each once, in their order.
func (c *course) standing() []int {
	var out []int
	for _, end := range c.end {
		out = append(out, end...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// last is the index of the way that is left when the plan is done.
func (c *course) last() int {
	end := c.end[len(c.end)-1]
	return end[len(end)-1]
}

// passage is the ways of a flow in one state.
type passage struct{ during, end []way }

// outsider stands for clients outside of the mesh.
func outsider() series.Workload {
	return series.Workload{Ref: series.Ref{Namespace: "outside-of-the-mesh", Name: "client"}}
}

// way is how a call goes in a state.
type way struct {
	client, server mesh.Mode
	waypoint       mesh.ActiveWaypoint
}

// ways adds those between clients and servers in some modes.
func ways(have []way, clients, servers []mesh.Mode, wp mesh.ActiveWaypoint) []way {
	for _, c := range clients {
		for _, s := range servers {
			if one := (way{c, s, wp}); !slices.Contains(have, one) {
				have = append(have, one)
			}
		}
	}
	return have
}

// course gives a flow its ways. It fails when nobody can say what is reported on one of them.
func (w *world) course(f *flow, all []passage) error {
	index := map[way]int{}
	number := func(one way) int {
		n, ok := index[one]
		if !ok {
			n = len(f.ways)
			index[one] = n
			f.ways = append(f.ways, one)
		}
		return n
	}
	c := &course{}
	number(all[0].end[0])
	for _, at := range all {
		var during, end []int
		for _, one := range at.end {
			end = append(end, number(one))
		}
		for _, one := range append(slices.Clone(at.during), at.end...) {
			if n := number(one); !slices.Contains(during, n) {
				during = append(during, n)
			}
		}
		c.during, c.end = append(c.during, during), append(c.end, end)
	}
	f.quietWaypoints = w.quietOf(f)
	for _, one := range f.ways {
		s := one.state(f)
		if _, err := series.PathOf(f.call, s); err != nil {
			return err
		}
		f.names = append(f.names, s.Name)
	}
	base := fmt.Sprint(f.call.Protocol, f.gateway, f.quiet, f.names[0])
	for i, one := range f.ways {
		c.kinds = append(c.kinds, w.kind(base, fmt.Sprint(base, f.names[i], f.quietWaypoints[one.waypoint])))
	}
	var key strings.Builder
	fmt.Fprint(&key, c.kinds, c.during, c.end)
	if have, ok := w.courses[key.String()]; ok {
		c = have
	} else {
		w.courses[key.String()] = c
	}
	f.course = c
	return nil
}

// kind numbers what decides about the series of a call: the protocol, who calls, today's way and this one.
func (w *world) kind(base, key string) int {
	n, ok := w.kinds[key]
	if !ok {
		b, seen := w.kinds[base]
		if !seen {
			b = len(w.bases)
			w.kinds[base] = b
			w.bases = append(w.bases, b)
		}
		n = len(w.bases)
		w.kinds[key] = n
		w.bases = append(w.bases, b)
	}
	return n
}

// quietOf are the waypoints on the ways of a flow that report nothing.
func (w *world) quietOf(f *flow) map[mesh.ActiveWaypoint]bool {
	var out map[mesh.ActiveWaypoint]bool
	for _, one := range f.ways {
		wp := one.waypoint
		if wp.Name != "" && w.quiet[wp.Namespace] != "" && !switchedOn(w.st, wp) {
			if out == nil {
				out = map[mesh.ActiveWaypoint]bool{}
			}
			out[wp] = true
		}
	}
	return out
}

func (w way) state(f *flow) series.State {
	s := series.State{Modes: map[series.Ref]mesh.Mode{f.call.From.Ref: w.client, f.call.To.Ref: w.server}}
	if f.call.From.Ref == f.call.To.Ref {
		s.Modes[f.call.To.Ref] = w.server
	}
	if w.waypoint.Name != "" {
		s.Waypoints = map[series.Ref]series.Waypoint{f.call.Service: waypointOf(w.waypoint)}
	}
	if f.quiet || f.quietWaypoints[w.waypoint] {
		s.NoServerMetrics = map[series.Ref]bool{f.call.To.Ref: f.quiet, {Namespace: w.waypoint.Namespace, Name: w.waypoint.Name}: f.quietWaypoints[w.waypoint]}
	}
	if p, err := series.PathOf(f.call, s); err == nil {
		s.Name = p.String()
	}
	return s
}

func waypointOf(w mesh.ActiveWaypoint) series.Waypoint {
	return series.Waypoint{
		Workload:   series.Workload{Ref: series.Ref{Namespace: w.Namespace, Name: w.Name}, ServiceAccount: w.Name},
		IngressUse: w.IngressUse,
	}
}
