package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var e30 = Rule{
	ID:    "E30",
	Title: "Virtual machines",
	Doc: Doc{
		Why:     "A virtual machine runs a sidecar of its own and cannot be ambient. As a client it goes past waypoints; as a server it is reached in plaintext unless it accepts HBONE.",
		Effect:  "calls from the machine skip what a waypoint enforces, and calls to it may lose mutual TLS",
		Remedy:  "keep the sidecars of the services that the machine calls or serves, or move the machine's workload into the cluster; then consent to the finding by id",
		Sources: []string{"istio.io docs/ambient/migrate/before-you-begin", "istio/istio pull request 60788"},
		Facts:   []string{"E-30", "P-12", "M-12"},
		Since:   "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindWorkloadEntry, mesh.KindWorkloadGroup},
	Check: checkE30,
}

func checkE30(p *Pass) {
	for _, e := range p.Mesh().WorkloadEntries() {
		if e.Spec.GetServiceAccount() == "" {
			// Without an identity it is an address that sidecars and ztunnel reach alike.
			p.Account(Field(e.Ref(), "spec", ""))
			continue
		}
		p.Report(api.Blocker, e.Ref(), fmt.Sprintf("%s is a machine outside the cluster (%s), and ambient mode has no machines", e.Ref(), e.Spec.GetAddress()), Field(e.Ref(), "spec", ""))
	}
	for _, g := range p.Mesh().WorkloadGroups() {
		p.Report(api.Blocker, g.Ref(), fmt.Sprintf("%s registers machines outside the cluster, and ambient mode has no machines", g.Ref()), Field(g.Ref(), "spec", ""))
	}
}
