// Package mesh says what Istio does with a given state of a cluster: who is in
// the mesh and how, which policies apply to whom, what a host name resolves to.
// It holds pure functions of a State; it does no I/O and knows nothing of
// migration, waves or files.
package mesh
