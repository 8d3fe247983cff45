package planner

import (
	"fmt"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// placeByPolicy marks what the policy puts first and last, and what the order
// drags along.
func (s *scheduler) placeByPolicy() {
	s.mark(s.policy.First, -1, "first")
	s.mark(s.policy.Last, 1, "last")
	for i := range s.groups {
		for j := range s.groups {
			if s.groups[i].place < s.groups[j].place {
				s.groups[j].before = append(s.groups[j].before, i)
			}
		}
	}
	for j := range s.groups {
		s.groups[j].before = compact(s.groups[j].before)
	}
}

// mark places namespaces, and all that must be before the first ones or after
// the last ones.
func (s *scheduler) mark(list []string, place int, word string) {
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
		dragged := s.dragged(i, place)
		if k := slices.IndexFunc(dragged, func(j int) bool { return s.groups[j].place == -place }); k >= 0 {
			s.conflict(n, s.groups[dragged[k]].placedBy, place, word)
			continue
		}
		g := &s.groups[i]
		if g.place == 0 {
			g.why = append(g.why, fmt.Sprintf("%s: the MigrationPolicy puts it %s", n, word))
		}
		for _, j := range dragged {
			d := &s.groups[j]
			if d.place == 0 && j != i {
				d.why = append(d.why, fmt.Sprintf("%s: the MigrationPolicy puts %s %s, and the order of calls takes this along", strings.Join(d.names, ", "), n, word))
			}
			if d.place == 0 {
				d.place, d.placedBy = place, n
			}
		}
	}
}

// dragged are the groups that cannot stay behind when a group is placed, itself
// first: all that must not be after it, or, for the last ones, not before it.
func (s *scheduler) dragged(i, place int) []int {
	next := func(g int) []int { return append(slices.Clone(s.groups[g].before), s.groups[g].notAfter...) }
	if place > 0 {
		next = func(g int) []int {
			var out []int
			for _, c := range s.groups[g].out {
				out = append(out, s.index[c.After.Namespace])
			}
			return out
		}
	}
	seen := map[int]bool{i: true}
	out := []int{i}
	for k := 0; k < len(out); k++ {
		for _, j := range next(out[k]) {
			if !seen[j] {
				seen[j] = true
				out = append(out, j)
			}
		}
	}
	slices.Sort(out[1:])
	return out
}

// conflict reports that the policy asks for what the order forbids, naming both
// ends and a constraint between them. The order wins.
func (s *scheduler) conflict(namespace, other string, place int, word string) {
	opposite, a, b := "last", other, namespace
	if place > 0 {
		opposite, a, b = "first", namespace, other
	}
	f := api.Finding{
		ID: idPolicyOrder, Severity: api.Blocker, Subject: api.Ref{Kind: "Namespace", Name: namespace},
		Message: fmt.Sprintf("the MigrationPolicy puts this namespace %s and %s %s", word, other, opposite),
		Effect:  "the order was kept, so the policy's wish is not fulfilled: this namespace moves where the order allows it",
		Action:  "change first, last and together in the MigrationPolicy, or remove the call",
	}
	if s.index[namespace] == s.index[other] {
		f.Message += ", and both move in one wave"
	}
	if way := s.chain(a, b, s.calls()); way != nil {
		f.Message += ", and the order of calls demands " + strings.Join(way, " before ")
		for i := range s.cs {
			if c := &s.cs[i]; s.relate(c) != unrelated && c.Before.Namespace == way[0] && c.After.Namespace == way[1] {
				f.Message += " (" + c.Reason + ")"
				f.Evidence = c.Evidence
				break
			}
		}
	}
	s.findings = append(s.findings, f)
}
