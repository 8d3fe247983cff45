package inventory_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/ambientplan/ambientplan/internal/meshgen"
	"github.com/ambientplan/ambientplan/inventory"
)

// BenchmarkRead reads a cluster as `kubectl get` gives it, with a document for each pod. 150,000 pods are left out: they
// take as many times longer as they are more.
func BenchmarkRead(b *testing.B) {
	for _, pods := range []int{1500, 15000} {
		b.Run(fmt.Sprintf("pods=%d", pods), func(b *testing.B) {
			var doc bytes.Buffer
			if err := meshgen.Manifests(meshgen.Generate(meshgen.Size(pods)), &doc); err != nil {
				b.Fatal(err)
			}
			file := filepath.Join(b.TempDir(), "cluster.yaml")
			if err := os.WriteFile(file, doc.Bytes(), 0o600); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(doc.Len()))
			doc = bytes.Buffer{}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := inventory.Read(b.Context(), inventory.Options{Paths: []string{file}}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(pods), "ns/pod")
		})
	}
}
