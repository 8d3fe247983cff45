package render

import (
	"fmt"
	"maps"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// beforeDir is a name that no step can have: see clusterScoped.
const (
	beforeDir   = "_start"
	rollbackDir = "rollback"
)

// waveDir is the directory of a wave.
func waveDir(w *api.Wave) string { return fmt.Sprintf("waves/%02d-%s", w.Number, dirName(w.Name)) }

// stepDir is the directory of a step in its wave. "rollback" is taken.
func stepDir(name string) string {
	d := dirName(name)
	if d == rollbackDir {
		return "_72ollback"
	}
	return d
}

// wave writes the overlays of a wave. Each holds every namespace that the wave
// touches, from the first step on, so that two neighbours differ by the step alone
// and the way back ends in the same bytes.
func (b *builder) wave(i int) error {
	w, line := &b.p.Waves[i], &b.line.waves[i]
	dirs := waveDirs{dir: waveDir(w)}
	for j := range b.t.waves {
		if b.t.waves[j].dir == dirs.dir {
			return planErrorf(fmt.Sprintf("wave %d", w.Number), "there are two waves of this number and name")
		}
	}
	// By index of the step; -1 is the state before the wave.
	stacks := map[int]map[string][]string{}
	if len(line.folders) > 0 {
		dirs.before = dirs.dir + "/" + beforeDir
		b.overlay(dirs.before, line.folders, b.stack)
		stacks[-1] = maps.Clone(b.stack)
	}
	prev := line.before
	for j := range w.Steps {
		s := &w.Steps[j]
		if slices.ContainsFunc(w.Steps[:j], func(o api.Step) bool { return o.Name == s.Name }) {
			return planErrorf(fmt.Sprintf("wave %d", w.Number), "it has two steps %q", s.Name)
		}
		sd := stepDirs{}
		if len(line.folders) > 0 {
			sd.dir = dirs.dir + "/" + stepDir(s.Name)
			sd.adds = b.push(line.folders, stepDir(s.Name), w.Number, prev, line.steps[j].after)
			b.overlay(sd.dir, line.folders, b.stack)
			stacks[j] = maps.Clone(b.stack)
			prev = line.steps[j].after
		}
		dirs.steps = append(dirs.steps, sd)
	}
	if len(line.folders) > 0 {
		b.rollbacks(w, line, &dirs, stacks)
	}
	b.t.waves = append(b.t.waves, dirs)
	return nil
}

// push writes the components between two states and puts them on the stack.
func (b *builder) push(names []string, name string, wave int, from, to folders) []string {
	var out []string
	for _, f := range names {
		if c := b.component(f, name, wave, from[f], to[f]); c != "" {
			b.stack[f] = append(slices.Clone(b.stack[f]), c)
			out = append(out, c)
		}
	}
	return out
}

// rollbacks writes the overlays of the way back, numbered from the end of the wave
// to its start. A step back that ends in an earlier state has the very list of
// that state; one in between has components of its own.
func (b *builder) rollbacks(w *api.Wave, line *waveLine, dirs *waveDirs, stacks map[int]map[string][]string) {
	forward := b.stack
	n := 0
	for j := len(w.Steps) - 1; j >= 0; j-- {
		s, sd := &w.Steps[j], &dirs.steps[j]
		b.stack = maps.Clone(stacks[j])
		prev := line.steps[j].after
		for k := range s.Rollback {
			r := &s.Rollback[k]
			n++
			dir := fmt.Sprintf("%s/%s/%02d-%s", dirs.dir, rollbackDir, n, dirName(r.Name))
			last := maps.Clone(b.stack)
			if r.To != "" {
				b.stack = maps.Clone(stacks[stepIndex(w, r.To)])
			} else {
				b.push(line.folders, "_rollback/"+dirName(r.Name), w.Number, prev, line.steps[j].back[k])
			}
			prev = line.steps[j].back[k]
			b.overlay(dir, line.folders, b.stack)
			adds, drops := stackDifference(line.folders, last, b.stack)
			sd.back = append(sd.back, dir)
			sd.backAdds = append(sd.backAdds, adds)
			sd.backDrops = append(sd.backDrops, drops)
		}
	}
	b.stack = forward
}

// stackDifference lists the components that only one of two stacks has.
func stackDifference(names []string, from, to map[string][]string) (adds, drops []string) {
	for _, f := range names {
		for _, c := range to[f] {
			if !slices.Contains(from[f], c) {
				adds = append(adds, c)
			}
		}
		for _, c := range from[f] {
			if !slices.Contains(to[f], c) {
				drops = append(drops, c)
			}
		}
	}
	return adds, drops
}

// clusterPointer writes the one file that says where each namespace stands: at base.
func (b *builder) clusterPointer() {
	if len(b.t.bases) == 0 && len(b.used) == 0 {
		return
	}
	b.t.pointer = "clusters/" + dirName(clusterName(b.p))
	b.overlay(b.t.pointer, b.t.bases, nil)
}
