package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ambientplan/ambientplan/internal/golden"
)

// TestREADMEs runs the commands of the READMEs and compares what they print with
// the sample that follows them: a fenced block of language console whose lines
// that begin with "$ " are commands. Stdout comes before stderr, and "| head -N"
// cuts stdout. With -update the samples are rewritten.
func TestREADMEs(t *testing.T) {
	repo, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"README.md", "examples/bookinfo/README.md", "examples/online-boutique/README.md", "examples/fleet/README.md", "docs/assess.md"} {
		t.Run(file, func(t *testing.T) {
			path := filepath.Join(repo, file)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			work := t.TempDir()
			if err := os.CopyFS(filepath.Join(work, "examples"), os.DirFS(filepath.Join(repo, "examples"))); err != nil {
				t.Fatal(err)
			}
			t.Chdir(work)
			commands := 0
			got := consoleBlock.ReplaceAllStringFunc(string(text), func(block string) string {
				commands++
				return rerun(t, block)
			})
			if commands == 0 {
				t.Errorf("%s has no console block", file)
			}
			if golden.Updating(t) {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(strings.Split(string(text), "\n"), strings.Split(got, "\n")); d != "" {
				t.Errorf("%s shows other output than the commands give (-README +commands):\n%s", file, d)
			}
		})
	}
}

var (
	consoleBlock = regexp.MustCompile("(?ms)^```console\n.*?^```$")
	pipeHead     = regexp.MustCompile(`^(.*?) \| head -(\d+)$`)
)

// rerun runs the commands of a block and returns the block with what they print now.
func rerun(t *testing.T, block string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("```console\n")
	for line := range strings.Lines(block) {
		command, ok := strings.CutPrefix(strings.TrimSpace(line), "$ ambientplan ")
		if !ok {
			continue
		}
		b.WriteString(line)
		limit := 0
		if m := pipeHead.FindStringSubmatch(command); m != nil {
			command = m[1]
			limit, _ = strconv.Atoi(m[2])
		}
		_, stdout, stderr := runForTest("", strings.Fields(command)...)
		b.Write(head(stdout, limit))
		b.Write(stderr)
	}
	b.WriteString("```")
	return b.String()
}

// head is the first n lines, or all for 0.
func head(text []byte, n int) []byte {
	lines := bytes.SplitAfter(text, []byte("\n"))
	if n == 0 || n >= len(lines) {
		return text
	}
	return bytes.Join(lines[:n], nil)
}

// TestREADMEShowsTheDemo fails when make demo runs another command than the one
// that the README shows the result of, or when README names a target that is gone.
func TestREADMEShowsTheDemo(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	recipe := regexp.MustCompile(`(?m)^demo:\n\t\$\(GO\) run ./cmd/ambientplan (.*)$`).FindSubmatch(makefile)
	if recipe == nil {
		t.Fatal("the Makefile has no target demo that runs ./cmd/ambientplan")
	}
	if shown := fmt.Sprintf("$ ambientplan %s", recipe[1]); !strings.Contains(string(readme), shown) {
		t.Errorf("README.md does not show what make demo runs: %q", shown)
	}
	for _, m := range regexp.MustCompile("(?m)(?:^    |`)make ([a-z]+)").FindAllSubmatch(readme, -1) {
		if !regexp.MustCompile(`(?m)^` + string(m[1]) + `:`).Match(makefile) {
			t.Errorf("README.md names make %s, which the Makefile does not have", m[1])
		}
	}
}
