package agree

import (
	"testing"

	security "istio.io/api/security/v1beta1"
	"sigs.k8s.io/yaml"

	"github.com/ambientplan/ambientplan/mesh"
)

// found are policies on which mesh and istiod once disagreed, each with the request
// that showed it and what it taught.
var found = []struct {
	name     string
	policies []string
	request  mesh.Request
}{
	// The RBAC filter of CUSTOM stands before the one that validates tokens, so there
	// are no claims yet: requestPrincipals match nothing, and notRequestPrincipals all.
	{"CUSTOM knows no claims", []string{`
action: CUSTOM
provider: {name: web}
rules: [{from: [{source: {requestPrincipals: ["*"]}}]}]`}, token("iss", "i", "sub", "s")},
	{"CUSTOM knows no claims, negated", []string{`
action: CUSTOM
provider: {name: web}
rules: [{from: [{source: {notRequestPrincipals: ["*"]}}]}]`}, token("iss", "i", "sub", "s")},
	// "request.auth.claims" without a name is the whole payload, not a claim whose name
	// is empty: as a structure it matches no string.
	{"claims without a name", []string{`
action: DENY
rules: [{when: [{key: request.auth.claims, values: ["*"]}]}]`}, token("", "x")},
}

// token is a request with string claims.
func token(kv ...string) mesh.Request {
	r := mesh.Request{Method: "GET", Path: "/", Host: "shop", Token: mesh.Token{State: mesh.TokenValid}, Claims: map[string][]string{}}
	for i := 0; i < len(kv); i += 2 {
		r.Claims["request.auth.claims["+kv[i]+"]"] = []string{kv[i+1]}
	}
	return r
}

// TestFound compares them all again, in both meshes.
func TestFound(t *testing.T) {
	var sets []set
	for _, f := range found {
		s := set{name: f.name, requests: []mesh.Request{f.request}}
		for _, p := range f.policies {
			spec := &security.AuthorizationPolicy{}
			if err := yaml.Unmarshal([]byte(p), spec); err != nil {
				t.Fatalf("%s: %v", f.name, err)
			}
			s.policies = append(s.policies, policy{spec: spec})
		}
		sets = append(sets, s)
	}
	for _, s := range []settings{plain, aliased} {
		for _, d := range compare(t, s, sets) {
			t.Error(d)
		}
	}
}
