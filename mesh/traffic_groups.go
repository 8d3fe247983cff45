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
	// hosts are the service and all that its routes lead to; short are routes for parts of its name.
	hosts []string
	short []*trafficRoute
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
	for _, h := range []string{svc.Name + "." + svc.Namespace, svc.Name + "." + svc.Namespace + ".svc"} {
		g.short = append(g.short, x.exact[h]...)
	}
	if len(g.routes)+len(g.short)+len(x.bound[g.host]) == 0 && x.backendPolicy(svc) == nil && !x.rules.mention(g.host) {
		return nil
	}
	g.hosts = []string{g.host}
	for _, r := range g.routes {
		for _, list := range [][]routeEntry{r.http, r.tcp, r.tls} {
			for _, e := range list {
				g.labels = g.labels || len(e.match.sourceLabels) > 0
				g.source = g.source || e.match.sourceNamespace != ""
				for _, d := range e.to {
					g.hosts = append(g.hosts, d.host)
				}
			}
		}
	}
	slices.Sort(g.hosts)
	g.hosts = slices.Compact(g.hosts)
	for _, h := range g.hosts {
		g.labels = g.labels || x.rules.root.selects(h)
		for _, hs := range x.rules.local {
			g.labels = g.labels || hs.selects(h)
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
	for _, r := range slices.Concat(g.routes, g.short) {
		fmt.Fprintf(&b, "%d%d ", r.visibility(w.Namespace), r.foreign(w.Namespace))
	}
	for _, h := range g.hosts {
		for _, d := range x.destinationRules(w.Namespace, h, x.namespaceOf(h)) {
			fmt.Fprintf(&b, "%p ", d)
		}
		b.WriteByte('|')
	}
	sc, why := x.sidecarOf(w)
	b.WriteString(why)
	if sc != nil {
		b.WriteString(sc.Namespace + "/" + sc.Name)
		if sc.Namespace != w.Namespace && looksHome(sc.Spec) {
			b.WriteString(" of " + w.Namespace)
		}
	}
	if w.Namespace == g.svc.Namespace || g.source || !x.serviceVisible(g.svc, w.Namespace) {
		b.WriteString(" in " + w.Namespace)
	}
	if g.labels {
		fmt.Fprint(&b, w.PodLabels)
	}
	return b.String()
}

// looksHome tells whether a Sidecar imports something of the namespace of its pods, whichever that is.
func looksHome(sc *networking.Sidecar) bool {
	return slices.ContainsFunc(sc.GetEgress(), func(e *networking.IstioEgressListener) bool {
		return slices.ContainsFunc(e.GetHosts(), func(h string) bool { return strings.HasPrefix(strings.TrimPrefix(h, "~"), "./") })
	})
}

// selects tells whether a rule for a host is for some pods only.
func (h *destinationHosts) selects(host string) bool {
	return slices.ContainsFunc(h.find(host), func(g *destinationGroup) bool { return g.selected })
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
