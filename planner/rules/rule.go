// Package rules holds one file for each thing in a mesh that decides how a
// service can move. A rule reads an immutable mesh.State and emits needs,
// findings and evidence; it never emits a change and never an order, so no rule
// author can write a wrong rollback.
package rules

import (
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// Rule is one value with everything about it: its page, its registration and
// its metadata in reports are generated from here.
type Rule struct {
	// ID as in "L08": the id of the fact it rests on. Ids are never reused.
	ID string
	// Title in a few words.
	Title string
	Doc   Doc
	// Reads are the kinds the rule may look at. A test compares it with what
	// the rule really read; the engine turns a kind that was not seen into an unknown.
	Reads []mesh.Kind
	Check func(*Pass)
}

// Doc is what the generated page of a rule says.
type Doc struct {
	// Why it matters, in a paragraph.
	Why string
	// Effect is what happens if nothing is done.
	Effect string
	// Remedy is what to do.
	Remedy string
	// Sources name Istio's source files, documents or issues.
	Sources []string
	// Facts are ids in docs/facts.md, for example "L-08".
	Facts []string
	// Since is the version of ambientplan that has the rule first.
	Since string
}

// Pass is one run of one rule on one state.
type Pass struct {
	rule   Rule
	st     *mesh.State
	result *Result
}

// Mesh is the state, observed: what the rule reads is recorded.
func (p *Pass) Mesh() *mesh.State { return p.st }

// Need says that a service or workload needs a capability, with the evidence.
// The fields in the evidence count as dealt with.
func (p *Pass) Need(subject api.Ref, c api.Capability, reason string, ev ...api.Evidence) {
	p.Account(ev...)
	p.result.Needs = append(p.result.Needs, api.Need{Subject: subject, Capability: c, Rule: p.rule.ID, Reason: reason, Evidence: slices.Clone(ev)})
}

// Cite is Need for evidence whose parts are still to be dealt with one by one:
// the ledger is not told.
func (p *Pass) Cite(subject api.Ref, c api.Capability, reason string, ev ...api.Evidence) {
	p.result.Needs = append(p.result.Needs, api.Need{Subject: subject, Capability: c, Rule: p.rule.ID, Reason: reason, Evidence: slices.Clone(ev)})
}

// Report adds a finding. Effect and action default to the rule's doc when the
// message needs nothing more precise; see ReportWith.
func (p *Pass) Report(s api.Severity, subject api.Ref, message string, ev ...api.Evidence) {
	p.ReportWith(s, subject, message, p.rule.Doc.Effect, p.rule.Doc.Remedy, ev...)
}

// ReportWith adds a finding whose effect and action are its own.
func (p *Pass) ReportWith(s api.Severity, subject api.Ref, message, effect, action string, ev ...api.Evidence) {
	p.Account(ev...)
	p.result.Findings = append(p.result.Findings, api.Finding{
		ID: p.rule.ID, Severity: s, Subject: subject, Message: message,
		Effect: effect, Action: action, Evidence: slices.Clone(ev),
	})
}

// Unknown says that the rule cannot tell.
func (p *Pass) Unknown(subject api.Ref, what, could, action string, ev ...api.Evidence) {
	p.Account(ev...)
	p.result.Unknowns = append(p.result.Unknowns, api.Unknown{
		ID: p.rule.ID, Subject: subject, What: what, Could: could, Action: action, Evidence: slices.Clone(ev),
	})
}

// Account tells the ledger that the fields (and all below them) are dealt with,
// also when the rule found nothing to say about them.
func (p *Pass) Account(ev ...api.Evidence) {
	for _, e := range ev {
		p.result.account(e.Object, e.Path)
	}
}

// Field is the evidence for a field of an object. Path is written as in
// api.Origin ("spec.rules[0].to"); value is what stands there, for people.
func Field(o api.Ref, path, value string) api.Evidence {
	return api.Evidence{Object: o, Path: path, Value: value}
}
