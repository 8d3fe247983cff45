package rules

import (
	"fmt"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l34 = Rule{
	ID:    "L34",
	Title: "Gateway API routes for mesh traffic",
	Doc: Doc{
		Why: "A route whose parent is a Service routes mesh traffic: for callers with sidecars from the moment it exists, for ambient callers only at a waypoint of " +
			"the service. A route in a caller's namespace works for sidecars of that namespace only.",
		Effect:  "without a waypoint the route has no effect for ambient callers",
		Remedy:  "give the service a waypoint before its callers move; the plan does",
		Sources: []string{"Istio pilot/pkg/config/kube/gateway/conversion.go", "istio.io docs/ambient/usage/l7-features"},
		Facts:   []string{"L-34", "L-35", "L-37", "C-01"},
		Since:   "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindHTTPRoute, mesh.KindGRPCRoute, mesh.KindTCPRoute, mesh.KindTLSRoute, mesh.KindUDPRoute, mesh.KindService, mesh.KindServiceEntry},
	Check: checkL34,
}

// serviceRoute is a Gateway API route with the Services that it is attached to.
type serviceRoute struct {
	kind     mesh.Kind
	object   *api.Object
	services []api.Ref
	paths    []string
	missing  []string
}

// serviceRoutes lists the HTTP routes with what they are attached to.
func serviceRoutes(st *mesh.State) []serviceRoute {
	var out []serviceRoute
	for _, r := range st.HTTPRoutes() {
		out = append(out, routeParents(st, mesh.KindHTTPRoute, r.Object, r.Spec.ParentRefs))
	}
	for _, r := range st.GRPCRoutes() {
		out = append(out, routeParents(st, mesh.KindGRPCRoute, r.Object, r.Spec.ParentRefs))
	}
	return out
}

// parent resolves a parentRef. The last result tells whether it means a Service
// or ServiceEntry at all.
func parent(st *mesh.State, o *api.Object, pr gwv1.ParentReference) (ref api.Ref, found, service bool) {
	ns := o.Namespace
	if pr.Namespace != nil {
		ns = string(*pr.Namespace)
	}
	group, kind := "gateway.networking.k8s.io", "Gateway"
	if pr.Group != nil {
		group = string(*pr.Group)
	}
	if pr.Kind != nil {
		kind = string(*pr.Kind)
	}
	switch {
	case group == "" && kind == "Service":
		if svc := st.Service(ns, string(pr.Name)); svc != nil {
			return svc.Ref(), true, true
		}
		return api.Ref{}, false, true
	case group == "networking.istio.io" && kind == "ServiceEntry":
		for _, e := range st.ServiceEntries() {
			if e.Namespace == ns && e.Name == string(pr.Name) {
				return e.Ref(), true, true
			}
		}
		return api.Ref{}, false, true
	}
	return api.Ref{}, false, false
}

func checkL34(p *Pass) {
	st := p.Mesh()
	routes := serviceRoutes(st)
	for _, r := range st.TCPRoutes() {
		routes = append(routes, routeParents(st, mesh.KindTCPRoute, r.Object, r.Spec.ParentRefs))
	}
	for _, r := range st.TLSRoutes() {
		routes = append(routes, routeParents(st, mesh.KindTLSRoute, r.Object, r.Spec.ParentRefs))
	}
	for _, r := range routes {
		// The whole route means at a waypoint what it means in a sidecar: both are
		// built from it by the same code of istiod.
		p.Account(Field(r.object.Ref(), "spec", ""))
		c := map[mesh.Kind]api.Capability{mesh.KindHTTPRoute: api.CapHTTPRouting, mesh.KindGRPCRoute: api.CapHTTPRouting, mesh.KindTCPRoute: api.CapTCPRouting, mesh.KindTLSRoute: api.CapTLSRouting}[r.kind]
		for i, svc := range r.services {
			ev := Field(r.object.Ref(), r.paths[i], svc.Name)
			p.Need(svc, c, fmt.Sprintf("%s routes its calls", r.object.Ref()), ev)
			if svc.Namespace != r.object.Namespace {
				p.Need(svc, api.CapClientRouting, "a route in the caller's namespace", ev)
				p.ReportWith(api.Blocker, r.object.Ref(), fmt.Sprintf("%s is in a caller's namespace and routes calls of %s for sidecars there only", r.object.Ref(), svc),
					"no waypoint reads it, so the callers lose it when their sidecars go", "move the route into the service's namespace, where it holds for all callers", ev)
			}
		}
		for _, path := range r.missing {
			p.ReportWith(api.Warning, r.object.Ref(), fmt.Sprintf("a parent of %s is no Service or ServiceEntry of the inventory", r.object.Ref()),
				"the route is attached to nothing", "correct the parent, or add the missing object", Field(r.object.Ref(), path, ""))
		}
	}
	for _, o := range st.Objects(mesh.KindUDPRoute) {
		p.ReportWith(api.Warning, o.Ref(), fmt.Sprintf("%s: ambient mode carries no UDP", o.Ref()), "the route has no effect, as with sidecars", "nothing to do for the migration; remove it if it was meant for the mesh", Field(o.Ref(), "spec", ""))
	}
}

// routeParents finds the Services and ServiceEntries that a route is attached to.
func routeParents(st *mesh.State, k mesh.Kind, o *api.Object, parents []gwv1.ParentReference) serviceRoute {
	r := serviceRoute{kind: k, object: o}
	for i, pr := range parents {
		path := fmt.Sprintf("spec.parentRefs[%d]", i)
		if ref, ok, service := parent(st, o, pr); ok {
			r.services, r.paths = append(r.services, ref), append(r.paths, path)
		} else if service {
			r.missing = append(r.missing, path)
		}
	}
	return r
}
