package source

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/ambientplan/ambientplan/telemetry/span"
)

// Role is who rests on a query's result. The zero value is unknown.
type Role int

// Roles.
const (
	RoleUnknown Role = iota
	// Panel of a dashboard.
	Panel
	// Selection fills a variable of a dashboard.
	Selection
	// Marker is an annotation of a dashboard.
	Marker
	// Alert pages somebody.
	Alert
	// Recording is a rule whose result other queries use.
	Recording
	// Objective is a part of an SLO from which rules are generated.
	Objective
	// Autoscaler decides the number of replicas.
	Autoscaler
	// Canary decides whether a release goes on.
	Canary
)

// String is the word in reports.
func (r Role) String() string {
	switch r {
	case Panel:
		return "panel"
	case Selection:
		return "variable"
	case Marker:
		return "annotation"
	case Alert:
		return "alert"
	case Recording:
		return "recording rule"
	case Objective:
		return "SLO"
	case Autoscaler:
		return "autoscaler"
	case Canary:
		return "canary analysis"
	case RoleUnknown:
	}
	return "unknown"
}

// Language is what a query is written in. The zero value is unknown.
type Language int

// Languages. A query in any but PromQL has no Expr.
const (
	LanguageUnknown Language = iota
	PromQL
	// LogQL queries are flagged, never rewritten.
	LogQL
	// OtherLanguage is one of a vendor.
	OtherLanguage
)

// OnEmpty is what the reader of a query does when the result is empty. The zero value is unknown.
type OnEmpty int

// What an empty result does.
const (
	EmptyUnknown OnEmpty = iota
	// EmptySilent: the alert does not fire, the panel says that there is no data.
	EmptySilent
	// EmptyFires: a Grafana alert in the state NoData notifies.
	EmptyFires
	// EmptyKeeps: the last state or the last number of replicas stays.
	EmptyKeeps
	// EmptyZero: it counts as 0, so an autoscaler goes to its minimum under full load.
	EmptyZero
	// EmptyFails: the canary analysis fails, or ends in an error, and the release is rolled back.
	EmptyFails
	// EmptyPasses: the canary analysis passes, whatever the release does. The worst case.
	EmptyPasses
)

// Object is the thing in a file that holds a query.
type Object struct {
	// Kind as its own world calls it: PrometheusRule, Dashboard, ScaledObject, "rule file".
	Kind string
	// Namespace is "" for what does not live in a cluster.
	Namespace, Name string
	// UID of a dashboard or a Grafana alert, "" if there is none.
	UID string
	// Owner is a team, from labels or folders, "" when nothing says.
	Owner string
}

// Query is one query of a file.
type Query struct {
	// File as it was named, Line and Column (from 1, in bytes) of the text in it.
	File         string
	Line, Column int
	Object       Object
	// Path of the query in its document, such as spec.groups[0].rules[3].expr or panels[4].targets[0].expr.
	Path string
	// Name is the alert, the panel's title, the variable, the recorded metric: what people call it.
	Name     string
	Role     Role
	Language Language
	// Text as it is written, decoded from the file's notation.
	Text string
	// Expr is Text with placeholders for what does not parse outside of strings; "" when Unread says why not.
	Expr string
	// Unread says why the query was not understood; "" when it was.
	Unread string
	// Record is the metric that a recording rule makes.
	Record string
	// For and KeepFiring of an alert.
	For, KeepFiring time.Duration
	// Interval of the rule's group, 0 for the default.
	Interval time.Duration
	// Group of rules that it stands in.
	Group string
	// Labels and Annotations of an alert or recording rule.
	Labels, Annotations map[string]string
	OnEmpty             OnEmpty
	// Condition is a threshold that stands outside of the query, as text; Threshold is the same where it is one
	// comparison with a number.
	Condition string
	Threshold *Threshold
	// SelectorOnly says that the text must stay one selector: that of label_values(...), of a federation match.
	SelectorOnly bool
	// Variables that the text names, sorted by name.
	Variables []*Variable
	// Scope is the namespace that the monitoring's tenancy adds to each selector; "" for none that is known.
	Scope string
	// Frozen says why a rewrite must be made elsewhere (generated, behind an alias, in somebody's binary); "" when the
	// text can be edited here.
	Frozen string

	// text holds Text from byte from on; copies are other places with the same text, which change with it. restore
	// brings edits of Expr back to edits of Text; nil is for texts without placeholders.
	text    span.Text
	from    int
	copies  []span.Text
	restore func([]span.Edit) ([]span.Edit, error)
	spelled func(string) string
}

// Threshold is a comparison of a query's result outside of the query.
type Threshold struct {
	// Reducer makes one number of the result's points: last, mean, max...; "" when each point is compared.
	Reducer string
	// Op is PromQL's: > < >= <= == !=.
	Op string
	// Value that the result is compared with.
	Value float64
}

// Edits turns edits of Expr, by byte, into edits of the file. It fails when the query is frozen or its place cannot
// hold the new text.
func (q *Query) Edits(edits []span.Edit) ([]span.Edit, error) {
	if q.Frozen != "" {
		return nil, &FrozenError{q.File, q.Line, q.Frozen}
	}
	if q.restore != nil {
		var err error
		if edits, err = q.restore(edits); err != nil {
			return nil, err
		}
	}
	moved := make([]span.Edit, len(edits))
	for i, e := range edits {
		moved[i] = span.Edit{Start: e.Start + q.from, End: e.End + q.from, Text: e.Text}
		if e.Start < 0 || e.End > len(q.Text) {
			return nil, fmt.Errorf("%s:%d: an edit leaves the query", q.File, q.Line)
		}
	}
	out, err := q.text.Edits(moved)
	if err != nil {
		return nil, err
	}
	for _, c := range q.copies {
		more, err := c.Edits(moved)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	slices.SortStableFunc(out, func(a, b span.Edit) int { return cmp.Compare(a.Start, b.Start) })
	return out, nil
}

// Spelled is a text that was made of Expr, such as a proposal or a reason, with placeholders turned back into variables.
func (q *Query) Spelled(text string) string {
	if q.spelled == nil {
		return text
	}
	return q.spelled(text)
}

// Restored is a text with placeholders of Expr turned back into variables, for people to read.
func (q *Query) Restored(edits []span.Edit) (string, error) {
	if q.restore != nil {
		var err error
		if edits, err = q.restore(edits); err != nil {
			return "", err
		}
	}
	return span.Apply(q.Text, edits)
}

// FrozenError says why a query is not edited where it stands.
type FrozenError struct {
	File string
	Line int
	Why  string
}

// Error names the place.
func (e *FrozenError) Error() string { return e.File + ": " + e.Why }

// VariableKind is how a variable gets its values. The zero value is unknown.
type VariableKind int

// Kinds of variables.
const (
	VariableUnknown VariableKind = iota
	// Fixed values stand in the file: custom, constant, textbox, interval.
	Fixed
	// Queried values are what the data source says: any value that the label has.
	Queried
	// Given by the tool that runs the query: {{ namespace }} of Flagger, $__rate_interval of Grafana.
	Given
)

// Variable is a variable of a dashboard, or an argument of a template.
type Variable struct {
	Name string
	Kind VariableKind
	// Spellings in texts that a value stands for, such as $qrep, ${qrep}, ${qrep:regex}, [[qrep]], {{ namespace }};
	// longest first.
	Spellings []string
	// Values that it may have: all options of a Fixed one, the known ones of a Given one.
	Values []string
	// Current are the values that are selected in the file.
	Current []string
	// Label whose values a Queried one has, "" when that is not known.
	Label string
	// Multi says that several values may be selected, All that a value for "all" is offered, AllValue what it is.
	Multi, All bool
	AllValue   string
	// Line of the definition in the file, 0 if it is built in.
	Line int

	// edit replaces a value by another one everywhere in the definition.
	edit func(old, with string) ([]span.Edit, error)
}

// Edit replaces one value of a Fixed variable wherever the definition names it. It fails when the definition is not
// in the file or was not understood.
func (v *Variable) Edit(old, with string) ([]span.Edit, error) {
	if v.edit == nil {
		return nil, &FrozenError{Why: "the definition of the variable " + v.Name + " cannot be edited"}
	}
	return v.edit(old, with)
}

// NoteKind is why something is noted. The zero value is unknown.
type NoteKind int

// Kinds of notes.
const (
	NoteUnknown NoteKind = iota
	// Unreadable: the file, or a part of it, is broken, too large, or templated.
	Unreadable
	// Remote: the queries are elsewhere (a URL, grafana.com, a library panel).
	Remote
	// Unrecognised: the text names mesh metrics, and nobody knows what reads it.
	Unrecognised
	// FlagOnly: a tool that is recognised and whose queries are not rewritten.
	FlagOnly
	// Suspicious: it was read, and something is odd: duplicate uids, queries that no data source takes.
	Suspicious
)

// Note is something that people must look at themselves.
type Note struct {
	File         string
	Line, Column int
	Object       Object
	Kind         NoteKind
	// Text is one sentence.
	Text string
}

// File is one file that was read.
type File struct {
	// Path as given.
	Path string
	// Data as it stands on disk.
	Data    string
	Queries []*Query
	Notes   []Note
	// Scrapes and Watches besides queries.
	Scrapes []Scrape
	Watches []Watch
	// Routes of Alertmanager that ask for labels of alerts.
	Routes []Route

	identities []identity
	tenancies  []tenancy
	adapted    []adapted
	scalings   []scaling
}
