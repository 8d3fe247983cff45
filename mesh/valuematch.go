package mesh

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// tri is an answer that may be unknown. The zero value is unknown, so that what
// nobody looked at is never taken for a yes or a no.
type tri uint8

const (
	maybe tri = iota
	no
	yes
)

func answer(b bool) tri {
	if b {
		return yes
	}
	return no
}

func (t tri) not() tri {
	switch t {
	case yes:
		return no
	case no:
		return yes
	case maybe:
	}
	return maybe
}

func (t tri) and(o tri) tri {
	switch {
	case t == no || o == no:
		return no
	case t == maybe || o == maybe:
		return maybe
	}
	return yes
}

// matchOp is how a value is compared.
type matchOp uint8

const (
	opUnset matchOp = iota
	opExact
	opPrefix
	opSuffix
	// opPresent: there, and not empty unless it is a header.
	opPresent
	// opFold*: the same, whatever the case (hosts).
	opFoldExact
	opFoldPrefix
	opFoldSuffix
	// opTemplate is a path template.
	opTemplate
	// opPieces: the pieces occur in this order (namespaces in Envoy).
	opPieces
	// opAccount: one service account of one namespace.
	opAccount
	// opDomain: the trust domain begins and ends so.
	opDomain
	// opBlock is an address block, opPort a port.
	opBlock
	opPort
	// opIssuerSubject compares the claims iss and sub.
	opIssuerSubject
	// opTokenAt is where a token is, opTokenValid whether it is valid, opAudience an
	// audience as rules of tokens compare it.
	opTokenAt
	opTokenValid
	opAudience
	// opUnknown nobody knows.
	opUnknown
)

// valueMatcher is one value of a field, ready to be compared.
type valueMatcher struct {
	op       matchOp
	text     string
	more     string
	pieces   []string
	block    netip.Prefix
	port     uint16
	template *pathTemplate
	iss, sub *valueMatcher
}

// stringMatcher is Istio's string match (facts C-66): "*" is any value that is
// there, else a suffix, a prefix or the exact value.
func stringMatcher(v string) valueMatcher {
	switch {
	case v == "*":
		return valueMatcher{op: opPresent}
	case strings.HasPrefix(v, "*"):
		return valueMatcher{op: opSuffix, text: v[1:]}
	case strings.HasSuffix(v, "*"):
		return valueMatcher{op: opPrefix, text: v[:len(v)-1]}
	}
	return valueMatcher{op: opExact, text: v}
}

// hostMatcher compares without regard to case (HostMatcher of Istio).
func hostMatcher(v string) valueMatcher {
	m := stringMatcher(v)
	m.text = strings.ToLower(m.text)
	switch m.op {
	case opExact:
		m.op = opFoldExact
	case opPrefix:
		m.op = opFoldPrefix
	case opSuffix:
		m.op = opFoldSuffix
	default:
	}
	return m
}

// pathMatcher reads a path or a path template.
func pathMatcher(v string) valueMatcher {
	if !isTemplate(v) {
		return stringMatcher(v)
	}
	if t := parseTemplate(v); t != nil {
		return valueMatcher{op: opTemplate, text: v, template: t}
	}
	return valueMatcher{op: opUnknown, text: v}
}

// blockMatcher reads an address or a CIDR block; the second result is false when
// it is neither.
func blockMatcher(v string) (valueMatcher, bool) {
	p, ok := prefix(v)
	return valueMatcher{op: opBlock, block: p}, ok
}

// portMatcher reads a port as istiod does.
func portMatcher(v string) (valueMatcher, bool) {
	p, err := strconv.ParseUint(v, 10, 16)
	return valueMatcher{op: opPort, port: uint16(p)}, err == nil
}

// proxyNamespaceMatcher is a namespace at an Envoy: the regular expression
// ".*/ns/VALUE/.*" over the whole principal, where each "*" is ".*". A "*" in
// front therefore reaches over the namespace into the account: "*sa" is every
// identity. Source: srcNamespaceGenerator of Istio.
func proxyNamespaceMatcher(v string) valueMatcher {
	pieces := strings.Split(v, "*")
	pieces[0] = "/ns/" + pieces[0]
	pieces[len(pieces)-1] += "/"
	return valueMatcher{op: opPieces, text: v, pieces: pieces}
}

// accountMatcher reads "account" or "namespace/account"; without a namespace it
// is that of the policy.
func accountMatcher(v, namespace string) valueMatcher {
	ns, sa, ok := strings.Cut(v, "/")
	if !ok {
		ns, sa = namespace, v
	}
	return valueMatcher{op: opAccount, text: ns, more: sa}
}

// domainMatcher is a trust domain (srcTrustDomainGenerator of Istio).
func domainMatcher(v string) valueMatcher {
	if v == "*" {
		return valueMatcher{op: opPresent}
	}
	before, after, wild := strings.Cut(v, "*")
	if !wild {
		return valueMatcher{op: opPrefix, text: v + "/"}
	}
	if strings.Contains(v, "/") {
		// Refused by istiod's webhook; its expression could reach over the trust domain.
		return valueMatcher{op: opUnknown, text: v}
	}
	return valueMatcher{op: opDomain, text: before, more: after}
}

// tokenPrincipalMatcher is a value of requestPrincipals: issuer and subject,
// divided at the last "/" (requestPrincipalGenerator of Istio).
func tokenPrincipalMatcher(v string) valueMatcher {
	i := strings.LastIndex(v, "/")
	found := i >= 0
	iss, sub := v, ""
	if found {
		iss, sub = v[:i], v[i+1:]
	}
	present := valueMatcher{op: opPresent}
	exact := func(s string) valueMatcher { return valueMatcher{op: opExact, text: s} }
	var mi, ms valueMatcher
	switch {
	case v == "*":
		mi, ms = present, present
	case strings.HasPrefix(v, "*") && !found:
		mi, ms = present, valueMatcher{op: opSuffix, text: v[1:]}
	case strings.HasPrefix(v, "*"):
		mi, ms = valueMatcher{op: opSuffix, text: iss[1:]}, exact(sub)
		if iss == "*" {
			mi = present
		}
	case strings.HasSuffix(v, "*") && !found:
		mi, ms = valueMatcher{op: opPrefix, text: v[:len(v)-1]}, present
	case strings.HasSuffix(v, "*"):
		mi, ms = exact(iss), valueMatcher{op: opPrefix, text: sub[:len(sub)-1]}
		if sub == "*" {
			ms = present
		}
	default:
		mi, ms = exact(iss), exact(sub)
	}
	return valueMatcher{op: opIssuerSubject, iss: &mi, sub: &ms}
}

// matchText compares a string that is there. What matches a regular expression
// ".+" in Envoy has no line break.
func (m *valueMatcher) matchText(s string) bool {
	switch m.op {
	case opExact:
		return s == m.text
	case opPrefix:
		return strings.HasPrefix(s, m.text)
	case opSuffix:
		return strings.HasSuffix(s, m.text)
	case opPresent:
		return s != "" && strings.IndexByte(s, '\n') < 0
	case opFoldExact:
		return len(s) == len(m.text) && equalFoldASCII(s, m.text)
	case opFoldPrefix:
		return len(s) >= len(m.text) && equalFoldASCII(s[:len(m.text)], m.text)
	case opFoldSuffix:
		return len(s) >= len(m.text) && equalFoldASCII(s[len(s)-len(m.text):], m.text)
	case opTemplate:
		return m.template.matches(s)
	case opAudience:
		return audience(s) == m.text
	default:
		return false
	}
}

// equalFoldASCII compares with a text in lower case, letters of ASCII only, as
// Envoy does.
func equalFoldASCII(s, lower string) bool {
	for i := range len(s) {
		b := s[i]
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		if b != lower[i] {
			return false
		}
	}
	return true
}

// matchPrincipal compares an identity without "spiffe://", which is not empty.
func (m *valueMatcher) matchPrincipal(p string) bool {
	switch m.op {
	case opPieces:
		return hasPieces(p, m.pieces)
	case opAccount:
		return hasAccount(p, m.text, m.more)
	case opDomain:
		td, _, ok := strings.Cut(p, "/")
		return ok && len(td) >= len(m.text)+len(m.more) && strings.HasPrefix(td, m.text) && strings.HasSuffix(td, m.more)
	default:
		return m.matchText(p)
	}
}

// peerNamespace is the namespace of an identity "domain/ns/namespace/sa/account".
func peerNamespace(p string) (string, bool) {
	_, rest, _ := strings.Cut(p, "/ns/")
	ns, _, ok := strings.Cut(rest, "/sa/")
	return ns, ok
}

// hasPieces finds the pieces one after the other. The first may begin with the
// slash that ends "spiffe://".
func hasPieces(p string, pieces []string) bool {
	first := pieces[0]
	if rest, ok := strings.CutPrefix(p, first[1:]); ok {
		p = rest
	} else if i := strings.Index(p, first); i >= 0 {
		p = p[i+len(first):]
	} else {
		return false
	}
	for _, s := range pieces[1:] {
		i := strings.Index(p, s)
		if i < 0 {
			return false
		}
		p = p[i+len(s):]
	}
	return true
}

// hasAccount is ".+/ns/NAMESPACE/(.+/|)sa/ACCOUNT(/.+)?" (serviceAccountRegex of Istio).
func hasAccount(p, ns, sa string) bool {
	for from := 1; ; {
		i := strings.Index(p[min(from, len(p)):], "/ns/")
		if i < 0 {
			return false
		}
		i += from
		from = i + 1
		rest, ok := strings.CutPrefix(p[i+len("/ns/"):], ns)
		if !ok || !strings.HasPrefix(rest, "/") {
			continue
		}
		// rest is "/" or "/…/", and then the account.
		for j := 0; j < len(rest); j++ {
			tail, ok := strings.CutPrefix(rest[j:], "/sa/")
			if !ok || j == 1 {
				continue
			}
			tail, ok = strings.CutPrefix(tail, sa)
			if ok && (tail == "" || len(tail) > 1 && tail[0] == '/') {
				return true
			}
		}
	}
}

// field is one field of a rule, ready to be evaluated: one of its values must
// match, or none when it is negative.
type field struct {
	of       attribute
	values   []valueMatcher
	negative bool
}

// matches evaluates a field without regard to negative.
func (f *field) matches(r *Request) tri {
	out := no
	for i := range f.values {
		switch f.value(&f.values[i], r) {
		case yes:
			return yes
		case maybe:
			out = maybe
		case no:
		}
	}
	return out
}

// holds evaluates a field.
func (f *field) holds(r *Request) tri {
	if f.negative {
		return f.matches(r).not()
	}
	return f.matches(r)
}

func (f *field) value(m *valueMatcher, r *Request) tri {
	if m.op == opUnknown {
		return maybe
	}
	switch f.of.kind {
	case attrPrincipal, attrNamespace, attrServiceAccount, attrTrustDomain:
		return answer(r.Principal != "" && m.matchPrincipal(r.Principal))
	case attrPeerNamespace:
		ns, ok := peerNamespace(r.Principal)
		return answer(ok && m.matchText(ns))
	case attrSourceIP:
		return matchBlock(m.block, r.Source)
	case attrRemoteIP:
		if r.Remote.IsValid() {
			return matchBlock(m.block, r.Remote)
		}
		return matchBlock(m.block, r.Source)
	case attrDestinationIP:
		return matchBlock(m.block, r.Destination)
	case attrPort:
		if r.Port == 0 {
			return maybe
		}
		return answer(m.port == r.Port)
	case attrSNI:
		return answer(m.matchText(r.SNI))
	case attrMethod:
		return answer(m.matchText(r.Method))
	case attrPath:
		return answer(m.matchText(withoutQuery(r.Path)))
	case attrHost:
		return answer(r.Host != "" && m.matchText(r.Host))
	case attrHeader:
		return matchHeader(m, f.of.name, r)
	case attrToken:
		if m.op == opTokenValid {
			return answer(r.Token.State == TokenValid)
		}
		return answer(r.Token.State != TokenNone && r.Token.At == m.text)
	case attrTokenPrincipal:
		return answer(matchClaimString(m.iss, r.Claims[claimIssuer]) && matchClaimString(m.sub, r.Claims[claimSubject]))
	case attrClaim:
		return answer(slices.ContainsFunc(r.Claims[f.of.name], m.matchText))
	default:
		return maybe
	}
}

// matchBlock: an address that is not known may be anywhere.
func matchBlock(p netip.Prefix, a netip.Addr) tri {
	if !a.IsValid() {
		return maybe
	}
	return answer(p.Contains(a.Unmap().WithZone("")))
}

// matchHeader: a header that is there and empty is present.
func matchHeader(m *valueMatcher, name string, r *Request) tri {
	var v string
	ok := true
	switch name {
	case ":authority":
		v, ok = r.Host, r.Host != ""
	case ":method":
		v, ok = r.Method, r.Method != ""
	case ":path":
		v, ok = r.Path, r.Path != ""
	case ":scheme":
		return maybe
	default:
		v, ok = r.Headers[name]
	}
	switch {
	case !ok && slices.Contains(r.opaque, name):
		return maybe
	case !ok:
		return no
	case m.op == opPresent:
		return yes
	case slices.Contains(r.opaque, name):
		return maybe
	}
	return answer(m.matchText(v))
}

// matchClaimString: iss and sub count only as strings, not as lists.
func matchClaimString(m *valueMatcher, values []string) bool {
	return len(values) == 1 && m.matchText(values[0])
}

// withoutQuery is what Envoy compares of a path.
func withoutQuery(p string) string {
	if i := strings.IndexAny(p, "?#"); i >= 0 {
		return p[:i]
	}
	return p
}
