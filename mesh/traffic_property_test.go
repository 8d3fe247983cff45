package mesh

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// drawTraffic draws routes, policies and scopes that meet at service orders in namespace shop.
func drawTraffic(t *rapid.T) []string {
	namespace := rapid.SampledFrom([]string{"shop", "web", "infra", "istio-system"})
	host := rapid.SampledFrom([]string{"orders", "orders.shop.svc.cluster.local", "'*.shop.svc.cluster.local'", "'*.svc.cluster.local'", "'*'", "orders-v2.shop.svc.cluster.local"})
	exportTo := rapid.SampledFrom([]string{"", ", exportTo: ['.']", ", exportTo: ['*']", ", exportTo: [web]", ", exportTo: [shop, infra]", ", exportTo: ['~']"})
	match := rapid.SampledFrom([]string{"", "match: [{uri: {prefix: /a}}], ", "match: [{sourceLabels: {app: web}}], ", "match: [{sourceNamespace: web}, {uri: {exact: /b}}], ", "match: [{port: 81}, {gateways: [mesh]}], ",
		"match: [{uri: {prefix: /}}], "})
	feature := rapid.SampledFrom([]string{"timeout: 1s, ", "retries: {attempts: 3}, ", "", "fault: {abort: {httpStatus: 500, percentage: {value: 1}}}, "})
	to := rapid.SampledFrom([]string{"orders.shop.svc.cluster.local", "orders.shop.svc.cluster.local, subset: v2", "orders-v2.shop.svc.cluster.local"})
	age := func(i int) string {
		if rapid.Bool().Draw(t, "dated") {
			return fmt.Sprintf("creationTimestamp: \"2026-01-%02dT00:00:00Z\", ", rapid.IntRange(1, 9).Draw(t, "day"))
		}
		return ""
	}
	var out []string
	for i := range rapid.IntRange(0, 6).Draw(t, "objects") {
		ns := namespace.Draw(t, "namespace")
		meta := fmt.Sprintf("metadata: {%sname: o%d, namespace: %s}\n", age(i), i, ns)
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0, 1:
			var rules []string
			for range rapid.IntRange(1, 3).Draw(t, "rules") {
				rules = append(rules, "{"+match.Draw(t, "match")+feature.Draw(t, "feature")+"route: [{destination: {host: "+to.Draw(t, "to")+"}}]}")
			}
			gateways := rapid.SampledFrom([]string{"", ", gateways: [mesh]", ", gateways: [public]"}).Draw(t, "gateways")
			out = append(out, "kind: VirtualService\n"+meta+"spec: {hosts: ["+host.Draw(t, "host")+"], http: ["+strings.Join(rules, ", ")+"]"+gateways+exportTo.Draw(t, "exportTo")+"}")
		case 2:
			selector := rapid.SampledFrom([]string{"", ", workloadSelector: {matchLabels: {app: web}}"}).Draw(t, "selector")
			out = append(out, "kind: DestinationRule\n"+meta+fmt.Sprintf("spec: {host: %s, trafficPolicy: {connectionPool: {tcp: {maxConnections: %d}}}, subsets: [{name: v2, labels: {v: o%d}}]%s%s}",
				host.Draw(t, "host"), i, i, exportTo.Draw(t, "exportTo"), selector))
		case 3:
			hosts := rapid.SampledFrom([]string{"'*/*'", "'shop/*'", "'./*', 'istio-system/*'", "'./*', 'shop/orders.shop.svc.cluster.local'", "'*/orders.shop.svc.cluster.local'", "'*/*', '~web/*'"}).Draw(t, "egress")
			selector := rapid.SampledFrom([]string{"", "workloadSelector: {labels: {app: web}}, "}).Draw(t, "selector")
			out = append(out, "kind: Sidecar\n"+meta+"spec: {"+selector+"egress: [{hosts: ["+hosts+"]}]}")
		case 4:
			path := rapid.SampledFrom([]string{"", "matches: [{path: {type: Exact, value: /a}}], ", "matches: [{path: {type: PathPrefix, value: /b}, method: GET}, {path: {type: PathPrefix, value: /}}], "})
			var rules []string
			for range rapid.IntRange(1, 2).Draw(t, "rules") {
				rules = append(rules, "{"+path.Draw(t, "path")+"timeouts: {request: 1s}, "+own+"}")
			}
			out = append(out, "kind: HTTPRoute\n"+meta+"spec: {parentRefs: [{group: \"\", kind: Service, namespace: shop, name: orders}], rules: ["+strings.Join(rules, ", ")+"]}")
		}
	}
	return out
}

var trafficWays = []string{"web", "cart", "gw", "web+ambient", "web+waypoint", "web+infra", "web+none"}

// TestTrafficOrderOfObjects: the order of an inventory's objects does not show.
func TestTrafficOrderOfObjects(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		objects := drawTraffic(rt)
		c := trafficCase{way: rapid.SampledFrom(trafficWays).Draw(rt, "way")}
		a := c.ask(t, trafficState(t, strings.Join(objects, "\n---\n")))
		b := c.ask(t, trafficState(t, strings.Join(rapid.Permutation(objects).Draw(rt, "other order"), "\n---\n")))
		if d := cmp.Diff(a, b); d != "" {
			rt.Fatalf("%s", d)
		}
		if d := CompareTraffic(a, b); d != nil {
			rt.Fatalf("equal ones differ: %v", d)
		}
	})
}

// TestWithoutWaypointNothingIsGained: when a waypoint goes, its clients lose rules and gain none; at most a request that
// no rule took reaches the service.
func TestWithoutWaypointNothingIsGained(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := trafficState(t, strings.Join(drawTraffic(rt), "\n---\n"))
		with := trafficCase{way: rapid.SampledFrom([]string{"web+waypoint", "web+infra"}).Draw(rt, "way")}.ask(t, s)
		without := trafficCase{way: "web+ambient"}.ask(t, s)
		if len(without.Routes)+len(without.Policies) > 0 {
			rt.Fatalf("without waypoint: %v", acting(without))
		}
		lost := 0
		for _, d := range CompareTraffic(with, without) {
			switch {
			case d.Change == TrafficGained && !d.Object.IsZero():
				rt.Fatalf("gained: %s", d)
			case d.Change == TrafficLost:
				lost++
			}
		}
		asked := slices.ContainsFunc(slices.Concat(with.Routes, with.Policies), func(a Applied) bool {
			return len(a.Features) > 0 && (a.Host == "" || a.Host == "orders.shop.svc.cluster.local")
		})
		if asked != (lost > 0) {
			rt.Fatalf("of %v %d were lost", acting(with), lost)
		}
	})
}

// TestScopesEndAtWaypoints: Sidecar objects and whatever lives in the client's namespace never change the rules of a
// waypoint elsewhere (facts L-30, L-33, L-40). What is unknown may change: a VirtualService of any namespace gives a
// waypoint the cluster that another's wildcard host did not.
func TestScopesEndAtWaypoints(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		objects := drawTraffic(rt)
		c := trafficCase{way: rapid.SampledFrom([]string{"web+waypoint", "web+infra"}).Draw(rt, "way")}
		all := c.ask(t, trafficState(t, strings.Join(objects, "\n---\n")))
		fewer := slices.DeleteFunc(slices.Clone(objects), func(o string) bool {
			return strings.HasPrefix(o, "kind: Sidecar") || strings.Contains(o, "namespace: web}")
		})
		some := c.ask(t, trafficState(t, strings.Join(fewer, "\n---\n")))
		all.Unknown, some.Unknown = "", ""
		if d := cmp.Diff(some, all); d != "" {
			rt.Fatalf("%s", d)
		}
	})
}

// TestTrafficGroups: for clients of one group the same acts, and without groups nothing does.
func TestTrafficGroups(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := trafficState(t, strings.Join(drawTraffic(rt), "\n---\n"))
		svc := s.Service("shop", "orders")
		groups := s.TrafficGroups(svc)
		mode := rapid.SampledFrom([]Mode{ModeSidecar, ModeAmbient}).Draw(rt, "mode")
		var through *api.WaypointRef
		if rapid.Bool().Draw(rt, "waypoint") {
			through = &api.WaypointRef{Name: "waypoint", Namespace: "infra"}
		}
		seen := map[string]Acting{}
		for _, ns := range []string{"web", "shop", "infra", "istio-system"} {
			for _, app := range []string{"web", "other"} {
				w := &api.Workload{Kind: "Deployment", APIVersion: "apps/v1", Group: "apps", Namespace: ns, Name: app, PodLabels: map[string]string{"app": app}}
				a := s.Traffic(w, mode, svc, svc.Ports[0], through)
				if groups == nil {
					if len(a.Routes)+len(a.Policies) > 0 {
						rt.Fatalf("no groups, and for %s: %v", w.Ref(), acting(a))
					}
					continue
				}
				g := groups.Of(w)
				if b, ok := seen[g]; ok {
					if d := cmp.Diff(b, a); d != "" {
						rt.Fatalf("group %q of %s:\n%s", g, w.Ref(), d)
					}
				}
				seen[g] = a
			}
		}
	})
}

// TestTrafficGroupsApart: clients whose Sidecar or DestinationRules differ in effect are of two groups.
func TestTrafficGroupsApart(t *testing.T) {
	for name, objects := range map[string]string{
		"./* of the root namespace's Sidecar":    vs("web", "vs", "") + sidecar("istio-system", "default", "{egress: [{hosts: ['./*', 'shop/*']}]}"),
		"DestinationRule for where a rule leads": rules("{route: [{destination: {host: orders-v2}}]}") + dr("web", "dr", ", host: orders-v2.shop.svc.cluster.local"),
		"VirtualService for one namespace":       vs("shop", "vs", ", exportTo: [web]"),
	} {
		s := trafficState(t, objects)
		svc := s.Service("shop", "orders")
		groups := s.TrafficGroups(svc)
		a, b := *s.WorkloadsIn("web")[0], *s.WorkloadsIn("web")[0]
		b.Namespace = "infra"
		if cmp.Equal(acting(s.Traffic(&a, ModeSidecar, svc, svc.Ports[0], nil)), acting(s.Traffic(&b, ModeSidecar, svc, svc.Ports[0], nil))) {
			t.Errorf("%s: the case shows nothing", name)
		}
		if groups.Of(&a) == groups.Of(&b) {
			t.Errorf("%s: clients of namespaces web and infra are of one group", name)
		}
	}
}

// TestCompareTrafficBothWays: what differs one way differs the other way, with lost and gained changed over.
func TestCompareTrafficBothWays(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := trafficState(t, strings.Join(drawTraffic(rt), "\n---\n"))
		a := trafficCase{way: rapid.SampledFrom(trafficWays).Draw(rt, "way")}.ask(t, s)
		b := trafficCase{way: rapid.SampledFrom(trafficWays).Draw(rt, "other way")}.ask(t, s)
		if n, m := len(CompareTraffic(a, b)), len(CompareTraffic(b, a)); (n == 0) != (m == 0) {
			rt.Fatalf("%d differences one way, %d the other", n, m)
		}
	})
}

// manyRoutes is a mesh of n services in namespaces of 50, each with two VirtualServices and a DestinationRule.
func manyRoutes(tb testing.TB, n int) *State {
	inv := &api.Inventory{}
	object := func(kind, ns, name string, spec map[string]any) {
		inv.Objects = append(inv.Objects, api.Object{APIVersion: "networking.istio.io/v1", Kind: kind, Namespace: ns, Name: name,
			Content: api.Content{"metadata": map[string]any{"name": name, "namespace": ns}, "spec": spec}})
	}
	for i := range n {
		ns, name := fmt.Sprintf("ns%d", i/50), fmt.Sprintf("svc%d", i)
		if i%50 == 0 {
			inv.Namespaces = append(inv.Namespaces, api.Namespace{Name: ns})
		}
		inv.Services = append(inv.Services, api.Service{Namespace: ns, Name: name, Ports: []api.ServicePort{{Port: 80, Protocol: "HTTP"}}})
		inv.Workloads = append(inv.Workloads, api.Workload{APIVersion: "apps/v1", Group: "apps", Kind: "Deployment", Namespace: ns, Name: name, PodLabels: map[string]string{"app": name}})
		for j := range 2 {
			object("VirtualService", ns, fmt.Sprintf("%s-%d", name, j), map[string]any{"hosts": []any{name}, "http": []any{
				map[string]any{"match": []any{map[string]any{"uri": map[string]any{"prefix": "/a"}}}, "timeout": "1s", "route": []any{map[string]any{"destination": map[string]any{"host": name, "subset": "v2"}}}},
				map[string]any{"route": []any{map[string]any{"destination": map[string]any{"host": name}}}},
			}})
		}
		object("DestinationRule", ns, name, map[string]any{"host": name, "trafficPolicy": map[string]any{"connectionPool": map[string]any{}}, "subsets": []any{map[string]any{"name": "v2", "labels": map[string]any{"v": "2"}}}})
	}
	s, unknowns := New(inv)
	if len(unknowns) > 0 {
		tb.Fatal(unknowns)
	}
	return s
}

// BenchmarkTraffic: one question must stay the same whatever the size of the mesh.
func BenchmarkTraffic(b *testing.B) {
	for _, n := range []int{500, 5000} {
		s := manyRoutes(b, n)
		b.Run(fmt.Sprintf("index/%d-services", n), func(b *testing.B) {
			for b.Loop() {
				newTrafficIndex(s.ix)
			}
		})
		for _, mode := range []Mode{ModeSidecar, ModeAmbient} {
			b.Run(fmt.Sprintf("%s/%d-services", mode, n), func(b *testing.B) {
				svc := &s.Services()[n/2]
				w := s.WorkloadsIn("ns0")[0]
				through := &api.WaypointRef{Name: "waypoint", Namespace: svc.Namespace}
				b.ReportAllocs()
				for b.Loop() {
					if a := s.Traffic(w, mode, svc, svc.Ports[0], through); len(a.Routes) == 0 {
						b.Fatal("nothing acts")
					}
				}
			})
		}
	}
}
