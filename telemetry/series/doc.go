// Package series is the metrics model: who emits which series, with which labels, in which data plane mode.
//
// The table Rows has one row for each emitter of a call's metrics: the sidecar on the client's and on the
// server's side, a gateway, ztunnel on both sides, and a waypoint. Emit applies it to one call in one
// state of a plan, so a state (which workload is in which mode, which service has an active waypoint) gives a
// set of series. Emission of things that belong to a workload and not to a call (containers, targets,
// istiod's clients) is in Workloads.
//
// The model was read in Istio's, Envoy's and ztunnel's source and in upstream's tests; it was not captured
// on a cluster. A consumer must print that limit with what it concludes.
package series
