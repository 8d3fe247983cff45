package convert_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/convert"
)

// object is a VirtualService of namespace shop.
func object(name, spec string) string {
	return fmt.Sprintf("---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: %s, namespace: shop, creationTimestamp: \"2024-01-01T00:00:00Z\"}\nspec: {%s}\n", name, spec)
}

const plainRule = `http: [{route: [{destination: {host: ratings}}]}]`

// TestAll is what becomes of VirtualServices as a whole: "name: class, hosts converted; why; what is left".
func TestAll(t *testing.T) {
	tests := []struct {
		name, mesh string
		want       []string
	}{
		{"short and full name", object("a", `hosts: [reviews.shop.svc.cluster.local], `+plainRule), []string{"a: converted [reviews.shop.svc.cluster.local]; []; nothing"}},
		{"for gateways only", object("a", `hosts: ["*"], gateways: [gw], `+plainRule), []string{"a: kept []; [L-32 spec.gateways]; gateways=[gw] hosts=[*] http=1"}},
		{"mixed: the part for gateways stays", object("a", `hosts: [reviews], gateways: [mesh, gw], http: [{match: [{gateways: [mesh], uri: {exact: /a}}], route: [{destination: {host: ratings}}]}, {match: [{gateways: [gw], uri: {exact: /b}}, {gateways: [mesh], uri: {exact: /c}}], route: [{destination: {host: ratings}}]}]`),
			[]string{"a: converted [reviews.shop.svc.cluster.local]; []; gateways=[gw] hosts=[reviews] http=1"}},
		{"mixed, with rules for the mesh alone", object("a", `hosts: [reviews], gateways: [mesh, gw], http: [{match: [{gateways: [mesh]}], route: [{destination: {host: ratings}}]}]`),
			[]string{"a: converted [reviews.shop.svc.cluster.local]; []; nothing"}},
		{"mixed, one host stays: all do", object("a", `hosts: [reviews, "*.example.com"], gateways: [mesh, gw], `+plainRule),
			[]string{"a: kept []; [C-12 spec.gateways C-11 spec.hosts[1]]; gateways=[mesh gw] hosts=[reviews *.example.com] http=1"}},
		{"one host stays", object("a", `hosts: [reviews, "*.example.com"], `+plainRule),
			[]string{"a: kept [reviews.shop.svc.cluster.local]; [C-11 spec.hosts[1]]; gateways=<nil> hosts=[*.example.com] http=1"}},
		{"a host that is not there", object("a", `hosts: [nobody], `+plainRule), []string{"a: blocked []; [C-11 spec.hosts[0]]; gateways=<nil> hosts=[nobody] http=1"}},
		{"two for one host", object("a", `hosts: [reviews], http: [{match: [{uri: {exact: /a}}], route: [{destination: {host: ratings}}]}]`) + object("b", `hosts: [reviews], `+plainRule),
			[]string{"a: blocked []; [C-01 spec.hosts]; gateways=<nil> hosts=[reviews] http=1", "b: blocked []; [C-01 spec.hosts]; gateways=<nil> hosts=[reviews] http=1"}},
		{"two for one host, the older takes everything", object("a", `hosts: [reviews], `+plainRule) + object("b", `hosts: [reviews], http: [{match: [{uri: {exact: /a}}], route: [{destination: {host: reviews}}]}]`),
			[]string{"a: converted [reviews.shop.svc.cluster.local]; []; nothing", "b: converted [reviews.shop.svc.cluster.local]; []; nothing"}},
		{"two for one host, of unknown age", strings.ReplaceAll(object("a", `hosts: [reviews], `+plainRule)+object("b", `hosts: [reviews], `+plainRule), `, creationTimestamp: "2024-01-01T00:00:00Z"`, ""),
			[]string{"a: blocked []; [L-30 metadata.creationTimestamp]; gateways=<nil> hosts=[reviews] http=1", "b: blocked []; [L-30 metadata.creationTimestamp]; gateways=<nil> hosts=[reviews] http=1"}},
		{"one of two stays: so does the other", object("a", `hosts: [reviews], http: [{fault: {abort: {httpStatus: 500}}, route: [{destination: {host: ratings}}]}]`) + object("b", `hosts: [reviews], `+plainRule),
			[]string{"a: kept []; [C-44 spec.http[0].fault]; gateways=<nil> hosts=[reviews] http=1", "b: kept []; [C-44 spec.http[0].fault]; gateways=<nil> hosts=[reviews] http=1"}},
		{"delegate", object("root", `hosts: [reviews], http: [{match: [{uri: {prefix: /a}}], delegate: {name: leaf}}]`) + object("leaf", plainRule),
			[]string{"leaf: converted []; []; nothing", "root: converted [reviews.shop.svc.cluster.local]; []; nothing"}},
		{"delegate of one that stays", object("root", `hosts: [reviews], http: [{match: [{authority: {exact: a}}], delegate: {name: leaf}}]`) + object("leaf", plainRule),
			[]string{"leaf: kept []; [C-46 spec.hosts]; gateways=<nil> hosts=<nil> http=1", "root: kept []; [C-24 spec.http[0].match[0].authority]; gateways=<nil> hosts=[reviews] http=1"}},
		{"delegate that is not there", object("root", `hosts: [reviews], http: [{delegate: {name: leaf}}]`), []string{"root: blocked []; [C-46 spec.http[0].delegate]; gateways=<nil> hosts=[reviews] http=1"}},
		{"nobody delegates to it", object("leaf", plainRule), []string{"leaf: kept []; [C-46 spec.hosts]; gateways=<nil> hosts=<nil> http=1"}},
		{"exported to nowhere", object("a", `hosts: [reviews], exportTo: [nowhere], `+plainRule), []string{"a: blocked []; [C-13 spec.exportTo]; gateways=<nil> hosts=[reviews] http=1"}},
		{"exported to some", object("a", `hosts: [reviews], exportTo: [".", web], `+plainRule), []string{"a: kept []; [C-13 spec.exportTo]; gateways=<nil> hosts=[reviews] http=1"}},
		{"exported to all", object("a", `hosts: [reviews], exportTo: ["*"], `+plainRule), []string{"a: converted [reviews.shop.svc.cluster.local]; []; nothing"}},
		{"in the namespace of a caller", strings.ReplaceAll(object("a", `hosts: [reviews.shop.svc.cluster.local], http: [{route: [{destination: {host: ratings.shop.svc.cluster.local}}]}]`), "namespace: shop", "namespace: web"),
			[]string{"a: blocked []; [L-30 metadata.namespace]; gateways=<nil> hosts=[reviews.shop.svc.cluster.local] http=1"}},
		{"a ServiceEntry", object("a", `hosts: [api.example.com], `+plainRule), []string{"a: converted [api.example.com]; []; nothing"}},
		{"a wildcard beside it", object("a", `hosts: [reviews], `+plainRule) + object("b", `hosts: ["*.shop.svc.cluster.local"], `+plainRule),
			[]string{"a: kept []; [C-11 spec.hosts]; gateways=<nil> hosts=[reviews] http=1", "b: kept []; [C-11 spec.hosts[0]]; gateways=<nil> hosts=[*.shop.svc.cluster.local] http=1"}},
		{"a route beside it", object("a", `hosts: [reviews], `+plainRule) + "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: mine, namespace: shop}\nspec: {parentRefs: [{group: \"\", kind: Service, name: reviews}], rules: [{backendRefs: [{name: ratings, port: 80}]}]}\n",
			[]string{"a: kept []; [C-02 spec.hosts]; gateways=<nil> hosts=[reviews] http=1"}},
		{"a subset in another namespace", strings.ReplaceAll(object("a", `hosts: [far], http: [{route: [{destination: {host: reviews.shop.svc.cluster.local, subset: v1}}]}]`), "namespace: shop", "namespace: web"),
			[]string{"a: converted [far.web.svc.cluster.local]; []; nothing"}},
		{"a subset in another namespace, of which this one has a rule of its own", strings.ReplaceAll(object("a", `hosts: [far], http: [{route: [{destination: {host: reviews.shop.svc.cluster.local, subset: v1}}]}]`), "namespace: shop", "namespace: web") +
			"---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: own, namespace: web}\nspec: {host: reviews.shop.svc.cluster.local, subsets: [{name: v1, labels: {version: other}}]}\n",
			[]string{"a: kept []; [C-51 spec.http[0].route[0].destination.subset]; gateways=<nil> hosts=[far] http=1"}},
		{"a field that there is not", object("a", `hosts: [reviews], http: [{retrys: {}, route: [{destination: {host: ratings}}]}]`), []string{"a: blocked []; [L-30 spec.http.retrys]; gateways=<nil> hosts=[reviews] http=1"}},
		{"no rules", object("a", `hosts: [reviews]`), []string{"a: blocked []; [L-30 spec]; gateways=<nil> hosts=[reviews] http=0"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, v := range convert.All(read(t, shop+tt.mesh), newest()).VirtualServices {
				left := "nothing"
				if v.Rest != nil {
					spec := v.Rest["spec"].(map[string]any)
					rules, _ := spec["http"].([]any)
					left = fmt.Sprintf("gateways=%v hosts=%v http=%d", spec["gateways"], spec["hosts"], len(rules))
				}
				got = append(got, fmt.Sprintf("%s: %s %v; %v; %s", v.Object.Name, v.Class, v.Hosts, facts(v.Why), left))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// TestLarge: many rules are split over routes within the limits of the API, in an order that does not depend on the
// age of the routes (facts C-03), and stay equal.
func TestLarge(t *testing.T) {
	for _, tt := range []struct {
		name  string
		rule  func(i int) string
		rules int
	}{
		{"apart by path", func(i int) string {
			return fmt.Sprintf("{match: [{uri: {exact: /p%d}}], timeout: %ds, route: [{destination: {host: ratings}}]}", i, i+1)
		}, 1000},
		{"all overlap", overlapping, 150},
		{"all overlap, too many to prove in a test", overlapping, 1000},
		{"many matches", func(i int) string {
			var ms []string
			for j := range 70 {
				ms = append(ms, fmt.Sprintf("{uri: {prefix: /p%d/%d/}}", i, j))
			}
			return fmt.Sprintf("{match: [%s], timeout: %ds, route: [{destination: {host: ratings}}]}", strings.Join(ms, ", "), i+1)
		}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var rules []string
			for i := range tt.rules {
				rules = append(rules, tt.rule(i))
			}
			rules = append(rules, "{route: [{destination: {host: reviews}}]}")
			vs := virtualService("reviews", "  http: ["+strings.Join(rules, ", ")+"]\n")
			r := host(t, newest(), vs)
			if r.Class != convert.Converted {
				t.Fatalf("%s: %+v", r.Class, r.Why)
			}
			for _, o := range r.Objects {
				total := 0
				rs := o["spec"].(map[string]any)["rules"].([]any)
				for _, raw := range rs {
					n := len(raw.(map[string]any)["matches"].([]any))
					total += n
					if n > 64 {
						t.Errorf("%d matches in a rule", n)
					}
				}
				if len(rs) > 16 || total > 128 {
					t.Errorf("%d rules and %d matches in a route", len(rs), total)
				}
			}
			t.Logf("%d routes", len(r.Objects))
			if strings.Contains(tt.name, "too many") {
				return
			}
			difference, unknown := proven(t, shop+vs, r)
			if difference != "" {
				t.Error(difference)
			}
			if unknown != "" {
				t.Error("not compared:", unknown)
			}
		})
	}
}

func overlapping(i int) string {
	return fmt.Sprintf("{match: [{headers: {h%d: {exact: x}}}], timeout: %ds, route: [{destination: {host: ratings}}]}", i, i+1)
}

// TestLimits: what the API takes only so many of (facts C-03).
func TestLimits(t *testing.T) {
	var to, headers []string
	for i := range 17 {
		to = append(to, fmt.Sprintf("{destination: {host: ratings}, weight: %d}", i))
		headers = append(headers, fmt.Sprintf("h%d: {exact: x}", i))
	}
	for name, rule := range map[string]string{
		"17 destinations":         "{route: [" + strings.Join(to, ", ") + "]}",
		"17 headers":              "{match: [{headers: {" + strings.Join(headers, ", ") + "}}], route: [{destination: {host: ratings}}]}",
		"17 headers to set":       "{headers: {request: {set: {" + strings.ReplaceAll(strings.Join(headers, ", "), "{exact: x}", "x") + "}}}, route: [{destination: {host: ratings}}]}",
		"a path of 1025":          "{match: [{uri: {exact: /" + strings.Repeat("a", 1024) + "}}], route: [{destination: {host: ratings}}]}",
		"a name of 300":           "{match: [{headers: {" + strings.Repeat("a", 300) + ": {exact: x}}}], route: [{destination: {host: ratings}}]}",
		"1,000,001 as a weight":   "{route: [{destination: {host: ratings}, weight: 1000001}, {destination: {host: reviews}, weight: 1}]}",
		"a year and a half of it": "{timeout: 400000000s, route: [{destination: {host: ratings}}]}",
	} {
		r := host(t, newest(), virtualService("reviews", "  http: ["+rule+"]\n"))
		if r.Class != convert.Kept || len(r.Why) == 0 {
			t.Errorf("%s: %s, %+v", name, r.Class, r.Why)
		}
	}
}

// TestHostile: names that no API server would take, in documents; and names that meet.
func TestHostile(t *testing.T) {
	for _, name := range []string{"../../etc", "-", "UPPER", strings.Repeat("a", 300), "é", "a b", "0"} {
		for _, doc := range []string{
			virtualService(fmt.Sprintf("%q", name), "  "+plainRule+"\n"),
			virtualService("reviews", fmt.Sprintf("  http: [{route: [{destination: {host: %q, subset: %q}}], mirror: {host: %q}}]\n", name, name, name)),
			virtualService("reviews", fmt.Sprintf("  http: [{match: [{headers: {%q: {exact: %q}}, uri: {exact: %q}}], rewrite: {uri: %q}, headers: {request: {set: {%q: %q}}}, route: [{destination: {host: ratings}}]}]\n", name, name, name, name, name, name)),
			virtualService("reviews", fmt.Sprintf("  http: [{delegate: {name: %q, namespace: %q}}]\n", name, name)),
			virtualService("db", fmt.Sprintf("  tcp: [{route: [{destination: {host: db, subset: %q}}]}]\n", name)),
		} {
			for _, v := range convert.All(read(t, shop+doc), newest()).VirtualServices {
				if v.Class == convert.Unset {
					t.Errorf("%q: no class in\n%s", name, doc)
				}
			}
		}
	}
}

// TestNames: version Services and routes whose plain names would meet get names of their own, which stay when other
// objects come.
func TestNames(t *testing.T) {
	svc := func(name string) string {
		return "---\napiVersion: v1\nkind: Service\nmetadata: {name: " + name + ", namespace: shop}\nspec: {selector: {app: " + name + "}, ports: [{name: http, port: 80}]}\n"
	}
	dr := func(host string, subsets ...string) string {
		s := "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: " + host + ", namespace: shop}\nspec: {host: " + host + ", subsets: ["
		for _, sub := range subsets {
			s += "{name: " + sub + ", labels: {version: " + sub + "}}, "
		}
		return s + "]}\n"
	}
	route := func(host, subset string) string {
		return object(host, "hosts: ["+host+"], http: [{route: [{destination: {host: "+host+", subset: "+subset+"}}]}]")
	}
	long := strings.Repeat("a", 60)
	docs := svc("a") + svc("a-b") + svc("taken") + svc("taken-v1") + svc(long) +
		dr("a", "b-c") + dr("a-b", "c") + dr("taken", "v1") + dr(long, "version-one") +
		route("a", "b-c") + route("a-b", "c") + route("taken", "v1") + route(long, "version-one")
	r := convert.All(read(t, docs), newest())
	seen := map[string]string{}
	for _, h := range r.Hosts {
		if h.Class != convert.Converted {
			t.Errorf("%s: %+v", h.Host, h.Why)
		}
		for _, o := range h.Objects {
			m := o["metadata"].(map[string]any)
			key := fmt.Sprintf("%v %v", o["kind"], m["name"])
			if seen[key] != "" {
				t.Errorf("%s of %s and of %s", key, seen[key], h.Host)
			}
			seen[key] = h.Host
			if len(m["name"].(string)) > 63 {
				t.Errorf("%s is too long", key)
			}
		}
	}
	for _, bad := range []string{"Service a-b-c", "Service taken-v1"} {
		if seen[bad] != "" {
			t.Errorf("%s is a name of something else", bad)
		}
	}
	again := convert.All(read(t, docs+svc("zebra")), newest())
	if diff := cmp.Diff(r.Hosts, again.Hosts); diff != "" {
		t.Errorf("another service changes the names: -before +after\n%s", diff)
	}
}

// TestAgain: what is there already from an earlier run is taken as it is, and the routes keep their names.
func TestAgain(t *testing.T) {
	docs := shop + virtualService("reviews", "  http: [{route: [{destination: {host: reviews, subset: v2}}]}]\n")
	first := convert.All(read(t, docs), newest()).Hosts[0]
	for _, o := range first.Objects {
		docs += "---\n" + asYAML(t, o)
	}
	again := convert.All(read(t, docs), newest()).Hosts[0]
	if diff := cmp.Diff(kind(first, "HTTPRoute"), kind(again, "HTTPRoute")); diff != "" || again.Class != convert.Converted {
		t.Errorf("%s %+v: -first +again\n%s", again.Class, again.Why, diff)
	}
	if len(again.Objects) != 1 {
		t.Errorf("it creates what is there:\n%s", asYAML(t, again.Objects))
	}
	if diff := cmp.Diff(first.Versions, again.Versions); diff != "" {
		t.Error(diff)
	}
}

// TestUndecodable: what is no VirtualService by its type is blocked, and not forgotten.
func TestUndecodable(t *testing.T) {
	inv := read(t, shop+virtualService("reviews", "  "+plainRule+"\n")).Inventory()
	copied := *inv
	copied.Objects = slices.Clone(inv.Objects)
	for i := range copied.Objects {
		if copied.Objects[i].Kind == "VirtualService" {
			copied.Objects[i].Content = api.Content{"spec": map[string]any{"http": "x"}}
		}
	}
	st, unknowns := mesh.New(&copied)
	r := convert.All(st, newest())
	if len(unknowns) != 1 || len(r.VirtualServices) != 1 || r.VirtualServices[0].Class != convert.Blocked {
		t.Errorf("%+v %+v", unknowns, r.VirtualServices)
	}
}

// FuzzSpec: any spec gives each VirtualService a class with a reason, and the same one again.
func FuzzSpec(f *testing.F) {
	for _, s := range []string{
		`{"hosts":["reviews"],"http":[null,{"match":[null],"route":[null]}]}`, `{"hosts":["reviews"],"tcp":[null],"tls":[{"match":[null]}]}`, `{"hosts":[""],"gateways":[""],"http":[{"delegate":{}}]}`,
		`{"hosts":["reviews","*","*.shop.svc.cluster.local"],"http":[{"match":[{"headers":{"":null},"uri":{"regex":"["}}],"redirect":{"port":70000},"mirror":{"host":"*"}}]}`,
		`{"hosts":["two"],"http":[{"match":[{"port":80,"uri":{"prefix":"/a/"}},{"port":8080}],"rewrite":{"uri":"/"},"route":[{"destination":{"host":"two"},"weight":-5},{"destination":{"host":"reviews","subset":"v1"}}]}]}`,
		`{"hosts":["reviews"],"http":[{"timeout":"-1s","retries":{"attempts":-2,"backoff":"0s"},"corsPolicy":{},"mirrors":[{}],"headers":{"request":{"set":{"":""}}},"route":[{"destination":{"host":"reviews"}}]}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, spec []byte) {
		var m map[string]any
		if json.Unmarshal(spec, &m) != nil {
			t.Skip()
		}
		inv := *read(t, shop).Inventory()
		inv.Objects = append(slices.Clone(inv.Objects), api.Object{APIVersion: "networking.istio.io/v1", Kind: "VirtualService", Namespace: "shop", Name: "vs", Content: api.Content{"spec": m}})
		st, _ := mesh.New(&inv)
		r := convert.All(st, newest())
		if len(r.VirtualServices) != 1 {
			t.Fatalf("%+v", r)
		}
		v := r.VirtualServices[0]
		if v.Class == convert.Unset || v.Class != convert.Converted && len(v.Why) == 0 {
			t.Errorf("%+v", v)
		}
		if diff := cmp.Diff(r, convert.All(st, newest())); diff != "" {
			t.Error(diff)
		}
		for _, h := range r.Hosts {
			if h.Class == convert.Converted && h.Service.Kind == "Service" {
				after := without(t, st, h)
				for _, p := range st.Service(h.Service.Namespace, h.Service.Name).Ports {
					if d := compareAt(t, st, after, h.Service.Namespace, h.Service.Name, p, stands(st, h)); d != "" {
						t.Errorf("%s: %s\n%s", h.Host, d, asYAML(t, h.Objects))
					}
				}
			}
		}
	})
}

// TestSubsets: each subset of a DestinationRule is in one class (facts C-50).
func TestSubsets(t *testing.T) {
	to := func(subset string) string {
		return "http: [{route: [{destination: {host: reviews, subset: " + subset + "}}]}]"
	}
	for _, tt := range []struct{ name, mesh, want string }{
		{"nobody", "", "v1 dropped, v2 dropped"},
		{"a route", object("a", "hosts: [reviews], "+to("v1")), "v1 converted reviews-v1, v2 dropped"},
		{"one that stays", object("a", "hosts: [reviews], http: [{fault: {abort: {httpStatus: 500}}, route: [{destination: {host: reviews, subset: v2}}]}]"), "v1 dropped, v2 kept"},
		{"a mirror that stays", object("a", "hosts: [reviews], http: [{fault: {abort: {httpStatus: 500}}, mirror: {host: reviews, subset: v2}, route: [{destination: {host: reviews}}]}]"), "v1 dropped, v2 kept"},
		{"a gateway", object("a", "hosts: [x.example.com], gateways: [gw], "+to("v1")), "v1 kept, v2 dropped"},
		{"a gateway and a route", object("a", "hosts: [reviews], gateways: [gw, mesh], "+to("v1")), "v1 kept reviews-v1, v2 dropped"},
	} {
		var got []string
		for _, s := range convert.All(read(t, shop+tt.mesh), newest()).Subsets {
			got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s", s.Subset, s.Class, s.Service.Name)))
		}
		if g := strings.Join(got, ", "); g != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, g, tt.want)
		}
	}
}
