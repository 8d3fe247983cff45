package rules

import (
	"fmt"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l70 = Rule{
	ID:    "L70",
	Title: "What HTTP services lose without a waypoint",
	Doc: Doc{
		Why: "Every sidecar gives HTTP services default retries, balancing of requests instead of connections, HTTP metrics, access logs and traces, " +
			"and headers such as x-forwarded-client-cert. None of this is configured anywhere, so no rule can see who relies on it.",
		Effect:  "a service that ztunnel serves alone has metrics and balancing of TCP connections only; a gRPC client may stay with one pod",
		Remedy:  "declare request-balancing, retries, l7-telemetry or tracing in the needs of the services that rely on them; the plan then gives these a waypoint",
		Sources: []string{"istio/istio issues 53508, 55271", "istio/istio pull request 60682", "istio.io docs/ambient/architecture/data-plane"},
		Facts:   []string{"L-70", "L-71", "L-72", "L-73", "L-74", "B-11"},
		Since:   "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindNamespace, mesh.KindService, mesh.KindWorkload},
	Check: checkL70,
}

func checkL70(p *Pass) {
	st := p.Mesh()
	for i := range st.Namespaces() {
		ns := &st.Namespaces()[i]
		var names []string
		var ev []api.Evidence
		grpc := 0
		for _, svc := range st.ServicesIn(ns.Name) {
			if !inMesh(st, svc) {
				continue
			}
			for j, port := range svc.Ports {
				if !slices.Contains([]string{"HTTP", "HTTP2", "GRPC", "GRPC-Web"}, port.Protocol) {
					continue
				}
				if port.Protocol != "HTTP" {
					grpc++
				}
				names = append(names, svc.Name)
				ev = append(ev, Field(svc.Ref(), fmt.Sprintf("spec.ports[%d]", j), port.Protocol))
				break
			}
		}
		if len(names) == 0 {
			continue
		}
		msg := fmt.Sprintf("%d HTTP services of namespace %s lose retries, HTTP metrics, traces and balancing by request where they get no waypoint: %s", len(names), ns.Name, listed(names))
		if grpc > 0 {
			msg += fmt.Sprintf("; %d of them speak gRPC or HTTP/2, where one connection carries many requests", grpc)
		}
		p.Report(api.Warning, ns.Ref(), msg, ev[:min(len(ev), maxListed)]...)
	}
}
