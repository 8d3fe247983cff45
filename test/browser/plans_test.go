package browser

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/internal/corpora"
	"github.com/ambientplan/ambientplan/internal/meshgen"
	"github.com/ambientplan/ambientplan/planner"
	"github.com/ambientplan/ambientplan/render"
)

// command builds ambientplan once for all tests.
var command = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ambientplan-browser")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "ambientplan")
	build := exec.Command("go", "build", "-o", path, "./cmd/ambientplan")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// corpusReport is what the command prints for a mesh of testdata/corpora.
func corpusReport(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	meshes, err := corpora.Meshes("../../testdata/corpora")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(meshes, func(m corpora.Mesh) bool { return m.Name == name })
	if i < 0 {
		t.Fatalf("no mesh %s", name)
	}
	args = append(args, "-n", meshes[i].Namespace)
	for _, p := range meshes[i].Paths {
		args = append(args, "-f", p)
	}
	return planReport(t, args...)
}

// exampleReport is what the command prints for the bookinfo example: a cluster whose teams said what they need.
func exampleReport(t *testing.T) []byte {
	t.Helper()
	return planReport(t, "-f", "../../examples/bookinfo/cluster", "--needs", "../../examples/bookinfo/needs.yaml")
}

func planReport(t *testing.T, args ...string) []byte {
	t.Helper()
	path, err := command()
	if err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(t.Context(), path, append([]string{"plan", "-o", "html", "--fail-on", "never"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v: %s", cmd.Args, err, errOut.Bytes())
	}
	return out.Bytes()
}

// meshReport is the report of a generated mesh with ten services and thirty pods a namespace, and how long it took to
// write it.
func meshReport(t *testing.T, namespaces int) ([]byte, time.Duration) {
	t.Helper()
	size := meshgen.Size(namespaces * 30)
	size.Namespaces, size.Services = namespaces, namespaces*10
	p, err := planner.Plan(t.Context(), planner.Input{Inventory: meshgen.Generate(size)})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	html, err := render.Report(p, "html")
	if err != nil {
		t.Fatal(err)
	}
	return html, time.Since(begin)
}

// hostileReport is the report of a plan whose every string ends in text, as far as the report can be written at all.
func hostileReport(t *testing.T, text string) []byte {
	t.Helper()
	size := meshgen.Size(300)
	size.Namespaces, size.Services = 4, 12
	p, err := planner.Plan(t.Context(), planner.Input{Inventory: meshgen.Generate(size)})
	if err != nil {
		t.Fatal(err)
	}
	p.Waves[0].Steps[0].Proof.Counterexamples = append(p.Waves[0].Steps[0].Proof.Counterexamples, api.Counterexample{Request: "r", Before: "b", After: "a"})
	p.Held = append(p.Held, api.HeldNamespace{Name: "held", Reasons: []string{"because"}})
	spoil(reflect.ValueOf(p).Elem(), text)
	html, err := render.Report(p, "html")
	if err != nil {
		t.Fatal(err)
	}
	return html
}

// keep are fields whose values are of a closed set, or of a form that another part of the plan refers to.
var keep = []string{"TypeMeta", "Group", "Kind", "Severity", "State", "Result", "Fate", "Op", "When"}

// spoil appends text to every string below v, besides fields in keep. Of the content of objects it takes the names only.
func spoil(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.Map:
		if content, ok := v.Interface().(api.Content); ok {
			meta, _ := content["metadata"].(map[string]any)
			for _, k := range []string{"name", "namespace"} {
				if s, ok := meta[k].(string); ok {
					meta[k] = s + text
				}
			}
		}
	case reflect.String:
		// "base" is the state that the last step back returns to.
		if v.CanSet() && v.Type().Name() == "string" && v.Len() > 0 && v.String() != "base" {
			v.SetString(v.String() + text)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			spoil(v.Elem(), text)
		}
	case reflect.Slice:
		for i := range v.Len() {
			spoil(v.Index(i), text)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if !slices.Contains(keep, v.Type().Field(i).Name) {
				spoil(v.Field(i), text)
			}
		}
	}
}
