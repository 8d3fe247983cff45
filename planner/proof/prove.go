package proof

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// maxOrders bounds the changes of one step that touch one Service: their effect
// is evaluated in every order, so the work is two to the power of their number.
const maxOrders = 8

// Input of a proof.
type Input struct {
	// State is the mesh of today.
	State *mesh.State
	// Calls is the call graph.
	Calls []api.Edge
	// Base holds the objects that the plan touches as they are before wave 0.
	Base []api.BaseObject
	// Waves in order, with their steps.
	Waves []api.Wave
	// Exhaustive evaluates every Service in every state anew, for every caller. It is
	// for tests: the result is the same.
	Exhaustive bool
}

// StepProof is the result for the states of one step, or of one step back.
type StepProof struct {
	Wave int
	// Step is its name; Back is the name of the step back, empty for the step itself.
	Step, Back string
	// Calls is how many calls were compared: one caller and one port of one Service.
	Calls int
	// Mixes is how many different states of a Service were compared for them.
	Mixes int
	// Requests is how many requests were compared.
	Requests int
	Gaps     []Gap
	// Unknowns are the calls of which nothing can be said.
	Unknowns []UnknownCall
	// NotFollowed are objects that the step changes and the model does not know.
	NotFollowed []api.Ref
	// Broken are objects whose content does not fit their kind, with why.
	Broken []string
}

// UnknownCall is a call of which nothing can be said, and why.
type UnknownCall struct {
	Service api.Ref
	Port    int32
	Client  string
	Why     string
}

// Result of a proof.
type Result struct {
	Steps []StepProof
	// Relied says on which call graph each Service was judged: how many are told
	// by observed or declared calls, and which are open to everybody.
	Told int
	Open []api.Ref
}

// prover carries what does not change while the states are walked through, and
// what was found already.
type prover struct {
	in          Input
	st          *mesh.State
	workloads   map[api.Ref]*api.Workload
	index       map[*api.Workload]int
	list        []*api.Workload
	behind      map[*api.Service][]*api.Workload
	principals  []string
	byPrincipal map[string][]*api.Workload
	edgesTo     map[api.Ref][]api.Edge
	stands      map[api.Ref][]*api.Workload
	todayModes  map[api.Ref]modes
	todayFresh  map[api.Ref]mesh.Mode
	versions    int
	known       map[string]int
	broken      map[api.Ref]string
	peerAuth    map[*api.Workload]peerAuth
	classes     map[string][]*caller
	proxies     map[programKey]*mesh.ProxyProgram
	ztunnels    map[string]*mesh.ZtunnelProgram
	settings    mesh.AuthzSettings
	parsed      map[uintptr]parsed
	// everybody stands for every workload, nobody for a caller outside the mesh.
	everybody, nobody *caller
	callers           int
	// requests is how many were compared so far.
	requests int
	cellsOf  map[string]cellList
	targets  []*target
	targetOf map[*api.Service]*target
	// reroute is nil for a plan that leaves routes alone.
	reroute *rerouting
	// inSpace are the workloads of each namespace by their place in list.
	inSpace        map[string][]int
	spacesWithPods []string
	targetsIn      map[string][]*target
	// crossing may use a waypoint of another namespace; crosses says whose labels
	// the plan makes do so.
	crossing []*target
	crosses  map[api.Ref]bool
	// watched are Services for which it matters who of everybody has moved;
	// byClient are those that a workload is known to call.
	watched  map[*target]bool
	byClient map[int][]*target
	// tlsRules are the DestinationRules that set how clients encrypt, by host.
	tlsRules map[string]string
	// begun is true once all Services were evaluated.
	begun      bool
	start      world
	startModes []modes
}

// target is one Service and what was found of it so far.
type target struct {
	// n is its place among all.
	n       int
	service *api.Service
	// ref is what gaps name: the Service, or the workload that no Service selects.
	ref api.Ref
	// tls is the DestinationRule that sets how its clients encrypt; empty for none.
	tls     string
	today   view
	callers []*caller
	// anyone is true when nobody named the callers.
	anyone bool
	ports  []call
	// own are the workloads behind the Service; built when it is asked for.
	own bits
	// last is the view that was built last, and of which spaces.
	last       view
	lastSpaces [3]*space
	// spelled are the callers by the key of a view; nil when they cannot be told apart.
	spelled map[string][]role
	// views numbers the views by their keys.
	views   map[string]int
	results map[resultKey]*outcome
	// routing is nil when nothing acts on calls of the Service but the defaults.
	routing *routing
	// clean are the views in which no caller is treated differently, whatever the
	// modes of callers are that a plan leads to.
	clean map[int]bool
}

type resultKey struct {
	view, caller int
	start, now   modes
	port         int32
	suspect      bool
}

// Prove walks through all states of the plan. It fails only when ctx is done.
func Prove(ctx context.Context, in Input) (*Result, error) {
	p := newProver(in)
	out := &Result{}
	for _, t := range p.targets {
		switch {
		case t.ref.Kind != "Service":
		case t.anyone:
			out.Open = append(out.Open, t.ref)
		default:
			out.Told++
		}
	}
	now := &state{world: p.start, modes: p.startModes, during: p.startModes, found: map[*target]found{}}
	for _, w := range in.Waves {
		ends := make([]*state, len(w.Steps))
		for i, s := range w.Steps {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			var sp StepProof
			sp, now = p.step(now, s.Changes)
			sp.Wave, sp.Step = w.Number, s.Name
			ends[i] = now
			out.Steps = append(out.Steps, sp)
		}
		for i := len(w.Steps) - 1; i >= 0; i-- {
			back := ends[i]
			for _, r := range w.Steps[i].Rollback {
				if err := ctx.Err(); err != nil {
					return nil, err
				}
				var sp StepProof
				sp, back = p.step(back, r.Changes)
				sp.Wave, sp.Step, sp.Back = w.Number, w.Steps[i].Name, r.Name
				out.Steps = append(out.Steps, sp)
			}
		}
	}
	return out, nil
}

// state is the end of a step, with what was found while it ran.
type state struct {
	world world
	// modes are those of all workloads at the end, during those that they had.
	modes, during []modes
	// found is what is wrong with each Service; most have no entry.
	found map[*target]found
}

// found is what is wrong with one Service in one step.
type found struct {
	gaps     []Gap
	unknowns []UnknownCall
}

func newProver(in Input) *prover {
	p := &prover{
		in: in, st: in.State,
		workloads: map[api.Ref]*api.Workload{}, index: map[*api.Workload]int{}, behind: map[*api.Service][]*api.Workload{},
		byPrincipal: map[string][]*api.Workload{}, edgesTo: map[api.Ref][]api.Edge{}, stands: map[api.Ref][]*api.Workload{},
		todayModes: map[api.Ref]modes{}, todayFresh: map[api.Ref]mesh.Mode{}, known: map[string]int{}, broken: map[api.Ref]string{},
		peerAuth: map[*api.Workload]peerAuth{}, classes: map[string][]*caller{}, proxies: map[programKey]*mesh.ProxyProgram{}, ztunnels: map[string]*mesh.ZtunnelProgram{},
		parsed: map[uintptr]parsed{}, settings: in.State.AuthzSettings(), everybody: &caller{anyone: true}, nobody: &caller{anyone: true, outside: true},
		cellsOf: map[string]cellList{}, targetOf: map[*api.Service]*target{}, targetsIn: map[string][]*target{}, inSpace: map[string][]int{}, watched: map[*target]bool{}, byClient: map[int][]*target{},
	}
	p.start = p.today()
	for i := range p.st.Workloads() {
		w := &p.st.Workloads()[i]
		p.workloads[w.Ref()] = w
		p.index[w] = len(p.list)
		p.list = append(p.list, w)
		p.todayModes[w.Ref()] = p.observed(w)
		p.todayFresh[w.Ref()] = p.fresh(p.start, w, p.start.space(w.Namespace).labels)
		id := p.principal(w)
		p.byPrincipal[id] = append(p.byPrincipal[id], w)
	}
	p.principals = slices.Sorted(maps.Keys(p.byPrincipal))
	p.startModes = make([]modes, len(p.list))
	for i, w := range p.list {
		p.startModes[i] = p.modesOf(p.start, w)
		p.inSpace[w.Namespace] = append(p.inSpace[w.Namespace], i)
	}
	p.spacesWithPods = slices.Sorted(maps.Keys(p.inSpace))
	p.everybody.members = p.list
	p.index1(p.everybody)
	p.index1(p.nobody)
	for _, e := range in.Calls {
		p.edgesTo[e.To] = append(p.edgesTo[e.To], e)
	}
	for i := range p.st.Services() {
		p.addTarget(&p.st.Services()[i])
	}
	for _, w := range p.list {
		if p.todayModes[w.Ref()]&(only(mesh.ModeSidecar)|only(mesh.ModeAmbient)) != 0 && len(p.st.ServicesOf(w)) == 0 {
			p.addLone(w)
		}
	}
	p.findRerouting()
	for _, t := range p.targets {
		if t.ref.Kind == "Service" {
			p.addRouting(t)
		}
	}
	return p
}

// addTarget prepares a Service that has pods.
func (p *prover) addTarget(svc *api.Service) {
	ws := p.st.WorkloadsOf(svc)
	if len(ws) == 0 || !slices.ContainsFunc(ws, func(w *api.Workload) bool { return !p.todayModes[w.Ref()].has(mesh.ModeGateway) }) {
		return
	}
	p.behind[svc] = ws
	t := p.newTarget(svc, svc.Ref(), p.callersOf(svc))
	for _, port := range svc.Ports {
		if port.Transport != "UDP" && port.Transport != "SCTP" {
			t.ports = append(t.ports, call{service: svc, port: port, tcp: servedAsTCP(port)})
		}
	}
	p.addOtherPorts(t)
	for _, c := range t.callers {
		t.anyone = t.anyone || c == p.everybody
		if c != p.everybody {
			for _, i := range c.idx {
				p.byClient[i] = append(p.byClient[i], t)
			}
		}
	}
}

// addLone prepares a workload that no Service selects: it can be reached by the
// addresses of its pods only, so what matters is who gains by that.
func (p *prover) addLone(w *api.Workload) {
	svc := &api.Service{Cluster: w.Cluster, Namespace: w.Namespace, Name: w.Name, Headless: true}
	p.behind[svc] = []*api.Workload{w}
	p.addOtherPorts(p.newTarget(svc, w.Ref(), nil))
}

func (p *prover) newTarget(svc *api.Service, ref api.Ref, callers []*caller) *target {
	t := &target{
		n: len(p.targets), service: svc, ref: ref, today: p.viewOf(p.start, svc), callers: callers, tls: p.ownTLS(svc),
		spelled: map[string][]role{}, views: map[string]int{}, results: map[resultKey]*outcome{}, clean: map[int]bool{},
	}
	p.targets = append(p.targets, t)
	p.targetOf[svc] = t
	p.targetsIn[svc.Namespace] = append(p.targetsIn[svc.Namespace], t)
	if p.mayCross(svc) {
		p.crossing = append(p.crossing, t)
	}
	return t
}

// addOtherPorts adds ports of the pods that the Service does not have: those that
// policies name, and one for all others. Nobody calls them by the Service, but
// whoever wants past a rule may try. Where no policy applies there is no rule.
func (p *prover) addOtherPorts(t *target) {
	named := map[uint16]bool{}
	any := false
	for i := range t.today.pods {
		for _, o := range t.today.pods[i].policies {
			any = true
			for _, port := range mesh.PortsNamed(o.authorization) {
				named[port] = true
			}
		}
	}
	if !any {
		return
	}
	other := uint16(61000)
	for named[other] {
		other++
	}
	named[other] = true
	for i := range t.ports {
		for _, w := range p.behind[t.service] {
			delete(named, t.ports[i].podPort(w))
		}
	}
	for _, port := range slices.Sorted(maps.Keys(named)) {
		t.ports = append(t.ports, call{service: t.service, port: api.ServicePort{Port: int32(port)}, pods: true})
	}
}

// ownTLS is a DestinationRule that sets how clients encrypt their connections to a
// Service; "" when they do as Istio does by itself.
func (p *prover) ownTLS(svc *api.Service) string {
	if p.tlsRules == nil {
		p.tlsRules = map[string]string{}
		for _, r := range p.st.DestinationRules() {
			if mesh.SetsTLS(r.Spec) {
				p.tlsRules[p.st.FQDN(r.Spec.GetHost(), r.Namespace)] = r.Ref().String()
			}
		}
	}
	host := svc.Name + "." + svc.Namespace + ".svc." + p.st.ClusterDomain()
	for rest := host; ; {
		if ref := p.tlsRules[rest]; ref != "" {
			return ref
		}
		_, tail, ok := strings.Cut(strings.TrimPrefix(rest, "*."), ".")
		if !ok {
			return p.tlsRules["*"]
		}
		rest = "*." + tail
	}
}

// mayCross tells whether a Service names a waypoint of another namespace, today
// or in some state of the plan.
func (p *prover) mayCross(svc *api.Service) bool {
	if p.crosses == nil {
		p.crosses = map[api.Ref]bool{}
		note := func(c api.Change) {
			if stringsAt(c.After, "metadata", "labels")[mesh.LabelUseWaypointNS] != "" {
				p.crosses[c.Object] = true
			}
		}
		for _, w := range p.in.Waves {
			for _, s := range w.Steps {
				for _, c := range s.Changes {
					note(c)
				}
				for _, r := range s.Rollback {
					for _, c := range r.Changes {
						note(c)
					}
				}
			}
		}
	}
	ns := api.Ref{Kind: "Namespace", Name: svc.Namespace}
	return svc.Labels[mesh.LabelUseWaypointNS] != "" || p.start.space(svc.Namespace).labels[mesh.LabelUseWaypointNS] != "" || p.crosses[svc.Ref()] || p.crosses[ns]
}

// step evaluates all states between the start of a step and its end, its end
// included, and returns the end. What no change of the step comes near, and whose
// callers are what they were in the step before, is as it was found there.
func (p *prover) step(from *state, changes []api.Change) (StepProof, *state) {
	e := &episode{p: p, from: from.world, end: p.advance(from.world, changes), changes: changes, touched: map[string]bool{}, during: slices.Clone(from.modes), cache: map[int]modes{}}
	compared := p.requests
	for _, c := range changes {
		e.touched[spaceOf(c.Object)] = true
	}
	to := &state{world: e.end, modes: slices.Clone(from.modes), during: e.during, found: maps.Clone(from.found)}
	concerned := map[*target]bool{}
	moved := false
	for i, wl := range p.list {
		if e.touched[wl.Namespace] {
			to.modes[i] = p.modesOf(e.end, wl)
			e.during[i] |= to.modes[i]
		}
		if e.during[i] != from.during[i] {
			moved = true
			for _, t := range p.byClient[i] {
				concerned[t] = true
			}
		}
		e.odd = e.odd || e.during[i]&^(p.startModes[i]|only(mesh.ModeAmbient)) != 0
	}
	if moved {
		maps.Copy(concerned, p.watched)
	}
	near := p.nearTo(e)
	maps.Copy(concerned, near)
	if e.odd || p.in.Exhaustive {
		for _, t := range p.targets {
			concerned[t] = true
		}
	}
	for _, t := range inOrder(concerned) {
		e.gaps, e.unknowns = newGaps(p), nil
		e.service(t, near[t])
		delete(to.found, t)
		if gaps := e.gaps.list(); len(gaps)+len(e.unknowns) > 0 {
			slices.SortFunc(e.unknowns, compareUnknown)
			to.found[t] = found{gaps, slices.Compact(e.unknowns)}
		}
	}
	for _, t := range inOrder(to.found) {
		e.out.Gaps = append(e.out.Gaps, to.found[t].gaps...)
		e.out.Unknowns = append(e.out.Unknowns, to.found[t].unknowns...)
	}
	e.out.Requests = p.requests - compared
	p.account(e)
	return e.out, to
}

func compareUnknown(a, b UnknownCall) int {
	return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Client, b.Client), cmp.Compare(a.Why, b.Why))
}

// nearTo are the Services whose namespace, or that of whose waypoint, a step
// touches; all of them in the first step, or when the root namespace is touched.
func (p *prover) nearTo(e *episode) map[*target]bool {
	near := map[*target]bool{}
	if !p.begun || e.touched[p.st.RootNamespace()] {
		p.begun = true
		for _, t := range p.targets {
			near[t] = true
		}
	}
	for ns := range e.touched {
		for _, t := range p.targetsIn[ns] {
			near[t] = true
		}
	}
	for _, t := range p.crossing {
		if e.near(t) {
			near[t] = true
		}
	}
	if p.reroute != nil {
		for _, c := range e.changes {
			for _, t := range p.reroute.concerns[c.Object] {
				near[t] = true
			}
		}
	}
	return near
}

// account notes the changes that the model does not follow.
func (p *prover) account(e *episode) {
	for _, c := range e.changes {
		if op(c) == api.OpUnset || op(c) == api.OpManual {
			continue
		}
		if !p.followed(c) {
			e.out.NotFollowed = append(e.out.NotFollowed, c.Object)
		}
		if why := p.broken[c.Object]; why != "" {
			e.out.Broken = append(e.out.Broken, c.Object.String()+": "+why)
		}
	}
}

// inOrder lists Services in the order of their references.
func inOrder[T any](m map[*target]T) []*target {
	return slices.SortedFunc(maps.Keys(m), func(a, b *target) int { return a.n - b.n })
}
