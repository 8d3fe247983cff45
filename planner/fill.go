package planner

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// fill puts groups into waves: by exact search for the least number of waves
// where there are few, else by taking the least risky groups that are ready.
func (s *scheduler) fill() [][]int {
	order := s.priority()
	if len(s.groups) <= exactGroups {
		if waves := s.exact(order); waves != nil {
			s.bound = len(waves)
			return waves
		}
	}
	waves := s.greedy(order)
	s.bound = s.lowerBound()
	if len(waves) > s.bound {
		s.findings = append(s.findings, api.Finding{
			ID: "schedule-bound", Severity: api.Info, Subject: api.Ref{Kind: "MigrationPlan", Name: "schedule"},
			Message: fmt.Sprintf("the schedule has %d waves; no schedule under these constraints has fewer than %d", len(waves), s.bound),
			Effect:  "the migration may take longer than it must", Action: "raise the capacity of a wave in the MigrationPolicy if it takes too long",
		})
	}
	return waves
}

// priority orders groups by what should move earlier: what the policy says, then
// the least critical, without waypoints, small, and by name.
func (s *scheduler) priority() []int {
	order := make([]int, len(s.groups))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		x, y := &s.groups[a], &s.groups[b]
		return cmp.Or(
			cmp.Compare(x.place, y.place),
			cmp.Compare(y.tier, x.tier),
			cmp.Compare(flag(x.needsL7), flag(y.needsL7)),
			cmp.Compare(x.pods, y.pods),
			cmp.Compare(x.names[0], y.names[0]),
		)
	})
	return order
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// fits tells whether groups can share a wave. One group alone always fits,
// whatever its size: it cannot be split.
func (s *scheduler) fits(wave int, groups []int) bool {
	if len(groups) <= 1 {
		return true
	}
	limit := s.policy.Capacity.Namespaces
	if limit == 0 {
		limit = defaultWaveNamespaces
		if wave == 0 {
			limit = firstWaveNamespaces
		}
	}
	namespaces, pods, waypoints := 0, 0, 0
	teams := map[string]bool{}
	for _, g := range groups {
		namespaces += len(s.groups[g].names)
		pods += s.groups[g].pods
		waypoints += s.groups[g].waypoints
		for t := range s.groups[g].teams {
			teams[t] = true
		}
	}
	c := s.policy.Capacity
	within := func(n, most int) bool { return most == 0 || n <= most }
	return namespaces <= limit && within(pods, c.Pods) && within(waypoints, c.Waypoints) && within(len(teams), c.Teams)
}

// greedy fills wave after wave with the groups that are ready, in order of priority.
func (s *scheduler) greedy(order []int) [][]int {
	done := make([]bool, len(s.groups))
	var waves [][]int
	for left := len(s.groups); left > 0; {
		var wave []int
		for _, g := range order {
			if done[g] || slices.ContainsFunc(s.groups[g].before, func(b int) bool { return !done[b] }) {
				continue
			}
			if s.fits(len(waves), append(slices.Clone(wave), g)) {
				wave = append(wave, g)
			}
		}
		for _, g := range wave {
			done[g] = true
		}
		left -= len(wave)
		waves = append(waves, wave)
	}
	return waves
}

// exact finds a schedule with the least number of waves, and among those the one
// that moves the least risky groups first. At most exactGroups groups.
func (s *scheduler) exact(order []int) [][]int {
	n := len(s.groups)
	full := 1<<n - 1
	rank := make([]int, n)
	for r, g := range order {
		rank[g] = r
	}
	before := make([]int, n)
	for g := range s.groups {
		for _, b := range s.groups[g].before {
			before[g] |= 1 << b
		}
	}
	subsets := func(done, wave int) []int {
		ready := 0
		for g := range n {
			if done&(1<<g) == 0 && before[g]&^done == 0 {
				ready |= 1 << g
			}
		}
		var out []int
		for sub := ready; sub > 0; sub = (sub - 1) & ready {
			if s.fits(wave, members(sub)) {
				out = append(out, sub)
			}
		}
		return out
	}
	memo := map[[2]int]int{}
	var least func(done, wave int) int
	least = func(done, wave int) int {
		if done == full {
			return 0
		}
		// Only the first wave has a capacity of its own.
		k := [2]int{done, min(wave, 1)}
		if v, ok := memo[k]; ok {
			return v
		}
		best := n + 1
		for _, sub := range subsets(done, wave) {
			best = min(best, 1+least(done|sub, wave+1))
		}
		memo[k] = best
		return best
	}
	var waves [][]int
	for done, wave := 0, 0; done != full; wave++ {
		want := least(done, wave) - 1
		var pick []int
		for _, sub := range subsets(done, wave) {
			if least(done|sub, wave+1) != want {
				continue
			}
			m := members(sub)
			slices.SortFunc(m, func(a, b int) int { return rank[a] - rank[b] })
			if pick == nil || better(m, pick, rank) {
				pick = m
			}
		}
		if pick == nil {
			return nil
		}
		for _, g := range pick {
			done |= 1 << g
		}
		waves = append(waves, pick)
	}
	return waves
}

// better prefers the wave with the less risky groups; of two that begin alike,
// the fuller one.
func better(a, b []int, rank []int) bool {
	for i := range min(len(a), len(b)) {
		if rank[a[i]] != rank[b[i]] {
			return rank[a[i]] < rank[b[i]]
		}
	}
	return len(a) > len(b)
}

func members(mask int) []int {
	var out []int
	for mask != 0 {
		g := bits.TrailingZeros(uint(mask))
		out = append(out, g)
		mask &^= 1 << g
	}
	return out
}

// lowerBound is the larger of the longest chain of groups and what the capacity
// in namespaces needs.
func (s *scheduler) lowerBound() int {
	depth := make([]int, len(s.groups))
	var longest func(g int) int
	longest = func(g int) int {
		if depth[g] == 0 {
			depth[g] = 1
			for _, b := range s.groups[g].before {
				depth[g] = max(depth[g], 1+longest(b))
			}
		}
		return depth[g]
	}
	chain := 0
	for g := range s.groups {
		chain = max(chain, longest(g))
	}
	limit := cmp.Or(s.policy.Capacity.Namespaces, defaultWaveNamespaces)
	return max(chain, (len(s.spaces)+limit-1)/limit)
}

// slot says in words why a wave stands where it stands.
func (s *scheduler) slot(i int, groups []int) Slot {
	var out Slot
	for _, g := range groups {
		out.Namespaces = append(out.Namespaces, s.groups[g].names...)
	}
	slices.Sort(out.Namespaces)
	if i == 0 && s.policy.Capacity.Namespaces == 0 {
		out.Reasons = append(out.Reasons, "the first wave is small, to learn at little risk; later ones hold up to 5 namespaces unless the MigrationPolicy says otherwise")
	}
	for _, g := range groups {
		gr := &s.groups[g]
		name := strings.Join(gr.names, ", ")
		out.Reasons = append(out.Reasons, gr.why...)
		said := len(gr.why) > 0
		for _, c := range s.between() {
			switch {
			case c.Broken != "":
			case s.index[c.After.Namespace] == g && s.index[c.Before.Namespace] != g:
				out.Reasons = append(out.Reasons, fmt.Sprintf("%s after %s: %s", c.After.Namespace, c.Before.Namespace, c.Reason))
				said = true
			case s.index[c.Before.Namespace] == g && s.index[c.After.Namespace] != g:
				out.Reasons = append(out.Reasons, fmt.Sprintf("%s before %s: %s", c.Before.Namespace, c.After.Namespace, c.Reason))
				said = true
			}
		}
		switch {
		case gr.place < 0 && len(gr.why) == 0:
			out.Reasons = append(out.Reasons, name+": the MigrationPolicy puts it first")
		case gr.place > 0 && len(gr.why) == 0:
			out.Reasons = append(out.Reasons, name+": the MigrationPolicy puts it last")
		case !said:
			out.Reasons = append(out.Reasons, fmt.Sprintf("%s: no known call ties it to another namespace; it stands here by risk (%s)", name, gr.risk()))
		}
	}
	return out
}

// risk in words.
func (g *group) risk() string {
	w := "no waypoint"
	if g.needsL7 {
		w = counted(max(g.waypoints, 1), "waypoint")
	}
	return counted(g.pods, "pod") + ", " + w
}

// early schedules prepare and activate of a server into the wave of its first
// caller, where the server cuts over later or not at all.
func (s *scheduler) early(slots []Slot) {
	wave := map[string]int{}
	for i, sl := range slots {
		for _, n := range sl.Namespaces {
			wave[n] = i
		}
	}
	for i := range s.cs {
		c := &s.cs[i]
		if c.Before.Step != stepActivate {
			continue
		}
		client, ok := wave[c.After.Namespace]
		if !ok {
			continue
		}
		server, moves := wave[c.Before.Namespace]
		if moves && server <= client {
			continue
		}
		sl := &slots[client]
		for _, st := range []string{stepPrepare, stepRoute, stepActivate} {
			r := api.StepRef{Namespace: c.Before.Namespace, Step: st}
			if !slices.Contains(sl.Early, r) {
				sl.Early = append(sl.Early, r)
			}
		}
		sl.Reasons = append(sl.Reasons, fmt.Sprintf("the waypoints of %s are activated in this wave, before its own cutover: %s", c.Before.Namespace, c.Reason))
	}
	for i := range slots {
		slices.SortFunc(slots[i].Early, func(a, b api.StepRef) int {
			return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Step, b.Step))
		})
	}
}

// counted writes a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
