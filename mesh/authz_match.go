package mesh

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Connection is what ztunnel knows of one connection to a pod.
type Connection struct {
	// Principal of the client without "spiffe://", as in
	// "cluster.local/ns/shop/sa/web"; empty for plaintext.
	Principal   string
	Source      netip.Addr
	Destination netip.Addr
	// Port of the pod.
	Port uint16
}

// Matches tells whether ztunnel takes the rule, as istiod sent it, to match a
// connection to a pod. policyNamespace is where the policy lives: a service
// account without a namespace is one of it. Source: src/rbac.rs of ztunnel.
func (r AuthzRule) Matches(c Connection, policyNamespace string) bool {
	if r.Dropped {
		return false
	}
	for _, clause := range r.clauses {
		if !slices.ContainsFunc(clause, func(m authzMatch) bool { return m.matches(c, policyNamespace) }) {
			return false
		}
	}
	return true
}

// matches: an entry with no field left is skipped by ztunnel.
func (m authzMatch) matches(c Connection, policyNamespace string) bool {
	if len(m) == 0 {
		return false
	}
	for _, f := range m {
		any := slices.ContainsFunc(f.Values, func(v string) bool { return matchValue(f.Name, v, c, policyNamespace) })
		if any == f.Negative {
			return false
		}
	}
	return true
}

func matchValue(name, v string, c Connection, policyNamespace string) bool {
	_, id, _ := strings.Cut(c.Principal, "/ns/")
	ns, sa, hasID := strings.Cut(id, "/sa/")
	switch name {
	case "principals", "notPrincipals", "source.principal":
		return matchString(v, c.Principal)
	case "namespaces", "notNamespaces", "source.namespace":
		return hasID && matchString(v, ns)
	case "serviceAccounts", "notServiceAccounts":
		wantNS, wantSA, ok := strings.Cut(v, "/")
		if !ok {
			wantNS, wantSA = policyNamespace, v
		}
		return hasID && ns == wantNS && sa == wantSA
	case "ipBlocks", "notIpBlocks", "source.ip":
		p, ok := prefix(v)
		return ok && p.Contains(c.Source)
	case "destination.ip":
		p, ok := prefix(v)
		return ok && p.Contains(c.Destination)
	case "ports", "notPorts", "destination.port":
		p, err := strconv.ParseUint(v, 10, 16)
		return err == nil && uint16(p) == c.Port
	}
	return false
}

// matchString is Istio's string match: "*" is any value that is there, else a
// suffix, a prefix or the exact value (facts C-66).
func matchString(pattern, v string) bool {
	switch {
	case v == "":
		return false
	case pattern == "*":
		return true
	case strings.HasPrefix(pattern, "*"):
		return strings.HasSuffix(v, pattern[1:])
	case strings.HasSuffix(pattern, "*"):
		return strings.HasPrefix(v, pattern[:len(pattern)-1])
	}
	return pattern == v
}
