package inventory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/internal/corpora"
)

// withoutPlaces ignores where things were read.
func withoutPlaces() cmp.Options {
	return cmp.Options{cmpopts.IgnoreTypes(api.Origin{})}
}

// meshObjects parses every object of a mesh of the corpora that has no
// contradictions, as the raw material of other forms.
func meshObjects(t *testing.T, m corpora.Mesh) []api.Content {
	t.Helper()
	var out []api.Content
	for _, p := range m.Paths {
		err := filepath.WalkDir(p, func(path string, _ os.DirEntry, err error) error {
			if err != nil || !isManifestName(path) {
				return err
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, doc := range strings.Split("\n"+string(b), "\n---") {
				c, _, err := api.DecodeObject([]byte(doc), 1, false)
				if err != nil {
					return fmt.Errorf("%s: %w", path, err)
				}
				if c != nil {
					out = append(out, c)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func readString(t testing.TB, namespace, text string) *api.Inventory {
	t.Helper()
	inv, err := Read(t.Context(), Options{Paths: []string{"-"}, Stdin: strings.NewReader(text), DefaultNamespace: namespace})
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

// TestFormsAgree: the same objects as documents, as kubectl's YAML and JSON
// lists, as JSON documents and in any order give the same inventory.
func TestFormsAgree(t *testing.T) {
	meshes, err := corpora.Meshes("../testdata/corpora")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range meshes {
		if m.Contradictory {
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			objects := meshObjects(t, m)
			want, err := Read(t.Context(), Options{Paths: m.Paths, DefaultNamespace: m.Namespace})
			if err != nil {
				t.Fatal(err)
			}
			for name, text := range forms(t, objects) {
				got := readString(t, m.Namespace, text)
				if diff := cmp.Diff(want, got, withoutPlaces()); diff != "" {
					t.Errorf("%s: -want +got\n%.2000s", name, diff)
				}
			}
		})
	}
}

func forms(t *testing.T, objects []api.Content) map[string]string {
	t.Helper()
	list := map[string]any{"apiVersion": "v1", "kind": "List", "items": objects, "metadata": map[string]any{"resourceVersion": ""}}
	flat, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	indented, err := json.MarshalIndent(list, "", "    ")
	if err != nil {
		t.Fatal(err)
	}
	shuffled := slices.Clone(objects)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	var documents, stream bytes.Buffer
	for _, o := range shuffled {
		documents.WriteString("---\n")
		documents.Write(encoded(t, o))
		b, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		stream.Write(b)
	}
	return map[string]string{
		"YAML list":          string(encoded(t, list)),
		"JSON list":          string(flat),
		"indented JSON list": string(indented),
		"shuffled documents": documents.String(),
		"shuffled JSON":      stream.String(),
		"CRLF":               strings.ReplaceAll(documents.String(), "\n", "\r\n"),
		"BOM":                "\ufeff" + documents.String(),
	}
}

// TestPathsInAnyOrder: the order of the arguments does not matter, nor does
// naming a file twice; not even the places differ.
func TestPathsInAnyOrder(t *testing.T) {
	a := "../testdata/corpora/istio-samples/httpbin"
	b := "../testdata/corpora/istio-samples/sleep"
	read := func(paths ...string) string {
		inv, err := Read(t.Context(), Options{Paths: paths})
		if err != nil {
			t.Fatal(err)
		}
		return string(encoded(t, inv))
	}
	want := read(a, b)
	if diff := cmp.Diff(want, read(b, a, b, filepath.Join(b, "sleep.yaml"))); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestSnapshotRoundTrip: what was read, written and loaded is the same.
func TestSnapshotRoundTrip(t *testing.T) {
	inv, err := Read(t.Context(), Options{Paths: []string{"../testdata/corpora/kubeflow"}, DefaultNamespace: "kubeflow"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := api.Decode[api.Inventory]("inventory.yaml", bytes.NewReader(encoded(t, inv)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(inv, again, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-want +got\n%.3000s", diff)
	}
}

// FuzzManifests: no input makes the reader panic, lose count, or name no place
// for what it could not read; and reading is deterministic.
func FuzzManifests(f *testing.F) {
	seed := func(path string) {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		if len(b) < 64<<10 {
			f.Add(b)
		}
	}
	err := filepath.WalkDir("../testdata/corpora", func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && isManifestName(path) {
			seed(path)
		}
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, a := range archives {
		seed(a)
	}
	for _, s := range []string{
		"", "{", "[", "---", "items:\n- a", "items:\n-\n  kind: Pod\nkind: PodList", `{"items":[`, `{"items":[1,"a",{}],"kind":"List"}`,
		"a: &a [*a]", "{{ x }}", "kind: List\nitems:\n", "\ufeff\ufeff", "\xff\xfe", "kind: Service\napiVersion: v1\nmetadata: {name: \"../../x\\n# y\"}",
		"{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"a\"},\"spec\":7}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		read := func() (*api.Inventory, error) {
			return Read(t.Context(), Options{Paths: []string{"-"}, Stdin: bytes.NewReader(in)})
		}
		inv, err := read()
		var two *TwoClustersError
		if err != nil {
			if !errors.Is(err, ErrNoDocuments) && !errors.As(err, &two) {
				t.Fatalf("unexpected error: %v", err)
			}
			return
		}
		d := inv.Documents
		if d.Read != d.Kept+d.Irrelevant+d.Unreadable+d.Duplicate {
			t.Fatalf("documents do not add up: %+v", d)
		}
		for _, u := range inv.Unknowns {
			if len(u.Evidence) == 0 || !strings.HasPrefix(u.Evidence[0].Source, "stdin") {
				t.Fatalf("no place: %+v", u)
			}
		}
		again, err := read()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(inv, again); diff != "" {
			t.Fatalf("two readings differ\n%s", diff)
		}
	})
}

// repeated reads like n copies of a text without holding them.
type repeated struct {
	text []byte
	n    int
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.n == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.text[r.at:])
	if r.at += n; r.at == len(r.text) {
		r.at, r.n = 0, r.n-1
	}
	return n, nil
}
