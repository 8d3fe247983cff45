package assess

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// answer is yes, no, or not known. The zero value is not known.
type answer int

const (
	notKnown answer = iota
	yes
	no
)

func answerOf(b bool) answer {
	if b {
		return yes
	}
	return no
}

// meshToday is what runs today. The zero value is not known.
type meshToday int

const (
	meshNotKnown meshToday = iota
	meshNone
	meshSidecar
	meshAmbient
	meshOther
)

// facts is what the verdict rests on. Lists are sorted.
type facts struct {
	mesh meshToday
	// clusters that were read; several are connected or not, which nobody told.
	clusters int
	// services with pods of their own, however many Services select them.
	services int
	// earlier counts of an older inventory; -1 when there is none.
	earlierServices, earlierCross int
	// teams that are named, unowned services, and whether an answer counted the teams.
	teams, unowned int
	teamsSaid      bool
	// cross counts known calls between teams, crossSpaces between namespaces; calls counts all
	// that were observed or declared.
	cross, crossSpaces, calls int
	// encryption and identity: whether somebody requires them.
	encryption, identity answer
	// owned says whether somebody has time to run a mesh.
	owned answer
	// wants are problems to be solved; wantsSaid is false when nobody was asked.
	wants     []api.Want
	wantsSaid bool
	// strict namespaces or meshes, policies that use identities, policies in all.
	strict, identityPolicies, policies []api.Evidence
	// inside counts services by what they need of layer 7 from the mesh.
	inside map[capabilityGroup]int
	// insideServices have any of it.
	insideServices int
	// edge are gateways and ingresses.
	edge []api.Evidence
	// cilium is there; ciliumEncrypts says that it is set to.
	cilium, ciliumEncrypts bool
	otherMesh              string
	sidecars, ambientPods  int
	// asked are sidecars as the cost counts them: replicas where no pods were read.
	asked int
	// moving, keeping and little count namespaces.
	namespaces              []api.NamespaceVerdict
	moving, keeping, little int
	// saves says whether the data plane asks for less afterwards, by CPU or by memory;
	// savesOne, that it asks for more of the other.
	saves    answer
	savesOne bool
	// incomplete are reasons why the plan must not be started yet.
	incomplete     []string
	prices         *api.Prices
	found          []api.FoundPart
	contradictions []string
	unknowns       []api.Unknown
	unreadable     []string
	requirements   []string
	platform       string
	modeUnknown    int
}

// capabilityGroup is a part of a mesh's work, in the words of a table.
type capabilityGroup string

// Groups, in the order in which they are shown.
const (
	groupAuthorization capabilityGroup = "authorization by method, path, header or token"
	groupRouting       capabilityGroup = "routing, canaries and mirroring"
	groupResilience    capabilityGroup = "retries, timeouts and circuit breaking"
	groupTelemetry     capabilityGroup = "request metrics, logs and traces"
	groupEgress        capabilityGroup = "control of calls to the outside"
	groupExtension     capabilityGroup = "extensions and filters of one's own"
)

// groupOf is the group of a capability; "" for what layer 4 provides and for what is no use
// of a mesh (a virtual machine, a reserved port).
func groupOf(c api.Capability) capabilityGroup {
	switch c {
	case api.CapL7Authorization, api.CapExternalAuthorization, api.CapAuditPolicy, api.CapRequestAuthentication:
		return groupAuthorization
	case api.CapHTTPRouting, api.CapTCPRouting, api.CapTLSRouting, api.CapMirroring, api.CapHeaderManipulation, api.CapRewrite,
		api.CapRedirect, api.CapCORS, api.CapClientRouting, api.CapSourceRouting, api.CapSubsetPolicy:
		return groupRouting
	case api.CapRetries, api.CapTimeouts, api.CapFaultInjection, api.CapLoadBalancing, api.CapRequestBalancing, api.CapCircuitBreaking,
		api.CapOutlierDetection, api.CapLocality:
		return groupResilience
	case api.CapL7Telemetry, api.CapTracing:
		return groupTelemetry
	case api.CapTLSOrigination, api.CapL7Egress, api.CapEgressScope:
		return groupEgress
	case api.CapWasm, api.CapExtension, api.CapEnvoyFilter:
		return groupExtension
	case api.CapMTLS, api.CapL4Authorization, api.CapSidecar, api.CapCaptureExclusion, api.CapProxylessGRPC, api.CapExternalIdentity,
		api.CapVirtualMachine, api.CapWindows, api.CapPlaintextOnly, api.CapReservedPort, api.CapPrimaryRemote, api.CapHumanDecision:
	}
	return ""
}

// gather reads all facts from the clusters and from what people say.
func gather(views []clusterView, in Input) *facts {
	f := &facts{clusters: len(views), earlierServices: -1, earlierCross: -1, inside: map[capabilityGroup]int{}, unreadable: slices.Sorted(slices.Values(in.Unreadable))}
	teams := map[string]bool{}
	for _, v := range views {
		f.modes(v)
		f.count(v, teams)
		f.policiesOf(v)
		f.usesOf(v)
		f.edgeOf(v)
		f.found = append(f.found, findParts(v)...)
		f.ciliumEncrypts = f.ciliumEncrypts || encrypts(v.st)
		f.namespacesOf(v)
		for _, why := range v.plan.Incomplete {
			f.incomplete = append(f.incomplete, named(v.name, len(views), why))
		}
	}
	f.teams = len(teams)
	for _, p := range f.found {
		f.cilium = f.cilium || p.Name == "Cilium" || strings.HasPrefix(p.Name, "GKE Dataplane")
		if p.Kind == kindMesh && f.otherMesh == "" {
			f.otherMesh = p.Name
		}
	}
	f.today()
	f.money(views)
	f.people(in.Answers)
	f.grown(in)
	for _, u := range f.unreadable {
		f.unknowns = append(f.unknowns, api.Unknown{
			ID: "unreadable", Subject: api.Ref{Kind: "Cluster", Name: u}, What: "it could not be read: " + u,
			Could: "every count, the cost and the verdict", Action: "read it, and assess again",
		})
	}
	return f
}

// named puts the cluster before a text when there are several.
func named(cluster string, clusters int, what string) string {
	if clusters > 1 && cluster != "" {
		return cluster + ": " + what
	}
	return what
}

// modes counts pods by what carries their traffic.
func (f *facts) modes(v clusterView) {
	for i := range v.st.Workloads() {
		w := &v.st.Workloads()[i]
		switch v.st.Mode(w) {
		case mesh.ModeSidecar:
			f.sidecars += max(w.Pods.Sidecar, 1)
		case mesh.ModeMixed:
			f.sidecars += max(w.Pods.Sidecar, 1)
			f.ambientPods += w.Pods.Ambient
		case mesh.ModeAmbient:
			f.ambientPods += max(w.Pods.Ambient, 1)
		case mesh.ModeUnknown:
			if !v.st.ControlPlaneNamespace(w.Namespace) {
				f.modeUnknown++
			}
		case mesh.ModeNone, mesh.ModeGateway:
		}
	}
}

// today says what mesh there is.
func (f *facts) today() {
	switch {
	case f.sidecars > 0:
		f.mesh = meshSidecar
	case f.ambientPods > 0:
		f.mesh = meshAmbient
	case f.otherMesh != "":
		f.mesh = meshOther
	case f.modeUnknown > 0:
		f.mesh = meshNotKnown
		f.unknowns = append(f.unknowns, api.Unknown{
			ID: "mode", Subject: api.Ref{Kind: "Cluster", Name: "mesh"},
			What:  fmt.Sprintf("whether %s are in a mesh: neither their Namespace objects nor their pods were read", counted(f.modeUnknown, "workload")),
			Could: "the verdict", Action: "add the Namespace objects, or take the inventory from the cluster",
		})
	default:
		f.mesh = meshNone
	}
}

// count counts services, teams and calls.
func (f *facts) count(v clusterView, teams map[string]bool) {
	seen := map[string]bool{}
	team := map[api.Ref]string{}
	for i := range v.plan.Decisions {
		d := &v.plan.Decisions[i]
		owner := cmp.Or(d.Team, d.Owner)
		team[d.Subject] = owner
		for _, w := range d.Workloads {
			team[w] = cmp.Or(team[w], owner)
		}
		if !isService(v.st, d) {
			continue
		}
		key := fmt.Sprint(d.Workloads)
		if seen[key] {
			continue
		}
		seen[key] = true
		f.services++
		if owner == "" {
			f.unowned++
		} else {
			teams[owner] = true
		}
	}
	f.calls, f.cross, f.crossSpaces = addCalls(v.plan.Calls, team, f.calls, f.cross, f.crossSpaces)
}

// isService tells whether a decision is about a service of an application: with pods, and
// none of the control plane or of a gateway.
func isService(st *mesh.State, d *api.Decision) bool {
	if d.Service == "" || len(d.Workloads) == 0 || st.ControlPlaneNamespace(d.Namespace) {
		return false
	}
	return d.Mode != mesh.ModeGateway.String()
}

// addCalls counts known calls, those between teams, and those between namespaces.
func addCalls(calls []api.Edge, team map[api.Ref]string, all, cross, spaces int) (int, int, int) {
	for _, e := range calls {
		if e.Provenance != api.Observed && e.Provenance != api.Declared {
			continue
		}
		all++
		if e.From.Namespace != e.To.Namespace {
			spaces++
		}
		if from, to := team[e.From], team[e.To]; from != "" && to != "" && from != to {
			cross++
		}
	}
	return all, cross, spaces
}

// policiesOf reads what is said about encryption and identity.
func (f *facts) policiesOf(v clusterView) {
	for _, p := range v.st.PeerAuthentications() {
		if p.Spec.GetMtls().GetMode() == mesh.MTLSStrict {
			f.strict = append(f.strict, api.Evidence{Object: p.Ref(), Path: "spec.mtls.mode", Value: "STRICT", Source: p.Object.Origin.At("spec")})
		}
	}
	for _, p := range v.st.AuthorizationPolicies() {
		ev := api.Evidence{Object: p.Ref(), Path: "spec.rules", Source: p.Object.Origin.At("spec")}
		f.policies = append(f.policies, ev)
		uses := false
		for _, r := range p.Spec.GetRules() {
			for _, from := range r.GetFrom() {
				s := from.GetSource()
				uses = uses || len(s.GetPrincipals())+len(s.GetNotPrincipals())+len(s.GetNamespaces())+len(s.GetNotNamespaces())+
					len(s.GetServiceAccounts())+len(s.GetNotServiceAccounts()) > 0
			}
			for _, c := range r.GetWhen() {
				uses = uses || c.GetKey() == "source.principal" || c.GetKey() == "source.namespace"
			}
		}
		if uses {
			f.identityPolicies = append(f.identityPolicies, ev)
		}
	}
}

// usesOf counts what services use of layer 7.
func (f *facts) usesOf(v clusterView) {
	for i := range v.plan.Decisions {
		d := &v.plan.Decisions[i]
		if !isService(v.st, d) || d.Kind == api.OutOfMesh {
			continue
		}
		has := map[capabilityGroup]bool{}
		for _, n := range d.Needs {
			if g := groupOf(n.Capability); g != "" {
				has[g] = true
			}
		}
		for g := range has {
			f.inside[g]++
		}
		if len(has) > 0 {
			f.insideServices++
		}
	}
}

// edgeOf lists what lets traffic in from outside.
func (f *facts) edgeOf(v clusterView) {
	for _, g := range v.st.Gateways() {
		f.edge = append(f.edge, api.Evidence{Object: g.Ref(), Source: g.Object.Origin.At("spec")})
	}
	for _, g := range v.st.K8sGateways() {
		if g.Spec.GatewayClassName != "istio-waypoint" {
			f.edge = append(f.edge, api.Evidence{Object: g.Ref(), Path: "spec.gatewayClassName", Value: string(g.Spec.GatewayClassName), Source: g.Object.Origin.At("spec")})
		}
	}
	for _, o := range v.st.Objects(mesh.KindIngress) {
		f.edge = append(f.edge, api.Evidence{Object: o.Ref(), Source: o.Origin.At("spec")})
	}
}

// money says whether the data plane asks for less afterwards.
func (f *facts) money(views []clusterView) {
	before, after, missing := api.Resources{}, api.Resources{}, false
	for _, v := range views {
		before, after = before.Plus(v.plan.Cost.Before()), after.Plus(v.plan.Cost.After())
		missing = missing || len(v.plan.Cost.Missing) > 0
		f.asked += v.plan.Cost.Sidecars
	}
	switch {
	case f.mesh != meshSidecar:
	case after.MilliCPU >= before.MilliCPU && after.MemoryMiB >= before.MemoryMiB:
		// What is missing only adds to what is asked for afterwards.
		f.saves = no
	case missing:
	default:
		f.saves = yes
		f.savesOne = after.MilliCPU > before.MilliCPU || after.MemoryMiB > before.MemoryMiB
	}
}

// grown compares with an older inventory.
func (f *facts) grown(in Input) {
	if len(in.Earlier) == 0 {
		return
	}
	f.earlierServices, f.earlierCross = 0, 0
	for _, part := range in.Earlier {
		st, _ := mesh.New(part)
		seen := map[string]bool{}
		for i := range st.Services() {
			s := &st.Services()[i]
			var refs []api.Ref
			for _, w := range st.WorkloadsOf(s) {
				if !st.IsGateway(w) {
					refs = append(refs, w.Ref())
				}
			}
			if key := fmt.Sprint(refs); len(refs) > 0 && !st.ControlPlaneNamespace(s.Namespace) && !seen[key] {
				seen[key] = true
				f.earlierServices++
			}
		}
		_, _, f.earlierCross = addCalls(part.Edges, nil, 0, 0, f.earlierCross)
	}
}

// insideUses lists what services use, largest first.
func (f *facts) insideUses() []string {
	gs := slices.SortedFunc(maps.Keys(f.inside), func(a, b capabilityGroup) int {
		return cmp.Or(cmp.Compare(f.inside[b], f.inside[a]), cmp.Compare(a, b))
	})
	var out []string
	for _, g := range gs {
		out = append(out, fmt.Sprintf("%s (%s)", g, counted(f.inside[g], "service")))
	}
	return out
}
