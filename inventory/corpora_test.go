package inventory

import (
	"errors"
	"os"
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/internal/corpora"
)

// TestCorporaAreAccountedFor reads every mesh of the corpora through the front door.
func TestCorporaAreAccountedFor(t *testing.T) {
	meshes, err := corpora.Meshes("../testdata/corpora")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range meshes {
		t.Run(m.Name, func(t *testing.T) {
			inv, err := Read(t.Context(), Options{Paths: m.Paths, DefaultNamespace: m.Namespace})
			if m.Contradictory && errors.Is(err, ErrNoDocuments) {
				return // webhooks and injector settings alone: no mesh to read
			}
			if err != nil {
				t.Fatal(err)
			}
			d := inv.Documents
			if d.Read == 0 || d.Read != d.Kept+d.Irrelevant+d.Unreadable+d.Duplicate {
				t.Errorf("documents do not add up: %+v", d)
			}
			if testing.Verbose() {
				t.Logf("%+v ns=%d wl=%d svc=%d obj=%d unknown=%d", d, len(inv.Namespaces), len(inv.Workloads), len(inv.Services), len(inv.Objects), len(inv.Unknowns))
				for _, u := range inv.Unknowns {
					t.Log(u.ID, u.What)
				}
			}
		})
	}
}

// TestCallGraphsOfTheCorpora: the ends of the calls are found in the meshes that
// the graphs were made for.
func TestCallGraphsOfTheCorpora(t *testing.T) {
	meshes, err := corpora.Meshes("../testdata/corpora")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range meshes {
		if m.Name != "online-boutique" && m.Name != "train-ticket" {
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			inv, err := Read(t.Context(), Options{Paths: m.Paths, DefaultNamespace: m.Namespace})
			if err != nil {
				t.Fatal(err)
			}
			name := "../testdata/corpora/callgraphs/" + m.Name + ".csv"
			f, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			edges, unknowns, err := ReadEdges(name, f, api.Declared, inv)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d edges, %d unknowns", len(edges), len(unknowns))
			if len(edges) < 10 || len(unknowns) > len(edges)/10 {
				t.Errorf("%d edges, unknown: %+v", len(edges), unknowns)
			}
		})
	}
}
