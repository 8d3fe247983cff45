// Package promql says what a migration does to a PromQL expression, rewrites it, and proves the rewrite by
// evaluation.
//
// Parse reads the expression with Prometheus's own parser. Judge compares two states of a plan: package series
// gives the series of the same traffic in both, Prometheus's own engine evaluates the expression on both, and
// the selectors' lost and gained series are the evidence. Bench.Rewrite picks the smallest rewrite that gives the
// old model's result in every state of a plan, and what the facts offer where there is none. Bench.SameMinute runs
// alerts minute by minute, Bench.AlertTest writes what they do as a unit test for promtool.
//
// A verdict is about the label semantics of package series, not about the user's scrape configuration, native
// histograms or application metrics: what the model does not know is CannotTell, never fine.
package promql
