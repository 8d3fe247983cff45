package render

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"sigs.k8s.io/kustomize/api/types"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// kustomization writes the kustomization.yaml of a directory. Paths are relative to it.
func (b *builder) kustomization(dir string, resources, components, patches []string) {
	k := map[string]any{"apiVersion": types.KustomizationVersion, "kind": types.KustomizationKind}
	b.kustomizationOf(dir, k, resources, components, patches)
}

func (b *builder) kustomizationOf(dir string, k map[string]any, resources, components, patches []string) {
	if len(resources) > 0 {
		k["resources"] = resources
	}
	if len(components) > 0 {
		k["components"] = components
	}
	if len(patches) > 0 {
		var list []any
		for _, p := range patches {
			list = append(list, map[string]any{"path": p})
		}
		k["patches"] = list
	}
	if len(k) == 2 {
		// A state without objects is a state; kustomize refuses a kustomization without a field.
		k["metadata"] = map[string]any{"name": "empty"}
	}
	b.put(dir+"/"+"kustomization.yaml", k)
}

// component writes the component that turns one state of a folder into the next,
// and returns its directory; "" when nothing changes.
func (b *builder) component(folder, name string, wave int, before, after state) string {
	all := maps.Clone(before)
	if all == nil {
		all = state{}
	}
	maps.Copy(all, after)
	files := map[string]api.Content{}
	var resources, patches []string
	for _, ref := range sortedRefs(all) {
		old, was := before[ref]
		now, is := after[ref]
		f := b.file(ref)
		renewed := was && is && old["apiVersion"] != now["apiVersion"]
		if was && (!is || renewed) {
			files[f+"_removal.yaml"] = deletion(b.t.user.identity(b.line, ref, old))
			patches = append(patches, f+"_removal.yaml")
		}
		if is && (!was || renewed) {
			files[f+".yaml"] = now
			resources = append(resources, f+".yaml")
		}
		if was && is && !renewed {
			if p := patchBetween(old, now); p != nil {
				p["apiVersion"] = b.t.user.identity(b.line, ref, now)["apiVersion"]
				files[f+"_patch.yaml"] = p
				patches = append(patches, f+"_patch.yaml")
			}
		}
	}
	if len(files) == 0 {
		return ""
	}
	dir := b.componentDir(folder, name, wave)
	for f, c := range files {
		b.put(dir+"/"+f, c)
	}
	slices.Sort(resources)
	slices.Sort(patches)
	b.kustomizationOf(dir, map[string]any{"apiVersion": types.ComponentVersion, "kind": types.ComponentKind}, resources, nil, patches)
	return dir
}

// componentDir finds a directory that is free: a server may be prepared in an
// earlier wave than its own, and then has two steps of one name.
func (b *builder) componentDir(folder, name string, wave int) string {
	dir := "components/" + folder + "/" + name
	if b.used[dir] {
		dir += fmt.Sprintf("-w%02d", wave)
	}
	free := dir
	for i := 2; b.used[free]; i++ {
		free = fmt.Sprintf("%s-%d", dir, i)
	}
	b.used[free] = true
	return free
}

// overlay writes a kustomization of the bases and components of some folders.
func (b *builder) overlay(dir string, names []string, stack map[string][]string) {
	var resources, components []string
	for _, f := range names {
		if len(b.line.base[f]) > 0 {
			resources = append(resources, relative(dir, baseDir(f)))
		}
		for _, c := range stack[f] {
			components = append(components, relative(dir, c))
		}
	}
	b.kustomization(dir, resources, components, nil)
}

// relative is the path from one directory of the tree to another.
func relative(from, to string) string {
	r, err := filepath.Rel(from, to)
	if err != nil {
		// Both are relative and clean: Rel has no reason to fail.
		return to
	}
	return filepath.ToSlash(r)
}
