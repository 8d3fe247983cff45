package main

import (
	"github.com/ambientplan/ambientplan/telemetry/promql"
	"github.com/ambientplan/ambientplan/telemetry/source"
)

// readMonitoring reads files with queries, and directories of them.
func readMonitoring(paths []string) ([]*source.File, error) {
	files, err := source.Read(paths, parsesAsPromQL)
	if err != nil {
		return nil, err
	}
	for _, n := range source.Duplicates(files) {
		for _, f := range files {
			if f.Path == n.File {
				f.Notes = append(f.Notes, n)
			}
		}
	}
	return files, nil
}

func parsesAsPromQL(expr string) error {
	_, err := promql.Parse(expr)
	return err
}
