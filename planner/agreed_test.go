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

// agreedOn makes the waves of an earlier plan from "a+b c"; "-" is a wave that is gone.
func agreedOn(words string, begun int) Agreed {
	a := Agreed{Begun: begun}
	for i, w := range strings.Fields(words) {
		if w == "-" {
			continue
		}
		a.Waves = append(a.Waves, AgreedWave{Number: i + 1, Name: "was-" + w, Namespaces: strings.Split(w, "+"), NotBefore: fmt.Sprintf("2026-01-%02d", i+1)})
	}
	return a
}

// numbered writes waves as "1:a+b 3:c".
func numbered(slots []Slot) string {
	var out []string
	for _, s := range slots {
		out = append(out, fmt.Sprintf("%d:%s", s.Number, strings.Join(s.Namespaces, "+")))
	}
	return strings.Join(out, " ")
}

// TestReschedule shows what stays of an earlier plan, and what does not.
func TestReschedule(t *testing.T) {
	cases := []struct {
		name   string
		ns     []api.PlanNamespace
		cs     []api.Constraint
		agreed Agreed
		policy api.MigrationPolicy
		want   string
		// finds are the ids of findings and their first namespaces.
		finds string
	}{
		{name: "nothing changed: not the order that risk would choose", ns: spaces("a", "b", "c"), agreed: agreedOn("c b a", 0), want: "1:c 2:b 3:a"},
		{name: "a namespace is gone: numbers stay", ns: spaces("a", "c"), agreed: agreedOn("c b a", 0), want: "1:c 3:a"},
		{name: "a new one joins the last wave", ns: spaces("a", "b", "c", "new"), agreed: agreedOn("c a+b", 0), want: "1:c 2:a+b+new"},
		{name: "a new one has no room", ns: spaces("a", "b", "c", "new"), agreed: agreedOn("c a+b", 0), policy: api.MigrationPolicy{Capacity: api.Capacity{Namespaces: 2}}, want: "1:c 2:a+b 3:new"},
		{name: "a new one before an old one", ns: spaces("a", "b", "c", "new"), cs: after("new<b"), agreed: agreedOn("a c b", 0), want: "1:a 2:c+new 3:b"},
		{name: "a new one before the first, which has to move", ns: spaces("a", "b", "new"), cs: after("new<a"), agreed: agreedOn("a b", 0), want: "1:new 2:a+b", finds: "agreed-moved a"},
		{name: "a new constraint turns two around", ns: spaces("a", "b"), cs: after("b<a"), agreed: agreedOn("a b", 0), want: "2:b 3:a", finds: "agreed-moved a"},
		{name: "what has begun stays, and the constraint is not kept", ns: spaces("a", "b"), cs: after("b<a"), agreed: agreedOn("a b", 1), want: "1:a 2:b", finds: "order-unmet a"},
		{name: "a new one never joins what has begun", ns: spaces("a", "b", "new"), cs: after("new<b"), agreed: agreedOn("a b", 1), policy: api.MigrationPolicy{Capacity: api.Capacity{Namespaces: 5}}, want: "1:a 2:new 3:b", finds: "agreed-moved b"},
		{name: "what has begun is held now", ns: spaces("b"), agreed: agreedOn("a b", 1), want: "2:b", finds: "done-held a"},
		{name: "a new circle brings two waves together", ns: spaces("a", "b"), cs: after("a<b", "b<a"), agreed: agreedOn("a b", 0), want: "2:a+b", finds: "cycle a"},
		{name: "capacity went down after the agreement", ns: spaces("a", "b", "c"), agreed: agreedOn("a b+c", 0), policy: api.MigrationPolicy{Capacity: api.Capacity{Namespaces: 1}}, want: "1:a 2:b+c", finds: "capacity b"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			slots, _, fs, err := Reschedule(c.ns, nil, c.cs, &c.policy, time.Time{}, c.agreed)
			if err != nil {
				t.Fatal(err)
			}
			if got := numbered(slots); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			var finds []string
			for _, f := range fs {
				finds = append(finds, f.ID+" "+f.Subject.Name)
			}
			if got := strings.Join(finds, ", "); got != c.finds {
				t.Errorf("finds %q, want %q", got, c.finds)
			}
			for _, s := range slots {
				if len(s.Reasons) == 0 {
					t.Errorf("%v has no reason", s.Namespaces)
				}
			}
		})
	}
}

// TestRescheduleDates: what has begun keeps its day, what has not gets one from today.
func TestRescheduleDates(t *testing.T) {
	p := &api.MigrationPolicy{Calendar: &api.Calendar{Start: "2026-01-01"}}
	slots, _, _, err := Reschedule(spaces("a", "b"), nil, nil, p, time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC), agreedOn("a b", 1))
	if err != nil {
		t.Fatal(err)
	}
	if slots[0].NotBefore != "2026-01-01" || slots[1].NotBefore != "2026-11-23" || slots[0].Name != "was-a" {
		t.Errorf("%+v", slots)
	}
}

// TestRescheduleKeepsItsOwnResult: a schedule that is agreed on and scheduled again
// under the same constraints is the same, whatever has begun; and under new
// constraints every one is kept that what has begun does not break.
func TestRescheduleKeepsItsOwnResult(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}[:rapid.IntRange(1, 10).Draw(t, "n")]
		draw := func(label string, have []api.Constraint) []api.Constraint {
			var ws []string
			for range rapid.IntRange(0, 8).Draw(t, label) {
				i, j := rapid.IntRange(0, len(names)-1).Draw(t, "i"), rapid.IntRange(0, len(names)-1).Draw(t, "j")
				if i != j {
					ws = append(ws, names[i]+"<"+names[j])
				}
			}
			return append(slices.Clone(have), after(ws...)...)
		}
		p := &api.MigrationPolicy{Capacity: api.Capacity{Namespaces: rapid.IntRange(0, 3).Draw(t, "capacity")}}
		old := spaces(names[:rapid.IntRange(1, len(names)).Draw(t, "old")]...)
		cs := draw("cs", nil)
		slots, _, _, err := Schedule(old, nil, cs, p, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		a := agreedOn(words(slots), rapid.IntRange(0, len(slots)).Draw(t, "begun"))
		again, _, fs, err := Reschedule(old, nil, cs, p, time.Time{}, a)
		if err != nil || numbered(again) != numbered(slots) {
			t.Fatalf("%q became %q (%v)", numbered(slots), numbered(again), err)
		}
		for _, f := range fs {
			if f.ID == idAgreedMoved || f.ID == idDoneHeld {
				t.Fatalf("%s", f.Message)
			}
		}
		more, out, _, err := Reschedule(spaces(names...), nil, draw("more", cs), p, time.Time{}, a)
		if err != nil {
			t.Fatal(err)
		}
		wave, was := waveOf(more), a.numbers()
		for n, i := range wave {
			if w := was[n]; w > 0 && w <= a.Begun && more[i].Number != w {
				t.Fatalf("%s has begun in wave %d and is in %d", n, w, more[i].Number)
			}
		}
		if len(wave) != len(names) {
			t.Fatalf("%d of %d namespaces are in waves", len(wave), len(names))
		}
		for _, c := range out {
			x, y := wave[c.Before.Namespace], wave[c.After.Namespace]
			if c.Broken == "" && x >= y {
				t.Fatalf("%s stands in wave %d, not before %s in %d", c.Before.Namespace, x, c.After.Namespace, y)
			}
			if n := was[c.After.Namespace]; c.Broken == idOrderUnmet && (n == 0 || n > a.Begun) {
				t.Fatalf("%s has not begun, and could have waited for %s", c.After.Namespace, c.Before.Namespace)
			}
		}
	})
}
