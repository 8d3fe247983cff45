package rules

import (
	"fmt"
	"maps"
	"slices"

	networking "istio.io/api/networking/v1alpha3"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l30 = Rule{
	ID:    "L30",
	Title: "VirtualServices for mesh traffic",
	Doc: Doc{
		Why: "Today the sidecar of each caller applies a VirtualService. ztunnel ignores them, so once a caller is ambient only a waypoint of the called " +
			"service applies it, and only if the VirtualService is in the service's or the waypoint's namespace and matches on nothing but the request.",
		Effect:  "without a waypoint routes, timeouts, retries, faults, mirrors and header rules vanish silently when the caller becomes ambient",
		Remedy:  "give the service a waypoint before its callers move; the plan turns the VirtualService into routes of the Gateway API where these mean exactly the same, and else keeps it, which a waypoint serves (status Alpha in Istio)",
		Sources: []string{"Istio pilot/pkg/networking/core/listener_waypoint.go (getVirtualServiceForWaypoint)", "istio/istio issues 51565, 59483"},
		Facts:   []string{"L-30", "L-31", "L-32", "L-39", "M-13", "B-11", "C-20", "C-25"},
		Since:   "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindVirtualService, mesh.KindService, mesh.KindServiceEntry, mesh.KindWorkload, mesh.KindNamespace, mesh.KindHTTPRoute, mesh.KindGRPCRoute},
	Check: checkL30,
}

// virtualService is one VirtualService with what its hosts mean.
type virtualService struct {
	mesh.Typed[*networking.VirtualService]
	// targets are the Services and ServiceEntries that its hosts name, in the mesh.
	targets []api.Ref
	needs   int
}

func checkL30(p *Pass) {
	owners := map[api.Ref][]api.Ref{}
	routed := routedServices(p.Mesh())
	for _, v := range p.Mesh().VirtualServices() {
		p.Account(Field(v.Ref(), "spec.hosts", ""), Field(v.Ref(), "spec.gateways", ""), Field(v.Ref(), "spec.exportTo", ""))
		if !forMesh(v.Spec) {
			p.Account(Field(v.Ref(), "spec.http", ""), Field(v.Ref(), "spec.tls", ""), Field(v.Ref(), "spec.tcp", ""))
			continue
		}
		vs := &virtualService{Typed: v}
		vs.resolve(p)
		vs.http(p)
		vs.tcp(p)
		vs.tls(p)
		if vs.needs == 0 {
			continue
		}
		vs.place(p)
		for _, t := range vs.targets {
			owners[t] = append(owners[t], v.Ref())
			if other, ok := routed[t]; ok {
				p.ReportWith(api.Blocker, t, fmt.Sprintf("%s and %s both route calls of %s", v.Ref(), other, t),
					"which of the two a waypoint follows is not defined", "keep only one of them", Field(v.Ref(), "spec.hosts", ""))
			}
		}
	}
	for _, t := range slices.SortedFunc(maps.Keys(owners), api.Ref.Compare) {
		if len(owners[t]) < 2 {
			continue
		}
		ev := make([]api.Evidence, len(owners[t]))
		for i, o := range owners[t] {
			ev[i] = Field(o, "spec.hosts", "")
		}
		p.ReportWith(api.Warning, t, fmt.Sprintf("%d VirtualServices route calls of %s", len(owners[t]), t),
			"sidecars follow the oldest only, a waypoint may join them, oldest first", "merge them into one before the move", ev...)
	}
}

// forMesh tells whether sidecars read a VirtualService.
func forMesh(v *networking.VirtualService) bool {
	return len(v.GetGateways()) == 0 || slices.Contains(v.GetGateways(), "mesh")
}

// routedServices are the Services that an HTTPRoute or GRPCRoute routes calls of.
func routedServices(st *mesh.State) map[api.Ref]api.Ref {
	out := map[api.Ref]api.Ref{}
	for _, r := range serviceRoutes(st) {
		if r.kind == mesh.KindHTTPRoute || r.kind == mesh.KindGRPCRoute {
			for _, t := range r.services {
				out[t] = r.object.Ref()
			}
		}
	}
	return out
}

// resolve finds what the hosts mean.
func (v *virtualService) resolve(p *Pass) {
	for i, h := range v.Spec.GetHosts() {
		ev := Field(v.Ref(), fmt.Sprintf("spec.hosts[%d]", i), h)
		if svc, _ := p.Mesh().ServiceByHost(h, v.Namespace); svc != nil {
			if inMesh(p.Mesh(), svc) {
				v.targets = append(v.targets, svc.Ref())
				continue
			}
			p.ReportWith(api.Warning, v.Ref(), fmt.Sprintf("%s routes calls of %s, whose pods are not in the mesh", v.Ref(), svc.Ref()),
				"the sidecars of callers apply the routes today; when they are gone nobody does", "move the routing into the callers or into a gateway, or bring the service into the mesh", ev)
			continue
		}
		if entries := p.Mesh().EntriesByHost(h); len(entries) > 0 {
			v.targets = append(v.targets, entries[0].Ref())
			continue
		}
		p.ReportWith(api.Warning, v.Ref(), fmt.Sprintf("host %q of %s is no Service and no ServiceEntry of the inventory", h, v.Ref()),
			"whatever the routes did for this host in sidecars is not carried over", "add the missing object, or remove the host; a short name means a Service of the VirtualService's own namespace", ev)
	}
}

// inMesh tells whether a Service has pods in the mesh.
func inMesh(st *mesh.State, svc *api.Service) bool {
	return slices.ContainsFunc(st.WorkloadsOf(svc), st.InMesh)
}

// need writes a need down for every target; all below the path is dealt with.
func (v *virtualService) need(p *Pass, c api.Capability, path, value string) {
	p.Account(Field(v.Ref(), path, value))
	v.want(p, c, path, value)
}

// want writes a need down for every target, and leaves what is below the path to
// whoever reads it field by field.
func (v *virtualService) want(p *Pass, c api.Capability, path, value string) {
	v.needs++
	for _, t := range v.targets {
		p.Cite(t, c, fmt.Sprintf("%s, applied by callers' sidecars today", v.Ref()), Field(v.Ref(), path, value))
	}
}

// block reports something that no waypoint does.
func (v *virtualService) block(p *Pass, c api.Capability, path, what, action string) {
	v.needs++
	ev := Field(v.Ref(), path, "")
	p.Account(ev)
	for _, t := range v.targets {
		p.Need(t, c, what, ev)
	}
	p.ReportWith(api.Blocker, v.Ref(), what, "the rule does nothing, or matches everybody, once the callers have no sidecar", action, ev)
}

// place tells whether a waypoint finds the VirtualService.
func (v *virtualService) place(p *Pass) {
	for _, t := range v.targets {
		if t.Namespace != v.Namespace {
			v.block(p, api.CapClientRouting, "spec.hosts", fmt.Sprintf("%s is in another namespace than %s, where a waypoint does not look for it", v.Ref(), t),
				"move the VirtualService into the namespace of the service, whose owner then routes for all callers")
		}
	}
}

// http reads the HTTP routes.
func (v *virtualService) http(p *Pass) {
	caught := -1
	for i, r := range v.Spec.GetHttp() {
		path := fmt.Sprintf("spec.http[%d]", i)
		raw, _ := elementAt(v.Content, "http", i)
		if caught >= 0 {
			p.ReportWith(api.Warning, v.Ref(), fmt.Sprintf("%s of %s can never match: route %d before it matches everything", path, v.Ref(), caught),
				"the route has no effect today, and none at a waypoint", "remove the route, or give the one before it a condition", Field(v.Ref(), path, ""))
		}
		if len(r.GetMatch()) == 0 && caught < 0 {
			caught = i
		}
		v.httpMatches(p, r, raw, path)
		plain := len(v.Spec.GetHttp()) == 1 && len(r.GetMatch()) == 0 && len(r.GetRoute()) == 1 && v.own(p, r.GetRoute()[0].GetDestination())
		v.httpRoutes(p, r, path, plain)
		for _, k := range slices.Sorted(maps.Keys(raw)) {
			if c, ok := httpFeature(k); ok {
				v.need(p, c, path+"."+k, "")
			}
		}
		for _, k := range []string{"name", "delegate"} {
			p.Account(Field(v.Ref(), path+"."+k, ""))
		}
	}
}

// httpFeature is the capability behind a field of an HTTP route.
func httpFeature(key string) (api.Capability, bool) {
	switch key {
	case "timeout":
		return api.CapTimeouts, true
	case "retries":
		return api.CapRetries, true
	case "fault":
		return api.CapFaultInjection, true
	case "mirror", "mirrors", "mirrorPercentage", "mirrorPercent", "mirror_percent":
		return api.CapMirroring, true
	case "headers":
		return api.CapHeaderManipulation, true
	case "rewrite":
		return api.CapRewrite, true
	case "redirect":
		return api.CapRedirect, true
	case "corsPolicy":
		return api.CapCORS, true
	case "directResponse":
		return api.CapHTTPRouting, true
	}
	return "", false
}

// own tells whether a destination is the host itself, without a subset.
func (v *virtualService) own(p *Pass, d *networking.Destination) bool {
	if d.GetSubset() != "" || len(v.Spec.GetHosts()) != 1 {
		return false
	}
	return p.Mesh().FQDN(d.GetHost(), v.Namespace) == p.Mesh().FQDN(v.Spec.GetHosts()[0], v.Namespace)
}

// httpMatches reads the conditions of a route.
func (v *virtualService) httpMatches(p *Pass, r *networking.HTTPRoute, raw map[string]any, path string) {
	for j, m := range r.GetMatch() {
		at := fmt.Sprintf("%s.match[%d]", path, j)
		if list, ok := raw["match"].([]any); ok && j < len(list) {
			if c, ok := list[j].(map[string]any); ok && len(c) == 0 {
				p.Account(Field(v.Ref(), at, "")) // It takes every request.
			}
		}
		for _, k := range []string{"name", "uri", "scheme", "method", "authority", "headers", "port", "queryParams", "ignoreUriCase", "withoutHeaders", "gateways", "statPrefix"} {
			p.Account(Field(v.Ref(), at+"."+k, ""))
		}
		if len(m.GetSourceLabels()) > 0 {
			v.block(p, api.CapSourceRouting, at+".sourceLabels", fmt.Sprintf("%s matches on labels of the caller, which no waypoint knows", v.Ref()),
				"route by a header that the callers set, or give these callers a Service of their own")
		}
		if m.GetSourceNamespace() != "" {
			v.block(p, api.CapSourceRouting, at+".sourceNamespace", fmt.Sprintf("%s matches on the namespace of the caller, which no waypoint knows", v.Ref()),
				"route by a header that the callers set, or give these callers a Service of their own")
		}
	}
	if list, ok := raw["match"].([]any); ok && len(list) == 0 {
		p.Account(Field(v.Ref(), path+".match", ""))
	}
	if len(r.GetMatch()) > 0 {
		v.want(p, api.CapHTTPRouting, path+".match", "")
	}
}

// httpRoutes reads the destinations of a route.
func (v *virtualService) httpRoutes(p *Pass, r *networking.HTTPRoute, path string, plain bool) {
	for j, d := range r.GetRoute() {
		at := fmt.Sprintf("%s.route[%d]", path, j)
		for _, k := range []string{"destination.host", "destination.subset", "destination.port.number", "weight"} {
			p.Account(Field(v.Ref(), at+"."+k, ""))
		}
		if d.GetHeaders() != nil {
			v.need(p, api.CapHeaderManipulation, at+".headers", "")
		}
		if !plain {
			v.want(p, api.CapHTTPRouting, at+".destination.host", d.GetDestination().GetHost())
		}
	}
}

// tcp reads the TCP routes.
func (v *virtualService) tcp(p *Pass) {
	for i, r := range v.Spec.GetTcp() {
		path := fmt.Sprintf("spec.tcp[%d]", i)
		plain := len(v.Spec.GetTcp()) == 1 && len(r.GetMatch()) == 0 && len(r.GetRoute()) == 1 && v.own(p, r.GetRoute()[0].GetDestination())
		for j, m := range r.GetMatch() {
			at := fmt.Sprintf("%s.match[%d]", path, j)
			p.Account(Field(v.Ref(), at+".port", ""), Field(v.Ref(), at+".gateways", ""))
			if len(m.GetSourceLabels()) > 0 || m.GetSourceNamespace() != "" {
				p.Account(Field(v.Ref(), at+".sourceLabels", ""), Field(v.Ref(), at+".sourceNamespace", ""))
				v.block(p, api.CapSourceRouting, at, fmt.Sprintf("%s matches on the caller, which no waypoint knows", v.Ref()), "give these callers a Service of their own")
			}
		}
		v.l4Routes(p, path, len(r.GetRoute()))
		if !plain {
			v.want(p, api.CapTCPRouting, path+".route[0].destination.host", "")
		}
	}
}

// tls reads the TLS routes: a waypoint takes one whose only SNI is the host itself.
func (v *virtualService) tls(p *Pass) {
	for i, r := range v.Spec.GetTls() {
		path := fmt.Sprintf("spec.tls[%d]", i)
		for j, m := range r.GetMatch() {
			at := fmt.Sprintf("%s.match[%d]", path, j)
			for _, k := range []string{"sniHosts", "port", "gateways"} {
				p.Account(Field(v.Ref(), at+"."+k, ""))
			}
			sni := m.GetSniHosts()
			if len(sni) != 1 || len(v.Spec.GetHosts()) != 1 || p.Mesh().FQDN(sni[0], v.Namespace) != p.Mesh().FQDN(v.Spec.GetHosts()[0], v.Namespace) {
				v.block(p, api.CapTLSRouting, at+".sniHosts", fmt.Sprintf("%s routes TLS by an SNI that is not its only host; a waypoint does not", v.Ref()),
					"give each SNI a host of its own, or keep the sidecars of the callers")
			}
			if len(m.GetSourceLabels()) > 0 || m.GetSourceNamespace() != "" {
				p.Account(Field(v.Ref(), at+".sourceLabels", ""), Field(v.Ref(), at+".sourceNamespace", ""))
				v.block(p, api.CapSourceRouting, at, fmt.Sprintf("%s matches on the caller, which no waypoint knows", v.Ref()), "give these callers a Service of their own")
			}
		}
		v.l4Routes(p, path, len(r.GetRoute()))
		v.want(p, api.CapTLSRouting, path+".route[0].destination.host", "")
	}
}

// l4Routes accounts for the destinations of a TCP or TLS route.
func (v *virtualService) l4Routes(p *Pass, path string, n int) {
	for j := range n {
		at := fmt.Sprintf("%s.route[%d]", path, j)
		for _, k := range []string{"destination.host", "destination.subset", "destination.port.number", "weight"} {
			p.Account(Field(v.Ref(), at+"."+k, ""))
		}
	}
}

// elementAt is element i of the list spec.KEY as it stands in the object.
func elementAt(c api.Content, key string, i int) (map[string]any, bool) {
	list, _ := contentAt(c, "spec."+key).([]any)
	if i >= len(list) {
		return nil, false
	}
	m, ok := list[i].(map[string]any)
	return m, ok
}
