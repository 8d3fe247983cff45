package render

import (
	"encoding/json"
	"strings"
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// TestPlanSARIF says what each thing that a plan does not take as fine becomes, and checks what SARIF 2.1.0 requires of
// every result: levels and kinds of the closed sets, rules that the run lists, lines from 1.
func TestPlanSARIF(t *testing.T) {
	web := api.Ref{Kind: "Service", Namespace: "shop", Name: "web"}
	at := func(source string) []api.Evidence {
		return []api.Evidence{{Object: web, Path: "spec", Source: source}}
	}
	p := &api.MigrationPlan{
		Findings: []api.Finding{
			{ID: "L08", Severity: api.Blocker, Subject: web, Message: "lost", Evidence: at("a b/web.yaml:7")},
			{ID: "L08", Severity: api.Blocker, Subject: web, Message: "lost again", Evidence: at("a b/web.yaml:9")},
			{ID: "capacity", Severity: api.Info, Subject: web, Message: "big", ConsentedBy: "ann: fine"},
			{ID: "L99", Subject: web, Message: "a rule that forgot its severity", Evidence: at("cluster")},
		},
		Unknowns: []api.Unknown{{ID: "coverage", Subject: web, What: "pods were not read", Evidence: at("https://prometheus.example:9090")}},
		Held:     []api.HeldNamespace{{Name: "shop", Reasons: []string{"L08"}}},
		Waves: []api.Wave{{Number: 1, Steps: []api.Step{
			{Name: "enrol", Namespaces: []string{"shop"}, Proof: api.Proof{Result: api.Gap, Counterexamples: []api.Counterexample{
				{ID: "gap-1", Kind: api.GapPermissive, Service: web, Request: "GET /\x1b[2J", Before: "denied", After: "allowed"},
			}}},
			{Name: "cutover", Namespaces: []string{"shop"}, Proof: api.Proof{Result: api.Gap, Counterexamples: []api.Counterexample{
				{ID: "gap-1", Kind: api.GapPermissive, Service: web, Request: "GET /", Before: "denied", After: "allowed"},
			}}},
			{Name: "finalize", Namespaces: []string{"shop"}},
		}}},
	}
	type want struct{ rule, level, file string }
	wants := []want{
		{"L08", "error", "a%20b/web.yaml"}, {"L08", "error", "a%20b/web.yaml"}, {"capacity", "note", ""}, {"L99", "error", ""},
		{"coverage", "warning", ""}, {"held-namespace", "error", ""}, {"gap-permissive", "error", ""}, {"not-proved", "warning", ""},
	}
	b, err := json.Marshal(PlanSARIF(p, "1", []SARIFRule{{ID: "L08", Title: "t", Why: "w", Remedy: "r", Page: "docs/rules/L08.md"}}))
	if err != nil {
		t.Fatal(err)
	}
	var log sarifLog
	if err := json.Unmarshal(b, &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	if log.Version != "2.1.0" || len(run.Results) != len(wants) {
		t.Fatalf("version %s with %d results, want %d: %s", log.Version, len(run.Results), len(wants), b)
	}
	rules := map[string]bool{}
	for _, r := range run.Tool.Driver.Rules {
		if rules[r.ID] || r.Text.Text == "" {
			t.Errorf("rule %q is listed twice or without text", r.ID)
		}
		rules[r.ID] = true
	}
	prints := map[string]bool{}
	for i, r := range run.Results {
		w := wants[i]
		file := ""
		if ph := r.Locations[0].Physical; ph != nil {
			file = ph.Artifact.URI
			if ph.Region != nil && ph.Region.StartLine < 1 {
				t.Errorf("result %d: line %d", i, ph.Region.StartLine)
			}
		}
		if got := (want{r.RuleID, r.Level, file}); got != w {
			t.Errorf("result %d is %v, want %v", i, got, w)
		}
		if !rules[r.RuleID] {
			t.Errorf("result %d: rule %q is not listed", i, r.RuleID)
		}
		if fp := r.Fingerprints["ambientplan/v1"]; fp == "" || prints[fp] {
			t.Errorf("result %d: fingerprint %q is empty or not its own", i, fp)
		} else {
			prints[fp] = true
		}
		if unknown := r.Properties != nil && !r.Properties.Known; unknown != (w.level == "warning") {
			t.Errorf("result %d: said to be unknown: %v", i, unknown)
		}
		if consented := len(r.Suppressions) > 0; consented != (w.rule == "capacity") {
			t.Errorf("result %d: suppressed: %v", i, consented)
		}
		if strings.ContainsRune(r.Message.Text, 0x1b) {
			t.Errorf("result %d has a control character: %q", i, r.Message.Text)
		}
	}
}
