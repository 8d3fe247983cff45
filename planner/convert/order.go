package convert

import (
	"regexp"
	"slices"
	"strings"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// form is how the path of a condition is written in a route.
type form int

const (
	// plain: Exact, PathPrefix "/" or the regular expression that it is.
	plain form = iota
	// expression: RegularExpression, which ranks below Exact and PathPrefix and whose length can be chosen.
	expression
	// segments: PathPrefix for a prefix that ends in "/"; it also takes the path without that slash, for which other
	// entries must stand before it.
	segments
)

// entry is one condition of one rule on its way into a route. The list of entries is in the order of the
// VirtualServices: the first that fits a request decides.
type entry struct {
	condition
	rule *rule
	// variant tells apart what the same rule does for different kinds of paths, such as rewriting a prefix or a path.
	variant variant
	form    form
	// fixed: the form must not change, since a filter of the rule needs it.
	fixed bool
	// pad makes the regular expression longer, so that it ranks higher.
	pad int
	// object is the number of the route object that holds the entry.
	object int
}

// rank is what istiod sorts the matches of routes by, the highest first: exact, prefix, regular expression; length of
// the path; method present; number of headers; of query parameters. Ties stay in the order of the objects' creation
// and within an object in its own (facts C-02).
// Source: pilot/pkg/config/kube/gateway/conversion.go (sortHTTPRoutes).
type rank [5]int

func (r rank) compare(o rank) int { return slices.Compare(r[:], o[:]) }

// pathPattern is what an Exact or PathPrefix path may be: the Gateway API refuses others (GW apis/v1/httproute_types.go).
var pathPattern = regexp.MustCompile(`^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$`)

func validPath(p string) bool {
	if !strings.HasPrefix(p, "/") || len(p) > maxPath || !pathPattern.MatchString(p) || strings.HasSuffix(p, "/..") || strings.HasSuffix(p, "/.") {
		return false
	}
	for _, bad := range []string{"//", "/./", "/../", "%2f", "%2F"} {
		if strings.Contains(p, bad) {
			return false
		}
	}
	return true
}

// everyPath tells whether a path condition is prefix "/", which is the same in a route.
func everyPath(t text) bool { return t.kind == hasPrefix && t.value == "/" }

// natural is the form that an entry has when nothing about its rank speaks against it.
func natural(t text) form {
	if everyPath(t) || t.kind == isExact && validPath(t.value) {
		return plain
	}
	return expression
}

// pathMatch writes the path of an entry.
func (e *entry) pathMatch() *gwv1.HTTPPathMatch {
	kind, value := gwv1.PathMatchRegularExpression, strings.Repeat("^", e.pad)
	switch {
	case e.form == segments:
		kind, value = gwv1.PathMatchPathPrefix, strings.TrimSuffix(e.path.value, "/")
	case e.form == plain && e.path.kind == isExact:
		kind, value = gwv1.PathMatchExact, e.path.value
	case e.form == plain && everyPath(e.path):
		kind, value = gwv1.PathMatchPathPrefix, "/"
	case e.path.kind == isExact:
		value += regexp.QuoteMeta(e.path.value)
	default:
		value += pattern(e.path)
	}
	return &gwv1.HTTPPathMatch{Type: &kind, Value: &value}
}

func (e *entry) rank() rank {
	p := e.pathMatch()
	r := rank{1, len(*p.Value), 0, len(e.headers), len(e.queries)}
	switch *p.Type {
	case gwv1.PathMatchExact:
		r[0] = 3
	case gwv1.PathMatchPathPrefix:
		r[0] = 2
	}
	if e.method != "" {
		r[2] = 1
	}
	return r
}

// reachable drops the entries that no request comes to: an earlier one takes all of theirs. An entry behind one that
// takes every request is not even read by istiod.
func reachable(list []*entry) (left, dead []*entry) {
	for _, e := range list {
		if slices.ContainsFunc(left, func(earlier *entry) bool { return earlier.covers(e.condition) }) {
			dead = append(dead, e)
			continue
		}
		left = append(left, e)
	}
	return left, dead
}

// apart are the later entries that a request could also fit and that do something else, by index of the entry.
func apart(list []*entry) [][]int {
	out := make([][]int, len(list))
	for i, a := range list {
		for j := i + 1; j < len(list); j++ {
			b := list[j]
			if (a.rule != b.rule || a.variant != b.variant) && !a.disjoint(b.condition) {
				out[i] = append(out[i], j)
			}
		}
	}
	return out
}

// order chooses forms so that the order by rank is the written order for every two entries that a request could fit
// both; the second result is the pair for which that is not possible (facts C-02). Where the natural forms do not do,
// the later entry becomes a regular expression, and of two regular expressions the earlier one is made longer by
// anchors, which mean nothing at the start of an expression that must match the whole path.
func order(list []*entry) (ok bool, first, second *entry) {
	later := apart(list)
	for changed := true; changed; {
		changed = false
		ranks := make([]rank, len(list))
		for i := len(list) - 1; i >= 0; i-- {
			e := list[i]
			ranks[i] = e.rank()
			for _, j := range later[i] {
				l := list[j]
				if c := ranks[i].compare(ranks[j]); c > 0 || c == 0 && e.object == l.object {
					continue
				}
				if l.form != expression {
					if l.fixed {
						return false, e, l
					}
					l.form, changed = expression, true
					ranks[j] = l.rank()
				}
				if e.form != expression {
					if c := e.rank().compare(ranks[j]); c > 0 {
						continue
					}
					return false, e, l
				}
				e.pad += max(0, ranks[j][1]+1-ranks[i][1])
				ranks[i] = e.rank()
				if ranks[i][1] > maxPath {
					return false, e, l
				}
			}
		}
	}
	return true, nil, nil
}

// inOrder tells whether the order by rank is the written one for what order looked at; used to check its work.
func inOrder(list []*entry) bool {
	ranks := make([]rank, len(list))
	for i, e := range list {
		ranks[i] = e.rank()
	}
	for i, later := range apart(list) {
		for _, j := range later {
			if c := ranks[i].compare(ranks[j]); c < 0 || c == 0 && list[i].object != list[j].object {
				return false
			}
		}
	}
	return true
}
