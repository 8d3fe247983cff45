package span

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

// piece draws text of the kind that queries are made of, and what notations stumble over.
func piece(max int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOfN(rapid.SampledFrom([]string{
			"a", "sum(rate(x[5m]))", `{a="b"}`, " ", "\n", "'", `\`, `"`, "é", "𝄞", "#", " #", ": ", ":", "[", "]", "{", ",", "-", "|", "$v", "/", "<", "\t",
		}), 0, max).Draw(t, "parts")
		return strings.Join(parts, "")
	})
}

func drawEdit(t *rapid.T, s string) Edit {
	var cuts []int
	for i := range s {
		cuts = append(cuts, i)
	}
	cuts = append(cuts, len(s))
	a, b := rapid.SampledFrom(cuts).Draw(t, "from"), rapid.SampledFrom(cuts).Draw(t, "to")
	return Edit{min(a, b), max(a, b), piece(4).Draw(t, "with")}
}

func TestAnEditOfAStringChangesNothingElse(t *testing.T) {
	t.Run("JSON", rapid.MakeCheck(func(t *rapid.T) {
		in := map[string]any{"a": piece(6).Draw(t, "a"), "b": []any{piece(8).Draw(t, "b"), 1}, "c": piece(3).Draw(t, "c")}
		data, err := json.MarshalIndent(in, "", rapid.SampledFrom([]string{"", "\t"}).Draw(t, "indent"))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := JSON(File(string(data)))
		if err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
		want := in["b"].([]any)[0].(string)
		text := doc.Get("b", "0").Text
		if text.String != want {
			t.Fatalf("read %q, want %q", text.String, want)
		}
		e := drawEdit(t, want)
		after := change(t, string(data), text, e)
		var out map[string]any
		if err := json.Unmarshal([]byte(after), &out); err != nil {
			t.Fatalf("%v\n%s", err, after)
		}
		edited, _ := Apply(want, []Edit{e})
		if out["a"] != in["a"] || out["c"] != in["c"] || out["b"].([]any)[0] != edited {
			t.Fatalf("edit %+v gives\n%s", e, after)
		}
	}))
	for name, style := range map[string]yaml.Style{
		"plain": 0, "single": yaml.SingleQuotedStyle, "double": yaml.DoubleQuotedStyle, "literal": yaml.LiteralStyle, "folded": yaml.FoldedStyle,
	} {
		t.Run("YAML "+name, rapid.MakeCheck(func(t *rapid.T) { yamlEdit(t, style) }))
	}
	t.Run("JSON in YAML", rapid.MakeCheck(jsonInYAML))
}

func change(t *rapid.T, data string, text Text, e Edit) string {
	edits, err := text.Edits([]Edit{e})
	if err != nil {
		t.Skip("refused:", err)
	}
	after, err := Apply(data, edits)
	if err != nil {
		t.Fatal(err)
	}
	return after
}

func yamlEdit(t *rapid.T, style yaml.Style) {
	value := piece(8).Draw(t, "value")
	scalar := func(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }
	middle := scalar(value)
	middle.Style = style
	root := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{
		scalar("a"), scalar("first"),
		scalar("b"), {Kind: yaml.SequenceNode, Content: []*yaml.Node{{Kind: yaml.MappingNode, Content: []*yaml.Node{scalar("expr"), middle, scalar("for"), scalar("5m")}}}},
		scalar("c"), scalar("last"),
	}}
	data, err := yaml.Marshal(root)
	if err != nil {
		t.Skip(err)
	}
	docs, err := YAML(File(string(data)))
	if err != nil || len(docs) != 1 {
		t.Skip("the encoder's own output is not read by the decoder:", err)
	}
	text := docs[0].Get("b", "0", "expr").Text
	e := drawEdit(t, text.String)
	after := change(t, string(data), text, e)
	var out struct {
		A string
		B []struct{ Expr, For string }
		C string
	}
	if err := yaml.Unmarshal([]byte(after), &out); err != nil {
		t.Fatalf("%v\n%s", err, after)
	}
	edited, _ := Apply(text.String, []Edit{e})
	if out.A != "first" || out.C != "last" || out.B[0].For != "5m" || strings.TrimRight(out.B[0].Expr, "\n") != strings.TrimRight(edited, "\n") {
		t.Fatalf("edit %+v of %q in\n%s\ngives %q in\n%s", e, text.String, data, out.B[0].Expr, after)
	}
}

func jsonInYAML(t *rapid.T) {
	inner, err := json.MarshalIndent(map[string]any{"expr": piece(6).Draw(t, "expr"), "title": "x"}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	style := rapid.SampledFrom([]yaml.Style{yaml.LiteralStyle, yaml.SingleQuotedStyle, yaml.DoubleQuotedStyle}).Draw(t, "style")
	var root yaml.Node
	if err := root.Encode(map[string]any{"data": map[string]string{"d.json": string(inner)}}); err != nil {
		t.Fatal(err)
	}
	root.Content[1].Content[1].Style = style
	data, err := yaml.Marshal(&root)
	if err != nil {
		t.Fatal(err)
	}
	docs, err := YAML(File(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	j, err := JSON(docs[0].Get("data", "d.json").Text)
	if err != nil {
		t.Fatal(err)
	}
	text := j.Get("expr").Text
	e := drawEdit(t, text.String)
	after := change(t, string(data), text, e)
	var out struct{ Data map[string]string }
	if err := yaml.Unmarshal([]byte(after), &out); err != nil {
		t.Fatalf("%v\n%s", err, after)
	}
	var got struct{ Expr, Title string }
	if err := json.Unmarshal([]byte(out.Data["d.json"]), &got); err != nil {
		t.Fatalf("%v\n%s", err, after)
	}
	edited, _ := Apply(text.String, []Edit{e})
	if got.Expr != edited || got.Title != "x" {
		t.Fatalf("%+v: got %q, want %q in\n%s", e, got.Expr, edited, after)
	}
}

// The notations that people write by hand, and how small the change in the file is.
func TestAnEditIsAsSmallAsItsNotationAllows(t *testing.T) {
	const was, is = `"destination"`, `~"destination|waypoint"`
	tests := map[string]struct{ file, want string }{
		"plain": {
			`expr: sum(rate(x{reporter="destination"}[5m])) > 1 # note`,
			`expr: sum(rate(x{reporter=~"destination|waypoint"}[5m])) > 1 # note`,
		},
		"plain over two lines": {
			"expr: sum(rate(x{reporter=\"destination\"}[5m]))\n  > 1\nfor: 5m",
			"expr: sum(rate(x{reporter=~\"destination|waypoint\"}[5m]))\n  > 1\nfor: 5m",
		},
		"single": {
			`expr: 'x{a="it''s",reporter="destination"}'`,
			`expr: 'x{a="it''s",reporter=~"destination|waypoint"}'`,
		},
		"double": {
			`expr: "x{a=\"b\",reporter=\"destination\"}\n"`,
			`expr: "x{a=\"b\",reporter=~\"destination|waypoint\"}\n"`,
		},
		"literal": {
			"expr: |  # why\n  # a comment\n\n    sum(x{reporter=\"destination\"})\n  > 1\nfor: 5m\n",
			"expr: |  # why\n  # a comment\n\n    sum(x{reporter=~\"destination|waypoint\"})\n  > 1\nfor: 5m\n",
		},
		"literal with carriage returns": {
			"expr: |\r\n  sum(x{reporter=\"destination\"})\r\n  > 1\r\nfor: 5m\r\n",
			"expr: |\r\n  sum(x{reporter=~\"destination|waypoint\"})\r\n  > 1\r\nfor: 5m\r\n",
		},
		"folded": {
			"expr: >-\n  sum(x{reporter=\"destination\"})\n  > 1\nfor: 5m\n",
			"expr: >-\n  sum(x{reporter=~\"destination|waypoint\"})\n  > 1\nfor: 5m\n",
		},
		"flow":   {`{expr: 'x{reporter="destination"}', for: 5m}`, `{expr: 'x{reporter=~"destination|waypoint"}', for: 5m}`},
		"tagged": {`expr: !!str x{reporter="destination"}`, `expr: !!str x{reporter=~"destination|waypoint"}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			docs, err := YAML(File(tt.file))
			if err != nil {
				t.Fatal(err)
			}
			text := docs[0].Get("expr").Text
			i := strings.Index(text.String, was)
			edits, err := text.Edits([]Edit{{i, i + len(was), is}})
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := Apply(tt.file, edits); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestWhatStandsBehindAnAliasIsNotEdited(t *testing.T) {
	docs, err := YAML(File("a: &x up == 0\nb: *x\n"))
	if err != nil {
		t.Fatal(err)
	}
	b := docs[0].Get("b").Text
	if b.String != "up == 0" || b.Editable() {
		t.Fatalf("%q, editable %v", b.String, b.Editable())
	}
	if !docs[0].Get("a").Text.Editable() {
		t.Fatal("the anchor itself has a place")
	}
}

func TestDocumentsThatMeanHarmAreRefused(t *testing.T) {
	if _, err := JSON(File(strings.Repeat("[", 100_000))); err == nil {
		t.Error("deep JSON was read")
	}
	if _, err := YAML(File(strings.Repeat("[", 100_000))); err == nil {
		t.Error("deep YAML was read")
	}
	laughs := "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for i := 1; i < 12; i++ {
		laughs += fmt.Sprintf("a%d: &a%d [%s*a%d]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9), i-1)
	}
	if _, err := YAML(File(laughs)); err == nil {
		t.Error("a billion laughs were read")
	}
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":"b\u00e9\ud834\udd1e"}`, `[1,-2.5e3,true,null,""]`, `{"a":{"b":["c"]}}`, `"\ud834"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := JSON(File(s))
		if valid := json.Valid([]byte(s)); valid != (err == nil) {
			t.Fatalf("encoding/json says %v, we say %v", valid, err)
		}
		if err != nil || n.Kind != String {
			return
		}
		var want string
		if json.Unmarshal([]byte(s), &want) == nil && string([]rune(n.Text.String)) != string([]rune(want)) {
			t.Fatalf("%q, want %q", n.Text.String, want)
		}
	})
}

func FuzzYAML(f *testing.F) {
	for _, s := range []string{"a: |\n  b\n", "a: >\n b\n c\n", "- 'a''b'\n- \"\\x41\"\n", "a: &x {b: c}\nd: *x\n", "<<: {a: b}\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 2000 {
			t.Skip("the loop below is quadratic")
		}
		docs, err := YAML(File(s))
		if err != nil {
			return
		}
		var walk func(n *Node)
		walk = func(n *Node) {
			if n == nil {
				return
			}
			if n.Kind == String && n.Text.Editable() {
				// Replacing a text by itself must not change what the file says.
				edits, err := n.Text.Edits([]Edit{{0, 0, ""}})
				if err == nil {
					if after, err := Apply(s, edits); err != nil || n.Text.origin != nil && after != s {
						t.Fatalf("%v\n%q\n%q", err, s, after)
					}
				}
			}
			for _, i := range n.Items {
				walk(i)
			}
			for _, m := range n.Members {
				walk(m.Value)
			}
		}
		for _, d := range docs {
			walk(d)
		}
	})
}
