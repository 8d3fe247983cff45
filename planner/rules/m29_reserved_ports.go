package rules

import (
	"fmt"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var m29 = Rule{
	ID: "M29", Title: "The application listens on a port of ztunnel",
	Doc: Doc{
		Why: "ztunnel listens inside the network of every pod that it captures: on 15001, 15006, 15008 and, for DNS, 15053. It refuses connections to its own ports, and an application " +
			"cannot bind them.",
		Effect:  "the application fails to start, or nobody reaches the port",
		Remedy:  "keep the sidecar, or let the application listen on another port before the move",
		Sources: []string{"istio/ztunnel src/proxy.rs and src/config.rs (illegal_ports)", "istio.io: Ports used by Istio"},
		Facts:   []string{"M-29", "P-07"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindNamespace, mesh.KindService, mesh.KindWorkload},
	Check: checkM29,
}

func checkM29(p *Pass) {
	st := p.Mesh()
	ws := st.Workloads()
	for i := range ws {
		w := &ws[i]
		if w.ManualProxy || !st.InMesh(w) {
			continue
		}
		for _, c := range w.Ports {
			if (c.Protocol == "" || c.Protocol == "TCP") && slices.Contains([]int32{15001, 15006, mesh.HBONEPort, 15053}, c.Port) {
				needOf(p, w, api.CapReservedPort, fmt.Sprintf("the application listens on port %d, which ztunnel uses inside every pod", c.Port),
					Field(w.Ref(), podPath(w, "spec.containers"), fmt.Sprint(c.Port)))
			}
		}
	}
}
