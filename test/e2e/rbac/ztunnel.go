package rbac

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"istio.io/istio/pkg/workloadapi/security"

	"github.com/ambientplan/ambientplan/mesh"
)

// Ztunnel judges a connection by all policies of a workload: DENY, then ALLOW;
// without any ALLOW everything is allowed. A policy for a dry run decides nothing.
// Source: assert_rbac of src/state.rs and src/rbac.rs of ztunnel.
func Ztunnel(policies []*security.Authorization, r mesh.Request) (mesh.Outcome, error) {
	c, err := connect(r)
	if err != nil {
		return mesh.OutcomeUnknown, err
	}
	denied, allowed, anyAllow := false, false, false
	for _, p := range policies {
		if p.DryRun {
			continue
		}
		hit, err := c.matches(p)
		if err != nil {
			return mesh.OutcomeUnknown, fmt.Errorf("%s/%s: %w", p.Namespace, p.Name, err)
		}
		switch p.Action {
		case security.Action_DENY:
			denied = denied || hit
		case security.Action_ALLOW:
			anyAllow, allowed = true, allowed || hit
		default:
			return mesh.OutcomeUnknown, fmt.Errorf("action %v is not known", p.Action)
		}
	}
	if denied || anyAllow && !allowed {
		return mesh.Denied, nil
	}
	return mesh.Allowed, nil
}

// connection is what ztunnel knows; namespace and account are empty without identity.
type connection struct {
	mesh.Request
	namespace, account string
}

// connect divides the identity as ztunnel does, which refuses one of another form.
func connect(r mesh.Request) (connection, error) {
	c := connection{Request: r}
	if !r.Source.IsValid() || !r.Destination.IsValid() || r.Port == 0 {
		return c, fmt.Errorf("ztunnel knows the addresses and the port of a connection: %+v", r)
	}
	if r.Principal == "" {
		return c, nil
	}
	parts := strings.Split(r.Principal, "/")
	if len(parts) != 5 || parts[1] != "ns" || parts[3] != "sa" {
		return c, fmt.Errorf("identity %q is none for ztunnel", r.Principal)
	}
	c.namespace, c.account = parts[2], parts[4]
	return c, nil
}

// matches is Authorization::matches. Its names: a group is a rule, rules are clauses.
func (c *connection) matches(p *security.Authorization) (bool, error) {
	return anyOf(p.Groups, func(g *security.Group) (bool, error) {
		return allOf(g.Rules, func(clause *security.Rules) (bool, error) {
			if len(clause.Matches) == 0 {
				return true, nil
			}
			return anyOf(clause.Matches, c.match)
		})
	})
}

// match skips an empty match: it counts as one that does not match.
func (c *connection) match(m *security.Match) (bool, error) {
	if len(m.Extensions) > 0 || len(m.ProtoReflect().GetUnknown()) > 0 {
		return false, fmt.Errorf("match has fields that are not known: %v", m)
	}
	for _, s := range slices.Concat(m.Namespaces, m.NotNamespaces, m.Principals, m.NotPrincipals) {
		if s.MatchType == nil {
			return false, fmt.Errorf("string match is not known: %v", s)
		}
	}
	empty, all := true, true
	check := func(values, not int, hit, notHit bool) {
		empty = empty && values == 0 && not == 0
		all = all && (values == 0 || hit) && (not == 0 || !notHit)
	}
	ns := func(s *security.StringMatch) bool { return text(s, c.namespace) }
	id := func(s *security.StringMatch) bool { return c.Principal != "" && text(s, c.Principal) }
	sa := func(s *security.ServiceAccountMatch) bool {
		return c.Principal != "" && s.Namespace == c.namespace && s.ServiceAccount == c.account
	}
	src := func(a *security.Address) bool { return within(a, c.Source) }
	dst := func(a *security.Address) bool { return within(a, c.Destination) }
	port := func(p uint32) bool { return uint16(p) == c.Port }
	check(len(m.Namespaces), len(m.NotNamespaces), slices.ContainsFunc(m.Namespaces, ns), slices.ContainsFunc(m.NotNamespaces, ns))
	check(len(m.Principals), len(m.NotPrincipals), slices.ContainsFunc(m.Principals, id), slices.ContainsFunc(m.NotPrincipals, id))
	check(len(m.ServiceAccounts), len(m.NotServiceAccounts), slices.ContainsFunc(m.ServiceAccounts, sa), slices.ContainsFunc(m.NotServiceAccounts, sa))
	check(len(m.SourceIps), len(m.NotSourceIps), slices.ContainsFunc(m.SourceIps, src), slices.ContainsFunc(m.NotSourceIps, src))
	check(len(m.DestinationIps), len(m.NotDestinationIps), slices.ContainsFunc(m.DestinationIps, dst), slices.ContainsFunc(m.NotDestinationIps, dst))
	check(len(m.DestinationPorts), len(m.NotDestinationPorts), slices.ContainsFunc(m.DestinationPorts, port), slices.ContainsFunc(m.NotDestinationPorts, port))
	return !empty && all, nil
}

func text(m *security.StringMatch, s string) bool {
	switch x := m.MatchType.(type) {
	case *security.StringMatch_Exact:
		return s == x.Exact
	case *security.StringMatch_Prefix:
		return strings.HasPrefix(s, x.Prefix)
	case *security.StringMatch_Suffix:
		return strings.HasSuffix(s, x.Suffix)
	case *security.StringMatch_Presence:
		return s != ""
	}
	return false
}

func within(a *security.Address, ip netip.Addr) bool {
	base, ok := netip.AddrFromSlice(a.Address)
	return ok && netip.PrefixFrom(base, int(a.Length)).Contains(ip)
}
