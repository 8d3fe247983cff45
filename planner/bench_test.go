package planner_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/internal/meshgen"
	"github.com/ambientplan/ambientplan/planner"
)

// benchSizes are in pods. The last one is Kubernetes' published limit for one cluster.
func benchSizes() []int { return []int{1500, 15000, 150000} }

// BenchmarkDecode reads an inventory as `plan -i` does.
func BenchmarkDecode(b *testing.B) {
	for _, pods := range benchSizes() {
		inv := meshgen.Generate(meshgen.Size(pods))
		b.Run(fmt.Sprintf("format=json/pods=%d", pods), func(b *testing.B) { benchDecode(b, asJSON(b, inv)) })
		b.Run(fmt.Sprintf("format=yaml/pods=%d", pods), func(b *testing.B) {
			var doc bytes.Buffer
			if err := api.Encode(&doc, inv); err != nil {
				b.Fatal(err)
			}
			benchDecode(b, doc.Bytes())
		})
	}
}

func benchDecode(b *testing.B, doc []byte) {
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		decodeInventory(b, doc)
	}
}

// BenchmarkPlan plans a mesh. Its x-decode is the time of Plan over the time of decoding the same inventory from
// JSON in the same run: the bar is 2 at every size. MiB-heap is the highest heap seen while it planned, the
// inventory included.
func BenchmarkPlan(b *testing.B) {
	for _, pods := range benchSizes() {
		b.Run(fmt.Sprintf("pods=%d", pods), func(b *testing.B) {
			doc := asJSON(b, meshgen.Generate(meshgen.Size(pods)))
			var decoding, planning time.Duration
			peak := watchHeap()
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				runtime.GC()
				start := time.Now()
				inv := decodeInventory(b, doc)
				decoding += time.Since(start)
				runtime.GC()
				b.StartTimer()
				start = time.Now()
				if _, err := planner.Plan(b.Context(), planner.Input{Inventory: inv}); err != nil {
					b.Fatal(err)
				}
				planning += time.Since(start)
			}
			b.ReportMetric(float64(peak())/(1<<20), "MiB-heap")
			b.ReportMetric(float64(planning)/float64(decoding), "x-decode")
			b.ReportMetric(float64(planning.Nanoseconds())/float64(b.N)/float64(pods), "ns/pod")
		})
	}
}

func asJSON(tb testing.TB, inv *api.Inventory) []byte {
	tb.Helper()
	doc, err := json.Marshal(inv)
	if err != nil {
		tb.Fatal(err)
	}
	return doc
}

func decodeInventory(tb testing.TB, doc []byte) *api.Inventory {
	inv, err := api.Decode[api.Inventory]("inventory", bytes.NewReader(doc))
	if err != nil {
		tb.Fatal(err)
	}
	return inv
}

// watchHeap samples the bytes of heap objects, garbage that is not collected yet included; the function that it
// returns stops it and gives the highest sample.
func watchHeap() (peak func() uint64) {
	var highest atomic.Uint64
	stop, done := make(chan struct{}), make(chan struct{})
	sample := func() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		highest.Store(max(highest.Load(), m.HeapAlloc))
	}
	go func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				sample()
			}
		}
	}()
	return func() uint64 {
		close(stop)
		<-done
		sample()
		return highest.Load()
	}
}
