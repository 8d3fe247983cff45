package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/ambientplan/ambientplan/internal/golden"
)

// TestMain lets scripts run the program as a process of its own: real exit
// codes, real streams, nothing shared between two runs.
func TestMain(m *testing.M) {
	program := func() { os.Exit(runProcess()) }
	testscript.Main(m, map[string]func(){
		"ambientplan":         program,
		"kubectl-ambientplan": program,
	})
}

// TestScripts runs testdata/script. Beside testscript's own commands the scripts use
//
//	exits CODE program args...   run a program and check its exit code
//	cmptree GOT WANT             compare two directories, both ways
//	kustomize DIR                build a directory as kubectl kustomize would, to stdout's file built.yaml
//	bigdoc FILE MIB              write one Kubernetes document of that size
//	bytes FILE GO-STRING         write a file of bytes that a txtar section cannot hold
func TestScripts(t *testing.T) {
	repo, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       golden.Updating(t),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("REPO", repo)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits, "cmptree": cmptree, "kustomize": kustomize, "bigdoc": bigdoc, "bytes": writeBytes,
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE program args...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	switch err := ts.Exec(args[1], args[2:]...); {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("%s exited with %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

func cmptree(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: cmptree GOT WANT")
	}
	got, err := golden.ReadTree(ts.MkAbs(args[0]))
	ts.Check(err)
	want, err := golden.ReadTree(ts.MkAbs(args[1]))
	ts.Check(err)
	diffs := golden.DiffTrees(want, got)
	switch {
	case neg && len(diffs) == 0:
		ts.Fatalf("%s and %s are equal", args[0], args[1])
	case !neg && len(diffs) > 0:
		ts.Fatalf("%s and %s differ:\n%s", args[0], args[1], strings.Join(diffs, "\n"))
	}
}

func kustomize(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: kustomize DIR")
	}
	opts := krusty.MakeDefaultOptions()
	opts.Reorder = krusty.ReorderOptionUnspecified // as kubectl does
	m, err := krusty.MakeKustomizer(opts).Run(filesys.MakeFsOnDisk(), ts.MkAbs(args[0]))
	ts.Check(err)
	y, err := m.AsYaml()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("built.yaml"), y, 0o644))
}

func bigdoc(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: bigdoc FILE MIB")
	}
	mib, err := strconv.Atoi(args[1])
	ts.Check(err)
	var b bytes.Buffer
	b.WriteString("apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: big, namespace: shop}\nspec:\n  rules:\n")
	for i := 0; b.Len() < mib<<20; i++ {
		fmt.Fprintf(&b, "  - from:\n    - source: {principals: [\"cluster.local/ns/shop/sa/client-%d\"]}\n", i)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b.Bytes(), 0o644))
}

func writeBytes(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: bytes FILE GO-STRING")
	}
	s, err := strconv.Unquote(`"` + args[1] + `"`)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(s), 0o644))
}

// TestEveryCommandHasAScript fails when a command is added without a script that runs it.
func TestEveryCommandHasAScript(t *testing.T) {
	scripts, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	var all []byte
	for _, s := range scripts {
		b, err := os.ReadFile(s)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	s := &streams{name: "ambientplan"}
	for _, c := range newRootCmd(s).Commands() {
		if !slices.ContainsFunc(strings.Split(string(all), "\n"), func(l string) bool {
			return strings.HasPrefix(l, "exits ") && strings.Contains(l, " ambientplan "+c.Name())
		}) {
			t.Errorf("no script runs %q", c.Name())
		}
		if c.Example == "" {
			t.Errorf("%q has no example in its help", c.Name())
		}
	}
}
