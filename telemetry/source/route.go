package source

import (
	"regexp"
	"slices"
	"strings"

	"github.com/ambientplan/ambientplan/telemetry/span"
)

// Route is a place of Alertmanager that asks for labels of alerts: a route, or an inhibition. A rewrite that changes
// which labels an alert has changes who gets it (observability.md 4.3).
type Route struct {
	File         string
	Line, Column int
	Object       Object
	// Receiver of a route, "" when it is that of the route around it, and for inhibitions.
	Receiver string
	// Matchers as they are written, of a route, or of the source and the target of an inhibition.
	Matchers []string
	// Labels that it asks for, sorted: those of matchers, group_by and equal.
	Labels []string
	// Inhibits says that it is an inhibition.
	Inhibits bool
}

var matcherName = regexp.MustCompile(`^\s*\{?\s*"?([a-zA-Z_][\w.]*)"?\s*(?:=~|!~|!=|=)`)

// routing reads the configuration of Alertmanager, in its own spelling or that of an AlertmanagerConfig.
func (r *reader) routing(doc *span.Node, o Object) {
	r.route(doc.Get("route"), o)
	for _, field := range []string{"inhibit_rules", "inhibitRules"} {
		for _, i := range doc.List(field) {
			route := Route{Object: o, Inhibits: true}
			for _, side := range []string{"source_match", "target_match", "source_match_re", "target_match_re", "source_matchers", "target_matchers", "sourceMatch", "targetMatch"} {
				route.matchers(i.Get(side))
			}
			for _, l := range i.List("equal") {
				route.asks(l.Str())
			}
			r.routed(route, i)
		}
	}
}

// route adds a route and those in it. The YAML is as deep as span allows, so this ends.
func (r *reader) route(n *span.Node, o Object) {
	if n == nil {
		return
	}
	route := Route{Object: o, Receiver: n.Str("receiver")}
	for _, field := range []string{"match", "match_re", "matchers"} {
		route.matchers(n.Get(field))
	}
	for _, field := range []string{"group_by", "groupBy"} {
		for _, l := range n.List(field) {
			route.asks(l.Str())
		}
	}
	r.routed(route, n)
	for _, inner := range n.List("routes") {
		r.route(inner, o)
	}
}

// matchers in any of the spellings: a map, a list of texts, a list of objects of AlertmanagerConfig.
func (route *Route) matchers(n *span.Node) {
	for _, m := range n.Map() {
		route.Matchers = append(route.Matchers, m.Key.String+"="+m.Value.Str())
		route.asks(m.Key.String)
	}
	for _, m := range n.List() {
		if m.Is(span.String) {
			route.Matchers = append(route.Matchers, m.Text.String)
			for _, part := range strings.Split(strings.Trim(strings.TrimSpace(m.Text.String), "{}"), ",") {
				if name := matcherName.FindStringSubmatch(part); name != nil {
					route.asks(name[1])
				}
			}
		} else if name := m.Str("name"); name != "" {
			op := orElse(m.Str("matchType"), "=")
			if m.Str("regex") == "true" {
				op = "=~"
			}
			route.Matchers = append(route.Matchers, name+op+m.Str("value"))
			route.asks(name)
		}
	}
}

func (route *Route) asks(label string) {
	if label == "" || label == "..." || slices.Contains(route.Labels, label) {
		return
	}
	route.Labels = append(route.Labels, label)
	slices.Sort(route.Labels)
}

func (r *reader) routed(route Route, n *span.Node) {
	if len(route.Labels) == 0 {
		return
	}
	route.File = r.file.Path
	route.Line, route.Column = r.position(n.At)
	r.file.Routes = append(r.file.Routes, route)
}
