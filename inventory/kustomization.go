package inventory

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// maxKustomizations bounds how many directories one kustomization may refer to.
const maxKustomizations = 10_000

// kustomizationFile is the kustomization file of a directory, or "".
func kustomizationFile(dir string) string {
	for _, n := range []string{"kustomization.yaml", "kustomization.yml", "Kustomization"} {
		p := filepath.Join(dir, n)
		if info, err := os.Stat(p); err == nil && !info.IsDir() {
			return p
		}
	}
	return ""
}

// references are the entries of a kustomization that name other files,
// directories or remote places.
type references struct {
	component bool
	dirs      []string // local directories, joined to the kustomization's
	remote    []string
}

// readReferences reads what a kustomization file refers to, one level deep.
func readReferences(file string) (references, error) {
	var r references
	b, err := os.ReadFile(file)
	if err != nil {
		return r, &ReadError{Path: file, Err: err}
	}
	c, _, err := api.DecodeObject(b, 1, false)
	if err != nil {
		return r, fmt.Errorf("%s: %w", filepath.ToSlash(file), err)
	}
	r.component = str(c, "kind") == "Component"
	dir := filepath.Dir(file)
	for _, field := range []string{"resources", "bases", "components", "crds", "generators", "transformers", "validators", "configurations", "patchesStrategicMerge"} {
		list, _ := c[field].([]any)
		for _, v := range list {
			entry, _ := v.(string)
			if entry == "" || strings.Contains(entry, "\n") { // an inline patch
				continue
			}
			full := filepath.Join(dir, entry)
			info, err := os.Stat(full)
			switch {
			case err == nil && info.IsDir():
				r.dirs = append(r.dirs, full)
			case err == nil:
			case isRemote(entry):
				r.remote = append(r.remote, entry)
			}
		}
	}
	if len(objects(c, "helmCharts")) > 0 || c["helmChartInflationGenerator"] != nil {
		r.remote = append(r.remote, "helmCharts")
	}
	return r, nil
}

// isRemote tells whether kustomize would fetch an entry that is no local file.
// It decides wide rather than narrow: reading must never reach for the network.
func isRemote(entry string) bool {
	if strings.Contains(entry, "://") || strings.Contains(entry, "?") || strings.HasPrefix(entry, "git@") || strings.Contains(entry, "git::") {
		return true
	}
	host, _, ok := strings.Cut(entry, "/")
	return ok && strings.Contains(strings.Trim(host, "."), ".")
}

// remotes walks the local kustomizations below dir and lists what they would fetch.
func remotes(dir string, seen map[string]bool) ([]string, error) {
	if seen[dir] {
		return nil, nil
	}
	if len(seen) >= maxKustomizations {
		return nil, fmt.Errorf("%s: more than %d kustomizations", dir, maxKustomizations)
	}
	seen[dir] = true
	file := kustomizationFile(dir)
	if file == "" {
		return nil, nil
	}
	r, err := readReferences(file)
	if err != nil {
		return nil, err
	}
	found := r.remote
	for _, d := range r.dirs {
		more, err := remotes(filepath.Clean(d), seen)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return found, nil
}

// buildKustomization builds a directory in process, as kubectl kustomize would,
// without plugins and without the network.
func buildKustomization(dir string) (m resmap.ResMap, err error) {
	far, err := remotes(filepath.Clean(dir), map[string]bool{})
	if err != nil {
		return nil, err
	}
	if len(far) > 0 {
		slices.Sort(far)
		return nil, fmt.Errorf("it refers to %s, which is not fetched here; build it with \"kubectl kustomize\" and pass the result with -f -", far[0])
	}
	defer func() {
		// The builder is foreign code on foreign input: its panic must not take the
		// rest of the input along.
		if r := recover(); r != nil {
			m, err = nil, fmt.Errorf("kustomize failed: %v", r)
		}
	}()
	o := krusty.MakeDefaultOptions()
	o.Reorder = krusty.ReorderOptionUnspecified
	fs := originsOn{filesys.MakeFsOnDisk(), resolved(kustomizationFile(dir))}
	return krusty.MakeKustomizer(o).Run(fs, dir)
}

// readKustomization feeds a built kustomization to the builder. One that does
// not build is an unknown: the rest of the input is still read.
func readKustomization(ctx context.Context, dir string, b *builder) error {
	file := filepath.ToSlash(kustomizationFile(dir))
	m, err := buildKustomization(dir)
	if err != nil {
		var read *ReadError
		if errors.As(err, &read) {
			return err
		}
		b.unreadable(chunk{file: file}, 1, identity{apiVersion: "kustomize.config.k8s.io/v1beta1", kind: "Kustomization"}, kustomizeMessage(err))
		return nil
	}
	b.via = file
	defer func() { b.via = "" }()
	from := &origins{dir: dir, files: map[string][]sourceFile{}}
	for _, r := range m.Resources() {
		if err := ctx.Err(); err != nil {
			return err
		}
		text, err := r.AsYAML()
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		c, _, err := api.DecodeObject(text, 1, false)
		if err != nil {
			b.unreadable(chunk{file: file}, 0, sniff(text), err.Error())
			continue
		}
		at, lines, ok := from.take(c)
		if !ok {
			at, lines = api.Origin{File: file}, nil
		}
		if err := b.object(c, lines, at, false); err != nil {
			return err
		}
	}
	return nil
}

// kustomizeMessage is the first line of an error without the working directory,
// so that the same input gives the same words on every machine.
func kustomizeMessage(err error) string {
	s, _, _ := strings.Cut(err.Error(), "\n")
	return strings.ReplaceAll(s, resolved(".")+string(filepath.Separator), "")
}

// unreferenced drops from dirs the kustomizations that another one of the input
// (dirs or named) builds already, and components, which cannot be built alone.
func unreferenced(dirs, named []string) ([]string, error) {
	used := map[string]bool{}
	for _, d := range slices.Concat(dirs, named) {
		r, err := readReferences(kustomizationFile(d))
		var read *ReadError
		if errors.As(err, &read) {
			return nil, err
		}
		if r.component {
			used[resolved(d)] = true
		}
		for _, ref := range r.dirs {
			used[resolved(ref)] = true
		}
	}
	var roots []string
	for _, d := range dirs {
		if !used[resolved(d)] {
			roots = append(roots, d)
		}
	}
	if len(roots)+len(named) == 0 && len(dirs) > 0 {
		return dirs, nil // they refer to each other in a circle, or are all components
	}
	return roots, nil
}

// resolved is the real absolute path, as far as it can be known.
func resolved(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return path
}
