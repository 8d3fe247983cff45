package planner

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
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
	// maxReasons bounds how many constraints a wave recites for one group.
	maxReasons = 5
)

// Ids of the findings about the schedule; the first three also stand in the
// constraints that they break.
const (
	idCycle       = "cycle"
	idTogether    = "together-order"
	idOrderUnmet  = "order-unmet"
	idPolicyOrder = "policy-order"
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
	// place is -1 for first, 1 for last, 0 between; placedBy is the namespace for
	// which the policy says so.
	place    int
	placedBy string
	// before are the groups of earlier waves; notAfter those of earlier waves or
	// of the same one. Both sorted.
	before, notAfter []int
	// in and out are the constraints that tie it to other groups.
	in, out []*api.Constraint
}

// Schedule puts the namespaces that move into waves.
//
// A constraint between steps of two namespaces means an earlier wave, or, where
// the first step stands before the second inside a wave, an earlier wave or the
// same. Namespaces that constraints tie in a cycle move in one wave, and the
// cycle is named; what cannot be kept inside it is marked Broken with the id of
// the finding. Steps of a server that are inert for its own pods (prepare,
// route, activate) move early, into the wave of the first caller that needs
// them. Then waves are filled by the policy's capacity, least risk first: by
// exact search for the least number of waves where there are at most exactGroups
// groups, else by list scheduling, with the distance to a lower bound as a
// finding. The order of calls wins over the policy's first and last, with a
// blocker. At the end every constraint is checked against the result.
//
// It fails with ErrContradiction when the policy puts a namespace both first and
// last, or when its calendar leaves no day.
func Schedule(nss []api.PlanNamespace, ds []api.Decision, cs []api.Constraint, p *api.MigrationPolicy, now time.Time) ([]Slot, []api.Constraint, []api.Finding, error) {
	return Reschedule(nss, ds, cs, p, now, Agreed{})
}

// Reschedule is Schedule around the waves of an earlier plan: see Agreed. Without any
// it is Schedule.
func Reschedule(nss []api.PlanNamespace, ds []api.Decision, cs []api.Constraint, p *api.MigrationPolicy, now time.Time, agreed Agreed) ([]Slot, []api.Constraint, []api.Finding, error) {
	if p == nil {
		p = &api.MigrationPolicy{}
	}
	for _, f := range p.First {
		if slices.Contains(p.Last, f) {
			return nil, nil, nil, fmt.Errorf("%w: namespace %q is both in first and in last", ErrContradiction, f)
		}
	}
	s := &scheduler{policy: p, cs: slices.Clone(cs), index: map[string]int{}, spaces: map[string]api.PlanNamespace{}, begun: agreed.begun()}
	for _, n := range nss {
		s.spaces[n.Name] = n
	}
	var slots []Slot
	if len(nss) > 0 {
		s.condense()
		s.weigh(ds)
		s.nameGroups()
		s.tie()
		s.placeByPolicy()
		slots = s.slots(agreed)
		s.early(slots)
		s.explainCount(slots)
		if err := dates(slots, p, now); err != nil {
			return nil, nil, nil, err
		}
	}
	s.check(slots)
	slices.SortFunc(s.findings, api.Finding.Compare)
	return slots, s.cs, s.findings, nil
}

// slots fills the waves.
func (s *scheduler) slots(agreed Agreed) []Slot {
	var out []Slot
	if len(agreed.Waves) == 0 {
		for i, w := range s.fill() {
			out = append(out, s.slot(i+1, w))
		}
		return out
	}
	kept := s.keep(agreed)
	for _, n := range slices.Sorted(maps.Keys(kept)) {
		if len(kept[n]) == 0 {
			continue
		}
		sl := s.slot(n, kept[n])
		if w, ok := agreed.wave(n); ok {
			sl.Name = w.Name
			if n <= agreed.Begun {
				sl.NotBefore, sl.begun = w.NotBefore, true
			}
		}
		out = append(out, sl)
	}
	return out
}

type scheduler struct {
	policy   *api.MigrationPolicy
	cs       []api.Constraint
	spaces   map[string]api.PlanNamespace
	groups   []group
	index    map[string]int // namespace -> group
	findings []api.Finding
	// begun is the wave of an earlier plan in which a namespace has begun to move.
	begun map[string]int
	// exact is true when no schedule under the constraints has fewer waves.
	exact bool
}

// relation is what a constraint means for the waves of its two namespaces.
type relation int

const (
	unrelated relation = iota
	sameOrEarlier
	earlier
)

// stepRank is the place of a step inside a wave; later batches of the cutover
// count as the cutover. A step that this version does not know is -1.
func stepRank(step string) int {
	if strings.HasPrefix(step, stepCutover+"-") {
		step = stepCutover
	}
	return slices.Index([]string{stepPrepare, stepActivate, stepEnrol, stepCutover, stepRoute, stepFinalize}, step)
}

// movable tells whether a step may be done in an earlier wave than the cutover
// of its namespace.
func movable(step string) bool {
	return step == stepPrepare || step == stepActivate
}

// relate says what a constraint means for waves.
func (s *scheduler) relate(c *api.Constraint) relation {
	_, a := s.spaces[c.Before.Namespace]
	_, b := s.spaces[c.After.Namespace]
	switch {
	case !a || !b || c.Before.Namespace == c.After.Namespace || movable(c.Before.Step) || c.Broken == idRoutingLost:
		return unrelated
	case s.begun[c.Before.Namespace] != s.begun[c.After.Namespace]:
		// What has begun stays where it is: the order is kept or broken already, as check says.
		return unrelated
	case stepRank(c.Before.Step) >= 0 && stepRank(c.Before.Step) < stepRank(c.After.Step):
		return sameOrEarlier
	}
	return earlier
}

// condense makes the groups: strongly connected namespaces, with the policy's
// groups counted as connected.
func (s *scheduler) condense() {
	names := make([]string, 0, len(s.spaces))
	for n := range s.spaces {
		names = append(names, n)
	}
	slices.Sort(names)
	next := s.calls()
	for _, g := range s.policy.Together {
		in := s.moving(g.Namespaces)
		for i := range in {
			next[in[i]] = append(next[in[i]], in[(i+1)%len(in)])
		}
	}
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
}

// calls is the graph of constraints between namespaces that move.
func (s *scheduler) calls() map[string][]string {
	next := map[string][]string{}
	for i := range s.cs {
		if c := &s.cs[i]; s.relate(c) != unrelated {
			next[c.Before.Namespace] = append(next[c.Before.Namespace], c.After.Namespace)
		}
	}
	for _, list := range next {
		slices.Sort(list)
	}
	return next
}

// moving are those of the namespaces that move and have not begun to.
func (s *scheduler) moving(names []string) []string {
	var out []string
	for _, n := range names {
		if _, ok := s.spaces[n]; ok && s.begun[n] == 0 {
			out = append(out, n)
		}
	}
	return out
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

// Critical tells whether an owner's word for a tier is the most critical one.
func Critical(tier string) bool { return tierRank(tier) == 0 }

// tie gives each group its constraints to other groups.
func (s *scheduler) tie() {
	for i := range s.cs {
		c := &s.cs[i]
		r := s.relate(c)
		a, b := s.index[c.Before.Namespace], s.index[c.After.Namespace]
		if r == unrelated || a == b {
			continue
		}
		before, after := &s.groups[a], &s.groups[b]
		before.out, after.in = append(before.out, c), append(after.in, c)
		if r == earlier {
			after.before = append(after.before, a)
		} else {
			after.notAfter = append(after.notAfter, a)
		}
	}
	for i := range s.groups {
		g := &s.groups[i]
		g.before, g.notAfter = compact(g.before), compact(g.notAfter)
	}
}

func compact(list []int) []int {
	slices.Sort(list)
	return slices.Compact(list)
}

// chain finds the shortest way from one namespace to another along constraints,
// as "a, b, c"; nil when there is none. From a namespace to itself it is a cycle.
func (s *scheduler) chain(from, to string, next map[string][]string) []string {
	came := map[string]string{}
	queue := []string{from}
	for len(queue) > 0 {
		cur := queue[0]
		queue = queue[1:]
		for _, n := range next[cur] {
			if _, ok := came[n]; ok {
				continue
			}
			came[n] = cur
			if n == to {
				path := []string{to}
				for at := cur; at != from; at = came[at] {
					path = append(path, at)
				}
				path = append(path, from)
				slices.Reverse(path)
				return path
			}
			queue = append(queue, n)
		}
	}
	return nil
}

// nameGroups says of each group of several namespaces why they move together,
// and marks the constraints that it breaks.
func (s *scheduler) nameGroups() {
	next := s.calls()
	names := make([]string, 0, len(s.spaces))
	for n := range s.spaces {
		names = append(names, n)
	}
	slices.Sort(names)
	circle := map[string]int{} // namespace -> which cycle of calls
	said := map[string]bool{}
	for i, comp := range components(names, next) {
		for _, n := range comp {
			circle[n] = i
		}
		if len(comp) > 1 {
			s.nameCycle(comp, next)
			for _, n := range comp {
				said[n] = true
			}
		}
	}
	for _, t := range s.policy.Together {
		in := s.moving(t.Namespaces)
		if len(in) < 2 {
			continue
		}
		for _, n := range in {
			said[n] = true
		}
		g := &s.groups[s.index[in[0]]]
		g.why = append(g.why, fmt.Sprintf("the MigrationPolicy moves group %s together (%s): %s", t.Name, strings.Join(in, ", "), cmp.Or(t.Reason, "no reason is given")))
	}
	s.nameDraggedIn(said)
	for i := range s.cs {
		c := &s.cs[i]
		if s.relate(c) != earlier || s.index[c.Before.Namespace] != s.index[c.After.Namespace] {
			continue
		}
		if circle[c.Before.Namespace] == circle[c.After.Namespace] {
			c.Broken = idCycle
			continue
		}
		c.Broken = idTogether
		s.findings = append(s.findings, api.Finding{
			ID: idTogether, Severity: api.Warning, Subject: api.Ref{Kind: "Namespace", Name: c.After.Namespace},
			Message:  fmt.Sprintf("the MigrationPolicy moves %s and %s in one wave, though %s of %s should be done before %s of %s", c.Before.Namespace, c.After.Namespace, c.Before.Step, c.Before.Namespace, c.After.Step, c.After.Namespace),
			Evidence: c.Evidence,
			Effect:   "the order inside the wave has to stand for the order of waves: " + c.Reason,
			Action:   "see in the wave's cutover steps that callers restart before what they call, or take the namespaces out of the group",
		})
	}
}

// nameDraggedIn gives a reason to namespaces that stand in a group for neither a
// cycle nor the policy's word alone: the order puts them between namespaces that
// the policy moves together.
func (s *scheduler) nameDraggedIn(said map[string]bool) {
	for i := range s.groups {
		g := &s.groups[i]
		var rest []string
		for _, n := range g.names {
			if len(g.names) > 1 && !said[n] {
				rest = append(rest, n)
			}
		}
		if len(rest) > 0 {
			g.why = append(g.why, fmt.Sprintf("%s moves along: the order of calls puts it between namespaces that move together", strings.Join(rest, ", ")))
		}
	}
}

// nameCycle reports namespaces that constraints tie in a cycle.
func (s *scheduler) nameCycle(comp []string, next map[string][]string) {
	g := &s.groups[s.index[comp[0]]]
	way := strings.Join(s.chain(comp[0], comp[0], next), " before ")
	names := strings.Join(comp, ", ")
	g.why = append(g.why, fmt.Sprintf("%s move together: the order of calls is a cycle (%s), so none of them can be first", names, way))
	var evidence []api.Evidence
	strict := false
	for i := range s.cs {
		c := &s.cs[i]
		if s.relate(c) == unrelated || !slices.Contains(comp, c.Before.Namespace) || !slices.Contains(comp, c.After.Namespace) {
			continue
		}
		strict = strict || s.relate(c) == earlier
		if len(evidence) < maxEvidence && len(c.Evidence) > 0 {
			evidence = append(evidence, c.Evidence[0])
		}
	}
	f := api.Finding{
		ID: idCycle, Severity: api.Warning, Subject: api.Ref{Kind: "Namespace", Name: comp[0]},
		Message:  fmt.Sprintf("namespaces %s move in one wave, because the order of calls is a cycle: %s", names, way),
		Evidence: evidence,
		Effect:   "while this wave's cutover runs, some callers with sidecars meet servers that are already ambient: where an L7 ALLOW guards the server they are refused until they have restarted, and other L7 rules do not hold for them",
		Action:   "keep the cutover of this wave short, or break the cycle by giving one of the services a layer 4 policy for the time between",
	}
	if !strict {
		f.Severity, f.Effect = api.Info, "the steps of this wave run for all of them side by side, which keeps the order"
		f.Action = "see that the capacity of the wave suits you"
	}
	s.findings = append(s.findings, f)
}
