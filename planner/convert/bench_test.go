package convert_test

import (
	"fmt"
	"strings"
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/convert"
)

// BenchmarkRules converts one VirtualService with rules of which each may fit the requests of every other.
func BenchmarkRules(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			var rules []string
			for i := range n {
				rules = append(rules, fmt.Sprintf("{match: [{uri: {regex: \"/[a-z]*%d\"}, headers: {h%d: {exact: x}}}], timeout: %ds, route: [{destination: {host: ratings}}]}", i, i, i+1))
			}
			st := read(b, shop+virtualService("reviews", "  http: ["+strings.Join(rules, ", ")+"]\n"))
			for b.Loop() {
				if r := convert.All(st, newest()); r.Hosts[0].Class != convert.Converted {
					b.Fatal(r.Hosts[0].Why)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/rule")
		})
	}
}

// BenchmarkMesh converts meshes in which each service has a VirtualService and a DestinationRule.
func BenchmarkMesh(b *testing.B) {
	for _, n := range []int{50, 500, 5000} {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			inv := &api.Inventory{}
			for i := range n {
				name, ns := fmt.Sprintf("s%d", i), fmt.Sprintf("ns%d", i%100)
				object := func(kind string, spec map[string]any) api.Object {
					return api.Object{APIVersion: "networking.istio.io/v1", Kind: kind, Namespace: ns, Name: name, Content: api.Content{"spec": spec}}
				}
				inv.Services = append(inv.Services, api.Service{Namespace: ns, Name: name, Selector: map[string]string{"app": name}, Ports: []api.ServicePort{{Port: 80, Protocol: "HTTP"}}})
				inv.Objects = append(inv.Objects,
					object("VirtualService", map[string]any{"hosts": []any{name}, "http": []any{map[string]any{"route": []any{map[string]any{"destination": map[string]any{"host": name, "subset": "v1"}}}}}}),
					object("DestinationRule", map[string]any{"host": name, "subsets": []any{map[string]any{"name": "v1", "labels": map[string]any{"version": "v1"}}}}))
			}
			st, _ := mesh.New(inv)
			for b.Loop() {
				if r := convert.All(st, newest()); r.Hosts[0].Class != convert.Converted {
					b.Fatal(r.Hosts[0].Why)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/service")
		})
	}
}
