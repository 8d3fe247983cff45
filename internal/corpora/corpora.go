// Package corpora says which files of testdata/corpora make one mesh.
//
// Several of the corpora hold alternatives (three VirtualServices for the same host, two renderings of
// the same application), so loading a folder as a whole often describes a mesh that never ran. The list
// here honours the notes of each corpus's SOURCE.md, is written once, and is imported by the tests of
// every module of this repository.
package corpora

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A Mesh is a set of manifests that were meant to be applied together.
type Mesh struct {
	// Name identifies the mesh in test output: "bookinfo", "bank-of-anthos/plain",
	// "istio-testdata/analyzers/injection". It is unique and usable as a subtest name.
	Name string
	// Paths are files or directories (to be read recursively), each joined to the root given to Meshes.
	Paths []string
	// Namespace is where documents that name no namespace belong, as kubectl's -n would put them.
	Namespace string
	// Contradictory marks a mesh that is invalid or at odds with itself by intent: its source is
	// test data for a validator. It must be survived and accounted for; its decisions mean nothing.
	Contradictory bool
}

// Meshes returns every mesh of the corpora below root (the path of testdata/corpora as the caller sees it),
// in a fixed order. An error means that a listed path is not there, so that a test that walks the
// meshes cannot pass by walking none.
func Meshes(root string) ([]Mesh, error) {
	meshes := []Mesh{
		{
			Name:      "bookinfo",
			Namespace: "bookinfo",
			// networking/ holds alternatives: one virtual-service file at a time.
			Paths: []string{
				"bookinfo/00-fixture-namespace.yaml",
				"bookinfo/platform/kube/bookinfo.yaml",
				"bookinfo/networking/destination-rule-all.yaml",
				"bookinfo/networking/virtual-service-all-v1.yaml",
				"bookinfo/networking/bookinfo-gateway.yaml",
			},
		},
		{
			Name:      "online-boutique",
			Namespace: "onlineboutique",
			// The two other files define the same names again.
			Paths: []string{
				"online-boutique/00-fixture-namespace.yaml",
				"online-boutique/helm-onlineboutique.yaml",
			},
		},
		{Name: "bank-of-anthos/plain", Namespace: "bank-of-anthos", Paths: []string{"bank-of-anthos/plain"}},
		{Name: "bank-of-anthos/asm-lab", Namespace: "bank-of-anthos", Paths: []string{"bank-of-anthos/asm-lab"}},
		// asm-canary/demo holds five alternatives for the frontend.
		{Name: "bank-of-anthos/asm-canary", Namespace: "bank-of-anthos", Paths: []string{"bank-of-anthos/asm-canary/deployment"}},
		// 25 and 26 (model-registry) name no namespace and belong into kubeflow.
		{Name: "kubeflow", Namespace: "kubeflow", Paths: []string{"kubeflow"}},
		{Name: "train-ticket", Namespace: "train-ticket", Paths: []string{"train-ticket"}},
		{Name: "istio-samples", Namespace: "default", Paths: []string{"istio-samples"}, Contradictory: true},
		{Name: "istio-testdata/config", Namespace: "default", Paths: []string{"istio-testdata/config"}, Contradictory: true},
	}
	analyzers, err := analyzerFiles(root)
	if err != nil {
		return nil, err
	}
	meshes = append(meshes, analyzers...)
	for i := range meshes {
		for j, p := range meshes[i].Paths {
			full := filepath.Join(root, filepath.FromSlash(p))
			if _, err := os.Stat(full); err != nil {
				return nil, fmt.Errorf("mesh %s: %w", meshes[i].Name, err)
			}
			meshes[i].Paths[j] = full
		}
	}
	return meshes, nil
}

// analyzerFiles lists Istio's analyzer inputs: each file is its own mesh, the folder as a whole contradicts
// itself. Subfolders (mesh configuration of those tests, a pair of clusters) are no meshes of their own.
func analyzerFiles(root string) ([]Mesh, error) {
	const dir = "istio-testdata/analyzers"
	entries, err := os.ReadDir(filepath.Join(root, filepath.FromSlash(dir)))
	if err != nil {
		return nil, fmt.Errorf("corpora: %w", err)
	}
	var meshes []Mesh
	for _, e := range entries { // ReadDir sorts by name
		name, isYAML := strings.CutSuffix(e.Name(), ".yaml")
		if e.IsDir() || !isYAML {
			continue
		}
		meshes = append(meshes, Mesh{
			Name:          dir + "/" + name,
			Namespace:     "default",
			Paths:         []string{dir + "/" + e.Name()},
			Contradictory: true,
		})
	}
	return meshes, nil
}
