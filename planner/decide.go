package planner

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// declaredRule is the rule id of a need that an owner declared.
const declaredRule = "declared"

// ElsewhereRule is the rule id of a need that a Service has in another cluster.
const ElsewhereRule = "elsewhere"

// Decide says for every service, and for every workload behind no service, what
// happens to it. The needs of a subject decide: the most demanding capability
// wins. A workload moves as a whole, so services that share pods share the fate
// of the one that cannot move.
func Decide(st *mesh.State, needs []api.Need, declared []api.FeatureNeeds, p *api.MigrationPolicy) ([]api.Decision, []api.Finding) {
	d := &decider{st: st, policy: p, needs: map[api.Ref][]api.Need{}, owners: ownersOf(declared)}
	for _, n := range needs {
		d.needs[n.Subject] = append(d.needs[n.Subject], n)
	}
	d.excluded = map[string]string{}
	if p != nil {
		for _, e := range p.Exclude {
			d.excluded[e.Namespace] = e.Reason
		}
	}
	for i := range st.Services() {
		d.service(&st.Services()[i])
	}
	for i := range st.Workloads() {
		if w := &st.Workloads()[i]; len(st.ServicesOf(w)) == 0 {
			d.lone(w)
		}
	}
	d.entries()
	d.share()
	d.unplaced()
	slices.SortFunc(d.out, func(a, b api.Decision) int { return a.Subject.Compare(b.Subject) })
	slices.SortFunc(d.findings, api.Finding.Compare)
	return d.out, d.findings
}

type decider struct {
	st       *mesh.State
	policy   *api.MigrationPolicy
	needs    map[api.Ref][]api.Need
	owners   owners
	excluded map[string]string
	out      []api.Decision
	findings []api.Finding
}

// service decides on one Service.
func (d *decider) service(svc *api.Service) {
	ws := d.st.WorkloadsOf(svc)
	dec := api.Decision{Cluster: svc.Cluster, Namespace: svc.Namespace, Service: svc.Name, Subject: svc.Ref()}
	for _, w := range ws {
		dec.Workloads = append(dec.Workloads, w.Ref())
	}
	mode := modeOf(d.st, ws)
	d.decide(&dec, mode, len(ws) == 0)
	if dec.Kind == api.Waypoint && (svc.Headless || svc.Type == "ExternalName") {
		dec.Kind = api.KeepSidecarDecision
		dec.Why = "it is headless, so a waypoint has no address to stand in for (facts M-25), and it needs " + capabilityList(dec.Needs, api.TierWaypoint)
	}
	d.finish(dec)
}

// lone decides on a workload that no Service selects.
func (d *decider) lone(w *api.Workload) {
	dec := api.Decision{Cluster: w.Cluster, Namespace: w.Namespace, Workload: w.Name, Subject: w.Ref(), Workloads: []api.Ref{w.Ref()}}
	d.decide(&dec, d.st.Mode(w), false)
	if dec.Kind == api.Waypoint {
		dec.Kind = api.KeepSidecarDecision
		dec.Why = "no Service selects it, so a service waypoint cannot serve it (facts M-20), and it needs " + capabilityList(dec.Needs, api.TierWaypoint)
	}
	d.finish(dec)
}

// decide fills kind, needs and reason from mode and needs.
func (d *decider) decide(dec *api.Decision, mode mesh.Mode, noPods bool) {
	dec.Mode = mode.String()
	dec.Needs, dec.Waived = d.collect(dec)
	o := d.owners.of(dec.Cluster, dec.Namespace, dec.Service, dec.Workload)
	dec.Owner, dec.Team, dec.Tier, dec.Contact = o.Owner, o.Team, o.Tier, o.Contact
	d.ownersFromLabels(dec)
	switch {
	case d.st.ControlPlaneNamespace(dec.Namespace) && mode != mesh.ModeGateway:
		dec.Kind, dec.Why = api.OutOfMesh, "its namespace holds the control plane or the system and never moves (facts E-29)"
		return
	case noPods:
		dec.Kind, dec.Why = api.OutOfMesh, "no workload of the inventory is behind it"
		return
	}
	switch mode {
	case mesh.ModeGateway:
		dec.Kind, dec.Why = api.KeepSidecarDecision, "it is a gateway: its Envoy is the workload itself, and ambient mode never captures it (facts E-28)"
		return
	case mesh.ModeNone:
		dec.Kind, dec.Why = api.OutOfMesh, "its pods have no sidecar today"
		return
	case mesh.ModeUnknown:
		dec.Kind = api.Blocked
		dec.Why = "it is not known whether its pods are in the mesh: the Namespace object was not read, nor a running pod"
		return
	case mesh.ModeSidecar, mesh.ModeAmbient, mesh.ModeMixed:
	}
	if reason, ok := d.excluded[dec.Namespace]; ok {
		dec.Kind, dec.Why = api.KeepSidecarDecision, "the MigrationPolicy excludes its namespace: "+reason
		return
	}
	d.byTier(dec)
}

// byTier chooses by the most demanding need.
func (d *decider) byTier(dec *api.Decision) {
	tier := api.TierZtunnel
	unknown := ""
	for _, n := range dec.Needs {
		t := n.Capability.Tier()
		if t == api.TierUnknown {
			unknown = string(n.Capability)
			t = api.TierBlocked
		}
		tier = max(tier, t)
	}
	switch tier {
	case api.TierZtunnel:
		dec.Kind = api.L4Only
		dec.Why = "ztunnel provides all that was found: mutual TLS, identity and layer 4 authorization"
	case api.TierWaypoint:
		dec.Kind = api.Waypoint
		dec.Why = "needs " + capabilityList(dec.Needs, tier)
		dec.Cheaper = "L4Only, if nothing needed " + sources(dec.Needs, tier)
	case api.TierSidecar:
		dec.Kind = api.KeepSidecarDecision
		dec.Why = "only a sidecar provides " + capabilityList(dec.Needs, tier)
		dec.Cheaper = "it could move, if nothing needed " + sources(dec.Needs, tier)
	case api.TierBlocked, api.TierUnknown:
		dec.Kind = api.Blocked
		dec.Why = "a person must decide about " + capabilityList(dec.Needs, api.TierBlocked)
		if unknown != "" {
			dec.Why += " (" + unknown + " is not known to this version)"
		}
		dec.Cheaper = "it could move, if nothing needed " + sources(dec.Needs, api.TierBlocked)
	}
}

// collect merges the detected and the declared needs of a subject and takes
// out what its owner waives.
func (d *decider) collect(dec *api.Decision) (needs, waived []api.Need) {
	needs = append(needs, d.needs[dec.Subject]...)
	for _, w := range dec.Workloads {
		if w != dec.Subject {
			needs = append(needs, d.needs[w]...)
		}
	}
	entries := d.owners.entries(dec.Cluster, dec.Namespace, dec.Service, dec.Workload)
	waive := map[api.Capability]entryOf[api.Waiver]{}
	for _, e := range entries {
		for i, c := range e.needs.Capabilities {
			needs = append(needs, api.Need{
				Subject: dec.Subject, Capability: c.Capability, Rule: declaredRule, Reason: c.Reason,
				Evidence: []api.Evidence{e.evidence(fmt.Sprintf("capabilities[%d]", i), string(c.Capability))},
			})
		}
		if e.needs.KeepSidecar != nil {
			needs = append(needs, api.Need{
				Subject: dec.Subject, Capability: api.CapSidecar, Rule: declaredRule, Reason: e.needs.KeepSidecar.Reason,
				Evidence: []api.Evidence{e.evidence("keepSidecar", e.needs.KeepSidecar.Reason)},
			})
		}
		for i, w := range e.needs.Waive {
			waive[w.Capability] = entryOf[api.Waiver]{w, e.evidence(fmt.Sprintf("waive[%d]", i), w.Reason)}
		}
	}
	kept := needs[:0:0]
	for _, n := range needs {
		w, ok := waive[n.Capability]
		switch {
		case !ok, n.Rule == ElsewhereRule: // waived where it is, or not at all
			kept = append(kept, n)
		case !waivable(n.Capability):
			kept = append(kept, n)
			d.findings = append(d.findings, api.Finding{
				ID: "waiver-refused", Severity: api.Blocker, Subject: dec.Subject,
				Message:  fmt.Sprintf("a waiver cannot drop %s", n.Capability),
				Evidence: []api.Evidence{w.evidence},
				Effect:   "the policy or workload that asks for it is still in the cluster, and dropping the need would change who may do what",
				Action:   "remove the waiver, or change the object that the evidence of the need names",
			})
		default:
			n.Waived = w.value.Reason
			waived = append(waived, n)
		}
	}
	slices.SortFunc(kept, api.Need.Compare)
	slices.SortFunc(waived, api.Need.Compare)
	return slices.CompactFunc(kept, func(a, b api.Need) bool { return a.Compare(b) == 0 }), waived
}

// waivable tells whether an owner may do without a capability. What decides who
// may do what, and what a kind of workload cannot do at all, cannot be waived.
func waivable(c api.Capability) bool {
	switch c {
	case api.CapL4Authorization, api.CapL7Authorization, api.CapExternalAuthorization, api.CapRequestAuthentication,
		api.CapSubsetPolicy, api.CapPlaintextOnly, api.CapVirtualMachine, api.CapWindows, api.CapProxylessGRPC,
		api.CapExternalIdentity, api.CapReservedPort, api.CapPrimaryRemote:
		return false
	}
	return true
}

// finish names the waypoint and appends the decision.
func (d *decider) finish(dec api.Decision) {
	if dec.Needs == nil {
		dec.Needs = []api.Need{}
	}
	d.out = append(d.out, dec)
}

// share lets services that share pods share the fate of the one that cannot
// move, until nothing changes, and then names the waypoints.
func (d *decider) share() {
	rank := map[api.DecisionKind]int{api.KeepSidecarDecision: 1, api.Blocked: 2}
	for changed := true; changed; {
		changed = false
		worst := map[api.Ref]*api.Decision{}
		for i := range d.out {
			dec := &d.out[i]
			if rank[dec.Kind] == 0 {
				continue
			}
			for _, w := range dec.Workloads {
				if cur := worst[w]; cur == nil || rank[cur.Kind] < rank[dec.Kind] {
					worst[w] = dec
				}
			}
		}
		for i := range d.out {
			dec := &d.out[i]
			if dec.Kind == api.OutOfMesh || dec.Kind == api.DecisionUnset {
				continue
			}
			for _, w := range dec.Workloads {
				cur := worst[w]
				if cur == nil || rank[cur.Kind] <= rank[dec.Kind] {
					continue
				}
				dec.Kind = cur.Kind
				dec.Why = fmt.Sprintf("it shares %s with %s, and %s", w, cur.Subject, cur.Why)
				dec.Cheaper = "see " + cur.Subject.String()
				changed = true
			}
		}
	}
	for i := range d.out {
		if d.out[i].Kind == api.Waypoint {
			d.out[i].Waypoint = d.waypoint(&d.out[i])
		}
	}
}

// defaultWaypointName is Istio's own default ("istioctl waypoint apply").
const defaultWaypointName = "waypoint"

// waypoint chooses the waypoint of a service by the policy's scope.
func (d *decider) waypoint(dec *api.Decision) *api.WaypointRef {
	scope, name, ns := "namespace", defaultWaypointName, dec.Namespace
	if d.policy != nil {
		w := d.policy.Waypoint
		scope = cmp.Or(w.Scope, scope)
		switch scope {
		case "service":
			name = shortName(dec.Service, "-waypoint", 63)
		case "shared":
			name, ns = cmp.Or(w.Name, name), cmp.Or(w.Namespace, ns)
		default:
			name = cmp.Or(w.Name, name)
		}
	}
	for _, g := range d.st.K8sGateways() {
		if g.Namespace == ns && g.Name == name && g.Spec.GatewayClassName != "istio-waypoint" {
			name = shortName(name, "-ambientplan", 63)
		}
	}
	return &api.WaypointRef{Name: name, Namespace: ns, Scope: scope}
}

// shortName appends a suffix and keeps the result within max bytes.
func shortName(name, suffix string, limit int) string {
	if len(name)+len(suffix) > limit {
		name = strings.TrimRight(name[:limit-len(suffix)], "-.")
	}
	return name + suffix
}

// modeOf is the common mode of workloads; mixed when they differ.
func modeOf(st *mesh.State, ws []*api.Workload) mesh.Mode {
	m := mesh.ModeUnknown
	for i, w := range ws {
		switch cur := st.Mode(w); {
		case i == 0:
			m = cur
		case cur != m:
			if m == mesh.ModeUnknown || cur == mesh.ModeUnknown {
				return mesh.ModeUnknown
			}
			return mesh.ModeMixed
		}
	}
	return m
}

// capabilityList names the capabilities of a tier, once each.
func capabilityList(needs []api.Need, t api.Tier) string {
	var names []string
	for _, n := range needs {
		if nt := n.Capability.Tier(); nt == t || (t == api.TierBlocked && nt == api.TierUnknown) {
			names = append(names, string(n.Capability))
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}

// sources names the capabilities of a tier with the first object that asks for each.
func sources(needs []api.Need, t api.Tier) string {
	var out []string
	seen := map[api.Capability]bool{}
	for _, n := range needs {
		nt := n.Capability.Tier()
		if seen[n.Capability] || (nt != t && (t != api.TierBlocked || nt != api.TierUnknown)) {
			continue
		}
		seen[n.Capability] = true
		s := string(n.Capability)
		if len(n.Evidence) > 0 {
			s += " (" + n.Evidence[0].Object.String()
			if n.Evidence[0].Path != "" {
				s += " " + n.Evidence[0].Path
			}
			s += ")"
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}
