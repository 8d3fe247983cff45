package render

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// played is a tree in a Git repository, whose commands are run.
type played struct {
	t    *testing.T
	dir  string
	env  []string
	tree *Tree
}

// play commits a tree. kubectl is one that has nothing to say: what it would build, the test builds.
func play(t *testing.T, tree *Tree) *played {
	t.Helper()
	for _, need := range []string{"sh", "git", "grep"} {
		if _, err := exec.LookPath(need); err != nil {
			t.Skip(err)
		}
	}
	p := &played{t: t, dir: t.TempDir() + "/tree", tree: tree}
	if err := tree.Write(p.dir); err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.WriteFile(bin+"/kubectl", []byte("#!/bin/sh\nexit 0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	p.run("git init -q . && git add -A && git commit -q -m tree")
	return p
}

// run runs commands in the tree; it fails the test when they fail.
func (p *played) run(commands string) string {
	p.t.Helper()
	out, err := p.try(commands)
	if err != nil {
		p.t.Fatalf("%v: %s\n%s", err, commands, out)
	}
	return out
}

func (p *played) try(commands string) (string, error) {
	cmd := exec.Command("sh", "-c", commands)
	cmd.Dir, cmd.Env = p.dir, p.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// stands holds what the pointer builds to against the overlay of a state: every object of the overlay, as it is
// there, and of the folders of the wave nothing else.
func (p *played) stands(where, overlay string) {
	p.t.Helper()
	got, want := onDisk(filepath.Join(p.dir, p.tree.pointer)), onDisk(filepath.Join(p.dir, overlay))
	if got.err != nil || want.err != nil {
		p.t.Fatalf("%s: %v, %v", where, got.err, want.err)
	}
	in := map[string]bool{}
	for ref := range want.objects {
		in[folderOf(ref)] = true
	}
	rest := map[api.Ref]string{}
	for ref, text := range got.objects {
		if in[folderOf(ref)] {
			rest[ref] = text
		}
	}
	if d := cmp.Diff(want.objects, rest); d != "" {
		p.t.Errorf("%s: the pointer does not build what %s does (-overlay +pointer):\n%s", where, overlay, d)
	}
}

// onDisk builds a directory.
func onDisk(dir string) built { return kustomizeAt(filesys.MakeFsOnDisk(), dir) }

// TestCommits runs the commands of COMMITS.md as they stand there: each wave forward, back
// from every step to its start, and forward again. After each the pointer builds what the overlay of
// the state builds, and Git has one more commit that touches the pointer and nothing else.
func TestCommits(t *testing.T) {
	for _, name := range []string{"by-hand", "two-namespaces"} {
		t.Run(name, func(t *testing.T) {
			tree := build(t, load(t, "testdata/"+name+"/plan.yaml"))
			p := play(t, tree)
			if err := os.WriteFile(p.dir+"/staged", nil, 0o644); err != nil {
				t.Fatal(err)
			}
			p.run("git add staged")
			for i, w := range tree.commits().Waves {
				dirs := tree.waves[i]
				for last := range w.Forward {
					if len(w.NoWayBack) > 0 && last == len(w.Forward)-1 {
						break // see by-hand: nothing leads back from its last step
					}
					p.forward(w.Forward[:last+1], dirs.steps)
					n := 0
					for j := len(w.Forward) - 1; j >= 0; j-- {
						for _, dir := range dirs.steps[j].back {
							if j <= last {
								p.commit(w.Back[n])
								p.stands(w.Back[n].Step, dir)
							}
							n++
						}
					}
					if dirs.before != "" {
						p.stands("back at the start", dirs.before)
					}
				}
				p.forward(w.Forward, dirs.steps)
			}
		})
	}
}

func (p *played) forward(steps []commit, dirs []stepDirs) {
	p.t.Helper()
	for j, c := range steps {
		p.commit(c)
		if dirs[j].dir != "" {
			p.stands(c.Step, dirs[j].dir)
		}
	}
}

// commit runs the commands of a commit, twice: the second time they must refuse.
func (p *played) commit(c commit) {
	p.t.Helper()
	if c.Nothing {
		return
	}
	p.run(c.Commands)
	if got, want := strings.TrimSpace(p.run("git log -1 --format=%s --name-only")), c.Message+"\n\n"+p.tree.pointerFile(); got != want {
		p.t.Errorf("the commit is\n%s\nwant\n%s", got, want)
	}
	before := p.run("git rev-parse HEAD && cat " + p.tree.pointerFile())
	if _, err := p.try(c.Commands); err == nil {
		p.t.Errorf("%s: its commands can be run twice", c.Step)
	}
	if after := p.run("git rev-parse HEAD && cat " + p.tree.pointerFile()); after != before {
		p.t.Errorf("%s: commands that refuse have changed something:\n%s\n%s", c.Step, before, after)
	}
}

// TestHostileCommits: names of namespaces and steps reach a shell.
func TestHostileCommits(t *testing.T) {
	for _, name := range []string{"a'; touch owned; '", "$(touch owned)", "`touch owned`", "a\ntouch owned\n", "\x1b[31m", "--amend", `a"b\c`} {
		p := load(t, byHand)
		p.Waves[0].Steps[0].Namespaces = []string{name}
		tree := build(t, p)
		run := play(t, tree)
		c := tree.commits().Waves[0].Forward[0]
		run.run(c.Commands)
		if _, err := os.Stat(run.dir + "/owned"); err == nil {
			t.Errorf("%q: the shell ran it: %s", name, c.Commands)
		}
		if strings.Contains(c.Message, "\n") || strings.Contains(c.Message, "\x1b") {
			t.Errorf("%q: the message is %q", name, c.Message)
		}
	}
}
