package rules_test

// The contract of a rule, tested once for every rule. A rule's cases are the
// txtar archives in testdata whose name starts with its id; each file in one is a
// manifest stream with the expectations in comments:
//
//	methods: ["DELETE"] # want L08 blocker
//	methods: ["GET"]    # want L03 need l7-authorization for Service shop/web
//
// "want ID SEVERITY", "want ID need CAPABILITY" or "want ID unknown", optionally
// followed by "for SUBJECT"; several are separated by ";". A result is expected
// when one of its evidence lines carries its want; every want must be met.

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/rules"
)

var (
	factID   = regexp.MustCompile(`^[A-Z]-\d+[a-z]?$`)
	position = regexp.MustCompile(`^.+:\d+$`)
)

// ruleCase is one txtar archive of a rule.
type ruleCase struct {
	path  string
	files map[string][]byte
}

func casesOf(t *testing.T, r rules.Rule) []ruleCase {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", strings.ToLower(r.ID)+"_*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	var out []ruleCase
	for _, p := range paths {
		ar, err := txtar.ParseFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(string(ar.Comment)) == "" {
			t.Errorf("%s: no comment: say what the case shows, and why it matters", p)
		}
		c := ruleCase{path: p, files: map[string][]byte{}}
		for _, f := range ar.Files {
			c.files[f.Name] = f.Data
		}
		out = append(out, c)
	}
	return out
}

// complete says of every kind that it was seen whole.
func complete() []api.KindCoverage {
	var cov []api.KindCoverage
	for _, k := range api.Kinds() {
		cov = append(cov, api.KindCoverage{Group: k.Group, Kind: k.Kind, State: api.Complete})
	}
	return cov
}

// check runs one rule on one inventory; what the ledger says is left out, since
// it is about all rules together.
func check(inv *api.Inventory, cov []api.KindCoverage, r rules.Rule) (rules.Result, map[mesh.Kind]bool) {
	st, _ := mesh.New(inv)
	res, read := rules.RunObserved(st, cov, r)
	res.Unknowns = slices.DeleteFunc(res.Unknowns, func(u api.Unknown) bool { return u.ID == rules.LedgerID })
	return res, read
}

func TestRules(t *testing.T) {
	for _, r := range rules.All() {
		t.Run(r.ID, func(t *testing.T) {
			t.Run("documented", func(t *testing.T) { testDocumented(t, r) })
			cases := casesOf(t, r)
			if len(cases) == 0 {
				t.Fatalf("no testdata/%s_*.txtar", strings.ToLower(r.ID))
			}
			read := map[mesh.Kind]bool{}
			for _, c := range cases {
				t.Run(filepath.Base(c.path), func(t *testing.T) {
					inv := load(t, c.files, nil)
					res, kinds := check(inv, complete(), r)
					maps.Copy(read, kinds)
					testWants(t, c, res)
					testPositions(t, res)
					testSilentSomewhere(t, inv, res)
					testShuffled(t, c, r, res)
					testBlanked(t, inv, r)
					testWithheld(t, inv, r)
				})
			}
			got := slices.Sorted(maps.Keys(read))
			want := slices.Sorted(slices.Values(r.Reads))
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("Reads differs from what the rule read over its cases (-declared +read):\n%s", d)
			}
		})
	}
}

func testDocumented(t *testing.T, r rules.Rule) {
	for name, v := range map[string]string{
		"Title": r.Title, "Doc.Why": r.Doc.Why, "Doc.Effect": r.Doc.Effect, "Doc.Remedy": r.Doc.Remedy, "Doc.Since": r.Doc.Since,
	} {
		if strings.TrimSpace(v) == "" {
			t.Errorf("%s is empty", name)
		}
	}
	if len(r.Doc.Sources) == 0 {
		t.Error("no source: name the file of Istio, the document or the issue")
	}
	if len(r.Doc.Facts) == 0 {
		t.Error("no fact")
	}
	facts, err := os.ReadFile(filepath.Join("..", "..", "docs", "facts.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Doc.Facts {
		if !factID.MatchString(f) || !strings.Contains(string(facts), "\n| "+f+" |") {
			t.Errorf("fact %q is not written as in L-08, or has no row in docs/facts.md", f)
		}
	}
	if r.Check == nil || len(r.Reads) == 0 {
		t.Error("no Check or no Reads")
	}
}

// want is one expectation of a case.
type want struct {
	at, kind, what, subject string
	met                     bool
}

func (w want) String() string { return strings.TrimSpace(w.kind + " " + w.what + " " + w.subject) }

// wantsOf reads the comments of a case.
func wantsOf(t *testing.T, c ruleCase) (id string, ws []*want) {
	for _, name := range slices.Sorted(maps.Keys(c.files)) {
		for i, line := range strings.Split(string(c.files[name]), "\n") {
			_, text, ok := strings.Cut(line, "# want ")
			if !ok {
				continue
			}
			for part := range strings.SplitSeq(text, ";") {
				part, subject, _ := strings.Cut(strings.TrimSpace(part), " for ")
				f := strings.Fields(part)
				if len(f) < 2 || len(f) > 3 {
					t.Fatalf("%s: %s:%d: cannot read %q", c.path, name, i+1, part)
				}
				if id != "" && id != f[0] {
					t.Fatalf("%s: %s:%d: wants of %s and %s in one case", c.path, name, i+1, id, f[0])
				}
				id = f[0]
				w := &want{at: fmt.Sprintf("%s:%d", name, i+1), kind: f[1], subject: subject}
				if len(f) == 3 {
					w.what = f[2]
				}
				ws = append(ws, w)
			}
		}
	}
	return id, ws
}

func testWants(t *testing.T, c ruleCase, res rules.Result) {
	_, ws := wantsOf(t, c)
	if len(ws) == 0 {
		t.Error("the rule never has to fire: no want in the case")
	}
	expect := func(kind, what string, subject api.Ref, text string, ev []api.Evidence) {
		found := false
		for _, w := range ws {
			if w.kind != kind || w.what != what || (w.subject != "" && w.subject != subject.String()) {
				continue
			}
			for _, e := range ev {
				if e.Source == w.at {
					found, w.met = true, true
				}
			}
		}
		if !found {
			at := make([]string, len(ev))
			for i, e := range ev {
				at[i] = e.Source
			}
			t.Errorf("%s: not expected: %s %s for %s: %s\n  evidence at %s", c.path, kind, what, subject, text, strings.Join(at, ", "))
		}
	}
	for _, n := range res.Needs {
		expect("need", string(n.Capability), n.Subject, n.Reason, n.Evidence)
	}
	for _, f := range res.Findings {
		expect(string(f.Severity), "", f.Subject, f.Message, f.Evidence)
	}
	for _, u := range res.Unknowns {
		expect("unknown", "", u.Subject, u.What, u.Evidence)
	}
	for _, w := range ws {
		if !w.met {
			t.Errorf("%s: %s: missing: %s", c.path, w.at, w)
		}
	}
}

func testPositions(t *testing.T, res rules.Result) {
	atLine := func(what string, ev []api.Evidence) {
		if len(ev) == 0 {
			t.Errorf("%s: no evidence", what)
		}
		for _, e := range ev {
			if !position.MatchString(e.Source) {
				t.Errorf("%s: evidence %s %s has no file:line but %q", what, e.Object, e.Path, e.Source)
			}
		}
	}
	for _, n := range res.Needs {
		if n.Reason == "" || n.Capability.Tier() == api.TierUnknown {
			t.Errorf("need %s of %s: empty reason or a capability without tier", n.Capability, n.Subject)
		}
		atLine("need "+string(n.Capability)+" of "+n.Subject.String(), n.Evidence)
	}
	for _, f := range res.Findings {
		if f.Message == "" || f.Effect == "" || f.Action == "" || f.Severity.Rank() > api.Info.Rank() {
			t.Errorf("finding %q of %s: message, effect, action or severity is missing", f.Message, f.Subject)
		}
		atLine("finding "+f.Message, f.Evidence)
	}
	for _, u := range res.Unknowns {
		if u.What == "" || u.Could == "" || u.Action == "" {
			t.Errorf("unknown of %s: what, could or action is empty", u.Subject)
		}
		atLine("unknown "+u.What, u.Evidence)
	}
}

// testSilentSomewhere asks for one object of a kind that fires which is in no result.
func testSilentSomewhere(t *testing.T, inv *api.Inventory, res rules.Result) {
	cited := map[api.Ref]bool{}
	kinds := map[string]bool{}
	cite := func(ev []api.Evidence) {
		for _, e := range ev {
			cited[e.Object] = true
			kinds[e.Object.Group+"/"+e.Object.Kind] = true
		}
	}
	for _, n := range res.Needs {
		cite(n.Evidence)
	}
	for _, f := range res.Findings {
		cite(f.Evidence)
	}
	for _, u := range res.Unknowns {
		cite(u.Evidence)
	}
	for _, ref := range refsOf(inv) {
		if kinds[ref.Group+"/"+ref.Kind] && !cited[ref] {
			return
		}
	}
	t.Error("the rule is silent about no object: add one of the kind that fires which must stay silent")
}

func refsOf(inv *api.Inventory) []api.Ref {
	var refs []api.Ref
	for i := range inv.Objects {
		refs = append(refs, inv.Objects[i].Ref())
	}
	for i := range inv.Namespaces {
		refs = append(refs, inv.Namespaces[i].Ref())
	}
	for i := range inv.Services {
		refs = append(refs, inv.Services[i].Ref())
	}
	for i := range inv.Workloads {
		refs = append(refs, inv.Workloads[i].Ref())
	}
	return refs
}

// testShuffled reads the documents in other orders: not one byte may change.
func testShuffled(t *testing.T, c ruleCase, r rules.Rule, first rules.Result) {
	want := bytesOf(t, first)
	for seed := range int64(3) {
		res, _ := check(load(t, c.files, rand.New(rand.NewSource(seed))), complete(), r)
		if d := cmp.Diff(want, bytesOf(t, res)); d != "" {
			t.Fatalf("the order of documents shows (seed %d, -want +got):\n%s", seed, d)
		}
	}
}

func bytesOf(t *testing.T, res rules.Result) string {
	t.Helper()
	b, err := json.MarshalIndent(res, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// testBlanked takes away each field of the inventory in turn, and then puts
// something of the wrong type there. What is left may mean anything, but it may not panic.
func testBlanked(t *testing.T, inv *api.Inventory, r rules.Rule) {
	// What rules cannot read is left out.
	less := api.Inventory{Clusters: inv.Clusters, Namespaces: inv.Namespaces, Workloads: inv.Workloads, Services: inv.Services, Objects: inv.Objects}
	b, err := json.Marshal(less)
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	forgetOrigins(doc) // They are large, and no rule may read them.
	broken := 0
	try := func(where string) {
		b, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		var inv api.Inventory
		if json.Unmarshal(b, &inv) != nil {
			return // Not an inventory any more: refused before a rule sees it.
		}
		broken++
		defer func() {
			if p := recover(); p != nil {
				t.Errorf("panic without or with a wrong %s: %v", where, p)
			}
		}()
		check(&inv, complete(), r)
	}
	blank(doc, "", try)
	if broken == 0 {
		t.Error("nothing was blanked out")
	}
}

func forgetOrigins(v any) {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "origin")
		for _, c := range v {
			forgetOrigins(c)
		}
	case []any:
		for _, c := range v {
			forgetOrigins(c)
		}
	}
}

func blank(v any, path string, try func(string)) {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			old, at := v[k], path+"."+k
			for _, wrong := range []any{nil, "x", []any{}, map[string]any{}} {
				v[k] = wrong
				try(at)
			}
			delete(v, k)
			try(at)
			v[k] = old
			blank(old, at, try)
		}
	case []any:
		for i, old := range v {
			at := fmt.Sprintf("%s[%d]", path, i)
			v[i] = nil
			try(at)
			v[i] = old
			blank(old, at, try)
		}
	}
}

// testWithheld takes each declared kind away, as a cluster does that forbids to
// list it: the rule must say that it does not know.
func testWithheld(t *testing.T, inv *api.Inventory, r rules.Rule) {
	for _, k := range r.Reads {
		if k == mesh.KindEdge {
			continue // A call graph is never complete, so it has no coverage.
		}
		less := *inv
		less.Objects = slices.DeleteFunc(slices.Clone(inv.Objects), func(o api.Object) bool {
			return mesh.KindOf(api.GroupOf(o.APIVersion), o.Kind) == k
		})
		switch k {
		case mesh.KindWorkload:
			less.Workloads = nil
		case mesh.KindService:
			less.Services = nil
		case mesh.KindNamespace:
			less.Namespaces = nil
		}
		cov := complete()
		for i := range cov {
			if mesh.KindOf(cov[i].Group, cov[i].Kind) == k {
				cov[i].State = api.Forbidden
			}
		}
		res, _ := check(&less, cov, r)
		if !slices.ContainsFunc(res.Unknowns, func(u api.Unknown) bool { return u.ID == r.ID }) {
			t.Errorf("without %s the rule is silent instead of unknown", k)
		}
	}
}

// TestListed compares All with the source: a rule file that is not in the
// generated list would never run.
func TestListed(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		for _, id := range declaredIn(t, f) {
			ids = append(ids, id)
			if !strings.HasPrefix(f, strings.ToLower(id)+"_") {
				t.Errorf("rule %s is in %s, whose name does not start with %s_", id, f, strings.ToLower(id))
			}
		}
	}
	slices.Sort(ids)
	var all []string
	for _, r := range rules.All() {
		all = append(all, r.ID)
	}
	if d := cmp.Diff(ids, all); d != "" {
		t.Errorf("All() differs from the source, run go generate ./... (-source +All):\n%s", d)
	}
	if n := len(slices.Compact(slices.Clone(all))); n != len(all) {
		t.Error("an id is used twice")
	}
	for _, id := range rules.Retired() {
		if slices.Contains(all, id) {
			t.Errorf("%s is retired and used", id)
		}
	}
}

// TestCasesBelongToRules finds archives that no rule runs, and wants of another rule.
func TestCasesBelongToRules(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("testdata", "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	run := map[string]bool{}
	for _, r := range rules.All() {
		for _, c := range casesOf(t, r) {
			run[c.path] = true
			if id, _ := wantsOf(t, c); id != "" && id != r.ID {
				t.Errorf("%s belongs to %s but wants something of %s", c.path, r.ID, id)
			}
		}
	}
	for _, p := range paths {
		if !run[p] {
			t.Errorf("%s belongs to no rule", p)
		}
	}
}
