package main

import (
	"github.com/ambientplan/ambientplan/telemetry/promql"
	"github.com/ambientplan/ambientplan/telemetry/source"
)

// readMonitoring reads files with queries, and directories of them.
func readMonitoring(paths []string) ([]*source.File, error) {
	return source.Read(paths, parsesAsPromQL)
}

func parsesAsPromQL(expr string) error {
	_, err := promql.Parse(expr)
	return err
}
