package main

import (
	"strings"

	"github.com/spf13/cobra"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/render"
)

// gitopsFlags say for which GitOps controller wrappers are written, and where the tree will be.
type gitopsFlags struct {
	flavour    string
	repository render.Repository
	// bases are NAMESPACE=DIRECTORY.
	bases []string
}

func (g *gitopsFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&g.flavour, "gitops", "", "wrappers for a GitOps controller: argocd, flux or none (default: what the MigrationPolicy says)")
	f.StringVar(&g.repository.URL, "git-url", "", "URL of the repository that the tree will be in, without credentials; a placeholder when not given")
	f.StringVar(&g.repository.Branch, "git-branch", "", "branch that the controller follows; a placeholder when not given")
	f.StringVar(&g.repository.Path, "git-path", "", "path of the tree in the repository, . for its root; a placeholder when not given")
	f.StringVar(&g.repository.Cluster, "argocd-cluster", "", "name of the cluster in Argo CD, in-cluster for its own; a placeholder when not given")
	f.StringVar(&g.repository.Namespace, "gitops-namespace", "", "namespace of the controller's objects (default: argocd or flux-system)")
	f.StringArrayVar(&g.repository.DependsOn, "flux-depends-on", nil, "Flux Kustomization that must be ready before, NAME or NAMESPACE/NAME: what installs Istio; can be repeated")
	f.StringArrayVar(&g.bases, "base", nil, "NAMESPACE=DIR: your own kustomization that holds what is in a namespace, instead of a captured base/NAMESPACE; can be repeated")
	complete(cmd, "gitops", render.GitOpsNone, render.ArgoCD, render.Flux)
}

// check is what is wrong with the flags whatever the plan says.
func (g *gitopsFlags) check() error {
	if g.flavour != "" {
		if err := oneOf("gitops", g.flavour, render.GitOpsNone, render.ArgoCD, render.Flux); err != nil {
			return err
		}
	}
	seen := map[string]bool{}
	for _, b := range g.bases {
		ns, dir, ok := strings.Cut(b, "=")
		switch {
		case !ok || ns == "" || dir == "":
			return usageErrorf("--base is %q; it must be NAMESPACE=DIR", b)
		case seen[ns]:
			return usageErrorf("--base names namespace %q twice", ns)
		}
		seen[ns] = true
	}
	return nil
}

// options are those of a tree that will be written to a directory.
func (g *gitopsFlags) options(out string) render.Options {
	o := render.Options{GitOps: g.flavour, Repository: g.repository, Dir: out, Bases: map[string]string{}}
	for _, b := range g.bases {
		ns, dir, _ := strings.Cut(b, "=")
		o.Bases[ns] = dir
	}
	return o
}

// note says what the wrappers lack.
func (g *gitopsFlags) note(s *streams, p *api.MigrationPlan) {
	if flavour, missing := render.Placeholders(p, g.options("")); len(missing) > 0 {
		s.notef("note: %s/ lacks %s", flavour, strings.Join(missing, ", "))
	}
}
