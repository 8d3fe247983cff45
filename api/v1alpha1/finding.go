package v1alpha1

import "cmp"

// Severity says what a finding does to the plan. The zero value is unset and is
// never written to a plan.
type Severity string

// The severities. A blocker stops the migration of its subject until a person
// has decided; severity follows effect: whatever lets traffic through that was
// denied, or denies what was allowed, is a blocker unless the plan closes it.
const (
	SeverityUnset Severity = ""
	Blocker       Severity = "blocker"
	Warning       Severity = "warning"
	Info          Severity = "info"
)

// Rank orders severities: blockers first.
func (s Severity) Rank() int {
	switch s {
	case Blocker:
		return 0
	case Warning:
		return 1
	case Info:
		return 2
	case SeverityUnset:
		return 3
	}
	return 4
}

// Finding is something a person has to know about one subject.
type Finding struct {
	// ID is the id of the rule or check that found it, for example "L08".
	ID       string     `json:"id"`
	Severity Severity   `json:"severity"`
	Subject  Ref        `json:"subject"`
	Message  string     `json:"message"`
	Evidence []Evidence `json:"evidence,omitempty"`
	// Effect is what happens if nothing is done.
	Effect string `json:"effect,omitempty"`
	// Action is what to do.
	Action string `json:"action,omitempty"`
	// ConsentedBy is set when a MigrationPolicy consents to this finding by id.
	ConsentedBy string `json:"consentedBy,omitempty"`
}

// Compare orders findings by severity, subject, id, message and first evidence.
func (f Finding) Compare(o Finding) int {
	c := cmp.Or(
		cmp.Compare(f.Severity.Rank(), o.Severity.Rank()),
		f.Subject.Compare(o.Subject),
		cmp.Compare(f.ID, o.ID),
		cmp.Compare(f.Message, o.Message),
	)
	for i := 0; c == 0 && i < len(f.Evidence) && i < len(o.Evidence); i++ {
		c = f.Evidence[i].Compare(o.Evidence[i])
	}
	return cmp.Or(c, cmp.Compare(len(f.Evidence), len(o.Evidence)))
}

// Unknown is something that could not be known and that could change the plan.
// It is never the same as "fine".
type Unknown struct {
	// ID is the rule whose answer is missing, or one of the reader's ids
	// ("unreadable-document", "duplicate-object", "coverage").
	ID      string `json:"id"`
	Subject Ref    `json:"subject"`
	// What could not be known, in a sentence.
	What string `json:"what"`
	// Could is what the missing answer could change.
	Could string `json:"could,omitempty"`
	// Action is how to make it known.
	Action   string     `json:"action,omitempty"`
	Evidence []Evidence `json:"evidence,omitempty"`
	// WaivedBy is set when a MigrationPolicy accepts this unknown by id.
	WaivedBy string `json:"waivedBy,omitempty"`
}

// Compare orders unknowns by subject, id and text.
func (u Unknown) Compare(o Unknown) int {
	c := cmp.Or(u.Subject.Compare(o.Subject), cmp.Compare(u.ID, o.ID), cmp.Compare(u.What, o.What))
	for i := 0; c == 0 && i < len(u.Evidence) && i < len(o.Evidence); i++ {
		c = u.Evidence[i].Compare(o.Evidence[i])
	}
	return cmp.Or(c, cmp.Compare(len(u.Evidence), len(o.Evidence)))
}
