package rules

import (
	"fmt"
	"slices"
	"strings"

	security "istio.io/api/security/v1beta1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// policyScope is what a policy attached by selector, or to its whole namespace, applies to.
type policyScope struct {
	// matched are all workloads that it selects, in whatever mode.
	matched []*api.Workload
	// services have at least one selected workload that is in the mesh.
	services []*api.Service
	// split are those of services that have other workloads as well, which the
	// policy does not select.
	split []*api.Service
	// lone workloads are in the mesh, selected, and behind no Service.
	lone []*api.Workload
}

// policyScopeOf resolves the selector of a policy in a namespace (facts L-02).
func policyScopeOf(st *mesh.State, namespace string, selector map[string]string) policyScope {
	s := policyScope{matched: st.Selected(namespace, selector)}
	selected := map[*api.Workload]bool{}
	for _, w := range s.matched {
		selected[w] = true
	}
	seen := map[*api.Service]bool{}
	for _, w := range s.matched {
		if !st.InMesh(w) {
			continue
		}
		services := st.ServicesOf(w)
		if len(services) == 0 {
			s.lone = append(s.lone, w)
		}
		for _, svc := range services {
			if seen[svc] {
				continue
			}
			seen[svc] = true
			s.services = append(s.services, svc)
			if slices.ContainsFunc(st.WorkloadsOf(svc), func(w *api.Workload) bool { return !selected[w] }) {
				s.split = append(s.split, svc)
			}
		}
	}
	return s
}

// empty tells whether nothing in the mesh is concerned.
func (s policyScope) empty() bool { return len(s.services) == 0 && len(s.lone) == 0 }

// subjects are who has the needs that the policy brings: Services, and workloads
// behind none.
func (s policyScope) subjects() []api.Ref {
	var out []api.Ref
	for _, svc := range s.services {
		out = append(out, svc.Ref())
	}
	for _, w := range s.lone {
		out = append(out, w.Ref())
	}
	slices.SortFunc(out, api.Ref.Compare)
	return out
}

// String lists the subjects for a message, the first few by name.
func (s policyScope) String() string {
	const most = 5
	refs := s.subjects()
	var names []string
	for _, r := range refs[:min(len(refs), most)] {
		names = append(names, r.String())
	}
	if n := len(refs) - most; n > 0 {
		names = append(names, fmt.Sprintf("%d more", n))
	}
	return strings.Join(names, ", ")
}

// authzPolicy is an AuthorizationPolicy attached by selector, with what it
// applies to and what ztunnel makes of it.
type authzPolicy struct {
	mesh.Typed[*security.AuthorizationPolicy]
	policyScope
	mesh.ZtunnelAuthz
}

// authzPolicies are the policies without targetRefs that apply to something in
// the mesh.
func authzPolicies(st *mesh.State) []authzPolicy {
	var out []authzPolicy
	for _, p := range st.AuthorizationPolicies() {
		if mesh.HasTargetRef(p.Spec) {
			continue
		}
		s := policyScopeOf(st, p.Namespace, p.Spec.GetSelector().GetMatchLabels())
		if !s.empty() {
			out = append(out, authzPolicy{p, s, mesh.Authz(p)})
		}
	}
	return out
}

// Ref of the policy; both embedded parts would offer one.
func (p authzPolicy) Ref() api.Ref { return p.Object.Ref() }

// policyNamed is evidence for a policy as a whole that accounts for none of its fields.
func policyNamed(o *api.Object) api.Evidence { return Field(o.Ref(), "metadata.name", o.Name) }

// maxEvidence bounds how many fields of one policy a result cites.
const maxEvidence = 12

// fieldsOf turns classified fields into evidence, and the key of each condition
// with them into something dealt with.
func fieldsOf(ref api.Ref, fields []mesh.AuthzField) []api.Evidence {
	var out []api.Evidence
	for _, f := range fields[:min(len(fields), maxEvidence)] {
		out = append(out, Field(ref, f.Path, f.Name+": "+shortValues(f.Values)))
	}
	return out
}

// shortValues joins values for people, at most about 80 bytes of them.
func shortValues(values []string) string {
	const most = 80
	s := strings.Join(values, ", ")
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

// fieldsWith lists the fields of all rules that keep accepts.
func fieldsWith(rules []mesh.AuthzRule, keep func(mesh.AuthzField) bool) []mesh.AuthzField {
	var out []mesh.AuthzField
	for _, r := range rules {
		for _, f := range r.Fields {
			if keep(f) {
				out = append(out, f)
			}
		}
	}
	return out
}

// fieldNames of fields, each once, in alphabetical order.
func fieldNames(fields []mesh.AuthzField) string {
	var out []string
	for _, f := range fields {
		out = append(out, f.Name)
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), ", ")
}
