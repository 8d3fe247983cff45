package render

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"regexp"
	"strings"
	"testing"

	dom "golang.org/x/net/html"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

func reportOf(t *testing.T, p *api.MigrationPlan, format string) string {
	t.Helper()
	b, err := Report(p, format)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Report(p, format)
	if err != nil || !bytes.Equal(b, again) {
		t.Fatalf("two reports of one plan differ (%v)", err)
	}
	return string(b)
}

// parsed is the HTML as a browser takes it: its text, and its elements.
func parsed(t *testing.T, text string) (words string, elements []*dom.Node) {
	t.Helper()
	root, err := dom.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for n := range root.Descendants() {
		switch {
		case n.Type == dom.TextNode:
			b.WriteString(n.Data)
		case n.Type == dom.ElementNode:
			elements = append(elements, n)
		}
	}
	return b.String(), elements
}

// saidOf is everything of a plan that both formats have to say.
func saidOf(p *api.MigrationPlan) []string {
	var out []string
	add := func(list ...string) {
		for _, s := range list {
			if plain(s) != "" {
				out = append(out, plain(s))
			}
		}
	}
	add(p.Incomplete...)
	for _, f := range p.Findings {
		add(f.ID, f.Message, f.Effect, f.Action, f.ConsentedBy)
		add(evidenceLines(f.Evidence)...)
	}
	for _, u := range p.Unknowns {
		add(u.ID, u.What, u.Could, u.Action, u.WaivedBy)
	}
	for _, d := range p.Decisions {
		add(subjectName(&d), d.Why, d.Cheaper, d.Team, d.Owner, d.Contact)
		for _, n := range d.Needs {
			add(n.Reason)
			add(evidenceLines(n.Evidence)...)
		}
	}
	for _, c := range p.Constraints {
		add(c.Reason, c.Broken)
	}
	for _, h := range p.Held {
		add(h.Name)
		add(h.Reasons...)
	}
	for _, o := range p.Objects {
		add(o.Object.String(), o.Why, o.Proof, o.Source)
	}
	for _, n := range p.Namespaces {
		add(n.Name)
	}
	for _, w := range p.Waves {
		add(w.Name)
		add(w.Reasons...)
		for _, s := range w.Steps {
			add(s.Name, s.What)
			for _, c := range s.Checks {
				add(c.What, c.Expect)
			}
			for _, c := range s.Changes {
				add(c.Why, c.Manual, c.Object.String())
			}
			for _, b := range s.Rollback {
				add(b.Name, b.What)
			}
		}
	}
	EachProof(p, func(_ StateRef, _ []string, x api.Proof) {
		for _, c := range x.Counterexamples {
			g := gapOf(c)
			add(g.ID, g.Head, g.Before, g.After, g.Consented)
		}
	})
	return out
}

// Both formats say everything: what stands in a plan and not in its report is what nobody reads before the night.
func TestReportSaysEverything(t *testing.T) {
	plans := map[string]*api.MigrationPlan{"by hand": load(t, "testdata/by-hand/plan.yaml"), "hostile": hostilePlan()}
	for _, example := range []string{"bookinfo", "online-boutique"} {
		plans[example] = load(t, "../examples/"+example+"/out/plan.yaml")
	}
	for name, p := range plans {
		t.Run(name, func(t *testing.T) {
			words, _ := parsed(t, reportOf(t, p, "html"))
			md := reportOf(t, p, "markdown")
			missing := 0
			for _, s := range saidOf(p) {
				if !strings.Contains(words, s) {
					missing++
					t.Errorf("the HTML does not say %q", s)
				}
				if !strings.Contains(md, mdText(s)) && !strings.Contains(md, strings.TrimPrefix(mdText(s), "\\")) {
					missing++
					t.Errorf("the Markdown does not say %q", s)
				}
				if missing > 20 {
					t.Fatal("and more")
				}
			}
		})
	}
}

// A plan that is not complete says so before anything else, in the title too.
func TestReportVerdictFirst(t *testing.T) {
	p := load(t, "testdata/by-hand/plan.yaml")
	for _, tt := range []struct {
		complete bool
		why      []string
		want     string
	}{
		{true, nil, "Complete: nothing is unknown"},
		{false, []string{"because of this"}, "because of this"},
		{false, nil, "the plan says that it is not complete, and not why"},
	} {
		p.Complete, p.Incomplete = tt.complete, tt.why
		for _, format := range []string{"html", "markdown"} {
			text := reportOf(t, p, format)
			body := text[strings.Index(text, "From sidecars"):]
			at, numbers := strings.Index(body, tt.want), strings.Index(body, "namespace")
			if at < 0 || at > numbers {
				t.Errorf("%s, complete %v: %q stands at %d, the numbers at %d", format, tt.complete, tt.want, at, numbers)
			}
			if not := strings.Contains(strings.ToLower(body), "not complete: do not start yet"); not == tt.complete {
				t.Errorf("%s, complete %v: says not complete: %v", format, tt.complete, not)
			}
		}
		if text := reportOf(t, p, "html"); strings.Contains(text, "plan not complete</title>") == tt.complete {
			t.Errorf("complete %v: the title says otherwise", tt.complete)
		}
	}
}

// The file loads nothing and runs nothing but its own script, whatever names it shows.
func TestReportIsInert(t *testing.T) {
	text := reportOf(t, hostilePlan(), "html")
	_, elements := parsed(t, text)
	scripts, styles := 0, 0
	for _, e := range elements {
		switch e.Data {
		case "script":
			scripts++
		case "style":
			styles++
		case "img", "iframe", "object", "embed", "link", "base", "audio", "video", "source", "image", "use":
			t.Errorf("the report has an element <%s>", e.Data)
		}
		for _, a := range e.Attr {
			switch {
			case strings.HasPrefix(a.Key, "on"), a.Key == "style", a.Key == "src", a.Key == "srcset", a.Key == "action", a.Key == "formaction":
				t.Errorf("<%s> has %s=%q", e.Data, a.Key, a.Val)
			case a.Key == "href" && !regexp.MustCompile(`^#[a-z0-9-]+$`).MatchString(a.Val):
				t.Errorf("a link leaves the file: %q", a.Val)
			}
		}
	}
	if scripts != 1 || styles != 1 {
		t.Errorf("%d scripts and %d styles, want one of each", scripts, styles)
	}
	if strings.ContainsAny(text, "\x1b\u202e") {
		t.Error("the HTML holds a control character")
	}
	checkInert(t, "report.md", reportOf(t, hostilePlan(), "markdown"))
}

// The policy of the file allows the very style and script that stand in it: one byte off, and a browser would run neither.
func TestReportPolicy(t *testing.T) {
	text := reportOf(t, load(t, "testdata/by-hand/plan.yaml"), "html")
	_, elements := parsed(t, text)
	policy := ""
	for _, e := range elements {
		if e.Data == "meta" && len(e.Attr) == 2 && e.Attr[0].Val == "Content-Security-Policy" {
			policy = e.Attr[1].Val
		}
	}
	if !strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "unsafe") {
		t.Fatalf("the policy is %q", policy)
	}
	for _, e := range elements {
		if e.Data == "style" || e.Data == "script" {
			sum := sha256.Sum256([]byte(e.FirstChild.Data))
			if want := e.Data + "-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, want) {
				t.Errorf("the policy %q does not allow the %s of the file: %s", policy, e.Data, want)
			}
		}
	}
}

// Rows of the picture are namespaces, services of the only namespace, or waves of a large mesh; what is not drawn is said.
func TestCallPicture(t *testing.T) {
	ref := func(ns, name string) api.Ref { return api.Ref{Kind: "Deployment", Namespace: ns, Name: name} }
	call := func(a, b string) api.Edge {
		return api.Edge{From: ref(a, "x"), To: api.Ref{Kind: "Service", Namespace: b, Name: "y"}}
	}
	p := &api.MigrationPlan{
		Namespaces: []api.PlanNamespace{{Name: "a", Wave: 2}, {Name: "b", Wave: 1}, {Name: "c"}},
		Calls:      []api.Edge{call("a", "b"), call("a", "b"), call("zzz", "a"), call("b", "b")},
		Constraints: []api.Constraint{{Before: api.StepRef{Namespace: "b"}, After: api.StepRef{Namespace: "a"}, Reason: "servers first"},
			{Before: api.StepRef{Namespace: "a", Step: "enrol"}, After: api.StepRef{Namespace: "a", Step: "cutover"}}},
	}
	got := callsOf(p)
	var rows []string
	for _, r := range got.Rows {
		rows = append(rows, r.Full)
	}
	if want := "b (wave 1)|a (wave 2)|c (in no wave)|outside of the plan"; strings.Join(rows, "|") != want {
		t.Errorf("rows are %q, want %q", rows, want)
	}
	want := []callLine{{"b", "a", "goes first", "servers first"}, {"a", "b", "1 call", ""}, {outsidePlan, "a", "1 call", ""}}
	if len(got.Lines) != len(want) || len(got.Arcs) != len(want) {
		t.Fatalf("%+v and %d arcs, want %+v", got.Lines, len(got.Arcs), want)
	}
	for i := range want {
		if got.Lines[i] != want[i] || got.Arcs[i].Order != (i == 0) {
			t.Errorf("line %d is %+v (order %v), want %+v", i, got.Lines[i], got.Arcs[i].Order, want[i])
		}
	}

	for i := range maxRows {
		p.Namespaces = append(p.Namespaces, api.PlanNamespace{Name: strings.Repeat("n", i+2), Wave: 3})
	}
	if got := callsOf(p); got.By != "wave" || len(got.Rows) != 5 || len(got.Notes) == 0 {
		t.Errorf("a large mesh has %d rows by %s, notes %q", len(got.Rows), got.By, got.Notes)
	}
	if got := callsOf(&api.MigrationPlan{Namespaces: []api.PlanNamespace{{Name: "a", Wave: 1}}}); got.By != "service" || len(got.Notes) != 1 {
		t.Errorf("one namespace is shown by %s, notes %q: that no call is known has to be said", got.By, got.Notes)
	}
}
