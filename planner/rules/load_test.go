package rules_test

import (
	"fmt"
	"maps"
	"math/rand"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/inventory"
)

// load reads manifests through the door that users take, in the order of the
// files or in a shuffled one. Each document goes into a file of its own, at its
// old line, so that neither lines nor names tell in which order they were read.
func load(t *testing.T, files map[string][]byte, shuffle *rand.Rand) *api.Inventory {
	t.Helper()
	type doc struct{ file, text string }
	var docs []doc
	for _, name := range slices.Sorted(maps.Keys(files)) {
		line, text := 0, ""
		for l := range strings.Lines(string(files[name]) + "\n---\n") {
			line++
			if strings.TrimSpace(l) == "---" {
				if strings.TrimSpace(text) != "" {
					docs = append(docs, doc{name, text})
				}
				text = strings.Repeat("\n", line)
			} else {
				text += l
			}
		}
	}
	if shuffle != nil {
		shuffle.Shuffle(len(docs), func(i, j int) { docs[i], docs[j] = docs[j], docs[i] })
	}
	root := t.TempDir()
	var parts []doc
	for i, d := range docs {
		if inventoryKind.MatchString(d.text) {
			parts = append(parts, d)
			continue
		}
		dir := filepath.Join(root, fmt.Sprintf("%03d", i))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, d.file), []byte(d.text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	inv, err := inventory.Read(t.Context(), inventory.Options{Paths: []string{root}})
	if err != nil {
		t.Fatal(err)
	}
	if len(inv.Unknowns) > 0 {
		t.Fatalf("the case does not read cleanly: %+v", inv.Unknowns)
	}
	base := func(o *api.Origin) { o.File = filepath.Base(o.File) }
	for i := range inv.Clusters {
		for j := range inv.Clusters[i].Platforms {
			e := &inv.Clusters[i].Platforms[j].Evidence
			e.Source = filepath.Base(e.Source)
		}
	}
	for i := range inv.Namespaces {
		base(&inv.Namespaces[i].Origin)
	}
	for i := range inv.Services {
		base(&inv.Services[i].Origin)
	}
	for i := range inv.Workloads {
		base(&inv.Workloads[i].Origin)
	}
	for i := range inv.Objects {
		base(&inv.Objects[i].Origin)
	}
	for _, p := range parts {
		place(t, inv, p.file, p.text)
	}
	slices.SortFunc(inv.Workloads, func(a, b api.Workload) int { return a.Ref().Compare(b.Ref()) })
	return inv
}

// inventoryKind finds a document of kind Inventory among manifests.
var inventoryKind = regexp.MustCompile(`(?m)^kind: Inventory\s*$`)

// place adds what manifests cannot say: the cluster, and what is really in the
// pods. Each item has the line of its place in the list.
func place(t *testing.T, inv *api.Inventory, file, text string) {
	t.Helper()
	var part api.Inventory
	if err := sigsyaml.UnmarshalStrict([]byte(text), &part); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	var n struct{ Workloads []yaml.Node }
	if err := yaml.Unmarshal([]byte(text), &n); err != nil {
		t.Fatal(err)
	}
	if len(part.Clusters) > 0 {
		inv.Clusters = part.Clusters
	}
	for i, w := range part.Workloads {
		w.Origin = api.Origin{File: file, Line: n.Workloads[i].Line}
		inv.Workloads = append(inv.Workloads, w)
	}
	inv.Edges = append(inv.Edges, part.Edges...)
	if len(part.Namespaces)+len(part.Services)+len(part.Objects) > 0 {
		t.Fatalf("%s: only clusters, workloads and edges can stand in an Inventory of a case", file)
	}
}
