package proof

import (
	"slices"
	"strconv"

	"github.com/ambientplan/ambientplan/mesh"
)

// maxCells bounds how many requests are compared for one call in one state.
const maxCells = 20000

// kind is what is wrong in a gap.
type kind int

const (
	// permissive: allowed what was denied, or without the authorizer that decided.
	permissive kind = iota
	// restrictive: denied what was allowed.
	restrictive
	// plaintext: what was encrypted is not.
	plaintext
	kinds
)

// difference is one call that is treated in another way than today.
type difference struct {
	kind          kind
	request       mesh.Request
	before, after decision
	way           way
	pod           *podView
}

// outcome is the result for one caller of one port in one state.
type outcome struct {
	diffs []difference
	// unknown says why nothing can be said; empty when something can.
	unknown string
	// requests is how many were compared.
	requests int
}

// compare judges all requests of a caller to one port of a Service in a state and
// today. clientsToday and clients are the modes that the caller's pods may have. Of
// a suspect, who need not call at all, only what it gains counts.
func (p *prover) compare(today, now *view, c *call, clientsToday, clients modes, suspect bool) outcome {
	var out outcome
	var found [kinds]bool
	if c.tls != "" && judgesIdentity(today, now) {
		return outcome{unknown: c.tls + " sets how clients encrypt, so what identity is seen today is not evaluated"}
	}
	for i := range now.pods {
		pod, was := &now.pods[i], &today.pods[i]
		if pod.modes.has(mesh.ModeUnknown) != was.modes.has(mesh.ModeUnknown) || pod.modes.has(mesh.ModeUnknown) && now.key != today.key {
			return outcome{unknown: "the mode of the server's pods is not known"}
		}
		before := waysOf(today, settled(clientsToday), settled(was.modes), c.pods)
		after := waysOf(now, settled(clients), settled(pod.modes), c.pods)
		after = slices.DeleteFunc(after, func(w way) bool {
			return slices.Contains(before, w) && sameVersions(was.policies, pod.policies) && sameTokens(was.tokens, pod.tokens) && !now.through(w) && !today.through(w)
		})
		if len(after) == 0 {
			continue
		}
		if p.peerAuthOf(pod.workload).tied {
			return outcome{unknown: "several PeerAuthentications apply and their age, which decides, is not in the inventory"}
		}
		if c.podPort(pod.workload) == 0 && len(was.policies)+len(pod.policies) > 0 {
			return outcome{unknown: "target port " + strconv.Quote(c.port.TargetPort) + " is a name that no container declares"}
		}
		if !found[plaintext] && allEncrypted(p, was, before, c) {
			if i := slices.IndexFunc(after, func(w way) bool { return !p.encrypted(pod, w, c) }); i >= 0 {
				found[plaintext] = true
				out.diffs = append(out.diffs, difference{kind: plaintext, way: after[i], pod: pod, before: decision{Verdict: mesh.Verdict{Outcome: mesh.Allowed, By: "mutual TLS"}}, after: decision{Verdict: mesh.Verdict{Outcome: mesh.Allowed, By: "plaintext"}, at: nowhere}})
			}
		}
		cells, ok := p.cells(today, now, was, pod, c)
		if !ok {
			return outcome{unknown: "its policies tell requests apart in more ways than are compared, or by what is not compared"}
		}
		if why := p.comparePod(today, now, was, pod, before, after, c, cells, suspect, &out, &found); why != "" {
			return outcome{unknown: why}
		}
	}
	return out
}

// comparePod compares all cells at the pods of one workload. It returns why
// nothing can be said, if so.
func (p *prover) comparePod(today, now *view, was, pod *podView, before, after []way, c *call, cells []mesh.Request, suspect bool, out *outcome, found *[kinds]bool) string {
	then, here := p.enforcersOf(today, was, c), p.enforcersOf(now, pod, c)
	for _, r := range cells {
		out.requests++
		var want [4]bool
		var first decision
		for i, w := range before {
			d := p.judge(&then, w, c, r)
			if d.Outcome == mesh.OutcomeUnknown {
				return d.By
			}
			want[d.Outcome] = true
			if i == 0 {
				first = d
			}
		}
		for _, w := range after {
			d := p.judge(&here, w, c, r)
			if d.Outcome == mesh.OutcomeUnknown {
				return d.By
			}
			if want[d.Outcome] {
				continue
			}
			k := restrictive
			if first.Outcome == mesh.Denied || first.Outcome == mesh.External && d.Outcome == mesh.Allowed {
				k = permissive
			}
			// Nobody has to address pods, but whoever wants to get past a rule can.
			if !found[k] && (k == permissive || !suspect && !w.direct) {
				found[k] = true
				out.diffs = append(out.diffs, difference{kind: k, request: r, before: first, after: d, way: w, pod: pod})
			}
		}
		if found[permissive] && (found[restrictive] || suspect) {
			return ""
		}
	}
	return ""
}

// judgesIdentity tells whether any policy applies: then it matters who is seen.
func judgesIdentity(views ...*view) bool {
	for _, v := range views {
		if len(v.attached) > 0 || slices.ContainsFunc(v.pods, func(p podView) bool { return len(p.policies) > 0 }) {
			return true
		}
	}
	return false
}

func allEncrypted(p *prover, pod *podView, ways []way, c *call) bool {
	return !slices.ContainsFunc(ways, func(w way) bool { return !p.encrypted(pod, w, c) })
}

// settled takes pods of a mode that nobody knows for pods with a sidecar. Nothing
// moves them, so what matters is that they stay what they are: as a client outside
// the mesh they are like any other caller there, which is compared besides; as a
// server outside the mesh they enforce nothing, before and after.
func settled(m modes) modes {
	if m.has(mesh.ModeUnknown) {
		return m&^only(mesh.ModeUnknown) | only(mesh.ModeSidecar)
	}
	return m
}

// waysOf lists the ways between pods of the given modes. To a Service that has a
// waypoint there are two for each: by its name, and to the pods themselves.
func waysOf(v *view, clients, servers modes, pods bool) []way {
	var out []way
	for _, c := range clients.each() {
		for _, s := range servers.each() {
			w := way{client: c, server: s, direct: pods}
			out = append(out, w)
			if v.through(w) {
				w.direct = true
				out = append(out, w)
			}
		}
	}
	return out
}

func sameVersions(a, b []policy) bool {
	return slices.EqualFunc(a, b, func(x, y policy) bool { return x.id == y.id })
}

func sameTokens(a, b []tokens) bool {
	return slices.EqualFunc(a, b, func(x, y tokens) bool { return x.id == y.id })
}

// cells are the requests that the policies of both states can tell apart. Most
// Services need few, whoever calls; where that would be too many, only what this
// caller can meet is told apart.
func (p *prover) cells(today, now *view, was, pod *podView, c *call) ([]mesh.Request, bool) {
	space := mesh.Space{Settings: p.settings, Limit: maxCells}
	var k []byte
	for _, set := range [][]policy{today.attached, now.attached, was.policies, pod.policies} {
		k = append(ids(k, set, nil), '/')
		if len(set) > 0 {
			space.Sets = append(space.Sets, plain(set))
		}
	}
	for _, ts := range [][]tokens{today.tokens, now.tokens, was.tokens, pod.tokens} {
		k = append(ids(k, nil, ts), '/')
		space.Tokens = append(space.Tokens, tokenRules(ts).Rules()...)
	}
	at, ok := p.cellsOf[string(k)]
	if !ok {
		at.list, at.ok = space.Cells(mesh.Request{})
		p.cellsOf[string(k)] = at
	}
	if at.ok {
		return at.list, true
	}
	space.Callers = []string{"", c.principal}
	for _, v := range []*view{today, now} {
		if v.waypoint != nil {
			space.Callers = append(space.Callers, p.st.TrustDomain()+"/ns/"+v.waypoint.ref.Namespace+"/sa/"+v.waypoint.ref.Name)
		}
	}
	space.Ports = []uint16{uint16(c.port.Port), c.podPort(pod.workload)}
	return space.Cells(mesh.Request{})
}

// cellList is a partition, or that there is none.
type cellList struct {
	list []mesh.Request
	ok   bool
}

// proxy compiles policies for an Envoy, once for each list.
func (p *prover) proxy(ps []policy, tcp bool) *mesh.ProxyProgram {
	k := programKey{string(ids(nil, ps, nil)), tcp}
	x := p.proxies[k]
	if x == nil {
		x = p.st.CompileProxy(plain(ps), tcp)
		p.proxies[k] = x
	}
	return x
}

type programKey struct {
	ids string
	tcp bool
}

// ztunnel compiles policies for ztunnel, once for each list.
func (p *prover) ztunnel(ps []policy) *mesh.ZtunnelProgram {
	k := string(ids(nil, ps, nil))
	x := p.ztunnels[k]
	if x == nil {
		x = mesh.CompileZtunnel(plain(ps))
		p.ztunnels[k] = x
	}
	return x
}

func plain(ps []policy) []authorization {
	out := make([]authorization, len(ps))
	for i := range ps {
		out[i] = ps[i].authorization
	}
	return out
}
