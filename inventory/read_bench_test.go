package inventory

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// BenchmarkReadPods reads live pods as kubectl prints them, one Deployment for each ten.
func BenchmarkReadPods(b *testing.B) {
	for _, n := range []int{1_500, 15_000} {
		b.Run(fmt.Sprintf("pods=%d", n), func(b *testing.B) {
			var bytes int
			for b.Loop() {
				r := &counted{r: podList(n)}
				inv, err := Read(b.Context(), Options{Paths: []string{"-"}, Stdin: r})
				if err != nil {
					b.Fatal(err)
				}
				if len(inv.Workloads) != n/10 {
					b.Fatalf("%d workloads", len(inv.Workloads))
				}
				bytes = r.n
			}
			b.SetBytes(int64(bytes))
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/pod")
		})
	}
}

type counted struct {
	r io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

// podList is a JSON list of n pods.
func podList(n int) io.Reader {
	var b strings.Builder
	b.WriteString(`{"apiVersion":"v1","items":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web-%d-abc-%d","namespace":"shop","labels":{"app":"web-%d","pod-template-hash":"abc"},"annotations":{"sidecar.istio.io/status":"{}"},
"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web-%d-abc","controller":true}],"uid":"%d"},
"spec":{"containers":[{"name":"app","image":"web:1","env":[{"name":"A","value":"%s"}],"ports":[{"containerPort":8080}]},{"name":"istio-proxy","image":"istio/proxyv2","args":["proxy","sidecar"]}],"nodeName":"n"},
"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}`, i/10, i, i/10, i/10, i, strings.Repeat("x", 2000))
	}
	b.WriteString(`],"kind":"List"}`)
	return strings.NewReader(b.String())
}
