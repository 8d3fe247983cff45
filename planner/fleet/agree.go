package fleet

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner"
)

const planElsewhere = planner.ElsewhereRule

// fate is what becomes of a Service in one cluster, in the order in which one cluster's
// outweighs another's. The zero value takes no part: nothing of the mesh is behind it.
type fate int

const (
	noPart fate = iota
	moves
	movesWithWaypoint
	stays
	blocked
)

// shared is a Service that several clusters of one set have.
type shared struct {
	namespace, name string
	mesh            int
	// in are the clusters that have it, sorted by name.
	in []*member
}

// findShared finds them, sorted by namespace, name and set of clusters.
func (f *fleet) findShared() {
	type key struct {
		namespace, name string
		mesh            int
	}
	byKey := map[key]*shared{}
	for _, m := range f.members {
		if !m.readable() {
			continue
		}
		for i := range m.Inventory.Services {
			s := &m.Inventory.Services[i]
			k := key{s.Namespace, s.Name, m.mesh}
			if byKey[k] == nil {
				byKey[k] = &shared{namespace: s.Namespace, name: s.Name, mesh: m.mesh}
			}
			byKey[k].in = append(byKey[k].in, m)
		}
	}
	for _, s := range byKey {
		if len(s.in) > 1 && slices.ContainsFunc(s.in, func(m *member) bool { return m.takesPart(s) }) {
			f.shared = append(f.shared, s)
		}
	}
	slices.SortFunc(f.shared, func(a, b *shared) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name), cmp.Compare(a.mesh, b.mesh))
	})
}

// decision is that on a shared Service; nil when the cluster has none.
func (m *member) decision(s *shared) *api.Decision {
	return m.byService[serviceName{s.namespace, s.name}]
}

type serviceName struct{ namespace, name string }

// settleOn takes over what was decided.
func (m *member) settleOn(d planner.Decided) {
	m.decided, m.byService = d, map[serviceName]*api.Decision{}
	for i := range d.Decisions {
		if x := &d.Decisions[i]; x.Subject.Kind == "Service" {
			m.byService[serviceName{x.Namespace, x.Service}] = x
		}
	}
}

// takesPart tells whether a shared Service has pods of the mesh in the cluster that could
// move: a gateway never does.
func (m *member) takesPart(s *shared) bool {
	d := m.decision(s)
	return d != nil && d.Kind != api.OutOfMesh && d.Mode != mesh.ModeGateway.String()
}

// held tells whether a namespace that has something to move does not.
func held(list []api.HeldNamespace, namespace string) bool {
	return slices.ContainsFunc(list, func(h api.HeldNamespace) bool { return h.Name == namespace })
}

// fateOf says what becomes of a shared Service in a cluster, and why.
func (m *member) fateOf(s *shared) (fate, string) {
	d := m.decision(s)
	if d == nil || !m.takesPart(s) {
		return noPart, ""
	}
	switch d.Kind {
	case api.Blocked:
		return blocked, d.Why
	case api.KeepSidecarDecision:
		if d.Mode == mesh.ModeAmbient.String() {
			return blocked, "it is in ambient mode already, and " + d.Why
		}
		return stays, d.Why
	case api.L4Only, api.Waypoint:
		if held(m.decided.Held, s.namespace) && d.Mode != mesh.ModeAmbient.String() {
			return blocked, "its namespace is held: " + heldWhy(m.decided.Held, s.namespace)
		}
		if d.Kind == api.Waypoint {
			return movesWithWaypoint, d.Why
		}
		return moves, d.Why
	case api.OutOfMesh, api.DecisionUnset:
	}
	return noPart, ""
}

// heldWhy is the first reason why a namespace is held.
func heldWhy(list []api.HeldNamespace, namespace string) string {
	for _, h := range list {
		if h.Name == namespace && len(h.Reasons) > 0 {
			return h.Reasons[0]
		}
	}
	return "nobody says why"
}

// agree lets each shared Service share the fate of the cluster that can do least, until
// nothing changes. A fate only ever gets worse, so it ends.
func (f *fleet) agree(ctx context.Context) error {
	for changed := true; changed; {
		if err := ctx.Err(); err != nil {
			return err
		}
		again := map[*member]bool{}
		for _, s := range f.shared {
			worst, from := noPart, (*member)(nil)
			for _, m := range s.in {
				if w, _ := m.fateOf(s); w > worst {
					worst, from = w, m
				}
			}
			if worst <= moves {
				continue
			}
			for _, m := range s.in {
				if w, _ := m.fateOf(s); w != noPart && w < worst && m.take(s, worst, from) {
					again[m] = true
				}
			}
		}
		changed = len(again) > 0
		for m := range maps.Keys(again) {
			m.settleOn(m.draft.Decide(m.elsewhere))
		}
	}
	return nil
}

// take gives a shared Service what keeps it, or makes it need a waypoint, in another
// cluster. It is false when the cluster has that already.
func (m *member) take(s *shared, worst fate, from *member) bool {
	subject := api.Ref{Cluster: m.decision(s).Subject.Cluster, Kind: "Service", Namespace: s.namespace, Name: s.name}
	there := from.decision(s)
	_, why := from.fateOf(s)
	var needs []api.Need
	add := func(c api.Capability, reason string, evidence []api.Evidence) {
		needs = append(needs, api.Need{
			Subject: subject, Capability: c, Rule: planElsewhere, Evidence: inCluster(evidence, from.Name),
			Reason: fmt.Sprintf("the Service of this name in cluster %s, with which Istio merges it (facts M-35): %s", from.Name, reason),
		})
	}
	evidence := func(t api.Tier) []api.Evidence {
		for _, n := range there.Needs {
			if n.Capability.Tier() >= t && len(n.Evidence) > 0 {
				return n.Evidence
			}
		}
		return []api.Evidence{{Object: there.Subject}}
	}
	switch worst {
	case movesWithWaypoint:
		for _, n := range there.Needs {
			if n.Capability.Tier() == api.TierWaypoint {
				add(n.Capability, cmp.Or(n.Reason, "it needs "+string(n.Capability)), n.Evidence)
			}
		}
	case stays:
		add(api.CapSidecar, "it keeps its sidecar: "+why, evidence(api.TierWaypoint))
	case blocked:
		capability := api.CapHumanDecision
		if from.state == api.FleetBlocked {
			capability = api.CapPrimaryRemote
		}
		add(capability, "it cannot move: "+why, evidence(api.TierSidecar))
	case noPart, moves:
	}
	news := false
	for _, n := range needs {
		if !slices.ContainsFunc(m.elsewhere, func(o api.Need) bool { return o.Subject == n.Subject && o.Capability == n.Capability }) {
			m.elsewhere, news = append(m.elsewhere, n), true
		}
	}
	slices.SortFunc(m.elsewhere, api.Need.Compare)
	return news
}

// inCluster names the cluster in evidence that does not.
func inCluster(list []api.Evidence, cluster string) []api.Evidence {
	out := slices.Clone(list)
	for i := range out {
		if out[i].Object.Cluster == "" && out[i].Object.Kind != api.KindFeatureNeeds {
			out[i].Object.Cluster = cluster
		}
	}
	return out
}
