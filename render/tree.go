package render

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// Options of a tree.
type Options struct {
	// GitOps is the controller to write wrappers for: ArgoCD, Flux or GitOpsNone; "" is what the plan says.
	GitOps string
	// Repository is where the tree will be, for the wrappers.
	Repository Repository
	// Bases are, by namespace, directories of the user's own kustomizations that hold what the
	// tree would capture in base/NAMESPACE. Dir is where the tree will be written, from which it refers to them.
	Bases map[string]string
	Dir   string
	// Inventory is the encoded snapshot that the plan was made from; it becomes
	// inventory.yaml as it is. nil when there is none.
	Inventory []byte
	// Telemetry are rewritten dashboards and rules by path, put below telemetry/ as they are.
	Telemetry map[string][]byte
}

// Tree is a rendered plan in memory: kustomize directories and prose.
type Tree struct {
	plan    *api.MigrationPlan
	files   map[string][]byte
	bases   []string
	waves   []waveDirs
	pointer string
	// wrappers are nil without a GitOps controller.
	wrappers *wrappers
	// user are the user's own bases; root is then the directory of the tree, without links.
	user userBases
	root string
}

// waveDirs are the directories of one wave that have a kustomization.
type waveDirs struct {
	dir    string
	before string
	steps  []stepDirs
}

// stepDirs are the overlay of a step and those of its way back; "" where the wave holds no object.
type stepDirs struct {
	dir  string
	back []string
	// adds are the components that the step brings, as paths below the root.
	adds []string
	// backAdds and backDrops are the components that each rollback step adds and takes away.
	backAdds, backDrops [][]string
}

// Build renders a plan. Paths are slash-separated and relative; every directory
// with a kustomization.yaml builds with kustomize alone. Errors are *PlanError,
// *FlavourError, *RepositoryError or *BaseError. Build itself runs no kustomize: call Check before Write.
func Build(p *api.MigrationPlan, o Options) (*Tree, error) {
	w, err := newWrappers(p, cmp.Or(o.GitOps, p.GitOps), o.Repository)
	if err != nil {
		return nil, err
	}
	t, err := assemble(p, o)
	if err != nil {
		return nil, err
	}
	t.wrappers = w
	var plan bytes.Buffer
	if err := api.Encode(&plan, p); err != nil {
		return nil, err
	}
	t.files["plan.yaml"] = plan.Bytes()
	if o.Inventory != nil {
		t.files["inventory.yaml"] = slices.Clone(o.Inventory)
	}
	if err := t.prose(); err != nil {
		return nil, err
	}
	if err := t.wrap(); err != nil {
		return nil, err
	}
	if p.Telemetry != nil {
		if t.files["telemetry/README.md"], err = TelemetryMarkdown(p.Telemetry); err != nil {
			return nil, err
		}
	}
	for path, data := range o.Telemetry {
		t.files["telemetry/"+path] = slices.Clone(data)
	}
	return t, nil
}

// assemble makes the kustomize part of a tree.
func assemble(p *api.MigrationPlan, o Options) (*Tree, error) {
	line, err := read(p)
	if err != nil {
		return nil, err
	}
	t := &Tree{plan: p, files: map[string][]byte{}}
	if len(o.Bases) > 0 {
		if t.root, err = resolved(o.Dir); err != nil {
			return nil, err
		}
		if t.user, err = readBases(p, line, o.Bases, t.root); err != nil {
			return nil, err
		}
	}
	b := &builder{p: p, line: line, t: t, names: map[string]int{}, used: map[string]bool{}, stack: map[string][]string{}}
	b.countNames()
	b.base()
	for i := range p.Waves {
		if err := b.wave(i); err != nil {
			return nil, err
		}
	}
	b.clusterPointer()
	return b.t, b.err
}

// Paths are the files of the tree, sorted.
func (t *Tree) Paths() []string { return slices.Sorted(maps.Keys(t.files)) }

// File is the content of one file; nil when the tree has no such file.
func (t *Tree) File(path string) []byte { return t.files[path] }

// Overlay is the directory of the overlay of a step, both counted from 0 as in the
// plan, and the directories of its way back in order. Each is "" where the wave
// holds no object of the tree.
func (t *Tree) Overlay(wave, step int) (dir string, back []string) {
	s := t.waves[wave].steps[step]
	return s.dir, slices.Clone(s.back)
}

// builder makes the kustomize part of a tree.
type builder struct {
	p    *api.MigrationPlan
	line *timeline
	t    *Tree
	// names counts the objects that would have one file name in one folder.
	names map[string]int
	// used are the component directories taken.
	used map[string]bool
	// stack is, for each folder, the components applied so far.
	stack map[string][]string
	err   error
}

// countNames finds objects whose files would meet.
func (b *builder) countNames() {
	seen := map[api.Ref]bool{}
	count := func(r api.Ref) {
		r.Cluster = ""
		if !seen[r] {
			seen[r] = true
			b.names[folderOf(r)+"/"+fileOf(r, true)]++
		}
	}
	for _, o := range b.p.Base {
		count(o.Object)
	}
	eachChange(b.p, func(c *api.Change) {
		if c.Op != api.OpManual {
			count(c.Object)
		}
	})
}

// file is the file of an object in its folder, without ".yaml".
func (b *builder) file(r api.Ref) string {
	return fileOf(r, b.names[folderOf(r)+"/"+fileOf(r, true)] < 2)
}

// put writes one object or kustomization.
func (b *builder) put(path string, v map[string]any) {
	doc, err := Documents([]map[string]any{v})
	if err != nil && b.err == nil {
		b.err = fmt.Errorf("%s: %w", path, err)
	}
	b.t.files[path] = doc
}

func baseDir(folder string) string { return "base/" + folder }

// base writes what the tree holds before any step.
func (b *builder) base() {
	for _, f := range slices.Sorted(maps.Keys(b.line.base)) {
		dir := baseDir(f)
		b.t.bases = append(b.t.bases, f)
		if u := b.t.user[f]; u != nil {
			b.kustomization(dir, []string{b.t.userReference(u)}, nil, nil)
			continue
		}
		var resources []string
		for _, ref := range sortedRefs(b.line.base[f]) {
			name := b.file(ref) + ".yaml"
			b.put(dir+"/"+name, b.line.base[f][ref])
			resources = append(resources, name)
		}
		slices.Sort(resources)
		b.kustomization(dir, resources, nil, nil)
	}
}
