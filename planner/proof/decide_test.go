package proof_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/proof"
)

// TestContestedPort: where two Services declare different protocols for one port
// of the same pods, istiod gives the sidecar one chain, by the Service that it reads
// first. What a policy of layer 7 does there is not known; one of layer 4 does the
// same in both.
func TestContestedPort(t *testing.T) {
	metrics := `
---
apiVersion: v1
kind: Service
metadata: {name: api-metrics, namespace: shop}
spec: {selector: {app: api}, ports: [{name: https, port: 443, targetPort: 8080}]}
`
	for _, c := range []struct {
		name, rule string
		want       mesh.Outcome
	}{
		{"a path", `{rules: [{to: [{operation: {paths: [/a]}}]}]}`, mesh.OutcomeUnknown},
		{"a port", `{rules: [{to: [{operation: {ports: ["8080"]}}]}]}`, mesh.Allowed},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			yaml := strings.Join([]string{space, deployment("api"), service("api"), metrics, policy(c.rule)}, "")
			if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(yaml), 0o600); err != nil {
				t.Fatal(err)
			}
			inv, err := inventory.Read(t.Context(), inventory.Options{Paths: []string{dir}})
			if err != nil {
				t.Fatal(err)
			}
			st, _ := mesh.New(inv)
			trial := proof.NewTrial(proof.Input{State: st})
			got, err := trial.Decide(trial.After(nil), proof.Ask{
				Service: api.Ref{Kind: "Service", Namespace: "shop", Name: "api"}, Workload: api.Ref{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "api"},
				Port: 80, Client: mesh.ModeSidecar, Server: mesh.ModeSidecar, Request: mesh.Request{Principal: "cluster.local/ns/shop/sa/web", Method: "GET", Path: "/a"},
			})
			if err != nil {
				t.Fatal(err)
			}
			if got.Outcome != c.want {
				t.Errorf("%v (%s), want %v", got.Outcome, got.By, c.want)
			}
		})
	}
}
