package mesh

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	meshconfig "istio.io/api/mesh/v1alpha1"
	networking "istio.io/api/networking/v1alpha3"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// annotationExportTo limits who sees a Service, as spec.exportTo does for a ServiceEntry.
const annotationExportTo = "networking.istio.io/exportTo"

// trafficIndex finds what acts on a call without reading all objects. It is built once for a state, at the first
// question, and then only read.
type trafficIndex struct {
	ix *index
	// exact and wildcard are the routes for sidecars and waypoints, by host; each list in istiod's order.
	exact    map[string][]*trafficRoute
	wildcard []*trafficRoute
	// bound are the rules bound to gateways, by the host that they lead to.
	bound    map[string][]boundRule
	sidecars map[string][]Typed[*networking.Sidecar]
	rules    destinationIndex
	// backend are the Gateway API policies that istiod turns into DestinationRules, by Service.
	backend map[nsName]*api.Object
	// defaults of the mesh.
	vsExport, drExport, svcExport []string
	// disagree says that revisions of the control plane have other defaults; only one counts for a proxy.
	disagree string
	// delegates are the VirtualServices without hosts.
	delegates map[nsName]delegate
	// stands are the Services that have the endpoints of a subset, more those of a
	// rerouted state that the inventory does not hold.
	stands, more map[string]RouteTarget
	// gateways are the selectors of the Istio Gateways by "namespace/name".
	gateways map[string]map[string]string
}

// boundRule is one rule of a route that is bound to a gateway.
type boundRule struct {
	route    *trafficRoute
	entry    routeEntry
	protocol string
}

// rebuilt is an index of other routes and traffic policies in the same mesh.
func (x *trafficIndex) rebuilt(ix *index) *trafficIndex {
	n := *x
	n.ix, n.exact, n.wildcard, n.bound = ix, map[string][]*trafficRoute{}, nil, map[string][]boundRule{}
	n.readRoutes()
	n.more = n.standsOfNew(x)
	return &n
}

// readRoutes reads routes and traffic policies.
func (x *trafficIndex) readRoutes() {
	routes := append(x.virtualServices(), x.gatewayAPIRoutes()...)
	slices.SortStableFunc(routes, compareRouteAge)
	for _, r := range routes {
		x.addRoute(r)
	}
	x.rules = newDestinationIndex(x.ix, x.drExport)
}

func newTrafficIndex(ix *index) *trafficIndex {
	x := &trafficIndex{
		ix: ix, exact: map[string][]*trafficRoute{}, bound: map[string][]boundRule{},
		sidecars: map[string][]Typed[*networking.Sidecar]{}, backend: map[nsName]*api.Object{}, gateways: map[string]map[string]string{},
	}
	mc := &meshconfig.MeshConfig{}
	if len(ix.meshConfig) > 0 {
		mc = ix.meshConfig[0].Spec
	}
	x.vsExport, x.drExport, x.svcExport = mc.GetDefaultVirtualServiceExportTo(), mc.GetDefaultDestinationRuleExportTo(), mc.GetDefaultServiceExportTo()
	for _, other := range ix.meshConfig {
		o := other.Spec
		if !slices.Equal(x.vsExport, o.GetDefaultVirtualServiceExportTo()) || !slices.Equal(x.drExport, o.GetDefaultDestinationRuleExportTo()) || !slices.Equal(x.svcExport, o.GetDefaultServiceExportTo()) {
			x.disagree = fmt.Sprintf("%s and %s have other defaults of exportTo", ix.meshConfig[0].Ref(), other.Ref())
		}
	}
	for _, g := range ix.gateways {
		x.gateways[g.Namespace+"/"+g.Name] = g.Spec.GetSelector()
	}
	for _, sc := range ix.sidecars {
		x.sidecars[sc.Namespace] = append(x.sidecars[sc.Namespace], sc)
	}
	x.readRoutes()
	x.stands = x.standsFor()
	for _, k := range []Kind{KindBackendTLSPolicy, KindBackendTrafficPolicy} {
		for _, o := range ix.raw[k] {
			for _, t := range listAt(o.Content, "spec", "targetRefs") {
				m, _ := t.(map[string]any)
				if name, _ := m["name"].(string); m["kind"] == "Service" && x.backend[nsName{o.Namespace, name}] == nil {
					x.backend[nsName{o.Namespace, name}] = o
				}
			}
		}
	}
	return x
}

func (x *trafficIndex) addRoute(r *trafficRoute) {
	if r.forMesh() {
		wild := false
		for _, h := range slices.Compact(slices.Sorted(slices.Values(r.hosts))) {
			if isWildcard(h) {
				wild = true
				continue
			}
			x.exact[h] = append(x.exact[h], r)
		}
		if wild {
			x.wildcard = append(x.wildcard, r)
		}
	}
	if !r.forGateways() {
		return
	}
	for _, list := range []struct {
		protocol string
		entries  []routeEntry
	}{{"http", r.http}, {"tcp", r.tcp}, {"tls", r.tls}} {
		for _, e := range list.entries {
			seen := map[string]bool{}
			for _, d := range e.to {
				if !seen[d.host] {
					seen[d.host] = true
					x.bound[d.host] = append(x.bound[d.host], boundRule{r, e, list.protocol})
				}
			}
		}
	}
}

// routesFor lists what is visible to a namespace and has a host that overlaps with the given one, in istiod's order
// of age.
func (x *trafficIndex) routesFor(host, namespace string) []*trafficRoute {
	var out []*trafficRoute
	for _, r := range x.exact[host] {
		if r.visibility(namespace) != invisible {
			out = append(out, r)
		}
	}
	n := len(out)
	for _, r := range x.wildcard {
		if r.visibility(namespace) != invisible && !slices.Contains(out, r) && slices.ContainsFunc(r.hosts, func(h string) bool { return isWildcard(h) && hostMatches(h, host) }) {
			out = append(out, r)
		}
	}
	if len(out) > n && n > 0 {
		slices.SortStableFunc(out, compareRouteAge)
	}
	return out
}

// orderForSidecar puts routes into the order in which a sidecar of a namespace reads them: private ones, those
// exported to the namespace by name, public ones; in each, Gateway API routes of the namespace itself come first
// (SelectVirtualServices with PILOT_UNIFIED_SIDECAR_SCOPE, facts C-01).
func (x *trafficIndex) orderForSidecar(rs []*trafficRoute, namespace string) {
	slices.SortStableFunc(rs, func(a, b *trafficRoute) int {
		return cmp.Or(cmp.Compare(a.visibility(namespace), b.visibility(namespace)), cmp.Compare(a.foreign(namespace), b.foreign(namespace)))
	})
}

// orderForWaypoint does the same for a waypoint, which looks at Gateway API routes first among the public ones only
// (VirtualServicesForGateway).
func (x *trafficIndex) orderForWaypoint(rs []*trafficRoute, namespace string) {
	slices.SortStableFunc(rs, func(a, b *trafficRoute) int {
		va, vb := a.visibility(namespace), b.visibility(namespace)
		if va != vb || va != public {
			return cmp.Compare(va, vb)
		}
		return cmp.Compare(a.foreign(namespace), b.foreign(namespace))
	})
}

// undatedOrder tells that the order of routes which compete follows from ages that the state does not show.
func undatedOrder(rs []*trafficRoute, namespace string) string {
	for i, a := range rs {
		for _, b := range rs[:i] {
			if a.createdAt == createdLater || b.createdAt == createdLater {
				continue
			}
			if a != b && (a.createdAt == "" || b.createdAt == "") && a.visibility(namespace) == b.visibility(namespace) && a.foreign(namespace) == b.foreign(namespace) {
				return fmt.Sprintf("%s and %s are both for this host, the older counts first, and their ages are not known", b.ref, a.ref)
			}
		}
	}
	return ""
}

// boundTo lists the rules that lead to a host and are bound to a gateway that the workload serves.
func (x *trafficIndex) boundTo(host string, w *api.Workload) []boundRule {
	var out []boundRule
	for _, b := range x.bound[host] {
		if b.route.visibility(w.Namespace) == invisible {
			continue
		}
		names := b.entry.match.gateways
		if len(names) == 0 {
			names = b.route.gateways
			if !Selects(b.entry.match.sourceLabels, w.PodLabels) || b.entry.match.sourceNamespace != "" && b.entry.match.sourceNamespace != w.Namespace {
				continue
			}
		}
		if slices.ContainsFunc(names, func(n string) bool { return slices.Contains(b.route.gateways, n) && x.serves(w, n) }) {
			out = append(out, b)
		}
	}
	return out
}

// serves tells whether the pods of a workload serve a gateway: an Istio Gateway "namespace/name" selects them, a
// Gateway of Gateway API "gateway:namespace/name" names them.
func (x *trafficIndex) serves(w *api.Workload, gateway string) bool {
	if name, ok := strings.CutPrefix(gateway, k8sGatewayPrefix); ok {
		ns, name, _ := strings.Cut(name, "/")
		return w.Namespace == ns && (w.PodLabels[LabelGatewayName] == name || w.Labels[LabelGatewayName] == name)
	}
	sel, ok := x.gateways[gateway]
	return ok && Selects(sel, w.PodLabels)
}

// serviceVisible tells whether proxies of a namespace know a Service (pilot/pkg/model/push_context.go, IsServiceVisible).
func (x *trafficIndex) serviceVisible(svc *api.Service, namespace string) bool {
	export := x.svcExport
	if v := svc.Annotations[annotationExportTo]; v != "" {
		export = nil
		for e := range strings.SplitSeq(v, ",") {
			export = append(export, strings.TrimSpace(e))
		}
	}
	return len(export) == 0 || slices.Contains(export, "*") || slices.Contains(export, namespace) || slices.Contains(export, ".") && svc.Namespace == namespace
}

// ownedBy tells whether the labels bind the service behind a host to a waypoint.
func (x *trafficIndex) ownedBy(host string, w api.WaypointRef) bool {
	svc := x.ix.serviceAt(host)
	if svc == nil {
		return false
	}
	labels := svc.Labels
	if labels[LabelUseWaypoint] == "" && x.ix.namespaces[svc.Namespace] != nil {
		labels = x.ix.namespaces[svc.Namespace].Labels
	}
	ns := labels[LabelUseWaypointNS]
	if ns == "" {
		ns = svc.Namespace
	}
	return labels[LabelUseWaypoint] == w.Name && ns == w.Namespace
}

// leadsTo tells whether any object for exactly this host leads to another, whoever sees it (initVirtualServices,
// referencedDestinations).
func (x *trafficIndex) leadsTo(host, other string) bool {
	for _, r := range x.exact[host] {
		for _, list := range [][]routeEntry{r.http, r.tcp, r.tls} {
			for _, e := range list {
				if slices.ContainsFunc(e.to, func(d destination) bool { return d.host == other }) {
					return true
				}
			}
		}
	}
	return false
}

// shortHosts tells of a host like "orders.shop", which istiod does not complete: it stands for calls with exactly
// this Host header, and only on port 80 (separateVSHostsAndServices).
func (x *trafficIndex) shortHosts(svc *api.Service, port int32, namespace string) string {
	if port != 80 {
		return ""
	}
	for _, h := range []string{svc.Name + "." + svc.Namespace, svc.Name + "." + svc.Namespace + ".svc"} {
		for _, r := range x.exact[h] {
			if r.visibility(namespace) != invisible {
				return fmt.Sprintf("%s is for host %q, which only calls with this very Host header mean", r.ref, h)
			}
		}
	}
	return ""
}

// backendPolicy is a BackendTLSPolicy or XBackendTrafficPolicy for a Service (facts L-36); nil for none.
func (x *trafficIndex) backendPolicy(svc *api.Service) *api.Object {
	return x.backend[nsName{svc.Namespace, svc.Name}]
}

// namespaceOf is the namespace of the service behind a host; "" when nothing declares it.
func (x *trafficIndex) namespaceOf(host string) string {
	if svc := x.ix.serviceAt(host); svc != nil {
		return svc.Namespace
	}
	if es := x.ix.entryHosts[host]; len(es) > 0 {
		return es[0].Namespace
	}
	return ""
}

// serviceHost is the full name of a Service.
func (s *State) serviceHost(svc *api.Service) string {
	return svc.Name + "." + svc.Namespace + ".svc." + s.ix.clusterDomain
}

// resolveHost completes a host as istiod does: no dot, no wildcard and no address means a Service of the namespace
// (pilot/pkg/model/config.go, ResolveShortnameToFQDN).
func (ix *index) resolveHost(host, namespace string) string {
	if host == "" || host == "*" || strings.Contains(host, ".") {
		return host
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return host
	}
	return host + "." + namespace + ".svc." + ix.clusterDomain
}

// compareAge is istiod's order of objects: creation time, name, namespace (configCompareByCreationTime).
func compareAge(a, b *api.Object) int {
	at, _ := created(a)
	bt, _ := created(b)
	return cmp.Or(cmp.Compare(at, bt), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Namespace, b.Namespace))
}
