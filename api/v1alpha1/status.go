package v1alpha1

// MigrationStatus says where a cluster stands in a plan, and whether the next step may
// start.
type MigrationStatus struct {
	TypeMeta `json:",inline"`
	// Plan is the digest of the plan.
	Plan    string `json:"plan"`
	Cluster string `json:"cluster,omitempty"`
	// Verdict is "may proceed", "stop" or "done".
	Verdict StatusVerdict `json:"verdict"`
	// Because says why it is "stop"; empty otherwise.
	Because []string `json:"because,omitempty"`
	// People is what only a person can check before the next step.
	People []string `json:"people,omitempty"`
	// Last is the last step that stands, Next the one that follows; nil where there is none.
	Last *StepPlace `json:"last,omitempty"`
	Next *StepPlace `json:"next,omitempty"`
	// Steps of the plan in their order.
	Steps []StepStatus `json:"steps"`
	// Off are objects of the plan that do not stand where the mesh does.
	Off []OffPlan `json:"off,omitempty"`
	// Drift is what others changed since the plan was made.
	Drift []Drift `json:"drift,omitempty"`
	// Proof says what the drift makes of the proofs of the steps that are left.
	Proof *DriftProof `json:"proof,omitempty"`
}

// StatusVerdict is the answer. The zero value is unset and never means that one may go on.
type StatusVerdict string

// Verdicts.
const (
	VerdictUnset StatusVerdict = ""
	MayProceed   StatusVerdict = "may proceed"
	Stop         StatusVerdict = "stop"
	AllDone      StatusVerdict = "done"
)

// StepPlace names a step of a plan.
type StepPlace struct {
	Wave int    `json:"wave"`
	Step string `json:"step"`
}

// StepState says how much of a step stands. The zero value is unset.
type StepState string

// States.
const (
	StepUnset  StepState = ""
	StepDone   StepState = "done"
	StepPartly StepState = "partly"
	StepOpen   StepState = "open"
)

// StepStatus is one step.
type StepStatus struct {
	StepPlace `json:",inline"`
	State     StepState `json:"state"`
	// Missing are the objects that a step which stands in part has still to change.
	Missing []Ref `json:"missing,omitempty"`
	// Checks that count now: those after a step that is done, and those before the next one.
	Checks []CheckStatus `json:"checks,omitempty"`
}

// CheckResult is what became of a check. The zero value is unset and counts as unknown.
type CheckResult string

// Results.
const (
	CheckUnset CheckResult = ""
	CheckOK    CheckResult = "ok"
	// CheckNot: it does not hold, or not yet.
	CheckNot CheckResult = "not"
	// CheckUnknown: the API server did not say.
	CheckUnknown CheckResult = "unknown"
	// CheckPerson: only a person can tell.
	CheckPerson CheckResult = "person"
)

// CheckStatus is one check.
type CheckStatus struct {
	When   string      `json:"when"`
	What   string      `json:"what"`
	Result CheckResult `json:"result"`
	// Seen is what was found, in words.
	Seen string `json:"seen,omitempty"`
	// Command for a person.
	Command string `json:"command,omitempty"`
}

// OffPlan is an object that the plan changes and that is neither as the plan has it nor
// ahead by a step.
type OffPlan struct {
	Object Ref `json:"object"`
	// Stands is the step after which the plan has the object as it is; nil when it never
	// has it so.
	Stands *StepPlace `json:"stands,omitempty"`
	Paths  []string   `json:"paths,omitempty"`
	Why    string     `json:"why"`
}

// Drift is one object that is not what it was when the plan was made, for another
// reason than the plan.
type Drift struct {
	Object Ref `json:"object"`
	// What is "added", "removed", "changed", or "unseen" for a kind that could be read
	// then and not now.
	What  string   `json:"what"`
	Paths []string `json:"paths,omitempty"`
	// Wave in which the namespace of the object cuts over; 0 when it is in none.
	Wave int `json:"wave,omitempty"`
	// Begun is true when that wave has begun.
	Begun bool `json:"begun,omitempty"`
	// Maybe is true when the fields may be defaults that the API server has filled in:
	// the plan was made from files.
	Maybe bool   `json:"maybe,omitempty"`
	Why   string `json:"why"`
}

// DriftProof compares the proofs of a plan with the same proofs for the mesh as others
// have changed it.
type DriftProof struct {
	// Holds is true when no step that is left is worse than the plan says.
	Holds bool `json:"holds"`
	// Worse lists the steps that are, with the gaps that are new.
	Worse []WorseStep `json:"worse,omitempty"`
}

// WorseStep is a step whose proof got worse.
type WorseStep struct {
	StepPlace `json:",inline"`
	// Back names the rollback step, when it is one.
	Back string           `json:"back,omitempty"`
	Was  ProofResult      `json:"was"`
	Is   ProofResult      `json:"is"`
	Gaps []Counterexample `json:"gaps,omitempty"`
}
