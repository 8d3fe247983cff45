package v1alpha1

// MigrationPlan is the result: an ordered, explained sequence of commits.
// It holds everything that rendering needs, so that yesterday's plan renders to
// yesterday's bytes.
type MigrationPlan struct {
	TypeMeta `json:",inline"`
	// Cluster is the name of the cluster; empty when the inventory gives it none. No
	// reference of the plan repeats it.
	Cluster string `json:"cluster,omitempty"`
	// Tool is the version of ambientplan that made the plan.
	Tool string `json:"tool,omitempty"`
	// Digest is "sha256:..." over inventory, needs and policy.
	Digest string `json:"digest"`
	// InputDigest is "sha256:..." over the inventory and Calls: what a plan is
	// verified against must be what it was made from.
	InputDigest string `json:"inputDigest,omitempty"`
	// Complete is false while an unknown is neither resolved nor waived, a
	// namespace is held, or a step is not proved. It is computed, never set.
	Complete bool `json:"complete"`
	// Incomplete says why, in words; empty when Complete.
	Incomplete []string `json:"incomplete,omitempty"`

	Summary     Summary         `json:"summary"`
	Decisions   []Decision      `json:"decisions"`
	Waves       []Wave          `json:"waves"`
	Held        []HeldNamespace `json:"held,omitempty"`
	Constraints []Constraint    `json:"constraints"`
	Findings    []Finding       `json:"findings"`
	Unknowns    []Unknown       `json:"unknowns"`
	// Objects says of every object of the mesh what the plan makes of it; sorted.
	Objects  []Disposition  `json:"objects"`
	Coverage []KindCoverage `json:"coverage"`
	Cost     Cost           `json:"cost"`
	// Proof sums the proofs of all steps up.
	Proof PlanProof `json:"proof"`
	// Telemetry says what the plan does to dashboards and alerts, without what it leaves unaffected; nil when none were
	// handed in.
	Telemetry *TelemetryReport `json:"telemetry,omitempty"`
	// Calls is the call graph that the proof relies on, without evidence.
	Calls      []Edge          `json:"calls,omitempty"`
	GitOps     string          `json:"gitops,omitempty"`
	Namespaces []PlanNamespace `json:"namespaces,omitempty"`
	// Base is, for each object that the plan touches, its state before wave 0:
	// mesh configuration whole, fragments with only the fields that the plan sets.
	Base []BaseObject `json:"base,omitempty"`
}

// Summary counts.
type Summary struct {
	Namespaces int            `json:"namespaces"`
	Services   int            `json:"services"`
	Workloads  int            `json:"workloads"`
	Pods       int            `json:"pods"`
	Decisions  map[string]int `json:"decisions"`
	Waves      int            `json:"waves"`
	Waypoints  int            `json:"waypoints"`
	Blockers   int            `json:"blockers"`
	Warnings   int            `json:"warnings"`
	Unknowns   int            `json:"unknowns"`
	Documents  DocumentCount  `json:"documents"`
}

// DecisionKind is what happens to a service. The zero value is not a decision.
type DecisionKind string

// Decision kinds.
const (
	DecisionUnset DecisionKind = ""
	// L4Only: ztunnel alone.
	L4Only DecisionKind = "L4Only"
	// Waypoint: ztunnel and a waypoint.
	Waypoint DecisionKind = "Waypoint"
	// KeepSidecarDecision: the workload keeps its sidecar.
	KeepSidecarDecision DecisionKind = "KeepSidecar"
	// Blocked: a person must decide first; nothing is changed.
	Blocked DecisionKind = "Blocked"
	// OutOfMesh: not in the mesh today and not moved into it.
	OutOfMesh DecisionKind = "OutOfMesh"
)

// Decision for one service, or for one workload behind no service.
type Decision struct {
	Cluster   string       `json:"cluster,omitempty"`
	Namespace string       `json:"namespace"`
	Service   string       `json:"service,omitempty"`
	Workload  string       `json:"workload,omitempty"`
	Kind      DecisionKind `json:"decision"`
	// Subject is the object decided on.
	Subject  Ref          `json:"subject"`
	Waypoint *WaypointRef `json:"waypoint,omitempty"`
	Needs    []Need       `json:"needs"`
	// Waived needs, with the owners' reasons.
	Waived []Need `json:"waived,omitempty"`
	// Why in one sentence.
	Why string `json:"why"`
	// Cheaper says what would have to change for a cheaper decision; empty for the cheapest.
	Cheaper string `json:"cheaper,omitempty"`
	// Wave in which it cuts over; 0 when it does not.
	Wave int `json:"wave,omitempty"`
	// Workloads behind the service.
	Workloads []Ref `json:"workloads,omitempty"`
	// Mode today: "sidecar", "ambient", "none", "mixed", "unknown".
	Mode    string `json:"mode"`
	Owner   string `json:"owner,omitempty"`
	Team    string `json:"team,omitempty"`
	Tier    string `json:"tier,omitempty"`
	Contact string `json:"contact,omitempty"`
	// Unknowns that could change this decision, by index into the plan's list, as ids.
	Unknowns []string `json:"unknowns,omitempty"`
}

// WaypointRef names a waypoint and what it serves.
type WaypointRef struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	// Scope is "service", "namespace" or "shared".
	Scope string `json:"scope"`
}

// Wave is a set of namespaces that move together. Number 0 is the foundation.
type Wave struct {
	Number     int      `json:"number"`
	Name       string   `json:"name"`
	Namespaces []string `json:"namespaces"`
	// Reasons say why the wave stands where it stands.
	Reasons []string `json:"reasons"`
	Teams   []string `json:"teams,omitempty"`
	Pods    int      `json:"pods"`
	// NotBefore is YYYY-MM-DD when the policy has a calendar.
	NotBefore string `json:"notBefore,omitempty"`
	Steps     []Step `json:"steps"`
}

// Step is one commit inside a wave.
type Step struct {
	// Name is "prepare", "activate", "enrol", "cutover" ("cutover-2", ... for later
	// batches), "route" or "finalize"; wave 0 has steps of its own.
	Name       string   `json:"name"`
	Namespaces []string `json:"namespaces"`
	// What the step does, in a sentence.
	What    string   `json:"what"`
	Changes []Change `json:"changes"`
	// Checks to make before the next step may start.
	Checks []Check `json:"checks"`
	// Rollback lists, in order, how to get back to the state before this step.
	Rollback []RollbackStep `json:"rollback"`
	Proof    Proof          `json:"proof"`
}

// Op is what a change does.
type Op string

// Operations. Create and Delete act on whole mesh objects; Patch sets fields of
// an object that the plan owns; Fragment sets fields of somebody else's object by
// server-side apply; Manual is done by a person.
const (
	OpUnset    Op = ""
	OpCreate   Op = "create"
	OpPatch    Op = "patch"
	OpDelete   Op = "delete"
	OpFragment Op = "fragment"
	OpManual   Op = "manual"
)

// Change of one object.
type Change struct {
	Object Ref    `json:"object"`
	Op     Op     `json:"op"`
	Why    string `json:"why"`
	// Rules that asked for it.
	Rules []string `json:"rules,omitempty"`
	// Owner is who else manages the object.
	Owner *Owner `json:"owner,omitempty"`
	// After is the whole object as the tree holds it after the change: the object
	// for create and patch, the fragment (all fields set by the plan so far) for
	// fragment, nil for delete. For manual it is what the object holds once the
	// person has done it, when that is known.
	After Content `json:"after,omitempty"`
	// Manual is what a person has to do, for OpManual.
	Manual string `json:"manual,omitempty"`
	// Does is what the person's change amounts to, for OpManual; empty when it
	// changes no object that is modelled.
	Does Op `json:"does,omitempty"`
}

// BaseObject is one object as the tree holds it before any step.
type BaseObject struct {
	Object Ref `json:"object"`
	// Fragment is true when somebody else owns the object and only the fields
	// that the plan changes are held.
	Fragment bool    `json:"fragment,omitempty"`
	Content  Content `json:"content"`
	Source   string  `json:"source,omitempty"`
	Owner    *Owner  `json:"owner,omitempty"`
}

// Check is one line of a checklist.
type Check struct {
	What string `json:"what"`
	// Command that answers it, if there is one; arguments are shell-quoted.
	Command string `json:"command,omitempty"`
	// Expect is what must be seen.
	Expect string `json:"expect,omitempty"`
	// When is "before" or "after" the step.
	When string `json:"when"`
	// Ask is the same as a question to the API server; nil for what only a person can check.
	Ask *Ask `json:"ask,omitempty"`
}

// AskKind is a question that the API server answers. The zero value asks nothing.
type AskKind string

// Questions.
const (
	AskUnset AskKind = ""
	// AskProgrammed: the Gateway is accepted and programmed, and its Deployment has two
	// ready pods.
	AskProgrammed AskKind = "programmed"
	// AskBound: the Service or ServiceEntry is bound to its waypoint.
	AskBound AskKind = "bound"
	// AskAccepted: waypoints accept all policies of the namespace that the plan made.
	AskAccepted AskKind = "accepted"
	// AskRoute: the route is accepted and finds its backends.
	AskRoute AskKind = "route"
	// AskRolledOut: the workload is rolled out, and its pods are captured and have no sidecar.
	AskRolledOut AskKind = "rolled-out"
	// AskSidecars: the workloads of the namespace that have not cut over keep their sidecars.
	AskSidecars AskKind = "sidecars"
	// AskNoSidecars: no pod of the namespace that moves has a sidecar.
	AskNoSidecars AskKind = "no-sidecars"
	// AskNodes: ztunnel and istio-cni are ready on every node.
	AskNodes AskKind = "nodes"
	// AskIstiod: every istiod is set up for ambient mode.
	AskIstiod AskKind = "istiod"
	// AskHBONE: every sidecar accepts HBONE.
	AskHBONE AskKind = "hbone"
)

// Ask is a question about an object; about the mesh when there is none.
type Ask struct {
	Kind   AskKind `json:"kind"`
	Object Ref     `json:"object,omitzero"`
}

// RollbackStep is one commit on the way back.
type RollbackStep struct {
	// Name of the overlay under rollback/, for example "cutover-a-policies".
	Name string `json:"name"`
	What string `json:"what"`
	// Changes relative to the state before this rollback step.
	Changes []Change `json:"changes"`
	// To names the step whose end state this one returns to, when it does
	// exactly; "" for an intermediate state; "base" for the state before the wave.
	To     string  `json:"to,omitempty"`
	Checks []Check `json:"checks,omitempty"`
	Proof  Proof   `json:"proof,omitzero"`
}

// ProofResult of a step. The zero value is unset and never printed as proved.
type ProofResult string

// Results.
const (
	ProofUnset   ProofResult = ""
	Proved       ProofResult = "proved"
	Gap          ProofResult = "gap"
	ProofUnknown ProofResult = "unknown"
)

// Proof of a step, over every state from its start to its end: its changes taking
// hold in any order, workloads half restarted, and the end itself.
type Proof struct {
	Result ProofResult `json:"result"`
	Reason string      `json:"reason,omitempty"`
	// States is how many different states of single Services were evaluated, Calls
	// how many pairs of caller and port in them.
	States int `json:"states,omitempty"`
	Calls  int `json:"calls,omitempty"`
	// Counterexamples are the gaps that this state shows first. Still are the ids of
	// those that an earlier state has shown, as far as they are listed.
	Counterexamples []Counterexample `json:"counterexamples"`
	Still           []string         `json:"still,omitempty"`
	// Gaps is how many there are in this state, Unconsented how many of them nobody
	// consented to.
	Gaps        int `json:"gaps,omitempty"`
	Unconsented int `json:"unconsented,omitempty"`
	// Unknowns are calls of which nothing can be said, with why.
	Unknowns []string `json:"unknowns,omitempty"`
}

// PlanProof sums up the proofs of a plan. A state is a step or a step back.
type PlanProof struct {
	States  int `json:"states"`
	Proved  int `json:"proved"`
	Gaps    int `json:"gaps"`
	Unknown int `json:"unknown"`
	// ByKind counts different gaps, each once however many states show it.
	ByKind map[string]int `json:"byKind,omitempty"`
	// Told is how many Services are judged by calls that were observed or declared.
	Told int `json:"told"`
	// Open are the Services, as namespace/name, that nobody named the callers of:
	// they are judged for every caller that policies admit or refuse.
	Open []string `json:"open,omitempty"`
}

// GapKind is what is wrong in a gap.
type GapKind string

// Kinds of gaps.
const (
	GapUnset GapKind = ""
	// GapPermissive: a request passes that was denied.
	GapPermissive GapKind = "permissive"
	// GapRestrictive: a request is denied that passed.
	GapRestrictive GapKind = "restrictive"
	// GapPlaintext: a connection is not encrypted that was.
	GapPlaintext GapKind = "plaintext"
	// GapRoutes: nobody applies a route, retry, timeout or the like that was applied.
	GapRoutes GapKind = "routes"
)

// Counterexample is a concrete request that is treated differently.
type Counterexample struct {
	// ID names the gap in consents. It depends on kind, caller and Service only.
	ID      string  `json:"id"`
	Kind    GapKind `json:"kind"`
	Client  Ref     `json:"client,omitzero"`
	Service Ref     `json:"service"`
	Port    int     `json:"port,omitempty"`
	// Anyone is true when no call graph says that the client calls, and none that
	// it does not.
	Anyone bool `json:"anyone,omitempty"`
	// Outside is true when the caller is outside the mesh in this state; Client is
	// then an example, if there is one.
	Outside bool   `json:"outside,omitempty"`
	Request string `json:"request"`
	Before  string `json:"before"`
	After   string `json:"after"`
	// Choices are what can be done about it.
	Choices     []string `json:"choices,omitempty"`
	ConsentedBy string   `json:"consentedBy,omitempty"`
}

// StepRef names the step of a namespace.
type StepRef struct {
	Cluster   string `json:"cluster,omitempty"`
	Namespace string `json:"namespace"`
	Step      string `json:"step"`
	// Service narrows it to the steps of one service; empty means the namespace.
	Service string `json:"service,omitempty"`
}

// Constraint says that Before must be done when After starts.
type Constraint struct {
	Before   StepRef    `json:"before"`
	After    StepRef    `json:"after"`
	Reason   string     `json:"reason"`
	Rule     string     `json:"rule,omitempty"`
	Evidence []Evidence `json:"evidence,omitempty"`
	// Broken is set when the schedule could not keep it (a cycle), with the finding that says so.
	Broken string `json:"broken,omitempty"`
}

// HeldNamespace is in the mesh and not in any wave.
type HeldNamespace struct {
	Cluster string   `json:"cluster,omitempty"`
	Name    string   `json:"name"`
	Reasons []string `json:"reasons"`
}

// PlanNamespace is what a plan knows of a namespace, for rendering.
type PlanNamespace struct {
	Cluster string `json:"cluster,omitempty"`
	Name    string `json:"name"`
	Wave    int    `json:"wave,omitempty"`
	Team    string `json:"team,omitempty"`
	Owner   string `json:"owner,omitempty"`
	Contact string `json:"contact,omitempty"`
	Pods    int    `json:"pods"`
	Mode    string `json:"mode"`
}

// Cost of the data plane by requests, before and after. Quantities are in milli-CPU
// and MiB. What could not be read is named in Missing and is not in the sums.
type Cost struct {
	// Sidecars run today; Staying of them remain after the last wave.
	Sidecars int `json:"sidecars"`
	Staying  int `json:"staying"`
	// Waypoints that the plan makes, and how many pods they have at least.
	Waypoints    int `json:"waypoints"`
	WaypointPods int `json:"waypointPods"`
	// Nodes that run ztunnel and istio-cni: those of Linux. 0 when no node was read.
	Nodes        int   `json:"nodes,omitempty"`
	BeforeCPU    int64 `json:"beforeMilliCPU"`
	BeforeMemory int64 `json:"beforeMiB"`
	AfterCPU     int64 `json:"afterMilliCPU"`
	AfterMemory  int64 `json:"afterMiB"`
	// Missing says what the sums leave out, in words; they are whole when it is empty.
	Missing []string `json:"missing,omitempty"`
	// Assumed is for how many sidecars the chart's default request was taken, for want of
	// a pod that was read.
	Assumed int `json:"assumed,omitempty"`
	// Limits, before and after.
	Limits CostLimits `json:"limits,omitzero"`
	// BreakEven is nil when there are no sidecars.
	BreakEven  *BreakEven      `json:"breakEven,omitempty"`
	Namespaces []NamespaceCost `json:"namespaces,omitempty"`
	Waves      []WaveCost      `json:"waves,omitempty"`
	// Assumptions in words.
	Assumptions string `json:"assumptions"`
}

// Before is what the data plane asks for today.
func (c *Cost) Before() Resources { return Resources{MilliCPU: c.BeforeCPU, MemoryMiB: c.BeforeMemory} }

// After is what it asks for after the last wave.
func (c *Cost) After() Resources { return Resources{MilliCPU: c.AfterCPU, MemoryMiB: c.AfterMemory} }

// CostLimits are the most that the data plane may take.
type CostLimits struct {
	Before Resources `json:"before"`
	After  Resources `json:"after"`
	// UnlimitedBefore and UnlimitedAfter count pods that have no limit of CPU or memory:
	// what they may take is not in the sums.
	UnlimitedBefore int `json:"unlimitedBefore,omitempty"`
	UnlimitedAfter  int `json:"unlimitedAfter,omitempty"`
}

// BreakEven says how many sidecars a node must have before what runs on every node in
// ambient mode asks for less than they do.
type BreakEven struct {
	// NodeAgents is what ambient mode adds to each node, Sidecar what one sidecar asks for
	// on average.
	NodeAgents Resources `json:"nodeAgents"`
	Sidecar    Resources `json:"sidecar"`
	// SidecarsCPU and SidecarsMemory are sidecars for each node; with the plan's waypoints
	// spread over the nodes when nodes were read. 0 when it cannot be had, since sidecars
	// ask for nothing.
	SidecarsCPU    float64 `json:"sidecarsCPU,omitempty"`
	SidecarsMemory float64 `json:"sidecarsMemory,omitempty"`
	// Today is how many sidecars that go a node has on average; 0 when no node was read.
	Today  float64     `json:"today,omitempty"`
	Shapes []ShapeCost `json:"shapes,omitempty"`
}

// ShapeCost is what ambient mode takes of nodes of one shape.
type ShapeCost struct {
	NodeShape `json:",inline"`
	// PercentCPU and PercentMemory of a node that ztunnel and istio-cni ask for; 0 when its
	// capacity was not read.
	PercentCPU    float64 `json:"percentCPU,omitempty"`
	PercentMemory float64 `json:"percentMemory,omitempty"`
}

// NamespaceCost is the part of one namespace: sidecars before; sidecars that stay and its
// waypoints after. What runs on every node belongs to no namespace.
type NamespaceCost struct {
	Namespace string    `json:"namespace"`
	Wave      int       `json:"wave,omitempty"`
	Sidecars  int       `json:"sidecars"`
	Staying   int       `json:"staying,omitempty"`
	Waypoints int       `json:"waypoints,omitempty"`
	Before    Resources `json:"before"`
	After     Resources `json:"after"`
}

// WaveCost is the whole data plane when a wave is done.
type WaveCost struct {
	Wave int       `json:"wave"`
	Done Resources `json:"done"`
	// Peak is the most that is asked for inside the wave: what it adds stands before what
	// it removes is gone.
	Peak Resources `json:"peak"`
}
