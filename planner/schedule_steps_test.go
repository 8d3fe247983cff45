package planner

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// order builds "a/step before b/step" from "a/step<b/step" words.
func order(words ...string) []api.Constraint {
	var out []api.Constraint
	for _, w := range words {
		a, b, _ := strings.Cut(w, "<")
		an, as, _ := strings.Cut(a, "/")
		bn, bs, _ := strings.Cut(b, "/")
		out = append(out, api.Constraint{Before: api.StepRef{Namespace: an, Step: as}, After: api.StepRef{Namespace: bn, Step: bs}, Reason: "because of " + w,
			Evidence: []api.Evidence{{Object: api.Ref{Kind: "Service", Namespace: bn, Name: "s"}}}})
	}
	return out
}

func brokenLines(cs []api.Constraint) string {
	var out []string
	for _, c := range cs {
		if c.Broken != "" {
			out = append(out, c.Before.Namespace+"<"+c.After.Namespace+" "+c.Broken)
		}
	}
	return strings.Join(out, ", ")
}

func earlyLines(slots []Slot) string {
	var out []string
	for i, s := range slots {
		for _, e := range s.Early {
			out = append(out, fmt.Sprintf("%d:%s/%s", i+1, e.Namespace, e.Step))
		}
	}
	return strings.Join(out, " ")
}

func TestScheduleSteps(t *testing.T) {
	three := api.Capacity{Namespaces: 3}
	cases := []struct {
		name                         string
		ns                           []api.PlanNamespace
		cs                           []api.Constraint
		policy                       api.MigrationPolicy
		want, early, broken, finding string
	}{
		{name: "a later step of the same wave may wait for an earlier one", ns: spaces("a", "b", "c"), cs: order("b/cutover<a/finalize"), policy: api.MigrationPolicy{Capacity: three}, want: "a+b+c"},
		{name: "but not for one of a later wave", ns: []api.PlanNamespace{{Name: "a", Pods: 1}, {Name: "b", Pods: 9}}, cs: order("b/cutover<a/finalize"), policy: api.MigrationPolicy{Capacity: api.Capacity{Namespaces: 1}}, want: "b a"},
		{name: "a cycle that the steps of one wave keep breaks nothing", ns: spaces("a", "b"), cs: order("b/cutover<a/finalize", "a/cutover<b/finalize"), want: "a+b", finding: "info cycle a"},
		{name: "a cycle of cutovers is named", ns: spaces("a", "b", "c"), cs: order("a/cutover<b/cutover", "b/cutover<c/cutover", "c/cutover<a/cutover"), want: "a+b+c", broken: "a<b cycle, b<c cycle, c<a cycle", finding: "warning cycle a"},
		{name: "the first caller brings the server's steps forward, and only it", ns: spaces("a", "b", "s"), cs: order("s/activate<b/cutover", "s/activate<a/cutover", "a/cutover<b/cutover", "b/cutover<s/cutover"), want: "a b s", early: "1:s/prepare 1:s/activate"},
		{name: "only the steps that are asked for", ns: spaces("a", "s"), cs: order("s/prepare<a/cutover", "a/cutover<s/cutover"), want: "a s", early: "1:s/prepare"},
		{name: "a server without pods that move is prepared for its callers", ns: spaces("a"), cs: order("egress/activate<a/cutover"), want: "a", early: "1:egress/prepare 1:egress/activate"},
		{name: "a server that cuts over before needs nothing early", ns: spaces("a", "s"), cs: order("s/cutover<a/cutover", "s/activate<a/cutover"), want: "s a"},
		{name: "a step that never comes is a blocker", ns: spaces("a"), cs: order("held/cutover<a/cutover"), want: "a", broken: "held<a order-unmet", finding: "blocker order-unmet a"},
		{name: "for a step that never comes nothing has to be done", ns: spaces("a"), cs: order("a/cutover<held/cutover"), want: "a"},
		{name: "two rules that contradict each other about an early step", ns: spaces("a", "s"), cs: order("s/activate<a/cutover", "a/cutover<s/activate"), want: "a s", early: "1:s/prepare 1:s/activate", broken: "a<s order-unmet", finding: "blocker order-unmet s"},
		{name: "moved together against the order", ns: spaces("a", "b"), cs: order("a/cutover<b/cutover"), policy: api.MigrationPolicy{Together: []api.Group{{Name: "g", Namespaces: []string{"a", "b"}}}}, want: "a+b", broken: "a<b together-order", finding: "warning together-order b"},
		{name: "larger than the capacity", ns: spaces("a", "b", "c"), policy: api.MigrationPolicy{Capacity: api.Capacity{Namespaces: 1}, Together: []api.Group{{Name: "g", Namespaces: []string{"b", "c"}}}}, want: "a b+c", finding: "warning capacity b"},
		{name: "teams", ns: []api.PlanNamespace{{Name: "a", Team: "x"}, {Name: "b", Team: "y"}, {Name: "c", Team: "x"}}, policy: api.MigrationPolicy{Capacity: api.Capacity{Namespaces: 3, Teams: 1}}, want: "a+c b"},
		{name: "the critical one moves last", ns: spaces("a", "b", "c"), policy: api.MigrationPolicy{Capacity: api.Capacity{Namespaces: 1}}, want: "b c a"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var ds []api.Decision
			if strings.Contains(c.name, "critical") {
				ds = []api.Decision{{Namespace: "a", Tier: "0"}, {Namespace: "b", Tier: "3"}}
			}
			slots, cs, fs, err := Schedule(c.ns, ds, c.cs, &c.policy, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			if got := words(slots); got != c.want {
				t.Errorf("waves %q, want %q", got, c.want)
			}
			if got := earlyLines(slots); got != c.early {
				t.Errorf("early %q, want %q", got, c.early)
			}
			if got := brokenLines(cs); got != c.broken {
				t.Errorf("broken %q, want %q", got, c.broken)
			}
			var found []string
			for _, f := range fs {
				found = append(found, fmt.Sprintf("%s %s %s", f.Severity, f.ID, f.Subject.Name))
			}
			if got := strings.Join(found, ", "); got != c.finding {
				t.Errorf("findings %q, want %q", got, c.finding)
			}
			if len(c.cs) > 0 && c.cs[0].Broken != "" {
				t.Error("the caller's constraints were changed")
			}
		})
	}
}

// TestSchedulePolicyAgainstOrder: the finding names both ends and the call.
func TestSchedulePolicyAgainstOrder(t *testing.T) {
	_, _, fs, err := Schedule(spaces("a", "b", "c"), nil, order("a/cutover<b/cutover", "b/cutover<c/cutover"), &api.MigrationPolicy{First: []string{"c"}, Last: []string{"a"}}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	want := "the MigrationPolicy puts this namespace last and c first, and the order of calls demands a before b before c (because of a/cutover<b/cutover)"
	if len(fs) != 1 || fs[0].Message != want || len(fs[0].Evidence) != 1 {
		t.Errorf("got %+v", fs)
	}
}

// TestScheduleNamesTheCycle: the way around is in the finding and in the reason.
func TestScheduleNamesTheCycle(t *testing.T) {
	slots, _, fs, err := Schedule(spaces("a", "b", "c", "d"), nil, order("a/cutover<c/cutover", "c/cutover<b/cutover", "b/cutover<a/cutover", "b/cutover<d/cutover"), nil, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	const way = "a before c before b before a"
	if len(fs) != 1 || !strings.Contains(fs[0].Message, way) || len(fs[0].Evidence) != 3 {
		t.Errorf("findings %+v", fs)
	}
	if !strings.Contains(strings.Join(slots[0].Reasons, "\n"), way) {
		t.Errorf("reasons %q", slots[0].Reasons)
	}
}

// TestFreezeHoldsForEarlySteps: a server's frozen namespace is not touched by its
// caller's wave.
func TestFreezeHoldsForEarlySteps(t *testing.T) {
	p := &api.MigrationPolicy{Calendar: &api.Calendar{Start: "2026-11-23", Freeze: []api.FreezeWindow{{Name: "audit", From: "2026-11-23", To: "2026-11-24", Namespaces: []string{"s"}}}}}
	slots, _, _, err := Schedule(spaces("a", "s"), nil, order("s/activate<a/cutover", "a/cutover<s/cutover"), p, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if slots[0].NotBefore != "2026-11-25" || !strings.Contains(strings.Join(slots[0].Reasons, "\n"), "freeze window audit") {
		t.Errorf("wave 1: %+v", slots[0])
	}
}

// TestSchedulePropertiesOfSteps: whatever steps the constraints name and whatever
// the policy asks for, a constraint is kept or named as broken, and each
// namespace stands in one wave with a reason that names it.
func TestSchedulePropertiesOfSteps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"n-a", "n-b", "n-c", "n-d", "n-e", "n-f", "n-g", "n-h", "n-i", "n-j"}[:rapid.IntRange(1, 10).Draw(t, "namespaces")]
		var ns []api.PlanNamespace
		for _, n := range names {
			ns = append(ns, api.PlanNamespace{Name: n, Pods: rapid.IntRange(0, 5).Draw(t, "pods"), Team: rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "team")})
		}
		all := append(slices.Clone(names), "elsewhere")
		steps := []string{stepPrepare, stepActivate, stepEnrol, stepCutover, "cutover-2", stepRoute, stepFinalize}
		var cs []api.Constraint
		for range rapid.IntRange(0, 12).Draw(t, "constraints") {
			c := rapid.SampledFrom(all).Draw(t, "a") + "/" + rapid.SampledFrom(steps).Draw(t, "as") + "<" + rapid.SampledFrom(all).Draw(t, "b") + "/" + rapid.SampledFrom(steps).Draw(t, "bs")
			cs = append(cs, order(c)...)
		}
		p := &api.MigrationPolicy{Capacity: api.Capacity{Namespaces: rapid.IntRange(0, 3).Draw(t, "capacity"), Pods: rapid.SampledFrom([]int{0, 4}).Draw(t, "pods a wave"), Teams: rapid.IntRange(0, 2).Draw(t, "teams")}}
		for _, n := range names {
			switch rapid.IntRange(0, 5).Draw(t, "place") {
			case 0:
				p.First = append(p.First, n)
			case 1:
				p.Last = append(p.Last, n)
			}
		}
		if len(names) > 2 && rapid.Bool().Draw(t, "together") {
			p.Together = []api.Group{{Name: "g", Namespaces: names[:2]}}
		}
		slots, out, fs, err := Schedule(ns, nil, cs, p, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		at := stepTimes(slots)
		seen := map[string]bool{}
		for i, sl := range slots {
			for _, n := range sl.Namespaces {
				if seen[n] {
					t.Fatalf("%s is in two waves", n)
				}
				seen[n] = true
				if !strings.Contains(strings.Join(sl.Reasons, "\n"), n) {
					t.Fatalf("wave %d gives no reason for %s: %q", i+1, n, sl.Reasons)
				}
			}
		}
		if len(seen) != len(names) {
			t.Fatalf("%d of %d namespaces are scheduled", len(seen), len(names))
		}
		for _, c := range out {
			a, isA := at[c.Before.Namespace+"/"+c.Before.Step]
			b, isB := at[c.After.Namespace+"/"+c.After.Step]
			if kept := !isB || isA && a < b; !kept && c.Broken == "" {
				t.Fatalf("%s of %s before %s of %s: not kept, and nobody says so", c.Before.Step, c.Before.Namespace, c.After.Step, c.After.Namespace)
			}
			// Only a step that never comes, or that rules pull both ways, has no place.
			if c.Broken == idOrderUnmet && isA && !movable(c.Before.Step) && !movable(c.After.Step) && c.Before.Namespace != c.After.Namespace {
				t.Fatalf("%s of %s before %s of %s could have been kept", c.Before.Step, c.Before.Namespace, c.After.Step, c.After.Namespace)
			}
			if c.Broken != "" && !slices.ContainsFunc(fs, func(f api.Finding) bool { return f.ID == c.Broken }) {
				t.Fatalf("broken %q, and there is no such finding", c.Broken)
			}
		}
		again, _, _, _ := Schedule(ns, nil, cs, p, time.Time{})
		if fmt.Sprint(again) != fmt.Sprint(slots) {
			t.Fatal("two runs differ")
		}
	})
}

// stepTimes says when each step is done, by walking the waves step by step. All
// batches of a cutover count as one.
func stepTimes(slots []Slot) map[string]int {
	at := map[string]int{}
	clock := 0
	for _, sl := range slots {
		for _, steps := range [][]string{{stepPrepare}, {stepActivate}, {stepEnrol}, {stepCutover, "cutover-2"}, {stepRoute}, {stepFinalize}} {
			clock++
			do := func(ns, step string) {
				if _, ok := at[ns+"/"+step]; !ok {
					at[ns+"/"+step] = clock
				}
			}
			for _, step := range steps {
				for _, n := range sl.Namespaces {
					do(n, step)
				}
				for _, e := range sl.Early {
					if e.Step == step {
						do(e.Namespace, step)
					}
				}
			}
		}
	}
	return at
}
