package fleet

import (
	"fmt"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// parts is what the plan says of the shared Services, with the unknown that each leaves
// open: no cluster's own proof covers calls between clusters.
func (f *fleet) parts(waves []api.FleetWave) []api.SharedService {
	out := make([]api.SharedService, 0, len(f.shared))
	for _, s := range f.shared {
		p := api.SharedService{Namespace: s.namespace, Service: s.name, Clusters: []api.SharedPart{}}
		var moving, unread []string
		for _, m := range f.members {
			switch {
			case m.mesh != s.mesh:
			case !m.readable():
				p.Clusters = append(p.Clusters, api.SharedPart{Cluster: m.Name})
				unread = append(unread, m.Name)
			case slices.Contains(s.in, m):
				d := m.decision(s)
				part := api.SharedPart{Cluster: m.Name, Decision: d.Kind, Mode: d.Mode}
				if d.Wave > 0 {
					part.Wave = waveOf(waves, m.Name, d.Wave)
					moving = append(moving, fmt.Sprintf("%s in wave %d", m.Name, part.Wave))
				}
				part.Held = (d.Kind == api.L4Only || d.Kind == api.Waypoint) && held(m.decided.Held, s.namespace)
				p.Clusters = append(p.Clusters, part)
			}
		}
		why := f.differs(s)
		p.Consistent = len(why) == 0 && len(unread) == 0
		if len(unread) > 0 {
			why = append(why, fmt.Sprintf("not known whether it is in %s, which could not be read", strings.Join(unread, ", ")))
		}
		if len(moving) > 0 {
			why = append(why, "calls between clusters are not proved")
			f.crossing(s, moving)
		}
		p.What = strings.Join(why, "; ")
		out = append(out, p)
	}
	return out
}

// waveOf is the wave of the fleet that holds a cluster's own wave; 0 when none does.
func waveOf(waves []api.FleetWave, cluster string, own int) int {
	for _, w := range waves {
		for _, c := range w.Clusters {
			if c.Cluster == cluster && c.Wave == own && w.Number > 0 {
				return w.Number
			}
		}
	}
	return 0
}

// crossing is the unknown about calls between the clusters of a shared Service.
func (f *fleet) crossing(s *shared, moving []string) {
	f.unknowns = append(f.unknowns, api.Unknown{
		ID: idCrossing, Subject: api.Ref{Kind: "Service", Namespace: s.namespace, Name: s.name},
		What: fmt.Sprintf("Istio merges Service %s/%s across clusters %s (facts M-35), and no proof covers calls from one to endpoints in another; it moves: %s",
			s.namespace, s.name, strings.Join(s.names(), ", "), strings.Join(moving, ", ")),
		Could:  "while it has moved in one cluster only, and after it where policies or waypoints of the clusters differ, a call that crosses may be refused, go around a waypoint, or find no endpoint",
		Action: "test such calls before and after the move in the canary cluster; keep calls local while clusters differ (trafficDistribution, or locality settings); then accept this by id in the MigrationPolicy",
	})
}

func (s *shared) names() []string {
	var out []string
	for _, m := range s.in {
		out = append(out, m.Name)
	}
	return out
}

// differs says in what the clusters do not agree about a shared Service, and reports it.
func (f *fleet) differs(s *shared) []string {
	var why []string
	first, mode, same := noPart, "", true
	var outside, empty []string
	for _, m := range s.in {
		d := m.decision(s)
		is, _ := m.fateOf(s)
		switch {
		case is != noPart && first == noPart:
			first, mode = is, d.Mode
		case is != noPart:
			same = same && is == first && d.Mode == mode
		case d.Mode == mesh.ModeNone.String() && len(d.Workloads) > 0:
			outside = append(outside, m.Name)
		case len(d.Workloads) == 0:
			empty = append(empty, m.Name)
		}
	}
	if !same {
		why = append(why, "its mode is not the same in all clusters: "+s.modes())
	}
	if len(outside) > 0 {
		why = append(why, "outside of the mesh in "+strings.Join(outside, ", "))
	}
	if len(why) > 0 {
		f.findings = append(f.findings, api.Finding{
			ID: idModes, Severity: api.Blocker, Subject: s.ref(),
			Message: fmt.Sprintf("Service %s/%s of clusters %s: %s", s.namespace, s.name, strings.Join(s.names(), ", "), strings.Join(why, "; ")),
			Effect:  "Istio merges Services of the same name: a caller reaches endpoints that want mutual TLS, HBONE or plain text by chance (facts M-35)",
			Action:  "give it one mode in all clusters first, or another name where it is another service",
		})
	}
	if first == movesWithWaypoint && len(empty) > 0 {
		f.findings = append(f.findings, f.withoutWaypoint(s, empty))
	}
	return why
}

// modes lists decision and mode by cluster.
func (s *shared) modes() string {
	var out []string
	for _, m := range s.in {
		d := m.decision(s)
		what := fmt.Sprintf("%s in %s, now %s", d.Kind, m.Name, d.Mode)
		if held(m.decided.Held, s.namespace) {
			what += ", its namespace held"
		}
		out = append(out, what)
	}
	return strings.Join(out, "; ")
}

func (s *shared) ref() api.Ref {
	return api.Ref{Kind: "Service", Namespace: s.namespace, Name: s.name}
}

// withoutWaypoint is about a cluster that has a shared Service without pods: its plan binds
// no waypoint to it, and its callers take the waypoint from its own Service.
func (f *fleet) withoutWaypoint(s *shared, empty []string) api.Finding {
	severity := api.Warning
	for _, m := range s.in {
		if slices.ContainsFunc(m.decision(s).Needs, func(n api.Need) bool { return authorizing(n.Capability) }) {
			severity = api.Blocker
		}
	}
	return api.Finding{
		ID: idWaypoint, Severity: severity, Subject: s.ref(),
		Message: fmt.Sprintf("Service %s/%s needs a waypoint, and cluster %s has the Service without pods behind it, so that its plan gives it none", s.namespace, s.name, strings.Join(empty, ", ")),
		Effect:  "callers of that cluster take the waypoint from the Service of their own cluster: without one they go straight to the endpoints in the other clusters, past what the waypoints there enforce",
		Action:  "label the Service there with the same istio.io/use-waypoint, and give the namespace the same waypoint, before the others cut over",
	}
}

// authorizing tells whether a capability decides who may do what.
func authorizing(c api.Capability) bool {
	switch c {
	case api.CapL7Authorization, api.CapExternalAuthorization, api.CapRequestAuthentication, api.CapWasm, api.CapExtension:
		return true
	}
	return false
}
