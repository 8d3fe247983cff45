package fleet

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	meshconfig "istio.io/api/mesh/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/planner"
)

// labelGlobal makes a Service one that other clusters see, by the scopes of the ambient
// profile (facts L-88).
const labelGlobal = "istio.io/global"

// topology reports what calls between clusters need in ambient mode and clusters lack.
func (f *fleet) topology() {
	for _, m := range f.members {
		if !m.readable() || len(f.sharing(m)) == 0 {
			continue
		}
		f.multiNetwork(m)
		f.eastWest(m)
		f.trustDomains(m)
	}
	for _, s := range f.shared {
		if slices.ContainsFunc(s.in, func(m *member) bool { w, _ := m.fateOf(s); return w == moves || w == movesWithWaypoint }) {
			f.global(s)
			f.sevenDiffers(s)
			f.podAddress(s)
		}
	}
}

// sharing are the clusters that were read and share a Service with one.
func (f *fleet) sharing(m *member) []*member {
	var out []*member
	for _, s := range f.shared {
		if !slices.Contains(s.in, m) {
			continue
		}
		for _, o := range s.in {
			if o != m && !slices.Contains(out, o) {
				out = append(out, o)
			}
		}
	}
	return out
}

// apart tells whether two clusters are known to be of different networks.
func apart(a, b *member) bool {
	return a.network.value != "" && b.network.value != "" && a.network.value != b.network.value
}

// multiNetwork wants the flag without which istiod reads no Service of another cluster for
// ambient mode, whatever their networks are (facts M-35, ambientindex.go).
func (f *fleet) multiNetwork(m *member) {
	others := f.sharing(m)
	if m.istiods > 0 && len(m.multiNetwork) < m.istiods {
		severity := api.Warning
		if slices.ContainsFunc(others, func(o *member) bool { return together(m, o) || apart(m, o) }) {
			severity = api.Blocker
		}
		var evidence []api.Evidence
		for _, c := range m.Inventory.Clusters {
			for _, cp := range c.Istiods {
				if !isOn(cp.Flags[flagMultiNetwork]) {
					evidence = append(evidence, field(cp.Ref, "spec.template.spec.containers", flagMultiNetwork+"="+cp.Flags[flagMultiNetwork]))
				}
			}
		}
		f.findings = append(f.findings, api.Finding{
			ID: idFlag, Severity: severity, Subject: m.ref(), Evidence: evidence,
			Message: fmt.Sprintf("istiod of cluster %s runs without %s, whose default is false from 1.29 to 1.31", m.Name, flagMultiNetwork),
			Effect:  "for ztunnel and waypoints istiod then reads no Service and no endpoint of another cluster: callers that have moved reach only what is in their own cluster",
			Action:  "set " + flagMultiNetwork + "=true on istiod of every cluster of the mesh in wave 0, and test it; or consent to this by id when no call crosses clusters",
		})
	}
	if m.network.value == "" {
		f.unknowns = append(f.unknowns, api.Unknown{
			ID: idNetwork, Subject: m.ref(),
			What:   fmt.Sprintf("the network of cluster %s is not known: its root namespace has no label %s", m.Name, labelNetwork),
			Could:  "when pods of other clusters are not reached directly, calls that cross need east-west gateways for ambient mode on both sides",
			Action: "label the namespace of the control plane with the network, as Istio's guide for several clusters says, and read the cluster again; or accept this by id when all pods reach each other",
		})
	}
}

// eastWest wants a gateway for ambient mode where networks differ: those of sidecars do
// not speak double HBONE (facts M-35).
func (f *fleet) eastWest(m *member) {
	if len(m.facts.eastWest) > 0 || !slices.ContainsFunc(f.sharing(m), func(o *member) bool { return apart(m, o) }) {
		return
	}
	x := api.Finding{
		ID: idEastWest, Severity: api.Blocker, Subject: m.ref(),
		Message:  fmt.Sprintf("cluster %s is of network %s and shares Services with other networks, and has no Gateway of class %s", m.Name, m.network.value, classEastWest),
		Evidence: []api.Evidence{m.network.evidence},
		Effect:   "callers in ambient mode in other networks do not reach its endpoints: they need a gateway that speaks double HBONE (facts M-35)",
		Action:   "install an east-west Gateway of class " + classEastWest + " in wave 0; the one that sidecars use stays until the last of them has moved",
	}
	for _, r := range m.legacy {
		x.Evidence = append(x.Evidence, api.Evidence{Object: r, Value: "for sidecars only"})
	}
	f.findings = append(f.findings, x)
}

// trustDomains reports identities that another cluster does not accept.
func (f *fleet) trustDomains(m *member) {
	var foreign []string
	for _, o := range f.sharing(m) {
		td := o.trustDomain.value
		if m.trustDomain.value != "" && td != "" && td != m.trustDomain.value && !slices.Contains(m.aliases, td) {
			foreign = append(foreign, fmt.Sprintf("%s of %s", td, o.Name))
		}
	}
	if len(foreign) == 0 {
		return
	}
	f.findings = append(f.findings, api.Finding{
		ID: idTrustDomain, Severity: api.Warning, Subject: m.ref(),
		Message:  fmt.Sprintf("the trust domain of cluster %s is %s, and trust domain %s is no alias of it", m.Name, m.trustDomain.value, strings.Join(foreign, ", ")),
		Evidence: []api.Evidence{m.trustDomain.evidence},
		Effect:   "policies that name identities of one trust domain do not match callers of the other; ztunnel takes principals as they are written, aliases or not (facts L-14)",
		Action:   "write principals of both trust domains into policies, or give the clusters one trust domain, before a shared Service moves",
	})
}

// global reports shared Services that other clusters no longer see (facts L-88).
func (f *fleet) global(s *shared) {
	var local, empty []string
	for _, m := range s.in {
		if len(m.decision(s).Workloads) == 0 {
			empty = append(empty, m.Name)
			continue
		}
		if !m.global(s) {
			local = append(local, m.Name)
		}
	}
	if len(local) == 0 {
		return
	}
	x := api.Finding{
		ID: idGlobal, Severity: api.Warning, Subject: s.ref(),
		Message: fmt.Sprintf("Service %s/%s is not labelled %s=true in cluster %s, and clusters %s share it", s.namespace, s.name, labelGlobal, strings.Join(local, ", "), strings.Join(s.names(), ", ")),
		Effect:  "callers in ambient mode in other clusters do not see the endpoints there, which sidecars see without a label: failover to that cluster ends",
		Action:  "label the Service in every cluster when calls shall cross; consent to this by id when they shall not",
	}
	if len(empty) > 0 {
		x.Severity = api.Blocker
		x.Effect = fmt.Sprintf("cluster %s has the Service without pods: its callers in ambient mode find no endpoint at all, where sidecars reach those of the other clusters", strings.Join(empty, ", "))
	}
	f.findings = append(f.findings, x)
}

// global tells whether a cluster's Service is seen by others: by the scopes of its mesh
// configuration, or the one of the ambient profile where that has none (istio.io/istio
// pilot/pkg/serviceregistry/ambient/services.go, matchServiceScope).
func (m *member) global(s *shared) bool {
	st := m.draft.Mesh()
	svc, ns := st.Service(s.namespace, s.name), st.Namespace(s.namespace)
	if svc == nil {
		return false
	}
	var scopes []*meshconfig.MeshConfig_ServiceScopeConfigs
	for _, mc := range st.MeshConfigs() {
		scopes = append(scopes, mc.Spec.GetServiceScopeConfigs()...)
	}
	if len(scopes) == 0 {
		return svc.Labels[labelGlobal] == "true"
	}
	var nsLabels map[string]string
	if ns != nil {
		nsLabels = ns.Labels
	}
	for _, c := range scopes {
		if c.GetScope() == meshconfig.MeshConfig_ServiceScopeConfigs_GLOBAL &&
			selects(c.GetNamespaceSelector(), nsLabels) && selects(c.GetServicesSelector(), svc.Labels) {
			return true
		}
	}
	return false
}

// selects tells whether a selector of the mesh configuration takes labels; none takes all.
func selects(in *meshconfig.LabelSelector, set map[string]string) bool {
	if in == nil {
		return true
	}
	sel := &metav1.LabelSelector{MatchLabels: in.GetMatchLabels()}
	for _, e := range in.GetMatchExpressions() {
		sel.MatchExpressions = append(sel.MatchExpressions, metav1.LabelSelectorRequirement{
			Key: e.GetKey(), Operator: metav1.LabelSelectorOperator(e.GetOperator()), Values: e.GetValues(),
		})
	}
	s, err := metav1.LabelSelectorAsSelector(sel)
	if err != nil {
		return false
	}
	return len(in.GetMatchLabels()) == 0 && len(in.GetMatchExpressions()) == 0 || s.Matches(labels.Set(set))
}

// sevenDiffers reports a shared Service of which clusters ask for different things at
// layer 7: a waypoint sends to endpoints of other clusters too, and applies only what its
// own cluster says.
func (f *fleet) sevenDiffers(s *shared) {
	all := map[api.Capability]bool{}
	own := map[*member]map[api.Capability]bool{}
	for _, m := range s.in {
		if w, _ := m.fateOf(s); w != movesWithWaypoint {
			continue
		}
		own[m] = map[api.Capability]bool{}
		for _, n := range m.decision(s).Needs {
			if n.Rule != planner.ElsewhereRule && n.Capability.Tier() == api.TierWaypoint {
				own[m][n.Capability], all[n.Capability] = true, true
			}
		}
	}
	x := api.Finding{
		ID: idL7, Severity: api.Warning, Subject: s.ref(),
		Effect: "a waypoint can send to the endpoints of other clusters, and applies only what its own cluster says: a call that crosses is then treated by the rules of the caller's cluster, where sidecars applied those of the server's",
		Action: "write the same policies and routes for the Service in every cluster, or keep its calls inside of each; consent to this by id when none crosses",
	}
	var parts []string
	for _, c := range slices.Sorted(maps.Keys(all)) {
		var lacks []string
		for _, m := range s.in {
			if own[m] != nil && !own[m][c] {
				lacks = append(lacks, m.Name)
			}
		}
		if len(lacks) == 0 {
			continue
		}
		if authorizing(c) {
			x.Severity = api.Blocker
		}
		parts = append(parts, fmt.Sprintf("nothing asks for %s in %s", c, strings.Join(lacks, ", ")))
	}
	if len(parts) > 0 {
		x.Message = fmt.Sprintf("clusters ask for different things of Service %s/%s: %s", s.namespace, s.name, strings.Join(parts, "; "))
		f.findings = append(f.findings, x)
	}
}

// podAddress reports headless Services whose pods are called by address across networks.
func (f *fleet) podAddress(s *shared) {
	for _, m := range s.in {
		svc := m.draft.Mesh().Service(s.namespace, s.name)
		if svc == nil || !svc.Headless || !slices.ContainsFunc(s.in, func(o *member) bool { return apart(m, o) }) {
			continue
		}
		f.findings = append(f.findings, api.Finding{
			ID: idPodAddress, Severity: api.Warning, Subject: s.ref(),
			Message: fmt.Sprintf("headless Service %s/%s is in clusters of different networks", s.namespace, s.name),
			Effect:  "callers of a headless Service call pods by their addresses, and in ambient mode such calls do not cross networks (facts M-35)",
			Action:  "call it through a Service with an address across clusters, or keep the calls local",
		})
		return
	}
}
