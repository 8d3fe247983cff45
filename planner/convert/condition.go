package convert

import (
	"regexp"
	"slices"
	"strings"
)

// textKind is how a text is compared.
type textKind int

const (
	isPresent textKind = iota
	isExact
	hasPrefix
	isRegex
)

// text is a condition on one value, such as that of a header. The regular expression matches the whole value.
type text struct {
	kind  textKind
	value string
	// re, anchored, and the text that all it matches begins with are those of isRegex.
	re      *regexp.Regexp
	literal string
}

func newRegex(value string) (text, error) {
	re, err := regexp.Compile("^(?:" + value + ")$")
	if err != nil {
		return text{}, err
	}
	// The parentheses above could complete an expression that is broken on its own.
	if _, err := regexp.Compile(value); err != nil {
		return text{}, err
	}
	t := text{kind: isRegex, value: value, re: re}
	if bare, err := regexp.Compile(strings.TrimLeft(value, "^")); err == nil {
		t.literal, _ = bare.LiteralPrefix()
	}
	return t, nil
}

func (t text) equal(o text) bool { return t.kind == o.kind && t.value == o.value }

// start is a text that every value begins with that fits the condition.
func (t text) start() string {
	switch t.kind {
	case isExact, hasPrefix:
		return t.value
	case isRegex:
		return t.literal
	}
	return ""
}

// disjoint tells that no value fits both; false also means that nobody knows.
func (t text) disjoint(o text) bool {
	if o.kind == isExact {
		t, o = o, t
	}
	if t.kind == isExact {
		switch o.kind {
		case isExact:
			return t.value != o.value
		case hasPrefix:
			return !strings.HasPrefix(t.value, o.value)
		case isRegex:
			return !o.re.MatchString(t.value)
		}
		return false
	}
	a, b := t.start(), o.start()
	return !strings.HasPrefix(a, b) && !strings.HasPrefix(b, a)
}

// covers tells that every value that fits o fits t; false also means that nobody knows.
func (t text) covers(o text) bool {
	if t.kind == isPresent || t.equal(o) {
		return true
	}
	switch t.kind {
	case hasPrefix:
		return (o.kind == isExact || o.kind == hasPrefix) && strings.HasPrefix(o.value, t.value)
	case isRegex:
		return o.kind == isExact && t.re.MatchString(o.value)
	}
	return false
}

// named is a condition on a header or query parameter.
type named struct {
	name string
	text text
}

// condition is one condition of a rule of HTTP routes: all its parts hold.
type condition struct {
	// path without the query; hasPrefix "/" is every path but "*".
	path text
	// method is "" for any.
	method           string
	headers, queries []named
}

// disjoint tells that no request fits both; false also means that nobody knows.
func (c condition) disjoint(o condition) bool {
	if c.path.disjoint(o.path) || c.method != "" && o.method != "" && c.method != o.method {
		return true
	}
	return namedDisjoint(c.headers, o.headers, strings.EqualFold) || namedDisjoint(c.queries, o.queries, func(a, b string) bool { return a == b })
}

func namedDisjoint(as, bs []named, same func(a, b string) bool) bool {
	for _, a := range as {
		for _, b := range bs {
			if same(a.name, b.name) && a.text.disjoint(b.text) {
				return true
			}
		}
	}
	return false
}

// covers tells that every request that fits o fits c; false also means that nobody knows.
func (c condition) covers(o condition) bool {
	if c.path.kind == hasPrefix && c.path.value == "/" && o.path.kind != hasPrefix {
		if !strings.HasPrefix(o.path.start(), "/") {
			return false
		}
	} else if !c.path.covers(o.path) {
		return false
	}
	if c.method != "" && c.method != o.method {
		return false
	}
	return namedCovers(c.headers, o.headers, strings.EqualFold) && namedCovers(c.queries, o.queries, func(a, b string) bool { return a == b })
}

func namedCovers(wide, narrow []named, same func(a, b string) bool) bool {
	for _, w := range wide {
		if !slices.ContainsFunc(narrow, func(n named) bool { return same(w.name, n.name) && w.text.covers(n.text) }) {
			return false
		}
	}
	return true
}

// everything tells that istiod reads no rule after this one (facts C-02).
// Source: pilot/pkg/networking/core/route/route.go (IsCatchAllRoute).
func (c condition) everything() bool {
	all := c.path.kind == hasPrefix && c.path.value == "/" || c.path.kind == isRegex && c.path.value == ".*"
	return all && c.method == "" && len(c.headers) == 0 && len(c.queries) == 0
}
