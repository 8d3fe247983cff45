package render

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

func TestDirName(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"shop", "shop"},
		{"kube-system", "kube-system"},
		{"", "_"},
		{".", "_2E"},
		{"..", "_2E_2E"},
		{"../../etc", "_2E_2E_2F_2E_2E_2Fetc"},
		{"-rf", "_2Drf"},
		{"_cluster", "_5Fcluster"},
		{"Shop", "_53hop"},
		{"a_2Eb", "a_5F2_45b"},
		{"a\nb", "a_0Ab"},
		{"a:b\\c", "a_3Ab_5Cc"},
		{"é", "_C3_A9"},
	} {
		if got := dirName(c.name); got != c.want {
			t.Errorf("dirName(%q) = %q, want %q", c.name, got, c.want)
		}
	}
	if got := fileName("reviews.v1"); got != "reviews.v1" {
		t.Errorf("an inner dot of a file name became %q", got)
	}
}

// TestNamesAreSafeAndDistinct: whatever the names are, their files are plain path
// elements, and two names never share one, not even where case does not count.
func TestNamesAreSafeAndDistinct(t *testing.T) {
	safe := regexp.MustCompile(`^[a-z0-9_][a-zA-Z0-9_.-]*$`)
	name := rapid.OneOf(rapid.String(), rapid.StringMatching(`[aA.2E/_-]{0,4}`), rapid.StringMatching(`[aA.]{200,300}`))
	rapid.Check(t, func(t *rapid.T) {
		a, b := name.Draw(t, "a"), name.Draw(t, "b")
		for _, f := range []func(string) string{dirName, fileName} {
			x := f(a)
			if !safe.MatchString(x) || strings.Contains(x, "..") || len(x) > maxName {
				t.Fatalf("%q became %q", a, x)
			}
			if a != b && strings.EqualFold(x, f(b)) {
				t.Fatalf("%q and %q share %q", a, b, x)
			}
		}
	})
}

func TestShellQuote(t *testing.T) {
	for _, c := range []struct{ arg, want string }{
		{"shop", "shop"},
		{"", "''"},
		{"a b", "'a b'"},
		{"$(reboot)", "'$(reboot)'"},
		{"it's", `'it'\''s'`},
		{"a\nb", "'a\nb'"},
		{"~", "'~'"},
		{"app=x", "'app=x'"},
		{"*", "'*'"},
	} {
		if got := ShellQuote(c.arg); got != c.want {
			t.Errorf("ShellQuote(%q) = %s, want %s", c.arg, got, c.want)
		}
	}
}

// TestShellQuoteInAShell asks a real shell.
func TestShellQuoteInAShell(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh on PATH: quoting was only compared with expected text")
	}
	args := []string{"", "a b", "'", "''", `\`, `"$HOME"`, "`id`", "a\nb", "!x", "-n", "*", "é", ";rm", "#", "%s"}
	var quoted []string
	for _, a := range args {
		quoted = append(quoted, ShellQuote(a))
	}
	out, err := exec.Command(sh, "-c", `for a in `+strings.Join(quoted, " ")+`; do printf '<%s>' "$a"; done`).CombinedOutput()
	if want := "<" + strings.Join(args, "><") + ">"; err != nil || string(out) != want {
		t.Errorf("sh printed %q (%v), want %q", out, err, want)
	}
}

// hostileNames could leave a directory, a cell of a table, a list, a code block or an HTML element.
var hostileNames = []string{
	"../../../etc", "..", ".", "/abs", "a/b", "A", "a", "_cluster", "x.git", "github.com", "C:\\x",
	"line\n# heading\n", "`tick`", "```", "a|b", "<script>alert(1)</script>", "![x](http://x/y)", "{{.}}",
	"-rf", "--", "$(id)", "%2E", "\x1b[2J", "\u202egnp", "- null", "~", "yes", "1", strings.Repeat("n", 250),
	"kustomization", "https://example.com/x?ref=main", "git::x", "rollback", "base", "_start", "\u00before",
}

// hostilePlan has every hostile name as a namespace, an object, a wave, a step and in prose.
func hostilePlan() *api.MigrationPlan {
	p := &api.MigrationPlan{TypeMeta: api.TypeMeta{APIVersion: api.APIVersion, Kind: "MigrationPlan"}, Digest: "x"}
	for i, n := range hostileNames {
		ref := api.Ref{Group: "security.istio.io", Kind: "AuthorizationPolicy", Namespace: n, Name: n}
		content := func(v string) api.Content {
			return api.Content{"apiVersion": "security.istio.io/v1", "kind": ref.Kind,
				"metadata": map[string]any{"name": n, "namespace": n}, "spec": map[string]any{"action": v}}
		}
		ns := api.Ref{Kind: "Namespace", Name: n}
		nsContent := api.Content{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": n}}
		p.Base = append(p.Base, api.BaseObject{Object: ref, Content: content("ALLOW")}, api.BaseObject{Object: ns, Fragment: true, Content: nsContent})
		p.Namespaces = append(p.Namespaces, api.PlanNamespace{Name: n, Team: n, Owner: n, Contact: n})
		p.Decisions = append(p.Decisions, api.Decision{Namespace: n, Service: n, Kind: api.L4Only, Why: n, Subject: api.Ref{Kind: "Service", Namespace: n, Name: n}})
		p.Findings = append(p.Findings, api.Finding{ID: n, Severity: api.Blocker, Subject: ref, Message: n, Effect: n, Action: n})
		p.Unknowns = append(p.Unknowns, api.Unknown{ID: n, Subject: ref, What: n, Could: n, Action: n})
		p.Waves = append(p.Waves, api.Wave{Number: i, Name: n, Namespaces: []string{n}, Reasons: []string{n}, Teams: []string{n}, Steps: []api.Step{{
			Name: n, What: n, Namespaces: []string{n},
			Changes:  []api.Change{{Object: ref, Op: api.OpPatch, Why: n, After: content("DENY"), Owner: &api.Owner{By: n, Name: n}}, {Object: ref, Op: api.OpManual, Manual: n}},
			Checks:   []api.Check{{What: n, Command: "kubectl get ns " + ShellQuote(n), Expect: n, When: "before"}},
			Rollback: []api.RollbackStep{{Name: n, What: n, To: "base", Changes: []api.Change{{Object: ref, Op: api.OpPatch, Why: n, After: content("ALLOW")}}}},
			Proof:    api.Proof{Result: api.Gap, Reason: n, Counterexamples: []api.Counterexample{{Request: n, Before: n, After: n}}},
		}}})
	}
	return p
}

func TestHostileNames(t *testing.T) {
	p := hostilePlan()
	tree := build(t, p)
	if err := tree.Check(); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "out")
	if err := tree.Write(dir); err != nil {
		t.Fatal(err)
	}
	if err := build(t, p).Write(dir); err != nil {
		t.Errorf("the tree does not know its own files again: %v", err)
	}
	for _, f := range tree.Paths() {
		if strings.HasSuffix(f, "README.md") {
			checkInert(t, f, string(tree.File(f)))
		}
	}
	for i := range p.Waves {
		b, err := Checklist(p, i, "html")
		if err != nil {
			t.Fatal(err)
		}
		if s := string(b); strings.Contains(s, "<script") || strings.Contains(s, "<img") || strings.ContainsAny(s, "\x1b\u202e") {
			t.Errorf("wave %d: the HTML holds a live name", i)
		}
	}
	if s := string(Table(p, 80, false)); strings.ContainsAny(s, "\x1b\u202e") {
		t.Error("the table lets a name speak to the terminal")
	}
	for _, n := range hostileNames {
		b, err := Explain(p, n)
		if err == nil && strings.ContainsAny(string(b), "\x1b\u202e") {
			t.Errorf("the explanation of %q lets a name speak to the terminal", n)
		}
	}
}

// checkInert makes sure that no name became Markdown: outside of fences and code
// spans there is no tag, image, heading of a name's own or bare backtick.
func checkInert(t *testing.T, file, text string) {
	t.Helper()
	span := regexp.MustCompile("(`+)[^`].*?[^`]?(`+)")
	fence := ""
	for _, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "```") && strings.Trim(trimmed, "`") == "" {
			switch {
			case fence == "":
				fence = trimmed
			case len(trimmed) >= len(fence):
				fence = ""
			}
			continue
		}
		if fence != "" {
			continue
		}
		if trimmed == "# heading" {
			t.Errorf("%s: a name became a heading", file)
		}
		rest := span.ReplaceAllString(line, "")
		if strings.Contains(rest, "<") || strings.Contains(rest, "![") || strings.Contains(rest, "://") || strings.ContainsAny(line, "\x1b\u202e") {
			t.Errorf("%s: live Markdown in %q", file, line)
		}
	}
	if fence != "" {
		t.Errorf("%s: a fence is left open", file)
	}
}
