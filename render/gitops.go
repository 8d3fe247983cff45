package render

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/filesys"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// Flavours of wrappers.
const (
	GitOpsNone = "none"
	ArgoCD     = "argocd"
	Flux       = "flux"
)

// Repository is where the tree will be committed, as far as the user says so. What is
// empty becomes a placeholder that cannot work, and that README and checklists name.
type Repository struct {
	// URL of the Git repository, without credentials.
	URL string
	// Branch that the controller follows.
	Branch string
	// Path of the tree inside the repository; "." for its root.
	Path string
	// Cluster is the name under which Argo CD knows the plan's cluster ("in-cluster" for its own).
	Cluster string
	// Namespace of the controller's objects; "" is where the controllers install themselves: argocd, flux-system.
	Namespace string
	// DependsOn are Flux Kustomizations, NAME or NAMESPACE/NAME, that must be ready before: what installs Istio.
	DependsOn []string
}

// Placeholders. The top level domain "invalid" never resolves (RFC 2606), and no
// repository has such a branch or directory by accident: a controller that gets one
// fails, and does not follow something else.
const (
	unknownURL     = "https://change-me.invalid/repository.git"
	unknownBranch  = "change-me-branch"
	unknownPath    = "change-me-path"
	unknownCluster = "change-me-cluster"
)

// RepositoryError is a part of a Repository that a controller would refuse or
// misunderstand.
type RepositoryError struct{ Field, Value, Msg string }

// Error names the flag.
func (e *RepositoryError) Error() string { return fmt.Sprintf("%s %q: %s", e.Field, e.Value, e.Msg) }

// FlavourError is a flavour of wrappers that there is not.
type FlavourError struct{ Flavour string }

// Error names those that there are.
func (e *FlavourError) Error() string {
	return fmt.Sprintf("gitops %q: wrappers are %s, %s or %s", e.Flavour, ArgoCD, Flux, GitOpsNone)
}

// wrappers are what is handed to a GitOps controller.
type wrappers struct {
	flavour string
	repo    Repository
	// name of the Application or Kustomization.
	name string
	// missing are the values that were not given, as the flags that give them.
	missing []string
}

// Placeholders are the values that the wrappers of a tree lack, as the flags that give
// them, and the flavour; none where the tree has no wrappers.
func Placeholders(p *api.MigrationPlan, o Options) (flavour string, missing []string) {
	w, err := newWrappers(p, cmp.Or(o.GitOps, p.GitOps), o.Repository)
	if err != nil || w == nil {
		return "", nil
	}
	return w.flavour, w.missing
}

// newWrappers checks the flavour and the repository; nil without a flavour.
func newWrappers(p *api.MigrationPlan, flavour string, r Repository) (*wrappers, error) {
	switch flavour {
	case "", GitOpsNone:
		return nil, nil
	case ArgoCD, Flux:
	default:
		return nil, &FlavourError{flavour}
	}
	if err := r.check(flavour); err != nil {
		return nil, err
	}
	w := &wrappers{flavour: flavour, repo: r, name: resourceName("ambientplan-" + clusterName(p))}
	fill := func(v *string, placeholder, flag string) {
		if *v == "" {
			*v = placeholder
			w.missing = append(w.missing, fmt.Sprintf("%s (now %s)", flag, placeholder))
		}
	}
	fill(&w.repo.URL, unknownURL, "--git-url")
	fill(&w.repo.Branch, unknownBranch, "--git-branch")
	fill(&w.repo.Path, unknownPath, "--git-path")
	if flavour == ArgoCD {
		fill(&w.repo.Cluster, unknownCluster, "--argocd-cluster")
	}
	w.repo.Namespace = cmp.Or(r.Namespace, map[string]string{ArgoCD: "argocd", Flux: "flux-system"}[flavour])
	return w, nil
}

// check refuses what Git, Argo CD or Flux would.
func (r *Repository) check(flavour string) error {
	for _, v := range []struct{ field, value string }{
		{"--git-url", r.URL}, {"--git-branch", r.Branch}, {"--git-path", r.Path},
		{"--argocd-cluster", r.Cluster}, {"--gitops-namespace", r.Namespace},
	} {
		if i := strings.IndexFunc(v.value, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '\ufffd' }); i >= 0 {
			return &RepositoryError{v.field, v.value, "it holds a space or a control character"}
		}
	}
	if err := checkURL(r.URL, flavour); err != nil {
		return err
	}
	if err := checkBranch(r.Branch); err != nil {
		return err
	}
	if r.Path != "" && (!filepath.IsLocal(filepath.FromSlash(r.Path)) || path.Clean(r.Path) != r.Path || strings.Contains(r.Path, "\\")) {
		return &RepositoryError{"--git-path", r.Path, "it must be a plain path inside the repository, such as mesh/ambient, or . for its root"}
	}
	if r.Namespace != "" && resourceName(r.Namespace) != r.Namespace {
		return &RepositoryError{"--gitops-namespace", r.Namespace, "that is no name of a namespace"}
	}
	if flavour != Flux && len(r.DependsOn) > 0 {
		return &RepositoryError{"--flux-depends-on", r.DependsOn[0], "only Flux knows dependencies"}
	}
	for _, d := range r.DependsOn {
		ns, name, ok := strings.Cut(d, "/")
		if !ok {
			ns, name = "x", d
		}
		if resourceName(ns) != ns || resourceName(name) != name {
			return &RepositoryError{"--flux-depends-on", d, "it must be NAME or NAMESPACE/NAME of a Flux Kustomization"}
		}
	}
	return nil
}

// checkURL refuses credentials: what is rendered is committed.
func checkURL(s, flavour string) error {
	if s == "" {
		return nil
	}
	const field = "--git-url"
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Host == "" {
		if host, rest, ok := strings.Cut(s, ":"); ok && flavour == ArgoCD && err != nil && !strings.Contains(host, "/") && rest != "" && !strings.HasPrefix(s, "-") {
			return nil // git@host:path, which url.Parse refuses and Argo CD takes
		}
		return &RepositoryError{field, s, "it must be https://HOST/PATH or ssh://git@HOST/PATH"}
	}
	if !slices.Contains([]string{"http", "https", "ssh"}, u.Scheme) {
		return &RepositoryError{field, s, "it must be https://HOST/PATH or ssh://git@HOST/PATH"}
	}
	_, password := u.User.Password()
	if password || u.User != nil && u.Scheme != "ssh" {
		return &RepositoryError{field, u.Redacted(), "it holds credentials, and the tree is committed: give them to the controller as a Secret"}
	}
	return nil
}

// checkBranch refuses what git check-ref-format does.
func checkBranch(s string) error {
	bad := strings.HasPrefix(s, "-") || strings.HasPrefix(s, "/") || strings.HasSuffix(s, "/") || strings.HasSuffix(s, ".") || strings.HasSuffix(s, ".lock") ||
		strings.HasPrefix(s, ".") || strings.Contains(s, "..") || strings.Contains(s, "//") || strings.Contains(s, "/.") || strings.Contains(s, "@{") || strings.ContainsAny(s, "~^:?*[\\")
	if bad {
		return &RepositoryError{"--git-branch", s, "that is no name of a branch"}
	}
	return nil
}

// resourceName is s as the name of an object (a DNS-1123 label): itself when it is one,
// else what is left of it and a digest of the whole.
func resourceName(s string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(s) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' {
			b.WriteRune(c)
		} else {
			b.WriteByte('-')
		}
	}
	const longest = 52 // room for what controllers append
	name := strings.Trim(b.String(), "-")
	if name == s && len(s) <= longest && s != "" {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	name = strings.Trim(name[:min(len(name), longest-9)], "-")
	return strings.Trim(name+"-"+hex.EncodeToString(sum[:4]), "-")
}

// wrap writes the wrappers of the flavour.
func (t *Tree) wrap() error {
	if t.wrappers == nil || t.pointer == "" {
		return nil
	}
	dir := t.wrappers.flavour
	var objects map[string]map[string]any
	switch t.wrappers.flavour {
	case ArgoCD:
		objects = t.argo()
	case Flux:
		objects = t.flux()
	}
	for _, f := range slices.Sorted(maps.Keys(objects)) {
		b, err := Documents([]map[string]any{objects[f]})
		if err != nil {
			return fmt.Errorf("%s/%s: %w", dir, f, err)
		}
		t.files[dir+"/"+f] = b
	}
	return t.document(dir+"/README.md", dir+".md.tmpl", t.wrapperProse())
}

// wrapperProse is what the README of the wrappers says.
type wrapperProse struct {
	Name, Namespace, Dir, PointerDir string
	URL, Branch, Path                string
	Missing                          []string
	Timeout                          string
}

func (t *Tree) wrapperProse() wrapperProse {
	w := t.wrappers
	return wrapperProse{
		Name: w.name, Namespace: w.repo.Namespace, Dir: w.flavour, PointerDir: t.pointer, Missing: w.missing,
		URL: w.repo.URL, Branch: w.repo.Branch, Path: w.path(t.pointer), Timeout: fluxTimeout,
	}
}

// path is a directory of the tree as a path inside the repository.
func (w *wrappers) path(dir string) string { return path.Join(w.repo.Path, dir) }

// planned are the kinds that the plan creates, changes or deletes, and the namespaces that hold them, sorted.
// Kinds are kept apart by whether they are in a namespace.
func planned(p *api.MigrationPlan) (namespaces []string, inNamespace, clusterWide []groupKind) {
	spaces, in, wide := map[string]bool{}, map[groupKind]bool{}, map[groupKind]bool{}
	add := func(r api.Ref) {
		k := groupKind{r.Group, r.Kind}
		if r.Namespace == "" {
			wide[k] = true
			return
		}
		in[k], spaces[r.Namespace] = true, true
	}
	for _, b := range p.Base {
		add(b.Object)
	}
	eachChange(p, func(c *api.Change) {
		if c.Op != api.OpManual {
			add(c.Object)
		}
	})
	return slices.Sorted(maps.Keys(spaces)), sortedKinds(in), sortedKinds(wide)
}

// groupKind is a kind of objects.
type groupKind struct{ group, kind string }

func sortedKinds(m map[groupKind]bool) []groupKind {
	return slices.SortedFunc(maps.Keys(m), func(a, b groupKind) int {
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.kind, b.kind))
	})
}

// list is what YAML writes as a list.
func list[T any](in []T, f func(T) any) []any {
	out := make([]any, 0, len(in))
	for _, e := range in {
		out = append(out, f(e))
	}
	return out
}

// checkWrappers makes sure that the wrappers build with kustomize, and that what they
// follow is the pointer and nothing else.
func (t *Tree) checkWrappers(fs filesys.FileSystem, root string) error {
	if t.wrappers == nil || t.pointer == "" {
		return nil
	}
	dir := t.wrappers.flavour
	b := kustomizeAt(fs, root+dir)
	if b.err != nil {
		return &CheckError{Path: dir, Msg: "kustomize does not build it: " + b.err.Error()}
	}
	file, field, follower := "application.yaml", []string{"spec", "source", "path"}, api.Ref{Group: "argoproj.io", Kind: "Application", Namespace: t.wrappers.repo.Namespace, Name: t.wrappers.name}
	want := t.wrappers.path(t.pointer)
	if dir == Flux {
		file, field, follower.Group, follower.Kind = "sync.yaml", []string{"spec", "path"}, "kustomize.toolkit.fluxcd.io", "Kustomization"
		want = "./" + want
	}
	if _, ok := b.objects[follower]; !ok || len(b.objects) != 2 {
		return &CheckError{Path: dir, Msg: fmt.Sprintf("it builds %d objects, of which none or too many is %s", len(b.objects), follower)}
	}
	var v any
	v, _, err := api.DecodeObject(t.files[dir+"/"+file], 1, false)
	if err != nil {
		return &CheckError{Path: dir + "/" + file, Msg: err.Error()}
	}
	for _, f := range field {
		switch m := v.(type) {
		case map[string]any:
			v = m[f]
		case api.Content:
			v = m[f]
		default:
			v = nil
		}
	}
	if v != want {
		return &CheckError{Path: dir + "/" + file, Msg: fmt.Sprintf("it follows %v, not the pointer %s", v, want)}
	}
	return nil
}
