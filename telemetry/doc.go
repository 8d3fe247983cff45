// Package telemetry says what a plan does to dashboards, alerts, autoscalers and canary analyses.
//
// It lays the traffic of the mesh over the states of the plan: each call has a sequence of ways, such as S->S, A->S,
// A->A+W, and what is reported of it depends on the way. Queries are judged, rewritten and proved for the ways that
// occur in this plan, and for no others: no single rewrite is right in all of them (observability.md 0, 1.9).
package telemetry

//go:generate go run ../internal/telemetrygen
