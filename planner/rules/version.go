package rules

import (
	"fmt"
	"strconv"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// version is a release as major, minor and patch.
type version struct{ major, minor, patch int }

// parseVersion reads "1.30.3", "v1.4.0" or "1.31"; anything after the numbers is
// left out. The second result is false for what is no version, such as "latest".
func parseVersion(s string) (version, bool) {
	s = strings.TrimPrefix(s, "v")
	if i := strings.IndexAny(s, "-+"); i >= 0 {
		s = s[:i]
	}
	parts := strings.Split(s, ".")
	if len(parts) < 2 || len(parts) > 3 {
		return version{}, false
	}
	var n [3]int
	for i, p := range parts {
		v, err := strconv.Atoi(p)
		if err != nil || v < 0 {
			return version{}, false
		}
		n[i] = v
	}
	return version{n[0], n[1], n[2]}, true
}

// less orders versions.
func (v version) less(o version) bool {
	if v.major != o.major {
		return v.major < o.major
	}
	if v.minor != o.minor {
		return v.minor < o.minor
	}
	return v.patch < o.patch
}

// line is the release line, as in "1.31".
func (v version) line() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

func (v version) String() string { return fmt.Sprintf("%d.%d.%d", v.major, v.minor, v.patch) }

// someMember is evidence that there is a mesh at all: the first workload in it.
func someMember(st *mesh.State) (api.Evidence, bool) {
	ws := st.Workloads()
	for i := range ws {
		if st.InMesh(&ws[i]) {
			return api.Evidence{Object: ws[i].Ref()}, true
		}
	}
	return api.Evidence{}, false
}

// istiods of all clusters.
func istiods(st *mesh.State) []api.ControlPlane {
	var out []api.ControlPlane
	for _, c := range st.Clusters() {
		out = append(out, c.Istiods...)
	}
	return out
}
