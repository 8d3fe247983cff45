package render

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// state is what some folders of the tree build to.
type state map[api.Ref]api.Content

// folders are the states of all folders at one moment.
type folders map[string]state

// timeline is the plan read as states: what every overlay must build to. It knows
// nothing of files, so Check can hold the built tree against it.
type timeline struct {
	fragments map[api.Ref]bool
	base      folders
	waves     []waveLine
}

// waveLine are the states of the folders that one wave touches.
type waveLine struct {
	folders []string
	before  folders
	steps   []stepLine
}

// stepLine is the state after a step, and after each of its rollback steps.
type stepLine struct {
	after folders
	back  []folders
}

// read folds a plan into its timeline. A plan that creates what is there, changes
// or deletes what is not, or whose way back ends elsewhere than it says, is a *PlanError.
func read(p *api.MigrationPlan) (*timeline, error) {
	if err := oneCluster(p); err != nil {
		return nil, err
	}
	t := &timeline{fragments: fragmentsOf(p), base: folders{}}
	now := folders{}
	for _, b := range p.Base {
		ref := b.Object
		ref.Cluster = ""
		if err := identify(ref, b.Content); err != nil {
			return nil, planErrorf("base", "%v", err)
		}
		f := folderOf(ref)
		if _, ok := now[f][ref]; ok {
			return nil, planErrorf("base", "%s is listed twice", ref)
		}
		if now[f] == nil {
			now[f] = state{}
		}
		now[f][ref] = held(b.Content, t.fragments[ref])
	}
	t.base = now.of(slices.Sorted(maps.Keys(now)))
	for i := range p.Waves {
		w := &p.Waves[i]
		line := waveLine{folders: touched(w)}
		line.before = now.of(line.folders)
		for j := range w.Steps {
			st, err := t.step(w, j, &line, now)
			if err != nil {
				return nil, err
			}
			line.steps = append(line.steps, st)
		}
		t.waves = append(t.waves, line)
	}
	return t, nil
}

// step applies one step to now and follows its way back on a copy.
func (t *timeline) step(w *api.Wave, j int, line *waveLine, now folders) (stepLine, error) {
	s := &w.Steps[j]
	where := fmt.Sprintf("wave %d, step %s", w.Number, s.Name)
	if err := t.apply(now, s.Changes, where); err != nil {
		return stepLine{}, err
	}
	out := stepLine{after: now.of(line.folders)}
	back := out.after
	for i := range s.Rollback {
		r := &s.Rollback[i]
		rwhere := where + ", rollback " + r.Name
		back = back.of(line.folders)
		if err := t.apply(back, r.Changes, rwhere); err != nil {
			return stepLine{}, err
		}
		out.back = append(out.back, back)
		if r.To == "" {
			continue
		}
		k := stepIndex(w, r.To)
		if k > j || k < -1 {
			return stepLine{}, planErrorf(rwhere, "it returns to %q, which is not an earlier step of the wave", r.To)
		}
		want := line.before
		if k >= 0 {
			if k == j {
				return stepLine{}, planErrorf(rwhere, "it returns to the step that it undoes")
			}
			want = line.steps[k].after
		}
		if d := difference(want, back); d != "" {
			return stepLine{}, planErrorf(rwhere, "it says that it returns to %s, but %s", r.To, d)
		}
	}
	return out, nil
}

// stepIndex finds a step by name: -1 for "base", -2 for none.
func stepIndex(w *api.Wave, name string) int {
	if name == "base" {
		return -1
	}
	if i := slices.IndexFunc(w.Steps, func(s api.Step) bool { return s.Name == name }); i >= 0 {
		return i
	}
	return -2
}

// apply makes changes. States are replaced, never edited: snapshots share them.
func (t *timeline) apply(now folders, changes []api.Change, where string) error {
	fresh := map[string]bool{}
	for i := range changes {
		c := &changes[i]
		if c.Op == api.OpManual {
			continue
		}
		ref := c.Object
		ref.Cluster = ""
		f := folderOf(ref)
		if !fresh[f] {
			fresh[f] = true
			if now[f] = maps.Clone(now[f]); now[f] == nil {
				now[f] = state{}
			}
		}
		_, exists := now[f][ref]
		switch c.Op {
		case api.OpCreate:
			if exists {
				return planErrorf(where, "it creates %s, which is there already", ref)
			}
		case api.OpPatch, api.OpFragment, api.OpDelete:
			if !exists {
				return planErrorf(where, "it has a %s of %s, which neither base nor an earlier step holds", c.Op, ref)
			}
		default:
			return planErrorf(where, "operation %q of %s is not known", c.Op, ref)
		}
		if c.Op == api.OpDelete {
			delete(now[f], ref)
			continue
		}
		if err := identify(ref, c.After); err != nil {
			return planErrorf(where, "%s of %s: %v", c.Op, ref, err)
		}
		now[f][ref] = held(c.After, t.fragments[ref])
	}
	return nil
}

// of is a snapshot of some folders.
func (f folders) of(names []string) folders {
	out := make(folders, len(names))
	for _, n := range names {
		out[n] = f[n]
	}
	return out
}

// difference says in words how two states of the same folders differ; "" when they do not.
func difference(want, got folders) string {
	for _, f := range slices.Sorted(maps.Keys(want)) {
		all := maps.Clone(want[f])
		if all == nil {
			all = state{}
		}
		maps.Copy(all, got[f])
		for _, ref := range sortedRefs(all) {
			w, in := want[f][ref]
			g, is := got[f][ref]
			switch {
			case !is:
				return ref.String() + " is missing"
			case !in:
				return ref.String() + " is left over"
			case !reflect.DeepEqual(w, g):
				return ref.String() + " has other content"
			}
		}
	}
	return ""
}

// touched are the folders that a wave changes, on the way there or back.
func touched(w *api.Wave) []string {
	set := map[string]bool{}
	add := func(cs []api.Change) {
		for _, c := range cs {
			if c.Op != api.OpManual {
				set[folderOf(c.Object)] = true
			}
		}
	}
	for _, s := range w.Steps {
		add(s.Changes)
		for _, r := range s.Rollback {
			add(r.Changes)
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// fragmentsOf are the objects that belong to somebody else.
func fragmentsOf(p *api.MigrationPlan) map[api.Ref]bool {
	out := map[api.Ref]bool{}
	for _, b := range p.Base {
		if b.Fragment {
			b.Object.Cluster = ""
			out[b.Object] = true
		}
	}
	eachChange(p, func(c *api.Change) {
		if c.Op == api.OpFragment {
			ref := c.Object
			ref.Cluster = ""
			out[ref] = true
		}
	})
	return out
}

// eachChange visits every change of a plan, in order, those of the ways back included.
func eachChange(p *api.MigrationPlan, visit func(*api.Change)) {
	for i := range p.Waves {
		for j := range p.Waves[i].Steps {
			s := &p.Waves[i].Steps[j]
			for k := range s.Changes {
				visit(&s.Changes[k])
			}
			for r := range s.Rollback {
				for k := range s.Rollback[r].Changes {
					visit(&s.Rollback[r].Changes[k])
				}
			}
		}
	}
}

// oneCluster refuses a plan over several clusters: their objects would meet in one overlay.
func oneCluster(p *api.MigrationPlan) error {
	seen := map[string]bool{}
	for _, b := range p.Base {
		seen[b.Object.Cluster] = true
	}
	eachChange(p, func(c *api.Change) {
		if c.Op != api.OpManual {
			seen[c.Object.Cluster] = true
		}
	})
	if len(seen) > 1 {
		return planErrorf("clusters", "its objects are of %d clusters %q; make one plan for each cluster", len(seen), slices.Sorted(maps.Keys(seen)))
	}
	return nil
}

// clusterName is the name of the plan's cluster; "default" where it has none.
func clusterName(p *api.MigrationPlan) string {
	name := p.Cluster
	for _, b := range p.Base {
		name = max(name, b.Object.Cluster)
	}
	eachChange(p, func(c *api.Change) {
		if c.Op != api.OpManual {
			name = max(name, c.Object.Cluster)
		}
	})
	if name == "" {
		return "default"
	}
	return name
}
