package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/planner"
)

// queue is what a cluster still has to do: its own waves, in its own order.
type queue struct {
	m     *member
	waves []*api.Wave
}

// next wave of the cluster; nil when it is done.
func (q *queue) next() *api.Wave {
	if len(q.waves) == 0 {
		return nil
	}
	return q.waves[0]
}

// sequence puts the waves of several clusters into one order.
type sequence struct {
	f      *fleet
	queues []*queue
	// at is the fleet wave in which a namespace of a cluster has moved.
	at map[place]int
	// tied are the clusters that share Services in a namespace that moves in all of them.
	tied map[place][]*member
	out  []api.FleetWave
}

type place struct {
	m         *member
	namespace string
}

// order makes the waves of the fleet. The foundation of all clusters comes first: before an
// ambient caller appears anywhere, sidecars everywhere must accept HBONE (facts M-02). Then
// each cluster takes its own waves in its own order, which its plan has proved. A namespace
// never moves before it has moved in the canary, and where clusters share Services in a
// namespace they wait for each other, so that these have two modes for as short as possible
// (facts M-35). Nobody waits for what its own order makes impossible.
func (f *fleet) order() ([]api.FleetWave, error) {
	s := &sequence{f: f, at: map[place]int{}}
	for _, m := range f.members {
		if m.plan == nil {
			continue
		}
		q := &queue{m: m}
		for i := range m.plan.Waves {
			if w := &m.plan.Waves[i]; w.Number > 0 {
				q.waves = append(q.waves, w)
			}
		}
		if m == f.canary {
			s.queues = slices.Insert(s.queues, 0, q)
			continue
		}
		s.queues = append(s.queues, q)
	}
	s.tie()
	s.foundation()
	for {
		going := s.going()
		if len(going) == 0 {
			break
		}
		s.wave(going)
	}
	return s.out, s.dates()
}

// tie finds the namespaces that clusters should move together.
func (s *sequence) tie() {
	s.tied = map[place][]*member{}
	movesIn := map[place]bool{}
	for _, q := range s.queues {
		for _, w := range q.waves {
			for _, n := range w.Namespaces {
				movesIn[place{q.m, n}] = true
			}
		}
	}
	for _, sh := range s.f.shared {
		for _, a := range sh.in {
			for _, b := range sh.in {
				p := place{a, sh.namespace}
				if a != b && movesIn[p] && movesIn[place{b, sh.namespace}] && !slices.Contains(s.tied[p], b) {
					s.tied[p] = append(s.tied[p], b)
				}
			}
		}
	}
}

// foundation is wave 0 of every cluster that has one.
func (s *sequence) foundation() {
	w := api.FleetWave{Name: "foundation", Clusters: []api.FleetMove{}, Reasons: []string{}}
	for _, q := range s.queues {
		if i := slices.IndexFunc(q.m.plan.Waves, func(w api.Wave) bool { return w.Number == 0 }); i >= 0 {
			w.Clusters = append(w.Clusters, api.FleetMove{Cluster: q.m.Name, Namespaces: []string{}})
		}
	}
	if len(w.Clusters) == 0 {
		return
	}
	w.Reasons = append(w.Reasons, "every cluster has its foundation before anything moves in any of them: a caller in ambient mode reaches a sidecar of another cluster only when that accepts HBONE (facts M-02)")
	if s.f.canary != nil {
		w.Reasons = append(w.Reasons, fmt.Sprintf("cluster %s goes first in every wave: %s", s.f.canary.Name, s.f.because))
	}
	s.out = append(s.out, w)
}

// canaryBefore tells whether the canary has moved, or moves now, what another cluster
// would move.
func (s *sequence) canaryBefore(q *queue, going map[*queue]bool) bool {
	c := s.queues[0]
	if c.m != s.f.canary || q == c {
		return true
	}
	for _, n := range q.next().Namespaces {
		later := slices.ContainsFunc(c.waves, func(w *api.Wave) bool { return slices.Contains(w.Namespaces, n) })
		now := going[c] && slices.Contains(c.next().Namespaces, n)
		if later && !now {
			return false
		}
	}
	return true
}

// aligned tells whether all clusters that share Services in the namespaces of the next
// wave of one have moved them, or move them now.
func (s *sequence) aligned(q *queue, going map[*queue]bool) bool {
	for _, n := range q.next().Namespaces {
		for _, o := range s.tied[place{q.m, n}] {
			if s.at[place{o, n}] > 0 {
				continue
			}
			i := slices.IndexFunc(s.queues, func(x *queue) bool { return x.m == o })
			if other := s.queues[i]; !going[other] || !slices.Contains(other.next().Namespaces, n) {
				return false
			}
		}
	}
	return true
}

// going are the clusters that take their next wave now, in order: as many as keep to the
// canary and to each other, and else the first that keeps to the canary. The canary
// itself waits for nobody.
func (s *sequence) going() []*queue {
	going := map[*queue]bool{}
	for _, q := range s.queues {
		if q.next() != nil {
			going[q] = true
		}
	}
	for changed := true; changed; {
		changed = false
		for _, q := range s.queues {
			if going[q] && (!s.canaryBefore(q, going) || q.m != s.f.canary && !s.aligned(q, going)) {
				delete(going, q)
				changed = true
			}
		}
	}
	var out []*queue
	for _, q := range s.queues {
		if going[q] {
			out = append(out, q)
		}
	}
	for _, q := range s.queues {
		if len(out) == 0 && q.next() != nil && s.canaryBefore(q, nil) {
			out = append(out, q)
		}
	}
	return out
}

// wave lets clusters take their next waves.
func (s *sequence) wave(going []*queue) {
	w := api.FleetWave{Number: 1, Clusters: []api.FleetMove{}, Reasons: []string{}}
	if n := len(s.out); n > 0 {
		w.Number = s.out[n-1].Number + 1
	}
	in := map[string][]string{} // namespace -> clusters
	var names []string
	for _, q := range going {
		own := q.next()
		q.waves = q.waves[1:]
		w.Name = cmp.Or(w.Name, own.Name)
		w.Clusters = append(w.Clusters, api.FleetMove{Cluster: q.m.Name, Wave: own.Number, Namespaces: slices.Clone(own.Namespaces), NotBefore: own.NotBefore})
		for _, n := range own.Namespaces {
			s.at[place{q.m, n}] = w.Number
			if in[n] == nil {
				names = append(names, n)
			}
			in[n] = append(in[n], q.m.Name)
		}
	}
	slices.Sort(names)
	w.Reasons = append(w.Reasons, s.reasons(w.Number, names, in)...)
	s.out = append(s.out, w)
}

// reasons say of each namespace why it stands here.
func (s *sequence) reasons(number int, names []string, in map[string][]string) []string {
	var out []string
	for _, n := range names {
		if len(in[n]) > 1 && len(s.tied[place{s.f.member(in[n][0]), n}]) > 0 {
			out = append(out, fmt.Sprintf("%s has Services that clusters %s share: all of them move it in this wave, so that the Services have two modes for as short as possible (facts M-35)", n, strings.Join(in[n], ", ")))
			continue
		}
		for _, c := range in[n] {
			m := s.f.member(c)
			for _, o := range s.tied[place{m, n}] {
				switch at := s.at[place{o, n}]; {
				case at > 0 && at < number:
					out = append(out, fmt.Sprintf("%s moved in wave %d in cluster %s; cluster %s follows as soon as its own order lets it", n, at, o.Name, c))
				case at == 0:
					out = append(out, fmt.Sprintf("%s moves in cluster %s before cluster %s, whose own order comes to it later", n, c, o.Name))
				}
			}
		}
	}
	return out
}

// dates gives the parts of the waves their days: the first cluster of a wave, and when it
// has soaked the others side by side.
func (s *sequence) dates() error {
	if s.f.policy.Calendar == nil {
		return nil
	}
	var slots []planner.Slot
	type part struct{ wave, move int }
	of := map[int][]part{}
	for i := range s.out {
		if s.out[i].Number == 0 {
			continue
		}
		for j, m := range s.out[i].Clusters {
			if j < 2 {
				slots = append(slots, planner.Slot{Number: len(slots) + 1})
			}
			last := len(slots) - 1
			slots[last].Namespaces = append(slots[last].Namespaces, m.Namespaces...)
			of[last] = append(of[last], part{i, j})
		}
	}
	if err := planner.Dates(slots, s.f.policy, s.f.in.Now); err != nil {
		return err
	}
	for n := range slots {
		for _, p := range of[n] {
			m := &s.out[p.wave].Clusters[p.move]
			m.NotBefore = slots[n].NotBefore
			own := s.f.member(m.Cluster).plan
			for i := range own.Waves {
				if own.Waves[i].Number == m.Wave {
					own.Waves[i].NotBefore = m.NotBefore
				}
			}
		}
	}
	return nil
}
