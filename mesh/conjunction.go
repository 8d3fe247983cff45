package mesh

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	security "istio.io/api/security/v1beta1"
)

// conjunction is a list of fields that must all hold for a rule to match.
type conjunction []field

// group holds the conjunctions that together decide one thing: one policy, or all
// of one action, as one kind of proxy evaluates them, for one set of callers. Which of them matches does
// not matter, only whether one does.
type group struct {
	key  string
	ands []conjunction
}

// maxConjunctions bounds what one rule may be multiplied out to.
const maxConjunctions = 4096

// groupsOf multiplies out the rules of policies, as an Envoy takes them with and
// without HTTP and as ztunnel takes them. together is true for policies that are
// always evaluated as a whole: then all of one action decide as one. The second
// result is false when a rule is too large.
func groupsOf(policies []Typed[*security.AuthorizationPolicy], set AuthzSettings, together bool) ([]group, bool) {
	var out []group
	ok := true
	add := func(form, action string, policy int, clauses [][][]field) {
		if !together {
			action = strconv.Itoa(policy)
		}
		ands, few := multiply(clauses)
		ok = ok && few
		out = append(out, group{key: form + " " + action, ands: ands})
	}
	for _, tcp := range []bool{false, true} {
		p, form := compileProxy(policies, tcp, set), "http"
		if tcp {
			form = "tcp"
		}
		for _, r := range p.custom {
			add(form, fmt.Sprintf("custom %q %v", r.provider, r.dryRun), r.policy, [][][]field{r.from, r.to})
		}
		for _, r := range p.deny {
			add(form, "deny", r.policy, [][][]field{r.from, r.to})
		}
		for _, r := range p.allow {
			add(form, "allow", r.policy, [][][]field{r.from, r.to})
		}
	}
	z := CompileZtunnel(policies)
	for _, r := range z.deny {
		add("ztunnel", "deny", r.policy, r.filled())
	}
	for _, r := range z.allow {
		add("ztunnel", "allow", r.policy, r.filled())
	}
	return out, ok
}

// blind are joined groups as a proxy takes them that has validated no token: it knows
// no claims, whatever the token says.
func blind(groups []group) []group {
	var out []group
	for _, g := range groups {
		if !slices.ContainsFunc(g.ands, conjunction.ofClaims) {
			continue
		}
		b := group{key: "blind " + g.key}
		for _, and := range g.ands {
			var rest conjunction
			met := true
			for _, f := range and {
				if f.of.ofClaims() {
					met = met && f.negative
				} else {
					rest = append(rest, f)
				}
			}
			if met {
				b.ands = append(b.ands, rest)
			}
		}
		out = append(out, b)
	}
	return out
}

func (c conjunction) ofClaims() bool {
	return slices.ContainsFunc(c, func(f field) bool { return f.of.ofClaims() })
}

// filled are the clauses without the entries that ztunnel skips, those without fields.
func (z *ztunnelRule) filled() [][][]field {
	out := make([][][]field, len(z.clauses))
	for i, c := range z.clauses {
		out[i] = slices.DeleteFunc(slices.Clone(c), func(e []field) bool { return len(e) == 0 })
	}
	return out
}

// multiply turns "one entry of each clause" into a list of conjunctions.
func multiply(clauses [][][]field) ([]conjunction, bool) {
	out := []conjunction{nil}
	for _, c := range clauses {
		var next []conjunction
		if len(out)*len(c) > maxConjunctions {
			return nil, false
		}
		for _, and := range out {
			for _, e := range c {
				next = append(next, slices.Concat(and, e))
			}
		}
		out = next
	}
	return out, true
}

// key is the same for two fields exactly when they look at the same and have the
// same values, whatever the order.
func (f *field) key() string {
	parts := make([]string, len(f.values))
	for i := range f.values {
		parts[i] = f.values[i].key()
	}
	slices.Sort(parts)
	return strconv.Itoa(int(f.of.kind)) + strconv.Quote(f.of.name) + strings.Join(slices.Compact(parts), "|")
}

func (m *valueMatcher) key() string {
	k := strconv.Itoa(int(m.op)) + strconv.Quote(m.text) + strconv.Quote(m.more) + strings.Join(m.pieces, "*")
	switch m.op {
	case opBlock:
		k += m.block.Masked().String()
	case opPort:
		k += strconv.Itoa(int(m.port))
	case opIssuerSubject:
		k += m.iss.key() + m.sub.key()
	default:
	}
	return k
}

// literal is the key of a field and whether it is negated.
func (f *field) literal() string {
	if f.negative {
		return "!" + f.key()
	}
	return f.key()
}

// key of a conjunction; the order of its fields does not matter.
func (c conjunction) key() string {
	parts := make([]string, len(c))
	for i := range c {
		parts[i] = c[i].literal()
	}
	slices.Sort(parts)
	return strings.Join(slices.Compact(parts), "&")
}

// join joins the groups of one key.
func join(groups []group) []group {
	slices.SortStableFunc(groups, func(a, b group) int { return cmp.Compare(a.key, b.key) })
	var out []group
	for _, g := range groups {
		if n := len(out); n > 0 && out[n-1].key == g.key {
			out[n-1].ands = append(out[n-1].ands, g.ands...)
			continue
		}
		out = append(out, group{g.key, slices.Clone(g.ands)})
	}
	return out
}

// distinct takes out of each group what is said twice, and of groups that decide
// the same leaves one.
func distinct(groups []group) []group {
	seen := map[string]bool{}
	var out []group
	for _, g := range groups {
		keys := map[string]bool{}
		var all []string
		g.ands = slices.DeleteFunc(g.ands, func(c conjunction) bool {
			k := c.key()
			if keys[k] {
				return true
			}
			keys[k] = true
			all = append(all, k)
			return false
		})
		slices.Sort(all)
		if k := strings.Join(all, "\n"); len(g.ands) > 0 && !seen[k] {
			seen[k] = true
			out = append(out, g)
		}
	}
	return out
}
