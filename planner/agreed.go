package planner

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// Ids of the findings about an earlier plan.
const (
	idAgreedMoved = "agreed-moved"
	idDoneHeld    = "done-held"
	// idFleetMoved is of a namespace that cannot share its wave with another cluster.
	idFleetMoved = "fleet-order"
)

// Agreed are the waves of an earlier plan. People have reviewed them, and a part of
// them may be done: a plan that follows keeps every namespace in its wave, with
// the wave's number and name, as long as the constraints allow it.
type Agreed struct {
	// Plan is the earlier plan, and Done how many of its steps stand.
	Plan  *api.MigrationPlan
	Done  int
	Waves []AgreedWave
	// Cluster is set when the waves are not of an earlier plan but of the plan of another
	// cluster, whose order this one shall share.
	Cluster string
	// Begun is the number of the last wave of which a step is done; 0 is none. What
	// is in waves up to it never moves to another one.
	Begun int
}

// AgreedWave is one wave of an earlier plan.
type AgreedWave struct {
	Number     int
	Name       string
	Namespaces []string
	NotBefore  string
}

// AgreedOf are the waves of a plan, of whose steps the first ones are done, and of whose
// waves those up to the number begun have begun.
func AgreedOf(p *api.MigrationPlan, done, begun int) Agreed {
	out := Agreed{Plan: p, Done: done, Begun: begun}
	for i := range p.Waves {
		w := &p.Waves[i]
		if w.Number > 0 {
			out.Waves = append(out.Waves, AgreedWave{Number: w.Number, Name: w.Name, Namespaces: w.Namespaces, NotBefore: w.NotBefore})
		}
	}
	return out
}

// source is whose waves these are, in words.
func (a *Agreed) source() string {
	if a.Cluster != "" {
		return "the plan of cluster " + a.Cluster
	}
	return "the plan that was agreed on"
}

// last is the highest number of a wave.
func (a *Agreed) last() int {
	n := 0
	for i := range a.Waves {
		n = max(n, a.Waves[i].Number)
	}
	return n
}

// numbers is the wave of each namespace.
func (a *Agreed) numbers() map[string]int {
	out := map[string]int{}
	for i := range a.Waves {
		for _, n := range a.Waves[i].Namespaces {
			out[n] = a.Waves[i].Number
		}
	}
	return out
}

// begun is the wave of each namespace that has begun to move.
func (a *Agreed) begun() map[string]int {
	out := a.numbers()
	maps.DeleteFunc(out, func(_ string, n int) bool { return n > a.Begun })
	return out
}

// wave finds the wave of a number.
func (a *Agreed) wave(number int) (AgreedWave, bool) {
	i := slices.IndexFunc(a.Waves, func(w AgreedWave) bool { return w.Number == number })
	if i < 0 {
		return AgreedWave{}, false
	}
	return a.Waves[i], true
}

// keeper places groups around the waves of an earlier plan.
type keeper struct {
	s      *scheduler
	agreed Agreed
	// want is the number of the wave that a group had; 0 for one that is new.
	want []int
	// pinned groups are in a wave that has begun.
	pinned []bool
	// latest is the last wave that leaves those alone that come after a group.
	latest []int
	at     []int
	in     map[int][]int // wave number -> groups
}

// keep places the groups by an earlier plan: each in the wave that it had, or in the
// next one that the constraints allow, which a finding reports. What is new goes into
// the last wave that has room and moves nothing else, else into a new one at the end.
// The result is by wave number.
func (s *scheduler) keep(a Agreed) map[int][]int {
	k := &keeper{s: s, agreed: a, want: make([]int, len(s.groups)), pinned: make([]bool, len(s.groups)), at: make([]int, len(s.groups)), in: map[int][]int{}}
	numbers := a.numbers()
	for g := range s.groups {
		for _, n := range s.groups[g].names {
			k.want[g] = max(k.want[g], numbers[n])
			k.pinned[g] = k.pinned[g] || s.begun[n] > 0
		}
		if k.want[g] > 0 {
			k.in[k.want[g]] = append(k.in[k.want[g]], g)
		}
	}
	order := k.order()
	k.bound(order)
	for _, g := range order {
		k.place(g)
	}
	k.full()
	k.gone()
	return k.in
}

// order is a topological order of the groups, by the scheduler's priority where
// nothing else decides. Groups are free of cycles.
func (k *keeper) order() []int {
	done := make([]bool, len(k.at))
	order := make([]int, 0, len(k.at))
	prio := k.s.priority()
	for len(order) < len(prio) {
		before := len(order)
		for _, g := range prio {
			ready := !done[g]
			for _, b := range slices.Concat(k.s.groups[g].before, k.s.groups[g].notAfter) {
				ready = ready && (done[b] || b == g)
			}
			if ready {
				done[g] = true
				order = append(order, g)
			}
		}
		if len(order) == before { // Cannot happen; check would name what breaks.
			for _, g := range prio {
				if !done[g] {
					done[g] = true
					order = append(order, g)
				}
			}
		}
	}
	return order
}

// bound finds for each group the last wave in which it pushes no other away.
func (k *keeper) bound(order []int) {
	k.latest = make([]int, len(k.at))
	for i := range k.latest {
		k.latest[i] = math.MaxInt
	}
	for _, g := range slices.Backward(order) {
		own := k.latest[g]
		if k.want[g] > 0 {
			own = k.want[g]
		}
		if own == math.MaxInt {
			continue
		}
		for _, b := range k.s.groups[g].before {
			k.latest[b] = min(k.latest[b], own-1)
		}
		for _, b := range k.s.groups[g].notAfter {
			k.latest[b] = min(k.latest[b], own)
		}
	}
}

// place decides on the wave of a group whose predecessors are placed.
func (k *keeper) place(g int) {
	gr := &k.s.groups[g]
	lower, because := 1, -1
	for _, b := range gr.before {
		if k.at[b]+1 > lower {
			lower, because = k.at[b]+1, b
		}
	}
	for _, b := range gr.notAfter {
		if k.at[b] > lower {
			lower, because = k.at[b], b
		}
	}
	want := k.want[g]
	switch {
	case k.pinned[g]:
		k.at[g] = want
	case want == 0:
		k.at[g] = k.room(g, max(lower, k.agreed.Begun+1))
		k.in[k.at[g]] = append(k.in[k.at[g]], g)
		if len(k.agreed.Waves) > 0 {
			gr.why = append(gr.why, fmt.Sprintf("%s: not in %s", strings.Join(gr.names, ", "), k.agreed.source()))
		}
	case want >= lower:
		k.at[g] = want
	default:
		k.at[g] = lower
		k.in[want] = slices.DeleteFunc(k.in[want], func(x int) bool { return x == g })
		k.in[lower] = append(k.in[lower], g)
		k.moved(g, because)
	}
}

// room is the wave for a group that is new.
func (k *keeper) room(g, lower int) int {
	latest := k.latest[g]
	last := max(k.agreed.last(), slices.Max(append(k.numbers(), 0)))
	if latest == math.MaxInt {
		if last >= lower && len(k.in[last]) > 0 && k.s.fits(last-1, append(slices.Clone(k.in[last]), g)) {
			return last
		}
		return max(lower, last+1)
	}
	for n := latest; n >= lower; n-- {
		if k.s.fits(n-1, append(slices.Clone(k.in[n]), g)) {
			return n
		}
	}
	return max(lower, latest)
}

func (k *keeper) numbers() []int {
	var out []int
	for n, in := range k.in {
		if len(in) > 0 {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

// moved reports a group that cannot stay in the wave that was agreed on.
func (k *keeper) moved(g, because int) {
	gr := &k.s.groups[g]
	names := strings.Join(gr.names, ", ")
	msg := fmt.Sprintf("%s: in wave %d of the plan that was agreed on, and now in wave %d", names, k.want[g], k.at[g])
	if k.agreed.Cluster != "" {
		msg = fmt.Sprintf("%s: in wave %d of %s, and here in wave %d", names, k.want[g], k.agreed.source(), k.at[g])
	}
	f := api.Finding{
		ID: idAgreedMoved, Severity: api.Info, Subject: api.Ref{Kind: "Namespace", Name: gr.names[0]}, Message: msg,
		Effect: "who reviewed the old order has not seen this one",
		Action: "review the two waves again",
	}
	if k.agreed.Cluster != "" {
		f.ID, f.Effect, f.Action = idFleetMoved, "the namespace moves at another time than in that cluster, and calls between the two meet both modes for longer", "see whether the constraint can go; the order of the fleet takes it into account"
	}
	for _, c := range gr.in {
		if because >= 0 && k.s.index[c.Before.Namespace] == because {
			f.Message += fmt.Sprintf(", because %s must be before it: %s", c.Before.Namespace, c.Reason)
			f.Evidence = c.Evidence
			break
		}
	}
	gr.why = append(gr.why, f.Message)
	k.s.findings = append(k.s.findings, f)
}

// full reports waves that hold more than their capacity: the plan that was agreed
// on is kept all the same.
func (k *keeper) full() {
	for _, n := range k.numbers() {
		in := k.in[n]
		if n <= k.agreed.Begun || k.s.fits(n-1, in) {
			continue
		}
		first := k.s.groups[in[0]].names[0]
		k.s.findings = append(k.s.findings, api.Finding{
			ID: "capacity", Severity: api.Warning, Subject: api.Ref{Kind: "Namespace", Name: first},
			Message: fmt.Sprintf("wave %d holds more than the MigrationPolicy lets a wave have: its namespaces stay where %s put them, or can stand nowhere else", n, map[bool]string{true: "the earlier plan", false: k.agreed.source()}[k.agreed.Cluster == ""]),
			Effect:  "the wave is larger than the capacity",
			Action:  "plan more hands for this wave, or plan anew without the earlier plan",
		})
	}
}

// gone reports namespaces of waves that have begun and that do not move in this plan:
// what was done to them, nothing undoes or goes on with.
func (k *keeper) gone() {
	for _, w := range k.agreed.Waves {
		for _, n := range w.Namespaces {
			if _, ok := k.s.index[n]; ok || w.Number > k.agreed.Begun {
				continue
			}
			k.s.findings = append(k.s.findings, api.Finding{
				ID: idDoneHeld, Severity: api.Blocker, Subject: api.Ref{Kind: "Namespace", Name: n},
				Message: fmt.Sprintf("wave %d has begun to move this namespace, and in this plan it does not move", w.Number),
				Effect:  "this plan neither goes on with it nor takes it back; a controller that prunes would delete what the earlier plan made for it",
				Action:  "see in the held namespaces or decisions why, and go back by the earlier plan's rollback first when it shall stay as it was",
			})
		}
	}
}
