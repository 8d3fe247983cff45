package proof

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// Gap is one call that is treated in another way than today, with the request
// that shows it.
type Gap struct {
	// ID is the same in every state and every plan in which the same caller is
	// treated in the same wrong way at the same Service, so that a consent to it
	// never comes to mean another gap.
	ID      string
	Kind    api.GapKind
	Service api.Ref
	Port    int32
	// Client is the workload that makes the call; empty for a caller outside of
	// the mesh that nobody named.
	Client api.Ref
	// Anyone is true when nothing but the absence of a call graph says that the
	// client calls.
	Anyone bool
	// Suspect is true when the call graph does not name the client: it gains access.
	Suspect bool
	Request string
	Before  string
	After   string
	// ClientMode is the mode of the client's pod in the state.
	ClientMode, ServerMode mesh.Mode
	// Also counts other ports and workloads of the same gap.
	Also int
}

// gaps collects the gaps of one step.
type gaps struct {
	p    *prover
	byID map[string]*Gap
	// known are the kinds of gaps that callers which are known to call show.
	known map[api.Ref]map[api.GapKind]bool
}

func newGaps(p *prover) *gaps { return &gaps{p, map[string]*Gap{}, map[api.Ref]map[api.GapKind]bool{}} }

// add adds a difference as a gap, or counts it when it is another case of one.
func (g *gaps) add(t *target, v *view, port api.ServicePort, c role, d difference, at func(int) modes) {
	k := gapKind(d.kind)
	who := c.principal
	switch {
	case c.outside, c.anyone && d.way.client == mesh.ModeNone:
		who = "outside of the mesh"
	case c.anyone:
		who = "anyone like " + who
	}
	if known := g.known[t.ref]; c.suspect && known[k] {
		// A caller that is known to call shows it already.
		return
	} else if !c.suspect {
		if known == nil {
			known = map[api.GapKind]bool{}
			g.known[t.ref] = known
		}
		known[k] = true
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{string(k), t.ref.String(), who}, "\n")))
	id := "gap-" + hex.EncodeToString(sum[:4])
	if old := g.byID[id]; old != nil {
		if old.Port != port.Port {
			old.Also++
		}
		return
	}
	out := &Gap{
		ID: id, Kind: k, Service: t.ref, Port: port.Port, Anyone: c.anyone, Suspect: c.suspect,
		Request: requestWords(d.request, servedAsTCP(port)), Before: words(t.today.waypoint, d.before), After: words(v.waypoint, d.after),
		ClientMode: d.way.client, ServerMode: d.way.server,
	}
	out.After += " (" + wayWords(v, d) + ")"
	i := slices.IndexFunc(c.members, func(w *api.Workload) bool { return at(g.p.index[w]).has(d.way.client) })
	switch {
	case i >= 0:
		out.Client = c.members[i].Ref()
	case len(c.members) > 0:
		// Its mode is not known; it was taken to have a sidecar.
		out.Client = c.members[0].Ref()
	}
	g.byID[id] = out
}

// addRoute adds what a client loses of routes and policies as a gap.
func (g *gaps) addRoute(t *target, port api.ServicePort, c *client, d *mesh.TrafficDiff, now modes, at func(int) modes) {
	who := g.p.principal(c.workload)
	if c.anyone {
		who = "anyone like " + c.workload.Namespace
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{string(api.GapRoutes), t.ref.String(), who}, "\n")))
	id := "gap-" + hex.EncodeToString(sum[:4])
	if old := g.byID[id]; old != nil {
		if old.Port != port.Port {
			old.Also++
		}
		return
	}
	request := "any request"
	if d.Requests != "" {
		request = "requests that match " + d.Requests
	}
	out := &Gap{
		ID: id, Kind: api.GapRoutes, Service: t.ref, Port: port.Port, Anyone: c.anyone, Client: c.workload.Ref(), Request: request,
		Before: strings.TrimSpace(fmt.Sprintf("%s %s of %s of %s", d.Feature, d.Value, d.Path, d.Object)) + " applied", After: d.Change.String() + ": " + d.Why,
	}
	switch d.Change {
	case mesh.TrafficGained:
		out.Before = "not applied: " + strings.TrimSuffix(out.Before, " applied")
	case mesh.TrafficChanged:
		out.Before = strings.TrimSpace(fmt.Sprintf("%s %s of %s of %s", d.Feature, d.Was, d.Path, d.Object)) + " applied"
		out.After = d.Change.String() + " to " + d.Value + ": " + d.Why
	}
	for _, m := range []mesh.Mode{mesh.ModeAmbient, mesh.ModeGateway, mesh.ModeSidecar} {
		if now.has(m) {
			out.ClientMode = m
			break
		}
	}
	if i := slices.IndexFunc(c.idx, func(i int) bool { return at(i).has(out.ClientMode) }); i >= 0 {
		out.Client = g.p.list[c.idx[i]].Ref()
	}
	g.byID[id] = out
}

func (g *gaps) list() []Gap {
	var out []Gap
	for _, id := range slices.Sorted(maps.Keys(g.byID)) {
		out = append(out, *g.byID[id])
	}
	slices.SortStableFunc(out, func(a, b Gap) int {
		return cmp.Or(a.Service.Compare(b.Service), a.Client.Compare(b.Client), cmp.Compare(a.Kind, b.Kind))
	})
	return out
}

func gapKind(k kind) api.GapKind {
	switch k {
	case permissive:
		return api.GapPermissive
	case restrictive:
		return api.GapRestrictive
	case plaintext:
		return api.GapPlaintext
	}
	return api.GapUnset
}

// words says a decision and who made it.
func words(wp *waypoint, d decision) string {
	where := ""
	switch d.at {
	case atPod:
		where = "at the server's sidecar"
	case atWaypoint:
		where = "at waypoint " + wp.ref.Namespace + "/" + wp.ref.Name
	case atZtunnel:
		where = "at ztunnel"
	case atTLS, nowhere:
	}
	by := d.By
	if !strings.HasSuffix(by, where) {
		by += " " + where
	}
	return d.Outcome.String() + ": " + by
}

// wayWords says which way a call takes.
func wayWords(v *view, d difference) string {
	who := map[mesh.Mode]string{mesh.ModeSidecar: "client with sidecar", mesh.ModeAmbient: "ambient client", mesh.ModeNone: "client outside the mesh", mesh.ModeGateway: "gateway"}[d.way.client]
	to := map[mesh.Mode]string{mesh.ModeSidecar: "a pod with sidecar", mesh.ModeAmbient: "an ambient pod", mesh.ModeNone: "a pod outside the mesh", mesh.ModeGateway: "a gateway"}[d.way.server]
	switch {
	case d.way.direct:
		return who + ", to the address of " + to
	case v.through(d.way):
		return who + ", over the waypoint, to " + to
	case v.waypoint != nil:
		return who + ", past the waypoint, to " + to
	}
	return who + " to " + to
}

// nameOf names a caller for people.
func (p *prover) nameOf(c *caller) string {
	switch {
	case c.outside:
		return "a caller outside the mesh"
	case len(c.members) == 0:
		return c.principal
	}
	if len(c.members) == 1 {
		return c.members[0].Ref().String()
	}
	return fmt.Sprintf("%s and %d more workloads", c.members[0].Ref(), len(c.members)-1)
}

// requestWords writes a request for people.
func requestWords(r mesh.Request, tcp bool) string {
	parts := []string{}
	if r.Method != "" || r.Path != "" {
		parts = append(parts, strings.TrimSpace(cmp.Or(r.Method, "any method")+" "+r.Path))
	}
	if r.Host != "" {
		parts = append(parts, "host "+r.Host)
	}
	for _, k := range slices.Sorted(maps.Keys(r.Headers)) {
		parts = append(parts, fmt.Sprintf("header %s: %s", k, r.Headers[k]))
	}
	for _, k := range slices.Sorted(maps.Keys(r.Claims)) {
		parts = append(parts, fmt.Sprintf("%s=%s", k, strings.Join(r.Claims[k], ",")))
	}
	if r.Source.IsValid() {
		parts = append(parts, "from address "+r.Source.String())
	}
	if r.SNI != "" {
		parts = append(parts, "SNI "+r.SNI)
	}
	switch {
	case len(parts) > 0:
		return strings.Join(parts, ", ")
	case tcp:
		return "any connection"
	}
	return "any request"
}
