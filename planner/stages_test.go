package planner_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/internal/golden"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/planner"
)

// TestStages runs each archive of testdata through the pipeline and compares
// stage by stage: the first section that differs is the stage that broke.
func TestStages(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			golden.Txtar(t, path, stages(t, path))
		})
	}
}

func stages(t *testing.T, path string) map[string][]byte {
	t.Helper()
	ar, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	in := planner.Input{}
	for _, f := range ar.Files {
		switch {
		case strings.HasPrefix(f.Name, golden.OutPrefix):
		case f.Name == "needs.yaml":
			n, err := api.DecodeNeeds(f.Name, strings.NewReader(string(f.Data)))
			if err != nil {
				t.Fatal(err)
			}
			in.Needs = append(in.Needs, *n)
		case f.Name == "policy.yaml":
			if in.Policy, err = api.DecodePolicy(f.Name, strings.NewReader(string(f.Data))); err != nil {
				t.Fatal(err)
			}
		default:
			if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if in.Inventory, err = inventory.Read(context.Background(), inventory.Options{Paths: []string{dir}}); err != nil {
		t.Fatal(err)
	}
	p, err := planner.Plan(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		"decisions":   []byte(decisions(p)),
		"constraints": []byte(constraintLines(p)),
		"waves":       []byte(waves(p)),
		"steps":       []byte(steps(p)),
		"objects":     objects(t, p),
		"fates":       []byte(fates(p)),
	}
}

func decisions(p *api.MigrationPlan) string {
	var b strings.Builder
	for _, d := range p.Decisions {
		fmt.Fprintf(&b, "%s: %s, %s\n", d.Subject, d.Kind, d.Why)
	}
	return b.String()
}

// fates says what becomes of every object of the mesh.
func fates(p *api.MigrationPlan) string {
	var b strings.Builder
	for _, x := range p.Objects {
		fmt.Fprintf(&b, "%s %s", x.Fate, x.Object)
		if x.Part != "" {
			fmt.Fprintf(&b, " %s", x.Part)
		}
		for _, o := range x.Into {
			fmt.Fprintf(&b, " -> %s", o)
		}
		fmt.Fprintf(&b, ": %s\n", x.Why)
	}
	return b.String()
}

func constraintLines(p *api.MigrationPlan) string {
	var b strings.Builder
	for _, c := range p.Constraints {
		fmt.Fprintf(&b, "%s/%s before %s/%s: %s\n", c.Before.Namespace, c.Before.Step, c.After.Namespace, c.After.Step, c.Reason)
	}
	for _, f := range p.Findings {
		if f.Severity == api.Blocker {
			fmt.Fprintf(&b, "blocker %s %s: %s\n", f.ID, f.Subject, f.Message)
		}
	}
	if b.Len() == 0 {
		return "none\n"
	}
	return b.String()
}

func waves(p *api.MigrationPlan) string {
	var b strings.Builder
	for _, w := range p.Waves[min(1, len(p.Waves)):] {
		fmt.Fprintf(&b, "%d: %s\n", w.Number, strings.Join(w.Namespaces, ", "))
	}
	for _, h := range p.Held {
		fmt.Fprintf(&b, "held: %s\n", h.Name)
	}
	return b.String()
}

// steps lists the changes forward and the ways back of each wave but the foundation.
func steps(p *api.MigrationPlan) string {
	var b strings.Builder
	for _, w := range p.Waves[min(1, len(p.Waves)):] {
		for _, s := range w.Steps {
			fmt.Fprintf(&b, "%d %s\n", w.Number, s.Name)
			for _, c := range s.Changes {
				fmt.Fprintf(&b, "    %s %s\n", c.Op, c.Object)
			}
			for _, r := range s.Rollback {
				fmt.Fprintf(&b, "  back %s (to %q)\n", r.Name, r.To)
				for _, c := range r.Changes {
					fmt.Fprintf(&b, "    %s %s\n", c.Op, c.Object)
				}
			}
		}
	}
	return b.String()
}

// objects are the policies that the first wave creates or changes, whole: what
// they say is what decides who may do what while the wave runs.
func objects(t *testing.T, p *api.MigrationPlan) []byte {
	t.Helper()
	var b strings.Builder
	for _, w := range p.Waves[min(1, len(p.Waves)):] {
		for _, s := range w.Steps {
			for _, c := range s.Changes {
				if c.After == nil || (c.Object.Group != "security.istio.io" && c.Object.Kind != "NetworkPolicy") {
					continue
				}
				y, err := yaml.Marshal(map[string]any{"spec": c.After["spec"]})
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&b, "# %d %s %s\n%s", w.Number, s.Name, c.Object, y)
			}
		}
	}
	return []byte(b.String())
}
