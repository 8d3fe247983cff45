package mesh

import (
	"slices"
	"testing"

	security "istio.io/api/security/v1beta1"
	"pgregory.net/rapid"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// request is a connection and what only an Envoy sees of it.
type request struct {
	Connection
	method string
	token  bool
	header string
}

// inEnvoy is what the rule means as it is written.
func inEnvoy(r *security.Rule, q request) bool {
	not := func(values []string, match func(string) bool) bool { return !slices.ContainsFunc(values, match) }
	is := func(values []string, match func(string) bool) bool {
		return len(values) == 0 || slices.ContainsFunc(values, match)
	}
	l4 := func(name string) func(string) bool {
		return func(v string) bool { return matchValue(name, v, q.Connection, "a") }
	}
	method := func(v string) bool { return v == q.method }
	token := func(string) bool { return q.token }
	domain := func(v string) bool { return v == "cluster.local" && q.Principal != "" }
	if len(r.To) > 0 && !slices.ContainsFunc(r.To, func(t *security.Rule_To) bool {
		o := t.Operation
		return is(o.Ports, l4("ports")) && not(o.NotPorts, l4("ports")) && is(o.Methods, method) && not(o.NotMethods, method)
	}) {
		return false
	}
	if len(r.From) > 0 && !slices.ContainsFunc(r.From, func(f *security.Rule_From) bool {
		s := f.Source
		return is(s.Namespaces, l4("namespaces")) && not(s.NotNamespaces, l4("namespaces")) && is(s.Principals, l4("principals")) &&
			not(s.NotPrincipals, l4("principals")) && is(s.RequestPrincipals, token) && not(s.NotRequestPrincipals, token) &&
			is(s.TrustDomains, domain) && not(s.NotTrustDomains, domain)
	}) {
		return false
	}
	for _, w := range r.When {
		match := func(v string) bool { return v == q.header }
		if w.Key == "source.namespace" {
			match = l4("namespaces")
		}
		if !is(w.Values, match) || !not(w.NotValues, match) {
			return false
		}
	}
	return true
}

// some draws a list that is often empty.
func some(t *rapid.T, label string, values ...string) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(values), 0, 1, rapid.ID[string]).Draw(t, label)
}

func drawRule(t *rapid.T) *security.Rule {
	r := &security.Rule{}
	for range rapid.IntRange(0, 2).Draw(t, "to") {
		o := &security.Operation{Ports: some(t, "ports", "80", "81"), NotPorts: some(t, "notPorts", "80"), Methods: some(t, "methods", "GET", "PUT"), NotMethods: some(t, "notMethods", "GET")}
		if len(operationFields(o, "")) > 0 { // The API takes no empty one.
			r.To = append(r.To, &security.Rule_To{Operation: o})
		}
	}
	for range rapid.IntRange(0, 2).Draw(t, "from") {
		s := &security.Source{
			Namespaces: some(t, "namespaces", "a", "b"), NotNamespaces: some(t, "notNamespaces", "a"),
			Principals: some(t, "principals", "*", clientX), NotPrincipals: some(t, "notPrincipals", "*"),
			RequestPrincipals: some(t, "requestPrincipals", "*"), NotRequestPrincipals: some(t, "notRequestPrincipals", "*"),
			TrustDomains: some(t, "trustDomains", "cluster.local", "other"), NotTrustDomains: some(t, "notTrustDomains", "other"),
		}
		if len(sourceFields(s, "")) > 0 {
			r.From = append(r.From, &security.Rule_From{Source: s})
		}
	}
	for range rapid.IntRange(0, 1).Draw(t, "when") {
		c := &security.Condition{Key: rapid.SampledFrom([]string{"source.namespace", "request.headers[h]"}).Draw(t, "key"), Values: some(t, "values", "a", "b"), NotValues: some(t, "notValues", "b")}
		if len(c.Values)+len(c.NotValues) > 0 {
			r.When = append(r.When, c)
		}
	}
	return r
}

// TestRuleFlagsAreTrue: a rule that is not called wider matches nothing at
// ztunnel that it does not match in an Envoy, and one that is not called narrower
// misses nothing. One wrong flag would be an alarm that nobody raises.
func TestRuleFlagsAreTrue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRule(t)
		action := rapid.SampledFrom([]security.AuthorizationPolicy_Action{security.AuthorizationPolicy_ALLOW, security.AuthorizationPolicy_DENY}).Draw(t, "action")
		z := Authz(Typed[*security.AuthorizationPolicy]{Object: &api.Object{}, Spec: &security.AuthorizationPolicy{Action: action, Rules: []*security.Rule{r}}}).Rules[0]
		for _, principal := range []string{"", clientX, clientY} {
			for _, port := range []uint16{80, 81} {
				for _, method := range []string{"GET", "PUT"} {
					for _, token := range []bool{false, true} {
						q := request{Connection{Principal: principal, Port: port}, method, token, "a"}
						envoy, ztunnel := inEnvoy(r, q), z.Matches(q.Connection, "a")
						if ztunnel && !envoy && !z.Wider {
							t.Fatalf("%v matches %+v at ztunnel only, and is not called wider", r, q)
						}
						if envoy && !ztunnel && !z.Narrower {
							t.Fatalf("%v misses %+v at ztunnel, and is not called narrower", r, q)
						}
						if ztunnel && (z.Never || z.Dropped) {
							t.Fatalf("%v matches %+v, and is said never to", r, q)
						}
					}
				}
			}
		}
	})
}
