package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l42 = Rule{
	ID: "L42", Title: "ProxyConfig has no effect on ambient pods",
	Doc: Doc{
		Why: "A ProxyConfig sets worker threads, environment and image of the proxies that it selects. An ambient pod has no proxy. It reaches a waypoint only by the label " +
			"that the waypoint's pods carry, gateway.networking.k8s.io/gateway-name.",
		Effect:  "worker threads, environment and image that it sets are gone with the sidecars; a waypoint starts with the mesh's defaults",
		Remedy:  "size the waypoints on their own, and write a ProxyConfig for their pods where they need one of these settings",
		Sources: []string{"istio/istio pilot/pkg/model/proxy_config.go", "istio.io: ProxyConfig reference"},
		Facts:   []string{"L-42"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindNamespace, mesh.KindProxyConfig, mesh.KindWorkload},
	Check: checkL42,
}

func checkL42(p *Pass) {
	st := p.Mesh()
	for _, o := range st.ProxyConfigs() {
		ref := o.Ref()
		for _, f := range []string{"selector", "concurrency", "environmentVariables", "image"} {
			p.Account(Field(ref, "spec."+f, ""))
		}
		if len(membersOf(st, st.Selected(ref.Namespace, o.Spec.GetSelector().GetMatchLabels()))) > 0 {
			p.Report(api.Info, ref, fmt.Sprintf("%s sets up sidecars that go away", ref), Field(ref, selectorPath(o.Spec.GetSelector().GetMatchLabels()), ""))
		}
	}
}
