package mesh

import (
	"slices"
	"strings"

	security "istio.io/api/security/v1beta1"
)

// maxCallers bounds the identities that are tried.
const maxCallers = 200000

// Callers partitions all identities by what the policies can tell apart, at an
// Envoy and at ztunnel, and gives one principal for each class. The first is "",
// plaintext. There is always an identity that no policy mentions in the given
// namespace, that of the destination, and one in another namespace, both of the
// trust domain of the mesh. Where a policy mentions a pod's own identity, the
// class may have no member in the mesh; to compare it as well does no harm.
//
// This is what "every identity that the policies admit" is, when nobody knows the
// callers: those for which some request is allowed. The second result is false
// when there would be too many.
func Callers(policies []Typed[*security.AuthorizationPolicy], set AuthzSettings, namespace string) ([]string, bool) {
	if len(set.TrustDomains) == 0 {
		set.TrustDomains = []string{"cluster.local"}
	}
	atoms, ok := identityAtoms(policies, set)
	if !ok {
		return nil, false
	}
	var td, ns, sa patterns
	for i := range atoms {
		for j := range atoms[i].values {
			noteIdentity(&atoms[i].values[j], atoms[i].of.kind, &td, &ns, &sa)
		}
	}
	home := set.TrustDomains[0]
	domains, ok1 := td.identityParts(home, slices.Concat(set.TrustDomains, []string{"another.domain"})...)
	spaces, ok2 := ns.identityParts("", namespace, "another-namespace")
	accounts, ok3 := sa.identityParts("", "anybody")
	if !ok1 || !ok2 || !ok3 || len(domains)*len(spaces)*len(accounts) > maxCallers {
		return nil, false
	}
	nobody := func(ns string) string {
		return home + "/ns/" + ns + "/sa/" + unmentioned("anybody", sa)
	}
	out := []string{""}
	seen := map[string]bool{}
	add := func(p string, always bool) {
		k := make([]byte, len(atoms))
		for i := range atoms {
			k[i] = '0' + byte(atoms[i].matches(&Request{Principal: p}))
		}
		if !seen[string(k)] || always {
			seen[string(k)] = true
			out = append(out, p)
		}
	}
	add(nobody(namespace), true)
	add(nobody(unmentioned("another-namespace", ns)), true)
	for _, d := range domains {
		for _, n := range spaces {
			for _, a := range accounts {
				add(d+"/ns/"+n+"/sa/"+a, false)
			}
		}
	}
	return out, true
}

// identityAtoms lists the different fields on the caller of all rules.
func identityAtoms(policies []Typed[*security.AuthorizationPolicy], set AuthzSettings) ([]field, bool) {
	groups, ok := groupsOf(policies, set, false)
	seen := map[string]bool{}
	var out []field
	for _, g := range groups {
		for _, and := range g.ands {
			for _, f := range and {
				if k := f.key(); f.of.ofIdentity() && !seen[k] {
					seen[k] = true
					f.negative = false
					out = append(out, f)
				}
			}
		}
	}
	return out, ok
}

// noteIdentity takes a pattern for whole identities apart into patterns for trust
// domain, namespace and account.
func noteIdentity(m *valueMatcher, kind attributeKind, td, ns, sa *patterns) {
	switch {
	case kind == attrPeerNamespace:
		ns.add(m)
	case m.op == opPieces:
		noteNamespace(m, ns)
	case m.op == opAccount:
		ns.exact, sa.exact = append(ns.exact, m.text), append(sa.exact, m.more)
	case m.op == opDomain:
		td.prefixes, td.suffixes = append(td.prefixes, m.text), append(td.suffixes, m.more)
	case m.op == opExact:
		parts := strings.Split(m.text, "/")
		if len(parts) == 5 {
			td.exact, ns.exact, sa.exact = append(td.exact, parts[0]), append(ns.exact, parts[2]), append(sa.exact, parts[4])
		}
	case m.op == opPrefix:
		notePartial(strings.Split(m.text, "/"), []*patterns{td, nil, ns, nil, sa}, func(p *patterns, s string) { p.prefixes = append(p.prefixes, s) })
	case m.op == opSuffix:
		parts := strings.Split(m.text, "/")
		slices.Reverse(parts)
		notePartial(parts, []*patterns{sa, nil, ns, nil, td}, func(p *patterns, s string) { p.suffixes = append(p.suffixes, s) })
	}
}

// notePartial: all parts but the last are whole.
func notePartial(parts []string, of []*patterns, partial func(*patterns, string)) {
	for i, s := range parts[:min(len(parts), len(of))] {
		switch {
		case of[i] == nil:
		case i == len(parts)-1:
			partial(of[i], s)
		default:
			of[i].exact = append(of[i].exact, s)
		}
	}
}

// noteNamespace takes the pieces of a namespace at an Envoy apart. The last piece
// may be found in the account's part as well, which no name of it can change.
func noteNamespace(m *valueMatcher, ns *patterns) {
	values := strings.Split(m.text, "*")
	if len(values) == 1 {
		ns.exact = append(ns.exact, m.text)
		return
	}
	ns.prefixes = append(ns.prefixes, values[0])
	ns.suffixes = append(ns.suffixes, values[len(values)-1])
	// All pieces one after the other, and each beginning of them.
	for i := range values {
		ns.prefixes = append(ns.prefixes, strings.Join(values[:i+1], "-"))
		ns.suffixes = append(ns.suffixes, strings.Join(values[i:], "-"))
	}
}

// identityParts are candidates for one part of an identity, those that can be one.
func (p patterns) identityParts(first string, nice ...string) ([]string, bool) {
	out, ok := p.candidates("", nice...)
	if first != "" {
		out = append([]string{first}, out...)
	}
	return slices.DeleteFunc(unique(out), func(s string) bool { return s == "" || strings.Contains(s, "/") }), ok
}

// unmentioned makes a name that no pattern names.
func unmentioned(name string, p patterns) string {
	hit := func() bool {
		return slices.Contains(p.exact, name) ||
			slices.ContainsFunc(p.prefixes, func(s string) bool { return s != "" && strings.HasPrefix(name, s) }) ||
			slices.ContainsFunc(p.suffixes, func(s string) bool { return s != "" && strings.HasSuffix(name, s) })
	}
	if !hit() {
		return name
	}
	if v, ok := p.between("", ""); ok {
		return v
	}
	return name
}
