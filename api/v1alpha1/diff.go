package v1alpha1

// PlanDiff is what a plan does otherwise than an earlier one. Every list is sorted;
// what is not listed is the same in both, but for proofs' counts and words.
type PlanDiff struct {
	TypeMeta `json:",inline"`
	// Was and Is name the plans by their digests.
	Was string `json:"was"`
	Is  string `json:"is"`
	// Same is true when nothing below holds anything.
	Same bool `json:"same"`
	// Complete of the two plans.
	WasComplete bool `json:"wasComplete"`
	IsComplete  bool `json:"isComplete"`

	Decisions  []DecisionDiff  `json:"decisions,omitempty"`
	Namespaces []NamespaceDiff `json:"namespaces,omitempty"`
	Steps      []StepDiff      `json:"steps,omitempty"`
	Findings   []FindingDiff   `json:"findings,omitempty"`
	Unknowns   []UnknownDiff   `json:"unknowns,omitempty"`
	Gaps       []GapDiff       `json:"gaps,omitempty"`
}

// DiffOp says on which side of a comparison something is. The zero value is unset.
type DiffOp string

// Sides.
const (
	DiffUnset   DiffOp = ""
	DiffAdded   DiffOp = "added"
	DiffRemoved DiffOp = "removed"
	DiffChanged DiffOp = "changed"
)

// DecisionDiff is a subject that is decided otherwise.
type DecisionDiff struct {
	Subject Ref    `json:"subject"`
	Op      DiffOp `json:"op"`
	// Was and Is are the decisions, with the waypoint where there is one: "Waypoint shop/waypoint".
	Was string `json:"was,omitempty"`
	Is  string `json:"is,omitempty"`
	Why string `json:"why,omitempty"`
}

// NamespaceDiff is a namespace that moves in another wave; 0 is none.
type NamespaceDiff struct {
	Cluster string `json:"cluster,omitempty"`
	Name    string `json:"name"`
	Was     int    `json:"was"`
	Is      int    `json:"is"`
}

// StepDiff is a step that is new, gone, or changes objects otherwise.
type StepDiff struct {
	Wave    int          `json:"wave"`
	Step    string       `json:"step"`
	Op      DiffOp       `json:"op"`
	Objects []ObjectDiff `json:"objects,omitempty"`
	// WasProof and IsProof are the results of the proofs where they differ.
	WasProof ProofResult `json:"wasProof,omitempty"`
	IsProof  ProofResult `json:"isProof,omitempty"`
}

// ObjectDiff is an object that a step changes in one plan and not in the other, or
// into something else. Paths are the first fields that differ.
type ObjectDiff struct {
	Object Ref      `json:"object"`
	Op     DiffOp   `json:"op"`
	Paths  []string `json:"paths,omitempty"`
}

// FindingDiff is a finding that is new, gone, or of another severity.
type FindingDiff struct {
	Op      DiffOp  `json:"op"`
	Finding Finding `json:"finding"`
	// Was is the severity of before, when it changed.
	Was Severity `json:"was,omitempty"`
}

// UnknownDiff is an unknown that is new or gone.
type UnknownDiff struct {
	Op      DiffOp  `json:"op"`
	Unknown Unknown `json:"unknown"`
}

// GapDiff is a gap of the proof that is new or gone, with the step that shows it first.
type GapDiff struct {
	Op   DiffOp         `json:"op"`
	Wave int            `json:"wave"`
	Step string         `json:"step"`
	Gap  Counterexample `json:"gap"`
}
