package rules

import (
	"cmp"
	"fmt"
	"slices"

	networking "istio.io/api/networking/v1alpha3"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var b05 = Rule{
	ID:    "B05",
	Title: "Ingress goes past the waypoint",
	Doc: Doc{
		Why: "A gateway connects to the pods of a Service, also where the Service has a waypoint, unless the Service or its Namespace is labelled istio.io/ingress-use-waypoint=true. " +
			"For a headless Service the label does nothing, since a waypoint has no configuration for it. A label on the Gateway is read by nobody.",
		Effect: "requests from outside are not checked by the policies at the waypoint, and none of its routes applies to them",
		Remedy: "label the Service istio.io/ingress-use-waypoint=true; the plan does so for each Service that it sends to a waypoint itself. Give a headless Service behind a gateway " +
			"a second Service with an address",
		Sources: []string{"istio/istio pilot/pkg/serviceregistry/ambient/services.go (ingressUseWaypointFromLabels)", "istio/istio issues 51214, 56991"},
		Facts:   []string{"B-05", "E-07", "E-19", "M-17", "M-25"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{
		mesh.KindGRPCRoute, mesh.KindHTTPRoute, mesh.KindK8sGateway, mesh.KindNamespace, mesh.KindService, mesh.KindTCPRoute,
		mesh.KindTLSRoute, mesh.KindVirtualService, mesh.KindWorkload,
	},
	Check: checkB05,
}

func checkB05(p *Pass) {
	st := p.Mesh()
	behind := ingressBackends(st)
	for i := range st.Services() {
		svc := &st.Services()[i]
		routes := behind[svc.Ref()]
		ns, name := waypointLabel(st, svc)
		if len(routes) == 0 || name == "" || !inMesh(st, svc) {
			continue
		}
		ev := append([]api.Evidence{waypointLabelOf(st, svc)}, routes[:min(len(routes), maxListed)]...)
		switch {
		case svc.Headless:
			p.Report(api.Warning, svc.Ref(), fmt.Sprintf("%s is headless, so a gateway cannot send its requests to the waypoint %s/%s", svc.Ref(), ns, name), ev...)
		case !ingressUsesWaypoint(st, svc):
			p.Report(api.Warning, svc.Ref(), fmt.Sprintf("a gateway sends requests for %s past its waypoint %s/%s", svc.Ref(), ns, name), ev...)
		}
	}
}

// ingressUsesWaypoint reads the label as istiod does: the Service's, else the Namespace's.
func ingressUsesWaypoint(st *mesh.State, svc *api.Service) bool {
	v, ok := svc.Labels[mesh.LabelIngressUse]
	if !ok {
		if ns := st.Namespace(svc.Namespace); ns != nil {
			v = ns.Labels[mesh.LabelIngressUse]
		}
	}
	return v == "true"
}

// ingressBackends lists, for each Service, where a route of a gateway names it.
func ingressBackends(st *mesh.State) map[api.Ref][]api.Evidence {
	out := map[api.Ref][]api.Evidence{}
	for _, vs := range st.VirtualServices() {
		if !slices.ContainsFunc(vs.Spec.GetGateways(), func(g string) bool { return g != "mesh" }) {
			continue
		}
		for _, d := range destinationsOf(vs.Spec) {
			if svc, _ := st.ServiceByHost(d.host, vs.Namespace); svc != nil {
				out[svc.Ref()] = append(out[svc.Ref()], Field(vs.Ref(), d.path, d.host))
			}
		}
	}
	waypoints := map[[2]string]bool{}
	for _, g := range st.K8sGateways() {
		waypoints[[2]string{g.Namespace, g.Name}] = string(g.Spec.GatewayClassName) == waypointClass
	}
	for _, k := range []mesh.Kind{mesh.KindHTTPRoute, mesh.KindGRPCRoute, mesh.KindTCPRoute, mesh.KindTLSRoute} {
		for _, o := range st.Objects(k) {
			if attachedToGateway(o, waypoints) {
				backendsOf(st, o, out)
			}
		}
	}
	return out
}

// destination of a VirtualService, and where it stands.
type destination struct{ host, path string }

func destinationsOf(vs *networking.VirtualService) []destination {
	var out []destination
	add := func(d *networking.Destination, format string, args ...any) {
		out = append(out, destination{d.GetHost(), fmt.Sprintf(format, args...)})
	}
	for i, r := range vs.GetHttp() {
		for j, d := range r.GetRoute() {
			add(d.GetDestination(), "spec.http[%d].route[%d].destination.host", i, j)
		}
	}
	for i, r := range vs.GetTcp() {
		for j, d := range r.GetRoute() {
			add(d.GetDestination(), "spec.tcp[%d].route[%d].destination.host", i, j)
		}
	}
	for i, r := range vs.GetTls() {
		for j, d := range r.GetRoute() {
			add(d.GetDestination(), "spec.tls[%d].route[%d].destination.host", i, j)
		}
	}
	return out
}

// attachedToGateway tells whether a route of the Gateway API has a parent that is a
// Gateway and no waypoint.
func attachedToGateway(o *api.Object, waypoints map[[2]string]bool) bool {
	spec, _ := o.Content["spec"].(map[string]any)
	parents, _ := spec["parentRefs"].([]any)
	return slices.ContainsFunc(parents, func(v any) bool {
		ref, _ := v.(map[string]any)
		kind, _ := ref["kind"].(string)
		ns, _ := ref["namespace"].(string)
		name, _ := ref["name"].(string)
		return cmp.Or(kind, "Gateway") == "Gateway" && !waypoints[[2]string{cmp.Or(ns, o.Namespace), name}]
	})
}

// backendsOf notes each Service that a route names as a backend.
func backendsOf(st *mesh.State, o *api.Object, out map[api.Ref][]api.Evidence) {
	spec, _ := o.Content["spec"].(map[string]any)
	rules, _ := spec["rules"].([]any)
	for i, v := range rules {
		rule, _ := v.(map[string]any)
		backends, _ := rule["backendRefs"].([]any)
		for j, b := range backends {
			ref, _ := b.(map[string]any)
			kind, _ := ref["kind"].(string)
			ns, _ := ref["namespace"].(string)
			name, _ := ref["name"].(string)
			if svc := st.Service(cmp.Or(ns, o.Namespace), name); svc != nil && cmp.Or(kind, "Service") == "Service" {
				out[svc.Ref()] = append(out[svc.Ref()], Field(o.Ref(), fmt.Sprintf("spec.rules[%d].backendRefs[%d]", i, j), name))
			}
		}
	}
}
