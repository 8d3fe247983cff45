package rules

import (
	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// RunObserved runs one rule and also returns the kinds that it read.
func RunObserved(st *mesh.State, cov []api.KindCoverage, r Rule) (Result, map[mesh.Kind]bool) {
	res, read := run(st, cov, []Rule{r})
	return res, read[r.ID]
}
