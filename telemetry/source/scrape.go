package source

import "github.com/ambientplan/ambientplan/telemetry/span"

// scrapeObject reads monitors of prometheus-operator and its relatives.
func (r *reader) scrapeObject(group string, doc *span.Node, o Object) bool { return false }

// scrapeConfigs reads the scrape_configs of a Prometheus configuration.
func (r *reader) scrapeConfigs(doc *span.Node, o Object) {}
