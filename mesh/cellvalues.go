package mesh

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// values lists one value for each set of atoms that some value of the attribute
// matches. The second result is false when that cannot be found out, or there are
// more than limit.
func (d *dimension) values(base Request, limit int) ([]value, bool) {
	var sets []func(Request) Request
	var ok bool
	switch d.id.kind {
	case attrSourceIP, attrRemoteIP, attrDestinationIP:
		sets, ok = d.addressValues(), true
	case attrTokenPrincipal:
		sets, ok = d.subjectValues()
	case attrToken:
		sets, ok = tokenValues(d.atoms), true
	default:
		sets, ok = d.textValues()
	}
	if !ok {
		return nil, false
	}
	seen := map[string]bool{}
	var out []value
	keep := func(v value) {
		k := make([]byte, len(v.answers))
		for i, a := range v.answers {
			k[i] = '0' + byte(a)
		}
		// What tells tokens apart besides the atoms is whether there are claims.
		probe := v.set(Request{})
		if s := string(k) + string(byte('0'+probe.Token.State)); !seen[s] {
			seen[s] = true
			out = append(out, v)
		}
	}
	for _, set := range sets {
		v := value{dim: d, set: set, answers: make([]tri, len(d.atoms))}
		r := set(base)
		for i := range d.atoms {
			v.answers[i] = d.atoms[i].matches(&r)
		}
		keep(v)
	}
	if d.id.kind == attrClaim {
		return d.lists(out, limit)
	}
	return out, len(out) <= limit
}

// textValues sets texts.
func (d *dimension) textValues() ([]func(Request) Request, bool) {
	texts, ok := d.texts()
	if !ok {
		return nil, false
	}
	var out []func(Request) Request
	if d.optional() {
		out = append(out, func(r Request) Request { return r })
	}
	for _, v := range texts {
		out = append(out, func(r Request) Request { return with(r, d.id, v) })
	}
	return out, true
}

// optional tells whether a request may be without the attribute.
func (d *dimension) optional() bool {
	return d.id.kind == attrHeader || d.id.kind == attrClaim || d.id.kind == attrSNI
}

// texts lists the texts of which one stands for each class.
func (d *dimension) texts() ([]string, bool) {
	var p patterns
	folded, cased, template := false, false, false
	for _, a := range d.atoms {
		for i := range a.values {
			m := &a.values[i]
			p.add(m)
			folded = folded || a.of.kind == attrHost
			cased = cased || a.of.kind == attrHeader
			template = template || m.op == opTemplate || m.op == opUnknown
		}
	}
	switch d.id.kind {
	case attrHost:
		if folded && cased {
			return nil, false // Fields on the same text with and without regard to case.
		}
		return p.candidates("", "anything.else")
	case attrMethod:
		return p.candidates("", "GET", "POST", "PATCH")
	case attrPath:
		if cased && len(d.atoms) > 1 {
			return nil, false // Fields on the same text with and without its query.
		}
		if template {
			return d.pathTexts()
		}
		texts, ok := p.candidates("/", "/anything-else")
		return slices.DeleteFunc(texts, func(v string) bool { return !strings.HasPrefix(v, "/") || !cased && strings.ContainsAny(v, "?#") }), ok
	case attrHeader:
		texts, ok := p.candidates("", "anything-else")
		return append(texts, ""), ok
	default:
		return p.candidates("", "anything-else")
	}
}

// subjectValues sets issuer and subject together, since fields look at both.
func (d *dimension) subjectValues() ([]func(Request) Request, bool) {
	var iss, sub patterns
	for _, a := range d.atoms {
		for i := range a.values {
			m := &a.values[i]
			switch {
			case m.op == opIssuerSubject:
				iss.add(m.iss)
				sub.add(m.sub)
			case a.of.name == claimIssuer:
				iss.add(m)
			case a.of.name == claimSubject:
				sub.add(m)
			}
		}
	}
	issuers, ok := iss.candidates("", "https://any.issuer")
	subjects, ok2 := sub.candidates("", "any-subject")
	if !ok || !ok2 {
		return nil, false
	}
	out := []func(Request) Request{func(r Request) Request { return r }}
	for _, i := range append(unique(issuers), "") {
		for _, s := range append(unique(subjects), "") {
			out = append(out, func(r Request) Request {
				if i != "" {
					r = with(r, attribute{attrClaim, claimIssuer}, i)
				}
				if s != "" {
					r = with(r, attribute{attrClaim, claimSubject}, s)
				}
				return r
			})
		}
	}
	return out, true
}

// lists adds claims that are lists: those that match what several single values
// match. The first value is the absent claim.
func (d *dimension) lists(single []value, limit int) ([]value, bool) {
	out := slices.Clone(single)
	seen := map[string]bool{}
	key := func(answers []tri) string {
		b := make([]byte, len(answers))
		for i, a := range answers {
			b[i] = '0' + byte(a)
		}
		return string(b)
	}
	for _, v := range out {
		seen[key(v.answers)] = true
	}
	for i := 1; i < len(out); i++ {
		for _, s := range single[1:] {
			both := make([]tri, len(s.answers))
			for k := range both {
				both[k] = max(out[i].answers[k], s.answers[k]) // yes is the largest; text is never in doubt
			}
			if k := key(both); !seen[k] {
				seen[k] = true
				first, second := out[i].set, s.set
				out = append(out, value{dim: d, answers: both, set: func(r Request) Request {
					a, b := first(r), second(r)
					values := slices.Concat(a.Claims[d.id.name], b.Claims[d.id.name])
					return withClaim(r, d.id.name, unique(values))
				}})
			}
		}
		if len(out) > limit {
			return nil, false
		}
	}
	return out, true
}

// addressValues sets addresses.
func (d *dimension) addressValues() []func(Request) Request {
	var out []func(Request) Request
	for _, a := range addresses(d.blocks()) {
		out = append(out, func(r Request) Request { return withAddress(r, d.id.kind, a) })
	}
	return out
}

func withAddress(r Request, kind attributeKind, a netip.Addr) Request {
	switch kind {
	case attrSourceIP:
		r.Source = a
	case attrRemoteIP:
		r.Remote = a
	case attrDestinationIP:
		r.Destination = a
	default:
	}
	return r
}

// with sets one attribute of a request.
func with(r Request, a attribute, v string) Request {
	switch a.kind {
	case attrMethod:
		r.Method = v
	case attrPath:
		r.Path = v
	case attrHost:
		r.Host = v
	case attrSNI:
		r.SNI = v
	case attrHeader:
		r.Headers = maps.Clone(r.Headers)
		if r.Headers == nil {
			r.Headers = map[string]string{}
		}
		r.Headers[a.name] = v
	case attrClaim:
		r = withClaim(r, a.name, []string{v})
	default:
	}
	return r
}

// withClaim sets a claim; what has one has a valid token.
func withClaim(r Request, name string, values []string) Request {
	r.Claims = maps.Clone(r.Claims)
	if r.Claims == nil {
		r.Claims = map[string][]string{}
	}
	r.Claims[name] = values
	r.Token.State = TokenValid
	return r
}
