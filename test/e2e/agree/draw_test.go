package agree

import (
	"net/netip"

	security "istio.io/api/security/v1beta1"
	"pgregory.net/rapid"

	"github.com/ambientplan/ambientplan/mesh"
)

// The vocabulary is small so that the values of policies and requests meet, and
// made of texts that are parts of each other.
var (
	words      = []string{"a", "b", "ab", "ba", "*", "a*", "*a", "ab*", "*ba", "*b", "A", "A*", "", "**", "a*b", "*A*"}
	methods    = []string{"GET", "POST", "P*", "*T", "*"}
	hosts      = []string{"shop", "Shop", "shop.*", "*.Example", "shop.example", "*", "shop:80"}
	paths      = []string{"/", "/a", "/a/b", "/a*", "/*", "*b", "*/b", "*", "/b/{*}", "/{*}/a", "/a/{**}", "/{**}/b", "/{*}/{**}", "/{**}", "/a/{*}/"}
	blocks     = []string{"10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "0.0.0.0/0", "2001:db8::/32", "::/0", "10.1.2.7/31", "no address", "", "10.0.0.0/99"}
	ports      = []string{"80", "81", "8080", "9090", "080", "no port", "70000", ""}
	principals = []string{"*", "cluster.local/ns/shop/sa/web", "cluster.local/ns/shop/*", "*/sa/web", "*shop", "old/ns/shop/sa/web", "td/ns/shop/sa/web", "other1/ns/shop/sa/api", "*/ns/shop/sa/web", "t*/ns/shop/sa/web", "*d/ns/shop/sa/web", "x/ns/shop/sa/web", "td/*", "*/ns/shop/sa/*", "old/ns/shop/sa/*"}
	namespaces = []string{"shop", "other", "*", "sh*", "*op", "*web", "istio-*", "s*p"}
	accounts   = []string{"web", "shop/web", "other/web", "istio-system/shop", "shop/"}
	domains    = []string{"td", "cluster.local", "*", "t*", "*.local", "old", "c*l", "*d", "other1"}
	subjects   = []string{"*", "i/s", "i/*", "*/s", "i*", "*s", "j/s", "i/s*", "*i/s", "i", "https://i.example/s", "", "/", "*/", "/*", "*/*", "i/x/s", "*i*"}
	keys       = []string{"request.headers[H]", "request.headers[g]", "request.headers[:path]", "request.headers[:method]", "request.headers[Host]", "request.headers", "request.headers[]", "request.headers[[a]]", "request.headersx[h]", "request.auth.claims[c][d]", "request.auth.claims[c[d]", "request.auth.claims[c]x", "request.auth.claimsx", "request.auth.claims[iss]", "request.auth.claims[sub]", "request.auth.claims[list]", "request.auth.audiences", "request.auth.presenter", "request.auth.principal", "request.auth.claims", "connection.sni", "destination.ip", "destination.port", "destination.labels[x]", "source.ip", "remote.ip", "source.namespace", "source.principal", "source.trustDomain", "source.serviceAccount", "experimental.envoy.filters.a.b", "nonsense"}
)

// sometimes draws a list that is mostly empty.
func sometimes(t *rapid.T, label string, values []string) []string {
	if rapid.IntRange(0, 5).Draw(t, label+"?") > 0 {
		return nil
	}
	return rapid.SliceOfN(rapid.SampledFrom(values), 1, 3).Draw(t, label)
}

func drawSource(t *rapid.T) *security.Source {
	return &security.Source{
		Principals: sometimes(t, "principals", principals), NotPrincipals: sometimes(t, "notPrincipals", principals),
		Namespaces: sometimes(t, "namespaces", namespaces), NotNamespaces: sometimes(t, "notNamespaces", namespaces),
		ServiceAccounts: sometimes(t, "serviceAccounts", accounts), NotServiceAccounts: sometimes(t, "notServiceAccounts", accounts),
		TrustDomains: sometimes(t, "trustDomains", domains), NotTrustDomains: sometimes(t, "notTrustDomains", domains),
		IpBlocks: sometimes(t, "ipBlocks", blocks), NotIpBlocks: sometimes(t, "notIpBlocks", blocks),
		RemoteIpBlocks: sometimes(t, "remoteIpBlocks", blocks), NotRemoteIpBlocks: sometimes(t, "notRemoteIpBlocks", blocks),
		RequestPrincipals: sometimes(t, "requestPrincipals", subjects), NotRequestPrincipals: sometimes(t, "notRequestPrincipals", subjects),
	}
}

func drawOperation(t *rapid.T) *security.Operation {
	return &security.Operation{
		Ports: sometimes(t, "ports", ports), NotPorts: sometimes(t, "notPorts", ports),
		Methods: sometimes(t, "methods", methods), NotMethods: sometimes(t, "notMethods", methods),
		Hosts: sometimes(t, "hosts", hosts), NotHosts: sometimes(t, "notHosts", hosts),
		Paths: sometimes(t, "paths", paths), NotPaths: sometimes(t, "notPaths", paths),
	}
}

func drawCondition(t *rapid.T) *security.Condition {
	key := rapid.SampledFrom(keys).Draw(t, "key")
	values := words
	switch key {
	case "destination.ip", "source.ip", "remote.ip":
		values = blocks
	case "destination.port":
		values = ports
	case "source.namespace":
		values = namespaces
	case "source.principal":
		values = principals
	case "source.trustDomain":
		values = domains
	case "source.serviceAccount":
		values = accounts
	case "request.auth.principal":
		values = subjects
	case "request.headers[:path]":
		values = paths
	case "request.headers[Host]":
		values = hosts
	}
	list := func(label string) []string {
		if rapid.Bool().Draw(t, label+"?") {
			return nil
		}
		return rapid.SliceOfN(rapid.SampledFrom(values), 1, 2).Draw(t, label)
	}
	return &security.Condition{Key: key, Values: list("values"), NotValues: list("notValues")}
}

func drawRule(t *rapid.T) *security.Rule {
	r := &security.Rule{}
	for range rapid.IntRange(0, 2).Draw(t, "from") {
		r.From = append(r.From, &security.Rule_From{Source: drawSource(t)})
	}
	for range rapid.IntRange(0, 2).Draw(t, "to") {
		r.To = append(r.To, &security.Rule_To{Operation: drawOperation(t)})
	}
	for range rapid.SampledFrom([]int{0, 0, 1, 1, 2}).Draw(t, "when") {
		r.When = append(r.When, drawCondition(t))
	}
	return r
}

func drawPolicy(t *rapid.T) policy {
	p := policy{spec: &security.AuthorizationPolicy{Action: rapid.SampledFrom([]security.AuthorizationPolicy_Action{
		security.AuthorizationPolicy_ALLOW, security.AuthorizationPolicy_ALLOW, security.AuthorizationPolicy_DENY, security.AuthorizationPolicy_DENY,
		security.AuthorizationPolicy_CUSTOM, security.AuthorizationPolicy_AUDIT,
	}).Draw(t, "action")}}
	if p.spec.Action == security.AuthorizationPolicy_CUSTOM {
		p.spec.ActionDetail = &security.AuthorizationPolicy_Provider{Provider: &security.AuthorizationPolicy_ExtensionProvider{
			Name: rapid.SampledFrom([]string{"web", "web", "rpc", "rpc", "trace", "missing"}).Draw(t, "provider")}}
	}
	p.dryRun = rapid.IntRange(0, 9).Draw(t, "dryRun") == 0
	for range rapid.SampledFrom([]int{0, 1, 1, 2, 3}).Draw(t, "rules") {
		p.spec.Rules = append(p.spec.Rules, drawRule(t))
	}
	return p
}

// drawRequest draws any request, not one of the values of policies only.
func drawRequest(t *rapid.T) mesh.Request {
	word := rapid.StringMatching(`[abx]{1,4}`)
	addr := rapid.Map(rapid.SampledFrom([]string{"10.1.2.3", "10.1.2.1", "10.1.9.9", "10.9.9.9", "1.1.1.1", "2001:db8::9", "::1"}), netip.MustParseAddr)
	r := mesh.Request{
		Source: addr.Draw(t, "source"), Destination: addr.Draw(t, "destination"),
		Method: rapid.SampledFrom([]string{"GET", "POST", "PUT", "get"}).Draw(t, "method"),
		Host:   rapid.SampledFrom([]string{"shop", "SHOP", "shop.example", "a.Example", "shop:80", "x"}).Draw(t, "host"),
		Path:   rapid.StringMatching(`/([ab"x*]?/?){0,4}([?#][ab/]{0,3})?`).Draw(t, "path"),
	}
	if rapid.Bool().Draw(t, "remote?") {
		r.Remote = addr.Draw(t, "remote")
	}
	if rapid.Bool().Draw(t, "SNI?") {
		r.SNI = word.Draw(t, "SNI")
	}
	r.Headers = map[string]string{}
	for _, h := range []string{"h", "g", "[a]"} {
		if rapid.Bool().Draw(t, h+"?") {
			r.Headers[h] = rapid.StringMatching(`[abx]{0,4}`).Draw(t, h)
		}
	}
	if rapid.Bool().Draw(t, "token?") {
		r.Token.State = mesh.TokenValid
		claim := func(name string, values ...string) { r.Claims["request.auth.claims["+name+"]"] = values }
		r.Claims = map[string][]string{}
		claim("iss", rapid.SampledFrom([]string{"i", "j", "ij", "x", "https://i.example"}).Draw(t, "iss"))
		if rapid.Bool().Draw(t, "sub?") {
			claim("sub", rapid.SampledFrom([]string{"s", "st", "a", "b", "ab", "x"}).Draw(t, "sub"))
		}
		for _, c := range []string{"aud", "azp", "list", "c][d", "c[d"} {
			if v := rapid.SliceOfN(word, 0, 3).Draw(t, c); len(v) > 0 {
				claim(c, v...)
			}
		}
	}
	return r
}

// drawSet draws the policies of one workload, and requests.
func drawSet(t *rapid.T) set {
	var s set
	for range rapid.SampledFrom([]int{1, 1, 2, 3, 4}).Draw(t, "policies") {
		p := drawPolicy(t)
		// What a CUSTOM policy does in a dry run differs between versions of Istio.
		s.doubtful = s.doubtful || p.dryRun && p.spec.Action == security.AuthorizationPolicy_CUSTOM
		s.policies = append(s.policies, p)
	}
	s.requests = rapid.SliceOfN(rapid.Custom(drawRequest), 12, 12).Draw(t, "requests")
	return s
}
