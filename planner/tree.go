package planner

import (
	"fmt"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/planner/translate"
)

// tree is what the rendered tree holds at one moment, and what it held before
// any step. Steps are recorded against it, so that each change knows the state
// before and its reverse is computed, never written by hand.
type tree struct {
	now  map[api.Ref]api.Content
	base map[api.Ref]api.BaseObject
	frag map[api.Ref]bool
	// hand is what objects of other owners hold once people have done the manual
	// changes so far. The tree does not hold them.
	hand map[api.Ref]api.Content
}

func newTree() *tree {
	return &tree{now: map[api.Ref]api.Content{}, base: map[api.Ref]api.BaseObject{}, frag: map[api.Ref]bool{}, hand: map[api.Ref]api.Content{}}
}

// step records the changes of one step.
type step struct {
	t       *tree
	name    string
	what    string
	spaces  map[string]bool
	order   []api.Ref
	changes map[api.Ref]*api.Change
	before  map[api.Ref]api.Content
	manual  []api.Change
	// undo reverses the manual changes, in their order.
	undo     []api.Change
	checks   []api.Check
	findings []api.Finding
}

func (t *tree) step(name, what string) *step {
	return &step{t: t, name: name, what: what, spaces: map[string]bool{}, changes: map[api.Ref]*api.Change{}, before: map[api.Ref]api.Content{}}
}

func (s *step) empty() bool { return len(s.changes) == 0 && len(s.manual) == 0 }

// record stores the object's next content and merges repeated changes of one
// object in a step into one.
func (s *step) record(ref api.Ref, op api.Op, after api.Content, why string, rules []string, owner *api.Owner) {
	c := s.changes[ref]
	if c == nil {
		s.before[ref] = translate.Clone(s.t.now[ref])
		c = &api.Change{Object: ref, Op: op, Owner: owner}
		s.changes[ref] = c
		s.order = append(s.order, ref)
	}
	switch {
	case c.Why == "":
		c.Why = why
	case why != "" && c.Why != why:
		c.Why += "; " + why
	}
	c.Rules = append(c.Rules, rules...)
	slices.Sort(c.Rules)
	c.Rules = slices.Compact(c.Rules)
	if op == api.OpDelete {
		c.Op, c.After = api.OpDelete, nil
		delete(s.t.now, ref)
		return
	}
	c.After = translate.Clone(after)
	s.t.now[ref] = translate.Clone(after)
}

// create adds an object of ours.
func (s *step) create(c api.Content, why string, rules ...string) {
	s.record(refOf(c), api.OpCreate, c, why, rules, nil)
}

// adopt takes a mesh object of the cluster into base at its first touch.
func (s *step) adopt(o *api.Object) api.Content {
	ref := o.Ref()
	if _, ok := s.t.base[ref]; !ok {
		c := translate.Stored(o)
		s.t.base[ref] = api.BaseObject{Object: ref, Content: c, Source: o.Origin.At(""), Owner: o.Owner}
		s.t.now[ref] = translate.Clone(c)
	}
	return translate.Clone(s.t.now[ref])
}

// patch changes a mesh object as a whole. An object that a controller keeps is
// changed where that controller reads it, so it becomes a manual change.
func (s *step) patch(o *api.Object, edit func(api.Content) bool, why string, rules ...string) {
	if fights(o.Owner) {
		c := s.held(o)
		if edit(c) {
			s.handed(o.Ref(), o.Owner, api.OpPatch, c, why, rules...)
		}
		return
	}
	c := s.adopt(o)
	if edit(c) {
		s.record(o.Ref(), api.OpPatch, c, why, rules, o.Owner)
	}
}

// remove deletes a mesh object, or asks its owner to.
func (s *step) remove(o *api.Object, why string, rules ...string) {
	if fights(o.Owner) {
		s.held(o)
		s.handed(o.Ref(), o.Owner, api.OpDelete, nil, "delete it: "+why, rules...)
		return
	}
	s.adopt(o)
	s.record(o.Ref(), api.OpDelete, nil, why, rules, o.Owner)
}

// field is one field that the plan may set on somebody else's object.
type field struct {
	path []string
	// old is the value that stands there today, if there is one.
	old    string
	exists bool
}

// fragment sets one field of somebody else's object by server-side apply. all
// lists every field that the plan may ever set on the object, so that base holds
// their present values from the start. Where another controller holds the field
// with another value, the change is for a person.
func (s *step) fragment(ref api.Ref, apiVersion string, owner *api.Owner, all []field, path []string, value, why string, rules ...string) {
	for _, f := range all {
		if slices.Equal(f.path, path) && f.exists {
			if f.old == value && s.t.now[ref] == nil {
				return
			}
			if fights(owner) && f.old != value {
				s.fieldByHand(ref, apiVersion, owner, all, path, value, why, rules...)
				return
			}
		}
	}
	if owner != nil && owner.By == "controller" {
		s.fieldByHand(ref, apiVersion, owner, all, path, value, why, rules...)
		return
	}
	if _, ok := s.t.base[ref]; !ok {
		c := present(ref, apiVersion, all)
		s.t.base[ref] = api.BaseObject{Object: ref, Fragment: true, Content: c, Owner: owner}
		s.t.now[ref] = translate.Clone(c)
		s.t.frag[ref] = true
	}
	c := translate.Clone(s.t.now[ref])
	setPath(c, path, value)
	s.record(ref, api.OpFragment, c, why, rules, owner)
}

// present is a fragment with the fields that stand on the object today.
func present(ref api.Ref, apiVersion string, all []field) api.Content {
	c := identity(ref, served(ref, apiVersion))
	for _, f := range all {
		if f.exists {
			setPath(c, f.path, f.old)
		}
	}
	return c
}

// fieldByHand lists the change of one field that a person has to make.
func (s *step) fieldByHand(ref api.Ref, apiVersion string, owner *api.Owner, all []field, path []string, value, why string, rules ...string) {
	if s.t.hand[ref] == nil {
		s.t.hand[ref] = present(ref, apiVersion, all)
	}
	c := translate.Clone(s.t.hand[ref])
	setPath(c, path, value)
	s.handed(ref, owner, api.OpFragment, c, why, rules...)
}

// held is what an object of somebody else holds once the manual changes so far
// are done.
func (s *step) held(o *api.Object) api.Content {
	ref := o.Ref()
	if s.t.hand[ref] == nil {
		s.t.hand[ref] = translate.Stored(o)
	}
	return translate.Clone(s.t.hand[ref])
}

// handed lists a change that a person has to make, with what comes of it.
func (s *step) handed(ref api.Ref, owner *api.Owner, does api.Op, after api.Content, why string, rules ...string) {
	before := s.t.hand[ref]
	s.byHand(ref, owner, why, rules...)
	s.generated(ref, owner)
	c := &s.manual[len(s.manual)-1]
	c.Does, c.After = does, translate.Clone(after)
	back := api.Change{Object: ref, Op: api.OpManual, Owner: owner, Does: does, After: translate.Clone(before), Why: "back to the state before " + s.name}
	if does == api.OpDelete {
		back.Does = api.OpCreate
	}
	back.Manual = "Take this change back: " + c.Why
	if owner != nil {
		back.Manual += ". " + whereOwned(owner)
	}
	s.undo = append(s.undo, back)
	if after == nil {
		delete(s.t.hand, ref)
		return
	}
	s.t.hand[ref] = translate.Clone(after)
}

// byHand lists a change that a person has to make.
func (s *step) byHand(ref api.Ref, owner *api.Owner, what string, rules ...string) {
	m := what
	if owner != nil {
		m = what + ". " + whereOwned(owner)
	}
	s.manual = append(s.manual, api.Change{Object: ref, Op: api.OpManual, Why: what, Rules: rules, Owner: owner, Manual: m})
}

// generated reports that the plan needs a change of an object that a controller
// writes, once a step for each object (facts Q-92).
func (s *step) generated(ref api.Ref, owner *api.Owner) {
	if owner == nil || owner.By != "controller" && owner.By != "operator" {
		return
	}
	for _, f := range s.findings {
		if f.ID == "generated-object" && f.Subject == ref {
			return
		}
	}
	s.findings = append(s.findings, api.Finding{
		ID: "generated-object", Severity: api.Blocker, Subject: ref,
		Message:  fmt.Sprintf("the step %s needs a change of %s, which %s writes", s.name, ref, owner.Name),
		Evidence: []api.Evidence{{Object: ref, Path: "metadata", Value: owner.Evidence}},
		Effect:   "a change of the object itself is written back by its controller, and the steps after this one rest on it",
		Action:   fmt.Sprintf("make the change where %s takes it from, or move the setting to an object of your own; then carry out the step", owner.Name),
	})
}

// whereOwned says where an owned object must be changed.
func whereOwned(o *api.Owner) string {
	switch o.By {
	case "argocd":
		return "Make the change in the repository of the Argo CD application " + o.Name
	case "flux":
		return "Make the change in the repository of the Flux object " + o.Name
	case "helm":
		return "Make the change in the values of the Helm release " + o.Name
	}
	return "Make the change in " + o.Name + ", which writes this object"
}

// fights tells whether another controller would undo a change of a field that it sets.
func fights(o *api.Owner) bool { return o != nil }

// finish turns the recorded changes into a step with its way back. prev is the
// name of the step whose end state the last rollback step returns to.
func (s *step) finish(prev string) api.Step {
	out := api.Step{
		Name: s.name, What: s.what, Checks: s.checks,
		Proof: api.Proof{
			Result:          api.ProofUnknown,
			Reason:          "this version of ambientplan does not prove intermediate states yet: the order follows known rules, not a proof",
			Counterexamples: []api.Counterexample{},
		},
	}
	for ns := range s.spaces {
		out.Namespaces = append(out.Namespaces, ns)
	}
	slices.Sort(out.Namespaces)
	slices.SortFunc(s.order, api.Ref.Compare)
	for _, ref := range s.order {
		out.Changes = append(out.Changes, *s.changes[ref])
	}
	slices.SortStableFunc(s.manual, func(a, b api.Change) int { return a.Object.Compare(b.Object) })
	out.Changes = append(out.Changes, s.manual...)
	if out.Changes == nil {
		out.Changes = []api.Change{}
	}
	if out.Checks == nil {
		out.Checks = []api.Check{}
	}
	out.Rollback = s.rollback(prev)
	return out
}

// reverse is the change that brings an object back to what it was before the step.
func (s *step) reverse(ref api.Ref) api.Change {
	before := s.before[ref]
	c := api.Change{Object: ref, Owner: s.changes[ref].Owner, Why: "back to the state before " + s.name}
	switch {
	case before == nil:
		c.Op = api.OpDelete
	case s.t.frag[ref]:
		c.Op, c.After = api.OpFragment, before
	case s.changes[ref].Op == api.OpDelete:
		c.Op, c.After = api.OpCreate, before
	default:
		c.Op, c.After = api.OpPatch, before
	}
	return c
}

// refOf reads the reference of an object of ours.
func refOf(c api.Content) api.Ref {
	meta, _ := c["metadata"].(map[string]any)
	name, _ := meta["name"].(string)
	ns, _ := meta["namespace"].(string)
	kind, _ := c["kind"].(string)
	v, _ := c["apiVersion"].(string)
	return api.Ref{Group: api.GroupOf(v), Kind: kind, Namespace: ns, Name: name}
}

// served is the version in which API servers still take a workload. Manifests may name
// one that Kubernetes 1.16 or 1.25 removed; a fragment in it would be rejected.
func served(ref api.Ref, apiVersion string) string {
	switch ref.Group {
	case "apps", "batch":
		return ref.Group + "/v1"
	}
	return apiVersion
}

// identity is an object with nothing but its name.
func identity(ref api.Ref, apiVersion string) api.Content {
	meta := map[string]any{"name": ref.Name}
	if ref.Namespace != "" {
		meta["namespace"] = ref.Namespace
	}
	return api.Content{"apiVersion": apiVersion, "kind": ref.Kind, "metadata": meta}
}

// setPath sets a string below nested maps, making them on the way.
func setPath(c api.Content, path []string, value string) {
	m := map[string]any(c)
	for _, p := range path[:len(path)-1] {
		next, ok := m[p].(map[string]any)
		if !ok {
			next = map[string]any{}
			m[p] = next
		}
		m = next
	}
	m[path[len(path)-1]] = value
}

// sortRefs sorts references in their total order.
func sortRefs(refs []api.Ref) { slices.SortFunc(refs, api.Ref.Compare) }
