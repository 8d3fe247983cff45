package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/internal/meshgen"
	"github.com/ambientplan/ambientplan/planner"
)

// unfold opens everything, so that what is folded is judged too.
const unfold = `document.querySelectorAll("details").forEach(d => { d.open = true })`

// generated is the plan of a generated mesh.
func generated(t testing.TB, namespaces int) *api.MigrationPlan {
	t.Helper()
	size := meshgen.Size(namespaces * 30)
	size.Namespaces, size.Services = namespaces, namespaces*10
	p, err := planner.Plan(context.Background(), planner.Input{Inventory: meshgen.Generate(size)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Each report loads nothing, says nothing to the console, and fits into a phone, a tablet and a desk, folded and unfolded.
func TestReportFits(t *testing.T) {
	browser := start(t)
	for name, p := range map[string]*api.MigrationPlan{
		"bookinfo": example(t, "bookinfo"), "online-boutique": example(t, "online-boutique"), "generated": generated(t, 30), "hostile": hostile(t),
	} {
		t.Run(name, func(t *testing.T) {
			file := written(t, p)
			for _, width := range []int64{360, 768, 1280} {
				tab, h := open(t, browser, file, width, 800, false)
				picture(t, tab, file, fmt.Sprintf("%d", width))
				for _, state := range []string{"folded", "unfolded"} {
					if state == "unfolded" {
						run(t, tab, chromedp.Evaluate(unfold, nil))
					}
					if over := value[int](t, tab, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
						widest := value[string](t, tab, `(() => { let w = null, r = 0; document.querySelectorAll("main *").forEach(e => { const b = e.getBoundingClientRect(); if (b.right > r && !e.closest(".scroll")) { r = b.right; w = e } }); return w.outerHTML.slice(0, 300) })()`)
						t.Errorf("%d pixels wide, %s: the page is %d pixels wider: %s", width, state, over, widest)
					}
				}
				h.quiet(t, address(file))
			}
			if got, want := value[int](t, first(t, browser, file), `document.querySelectorAll("#list > details").length`), len(p.Decisions); got != want {
				t.Errorf("the page shows %d decisions, the plan has %d", got, want)
			}
		})
	}
}

func first(t *testing.T, browser context.Context, file string) context.Context {
	tab, _ := open(t, browser, file, 1280, 800, false)
	return tab
}

// axe-core finds no violation, in light and dark, on a desk and a phone, with everything unfolded.
func TestReportIsAccessible(t *testing.T) {
	browser := start(t)
	axe, err := os.ReadFile("testdata/axe-core/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bookinfo", "online-boutique", "generated"} {
		t.Run(name, func(t *testing.T) {
			var p *api.MigrationPlan
			if name == "generated" {
				p = generated(t, 10)
			} else {
				p = example(t, name)
			}
			file := written(t, p)
			for _, dark := range []bool{false, true} {
				for _, width := range []int64{360, 1280} {
					tab, _ := open(t, browser, file, width, 800, dark)
					picture(t, tab, file, fmt.Sprintf("axe-%d-dark-%v", width, dark))
					run(t, tab, chromedp.Evaluate(unfold, nil), chromedp.Evaluate(string(axe), nil))
					for _, v := range violations(t, tab) {
						t.Errorf("dark %v, %d pixels: %s", dark, width, v)
					}
				}
			}
		})
	}
}

// violations runs axe in the page.
func violations(t *testing.T, tab context.Context) []string {
	t.Helper()
	var text string
	const script = `axe.run(document, {resultTypes: ["violations"]}).then(r => JSON.stringify({passes: r.passes.length, violations: r.violations.map(v => v.id + ": " + v.help + ": " + v.nodes.slice(0, 3).map(n => n.html.slice(0, 200) + " " + n.failureSummary).join(" | "))}))`
	run(t, tab, chromedp.Evaluate(script, &text, awaited))
	var got struct {
		Passes     int      `json:"passes"`
		Violations []string `json:"violations"`
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if got.Passes < 10 {
		t.Errorf("axe passed %d rules: it did not look at the page", got.Passes)
	}
	return got.Violations
}

// The report is used without a mouse: skip link, search, filters, and back to everything.
func TestReportByKeyboard(t *testing.T) {
	browser := start(t)
	p := example(t, "online-boutique")
	tab, h := open(t, browser, written(t, p), 1280, 800, false)
	shown := func(want string) {
		t.Helper()
		eventually(t, "the page says "+want, func() bool { return value[string](t, tab, `document.getElementById("shown").textContent`) == want })
	}
	focus := func() string {
		return value[string](t, tab, `document.activeElement.id || document.activeElement.textContent`)
	}

	all := len(p.Decisions)
	shown(fmt.Sprintf("%d of %d shown", all, all))
	run(t, tab, chromedp.KeyEvent(kb.Tab))
	if got := focus(); got != "Skip to the plan" {
		t.Errorf("the first stop is %q, want the skip link", got)
	}
	if !value[bool](t, tab, `document.activeElement.getBoundingClientRect().left >= 0`) {
		t.Error("the skip link has the focus and is not seen")
	}
	for i := 0; focus() != "q"; i++ {
		if i > 400 {
			t.Fatal("the search cannot be reached with the tabulator")
		}
		run(t, tab, chromedp.KeyEvent(kb.Tab))
	}
	run(t, tab, chromedp.KeyEvent("subject-that-nobody-has"))
	shown(fmt.Sprintf("0 of %d shown", all))
	run(t, tab, chromedp.Evaluate(`document.getElementById("q").select()`, nil), chromedp.KeyEvent("boutique/paymentservice"))
	visible := `Array.from(document.querySelectorAll("#list > details")).filter(d => d.offsetParent !== null).map(d => d.querySelector("strong").textContent).join("|")`
	eventually(t, "the search shows one service", func() bool {
		got := value[string](t, tab, visible)
		return strings.Contains(got, "paymentservice") && !strings.Contains(got, "|onlineboutique/checkoutservice")
	})
	// The first option of each list means all; the arrow takes the next.
	run(t, tab, chromedp.KeyEvent(kb.Tab))
	if got := focus(); got != "kind" {
		t.Fatalf("after the search comes %q, want the filter by decision", got)
	}
	run(t, tab, chromedp.Evaluate(`document.getElementById("q").value = ""`, nil), chromedp.KeyEvent(kb.ArrowDown))
	kind := value[string](t, tab, `document.getElementById("kind").value`)
	of := 0
	for i := range p.Decisions {
		if string(p.Decisions[i].Kind) == kind {
			of++
		}
	}
	if kind == "" || of == 0 || of == all {
		t.Fatalf("the filter is %q, of which the plan has %d of %d", kind, of, all)
	}
	shown(fmt.Sprintf("%d of %d shown", of, all))
	for focus() != "Clear" {
		run(t, tab, chromedp.KeyEvent(kb.Tab))
	}
	run(t, tab, chromedp.KeyEvent(kb.Enter))
	shown(fmt.Sprintf("%d of %d shown", all, all))
	// A link to a wave opens it.
	run(t, tab, chromedp.Evaluate(`document.querySelector('a[href="#wave-1"]').focus()`, nil), chromedp.KeyEvent(kb.Enter))
	eventually(t, "the link to wave 1 opens it", func() bool { return value[bool](t, tab, `document.getElementById("wave-1").open`) })
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.console) > 0 {
		t.Errorf("the console says %q", h.console)
	}
}

// On paper everything is unfolded and no control is left; without the script everything is there as well.
func TestReportOnPaper(t *testing.T) {
	browser := start(t)
	p := example(t, "online-boutique")
	file := written(t, p)
	tab, _ := open(t, browser, file, 1280, 800, false)
	run(t, tab, emulation.SetEmulatedMedia().WithMedia("print"))
	const folded = `Array.from(document.querySelectorAll("details:not([open]) > :not(summary)")).filter(e => e.textContent.trim() && e.getBoundingClientRect().height === 0).length`
	if n := value[int](t, tab, folded); n > 0 {
		t.Errorf("%d parts stay folded in print", n)
	}
	if value[bool](t, tab, `document.getElementById("filters").offsetParent !== null`) {
		t.Error("the filters are printed")
	}
	var pdf []byte
	run(t, tab, chromedp.ActionFunc(func(ctx context.Context) (err error) {
		pdf, _, err = page.PrintToPDF().WithPreferCSSPageSize(true).Do(ctx)
		return err
	}))
	if n := strings.Count(string(pdf), "/Type /Page\n"); !strings.HasPrefix(string(pdf), "%PDF") || n < len(p.Waves) {
		t.Errorf("%d bytes of PDF have %d pages, want at least one for each of %d waves", len(pdf), n, len(p.Waves))
	}

	tab, _ = open(t, browser, file, 1280, 800, false)
	run(t, tab, emulation.SetScriptExecutionDisabled(true), chromedp.Reload())
	var text string
	var forms int
	run(t, tab, chromedp.OuterHTML("html", &text, chromedp.ByQuery), chromedp.Evaluate(`Array.from(document.forms).filter(f => f.offsetParent !== null).length`, &forms))
	if forms > 0 {
		t.Error("without the script there are controls that do nothing")
	}
	for i := range p.Decisions {
		if !strings.Contains(text, p.Decisions[i].Service) {
			t.Errorf("without the script decision %s is missing", p.Decisions[i].Service)
		}
	}
}

// payloads are names that would run, load or break something if they were taken for anything but text.
var payloads = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(2)>`, `</style><script>alert(3)</script>`, `</title><svg onload=alert(4)>`,
	`javascript:alert(5)`, `' onmouseover='alert(6)`, `{{.}}`, "line\nfeed", "\u202egnp.exe", `<iframe src="https://example.com"></iframe>`,
	`<meta http-equiv=refresh content="0;url=https://example.com">`, strings.Repeat("long", 80), `&lt;b&gt;`, `<!--`, `]]>`, "\x00\x1b[2J",
}

// hostile is the plan of an example whose names and sentences are payloads.
func hostile(t testing.TB) *api.MigrationPlan {
	p := example(t, "online-boutique")
	i := 0
	next := func() string { i++; return payloads[i%len(payloads)] }
	for k := range p.Decisions {
		d := &p.Decisions[k]
		d.Service, d.Why, d.Team, d.Owner, d.Contact, d.Kind = next(), next(), next(), next(), next(), api.DecisionKind(next())
	}
	for k := range p.Findings {
		p.Findings[k].Message, p.Findings[k].Effect, p.Findings[k].ID = next(), next(), next()
	}
	for k := range p.Unknowns {
		p.Unknowns[k].What, p.Unknowns[k].Could = next(), next()
	}
	for k := range p.Namespaces {
		p.Namespaces[k].Team, p.Namespaces[k].Owner = next(), next()
	}
	for k := range p.Waves {
		p.Waves[k].Reasons = payloads
		for s := range p.Waves[k].Steps {
			p.Waves[k].Steps[s].What = next()
			for c := range p.Waves[k].Steps[s].Checks {
				p.Waves[k].Steps[s].Checks[c].What, p.Waves[k].Steps[s].Checks[c].Command = next(), next()
			}
		}
	}
	p.Tool, p.Digest, p.Incomplete = next(), next(), payloads
	return p
}

// Hostile names are text: no element, no handler, no dialog comes of them. TestReportFits has seen that they load nothing.
func TestReportHostileNames(t *testing.T) {
	browser := start(t)
	file := written(t, hostile(t))
	tab, h := open(t, browser, file, 1280, 800, false)
	run(t, tab, chromedp.Evaluate(unfold, nil), chromedp.Evaluate(`document.querySelectorAll("summary").forEach(s => s.dispatchEvent(new MouseEvent("mouseover", {bubbles: true})))`, nil))
	if n := value[int](t, tab, `document.querySelectorAll("img, iframe, object, embed, script:not(:last-of-type), body svg[onload], meta[http-equiv=refresh]").length`); n > 0 {
		t.Errorf("%d elements came of names", n)
	}
	if n := value[int](t, tab, `Array.from(document.querySelectorAll("*")).filter(e => Array.from(e.attributes).some(a => a.name.startsWith("on"))).length`); n > 0 {
		t.Errorf("%d elements have handlers", n)
	}
	if !value[bool](t, tab, `document.body.textContent.includes("<script>alert(1)</script>")`) {
		t.Error("the name of a script is not shown as text")
	}
	h.quiet(t, address(file))
}

// A mesh of 500 namespaces opens, and its search answers. Times are said, not judged: machines differ.
func TestReportOfLargeMesh(t *testing.T) {
	if testing.Short() {
		t.Skip("plans 500 namespaces")
	}
	browser := start(t)
	for _, namespaces := range []int{10, 100, 500} {
		p := generated(t, namespaces)
		file := written(t, p)
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		tab, h := open(t, browser, file, 1280, 800, false)
		loaded := time.Since(began)
		name := p.Decisions[len(p.Decisions)/2]
		began = time.Now()
		run(t, tab, chromedp.Focus("#q", chromedp.ByQuery), chromedp.KeyEvent(name.Namespace+"/"+name.Service))
		eventually(t, "the search answers", func() bool {
			return value[bool](t, tab, fmt.Sprintf(`!document.getElementById("shown").textContent.startsWith("%d of")`, len(p.Decisions)))
		})
		searched := time.Since(began)
		if n := value[int](t, tab, `Array.from(document.querySelectorAll("#list > details")).filter(d => !d.hidden).length`); n == 0 || n > 40 {
			t.Errorf("%d namespaces: the search for one service shows %d", namespaces, n)
		}
		picture(t, tab, file, fmt.Sprintf("%d-namespaces", namespaces))
		t.Logf("%d namespaces, %d decisions, %d KB: opened in %d ms, searched in %d ms", namespaces, len(p.Decisions), info.Size()/1024, loaded.Milliseconds(), searched.Milliseconds())
		h.quiet(t, address(file))
	}
}
