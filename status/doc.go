// Package status says where a cluster stands in a plan, which checks of the plan hold,
// and whether the next step may start. It is a pure function of what was read: what
// could not be read is unknown, and an unknown stops.
package status
