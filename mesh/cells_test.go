package mesh

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	security "istio.io/api/security/v1beta1"
	"pgregory.net/rapid"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// The vocabulary is small so that values of policies and requests meet, and made
// of texts that are parts of each other.
var (
	drawnWords    = []string{"a", "b", "ab", "ba", "aab", "*", "a*", "*a", "ab*", "*ba", "b*", "*b"}
	drawnPaths    = []string{"/", "/a", "/a/b", "/a*", "/*", "*b", "*/b", "/a/*", "*", "/b/{*}", "/{*}/a", "/a/{**}", "/{**}/b", "/{*}/{**}", "/{**}"}
	drawnBlocks   = []string{"10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "0.0.0.0/0", "2001:db8::/32", "::/0", "10.1.2.0/31"}
	drawnSubjects = []string{"*", "i/s", "i/*", "*/s", "i*", "*s", "j/s", "i/s*", "*i/s", "i"}
	drawnCallers  = []string{"", "td/ns/a/sa/a", "td/ns/a/sa/b", "td/ns/b/sa/a", "other/ns/a/sa/a"}
)

// sometimes draws a list that is mostly empty.
func sometimes(t *rapid.T, label string, values []string) []string {
	if rapid.IntRange(0, 4).Draw(t, label+"?") > 0 {
		return nil
	}
	return rapid.SliceOfN(rapid.SampledFrom(values), 1, 2).Draw(t, label)
}

func drawPolicy(t *rapid.T, name string) Typed[*security.AuthorizationPolicy] {
	accounts := []string{"a", "a/a", "b/a"}
	domains := []string{"td", "*", "t*", "*r"}
	ports := []string{"80", "81", "not a port"}
	principals := []string{"*", "td/ns/a/sa/a", "td/ns/a/*", "*/sa/a", "*b"}
	namespaces := []string{"a", "b", "*", "a*", "*a", "*b"}
	rule := func(t *rapid.T) *security.Rule {
		r := &security.Rule{}
		for range rapid.IntRange(0, 2).Draw(t, "from") {
			r.From = append(r.From, &security.Rule_From{Source: &security.Source{
				Principals: sometimes(t, "principals", principals), NotPrincipals: sometimes(t, "notPrincipals", principals),
				Namespaces: sometimes(t, "namespaces", namespaces), NotNamespaces: sometimes(t, "notNamespaces", namespaces),
				ServiceAccounts: sometimes(t, "serviceAccounts", accounts), TrustDomains: sometimes(t, "trustDomains", domains),
				IpBlocks: sometimes(t, "ipBlocks", drawnBlocks), NotIpBlocks: sometimes(t, "notIpBlocks", drawnBlocks),
				RemoteIpBlocks: sometimes(t, "remoteIpBlocks", drawnBlocks), NotRemoteIpBlocks: sometimes(t, "notRemoteIpBlocks", drawnBlocks),
				RequestPrincipals: sometimes(t, "requestPrincipals", drawnSubjects), NotRequestPrincipals: sometimes(t, "notRequestPrincipals", drawnSubjects),
			}})
		}
		for range rapid.IntRange(0, 2).Draw(t, "to") {
			r.To = append(r.To, &security.Rule_To{Operation: &security.Operation{
				Ports: sometimes(t, "ports", ports), NotPorts: sometimes(t, "notPorts", ports),
				Methods: sometimes(t, "methods", drawnWords), NotMethods: sometimes(t, "notMethods", drawnWords),
				Hosts: sometimes(t, "hosts", drawnWords), NotHosts: sometimes(t, "notHosts", drawnWords),
				Paths: sometimes(t, "paths", drawnPaths), NotPaths: sometimes(t, "notPaths", drawnPaths),
			}})
		}
		for range rapid.IntRange(0, 2).Draw(t, "when") {
			key := rapid.SampledFrom([]string{"request.headers[H]", "request.headers[g]", "request.auth.claims[c][d]", "request.auth.claims[sub]", "request.auth.audiences", "connection.sni",
				"destination.ip", "source.ip", "remote.ip", "source.namespace", "experimental.envoy.filters.x[y]", "request.headers", "destination.port"}).Draw(t, "key")
			values := drawnWords
			switch key {
			case "destination.ip", "source.ip", "remote.ip":
				values = drawnBlocks
			}
			r.When = append(r.When, &security.Condition{Key: key, Values: sometimes(t, "values", values), NotValues: sometimes(t, "notValues", values)})
		}
		return r
	}
	action := rapid.SampledFrom([]security.AuthorizationPolicy_Action{security.AuthorizationPolicy_ALLOW, security.AuthorizationPolicy_DENY, security.AuthorizationPolicy_CUSTOM}).Draw(t, "action")
	spec := &security.AuthorizationPolicy{Action: action}
	for range rapid.IntRange(0, 3).Draw(t, "rules") {
		spec.Rules = append(spec.Rules, rule(t))
	}
	return authzPolicy(name, spec)
}

func drawPolicies(t *rapid.T) []Typed[*security.AuthorizationPolicy] {
	var out []Typed[*security.AuthorizationPolicy]
	for i := range rapid.IntRange(1, 3).Draw(t, "policies") {
		out = append(out, drawPolicy(t, fmt.Sprintf("p%d", i)))
	}
	return out
}

// drawRequest draws any request, not one of the values of policies only.
func drawRequest(t *rapid.T) Request {
	word := rapid.StringMatching(`[abx]{1,4}`)
	addr := rapid.Map(rapid.SampledFrom([]string{"10.1.2.3", "10.1.2.2", "10.1.9.9", "10.9.9.9", "1.1.1.1", "2001:db8::9", "::1"}), netip.MustParseAddr)
	r := Request{
		Source: addr.Draw(t, "source"), Remote: addr.Draw(t, "remote"), Destination: addr.Draw(t, "destination"),
		Method: word.Draw(t, "method"), Host: word.Draw(t, "host"), Path: rapid.StringMatching(`/([ab"x]?/?){0,4}`).Draw(t, "path"),
	}
	if rapid.Bool().Draw(t, "SNI?") {
		r.SNI = word.Draw(t, "SNI")
	}
	r.Headers = map[string]string{}
	for _, h := range []string{"h", "g"} {
		if rapid.Bool().Draw(t, h+"?") {
			r.Headers[h] = rapid.StringMatching(`[abx]{0,4}`).Draw(t, h)
		}
	}
	if rapid.Bool().Draw(t, "token?") {
		r.Token.State = TokenValid
		r.Claims = map[string][]string{claimIssuer: {rapid.SampledFrom([]string{"i", "j", "ij", "x"}).Draw(t, "iss")}}
		if rapid.Bool().Draw(t, "sub?") {
			r.Claims[claimSubject] = []string{rapid.SampledFrom([]string{"s", "st", "a", "b", "ab", "x"}).Draw(t, "sub")}
		}
		for _, c := range []string{claimAudience, claimKey("c", "d")} {
			if v := rapid.SliceOfN(word, 0, 3).Draw(t, c); len(v) > 0 {
				r.Claims[c] = v
			}
		}
	}
	return r
}

// judged is everything that any proxy makes of a request, from any caller.
func judged(sets [][]Typed[*security.AuthorizationPolicy], r Request, callers []string) string {
	out := ""
	for _, one := range sets {
		http, tcp, z := CompileProxy(one, false), CompileProxy(one, true), CompileZtunnel(one)
		for _, c := range callers {
			for _, port := range []uint16{80, 81, 82} {
				r.Principal, r.Port = c, port
				blind := r // A proxy that has validated no token.
				blind.Claims = nil
				for _, v := range []Verdict{http.Verdict(r), tcp.Verdict(r), z.Verdict(r), http.Verdict(blind)} {
					out += fmt.Sprint(int(v.Outcome))
				}
			}
		}
	}
	return out
}

// TestCellsAreComplete: whatever a request is, some cell is treated like it by
// each policy at each kind of proxy, from each caller on each port.
func TestCellsAreComplete(t *testing.T) {
	small, all := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		policies := drawPolicies(t)
		space := Space{Limit: 3000}
		var sets [][]Typed[*security.AuthorizationPolicy]
		if rapid.Bool().Draw(t, "sets") {
			for range rapid.IntRange(1, 3).Draw(t, "how many") {
				sets = append(sets, rapid.SliceOfN(rapid.SampledFrom(policies), 1, 3).Draw(t, "set"))
			}
			space.Sets = sets
		} else {
			space.Policies = policies
			for n := range policies {
				// Each by itself, so that what matches does not hide behind a verdict.
				sets = append(sets, policies[n:n+1])
			}
		}
		if rapid.Bool().Draw(t, "known callers") {
			space.Callers = drawnCallers[:rapid.IntRange(1, len(drawnCallers)).Draw(t, "callers")]
		}
		all++
		cells, ok := space.Cells(Request{})
		if !ok {
			return
		}
		small++
		callers := space.Callers
		if callers == nil {
			callers = drawnCallers
		}
		vectors := map[string]bool{}
		for _, c := range cells {
			vectors[judged(sets, c, callers)] = true
		}
		for range 5 {
			r := drawRequest(t)
			if !vectors[judged(sets, r, callers)] {
				t.Fatalf("no cell of %d stands for %+v under\n%v", len(cells), r, policySpecs(policies))
			}
		}
	})
	if small*10 < all*9 {
		t.Errorf("only %d of %d spaces had few enough cells to be compared", small, all)
	}
}

func policySpecs(policies []Typed[*security.AuthorizationPolicy]) (out []*security.AuthorizationPolicy) {
	for _, p := range policies {
		out = append(out, p.Spec)
	}
	return out
}

// TestTextsAreComplete: whatever a text is, one of the candidates matches the same
// patterns.
func TestTextsAreComplete(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p patterns
		var all []valueMatcher
		for _, w := range rapid.SliceOfN(rapid.SampledFrom(drawnWords), 0, 5).Draw(t, "patterns") {
			m := stringMatcher(w)
			p.add(&m)
			all = append(all, m)
		}
		match := func(v string) (out []bool) {
			for i := range all {
				out = append(out, all[i].matchText(v))
			}
			return out
		}
		texts, ok := p.candidates("")
		if !ok {
			t.Fatal("no text found")
		}
		v := rapid.StringMatching(`[abc]{1,6}`).Draw(t, "text")
		if !slices.ContainsFunc(texts, func(c string) bool { return slices.Equal(match(c), match(v)) }) {
			t.Fatalf("none of %v stands for %q under %v", texts, v, all)
		}
	})
}

func authzPolicy(name string, spec *security.AuthorizationPolicy) Typed[*security.AuthorizationPolicy] {
	return Typed[*security.AuthorizationPolicy]{Object: &api.Object{APIVersion: "security.istio.io/v1", Kind: "AuthorizationPolicy", Namespace: "shop", Name: name}, Spec: spec}
}

func TestProxyAuthz(t *testing.T) {
	get := &security.Rule{To: []*security.Rule_To{{Operation: &security.Operation{Methods: []string{"GET"}}}}}
	admin := &security.Rule{
		From: []*security.Rule_From{{Source: &security.Source{NotPrincipals: []string{"td/ns/a/sa/admin"}}}},
		To:   []*security.Rule_To{{Operation: &security.Operation{Paths: []string{"/admin*"}}}},
	}
	jwt := &security.Rule{When: []*security.Condition{{Key: "request.auth.claims[iss]", Values: []string{"*"}}}}
	allowGet := authzPolicy("allow", &security.AuthorizationPolicy{Rules: []*security.Rule{get}})
	denyAdmin := authzPolicy("deny", &security.AuthorizationPolicy{Action: security.AuthorizationPolicy_DENY, Rules: []*security.Rule{admin}})
	allowJWT := authzPolicy("jwt", &security.AuthorizationPolicy{Rules: []*security.Rule{jwt}})
	nothing := authzPolicy("nothing", &security.AuthorizationPolicy{})
	cases := []struct {
		name     string
		policies []Typed[*security.AuthorizationPolicy]
		r        Request
		tcp      bool
		want     Outcome
	}{
		{"no policy", nil, Request{}, false, Allowed},
		{"allow nothing", []Typed[*security.AuthorizationPolicy]{nothing}, Request{Method: "GET"}, false, Denied},
		{"method allowed", []Typed[*security.AuthorizationPolicy]{allowGet}, Request{Method: "GET"}, false, Allowed},
		{"method not allowed", []Typed[*security.AuthorizationPolicy]{allowGet}, Request{Method: "PUT"}, false, Denied},
		{"deny wins", []Typed[*security.AuthorizationPolicy]{allowGet, denyAdmin}, Request{Method: "GET", Path: "/admin/x", Principal: "td/ns/a/sa/b"}, false, Denied},
		{"deny spares who it names", []Typed[*security.AuthorizationPolicy]{allowGet, denyAdmin}, Request{Method: "GET", Path: "/admin/x", Principal: "td/ns/a/sa/admin"}, false, Allowed},
		{"plaintext is not the one it names", []Typed[*security.AuthorizationPolicy]{denyAdmin}, Request{Path: "/admin"}, false, Denied},
		{"claim there", []Typed[*security.AuthorizationPolicy]{allowJWT}, Request{Claims: map[string][]string{"request.auth.claims[iss]": {"x"}}}, false, Allowed},
		{"claim missing", []Typed[*security.AuthorizationPolicy]{allowJWT}, Request{}, false, Denied},
		{"HTTP in an ALLOW on a TCP port never matches", []Typed[*security.AuthorizationPolicy]{allowGet}, Request{Method: "GET"}, true, Denied},
		{"HTTP in a DENY on a TCP port is not looked at", []Typed[*security.AuthorizationPolicy]{denyAdmin}, Request{}, true, Denied},
	}
	for _, c := range cases {
		if got := ProxyAuthz(c.policies, c.r, c.tcp); got.Outcome != c.want {
			t.Errorf("%s: %v (%s), want %v", c.name, got.Outcome, got.By, c.want)
		}
	}
}
