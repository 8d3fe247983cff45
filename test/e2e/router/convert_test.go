package router

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/convert"
)

// TestConversionsAgainstIstiod gives istiod random VirtualServices, and then the routes
// that they are converted to. What it generates does the same with a request of each
// cell, at the sidecar of a client and at the waypoint.
func TestConversionsAgainstIstiod(t *testing.T) {
	r := rand.New(rand.NewSource(max(*seed, 1)))
	converted, requests := 0, 0
	for range max(*meshes/4, 1) {
		var objects []string
		for n := range services {
			objects = append(objects, drawPlain(r, n))
		}
		c, n := compareConversions(t, objects)
		converted, requests = converted+c, requests+n
	}
	t.Logf("%d hosts converted, %d requests compared", converted, requests)
	if converted < 10 || requests < 100 {
		t.Errorf("too little was compared: %d hosts converted, %d requests", converted, requests)
	}
}

// drawPlain draws a VirtualService that says little which routes of the Gateway API
// cannot say: drawObject almost never draws one that can be converted.
func drawPlain(r *rand.Rand, n int) string {
	name := fmt.Sprintf("svc%d", n)
	var rules []string
	for range r.Intn(3) {
		rules = append(rules, "{match: ["+drawPlainMatch(r)+pick(r, "", ", "+drawPlainMatch(r))+"], "+drawPlainAction(r, name)+"}")
	}
	rules = append(rules, "{"+drawPlainAction(r, name)+"}")
	return "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " + name + ", namespace: shop}\nspec: {hosts: [" + name + "], http: [" + strings.Join(rules, ", ") + "]}"
}

func drawPlainMatch(r *rand.Rand) string {
	parts := []string{pick(r, "uri: {exact: /a}", "uri: {prefix: /}", "uri: {prefix: /a}", "uri: {prefix: /a/}", "uri: {prefix: /a/b}", "uri: {regex: '/[a-c]/.*'}")}
	if r.Intn(3) == 0 {
		parts = append(parts, "headers: {x-a: "+pick(r, "{exact: v1}", "{prefix: v}", "{regex: 'v.*'}", "{}")+"}")
	}
	if r.Intn(4) == 0 {
		parts = append(parts, "queryParams: {q: "+pick(r, "{exact: v1}", "{prefix: v}")+"}")
	}
	if r.Intn(4) == 0 {
		parts = append(parts, "method: {exact: GET}")
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func drawPlainAction(r *rand.Rand, name string) string {
	to := func() string { return "{host: " + pick(r, name, name, "other") + ", port: {number: 80}}" }
	parts := []string{"route: [{destination: " + to() + "}]"}
	if r.Intn(3) == 0 {
		parts[0] = "route: [{destination: " + to() + ", weight: 90}, {destination: " + to() + ", weight: 10" + pick(r, "", ", headers: "+drawHeaders(r)) + "}]"
	}
	for _, x := range []string{"timeout: 2s", "headers: " + drawHeaders(r), "rewrite: {authority: r.example}", "mirror: " + to() + ", mirrorPercentage: {value: 25}", "retries: {attempts: 3, perTryTimeout: 1s, retryOn: '503,connect-failure,refused-stream,unavailable,cancelled'}"} {
		if r.Intn(5) == 0 {
			parts = append(parts, x)
		}
	}
	return strings.Join(parts, ", ")
}

// newest has all that the Gateway API has.
func newest() convert.Cluster {
	d := &convert.Definition{Bundle: convert.Version{Major: 1, Minor: 6}, Experimental: true}
	return convert.Cluster{Istio: convert.Version{Major: 1, Minor: 31}, HTTPRoute: d, GRPCRoute: d}
}

// compareConversions compares the hosts of one mesh that are converted, and returns how
// many these are and how many requests were asked.
func compareConversions(t *testing.T, objects []string) (converted, requests int) {
	t.Helper()
	before, kept := start(t, objects)
	st := state(t, kept)
	var routes []string
	hosts := map[string]bool{}
	for _, h := range convert.All(st, newest()).Hosts {
		if h.Class != convert.Converted {
			continue
		}
		hosts[h.Service.Name] = true
		for _, o := range h.Objects {
			b, err := yaml.Marshal(o)
			if err != nil {
				t.Fatal(err)
			}
			routes = append(routes, string(b))
		}
	}
	if len(hosts) == 0 {
		return 0, 0
	}
	after, all := start(t, routes)
	if len(all) != len(routes) {
		t.Errorf("istiod took %d of %d routes", len(all), len(routes))
	}
	then := state(t, routes)
	client := st.WorkloadsIn("shop")[0]
	for _, place := range []struct {
		name          string
		mode          mesh.Mode
		through       *api.WaypointRef
		before, after map[string]*routev3.VirtualHost
	}{
		{"sidecar", mesh.ModeSidecar, nil, sidecarHosts(before), sidecarHosts(after)},
		{"waypoint", mesh.ModeAmbient, &api.WaypointRef{Name: "waypoint", Namespace: "shop"}, waypointHosts(t, before), waypointHosts(t, after)},
	} {
		for _, n := range serviceNames() {
			if !hosts[n] {
				continue
			}
			converted++
			svc := st.Service("shop", n)
			a, b := st.Traffic(client, place.mode, svc, svc.Ports[0], place.through), then.Traffic(client, place.mode, svc, svc.Ports[0], place.through)
			one, why := mesh.CompileRoutes(a.Routes, a.Call, mesh.RouteOptions{})
			other, why2 := mesh.CompileRoutes(b.Routes, b.Call, mesh.RouteOptions{})
			if why+why2 != "" {
				t.Errorf("%s of %s was converted, and its routes are not known: %s%s", place.name, n, why, why2)
				continue
			}
			cells, why := mesh.RouteCells(one, other, mesh.RouteOptions{})
			if why != "" {
				t.Errorf("%s of %s was converted, and its requests cannot be told apart: %s", place.name, n, why)
				continue
			}
			for _, req := range cells {
				requests++
				want, got := answer(place.before[n], req), answer(place.after[n], req)
				if !slices.Equal(want, got) {
					t.Errorf("%s: %s at %s\nVirtualService:\n  %s\nroutes:\n  %s\nfor\n%s\nand\n%s", place.name, req, n, strings.Join(want, "\n  "), strings.Join(got, "\n  "), objectOf(kept, n), strings.Join(routes, "---\n"))
					break
				}
			}
		}
	}
	return converted, requests
}

// answer is what the routes of a virtual host do with a request.
func answer(vh *routev3.VirtualHost, req mesh.RouteRequest) []string {
	if i := slices.IndexFunc(vh.GetRoutes(), func(r *routev3.Route) bool { return matches(r.Match, req) }); i >= 0 {
		return envoyDoes(vh.Routes[i], req)
	}
	return []string{"404"}
}
