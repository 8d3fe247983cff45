package convert

import (
	"fmt"
	"strconv"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// Version is a release as major, minor and patch; the zero value is an unknown one.
type Version struct{ Major, Minor, Patch int }

// ParseVersion reads "1.30.3", "v1.4.0-rc.1" or "1.31"; the second result is false for anything else.
func ParseVersion(s string) (Version, bool) {
	s = strings.TrimPrefix(s, "v")
	if i := strings.IndexAny(s, "-+"); i >= 0 {
		s = s[:i]
	}
	parts := strings.Split(s, ".")
	if len(parts) < 2 || len(parts) > 3 {
		return Version{}, false
	}
	var n [3]int
	for i, p := range parts {
		v, err := strconv.Atoi(p)
		if err != nil || v < 0 {
			return Version{}, false
		}
		n[i] = v
	}
	return Version{n[0], n[1], n[2]}, true
}

func (v Version) known() bool { return v != Version{} }

// atLeast is false for an unknown version.
func (v Version) atLeast(major, minor, patch int) bool {
	if v.Major != major {
		return v.Major > major
	}
	if v.Minor != minor {
		return v.Minor > minor
	}
	return v.known() && v.Patch >= patch
}

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// Definition is one CustomResourceDefinition of the Gateway API as its annotations tell it.
type Definition struct {
	// Bundle is the version of the bundle; unknown when the annotation is missing, which makes istiod ignore the kind
	// where it has a bound (facts P-05).
	Bundle Version
	// Experimental tells the channel; "standard" and an unknown one are not experimental.
	Experimental bool
}

// Cluster is what decides which fields of the Gateway API can be used. The zero value knows nothing: then only what
// every version since 1.0 has is used.
type Cluster struct {
	// Istio is the oldest istiod.
	Istio Version
	// HTTPRoute, GRPCRoute, TCPRoute and TLSRoute are nil when the definition is not known to be there.
	HTTPRoute, GRPCRoute, TCPRoute, TLSRoute *Definition
}

// ClusterOf reads the definitions and the versions of istiod from a state. With several clusters or revisions the
// oldest istiod counts.
func ClusterOf(st *mesh.State) Cluster {
	var c Cluster
	for _, cl := range st.Clusters() {
		for _, i := range cl.Istiods {
			v, ok := ParseVersion(i.Version)
			if ok && (!c.Istio.known() || c.Istio.atLeast(v.Major, v.Minor, v.Patch)) {
				c.Istio = v
			}
		}
	}
	for _, o := range st.Objects(mesh.KindCRD) {
		switch o.Name {
		case "httproutes.gateway.networking.k8s.io":
			c.HTTPRoute = older(c.HTTPRoute, o)
		case "grpcroutes.gateway.networking.k8s.io":
			c.GRPCRoute = older(c.GRPCRoute, o)
		case "tcproutes.gateway.networking.k8s.io":
			c.TCPRoute = older(c.TCPRoute, o)
		case "tlsroutes.gateway.networking.k8s.io":
			c.TLSRoute = older(c.TLSRoute, o)
		}
	}
	return c
}

// older reads a definition; where clusters differ what both have counts.
func older(known *Definition, o *api.Object) *Definition {
	d := &Definition{Experimental: o.Annotations()["gateway.networking.k8s.io/channel"] == "experimental"}
	d.Bundle, _ = ParseVersion(o.Annotations()["gateway.networking.k8s.io/bundle-version"])
	if known == nil {
		return d
	}
	if !d.Bundle.known() || known.Bundle.known() && d.Bundle.atLeast(known.Bundle.Major, known.Bundle.Minor, known.Bundle.Patch) {
		d.Bundle = known.Bundle
	}
	if !known.Bundle.known() {
		d.Bundle = Version{}
	}
	d.Experimental = d.Experimental && known.Experimental
	return d
}

// has tells whether a field of a kind can be used that is standard from one version and experimental from another;
// {0, 0} means never.
func (d *Definition) has(standard, experimental [2]int) bool {
	if d == nil {
		return false
	}
	if standard != [2]int{} && d.Bundle.atLeast(standard[0], standard[1], 0) {
		return true
	}
	return d.Experimental && experimental != [2]int{} && d.Bundle.atLeast(experimental[0], experimental[1], 0)
}

// timeouts tells whether HTTPRoute has timeouts: standard since 1.2.
func (c Cluster) timeouts() bool { return c.HTTPRoute.has([2]int{1, 2}, [2]int{1, 0}) }

// parentPort tells whether an HTTPRoute can be for one port of a Service: standard since 1.1. An older API server drops
// the port, and the route would be for all of them.
func (c Cluster) parentPort() bool { return c.HTTPRoute.has([2]int{1, 1}, [2]int{1, 0}) }

// ruleMatches is how many matches a rule can have: 64 in HTTPRoutes since 1.2 and in GRPCRoutes since 1.3, else 8
// (facts C-03).
func (c Cluster) ruleMatches(grpc bool) int {
	if c.HTTPRoute.has([2]int{1, 2}, [2]int{1, 2}) && (!grpc || c.GRPCRoute.has([2]int{1, 3}, [2]int{1, 3})) {
		return 64
	}
	return 8
}

// retry tells whether HTTPRoute has retry (facts C-38, P-06).
func (c Cluster) retry() bool { return c.HTTPRoute.has([2]int{1, 7}, [2]int{1, 2}) }

// noAttempts tells whether retry.attempts may be 0: until 1.6 (facts C-38).
func (c Cluster) noAttempts() bool {
	return c.retry() && !c.HTTPRoute.Bundle.atLeast(1, 6, 0)
}

// cors tells whether HTTPRoute has the CORS filter (facts C-43, P-06).
func (c Cluster) cors() bool { return c.HTTPRoute.has([2]int{1, 5}, [2]int{1, 3}) }

// mirrorShare tells whether a mirror can have a percentage: standard since 1.3.
func (c Cluster) mirrorShare() bool { return c.HTTPRoute.has([2]int{1, 3}, [2]int{1, 2}) }

// redirectCodes tells whether a redirect may answer 303, 307 and 308: since 1.5.
func (c Cluster) redirectCodes() bool { return c.HTTPRoute.has([2]int{1, 5}, [2]int{1, 5}) }

// grpc tells whether istiod reads GRPCRoutes (facts P-05).
func (c Cluster) grpc() bool { return c.GRPCRoute.has([2]int{1, 1}, [2]int{1, 1}) }

// tcpVersion is the API version of TCPRoutes that istiod reads; "" when none is known to be (facts P-05).
func (c Cluster) tcpVersion() string {
	switch {
	case c.TCPRoute == nil || !c.Istio.known():
		return ""
	case !c.Istio.atLeast(1, 31, 0):
		return "gateway.networking.k8s.io/v1alpha2"
	case c.TCPRoute.Bundle.atLeast(1, 6, 0):
		return "gateway.networking.k8s.io/v1"
	}
	return ""
}

// tlsVersion is the API version of TLSRoutes that istiod reads; "" when none is known to be (facts P-05).
func (c Cluster) tlsVersion() string {
	switch {
	case c.TLSRoute == nil || !c.Istio.known() || !c.TLSRoute.Bundle.known():
		return ""
	case !c.Istio.atLeast(1, 30, 0):
		if c.TLSRoute.Bundle.atLeast(1, 4, 2) {
			return ""
		}
		return "gateway.networking.k8s.io/v1alpha2"
	case c.TLSRoute.Bundle.atLeast(1, 5, 0):
		return "gateway.networking.k8s.io/v1"
	}
	return ""
}
