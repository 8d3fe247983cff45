package mesh

import (
	"fmt"

	security "istio.io/api/security/v1beta1"
)

// ZtunnelProgram is a list of AuthorizationPolicies, ready to be evaluated as
// ztunnel does with what istiod sends it of them. It is immutable; Verdict may be
// called from several goroutines.
type ZtunnelProgram struct {
	deny, allow []ztunnelRule
	hasAllow    bool
}

// ztunnelRule matches when each clause has an entry that does. An entry without
// fields is skipped (facts L-08).
type ztunnelRule struct {
	policy  int
	clauses [][][]field
	by      string
}

// CompileZtunnel prepares policies as istiod does for ztunnel: without those that
// it does not send (facts L-01) and without the rules and fields that it drops
// (facts L-03 to L-08). Trust domain aliases play no part (facts L-14). Source:
// pilot/pkg/serviceregistry/ambient/authorization.go of Istio.
func CompileZtunnel(policies []Typed[*security.AuthorizationPolicy]) *ZtunnelProgram {
	out := &ZtunnelProgram{}
	for n, p := range policies {
		z := Authz(p)
		if z.NotSent != SentToZtunnel {
			continue
		}
		deny := z.Action == security.AuthorizationPolicy_DENY
		out.hasAllow = out.hasAllow || !deny
		for i, r := range p.Spec.GetRules() {
			if z.Rules[i].Dropped {
				continue
			}
			rule := ztunnelRule{policy: n, clauses: ztunnelClauses(r, p.Namespace), by: fmt.Sprintf("%s spec.rules[%d] at ztunnel", p.Ref(), i)}
			if deny {
				out.deny = append(out.deny, rule)
			} else {
				out.allow = append(out.allow, rule)
			}
		}
	}
	return out
}

// ztunnelClauses is handleRule of istiod: one clause for all of "to", one for all
// of "from", one for each "when".
func ztunnelClauses(r *security.Rule, namespace string) [][][]field {
	var to, from [][]field
	for _, t := range r.GetTo() {
		to = append(to, ztunnelPorts(nil, t.GetOperation().GetPorts(), t.GetOperation().GetNotPorts()))
	}
	for _, f := range r.GetFrom() {
		from = append(from, ztunnelSource(f.GetSource(), namespace))
	}
	var out [][][]field
	for _, c := range [][][]field{to, from} {
		if len(c) > 0 {
			out = append(out, c)
		}
	}
	for _, w := range r.GetWhen() {
		var e []field
		switch w.GetKey() {
		case "source.namespace":
			e = ztunnelStrings(e, attrPeerNamespace, w.GetValues(), w.GetNotValues())
		case "source.principal":
			e = ztunnelStrings(e, attrPrincipal, w.GetValues(), w.GetNotValues())
		case "source.ip":
			e = ztunnelBlocks(e, attrSourceIP, w.GetValues(), w.GetNotValues())
		case "destination.ip":
			e = ztunnelBlocks(e, attrDestinationIP, w.GetValues(), w.GetNotValues())
		case "destination.port":
			e = ztunnelPorts(e, w.GetValues(), w.GetNotValues())
		}
		out = append(out, [][]field{e})
	}
	return out
}

func ztunnelSource(s *security.Source, namespace string) []field {
	var e []field
	e = ztunnelStrings(e, attrPrincipal, s.GetPrincipals(), s.GetNotPrincipals())
	e = ztunnelStrings(e, attrPeerNamespace, s.GetNamespaces(), s.GetNotNamespaces())
	account := func(v string) (valueMatcher, bool) { return accountMatcher(v, namespace), true }
	e = ztunnelField(e, attrServiceAccount, s.GetServiceAccounts(), false, account)
	e = ztunnelField(e, attrServiceAccount, s.GetNotServiceAccounts(), true, account)
	return ztunnelBlocks(e, attrSourceIP, s.GetIpBlocks(), s.GetNotIpBlocks())
}

func ztunnelStrings(e []field, kind attributeKind, values, not []string) []field {
	match := func(v string) (valueMatcher, bool) { return stringMatcher(v), true }
	return ztunnelField(ztunnelField(e, kind, values, false, match), kind, not, true, match)
}

func ztunnelBlocks(e []field, kind attributeKind, values, not []string) []field {
	return ztunnelField(ztunnelField(e, kind, values, false, blockMatcher), kind, not, true, blockMatcher)
}

func ztunnelPorts(e []field, values, not []string) []field {
	return ztunnelField(ztunnelField(e, attrPort, values, false, portMatcher), attrPort, not, true, portMatcher)
}

// ztunnelField adds a field with the values that istiod can read. It leaves the
// others out without a word.
func ztunnelField(e []field, kind attributeKind, values []string, negative bool, match func(string) (valueMatcher, bool)) []field {
	f := field{of: attribute{kind: kind}, negative: negative}
	for _, v := range values {
		if m, ok := match(v); ok {
			f.values = append(f.values, m)
		}
	}
	if len(f.values) == 0 {
		return e
	}
	return append(e, f)
}

// Verdict evaluates a connection: DENY, then ALLOW (facts L-10). Only the fields
// of layer 4 of the request count.
func (p *ZtunnelProgram) Verdict(r Request) Verdict {
	return p.verdict(&r)
}

func (p *ZtunnelProgram) verdict(r *Request) Verdict {
	doubt := ""
	for i := range p.deny {
		switch p.deny[i].matches(r) {
		case yes:
			return Verdict{Denied, p.deny[i].by}
		case maybe:
			doubt = p.deny[i].by
		case no:
		}
	}
	by, hit := "no ALLOW policy applies at ztunnel", yes
	if p.hasAllow {
		by, hit = "no ALLOW policy matches at ztunnel", no
		for i := range p.allow {
			m := p.allow[i].matches(r)
			if m == yes || m == maybe && hit == no {
				by, hit = p.allow[i].by, m
			}
			if m == yes {
				break
			}
		}
	}
	switch {
	case hit == no:
		return Verdict{Denied, by}
	case hit == maybe:
		return Verdict{OutcomeUnknown, by + " may match"}
	case doubt != "":
		return Verdict{OutcomeUnknown, doubt + " may match"}
	}
	return Verdict{Allowed, by}
}

func (z *ztunnelRule) matches(r *Request) tri {
	out := yes
	for _, clause := range z.clauses {
		hit := no
		for _, e := range clause {
			if len(e) == 0 {
				continue
			}
			if m := allFields(e, r); m == yes {
				hit = yes
				break
			} else if m == maybe {
				hit = maybe
			}
		}
		if out = out.and(hit); out == no {
			return no
		}
	}
	return out
}
