package mesh

import (
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
	security "istio.io/api/security/v1beta1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// Selects tells whether all labels of the selector are on the object. An empty
// selector selects everything.
func Selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if got, ok := labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// WorkloadsOf lists the workloads whose pods a service selects. A service
// without selector has none.
func (s *State) WorkloadsOf(svc *api.Service) []*api.Workload {
	s.saw(KindWorkload)
	if len(svc.Selector) == 0 {
		return nil
	}
	var out []*api.Workload
	for _, w := range s.ix.labels.candidates(svc.Namespace, svc.Selector) {
		if Selects(svc.Selector, w.PodLabels) {
			out = append(out, w)
		}
	}
	return out
}

// ServicesOf lists the services that select the pods of a workload.
func (s *State) ServicesOf(w *api.Workload) []*api.Service {
	s.saw(KindService)
	var out []*api.Service
	for _, i := range s.ix.labels.servicesFor(w.Namespace, w.PodLabels) {
		if svc := s.ix.servicesIn[w.Namespace][i]; Selects(svc.Selector, w.PodLabels) {
			out = append(out, svc)
		}
	}
	return out
}

// Selected lists the workloads that an Istio policy of the given namespace with
// the given workload selector applies to. Without selector it is the whole
// namespace, and in the root namespace the whole mesh; a selector in the root
// namespace selects in every namespace (facts L-02).
func (s *State) Selected(namespace string, selector map[string]string) []*api.Workload {
	s.saw(KindWorkload)
	var out []*api.Workload
	if namespace == s.ix.rootNamespace {
		for i := range s.ix.inv.Workloads {
			if w := &s.ix.inv.Workloads[i]; Selects(selector, w.PodLabels) {
				out = append(out, w)
			}
		}
		return out
	}
	if len(selector) == 0 {
		return slices.Clone(s.ix.workloadsIn[namespace])
	}
	for _, w := range s.ix.labels.candidates(namespace, selector) {
		if Selects(selector, w.PodLabels) {
			out = append(out, w)
		}
	}
	return out
}

// PoliciesFor lists the AuthorizationPolicies without targetRefs that apply to
// the pods of a workload: those of the root namespace and of its own namespace.
func (s *State) PoliciesFor(w *api.Workload) []Typed[*security.AuthorizationPolicy] {
	s.saw(KindAuthorizationPolicy)
	var out []Typed[*security.AuthorizationPolicy]
	namespaces := []string{s.ix.rootNamespace}
	if w.Namespace != s.ix.rootNamespace {
		namespaces = append(namespaces, w.Namespace)
	}
	for _, ns := range namespaces {
		for _, p := range s.ix.authzIn[ns] {
			if HasTargetRef(p.Spec) {
				continue
			}
			if Selects(p.Spec.GetSelector().GetMatchLabels(), w.PodLabels) {
				out = append(out, p)
			}
		}
	}
	return out
}

// HasTargetRef tells whether a policy is attached by targetRef or targetRefs;
// sidecars and ztunnel ignore such a policy (facts L-01, L-15).
func HasTargetRef(p *security.AuthorizationPolicy) bool {
	return p.GetTargetRef() != nil || len(p.GetTargetRefs()) > 0
}

// FQDN resolves a host as Istio does: a name without dots is a Service of the
// namespace that it is written in. Anything else stays as it is.
func (s *State) FQDN(host, namespace string) string {
	if host == "" || strings.Contains(host, ".") || strings.Contains(host, "*") {
		return host
	}
	return host + "." + namespace + ".svc." + s.ix.clusterDomain
}

// ServiceByHost finds the Service a host in an object of the given namespace
// means; nil when there is none. Besides the full name it accepts
// "name.namespace" and "name.namespace.svc", which istiod does not resolve but
// people write; the second result is false for these.
func (s *State) ServiceByHost(host, namespace string) (svc *api.Service, exact bool) {
	s.saw(KindService)
	if svc := s.ix.hosts[s.FQDN(host, namespace)]; svc != nil {
		return svc, true
	}
	parts := strings.Split(host, ".")
	if len(parts) == 2 || (len(parts) == 3 && parts[2] == "svc") {
		if svc := s.ix.services[nsName{parts[1], parts[0]}]; svc != nil {
			return svc, false
		}
	}
	return nil, false
}

// EntriesByHost lists the ServiceEntries that declare exactly this host.
func (s *State) EntriesByHost(host string) []Typed[*networking.ServiceEntry] {
	s.saw(KindServiceEntry)
	return s.ix.entryHosts[host]
}

// InMesh tells whether the workload is in the mesh today, in any mode.
func (s *State) InMesh(w *api.Workload) bool {
	switch s.Mode(w) {
	case ModeSidecar, ModeAmbient, ModeMixed:
		return true
	case ModeUnknown, ModeNone, ModeGateway:
	}
	return false
}
