package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var p03 = Rule{
	ID: "P03", Title: "Feature flags of istiod",
	Doc: Doc{
		Why:     "istiod serves ambient mode only with PILOT_ENABLE_AMBIENT=true, which the ambient profile sets; the default is false. Other flags take parts of it away again.",
		Effect:  "ztunnel gets no configuration from this istiod, waypoints are not deployed, and sidecars neither send nor accept HBONE",
		Remedy:  "wave 0: install istiod with profile=ambient, and remove flags that switch parts of it off",
		Sources: []string{"istio/istio pilot/pkg/features/ambient.go", "istio/istio manifests/helm-profiles/ambient.yaml"},
		Facts:   []string{"P-02", "P-03", "M-01", "E-19"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindCluster},
	Check: checkP03,
}

func checkP03(p *Pass) {
	off := []struct{ flag, effect string }{
		{"PILOT_ENABLE_AMBIENT_WAYPOINTS", "waypoints do nothing, so no layer 7 policy is enforced for ambient pods"},
		{"PILOT_ENABLE_SENDING_HBONE", "sidecars send plaintext to ambient pods: refused under STRICT, and without identity otherwise"},
		{"PILOT_ENABLE_SIDECAR_LISTENING_HBONE", "ambient clients reach sidecars in plaintext: refused under STRICT, and without identity otherwise"},
		{"AMBIENT_ENABLE_STATUS", "the conditions that this plan's checks read (WaypointBound, WaypointAccepted, ZtunnelAccepted) are never written"},
		{"ENABLE_INGRESS_WAYPOINT_ROUTING", "istio.io/ingress-use-waypoint is ignored: requests from gateways go past waypoints, unchecked by their policies"},
	}
	for _, cp := range istiods(p.Mesh()) {
		at := func(flag string) api.Evidence {
			return Field(cp.Ref, "spec.template.spec.containers", flag+"="+cp.Flags[flag])
		}
		if v := cp.Flags["PILOT_ENABLE_AMBIENT"]; v != "true" && v != "1" {
			p.Report(api.Warning, cp.Ref, fmt.Sprintf("%s does not run with PILOT_ENABLE_AMBIENT=true", cp.Ref), at("PILOT_ENABLE_AMBIENT"))
			continue
		}
		for _, f := range off {
			if v := cp.Flags[f.flag]; v == "false" || v == "0" {
				p.ReportWith(api.Warning, cp.Ref, fmt.Sprintf("%s runs with %s=%s", cp.Ref, f.flag, v), f.effect, "remove the flag in wave 0; true is the default of the ambient profile", at(f.flag))
			}
		}
	}
}
