package rules

import (
	"fmt"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l71 = Rule{
	ID: "L71", Title: "gRPC and HTTP/2 are balanced by connection",
	Doc: Doc{
		Why: "A sidecar balances the requests of a client. ztunnel balances connections: those of gRPC and HTTP/2 live long and carry many requests, so a client keeps to the pod that its connection " +
			"reached first, whatever the others do. A waypoint balances requests again.",
		Effect:  "without a waypoint some pods get most of the requests, and new pods get none until clients connect again",
		Remedy:  "ask for request-balancing in the FeatureNeeds of the Services where it matters, which gives them a waypoint; or let clients reconnect now and then, or balance themselves over a headless Service",
		Sources: []string{"istio/istio issues 53508 and 55271", "istio.io: Ambient data plane architecture"},
		Facts:   []string{"L-71", "B-11"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindAutoscaler, mesh.KindNamespace, mesh.KindService, mesh.KindWorkload},
	Check: checkL71,
}

func checkL71(p *Pass) {
	st := p.Mesh()
	for i := range st.Namespaces() {
		ns := &st.Namespaces()[i]
		var names []string
		var ev []api.Evidence
		for _, svc := range st.ServicesIn(ns.Name) {
			if _, waypoint := waypointLabel(st, svc); waypoint != "" || svc.Headless || !balancedToday(st, svc) {
				continue
			}
			for j, port := range svc.Ports {
				switch port.Protocol {
				case "GRPC", "GRPC-Web", "HTTP2":
					names = append(names, fmt.Sprintf("%s:%d", svc.Name, port.Port))
					ev = append(ev, Field(svc.Ref(), fmt.Sprintf("spec.ports[%d]", j), port.Protocol))
				}
			}
		}
		if len(names) > 0 {
			p.Report(api.Warning, ns.Ref(), fmt.Sprintf("ports of namespace %s serve gRPC or HTTP/2, and get no balancing of requests unless their Service gets a waypoint: %s", ns.Name, listed(names)), ev[:min(len(ev), maxListed)]...)
		}
	}
}

// balancedToday tells whether there is anything to balance: pods in the mesh, and
// more than a single one by what their workload or its autoscaler asks for.
func balancedToday(st *mesh.State, svc *api.Service) bool {
	members := membersOf(st, st.WorkloadsOf(svc))
	return len(members) > 1 || len(members) == 1 && (members[0].Replicas == nil || *members[0].Replicas > 1 || autoscaled(st, members[0]))
}

// autoscaled tells whether an autoscaler scales the workload.
func autoscaled(st *mesh.State, w *api.Workload) bool {
	return slices.ContainsFunc(st.Objects(mesh.KindAutoscaler), func(o *api.Object) bool {
		spec, _ := o.Content["spec"].(map[string]any)
		return o.Namespace == w.Namespace && scaledWorkload(st, o.Namespace, spec) == w
	})
}
