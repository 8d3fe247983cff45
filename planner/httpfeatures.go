package planner

import (
	"fmt"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// httpFeatures says, once for each namespace, what its HTTP services lose that
// ztunnel serves alone: what every sidecar does for HTTP without being asked.
// Nothing configures it, so no rule can see who relies on it (facts L-70 to L-74).
func httpFeatures(st *mesh.State, ds []api.Decision) []api.Finding {
	byNS := map[string][]api.Ref{}
	multiplexed := map[string]int{}
	evidence := map[string][]api.Evidence{}
	var order []string
	for i := range ds {
		d := &ds[i]
		svc := st.Service(d.Namespace, d.Service)
		if d.Kind != api.L4Only || d.Mode == mesh.ModeAmbient.String() || svc == nil || d.Subject.Kind != "Service" {
			continue
		}
		j := slices.IndexFunc(svc.Ports, func(p api.ServicePort) bool {
			return slices.Contains([]string{"HTTP", "HTTP2", "GRPC", "GRPC-Web"}, p.Protocol)
		})
		if j < 0 {
			continue
		}
		if byNS[d.Namespace] == nil {
			order = append(order, d.Namespace)
		}
		byNS[d.Namespace] = append(byNS[d.Namespace], svc.Ref())
		if svc.Ports[j].Protocol != "HTTP" {
			multiplexed[d.Namespace]++
		}
		if path := fmt.Sprintf("spec.ports[%d]", j); len(evidence[d.Namespace]) < maxEvidence {
			evidence[d.Namespace] = append(evidence[d.Namespace], api.Evidence{Object: svc.Ref(), Path: path, Value: svc.Ports[j].Protocol, Source: svc.Origin.At(path)})
		}
	}
	var out []api.Finding
	for _, ns := range order {
		var names []string
		for _, r := range byNS[ns] {
			names = append(names, r.Name)
		}
		msg := fmt.Sprintf("ztunnel serves %s alone, and without a waypoint they lose default retries, HTTP metrics, access logs, traces and balancing by request", shortList(names, 8))
		if n := multiplexed[ns]; n > 0 {
			msg += fmt.Sprintf("; %d of them speak gRPC or HTTP/2, where one connection carries many requests", n)
		}
		out = append(out, api.Finding{
			ID: "http-features", Severity: api.Warning, Subject: api.Ref{Kind: "Namespace", Name: ns}, Message: msg, Evidence: evidence[ns],
			Effect: "metrics and balancing are those of TCP connections; a client that keeps one gRPC connection stays with one pod",
			Action: "declare request-balancing, retries, l7-telemetry or tracing in the needs of the services that rely on them; the plan then gives these a waypoint",
		})
	}
	return out
}
