package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// tab is a page with a record of what it did besides showing itself.
type tab struct {
	t   *testing.T
	ctx context.Context
	// url is the address of the file.
	url string

	mu sync.Mutex
	// complaints are messages of the console and of the browser, and uncaught errors; requests are addresses asked for
	// besides the file itself; dialogs are alerts and their like, and windows that were opened.
	complaints, requests, dialogs []string
}

// openFile opens a file in a tab of its own, in light mode and 1280 pixels wide.
func openFile(t *testing.T, browser context.Context, file string) *tab {
	t.Helper()
	abs, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	p := &tab{t: t, ctx: ctx, url: (&url.URL{Scheme: "file", Path: filepath.ToSlash(abs)}).String()}
	chromedp.ListenTarget(ctx, p.record)
	p.run(
		network.Enable(), cdplog.Enable(), cdpruntime.Enable(), cdppage.Enable(),
		emulation.SetEmulatedMedia().WithFeatures(scheme("light")),
		emulation.SetDeviceMetricsOverride(1280, 900, 1, false),
		chromedp.Navigate(p.url), cdppage.BringToFront(),
	)
	return p
}

// openReport writes an HTML report to a file and opens it. Whatever test opens it, it must load nothing and complain of
// nothing.
func openReport(t *testing.T, browser context.Context, html []byte) *tab {
	t.Helper()
	file := filepath.Join(t.TempDir(), "plan.html")
	if err := os.WriteFile(file, html, 0o600); err != nil {
		t.Fatal(err)
	}
	p := openFile(t, browser, file)
	t.Cleanup(func() {
		for _, part := range []struct {
			what string
			list []string
		}{{"console", p.complaints}, {"request", p.requests}, {"dialog", p.dialogs}} {
			p.mu.Lock()
			for _, line := range part.list {
				t.Errorf("%s: %s", part.what, line)
			}
			p.mu.Unlock()
		}
	})
	return p
}

func (p *tab) record(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if u, _, _ := strings.Cut(e.Request.URL, "#"); u != p.url {
			p.requests = append(p.requests, e.Request.URL)
		}
	case *network.EventWebSocketCreated:
		p.requests = append(p.requests, e.URL)
	case *cdppage.EventJavascriptDialogOpening:
		p.dialogs = append(p.dialogs, fmt.Sprintf("%s: %s", e.Type, e.Message))
		go func() { _ = chromedp.Run(p.ctx, cdppage.HandleJavaScriptDialog(false)) }()
	case *cdppage.EventWindowOpen:
		p.dialogs = append(p.dialogs, "window: "+e.URL)
	case *cdpruntime.EventExceptionThrown:
		p.complaints = append(p.complaints, "uncaught: "+e.ExceptionDetails.Error())
	case *cdpruntime.EventConsoleAPICalled:
		line := string(e.Type)
		for _, a := range e.Args {
			line += " " + string(a.Value)
		}
		p.complaints = append(p.complaints, line)
	case *cdplog.EventEntryAdded:
		p.complaints = append(p.complaints, fmt.Sprintf("%s %s %s", e.Entry.Source, e.Entry.Level, e.Entry.Text))
	}
}

func scheme(value string) []*emulation.MediaFeature {
	return []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}}
}

// run fails the test when an action fails or takes more than two minutes.
func (p *tab) run(actions ...chromedp.Action) {
	p.t.Helper()
	done := make(chan error, 1)
	go func() { done <- chromedp.Run(p.ctx, actions...) }()
	select {
	case err := <-done:
		if err != nil {
			p.t.Fatal(err)
		}
	case <-time.After(2 * time.Minute):
		p.t.Fatal("the browser does not answer")
	}
}

// eval evaluates an expression, waits for it when it is a promise, and decodes its JSON into out. Functions and arrows
// have to be called: "(() => 1)()".
func (p *tab) eval(expression string, out any) {
	p.t.Helper()
	p.run(chromedp.Evaluate(expression, out, func(e *cdpruntime.EvaluateParams) *cdpruntime.EvaluateParams { return e.WithAwaitPromise(true) }))
}

// text evaluates an expression to a string.
func (p *tab) text(expression string) string {
	p.t.Helper()
	var s string
	p.eval(expression, &s)
	return s
}

// number evaluates an expression to a number.
func (p *tab) number(expression string) float64 {
	p.t.Helper()
	var n float64
	p.eval(expression, &n)
	return n
}

// wait fails the test when an expression does not become true within limit, and returns how long it took. The browser
// asks for itself before each frame.
func (p *tab) wait(expression string, limit time.Duration) time.Duration {
	p.t.Helper()
	begin := time.Now()
	var ok bool
	p.eval(fmt.Sprintf(`new Promise(done => {
		const end = performance.now() + %d;
		(function look() {
			if (%s) { done(true); } else if (performance.now() > end) { done(false); } else { setTimeout(look, 10); }
		})();
	})`, limit.Milliseconds(), expression), &ok)
	if !ok {
		p.t.Fatalf("still not after %v: %s", limit, expression)
	}
	return time.Since(begin)
}

// size makes the window width by height pixels.
func (p *tab) size(width, height int64) {
	p.t.Helper()
	p.run(emulation.SetDeviceMetricsOverride(width, height, 1, false))
}

// prefers sets the color scheme that the user of the page prefers: "light" or "dark".
func (p *tab) prefers(value string) {
	p.t.Helper()
	p.run(emulation.SetEmulatedMedia().WithFeatures(scheme(value)))
}

// quoted is s as a literal of JavaScript.
func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always has a JSON form
	}
	return string(b)
}

// key presses a key, or types a text.
func (p *tab) key(keys string) {
	p.t.Helper()
	p.run(chromedp.KeyEvent(keys))
}

// fill replaces what stands in an input, as a paste does.
func (p *tab) fill(selector, text string) {
	p.t.Helper()
	p.eval(fmt.Sprintf(`(e => { e.value = %s; e.dispatchEvent(new Event("input", {bubbles: true})); })(document.querySelector(%s)); 0`, quoted(text), quoted(selector)), nil)
}

// visible counts the elements of a selector that can be seen.
func (p *tab) visible(selector string) int {
	p.t.Helper()
	return int(p.number(fmt.Sprintf(`[...document.querySelectorAll(%s)].filter(e => e.checkVisibility()).length`, quoted(selector))))
}

// withoutScript loads the page again with scripts switched off.
func (p *tab) withoutScript() {
	p.t.Helper()
	p.run(emulation.SetScriptExecutionDisabled(true), chromedp.Navigate(p.url))
}
