package telemetry_test

import (
	"maps"
	"slices"

	"github.com/ambientplan/ambientplan/telemetry/promql"
)

func parsesAsPromQL(expr string) error {
	_, err := promql.Parse(expr)
	return err
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
