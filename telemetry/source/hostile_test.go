package source

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ambientplan/ambientplan/telemetry/span"
)

// packed is base64 of gzip.
func packed(t testing.TB, data []byte) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

// bomb is YAML whose aliases expand to more than a million values.
func bomb() string {
	text := "a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n"
	for i := range 6 {
		text += fmt.Sprintf("a%d: &a%d [%s*a%d]\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*a%d, ", i), 9), i)
	}
	return text
}

func TestWhatCannotBeReadIsANote(t *testing.T) {
	dashboard := `{"title":"x","panels":[{"targets":[{"expr":"istio_requests_total"}]}]}`
	operated := "apiVersion: grafana.integreatly.org/v1beta1\nkind: GrafanaDashboard\nmetadata: {name: x}\nspec:\n  gzipJson: "
	for _, c := range []struct {
		name, path, data string
		kind             NoteKind
		line             int
		text             string
	}{
		{"a bomb", "x.yaml", operated + packed(t, make([]byte, maxUnpacked+1)), Unreadable, 5, "more than 32 MiB"},
		{"no gzip", "x.yaml", operated + "H4sIAAAA", Unreadable, 5, "cannot be unpacked"},
		{"no base64", "x.yaml", operated + "'%'", Unreadable, 5, "cannot be unpacked"},
		{"gzip of something else", "x.yaml", operated + packed(t, []byte("[1]")), Suspicious, 5, "none that is known"},
		{"a Helm template", "x.yaml", "a: 1\n{{- if .Values.x }}\nb: istio_requests_total\n{{ end }}", Unreadable, 2, "template"},
		{"a JSON template", "x.json", "{\n\"panels\": {{ .Values.panels }}}", Unreadable, 2, "template"},
		{"broken JSON", "x.json", `{"a":}`, Unreadable, 1, "JSON, line 1"},
		{"broken YAML", "x.yaml", "a: [", Unreadable, 1, "YAML"},
		{"aliases", "x.yaml", bomb(), Unreadable, 1, "values"},
		{"deep", "x.json", strings.Repeat("[", 600), Unreadable, 1, "deeper"},
		{"no dashboard", "x.yaml", "apiVersion: grafana.integreatly.org/v1beta1\nkind: GrafanaDashboard\nspec: {}", Suspicious, 3, "no dashboard"},
		{"unknown", "x.yaml", "a:\n- b: sum(istio_requests_total)", Unrecognised, 2, "istio_requests_total"},
		{"unknown JSON", "x.json", "{\n\"q\": \"rate(envoy_cluster_upstream_rq[1m])\"}", Unrecognised, 2, "envoy_cluster_upstream_rq"},
		{"port", "x.yaml", "kind: Odd\nurl: http://x:15020/stats", Unrecognised, 2, ":15020"},
		{"reporter", "x.yaml", "kind: Odd\nq: 'x{reporter=\"destination\"}'", Unrecognised, 2, "reporter"},
		{"jsonnet", "x.libsonnet", "{\n  q: 'istio_tcp_sent_bytes_total' }", Unrecognised, 2, "istio_tcp_sent_bytes_total"},
		{"Go", "a/x.go", "package x\n\nconst q = `istio_requests_total`", Unrecognised, 3, "istio_requests_total"},
	} {
		f := Parse(c.path, c.data, promQL)
		if len(f.Notes) == 0 {
			t.Errorf("%s: no note", c.name)
			continue
		}
		n := f.Notes[0]
		if n.Kind != c.kind || n.Line != c.line || !strings.Contains(n.Text, c.text) || n.File != c.path || len(f.Queries) > 0 || f.Data != c.data {
			t.Errorf("%s: %+v", c.name, n)
		}
	}
	// What deploys a sidecar reads no metrics.
	for _, quiet := range []string{
		"apiVersion: apps/v1\nkind: Deployment\nspec: {containers: [{name: istio-proxy}]}", "apiVersion: v1\nkind: Pod\nmetadata: {name: istio-proxy}",
		"{}", "", "a: 1", "a: reporter",
	} {
		if f := Parse("x.yaml", quiet, promQL); len(f.Notes) > 0 {
			t.Errorf("%s: %+v", quiet, f.Notes)
		}
	}
	if f := Parse("x.json", dashboard, nil); len(f.Queries) != 1 || f.Queries[0].Expr == "" {
		t.Error("a dashboard is not read without a parser")
	}
}

func TestListsAreTakenApart(t *testing.T) {
	one := `{"title":"x","panels":[{"targets":[{"expr":"istio_requests_total"}]}]}`
	for data, want := range map[string]string{
		"[" + one + "]": "[0].panels[0].targets[0].expr",
		`{"kind":"List","items":[{"kind":"List","items":[{"dashboard":` + one + `}]}]}`: "items[0].items[0].dashboard.panels[0].targets[0].expr",
	} {
		f := Parse("x.json", data, promQL)
		if len(f.Queries) != 1 || f.Queries[0].Path != want {
			t.Errorf("%s: %+v", data, f.Queries)
		}
	}
}

func TestReadWalksDirectories(t *testing.T) {
	root := t.TempDir()
	t.Chdir(root)
	write := func(path, data string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("out/secret.yaml", "a: istio_requests_total")
	write("in/b.json", `{}`)
	write("in/a/z.yaml", "a: 1")
	write("in/.git/x.yaml", "a: 1")
	write("in/binary.yaml", "a\x00b")
	write("in/picture.png", "x")
	write("in/query.py", "q = 'istio_requests_total'")
	write("named.dat", "a: istio_requests_total")
	for link, to := range map[string]string{"in/leaves.yaml": "../out/secret.yaml", "in/stays.yaml": "b.json", "in/nowhere.yaml": "gone", "in/loop": "."} {
		if err := os.Symlink(to, link); err != nil {
			t.Skip(err)
		}
	}
	files, err := Read([]string{"in", "named.dat", "in/b.json"}, promQL)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		got = append(got, fmt.Sprintf("%s %d", f.Path, len(f.Notes)))
	}
	if d := cmp.Diff([]string{"in/a/z.yaml 0", "in/b.json 0", "in/leaves.yaml 1", "in/query.py 1", "named.dat 1"}, got); d != "" {
		t.Error(d)
	}
	if _, err := Read([]string{"missing"}, promQL); err == nil {
		t.Error("a missing path is no error")
	}
}

// largeDashboard has n panels.
func largeDashboard(n int) string {
	var b strings.Builder
	b.WriteString(`{"title":"large","templating":{"list":[{"name":"qrep","type":"custom","query":"source,destination"}]},"panels":[`)
	for i := range n {
		if i > 0 {
			b.WriteString(",\n")
		}
		fmt.Fprintf(&b, `{"id":%d,"title":"Panel %d","fieldConfig":{"defaults":{"custom":{"drawStyle":"line","fillOpacity":10,"lineWidth":1,"padding":%q}}},`+
			`"targets":[{"refId":"A","expr":"sum(rate(istio_requests_total{reporter=~\"$qrep\",destination_service=\"s%d\"}[$__rate_interval]))"}]}`, i, i, strings.Repeat("x", 200), i)
	}
	b.WriteString("]}")
	return b.String()
}

func BenchmarkParse(b *testing.B) {
	for _, panels := range []int{1000, 10_000} {
		data := largeDashboard(panels)
		b.Run(fmt.Sprintf("%d KiB", len(data)>>10), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if f := Parse("x.json", data, promQL); len(f.Queries) != panels {
					b.Fatal(len(f.Queries))
				}
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join("testdata", "*", "*.*"))
	if err != nil {
		f.Fatal(err)
	}
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data), strings.HasSuffix(p, ".json"))
	}
	f.Fuzz(func(t *testing.T, data string, json bool) {
		name := "x.yaml"
		if json {
			name = "x.json"
		}
		file := Parse(name, data, promQL)
		for i, q := range file.Queries {
			if q.Unread == "" && q.Expr == "" && q.Text != "" {
				t.Errorf("%s has neither an expression nor a reason", q.Path)
			}
			edits, err := q.Edits([]span.Edit{{End: len(q.Expr), Text: "up"}})
			if err != nil || q.Expr == "" {
				continue
			}
			after, err := span.Apply(data, edits)
			if err != nil {
				t.Errorf("%s: %v", q.Path, err)
			}
			again := Parse(name, after, promQL)
			if len(again.Queries) != len(file.Queries) || again.Queries[i].Text != "up" {
				t.Errorf("%s: %d queries become %d\n%s", q.Path, len(file.Queries), len(again.Queries), after)
			}
			for _, v := range q.Variables {
				for _, value := range v.Values {
					edits, err := v.Edit(value, value+"|waypoint")
					if err != nil {
						continue
					}
					if _, err := span.Apply(data, edits); err != nil {
						t.Errorf("%s: %v", v.Name, err)
					}
				}
			}
		}
	})
}
