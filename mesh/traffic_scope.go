package mesh

import (
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// egressListener is what one egress listener of a Sidecar imports. Source: pilot/pkg/model/sidecar.go
// (convertIstioListenerToWrapper). A nil listener imports nothing.
type egressListener struct {
	all bool
	// byNamespace are the imported hosts by the namespace in front of them; "*" is any.
	byNamespace map[string]*importedHosts
}

// importedHosts are the hosts of one namespace: names, "*.suffix" or "*".
type importedHosts struct {
	hosts, excluded []string
}

// listenerOf is the egress listener through which a client calls a port, and why it is not the whole truth. Without a
// Sidecar object it imports everything that is exported to the client's namespace (facts L-40; doGetSidecarScope).
func (x *trafficIndex) listenerOf(client *api.Workload, port int32) (*egressListener, string) {
	all := &egressListener{all: true}
	sc, why := x.sidecarOf(client)
	if sc == nil || len(sc.Spec.GetEgress()) == 0 {
		return all, why
	}
	for _, e := range sc.Spec.GetEgress() {
		if e.GetPort() == nil || e.GetPort().GetNumber() == uint32(port) {
			l := egressOf(e, client.Namespace)
			switch {
			case e.GetCaptureMode() == networking.CaptureMode_NONE || e.GetBind() != "":
				why = "the client's Sidecar has a listener of its own for this port, which only calls of its address reach"
			case e.GetPort().GetProtocol() == "HTTP_PROXY":
				why = "the client's Sidecar makes this port an HTTP proxy"
			}
			return l, why
		}
	}
	return nil, why
}

func egressOf(e *networking.IstioEgressListener, namespace string) *egressListener {
	l := &egressListener{byNamespace: map[string]*importedHosts{}}
	for _, h := range e.GetHosts() {
		ns, name, ok := strings.Cut(h, "/")
		if !ok || strings.Contains(name, "/") {
			continue
		}
		ns, excluded := strings.CutPrefix(ns, "~")
		if excluded && ns == "" {
			ns = "*"
		}
		if ns == "." {
			ns = namespace
		}
		hs := l.byNamespace[ns]
		if hs == nil {
			hs = &importedHosts{}
			l.byNamespace[ns] = hs
		}
		if excluded {
			hs.excluded = append(hs.excluded, name)
		} else {
			hs.hosts = append(hs.hosts, name)
		}
	}
	return l
}

// importsService tells whether the listener knows a service (selectServices).
func (l *egressListener) importsService(host, namespace string) bool {
	if l == nil || l.all {
		return l != nil
	}
	if l.excludes(host, namespace) {
		return false
	}
	for _, ns := range []string{namespace, "*"} {
		if hs := l.byNamespace[ns]; hs != nil && slices.ContainsFunc(hs.hosts, func(h string) bool { return hostSubset(host, h) }) {
			return true
		}
	}
	return false
}

// importsRoute tells whether the listener reads a VirtualService: it does when any of its hosts overlaps with an
// import of the VirtualService's own namespace (SelectVirtualServices, VSMatches).
func (l *egressListener) importsRoute(r *trafficRoute) bool {
	if l == nil || l.all {
		return l != nil
	}
	for _, ns := range []string{r.namespace, "*"} {
		hs := l.byNamespace[ns]
		if hs == nil {
			continue
		}
		for _, host := range r.hosts {
			hit := slices.ContainsFunc(hs.hosts, func(h string) bool {
				if r.gatewayAPI {
					return hostSubset(host, h)
				}
				return hostMatches(host, h)
			})
			if hit && !l.excludes(host, r.namespace) {
				return true
			}
		}
	}
	return false
}

func (l *egressListener) excludes(host, namespace string) bool {
	for _, ns := range []string{namespace, "*"} {
		if hs := l.byNamespace[ns]; hs != nil && slices.ContainsFunc(hs.excluded, func(h string) bool { return hostSubset(host, h) }) {
			return true
		}
	}
	return false
}

// sidecarOf is the Sidecar object of a client: in its namespace the oldest with a selector that matches, then the
// oldest without selector, then the one of the root namespace (initSidecarScopes, doGetSidecarScope).
func (x *trafficIndex) sidecarOf(client *api.Workload) (*Typed[*networking.Sidecar], string) {
	var with, without []Typed[*networking.Sidecar]
	for _, sc := range x.sidecars[client.Namespace] {
		switch {
		case sc.Spec.GetWorkloadSelector() == nil:
			without = append(without, sc)
		case Selects(sc.Spec.GetWorkloadSelector().GetLabels(), client.PodLabels):
			with = append(with, sc)
		}
	}
	list := with
	if len(list) == 0 {
		list = without
	}
	if len(list) == 0 && client.Namespace != x.ix.rootNamespace {
		for _, sc := range x.sidecars[x.ix.rootNamespace] {
			if sc.Spec.GetWorkloadSelector() == nil {
				list = append(list, sc)
			}
		}
	}
	sc, undated := oldestSidecar(list)
	if undated {
		return sc, "several Sidecar objects are for this client, the oldest counts, and their ages are not known"
	}
	return sc, ""
}

// oldestSidecar follows istiod's order: creation time, name, namespace.
func oldestSidecar(list []Typed[*networking.Sidecar]) (*Typed[*networking.Sidecar], bool) {
	if len(list) == 0 {
		return nil, false
	}
	best, known := 0, true
	for i := range list {
		_, ok := created(list[i].Object)
		known = known && ok
		if compareAge(list[i].Object, list[best].Object) < 0 {
			best = i
		}
	}
	return &list[best], len(list) > 1 && !known
}

// isWildcard tells whether a host starts with "*".
func isWildcard(h string) bool { return strings.HasPrefix(h, "*") }

// hostMatches tells whether two hosts overlap. Source: pkg/config/host/name.go (Matches).
func hostMatches(a, b string) bool {
	switch {
	case isWildcard(a) && isWildcard(b):
		if len(a) < len(b) {
			a, b = b, a
		}
		return strings.HasSuffix(a[1:], b[1:])
	case isWildcard(a):
		return strings.HasSuffix(b, a[1:])
	case isWildcard(b):
		return strings.HasSuffix(a, b[1:])
	}
	return a == b
}

// hostSubset tells whether host is covered by other (SubsetOf).
func hostSubset(host, other string) bool {
	switch {
	case isWildcard(host) && isWildcard(other):
		return len(host) >= len(other) && strings.HasSuffix(host[1:], other[1:])
	case isWildcard(host):
		return false
	case isWildcard(other):
		return strings.HasSuffix(host, other[1:])
	}
	return host == other
}
