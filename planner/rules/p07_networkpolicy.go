package rules

import (
	"fmt"
	"slices"

	netv1 "k8s.io/api/networking/v1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var p07 = Rule{
	ID: "P07", Title: "NetworkPolicies that keep HBONE out",
	Doc: Doc{
		Why: "Traffic between ambient pods arrives on TCP 15008 of the pod, whatever port the application serves. A NetworkPolicy that admits the application's port only keeps it out; " +
			"one that admits 15008 can no longer tell one port of the pod from another.",
		Effect:  "connections time out as soon as one side is ambient, and, once 15008 is open, every port of the pod is open to the same peers",
		Remedy:  "the plan's prepare step opens 15008 from and to the same peers; where a port of these pods must stay closed to a peer, write an AuthorizationPolicy with ports, which ztunnel enforces",
		Sources: []string{"istio.io: Ambient and Kubernetes NetworkPolicy", "istio/ztunnel src/config.rs (inbound_addr)", "istio/istio issue 52742"},
		Facts:   []string{"P-07", "B-09", "M-05"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindForeignNetworkPolicy, mesh.KindNamespace, mesh.KindNetworkPolicy, mesh.KindWorkload},
	Check: checkP07,
}

func checkP07(p *Pass) {
	st := p.Mesh()
	for _, np := range st.NetworkPolicies() {
		ref := np.Ref()
		for _, f := range []string{"podSelector", "policyTypes", "ingress", "egress"} {
			p.Account(Field(ref, "spec."+f, ""))
		}
		pods, err := st.PolicyPods(np)
		if err != nil {
			p.Unknown(ref, fmt.Sprintf("which pods %s selects: %v", ref, err), "it may keep HBONE out of pods that move", "correct the selector; an API server refuses it", Field(ref, "spec.podSelector", ""))
			continue
		}
		members := slices.DeleteFunc(slices.Clone(pods), func(w *api.Workload) bool { return !st.InMesh(w) && st.Mode(w) != mesh.ModeGateway })
		if len(members) == 0 {
			continue
		}
		checkHBONEOpen(p, np, members)
	}
	for _, o := range st.Objects(mesh.KindForeignNetworkPolicy) {
		checkForeign(p, o)
	}
}

// checkForeign reports a policy of Cilium or Calico. The plan writes none of them, so
// one that surely keeps HBONE out is a blocker, and one that cannot be told an unknown.
func checkForeign(p *Pass, o *api.Object) {
	st := p.Mesh()
	f := st.ReadForeignPolicy(o)
	members := slices.DeleteFunc(slices.Clone(f.Pods), func(w *api.Workload) bool { return !st.InMesh(w) && st.Mode(w) != mesh.ModeGateway })
	at := Field(o.Ref(), "spec", "")
	if f.PodsKnown && len(members) == 0 {
		p.Account(at)
		return
	}
	shut := f.Ingress == mesh.HBONEShut || f.Egress == mesh.HBONEShut
	switch {
	case f.PodsKnown && shut:
		p.ReportWith(api.Blocker, o.Ref(), fmt.Sprintf("%s lets no HBONE through (%s) for %s", o.Ref(), foreignDirections(f), scopeOf(members)),
			"connections time out as soon as both sides are ambient; once 15008 is open, its rules for ports and for HTTP no longer restrict traffic of the mesh",
			foreignRemedy(o, f), at)
	case !f.PodsKnown || f.Ingress == mesh.HBONEUnknown || f.Egress == mesh.HBONEUnknown:
		p.Unknown(o.Ref(), fmt.Sprintf("what %s lets through: this version does not understand all of it", o.Ref()),
			"it may keep TCP 15008 out, and then connections of ambient pods time out; or keep the probe address 169.254.7.127 out, and then pods never become ready",
			"check by hand that it admits TCP 15008 from and to every peer of the mesh, and probes; then consent by id with a reason", at)
	default:
		p.Account(at)
	}
}

// foreignDirections names the directions that are shut.
func foreignDirections(f mesh.ForeignPolicy) string {
	switch {
	case f.Ingress == mesh.HBONEShut && f.Egress == mesh.HBONEShut:
		return "ingress and egress"
	case f.Egress == mesh.HBONEShut:
		return "egress"
	}
	return "ingress"
}

// foreignRemedy says in the words of the plugin what has to be added.
func foreignRemedy(o *api.Object, f mesh.ForeignPolicy) string {
	if api.GroupOf(o.APIVersion) == "cilium.io" {
		return "add {port: \"15008\", protocol: TCP} to toPorts of each rule (" + foreignDirections(f) + ") whose peers are in the mesh, without rules of HTTP beside it, and admit probes with fromCIDR 169.254.7.127/32 " +
			"(a CiliumClusterwideNetworkPolicy with an empty endpointSelector does it for all); ambientplan does not write policies of Cilium"
	}
	return "add 15008 to destination.ports of each Allow rule (" + foreignDirections(f) + ") whose peers are in the mesh, and an Allow rule for source.nets 169.254.7.127/32 where the plugin applies policies to probes; ambientplan does not write policies of Calico"
}

// checkHBONEOpen reports one policy whose pods are in the mesh.
func checkHBONEOpen(p *Pass, np mesh.Typed[*netv1.NetworkPolicySpec], members []*api.Workload) {
	ref := np.Ref()
	ingress, egress := mesh.AdmitsHBONE(np.Spec)
	if ingress && egress {
		return
	}
	var ev []api.Evidence
	what := "to"
	if !ingress {
		ev = append(ev, Field(ref, "spec.ingress", "no TCP 15008; the plan's prepare step opens 15008"))
	}
	if !egress {
		ev = append(ev, Field(ref, "spec.egress", "no TCP 15008; the plan's prepare step opens 15008"))
		what = "from"
		if !ingress {
			what = "to and from"
		}
	}
	effect := "connections time out as soon as the other side is ambient"
	if !ingress {
		effect += "; once 15008 is open, its port rules no longer restrict traffic of the mesh"
		if closed := portsBeyond(np.Spec, members); len(closed) > 0 {
			effect += fmt.Sprintf(": its peers then reach %s as well", listed(closed))
		}
	}
	p.ReportWith(api.Warning, ref, fmt.Sprintf("%s lets no HBONE %s %s", ref, what, scopeOf(members)), effect,
		"the plan's prepare step opens 15008 from and to the same peers; where a port of these pods must stay closed to a peer, write an AuthorizationPolicy with ports, which ztunnel enforces", ev...)
}

// portsBeyond names declared ports of the pods that no ingress rule admits and
// that open 15008 makes reachable for its peers.
func portsBeyond(spec *netv1.NetworkPolicySpec, ws []*api.Workload) []string {
	var out []string
	for _, w := range ws {
		for _, c := range w.Ports {
			if c.Protocol != "" && c.Protocol != "TCP" {
				continue
			}
			admitted := false
			for _, r := range spec.Ingress {
				all, numbers, names := mesh.AdmittedTCPPorts(r.Ports)
				admitted = admitted || all || slices.Contains(names, c.Name) ||
					slices.ContainsFunc(numbers, func(n [2]int32) bool { return n[0] <= c.Port && c.Port <= n[1] })
			}
			if !admitted {
				out = append(out, fmt.Sprintf("port %d of %s %s", c.Port, w.Kind, w.Name))
			}
		}
	}
	return out
}
