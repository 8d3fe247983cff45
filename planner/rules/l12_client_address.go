package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l12 = Rule{
	ID:    "L12",
	Title: "Authorization by client address",
	Doc: Doc{
		Why: "ztunnel sees the client's own address only while no waypoint is in between. Behind one, the pods see the waypoint's address, and what " +
			"a waypoint takes for the client's address depends on X-Forwarded-For and the number of trusted proxies.",
		Effect: "behind a waypoint a rule on addresses on the pods no longer sees clients: an ALLOW refuses them, a DENY lets them through; the copy at the " +
			"waypoint decides instead, on the address that the waypoint sees",
		Remedy: "where the Service gets a waypoint, test the copy with a request from inside and from outside each block before the cutover; better, replace " +
			"addresses by identities",
		Sources: []string{
			"ztunnel src/rbac.rs",
			"istio.io docs/ops/configuration/traffic-management/network-topologies (numTrustedProxies)",
		},
		Facts: []string{"L-12", "C-62"},
		Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindAuthorizationPolicy, mesh.KindNamespace, mesh.KindService, mesh.KindWorkload},
	Check: checkL12,
}

func checkL12(p *Pass) {
	for _, pol := range authzPolicies(p.Mesh()) {
		fields := fieldsWith(pol.Rules, func(f mesh.AuthzField) bool {
			switch f.Name {
			case "ipBlocks", "notIpBlocks", "source.ip", "remoteIpBlocks", "notRemoteIpBlocks", "remote.ip":
				return true
			}
			return false
		})
		if len(fields) > 0 {
			p.Report(api.Warning, pol.Ref(), fmt.Sprintf("%s decides on client addresses (%s) for %s", pol.Ref(), fieldNames(fields), pol.policyScope), fieldsOf(pol.Ref(), fields)...)
		}
	}
}
