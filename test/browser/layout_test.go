package browser

import (
	"bytes"
	"context"
	"regexp"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// tooWide names the elements that reach beyond the window, without those inside of an element that scrolls by itself.
const tooWide = `(() => {
	const out = [], edge = document.documentElement.clientWidth + 1;
	for (const e of document.body.querySelectorAll("*")) {
		if (e.getBoundingClientRect().right > edge && !e.closest(".scroll") && e.checkVisibility()) {
			out.push(e.tagName + "." + e.getAttribute("class") + " " + e.textContent.trim().slice(0, 60));
		}
	}
	if (document.documentElement.scrollWidth > edge - 1) { out.push("the page itself: " + document.documentElement.scrollWidth); }
	return out.slice(0, 10);
})()`

// Nobody has to scroll sideways to read: not on a phone, not where names are as long as Kubernetes lets them be, folded or unfolded.
func TestNoSidewaysScrolling(t *testing.T) {
	browser := newBrowser(t)
	small, _ := meshReport(t, 10)
	for name, html := range map[string][]byte{
		"example":  exampleReport(t),
		"kubeflow": corpusReport(t, "kubeflow"),
		"10":       small,
		"one word": hostileReport(t, longWord),
	} {
		t.Run(name, func(t *testing.T) {
			p := openReport(t, browser, html)
			for _, folded := range []bool{true, false} {
				if !folded {
					p.eval(openAll, nil)
				}
				for _, width := range []int64{360, 768, 1280} {
					p.size(width, 900)
					var wide []string
					p.eval(tooWide, &wide)
					for _, e := range wide {
						t.Errorf("%d px, folded %v: %s", width, folded, e)
					}
				}
			}
		})
	}
}

// longWord has no place to break at.
var longWord = string(bytes.Repeat([]byte("x"), 200))

func TestWideIsSeen(t *testing.T) {
	p := openReport(t, newBrowser(t), exampleReport(t))
	p.eval(`document.querySelector("h1").style.width = "3000px"; 0`, nil)
	var wide []string
	p.eval(tooWide, &wide)
	if len(wide) < 2 {
		t.Errorf("an element of 3000 pixels is not seen: %q", wide)
	}
}

// contrasts are the lowest contrasts of the picture of calls against what is behind, which axe does not look at: of its
// text, and of its arcs and circles. The luminance is that of WCAG 2.
const contrasts = `(() => {
	const luminance = c => {
		const [r, g, b] = c.match(/[\d.]+/g).slice(0, 3).map(x => x / 255).map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const ratio = (a, b) => { const [x, y] = [luminance(a), luminance(b)].sort((m, n) => n - m); return (x + 0.05) / (y + 0.05); };
	const style = e => getComputedStyle(e), svg = document.querySelector("svg");
	const behind = [style(svg).backgroundColor, ...[...svg.querySelectorAll(".band")].map(e => style(e).fill)];
	const lowest = colors => Math.min(...colors.flatMap(c => behind.map(b => ratio(c, b))));
	const all = selector => [...svg.querySelectorAll(selector)];
	return {
		page: luminance(style(document.body).backgroundColor),
		text: lowest(all("text").map(e => style(e).fill)),
		graphics: lowest([...all("path").map(e => style(e).stroke), ...all("circle, polygon").map(e => style(e).fill)]),
	};
})()`

// The picture of calls can be read in both schemes, and dark is dark. WCAG 2.2 asks for 4.5 where there is text (1.4.3), and
// for 3 where there are graphics (1.4.11).
func TestPictureContrast(t *testing.T) {
	browser := newBrowser(t)
	small, _ := meshReport(t, 10)
	p := openReport(t, browser, small)
	for _, scheme := range []string{"light", "dark"} {
		p.prefers(scheme)
		var got struct{ Page, Text, Graphics float64 }
		p.eval(contrasts, &got)
		if dark := got.Page < 0.1; dark != (scheme == "dark") {
			t.Errorf("%s: the luminance of the page is %.2f", scheme, got.Page)
		}
		if got.Text < 4.5 || got.Graphics < 3 {
			t.Errorf("%s: the contrast of the picture is %.1f for text, of which 4.5 is asked, and %.1f for graphics, of which 3 is", scheme, got.Text, got.Graphics)
		}
	}
}

// pdf prints the page as the print dialog does, on A4.
func (p *tab) pdf() []byte {
	p.t.Helper()
	var out []byte
	p.run(chromedp.ActionFunc(func(ctx context.Context) error {
		var err error
		out, _, err = cdppage.PrintToPDF().WithPaperWidth(8.27).WithPaperHeight(11.69).WithPrintBackground(true).Do(ctx)
		return err
	}))
	return out
}

var pdfPage = regexp.MustCompile(`/Type\s*/Page\b[^s]`)

// On paper nothing can be unfolded and nothing can be clicked: all must be there, dark on white whatever the screen is.
func TestPrint(t *testing.T) {
	p := openReport(t, newBrowser(t), exampleReport(t))
	p.prefers("dark")
	file := p.pdf()
	if pages := len(pdfPage.FindAll(file, -1)); !bytes.HasPrefix(file, []byte("%PDF-")) || pages < 3 {
		t.Fatalf("%d pages, %d bytes: %.20q", pages, len(file), file)
	}
	p.run(emulation.SetEmulatedMedia().WithMedia("print").WithFeatures(scheme("dark")))
	for expression, want := range map[string]float64{
		`[...document.querySelectorAll("details")].filter(d => d.scrollHeight <= d.querySelector("summary").scrollHeight + 4).length`:                         0,
		`[...document.querySelectorAll("details > :not(summary)")].filter(e => e.getBoundingClientRect().height === 0 && e.textContent.trim() !== "").length`: 0,
		`[...document.querySelectorAll("form, nav, .skip")].filter(e => e.checkVisibility()).length`:                                                          0,
		`[...document.querySelectorAll("#list > details")].filter(e => !e.checkVisibility({contentVisibilityAuto: true})).length`:                             0,
	} {
		if got := p.number(expression); got != want {
			t.Errorf("%s: %v, want %v", expression, got, want)
		}
	}
	var paper struct{ Page, Text, Graphics float64 }
	p.eval(contrasts, &paper)
	if paper.Page < 0.9 || paper.Text < 4.5 || paper.Graphics < 3 {
		t.Errorf("on paper: %+v, want white behind, 4.5 for text and 3 for graphics", paper)
	}
	if broken, _ := p.audit(); len(broken) > 0 {
		t.Errorf("on paper: %+v", broken)
	}
}
