package render

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/filesys"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// BaseError is a kustomization of the user that cannot be the base of a namespace.
type BaseError struct{ Namespace, Path, Msg string }

// Error is "base NS=PATH: ...".
func (e *BaseError) Error() string {
	return fmt.Sprintf("base %s=%s: %s", e.Namespace, e.Path, e.Msg)
}

// userBase is a user's own kustomization in the place of base/NAMESPACE.
type userBase struct {
	namespace string
	// path as the user gave it, dir without links, objects what it builds to.
	path, dir string
	objects   state
}

// userBases are by folder.
type userBases map[string]*userBase

// readBases builds the bases that the user names. root is the directory of the tree,
// without links.
func readBases(p *api.MigrationPlan, line *timeline, bases map[string]string, root string) (userBases, error) {
	out := userBases{}
	for _, ns := range slices.Sorted(maps.Keys(bases)) {
		u := &userBase{namespace: ns, path: bases[ns]}
		folder := dirName(ns)
		if ns == "" || len(line.base[folder]) == 0 {
			return nil, u.errorf("the plan changes no object that is in namespace %q today", ns)
		}
		if err := u.read(root); err != nil {
			return nil, err
		}
		if err := u.fits(p, line, folder); err != nil {
			return nil, err
		}
		out[folder] = u
	}
	return out, nil
}

func (u *userBase) errorf(format string, args ...any) error {
	return &BaseError{u.namespace, u.path, fmt.Sprintf(format, args...)}
}

// read finds the directory and builds it.
func (u *userBase) read(root string) error {
	dir, err := filepath.Abs(u.path)
	if err != nil {
		return err
	}
	if u.dir, err = filepath.EvalSymlinks(dir); err != nil {
		return err
	}
	if within(u.dir, root) || within(root, u.dir) {
		return u.errorf("the tree and the base must not be inside each other: the tree is replaced as a whole")
	}
	b := kustomizeAt(filesys.MakeFsOnDisk(), u.dir)
	if b.err != nil {
		return u.errorf("kustomize does not build it: %v", b.err)
	}
	u.objects = b.contents
	return nil
}

// userReference is how base/NAMESPACE refers to the user's directory. Both must be in one
// repository for it to hold elsewhere.
func (t *Tree) userReference(u *userBase) string {
	r, err := filepath.Rel(filepath.Join(t.root, "base", dirName(u.namespace)), u.dir)
	if err != nil {
		return u.dir // on another drive; checkPaths then compares it with itself, and kustomize refuses it
	}
	return filepath.ToSlash(r)
}

// within tells whether a path is a directory or in it.
func within(path, dir string) bool {
	r, err := filepath.Rel(dir, path)
	return err == nil && (r == "." || filepath.IsLocal(r))
}

// fits makes sure that what the plan changes is there, as the plan knows it. What is a
// fragment in the plan is whole here, so that only its being there counts.
func (u *userBase) fits(p *api.MigrationPlan, line *timeline, folder string) error {
	for ref := range u.objects {
		if folderOf(ref) != folder {
			return u.errorf("it holds %s, which is not of this namespace", ref)
		}
	}
	for _, ref := range sortedRefs(line.base[folder]) {
		has, ok := u.objects[ref]
		if !ok {
			return u.errorf("it lacks %s, which the plan patches: add it there, or render this namespace without --base", ref)
		}
		if line.fragments[ref] {
			continue
		}
		planned := line.base[folder][ref]
		for _, k := range slices.Sorted(maps.Keys(planned)) {
			if k == "metadata" || k == "status" || k == "apiVersion" {
				continue
			}
			a, errA := canonical(map[string]any{k: planned[k]})
			b, errB := canonical(map[string]any{k: has[k]})
			if err := errors.Join(errA, errB); err != nil {
				return err
			}
			if a != b {
				return u.errorf("%s has another %s than in the inventory that the plan was made from: plan again from what the base holds", ref, k)
			}
		}
	}
	var err error
	eachChange(p, func(c *api.Change) {
		ref := c.Object
		ref.Cluster = ""
		if _, has := u.objects[ref]; has && err == nil && c.Op == api.OpCreate && line.base[folder][ref] == nil {
			err = u.errorf("it holds %s already, which the plan creates", ref)
		}
	})
	return err
}

// asBuilt is an object of the plan as it is on top of the user's: the plan's own changes
// since base, and everything else as the user has it.
func (b userBases) asBuilt(line *timeline, ref api.Ref, now api.Content) api.Content {
	u := b[folderOf(ref)]
	if u == nil || u.objects[ref] == nil {
		return now
	}
	was := line.base[folderOf(ref)][ref]
	if was == nil || was["apiVersion"] != now["apiVersion"] {
		return now
	}
	return mergePatch(u.objects[ref], mapPatch(was, now))
}

// states replaces the folders of user bases by what they build to.
func (b userBases) states(line *timeline, f folders) folders {
	if len(b) == 0 {
		return f
	}
	out := maps.Clone(f)
	for folder, u := range b {
		now, ok := f[folder]
		if !ok {
			continue
		}
		s := maps.Clone(u.objects)
		for ref := range line.base[folder] {
			delete(s, ref)
		}
		for ref, c := range now {
			s[ref] = b.asBuilt(line, ref, c)
		}
		out[folder] = s
	}
	return out
}

// identity is the object with the version of the user's, by which a patch finds it, as
// long as the plan has not replaced it by another version.
func (b userBases) identity(line *timeline, ref api.Ref, c api.Content) api.Content {
	u := b[folderOf(ref)]
	if u == nil || u.objects[ref] == nil {
		return c
	}
	if was := line.base[folderOf(ref)][ref]; was == nil || was["apiVersion"] != c["apiVersion"] {
		return c
	}
	c = maps.Clone(c)
	c["apiVersion"] = u.objects[ref]["apiVersion"]
	return c
}

// mergePatch applies a JSON merge patch (RFC 7386) to a copy of an object.
func mergePatch(c, patch map[string]any) map[string]any {
	out := clone(c).(map[string]any)
	for k, v := range patch {
		switch v := v.(type) {
		case nil:
			delete(out, k)
		case map[string]any:
			old, _ := out[k].(map[string]any)
			out[k] = mergePatch(old, v)
		default:
			out[k] = clone(v)
		}
	}
	return out
}

// resolved is the directory of a tree that may not be there yet, without links.
func resolved(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(dir)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return real, err
	}
	parent := filepath.Dir(dir)
	if parent == dir {
		return "", err
	}
	real, err = resolved(parent)
	return filepath.Join(real, filepath.Base(dir)), err
}

// besideDisk is a tree in memory at its place on disk, with all the rest from disk, as
// far as kustomize reads file systems.
type besideDisk struct {
	filesys.FileSystem
	tree filesys.FileSystem
	root string
}

func (b *besideDisk) of(path string) filesys.FileSystem {
	if within(path, b.root) {
		return b.tree
	}
	return b.FileSystem
}

// ReadFile reads a file.
func (b *besideDisk) ReadFile(path string) ([]byte, error) { return b.of(path).ReadFile(path) }

// Exists tells whether there is a file or directory.
func (b *besideDisk) Exists(path string) bool { return b.of(path).Exists(path) }

// IsDir tells whether there is a directory.
func (b *besideDisk) IsDir(path string) bool { return b.of(path).IsDir(path) }

// CleanedAbs resolves a path to its directory and file.
func (b *besideDisk) CleanedAbs(path string) (filesys.ConfirmedDir, string, error) {
	if abs, err := filepath.Abs(path); err == nil && within(abs, b.root) {
		if b.tree.IsDir(abs) {
			return filesys.ConfirmedDir(abs), "", nil
		}
		if b.tree.Exists(abs) {
			return filesys.ConfirmedDir(filepath.Dir(abs)), filepath.Base(abs), nil
		}
		return "", "", &fs.PathError{Op: "open", Path: path, Err: os.ErrNotExist}
	}
	return b.FileSystem.CleanedAbs(path)
}

// fileSystem is what Check builds in, and the prefix of the tree's directories there.
func (t *Tree) fileSystem() (filesys.FileSystem, string, error) {
	memory := filesys.MakeFsInMemory()
	root := "/"
	if len(t.user) > 0 {
		root = strings.TrimSuffix(t.root, "/") + "/"
	}
	for p, b := range t.files {
		if err := memory.WriteFile(root+p, b); err != nil {
			return nil, "", fmt.Errorf("%s: %w", p, err)
		}
	}
	if len(t.user) == 0 {
		return memory, root, nil
	}
	return &besideDisk{FileSystem: filesys.MakeFsOnDisk(), tree: memory, root: t.root}, root, nil
}
