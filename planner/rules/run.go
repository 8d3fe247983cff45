package rules

import (
	"fmt"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// Result of a run of a set of rules: sorted, without repetitions, every
// evidence with its source.
type Result struct {
	Needs    []api.Need
	Findings []api.Finding
	Unknowns []api.Unknown
	// accounted holds, for each object, the field paths that some rule dealt with.
	accounted map[api.Ref]map[string]bool
}

func (r *Result) account(o api.Ref, path string) {
	if r.accounted == nil {
		r.accounted = map[api.Ref]map[string]bool{}
	}
	m := r.accounted[o]
	if m == nil {
		m = map[string]bool{}
		r.accounted[o] = m
	}
	m[path] = true
}

// Run applies rules to a state. Coverage decides what a rule may rely on: a
// kind it reads that was not fully seen becomes an unknown in the rule's name.
func Run(st *mesh.State, cov []api.KindCoverage, set []Rule) Result {
	res, _ := run(st, cov, set)
	return res
}

// run also returns, for each rule id, the kinds that it read.
func run(st *mesh.State, cov []api.KindCoverage, set []Rule) (Result, map[string]map[mesh.Kind]bool) {
	var res Result
	read := make(map[string]map[mesh.Kind]bool, len(set))
	gaps := coverageGaps(cov)
	for _, r := range set {
		kinds := map[mesh.Kind]bool{}
		read[r.ID] = kinds
		for _, k := range r.Reads {
			if g, bad := gaps[k]; bad {
				res.Unknowns = append(res.Unknowns, coverageUnknown(r, k, g))
			}
		}
		p := &Pass{rule: r, st: st.Observed(func(k mesh.Kind) { kinds[k] = true }), result: &res}
		r.Check(p)
	}
	res.ledger(st)
	res.position(st)
	res.tidy()
	return res, read
}

// coverageGaps finds the kinds that were not fully seen. A kind without an
// entry was never asked for, which is not the same as absent.
func coverageGaps(cov []api.KindCoverage) map[mesh.Kind]coverageGap {
	gaps := map[mesh.Kind]coverageGap{}
	seen := map[[2]string]bool{}
	for _, c := range cov {
		seen[[2]string{c.Group, c.Kind}] = true
		if c.State.Known() {
			continue
		}
		reason := string(c.State)
		if reason == "" {
			reason = "not read"
		}
		if c.Reason != "" {
			reason += ": " + c.Reason
		}
		if k := mesh.KindOf(c.Group, c.Kind); k != "" {
			gap := coverageGap{what: fmt.Sprintf("%s (%s)", c.Kind, reason), action: "add the missing files, or grant the list permission, and take the inventory again"}
			if c.State == api.Forbidden {
				gap.action = "take the inventory again with a role that has the rule " + ruleFor(c)
			}
			gaps[k] = gap
		}
	}
	for _, k := range api.Kinds() {
		if mk := mesh.KindOf(k.Group, k.Kind); mk != "" && !seen[[2]string{k.Group, k.Kind}] {
			gaps[mk] = coverageGap{what: fmt.Sprintf("%s (not asked for)", k.Kind), action: "take the inventory again with this version"}
		}
	}
	return gaps
}

// coverageGap is a kind that was not fully seen: which and why, and what to do.
type coverageGap struct{ what, action string }

// ruleFor is what a role lacks that may not list a kind.
func ruleFor(c api.KindCoverage) string {
	for _, k := range api.Kinds() {
		if k.Group == c.Group && k.Kind == c.Kind && k.Resource != "" {
			return k.ListRule()
		}
	}
	return "for the ConfigMap of the mesh configuration, as `ambientplan inventory --print-rbac` shows it"
}

func coverageUnknown(r Rule, k mesh.Kind, gap coverageGap) api.Unknown {
	return api.Unknown{
		ID: r.ID, Subject: api.Ref{Kind: string(k), Name: "*"},
		What:   fmt.Sprintf("rule %s (%s) could not see every %s", r.ID, r.Title, gap.what),
		Could:  "a need or a blocker of this rule may be missing from every decision",
		Action: gap.action,
	}
}

// position fills in the source of every evidence from the origin of its object.
func (r *Result) position(st *mesh.State) {
	at := origins(st.Inventory())
	fill := func(ev []api.Evidence) {
		for i := range ev {
			if ev[i].Source == "" {
				ev[i].Source = at(ev[i].Object, ev[i].Path)
			}
		}
	}
	for i := range r.Needs {
		fill(r.Needs[i].Evidence)
	}
	for i := range r.Findings {
		fill(r.Findings[i].Evidence)
	}
	for i := range r.Unknowns {
		fill(r.Unknowns[i].Evidence)
	}
}

// origins indexes where every object of an inventory was read.
func origins(inv *api.Inventory) func(api.Ref, string) string {
	m := map[api.Ref]*api.Origin{}
	for i := range inv.Objects {
		m[inv.Objects[i].Ref()] = &inv.Objects[i].Origin
	}
	for i := range inv.Namespaces {
		m[inv.Namespaces[i].Ref()] = &inv.Namespaces[i].Origin
	}
	for i := range inv.Services {
		m[inv.Services[i].Ref()] = &inv.Services[i].Origin
	}
	for i := range inv.Workloads {
		m[inv.Workloads[i].Ref()] = &inv.Workloads[i].Origin
	}
	return func(ref api.Ref, path string) string {
		if o := m[ref]; o != nil {
			return o.At(path)
		}
		return ""
	}
}

// tidy sorts and removes repetitions, so that the order of rules and of input
// documents never shows.
func (r *Result) tidy() {
	for i := range r.Needs {
		slices.SortFunc(r.Needs[i].Evidence, api.Evidence.Compare)
	}
	for i := range r.Findings {
		slices.SortFunc(r.Findings[i].Evidence, api.Evidence.Compare)
	}
	slices.SortFunc(r.Needs, api.Need.Compare)
	slices.SortFunc(r.Findings, api.Finding.Compare)
	slices.SortFunc(r.Unknowns, api.Unknown.Compare)
	r.Needs = slices.CompactFunc(r.Needs, func(a, b api.Need) bool { return a.Compare(b) == 0 })
	r.Findings = slices.CompactFunc(r.Findings, func(a, b api.Finding) bool { return a.Compare(b) == 0 })
	r.Unknowns = slices.CompactFunc(r.Unknowns, func(a, b api.Unknown) bool { return a.Compare(b) == 0 })
}
