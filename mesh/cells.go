package mesh

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	security "istio.io/api/security/v1beta1"
)

// Space is a set of requests that are to be compared: all that there can be to
// the port of a destination.
type Space struct {
	// Policies that are told apart one by one.
	Policies []Typed[*security.AuthorizationPolicy]
	// Sets of policies that are always evaluated as a whole: all that apply at one
	// proxy in one state. Only their verdicts are told apart, which takes fewer cells
	// than telling apart which policy matches.
	Sets [][]Typed[*security.AuthorizationPolicy]
	// Tokens are the rules of all proxies that validate tokens. Without any, a token
	// is taken to be valid.
	Tokens []*security.JWTRule
	// Callers are all identities that any of the proxies may see, "" for plaintext,
	// those of waypoints included. nil means that any may call.
	Callers []string
	// Ports are all that any of the proxies may see. nil means any.
	Ports []uint16
	// Settings of the mesh.
	Settings AuthzSettings
	// Limit of cells; beyond it nothing is concluded.
	Limit int
}

// Cells partitions all requests by what the given policies can tell apart; see
// Space.Cells. Any identity may call, on any port.
func Cells(policies []Typed[*security.AuthorizationPolicy], base Request, limit int) ([]Request, bool) {
	return Space{Policies: policies, Limit: limit}.Cells(base)
}

// Cells partitions all requests of a space by what its policies can tell apart.
// Whatever a request is, one of the cells is matched by the same policies, and
// gets the same verdict from each set: for each caller and port, by each kind of
// proxy, whether it has validated the token or not. So comparing one request of
// each cell compares all. What base sets is fixed; the caller and the port are not
// varied (see Callers).
//
// Cells are few because only what can decide is told apart: the values of one
// field are one class; a rule that no caller can match is left out; once a rule
// of a policy matches, its other rules make no difference; and once an attribute
// rules a rule out, its other attributes make none.
//
// The second result is false when there would be more cells than the limit, or
// when no value could be found that stands for a class: then nothing may be
// concluded.
func (s Space) Cells(base Request) ([]Request, bool) {
	groups, ok := groupsOf(s.Policies, s.Settings, false)
	for i, set := range s.Sets {
		more, few := groupsOf(set, s.Settings, true)
		for _, g := range more {
			groups = append(groups, group{fmt.Sprintf("set %d %s", i, g.key), g.ands})
		}
		ok = ok && few
	}
	if !ok {
		return nil, false
	}
	groups = join(groups)
	groups = distinct(join(s.inContext(slices.Concat(groups, blind(groups), tokenGroups(s.Tokens)))))
	dims := dimensionsOf(groups, base)
	if slices.ContainsFunc(dims, func(d *dimension) bool { return d.id.kind == attrHeader && touchesTokens(s.Tokens, d.id.name) }) {
		return nil, false
	}
	cells := []cell{start(groups, dims, base)}
	for _, d := range dims {
		values, ok := d.values(base, s.Limit)
		if !ok {
			return nil, false
		}
		seen := map[string]bool{}
		var next []cell
		for _, c := range cells {
			for _, v := range d.possible(values, &c.request) {
				n := c.with(groups, v)
				if k := n.key(d); !seen[k] {
					seen[k] = true
					next = append(next, n)
				}
			}
			if len(next) > s.Limit {
				return nil, false
			}
		}
		cells = next
	}
	out := make([]Request, len(cells))
	for i := range cells {
		out[i] = cells[i].request
	}
	return out, true
}

// inContext splits the groups by the callers and ports for which their
// conjunctions can hold, and takes the fields on these out.
func (s Space) inContext(groups []group) []group {
	var out []group
	for _, g := range groups {
		for _, and := range g.ands {
			context, rest, ok := s.split(and)
			if ok {
				out = append(out, group{g.key + " " + context, []conjunction{rest}})
			}
		}
	}
	return out
}

// split takes the fields on the caller and the port out of a conjunction and tells
// for which callers and ports they hold; not ok when for none.
func (s Space) split(and conjunction) (context string, rest conjunction, ok bool) {
	var known, open conjunction
	for _, f := range and {
		switch {
		case f.of.ofIdentity() && s.Callers != nil, f.of.kind == attrPort && s.Ports != nil:
			known = append(known, f)
		case f.of.ofIdentity(), f.of.kind == attrPort:
			open = append(open, f)
		default:
			rest = append(rest, f)
		}
	}
	callers, ports := s.Callers, s.Ports
	if callers == nil {
		callers = []string{""}
	}
	if ports == nil {
		ports = []uint16{0}
	}
	var b strings.Builder
	for _, c := range callers {
		for _, p := range ports {
			hit := allFields(known, &Request{Principal: c, Port: p})
			b.WriteByte('0' + byte(hit))
			ok = ok || hit != no
		}
	}
	return b.String() + open.key(), rest, ok
}

// cell is a request of which some attributes are set, and how far each
// conjunction of each group holds for it.
type cell struct {
	request Request
	state   []byte
}

// States of a conjunction. A group of which one is met is met.
const (
	ruledOut byte = iota
	stillMay
	// stillDoubtful: one of its fields is not known to hold, and none is known not to.
	stillDoubtful
	met
)

// start makes the cell in which nothing is set but what is fixed.
func start(groups []group, dims []*dimension, base Request) cell {
	c := cell{request: base}
	index := 0
	for _, g := range groups {
		for _, and := range g.ands {
			state := stillMay
			for i := range and {
				f := &and[i]
				if d := dimensionOf(f.of); slices.ContainsFunc(dims, func(x *dimension) bool { return x.id == d }) {
					continue
				}
				switch f.holds(&base) {
				case no:
					state = ruledOut
				case maybe:
					state = max(state, stillDoubtful)
				case yes:
				}
				if state == ruledOut {
					break
				}
			}
			c.state = append(c.state, state)
			for _, d := range dims {
				d.note(index, and)
			}
			index++
		}
	}
	none := make([]bool, index)
	for i := len(dims) - 1; i >= 0; i-- {
		dims[i].pending = slices.Clone(none)
		dims[i].claimsLater = i+1 < len(dims) && (dims[i+1].ofToken || dims[i+1].claimsLater)
		for _, e := range dims[i].effects {
			none[e.index] = true
		}
	}
	c.settle(groups, none)
	return c
}

// with sets one more attribute.
func (c cell) with(groups []group, v value) cell {
	n := cell{request: v.set(c.request), state: slices.Clone(c.state)}
	for _, e := range v.dim.effects {
		if n.state[e.index] == ruledOut || n.state[e.index] == met {
			continue
		}
		hit := v.answers[e.atom]
		if e.negative {
			hit = hit.not()
		}
		switch hit {
		case no:
			n.state[e.index] = ruledOut
		case maybe:
			n.state[e.index] = stillDoubtful
		case yes:
		}
	}
	n.settle(groups, v.dim.pending)
	return n
}

// settle marks the groups of which a conjunction has nothing left that could rule
// it out; pending are those that have.
func (c *cell) settle(groups []group, pending []bool) {
	i := 0
	for _, g := range groups {
		end := i + len(g.ands)
		for j := i; j < end; j++ {
			if c.state[j] == met || c.state[j] == stillMay && !pending[j] {
				for k := i; k < end; k++ {
					c.state[k] = met
				}
				break
			}
		}
		i = end
	}
}

// key is the same for cells that nothing after this dimension can tell apart.
func (c *cell) key(d *dimension) string {
	k := string(c.state)
	if d.claimsLater {
		k += string(byte('0' + c.request.Token.State))
	}
	return k
}

// dimension is an attribute that is varied, with what is asked about it.
type dimension struct {
	id attribute
	// ofToken: only a valid token has it.
	ofToken bool
	atoms   []field
	keys    map[string]int
	effects []effect
	// pending tells which conjunctions a later attribute can still rule out.
	pending []bool
	// claimsLater: a later attribute is one that only a valid token has.
	claimsLater bool
}

// effect of an atom on a conjunction.
type effect struct {
	index, atom int
	negative    bool
}

// value is one class of an attribute: how to set it, and which atoms it matches.
type value struct {
	dim     *dimension
	set     func(Request) Request
	answers []tri
}

// dimensionOf is the attribute that is varied when a field looks at another: what
// lies in the same place of a request, or can only be chosen together.
func dimensionOf(a attribute) attribute {
	switch {
	case a.kind == attrHeader && a.name == ":authority":
		return attribute{kind: attrHost}
	case a.kind == attrHeader && a.name == ":method":
		return attribute{kind: attrMethod}
	case a.kind == attrHeader && a.name == ":path":
		return attribute{kind: attrPath}
	case a.kind == attrTokenPrincipal, a.kind == attrClaim && (a.name == claimIssuer || a.name == claimSubject):
		return attribute{kind: attrTokenPrincipal}
	}
	return a
}

// varied tells whether an attribute is varied rather than fixed or unknown.
func varied(a attribute, base *Request) bool {
	switch a.kind {
	case attrSourceIP:
		return !base.Source.IsValid()
	case attrRemoteIP:
		return !base.Remote.IsValid() && !base.Source.IsValid()
	case attrDestinationIP:
		return !base.Destination.IsValid()
	case attrMethod:
		return base.Method == ""
	case attrPath:
		return base.Path == ""
	case attrHost:
		return base.Host == ""
	case attrSNI:
		return base.SNI == ""
	case attrHeader:
		return a.name != ":scheme"
	case attrTokenPrincipal, attrClaim, attrToken:
		return true
	default:
		return false
	}
}

// dimensionsOf lists what is to be varied, tokens before their claims.
func dimensionsOf(groups []group, base Request) []*dimension {
	byID := map[attribute]*dimension{}
	for _, g := range groups {
		for _, and := range g.ands {
			for i := range and {
				id := dimensionOf(and[i].of)
				if !varied(id, &base) {
					continue
				}
				d := byID[id]
				if d == nil {
					d = &dimension{id: id, ofToken: id.ofClaims(), keys: map[string]int{}}
					byID[id] = d
				}
				if k := and[i].key(); !d.has(k) {
					d.keys[k] = len(d.atoms)
					atom := and[i]
					atom.negative = false
					d.atoms = append(d.atoms, atom)
				}
			}
		}
	}
	if byID[attribute{kind: attrToken}] == nil {
		for _, d := range byID {
			d.ofToken = false
		}
	}
	return slices.SortedFunc(maps.Values(byID), func(a, b *dimension) int {
		return cmp.Or(cmp.Compare(a.id.kind, b.id.kind), cmp.Compare(a.id.name, b.id.name))
	})
}

func (d *dimension) has(key string) bool { _, ok := d.keys[key]; return ok }

// note takes down what a conjunction asks of this attribute.
func (d *dimension) note(index int, and conjunction) {
	for i := range and {
		if dimensionOf(and[i].of) == d.id {
			d.effects = append(d.effects, effect{index, d.keys[and[i].key()], and[i].negative})
		}
	}
}

// possible leaves the values that a request can have: claims are in valid tokens.
func (d *dimension) possible(values []value, r *Request) []value {
	if d.ofToken && r.Token.State != TokenValid {
		return values[:1] // The first is the absent one.
	}
	return values
}

// blocks lists the address blocks of a dimension.
func (d *dimension) blocks() []netip.Prefix {
	var out []netip.Prefix
	for _, a := range d.atoms {
		for _, m := range a.values {
			out = append(out, m.block)
		}
	}
	return out
}
