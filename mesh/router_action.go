package mesh

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// RouteAction is what a route does with a request, in a normal form: equal actions are equal values. Durations are
// nanoseconds, shares are parts per million.
type RouteAction struct {
	// NotFound: no route matches, the answer is 404.
	NotFound bool `json:",omitempty"`
	// Destinations are sorted; their weights have no common divisor, and a single one has weight 1.
	Destinations []RouteDestination `json:",omitempty"`
	Redirect     *RouteRedirect     `json:",omitempty"`
	// Direct is an answer of the proxy itself.
	Direct *RouteResponse `json:",omitempty"`
	// Path is what becomes of the path on the way to the destination.
	Path PathChange `json:",omitzero"`
	// Timeout of the whole request; 0 is none.
	Timeout int64 `json:",omitempty"`
	// Retries is nil when nothing is tried again.
	Retries *RouteRetries `json:",omitempty"`
	Mirrors []RouteMirror `json:",omitempty"`
	Delay   *RouteFault   `json:",omitempty"`
	Abort   *RouteFault   `json:",omitempty"`
	CORS    *RouteCORS    `json:",omitempty"`
	// Response is what becomes of the headers of a redirect or an answer of the proxy.
	Response []HeaderEffect `json:",omitempty"`
	// ForwardsHost: a rewrite of the host may add x-forwarded-host, which the mesh's proxy headers decide.
	ForwardsHost bool `json:",omitempty"`
	// order are the destinations as they stand, and whether there is a choice.
	order []string
}

// RouteDestination is where a share of the requests goes.
type RouteDestination struct {
	Host, Subset string
	Port         int32
	Weight       int64
	// Authority replaces the Host header when it is not empty.
	Authority string `json:",omitempty"`
	// Missing is the status when nothing declares the host; 0 when something does (route.go, ClusterNotFoundResponseCode).
	Missing  int            `json:",omitempty"`
	Request  []HeaderEffect `json:",omitempty"`
	Response []HeaderEffect `json:",omitempty"`
}

// HeaderEffect is what becomes of one header: its values are dropped or stay, others come behind.
type HeaderEffect struct {
	Name   string
	Drop   bool     `json:",omitempty"`
	Values []string `json:",omitempty"`
}

// RouteRedirect is the answer that sends the client elsewhere.
type RouteRedirect struct {
	Code         uint32
	Scheme, Host string     `json:",omitempty"`
	Port         uint32     `json:",omitempty"`
	Path         PathChange `json:",omitzero"`
}

// RouteResponse is an answer of the proxy itself.
type RouteResponse struct {
	Status uint32
	Body   string `json:",omitempty"`
}

// RouteRetries is Envoy's retry policy.
type RouteRetries struct {
	Attempts uint32
	// On are the conditions, Codes the status codes; both sorted.
	On            []string `json:",omitempty"`
	Codes         []int    `json:",omitempty"`
	PerTryTimeout int64    `json:",omitempty"`
	// OtherHosts: hosts that were tried are avoided; RemoteLocalities: other localities are tried.
	OtherHosts, RemoteLocalities bool  `json:",omitempty"`
	Backoff                      int64 `json:",omitempty"`
}

// RouteMirror is where a copy of a share of the requests goes.
type RouteMirror struct {
	Host, Subset string
	Port         int32
	Share        uint32
}

// RouteFault is a delay, or a status of HTTP or gRPC, for a share of the requests.
type RouteFault struct {
	Share      uint32
	Delay      int64  `json:",omitempty"`
	HTTPStatus int32  `json:",omitempty"`
	GRPCStatus string `json:",omitempty"`
}

// RouteCORS is the policy for requests of browsers.
type RouteCORS struct {
	// Origins are "exact X", "prefix X" or "regex X", sorted.
	Origins                []string `json:",omitempty"`
	Methods, Headers       string   `json:",omitempty"`
	Expose                 string   `json:",omitempty"`
	MaxAge                 string   `json:",omitempty"`
	Credentials            bool     `json:",omitempty"`
	ForwardOtherPreflights bool     `json:",omitempty"`
}

// pathChangeKind is how a path is changed.
type pathChangeKind uint8

const (
	pathStays pathChangeKind = iota
	// pathWhole: the whole path is replaced.
	pathWhole
	// pathPrefix: what the condition matched is replaced.
	pathPrefix
	// pathStrip: what the condition matched goes, with the slash behind it; one slash is put instead.
	pathStrip
	// pathPattern: what a regular expression matches is replaced.
	pathPattern
)

// PathChange is what becomes of a path. Compare values only for requests with the same conditions on their paths:
// see Router.Route.
type PathChange struct {
	kind pathChangeKind
	// matched is what the condition matched, for pathPattern the expression.
	matched, with string
	// fold: the condition ignores the case of letters.
	fold bool
}

// MarshalJSON writes the change as text.
func (p PathChange) MarshalJSON() ([]byte, error) { return json.Marshal(p.String()) }

// IsZero tells whether the path stays as it is.
func (p PathChange) IsZero() bool { return p.kind == pathStays }

// String is the change in words.
func (p PathChange) String() string {
	switch p.kind {
	case pathWhole:
		return strconv.Quote(p.with)
	case pathPrefix:
		return fmt.Sprintf("%q instead of the first %d bytes", p.with, len(p.matched))
	case pathStrip:
		return fmt.Sprintf("without %q", p.matched)
	case pathPattern:
		return fmt.Sprintf("%q for what matches %q", p.with, p.matched)
	case pathStays:
	}
	return "unchanged"
}

// on is the change for one path, or for all paths that match the same conditions as the given one, in a normal form:
// equal texts mean equal changes there.
func (p PathChange) on(path string, exact bool) PathChange {
	if p.kind == pathStrip {
		// "^PREFIX(/?)(.*)" becomes "/" and the rest; a condition on segments is met by the prefix itself or goes on
		// with a slash.
		if len(path) > len(p.matched) {
			p = PathChange{kind: pathPrefix, matched: path[:len(p.matched)] + "/", with: "/", fold: p.fold}
		} else {
			p = PathChange{kind: pathWhole, with: "/"}
		}
	}
	if exact && !strings.ContainsAny(p.with, "?#") {
		// Of a single path the result says all.
		switch p.kind {
		case pathPrefix:
			p = PathChange{kind: pathWhole, with: p.with + path[min(len(path), len(p.matched)):]}
		case pathStays:
			p = PathChange{kind: pathWhole, with: path}
		case pathPattern:
			// RE2 writes groups as \1 and the whole match as \0.
			if re, err := regexp.Compile(p.matched); err == nil {
				with := groupReference.ReplaceAllString(strings.ReplaceAll(p.with, "$", "$$"), "$${$1}")
				p = PathChange{kind: pathWhole, with: re.ReplaceAllString(path, with)}
			}
		default:
		}
		if p.kind == pathWhole && p.with == path {
			return PathChange{}
		}
		return p
	}
	if p.kind != pathPrefix {
		return p
	}
	m, w := p.matched, p.with
	for m != "" && w != "" && m[len(m)-1] == w[len(w)-1] && (!p.fold || !isLetter(m[len(m)-1])) {
		m, w = m[:len(m)-1], w[:len(w)-1]
	}
	if m == "" && w == "" {
		return PathChange{}
	}
	return PathChange{kind: pathPrefix, matched: m, with: w}
}

// groupReference is a group in what replaces a match of RE2.
var groupReference = regexp.MustCompile(`\\([0-9])`)

func isLetter(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' }

// key is the same for equal actions.
func (a *RouteAction) key() string {
	b, err := json.Marshal(a)
	if err != nil {
		return fmt.Sprintf("%#v", a)
	}
	return string(b)
}

// String is the action in words, only what is not the default.
func (a RouteAction) String() string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	switch {
	case a.NotFound:
		return "404"
	case a.Redirect != nil:
		add("redirect %d", a.Redirect.Code)
		for _, p := range []struct{ name, value string }{{"scheme", a.Redirect.Scheme}, {"host", a.Redirect.Host}} {
			if p.value != "" {
				add("%s %s", p.name, p.value)
			}
		}
		if a.Redirect.Port != 0 {
			add("port %d", a.Redirect.Port)
		}
		if !a.Redirect.Path.IsZero() {
			add("path %s", a.Redirect.Path)
		}
	case a.Direct != nil:
		add("answer %d", a.Direct.Status)
		if a.Direct.Body != "" {
			add("body %q", a.Direct.Body)
		}
	}
	for _, d := range a.Destinations {
		add("%s", d.text(len(a.Destinations) > 1))
	}
	if !a.Path.IsZero() {
		add("path %s", a.Path)
	}
	if a.Timeout != 0 {
		add("timeout %s", durationText(a.Timeout))
	}
	if a.Retries == nil && len(a.Destinations) > 0 {
		add("no retries")
	} else if a.Retries != nil && !a.Retries.isDefault() {
		add("retries %s", jsonText(a.Retries))
	}
	for _, m := range a.Mirrors {
		add("mirror %s", jsonText(m))
	}
	for _, f := range []*RouteFault{a.Delay, a.Abort} {
		if f != nil {
			add("fault %s", jsonText(f))
		}
	}
	if a.CORS != nil {
		add("cors %s", jsonText(a.CORS))
	}
	if len(a.Response) > 0 {
		add("response headers %s", jsonText(a.Response))
	}
	return strings.Join(parts, ", ")
}

func (d RouteDestination) text(weighted bool) string {
	s := destination{host: d.Host, subset: d.Subset, port: d.Port}.String()
	if weighted {
		s += fmt.Sprintf(" weight %d", d.Weight)
	}
	if d.Missing != 0 {
		s += fmt.Sprintf(" (not declared: %d)", d.Missing)
	}
	if d.Authority != "" {
		s += " as " + d.Authority
	}
	if len(d.Request) > 0 {
		s += " request headers " + jsonText(d.Request)
	}
	if len(d.Response) > 0 {
		s += " response headers " + jsonText(d.Response)
	}
	return s
}

func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// durationText writes nanoseconds as seconds: "1.5s".
func durationText(ns int64) string {
	return strconv.FormatFloat(float64(ns)/1e9, 'f', -1, 64) + "s"
}

// headerPhase is one list of operations that Envoy applies together: what is removed goes first, then what is
// set is set, then what is added is added (source/common/router/header_parser.cc).
type headerPhase struct {
	remove   []string
	set, add []headerValue
}

type headerValue struct{ name, value string }

// headerEffects are the phases in a normal form. A value with a command of Envoy may look at what another phase did, so
// that then the phases themselves count.
func headerEffects(phases ...headerPhase) []HeaderEffect {
	byName := map[string]*HeaderEffect{}
	var names []string
	at := func(name string) *HeaderEffect {
		name = strings.ToLower(name)
		if byName[name] == nil {
			byName[name] = &HeaderEffect{Name: name}
			names = append(names, name)
		}
		return byName[name]
	}
	commands := false
	for _, p := range phases {
		for _, n := range p.remove {
			e := at(n)
			e.Drop, e.Values = true, nil
		}
		for _, v := range p.set {
			commands = commands || strings.Contains(v.value, "%")
			if v.value != "" { // Envoy drops operations with empty values.
				e := at(v.name)
				e.Drop, e.Values = true, []string{v.value}
			}
		}
		for _, v := range p.add {
			commands = commands || strings.Contains(v.value, "%")
			if v.value != "" {
				e := at(v.name)
				e.Values = append(e.Values, v.value)
			}
		}
	}
	slices.Sort(names)
	var out []HeaderEffect
	for _, n := range names {
		if e := byName[n]; e.Drop || len(e.Values) > 0 {
			out = append(out, *e)
		}
	}
	if commands && len(phases) > 0 {
		out = append(out, HeaderEffect{Name: "", Values: []string{fmt.Sprintf("%+v", phases)}})
	}
	return out
}

func compareRouteDestination(a, b RouteDestination) int {
	return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Subset, b.Subset), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Authority, b.Authority),
		cmp.Compare(jsonText(a.Request), jsonText(b.Request)), cmp.Compare(jsonText(a.Response), jsonText(b.Response)))
}
