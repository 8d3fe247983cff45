package mesh

import (
	"fmt"
	"net/netip"
	"testing"

	security "istio.io/api/security/v1beta1"
)

// benchPolicies is what a guarded service may have: an ALLOW list of clients with
// paths, a DENY on a header and one on addresses.
func benchPolicies(n int) []Typed[*security.AuthorizationPolicy] {
	var out []Typed[*security.AuthorizationPolicy]
	for i := range n {
		allow := &security.AuthorizationPolicy{Rules: []*security.Rule{{
			From: []*security.Rule_From{{Source: &security.Source{Principals: []string{fmt.Sprintf("cluster.local/ns/a%d/sa/web", i), "*/sa/ingress"}}}},
			To: []*security.Rule_To{
				{Operation: &security.Operation{Methods: []string{"GET", "HEAD"}, Paths: []string{fmt.Sprintf("/api/v%d/*", i), "/items/{*}/detail"}}},
				{Operation: &security.Operation{Hosts: []string{fmt.Sprintf("Shop%d.example", i)}}},
			},
		}}}
		deny := &security.AuthorizationPolicy{Action: security.AuthorizationPolicy_DENY, Rules: []*security.Rule{
			{From: []*security.Rule_From{{Source: &security.Source{IpBlocks: []string{fmt.Sprintf("10.%d.0.0/16", i)}, NotNamespaces: []string{"admin"}}}}},
			{When: []*security.Condition{{Key: "request.headers[X-Debug]", Values: []string{fmt.Sprintf("on-%d", i)}}, {Key: "request.auth.claims[groups]", NotValues: []string{"dev"}}}},
		}}
		out = append(out, authzPolicy("allow", allow), authzPolicy("deny", deny))
	}
	return out
}

func BenchmarkVerdict(b *testing.B) {
	r := Request{
		Principal: "cluster.local/ns/b/sa/web", Source: netip.MustParseAddr("192.168.3.4"), Port: 8080, Method: "GET", Path: "/items/7/detail?x=1", Host: "shop0.example",
		Headers: map[string]string{"x-debug": "off"}, Claims: map[string][]string{claimKey("groups"): {"ops", "dev"}}, Token: Token{State: TokenValid},
	}
	for _, n := range []int{1, 5, 25} {
		policies := benchPolicies(n)
		proxy, ztunnel := CompileProxy(policies, false), CompileZtunnel(policies)
		b.Run(fmt.Sprintf("proxy/policies=%d", 2*n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				proxy.Verdict(r)
			}
		})
		b.Run(fmt.Sprintf("ztunnel/policies=%d", 2*n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ztunnel.Verdict(r)
			}
		})
		b.Run(fmt.Sprintf("compile/policies=%d", 2*n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				CompileProxy(policies, false)
			}
		})
	}
}

func BenchmarkCells(b *testing.B) {
	for _, n := range []int{1, 3, 6} {
		policies := benchPolicies(n)
		for _, callers := range [][]string{nil, {"cluster.local/ns/a0/sa/web", "cluster.local/ns/shop/sa/waypoint"}} {
			space := Space{Sets: [][]Typed[*security.AuthorizationPolicy]{policies}, Callers: callers, Limit: 1 << 20}
			b.Run(fmt.Sprintf("policies=%d/callers=%d", 2*n, len(callers)), func(b *testing.B) {
				b.ReportAllocs()
				count := 0
				for b.Loop() {
					cells, _ := space.Cells(Request{})
					count = len(cells)
				}
				b.ReportMetric(float64(count), "cells")
			})
		}
	}
}

// TestVerdictAllocatesNothing: it is called for each cell of each call in each
// state.
func TestVerdictAllocatesNothing(t *testing.T) {
	policies := benchPolicies(3)
	proxy, ztunnel := CompileProxy(policies, false), CompileZtunnel(policies)
	r := Request{
		Principal: "cluster.local/ns/b/sa/web", Source: netip.MustParseAddr("192.168.3.4"), Port: 8080, Method: "GET", Path: "/x", Host: "h",
		Headers: map[string]string{"x-debug": "on-1"}, Claims: map[string][]string{claimKey("groups"): {"dev"}},
	}
	if n := testing.AllocsPerRun(100, func() { proxy.Verdict(r); ztunnel.Verdict(r) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
