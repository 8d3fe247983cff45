package browser

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
)

// focused describes the element that has the focus, and where it stands.
type focused struct {
	Tag, ID, Text        string
	Outline              string
	Top, Bottom, Visible float64
}

func (p *tab) focus() focused {
	p.t.Helper()
	var f focused
	p.eval(`(e => { const s = getComputedStyle(e), r = e.getBoundingClientRect(); return {
		tag: e.tagName, id: e.id, text: (e.textContent || "").trim().slice(0, 40), outline: s.outlineStyle + " " + s.outlineWidth, top: r.top, bottom: r.bottom,
		visible: r.width * r.height}; })(document.activeElement)`, &f)
	return f
}

// tabTo presses Tab until an element has the focus.
func (p *tab) tabTo(id string) {
	p.t.Helper()
	for range 300 {
		p.key(kb.Tab)
		if p.text(`document.activeElement.id`) == id {
			return
		}
	}
	p.t.Fatalf("Tab does not reach #%s", id)
}

// Every element that can have the focus gets it by Tab, shows it, and lets it go.
func TestTabOrder(t *testing.T) {
	p := openReport(t, newBrowser(t), exampleReport(t))
	want := int(p.number(`[...document.querySelectorAll("a[href], summary, input, select, button, [tabindex]")].filter(e => e.checkVisibility()).length`))
	p.key(kb.Tab)
	if f := p.focus(); !strings.HasPrefix(f.Text, "Skip to") || f.Top < 0 {
		t.Errorf("the first Tab leads to %+v, want the link that skips, in sight", f)
	}
	got := 1
	for p.key(kb.Tab); got <= 2*want; p.key(kb.Tab) {
		f := p.focus()
		if f.Tag == "BODY" {
			break
		}
		got++
		if strings.HasPrefix(f.Outline, "none") || f.Outline == "auto 0px" || f.Visible == 0 {
			t.Errorf("nobody sees that %+v has the focus", f)
		}
		if f.Bottom < 0 || f.Top > 900 {
			t.Errorf("%+v has the focus and is not in the window", f)
		}
	}
	if got != want {
		t.Errorf("Tab reaches %d elements of %d", got, want)
	}
}

// The link that skips leads past the header: the next Tab is in the plan.
func TestSkipLink(t *testing.T) {
	p := openReport(t, newBrowser(t), exampleReport(t))
	p.key(kb.Tab)
	p.key(kb.Enter)
	p.key(kb.Tab)
	if p.text(`String(!!document.activeElement.closest("main"))`) != "true" {
		t.Errorf("after the link that skips, Tab leads to %+v", p.focus())
	}
}

// Search and filters work without a mouse, say how much is left, and do not forget what the others hide.
func TestSearchByKeyboard(t *testing.T) {
	p := openReport(t, newBrowser(t), corpusReport(t, "online-boutique"))
	all := p.visible("#list > details")
	if all < 10 || !strings.HasPrefix(p.text(`shown.textContent`), fmt.Sprintf("%d of %d", all, all)) {
		t.Fatalf("%d decisions, and the page says %q", all, p.text(`shown.textContent`))
	}
	shows := func(n int) string { return fmt.Sprintf(`shown.textContent.startsWith("%d of %d")`, n, all) }

	p.tabTo("q")
	p.key("CARTservice")
	p.wait(`!`+shows(all), 5*time.Second)
	if n := p.visible("#list > details"); n == 0 || n == all || !strings.HasPrefix(p.text(`shown.textContent`), fmt.Sprintf("%d of", n)) {
		t.Errorf("%d of %d shown for a name, and the page says %q", n, all, p.text(`shown.textContent`))
	}
	if first := p.text(`[...document.querySelectorAll("#list > details")].find(d => d.checkVisibility()).textContent`); !strings.Contains(first, "cartservice") {
		t.Errorf("the first shown is %.80q", first)
	}
	p.key(" nothing-has-this-name")
	p.wait(shows(0), 5*time.Second)
	if n := p.visible("#list > details"); n != 0 {
		t.Errorf("%d shown for a name that nothing has", n)
	}
	// Escape clears a search field.
	p.key(kb.Escape)
	p.wait(shows(all), 5*time.Second)

	p.key(kb.Tab)
	kind := p.text(`document.getElementById("kind").options[1].value`)
	p.key(kind[:1])
	p.wait(`document.getElementById("kind").value === `+quoted(kind), 5*time.Second)
	if n := p.visible(fmt.Sprintf("#list > details:not([data-k=%s])", quoted(kind))); n != 0 {
		t.Errorf("%d shown that are not %s", n, kind)
	}
	p.tabTo("wave")
	p.key("-")
	p.tabTo("q")
	p.key("x")
	for range 20 {
		if p.focus().Tag == "BUTTON" {
			break
		}
		p.key(kb.Tab)
	}
	p.key(" ")
	p.wait(shows(all), 5*time.Second)
	if left := p.text(`document.getElementById("q").value + document.getElementById("kind").value`); left != "" {
		t.Errorf("Clear leaves %q", left)
	}
	// The next Tab is the first decision; Enter unfolds it.
	p.key(kb.Tab)
	p.key(kb.Enter)
	if p.text(`String(document.querySelector("#list > details").open)`) != "true" {
		t.Errorf("Enter does not unfold %+v", p.focus())
	}
}

// A mesh of 500 namespaces opens, and answers while somebody types. The limits are for a slow machine; the log has the times.
func TestLargeMesh(t *testing.T) {
	if testing.Short() {
		t.Skip("a report of 500 namespaces")
	}
	browser := newBrowser(t)
	for _, namespaces := range []int{10, 100, 500} {
		t.Run(fmt.Sprint(namespaces), func(t *testing.T) {
			html, wrote := meshReport(t, namespaces)
			begin := time.Now()
			p := openReport(t, browser, html)
			p.wait(`document.readyState === "complete" && shown.textContent !== ""`, time.Minute)
			loaded := time.Since(begin)
			total := p.number(`document.querySelectorAll("#list > details").length`)
			if int(total) < namespaces*9 {
				t.Errorf("%v decisions for %d namespaces", total, namespaces)
			}
			var times []time.Duration
			for _, words := range []string{"catalog-1", "catalog", "waypoint authorizationpolicy", "nothing-has-this-name", ""} {
				before := p.text(`shown.textContent`)
				from := time.Now()
				p.fill("#q", words)
				p.wait(`shown.textContent !== `+quoted(before), 20*time.Second)
				// With the layout that follows from it.
				p.eval(`document.body.offsetHeight`, nil)
				times = append(times, time.Since(from))
			}
			p.size(360, 800)
			if width := p.number(`document.documentElement.scrollWidth`); width > 360 {
				t.Errorf("%v pixels wide on a phone of 360", width)
			}
			t.Logf("%d namespaces: %d bytes, written in %v, opened in %v, searches %v, %v elements, %v pixels high on a phone",
				namespaces, len(html), wrote, loaded, times, p.number(`document.querySelectorAll("*").length`), p.number(`document.body.scrollHeight`))
			if loaded > 30*time.Second {
				t.Errorf("opened in %v", loaded)
			}
			for _, d := range times {
				if d > 5*time.Second {
					t.Errorf("a search took %v", d)
				}
			}
		})
	}
}
