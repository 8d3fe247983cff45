package planner

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// maxCells bounds how many requests are compared for one call in one state.
const maxCells = 20000

// StateCheck is what authorization does in one state of a plan: the end of a step
// with every mix of its restarting pods, or the end of a step back.
type StateCheck struct {
	Wave int
	// Step is the name of the step, or of the step back.
	Step string
	Back bool
	// Calls is how many pairs of client workload and service port were compared.
	Calls int
	// Gaps are the calls that are judged differently than before wave 1, each with
	// one request.
	Gaps []CallGap
	// Unknown says of which calls nothing could be said, and why.
	Unknown []string
}

// CallGap is one call that is judged differently, with the request that shows it.
type CallGap struct {
	Client  api.Ref
	Service api.Ref
	Port    int32
	// Request in words.
	Request string
	// Before and After are the verdicts, with who decided.
	Before, After string
	// Permissive is true when the request was denied before.
	Permissive bool
}

// Verify compares the authorization of every known call in every state of a plan
// with that of today, for all requests that the policies in question can tell
// apart. It takes the plan as it stands: a step that was moved or a change that
// was removed by hand shows in the result. What it does not look at: routes,
// traffic policies, whether mutual TLS is kept where no policy asks for an
// identity, and callers that nobody named.
func Verify(inv *api.Inventory, p *api.MigrationPlan, needs []api.FeatureNeeds) []StateCheck {
	st, _ := mesh.New(inv)
	edges, _, _ := Edges(st, needs)
	v := &verifier{inv: inv, today: st, calls: callsOf(st, edges), plan: p, original: map[api.Ref]api.Content{}}
	for _, b := range p.Base {
		v.original[b.Object] = b.Content
	}
	var out []StateCheck
	now := maps.Clone(v.original)
	for _, w := range p.Waves {
		ends := map[string]map[api.Ref]api.Content{baseState: maps.Clone(now)}
		for _, s := range w.Steps {
			before := maps.Clone(now)
			fold(now, s.Changes)
			ends[s.Name] = maps.Clone(now)
			out = append(out, v.check(w.Number, s.Name, false, before, now))
		}
		for i := len(w.Steps) - 1; i >= 0; i-- {
			state := maps.Clone(ends[w.Steps[i].Name])
			for _, r := range w.Steps[i].Rollback {
				before := maps.Clone(state)
				fold(state, r.Changes)
				out = append(out, v.check(w.Number, r.Name, true, before, state))
			}
		}
	}
	return out
}

// fold applies changes to what the tree holds.
func fold(state map[api.Ref]api.Content, changes []api.Change) {
	for _, c := range changes {
		switch c.Op {
		case api.OpCreate, api.OpPatch, api.OpFragment:
			state[c.Object] = c.After
		case api.OpDelete:
			delete(state, c.Object)
		case api.OpManual, api.OpUnset:
		}
	}
}

// call is one client workload that may call one port of a service.
type call struct {
	client  *api.Workload
	service *api.Service
	port    api.ServicePort
}

// callsOf spells the edges out: every workload that a client stands for, every
// port that the edge may mean.
func callsOf(st *mesh.State, edges []api.Edge) []call {
	var out []call
	seen := map[string]bool{}
	for _, e := range edges {
		svc := st.Service(e.To.Namespace, e.To.Name)
		if svc == nil || e.To.Kind != "Service" {
			continue
		}
		for _, w := range callersOf(st, e.From) {
			for _, p := range svc.Ports {
				k := w.Ref().String() + " " + svc.Ref().String() + " " + strconv.Itoa(int(p.Port))
				if (e.Port != 0 && int32(e.Port) != p.Port) || p.Transport == "UDP" || seen[k] {
					continue
				}
				seen[k] = true
				out = append(out, call{w, svc, p})
			}
		}
	}
	return out
}

type verifier struct {
	inv      *api.Inventory
	today    *mesh.State
	plan     *api.MigrationPlan
	calls    []call
	original map[api.Ref]api.Content
}

// world is a state of the mesh with the mode of every pod in it.
type world struct {
	st *mesh.State
	// restarting workloads have pods of both kinds.
	modes map[api.Ref][]mesh.Mode
}

// check compares all calls in one state with today.
func (v *verifier) check(wave int, name string, back bool, before, after map[api.Ref]api.Content) StateCheck {
	out := StateCheck{Wave: wave, Step: name, Back: back}
	today := world{v.today, map[api.Ref][]mesh.Mode{}}
	now := v.world(before, after)
	for _, c := range v.calls {
		out.Calls++
		gap, why := v.compare(today, now, c)
		if why != "" {
			out.Unknown = append(out.Unknown, fmt.Sprintf("%s to %s port %d: %s", c.client.Ref(), c.service.Ref(), c.port.Port, why))
		}
		if gap != nil {
			out.Gaps = append(out.Gaps, *gap)
		}
	}
	return out
}

// world builds the mesh as it is while the step from before to after runs: its
// objects are those of after, and a workload whose template differs has pods of
// both modes.
func (v *verifier) world(before, after map[api.Ref]api.Content) world {
	inv := v.merge(after)
	st, _ := mesh.New(inv)
	old, _ := mesh.New(v.merge(before))
	w := world{st, map[api.Ref][]mesh.Mode{}}
	olds := map[api.Ref]*api.Workload{}
	for i := range old.Workloads() {
		olds[old.Workloads()[i].Ref()] = &old.Workloads()[i]
	}
	for i := range st.Workloads() {
		wl := &st.Workloads()[i]
		m, was := v.mode(st, wl), v.mode(old, olds[wl.Ref()])
		w.modes[wl.Ref()] = []mesh.Mode{m}
		if m != was {
			w.modes[wl.Ref()] = append(w.modes[wl.Ref()], was)
		}
	}
	return w
}

// mode of a workload in a state of the plan. Pods follow their template only
// once the plan restarts them: until then they are what they are today, but
// those without a sidecar follow the namespace's label live (facts E-22).
func (v *verifier) mode(st *mesh.State, w *api.Workload) mesh.Mode {
	var orig *api.Workload
	for _, o := range v.today.WorkloadsIn(w.Namespace) {
		if o.Ref() == w.Ref() {
			orig = o
		}
	}
	m := v.today.Mode(orig)
	ns := st.Namespace(w.Namespace)
	if ns == nil || m == mesh.ModeGateway || m == mesh.ModeUnknown {
		return m
	}
	restarted := w.PodLabels[mesh.LabelInject] == "false" && orig.PodLabels[mesh.LabelInject] != "false"
	if m == mesh.ModeNone || restarted {
		if mesh.Captured(ns, w) {
			return mesh.ModeAmbient
		}
		return mesh.ModeNone
	}
	return m
}

// merge lays the objects of a state over the inventory of today.
func (v *verifier) merge(state map[api.Ref]api.Content) *api.Inventory {
	inv := *v.inv
	inv.Objects = nil
	for i := range v.inv.Objects {
		o := v.inv.Objects[i]
		if _, ours := v.original[o.Ref()]; !ours {
			inv.Objects = append(inv.Objects, o)
		}
	}
	labels := map[api.Ref]map[string]string{}
	for ref, c := range state {
		switch {
		case ref.Kind == "Namespace" || ref.Kind == "Service" && ref.Group == "":
			labels[ref] = stringsAt(c, "metadata", "labels")
		case templatePath(&api.Workload{Kind: ref.Kind}) != nil && ref.Group != "security.istio.io":
			labels[ref] = stringsAt(c, templatePath(&api.Workload{Kind: ref.Kind})...)
		default:
			v, _ := c["apiVersion"].(string)
			inv.Objects = append(inv.Objects, api.Object{APIVersion: v, Kind: ref.Kind, Namespace: ref.Namespace, Name: ref.Name, Content: c})
		}
	}
	inv.Namespaces = slices.Clone(v.inv.Namespaces)
	for i := range inv.Namespaces {
		if l, ok := labels[inv.Namespaces[i].Ref()]; ok {
			inv.Namespaces[i].Labels = over(inv.Namespaces[i].Labels, stringsAt(v.original[inv.Namespaces[i].Ref()], "metadata", "labels"), l)
		}
	}
	inv.Services = slices.Clone(v.inv.Services)
	for i := range inv.Services {
		if l, ok := labels[inv.Services[i].Ref()]; ok {
			inv.Services[i].Labels = over(inv.Services[i].Labels, stringsAt(v.original[inv.Services[i].Ref()], "metadata", "labels"), l)
		}
	}
	inv.Workloads = slices.Clone(v.inv.Workloads)
	for i := range inv.Workloads {
		w := &inv.Workloads[i]
		if l, ok := labels[w.Ref()]; ok {
			w.PodLabels = over(w.PodLabels, stringsAt(v.original[w.Ref()], templatePath(w)...), l)
		}
	}
	return &inv
}

// over replaces the fields that a fragment holds: those of its base go, those of
// its present content come.
func over(labels, base, now map[string]string) map[string]string {
	out := maps.Clone(labels)
	if out == nil {
		out = map[string]string{}
	}
	for k := range base {
		delete(out, k)
	}
	maps.Copy(out, now)
	return out
}

func stringsAt(c api.Content, path ...string) map[string]string {
	m := map[string]any(c)
	for _, p := range path {
		m, _ = m[p].(map[string]any)
	}
	out := map[string]string{}
	for k, v := range m {
		if s, ok := v.(string); ok {
			out[k] = s
		}
	}
	return out
}

// attachedTo lists the policies that a waypoint enforces for a service.
func attachedTo(st *mesh.State, svc *api.Service, w api.WaypointRef) []policyAt {
	var out []policyAt
	for _, p := range st.AuthorizationPolicies() {
		refs := p.Spec.GetTargetRefs()
		if r := p.Spec.GetTargetRef(); r != nil {
			refs = append(slices.Clone(refs), r)
		}
		for _, r := range refs {
			hit := r.GetKind() == "Service" && p.Namespace == svc.Namespace && r.GetName() == svc.Name ||
				r.GetKind() == "Gateway" && p.Namespace == w.Namespace && r.GetName() == w.Name ||
				r.GetKind() == "GatewayClass" && p.Namespace == st.RootNamespace() && r.GetName() == "istio-waypoint"
			if hit {
				out = append(out, p)
				break
			}
		}
	}
	return out
}

// waypointOf is the waypoint that a Service names in a state.
func waypointOf(st *mesh.State, svc *api.Service) (api.WaypointRef, bool) {
	labels := svc.Labels
	if labels[mesh.LabelUseWaypoint] == "" {
		if ns := st.Namespace(svc.Namespace); ns != nil {
			labels = ns.Labels
		}
	}
	name := labels[mesh.LabelUseWaypoint]
	if name == "" || name == "none" || svc.Headless {
		return api.WaypointRef{}, false
	}
	ns := svc.Namespace
	if labels[mesh.LabelUseWaypointNS] != "" {
		ns = labels[mesh.LabelUseWaypointNS]
	}
	for _, g := range st.K8sGateways() {
		if g.Namespace == ns && g.Name == name && g.Spec.GatewayClassName == "istio-waypoint" {
			return api.WaypointRef{Name: name, Namespace: ns}, true
		}
	}
	return api.WaypointRef{}, false
}
