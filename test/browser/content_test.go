package browser

import (
	"fmt"
	"strings"
	"testing"
)

// What a team lead looks for stands in the window at once or behind the first click: the verdict, the numbers, the waves,
// each decision.
func TestContent(t *testing.T) {
	p := openReport(t, newBrowser(t), exampleReport(t))
	if title := p.text(`document.title`); !strings.Contains(title, "not complete") {
		t.Errorf("the title %q does not say that the plan is not complete", title)
	}
	for _, tt := range []struct{ where, want string }{
		{"h1", "From sidecars to ambient mode"},
		{".verdict", "do not start yet"},
		{".verdict", "unknowns are neither resolved nor waived"},
		{".numbers", "services"},
		{".numbers", "states proved"},
		{".boxes", "bookinfo"},
		{".boxes", "books"},
		{"#list", "reviews"},
		{"#list", "Waypoint"},
		{"svg", "productpage"},
	} {
		if got := p.text(fmt.Sprintf(`[...document.querySelectorAll(%s)].map(e => e.textContent).join("\n")`, quoted(tt.where))); !strings.Contains(got, tt.want) {
			t.Errorf("%s does not say %q: %.200q", tt.where, tt.want, got)
		}
	}
	// The verdict and the numbers need no scrolling on a desk.
	for _, e := range []string{".verdict", ".numbers"} {
		if bottom := p.number(fmt.Sprintf(`document.querySelector(%s).getBoundingClientRect().bottom`, quoted(e))); bottom > 900 {
			t.Errorf("%s ends %v pixels down", e, bottom)
		}
	}
	for id, n := range map[string]float64{
		`links to nothing`:    p.number(`[...document.querySelectorAll("a[href]")].filter(a => !document.getElementById(a.hash.slice(1))).length`),
		`ids that are double`: p.number(`(ids => ids.length - new Set(ids).size)([...document.querySelectorAll("[id]")].map(e => e.id))`),
	} {
		if n != 0 {
			t.Errorf("%v %s", n, id)
		}
	}
}

// A link to a part that is folded unfolds it: links in messages to colleagues lead there.
func TestLinksUnfold(t *testing.T) {
	p := openReport(t, newBrowser(t), exampleReport(t))
	var ok bool
	p.eval(`document.querySelector('.head a[href="#wave-1"]').click(); new Promise(r => setTimeout(() => r(document.getElementById("wave-1").open), 200))`, &ok)
	if !ok {
		t.Error("the link to wave 1 does not unfold it")
	}
	if top := p.number(`document.getElementById("wave-1").getBoundingClientRect().top`); top < -1 || top > 300 {
		t.Errorf("wave 1 is %v pixels down the window", top)
	}
}

// Without JavaScript the report is whole; only what cannot work is not there.
func TestWithoutScript(t *testing.T) {
	p := openReport(t, newBrowser(t), exampleReport(t))
	p.withoutScript()
	html, hidden := p.visible("#list > details"), p.visible("#filters")
	if html == 0 || hidden != 0 {
		t.Errorf("%d decisions and %d forms can be seen", html, hidden)
	}
}
