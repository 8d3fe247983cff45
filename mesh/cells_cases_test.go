package mesh

import (
	"strings"
	"testing"

	security "istio.io/api/security/v1beta1"
)

// TestCellsOf shows how many cells policies take, and that of each kind of request
// one is there.
func TestCellsOf(t *testing.T) {
	deny := func(rules string) string { return "{action: DENY, rules: [" + rules + "]}" }
	cases := []struct {
		name     string
		policies []string
		space    Space
		cells    int
		// some cell has it.
		some func(Request) bool
	}{
		{"nothing to tell apart", []string{"{rules: [{from: [{source: {namespaces: [a]}}]}]}"}, Space{}, 1, nil},
		{"the values of a field are one class", []string{"{rules: [{to: [{operation: {methods: [GET, HEAD, PUT]}}]}]}"}, Space{}, 2, nil},
		{"of the rules of one policy the first that matches is enough", []string{deny(`{when: [{key: "request.headers[a]", values: [x]}]}, {when: [{key: "request.headers[b]", values: [x]}]}, {when: [{key: "request.headers[c]", values: [x]}]}`)}, Space{}, 2, nil},
		{"what is denied already needs no second look", []string{"{rules: [{to: [{operation: {methods: [GET], paths: [/a], hosts: [b]}}]}]}"}, Space{}, 2, nil},
		{"two policies are told apart", []string{deny(`{when: [{key: "request.headers[a]", values: [x]}]}`), deny(`{when: [{key: "request.headers[b]", values: [x]}]}`)}, Space{}, 4, nil},
		{"a rule for others is left out", []string{`{rules: [{from: [{source: {namespaces: [a]}}], to: [{operation: {paths: [/a]}}]}]}`}, Space{Callers: []string{"td/ns/b/sa/b"}}, 1, nil},
		{"a rule for other ports is left out", []string{`{rules: [{to: [{operation: {ports: ["80"], paths: [/a]}}]}]}`}, Space{Ports: []uint16{81}}, 1, nil},
		{"a list of claims is more than its strings", []string{`{rules: [{when: [{key: "request.auth.claims[g]", values: [a]}]}]}`, `{rules: [{when: [{key: "request.auth.claims[g]", values: [b]}]}]}`}, Space{}, 4,
			func(r Request) bool { return len(r.Claims[claimKey("g")]) == 2 }},
		{"a token without subject", []string{deny(`{from: [{source: {notRequestPrincipals: ["*"]}}]}`), deny(`{when: [{key: "request.auth.claims[iss]", values: [i]}]}`)}, Space{}, 4,
			func(r Request) bool { return r.Claims[claimIssuer] != nil && r.Claims[claimSubject] == nil }},
		{"an address in one block and not the other", []string{`{rules: [{from: [{source: {ipBlocks: [10.0.0.0/8], notIpBlocks: [10.1.0.0/16]}}]}]}`}, Space{}, 2,
			func(r Request) bool { return strings.HasPrefix(r.Source.String(), "10.0.") }},
		{"an address of IPv6", []string{deny("{from: [{source: {notIpBlocks: [0.0.0.0/0]}}]}")}, Space{}, 2, func(r Request) bool { return r.Source.Is6() }},
		{"a path that a template takes for none", []string{deny(`{to: [{operation: {paths: ["/a/*"], notPaths: ["/a/{**}"]}}]}`)}, Space{}, 2, func(r Request) bool { return strings.ContainsAny(r.Path, `"<>|^`) }},
		{"an invalid token", []string{"{}"}, Space{Tokens: []*security.JWTRule{{Issuer: "i"}}}, 3, func(r Request) bool { return r.Token.State == TokenInvalid }},
	}
	for _, c := range cases {
		for _, p := range c.policies {
			c.space.Policies = append(c.space.Policies, policyYAML(t, p))
		}
		c.space.Limit = 100
		cells, ok := c.space.Cells(Request{})
		if !ok || len(cells) != c.cells {
			t.Errorf("%s: %d cells (%v), want %d: %+v", c.name, len(cells), ok, c.cells, cells)
		}
		found := c.some == nil
		for _, r := range cells {
			found = found || c.some(r)
		}
		if !found {
			t.Errorf("%s: no such cell in %+v", c.name, cells)
		}
	}
}

// TestCellsTooMany: what cannot be partitioned is said not to be.
func TestCellsTooMany(t *testing.T) {
	var headers []string
	for _, h := range strings.Split("abcdefgh", "") {
		headers = append(headers, `{action: DENY, rules: [{when: [{key: "request.headers[`+h+`]", values: [x]}]}]}`)
	}
	read := func(specs []string) (out []Typed[*security.AuthorizationPolicy]) {
		for _, s := range specs {
			out = append(out, policyYAML(t, s))
		}
		return out
	}
	bearer := `{rules: [{when: [{key: "request.headers[authorization]", values: ["Bearer *"]}]}]}`
	cases := []struct {
		name  string
		space Space
		want  bool
	}{
		{"2^8 cells are more than 100", Space{Policies: read(headers), Limit: 100}, false},
		{"as one set they are 2", Space{Sets: [][]Typed[*security.AuthorizationPolicy]{read(headers)}, Limit: 100}, true},
		{"a header that holds the token", Space{Policies: read([]string{bearer}), Tokens: []*security.JWTRule{{Issuer: "i"}}, Limit: 100}, false},
		{"the same when nobody reads tokens", Space{Policies: read([]string{bearer}), Limit: 100}, true},
		{"a host with and without regard to case", Space{Policies: read([]string{`{rules: [{to: [{operation: {hosts: [a]}}], when: [{key: "request.headers[host]", values: [a]}]}]}`}), Limit: 100}, false},
	}
	for _, c := range cases {
		if cells, ok := c.space.Cells(Request{}); ok != c.want {
			t.Errorf("%s: %v (%d cells), want %v", c.name, ok, len(cells), c.want)
		}
	}
}
