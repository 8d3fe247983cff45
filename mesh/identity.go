package mesh

import (
	"slices"
	"strings"

	security "istio.io/api/security/v1beta1"
)

// IdentityClassifier tells identities apart by what AuthorizationPolicies say of
// them: two identities of one class are matched by the same patterns, so no rule
// can treat them differently.
type IdentityClassifier struct {
	atoms []field
	key   string
}

// IdentityClasses collects the patterns of some policies. The second result is
// false when there are too many rules to take apart.
func (s *State) IdentityClasses(policies []Typed[*security.AuthorizationPolicy]) (IdentityClassifier, bool) {
	atoms, ok := identityAtoms(policies, s.AuthzSettings())
	slices.SortFunc(atoms, func(a, b field) int { return strings.Compare(a.key(), b.key()) })
	keys := make([]string, len(atoms))
	for i := range atoms {
		keys[i] = atoms[i].key()
	}
	return IdentityClassifier{atoms, strings.Join(keys, "\n")}, ok
}

// Key is equal for classifiers that tell the same identities apart.
func (c IdentityClassifier) Key() string { return c.key }

// Of is the class of a principal.
func (c IdentityClassifier) Of(principal string) string {
	out := make([]byte, len(c.atoms))
	for i := range c.atoms {
		out[i] = '0' + byte(c.atoms[i].matches(&Request{Principal: principal}))
	}
	return string(out)
}
