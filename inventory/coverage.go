package inventory

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// coverage says for each kind how well it was seen: complete with a count,
// absent, or unknown because a document that looked like it could not be read.
func (b *builder) coverage() []api.KindCoverage {
	var out []api.KindCoverage
	for _, k := range api.Kinds() {
		key := groupKind{k.Group, k.Kind}
		c := api.KindCoverage{Cluster: b.cluster, Group: k.Group, Kind: k.Kind, Count: b.counts[key], State: api.Absent}
		if c.Count > 0 {
			c.State = api.Complete
		}
		if at, ok := b.partial[key]; ok {
			c.State, c.Reason = api.NotKnown, fmt.Sprintf("the document at %s cannot be read", at)
		}
		out = append(out, c)
	}
	return out
}
