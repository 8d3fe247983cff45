package mesh

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// routePart is the part of a request that a condition looks at.
type routePart uint8

const (
	_ routePart = iota
	partPath
	partMethod
	partAuthority
	partScheme
	partHeader
	partQuery
)

// routeField is a part, and the name of the header or query parameter.
type routeField struct {
	part routePart
	name string
}

func compareRouteField(a, b routeField) int {
	return cmp.Or(cmp.Compare(a.part, b.part), cmp.Compare(a.name, b.name))
}

// routeOp is how a text is compared.
type routeOp uint8

const (
	routePresent routeOp = iota
	routeExact
	routePrefix
	// routeSegments is a prefix of whole path segments, Envoy's path_separated_prefix.
	routeSegments
	routeRegex
)

// routeCondition is one condition on one field.
type routeCondition struct {
	field routeField
	op    routeOp
	text  string
	// fold ignores the case of ASCII letters.
	fold bool
	// invert turns the answer around; without missingEmpty a missing value does not match all the same.
	invert, missingEmpty bool
	re                   *regexp.Regexp
}

// routeConditions all have to hold. unknown says why it is not known whether they do.
type routeConditions struct {
	all     []routeCondition
	unknown string
}

// compileConditions translates a condition of a rule as istiod does; nil matches every request. Source:
// TranslateRouteMatch of pilot/pkg/networking/core/route/route.go, and Envoy's RouteMatch (source/common/router).
func compileConditions(m *networking.HTTPMatchRequest, gateway bool) routeConditions {
	var out routeConditions
	path := routeCondition{field: routeField{part: partPath}, op: routePrefix, text: "/"}
	if u := m.GetUri(); u != nil {
		path = out.pathCondition(u, m.GetIgnoreUriCase(), gateway)
	}
	out.all = append(out.all, path)
	for _, p := range []struct {
		part routePart
		m    *networking.StringMatch
	}{{partMethod, m.GetMethod()}, {partAuthority, m.GetAuthority()}, {partScheme, m.GetScheme()}} {
		if p.m != nil {
			out.add(routeField{part: p.part}, p.m, false)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(m.GetHeaders())) {
		out.header(k, m.GetHeaders()[k], false)
	}
	for _, k := range slices.Sorted(maps.Keys(m.GetWithoutHeaders())) {
		out.header(k, m.GetWithoutHeaders()[k], true)
	}
	for _, k := range slices.Sorted(maps.Keys(m.GetQueryParams())) {
		out.add(routeField{partQuery, k}, m.GetQueryParams()[k], false)
	}
	return out
}

// pathCondition: a prefix of a Gateway API route means whole segments, but for "/" (facts C-15). Envoy ignores the case
// for all but regular expressions (facts C-17).
func (c *routeConditions) pathCondition(u *networking.StringMatch, fold, gateway bool) routeCondition {
	out := routeCondition{field: routeField{part: partPath}, fold: fold}
	switch t := u.GetMatchType().(type) {
	case *networking.StringMatch_Exact:
		out.op, out.text = routeExact, t.Exact
	case *networking.StringMatch_Prefix:
		out.op, out.text = routePrefix, t.Prefix
		if gateway && t.Prefix != "/" {
			out.op, out.text = routeSegments, strings.TrimSuffix(t.Prefix, "/")
		}
	case *networking.StringMatch_Regex:
		out.op, out.text, out.fold = routeRegex, t.Regex, false
	default:
		// A matcher without a value is the default one.
		out.op, out.text = routePrefix, "/"
	}
	if !c.compile(&out) {
		out = routeCondition{field: out.field, op: routePrefix, text: "/"}
	}
	return out
}

// header adds a condition on a header, or on its absence. Claims of tokens are looked up in what another filter says,
// which is not modelled.
func (c *routeConditions) header(name string, m *networking.StringMatch, without bool) {
	lower := strings.ToLower(name)
	f := routeField{partHeader, lower}
	switch {
	case strings.HasPrefix(lower, "@request.auth.claims"):
		c.doubt("conditions on claims of tokens are not modelled")
		return
	case lower == ":method":
		f = routeField{part: partMethod}
	case lower == ":authority", lower == "host":
		f = routeField{part: partAuthority}
	case lower == ":scheme":
		f = routeField{part: partScheme}
	case strings.HasPrefix(lower, ":") || lower == "":
		c.doubt(fmt.Sprintf("a condition on header %q is not modelled", name))
		return
	}
	c.add(f, m, without)
}

// add adds a condition; a match without value, or for the regular expression "*", asks for presence
// (canBeConvertedToPresentMatch). A header that must not match may be missing (TreatMissingHeaderAsEmpty, facts C-20).
func (c *routeConditions) add(f routeField, m *networking.StringMatch, without bool) {
	out := routeCondition{field: f, invert: without, missingEmpty: without}
	switch t := m.GetMatchType().(type) {
	case *networking.StringMatch_Exact:
		out.op, out.text = routeExact, t.Exact
	case *networking.StringMatch_Prefix:
		out.op, out.text = routePrefix, t.Prefix
	case *networking.StringMatch_Regex:
		out.op, out.text = routeRegex, t.Regex
		if t.Regex == "*" {
			out.op, out.text, out.missingEmpty = routePresent, "", false
		}
	default:
		out.missingEmpty = false
	}
	if c.compile(&out) {
		c.all = append(c.all, out)
	}
}

// compile makes a condition ready, and tells whether it is known; what is not known may hold for every value, so that it
// must rule nothing out.
func (c *routeConditions) compile(out *routeCondition) bool {
	switch {
	case strings.ContainsFunc(out.text, func(r rune) bool { return r > '~' || r < ' ' }):
		c.doubt(fmt.Sprintf("%q is not plain ASCII", out.text))
		return false
	case (out.op == routePrefix || out.op == routeRegex) && out.text == "" && out.field.part != partPath:
		c.doubt("Envoy refuses an empty prefix or regular expression")
		return false
	case out.op == routeSegments && (len(out.text) < 2 || strings.ContainsAny(out.text, "?#")):
		c.doubt(fmt.Sprintf("Envoy refuses %q as a prefix of segments", out.text))
		return false
	case out.op != routeRegex:
		return true
	}
	re, err := regexp.Compile(out.text)
	if err != nil || namesRareLetters(out.text) {
		c.doubt(fmt.Sprintf("regular expression %q does not compile, or names letters that are not ASCII", out.text))
		return false
	}
	re.Longest()
	out.re = re
	return true
}

func (c *routeConditions) doubt(why string) {
	if c.unknown == "" {
		c.unknown = why
	}
}

// hold tells whether no condition that is known rules a request out.
func (c *routeConditions) hold(req *RouteRequest) bool {
	for i := range c.all {
		v, present := req.value(c.all[i].field)
		if !c.all[i].holds(v, present) {
			return false
		}
	}
	return true
}

// path is the condition on the path.
func (c *routeConditions) path() routeCondition {
	for _, a := range c.all {
		if a.field.part == partPath {
			return a
		}
	}
	return routeCondition{field: routeField{part: partPath}, op: routePrefix, text: "/"}
}

// value of a field of a request.
func (r *RouteRequest) value(f routeField) (string, bool) {
	switch f.part {
	case partPath:
		return r.Path, true
	case partMethod:
		return r.Method, true
	case partAuthority:
		return r.Authority, true
	case partScheme:
		return r.Scheme, true
	case partHeader:
		v, ok := r.Headers[f.name]
		return v, ok
	case partQuery:
		v, ok := r.Query[f.name]
		return v, ok
	}
	return "", false
}

// holds for a value.
func (c *routeCondition) holds(v string, present bool) bool {
	if c.op == routePresent {
		return present != c.invert
	}
	if !present && !c.missingEmpty {
		return false
	}
	return c.matches(v) != c.invert
}

func (c *routeCondition) matches(v string) bool {
	switch c.op {
	case routeExact:
		return len(v) == len(c.text) && c.startsWith(v)
	case routePrefix:
		return c.startsWith(v)
	case routeSegments:
		return c.startsWith(v) && (len(v) == len(c.text) || v[len(c.text)] == '/')
	case routeRegex:
		at := c.re.FindStringIndex(v)
		return at != nil && at[0] == 0 && at[1] == len(v)
	case routePresent:
	}
	return true
}

func (c *routeCondition) startsWith(v string) bool {
	return strings.HasPrefix(v, c.text) || c.fold && len(v) >= len(c.text) && equalFoldASCII(v[:len(c.text)], strings.ToLower(c.text))
}
