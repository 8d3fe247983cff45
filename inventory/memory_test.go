package inventory

import (
	"bytes"
	"io"
	"runtime"
	"strings"
	"testing"
)

// TestMemoryIsBounded reads 200 MB that do not concern a mesh, with one Service
// at the end, as documents and as lists, and looks at the heap while it does.
func TestMemoryIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 800 MB")
	}
	filler := strings.Repeat("x", 1000)
	document := "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  a: " + filler + "\n"
	item := "- apiVersion: v1\n  kind: Secret\n  metadata:\n    name: a\n  data:\n    a: " + filler + "\n"
	element := `{"apiVersion":"v1","kind":"Event","metadata":{"name":"a"},"message":"` + filler + `"},` + "\n"
	const service = `{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"}}`
	for name, form := range map[string][3]string{
		"documents":  {"", document, "---\n" + service + "\n"},
		"YAML list":  {"apiVersion: v1\nitems:\n", item, "- " + service + "\nkind: List\n"},
		"JSON list":  {`{"apiVersion":"v1","items":[`, element, service + `],"kind":"List"}`},
		"one object": {"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n", "  a: " + filler + "\n", "---\n" + service + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			const total = 200 << 20
			watch := &watcher{r: io.MultiReader(strings.NewReader(form[0]), &repeated{text: []byte(form[1]), n: total / len(form[1])}, strings.NewReader(form[2]))}
			inv, err := Read(t.Context(), Options{Paths: []string{"-"}, Stdin: watch})
			if err != nil {
				t.Fatal(err)
			}
			if len(inv.Services) != 1 || inv.Documents.Unreadable != 0 {
				t.Errorf("%d services, %+v", len(inv.Services), inv.Documents)
			}
			if watch.peak > 96<<20 {
				t.Errorf("the heap grew to %d MiB", watch.peak>>20)
			}
		})
	}
}

// watcher samples the heap while it is read.
type watcher struct {
	r    io.Reader
	n    int
	peak uint64
}

func (w *watcher) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if w.n += n; w.n > 16<<20 {
		w.n = 0
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		w.peak = max(w.peak, m.HeapAlloc)
	}
	return n, err
}

// TestLargeDocument: an object larger than Kubernetes allows is an unknown that
// says so, with the kind that it claims.
func TestLargeDocument(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("apiVersion: networking.istio.io/v1\nkind: EnvoyFilter\nmetadata:\n  name: huge\nspec:\n")
	line := "  a: " + strings.Repeat("x", 1000) + "\n"
	for b.Len() < 50<<20 {
		b.WriteString(line)
	}
	b.WriteString("---\napiVersion: v1\nkind: Service\nmetadata: {name: small}\n")
	inv := readString(t, "", b.String())
	if len(inv.Unknowns) != 1 || inv.Unknowns[0].Subject.Name != "huge" || !strings.Contains(inv.Unknowns[0].What, "32 MiB") {
		t.Errorf("got %+v", inv.Unknowns)
	}
	if len(inv.Services) != 1 {
		t.Errorf("the rest was not read: %+v", inv.Documents)
	}
}
