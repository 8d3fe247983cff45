package promql_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ambientplan/ambientplan/telemetry/promql"
	"github.com/ambientplan/ambientplan/telemetry/series"
)

// queries draws what people write: matchers in any order, spaces, quotes, wrappers.
func queries(t *rapid.T) string {
	selector := func(metric string) string {
		var ms []string
		for _, m := range []string{
			rapid.SampledFrom([]string{"", `reporter="destination"`, `reporter = 'source'`, `reporter=~"source|waypoint"`, `reporter=~"destination"`}).Draw(t, "reporter"),
			rapid.SampledFrom([]string{"", `destination_service_name="reviews"`, `destination_service_name=~"rev.*"`}).Draw(t, "service"),
			rapid.SampledFrom([]string{"", `response_code=~"5.."`, `response_code!~"5.."`}).Draw(t, "code"),
			rapid.SampledFrom([]string{"", "", `namespace="shop"`, `app="reviews"`}).Draw(t, "target"),
		} {
			if m != "" {
				ms = append(ms, m)
			}
		}
		ms = rapid.Permutation(ms).Draw(t, "order")
		end := ""
		if len(ms) > 0 && rapid.Bool().Draw(t, "trailing comma") {
			end = ","
		}
		if len(ms) == 0 {
			return metric
		}
		return metric + "{" + strings.Join(ms, rapid.SampledFrom([]string{",", ", ", " , # why\n"}).Draw(t, "separator")) + end + "}"
	}
	rate := func() string { return "sum(rate(" + selector("istio_requests_total") + "[5m]))" }
	switch rapid.IntRange(0, 6).Draw(t, "shape") {
	case 0:
		return rate()
	case 1:
		return rate() + " / " + rate()
	case 2:
		return rate() + fmt.Sprintf(" > %d", rapid.SampledFrom([]int{1, 10, 90, 150}).Draw(t, "threshold"))
	case 3:
		return "sum by (destination_service_name, source_workload) (rate(" + selector("istio_requests_total") + "[5m]))"
	case 4:
		return "histogram_quantile(0.9, sum by (le) (rate(" + selector("istio_request_duration_milliseconds_bucket") + "[5m])))"
	case 5:
		return "absent(" + selector("istio_requests_total") + ")"
	}
	return rate() + " or vector(0)"
}

// TestRewriteNeverChangesTheOldModel: whatever the query and the plan, the rewrite on the old model is the original (times
// the factor that it admits), outside of its edits no byte moves, and where it claims proof the value is the same.
func TestRewriteNeverChangesTheOldModel(t *testing.T) {
	benches := map[string]*promql.Bench{}
	names := slices.Sorted(maps.Keys(plans()))
	for _, name := range names {
		b, err := promql.NewBench(promql.Input{Traffic: probed()}, plans()[name])
		if err != nil {
			t.Fatal(err)
		}
		benches[name] = b
	}
	rapid.Check(t, func(t *rapid.T) {
		text := queries(t)
		name := rapid.SampledFrom(names).Draw(t, "plan")
		b, states := benches[name], plans()[name]
		q, err := promql.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		r := b.Rewrite(q)
		if r.Form == promql.NoForm {
			if r.Text != text {
				t.Fatalf("no form, and yet\n%s\n%s", text, r.Text)
			}
			return
		}
		was := value(t, text, states[0])
		is := value(t, r.Text, states[0])
		if !strings.Contains(text, ">") {
			for i := range is {
				is[i].Value *= r.Factor
			}
			if !was.Equal(is) {
				t.Fatalf("%s: %s\n%s: %s", text, was, r.Text, is)
			}
		} else if (len(was) > 0) != (len(is) > 0) {
			t.Fatalf("%s: %s\n%s: %s", text, was, r.Text, is)
		}
		kept(t, text, r)
		for i, s := range states {
			if r.Complete() && !strings.Contains(text, ">") {
				if now := value(t, r.Text, states[i]); r.Factor == 1 && !was.Equal(now) {
					t.Fatalf("%s: %s, in %s %s", r.Text, was, s.Name, now)
				}
			}
		}
	})
}

func value(t *rapid.T, text string, s series.State) promql.Result {
	r, err := promql.Evaluate(text, probed(), s, nil)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return r
}

// kept: the bytes between edits stand in the rewrite, in their order.
func kept(t *rapid.T, text string, r promql.Rewrite) {
	at, rest := 0, r.Text
	for _, e := range append(sorted(r.Edits), promql.Edit{Start: len(text), End: len(text)}) {
		piece := text[at:e.Start]
		i := strings.Index(rest, piece)
		if i < 0 {
			t.Fatalf("lost %q of %q in %q", piece, text, r.Text)
		}
		rest, at = rest[i+len(piece):], e.End
	}
}

func sorted(edits []promql.Edit) []promql.Edit {
	return slices.SortedFunc(slices.Values(edits), func(a, b promql.Edit) int { return a.Start - b.Start })
}

// FuzzParse: no text makes the parser, the judge or the rewriter panic, and a rewrite parses.
func FuzzParse(f *testing.F) {
	for _, c := range catalogue {
		f.Add(c.expr)
	}
	f.Add(`{"istio_requests_total", "reporter"="source"}`)
	f.Add(`{__name__=~"istio_.*"}`)
	f.Add(`rate(istio_requests_total{reporter="source"}[5m] offset 1h) or absent(istio_requests_total offset 5m)`)
	f.Add(`max_over_time(sum(rate(istio_requests_total[5m]))[1h:1m] @ end())`)
	w := worlds()
	b, err := promql.NewBench(promql.Input{Traffic: probed()}, []series.State{w[0], w[4]})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 400 {
			return
		}
		q, err := promql.Parse(text)
		if err != nil {
			return
		}
		b.Judge(q, 0, 1)
		if r := b.Rewrite(q); r.Form != promql.NoForm {
			if _, err := promql.Parse(r.Text); err != nil {
				t.Fatalf("%s became %s: %v", text, r.Text, err)
			}
		}
	})
}

// FuzzParseFilled: whatever a fill makes of a text, positions are of the text, and a rewrite keeps what is not edited.
func FuzzParseFilled(f *testing.F) {
	for _, c := range catalogue {
		f.Add(strings.ReplaceAll(c.expr, "reviews", "$service"), "$service", "reviews")
		f.Add(strings.ReplaceAll(c.expr, `"destination"`, `"$qrep"`), "$qrep", "destination")
	}
	f.Add(`x{a=~"[[z-a]]"} # [[z-a]]`, "[[z-a]]", `"} or y{b="`)
	w := worlds()
	b, err := promql.NewBench(promql.Input{Traffic: probed()}, []series.State{w[0], w[4]})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text, variable, value string) {
		if len(text) > 400 || len(value) > 50 || variable == "" {
			return
		}
		fill := strings.NewReplacer(variable, value).Replace
		q, err := promql.ParseFilled(text, fill)
		if err != nil {
			return
		}
		for _, s := range q.Selectors {
			if s.Start < 0 || s.End > len(text) || s.Start > s.End {
				t.Fatalf("selector at %d to %d of %q", s.Start, s.End, text)
			}
		}
		b.Judge(q, 0, 1)
		r := b.Rewrite(q)
		b.SameMinute(q, &r, 0, 0)
		if _, err := promql.ParseFilled(r.Text, fill); err != nil {
			t.Fatalf("%q filled with %q became %q: %v", text, value, r.Text, err)
		}
	})
}

// TestRecordingRules: verdict and rewrite follow a rule to where its result is used (Q33, Q34).
func TestRecordingRules(t *testing.T) {
	keeps := []promql.Rule{{Record: "workload:istio_requests_total", Expr: `sum without (instance, namespace, pod) (istio_requests_total)`}}
	drops := []promql.Rule{
		{Record: "mesh:rate5m", Expr: `sum by (destination_service_name) (service:rate5m)`},
		{Record: "service:rate5m", Expr: `sum by (destination_service_name, source_canonical_service) (rate(istio_requests_total[5m]))`},
	}
	circle := []promql.Rule{{Record: "a:b", Expr: `sum(b:c)`}, {Record: "b:c", Expr: `sum(a:b)`}}
	for _, tt := range []struct {
		name, expr   string
		rules        []promql.Rule
		l4, waypoint promql.Verdict
		form         promql.Form
	}{
		{"Q33 consumer", `sum(rate(workload:istio_requests_total{` + dst + `}[5m]))`, keeps, silent, silent, promql.N},
		{"Q34 dropped reporter", `mesh:rate5m{` + rev + `}`, drops, silent, half, promql.Keep},
		{"circle", `a:b`, circle, tell, tell, promql.NoForm},
		{"rule not read", `workload:istio_requests_total{` + dst + `}`, nil, tell, tell, promql.NoForm},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := worlds()
			b, err := promql.NewBench(promql.Input{Traffic: probed(), Rules: tt.rules}, []series.State{w[0], w[3], w[4]})
			if err != nil {
				t.Fatal(err)
			}
			q, err := promql.Parse(tt.expr)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range []promql.Verdict{tt.l4, tt.waypoint} {
				if got := b.Judge(q, 0, i+1); got.Verdict != want {
					t.Errorf("%s: %s, want %s: %s", w[3+i].Name, got.Verdict, want, got.Reason)
				}
			}
			promql.RewriteAll([]promql.Trial{{Bench: b, Query: q}}, promql.Names{})
			if got := b.Rewrite(q); got.Form != tt.form {
				t.Errorf("form %s, want %s: %s", got.Form, tt.form, got.Text)
			}
		})
	}
}
