package main

import (
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ambientplan/ambientplan/telemetry/promql"
	"github.com/ambientplan/ambientplan/telemetry/source"
)

// readMonitoring reads files with queries, and directories of them.
func readMonitoring(paths []string) ([]*source.File, error) {
	var out []*source.File
	for _, p := range paths {
		err := filepath.WalkDir(p, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			out = append(out, source.Parse(filepath.ToSlash(name), string(data), parsesAsPromQL))
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func parsesAsPromQL(expr string) error {
	_, err := promql.Parse(expr)
	return err
}
