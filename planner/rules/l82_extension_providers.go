package rules

import (
	"fmt"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l82 = Rule{
	ID: "L82", Title: "Extension providers serve gateways and waypoints only",
	Doc: Doc{
		Why: "External authorizers, tracers, metrics and log sinks of MeshConfig are called by Envoy. Gateways and waypoints call them; ztunnel does not. Default providers " +
			"apply to every proxy without a Telemetry of its own.",
		Effect:  "services without a waypoint lose what the default providers do for them: spans, HTTP metrics or access logs",
		Remedy:  "decide for which services these signals matter and ask for l7-telemetry or tracing in their FeatureNeeds",
		Sources: []string{"istio.io: Global Mesh Options, ExtensionProvider", "istio/istio pilot/pkg/model/telemetry.go"},
		Facts:   []string{"L-82", "L-52", "L-74"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindMeshConfig},
	Check: checkL82,
}

func checkL82(p *Pass) {
	for _, m := range p.Mesh().MeshConfigs() {
		ref := m.Ref()
		// A provider does nothing by itself: policies and Telemetry that name it are judged by their own rules.
		p.Account(Field(ref, "spec.extensionProviders", ""))
		d := m.Spec.GetDefaultProviders()
		var fields []string
		var ev []api.Evidence
		for _, x := range []struct {
			field string
			names []string
		}{{"tracing", d.GetTracing()}, {"metrics", d.GetMetrics()}, {"accessLogging", d.GetAccessLogging()}} {
			at := Field(ref, "spec.defaultProviders."+x.field, strings.Join(x.names, ", "))
			p.Account(at)
			if len(x.names) > 0 {
				fields, ev = append(fields, x.field), append(ev, at)
			}
		}
		if len(fields) > 0 {
			p.Report(api.Warning, ref, fmt.Sprintf("%s has default providers for %s", ref, strings.Join(fields, ", ")), ev...)
		}
	}
}
