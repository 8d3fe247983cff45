package apply

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/ambientplan/ambientplan/test/e2e/apiserver"
	"github.com/ambientplan/ambientplan/test/e2e/controlplane"
)

// TestBadObjectsAreRejected shows that the other tests can fail: each of these is refused, by
// the schema, by a rule of the CRD, or only by istiod.
func TestBadObjectsAreRejected(t *testing.T) {
	s := apiserver.Start(t)
	controlplane.Start(t, s)
	for _, c := range []struct{ name, object, says string }{
		{"unknown field", `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: a, namespace: default}
spec: {rules: [{to: [{operation: {verbs: [GET]}}]}]}`, "field not declared in schema"},
		{"two ways to say what it is for", `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: a, namespace: default}
spec: {selector: {matchLabels: {app: a}}, targetRefs: [{group: "", kind: Service, name: a}]}`, "only one of targetRefs or selector"},
		{"negative weight", `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: default}
spec: {hosts: [a], http: [{route: [{destination: {host: a}, weight: 110}, {destination: {host: b}, weight: -10}]}]}`, "weight -10 < 0"},
		{"no port", `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: a, namespace: default}
spec: {parentRefs: [{group: "", kind: Service, name: a}], rules: [{backendRefs: [{name: a}]}]}`, "Must have port for Service reference"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var o map[string]any
			if err := yaml.Unmarshal([]byte(c.object), &o); err != nil {
				t.Fatal(err)
			}
			err := s.Apply(t.Context(), o, gitOps)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}
