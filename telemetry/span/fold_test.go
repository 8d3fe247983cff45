package span

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

// drawFolded is a value whose line breaks the notation reads as spaces, with its notation.
func drawFolded(t *rapid.T) string {
	style := rapid.SampledFrom([]string{`"`, `'`, "", ">"}).Draw(t, "style")
	gaps := []string{" ", "  ", "\n    ", " \n   \t", "\n\n    "}
	switch style {
	case `"`:
		gaps = append(gaps, "\\\n    ", "\\ \n    ", "\\n", "\n    \\ ")
	case ">":
		gaps = []string{" ", "\n    ", " \n    "}
	}
	text := "a"
	for range rapid.IntRange(0, 5).Draw(t, "words") {
		text += rapid.SampledFrom(gaps).Draw(t, "gap") + rapid.SampledFrom([]string{"b", "é", "sum(x)", "x{}", "-"}).Draw(t, "word")
	}
	if style == ">" {
		return ">-\n    " + text
	}
	return style + text + style
}

func TestAnEditBesideALineBreakThatIsReadAsASpace(t *testing.T) {
	plain := 0
	rapid.Check(t, func(t *rapid.T) {
		data := "k:\n  v: " + drawFolded(t) + "\nlast: x\n"
		var before struct{ K struct{ V string } }
		if yaml.Unmarshal([]byte(data), &before) != nil {
			t.Skip("no YAML")
		}
		docs, err := YAML(File(data))
		if err != nil {
			t.Fatal(err)
		}
		text := docs[0].Get("k", "v").Text
		e := drawEdit(t, text.String)
		if strings.Contains(e.Text, "\n") {
			e.Text = " "
		}
		after := change(t, data, text, e)
		want, _ := Apply(text.String, []Edit{e})
		var out struct {
			K    struct{ V string }
			Last string
		}
		if err := yaml.Unmarshal([]byte(after), &out); err != nil || out.K.V != want || out.Last != "x" {
			t.Fatalf("edit %+v of\n%s\ngives %q in\n%s\nwant %q, %v", e, data, out.K.V, after, want, err)
		}
		plain++
	})
	if plain == 0 {
		t.Error("no edit was made")
	}
}

// Istio's samples/addons/grafana.yaml has its dashboards so.
func TestJSONInAFoldedScalarIsEdited(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		expr := "sum(x)  by (le)"
		inner, err := json.Marshal(map[string]string{"expr": expr, "title": "it is"})
		if err != nil {
			t.Fatal(err)
		}
		quote := rapid.SampledFrom([]string{`"`, `'`}).Draw(t, "quote")
		text := string(inner)
		if quote == `"` {
			text = strings.ReplaceAll(text, `"`, `\"`)
		}
		words := strings.Split(text, " ")
		text = words[0]
		for i, w := range words[1:] {
			gap := " "
			if w != "" && words[i] != "" && rapid.Bool().Draw(t, "break") {
				gap = "\n      "
			}
			text += gap + w
		}
		data := fmt.Sprintf("data:\n  d.json: %s%s%s\n", quote, text, quote)
		docs, err := YAML(File(data))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := JSON(docs[0].Get("data", "d.json").Text)
		if err != nil {
			t.Fatal(err)
		}
		found := doc.Get("expr").Text
		if !found.Editable() || found.String != expr {
			t.Fatalf("%q in\n%s", found.String, data)
		}
		e := drawEdit(t, expr)
		after := change(t, data, found, e)
		want, _ := Apply(expr, []Edit{e})
		var out struct{ Data map[string]string }
		var dashboard map[string]string
		if err := yaml.Unmarshal([]byte(after), &out); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(out.Data["d.json"]), &dashboard); err != nil || dashboard["expr"] != want || dashboard["title"] != "it is" {
			t.Fatalf("edit %+v of\n%s\ngives %v in\n%s\nwant %q, %v", e, data, dashboard, after, want, err)
		}
	})
}
