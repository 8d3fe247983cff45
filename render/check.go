package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// built is what kustomize makes of one directory.
type built struct {
	yaml    []byte
	objects map[api.Ref]string
	// contents are the objects before they became text.
	contents state
	err      error
}

// Check builds every overlay with kustomize's own library and holds it against
// the plan: the build of a step is the build of the step before plus the plan's
// changes and nothing else, a way back ends in the bytes of the state that it
// names, and no path leaves the tree. Errors are *CheckError or *PlanError.
func (t *Tree) Check() error {
	line, err := read(t.plan)
	if err != nil {
		return err
	}
	if err := t.checkPaths(); err != nil {
		return err
	}
	fs, root, err := t.fileSystem()
	if err != nil {
		return err
	}
	want := t.expected(line)
	if err := t.checkPointer(line); err != nil {
		return err
	}
	if err := t.checkWrappers(fs, root); err != nil {
		return err
	}
	builds := buildAll(fs, root, want)
	for i := range want {
		w := &want[i]
		b := &builds[i]
		if b.err != nil {
			return &CheckError{Path: w.dir, Msg: "kustomize does not build it: " + b.err.Error()}
		}
		if err := w.compare(b.objects); err != nil {
			return err
		}
	}
	at := map[string]*built{}
	for i := range want {
		at[want[i].dir] = &builds[i]
	}
	fragments := fragmentsOf(t.plan)
	held := func(ref api.Ref, c api.Content) api.Content {
		return t.user.asBuilt(line, ref, held(c, fragments[ref]))
	}
	for i := range want {
		w := &want[i]
		if w.from != "" {
			if err := w.delta(at[w.from].objects, builds[i].objects, held); err != nil {
				return err
			}
		}
		if w.same != "" && !bytes.Equal(builds[i].yaml, at[w.same].yaml) {
			return &CheckError{Path: w.dir, Msg: "it returns to " + w.same + ", but does not build to the same bytes"}
		}
	}
	return nil
}

// expectation is what a directory must build to.
type expectation struct {
	dir   string
	state folders
	// same names the directory whose bytes it must build to.
	same string
	// from is the directory of the state before, and changes are all that may differ from it.
	from    string
	changes []api.Change
}

// expected lists every directory that builds, with the state that the plan says.
func (t *Tree) expected(line *timeline) (out []expectation) {
	defer func() {
		for i := range out {
			out[i].state = t.user.states(line, out[i].state)
		}
	}()
	for _, f := range t.bases {
		out = append(out, expectation{dir: baseDir(f), state: line.base.of([]string{f})})
	}
	if t.pointer != "" && objects(line.base) <= maxPointerBuild {
		out = append(out, expectation{dir: t.pointer, state: line.base})
	}
	for i, w := range t.waves {
		if w.before == "" {
			continue
		}
		l := &line.waves[i]
		out = append(out, expectation{dir: w.before, state: l.before})
		from := w.before
		for j, s := range w.steps {
			step := &t.plan.Waves[i].Steps[j]
			out = append(out, expectation{dir: s.dir, state: l.steps[j].after, from: from, changes: step.Changes})
			from = s.dir
			last := s.dir
			for k, dir := range s.back {
				e := expectation{dir: dir, state: l.steps[j].back[k], from: last, changes: step.Rollback[k].Changes}
				last = dir
				if to := step.Rollback[k].To; to != "" {
					e.same = w.before
					if n := stepIndex(&t.plan.Waves[i], to); n >= 0 {
						e.same = w.steps[n].dir
					}
				}
				out = append(out, e)
			}
		}
	}
	return out
}

// maxPointerBuild is up to how many objects Check builds the pointer. The time that
// kustomize takes grows with the square of the objects: 2,000 take seconds.
const maxPointerBuild = 500

// checkPointer makes sure that the pointer names every base once and nothing else,
// so that it builds to the bases, each of which is built by itself.
func (t *Tree) checkPointer(line *timeline) error {
	if t.pointer == "" {
		return nil
	}
	k, _, err := api.DecodeObject(t.files[t.pointerFile()], 1, false)
	if err != nil {
		return &CheckError{Path: t.pointerFile(), Msg: err.Error()}
	}
	var want []string
	for _, f := range sortedFolders(line.base) {
		want = append(want, relative(t.pointer, baseDir(f)))
	}
	got := references(k)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return &CheckError{Path: t.pointerFile(), Msg: fmt.Sprintf("it points to %q, not to every base: %q", got, want)}
	}
	for _, key := range slices.Sorted(maps.Keys(k)) {
		if !slices.Contains([]string{"apiVersion", "kind", "resources", "metadata"}, key) {
			return &CheckError{Path: t.pointerFile(), Msg: fmt.Sprintf("it has %q, which changes what it points to", key)}
		}
	}
	return nil
}

// objects counts the objects of some folders.
func objects(f folders) int {
	n := 0
	for _, s := range f {
		n += len(s)
	}
	return n
}

// compare holds what was built against what the plan says, both ways.
func (e *expectation) compare(got map[api.Ref]string) error {
	n := objects(e.state)
	for _, f := range sortedFolders(e.state) {
		for _, ref := range sortedRefs(e.state[f]) {
			text, ok := got[ref]
			if !ok {
				return &CheckError{Path: e.dir, Msg: ref.String() + " is missing from the build"}
			}
			want, err := canonical(e.state[f][ref])
			if err != nil {
				return &CheckError{Path: e.dir, Msg: ref.String() + ": " + err.Error()}
			}
			if text != want {
				return &CheckError{Path: e.dir, Msg: fmt.Sprintf("%s is not what the plan says: built %s, planned %s", ref, text, want)}
			}
		}
	}
	if len(got) == n {
		return nil
	}
	for _, ref := range sortedKeys(got) {
		if _, ok := e.state[folderOf(ref)][ref]; !ok {
			return &CheckError{Path: e.dir, Msg: ref.String() + " is built, but the plan does not have it here"}
		}
	}
	return &CheckError{Path: e.dir, Msg: fmt.Sprintf("it builds %d objects, the plan has %d", len(got), n)}
}

// delta makes sure that two neighbouring builds differ by the changes between
// them and by nothing else. It reads the changes themselves, not the timeline.
func (e *expectation) delta(before, after map[api.Ref]string, held func(api.Ref, api.Content) api.Content) error {
	rest := maps.Clone(before)
	for i := range e.changes {
		c := &e.changes[i]
		ref := c.Object
		ref.Cluster = ""
		switch c.Op {
		case api.OpManual, api.OpUnset:
			continue
		case api.OpDelete:
			delete(rest, ref)
			continue
		case api.OpCreate, api.OpPatch, api.OpFragment:
		}
		text, err := canonical(held(ref, c.After))
		if err != nil {
			return &CheckError{Path: e.dir, Msg: ref.String() + ": " + err.Error()}
		}
		rest[ref] = text
	}
	for _, ref := range sortedKeys(rest) {
		if text, ok := after[ref]; !ok {
			return &CheckError{Path: e.dir, Msg: ref.String() + " goes between " + e.from + " and here, but no change of the plan says so"}
		} else if text != rest[ref] {
			return &CheckError{Path: e.dir, Msg: fmt.Sprintf("%s is %s here; from %s the plan's changes lead to %s", ref, text, e.from, rest[ref])}
		}
	}
	for _, ref := range sortedKeys(after) {
		if _, ok := rest[ref]; !ok {
			return &CheckError{Path: e.dir, Msg: ref.String() + " appears between " + e.from + " and here, but no change of the plan says so"}
		}
	}
	return nil
}

// canonical is a JSON text with sorted keys and without nulls.
func canonical(c map[string]any) (string, error) {
	b, err := json.Marshal(clone(c))
	return string(b), err
}

// buildAll builds directories side by side. The first goes alone: it loads the
// schema that kustomize keeps for the whole process.
func buildAll(fs filesys.FileSystem, root string, dirs []expectation) []built {
	out := make([]built, len(dirs))
	if len(dirs) == 0 {
		return out
	}
	out[0] = kustomizeAt(fs, root+dirs[0].dir)
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(dirs)) {
		wg.Go(func() {
			for i := range next {
				out[i] = kustomizeAt(fs, root+dirs[i].dir)
			}
		})
	}
	for i := 1; i < len(dirs); i++ {
		next <- i
	}
	close(next)
	wg.Wait()
	return out
}

// kustomizeAt builds one directory as `kubectl kustomize` does: the order
// "unspecified" is what the command passes, not the library's default.
func kustomizeAt(fs filesys.FileSystem, dir string) built {
	opts := krusty.MakeDefaultOptions()
	opts.Reorder = krusty.ReorderOptionUnspecified
	m, err := krusty.MakeKustomizer(opts).Run(fs, dir)
	if err != nil {
		return built{err: err}
	}
	b := built{objects: make(map[api.Ref]string, m.Size()), contents: make(state, m.Size())}
	for _, r := range m.Resources() {
		c, err := r.Map()
		if err != nil {
			return built{err: err}
		}
		id := r.CurId()
		// The namespace as written: kustomize says "default" for none in other places.
		meta, _ := c["metadata"].(map[string]any)
		ns, _ := meta["namespace"].(string)
		ref := api.Ref{Group: id.Group, Kind: id.Kind, Namespace: ns, Name: id.Name}
		b.contents[ref] = c
		if b.objects[ref], err = canonical(c); err != nil {
			return built{err: err}
		}
	}
	if b.yaml, err = m.AsYaml(); err != nil {
		return built{err: err}
	}
	return b
}

// checkPaths makes sure that no path of the tree, and no reference in a
// kustomization, leaves it.
func (t *Tree) checkPaths() error {
	for _, p := range t.Paths() {
		if !filepath.IsLocal(filepath.FromSlash(p)) || path.Clean(p) != p || strings.ContainsAny(p, "\\:\x00\n\r") {
			return &CheckError{Path: p, Msg: "the path is not a plain path inside the tree"}
		}
		if path.Base(p) != "kustomization.yaml" {
			continue
		}
		k, _, err := api.DecodeObject(t.files[p], 1, false)
		if err != nil {
			return &CheckError{Path: p, Msg: err.Error()}
		}
		for _, to := range references(k) {
			full := path.Join(path.Dir(p), to)
			if u := t.user[path.Base(path.Dir(p))]; u != nil && path.Dir(p) == baseDir(path.Base(path.Dir(p))) && to == t.userReference(u) {
				continue // the user's own base, which is built with the rest
			}
			if path.IsAbs(to) || !filepath.IsLocal(filepath.FromSlash(full)) {
				return &CheckError{Path: p, Msg: fmt.Sprintf("the reference %q leaves the tree", to)}
			}
			if t.files[full] == nil && t.files[full+"/kustomization.yaml"] == nil {
				return &CheckError{Path: p, Msg: fmt.Sprintf("the reference %q leads nowhere", to)}
			}
		}
	}
	return nil
}

// references are the paths that a kustomization of ours names.
func references(k map[string]any) []string {
	var out []string
	for _, key := range []string{"resources", "components", "patches"} {
		list, _ := k[key].([]any)
		for _, e := range list {
			if m, ok := e.(map[string]any); ok {
				e = m["path"]
			}
			s, _ := e.(string)
			out = append(out, s)
		}
	}
	return out
}
