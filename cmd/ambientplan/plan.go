package main

import (
	"bytes"
	"context"
	"slices"

	"github.com/spf13/cobra"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/planner"
	"github.com/ambientplan/ambientplan/planner/rules"
	"github.com/ambientplan/ambientplan/render"
)

type planOptions struct {
	source      sourceFlags
	inventories []string
	needs       []string
	policy      string
	calls       callFlags
	// monitoring are files with dashboards, alerts and the like.
	monitoring []string
	// previous is the plan that is being followed.
	previous string
	out      string
	output   outputFlag
	color    colorFlag
	failOn   failOnFlag
	gitops   gitopsFlags
}

func newPlanCmd(s *streams) *cobra.Command {
	var o planOptions
	cmd := &cobra.Command{
		Use:   "plan -f PATH... | plan -i INVENTORY... | plan --context CONTEXT...",
		Short: "Decide for every service, and order namespaces into waves of small commits",
		Long: `plan reads manifests (-f), a snapshot (-i) or a running cluster (--context), decides for
every service whether ztunnel alone is enough, a waypoint is needed, the sidecar stays or a person has to
decide, and orders the namespaces into waves of small steps, each with its way back.

Several snapshots, contexts, or a snapshot of several clusters make one plan for the fleet: Services that
clusters share get one mode, and a canary cluster takes each step first.

With --out it also writes the tree of kustomizations, checklists and the plan itself.`,
		Args: onlyFlags,
		Example: s.examples(
			"plan -f manifests/",
			"plan -f manifests/ --needs needs.yaml --policy policy.yaml --out out/",
			"plan -i inventory.yaml --edges calls.csv -o yaml > plan.yaml",
			"# again in the middle of the migration, without moving what is agreed or done",
			"plan -i now.yaml --previous out/ --out out-new/",
			"# in a pipeline: fail on warnings too",
			"plan -i inventory.yaml --fail-on warning",
			"# several clusters, one plan for the fleet",
			"plan -i east.yaml -i west.yaml --policy policy.yaml --out out/",
			"# findings, unknowns and gaps for a code host",
			"plan -i inventory.yaml --needs needs.yaml -o html > plan.html",
			"plan -f manifests/ -o sarif > ambientplan.sarif",
		),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), s) },
	}
	o.source.add(cmd)
	f := cmd.Flags()
	f.StringArrayVarP(&o.inventories, "inventory", "i", nil, "snapshot to plan from, or - for stdin; can be repeated for several clusters")
	f.StringArrayVar(&o.needs, "needs", nil, "FeatureNeeds of the owners of services; can be repeated")
	f.StringVar(&o.policy, "policy", "", "MigrationPolicy of the platform team")
	o.calls.add(cmd)
	f.StringArrayVar(&o.monitoring, "monitoring", nil, "file or directory with dashboards, alerts and the like, for the checklists; can be repeated")
	f.StringVar(&o.previous, "previous", "", "plan that people have agreed on or are following, or the directory of its tree: its waves stay where constraints allow, and what stands of it is counted as done")
	f.StringVar(&o.out, "out", "", "directory to write the tree to; only one that this program wrote is replaced")
	o.output.add(cmd, "table", "html", "markdown", "yaml", "json", "sarif")
	o.color.add(cmd)
	o.failOn.add(cmd)
	o.gitops.add(cmd)
	return cmd
}

// check is everything that is wrong with the flags themselves.
func (o *planOptions) check() error {
	for _, err := range []error{o.output.check(), o.color.check(), o.failOn.check(), o.source.check(), o.calls.check(), o.gitops.check()} {
		if err != nil {
			return err
		}
	}
	switch {
	case o.out == "" && (o.gitops.flavour != "" || len(o.gitops.bases) > 0):
		return usageErrorf("--gitops and --base are about the tree: say where to write it with --out DIR")
	case len(o.source.files) == 0 && len(o.inventories) == 0 && !o.source.live():
		return usageErrorf("say what to plan with -f PATH, -i INVENTORY or --context CONTEXT")
	case len(o.source.files) > 0 && len(o.inventories) > 0:
		return usageErrorf("-f and -i exclude each other: a snapshot is what files were read into")
	case o.source.live() && len(o.inventories) > 0:
		return usageErrorf("--context and -i exclude each other: a snapshot is what a cluster was read into")
	case len(o.inventories) > 0 && (o.source.namespace != "" || o.source.cluster != ""):
		return usageErrorf("-n and --cluster belong to -f: a snapshot already names them")
	}
	return oneStdin(slices.Concat([]string{o.policy}, o.inventories, o.source.files, o.needs, o.calls.files())...)
}

func (o *planOptions) run(ctx context.Context, s *streams) error {
	if err := o.check(); err != nil {
		return err
	}
	doing := s.progress()
	defer doing.end()
	doing.stage("reading")
	read, err := readFleet(ctx, o.sources(ctx, s, doing))
	if err != nil {
		return err
	}
	if len(read) > 1 {
		return o.runFleet(ctx, s, doing, read)
	}
	in, inv, err := o.read(ctx, s, read[0].inventory)
	if err != nil {
		return err
	}
	doing.stage("planning")
	p, err := planner.Plan(ctx, in)
	if err != nil {
		return err
	}
	if p.InputDigest, err = inputDigest(inv, p.Calls); err != nil {
		return internalErrorf("%w", err)
	}
	rewritten, err := o.addTelemetry(ctx, doing, inv, p)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := o.print(&b, s, p); err != nil {
		return internalErrorf("%w", err)
	}
	if o.out != "" {
		doing.stage("building and checking the tree")
		if err := writeTree(p, inv, o.gitops.options(o.out), o.out, rewritten); err != nil {
			return err
		}
	}
	doing.end()
	if _, err := s.out.Write(b.Bytes()); err != nil {
		return err
	}
	if o.out != "" {
		o.gitops.note(s, p)
		s.notef("wrote %s", o.out)
		s.notef("next: read %s/README.md, then %s checklist %s/plan.yaml --wave 0", o.out, s.name, o.out)
	}
	return o.failOn.judge(p)
}

// addTelemetry judges dashboards and alerts by the plan, puts what it finds into the plan, and gives the files that
// should be changed.
func (o *planOptions) addTelemetry(ctx context.Context, doing *progress, inv *api.Inventory, p *api.MigrationPlan) (map[string][]byte, error) {
	if len(o.monitoring) == 0 {
		return nil, nil
	}
	doing.stage("judging dashboards and alerts")
	files, err := readMonitoring(o.monitoring)
	if err != nil {
		return nil, err
	}
	res, err := analyze(ctx, inv, p, files)
	if err != nil {
		return nil, err
	}
	planner.AddTelemetry(p, res.Report)
	return rewrites(res)
}

// read reads all inputs and checks them against each other. It returns the
// inventory as it is kept, call graphs included; what annotations say is read
// from it again by whoever plans from it.
func (o *planOptions) read(ctx context.Context, s *streams, inv *api.Inventory) (planner.Input, *api.Inventory, error) {
	if err := o.calls.read(ctx, s, inv); err != nil {
		return planner.Input{}, nil, err
	}
	inv, agreed, err := o.follow(s, inv)
	if err != nil {
		return planner.Input{}, nil, err
	}
	needs, err := readNeeds(s, o.needs)
	if err != nil {
		return planner.Input{}, nil, err
	}
	if err := checkSubjects(inv, needs); err != nil {
		return planner.Input{}, nil, err
	}
	var policy *api.MigrationPolicy
	if o.policy != "" {
		if policy, err = decodeFile(s, o.policy, api.DecodePolicy); err != nil {
			return planner.Input{}, nil, err
		}
	}
	sum, err := digest(inv, needs, policy)
	if err != nil {
		return planner.Input{}, nil, internalErrorf("%w", err)
	}
	annotated, unknowns := inventory.Annotations(inv)
	planned := *inv
	planned.Unknowns = slices.Concat(inv.Unknowns, unknowns)
	return planner.Input{
		Inventory: &planned, Needs: append(needsIn(nameOf(inv), needs), annotated...), Policy: policy,
		Now: s.now, Tool: version, Digest: sum, Agreed: agreed,
	}, inv, nil
}

// print renders the result in the format asked for.
func (o *planOptions) print(b *bytes.Buffer, s *streams, p *api.MigrationPlan) error {
	switch o.output.value {
	case "table":
		_, err := b.Write(render.Table(p, tableWidth, o.color.on(s)))
		return err
	case "html", "markdown":
		text, err := render.Report(p, o.output.value)
		if err != nil {
			return err
		}
		_, err = b.Write(text)
		return err
	case "sarif":
		return encode(b, "json", render.PlanSARIF(p, version, planSARIFRules()))
	}
	return encode(b, o.output.value, p)
}

// planSARIFRules are the rules of the planner, and those of telemetry, for SARIF.
func planSARIFRules() []render.SARIFRule {
	var out []render.SARIFRule
	for _, r := range rules.All() {
		out = append(out, render.SARIFRule{ID: r.ID, Title: r.Title, Why: r.Doc.Why, Remedy: r.Doc.Remedy, Page: "docs/rules/" + r.ID + ".md"})
	}
	return append(out, sarifRules()...)
}
