package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ambientplan/ambientplan/internal/golden"
)

// fleetClusters are those of examples/fleet.
var fleetClusters = []string{"canary", "east", "west"}

// fleetArgs are the inputs of examples/fleet.
func fleetArgs() []string {
	args := []string{"--policy", "examples/fleet/policy.yaml"}
	for _, c := range fleetClusters {
		args = append(args, "-i", "examples/fleet/"+c+".yaml")
	}
	return args
}

// TestFleetExample reads the clusters of the example, plans them as one fleet, compares the
// tree with the committed one, byte for byte, and then goes on with the plan of each
// cluster as with any plan.
func TestFleetExample(t *testing.T) {
	repo, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	if err := os.CopyFS(filepath.Join(work, "examples"), os.DirFS(filepath.Join(repo, "examples"))); err != nil {
		t.Fatal(err)
	}
	t.Chdir(work)
	must := func(args ...string) []byte {
		t.Helper()
		code, stdout, stderr := runForTest("", args...)
		if code != exitDone {
			t.Fatalf("%s: exit code %d: %s", strings.Join(args, " "), code, stderr)
		}
		return stdout
	}
	for _, c := range fleetClusters {
		golden.File(t, filepath.Join(repo, "examples/fleet", c+".yaml"), must("inventory", "-f", "examples/fleet/manifests/"+c, "--cluster", c))
	}
	must(append(fleetArgs(), "plan", "--fail-on", "never", "--out", "out")...)
	got, err := golden.ReadTree("out")
	if err != nil {
		t.Fatal(err)
	}
	golden.Tree(t, filepath.Join(repo, "examples/fleet/out"), got)
	if !bytes.Equal(must(append(fleetArgs(), "plan", "--fail-on", "never", "-o", "yaml")...), got["fleet.yaml"]) {
		t.Error("plan -o yaml is not the fleet.yaml of the tree")
	}
	for _, c := range fleetClusters {
		must("render", "out/"+c+"/plan.yaml", "-i", "out/"+c+"/inventory.yaml", "--out", "again")
		again, err := golden.ReadTree("again")
		if err != nil {
			t.Fatal(err)
		}
		for path, want := range again {
			if path != ".ambientplan" && !bytes.Equal(got[c+"/"+path], want) {
				t.Errorf("%s of cluster %s is not what its plan renders to", path, c)
			}
		}
		if err := os.RemoveAll("again"); err != nil {
			t.Fatal(err)
		}
		must("verify", "out/"+c+"/plan.yaml")
		must("checklist", "out/"+c+"/plan.yaml", "--wave", "1")
		explained := must("explain", "out/"+c+"/plan.yaml", "shop/cart")
		if c == "canary" && !bytes.Contains(explained, []byte("east/shop/cart")) {
			t.Errorf("the canary has no policy for its cart, and explain does not name the one of another cluster:\n%s", explained)
		}
	}
}

// TestFleetOrderOfFlags: a fleet is the same whatever the order on the command line.
func TestFleetOrderOfFlags(t *testing.T) {
	t.Chdir("../..")
	plan := func(clusters ...string) []byte {
		args := []string{"plan", "--fail-on", "never", "-o", "yaml", "--policy", "examples/fleet/policy.yaml"}
		for _, c := range clusters {
			args = append(args, "-i", "examples/fleet/"+c+".yaml")
		}
		code, stdout, stderr := runForTest("", args...)
		if code != exitDone {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		return stdout
	}
	if !bytes.Equal(plan("canary", "east", "west"), plan("west", "canary", "east", "west")) {
		t.Error("the order of the flags changes the plan")
	}
}
