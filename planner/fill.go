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
	waves := s.leastWaves(order)
	s.exact = waves != nil
	if waves == nil {
		waves = s.greedy(order)
		if bound := s.lowerBound(); len(waves) > bound {
			s.findings = append(s.findings, api.Finding{
				ID: "schedule-bound", Severity: api.Info, Subject: api.Ref{Kind: "MigrationPlan", Name: "schedule"},
				Message: fmt.Sprintf("the schedule has %d waves; no schedule under these constraints has fewer than %d", len(waves), bound),
				Effect:  "the migration may take longer than it must", Action: "raise the capacity of a wave in the MigrationPolicy if it takes too long",
			})
		} else {
			s.exact = true
		}
	}
	for i := range s.groups {
		if over := s.excess(&s.groups[i]); over != "" {
			g := &s.groups[i]
			s.findings = append(s.findings, api.Finding{
				ID: "capacity", Severity: api.Warning, Subject: api.Ref{Kind: "Namespace", Name: g.names[0]},
				Message: fmt.Sprintf("%s cannot be split over waves and is larger than the capacity of one: %s", strings.Join(g.names, ", "), over),
				Effect:  "it moves in a wave of its own that exceeds the capacity",
				Action:  "plan more hands for this wave, or raise the capacity; the reasons of the wave say why the namespaces move together",
			})
		}
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

// excess says in words by what a group alone exceeds the policy's capacity; ""
// when it does not.
func (s *scheduler) excess(g *group) string {
	c := s.policy.Capacity
	var out []string
	for _, x := range []struct {
		what    string
		n, most int
	}{
		{"namespaces", len(g.names), c.Namespaces}, {"pods", g.pods, c.Pods},
		{"waypoints", g.waypoints, c.Waypoints}, {"teams", len(g.teams), c.Teams},
	} {
		if x.most > 0 && x.n > x.most {
			out = append(out, fmt.Sprintf("%d %s of %d", x.n, x.what, x.most))
		}
	}
	return strings.Join(out, ", ")
}

// namespaceLimit is how many namespaces a wave holds.
func (s *scheduler) namespaceLimit(wave int) int {
	switch {
	case s.policy.Capacity.Namespaces > 0:
		return s.policy.Capacity.Namespaces
	case wave == 0:
		return firstWaveNamespaces
	}
	return defaultWaveNamespaces
}

// fits tells whether groups can share a wave. One group alone always fits,
// whatever its size: it cannot be split.
func (s *scheduler) fits(wave int, groups []int) bool {
	if len(groups) <= 1 {
		return true
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
	return namespaces <= s.namespaceLimit(wave) && within(pods, c.Pods) && within(waypoints, c.Waypoints) && within(len(teams), c.Teams)
}

// greedy fills wave after wave with the groups that are ready, in order of priority.
func (s *scheduler) greedy(order []int) [][]int {
	at := make([]int, len(s.groups)) // wave + 1; 0 is open
	var waves [][]int
	for left := len(s.groups); left > 0; {
		var wave []int
		now := len(waves) + 1
		// A group may become ready by one that joins the same wave.
		for joined := true; joined; {
			joined = false
			for _, g := range order {
				if at[g] != 0 || !s.ready(g, at, now) || !s.fits(len(waves), append(slices.Clone(wave), g)) {
					continue
				}
				at[g] = now
				wave = append(wave, g)
				joined = true
			}
		}
		if len(wave) == 0 {
			// Cannot happen while groups are free of cycles; check would name what breaks.
			i := slices.IndexFunc(order, func(g int) bool { return at[g] == 0 })
			at[order[i]] = now
			wave = append(wave, order[i])
		}
		left -= len(wave)
		waves = append(waves, wave)
	}
	return waves
}

// ready tells whether all that must be before a group is.
func (s *scheduler) ready(g int, at []int, now int) bool {
	for _, b := range s.groups[g].before {
		if at[b] == 0 || at[b] == now {
			return false
		}
	}
	for _, b := range s.groups[g].notAfter {
		if at[b] == 0 {
			return false
		}
	}
	return true
}

// leastWaves finds a schedule with the least number of waves, and among those the
// one that moves the least risky groups first; nil when there are more than
// exactGroups groups.
func (s *scheduler) leastWaves(order []int) [][]int {
	n := len(s.groups)
	if n > exactGroups {
		return nil
	}
	full := 1<<n - 1
	rank := make([]int, n)
	for r, g := range order {
		rank[g] = r
	}
	x := &exactSearch{s: s, before: make([]int, n), notAfter: make([]int, n), memo: map[[2]int]int{}}
	for g := range s.groups {
		for _, b := range s.groups[g].before {
			x.before[g] |= 1 << b
		}
		for _, b := range s.groups[g].notAfter {
			x.notAfter[g] |= 1 << b
		}
	}
	var waves [][]int
	for done, wave := 0, 0; done != full; wave++ {
		want := x.least(done, wave) - 1
		var pick []int
		for _, sub := range x.subsets(done, wave) {
			if x.least(done|sub, wave+1) != want {
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

// exactSearch counts waves over sets of groups, as bit masks.
type exactSearch struct {
	s                *scheduler
	before, notAfter []int
	memo             map[[2]int]int
}

// subsets are the waves that may come next.
func (x *exactSearch) subsets(done, wave int) []int {
	ready := 0
	for g := range x.before {
		if done&(1<<g) == 0 && x.before[g]&^done == 0 {
			ready |= 1 << g
		}
	}
	var out []int
	for sub := ready; sub > 0; sub = (sub - 1) & ready {
		m := members(sub)
		if !slices.ContainsFunc(m, func(g int) bool { return x.notAfter[g]&^(done|sub) != 0 }) && x.s.fits(wave, m) {
			out = append(out, sub)
		}
	}
	return out
}

// least is the number of waves for what is left.
func (x *exactSearch) least(done, wave int) int {
	if done == 1<<len(x.before)-1 {
		return 0
	}
	// Only the first wave has a capacity of its own.
	k := [2]int{done, min(wave, 1)}
	if v, ok := x.memo[k]; ok {
		return v
	}
	best := len(x.before) + 1
	for _, sub := range x.subsets(done, wave) {
		best = min(best, 1+x.least(done|sub, wave+1))
	}
	x.memo[k] = best
	return best
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
// needs. A group that is larger than a wave takes one wave and leaves no room.
func (s *scheduler) lowerBound() int {
	depth := make([]int, len(s.groups))
	var longest func(g int) int
	longest = func(g int) int {
		if depth[g] == 0 {
			depth[g] = 1
			for _, b := range s.groups[g].before {
				depth[g] = max(depth[g], 1+longest(b))
			}
			for _, b := range s.groups[g].notAfter {
				depth[g] = max(depth[g], longest(b))
			}
		}
		return depth[g]
	}
	bound := 0
	for g := range s.groups {
		bound = max(bound, longest(g))
	}
	c := s.policy.Capacity
	bound = max(bound, packed(s.groups, s.namespaceLimit(1), func(g *group) int { return len(g.names) }))
	bound = max(bound, packed(s.groups, c.Pods, func(g *group) int { return g.pods }))
	return max(bound, packed(s.groups, c.Waypoints, func(g *group) int { return g.waypoints }))
}

// packed is the least number of waves that hold all groups by one measure.
func packed(groups []group, most int, size func(*group) int) int {
	if most == 0 {
		return 0
	}
	alone, rest := 0, 0
	for i := range groups {
		if n := size(&groups[i]); n > most {
			alone++
		} else {
			rest += n
		}
	}
	return alone + (rest+most-1)/most
}
