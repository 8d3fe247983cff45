package mesh

import api "github.com/ambientplan/ambientplan/api/v1alpha1"

// DataPlanes are the states that a plan leads through, as far as they decide who reports traffic.
type DataPlanes struct {
	// Workloads of the mesh; the modes of a state are in their order.
	Workloads []api.Ref
	// States in the order of the plan. The first is today.
	States []DataPlane
}

// DataPlane is one state: the end of a step, with what its pods went through on the way.
type DataPlane struct {
	// Wave and Step that lead to it; Step is "" for today.
	Wave int
	Step string
	// Modes that pods of each workload have at the end of the step. More than one means that they differ, or that it
	// depends on which of them were recreated.
	Modes [][]Mode
	// During are the modes that they have while the step runs, those at its start and at its end among them.
	During [][]Mode
	// Waypoints that take what is addressed to a Service, by Service.
	Waypoints map[api.Ref]ActiveWaypoint
}

// ActiveWaypoint is a waypoint that a Service's label names and that takes it.
type ActiveWaypoint struct {
	Namespace, Name string
	// IngressUse says that gateways go through it as well (istio.io/ingress-use-waypoint).
	IngressUse bool
}
