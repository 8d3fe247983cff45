package convert_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/convert"
)

// proven compares what a waypoint does with the VirtualServices of a host and with the objects that take their place,
// for every request to every port (mesh.CompareRouters). The answer is "" when that is the same, else what differs or,
// with unknown, why nobody can tell.
func proven(t tester, documents string, r convert.HostResult) (difference, unknown string) {
	t.Helper()
	before := read(t, documents+client)
	after := without(t, before, r)
	opts := mesh.RouteOptions{StandsFor: map[string]mesh.RouteTarget{}}
	domain := "." + before.ClusterDomain()
	for _, v := range r.Versions {
		opts.StandsFor[v.Service.Name+"."+v.Service.Namespace+".svc"+domain] = mesh.RouteTarget{Host: v.Of.Name + "." + v.Of.Namespace + ".svc" + domain, Subset: v.Subset}
	}
	svc := before.Service(r.Service.Namespace, r.Service.Name)
	for _, at := range calls(svc) {
		p := at.port
		a, b := acting(before, svc, at), acting(after, after.Service(svc.Namespace, svc.Name), at)
		for _, x := range []mesh.Acting{a, b} {
			if x.Unknown != "" {
				return "", x.Unknown
			}
		}
		if x, y := l4(before, a, opts), l4(after, b, opts); x != y {
			return fmt.Sprintf("port %d: %s; %s", p.Port, x, y), ""
		}
		ra, why := mesh.CompileRoutes(ofHTTP(a), a.Call, opts)
		if why != "" {
			return "", why
		}
		rb, why := mesh.CompileRoutes(ofHTTP(b), b.Call, opts)
		if why != "" {
			return "", why
		}
		d, why := mesh.CompareRouters(ra, rb, opts)
		if why != "" {
			return "", why
		}
		if d != nil {
			return fmt.Sprintf("port %d: %s", p.Port, d), ""
		}
	}
	return "", ""
}

// client is an ambient workload that calls.
const client = `
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: caller, namespace: web}
spec: {selector: {matchLabels: {app: caller}}, template: {metadata: {labels: {app: caller}}, spec: {containers: [{name: a, image: a}]}}}
`

// call is one to a port, through a waypoint or from a client with a sidecar, for which routes hold from the moment they
// exist (facts C-01).
type call struct {
	port api.ServicePort
	mode mesh.Mode
}

func calls(svc *api.Service) []call {
	var out []call
	for _, p := range svc.Ports {
		out = append(out, call{p, mesh.ModeAmbient}, call{p, mesh.ModeSidecar})
	}
	return out
}

func acting(st *mesh.State, svc *api.Service, c call) mesh.Acting {
	return st.Traffic(st.WorkloadsIn("web")[0], c.mode, svc, c.port, &api.WaypointRef{Namespace: "shop", Name: "waypoint"})
}

func ofHTTP(a mesh.Acting) []mesh.Applied {
	return slices.DeleteFunc(slices.Clone(a.Routes), func(r mesh.Applied) bool { return r.Protocol != "http" })
}

// l4 is where connections go that are not HTTP, as "host port subset weight", with subsets for the Services that stand
// for them and the port that a destination without one means.
func l4(st *mesh.State, a mesh.Acting, opts mesh.RouteOptions) string {
	var out []string
	for _, r := range a.Routes {
		if r.Protocol == "http" {
			continue
		}
		match, to := "", fmt.Sprintf("%s %d  ", a.Call.Host, a.Call.Port)
		for _, f := range r.Features {
			switch f.Name {
			case "match":
				match = f.Value
			case "route":
				to = destinations(st, f.Value, a.Call.Port, opts)
			}
		}
		out = append(out, r.Protocol+match+" -> "+to)
	}
	return strings.Join(out, "; ")
}

func destinations(st *mesh.State, text string, port int32, opts mesh.RouteOptions) string {
	var out []string
	for part := range strings.SplitSeq(text, ", ") {
		dest, weight, _ := strings.Cut(part, " weight ")
		dest, subset, _ := strings.Cut(dest, "/")
		host, number, found := strings.Cut(dest, ":")
		if svc, _ := st.ServiceByHost(host, ""); !found && svc != nil {
			number = fmt.Sprint(port)
			if len(svc.Ports) == 1 {
				number = fmt.Sprint(svc.Ports[0].Port)
			}
		}
		if t, ok := opts.StandsFor[host]; ok {
			host, subset = t.Host, t.Subset
		}
		if weight != "0" {
			out = append(out, strings.Join([]string{host, number, subset, weight}, " "))
		}
	}
	return strings.Join(out, ", ")
}

// without is the state in which the VirtualServices of a host are gone and its routes are there.
func without(t tester, before *mesh.State, r convert.HostResult) *mesh.State {
	t.Helper()
	inv := *before.Inventory()
	inv.Objects = slices.DeleteFunc(slices.Clone(inv.Objects), func(o api.Object) bool { return slices.Contains(r.VirtualServices, o.Ref()) })
	inv.Services = slices.Clone(inv.Services)
	for _, c := range r.Objects {
		meta := c["metadata"].(map[string]any)
		ns, name := meta["namespace"].(string), meta["name"].(string)
		if c["kind"] == "Service" {
			of := before.Service(r.Service.Namespace, strings.TrimPrefix(meta["annotations"].(map[string]any)["ambientplan.dev/copy-of"].(string), ns+"/"))
			svc := *of
			svc.Name = name
			inv.Services = append(inv.Services, svc)
			continue
		}
		inv.Objects = append(inv.Objects, api.Object{APIVersion: c["apiVersion"].(string), Kind: c["kind"].(string), Namespace: ns, Name: name, Content: c})
	}
	st, unknowns := mesh.New(&inv)
	if len(unknowns) > 0 {
		t.Fatalf("%+v", unknowns)
	}
	return st
}

// drawRules is a random list of HTTP rules whose conditions overlap often.
func drawRules(t *rapid.T) string {
	rules := make([]string, rapid.IntRange(1, 6).Draw(t, "rules"))
	for i := range rules {
		var parts []string
		if n := rapid.IntRange(0, 2).Draw(t, "matches"); n > 0 {
			ms := make([]string, n)
			for j := range ms {
				ms[j] = drawMatch(t)
			}
			parts = append(parts, "match: ["+strings.Join(ms, ", ")+"]")
		}
		parts = append(parts, drawAction(t)...)
		rules[i] = "{" + strings.Join(parts, ", ") + "}"
	}
	return strings.Join(rules, ", ")
}

func drawMatch(t *rapid.T) string {
	var parts []string
	pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	if rapid.IntRange(0, 4).Draw(t, "has uri") > 0 {
		parts = append(parts, pick("uri", `uri: {exact: /a}`, `uri: {exact: /a/b}`, `uri: {exact: /}`, `uri: {exact: /a//b}`, `uri: {exact: /pkg.Svc/Do}`, `uri: {exact: /pkg.Svc/Do}`, `uri: {prefix: /}`, `uri: {prefix: /a}`, `uri: {prefix: /a/}`,
			`uri: {prefix: /a/b/}`, `uri: {prefix: /b}`, `uri: {prefix: ""}`, `uri: {regex: ".*"}`, `uri: {regex: "/a|/b"}`, `uri: {regex: "/[ab].*"}`, `uri: {regex: "/a/?"}`))
		if rapid.IntRange(0, 9).Draw(t, "case") == 0 {
			parts = append(parts, "ignoreUriCase: true")
		}
	}
	if rapid.IntRange(0, 3).Draw(t, "has headers") == 0 {
		parts = append(parts, pick("headers", `headers: {x: {exact: "1"}}`, `headers: {x: {exact: "2"}}`, `headers: {x: {exact: "1"}, y: {exact: "1"}}`, `headers: {y: {prefix: a}}`, `headers: {y: {regex: "a.*b"}}`, `headers: {x: {}}`, `headers: {X: {exact: "1"}}`))
	}
	if rapid.IntRange(0, 4).Draw(t, "has query") == 0 {
		parts = append(parts, pick("query", `queryParams: {q: {exact: "1"}}`, `queryParams: {q: {prefix: "1"}}`, `queryParams: {q: {regex: "1+"}}`, `queryParams: {q: {}}`))
	}
	if rapid.IntRange(0, 4).Draw(t, "has method") == 0 {
		parts = append(parts, pick("method", `method: {exact: GET}`, `method: {exact: POST}`, `method: {regex: "GET|PUT"}`, `method: {exact: PURGE}`))
	}
	if rapid.IntRange(0, 9).Draw(t, "has port") == 0 {
		parts = append(parts, pick("port", `port: 80`, `port: 8080`, `port: 9000`))
	}
	if rapid.IntRange(0, 19).Draw(t, "has gateways") == 0 {
		parts = append(parts, pick("gateways", `gateways: [mesh]`, `gateways: [gw]`, `withoutHeaders: {x: {}}`, `sourceLabels: {a: b}`))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func drawAction(t *rapid.T) []string {
	pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	if rapid.IntRange(0, 7).Draw(t, "redirects") == 0 {
		return []string{pick("redirect", `redirect: {uri: /new}`, `redirect: {authority: a.example.com, scheme: https}`, `redirect: {prefixRewrite: /new, scheme: http}`, `redirect: {scheme: https, redirectCode: 308, derivePort: FROM_REQUEST_PORT}`,
			`redirect: {port: 8443}`, `redirect: {uri: /new, derivePort: FROM_REQUEST_PORT}`)}
	}
	parts := []string{pick("route", `route: [{destination: {host: reviews}}]`, `route: [{destination: {host: ratings}}]`, `route: [{destination: {host: two, port: {number: 8080}}}]`, `route: [{destination: {host: two}}]`, `route: [{destination: {host: reviews, subset: v1}}]`,
		`route: [{destination: {host: reviews, subset: v1}, weight: 30}, {destination: {host: reviews, subset: v2}, weight: 60}]`,
		`route: [{destination: {host: ratings}, weight: 1, headers: {request: {set: {a: b}}}}, {destination: {host: reviews}}]`,
		`route: [{destination: {host: ratings, port: {number: 80}}, headers: {response: {remove: [server]}}}]`, `route: [{destination: {host: api.example.com}}]`)}
	if rapid.IntRange(0, 3).Draw(t, "has more") == 0 {
		parts = append(parts, pick("more", `timeout: 2s`, `timeout: 0s`, `retries: {attempts: 3}`, `retries: {attempts: 3, perTryTimeout: 1s, retryOn: "503,unavailable,cancelled,connect-failure,refused-stream"}`, `retries: {attempts: 0}`,
			`mirror: {host: ratings}`, `mirrors: [{destination: {host: ratings}, percentage: {value: 12.5}}, {destination: {host: reviews, subset: v2}}]`,
			`headers: {request: {set: {a: c, Host: other.example.com}, add: {d: e}, remove: [f]}}`, `headers: {response: {add: {g: h}}}`,
			`corsPolicy: {allowOrigins: [{exact: "https://a.example.com"}, {prefix: "http://"}], allowMethods: [GET, PUT], maxAge: 5s, allowCredentials: true, unmatchedPreflights: IGNORE}`))
	}
	if rapid.IntRange(0, 3).Draw(t, "rewrites") == 0 {
		parts = append(parts, pick("rewrite", `rewrite: {uri: /}`, `rewrite: {uri: /new}`, `rewrite: {uri: /new/}`, `rewrite: {authority: b.example.com}`, `rewrite: {uri: /new/, authority: b.example.com}`))
	}
	return parts
}

// tally counts outcomes, so that a test which compares nothing does not pass.
type tally struct{ converted, refused, unknown int }

// equalOrRefused converts random VirtualServices of one host and proves each conversion, or asks for a reason.
func equalOrRefused(t *rapid.T, n *tally) {
	name := rapid.SampledFrom([]string{"reviews", "two", "two", "calls"}).Draw(t, "host")
	vs := virtualService(name, "  http: ["+drawRules(t)+"]\n")
	if rapid.IntRange(0, 4).Draw(t, "two objects") == 0 {
		vs = dated(vs, "vs", 1) + "---\n" + dated(virtualService(name, "  http: ["+drawRules(t)+"]\n"), "older", rapid.IntRange(0, 2).Draw(t, "age"))
	}
	check(t, vs, n)
}

// dated gives a VirtualService another name and an age.
func dated(vs, name string, at int) string {
	return strings.Replace(vs, "{name: vs,", fmt.Sprintf("{name: %s, creationTimestamp: \"2024-01-01T00:00:0%dZ\",", name, at), 1)
}

func check(t *rapid.T, vs string, n *tally) {
	r := convert.All(read(t, shop+vs), newest())
	h := r.Hosts[0]
	if h.Class != convert.Converted {
		n.refused++
		if len(h.Why) == 0 {
			t.Fatalf("%s without a reason:\n%s", h.Class, vs)
		}
		return
	}
	difference, unknown := proven(t, shop+vs, h)
	if unknown != "" {
		n.unknown++
		return
	}
	n.converted++
	if difference != "" {
		t.Fatalf("%s\nfor\n%s\nbecame\n%s", difference, vs, asYAML(t, h.Objects))
	}
}

// TestConversionsAreEqual: a conversion is equal for every request, or it was refused.
func TestConversionsAreEqual(t *testing.T) {
	var n tally
	rapid.Check(t, func(t *rapid.T) { equalOrRefused(t, &n) })
	t.Logf("%+v", n)
	if n.converted < 10 || n.unknown > n.converted/10 {
		t.Errorf("too few conversions were compared: %+v", n)
	}
}

func FuzzConversionsAreEqual(f *testing.F) {
	var n tally
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) { equalOrRefused(t, &n) }))
}

// TestConnectionsAreEqual: rules of TCP and TLS lead where they led, for each port, or were refused.
func TestConnectionsAreEqual(t *testing.T) {
	var n tally
	rapid.Check(t, func(t *rapid.T) {
		pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
		host := pick("host", "db", "two", "secure", "reviews")
		list := func(kind string, match ...string) string {
			rules := make([]string, rapid.IntRange(0, 3).Draw(t, kind))
			for i := range rules {
				rules[i] = "{" + pick("match", match...) + pick("route", "route: [{destination: {host: db}}]", "route: [{destination: {host: two, port: {number: 9000}}, weight: 3}]", "route: [{destination: {host: secure}}]",
					"route: [{destination: {host: db}, weight: 1}, {destination: {host: secure, port: {number: 443}}, weight: 2}]", "route: [{destination: {host: reviews, subset: v1, port: {number: 80}}}]",
					"route: [{destination: {host: two}}]") + "}"
			}
			return kind + ": [" + strings.Join(rules, ", ") + "]"
		}
		full := host + ".shop.svc.cluster.local"
		check(t, virtualService(host, "  "+list("tcp", "", "", "match: [{port: 5432}, {port: 9000}], ", "match: [{port: 443}], ", "match: [{gateways: [gw]}], ")+"\n  "+
			list("tls", "match: [{sniHosts: ["+full+"]}], ", "match: [{sniHosts: ["+full+"], port: 443}], ", "match: [{sniHosts: ["+full+"], gateways: [gw]}], ")+"\n"), &n)
	})
	t.Logf("%+v", n)
	if n.converted < 10 || n.unknown > n.converted/10 {
		t.Errorf("too few conversions were compared: %+v", n)
	}
}
