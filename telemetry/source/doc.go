// Package source reads what rests on a mesh's metrics: dashboards, alerting and recording rules, SLOs, autoscalers,
// canary analyses, scrape configurations.
//
// A Query keeps the place of each byte of its text in the file, so that a rewrite changes what it must and nothing
// else. What is not understood is a Note and is never changed: a source of queries that is passed over in silence
// would be a wrong "fine" (observability.md 4).
package source
