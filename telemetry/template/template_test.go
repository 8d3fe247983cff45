package template

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/promql/parser"
	"pgregory.net/rapid"

	"github.com/ambientplan/ambientplan/telemetry/span"
)

func parses(expr string) error {
	_, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	return err
}

func TestVariablesBecomeWhatFitsTheirPlace(t *testing.T) {
	for _, c := range []struct{ text, expr string }{
		{`up`, `up`},
		{`up{reporter=~"$qrep"}`, `up{reporter=~"$qrep"}`},
		{`rate(x[$__rate_interval])`, `rate(x[0d0h5m0s001ms])`},
		{`rate(x[[[interval]]])`, `rate(x[0d0h5m0s001ms])`},
		{`rate(x[${interval}] offset $o)`, `rate(x[0d0h5m0s001ms] offset 0d0h5m0s002ms)`},
		{`max_over_time(x[$__range:$__interval])`, `max_over_time(x[0d0h5m0s001ms:0d0h1m0s002ms])`},
		{`max_over_time(x[1h:$__interval])`, `max_over_time(x[1h:0d0h1m0s001ms])`},
		{`rate(x[${n}m])`, `rate(x[70919001m])`},
		{`rate(x[5$unit])`, `rate(x[5m00s0001ms])`},
		{`sum(x) by ($l, le)`, `sum(x) by (ambientplan_001_var, le)`},
		{`sum by(le, ${l}) (x)`, `sum by(le, ambientplan_001_var) (x)`},
		{`$m{a="b"}`, `ambientplan_001_var{a="b"}`},
		{`istio_${m}_total`, `istio_ambientplan_001_var_total`},
		{`$a$b`, `ambientplan_001_varambientplan_002_var`},
		{`x{$f}`, `x{ambientplan_001_var=~".*"}`},
		{`x{$l="a",b=$v}`, `x{ambientplan_001_var="a",b="ambientplan_002_var"}`},
		{`x > $threshold`, `x > 5.000000070919001`},
		{`x > 0.$p`, `x > 0.70919001`},
		{`topk($k, x)`, `topk(5.000000070919001, x)`},
		{`histogram_quantile($q, x)`, `histogram_quantile(0.950000070919001, x)`},
		{`sum($m)`, `sum(ambientplan_001_var)`},
		{`rate($m[5m])`, `rate(ambientplan_001_var[5m])`},
		{`$agg(x)`, "sum #ambientplan_001_var\n(x)"},
		{`$fn(x[5m])`, "rate #ambientplan_001_var\n(x[5m])"},
		{`$query`, `ambientplan_001_var`},
		{`increase(x[$__range]) / $__range_s * $__interval_ms`, `increase(x[0d0h5m0s001ms]) / 5.000000070919002 * 5.000000070919003`},
		{`label_replace(x, "a", "$1", "b", "(.*)$")`, `label_replace(x, "a", "$1", "b", "(.*)$")`},
		{"x # $comment \"\n> ${y:raw}", "x # $comment \"\n> 5.000000070919001"},
		{"x{a=`\\`,b=\"\\\"$c\"} > $d", "x{a=`\\`,b=\"\\\"$c\"} > 5.000000070919001"},
	} {
		got, err := Grafana(c.text, parses)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
		}
		if got.Expr != c.expr {
			t.Errorf("%s\ngives %s\nwant  %s", c.text, got.Expr, c.expr)
		}
	}
}

func TestOtherTemplates(t *testing.T) {
	got, err := Braces(`sum(rate(x{ns="{{ namespace }}"}[{{ interval }}])) > {{args.limit}}`, parses)
	if err != nil {
		t.Fatal(err)
	}
	want := []Use{
		{Name: "namespace", Spelling: "{{ namespace }}", Start: 15, End: 30, InString: true},
		{Name: "interval", Spelling: "{{ interval }}", Start: 33, End: 47, Placeholder: "0d0h5m0s001ms"},
		{Name: "args.limit", Spelling: "{{args.limit}}", Start: 53, End: 67, Placeholder: "5.000000070919002"},
	}
	if d := cmp.Diff(want, got.Uses); d != "" {
		t.Error(d)
	}
	a, err := Adapter(`sum(rate(<<.Series>>{<<.LabelMatchers>>}[2m])) by (<<.GroupBy>>)`, parses)
	if err != nil {
		t.Fatal(err)
	}
	if want := `sum(rate(ambientplan_001_var{ambientplan_002_var=~".*"}[2m])) by (ambientplan_003_var)`; a.Expr != want {
		t.Errorf("got %s", a.Expr)
	}
	if _, err := Braces(`x{{`, parses); err == nil {
		t.Error("an unclosed brace parses")
	}
}

func TestATextThatHoldsAPlaceholderIsRefused(t *testing.T) {
	if _, err := Grafana(`x > $t + ambientplan_001_var + 5.000000070919001 + 0d0h5m0s001ms`, nil); err == nil {
		t.Error("a text with a placeholder is taken, and restoring would change it")
	}
}

func TestEditsAreRestored(t *testing.T) {
	tpl, err := Grafana(`sum(rate(x{r="a"}[$w])) by ($l)`, parses)
	if err != nil {
		t.Fatal(err)
	}
	// A form that writes the whole rate twice: the window is copied with it.
	from, to := strings.Index(tpl.Expr, "rate"), strings.Index(tpl.Expr, ") by")
	rate := tpl.Expr[from:to]
	edits, err := tpl.Restore([]span.Edit{{Start: from, End: to, Text: rate + " or " + strings.Replace(rate, `"a"`, `"b"`, 1)}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := span.Apply(tpl.Text, edits)
	if err != nil {
		t.Fatal(err)
	}
	if want := `sum(rate(x{r="a"}[$w]) or rate(x{r="b"}[$w])) by ($l)`; got != want {
		t.Errorf("got %s", got)
	}
	if got := tpl.Spelled("a proposal: " + tpl.Expr); got != "a proposal: "+tpl.Text {
		t.Errorf("got %s", got)
	}
	at := strings.Index(tpl.Expr, "0d0h5m")
	if _, err := tpl.Restore([]span.Edit{{Start: at + 1, End: at + 2}}); err == nil {
		t.Error("an edit within a placeholder is taken")
	}
	if _, err := tpl.Restore([]span.Edit{{Start: 0, End: 1000}}); err == nil {
		t.Error("an edit outside is taken")
	}
}

var pieces = []string{
	"sum(", ")", "rate(", "x", "{a=", "\"", "'", "`", "\\", "}", "[", "]", "5m", ":", "$v", "${v:regex}", "[[v]]", "$__rate_interval", " ",
	" by ", "(", ",", "#", "\n", "{{ .x }}", "{{", "}}", "<<.S>>", "offset ", "@", "0.", "é", "$",
}

func drawText(rt *rapid.T) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 20).Draw(rt, "pieces"), "")
}

// reads are all ways to read a text.
var reads = []func(string, func(string) error) (*Template, error){Grafana, Braces, Adapter}

// checkTemplate says what holds for every text: uses stand where they say, and writing all of Expr anew gives the text.
func checkTemplate(t interface{ Fatalf(string, ...any) }, tpl *Template) {
	for _, u := range tpl.Uses {
		if tpl.Text[u.Start:u.End] != u.Spelling || u.InString == (u.Placeholder != "") {
			t.Fatalf("%q: %+v", tpl.Text, u)
		}
	}
	none, err := tpl.Restore(nil)
	if err != nil || len(none) > 0 {
		t.Fatalf("no edits become %v, %v", none, err)
	}
	all, err := tpl.Restore([]span.Edit{{Start: 0, End: len(tpl.Expr), Text: tpl.Expr}})
	if err != nil {
		t.Fatalf("%q: %v", tpl.Text, err)
	}
	if got, err := span.Apply(tpl.Text, all); err != nil || got != tpl.Text {
		t.Fatalf("%q comes back as %q, %v", tpl.Text, got, err)
	}
}

func TestRestoreGivesTheText(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tpl, err := rapid.SampledFrom(reads).Draw(rt, "read")(drawText(rt), nil)
		if err != nil {
			rt.Fatalf("%q: %v", tpl.Text, err)
		}
		checkTemplate(rt, tpl)
		// An edit between two bytes of Expr that are no placeholder's is the same edit of the text.
		at := rapid.IntRange(0, len(tpl.Expr)).Draw(rt, "at")
		edits, err := tpl.Restore([]span.Edit{{Start: at, End: at, Text: "EDIT"}})
		if err != nil {
			return
		}
		after, err := span.Apply(tpl.Text, edits)
		if err != nil {
			rt.Fatal(err)
		}
		back := tpl.Expr[:at] + "EDIT" + tpl.Expr[at:]
		for _, u := range tpl.Uses {
			if u.Placeholder != "" {
				back = strings.Replace(back, u.Placeholder, u.Spelling, 1)
			}
		}
		if after != back {
			rt.Fatalf("%q edited at %d of %q gives %q, want %q", tpl.Text, at, tpl.Expr, after, back)
		}
	})
}

func FuzzTemplate(f *testing.F) {
	for _, s := range append(pieces, `rate(x[$w])`, `{{{a}}}`, `$a$b[[c]]${d}`) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, read := range reads {
			if tpl, err := read(text, nil); err == nil {
				checkTemplate(t, tpl)
			}
		}
	})
}

func TestEveryPlaceholderHasAStem(t *testing.T) {
	for k := number; k <= keyword; k++ {
		if p := k.placeholder(7); !stems.MatchString(p) {
			t.Errorf("%q would not be found in a text", p)
		}
	}
}

func BenchmarkGrafana(b *testing.B) {
	text := strings.Repeat("$a + ${b:c} ", 400)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := Grafana(text, nil); err != nil {
			b.Fatal(err)
		}
	}
}
