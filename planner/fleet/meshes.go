package fleet

import (
	"fmt"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// Ids of what a fleet is told.
const (
	idMesh        = "fleet-mesh"
	idUnreadable  = "fleet-unreadable"
	idCrossing    = "fleet-crossing"
	idRole        = "fleet-role"
	idRemote      = "fleet-primary-remote"
	idNetwork     = "fleet-network"
	idFlag        = "fleet-multi-network"
	idEastWest    = "fleet-east-west"
	idGlobal      = "fleet-global"
	idTrustDomain = "fleet-trust-domain"
	idModes       = "fleet-modes"
	idWaypoint    = "fleet-waypoint"
	idL7          = "fleet-l7-differs"
	idPodAddress  = "fleet-pod-address"
	idCanary      = "fleet-canary"
)

// separate tells whether two clusters are known to be of different meshes: both name a
// mesh id, and not the same. Trust domain, network and equal names say nothing about it.
func separate(a, b *member) bool {
	return a.readable() && b.readable() && a.meshID.value != "" && b.meshID.value != "" && a.meshID.value != b.meshID.value
}

// together tells whether two clusters are known to be of one mesh.
func together(a, b *member) bool {
	return a.readable() && b.readable() && a.meshID.value != "" && a.meshID.value == b.meshID.value
}

// meshes puts the clusters into sets that are, or may be, one mesh.
func (f *fleet) meshes() {
	for i, m := range f.members {
		m.mesh = i
	}
	for i, a := range f.members {
		for _, b := range f.members[:i] {
			if separate(a, b) || a.mesh == b.mesh {
				continue
			}
			from, to := a.mesh, b.mesh
			for _, m := range f.members {
				if m.mesh == from {
					m.mesh = to
				}
			}
		}
	}
	for _, m := range f.members {
		switch {
		case !m.readable():
			f.unknowns = append(f.unknowns, api.Unknown{
				ID: idUnreadable, Subject: m.ref(),
				What:   fmt.Sprintf("cluster %s could not be read: %s", m.Name, m.reason),
				Could:  "it may be of the same mesh as any other cluster, and every Service of theirs may be shared with it: what keeps a Service from moving there is not known here",
				Action: "read it with inventory --context, and plan the fleet again before anything moves",
			})
		case m.meshID.value == "" && f.alike(m):
			f.unknowns = append(f.unknowns, api.Unknown{
				ID: idMesh, Subject: m.ref(),
				What: fmt.Sprintf("cluster %s does not name its mesh: no meshId in its mesh configuration. Secrets that let an istiod read other clusters are not read, so it may share a mesh with %s",
					m.Name, strings.Join(f.others(m), ", ")),
				Could:  "Services of the same name are merged by Istio when the clusters are one mesh, and have nothing to do with each other when they are not; they are planned as if it were one",
				Action: "set meshConfig.defaultConfig.meshId (values.global.meshID) in each cluster, the same in one mesh and another in another, and read it again; or accept this by id once you know that one mesh is right",
			})
		}
	}
}

// alike tells whether another cluster may be of the same mesh.
func (f *fleet) alike(m *member) bool { return len(f.others(m)) > 0 }

// others are the clusters of the same set, by name.
func (f *fleet) others(m *member) []string {
	var out []string
	for _, o := range f.members {
		if o != m && o.mesh == m.mesh {
			out = append(out, o.Name)
		}
	}
	return out
}

// block finds clusters in which nothing can move, and gives what runs in them the need
// that keeps it (facts P-12).
func (f *fleet) block() {
	for _, m := range f.members {
		switch {
		case !m.readable():
		case m.role == api.RoleRemote && m.proxies:
			f.blockRemote(m)
		case m.role == api.RoleUnknown && m.proxies:
			f.unknowns = append(f.unknowns, api.Unknown{
				ID: idRole, Subject: m.ref(),
				What:   fmt.Sprintf("it is not known where the control plane of cluster %s is: %s", m.Name, m.why),
				Could:  "a cluster whose proxies are served by an istiod in another cluster (primary-remote) cannot run in ambient mode (facts P-12)",
				Action: "read the namespace of the control plane too, or take the inventory from the running cluster",
			})
		}
		if m.readable() && len(m.serves) > 0 {
			cp := m.serves[0]
			f.findings = append(f.findings, api.Finding{
				ID: idRemote, Severity: api.Blocker, Subject: m.ref(),
				Message:  fmt.Sprintf("istiod of cluster %s is set up to serve proxies of other clusters (primary-remote)", m.Name),
				Evidence: []api.Evidence{field(cp.Ref, "spec.template.spec.containers", flagExternal+"="+cp.Flags[flagExternal])},
				Effect:   "ambient mode does not support primary-remote (facts P-12): clusters that this istiod serves cannot move, and Services that they share with this one must not either",
				Action:   "give every cluster an istiod of its own first (multi-primary), or consent to this by id when no other cluster is served",
			})
		}
	}
}

func (f *fleet) blockRemote(m *member) {
	m.state = api.FleetBlocked
	m.reason = "primary-remote is not supported in ambient mode (facts P-12): " + m.why
	f.findings = append(f.findings, api.Finding{
		ID: idRemote, Severity: api.Blocker, Subject: m.ref(),
		Message: fmt.Sprintf("cluster %s is a remote of a primary-remote mesh: %s", m.Name, m.why), Evidence: m.evidence,
		Effect: "nothing in it can move, and no Service of another cluster that has the same name: Istio merges them, and they must have one mode (facts P-12, M-35)",
		Action: "give the cluster an istiod of its own first (multi-primary), and plan again",
	})
	need := func(ref api.Ref) {
		m.elsewhere = append(m.elsewhere, api.Need{
			Subject: ref, Capability: api.CapPrimaryRemote, Rule: planElsewhere, Reason: m.reason, Evidence: m.evidence,
		})
	}
	for i := range m.Inventory.Services {
		need(m.Inventory.Services[i].Ref())
	}
	for i := range m.Inventory.Workloads {
		need(m.Inventory.Workloads[i].Ref())
	}
	m.settleOn(m.draft.Decide(m.elsewhere))
}
