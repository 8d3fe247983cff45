package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l33 = Rule{
	ID:    "L33",
	Title: "DestinationRules",
	Doc: Doc{
		Why: "Load balancing, connection limits, outlier ejection and TLS origination are applied by the caller's sidecar. ztunnel ignores DestinationRules; a waypoint " +
			"applies those of the service's namespace, its own and the root namespace.",
		Effect:  "without a waypoint ztunnel balances connections at random and nothing limits, ejects or originates TLS",
		Remedy:  "give the service a waypoint before its callers move; the plan does. Limits then hold for each waypoint pod and not for each caller",
		Sources: []string{"Istio pilot/pkg/model/push_context.go (destinationRule)", "Istio pilot/pkg/networking/core/waypoint.go"},
		Facts:   []string{"L-31", "L-33", "L-76", "C-51", "C-52", "C-54", "M-34", "B-11"},
		Since:   "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindDestinationRule, mesh.KindService, mesh.KindServiceEntry, mesh.KindWorkload, mesh.KindNamespace},
	Check: checkL33,
}

// destinationRule is one DestinationRule with what its host means.
type destinationRule struct {
	mesh.Typed[*networking.DestinationRule]
	targets []api.Ref
	effects int
}

func checkL33(p *Pass) {
	for _, t := range p.Mesh().DestinationRules() {
		d := &destinationRule{Typed: t}
		p.Account(Field(d.Ref(), "spec.host", ""), Field(d.Ref(), "spec.exportTo", ""))
		d.resolve(p)
		spec, _ := d.Content["spec"].(map[string]any)
		tp, _ := spec["trafficPolicy"].(map[string]any)
		d.traffic(p, tp, "spec.trafficPolicy")
		subsets, _ := spec["subsets"].([]any)
		for i, s := range subsets {
			m, _ := s.(map[string]any)
			at := fmt.Sprintf("spec.subsets[%d]", i)
			p.Account(Field(d.Ref(), at+".name", ""), Field(d.Ref(), at+".labels", ""))
			tp, _ := m["trafficPolicy"].(map[string]any)
			d.traffic(p, tp, at+".trafficPolicy")
		}
		if list, ok := spec["subsets"].([]any); ok && len(list) == 0 {
			p.Account(Field(d.Ref(), "spec.subsets", ""))
		}
		d.callers(p)
	}
}

// resolve finds what the host means. A host with a wildcard means every Service
// that it fits.
func (d *destinationRule) resolve(p *Pass) {
	host := d.Spec.GetHost()
	ev := Field(d.Ref(), "spec.host", host)
	if suffix, ok := strings.CutPrefix(host, "*"); ok {
		for i := range p.Mesh().Services() {
			svc := &p.Mesh().Services()[i]
			if strings.HasSuffix(p.Mesh().FQDN(svc.Name, svc.Namespace), suffix) && inMesh(p.Mesh(), svc) {
				d.targets = append(d.targets, svc.Ref())
			}
		}
		return
	}
	if svc, _ := p.Mesh().ServiceByHost(host, d.Namespace); svc != nil {
		d.targets = append(d.targets, svc.Ref())
		return
	}
	if entries := p.Mesh().EntriesByHost(host); len(entries) > 0 {
		d.targets = append(d.targets, entries[0].Ref())
		return
	}
	p.ReportWith(api.Warning, d.Ref(), fmt.Sprintf("host %q of %s is no Service and no ServiceEntry of the inventory", host, d.Ref()),
		"whatever it set for this host in sidecars is not carried over", "add the missing object, or remove the DestinationRule; a short name means a Service of its own namespace", ev)
}

// trafficFeature is the capability behind a field of a traffic policy.
func trafficFeature(key string) (api.Capability, bool) {
	switch key {
	case "connectionPool":
		return api.CapCircuitBreaking, true
	case "outlierDetection":
		return api.CapOutlierDetection, true
	}
	return "", false
}

// traffic reads one traffic policy; a field it does not know stays open for the ledger.
func (d *destinationRule) traffic(p *Pass, tp map[string]any, path string) {
	if tp == nil {
		return
	}
	if len(tp) == 0 {
		p.Account(Field(d.Ref(), path, ""))
	}
	for _, k := range slices.Sorted(maps.Keys(tp)) {
		if c, ok := trafficFeature(k); ok {
			d.need(p, c, path+"."+k, "")
		}
	}
	if lb, ok := tp["loadBalancer"].(map[string]any); ok {
		d.loadBalancer(p, lb, path+".loadBalancer")
	}
	if tls, ok := tp["tls"].(map[string]any); ok {
		d.tls(p, tls, path+".tls")
	}
	list, _ := tp["portLevelSettings"].([]any)
	for i, s := range list {
		m, _ := s.(map[string]any)
		at := fmt.Sprintf("%s.portLevelSettings[%d]", path, i)
		p.Account(Field(d.Ref(), at+".port", ""))
		d.traffic(p, m, at)
	}
}

// loadBalancer reads how endpoints are chosen.
func (d *destinationRule) loadBalancer(p *Pass, lb map[string]any, path string) {
	for _, k := range []string{"simple", "consistentHash", "warmup", "warmupDurationSecs"} {
		if v, ok := lb[k]; ok {
			d.need(p, api.CapLoadBalancing, path+"."+k, fmt.Sprint(v))
		}
	}
	if _, ok := lb["localityLbSetting"]; ok {
		d.need(p, api.CapLocality, path+".localityLbSetting", "")
	}
}

// tls reads TLS towards the service.
func (d *destinationRule) tls(p *Pass, tls map[string]any, path string) {
	mode, _ := tls["mode"].(string)
	ev := Field(d.Ref(), path, mode)
	switch mode {
	case "ISTIO_MUTUAL":
		p.Account(ev)
	case "DISABLE", "":
		p.Account(ev)
		if len(d.targets) > 0 && d.targets[0].Kind == "Service" {
			p.ReportWith(api.Warning, d.Ref(), fmt.Sprintf("%s turns mutual TLS off for %s, and ambient mode turns it on again", d.Ref(), d.Spec.GetHost()),
				"ambient callers use mutual TLS with every pod of the mesh, whatever this field says", "remove the field when it was only a work-around; a server that cannot take mutual TLS must stay outside the mesh", ev)
		}
	case "SIMPLE", "MUTUAL":
		d.need(p, api.CapTLSOrigination, path, mode)
	}
}

// need writes a need down for every target; all below the path is dealt with.
func (d *destinationRule) need(p *Pass, c api.Capability, path, value string) {
	d.effects++
	ev := Field(d.Ref(), path, value)
	p.Account(ev)
	for _, t := range d.targets {
		p.Need(t, c, fmt.Sprintf("%s, applied by callers' sidecars today", d.Ref()), ev)
	}
}

// callers reports a DestinationRule that only callers of one namespace read.
func (d *destinationRule) callers(p *Pass) {
	ev := Field(d.Ref(), "spec.host", d.Spec.GetHost())
	if w := d.Spec.GetWorkloadSelector(); w != nil {
		p.Account(Field(d.Ref(), "spec.workloadSelector", ""))
		d.clientSide(p, Field(d.Ref(), "spec.workloadSelector", ""), "holds for selected callers only, and a waypoint knows no callers")
		return
	}
	for _, t := range d.targets {
		if d.effects > 0 && t.Namespace != d.Namespace && d.Namespace != p.Mesh().RootNamespace() {
			d.clientSide(p, ev, "is in a caller's namespace, where no waypoint looks for it")
			return
		}
	}
}

func (d *destinationRule) clientSide(p *Pass, ev api.Evidence, what string) {
	for _, t := range d.targets {
		p.Need(t, api.CapClientRouting, fmt.Sprintf("%s %s", d.Ref(), what), ev)
	}
	p.ReportWith(api.Blocker, d.Ref(), fmt.Sprintf("%s %s", d.Ref(), what), "its settings are lost when these callers become ambient",
		"move it into the service's namespace, where it holds for all callers, or do without it", ev)
}
