package rules

import (
	"fmt"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l38 = Rule{
	ID:    "L38",
	Title: "ServiceEntries",
	Doc: Doc{
		Why: "ztunnel knows hosts outside the mesh with static or DNS endpoints. Hosts with a wildcard and dynamic DNS need a waypoint. Visibility by exportTo is " +
			"ignored: every namespace sees every ServiceEntry.",
		Effect:  "calls to these hosts pass through without the features that sidecars gave them",
		Remedy:  "bind the ServiceEntry to a waypoint where it needs one; the plan does",
		Sources: []string{"Istio pilot/pkg/serviceregistry/ambient/services.go", "istio/istio pull requests 57656, 59797"},
		Facts:   []string{"L-38", "L-39", "L-80", "C-75", "E-34"},
		Since:   "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindServiceEntry},
	Check: checkL38,
}

func checkL38(p *Pass) {
	first := map[string]api.Ref{}
	for _, e := range p.Mesh().ServiceEntries() {
		for _, k := range []string{"hosts", "addresses", "location", "resolution", "endpoints", "workloadSelector", "exportTo", "subjectAltNames"} {
			p.Account(Field(e.Ref(), "spec."+k, ""))
		}
		entryPorts(p, e)
		resolution := Field(e.Ref(), "spec.resolution", e.Spec.GetResolution().String())
		if e.Spec.GetResolution() == networking.ServiceEntry_DYNAMIC_DNS {
			p.Need(e.Ref(), api.CapL7Egress, "resolution DYNAMIC_DNS is done by a waypoint only", resolution)
		} else if i := slices.IndexFunc(e.Spec.GetHosts(), func(h string) bool { return strings.Contains(h, "*") }); i >= 0 {
			p.ReportWith(api.Warning, e.Ref(), fmt.Sprintf("%s names hosts with a wildcard, which ztunnel does not know", e.Ref()),
				"calls to these hosts pass through ztunnel like those to any unknown host: they still work, without metrics by host and without policy",
				"nothing to do where the entry only made the hosts known; for policy or metrics use resolution DYNAMIC_DNS and a waypoint", Field(e.Ref(), fmt.Sprintf("spec.hosts[%d]", i), e.Spec.GetHosts()[i]))
		}
		if to := e.Spec.GetExportTo(); len(to) > 0 && !slices.Contains(to, "*") {
			p.ReportWith(api.Warning, e.Ref(), fmt.Sprintf("%s is visible to %s only, and ztunnel shows it to every namespace", e.Ref(), strings.Join(to, ", ")),
				"ambient callers in other namespaces resolve and reach its hosts through it", "do not rely on exportTo as a control; from Istio 1.31 use meshConfig.serviceEntryVisibility", Field(e.Ref(), "spec.exportTo", strings.Join(to, ",")))
		}
		for i, h := range e.Spec.GetHosts() {
			if other, twice := first[h]; twice {
				p.ReportWith(api.Warning, e.Ref(), fmt.Sprintf("%s and %s both declare host %q", other, e.Ref(), h),
					"ambient mode uses the oldest one only", "merge them", Field(e.Ref(), fmt.Sprintf("spec.hosts[%d]", i), h))
				continue
			}
			first[h] = e.Ref()
		}
	}
}

// entryPorts accounts for the ports; UDP is never carried.
func entryPorts(p *Pass, e mesh.Typed[*networking.ServiceEntry]) {
	for i, port := range e.Spec.GetPorts() {
		at := fmt.Sprintf("spec.ports[%d]", i)
		for _, k := range []string{"number", "name", "protocol", "targetPort"} {
			p.Account(Field(e.Ref(), at+"."+k, ""))
		}
		if strings.EqualFold(port.GetProtocol(), "UDP") {
			p.ReportWith(api.Info, e.Ref(), fmt.Sprintf("%s has a UDP port, which the mesh carries in no mode", e.Ref()), "nothing changes for it", "nothing to do", Field(e.Ref(), at+".protocol", port.GetProtocol()))
		}
	}
}
