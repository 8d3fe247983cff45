package main

import (
	"bytes"
	"context"
	"path"
	"strings"

	"github.com/spf13/cobra"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner"
	"github.com/ambientplan/ambientplan/render"
	"github.com/ambientplan/ambientplan/telemetry"
	"github.com/ambientplan/ambientplan/telemetry/source"
)

type dashboardsOptions struct {
	plan planOptions
	// inventory is the snapshot that the plan is made from.
	inventory string
	made      string
	files     []string
	rewrite   string
	output    outputFlag
	color     colorFlag
	failOn    string
}

func newDashboardsCmd(s *streams) *cobra.Command {
	var o dashboardsOptions
	cmd := &cobra.Command{
		Use:   "dashboards -i INVENTORY -f PATH...",
		Short: "Say what the plan does to dashboards, alerts, autoscalers and canary analyses, and rewrite them",
		Long: `dashboards reads files with queries on the mesh's metrics: Grafana dashboards and alerts,
rules of Prometheus and its relatives, SLOs, autoscalers, canary analyses, scrape
configurations. For each query it says what becomes of it in every state of the plan:
whether it goes silent, fires falsely, counts calls twice or half, or changes meaning,
from which step to which. Where it can, it proposes a rewrite and proves it: the series
that each proxy would report are made for the same traffic in every state, and
Prometheus's own engine evaluates the original and the rewrite on them.

With --rewrite it writes the changed files, with nothing else changed in them, and unit
tests for "promtool test rules" below a directory. The files that were read are never
touched.

The plan is made from the inventory as the plan command makes it; --plan takes one that
was made already.`,
		Args: onlyFlags,
		Example: s.examples(
			"dashboards -i inventory.yaml -f monitoring/",
			"dashboards -i inventory.yaml -f monitoring/ --rewrite out/telemetry",
			"# for a plan that is agreed on",
			"dashboards --plan out/plan.yaml -i out/inventory.yaml -f monitoring/",
			"# as a gate for pull requests on a monitoring repository",
			"dashboards -i inventory.yaml -f monitoring/ -o sarif > ambientplan.sarif",
		),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), s) },
	}
	f := cmd.Flags()
	f.StringVarP(&o.inventory, "inventory", "i", "", "snapshot of the cluster, or - for stdin")
	f.StringArrayVarP(&o.files, "filename", "f", nil, "file or directory with dashboards, rules and the like; can be repeated")
	f.StringVar(&o.made, "plan", "", "plan that was made from the inventory (default: make it)")
	f.StringArrayVar(&o.plan.needs, "needs", nil, "FeatureNeeds of the owners of services; can be repeated")
	f.StringVar(&o.plan.policy, "policy", "", "MigrationPolicy of the platform team")
	o.plan.calls.add(cmd)
	f.StringVar(&o.rewrite, "rewrite", "", "directory to write the changed files to; only one that this program wrote is replaced")
	f.StringVar(&o.failOn, "fail-on", "blocker", "exit with 1 on: blocker, warning, unknown (a blocker, or something that is not understood) or never")
	complete(cmd, "fail-on", "blocker", "warning", "unknown", "never")
	o.output.add(cmd, "table", "markdown", "yaml", "json", "sarif")
	o.color.add(cmd)
	return cmd
}

func (o *dashboardsOptions) check() error {
	for _, err := range []error{o.output.check(), o.color.check(), oneOf("fail-on", o.failOn, "blocker", "warning", "unknown", "never")} {
		if err != nil {
			return err
		}
	}
	switch {
	case o.inventory == "":
		return usageErrorf("say what the mesh is with -i INVENTORY")
	case len(o.files) == 0:
		return usageErrorf("say where dashboards and rules are with -f PATH")
	case o.made != "" && len(o.plan.needs)+len(o.plan.calls.files()) > 0, o.made != "" && o.plan.policy != "":
		return usageErrorf("--plan is a plan that was made: --needs, --policy and --edges belong to making one")
	}
	return oneStdin(append(append([]string{o.inventory, o.made, o.plan.policy}, o.plan.needs...), o.plan.calls.files()...)...)
}

func (o *dashboardsOptions) run(ctx context.Context, s *streams) error {
	if err := o.check(); err != nil {
		return err
	}
	doing := s.progress()
	defer doing.end()
	doing.stage("reading")
	files, err := readMonitoring(o.files)
	if err != nil {
		return err
	}
	p, inv, err := o.planned(ctx, s, doing)
	if err != nil {
		return err
	}
	doing.stage("judging queries")
	res, err := analyze(ctx, inv, p, files)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := o.print(&b, s, res.Report); err != nil {
		return internalErrorf("%w", err)
	}
	if o.rewrite != "" {
		files, err := rewrites(res)
		if err != nil {
			return err
		}
		if err := render.Files(files).Write(o.rewrite); err != nil {
			return err
		}
	}
	doing.end()
	if _, err := s.out.Write(b.Bytes()); err != nil {
		return err
	}
	if o.rewrite != "" {
		s.notef("wrote %s: %s changed", o.rewrite, plural(len(res.Rewritten), "file"))
	}
	return o.judge(res.Report)
}

// planned is the plan, and the inventory with what owners say in it.
func (o *dashboardsOptions) planned(ctx context.Context, s *streams, doing *progress) (*api.MigrationPlan, *api.Inventory, error) {
	if o.made != "" {
		p, err := decodeFile(s, o.made, api.Decode[api.MigrationPlan])
		if err != nil {
			return nil, nil, err
		}
		v := verifyOptions{inventory: o.inventory}
		inv, err := v.readInventory(s, o.made, p)
		return p, inv, err
	}
	doing.stage("planning")
	inv, err := decodeFile(s, o.inventory, api.Decode[api.Inventory])
	if err != nil {
		return nil, nil, err
	}
	in, inv, err := o.plan.read(ctx, s, inventory.Alone(inv))
	if err != nil {
		return nil, nil, err
	}
	p, err := planner.Plan(ctx, in)
	return p, inv, err
}

// analyze judges the queries of files in the states of a plan.
func analyze(ctx context.Context, inv *api.Inventory, p *api.MigrationPlan, files []*source.File) (*telemetry.Result, error) {
	st, _ := mesh.New(inv)
	planes, err := planner.DataPlanes(ctx, st, p)
	if err != nil {
		return nil, err
	}
	return telemetry.Analyze(ctx, telemetry.Input{State: st, Plan: p, Planes: planes, Files: files})
}

func (o *dashboardsOptions) print(b *bytes.Buffer, s *streams, r *api.TelemetryReport) error {
	switch o.output.value {
	case "table":
		_, err := b.Write(render.Telemetry(r, tableWidth, o.color.on(s)))
		return err
	case "markdown":
		text, err := render.TelemetryMarkdown(r)
		b.Write(text)
		return err
	case "sarif":
		return encode(b, "json", render.TelemetrySARIF(r, version, sarifRules()))
	}
	return encode(b, o.output.value, r)
}

// sarifRules are the rules of telemetry for SARIF.
func sarifRules() []render.SARIFRule {
	var out []render.SARIFRule
	for _, r := range telemetry.Rules() {
		out = append(out, render.SARIFRule{ID: r.ID, Title: r.Title, Why: r.Why, Remedy: r.Remedy, Page: "docs/telemetry/" + r.ID + ".md"})
	}
	return out
}

// rewrites are the changed files at the paths that they were read from, with a page on all of it.
func rewrites(res *telemetry.Result) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, r := range res.Rewritten {
		files[inside(r.Path)] = []byte(r.Data)
	}
	for name, data := range res.Extra {
		files[inside(name)] = data
	}
	text, err := render.TelemetryMarkdown(res.Report)
	if err != nil {
		return nil, internalErrorf("%w", err)
	}
	files["README.md"] = text
	return files, nil
}

// inside is a path that stays below the directory that it is joined to.
func inside(p string) string {
	return strings.TrimPrefix(path.Clean("/"+strings.ReplaceAll(p, "\\", "/")), "/")
}

// judge is the error with exit code 1 when the report is worse than the flag allows.
func (o *dashboardsOptions) judge(r *api.TelemetryReport) error {
	unknown := r.Summary.Verdicts[string(api.TelemetryCannotTell)] + r.Summary.Notes
	switch {
	case o.failOn == "never":
	case r.Summary.Blockers > 0:
		return findingsErrorf("%s", plural(r.Summary.Blockers, "blocker"))
	case o.failOn == "warning" && r.Summary.Warnings > 0:
		return findingsErrorf("%s", plural(r.Summary.Warnings, "warning"))
	case o.failOn == "unknown" && unknown > 0:
		return findingsErrorf("%s not understood", plural(unknown, "thing"))
	}
	return nil
}
