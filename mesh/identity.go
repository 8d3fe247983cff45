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
	fields []identityField
}

type identityField struct{ name, value, namespace string }

// IdentityClasses collects the patterns of some policies.
func IdentityClasses(policies []Typed[*security.AuthorizationPolicy]) IdentityClassifier {
	var c IdentityClassifier
	for _, p := range policies {
		for _, r := range Authz(p).Rules {
			for _, f := range r.Fields {
				switch name := fieldName(f.Name); name {
				case "principals", "namespaces", "serviceAccounts", "trustDomains",
					"source.principal", "source.namespace", "source.serviceAccount", "source.trustDomain":
					for _, v := range f.Values {
						c.fields = append(c.fields, identityField{name, v, p.Namespace})
					}
				}
			}
		}
	}
	slices.SortFunc(c.fields, func(a, b identityField) int {
		return strings.Compare(a.name+" "+a.namespace+" "+a.value, b.name+" "+b.namespace+" "+b.value)
	})
	c.fields = slices.Compact(c.fields)
	return c
}

// Key is equal for classifiers that tell the same identities apart.
func (c IdentityClassifier) Key() string {
	var b strings.Builder
	for _, f := range c.fields {
		b.WriteString(f.name)
		b.WriteByte(' ')
		b.WriteString(f.namespace)
		b.WriteByte(' ')
		b.WriteString(f.value)
		b.WriteByte('\n')
	}
	return b.String()
}

// Of is the class of a principal.
func (c IdentityClassifier) Of(principal string) string {
	out := make([]byte, len(c.fields))
	for i, f := range c.fields {
		out[i] = '0'
		if fieldMatches(f.name, f.value, Request{Principal: principal}, f.namespace) {
			out[i] = '1'
		}
	}
	return string(out)
}

// fieldName is the name of a field without its negation: "notPorts" is about ports.
func fieldName(name string) string {
	name = strings.TrimPrefix(name, "not")
	return strings.ToLower(name[:1]) + name[1:]
}
