package browser

import (
	"testing"
	"time"
)

// Names and reasons come from whoever may write to the cluster. Shown in a browser they stay text: nothing runs, nothing is
// asked for, no element, attribute or style comes from them.
func TestHostileText(t *testing.T) {
	browser := newBrowser(t)
	// The page that the same plan makes with a text that means nothing: the elements have to be the same ones.
	plain := openReport(t, browser, hostileReport(t, "zz9"))
	plain.eval(openAll, nil)
	const shape = `(() => {
		const count = {};
		for (const e of document.querySelectorAll("*")) {
			const key = e.tagName + " " + [...e.attributes].map(a => a.name).sort().join(",");
			count[key] = (count[key] || 0) + 1;
		}
		return JSON.stringify(Object.entries(count).sort());
	})()`
	want := plain.text(shape)
	for _, text := range []string{
		`<img src=x onerror=alert(1)>`,
		`"><script>alert(1)</script>`,
		`' autofocus onfocus=alert(1) x='`,
		`</title></style></script></textarea><svg/onload=alert(1)>`,
		`javascript:alert(1)//`,
		`--><iframe srcdoc="<script>parent.alert(1)</script>">`,
		"`${alert(1)}`{{alert(1)}}",
		`<meta http-equiv=refresh content=0;url=http://meta.invalid>`,
		`<style>*{background:url(http://css.invalid)}</style><base href=http://base.invalid><link rel=stylesheet href=http://link.invalid>`,
		`&lt;img src=x onerror=alert(1)&gt;&#60;script&#62;`,
	} {
		t.Run(text, func(t *testing.T) {
			p := openReport(t, browser, hostileReport(t, text))
			p.eval(openAll, nil)
			if got := p.text(shape); got != want {
				t.Errorf("the text changes the elements of the page:\n%s\nwant\n%s", got, want)
			}
			var n int
			p.eval(`document.body.textContent.split(`+quoted(text)+`).length - 1`, &n)
			if n < 50 {
				t.Errorf("the text stands there %d times: the report does not show it as it is", n)
			}
			// Searching for it and choosing it run through the script.
			p.fill("#q", text)
			p.wait(`document.getElementById("shown").textContent !== ""`, 5*time.Second)
			p.eval(`document.querySelectorAll("select").forEach(s => { s.selectedIndex = s.options.length - 1; s.dispatchEvent(new Event("change")); }); new Promise(r => setTimeout(() => r(0), 300))`, nil)
		})
	}
}
