package convert_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/convert"
)

// settings are what DestinationRules set for the destinations of a call, by destination, with subsets for the Services
// that stand for them.
func settings(a mesh.Acting, opts mesh.RouteOptions) string {
	var out []string
	for _, p := range a.Policies {
		host, subset, _ := strings.Cut(p.Host, "/")
		name, port, _ := strings.Cut(host, ":")
		if t, ok := opts.StandsFor[name]; ok {
			name, subset = t.Host, t.Subset
		}
		if port == "" {
			port = fmt.Sprint(a.Call.Port)
		}
		for _, f := range p.Features {
			// The settings of the host as a whole are listed too; nothing leads there.
			if f.Name != "subset" && subset != "" {
				out = append(out, fmt.Sprintf("%s:%s/%s %s=%s", name, port, subset, f.Name, f.Value))
			}
		}
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), "\n")
}

// TestSettingsAreEqual: the settings of a subset, for every port, are those of its Service, or it was refused
// (facts C-51).
func TestSettingsAreEqual(t *testing.T) {
	var n tally
	rapid.Check(t, func(t *rapid.T) {
		policy := func(label string, deep bool) string {
			var parts []string
			for _, p := range []string{`loadBalancer: {simple: RANDOM}`, `loadBalancer: {consistentHash: {httpHeaderName: x}}`, `connectionPool: {tcp: {maxConnections: 5}}`, `connectionPool: {http: {http2MaxRequests: 7}}`,
				`outlierDetection: {consecutive5xxErrors: 3}`, `tls: {mode: SIMPLE}`, `tunnel: {protocol: CONNECT, targetHost: a, targetPort: 1}`} {
				key, _, _ := strings.Cut(p, ":")
				if (deep || key != "tunnel") && rapid.IntRange(0, 4).Draw(t, label+key) == 0 && !slices.ContainsFunc(parts, func(o string) bool { return strings.HasPrefix(o, key+":") }) {
					parts = append(parts, p)
				}
			}
			return strings.Join(parts, ", ")
		}
		whole := func(label string) string {
			p := policy(label, true)
			for _, port := range []int{80, 8080} {
				if rapid.IntRange(0, 3).Draw(t, label+"port") == 0 {
					if p != "" {
						p += ", "
					}
					settings := policy(label+"port", false)
					if settings != "" {
						settings = ", " + settings
					}
					return p + fmt.Sprintf("portLevelSettings: [{port: {number: %d}%s}]", port, settings)
				}
			}
			return p
		}
		rule := func(name, host, subsets string) string {
			return fmt.Sprintf("---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: %s, namespace: shop, creationTimestamp: \"2024-01-01T00:00:00Z\"}\nspec: {host: %q, trafficPolicy: {%s}%s}\n", name, host, whole(name), subsets)
		}
		sub := func(name string) string {
			if rapid.Bool().Draw(t, name) {
				return fmt.Sprintf("{name: %s, labels: {version: %s}}", name, name)
			}
			return fmt.Sprintf("{name: %s, labels: {version: %s}, trafficPolicy: {%s}}", name, name, whole(name))
		}
		docs := rule("two", "two", ", subsets: ["+sub("v1")+", "+sub("v2")+"]")
		if rapid.Bool().Draw(t, "wildcard") {
			docs += rule("all", "*.shop.svc.cluster.local", "")
		}
		docs = shop + virtualService("two", "  http: [{match: [{uri: {exact: /a}}], route: [{destination: {host: two, subset: v1}}]}, {route: [{destination: {host: two, subset: v2}}]}]\n") + docs + client
		before := read(t, docs)
		h := convert.All(before, newest()).Hosts[0]
		if h.Class != convert.Converted {
			n.refused++
			return
		}
		n.converted++
		after := without(t, before, h)
		svc := before.Service("shop", "two")
		for _, c := range calls(svc) {
			if !strings.HasPrefix(c.port.Name, "http") {
				continue
			}
			a, b := settings(acting(before, svc, c), stands(before, h)), settings(acting(after, after.Service("shop", "two"), c), stands(before, h))
			if a != b {
				t.Fatalf("port %d, %s:\n%s\nand then\n%s\nfor\n%s\nbecame\n%s", c.port.Port, c.mode, a, b, docs[len(shop):], asYAML(t, h.Objects))
			}
		}
	})
	t.Logf("%+v", n)
	if n.converted < 10 {
		t.Errorf("too few: %+v", n)
	}
}
