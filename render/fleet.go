package render

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// FleetTree is a rendered fleet in memory: the tree of each cluster below a directory of
// its own, and what holds them together.
type FleetTree struct {
	trees map[string]*Tree
	files map[string][]byte
}

// FleetDir is the directory of a cluster in the tree of a fleet.
func FleetDir(cluster string) string { return dirName(cluster) }

// BuildFleet renders a fleet. Options are those of each tree; inventories are the encoded
// snapshots by the name of the cluster. Like Build it runs no kustomize.
func BuildFleet(p *api.FleetPlan, o Options, inventories map[string][]byte) (*FleetTree, error) {
	f := &FleetTree{trees: map[string]*Tree{}, files: map[string][]byte{}}
	for i := range p.Clusters {
		c := &p.Clusters[i]
		if c.Plan == nil {
			continue
		}
		dir := FleetDir(c.Name)
		if f.trees[dir] != nil {
			return nil, planErrorf("cluster "+c.Name, "the fleet has it twice")
		}
		own := o
		own.Inventory, own.Dir = inventories[c.Name], path.Join(o.Dir, dir)
		if o.Repository.Path != "" {
			own.Repository.Path = path.Join(o.Repository.Path, dir)
		}
		t, err := Build(c.Plan, own)
		if err != nil {
			return nil, fmt.Errorf("cluster %s: %w", c.Name, err)
		}
		f.trees[dir] = t
		for name, data := range t.files {
			f.files[dir+"/"+name] = data
		}
	}
	var doc bytes.Buffer
	if err := api.Encode(&doc, p); err != nil {
		return nil, err
	}
	f.files["fleet.yaml"] = doc.Bytes()
	readme, err := markdown("fleet.md.tmpl", fleetReadme(p))
	if err != nil {
		return nil, fmt.Errorf("README.md: %w", err)
	}
	f.files["README.md"] = readme
	return f, nil
}

// Check checks the tree of each cluster: see Tree.Check.
func (f *FleetTree) Check() error {
	for _, dir := range slices.Sorted(maps.Keys(f.trees)) {
		if err := f.trees[dir].Check(); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
	}
	return nil
}

// Write puts the tree into dir, all of it or nothing: see Tree.Write.
func (f *FleetTree) Write(dir string) error { return (&Tree{files: f.files}).Write(dir) }

// Paths are the files of the tree, sorted.
func (f *FleetTree) Paths() []string { return slices.Sorted(maps.Keys(f.files)) }

// File is the content of one file; nil when the tree has no such file.
func (f *FleetTree) File(path string) []byte { return f.files[path] }

// fleetPage is a fleet as its README describes it.
type fleetPage struct {
	Tool, Digest string
	Complete     bool
	Incomplete   []string
	Unreadable   []fleetRow
	Clusters     []fleetRow
	Waves        []fleetPageWave
	Shared       []fleetShared
	Findings     []api.Finding
	Unknowns     []api.Unknown
}

type fleetRow struct {
	Name, Role, State, Reason, Dir string
	Network, Mesh, TrustDomain     string
	Istiod                         []string
	Canary, Complete               bool
	Pods, Waves                    int
}

type fleetPageWave struct {
	Number  int
	Name    string
	Moves   []fleetMove
	Reasons []string
}

// fleetMove is what one cluster does in a wave, with the checklist to follow.
type fleetMove struct {
	Cluster, Checklist, NotBefore string
	Wave                          int
	Namespaces                    []string
}

type fleetShared struct {
	Name, What string
	Parts      []string
	Consistent bool
}

// fleetReadme prepares a fleet for its README.
func fleetReadme(p *api.FleetPlan) fleetPage {
	out := fleetPage{Tool: p.Tool, Digest: p.Digest, Complete: p.Complete, Incomplete: p.Incomplete, Unknowns: p.Unknowns, Findings: p.Findings}
	plans := map[string]*api.MigrationPlan{}
	for _, c := range p.Clusters {
		plans[c.Name] = c.Plan
		row := fleetRow{
			Name: c.Name, Role: roleWords(c.Role), State: stateWords(c.State), Reason: c.Reason, Canary: c.Canary, Network: c.Network,
			Mesh: c.MeshID, TrustDomain: c.TrustDomain, Istiod: c.Istiod,
		}
		if c.Plan == nil {
			out.Unreadable = append(out.Unreadable, row)
			continue
		}
		row.Dir, row.Complete, row.Pods, row.Waves = FleetDir(c.Name), c.Plan.Complete, c.Plan.Summary.Pods, c.Plan.Summary.Waves
		out.Clusters = append(out.Clusters, row)
	}
	for _, w := range p.Waves {
		page := fleetPageWave{Number: w.Number, Name: w.Name, Reasons: w.Reasons}
		for _, m := range w.Clusters {
			row := fleetMove{Cluster: m.Cluster, Wave: m.Wave, Namespaces: m.Namespaces, NotBefore: m.NotBefore}
			if own := plans[m.Cluster]; own != nil {
				if i := slices.IndexFunc(own.Waves, func(w api.Wave) bool { return w.Number == m.Wave }); i >= 0 {
					row.Checklist = FleetDir(m.Cluster) + "/" + waveDir(&own.Waves[i]) + "/README.md"
				}
			}
			page.Moves = append(page.Moves, row)
		}
		out.Waves = append(out.Waves, page)
	}
	for i := range p.Shared {
		s := &p.Shared[i]
		out.Shared = append(out.Shared, fleetShared{Name: s.Namespace + "/" + s.Service, What: s.What, Parts: sharedParts(s), Consistent: s.Consistent})
	}
	return out
}

// sharedParts is what each cluster does with a shared Service, in words.
func sharedParts(s *api.SharedService) []string {
	var out []string
	for _, c := range s.Clusters {
		what := string(c.Decision)
		switch {
		case what == "":
			what = "unknown"
		case c.Held:
			what += ", held"
		case c.Wave > 0:
			what += fmt.Sprintf(" in wave %d", c.Wave)
		}
		out = append(out, c.Cluster+": "+what)
	}
	return out
}

func roleWords(r api.ClusterRole) string {
	if r == api.RoleUnset {
		return string(api.RoleUnknown)
	}
	return string(r)
}

// stateWords is a state; one that nobody set is not known.
func stateWords(s api.FleetState) string {
	if s == api.FleetStateUnset {
		return "unknown"
	}
	return string(s)
}
