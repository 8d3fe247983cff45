package convert_test

import (
	"context"
	"strings"

	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/convert"
)

// shop is the mesh of the tests: reviews with subsets v1 and v2 (which has settings of its own), two with two HTTP
// ports and one TCP port, db for TCP, secure for TLS, calls for gRPC, and a ServiceEntry.
const shop = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Namespace
metadata: {name: web, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {selector: {app: reviews}, ports: [{name: http, port: 80, targetPort: 9080}]}
---
apiVersion: v1
kind: Service
metadata: {name: ratings, namespace: shop}
spec: {selector: {app: ratings}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: two, namespace: shop}
spec: {selector: {app: two}, ports: [{name: http, port: 80}, {name: http-admin, port: 8080}, {name: tcp, port: 9000}]}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {selector: {app: db}, ports: [{name: tcp, port: 5432}]}
---
apiVersion: v1
kind: Service
metadata: {name: secure, namespace: shop}
spec: {selector: {app: secure}, ports: [{name: tls, port: 443}]}
---
apiVersion: v1
kind: Service
metadata: {name: calls, namespace: shop}
spec: {selector: {app: calls}, ports: [{name: grpc, port: 7000}]}
---
apiVersion: v1
kind: Service
metadata: {name: far, namespace: web}
spec: {selector: {app: far}, ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside, namespace: shop}
spec: {hosts: [api.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: shop}
spec:
  host: reviews
  trafficPolicy: {connectionPool: {http: {http2MaxRequests: 10}}, loadBalancer: {simple: RANDOM}}
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}, trafficPolicy: {loadBalancer: {simple: LEAST_REQUEST}}}
---
`

// tester is what tests and properties have in common.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// read is the state of a mesh written as YAML.
func read(t tester, documents string) *mesh.State {
	t.Helper()
	inv, err := inventory.Read(context.Background(), inventory.Options{Paths: []string{"-"}, Stdin: strings.NewReader(documents), DefaultNamespace: "shop"})
	if err != nil {
		t.Fatalf("%v in\n%s", err, documents)
	}
	st, unknowns := mesh.New(inv)
	if len(unknowns) > 0 {
		t.Fatalf("%+v in\n%s", unknowns, documents)
	}
	return st
}

// virtualService is one for a host of shop, with the given spec in flow or block style below "spec:".
func virtualService(host, spec string) string {
	return "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: vs, namespace: shop}\nspec:\n  hosts: [" + host + "]\n" + spec
}

// host converts the only VirtualService of a mesh that is shop and the documents.
func host(t tester, c convert.Cluster, documents string) convert.HostResult {
	t.Helper()
	r := convert.All(read(t, shop+documents), c)
	if len(r.Hosts) != 1 {
		t.Fatalf("%d hosts: %+v", len(r.Hosts), r.Hosts)
	}
	return r.Hosts[0]
}

// kind are the objects of a kind.
func kind(r convert.HostResult, kind string) []api.Content {
	var out []api.Content
	for _, o := range r.Objects {
		if o["kind"] == kind {
			out = append(out, o)
		}
	}
	return out
}

func asYAML(t tester, v any) string {
	t.Helper()
	b, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// facts are the ids of the reasons of a result, with their paths.
func facts(rs []convert.Reason) []string {
	var out []string
	for _, r := range rs {
		out = append(out, r.Fact+" "+r.Path)
	}
	return out
}
