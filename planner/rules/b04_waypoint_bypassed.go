package rules

import (
	"fmt"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var b04 = Rule{
	ID:    "B04",
	Title: "Callers with sidecars go past the waypoint",
	Doc: Doc{
		Why: "A sidecar connects to the pods themselves, also where the Service has a waypoint, and neither sidecars nor ztunnel enforce a policy with targetRefs. " +
			"So what such a policy says holds for ambient callers only, for as long as callers with sidecars are left.",
		Effect: "requests of callers with sidecars are not checked by the policies at the waypoint",
		Remedy: "keep the policy on the pods by selector as well while they have sidecars; once they are ambient, deny everybody but the waypoint there (DENY with notPrincipals), and move the " +
			"callers first",
		Sources: []string{"istio/istio issues 51445, 57213, 57729, 61620", "istio.io pull request 17258", "istio/istio pilot/pkg/model/policyattachment.go"},
		Facts:   []string{"B-04", "M-12", "O-30", "O-31"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindAuthorizationPolicy, mesh.KindEdge, mesh.KindNamespace, mesh.KindRequestAuthentication, mesh.KindService, mesh.KindWorkload},
	Check: checkB04,
}

func checkB04(p *Pass) {
	st := p.Mesh()
	policies := waypointPolicies(st)
	edges := st.Edges()
	for i := range st.Services() {
		svc := &st.Services()[i]
		pods := membersOf(st, st.WorkloadsOf(svc))
		ns, name := waypointLabel(st, svc)
		if name == "" || len(pods) == 0 {
			continue
		}
		var at []api.Evidence
		for _, pol := range policies {
			if pol.acts(svc, ns, name) && len(at) < maxListed {
				at = append(at, pol.evidence)
			}
		}
		if len(at) == 0 || onlyWaypointAdmitted(st, pods, ns, name) {
			continue
		}
		var callers []string
		for _, e := range edges {
			if e.To != svc.Ref() {
				continue
			}
			for _, w := range workloadsBehind(st, e.From) {
				if m := st.Mode(w); m == mesh.ModeSidecar || m == mesh.ModeMixed {
					callers = append(callers, w.Ref().String())
				}
			}
		}
		if len(callers) > 0 {
			p.Report(api.Warning, svc.Ref(), fmt.Sprintf("callers with sidecars go past the waypoint %s/%s of %s and the policies there: %s", ns, name, svc.Ref(), listed(callers)), at...)
			continue
		}
		if sidecarsElsewhere(st, pods) {
			p.Unknown(svc.Ref(), fmt.Sprintf("whether workloads with sidecars call %s: no such call is known, and %s/%s enforces policies for ambient callers only", svc.Ref(), ns, name),
				"their requests are not checked by the policies at the waypoint", "give the calls of the mesh (--edges), or deny everybody but the waypoint at the pods", at...)
		}
	}
}

// waypointPolicy is one target of a policy that acts at a waypoint.
type waypointPolicy struct {
	namespace, kind, name string
	evidence              api.Evidence
}

// waypointPolicies lists every target of the policies that have targetRefs.
func waypointPolicies(st *mesh.State) []waypointPolicy {
	var out []waypointPolicy
	note := func(o *api.Object, path, kind, name string) {
		out = append(out, waypointPolicy{o.Namespace, kind, name, Field(o.Ref(), path, kind+" "+name)})
	}
	for _, pol := range st.AuthorizationPolicies() {
		for i, r := range pol.Spec.GetTargetRefs() {
			note(pol.Object, fmt.Sprintf("spec.targetRefs[%d].name", i), r.GetKind(), r.GetName())
		}
		if r := pol.Spec.GetTargetRef(); r != nil && len(pol.Spec.GetTargetRefs()) == 0 {
			note(pol.Object, "spec.targetRef.name", r.GetKind(), r.GetName())
		}
	}
	for _, ra := range st.RequestAuthentications() {
		for i, r := range ra.Spec.GetTargetRefs() {
			note(ra.Object, fmt.Sprintf("spec.targetRefs[%d].name", i), r.GetKind(), r.GetName())
		}
		if r := ra.Spec.GetTargetRef(); r != nil && len(ra.Spec.GetTargetRefs()) == 0 {
			note(ra.Object, "spec.targetRef.name", r.GetKind(), r.GetName())
		}
	}
	return out
}

// acts tells whether the target is the Service or its waypoint.
func (t waypointPolicy) acts(svc *api.Service, waypointNS, waypoint string) bool {
	switch t.kind {
	case "Service":
		return t.namespace == svc.Namespace && t.name == svc.Name
	case "Gateway":
		return t.namespace == waypointNS && t.name == waypoint
	case "GatewayClass":
		return t.name == waypointClass
	}
	return false
}

// onlyWaypointAdmitted tells whether ztunnel refuses everybody but the waypoint
// at all of the pods: then nobody can go past it. A sidecar enforces the same.
func onlyWaypointAdmitted(st *mesh.State, pods []*api.Workload, ns, name string) bool {
	for _, w := range pods {
		policies := st.PoliciesFor(w)
		own := st.TrustDomain() + "/ns/" + ns + "/sa/" + name
		identities, ok := mesh.Callers(policies, mesh.AuthzSettings{TrustDomains: []string{st.TrustDomain()}}, w.Namespace)
		if !ok {
			return false
		}
		for _, id := range identities {
			if id != own && mesh.ZtunnelVerdict(policies, mesh.Request{Principal: id}).Outcome != mesh.Denied {
				return false
			}
		}
	}
	return true
}

// workloadsBehind are the workloads that the client of a call can be.
func workloadsBehind(st *mesh.State, from api.Ref) []*api.Workload {
	return slices.DeleteFunc(slices.Clone(st.WorkloadsIn(namespaceOf(from))), func(w *api.Workload) bool {
		switch from.Kind {
		case "Namespace":
			return false
		case "ServiceAccount":
			account := w.ServiceAccount
			if account == "" {
				account = "default"
			}
			return account != from.Name
		}
		return w.Ref() != from
	})
}

// namespaceOf is the namespace that a reference is in or names.
func namespaceOf(r api.Ref) string {
	if r.Kind == "Namespace" {
		return r.Name
	}
	return r.Namespace
}

// sidecarsElsewhere tells whether workloads other than the given ones have sidecars.
func sidecarsElsewhere(st *mesh.State, pods []*api.Workload) bool {
	for i := range st.Workloads() {
		w := &st.Workloads()[i]
		if m := st.Mode(w); (m == mesh.ModeSidecar || m == mesh.ModeMixed) && !slices.Contains(pods, w) {
			return true
		}
	}
	return false
}
