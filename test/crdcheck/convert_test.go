package crdcheck

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/convert"
)

// converted is a mesh whose VirtualServices all convert, with every field that routes can say.
const converted = `
apiVersion: v1
kind: Service
metadata: {name: a, namespace: shop}
spec: {selector: {app: a}, ports: [{name: http, port: 80}, {name: http-two, port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: b, namespace: shop}
spec: {selector: {app: b}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: calls, namespace: shop}
spec: {selector: {app: calls}, ports: [{name: grpc, port: 7000}]}
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
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside, namespace: shop}
spec: {hosts: [api.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: b, namespace: shop}
spec: {host: b, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}, trafficPolicy: {loadBalancer: {simple: RANDOM}}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: shop}
spec:
  hosts: [a, api.example.com]
  http:
  - match:
    - {uri: {exact: /x//y}, headers: {h: {}, i: {prefix: "a."}, j: {exact: ""}}, queryParams: {q: {prefix: "1"}}, method: {regex: "GET|PUT"}}
    - {uri: {regex: "/[a-z]{2}"}, port: 8080}
    - {uri: {prefix: /Ab}, ignoreUriCase: true}
    route:
    - {destination: {host: b, subset: v1}, weight: 90, headers: {request: {set: {a: b}}, response: {remove: [c]}}}
    - {destination: {host: b, subset: v2}, weight: 10}
    headers: {request: {set: {a: "%DOWNSTREAM_REMOTE_ADDRESS%"}, add: {b: c}, remove: [d]}, response: {add: {e: f}}}
    timeout: 100h
    retries: {attempts: 2, perTryTimeout: 1500ms, backoff: 25ms, retryOn: "503,unavailable,cancelled,connect-failure,refused-stream"}
    mirrors: [{destination: {host: b}, percentage: {value: 0.25}}, {destination: {host: calls}, percentage: {value: 5}}]
    corsPolicy: {allowOrigins: [{exact: "https://a.example.com:8443"}, {prefix: "http://"}], allowMethods: [GET, PUT], allowHeaders: [x], exposeHeaders: [w], maxAge: 1h, allowCredentials: true, unmatchedPreflights: IGNORE}
  - match: [{uri: {exact: /old}}]
    redirect: {authority: new.example.com, uri: /new, scheme: https, port: 8443, redirectCode: 308}
  - match: [{uri: {exact: /fixed}}]
    route: [{destination: {host: b}}]
    rewrite: {uri: /other, authority: c.example.com}
  - match: [{uri: {exact: /own}, headers: {k: {exact: v}}}]
    route: [{destination: {host: api.example.com}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: b, namespace: shop}
spec:
  hosts: [b]
  http:
  - {match: [{uri: {prefix: /folder/}}], rewrite: {uri: /}, route: [{destination: {host: b}}]}
  - {route: [{destination: {host: b}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: calls, namespace: shop}
spec:
  hosts: [calls]
  http:
  - match: [{uri: {exact: /pkg.v1.Svc/Do}, headers: {x: {exact: w}, z: {}}}, {headers: {x: {exact: w}}}]
    route: [{destination: {host: calls}}]
    mirror: {host: b}
  - {route: [{destination: {host: calls}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: db, namespace: shop}
spec: {hosts: [db], tcp: [{route: [{destination: {host: db}, weight: 1}, {destination: {host: b}, weight: 2}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: secure, namespace: shop}
spec: {hosts: [secure], tls: [{match: [{sniHosts: [secure.shop.svc.cluster.local]}], route: [{destination: {host: secure}}]}]}
`

// TestConverted validates what VirtualServices are converted to, for the channel of the Gateway API that it is for:
// the experimental one has retries.
func TestConverted(t *testing.T) {
	for _, channel := range []string{"standard", "experimental"} {
		t.Run(channel, func(t *testing.T) {
			gateway := moduleDir(t, "sigs.k8s.io/gateway-api")
			c, err := Load(filepath.Join(moduleDir(t, "istio.io/api"), "kubernetes", "customresourcedefinitions.gen.yaml"), filepath.Join(gateway, "config", "crd", channel))
			if err != nil {
				t.Fatal(err)
			}
			documents := converted
			if channel == "standard" {
				documents = withoutLine(documents, "retries:")
			}
			var rules []string
			for i := range 300 {
				rules = append(rules, fmt.Sprintf("{match: [{uri: {prefix: /p%d}}, {uri: {exact: /q%d}}], timeout: %ds, route: [{destination: {host: b}}]}", i, i, i+1))
			}
			documents += "---\napiVersion: v1\nkind: Service\nmetadata: {name: large, namespace: shop}\nspec: {selector: {app: large}, ports: [{name: http, port: 80}]}\n" +
				"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: large, namespace: shop}\nspec: {hosts: [large], http: [" + strings.Join(rules, ", ") + "]}\n"
			inv, err := inventory.Read(t.Context(), inventory.Options{Paths: []string{"-"}, Stdin: strings.NewReader(documents)})
			if err != nil {
				t.Fatal(err)
			}
			st, unknowns := mesh.New(inv)
			if len(unknowns) > 0 || len(inv.Unknowns) > 0 {
				t.Fatalf("%+v %+v", unknowns, inv.Unknowns)
			}
			d := &convert.Definition{Bundle: convert.Version{Major: 1, Minor: 6, Patch: 3}, Experimental: channel == "experimental"}
			r := convert.All(st, convert.Cluster{Istio: convert.Version{Major: 1, Minor: 31}, HTTPRoute: d, GRPCRoute: d, TCPRoute: d, TLSRoute: d})
			kinds := map[string]int{}
			for _, h := range r.Hosts {
				if h.Class != convert.Converted {
					t.Errorf("%s is %s: %+v", h.Host, h.Class, h.Why)
				}
				for _, o := range h.Objects {
					u := &unstructured.Unstructured{Object: o}
					kinds[u.GetKind()]++
					if u.GetKind() == "Service" {
						continue
					}
					if err := c.Check(u); err != nil {
						t.Errorf("%s %s: %v", u.GetKind(), u.GetName(), err)
					}
				}
			}
			for _, k := range []string{"HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "DestinationRule", "Service"} {
				if kinds[k] == 0 {
					t.Errorf("no %s among %v", k, kinds)
				}
			}
		})
	}
}

func withoutLine(s, part string) string {
	var out []string
	for l := range strings.SplitSeq(s, "\n") {
		if !strings.Contains(l, part) {
			out = append(out, l)
		}
	}
	return strings.Join(out, "\n")
}
