package proof

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"

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
	classes     map[string][]caller
	cellsOf     map[string]cellList
	targets     []*target
	byClient    map[int][]*target
	start       world
	startModes  []modes
}

// target is one Service and what was found of it so far.
type target struct {
	service *api.Service
	today   view
	callers []caller
	// results by view, caller and modes of the caller's pods.
	results map[string]*outcome
	// clients are the indexes of workloads that may call, when they are known.
	anyone bool
}

// Prove walks through all states of the plan. It fails only when ctx is done.
func Prove(ctx context.Context, in Input) (*Result, error) {
	p := newProver(in)
	out := &Result{}
	for _, t := range p.targets {
		if t.anyone {
			out.Open = append(out.Open, t.service.Ref())
		} else {
			out.Told++
		}
	}
	now, at := p.start, p.startModes
	for _, w := range in.Waves {
		type end struct {
			world world
			modes []modes
		}
		ends := make([]end, len(w.Steps))
		for i, s := range w.Steps {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			var sp StepProof
			sp, now, at = p.step(now, at, s.Changes)
			sp.Wave, sp.Step = w.Number, s.Name
			ends[i] = end{now, at}
			out.Steps = append(out.Steps, sp)
		}
		for i := len(w.Steps) - 1; i >= 0; i-- {
			back, backModes := ends[i].world, ends[i].modes
			for _, r := range w.Steps[i].Rollback {
				if err := ctx.Err(); err != nil {
					return nil, err
				}
				var sp StepProof
				sp, back, backModes = p.step(back, backModes, r.Changes)
				sp.Wave, sp.Step, sp.Back = w.Number, w.Steps[i].Name, r.Name
				out.Steps = append(out.Steps, sp)
			}
		}
	}
	return out, nil
}

func newProver(in Input) *prover {
	p := &prover{
		in: in, st: in.State,
		workloads: map[api.Ref]*api.Workload{}, index: map[*api.Workload]int{}, behind: map[*api.Service][]*api.Workload{},
		byPrincipal: map[string][]*api.Workload{}, edgesTo: map[api.Ref][]api.Edge{}, stands: map[api.Ref][]*api.Workload{},
		todayModes: map[api.Ref]modes{}, todayFresh: map[api.Ref]mesh.Mode{}, known: map[string]int{}, broken: map[api.Ref]string{},
		peerAuth: map[*api.Workload]peerAuth{}, classes: map[string][]caller{},
		cellsOf: map[string]cellList{}, byClient: map[int][]*target{},
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
	}
	for _, e := range in.Calls {
		p.edgesTo[e.To] = append(p.edgesTo[e.To], e)
	}
	for i := range p.st.Services() {
		p.addTarget(&p.st.Services()[i])
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
	t := &target{service: svc, today: p.viewOf(p.start, svc), callers: p.callersOf(svc), results: map[string]*outcome{}}
	seen := map[int]bool{}
	for _, c := range t.callers {
		t.anyone = t.anyone || c.anyone
		for _, w := range c.members {
			if i := p.index[w]; !seen[i] {
				seen[i] = true
				p.byClient[i] = append(p.byClient[i], t)
			}
		}
	}
	p.targets = append(p.targets, t)
}

// step evaluates all states between the start of a step and its end, its end
// included, and returns the end.
func (p *prover) step(w world, at []modes, changes []api.Change) (StepProof, world, []modes) {
	end := p.advance(w, changes)
	touched := map[string]bool{}
	for _, c := range changes {
		touched[spaceOf(c.Object)] = true
	}
	after := slices.Clone(at)
	during := slices.Clone(at)
	concerned := map[*target]bool{}
	for i, wl := range p.list {
		if !touched[wl.Namespace] {
			continue
		}
		after[i] = p.modesOf(end, wl)
		during[i] |= after[i]
		if during[i] != at[i] {
			for _, t := range p.byClient[i] {
				concerned[t] = true
			}
		}
	}
	root := touched[p.st.RootNamespace()]
	var sp StepProof
	gaps := newGaps(p)
	for _, t := range p.targets {
		if !root && !concerned[t] && !t.anyone && !p.near(w, end, t, touched) {
			continue
		}
		p.service(w, end, t, changes, during, &sp, gaps)
	}
	sp.Gaps = gaps.list()
	for _, c := range changes {
		if op(c) == api.OpUnset || op(c) == api.OpManual {
			continue
		}
		if !p.followed(c) {
			sp.NotFollowed = append(sp.NotFollowed, c.Object)
		}
		if why := p.broken[c.Object]; why != "" {
			sp.Broken = append(sp.Broken, c.Object.String()+": "+why)
		}
	}
	return sp, end, after
}

// near tells whether a Service's own namespace or that of its waypoint is touched.
func (p *prover) near(w, end world, t *target, touched map[string]bool) bool {
	if touched[t.service.Namespace] {
		return true
	}
	for _, x := range []world{w, end} {
		if wp := p.waypointOf(x, t.service); wp != nil && touched[wp.ref.Namespace] {
			return true
		}
	}
	return false
}

// service evaluates one Service in all states of a step.
func (p *prover) service(w, end world, t *target, changes []api.Change, during []modes, sp *StepProof, gaps *gaps) {
	views, ok := p.views(w, end, t, changes)
	if !ok {
		sp.Unknowns = append(sp.Unknowns, UnknownCall{Service: t.service.Ref(), Why: "more changes of the step touch it than can be evaluated in every order"})
		return
	}
	sp.Mixes += len(views)
	for _, v := range views {
		for _, c := range p.spell(t, &v) {
			today, now := p.modesOfCaller(&c, p.startModes), p.modesOfCaller(&c, during)
			for _, port := range t.service.Ports {
				if port.Transport == "UDP" || port.Transport == "SCTP" || !c.calls(port.Port) {
					continue
				}
				sp.Calls++
				k := v.key + "#" + c.principal + "#" + strconv.Itoa(int(now)) + ":" + strconv.Itoa(int(port.Port))
				if c.outside {
					k += "!"
				}
				o := t.results[k]
				if o == nil {
					one := p.compare(&t.today, &v, &call{service: t.service, port: port, principal: c.principal, tcp: servedAsTCP(port)}, today, now)
					o = &one
					t.results[k] = o
					sp.Requests += o.requests
				}
				if o.unknown != "" {
					sp.Unknowns = append(sp.Unknowns, UnknownCall{Service: t.service.Ref(), Port: port.Port, Client: p.nameOf(&c, now), Why: o.unknown})
				}
				for _, d := range o.diffs {
					gaps.add(t, &v, port, &c, d, during)
				}
			}
		}
	}
}

// modesOfCaller is the union of what the caller's pods may be.
func (p *prover) modesOfCaller(c *caller, at []modes) modes {
	if c.outside {
		return only(mesh.ModeNone)
	}
	var out modes
	for _, w := range c.members {
		out |= at[p.index[w]]
	}
	return out
}

// spell takes the callers of a Service apart as far as its policies can tell.
func (p *prover) spell(t *target, v *view) []caller {
	var out []caller
	for _, c := range t.callers {
		if !c.anyone || c.outside {
			out = append(out, c)
			continue
		}
		var ps []policy
		for _, x := range []*view{&t.today, v} {
			ps = append(ps, x.attached...)
			for i := range x.pods {
				ps = append(ps, x.pods[i].policies...)
			}
		}
		out = append(out, p.split(ps)...)
	}
	return out
}

// views are the different views of a Service while the changes of a step take
// hold, in whatever order. The second result is false when there are too many.
func (p *prover) views(w, end world, t *target, changes []api.Change) ([]view, bool) {
	var mine []api.Change
	for _, c := range changes {
		if p.concerns(w, end, t, c) {
			mine = append(mine, c)
		}
	}
	if len(mine) > maxOrders {
		return nil, false
	}
	seen := map[string]bool{}
	var out []view
	for set := range 1 << len(mine) {
		var some []api.Change
		for i := range mine {
			if set&(1<<i) != 0 {
				some = append(some, mine[i])
			}
		}
		x := w
		if len(some) > 0 {
			x = p.apply(w, some)
		}
		v := p.viewOf(x, t.service)
		if !seen[v.key] {
			seen[v.key] = true
			out = append(out, v)
		}
	}
	slices.SortFunc(out, func(a, b view) int { return cmp.Compare(a.key, b.key) })
	return out, true
}

// concerns tells whether a change may alter the view of a Service. w and end are
// the states around the step.
func (p *prover) concerns(w, end world, t *target, c api.Change) bool {
	svc := t.service
	switch c.Object.Group + "/" + c.Object.Kind {
	case "/Namespace":
		return c.Object.Name == svc.Namespace
	case "/Service":
		return c.Object == svc.Ref()
	case "security.istio.io/AuthorizationPolicy", "security.istio.io/RequestAuthentication":
		for _, o := range []api.Content{w.contents[c.Object], end.contents[c.Object]} {
			if o != nil && p.reaches(w, end, t, c.Object.Namespace, o) {
				return true
			}
		}
		return false
	case "gateway.networking.k8s.io/Gateway":
		for _, x := range []world{w, end} {
			if wp := p.waypointOf(x, svc); wp != nil && wp.ref.Namespace == c.Object.Namespace && wp.ref.Name == c.Object.Name {
				return true
			}
		}
		return false
	}
	return slices.ContainsFunc(p.behind[svc], func(wl *api.Workload) bool { return wl.Ref() == c.Object })
}

// reaches tells whether a policy applies to the pods of a Service or, when it has
// a waypoint around this step, to the Service.
func (p *prover) reaches(w, end world, t *target, ns string, content api.Content) bool {
	spec, _ := content["spec"].(map[string]any)
	if spec["targetRefs"] != nil || spec["targetRef"] != nil {
		return p.waypointOf(w, t.service) != nil || p.waypointOf(end, t.service) != nil
	}
	if ns != t.service.Namespace && ns != p.st.RootNamespace() {
		return false
	}
	selector := stringsAt(content, "spec", "selector", "matchLabels")
	return slices.ContainsFunc(p.behind[t.service], func(wl *api.Workload) bool {
		return mesh.Selects(selector, w.podLabels(wl)) || mesh.Selects(selector, end.podLabels(wl))
	})
}
