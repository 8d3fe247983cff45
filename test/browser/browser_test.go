package browser

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/render"
)

// chromium finds the browser, or skips the test.
func chromium(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("CHROMIUM"); path != "" {
		return path
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Chromium: set CHROMIUM to one, or put chromium on the PATH")
	return ""
}

// start runs a browser with an empty profile for the length of a test.
func start(t testing.TB) context.Context {
	t.Helper()
	path := chromium(t)
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.WSURLReadTimeout(time.Minute),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	alloc, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, done := chromedp.NewContext(alloc)
	t.Cleanup(done)
	limited, cancel := context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(cancel)
	if err := chromedp.Run(limited); err != nil {
		t.Fatalf("starting %s: %v", path, err)
	}
	return limited
}

// heard is what a page did besides showing itself.
type heard struct {
	mu       sync.Mutex
	requests []string
	console  []string
	dialogs  []string
}

func (h *heard) add(list *[]string, s string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	*list = append(*list, s)
}

// quiet fails the test when the page asked for anything, complained, or opened a dialog.
func (h *heard) quiet(t testing.TB, own string) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.requests {
		if r != own {
			t.Errorf("the page asked for %s", r)
		}
	}
	if len(h.requests) == 0 {
		t.Error("no request was seen, not even that for the page: the test does not listen")
	}
	for _, c := range h.console {
		t.Errorf("the console says: %s", c)
	}
	for _, d := range h.dialogs {
		t.Errorf("the page opened a dialog: %s", d)
	}
}

// open shows a file in a new tab of the given size, and listens.
func open(t testing.TB, browser context.Context, file string, width, height int64, dark bool) (context.Context, *heard) {
	t.Helper()
	tab, done := chromedp.NewContext(browser)
	t.Cleanup(done)
	h := &heard{}
	chromedp.ListenTarget(tab, func(ev any) {
		switch ev := ev.(type) {
		case *network.EventRequestWillBeSent:
			h.add(&h.requests, ev.Request.URL)
		case *runtime.EventExceptionThrown:
			h.add(&h.console, ev.ExceptionDetails.Error())
		case *runtime.EventConsoleAPICalled:
			h.add(&h.console, string(ev.Type))
		case *log.EventEntryAdded:
			h.add(&h.console, ev.Entry.Text)
		case *page.EventJavascriptDialogOpening:
			h.add(&h.dialogs, ev.Message)
		}
	})
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	run(t, tab, network.Enable(), log.Enable(), emulation.SetDeviceMetricsOverride(width, height, 1, width < 500),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
		chromedp.Navigate(address(file)))
	return tab, h
}

func address(file string) string { return "file://" + filepath.ToSlash(file) }

func run(t testing.TB, ctx context.Context, actions ...chromedp.Action) {
	t.Helper()
	if err := chromedp.Run(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// value evaluates an expression in the page.
func value[T any](t testing.TB, ctx context.Context, expression string) T {
	t.Helper()
	var out T
	run(t, ctx, chromedp.Evaluate(expression, &out))
	return out
}

// example is the committed plan of an example.
func example(t testing.TB, name string) *api.MigrationPlan {
	t.Helper()
	path := "../../examples/" + name + "/out/plan.yaml"
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := api.Decode[api.MigrationPlan](path, f)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// written is the report of a plan as a file.
func written(t testing.TB, p *api.MigrationPlan) string {
	t.Helper()
	b, err := render.Report(p, "html")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if keep := os.Getenv("BROWSER_OUT"); keep != "" { // to look at what the tests see
		dir = filepath.Join(keep, strings.ReplaceAll(t.Name(), "/", "-"))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "report.html")
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// picture keeps a screenshot of the top of a page when BROWSER_OUT names a directory.
func picture(t testing.TB, ctx context.Context, file, name string) {
	t.Helper()
	if os.Getenv("BROWSER_OUT") == "" {
		return
	}
	var b []byte
	run(t, ctx, chromedp.CaptureScreenshot(&b))
	if err := os.WriteFile(filepath.Join(filepath.Dir(file), name+".png"), b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for what a page does in its own time.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never happens that %s", what)
		}
	}
}

// awaited waits for the promise that an expression gives.
func awaited(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }
