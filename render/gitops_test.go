package render

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/internal/golden"
)

// known is a repository of which everything is said.
var known = Repository{URL: "https://git.example.com/mesh.git", Branch: "main", Path: "ambient"}

func wrapped(t testing.TB, p *api.MigrationPlan, flavour string, r Repository) *Tree {
	t.Helper()
	if flavour == ArgoCD && r.Cluster == "" && r.URL != "" {
		r.Cluster = "in-cluster"
	}
	tree, err := Build(p, Options{GitOps: flavour, Repository: r})
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.Check(); err != nil {
		t.Fatal(err)
	}
	return tree
}

// TestWrappers compares the wrappers of both flavours; the rest of the tree is as without them, but for prose.
func TestWrappers(t *testing.T) {
	bare := build(t, load(t, byHand))
	for _, flavour := range []string{ArgoCD, Flux} {
		tree := wrapped(t, load(t, byHand), flavour, known)
		got := map[string][]byte{}
		for _, p := range tree.Paths() {
			if rel, ok := strings.CutPrefix(p, flavour+"/"); ok {
				got[rel] = tree.File(p)
			} else if !strings.HasSuffix(p, ".md") && !bytes.Equal(tree.File(p), bare.File(p)) {
				t.Errorf("%s: %s is not as without wrappers", flavour, p)
			}
		}
		golden.Tree(t, "testdata/by-hand/"+flavour, got)
	}
}

// TestPlaceholders: what nobody says cannot work by accident, and every document names it.
func TestPlaceholders(t *testing.T) {
	for _, c := range []struct {
		flavour string
		repo    Repository
		want    []string
	}{
		{ArgoCD, Repository{}, []string{unknownURL, unknownBranch, unknownPath, unknownCluster}},
		{Flux, Repository{}, []string{unknownURL, unknownBranch, unknownPath}},
		{Flux, Repository{URL: known.URL, Branch: "main"}, []string{unknownPath}},
		{Flux, known, nil},
	} {
		p := load(t, byHand)
		tree := wrapped(t, p, c.flavour, c.repo)
		_, missing := Placeholders(p, Options{GitOps: c.flavour, Repository: c.repo})
		if len(missing) != len(c.want) {
			t.Errorf("%+v: missing %q, want %q", c.repo, missing, c.want)
		}
		for _, all := range []string{unknownURL, unknownBranch, unknownPath, unknownCluster} {
			for _, doc := range []string{"README.md", "COMMITS.md", c.flavour + "/README.md"} {
				if has := bytes.Contains(tree.File(doc), []byte("now "+all)); has != slices.Contains(c.want, all) {
					t.Errorf("%s %+v: %s names %s: %v", c.flavour, c.repo, doc, all, has)
				}
			}
		}
	}
}

// TestPlanSaysFlavour: without an option the plan's own word counts.
func TestPlanSaysFlavour(t *testing.T) {
	p := load(t, byHand)
	p.GitOps = Flux
	if tree := wrapped(t, p, "", known); tree.File("flux/sync.yaml") == nil {
		t.Error("the plan says flux, and there are no wrappers")
	}
	if tree := wrapped(t, p, GitOpsNone, known); tree.File("flux/sync.yaml") != nil {
		t.Error("the option says none, and there are wrappers")
	}
	var fe *FlavourError
	if _, err := Build(p, Options{GitOps: "helm"}); !errors.As(err, &fe) {
		t.Errorf("got %v", err)
	}
}

// TestRepositoryErrors: what Git or a controller would refuse or misunderstand.
func TestRepositoryErrors(t *testing.T) {
	for _, r := range []Repository{
		{URL: "mesh.git"}, {URL: "file:///etc"}, {URL: "https://me:pw@git.example.com/x"}, {URL: "https://token@git.example.com/x"}, {URL: "ssh://git:pw@git.example.com/x"}, {URL: "https://git.example.com/x\ny"}, {URL: "--upload-pack=x:y"}, {URL: "ext::sh -c x"},
		{Branch: "-f"}, {Branch: "a..b"}, {Branch: "a b"}, {Branch: "x.lock"}, {Branch: "a:b"}, {Branch: "a\x00"},
		{Path: "/etc"}, {Path: ".."}, {Path: "a/../.."}, {Path: "a/"}, {Path: "a\\b"},
		{Namespace: "A"}, {Namespace: "a/b"}, {DependsOn: []string{"a/b/c"}}, {DependsOn: []string{""}}, {DependsOn: []string{"A"}},
	} {
		var re *RepositoryError
		if _, err := Build(load(t, byHand), Options{GitOps: Flux, Repository: r}); !errors.As(err, &re) {
			t.Errorf("%+v: got %v, want a RepositoryError", r, err)
		}
	}
	for _, r := range []Repository{{URL: "git@git.example.com:mesh.git"}, {URL: "ssh://git@git.example.com/mesh.git"}, {Branch: "release/1.2"}, {Path: "."}, {Path: "a/b"}} {
		if _, err := Build(load(t, byHand), Options{GitOps: ArgoCD, Repository: r}); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

// TestHostileClusterName: the cluster's name becomes the name of objects and part of a path.
func TestHostileClusterName(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{"prod", "PROD", "arn:aws:eks:eu-west-1:1:cluster/prod", "../../x", "a\nb: c", "é", strings.Repeat("x", 300), strings.Repeat("x", 301), "a-", "a.b"} {
		for _, flavour := range []string{ArgoCD, Flux} {
			p := load(t, byHand)
			for i := range p.Base {
				p.Base[i].Object.Cluster = name
			}
			eachChange(p, func(c *api.Change) { c.Object.Cluster = name })
			tree := wrapped(t, p, flavour, known)
			n := tree.wrappers.name
			if resourceName(n) != n {
				t.Errorf("%q becomes %q", name, n)
			}
			if old, ok := seen[n]; ok && old != name {
				t.Errorf("%q and %q are both %q", name, old, n)
			}
			seen[n] = name
		}
	}
}

// TestCheckFindsWrongWrappers: Check is what stands between a mistake in the wrappers and a controller.
func TestCheckFindsWrongWrappers(t *testing.T) {
	for _, c := range []struct{ flavour, file, old, new, want string }{
		{ArgoCD, "argocd/application.yaml", "ambient/clusters/default", "ambient/base", "not the pointer"},
		{Flux, "flux/sync.yaml", "./ambient/clusters/default", "./", "not the pointer"},
		{Flux, "flux/kustomization.yaml", "- gitrepository.yaml\n", "", "it builds 1 objects"},
		{ArgoCD, "argocd/kustomization.yaml", "application.yaml", "gone.yaml", "leads nowhere"},
		{ArgoCD, "argocd/kustomization.yaml", "- appproject.yaml", "- appproject.yaml\n- argocd-cm.health.yaml", "it builds 3 objects"},
	} {
		tree := wrapped(t, load(t, byHand), c.flavour, known)
		was := string(tree.files[c.file])
		tree.files[c.file] = []byte(strings.Replace(was, c.old, c.new, 1))
		if was == string(tree.files[c.file]) {
			t.Fatalf("%s has no %q", c.file, c.old)
		}
		var ce *CheckError
		if err := tree.Check(); !errors.As(err, &ce) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s without %q: got %v, want %q", c.file, c.old, err, c.want)
		}
	}
}

// TestArgoOptions: options that an object has stay, but for those that would let Argo CD treat a fragment as a whole.
func TestArgoOptions(t *testing.T) {
	ours := "Prune=false,ServerSideApply=true,Validate=false"
	for old, want := range map[string]string{
		"": ours, ours: ours, "Delete=false": "Delete=false," + ours, " Prune=true , Delete=false": "Delete=false," + ours, "ServerSideApply=false": ours,
	} {
		if d := cmp.Diff(want, argoOptions(old)); d != "" {
			t.Errorf("%q: %s", old, d)
		}
	}
}
