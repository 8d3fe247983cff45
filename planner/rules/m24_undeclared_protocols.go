package rules

import (
	"fmt"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var m24 = Rule{
	ID:    "M24",
	Title: "Ports without a protocol",
	Doc: Doc{
		Why:     "A waypoint looks at the first bytes of a connection to a port whose protocol nobody declared. Where the server speaks first (MySQL, SMTP), both sides wait.",
		Effect:  "behind a waypoint connections to such a port may hang until they time out",
		Remedy:  "declare the protocol by the port's name or appProtocol before the service gets a waypoint",
		Sources: []string{"istio/istio issue 55420", "istio/istio pull request 58774"},
		Facts:   []string{"M-24", "B-14", "L-86"},
		Since:   "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindNamespace, mesh.KindService, mesh.KindWorkload},
	Check: checkM24,
}

// serverFirst tells whether a port number is one of a well-known protocol in
// which the server speaks first (FTP, SSH, POP3, IMAP, mail submission). Istio
// itself takes 25, 53, 3306 and 27017 for TCP (pkg/config/kube/conversion.go).
func serverFirst(port int32) bool {
	return slices.Contains([]int32{21, 22, 110, 143, 587}, port)
}

func checkM24(p *Pass) {
	st := p.Mesh()
	for i := range st.Namespaces() {
		ns := &st.Namespaces()[i]
		var names []string
		var ev []api.Evidence
		severity := api.Info
		for _, svc := range st.ServicesIn(ns.Name) {
			if !inMesh(st, svc) {
				continue
			}
			for j, port := range svc.Ports {
				if port.Protocol != "" || port.Transport == "UDP" {
					continue
				}
				if serverFirst(port.Port) {
					severity = api.Warning
				}
				names = append(names, fmt.Sprintf("%s:%d", svc.Name, port.Port))
				ev = append(ev, Field(svc.Ref(), fmt.Sprintf("spec.ports[%d]", j), fmt.Sprint(port.Port)))
			}
		}
		if len(names) > 0 {
			p.Report(severity, ns.Ref(), fmt.Sprintf("ports of namespace %s declare no protocol: %s", ns.Name, listed(names)), ev[:min(len(ev), maxListed)]...)
		}
	}
}
