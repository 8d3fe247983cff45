package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/assess"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/render"
)

type assessOptions struct {
	source      sourceFlags
	inventories []string
	earlier     []string
	needs       []string
	policy      string
	answers     []string
	calls       callFlags
	output      outputFlag
	color       colorFlag
}

func newAssessCmd(s *streams) *cobra.Command {
	var o assessOptions
	cmd := &cobra.Command{
		Use:   "assess -i INVENTORY... | assess -f PATH... | assess --context CONTEXT...",
		Short: "Say whether to move at all, or to run a mesh at all, with the reasons",
		Long: `assess answers the question before the plan: whether a mesh is worth it, and whether ambient mode is.
It reads what a plan reads, and in an Assessment what no cluster can tell: what is required, who has time for
it, which problems people have. What nobody answers is not known, and the verdict says how it depends on it.

It answers for clusters without a mesh too, and its answer can be no: stay as you are, keep sidecars in some
namespaces, use a gateway, Cilium or libraries, or remove the mesh. docs/assess.md says how it decides.`,
		Args: onlyFlags,
		Example: s.examples(
			"assess -i inventory.yaml --needs needs.yaml --answers assessment.yaml",
			"assess -f manifests/",
			"# several clusters, each read before with inventory --cluster NAME",
			"assess -i east.yaml -i west.yaml --answers assessment.yaml -o markdown > assessment.md",
			"# how it grew in half a year",
			"assess -i now.yaml --earlier may.yaml",
		),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), s) },
	}
	o.source.add(cmd)
	f := cmd.Flags()
	f.StringArrayVarP(&o.inventories, "inventory", "i", nil, "snapshot of a cluster, or - for stdin; can be repeated")
	f.StringArrayVar(&o.earlier, "earlier", nil, "older snapshot of the same cluster, to see what grows; can be repeated")
	f.StringArrayVar(&o.needs, "needs", nil, "FeatureNeeds of the owners of services; can be repeated")
	f.StringVar(&o.policy, "policy", "", "MigrationPolicy of the platform team")
	f.StringArrayVar(&o.answers, "answers", nil, "Assessment, what people answer; can be repeated")
	o.calls.add(cmd)
	o.output.add(cmd, "table", "markdown", "yaml", "json")
	o.color.add(cmd)
	return cmd
}

func (o *assessOptions) check() error {
	for _, err := range []error{o.output.check(), o.color.check(), o.source.check(), o.calls.check()} {
		if err != nil {
			return err
		}
	}
	n := len(o.inventories) + len(o.source.contexts)
	switch {
	case len(o.source.files) == 0 && len(o.inventories) == 0 && !o.source.live():
		return usageErrorf("say what to assess with -i INVENTORY, -f PATH or --context CONTEXT")
	case len(o.source.files) > 0 && len(o.inventories) > 0:
		return usageErrorf("-f and -i exclude each other: a snapshot is what files were read into")
	case len(o.inventories) > 0 && (o.source.namespace != "" || o.source.cluster != ""):
		return usageErrorf("-n and --cluster belong to -f: a snapshot already names them")
	case n > 1 && (len(o.calls.files()) > 0 || o.calls.prometheus != ""):
		return usageErrorf("--edges, --kiali and --prometheus are about one cluster: hand them to inventory, for each cluster its own")
	}
	inputs := slices.Concat([]string{o.policy}, o.inventories, o.earlier, o.needs, o.answers, o.source.files, o.calls.files())
	return oneStdin(inputs...)
}

// clusterSource is one thing to read, and what to call it.
type clusterSource struct {
	name string
	read func() (*api.Inventory, error)
}

func (o *assessOptions) run(ctx context.Context, s *streams) error {
	if err := o.check(); err != nil {
		return err
	}
	doing := s.progress()
	defer doing.end()
	doing.stage("reading")
	in, failed, err := o.input(ctx, s, doing)
	if err != nil {
		return err
	}
	doing.stage("assessing")
	r, err := assess.Assess(ctx, in)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := o.print(&b, s, r); err != nil {
		return internalErrorf("%w", err)
	}
	doing.end()
	if _, err := s.out.Write(b.Bytes()); err != nil {
		return err
	}
	if len(failed) > 0 {
		return &exitError{exitFailed, errors.Join(failed...)}
	}
	return nil
}

// input reads everything. Of several clusters those that cannot be read are listed in the
// input, and returned; one alone that cannot be read is an error.
func (o *assessOptions) input(ctx context.Context, s *streams, doing *progress) (in assess.Input, failed []error, err error) {
	in = assess.Input{Now: s.now, Tool: version}
	needs, err := readNeeds(s, o.needs)
	if err != nil {
		return in, nil, err
	}
	if o.policy != "" {
		if in.Policy, err = decodeFile(s, o.policy, api.DecodePolicy); err != nil {
			return in, nil, err
		}
	}
	for _, p := range slices.Compact(slices.Sorted(slices.Values(o.answers))) {
		a, err := decodeFile(s, p, api.DecodeAssessment)
		if err != nil {
			return in, nil, err
		}
		in.Answers = append(in.Answers, *a)
	}
	sources := o.sources(ctx, s, doing)
	all, failed, err := readAll(ctx, sources)
	if err != nil {
		return in, nil, err
	}
	for _, f := range failed {
		in.Unreadable = append(in.Unreadable, f.Error())
	}
	if len(sources) == 1 {
		if err := o.calls.read(ctx, s, all[0]); err != nil {
			return in, nil, err
		}
	}
	if len(failed) == 0 {
		if err := checkSubjects(inventory.Merge(all), needs); err != nil {
			return in, nil, err
		}
	}
	if in.Earlier, err = o.readEarlier(s); err != nil {
		return in, nil, err
	}
	if in.Digest, err = sum(struct {
		Clusters, Earlier []*api.Inventory
		Needs             []api.FeatureNeeds
		Policy            *api.MigrationPolicy
		Answers           []api.Assessment
	}{all, in.Earlier, needs, in.Policy, in.Answers}); err != nil {
		return in, nil, internalErrorf("%w", err)
	}
	in.Clusters = assessed(all, needs)
	return in, failed, nil
}

// sources lists what to read, in the order of the command line.
func (o *assessOptions) sources(ctx context.Context, s *streams, doing *progress) []clusterSource {
	var out []clusterSource
	for _, p := range slices.Compact(slices.Sorted(slices.Values(o.inventories))) {
		out = append(out, clusterSource{p, func() (*api.Inventory, error) { return decodeFile(s, p, api.Decode[api.Inventory]) }})
	}
	contexts := slices.Compact(slices.Sorted(slices.Values(o.source.contexts)))
	for _, name := range contexts {
		one := o.source
		one.contexts = []string{name}
		if len(contexts) > 1 {
			one.cluster = name
		}
		out = append(out, clusterSource{"context " + name, func() (*api.Inventory, error) { return one.read(ctx, s, doing) }})
	}
	if len(o.source.files) > 0 || len(contexts) == 0 && o.source.live() {
		out = append(out, clusterSource{"the cluster", func() (*api.Inventory, error) { return o.source.read(ctx, s, doing) }})
	}
	return out
}

// readAll reads each source. One that fails among several is left out; none may be of a
// cluster that another is of too.
func readAll(ctx context.Context, sources []clusterSource) (all []*api.Inventory, failed []error, err error) {
	from := map[string]string{}
	for _, src := range sources {
		inv, err := src.read()
		if err != nil {
			if len(sources) == 1 || ctx.Err() != nil {
				return nil, nil, err
			}
			failed = append(failed, fmt.Errorf("%s: not read: %w", src.name, err))
			continue
		}
		for _, part := range inventory.Split(inv) {
			name := ""
			if len(part.Clusters) > 0 {
				name = part.Clusters[0].Name
			}
			if err := unread(part); err != nil {
				failed = append(failed, fmt.Errorf("%s: %w", src.name, err))
				continue
			}
			if other, ok := from[name]; ok {
				return nil, nil, sameCluster(other, src.name, name)
			}
			from[name] = src.name
			all = append(all, part)
		}
	}
	if len(all) == 0 {
		return nil, nil, errors.Join(failed...)
	}
	return all, failed, nil
}

func sameCluster(one, other, cluster string) error {
	if cluster == "" {
		return usageErrorf("%s and %s are of clusters without a name: read each with inventory --cluster NAME, so that they are not taken for one", one, other)
	}
	return usageErrorf("%s and %s are both of the cluster %q", one, other, cluster)
}

func (o *assessOptions) readEarlier(s *streams) ([]*api.Inventory, error) {
	var out []*api.Inventory
	for _, p := range slices.Compact(slices.Sorted(slices.Values(o.earlier))) {
		inv, err := decodeFile(s, p, api.Decode[api.Inventory])
		if err != nil {
			return nil, err
		}
		out = append(out, inventory.Split(inv)...)
	}
	return out, nil
}

// assessed adds to each inventory the needs that its annotations state.
func assessed(all []*api.Inventory, needs []api.FeatureNeeds) []assess.Cluster {
	var out []assess.Cluster
	for _, inv := range all {
		annotated, unknowns := inventory.Annotations(inv)
		one := *inv
		one.Unknowns = slices.Concat(inv.Unknowns, unknowns)
		out = append(out, assess.Cluster{Inventory: &one, Needs: slices.Concat(needs, annotated)})
	}
	return out
}

func (o *assessOptions) print(b *bytes.Buffer, s *streams, r *api.AssessmentReport) error {
	switch o.output.value {
	case "table":
		b.Write(render.Assessment(r, tableWidth, o.color.on(s)))
		return nil
	case "markdown":
		b.Write(render.AssessmentMarkdown(r))
		return nil
	}
	return encode(b, o.output.value, r)
}
