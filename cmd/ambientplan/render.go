package main

import (
	"io/fs"
	"os"
	"path/filepath"

	"bytes"

	"github.com/spf13/cobra"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/render"
)

type renderOptions struct {
	out       string
	inventory string
	gitops    gitopsFlags
}

func newRenderCmd(s *streams) *cobra.Command {
	var o renderOptions
	cmd := &cobra.Command{
		Use:   "render PLAN --out DIR",
		Short: "Write the tree of kustomizations and checklists of a plan",
		Long: `render writes what "plan --out" writes, from a plan that was made earlier: the same
plan gives the same bytes. The plan is not computed again.`,
		Args: onePlan,
		Example: s.examples(
			"render plan.yaml --out out/",
			"render plan.yaml -i inventory.yaml --out out/",
			"# with what Argo CD needs to follow the tree",
			"render plan.yaml --out out/ --gitops argocd --git-url https://git.example.com/mesh.git --git-branch main --git-path ambient --argocd-cluster in-cluster",
			"# on the kustomization of your repository that holds namespace shop",
			"render plan.yaml --out ambient/ --base shop=apps/shop/production",
			"# for Flux, after what installs Istio",
			"render plan.yaml --out out/ --gitops flux --git-url ssh://git@git.example.com/mesh.git --git-branch main --git-path ambient --flux-depends-on istio",
		),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := o.check(args[0]); err != nil {
				return err
			}
			p, err := decodeFile(s, args[0], api.Decode[api.MigrationPlan])
			if err != nil {
				return err
			}
			var inv *api.Inventory
			if o.inventory != "" {
				if inv, err = decodeFile(s, o.inventory, api.Decode[api.Inventory]); err != nil {
					return err
				}
				inv = inventory.Alone(inv)
			}
			telemetry, err := rewritesBeside(s, args[0], p)
			if err != nil {
				return err
			}
			if err := writeTree(p, inv, o.gitops.options(o.out), o.out, telemetry); err != nil {
				return err
			}
			o.gitops.note(s, p)
			s.notef("wrote %s", o.out)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.out, "out", "", "directory to write the tree to; only one that this program wrote is replaced")
	f.StringVarP(&o.inventory, "inventory", "i", "", "snapshot that the plan was made from, to be put into the tree")
	o.gitops.add(cmd)
	return cmd
}

func (o *renderOptions) check(plan string) error {
	if o.out == "" {
		return usageErrorf("say where to write with --out DIR")
	}
	if err := o.gitops.check(); err != nil {
		return err
	}
	return oneStdin(plan, o.inventory)
}

// rewritesBeside are the rewritten dashboards and rules of a plan that lies in its tree: a plan says what becomes of
// them and does not hold them.
func rewritesBeside(s *streams, plan string, p *api.MigrationPlan) (map[string][]byte, error) {
	if p.Telemetry == nil {
		return nil, nil
	}
	dir := filepath.Join(filepath.Dir(plan), "telemetry")
	if info, err := os.Stat(dir); plan == "-" || err != nil || !info.IsDir() {
		s.notef("note: there is no telemetry/ beside the plan, so that the tree is without rewritten dashboards and rules: ambientplan dashboards --rewrite writes them")
		return nil, nil
	}
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		out[inside(filepath.ToSlash(rel))], err = os.ReadFile(name)
		return err
	})
	return out, err
}

// writeTree builds the tree, checks that every overlay builds and differs from
// the one before by what the plan says, and only then writes it. inv may be
// nil, and so may telemetry, the files of dashboards and alerts as they should become.
func writeTree(p *api.MigrationPlan, inv *api.Inventory, o render.Options, dir string, telemetry map[string][]byte) error {
	o.Telemetry = telemetry
	if inv != nil {
		var b bytes.Buffer
		if err := api.Encode(&b, inv); err != nil {
			return internalErrorf("%w", err)
		}
		o.Inventory = b.Bytes()
	}
	tree, err := render.Build(p, o)
	if err != nil {
		return err
	}
	if err := tree.Check(); err != nil {
		if len(o.Bases) > 0 {
			return usageErrorf("on the bases given, the tree does not build what the plan says; nothing was written: %w", err)
		}
		return internalErrorf("the tree does not hold what the plan says: %w", err)
	}
	return tree.Write(dir)
}
