package inventory

import (
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// at gives the place of an object with the lines of its fields below the
// given paths. Rules may cite no others.
func (d *document) at(paths ...string) api.Origin {
	o := d.origin
	for p, l := range d.lines {
		if l > 0 && under(p, paths) {
			if o.Fields == nil {
				o.Fields = map[string]int{}
			}
			o.Fields[p] = l
		}
	}
	return o
}

// under tells whether a path is one of the given ones or below one.
func under(path string, paths []string) bool {
	for _, p := range paths {
		if rest, ok := strings.CutPrefix(path, p); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return false
}

// inPodSpec tells whether rules may cite a path below a pod spec: what decides
// capture, the names and ports of containers, and the calls to a sidecar. The
// environment of a container is nobody's business.
func inPodSpec(rest string, calls []string) bool {
	if under(rest, []string{"hostNetwork", "serviceAccountName", "serviceAccount", "nodeSelector", "os"}) {
		return true
	}
	list, field, ok := strings.Cut(rest, ".")
	if strings.HasPrefix(list, "containers[") || strings.HasPrefix(list, "initContainers[") {
		if !ok || under(field, []string{"name", "ports", "restartPolicy"}) {
			return true
		}
	}
	return slices.Contains(calls, rest)
}
