package browser

import (
	"fmt"
	"os"
	"testing"
)

// violation is a rule of axe that elements break.
type violation struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML           string
		FailureSummary string
	}
}

// openAll opens every part of the page that is folded.
const openAll = `document.querySelectorAll("details").forEach(d => { d.open = true; }); 0`

// audit runs axe over the page, with the rule for the size of targets besides those that are on of themselves, and
// returns what is broken and how many rules passed.
func (p *tab) audit() (broken []violation, passed int) {
	p.t.Helper()
	axe, err := os.ReadFile("testdata/axe.min.js")
	if err != nil {
		p.t.Fatal(err)
	}
	p.eval(string(axe)+"; 0", nil)
	var result struct {
		Violations []violation
		Passes     int
	}
	p.eval(`axe.run({resultTypes: ["violations"], rules: {"target-size": {enabled: true}}}).then(r => ({
		violations: r.violations.map(v => ({id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.slice(0, 5).map(n => ({html: n.html, failureSummary: n.failureSummary}))})),
		passes: r.passes.length}))`, &result)
	return result.Violations, result.Passes
}

func (p *tab) checkAudit(state string) {
	p.t.Helper()
	broken, passed := p.audit()
	if passed < 10 {
		p.t.Errorf("%s: only %d rules of axe passed: it did not see the page", state, passed)
	}
	for _, v := range broken {
		for _, n := range v.Nodes {
			p.t.Errorf("%s: %s (%s): %s\n%.300s\n%s", state, v.ID, v.Impact, v.Help, n.HTML, n.FailureSummary)
		}
	}
}

// The rules of axe-core hold in light and in dark, folded and unfolded, on a desk and on a phone.
func TestAccessible(t *testing.T) {
	browser := newBrowser(t)
	small, _ := meshReport(t, 10)
	for name, html := range map[string][]byte{
		"example":         exampleReport(t),
		"bank-of-anthos":  corpusReport(t, "bank-of-anthos/plain"),
		"online-boutique": corpusReport(t, "online-boutique"),
		"10 namespaces":   small,
	} {
		t.Run(name, func(t *testing.T) {
			p := openReport(t, browser, html)
			for _, folded := range []bool{true, false} {
				if !folded {
					p.eval(openAll, nil)
				}
				for _, width := range []int64{1280, 360} {
					p.size(width, 900)
					for _, scheme := range []string{"light", "dark"} {
						p.prefers(scheme)
						p.checkAudit(fmt.Sprintf("%s, %d px, folded: %v", scheme, width, folded))
					}
				}
			}
		})
	}
}

// Where the page is spoilt on purpose, axe has to say so: else its silence would mean nothing.
func TestAuditSees(t *testing.T) {
	p := openReport(t, newBrowser(t), exampleReport(t))
	p.eval(`document.querySelectorAll("label").forEach(l => l.replaceWith(...l.childNodes)); 0`, nil)
	p.eval(`document.documentElement.removeAttribute("lang"); 0`, nil)
	p.eval(`document.querySelector("h2").style.color = getComputedStyle(document.body).backgroundColor; 0`, nil)
	broken, _ := p.audit()
	seen := map[string]bool{}
	for _, v := range broken {
		seen[v.ID] = true
	}
	for _, id := range []string{"html-has-lang", "select-name", "color-contrast"} {
		if !seen[id] {
			t.Errorf("axe does not see that %s is broken: %v", id, seen)
		}
	}
}
