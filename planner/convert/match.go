package convert

import (
	"fmt"
	"maps"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// Limits of the Gateway API and of istiod (facts C-03; pkg/config/validation/validation.go, validateStringRegexp).
const (
	maxRegex       = 1024
	maxPath        = 1024
	maxHeaderValue = 4096
	maxQueryValue  = 1024
	maxName        = 256
	maxList        = 16
)

// tokenPattern is what a name of a header or query parameter may be in the Gateway API.
var tokenPattern = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+\\-.^_`|~]+$")

// methods that HTTPRoute knows.
var methods = []string{"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}

// matchReader reads one HTTPMatchRequest.
type matchReader struct {
	*notes
	object *api.Object
	path   string // of the match, as in "spec.http[0].match[1]"
}

func (r matchReader) keep(field, fact, why string) {
	r.notes.keep(r.object, r.path+"."+field, fact, why)
}
func (r matchReader) drop(field, fact, why string) {
	r.notes.drop(r.object, r.path+"."+field, fact, why)
}
func (r matchReader) block(field, fact, why, remedy string) {
	r.notes.block(r.object, r.path+"."+field, fact, why, remedy)
}

// meshMatch tells whether a match is read for mesh traffic at all: one that names gateways must name "mesh"
// (facts C-27; route.go, sourceMatchHTTP).
func meshMatch(gateways []string) bool {
	return len(gateways) == 0 || slices.Contains(gateways, "mesh")
}

// conditions of a match: one, or one for each method that it lists. They mean nothing when something was kept or
// blocked on the way.
func (r matchReader) conditions(m *networking.HTTPMatchRequest) []condition {
	r.source(m)
	for _, f := range []struct {
		name  string
		match *networking.StringMatch
	}{{"scheme", m.GetScheme()}, {"authority", m.GetAuthority()}} {
		if f.match != nil {
			r.checked(f.name, f.match, true)
			r.keep(f.name, "C-24", "a route of a Service cannot match on "+f.name)
		}
	}
	if len(m.GetWithoutHeaders()) > 0 {
		for _, name := range slices.Sorted(maps.Keys(m.GetWithoutHeaders())) {
			if v := m.GetWithoutHeaders()[name]; v.GetRegex() != "*" {
				r.checked("withoutHeaders."+name, v, true)
			}
		}
		r.keep("withoutHeaders", "C-20", "a route cannot match on what a request does not have")
	}
	if m.GetName() != "" {
		r.drop("name", "C-27", "it names the route in telemetry and access logs only; routes are named after their rule")
	}
	if m.GetStatPrefix() != "" {
		r.drop("statPrefix", "C-27", "it adds statistics with a name of their own, which no route of the Gateway API has; traffic is the same")
	}
	if len(m.GetGateways()) > 0 {
		r.drop("gateways", "C-27", "routes of a Service hold for the mesh; what is for other gateways stays in the VirtualService")
	}
	if m.GetIgnoreUriCase() && m.GetUri() == nil {
		r.drop("ignoreUriCase", "C-17", "it has no effect without uri")
	}
	c := condition{path: r.uri(m)}
	c.headers = r.named("headers", m.GetHeaders())
	c.queries = r.named("queryParams", m.GetQueryParams())
	var out []condition
	for _, method := range r.methods(m.GetMethod()) {
		one := c
		one.method = method
		out = append(out, one)
	}
	return out
}

// source looks at conditions on the caller, which a waypoint does not know.
func (r matchReader) source(m *networking.HTTPMatchRequest) {
	const remedy = "give these callers a Service of their own, or drop the condition"
	if len(m.GetSourceLabels()) > 0 {
		r.block("sourceLabels", "C-25", "it matches on labels of the caller; a waypoint drops the match, and no route has one like it", remedy)
	}
	if m.GetSourceNamespace() != "" {
		r.block("sourceNamespace", "C-26", "it matches on the namespace of the caller; a waypoint compares its own namespace, and no route has one like it", remedy)
	}
}

// checked reads a StringMatch as istiod's validation does; false means that istiod refuses it. An empty prefix is
// refused everywhere but in uri.
func (r matchReader) checked(field string, m *networking.StringMatch, prefixMust bool) (text, bool) {
	const remedy = "correct the VirtualService; istiod refuses it as it is"
	switch v := m.GetMatchType().(type) {
	case *networking.StringMatch_Exact:
		return text{kind: isExact, value: v.Exact}, true
	case *networking.StringMatch_Prefix:
		if v.Prefix == "" && prefixMust {
			r.block(field, "C-19", "an empty prefix is no condition", remedy)
			return text{}, false
		}
		return text{kind: hasPrefix, value: v.Prefix}, true
	case *networking.StringMatch_Regex:
		switch {
		case v.Regex == "":
			r.block(field, "C-16", "an empty regular expression is no condition", remedy)
			return text{}, false
		case len(v.Regex) > maxRegex:
			r.block(field, "C-16", fmt.Sprintf("the regular expression has %d characters, istiod takes %d", len(v.Regex), maxRegex), remedy)
			return text{}, false
		}
		t, err := newRegex(v.Regex)
		if err != nil {
			r.block(field, "C-16", fmt.Sprintf("the regular expression does not compile: %v", err), remedy)
			return text{}, false
		}
		return t, true
	}
	return text{kind: isPresent}, true
}

// uri of a match; without one every path fits (facts C-14 to C-17).
func (r matchReader) uri(m *networking.HTTPMatchRequest) text {
	everyPath := text{kind: hasPrefix, value: "/"}
	if m.GetUri() == nil {
		return everyPath
	}
	t, ok := r.checked("uri", m.GetUri(), false)
	switch {
	case !ok:
		return everyPath
	case t.kind == isPresent:
		r.drop("uri", "C-14", "it has no condition, so every path fits")
		return everyPath
	case t.kind == isExact && t.value == "":
		r.keep("uri", "C-14", "no request has an empty path, and no route can say so")
		return everyPath
	case t.kind == hasPrefix && t.value == "":
		any, _ := newRegex(".*")
		return any
	}
	if t.kind == isRegex {
		if m.GetIgnoreUriCase() {
			r.drop("ignoreUriCase", "C-17", "it has no effect on a regular expression")
		}
		return t
	}
	if m.GetIgnoreUriCase() {
		pattern := ignoringCase(t.value)
		if pattern == regexp.QuoteMeta(t.value) {
			r.drop("ignoreUriCase", "C-17", "the path has no letters")
			return t
		}
		if t.kind == hasPrefix {
			pattern += ".*"
		}
		if len(pattern) > maxPath {
			r.keep("uri", "C-17", fmt.Sprintf("a path without case needs a regular expression of %d characters, and a route takes %d", len(pattern), maxPath))
			return everyPath
		}
		folded, err := newRegex(pattern)
		if err != nil {
			r.keep("uri", "C-17", fmt.Sprintf("the path cannot be written as a regular expression: %v", err))
			return everyPath
		}
		return folded
	}
	return t
}

// ignoringCase is a regular expression for a text whose ASCII letters may have either case, as Envoy compares paths;
// (?i) would also take letters outside of ASCII.
func ignoringCase(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z':
			b.WriteString("[" + string(rune(c)) + string(rune(c-'a'+'A')) + "]")
		case 'A' <= c && c <= 'Z':
			b.WriteString("[" + string(rune(c-'A'+'a')) + string(rune(c)) + "]")
		case c < 0x80:
			b.WriteString(regexp.QuoteMeta(string(rune(c))))
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// named reads headers or query parameters (facts C-18, C-19, C-21).
func (r matchReader) named(field string, in map[string]*networking.StringMatch) []named {
	limit, fact := maxHeaderValue, "C-18"
	if field == "queryParams" {
		limit, fact = maxQueryValue, "C-21"
	}
	var out []named
	lower := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(in)) {
		at := field + "." + name
		t, ok := r.checked(at, in[name], true)
		switch {
		case !ok:
			continue
		case name == "":
			r.block(field, fact, "a condition has no name", "correct the VirtualService; istiod refuses it as it is")
			continue
		case field == "headers" && strings.HasPrefix(strings.ToLower(name), "@request.auth.claims"):
			r.block(at, "C-18", "istiod reads conditions on claims of a token at gateways only", "match on a header that RequestAuthentication sets with outputClaimToHeaders")
			continue
		case strings.HasPrefix(name, ":"):
			r.keep(at, "C-24", "a route cannot match on a pseudo header")
			continue
		case !tokenPattern.MatchString(name) || len(name) > maxName:
			r.keep(at, fact, "the Gateway API does not take the name")
			continue
		case field == "headers" && lower[strings.ToLower(name)]:
			r.keep(at, fact, "the same header is matched twice, under names that differ in case only")
			continue
		}
		lower[strings.ToLower(name)] = true
		if n := len(pattern(t)); n > limit {
			r.keep(at, fact, fmt.Sprintf("the value needs %d characters, and a route takes %d", n, limit))
			continue
		}
		out = append(out, named{name, t})
	}
	if len(out) > maxList {
		r.keep(field, "C-03", fmt.Sprintf("it has %d conditions, and a route takes %d", len(out), maxList))
	}
	return out
}

// pattern is a condition as a regular expression, or the value itself for an exact one.
func pattern(t text) string {
	switch {
	case t.kind == isExact && t.value != "":
		return t.value
	case t.kind == isExact:
		return "^$"
	case t.kind == hasPrefix:
		return regexp.QuoteMeta(t.value) + ".*"
	case t.kind == isRegex:
		return t.value
	}
	return ".*"
}

// exactly tells whether a condition on a value is exact in a route too; an empty value is not one there.
func exactly(t text) bool { return t.kind == isExact && t.value != "" }

// methods that a match takes: "" for any (facts C-22).
func (r matchReader) methods(m *networking.StringMatch) []string {
	if m == nil {
		return []string{""}
	}
	t, ok := r.checked("method", m, true)
	if !ok {
		return []string{""}
	}
	var list []string
	switch t.kind {
	case isPresent:
		r.drop("method", "C-22", "it has no condition, so every method fits")
		return []string{""}
	case isExact:
		list = []string{t.value}
	case isRegex:
		list = words(t.value)
	}
	for _, w := range list {
		if !slices.Contains(methods, w) {
			list = nil
			break
		}
	}
	if len(list) == 0 {
		r.keep("method", "C-22", "a route matches on one of "+strings.Join(methods, ", ")+" only")
		return []string{""}
	}
	return list
}

// words are the texts that a regular expression matches when it is a list of words such as "GET|PUT"; nil when it is
// more than that.
func words(pattern string) []string {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil
	}
	list := expand(re, 0)
	slices.Sort(list)
	return slices.Compact(list)
}

const maxWords = 32

// expand lists what an expression matches; nil when that is not a short list.
func expand(re *syntax.Regexp, depth int) []string {
	if depth > 32 {
		return nil
	}
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginText, syntax.OpEndText:
		return []string{""}
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase != 0 {
			return nil
		}
		return []string{string(re.Rune)}
	case syntax.OpCharClass:
		var out []string
		for i := 0; i+1 < len(re.Rune); i += 2 {
			for c := re.Rune[i]; c <= re.Rune[i+1]; c++ {
				if out = append(out, string(c)); len(out) > maxWords {
					return nil
				}
			}
		}
		return out
	case syntax.OpCapture:
		return expand(re.Sub[0], depth+1)
	case syntax.OpQuest:
		if sub := expand(re.Sub[0], depth+1); sub != nil {
			return append(sub, "")
		}
	case syntax.OpAlternate:
		var out []string
		for _, s := range re.Sub {
			sub := expand(s, depth+1)
			if sub == nil || len(out)+len(sub) > maxWords {
				return nil
			}
			out = append(out, sub...)
		}
		return out
	case syntax.OpConcat:
		out := []string{""}
		for _, s := range re.Sub {
			sub := expand(s, depth+1)
			if sub == nil || len(out)*len(sub) > maxWords {
				return nil
			}
			var next []string
			for _, a := range out {
				for _, b := range sub {
					next = append(next, a+b)
				}
			}
			out = next
		}
		return out
	}
	return nil
}

// headerMatches and queryMatches are conditions as routes write them.
func headerMatches(in []named) []gwv1.HTTPHeaderMatch {
	var out []gwv1.HTTPHeaderMatch
	for _, n := range in {
		kind := gwv1.HeaderMatchRegularExpression
		if exactly(n.text) {
			kind = gwv1.HeaderMatchExact
		}
		out = append(out, gwv1.HTTPHeaderMatch{Type: &kind, Name: gwv1.HTTPHeaderName(n.name), Value: pattern(n.text)})
	}
	return out
}

func queryMatches(in []named) []gwv1.HTTPQueryParamMatch {
	var out []gwv1.HTTPQueryParamMatch
	for _, n := range in {
		kind := gwv1.QueryParamMatchRegularExpression
		if exactly(n.text) {
			kind = gwv1.QueryParamMatchExact
		}
		out = append(out, gwv1.HTTPQueryParamMatch{Type: &kind, Name: gwv1.HTTPHeaderName(n.name), Value: pattern(n.text)})
	}
	return out
}

// matchesOf is where the matches of a rule are read; a rule without any has one that is nil.
func matchesOf(rule mesh.HTTPRule) []*networking.HTTPMatchRequest {
	if len(rule.Spec.GetMatch()) == 0 {
		return []*networking.HTTPMatchRequest{nil}
	}
	return rule.Spec.GetMatch()
}
