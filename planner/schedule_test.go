package planner

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// after builds "a must cut over before b" from "a<b" words.
func after(words ...string) []api.Constraint {
	var out []api.Constraint
	for _, w := range words {
		a, b, _ := strings.Cut(w, "<")
		out = append(out, api.Constraint{Before: api.StepRef{Namespace: a, Step: stepCutover}, After: api.StepRef{Namespace: b, Step: stepCutover}, Rule: ruleClientFirst, Reason: a + " calls " + b})
	}
	return out
}

func spaces(names ...string) []api.PlanNamespace {
	var out []api.PlanNamespace
	for _, n := range names {
		out = append(out, api.PlanNamespace{Name: n, Pods: 1})
	}
	return out
}

func words(slots []Slot) string {
	var out []string
	for _, s := range slots {
		out = append(out, strings.Join(s.Namespaces, "+"))
	}
	return strings.Join(out, " ")
}

func TestSchedule(t *testing.T) {
	cases := []struct {
		name   string
		ns     []api.PlanNamespace
		cs     []api.Constraint
		policy api.MigrationPolicy
		want   string
	}{
		{name: "the first wave holds one, the least risky", ns: []api.PlanNamespace{{Name: "a", Pods: 9}, {Name: "b", Pods: 1}, {Name: "c", Pods: 5}}, want: "b a+c"},
		{name: "clients before servers", ns: spaces("a", "b", "c"), cs: after("c<b", "b<a"), want: "c b a"},
		{name: "a circle moves together", ns: spaces("a", "b", "c"), cs: after("a<b", "b<a", "b<c"), want: "a+b c"},
		{name: "capacity", ns: spaces("a", "b", "c", "d"), policy: api.MigrationPolicy{Capacity: api.Capacity{Namespaces: 2}}, want: "a+b c+d"},
		{name: "pods", ns: []api.PlanNamespace{{Name: "a", Pods: 9}, {Name: "b", Pods: 9}}, policy: api.MigrationPolicy{Capacity: api.Capacity{Namespaces: 5, Pods: 10}}, want: "a b"},
		{name: "one that is larger than the capacity goes alone", ns: []api.PlanNamespace{{Name: "a", Pods: 99}}, policy: api.MigrationPolicy{Capacity: api.Capacity{Pods: 10}}, want: "a"},
		{name: "first and last", ns: spaces("a", "b", "c"), policy: api.MigrationPolicy{First: []string{"c"}, Last: []string{"a"}}, want: "c b a"},
		{name: "first drags along what must be before", ns: spaces("a", "b", "c"), cs: after("a<c"), policy: api.MigrationPolicy{First: []string{"c"}}, want: "a c b"},
		{name: "together", ns: spaces("a", "b", "c"), policy: api.MigrationPolicy{Together: []api.Group{{Name: "g", Namespaces: []string{"b", "c"}}}, Capacity: api.Capacity{Namespaces: 2}}, want: "a b+c"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			slots, _, _, err := Schedule(c.ns, nil, c.cs, &c.policy, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			if got := words(slots); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			for _, s := range slots {
				if len(s.Reasons) == 0 {
					t.Errorf("%v has no reason", s.Namespaces)
				}
			}
		})
	}
}

func TestScheduleFirstAndLastContradict(t *testing.T) {
	_, _, _, err := Schedule(spaces("a"), nil, nil, &api.MigrationPolicy{First: []string{"a"}, Last: []string{"a"}}, time.Time{})
	if !errors.Is(err, ErrContradiction) {
		t.Errorf("err = %v", err)
	}
}

func TestScheduleOrderWinsOverPolicy(t *testing.T) {
	slots, _, fs, err := Schedule(spaces("a", "b"), nil, after("a<b"), &api.MigrationPolicy{First: []string{"b"}, Last: []string{"a"}}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if got := words(slots); got != "a b" {
		t.Errorf("got %q: the order of calls must win", got)
	}
	if !slices.ContainsFunc(fs, func(f api.Finding) bool { return f.ID == "policy-order" && f.Severity == api.Blocker }) {
		t.Errorf("no finding says that the policy was not followed: %+v", fs)
	}
}

func TestScheduleActivatesWaypointsEarly(t *testing.T) {
	cs := append(after("client<server"), api.Constraint{Before: api.StepRef{Namespace: "server", Step: stepActivate}, After: api.StepRef{Namespace: "client", Step: stepCutover}, Reason: "routes"})
	slots, _, _, err := Schedule(spaces("client", "server"), nil, cs, &api.MigrationPolicy{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(slots[0].Early, api.StepRef{Namespace: "server", Step: stepActivate}) {
		t.Errorf("early = %v", slots[0].Early)
	}
}

func TestCalendar(t *testing.T) {
	p := &api.MigrationPolicy{
		SoakTime: "72h", Capacity: api.Capacity{Namespaces: 1},
		Calendar: &api.Calendar{Start: "2026-11-27", Freeze: []api.FreezeWindow{{Name: "sale", From: "2026-11-27", To: "2026-12-01"}, {Name: "b only", From: "2026-12-07", To: "2026-12-07", Namespaces: []string{"b"}}}},
	}
	slots, _, _, err := Schedule(spaces("a", "b"), nil, nil, p, time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	// 2026-12-02 is the first Wednesday after the freeze; three days of soak end on
	// a Saturday; Monday is frozen for b.
	if slots[0].NotBefore != "2026-12-02" || slots[1].NotBefore != "2026-12-08" {
		t.Errorf("got %s and %s", slots[0].NotBefore, slots[1].NotBefore)
	}
	p.Calendar.Freeze = []api.FreezeWindow{{Name: "for ever", From: "2000-01-01", To: "9999-01-01"}}
	if _, _, _, err := Schedule(spaces("a"), nil, nil, p, time.Time{}); !errors.Is(err, ErrContradiction) {
		t.Errorf("a freeze without end: %v", err)
	}
}

// TestScheduleProperties: every namespace once, every constraint kept or named as
// broken, and never more waves than brute force needs.
func TestScheduleProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "namespaces")
		var ns []api.PlanNamespace
		for i := range n {
			ns = append(ns, api.PlanNamespace{Name: string(rune('a' + i)), Pods: rapid.IntRange(0, 3).Draw(t, "pods")})
		}
		var cs []api.Constraint
		for range rapid.IntRange(0, 8).Draw(t, "constraints") {
			a, b := rapid.IntRange(0, n-1).Draw(t, "a"), rapid.IntRange(0, n-1).Draw(t, "b")
			if a != b {
				cs = append(cs, after(ns[a].Name+"<"+ns[b].Name)...)
			}
		}
		p := &api.MigrationPolicy{Capacity: api.Capacity{Namespaces: rapid.IntRange(1, 3).Draw(t, "capacity")}}
		slots, out, _, err := Schedule(ns, nil, cs, p, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		wave := map[string]int{}
		for i, s := range slots {
			for _, name := range s.Namespaces {
				if _, twice := wave[name]; twice {
					t.Fatalf("%s is in two waves", name)
				}
				wave[name] = i
			}
		}
		if len(wave) != n {
			t.Fatalf("%d of %d namespaces are scheduled", len(wave), n)
		}
		for _, c := range out {
			a, b := wave[c.Before.Namespace], wave[c.After.Namespace]
			if c.Broken == "" && a >= b || c.Broken != "" && a != b {
				t.Fatalf("%s<%s: waves %d and %d, broken %q", c.Before.Namespace, c.After.Namespace, a, b, c.Broken)
			}
		}
		if want := bruteForce(ns, out, p.Capacity.Namespaces); len(slots) != want {
			t.Fatalf("%d waves, brute force needs %d: %s", len(slots), want, words(slots))
		}
	})
}

// bruteForce counts the least waves by trying every assignment.
func bruteForce(ns []api.PlanNamespace, cs []api.Constraint, capacity int) int {
	at := map[string]int{}
	for i, n := range ns {
		at[n.Name] = i
	}
	w := make([]int, len(ns))
	for waves := 1; ; waves++ {
		var try func(i int) bool
		try = func(i int) bool {
			if i < len(ns) {
				for w[i] = range waves {
					if try(i + 1) {
						return true
					}
				}
				return false
			}
			size := make([]int, waves)
			cyclic := make([]bool, waves)
			for _, x := range w {
				size[x]++
			}
			parent := map[string]string{}
			for _, c := range cs {
				a, b := w[at[c.Before.Namespace]], w[at[c.After.Namespace]]
				if c.Broken == "" && a >= b || c.Broken != "" && a != b {
					return false
				}
				if c.Broken != "" {
					cyclic[a] = true
					join(parent, c.Before.Namespace, c.After.Namespace)
				}
			}
			for i, s := range size {
				if s == 0 {
					return false
				}
				if s > capacity && !(cyclic[i] && oneGroup(ns, w, i, parent)) {
					return false
				}
			}
			return true
		}
		if try(0) {
			return waves
		}
	}
}

func root(p map[string]string, n string) string {
	for p[n] != "" {
		n = p[n]
	}
	return n
}

func join(p map[string]string, a, b string) {
	if x, y := root(p, a), root(p, b); x != y {
		p[x] = y
	}
}

// oneGroup tells whether a wave is one cycle and nothing else; such a wave may be
// larger than the capacity, because a cycle cannot be split.
func oneGroup(ns []api.PlanNamespace, w []int, wave int, p map[string]string) bool {
	r := ""
	for i, n := range ns {
		if w[i] == wave {
			if r != "" && r != root(p, n.Name) {
				return false
			}
			r = root(p, n.Name)
		}
	}
	return true
}

func TestScheduleLarge(t *testing.T) {
	var ns []api.PlanNamespace
	var cs []api.Constraint
	for i := range 500 {
		ns = append(ns, api.PlanNamespace{Name: fmt.Sprintf("ns-%03d", i), Pods: i % 7})
		if i%10 != 0 {
			cs = append(cs, after(fmt.Sprintf("ns-%03d<ns-%03d", i-1, i))...)
		}
	}
	slots, _, fs, err := Schedule(ns, nil, cs, &api.MigrationPolicy{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, s := range slots {
		total += len(s.Namespaces)
	}
	if total != 500 {
		t.Errorf("%d of 500 namespaces", total)
	}
	if len(slots) > 100 && len(fs) == 0 {
		t.Error("more waves than the bound and nobody says so")
	}
}
