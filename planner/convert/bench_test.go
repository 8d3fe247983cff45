package convert_test

import (
	"fmt"
	"strings"
	"testing"

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
