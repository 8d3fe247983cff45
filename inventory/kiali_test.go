package inventory

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// kialiMesh has a workload that calls through a Service node, one that Kiali does not
// know, and a host outside.
const kialiMesh = `{"timestamp": 1764000000, "duration": 3600, "graphType": "workload", "elements": {"nodes": [
 {"data": {"id": "a", "nodeType": "workload", "namespace": "shop", "workload": "web-v1", "app": "web"}},
 {"data": {"id": "s", "nodeType": "service", "namespace": "shop", "service": "cart", "destServices": [{"namespace": "shop", "name": "cart"}]}},
 {"data": {"id": "w", "nodeType": "workload", "namespace": "shop", "workload": "web-v2", "destServices": [{"namespace": "shop", "name": "web"}]}},
 {"data": {"id": "u", "nodeType": "unknown", "namespace": "unknown", "workload": "unknown", "app": "unknown", "isOutside": true}},
 {"data": {"id": "h", "nodeType": "service", "namespace": "shop", "service": "api.bank.example"}},
 {"data": {"id": "g", "nodeType": "workload", "namespace": "gone", "workload": "job", "destServices": []}}],
 "edges": [
 {"data": {"source": "a", "target": "s", "traffic": {"protocol": "http", "rates": {"http": "2.50"}, "responses": {"200": {"flags": {"-": "100.0"}}}}}},
 {"data": {"source": "s", "target": "w", "traffic": {"protocol": "http", "rates": {"http": "2.50"}}}},
 {"data": {"source": "u", "target": "w", "traffic": {"protocol": "tcp", "rates": {"tcp": "900.0"}}}},
 {"data": {"source": "a", "target": "h", "traffic": {"protocol": "http", "rates": {"http": "0.10"}, "responses": {"403": {}}}}},
 {"data": {"source": "a", "target": "g", "traffic": {"protocol": "http"}}}]}}`

// TestReadKiali shows what becomes of a graph.
func TestReadKiali(t *testing.T) {
	inv := readString(t, "", callGraphMesh)
	edges, unknowns, err := ReadKiali("graph.json", strings.NewReader(kialiMesh), inv)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range edges {
		got = append(got, fmt.Sprintf("%s -> %s %s %g %s refused=%v %s", e.From, e.To, e.Protocol, e.Rate, e.Provenance, e.Seen.Refused, e.Evidence[0].Path))
	}
	if d := cmp.Diff([]string{
		"Outside * -> Service shop/web tcp 0 observed refused=false elements.edges[2]",
		"Deployment shop/web-v1 -> Service shop/cart http 2.5 observed refused=false elements.edges[0]",
		"Deployment shop/web-v1 -> ServiceEntry shop/bank http 0.1 observed refused=true elements.edges[3]",
	}, got); d != "" {
		t.Error(d)
	}
	if e := edges[1]; e.Seen.From != "2025-11-24T15:00:00Z" || e.Seen.Until != "2025-11-24T16:00:00Z" {
		t.Errorf("seen %+v", e.Seen)
	}
	if len(unknowns) != 1 || !strings.Contains(unknowns[0].What, "graph.json names a server gone/job") {
		t.Errorf("unknowns %+v", unknowns)
	}
}

// TestKialiCallers: whom a graph does not name is somebody all the same.
func TestKialiCallers(t *testing.T) {
	inv := readString(t, "", callGraphMesh)
	const web = `{"data": {"id": "web", "nodeType": "workload", "namespace": "shop", "workload": "web-v1"}}`
	const cart = `{"data": {"id": "cart", "nodeType": "service", "namespace": "shop", "service": "cart"}}`
	const waypoint = `{"data": {"id": "wp", "nodeType": "workload", "namespace": "shop", "workload": "waypoint", "isWaypoint": true}}`
	edge := func(from, to, traffic string) string {
		return fmt.Sprintf(`{"data": {"source": %q, "target": %q, "traffic": {%s}}}`, from, to, traffic)
	}
	for _, tc := range []struct {
		name, nodes, edges string
		want, unknowns     []string
	}{
		{"through a waypoint", web + "," + waypoint + "," + cart, edge("web", "wp", "") + "," + edge("wp", "cart", ""),
			[]string{"Outside unmatched -> Service shop/cart"}, []string{"silent-waypoint"}},
		{"a Service that nobody calls in the graph", cart + "," + web, edge("cart", "web", ""),
			[]string{"Outside unmatched -> Service shop/web"}, []string{"silent-waypoint"}},
		{"an app", `{"data": {"id": "app", "nodeType": "app", "namespace": "shop", "app": "web"}},` + cart, edge("app", "cart", ""),
			[]string{"Deployment shop/web-v1 -> Service shop/cart", "Deployment shop/web-v2 -> Service shop/cart"}, nil},
		{"a workload that is gone", `{"data": {"id": "x", "nodeType": "workload", "namespace": "gone", "workload": "job"}},` + cart, edge("x", "cart", ""),
			[]string{"Outside unmatched -> Service shop/cart"}, []string{"unknown-endpoint"}},
		{"pods of several Services", web + `,{"data": {"id": "x", "nodeType": "workload", "namespace": "shop", "workload": "web-v2", "destServices": [{"namespace": "shop", "name": "web"}, {"namespace": "shop", "name": "cart"}]}}`, edge("web", "x", ""),
			[]string{"Outside unmatched -> Service shop/cart", "Outside unmatched -> Service shop/web", "Deployment shop/web-v1 -> Service shop/cart", "Deployment shop/web-v1 -> Service shop/web"}, nil},
		{"refused and passed", web + "," + cart, edge("web", "cart", `"protocol": "http", "responses": {"403": {}, "200": {}}`),
			[]string{"Deployment shop/web-v1 -> Service shop/cart passed"}, nil},
		{"gRPC is answered by its status", web + "," + cart, edge("web", "cart", `"protocol": "grpc", "responses": {"7": {}}`),
			[]string{"Deployment shop/web-v1 -> Service shop/cart refused"}, nil},
		{"no call", web, "", nil, []string{"no-metrics"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := `{"timestamp": 1764000000, "duration": 3600, "elements": {"nodes": [` + tc.nodes + `], "edges": [` + tc.edges + `]}}`
			edges, unknowns, err := ReadKiali("g.json", strings.NewReader(in), inv)
			if err != nil {
				t.Fatal(err)
			}
			var got, ids []string
			for _, e := range edges {
				line := fmt.Sprintf("%s -> %s", e.From, e.To)
				if e.Seen.Passed {
					line += " passed"
				}
				if e.Seen.Refused {
					line += " refused"
				}
				got = append(got, line)
			}
			for _, u := range unknowns {
				ids = append(ids, u.ID)
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(tc.unknowns, ids); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestReadKialiErrors: what is no graph is an error with its place.
func TestReadKialiErrors(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"empty", "", "g.json:1: it is not the JSON of Kiali"},
		{"html", "<html>log in</html>", "g.json:1: it is not the JSON"},
		{"cut", "{\n\"elements\":\n{", "g.json:3: "},
		{"another document", `{"kind": "List"}`, "g.json:1: it has no \"elements\""},
		{"an edge to nowhere", `{"elements": {"nodes": [], "edges": [{"data": {"source": "a", "target": "b"}}]}}`, "g.json:1: elements.edges[0] leads from or to a node that is not there"},
		{"a node without id", `{"elements": {"nodes": [{"data": {}}]}}`, "g.json:1: elements.nodes[0] has no id"},
		{"a nodeType of a later Kiali", `{"elements": {"nodes": [{"data": {"id": "a", "nodeType": "mesh"}}]}}`, "g.json:1: elements.nodes[0] has nodeType \"mesh\""},
		{"two nodes with one id", `{"elements": {"nodes": [{"data": {"id": "a", "nodeType": "app"}}, {"data": {"id": "a", "nodeType": "app"}}]}}`, "g.json:1: elements.nodes[1] has the id of another"},
		{"another type", `{"elements": {"nodes": 1}}`, "g.json:1: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := ReadKiali("g.json", strings.NewReader(tc.in), &api.Inventory{})
			if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}

// FuzzKiali: no graph makes the reader panic.
func FuzzKiali(f *testing.F) {
	f.Add(kialiMesh)
	f.Add(`{"elements": {"nodes": [{"data": {"id": "a", "nodeType": "workload", "namespace": "shop", "workload": "web-v1"}}], "edges": [{"data": {"source": "a", "target": "a", "traffic": {"protocol": "http", "rates": {"http": "NaN"}}}}]}}`)
	inv, err := Read(f.Context(), Options{Paths: []string{"-"}, Stdin: strings.NewReader(callGraphMesh)})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in string) {
		edges, _, err := ReadKiali("g.json", strings.NewReader(in), inv)
		if err != nil && !strings.HasPrefix(err.Error(), "g.json:") {
			t.Fatalf("no place: %v", err)
		}
		for _, e := range edges {
			if e.Provenance != api.Observed || e.To.Name == "" || e.Rate < 0 || e.Rate != e.Rate {
				t.Fatalf("%+v", e)
			}
		}
	})
}
