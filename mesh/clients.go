package mesh

import (
	"cmp"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// Clients are the workloads that the calling end of an edge stands for: one workload, those of a service account, or
// those of a namespace.
func (s *State) Clients(client api.Ref) []*api.Workload {
	var out []*api.Workload
	for _, w := range s.WorkloadsIn(client.Namespace) {
		switch client.Kind {
		case "Namespace":
			out = append(out, w)
		case "ServiceAccount":
			if cmp.Or(w.ServiceAccount, "default") == client.Name {
				out = append(out, w)
			}
		default:
			if w.Ref() == client || (w.Name == client.Name && w.Kind == client.Kind) {
				out = append(out, w)
			}
		}
	}
	return out
}
