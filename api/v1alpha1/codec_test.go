package v1alpha1

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const needsHead = "apiVersion: ambientplan.dev/v1alpha1\nkind: FeatureNeeds\n"

// TestDecodeErrors shows what is refused, and that the line is the one to look at.
func TestDecodeErrors(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"empty", "", "n.yaml: the document is empty"},
		{"only comments", "# nothing\n", "n.yaml: the document is empty"},
		{"a list", "- a\n", "n.yaml:1: the document is not an object"},
		{"unknown field", needsHead + "services:\n- namespace: shop\n  retires: 3\n", `n.yaml:5: unknown field "services[0].retires"`},
		{"unknown field in JSON", "{\"apiVersion\":\"ambientplan.dev/v1alpha1\",\n\"kind\":\"FeatureNeeds\",\n\"service\": []}", `n.yaml:3: unknown field "service"`},
		{"case matters", needsHead + "Services: []\n", `n.yaml:3: unknown field "Services"`},
		{"duplicate key", needsHead + "services: []\nservices: []\n", `n.yaml:4: duplicate field "services"`},
		{"duplicate key in JSON", "{\"kind\":\"FeatureNeeds\",\n\"kind\":\"FeatureNeeds\",\"apiVersion\":\"ambientplan.dev/v1alpha1\"}", `n.yaml:2: duplicate field "kind"`},
		{"wrong type", needsHead + "services:\n- namespace: shop\n- namespace: [a]\n", "n.yaml:5: services[1].namespace: array where a string is expected"},
		{"list expected", needsHead + "services:\n  namespace: shop\n", "n.yaml:3: services: object where a list is expected"},
		{"number as namespace", needsHead + "services:\n- namespace: 7\n", "n.yaml:4: services[0].namespace: number where a string is expected"},
		{"wrong kind", "apiVersion: ambientplan.dev/v1alpha1\nkind: MigrationPolicy\nfirst: [a]\n", `n.yaml:2: kind is "MigrationPolicy" where "FeatureNeeds" is expected`},
		{"no kind", "apiVersion: ambientplan.dev/v1alpha1\n", `n.yaml:1: kind is missing where "FeatureNeeds" is expected`},
		{"wrong version", "kind: FeatureNeeds\napiVersion: ambientplan.dev/v1\n", `n.yaml:2: apiVersion is "ambientplan.dev/v1" where "ambientplan.dev/v1alpha1" is expected`},
		{"tab", needsHead + "services:\n\t- namespace: shop\n", "n.yaml:4: found character that cannot start any token (YAML forbids tabs for indentation)"},
		{"truncated JSON", "{\"kind\":\n\"Feat", "n.yaml:2: "},
		{"two documents", needsHead + "---\n" + needsHead, "n.yaml:3: more than one document where one is expected"},
		{"alias bomb", needsHead + bomb(), "n.yaml:3: the aliases of the document expand to too many values"},
		{"alias in itself", needsHead + "services: &a\n- *a\n", "n.yaml:3: the document is nested too deeply, or an alias contains itself"},
		{"UTF-16", "\xff\xfea\x00", "n.yaml:1: the text is UTF-16; save it as UTF-8"},
		{"bad gzip", "\x1f\x8bnot gzip", "n.yaml: not a gzip file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Decode[FeatureNeeds]("n.yaml", strings.NewReader(tc.in))
			if err == nil {
				t.Fatalf("no error for %q", tc.in)
			}
			if !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("got  %s\nwant %s", err, tc.want)
			}
			var in *InputError
			if !errors.As(err, &in) {
				t.Errorf("%T is not an *InputError", err)
			}
		})
	}
}

// bomb is a page of aliases that expands to ten million values: less than a
// document may have, if it spelled them out.
func bomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := range 6 {
		a, p := string(rune('b'+i)), string(rune('a'+i))
		if i == 0 {
			p = "a0"
		}
		b.WriteString(a + ": &" + a + " [*" + strings.TrimSuffix(strings.Repeat(p+",*", 10), ",*") + "]\n")
	}
	return b.String()
}

// TestDecodeForms shows that the same document may come in several forms.
func TestDecodeForms(t *testing.T) {
	want := &FeatureNeeds{TypeMeta: TypeMeta{APIVersion, KindFeatureNeeds}, Services: []ServiceNeeds{{Namespace: "shop", Service: "web"}}}
	yaml := needsHead + "services:\n- namespace: shop\n  service: web\n"
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := io.WriteString(z, yaml); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string]string{
		"YAML":     yaml,
		"CRLF":     strings.ReplaceAll(yaml, "\n", "\r\n"),
		"BOM":      "\ufeff" + yaml,
		"markers":  "---\n" + yaml + "---\n",
		"JSON":     `{"apiVersion":"ambientplan.dev/v1alpha1","kind":"FeatureNeeds","services":[{"namespace":"shop","service":"web"}]}`,
		"BOM JSON": "\ufeff" + `{"apiVersion":"ambientplan.dev/v1alpha1","kind":"FeatureNeeds","services":[{"namespace":"shop","service":"web"}]}`,
		"gzip":     zipped.String(),
		"anchors":  needsHead + "services:\n- namespace: &ns shop\n  service: web\n",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Decode[FeatureNeeds]("n.yaml", strings.NewReader(in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// TestDecodeReader shows that an error of the reader is not taken for one of the document.
func TestDecodeReader(t *testing.T) {
	broken := errors.New("disk on fire")
	_, err := Decode[Inventory]("i.yaml", io.MultiReader(strings.NewReader(needsHead), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// TestDecodeNeedsErrors shows what owners may get wrong.
func TestDecodeNeedsErrors(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"unknown capability", "services:\n- namespace: shop\n  capabilities:\n  - capability: teleport\n", `n.yaml:6: services[0].capabilities[0].capability: "teleport" is not a capability`},
		{"waiver without reason", "services:\n- namespace: shop\n  waive:\n  - capability: retries\n", "n.yaml:6: services[0].waive[0].reason: a waiver needs a reason"},
		{"blank reason", "services:\n- namespace: shop\n  waive:\n  - capability: retries\n    reason: ' '\n", "n.yaml:7: services[0].waive[0].reason: a waiver needs a reason"},
		{"keepSidecar without reason", "services:\n- namespace: shop\n  keepSidecar: {}\n", "n.yaml:5: services[0].keepSidecar.reason: keepSidecar needs a reason"},
		{"no namespace", "services:\n- service: web\n", "n.yaml:4: services[0].namespace: is required"},
		{"wanted and waived", "services:\n- namespace: a\n  capabilities:\n  - capability: retries\n  waive:\n  - capability: retries\n    reason: r\n", `n.yaml:6: services[0].capabilities[0].capability: "retries" is both wanted and waived`},
		{"bad duration", "services:\n- namespace: a\n  latencyBudget: 2 parsecs\n", "n.yaml:5: services[0].latencyBudget: "},
		{"edge to nowhere", "edges:\n- fromNamespace: a\n  toNamespace: b\n", "n.yaml:4: edges[0].to: is required"},
		{"edge port", "edges:\n- fromNamespace: a\n  toNamespace: b\n  to: c\n  port: 70000\n", "n.yaml:7: edges[0].port: 70000 is not a port"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := DecodeNeeds("n.yaml", strings.NewReader(needsHead+tc.in))
			if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
		})
	}
}

// TestDecodePolicyErrors shows what a platform team may get wrong.
func TestDecodePolicyErrors(t *testing.T) {
	const head = "apiVersion: ambientplan.dev/v1alpha1\nkind: MigrationPolicy\n"
	for _, tc := range []struct{ name, in, want string }{
		{"first and last", "first: [a]\nlast: [b, a]\n", `p.yaml:4: last[1]: namespace "a" is already in first`},
		{"excluded and first", "first: [a]\nexclude:\n- namespace: a\n  reason: r\n", `p.yaml:5: exclude[0].namespace: namespace "a" is already in first`},
		{"exclude without reason", "exclude:\n- namespace: a\n", "p.yaml:4: exclude[0].reason: is required"},
		{"two groups", "together:\n- name: x\n  namespaces: [a, b]\n- name: y\n  namespaces: [b, c]\n", `p.yaml:7: together[1].namespaces[0]: namespace "b" is already in group "x"`},
		{"group in exclude", "exclude:\n- namespace: a\n  reason: r\ntogether:\n- name: x\n  namespaces: [a, b]\n", `p.yaml:8: together[0].namespaces[0]: namespace "a" is in exclude`},
		{"group first and last", "first: [a]\nlast: [b]\ntogether:\n- name: x\n  namespaces: [a, b]\n", "p.yaml:7: together[0].namespaces[1]: the group has namespaces both in first and last"},
		{"soak time", "soakTime: 3 days\n", `p.yaml:3: soakTime: "3 days" is not a duration`},
		{"start", "calendar:\n  start: 2026-02-30\n", `p.yaml:4: calendar.start: "2026-02-30" is not a date`},
		{"weekday", "calendar:\n  start: 2026-02-20\n  weekdays: [Monday]\n", `p.yaml:5: calendar.weekdays[0]: "Monday" is none of Mon`},
		{"freeze", "calendar:\n  start: 2026-02-20\n  freeze:\n  - {name: x, from: 2026-03-02, to: 2026-03-01}\n", "p.yaml:6: calendar.freeze[0].to: 2026-03-01 is before 2026-03-02"},
		{"capacity", "capacity:\n  pods: -1\n", "p.yaml:4: capacity.pods: -1 is negative"},
		{"consent", "consents:\n- id: L08\n  reason: r\n", "p.yaml:4: consents[0].by: is required"},
		{"routes", "routes: drop\n", `p.yaml:3: routes: "drop" is none of convert, keep`},
		{"gitops", "gitops: jenkins\n", `p.yaml:3: gitops: "jenkins" is none of none, argocd, flux`},
		{"scope", "waypoint:\n  scope: galaxy\n", `p.yaml:4: waypoint.scope: "galaxy" is none of`},
		{"shared", "waypoint:\n  scope: shared\n", "p.yaml:3: waypoint.namespace: a shared waypoint needs a namespace"},
		{"replicas", "waypoint:\n  minReplicas: 1\n", "p.yaml:4: waypoint.minReplicas: 1 is less than 2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := DecodePolicy("p.yaml", strings.NewReader(head+tc.in))
			if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
		})
	}
}

// TestDecodePolicyLines shows where rules and findings point to.
func TestDecodePolicyLines(t *testing.T) {
	p, err := DecodePolicy("p.yaml", strings.NewReader("apiVersion: ambientplan.dev/v1alpha1\nkind: MigrationPolicy\nfirst:\n- a\n- b\n"))
	if err != nil {
		t.Fatal(err)
	}
	if p.File != "p.yaml" || p.Lines["first[1]"] != 5 || p.Lines["first"] != 3 {
		t.Errorf("file %q, lines %v", p.File, p.Lines)
	}
}

// TestRoundTrip: what is encoded decodes to the same.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"yes", "null", "0x10", "1e3", "- a", "a: b", "\t", "{{ x }}", "2026-01-01", "~", "#", "...", "---"}))
		inv := Inventory{TypeMeta: TypeMeta{APIVersion, KindInventory}}
		for range rapid.IntRange(0, 3).Draw(t, "objects") {
			inv.Objects = append(inv.Objects, Object{
				APIVersion: "v1", Kind: "K", Name: utf8Only(text.Draw(t, "name")),
				Content: Content{utf8Only(text.Draw(t, "key")): anyValue(t, text, 3)},
				Origin:  Origin{File: "f", Line: rapid.IntRange(1, 9).Draw(t, "line")},
			})
		}
		for range rapid.IntRange(0, 3).Draw(t, "namespaces") {
			inv.Namespaces = append(inv.Namespaces, Namespace{Name: "n", Labels: map[string]string{utf8Only(text.Draw(t, "label")): utf8Only(text.Draw(t, "value"))}})
		}
		var b bytes.Buffer
		if err := Encode(&b, inv); err != nil {
			t.Fatal(err)
		}
		got, err := Decode[Inventory]("i.yaml", bytes.NewReader(b.Bytes()))
		if err != nil {
			t.Fatalf("%v\n%s", err, b.String())
		}
		if diff := cmp.Diff(&inv, got); diff != "" {
			t.Fatalf("-want +got\n%s\n%s", diff, b.String())
		}
	})
}

func utf8Only(s string) string { return strings.ToValidUTF8(s, "") }

// anyValue draws what JSON can hold, with integers that stay integers.
func anyValue(t *rapid.T, text *rapid.Generator[string], depth int) any {
	kinds := 5
	if depth == 0 {
		kinds = 3
	}
	switch rapid.IntRange(0, kinds).Draw(t, "kind") {
	case 0:
		return utf8Only(text.Draw(t, "text"))
	case 1:
		return rapid.Int64().Draw(t, "int")
	case 2:
		return rapid.Bool().Draw(t, "bool")
	case 3:
		return nil
	case 4:
		l := []any{}
		for range rapid.IntRange(0, 2).Draw(t, "len") {
			l = append(l, anyValue(t, text, depth-1))
		}
		return l
	}
	m := map[string]any{}
	for range rapid.IntRange(0, 2).Draw(t, "len") {
		m[utf8Only(text.Draw(t, "key"))] = anyValue(t, text, depth-1)
	}
	return m
}

// TestDecodeObject shows how values are read: as kubectl reads them.
func TestDecodeObject(t *testing.T) {
	const in = `
base: &base {a: 1, b: yes}
merged:
  <<: *base
  a: 2
date: 2026-01-01
octal: 0o17
text: "yes"
number: "1"
float: 1.5
nothing: ~
list:
- x: on
metadata:
  labels:
    istio.io/rev: canary
`
	got, lines, err := DecodeObject([]byte(in), 10, true)
	if err != nil {
		t.Fatal(err)
	}
	want := Content{
		"base":   map[string]any{"a": int64(1), "b": true},
		"merged": map[string]any{"a": int64(2), "b": true},
		"date":   "2026-01-01", "octal": int64(15), "text": "yes", "number": "1", "float": 1.5, "nothing": nil,
		"list":     []any{map[string]any{"x": true}},
		"metadata": map[string]any{"labels": map[string]any{"istio.io/rev": "canary"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for path, line := range map[string]int{"base": 11, "merged.a": 14, "list[0].x": 22, `metadata.labels["istio.io/rev"]`: 25} {
		if lines[path] != line {
			t.Errorf("%s is in line %d, got %d", path, line, lines[path])
		}
	}
	_, jlines, err := DecodeObject([]byte("{\"a\": [\n{\"b\": 1},\n{\"b\":\n 2}]}"), 1, true)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"a": 1, "a[0]": 2, "a[0].b": 2, "a[1]": 3, "a[1].b": 3}, jlines); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// checkDecoded asserts for any input: an error names the input; a document
// round-trips.
func checkDecoded[T any](t *testing.T, in []byte) {
	v, err := Decode[T]("in", bytes.NewReader(in))
	if err != nil {
		if !strings.HasPrefix(err.Error(), "in:") {
			t.Fatalf("the error does not name the input: %v", err)
		}
		return
	}
	var b bytes.Buffer
	if err := Encode(&b, v); err != nil {
		t.Fatal(err)
	}
	again, err := Decode[T]("in", bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatalf("%v\nin %q\nencoded %q", err, in, b.String())
	}
	var c bytes.Buffer
	if err := Encode(&c, again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b.String(), c.String()); diff != "" {
		t.Fatalf("-first +second\n%s", diff)
	}
}

func FuzzInventory(f *testing.F) {
	f.Add([]byte("apiVersion: ambientplan.dev/v1alpha1\nkind: Inventory\nobjects:\n- {apiVersion: v1, kind: K, name: n, content: {a: [1, yes, ~]}}\n"))
	f.Add([]byte(`{"apiVersion":"ambientplan.dev/v1alpha1","kind":"Inventory","services":[{"namespace":"a","name":"b","ports":[{"port":80}]}]}`))
	f.Fuzz(func(t *testing.T, in []byte) { checkDecoded[Inventory](t, in) })
}

func FuzzPlan(f *testing.F) {
	f.Add([]byte("apiVersion: ambientplan.dev/v1alpha1\nkind: MigrationPlan\nwaves:\n- {number: 1, name: a, steps: [{name: enrol}]}\n"))
	f.Fuzz(func(t *testing.T, in []byte) { checkDecoded[MigrationPlan](t, in) })
}

func FuzzNeeds(f *testing.F) {
	f.Add([]byte(needsHead + "services:\n- namespace: shop\n  waive:\n  - {capability: retries, reason: r}\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		checkDecoded[FeatureNeeds](t, in)
		if _, err := DecodeNeeds("in", bytes.NewReader(in)); err != nil && !strings.HasPrefix(err.Error(), "in:") {
			t.Fatalf("the error does not name the input: %v", err)
		}
	})
}

func FuzzPolicy(f *testing.F) {
	f.Add([]byte("apiVersion: ambientplan.dev/v1alpha1\nkind: MigrationPolicy\nfirst: [a]\ncalendar: {start: 2026-01-01}\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		checkDecoded[MigrationPolicy](t, in)
		if _, err := DecodePolicy("in", bytes.NewReader(in)); err != nil && !strings.HasPrefix(err.Error(), "in:") {
			t.Fatalf("the error does not name the input: %v", err)
		}
	})
}
