package mesh

import (
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// labelKey is one label inside a namespace.
type labelKey struct{ namespace, key, value string }

// labelIndex finds what selectors match without reading a whole namespace for each of them: a namespace with
// thousands of services would take their square.
type labelIndex struct {
	// workloads with the label, in the order of the inventory.
	workloads map[labelKey][]*api.Workload
	// services by the first key of their selector, as positions in the list of their namespace. Those
	// without selector are in none.
	services map[labelKey][]int
}

func newLabelIndex(workloadsIn map[string][]*api.Workload, servicesIn map[string][]*api.Service) labelIndex {
	x := labelIndex{workloads: map[labelKey][]*api.Workload{}, services: map[labelKey][]int{}}
	for ns, ws := range workloadsIn {
		for _, w := range ws {
			for k, v := range w.PodLabels {
				l := labelKey{ns, k, v}
				x.workloads[l] = append(x.workloads[l], w)
			}
		}
	}
	for ns, svcs := range servicesIn {
		for i, svc := range svcs {
			if k, ok := firstKey(svc.Selector); ok {
				l := labelKey{ns, k, svc.Selector[k]}
				x.services[l] = append(x.services[l], i)
			}
		}
	}
	return x
}

func firstKey(m map[string]string) (string, bool) {
	first, ok := "", false
	for k := range m {
		if !ok || k < first {
			first, ok = k, true
		}
	}
	return first, ok
}

// candidates are all workloads of a namespace that a selector can match, and as few others as one label tells
// apart. The selector must not be empty.
func (x labelIndex) candidates(namespace string, selector map[string]string) []*api.Workload {
	var least []*api.Workload
	found := false
	for k, v := range selector {
		if ws := x.workloads[labelKey{namespace, k, v}]; !found || len(ws) < len(least) {
			least, found = ws, true
		}
	}
	return least
}

// servicesFor are the positions, in the list of the namespace, of all services that can select pods with these
// labels, in order.
func (x labelIndex) servicesFor(namespace string, labels map[string]string) []int {
	var at []int
	for k, v := range labels {
		at = append(at, x.services[labelKey{namespace, k, v}]...)
	}
	slices.Sort(at)
	return at
}
