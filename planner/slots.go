package planner

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// slot says in words why a wave stands where it stands.
func (s *scheduler) slot(number int, groups []int) Slot {
	out := Slot{Number: number}
	for _, g := range groups {
		out.Namespaces = append(out.Namespaces, s.groups[g].names...)
	}
	slices.Sort(out.Namespaces)
	if number == 1 && s.policy.Capacity.Namespaces == 0 {
		out.Reasons = append(out.Reasons, fmt.Sprintf("the first wave is small, to learn at little risk; later ones hold up to %d namespaces unless the MigrationPolicy says otherwise", defaultWaveNamespaces))
	}
	for _, g := range groups {
		gr := &s.groups[g]
		out.Reasons = append(out.Reasons, gr.why...)
		out.Reasons = append(out.Reasons, recite(gr.in, func(c *api.Constraint) string { return c.After.Namespace + " after " + c.Before.Namespace })...)
		out.Reasons = append(out.Reasons, recite(gr.out, func(c *api.Constraint) string { return c.Before.Namespace + " before " + c.After.Namespace })...)
		if len(gr.why) == 0 && len(gr.in) == 0 && len(gr.out) == 0 {
			out.Reasons = append(out.Reasons, fmt.Sprintf("%s: no known call ties it to another namespace; it stands here by risk (%s)", strings.Join(gr.names, ", "), gr.risk()))
		}
	}
	return out
}

// recite words the constraints of a group, one for each pair of namespaces and
// at most maxReasons; the plan's constraints have them all.
func recite(cs []*api.Constraint, pair func(*api.Constraint) string) []string {
	var out []string
	seen := map[string]bool{}
	for _, c := range cs {
		p := pair(c)
		if seen[p] {
			continue
		}
		seen[p] = true
		if len(out) < maxReasons {
			out = append(out, p+": "+c.Reason)
		}
	}
	if more := len(seen) - len(out); more > 0 {
		out = append(out, fmt.Sprintf("and %d more namespaces in the same way (see the plan's constraints)", more))
	}
	return out
}

// risk in words.
func (g *group) risk() string {
	w := "no waypoint"
	if g.needsL7 {
		w = counted(max(g.waypoints, 1), "waypoint")
	}
	switch g.tier {
	case 0, 1:
		w += ", critical"
	}
	return counted(g.pods, "pod") + ", " + w
}

// counted writes a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// explainCount says in the first wave that there cannot be fewer.
func (s *scheduler) explainCount(slots []Slot) {
	if s.exact && len(slots) > 1 {
		slots[0].Reasons = append(slots[0].Reasons, fmt.Sprintf("%d waves are the fewest that these constraints and the capacity allow", len(slots)))
	}
}

// early schedules steps of a server that callers wait for into the wave of its
// first such caller, where the server itself cuts over later, or has no pods that
// cut over. The steps before it in a wave come along.
func (s *scheduler) early(slots []Slot) {
	wave := waveOf(slots)
	type ask struct {
		wave int
		c    *api.Constraint
	}
	first := map[api.StepRef]ask{}
	var order []api.StepRef
	for i := range s.cs {
		c := &s.cs[i]
		client, ok := wave[c.After.Namespace]
		if !movable(c.Before.Step) || c.Broken != "" || !ok {
			continue
		}
		if server, moves := wave[c.Before.Namespace]; moves && server <= client {
			continue
		}
		k := api.StepRef{Cluster: c.Before.Cluster, Namespace: c.Before.Namespace, Step: c.Before.Step}
		old, ok := first[k]
		if !ok {
			order = append(order, k)
		}
		if !ok || client < old.wave {
			first[k] = ask{client, c}
		}
	}
	for _, k := range order {
		a := first[k]
		sl := &slots[a.wave]
		for _, step := range []string{stepPrepare, stepActivate} {
			r := api.StepRef{Cluster: k.Cluster, Namespace: k.Namespace, Step: step}
			if stepRank(step) <= stepRank(k.Step) && !slices.Contains(sl.Early, r) {
				sl.Early = append(sl.Early, r)
			}
		}
		sl.Reasons = append(sl.Reasons, fmt.Sprintf("%s of %s is done in this wave already, for %s: %s", k.Step, k.Namespace, a.c.After.Namespace, a.c.Reason))
	}
	for i := range slots {
		slices.SortFunc(slots[i].Early, func(a, b api.StepRef) int {
			return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(stepRank(a.Step), stepRank(b.Step)))
		})
	}
}

// waveOf is the index of the slot in which each namespace cuts over.
func waveOf(slots []Slot) map[string]int {
	out := map[string]int{}
	for i, sl := range slots {
		for _, n := range sl.Namespaces {
			out[n] = i
		}
	}
	return out
}

// moment is when a step of a namespace is done: a wave and a place in it.
type moment struct{ wave, rank int }

func (m moment) before(o moment) bool {
	return m.wave < o.wave || m.wave == o.wave && m.rank < o.rank
}

// check holds every constraint against the finished schedule. One that is not
// kept, and that nothing has named before, is a blocker: whatever rule made it,
// the order that it asks for does not happen.
func (s *scheduler) check(slots []Slot) {
	wave := waveOf(slots)
	early := map[api.StepRef]int{}
	for i, sl := range slots {
		for _, e := range sl.Early {
			k := api.StepRef{Namespace: e.Namespace, Step: e.Step}
			if _, ok := early[k]; !ok {
				early[k] = i
			}
		}
	}
	at := func(r api.StepRef) (moment, bool) {
		w, ok := wave[r.Namespace]
		if e, is := early[api.StepRef{Namespace: r.Namespace, Step: r.Step}]; is && (!ok || e < w) {
			w, ok = e, true
		}
		return moment{w, stepRank(r.Step)}, ok
	}
	for i := range s.cs {
		c := &s.cs[i]
		after, happens := at(c.After)
		if before, ok := at(c.Before); c.Broken != "" || !happens || ok && before.before(after) {
			continue
		}
		c.Broken = idOrderUnmet
		s.findings = append(s.findings, api.Finding{
			ID: idOrderUnmet, Severity: api.Blocker, Subject: api.Ref{Kind: "Namespace", Name: c.After.Namespace},
			Message:  fmt.Sprintf("%s of %s should be done before %s of %s, and in this plan it is not: %s", c.Before.Step, c.Before.Namespace, c.After.Step, c.After.Namespace, c.Reason),
			Evidence: c.Evidence,
			Effect:   "what the order protects does not hold for these calls",
			Action:   "resolve what keeps " + c.Before.Namespace + " from moving, exclude " + c.After.Namespace + " in the MigrationPolicy, or consent to the finding by id",
		})
	}
}
