package diff_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/planner/diff"
	"github.com/ambientplan/ambientplan/render"
)

// small is a plan with one of everything that can differ.
func small() *api.MigrationPlan {
	web := api.Ref{Kind: "Service", Namespace: "shop", Name: "web"}
	policy := api.Ref{Group: "security.istio.io", Kind: "AuthorizationPolicy", Namespace: "shop", Name: "web-waypoint"}
	return &api.MigrationPlan{
		Digest: "sha256:old", Complete: true,
		Decisions:  []api.Decision{{Subject: web, Kind: api.Waypoint, Waypoint: &api.WaypointRef{Name: "waypoint", Namespace: "shop"}, Why: "it has L7 policies"}},
		Namespaces: []api.PlanNamespace{{Name: "shop", Wave: 1}},
		Findings:   []api.Finding{{ID: "L08", Severity: api.Warning, Subject: web, Message: "a header rule"}},
		Unknowns:   []api.Unknown{{ID: "M02", Subject: web, What: "no pod was read"}},
		Waves: []api.Wave{{Number: 1, Name: "shop", Namespaces: []string{"shop"}, Steps: []api.Step{
			{Name: "prepare", Changes: []api.Change{{Object: policy, Op: api.OpCreate, After: api.Content{"spec": map[string]any{"rules": []any{map[string]any{"n": int64(1)}}}}}},
				Proof: api.Proof{Result: api.Proved}},
			{Name: "cutover", Proof: api.Proof{Result: api.Gap, Counterexamples: []api.Counterexample{{ID: "permissive-1", Service: web, Request: "GET / from shop/a"}}}},
		}}},
	}
}

// copyOf goes through JSON, as a plan in a file does: numbers change their types.
func copyOf(t *testing.T, p *api.MigrationPlan) *api.MigrationPlan {
	t.Helper()
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var out api.MigrationPlan
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return &out
}

// TestPlans shows how each difference reads.
func TestPlans(t *testing.T) {
	for _, tc := range []struct {
		name string
		edit func(*api.MigrationPlan)
		want string
	}{
		{"nothing", func(*api.MigrationPlan) {}, "the two plans do the same\n"},
		{"only words", func(p *api.MigrationPlan) {
			p.Decisions[0].Why, p.Waves[0].Reasons, p.Digest = "other words", []string{"x"}, "sha256:new"
		}, "the two plans do the same\n"},
		{"not complete", func(p *api.MigrationPlan) { p.Complete = false }, "the plan was complete, and is not any more\n"},
		{"a decision", func(p *api.MigrationPlan) { p.Decisions[0].Kind, p.Decisions[0].Waypoint = api.L4Only, nil },
			"the plan differs, and is complete as before\n\nDECISIONS\n  ~ Service shop/web: Waypoint shop/waypoint, now L4Only (it has L7 policies)\n"},
		{"another waypoint", func(p *api.MigrationPlan) { p.Decisions[0].Waypoint.Name = "shared" },
			"the plan differs, and is complete as before\n\nDECISIONS\n  ~ Service shop/web: Waypoint shop/waypoint, now Waypoint shop/shared (it has\n    L7 policies)\n"},
		{"a wave", func(p *api.MigrationPlan) { p.Namespaces[0].Wave = 0 },
			"the plan differs, and is complete as before\n\nWAVES\n  ~ shop: in wave 1, now in no wave\n"},
		{"a change", func(p *api.MigrationPlan) {
			p.Waves[0].Steps[0].Changes[0].After = api.Content{"spec": map[string]any{"rules": []any{map[string]any{"n": int64(2)}}}}
		}, "the plan differs, and is complete as before\n\nSTEPS\n  ~ wave 1, prepare\n    ~ AuthorizationPolicy shop/web-waypoint: spec.rules[0].n\n"},
		{"a change is gone, and with it the proof", func(p *api.MigrationPlan) {
			p.Waves[0].Steps[0].Changes, p.Waves[0].Steps[0].Proof.Result = nil, api.ProofUnknown
		}, "the plan differs, and is complete as before\n\nSTEPS\n  ~ wave 1, prepare: proof proved, now unknown\n    - AuthorizationPolicy shop/web-waypoint\n"},
		{"a step is gone", func(p *api.MigrationPlan) { p.Waves[0].Steps = p.Waves[0].Steps[1:] },
			"the plan differs, and is complete as before\n\nSTEPS\n  - wave 1, prepare\n    - AuthorizationPolicy shop/web-waypoint\n"},
		{"a finding is worse", func(p *api.MigrationPlan) { p.Findings[0].Severity = api.Blocker },
			"the plan differs, and is complete as before\n\nFINDINGS\n  ~ blocker L08, Service shop/web: a header rule (was warning)\n"},
		{"an unknown is gone", func(p *api.MigrationPlan) { p.Unknowns = nil },
			"the plan differs, and is complete as before\n\nUNKNOWN\n  - M02: no pod was read\n"},
		{"a gap is closed", func(p *api.MigrationPlan) { p.Waves[0].Steps[1].Proof = api.Proof{Result: api.Proved} },
			"the plan differs, and is complete as before\n\nGAPS IN THE PROOF\n  - permissive-1, from step cutover of wave 1: GET / from shop/a\n\nSTEPS\n  ~ wave 1, cutover: proof gap, now proved\n"},
		{"a hostile name", func(p *api.MigrationPlan) {
			p.Decisions = append(p.Decisions, api.Decision{Subject: api.Ref{Kind: "Service", Namespace: "shop", Name: "\x1b[2J# x"}, Kind: api.L4Only})
		}, "the plan differs, and is complete as before\n\nDECISIONS\n  + Service shop/\\u001b[2J# x: nothing, now L4Only\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			was, is := small(), copyOf(t, small())
			tc.edit(is)
			d := diff.Plans(was, is)
			if got := string(render.Diff(d, 80, false)); got != tc.want {
				t.Error(cmp.Diff(tc.want, got))
			}
			if strings.Contains(tc.want, "do the same") != d.Same {
				t.Errorf("same: %v", d.Same)
			}
			md := string(render.DiffMarkdown(d))
			if strings.ContainsRune(md, '\x1b') || !strings.HasPrefix(md, "# Migration plan: ") {
				t.Errorf("markdown:\n%s", md)
			}
			if back := diff.Plans(is, was); back.Same != d.Same {
				t.Error("the other way round it is different")
			}
		})
	}
}
