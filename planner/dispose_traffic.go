package planner

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/translate"
)

// routedSubsets are the subsets that some VirtualService leads to, as "host/subset".
func routedSubsets(st *mesh.State) map[string]bool {
	out := map[string]bool{}
	for _, v := range st.VirtualServices() {
		for _, t := range destinationsOf(v.Spec) {
			if t.GetSubset() != "" {
				out[st.FQDN(t.GetHost(), v.Namespace)+"/"+t.GetSubset()] = true
			}
		}
	}
	return out
}

// destinationsOf are all destinations that a VirtualService names.
func destinationsOf(v *networking.VirtualService) []*networking.Destination {
	var out []*networking.Destination
	for _, r := range v.GetHttp() {
		for _, d := range r.GetRoute() {
			out = append(out, d.GetDestination())
		}
		out = append(out, r.GetMirror())
		for _, m := range r.GetMirrors() {
			out = append(out, m.GetDestination())
		}
	}
	for _, r := range v.GetTcp() {
		for _, d := range r.GetRoute() {
			out = append(out, d.GetDestination())
		}
	}
	for _, r := range v.GetTls() {
		for _, d := range r.GetRoute() {
			out = append(out, d.GetDestination())
		}
	}
	return slices.DeleteFunc(out, func(d *networking.Destination) bool { return d == nil })
}

// called is what a host stands for in the plan.
type called struct {
	// found: a Service or ServiceEntry has the host.
	found    bool
	decision *api.Decision
}

func (d *disposer) calledBy(host, namespace string) called {
	if svc, _ := d.st.ServiceByHost(host, namespace); svc != nil {
		return called{true, d.decision[svc.Ref()]}
	}
	if entries := d.st.EntriesByHost(host); len(entries) > 0 {
		return called{true, d.decision[entries[0].Ref()]}
	}
	return called{}
}

// virtualService judges a VirtualService that stays as it is.
func (d *disposer) virtualService(o *api.Object) verdict {
	for _, v := range d.st.VirtualServices() {
		if v.Object != o {
			continue
		}
		switch {
		case len(v.Spec.GetGateways()) > 0 && !slices.Contains(v.Spec.GetGateways(), "mesh"):
			return kept("only gateways apply it, and they stay", "L-32", "L-41")
		case len(v.Spec.GetHosts()) == 0:
			return kept("istiod merges it into the VirtualServices that delegate to it", "L-30", "C-46")
		}
		if gaps := d.gapsAbout(o.Ref()); len(gaps) > 0 {
			return blocked("callers lose something of it on the way: "+shortList(gaps, 5), "L-30", "M-13")
		}
		worst := verdict{}
		for _, h := range v.Spec.GetHosts() {
			worst = worse(worst, d.routesTo(h, v.Namespace))
		}
		return worst
	}
	return blocked("its spec could not be read")
}

// routesTo judges the routes for one host.
func (d *disposer) routesTo(host, namespace string) verdict {
	c := d.calledBy(host, namespace)
	switch {
	case !c.found:
		return blocked(fmt.Sprintf("host %q is no Service and no ServiceEntry of the inventory: sidecars apply its routes all the same, and nobody does once they are gone", host), "L-30", "L-39")
	case c.decision == nil || c.decision.Kind == api.OutOfMesh || c.decision.Kind == api.KeepSidecarDecision || c.decision.Kind == api.Blocked:
		return kept(fmt.Sprintf("%s does not move; %s", host, d.nobodyLoses()), "M-10", "M-13")
	case c.decision.Kind == api.Waypoint:
		return kept("the waypoint of "+host+" applies it as the sidecars of callers do (status Alpha in Istio)", "L-30")
	}
	return dropped("it asks for nothing but the default route, which ztunnel takes", "L-30")
}

// worse is the verdict of two that needs more attention; the first if they are alike.
func worse(a, b verdict) verdict {
	rank := func(f api.Fate) int {
		return slices.Index([]api.Fate{api.FateUnset, api.FateDropped, api.FateConverted, api.FateKept, api.FateBlocked}, f)
	}
	if rank(b.fate) > rank(a.fate) {
		return b
	}
	return a
}

// gapsAbout are the ids of gaps without consent in which something of an object is lost
// or changed.
func (d *disposer) gapsAbout(ref api.Ref) []string {
	var out []string
	eachCounterexample(d.p, func(x *api.Counterexample) {
		if x.ConsentedBy == "" && (strings.Contains(x.Before, " of "+ref.String()+" ") || strings.Contains(x.After, " of "+ref.String()+" ")) {
			out = union(out, []string{x.ID})
		}
	})
	return out
}

// destinationRule judges a DestinationRule that stays as it is.
func (d *disposer) destinationRule(o *api.Object) verdict {
	for _, r := range d.st.DestinationRules() {
		if r.Object != o {
			continue
		}
		if gaps := d.gapsAbout(o.Ref()); len(gaps) > 0 {
			return blocked("callers lose something of it on the way: "+shortList(gaps, 5), "L-33", "M-13")
		}
		return d.policyFor(r.Spec.GetHost(), r.Namespace)
	}
	return blocked("its spec could not be read")
}

// nobodyLoses is what the proof found about callers, as far as it could look.
func (d *disposer) nobodyLoses() string {
	if n := d.p.Proof.Unknown; n > 0 {
		return fmt.Sprintf("no known caller loses anything of it in the states that could be evaluated, and %s could not", counted(n, "state"))
	}
	return "no known caller loses anything of it in any state of the plan"
}

// policyFor judges what a DestinationRule sets for its host.
func (d *disposer) policyFor(host, namespace string) verdict {
	if strings.HasPrefix(host, "*") {
		return kept("waypoints apply it to the Services that they serve, and sidecars that stay to all; "+d.nobodyLoses(), "L-33")
	}
	c := d.calledBy(host, namespace)
	switch {
	case !c.found:
		return dropped(fmt.Sprintf("host %q is no Service and no ServiceEntry of the inventory, so no proxy applies it", host), "L-33")
	case c.decision != nil && c.decision.Kind == api.Waypoint:
		return kept("the waypoint of "+host+" applies it", "L-33", "C-51")
	case c.decision != nil && c.decision.Kind == api.L4Only:
		return dropped("it sets nothing that ztunnel does not do by itself", "L-33")
	}
	return kept(fmt.Sprintf("%s does not move; %s", host, d.nobodyLoses()), "L-33")
}

// subsets judges each subset of a DestinationRule.
func (d *disposer) subsets(o *api.Object) []api.Disposition {
	var out []api.Disposition
	whole := d.object(mesh.KindDestinationRule, o)
	for _, r := range d.st.DestinationRules() {
		if r.Object != o {
			continue
		}
		host := d.st.FQDN(r.Spec.GetHost(), r.Namespace)
		for i, s := range r.Spec.GetSubsets() {
			x := whole
			x.Part, x.Source = "subset "+s.GetName(), o.Origin.At(fmt.Sprintf("spec.subsets[%d]", i))
			x.Into = d.standingFor(host, s.GetLabels())
			switch {
			case x.Fate == api.FateBlocked:
			case !d.routed[host+"/"+s.GetName()]:
				x.Fate, x.Facts, x.Proof = api.FateDropped, []string{"C-50"}, ""
				x.Why = "no route of the inventory leads to it"
			case len(x.Into) > 0:
				x.Fate, x.Facts = api.FateConverted, []string{"C-50"}
				x.Why = "a Service selects the same pods"
				at := d.last[x.Into[0]]
				x.Wave, x.Step, x.Proof = at.wave, at.step, d.proof(at.wave, at.wave)
			}
			out = append(out, x)
		}
	}
	return out
}

// standingFor are the Services that the plan makes to stand for a subset: they select
// what the Service of the host selects, with the labels of the subset.
func (d *disposer) standingFor(host string, labels map[string]string) []api.Ref {
	var out []api.Ref
	for ref, c := range d.last {
		if ref.Kind != "Service" || ref.Group != "" || c.Op != api.OpCreate {
			continue
		}
		meta, _ := c.After["metadata"].(map[string]any)
		ann, _ := meta["annotations"].(map[string]any)
		of, _ := ann[translate.AnnotationCopyOf].(string)
		ns, name, _ := strings.Cut(of, "/")
		svc := d.st.Service(ns, name)
		if svc == nil || d.st.FQDN(name, ns) != host {
			continue
		}
		want := maps.Clone(svc.Selector)
		maps.Copy(want, labels)
		if maps.Equal(want, stringMapAt(translate.Spec(c.After), "selector")) {
			out = append(out, ref)
		}
	}
	return sortedRefs(out)
}

// serviceEntry judges a ServiceEntry.
func (d *disposer) serviceEntry(o *api.Object) verdict {
	for _, e := range d.st.ServiceEntries() {
		if e.Object != o {
			continue
		}
		x := d.decision[o.Ref()]
		wildcard := slices.ContainsFunc(e.Spec.GetHosts(), func(h string) bool { return strings.Contains(h, "*") })
		switch {
		case x != nil && x.Kind == api.Waypoint:
			return kept("the plan binds it to a waypoint, which applies what ztunnel does not", "L-38", "C-75")
		case e.Spec.GetResolution() == networking.ServiceEntry_DYNAMIC_DNS:
			return blocked("only a waypoint resolves hosts by dynamic DNS, and it is bound to none", "L-38")
		case wildcard:
			return kept("ztunnel does not know hosts with a wildcard and passes calls to them through; they work, without metrics by host", "L-38")
		}
		return kept("ztunnel knows its hosts and endpoints as sidecars do", "L-38")
	}
	return blocked("its spec could not be read")
}
