package v1alpha1

// TelemetryReport says what a plan does to the dashboards, alerts, autoscalers and canary analyses that rest on the
// metrics of the mesh.
type TelemetryReport struct {
	TypeMeta `json:",inline"`
	// Plan is the digest of the plan that it was made for.
	Plan string `json:"plan"`
	// Queries in the order of files and lines, each with its verdict.
	Queries []TelemetryQuery `json:"queries"`
	// Findings that belong to no single query: scrape configurations, services that lose request metrics, watches.
	Findings []TelemetryFinding `json:"findings"`
	// Notes are what was not understood and must be looked at by people.
	Notes []TelemetryNote `json:"notes"`
	// Assumptions that the verdicts rest on.
	Assumptions []string         `json:"assumptions,omitempty"`
	Summary     TelemetrySummary `json:"summary"`
}

// TelemetryVerdict is what a plan does to a query. The zero value is unset and is never printed as unaffected.
type TelemetryVerdict string

// Verdicts.
const (
	TelemetryUnset          TelemetryVerdict = ""
	TelemetryUnaffected     TelemetryVerdict = "unaffected"
	TelemetryGoesSilent     TelemetryVerdict = "goes silent"
	TelemetryFiresFalsely   TelemetryVerdict = "fires falsely"
	TelemetryDoubleCounts   TelemetryVerdict = "double counts"
	TelemetryCountsHalf     TelemetryVerdict = "counts half"
	TelemetryChangesMeaning TelemetryVerdict = "changes meaning"
	TelemetryAlreadyDead    TelemetryVerdict = "already dead"
	TelemetryCannotTell     TelemetryVerdict = "cannot tell"
)

// TelemetrySource is where something stands.
type TelemetrySource struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	// Kind, Namespace and Object name what holds it, such as PrometheusRule shop/payments.
	Kind      string `json:"kind,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Object    string `json:"object,omitempty"`
	UID       string `json:"uid,omitempty"`
	// Path in the document, Name as people call it: the alert, the panel.
	Path string `json:"path,omitempty"`
	Name string `json:"name,omitempty"`
	// Owner is a team; empty when nothing says.
	Owner string `json:"owner,omitempty"`
}

// TelemetryQuery is one query and what happens to it.
type TelemetryQuery struct {
	Source TelemetrySource `json:"source"`
	// Role is "panel", "variable", "annotation", "alert", "recording rule", "SLO", "autoscaler", "canary analysis".
	Role string `json:"role"`
	// Query as it is written.
	Query string `json:"query"`
	// Verdict is the worst of all states of the plan.
	Verdict  TelemetryVerdict `json:"verdict"`
	Severity Severity         `json:"severity,omitempty"`
	// Rule of the reference that the severity follows.
	Rule string `json:"rule,omitempty"`
	// Why in one sentence, with the values for the same traffic.
	Why string `json:"why"`
	// Effect is what its reader does then: "the release is not stopped, whatever it does".
	Effect string `json:"effect,omitempty"`
	// Spans of the plan in which it is not unaffected, in order.
	Spans   []TelemetrySpan   `json:"spans,omitempty"`
	Rewrite *TelemetryRewrite `json:"rewrite,omitempty"`
	// Advice where there is no rewrite, or besides it.
	Advice []string `json:"advice,omitempty"`
}

// TelemetrySpan is a stretch of the plan with one verdict.
type TelemetrySpan struct {
	Verdict TelemetryVerdict `json:"verdict"`
	// From is the step with which it begins; To is the step at whose end it is over, without a step when it stays.
	From TelemetryStep `json:"from"`
	To   TelemetryStep `json:"to,omitzero"`
	// Services as namespace/name whose calls it is about; "" for what is about proxies.
	Services []string `json:"services,omitempty"`
	// Passing is true when it holds only while the step runs, for some of the calls.
	Passing bool `json:"passing,omitempty"`
	// Path of the calls there, such as "A->S+W".
	Path   string `json:"path,omitempty"`
	Reason string `json:"reason"`
	// Before and After are what the query gives for the same traffic.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	// Evidence says which emitters' series a selector loses and gains.
	Evidence []string `json:"evidence,omitempty"`
	Facts    []string `json:"facts,omitempty"`
}

// TelemetryStep names a step of the plan.
type TelemetryStep struct {
	Wave int    `json:"wave"`
	Step string `json:"step,omitempty"`
}

// TelemetryRewrite is a proposal for a query.
type TelemetryRewrite struct {
	// Query as it should be written.
	Query string `json:"query,omitempty"`
	// Form by its letter: N, D, S, U, D+, either.
	Form string `json:"form,omitempty"`
	// Variables whose definition changes: "qrep: destination -> destination|waypoint".
	Variables []string `json:"variables,omitempty"`
	// Proved is true when it gives the original's result on the old model in every state of the plan.
	Proved bool `json:"proved"`
	// States is how many ways of calls were evaluated; NotIn are those in which it is not equal, with why.
	States int      `json:"states,omitempty"`
	NotIn  []string `json:"notIn,omitempty"`
	// Passing are ways on which it is not equal and that calls go only while a step runs.
	Passing []string `json:"passing,omitempty"`
	// Factor by which the original counted too much on the old model; a threshold outside of the query must be divided
	// by it.
	Factor float64 `json:"factor,omitempty"`
	// By names the recording rule whose rewrite mends this query; Query is empty then.
	By string `json:"by,omitempty"`
	// Before is the step before which it must be committed; it may be committed any time earlier.
	Before TelemetryStep `json:"before,omitzero"`
	// Simpler is a form that is right once the plan is done, when it is simpler.
	Simpler string `json:"simpler,omitempty"`
	// Alert says when the alert fires, compared with the original on the old model.
	Alert string `json:"alert,omitempty"`
	// Test is the path of a unit test for promtool below the directory that rewrites are written to; NoTest says why an
	// alert has none.
	Test   string `json:"test,omitempty"`
	NoTest string `json:"noTest,omitempty"`
	// Written is true when the file can be edited in place; NotWritten says why not.
	Written    bool   `json:"written,omitempty"`
	NotWritten string `json:"notWritten,omitempty"`
	// Offers are queries of another meaning that a person may choose; they are never proved.
	Offers []TelemetryOffer `json:"offers,omitempty"`
}

// TelemetryOffer is a query of another meaning.
type TelemetryOffer struct {
	Query string `json:"query,omitempty"`
	Why   string `json:"why"`
}

// TelemetryFinding is about something else than one query.
type TelemetryFinding struct {
	Rule     string          `json:"rule"`
	Severity Severity        `json:"severity"`
	Source   TelemetrySource `json:"source,omitzero"`
	Subject  Ref             `json:"subject,omitzero"`
	// Before is the step before which it must be settled.
	Before  TelemetryStep `json:"before,omitzero"`
	Message string        `json:"message"`
	// Choices are what can be done.
	Choices []string `json:"choices,omitempty"`
	// Queries that it is about, as file:line name.
	Queries []string `json:"queries,omitempty"`
	Facts   []string `json:"facts,omitempty"`
}

// TelemetryNote is something that was not understood.
type TelemetryNote struct {
	Source TelemetrySource `json:"source"`
	// Kind is "unreadable", "remote", "unrecognised", "flag only" or "suspicious".
	Kind string `json:"kind"`
	Text string `json:"text"`
}

// TelemetrySummary counts.
type TelemetrySummary struct {
	Files int `json:"files"`
	// Queries that were read, and how many of them were understood.
	Queries  int            `json:"queries"`
	Parsed   int            `json:"parsed"`
	Verdicts map[string]int `json:"verdicts"`
	Rewrites int            `json:"rewrites"`
	Proved   int            `json:"proved"`
	Blockers int            `json:"blockers"`
	Warnings int            `json:"warnings"`
	Notes    int            `json:"notes"`
}
