package inventory

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

func serviceNamed(name string) string {
	return "apiVersion: v1\nkind: Service\nmetadata: {name: " + name + "}\n"
}

// write makes files below a new directory and changes into it.
func write(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func serviceNames(inv *api.Inventory) []string {
	var out []string
	for _, s := range inv.Services {
		out = append(out, s.Name+" "+s.Origin.At(""))
	}
	return out
}

// TestDirectories shows which files of a directory are read.
func TestDirectories(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := io.WriteString(z, serviceNamed("zipped")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, map[string]string{
		"in/a.yaml":           serviceNamed("yaml"),
		"in/b.yml":            serviceNamed("yml"),
		"in/c.json":           `{"apiVersion":"v1","kind":"Service","metadata":{"name":"json"}}`,
		"in/d.yaml.gz":        zipped.String(),
		"in/deep/down/e.yaml": serviceNamed("deep"),
		"in/.git/f.yaml":      serviceNamed("hidden"),
		"in/g.txt":            serviceNamed("text"),
		"in/h.yaml.bak":       serviceNamed("backup"),
		"named.txt":           serviceNamed("named"),
	})
	for link, target := range map[string]string{"in/loop": ".", "in/deep/up": "..", "in/again.yaml": "a.yaml", "in/dangling.yaml": "nowhere.yaml"} {
		if err := os.Symlink(target, link); err != nil {
			t.Skip(err)
		}
	}
	inv, err := Read(t.Context(), Options{Paths: []string{"in", "named.txt", "-", "in/a.yaml"}, Stdin: strings.NewReader(serviceNamed("piped"))})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"deep in/deep/down/e.yaml:1", "json in/c.json:1", "named named.txt:1", "piped stdin:1", "yaml in/a.yaml:1", "yml in/b.yml:1", "zipped in/d.yaml.gz:1"}
	if diff := cmp.Diff(want, serviceNames(inv)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if inv.Documents.Duplicate != 0 {
		t.Errorf("a file was read twice: %+v", inv.Documents)
	}
}

// TestReadErrors shows what ends the reading, and with which error.
func TestReadErrors(t *testing.T) {
	broken := errors.New("pipe burst")
	isNone := func(err error) bool { return errors.Is(err, ErrNoDocuments) }
	isRead := func(err error) bool { var r *ReadError; return errors.As(err, &r) }
	for _, tc := range []struct {
		name  string
		files map[string]string
		o     Options
		is    func(error) bool
		want  string
	}{
		{"no paths", nil, Options{}, isNone, "no path given"},
		{"empty directory", map[string]string{"in/readme.md": "x"}, Options{Paths: []string{"in"}}, isNone, "in: no Kubernetes object that concerns a mesh (0 documents read)"},
		{"no mesh", map[string]string{"in/a.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n"}, Options{Paths: []string{"in"}}, isNone, "in: no Kubernetes object that concerns a mesh (1 documents read)"},
		{"missing", nil, Options{Paths: []string{"nowhere"}}, func(err error) bool { return isRead(err) && errors.Is(err, fs.ErrNotExist) }, "nowhere"},
		{"broken stdin", nil, Options{Paths: []string{"-"}, Stdin: iotest.ErrReader(broken)}, func(err error) bool { return isRead(err) && errors.Is(err, broken) }, "stdin: pipe burst"},
		{"broken in the middle", nil, Options{Paths: []string{"-"}, Stdin: io.MultiReader(strings.NewReader(serviceNamed("a")+"---\n"), iotest.ErrReader(broken))}, isRead, "stdin: pipe burst"},
		{"JSON broken in the middle", nil, Options{Paths: []string{"-"}, Stdin: io.MultiReader(strings.NewReader(`{"items":[{`), iotest.ErrReader(broken))}, isRead, "stdin: pipe burst"},
		{"no stdin", nil, Options{Paths: []string{"-"}}, isRead, "stdin: nothing to read"},
		{"bad gzip", map[string]string{"a.yaml.gz": "\x1f\x8bxx"}, Options{Paths: []string{"a.yaml.gz"}}, isRead, "a.yaml.gz: "},
		{"two clusters", map[string]string{"a.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: a, uid: '1'}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: a, uid: '2'}\n"}, Options{Paths: []string{"a.yaml"}},
			func(err error) bool { var e *TwoClustersError; return errors.As(err, &e) },
			"the input looks like two clusters: Service default/a has one uid in a.yaml:1 and another in a.yaml:5"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			write(t, tc.files)
			_, err := Read(t.Context(), tc.o)
			if err == nil || !tc.is(err) || !strings.HasPrefix(strings.TrimPrefix(err.Error(), "stat "), tc.want) {
				t.Errorf("got  %T %v\nwant %s", err, err, tc.want)
			}
		})
	}
}

// TestForbiddenFile: a file that may not be read is an error with its path, never a smaller inventory.
func TestForbiddenFile(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	write(t, map[string]string{"in/a.yaml": serviceNamed("a"), "in/b.yaml": serviceNamed("b")})
	if err := os.Chmod("in/b.yaml", 0); err != nil {
		t.Fatal(err)
	}
	_, err := Read(t.Context(), Options{Paths: []string{"in"}})
	var r *ReadError
	if !errors.As(err, &r) || r.Path != "in/b.yaml" {
		t.Errorf("got %v", err)
	}
}

// TestCancel: a cancelled context ends the reading of a stream.
func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, text := range []string{serviceNamed("a"), `{"apiVersion":"v1"}`} {
		if _, err := Read(ctx, Options{Paths: []string{"-"}, Stdin: strings.NewReader(text)}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
}

// TestNamedKustomization: a kustomization that the user names is built, also by
// its file, and nothing beside it is.
func TestNamedKustomization(t *testing.T) {
	files := map[string]string{
		"app/kustomization.yaml":               "namePrefix: x-\nresources: [a.yaml]\n",
		"app/a.yaml":                           serviceNamed("a"),
		"app/overlays/prod/kustomization.yaml": "nameSuffix: -prod\nresources: [../../base]\n",
	}
	for _, path := range []string{"app", "app/kustomization.yaml"} {
		write(t, files)
		inv, err := Read(t.Context(), Options{Paths: []string{path}})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"x-a app/a.yaml:1"}, serviceNames(inv)); diff != "" {
			t.Errorf("%s: -want +got\n%s", path, diff)
		}
	}
}

// TestRemote shows which entries of a kustomization are taken for remote: in
// doubt all, since reading must never reach for the network.
func TestRemote(t *testing.T) {
	for entry, want := range map[string]bool{
		"https://github.com/a/b": true, "github.com/a/b//c?ref=v1": true, "git@github.com:a/b": true, "ssh://x/y": true,
		"example.org/a": true, "git::https://x": true,
		"missing.yaml": false, "../base": false, "../../a/b": false, "./a/b.yaml": false, "deploy/web.yaml": false,
	} {
		if got := isRemote(entry); got != want {
			t.Errorf("isRemote(%q) = %v", entry, got)
		}
	}
}

// TestTypedList: the items of "kubectl get --raw" name no kind; the list does, before or after them.
func TestTypedList(t *testing.T) {
	for name, text := range map[string]string{
		"JSON, kind first": `{"kind":"ServiceList","apiVersion":"v1","metadata":{},"items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}]}`,
		"JSON, kind last":  `{"items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}],"apiVersion":"v1","kind":"ServiceList"}`,
		"YAML, kind first": "kind: ServiceList\napiVersion: v1\nitems:\n- metadata:\n    name: a\n- metadata:\n    name: b\n",
		"YAML, kind last":  "apiVersion: v1\nitems:\n- metadata:\n    name: a\n- metadata:\n    name: b\nkind: ServiceList\n",
		"two lists":        "kind: SecretList\napiVersion: v1\nitems:\n- metadata:\n    name: x\n---\nkind: ServiceList\napiVersion: v1\nitems:\n- metadata:\n    name: a\n- metadata:\n    name: b\n",
	} {
		t.Run(name, func(t *testing.T) {
			inv := readString(t, "", text)
			if len(inv.Services) != 2 || inv.Services[1].Name != "b" {
				t.Errorf("got %+v", inv.Services)
			}
		})
	}
}
