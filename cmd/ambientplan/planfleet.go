package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/planner/fleet"
	"github.com/ambientplan/ambientplan/render"
)

// readCluster is one cluster that was asked for.
type readCluster struct {
	name string
	// inventory is nil when the cluster could not be read; err then says why.
	inventory *api.Inventory
	err       error
}

// sources lists what to read, in the order of the command line.
func (o *planOptions) sources(ctx context.Context, s *streams, doing *progress) []clusterSource {
	var out []clusterSource
	for _, p := range slices.Compact(slices.Sorted(slices.Values(o.inventories))) {
		out = append(out, clusterSource{p, func() (*api.Inventory, error) { return decodeFile(s, p, api.Decode[api.Inventory]) }})
	}
	if len(out) == 0 {
		out = append(out, clusterSource{"the input", func() (*api.Inventory, error) { return o.source.read(ctx, s, doing) }})
	}
	return out
}

// readFleet reads each source, and takes inventories of several clusters apart. Of several
// clusters those that cannot be read are listed; it fails when there is none that can.
func readFleet(ctx context.Context, sources []clusterSource) ([]readCluster, error) {
	var out []readCluster
	var failed []error
	away := map[string]error{} // source -> why it could not be read
	from := map[string]string{}
	take := func(c readCluster, source string) error {
		if other, ok := from[c.name]; ok {
			return sameCluster(other, source, c.name)
		}
		from[c.name] = source
		out = append(out, c)
		return nil
	}
	for _, src := range sources {
		inv, err := src.read()
		if err != nil {
			if len(sources) == 1 || ctx.Err() != nil {
				return nil, err
			}
			failed, away[src.name] = append(failed, err), err
			continue
		}
		for _, part := range inventory.Split(inv) {
			c := readCluster{inventory: inventory.Alone(part)}
			c.name = nameOf(part)
			if err := unread(part); err != nil {
				c.inventory, c.err = nil, errors.New(part.Clusters[0].Unreadable)
				failed = append(failed, err)
			}
			if err := take(c, src.name); err != nil {
				return nil, err
			}
		}
	}
	readable := len(out)
	for _, c := range out {
		if c.inventory == nil {
			readable--
		}
	}
	if readable == 0 {
		return nil, errors.Join(failed...)
	}
	// A snapshot that cannot be read does not say whose it is: its file does.
	for _, src := range sources {
		if away[src.name] == nil {
			continue
		}
		name := strings.TrimSuffix(filepath.Base(src.name), ".gz")
		name = strings.TrimSuffix(name, filepath.Ext(name))
		if _, taken := from[name]; taken || name == "" {
			name = src.name
		}
		if err := take(readCluster{name: name, err: away[src.name]}, src.name); err != nil {
			return nil, err
		}
	}
	if len(out) > 1 && from[""] != "" {
		return nil, usageErrorf("%s is of a cluster without a name: read each with inventory --cluster NAME, so that they are not taken for one", from[""])
	}
	return out, nil
}

// checkFleet refuses flags that are about one cluster.
func (o *planOptions) checkFleet(n int) error {
	about := func(flag, instead string) error {
		return usageErrorf("%s is about one cluster, and there are %d: %s", flag, n, instead)
	}
	switch {
	case len(o.calls.files()) > 0 || o.calls.prometheus != "":
		return about("--edges, --kiali or --prometheus", "hand it to inventory, for each cluster its own")
	case o.previous != "":
		return about("--previous", "plan each cluster again from its own directory, DIR/NAME")
	case len(o.monitoring) > 0:
		return about("--monitoring", "hand the dashboards of each cluster to ambientplan dashboards with its plan, DIR/NAME/plan.yaml")
	case len(o.gitops.bases) > 0:
		return about("--base", "render the plan of the cluster again, DIR/NAME/plan.yaml")
	case o.gitops.repository.Cluster != "":
		return about("--argocd-cluster", "render the plan of each cluster with its own, DIR/NAME/plan.yaml")
	case o.output.value != "table" && o.output.value != "yaml" && o.output.value != "json":
		return about("-o "+o.output.value, "render the plan of each cluster, from -o yaml of its own snapshot; table, yaml and json are for a fleet")
	}
	return nil
}

// runFleet plans several clusters.
func (o *planOptions) runFleet(ctx context.Context, s *streams, doing *progress, read []readCluster) error {
	if err := o.checkFleet(len(read)); err != nil {
		return err
	}
	in, err := o.fleetInput(s, read)
	if err != nil {
		return err
	}
	doing.stage(fmt.Sprintf("planning %d clusters", len(read)))
	p, err := fleet.Plan(ctx, in)
	if err != nil {
		return err
	}
	kept := map[string]*api.Inventory{}
	var failed []error
	for _, c := range read {
		kept[c.name] = c.inventory
		if c.inventory == nil {
			failed = append(failed, fmt.Errorf("cluster %s: not read: %w", c.name, c.err))
		}
	}
	for i := range p.Clusters {
		if one := p.Clusters[i].Plan; one != nil {
			if one.InputDigest, err = inputDigest(kept[p.Clusters[i].Name], one.Calls); err != nil {
				return internalErrorf("%w", err)
			}
		}
	}
	var b bytes.Buffer
	if o.output.value == "table" {
		b.Write(render.FleetTable(p, tableWidth, o.color.on(s)))
	} else if err := encode(&b, o.output.value, p); err != nil {
		return internalErrorf("%w", err)
	}
	if o.out != "" {
		doing.stage("building and checking the trees")
		if err := writeFleet(p, kept, o.gitops.options(o.out), o.out); err != nil {
			return err
		}
	}
	doing.end()
	if _, err := s.out.Write(b.Bytes()); err != nil {
		return err
	}
	if o.out != "" {
		s.notef("wrote %s", o.out)
		s.notef("next: read %s/README.md", o.out)
	}
	if len(failed) > 0 {
		return &exitError{exitFailed, errors.Join(failed...)}
	}
	return o.failOn.judgeFleet(p)
}

// fleetInput reads needs and policy, and gives each cluster its part.
func (o *planOptions) fleetInput(s *streams, read []readCluster) (fleet.Input, error) {
	in := fleet.Input{Now: s.now, Tool: version}
	needs, err := readNeeds(s, o.needs)
	if err != nil {
		return in, err
	}
	if o.policy != "" {
		if in.Policy, err = decodeFile(s, o.policy, api.DecodePolicy); err != nil {
			return in, err
		}
	}
	var all []*api.Inventory
	for _, c := range read {
		if c.inventory != nil {
			all = append(all, c.inventory)
		}
	}
	if len(all) == len(read) {
		if err := checkSubjects(inventory.Merge(all), needs); err != nil {
			return in, err
		}
	}
	if in.Digest, err = sum(struct {
		Clusters []*api.Inventory
		Names    []string
		Needs    []api.FeatureNeeds
		Policy   *api.MigrationPolicy
	}{all, clusterNames(read), needs, in.Policy}); err != nil {
		return in, internalErrorf("%w", err)
	}
	for _, c := range read {
		m := fleet.Member{Name: c.name}
		if c.inventory == nil {
			m.Unreadable = c.err.Error()
			in.Members = append(in.Members, m)
			continue
		}
		annotated, unknowns := inventory.Annotations(c.inventory)
		planned := *c.inventory
		planned.Unknowns = slices.Concat(c.inventory.Unknowns, unknowns)
		m.Inventory, m.Needs = &planned, slices.Concat(needsOf(c.inventory, all, needsIn(c.name, needs)), annotated)
		if m.Digest, err = digest(c.inventory, needs, in.Policy); err != nil {
			return in, internalErrorf("%w", err)
		}
		in.Members = append(in.Members, m)
	}
	return in, nil
}

// nameOf is the name of the one cluster of an inventory; "" when it has none.
func nameOf(inv *api.Inventory) string {
	if len(inv.Clusters) != 1 {
		return ""
	}
	return inv.Clusters[0].Name
}

func clusterNames(read []readCluster) []string {
	var out []string
	for _, c := range read {
		out = append(out, c.name)
	}
	return out
}

// needsIn takes the name of a cluster out of the needs that are for it, as its inventory
// has none in its references. Those for another cluster keep that name, and meet nothing.
func needsIn(cluster string, needs []api.FeatureNeeds) []api.FeatureNeeds {
	out := slices.Clone(needs)
	for i := range out {
		out[i].Services = slices.Clone(out[i].Services)
		for j := range out[i].Services {
			if out[i].Services[j].Cluster == cluster {
				out[i].Services[j].Cluster = ""
			}
		}
	}
	return out
}

// needsOf leaves out calls that owners declare to a Service that this cluster does not have
// and another has. A call to one that no cluster has stays, and is reported.
func needsOf(inv *api.Inventory, all []*api.Inventory, needs []api.FeatureNeeds) []api.FeatureNeeds {
	here, anywhere := knownNames(inv), knownNames(inventory.Merge(all))
	out := slices.Clone(needs)
	for i := range out {
		var kept []api.DeclaredEdge
		lines := maps.Clone(out[i].Lines)
		maps.DeleteFunc(lines, func(path string, _ int) bool { return strings.HasPrefix(path, "edges[") })
		for j, e := range out[i].Edges {
			to := e.ToNamespace + "/" + e.To
			if !here.services[to] && anywhere.services[to] {
				continue
			}
			// What was left out before it moves its place up; its lines go along.
			was, is := fmt.Sprintf("edges[%d]", j), fmt.Sprintf("edges[%d]", len(kept))
			for path, line := range needs[i].Lines {
				if rest, ok := strings.CutPrefix(path, was); ok {
					lines[is+rest] = line
				}
			}
			kept = append(kept, e)
		}
		out[i].Edges, out[i].Lines = kept, lines
	}
	return out
}

// writeFleet builds the tree of every cluster, checks each of them, and only then writes
// them all.
func writeFleet(p *api.FleetPlan, kept map[string]*api.Inventory, o render.Options, dir string) error {
	encoded := map[string][]byte{}
	for name, inv := range kept {
		if inv == nil {
			continue
		}
		var b bytes.Buffer
		if err := api.Encode(&b, inv); err != nil {
			return internalErrorf("%w", err)
		}
		encoded[name] = b.Bytes()
	}
	tree, err := render.BuildFleet(p, o, encoded)
	if err != nil {
		return err
	}
	if err := tree.Check(); err != nil {
		return internalErrorf("the tree does not hold what the plan says: %w", err)
	}
	return tree.Write(dir)
}

// judgeFleet is judge over the plans of all clusters and what is said of the fleet.
func (f *failOnFlag) judgeFleet(p *api.FleetPlan) error {
	var why []string
	own := &api.MigrationPlan{Findings: p.Findings, Unknowns: p.Unknowns}
	if err := f.judge(own); err != nil {
		why = append(why, "the fleet: "+err.Error())
	}
	for _, c := range p.Clusters {
		if c.Plan == nil {
			continue
		}
		if err := f.judge(c.Plan); err != nil {
			why = append(why, "cluster "+c.Name+": "+err.Error())
		}
	}
	if len(why) == 0 {
		return nil
	}
	var errs []error
	for _, w := range why {
		errs = append(errs, errors.New(w))
	}
	return &exitError{exitFindings, errors.Join(errs...)}
}
