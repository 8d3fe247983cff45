package render

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// SubjectError is a subject that the plan says nothing about. Near lists what the
// plan knows and the subject may mean.
type SubjectError struct {
	Subject string
	Near    []string
}

// Error says what a subject looks like.
func (e *SubjectError) Error() string {
	s := fmt.Sprintf("the plan says nothing about %q: a subject is NAMESPACE, NAMESPACE/NAME, KIND/NAMESPACE/NAME or \"wave N\"", e.Subject)
	if len(e.Near) > 0 {
		s += "; did you mean " + strings.Join(e.Near, ", ") + "?"
	}
	return s
}

// Explain is all that a plan says about one subject, with the evidence, as text
// for a terminal. The subject is NAMESPACE, NAMESPACE/NAME (a service, a workload
// or any object), KIND/NAMESPACE/NAME, KIND/NAME for an object without a namespace,
// or "wave N". Errors are *SubjectError or *WaveError.
func Explain(p *api.MigrationPlan, subject string) ([]byte, error) {
	t := &text{width: 80}
	// No namespace has a space or a slash, so "wave-1" and "wave1" stay namespaces.
	if rest, ok := strings.CutPrefix(strings.ToLower(subject), "wave"); ok && rest != "" && strings.Contains(" /", rest[:1]) {
		if n, err := strconv.Atoi(rest[1:]); err == nil {
			return t.explainWave(p, n)
		}
	}
	s, ok := parseSubject(subject)
	if !ok {
		return nil, &SubjectError{Subject: subject}
	}
	t.heading(subject, bold)
	before := t.b.Len()
	t.explainNamespace(p, s)
	t.explainDecisions(p, s)
	t.explainConstraints(p, s)
	t.explainFindings(p, s)
	t.explainUnknowns(p, s)
	t.explainCalls(p, s)
	t.explainObjects(p, s)
	t.explainChanges(p, s)
	if t.b.Len() == before {
		return nil, &SubjectError{Subject: subject, Near: near(p, s)}
	}
	return []byte(t.b.String()), nil
}

// subject is what to explain. An empty name means the whole namespace.
type subject struct{ kind, ns, name string }

func parseSubject(s string) (subject, bool) {
	parts := strings.Split(s, "/")
	if slices.Contains(parts, "") {
		return subject{}, false
	}
	switch len(parts) {
	case 1:
		return subject{ns: parts[0]}, true
	case 2:
		return subject{ns: parts[0], name: parts[1]}, true
	case 3:
		return subject{kind: parts[0], ns: parts[1], name: parts[2]}, true
	}
	return subject{}, false
}

// is tells whether a reference is the subject, or is in it.
func (s subject) is(r api.Ref) bool {
	switch {
	case s.name == "":
		return namespaceOf(r) == s.ns
	case s.kind != "":
		return strings.EqualFold(r.Kind, s.kind) && r.Namespace == s.ns && r.Name == s.name
	}
	return r.Namespace == s.ns && r.Name == s.name || r.Namespace == "" && strings.EqualFold(r.Kind, s.ns) && r.Name == s.name
}

// cites tells whether evidence rests on the subject.
func (s subject) cites(list []api.Evidence) bool {
	return s.name != "" && slices.ContainsFunc(list, func(e api.Evidence) bool { return s.is(e.Object) })
}

func (t *text) explainNamespace(p *api.MigrationPlan, s subject) {
	if s.name != "" {
		return
	}
	for i := range p.Namespaces {
		n := &p.Namespaces[i]
		if n.Name != s.ns {
			continue
		}
		line := fmt.Sprintf("%s, data plane mode today: %s", count(n.Pods, "pod"), cmp.Or(n.Mode, "unknown"))
		for _, f := range [][2]string{{"team", n.Team}, {"owner", n.Owner}, {"contact", n.Contact}} {
			if f[1] != "" {
				line += ", " + f[0] + " " + f[1]
			}
		}
		t.para("", line)
	}
	for i := range p.Waves {
		if w := &p.Waves[i]; slices.Contains(w.Namespaces, s.ns) {
			t.para("", fmt.Sprintf("moves in wave %d (%s)", w.Number, w.Name))
			for _, r := range w.Reasons {
				t.item("  why: ", r)
			}
		}
	}
	for _, h := range p.Held {
		if h.Name == s.ns {
			t.para("", "held back, in no wave:")
			for _, r := range h.Reasons {
				t.item("  - ", r)
			}
		}
	}
}

func (t *text) explainDecisions(p *api.MigrationPlan, s subject) {
	first := true
	for i := range p.Decisions {
		d := &p.Decisions[i]
		behind := s.name != "" && slices.ContainsFunc(d.Workloads, s.is)
		cited := slices.ContainsFunc(d.Needs, func(n api.Need) bool { return s.cites(n.Evidence) })
		named := (s.kind == "" || strings.EqualFold(s.kind, d.Subject.Kind)) && d.Namespace == s.ns && s.name != "" && (d.Service == s.name || d.Workload == s.name)
		if !s.is(d.Subject) && !behind && !cited && !named {
			continue
		}
		if first {
			t.heading("DECISIONS", bold)
			first = false
		}
		t.decision(d)
	}
}

func (t *text) decision(d *api.Decision) {
	row := decisionRowOf(d)
	t.item("  ", row.Subject+": "+row.Kind)
	t.item("    why: ", cmp.Or(d.Why, "the plan does not say"))
	if row.Waypoint != "" {
		t.item("    waypoint: ", row.Waypoint+" (scope: "+cmp.Or(d.Waypoint.Scope, "not known")+")")
	}
	if d.Cheaper != "" {
		t.item("    cheaper: ", d.Cheaper)
	}
	t.item("    today: ", cmp.Or(d.Mode, "unknown"))
	if d.Wave > 0 {
		t.item("    cuts over in wave: ", strconv.Itoa(d.Wave))
	}
	for _, w := range d.Workloads {
		t.item("    workload: ", w.String())
	}
	for _, n := range d.Needs {
		t.need("    needs ", &n)
	}
	for _, n := range d.Waived {
		t.need("    waived ", &n)
		t.item("      because ", n.Waived)
	}
	if len(d.Unknowns) > 0 {
		t.item("    could be changed by unknowns: ", strings.Join(d.Unknowns, ", "))
	}
}

func (t *text) need(label string, n *api.Need) {
	line := string(n.Capability) + " (" + n.Rule + ")"
	if n.Reason != "" {
		line += ": " + n.Reason
	}
	t.item(label, line)
	t.evidence("      ", n.Evidence)
}

func (t *text) evidence(indent string, list []api.Evidence) {
	for _, e := range list {
		line := e.Object.String()
		for _, part := range []string{e.Path, e.Value, e.Source} {
			if part != "" {
				line += ", " + part
			}
		}
		t.item(indent+"evidence: ", line)
	}
}

func (t *text) explainConstraints(p *api.MigrationPlan, s subject) {
	first := true
	for i := range p.Constraints {
		c := &p.Constraints[i]
		if !s.step(c.Before) && !s.step(c.After) && !s.cites(c.Evidence) {
			continue
		}
		if first {
			t.heading("ORDER", bold)
			first = false
		}
		t.item("  ", stepName(c.Before)+" before "+stepName(c.After))
		t.item("    why: ", c.Reason+bracket(c.Rule))
		if c.Broken != "" {
			t.item("    NOT KEPT: ", c.Broken)
		}
		t.evidence("    ", c.Evidence)
	}
}

// step tells whether a constraint's step is one of the subject.
func (s subject) step(r api.StepRef) bool {
	return r.Namespace == s.ns && (s.name == "" || r.Service == s.name)
}

func stepName(r api.StepRef) string {
	if r.Service != "" {
		return r.Step + " of " + r.Namespace + "/" + r.Service
	}
	return r.Step + " of " + r.Namespace
}

func bracket(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

func (t *text) explainFindings(p *api.MigrationPlan, s subject) {
	first := true
	for i := range p.Findings {
		f := &p.Findings[i]
		if !s.is(f.Subject) && !s.cites(f.Evidence) {
			continue
		}
		if first {
			t.heading("FINDINGS", bold)
			first = false
		}
		t.item("  severity: ", cmp.Or(string(f.Severity), "not set"))
		t.findingGroup([]*api.Finding{f})
		t.evidence("    ", f.Evidence)
	}
}

func (t *text) explainUnknowns(p *api.MigrationPlan, s subject) {
	first := true
	for i := range p.Unknowns {
		u := &p.Unknowns[i]
		if !s.is(u.Subject) && !s.cites(u.Evidence) {
			continue
		}
		if first {
			t.heading("UNKNOWN: not known is not fine", yellow)
			first = false
		}
		t.unknown("  ", u)
		t.evidence("    ", u.Evidence)
	}
}

// explainObjects says what becomes of the subject as an object of the mesh.
func (t *text) explainObjects(p *api.MigrationPlan, s subject) {
	first := true
	for i := range p.Objects {
		x := &p.Objects[i]
		if !s.is(x.Object) && !slices.ContainsFunc(x.Into, s.is) {
			continue
		}
		if first {
			t.heading("OBJECTS", bold)
			first = false
		}
		name := x.Object.String()
		if x.Part != "" {
			name += " " + x.Part
		}
		t.item("  ", fmt.Sprintf("%s: %s", name, strings.ToLower(cmp.Or(string(x.Fate), "not set"))))
		t.item("    why: ", x.Why+bracket(strings.Join(x.Facts, ", ")))
		for _, o := range x.Into {
			t.item("    into: ", o.String())
		}
		if x.Proof != "" {
			t.item("    proof: ", x.Proof)
		}
		if len(x.Findings) > 0 {
			t.item("    see: ", strings.Join(x.Findings, ", "))
		}
	}
}

// explainChanges lists what the steps do to the subject.
func (t *text) explainChanges(p *api.MigrationPlan, s subject) {
	first := true
	for i := range p.Waves {
		for j := range p.Waves[i].Steps {
			step := &p.Waves[i].Steps[j]
			for k := range step.Changes {
				c := &step.Changes[k]
				if !s.is(c.Object) {
					continue
				}
				if first {
					t.heading("CHANGES", bold)
					first = false
				}
				t.change(fmt.Sprintf("wave %d, %s: ", p.Waves[i].Number, step.Name), c)
			}
		}
	}
}

func (t *text) change(where string, c *api.Change) {
	why := c.Why
	if c.Op == api.OpManual {
		why = cmp.Or(c.Manual, c.Why)
	}
	t.item("  ", where+opWord(c.Op)+" "+c.Object.String())
	t.item("    why: ", why+bracket(strings.Join(c.Rules, ", ")))
	if o := ownerWords(c.Owner); o != "" {
		t.item("    owner: ", o)
	}
}

func (t *text) explainWave(p *api.MigrationPlan, n int) ([]byte, error) {
	var have []int
	for i := range p.Waves {
		w := &p.Waves[i]
		have = append(have, w.Number)
		if w.Number != n {
			continue
		}
		t.heading(fmt.Sprintf("Wave %d: %s", w.Number, w.Name), bold)
		t.para("", count(w.Pods, "pod")+bracket(strings.Join(w.Namespaces, ", ")))
		for _, r := range w.Reasons {
			t.item("  why: ", r)
		}
		for j := range w.Steps {
			s := &w.Steps[j]
			t.heading("STEP "+s.Name, bold)
			t.para("  ", s.What)
			proof := proofOf(s.Proof)
			t.item("  ", strings.TrimSuffix(proof.Word+": "+proof.Reason, ": "))
			for _, g := range proof.Gaps {
				t.item("    "+g.ID+": ", g.Head+"; before: "+g.Before+"; in this state: "+g.After)
			}
			if proof.Still != "" {
				t.item("    ", proof.Still)
			}
			for k := range s.Changes {
				t.change("", &s.Changes[k])
			}
			for _, r := range s.Rollback {
				t.item("  way back: ", r.Name+": "+r.What)
			}
		}
		for _, c := range p.Constraints {
			if slices.Contains(w.Namespaces, c.Before.Namespace) || slices.Contains(w.Namespaces, c.After.Namespace) {
				t.item("  order: ", stepName(c.Before)+" before "+stepName(c.After)+": "+c.Reason)
			}
		}
		return []byte(t.b.String()), nil
	}
	return nil, &WaveError{Wave: n, Have: have}
}

// near lists up to five subjects with the same name or namespace.
func near(p *api.MigrationPlan, s subject) []string {
	var out []string
	for i := range p.Decisions {
		d := &p.Decisions[i]
		name := cmp.Or(d.Service, d.Workload, d.Subject.Name)
		if name == s.name || name == s.ns || d.Namespace == s.ns {
			out = append(out, d.Namespace+"/"+name)
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	return out[:min(len(out), 5)]
}
