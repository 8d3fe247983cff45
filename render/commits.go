package render

import (
	"fmt"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// commit is one commit to the tree, forward or back.
type commit struct {
	// Step names it: "wave 1, step prepare".
	Step string
	// Adds and Drops are lines of the pointer.
	Adds, Drops string
	Message     string
	// Telemetry are the files of dashboards and rules that have to be live before.
	Telemetry []string
	// Commands make it, in the directory of the tree.
	Commands string
	// Nothing is true for a step that changes nothing in the tree: it is done by hand.
	Nothing bool
}

type commitWave struct {
	Number        int
	Name, Dir     string
	Forward, Back []commit
	// NoWayBack are the steps that change the tree and that the plan has no way back from.
	NoWayBack []string
}

// commitList is every commit of a plan, as its template reads it.
type commitList struct {
	Pointer string
	Waves   []commitWave
	// Wrappers and Missing are what is said of the controller.
	Wrappers string
	Missing  []string
}

// commits lists the commits of a plan: waves in order, each way back from its end.
func (t *Tree) commits() commitList {
	l := commitList{Pointer: t.pointerFile()}
	if t.wrappers != nil {
		l.Wrappers, l.Missing = t.wrappers.flavour, t.wrappers.missing
	}
	for i := range t.plan.Waves {
		w, dirs := &t.plan.Waves[i], &t.waves[i]
		cw := commitWave{Number: w.Number, Name: w.Name, Dir: dirs.dir}
		for j := range w.Steps {
			s := &w.Steps[j]
			c := t.commit(fmt.Sprintf("wave %d, step %s", w.Number, s.Name), s.Namespaces, dirs.steps[j].adds, nil)
			c.Telemetry = t.telemetryBefore(w.Number, s.Name)
			cw.Forward = append(cw.Forward, c)
		}
		for j := len(w.Steps) - 1; j >= 0; j-- {
			if len(w.Steps[j].Rollback) == 0 && !cw.Forward[j].Nothing {
				cw.NoWayBack = append(cw.NoWayBack, w.Steps[j].Name)
			}
			for k, r := range w.Steps[j].Rollback {
				step := fmt.Sprintf("wave %d, back %s (undoes %s)", w.Number, r.Name, w.Steps[j].Name)
				var adds, drops []string
				if k < len(dirs.steps[j].back) {
					adds, drops = dirs.steps[j].backAdds[k], dirs.steps[j].backDrops[k]
				}
				cw.Back = append(cw.Back, t.commit(step, w.Steps[j].Namespaces, adds, drops))
			}
		}
		l.Waves = append(l.Waves, cw)
	}
	return l
}

// maxNamed is how many namespaces the message of a commit names.
const maxNamed = 5

func (t *Tree) commit(step string, namespaces, adds, drops []string) commit {
	c := commit{Step: step, Adds: t.pointerLines(adds), Drops: t.pointerLines(drops), Nothing: len(adds)+len(drops) == 0}
	c.Message = "Move to ambient mode: " + plain(step)
	if n := len(namespaces); n > maxNamed {
		c.Message += fmt.Sprintf(" (%d namespaces)", n)
	} else if n > 0 {
		c.Message += " (" + plain(strings.Join(namespaces, ", ")) + ")"
	}
	if !c.Nothing {
		c.Commands = t.commands(c.Message, lines(c.Adds), lines(c.Drops))
	}
	return c
}

func lines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

// commands edit the pointer with nothing but a POSIX shell, grep and git: lines are
// taken out and added whole, and what else people wrote into the file stays. They stop
// when a line that has to go is not there, or one that comes is there already: the
// namespace then stands on another step.
func (t *Tree) commands(message string, adds, drops []string) string {
	file := ShellQuote(t.pointerFile())
	var b strings.Builder
	b.WriteString("(set -e\n")
	for _, l := range drops {
		fmt.Fprintf(&b, "grep -qxF -e %s %s\n", ShellQuote(l), file)
	}
	for _, l := range adds {
		fmt.Fprintf(&b, "! grep -qxF -e %s %s || exit 1\n", ShellQuote(l), file)
	}
	was := ShellQuote(t.pointerFile() + ".was")
	fmt.Fprintf(&b, "cp %s %s\n", file, was)
	if len(drops) > 0 {
		b.WriteString("grep -vxF")
		for _, l := range drops {
			b.WriteString(" -e " + ShellQuote(l))
		}
		fmt.Fprintf(&b, " %s > %s\n", was, file)
	}
	if len(adds) > 0 {
		fmt.Fprintf(&b, "grep -qx components: %s || echo components: >> %s\n", file, file)
		b.WriteString("printf '%s\\n'")
		for _, l := range adds {
			b.WriteString(" \\\n  " + ShellQuote(l))
		}
		fmt.Fprintf(&b, " >> %s\n", file)
	}
	fmt.Fprintf(&b, "kubectl kustomize %s > /dev/null || { mv %s %s; exit 1; }\nrm %s\n", ShellQuote(t.pointer), was, file, was)
	// The file alone, whatever else is staged.
	fmt.Fprintf(&b, "git commit -m %s -- %s)", ShellQuote(message), file)
	return b.String()
}

// telemetryBefore are the rewritten files that have to be committed, and live, before a step.
func (t *Tree) telemetryBefore(wave int, step string) []string {
	if t.plan.Telemetry == nil {
		return nil
	}
	var out []string
	for i := range t.plan.Telemetry.Queries {
		q := &t.plan.Telemetry.Queries[i]
		if r := q.Rewrite; r != nil && r.Written && r.Before == (api.TelemetryStep{Wave: wave, Step: step}) {
			out = append(out, "telemetry/"+q.Source.File)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
