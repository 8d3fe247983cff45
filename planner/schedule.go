package planner

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// Defaults of a wave's capacity where the policy says nothing: one namespace
// first, to learn from, then up to five at a time.
const (
	firstWaveNamespaces   = 1
	defaultWaveNamespaces = 5
	// exactGroups is how many groups are scheduled by exact search.
	exactGroups = 8
)

// ErrContradiction marks a MigrationPolicy that no schedule can satisfy.
var ErrContradiction = errors.New("the MigrationPolicy contradicts itself")

// group is a set of namespaces that move in one wave: one namespace, a cycle of
// calls, or what the policy keeps together.
type group struct {
	names     []string
	why       []string
	pods      int
	waypoints int
	teams     map[string]bool
	tier      int
	needsL7   bool
	// place is -1 for first, 1 for last, 0 between.
	place  int
	before []int
}

// Schedule puts the namespaces that move into waves. It keeps every constraint
// between cutovers, moves cycles of constraints in one wave and names them, and
// then fills waves by the policy's capacity, least risk first. Steps of servers
// that must come before a caller's cutover are scheduled early. It fails with
// ErrContradiction when the policy puts a namespace both first and last.
func Schedule(nss []api.PlanNamespace, ds []api.Decision, cs []api.Constraint, p *api.MigrationPolicy, now time.Time) ([]Slot, []api.Constraint, []api.Finding, error) {
	s := &scheduler{policy: p, cs: slices.Clone(cs), index: map[string]int{}, spaces: map[string]api.PlanNamespace{}}
	for _, f := range p.First {
		if slices.Contains(p.Last, f) {
			return nil, nil, nil, fmt.Errorf("%w: namespace %q is both in first and in last", ErrContradiction, f)
		}
	}
	if len(nss) == 0 {
		return nil, s.cs, nil, nil
	}
	for _, n := range nss {
		s.spaces[n.Name] = n
	}
	s.condense(nss, ds)
	s.placeByPolicy()
	waves := s.fill()
	slots := make([]Slot, len(waves))
	for i, w := range waves {
		slots[i] = s.slot(i, w)
	}
	s.early(slots)
	if err := dates(slots, p, now); err != nil {
		return nil, nil, nil, err
	}
	slices.SortFunc(s.findings, api.Finding.Compare)
	return slots, s.cs, s.findings, nil
}

type scheduler struct {
	policy   *api.MigrationPolicy
	cs       []api.Constraint
	spaces   map[string]api.PlanNamespace
	groups   []group
	index    map[string]int // namespace -> group
	findings []api.Finding
	bound    int
}

// between lists the constraints between cutovers of two namespaces that move.
func (s *scheduler) between() []*api.Constraint {
	var out []*api.Constraint
	for i := range s.cs {
		c := &s.cs[i]
		_, a := s.spaces[c.Before.Namespace]
		_, b := s.spaces[c.After.Namespace]
		if a && b && c.Before.Step == stepCutover && c.After.Step == stepCutover && c.Before.Namespace != c.After.Namespace {
			out = append(out, c)
		}
	}
	return out
}

// condense makes the groups: strongly connected namespaces, with the policy's
// groups counted as connected.
func (s *scheduler) condense(nss []api.PlanNamespace, ds []api.Decision) {
	names := make([]string, 0, len(nss))
	next := map[string][]string{}
	for _, n := range nss {
		names = append(names, n.Name)
	}
	for _, c := range s.between() {
		next[c.Before.Namespace] = append(next[c.Before.Namespace], c.After.Namespace)
	}
	for _, g := range s.policy.Together {
		var in []string
		for _, n := range g.Namespaces {
			if _, ok := s.spaces[n]; ok {
				in = append(in, n)
			}
		}
		for i := range in {
			next[in[i]] = append(next[in[i]], in[(i+1)%len(in)])
		}
	}
	slices.Sort(names)
	for _, comp := range components(names, next) {
		g := group{names: comp, teams: map[string]bool{}, tier: tierUnknown}
		for _, n := range comp {
			s.index[n] = len(s.groups)
			g.pods += s.spaces[n].Pods
			if t := s.spaces[n].Team; t != "" {
				g.teams[t] = true
			}
		}
		s.groups = append(s.groups, g)
	}
	s.weigh(ds)
	s.nameCycles()
	for _, c := range s.between() {
		a, b := s.index[c.Before.Namespace], s.index[c.After.Namespace]
		if a != b && !slices.Contains(s.groups[b].before, a) {
			s.groups[b].before = append(s.groups[b].before, a)
		}
	}
}

// tierUnknown ranks namespaces of which nobody said how critical they are
// between the critical and the others.
const tierUnknown = 2

// weigh adds up what makes a group risky.
func (s *scheduler) weigh(ds []api.Decision) {
	seen := map[api.WaypointRef]bool{}
	for _, d := range ds {
		i, ok := s.index[d.Namespace]
		if !ok {
			continue
		}
		g := &s.groups[i]
		if d.Waypoint != nil {
			g.needsL7 = true
			if w := (api.WaypointRef{Name: d.Waypoint.Name, Namespace: d.Waypoint.Namespace}); !seen[w] {
				seen[w] = true
				g.waypoints++
			}
		}
		if t := tierRank(d.Tier); d.Tier != "" && t < g.tier {
			g.tier = t
		} else if d.Tier != "" && g.tier == tierUnknown && t > tierUnknown {
			g.tier = t
		}
	}
}

// tierRank orders tiers: 0 and "critical" are the most critical.
func tierRank(t string) int {
	switch strings.ToLower(t) {
	case "0", "critical", "tier-0", "tier0":
		return 0
	case "1", "high", "tier-1", "tier1":
		return 1
	case "":
		return tierUnknown
	case "2", "medium", "tier-2", "tier2":
		return 3
	}
	return 4
}

// nameCycles says of each group of several namespaces why they move together.
func (s *scheduler) nameCycles() {
	for i := range s.groups {
		g := &s.groups[i]
		if len(g.names) < 2 {
			continue
		}
		for _, t := range s.policy.Together {
			if slices.ContainsFunc(t.Namespaces, func(n string) bool { return slices.Contains(g.names, n) }) {
				g.why = append(g.why, fmt.Sprintf("the MigrationPolicy moves group %s together: %s", t.Name, cmp.Or(t.Reason, strings.Join(t.Namespaces, ", "))))
			}
		}
		inside := 0
		var cycle []api.Evidence
		for _, c := range s.between() {
			if s.index[c.Before.Namespace] == i && s.index[c.After.Namespace] == i {
				inside++
				if len(cycle) < maxEvidence {
					cycle = append(cycle, c.Evidence[:min(1, len(c.Evidence))]...)
				}
			}
		}
		if inside == 0 {
			continue
		}
		names := strings.Join(g.names, ", ")
		g.why = append(g.why, "these namespaces call each other in a circle, so none of them can be first: "+names)
		id := "cycle"
		s.findings = append(s.findings, api.Finding{
			ID: id, Severity: api.Warning, Subject: api.Ref{Kind: "Namespace", Name: g.names[0]},
			Message:  "namespaces " + names + " call each other in a circle and move in one wave",
			Evidence: cycle,
			Effect:   "while this wave's cutover runs, some callers with sidecars meet servers that are already ambient: where an L7 ALLOW guards the server they are refused until they have restarted",
			Action:   "keep the cutover of this wave short, or break the circle by giving one of the services a layer 4 policy for the time between",
		})
		for _, c := range s.between() {
			if s.index[c.Before.Namespace] == i && s.index[c.After.Namespace] == i {
				c.Broken = id
			}
		}
	}
}

// placeByPolicy marks what the policy puts first and last, and what the order
// drags along.
func (s *scheduler) placeByPolicy() {
	reach := s.reachable()
	mark := func(list []string, place int, word string) {
		for _, n := range list {
			i, ok := s.index[n]
			if !ok {
				s.findings = append(s.findings, api.Finding{
					ID: "policy-namespace", Severity: api.Warning, Subject: api.Ref{Kind: "Namespace", Name: n},
					Message: "the MigrationPolicy puts this namespace " + word + ", and it does not move in this plan",
					Effect:  "the entry has no effect", Action: "correct the name, or see why the namespace is held",
				})
				continue
			}
			if s.groups[i].place == -place {
				s.conflict(n, word)
				continue
			}
			s.groups[i].place = place
			for j := range s.groups {
				drag := reach[j][i]
				if place > 0 {
					drag = reach[i][j]
				}
				if j == i || !drag {
					continue
				}
				if s.groups[j].place == -place {
					s.conflict(n, word)
					continue
				}
				if s.groups[j].place == 0 {
					s.groups[j].place = place
					s.groups[j].why = append(s.groups[j].why, fmt.Sprintf("the MigrationPolicy puts %s %s, and the order of calls takes this along", n, word))
				}
			}
		}
	}
	mark(s.policy.First, -1, "first")
	mark(s.policy.Last, 1, "last")
	for i := range s.groups {
		for j := range s.groups {
			if s.groups[i].place < s.groups[j].place && !slices.Contains(s.groups[j].before, i) {
				s.groups[j].before = append(s.groups[j].before, i)
			}
		}
	}
}

// conflict reports that the policy asks for what the order forbids. The order wins.
func (s *scheduler) conflict(namespace, word string) {
	s.findings = append(s.findings, api.Finding{
		ID: "policy-order", Severity: api.Blocker, Subject: api.Ref{Kind: "Namespace", Name: namespace},
		Message: "the MigrationPolicy puts this namespace " + word + ", and the order of calls forbids it",
		Effect:  "the order of calls was kept, so the policy's wish is not fulfilled",
		Action:  "change first and last in the MigrationPolicy, or move the namespaces together",
	})
}

// reachable tells for each pair of groups whether the first must be before the second.
func (s *scheduler) reachable() [][]bool {
	n := len(s.groups)
	next := make([][]int, n)
	for j, g := range s.groups {
		for _, i := range g.before {
			next[i] = append(next[i], j)
		}
	}
	out := make([][]bool, n)
	for i := range out {
		out[i] = make([]bool, n)
		stack := []int{i}
		for len(stack) > 0 {
			cur := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			for _, k := range next[cur] {
				if !out[i][k] {
					out[i][k] = true
					stack = append(stack, k)
				}
			}
		}
	}
	return out
}
