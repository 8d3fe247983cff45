package planner

import (
	"fmt"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// meshGateway is the reserved word of VirtualServices for all sidecars.
const meshGateway = "mesh"

// fromVirtualServices reads clients off VirtualServices: the workloads of the
// gateways that they are bound to call the destinations; a route for sidecars
// that lives in another namespace than its destination was written for the
// clients there; and a match on a source names its client.
func (c *edgeCollector) fromVirtualServices() {
	for _, vs := range c.st.VirtualServices() {
		for i, r := range vs.Spec.GetHttp() {
			var to []*networking.Destination
			for _, d := range r.GetRoute() {
				to = append(to, d.GetDestination())
			}
			to = append(to, r.GetMirror())
			for _, m := range r.GetMirrors() {
				to = append(to, m.GetDestination())
			}
			var from []source
			for _, m := range r.GetMatch() {
				from = append(from, source{m.GetGateways(), m.GetSourceNamespace(), m.GetSourceLabels()})
			}
			c.route(vs, fmt.Sprintf("spec.http[%d]", i), from, to)
		}
		for i, r := range vs.Spec.GetTcp() {
			var from []source
			for _, m := range r.GetMatch() {
				from = append(from, source{m.GetGateways(), m.GetSourceNamespace(), m.GetSourceLabels()})
			}
			c.route(vs, fmt.Sprintf("spec.tcp[%d]", i), from, destinations(r.GetRoute()))
		}
		for i, r := range vs.Spec.GetTls() {
			var from []source
			for _, m := range r.GetMatch() {
				from = append(from, source{m.GetGateways(), m.GetSourceNamespace(), m.GetSourceLabels()})
			}
			c.route(vs, fmt.Sprintf("spec.tls[%d]", i), from, destinations(r.GetRoute()))
		}
	}
}

func destinations(routes []*networking.RouteDestination) []*networking.Destination {
	var out []*networking.Destination
	for _, r := range routes {
		out = append(out, r.GetDestination())
	}
	return out
}

// source is what a match of a route says of the client.
type source struct {
	gateways  []string
	namespace string
	labels    map[string]string
}

// virtualService is a VirtualService of the state.
type virtualService = mesh.Typed[*networking.VirtualService]

// route adds the edges of one route of a VirtualService. A route without match
// is for all clients of the gateways that the VirtualService names.
func (c *edgeCollector) route(vs virtualService, path string, from []source, to []*networking.Destination) {
	if len(from) == 0 {
		from = []source{{}}
	}
	var clients []api.Ref
	for _, s := range from {
		clients = append(clients, c.sources(vs, s)...)
	}
	clients = unique(clients)
	ev := api.Evidence{Object: vs.Ref(), Path: path, Source: vs.Origin.At(path)}
	for _, d := range to {
		for _, svc := range c.hosts(d.GetHost(), vs.Namespace) {
			c.possible(clients, svc, int(d.GetPort().GetNumber()), ev)
		}
	}
}

// sources are the clients that a match of a VirtualService is for.
func (c *edgeCollector) sources(vs virtualService, s source) []api.Ref {
	gateways := s.gateways
	if len(gateways) == 0 {
		gateways = vs.Spec.GetGateways()
	}
	if len(gateways) == 0 {
		gateways = []string{meshGateway}
	}
	var out []api.Ref
	for _, g := range gateways {
		switch {
		case g != meshGateway:
			out = append(out, c.gatewayPods(vs.Namespace, g)...)
		case len(s.labels) > 0:
			out = append(out, c.labelled(s)...)
		case s.namespace != "":
			out = append(out, namespaceClient(s.namespace))
		default:
			out = append(out, namespaceClient(vs.Namespace))
		}
	}
	return out
}

// labelled are the workloads that a match on source labels means.
func (c *edgeCollector) labelled(s source) []api.Ref {
	var out []api.Ref
	for i := range c.st.Workloads() {
		w := &c.st.Workloads()[i]
		if (s.namespace == "" || w.Namespace == s.namespace) && mesh.Selects(s.labels, w.PodLabels) {
			out = append(out, w.Ref())
		}
	}
	return out
}

// gatewayPods are the workloads of an Istio Gateway named "name" or "namespace/name".
// Its selector selects in every namespace, as istiod does unless
// PILOT_SCOPE_GATEWAY_TO_NAMESPACE is set.
func (c *edgeCollector) gatewayPods(ns, name string) []api.Ref {
	if n, rest, ok := strings.Cut(name, "/"); ok {
		ns, name = n, rest
	}
	key := api.Ref{Group: "networking.istio.io", Namespace: ns, Name: name}
	out, ok := c.gateways[key]
	if ok {
		return out
	}
	for _, g := range c.st.Gateways() {
		if g.Namespace != ns || g.Name != name || len(g.Spec.GetSelector()) == 0 {
			continue
		}
		for i := range c.st.Workloads() {
			if w := &c.st.Workloads()[i]; mesh.Selects(g.Spec.GetSelector(), w.PodLabels) {
				out = append(out, w.Ref())
			}
		}
		if len(out) == 0 {
			out = append(out, g.Ref())
		}
	}
	c.gateways[key] = out
	return out
}

// fromRoutes reads clients off the routes of Gateway API: the pods of a Gateway
// call the backends of its routes, and a route of another namespace than the
// Service that is its parent was written for the clients there (a consumer route).
func (c *edgeCollector) fromRoutes() {
	for _, r := range c.st.HTTPRoutes() {
		for i, rule := range r.Spec.Rules {
			for j, b := range rule.BackendRefs {
				c.backend(r.Object, r.Spec.ParentRefs, fmt.Sprintf("spec.rules[%d].backendRefs[%d]", i, j), b.BackendObjectReference)
			}
			for j, f := range rule.Filters {
				if f.RequestMirror != nil {
					c.backend(r.Object, r.Spec.ParentRefs, fmt.Sprintf("spec.rules[%d].filters[%d].requestMirror.backendRef", i, j), f.RequestMirror.BackendRef)
				}
			}
		}
	}
	for _, r := range c.st.GRPCRoutes() {
		for i, rule := range r.Spec.Rules {
			for j, b := range rule.BackendRefs {
				c.backend(r.Object, r.Spec.ParentRefs, fmt.Sprintf("spec.rules[%d].backendRefs[%d]", i, j), b.BackendObjectReference)
			}
		}
	}
	for _, r := range c.st.TCPRoutes() {
		for i, rule := range r.Spec.Rules {
			for j, b := range rule.BackendRefs {
				c.backend(r.Object, r.Spec.ParentRefs, fmt.Sprintf("spec.rules[%d].backendRefs[%d]", i, j), b.BackendObjectReference)
			}
		}
	}
	for _, r := range c.st.TLSRoutes() {
		for i, rule := range r.Spec.Rules {
			for j, b := range rule.BackendRefs {
				c.backend(r.Object, r.Spec.ParentRefs, fmt.Sprintf("spec.rules[%d].backendRefs[%d]", i, j), b.BackendObjectReference)
			}
		}
	}
}

// backend adds the edges from the parents of a route to one of its backends.
func (c *edgeCollector) backend(route *api.Object, parents []gwv1.ParentReference, path string, b gwv1.BackendObjectReference) {
	ns := route.Namespace
	if b.Namespace != nil {
		ns = string(*b.Namespace)
	}
	if b.Kind != nil && *b.Kind != "Service" {
		return
	}
	svc := c.st.Service(ns, string(b.Name))
	if svc == nil {
		return
	}
	port := 0
	if b.Port != nil {
		port = int(*b.Port)
	}
	ev := api.Evidence{Object: route.Ref(), Path: path, Value: string(b.Name), Source: route.Origin.At(path)}
	for _, p := range parents {
		parentNS := route.Namespace
		if p.Namespace != nil {
			parentNS = string(*p.Namespace)
		}
		switch {
		case p.Kind != nil && *p.Kind == "Service":
			if parentNS != route.Namespace {
				clients := []api.Ref{namespaceClient(route.Namespace)}
				c.possible(clients, svc.Ref(), port, ev)
				if parent := c.st.Service(parentNS, string(p.Name)); parent != nil {
					c.possible(clients, parent.Ref(), 0, ev)
				}
			}
		case p.Kind == nil || *p.Kind == "Gateway":
			c.possible(c.k8sGatewayPods(parentNS, string(p.Name)), svc.Ref(), port, ev)
		}
	}
}

// k8sGatewayPods are the workloads of a Gateway of Gateway API: those with its
// name label, or those behind the Service that a Gateway deployed by hand names in
// its addresses. Without any it is the Gateway itself: its controller deploys it.
func (c *edgeCollector) k8sGatewayPods(ns, name string) []api.Ref {
	key := api.Ref{Group: gwv1.GroupName, Namespace: ns, Name: name}
	out, ok := c.gateways[key]
	if ok {
		return out
	}
	for _, g := range c.st.K8sGateways() {
		if g.Namespace != ns || g.Name != name || g.Spec.GatewayClassName == "istio-waypoint" {
			continue
		}
		for _, w := range c.st.WorkloadsIn(ns) {
			if w.PodLabels[mesh.LabelGatewayName] == name {
				out = append(out, w.Ref())
			}
		}
		for _, a := range g.Spec.Addresses {
			if svc, _ := c.st.ServiceByHost(a.Value, ns); svc != nil {
				for _, w := range c.st.WorkloadsOf(svc) {
					out = append(out, w.Ref())
				}
			}
		}
		if len(out) == 0 {
			out = append(out, g.Ref())
		}
	}
	out = unique(out)
	c.gateways[key] = out
	return out
}
