package mesh

import api "github.com/ambientplan/ambientplan/api/v1alpha1"

// ValidatesTokens tells whether a RequestAuthentication without targetRefs
// applies to the pods of a workload. Without one a sidecar knows no claims.
func (s *State) ValidatesTokens(w *api.Workload) bool {
	s.saw(KindRequestAuthentication)
	for _, ra := range s.ix.requestAuthn {
		if ra.Spec.GetTargetRef() != nil || len(ra.Spec.GetTargetRefs()) > 0 || len(ra.Spec.GetJwtRules()) == 0 {
			continue
		}
		if (ra.Namespace == s.ix.rootNamespace || ra.Namespace == w.Namespace) && Selects(ra.Spec.GetSelector().GetMatchLabels(), w.PodLabels) {
			return true
		}
	}
	return false
}
