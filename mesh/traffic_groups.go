package mesh

import (
	"fmt"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// TrafficGroups tells the clients of a Service apart by what may act on their
// calls: for clients of one group Traffic gives the same in the same mode.
type TrafficGroups struct {
	s      *State
	svc    *api.Service
	routes []*trafficRoute
	host   string
	// labels and source are true when a rule looks at the client's labels or namespace.
	labels, source bool
}

// TrafficGroups looks for what may act on calls of a Service. It is nil when
// nothing may: no route, no DestinationRule, no Gateway API policy is for it.
func (s *State) TrafficGroups(svc *api.Service) *TrafficGroups {
	x := s.ix.traffic()
	g := &TrafficGroups{s: s, svc: svc, host: s.serviceHost(svc)}
	g.routes = append(g.routes, x.exact[g.host]...)
	for _, r := range x.wildcard {
		if slices.ContainsFunc(r.hosts, func(h string) bool { return isWildcard(h) && hostMatches(h, g.host) }) {
			g.routes = append(g.routes, r)
		}
	}
	short := len(x.exact[svc.Name+"."+svc.Namespace]) + len(x.exact[svc.Name+"."+svc.Namespace+".svc"])
	if len(g.routes) == 0 && short == 0 && len(x.bound[g.host]) == 0 && x.backendPolicy(svc) == nil && !x.rules.mention(g.host) {
		return nil
	}
	for _, r := range g.routes {
		for _, list := range [][]routeEntry{r.http, r.tcp, r.tls} {
			for _, e := range list {
				g.labels = g.labels || len(e.match.sourceLabels) > 0
				g.source = g.source || e.match.sourceNamespace != ""
			}
		}
	}
	for _, hs := range x.rules.local {
		for _, d := range hs.find(g.host) {
			g.labels = g.labels || d.selected
		}
	}
	return g
}

// ByWorkload tells whether clients of one namespace may be of different groups.
func (g *TrafficGroups) ByWorkload(namespace string) bool {
	return g.labels || slices.ContainsFunc(g.s.ix.traffic().sidecars[namespace], func(sc Typed[*networking.Sidecar]) bool { return sc.Spec.GetWorkloadSelector() != nil })
}

// Of is the group of a client.
func (g *TrafficGroups) Of(w *api.Workload) string {
	x := g.s.ix.traffic()
	if g.s.IsGateway(w) {
		return w.Ref().String()
	}
	var b strings.Builder
	for _, r := range g.routes {
		fmt.Fprintf(&b, "%d%d ", r.visibility(w.Namespace), r.foreign(w.Namespace))
	}
	for _, d := range x.destinationRules(w.Namespace, g.host, g.svc.Namespace) {
		fmt.Fprintf(&b, "%p ", d)
	}
	if sc, _ := x.sidecarOf(w); sc != nil {
		b.WriteString(sc.Namespace + "/" + sc.Name)
	}
	if w.Namespace == g.svc.Namespace || g.source || !x.serviceVisible(g.svc, w.Namespace) {
		b.WriteString(" in " + w.Namespace)
	}
	if g.labels {
		fmt.Fprint(&b, w.PodLabels)
	}
	return b.String()
}

// mention tells whether any rule is for a host.
func (i *destinationIndex) mention(host string) bool {
	for _, m := range []map[string]*destinationHosts{i.local, i.exported} {
		for _, hs := range m {
			if len(hs.find(host)) > 0 {
				return true
			}
		}
	}
	return len(i.root.find(host)) > 0
}
