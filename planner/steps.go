package planner

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/translate"
)

// Names of the steps of a wave, in their order.
const (
	stepPrepare  = "prepare"
	stepRoute    = "route"
	stepActivate = "activate"
	stepEnrol    = "enrol"
	stepCutover  = "cutover"
	stepFinalize = "finalize"
)

// baseState is what RollbackStep.To says for the state before a wave.
const baseState = "base"

// defaultRestartBatch is how many workloads restart in one cutover step.
const defaultRestartBatch = 10

// stepper makes the steps of all waves in order, against one growing tree.
type stepper struct {
	st     *mesh.State
	policy *api.MigrationPolicy
	tree   *tree
	edges  []api.Edge
	// callers are the known callers of each service.
	callers map[api.Ref]map[api.Ref]bool
	order   *cutoverOrder
	// conversions are the VirtualServices that become routes.
	conversions conversions
	ds          []api.Decision
	byNS        map[string][]*api.Decision
	moving      map[api.Ref]bool
	staying     map[api.Ref]bool
	prepared    map[string]bool
	active      map[string]bool
	gateways    map[api.Ref]bool
	taken       map[api.Ref]bool
	findings    []api.Finding
	err         error
	// number of the wave that is being made, and the waypoints made so far.
	number int
	made   []madeWaypoint
}

func newStepper(st *mesh.State, ds []api.Decision, edges []api.Edge, p *api.MigrationPolicy) *stepper {
	if p == nil {
		p = &api.MigrationPolicy{}
	}
	s := &stepper{
		st: st, policy: p, tree: newTree(), edges: edges, ds: ds,
		callers: callersByService(st, edges), order: newCutoverOrder(st, ds, edges),
		byNS: map[string][]*api.Decision{}, moving: map[api.Ref]bool{}, staying: map[api.Ref]bool{},
		prepared: map[string]bool{}, active: map[string]bool{}, gateways: map[api.Ref]bool{}, taken: map[api.Ref]bool{},
	}
	for i := range ds {
		d := &ds[i]
		s.byNS[d.Namespace] = append(s.byNS[d.Namespace], d)
		for _, w := range d.Workloads {
			switch d.Kind {
			case api.L4Only, api.Waypoint:
				if d.Mode == mesh.ModeSidecar.String() || d.Mode == mesh.ModeMixed.String() {
					s.moving[w] = true
				}
			case api.KeepSidecarDecision, api.Blocked:
				s.staying[w] = true
			case api.OutOfMesh, api.DecisionUnset:
			}
		}
	}
	for i := range st.Inventory().Objects {
		s.taken[st.Inventory().Objects[i].Ref()] = true
	}
	return s
}

// wave makes the steps of one wave.
func (s *stepper) wave(slot Slot) []api.Step {
	s.number = slot.Number
	var steps []api.Step
	prev := baseState
	emit := func(st *step) {
		if st.empty() {
			return
		}
		steps = append(steps, st.finish(prev))
		s.findings = append(s.findings, st.findings...)
		prev = st.name
	}
	early := map[string][]string{}
	for _, e := range slot.Early {
		if !slices.Contains(early[e.Step], e.Namespace) {
			early[e.Step] = append(early[e.Step], e.Namespace)
		}
	}
	prepare := s.tree.step(stepPrepare, "Create what sidecars ignore: waypoints, copies of policies for them, policies that admit them, and openings for HBONE. Pods that are deliberately outside the mesh are marked to stay outside.")
	for _, ns := range union(slot.Namespaces, early[stepPrepare], early[stepActivate]) {
		s.prepare(prepare, ns)
	}
	emit(prepare)
	activate := s.tree.step(stepActivate, "Send ambient callers and ingress gateways through the waypoints. Callers that still have sidecars are not affected.")
	for _, ns := range union(slot.Namespaces, early[stepActivate]) {
		s.activate(activate, ns)
	}
	emit(activate)
	enrol := s.tree.step(stepEnrol, "Label the namespaces for ambient mode. Pods with a sidecar keep it until they restart.")
	for _, ns := range slot.Namespaces {
		s.enrol(enrol, ns)
	}
	emit(enrol)
	for _, st := range s.cutovers(slot) {
		emit(st)
	}
	route := s.tree.step(stepRoute, "Add routes of the Gateway API that mean the same as VirtualServices. Waypoints follow them from now on; sidecars that are left do so at once.")
	for _, ns := range slot.Namespaces {
		s.route(route, ns)
	}
	emit(route)
	finalize := s.tree.step(stepFinalize, "Remove the policies and routes that nothing reads any more, now that waypoints enforce and apply the rest; what ztunnel enforces of a policy stays.")
	for _, ns := range slot.Namespaces {
		s.finalize(finalize, ns)
	}
	emit(finalize)
	return steps
}

// waypointServices are the Services of a namespace that get a waypoint and are
// not ambient already.
func (s *stepper) waypointServices(ns string) []*api.Decision {
	var out []*api.Decision
	for _, d := range s.byNS[ns] {
		if d.Kind == api.Waypoint && d.Subject.Kind == "Service" && d.Mode != mesh.ModeAmbient.String() {
			out = append(out, d)
		}
	}
	return out
}

// activate puts the labels that bind Services to their waypoint.
func (s *stepper) activate(st *step, ns string) {
	if s.active[ns] {
		return
	}
	s.active[ns] = true
	var seen []api.WaypointRef
	for _, d := range s.waypointServices(ns) {
		svc := s.st.Service(d.Namespace, d.Service)
		if svc == nil {
			continue
		}
		st.spaces[ns] = true
		fields := serviceFields(svc)
		why := "ambient callers of " + d.Service + " pass the waypoint from now on"
		st.fragment(svc.Ref(), "v1", svc.Owner, fields, labelPath(mesh.LabelUseWaypoint), d.Waypoint.Name, why, rulesOf(d.Needs)...)
		if d.Waypoint.Namespace != d.Namespace {
			st.fragment(svc.Ref(), "v1", svc.Owner, fields, labelPath(mesh.LabelUseWaypointNS), d.Waypoint.Namespace, why)
		}
		st.fragment(svc.Ref(), "v1", svc.Owner, fields, labelPath(mesh.LabelIngressUse), "true", "ingress gateways pass it as well, instead of going past it (facts E-19, B-05)")
		if !slices.Contains(seen, *d.Waypoint) {
			seen = append(seen, *d.Waypoint)
			st.checks = append(st.checks, api.Check{When: "before", What: "waypoint " + d.Waypoint.Namespace + "/" + d.Waypoint.Name + " is programmed and has at least two ready pods", Command: kubectl("get", "gateway,deployment", d.Waypoint.Name, "-n", d.Waypoint.Namespace), Expect: "PROGRAMMED=True and READY 2/2; a Service that names a waypoint which is not ready is reached directly, past every policy at the waypoint", Ask: ask(api.AskProgrammed, gatewayRef(*d.Waypoint))})
		}
		st.checks = append(st.checks, api.Check{When: "after", What: "Service " + d.Service + " is bound to its waypoint", Command: kubectl("get", "service", d.Service, "-n", d.Namespace, "-o", `jsonpath={.status.conditions[?(@.type=="istio.io/WaypointBound")]}`), Expect: "status True, reason WaypointAccepted", Ask: ask(api.AskBound, svc.Ref())})
	}
	s.activateEntries(st, ns)
	if st.spaces[ns] {
		st.checks = append(st.checks, api.Check{When: "after", What: "the copied policies of " + ns + " are accepted by the waypoint", Command: kubectl("get", "authorizationpolicy", "-n", ns, "-l", translate.LabelManaged+"="+translate.ManagedBy, "-o", "yaml"), Expect: "condition WaypointAccepted=True with reason Accepted on each policy with targetRefs", Ask: ask(api.AskAccepted, api.Ref{Kind: "Namespace", Name: ns})})
	}
}

// enrol labels the namespace.
func (s *stepper) enrol(st *step, ns string) {
	n := s.st.Namespace(ns)
	if n == nil || !s.moves(ns) {
		return
	}
	st.spaces[ns] = true
	st.fragment(n.Ref(), "v1", n.Owner, namespaceFields(n), labelPath(mesh.LabelDataplaneMode), "ambient", "pods without a sidecar are captured by ztunnel from now on", "E-20", "E-21")
	st.checks = append(st.checks,
		api.Check{When: "before", What: "ztunnel and istio-cni run on every node that has pods of " + ns, Command: "kubectl get daemonset -A", Expect: "ztunnel and istio-cni-node: DESIRED = READY", Ask: ask(api.AskNodes, api.Ref{})},
		api.Check{When: "after", What: "no pod of " + ns + " changed its mode: pods with sidecars keep them", Command: kubectl("get", "pods", "-n", ns), Expect: "no restarts, all ready", Ask: ask(api.AskSidecars, n.Ref())},
	)
}

// moves tells whether a namespace has a workload that cuts over.
func (s *stepper) moves(ns string) bool {
	for _, w := range s.st.WorkloadsIn(ns) {
		if s.moving[w.Ref()] {
			return true
		}
	}
	return false
}

// stays tells whether a namespace has a workload that still needs the injector:
// one that keeps its sidecar, or a gateway whose Envoy is injected. The label
// istio-injection=disabled would take it away from both.
func (s *stepper) stays(ns string) bool {
	for _, w := range s.st.WorkloadsIn(ns) {
		switch {
		case s.moving[w.Ref()]:
		case s.st.IsGateway(w):
			if w.PodLabels[mesh.LabelInject] != "false" {
				return true
			}
		case s.staying[w.Ref()]:
			return true
		}
	}
	return false
}

// labelPath is the path of a label of an object.
func labelPath(key string) []string { return []string{"metadata", "labels", key} }

func labelField(labels map[string]string, key string) field {
	v, ok := labels[key]
	return field{path: labelPath(key), old: v, exists: ok}
}

// namespaceFields are the fields of a Namespace that a plan may set.
func namespaceFields(n *api.Namespace) []field {
	return []field{labelField(n.Labels, mesh.LabelDataplaneMode), labelField(n.Labels, mesh.LabelInjection)}
}

// serviceFields are the fields of a Service that a plan may set.
func serviceFields(svc *api.Service) []field {
	return []field{labelField(svc.Labels, mesh.LabelUseWaypoint), labelField(svc.Labels, mesh.LabelUseWaypointNS), labelField(svc.Labels, mesh.LabelIngressUse)}
}

// rulesOf are the ids of the rules behind needs.
func rulesOf(needs []api.Need) []string {
	var out []string
	for _, n := range needs {
		out = append(out, n.Rule)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// union merges lists of names, sorted.
func union(lists ...[]string) []string {
	var out []string
	for _, l := range lists {
		out = append(out, l...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// free finds a name for an object of ours that no object of the cluster and no
// other object of the plan has.
func (s *stepper) free(ref api.Ref) string {
	name := ref.Name
	for i := 2; s.taken[ref]; i++ {
		ref.Name = shortName(name, "-"+strconv.Itoa(i), 253)
	}
	s.taken[ref] = true
	return ref.Name
}

// fail keeps the first error of making an object.
func (s *stepper) fail(err error, what string) {
	if s.err == nil && err != nil {
		s.err = fmt.Errorf("%s: %w", what, err)
	}
}

// kubectl is a command line whose arguments are quoted for a POSIX shell.
func kubectl(args ...string) string { return commandLine(append([]string{"kubectl"}, args...)) }

// commandLine joins the words of a command, quoted where a shell needs it.
func commandLine(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = quoteArg(w)
	}
	return strings.Join(out, " ")
}

// quoteArg quotes an argument unless it is plainly harmless.
func quoteArg(a string) string {
	harmless := a != "" && strings.IndexFunc(a, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./=:,", r))
	}) < 0
	if harmless {
		return a
	}
	return "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
}

// ask is a check as a question to the API server.
func ask(kind api.AskKind, object api.Ref) *api.Ask { return &api.Ask{Kind: kind, Object: object} }

// gatewayRef is the Gateway of a waypoint.
func gatewayRef(w api.WaypointRef) api.Ref {
	return api.Ref{Group: "gateway.networking.k8s.io", Kind: "Gateway", Namespace: w.Namespace, Name: w.Name}
}
