package v1alpha1

// Assessment is what only people know about the question whether a mesh is worth it. What
// it does not answer is not known, and never taken for a no.
type Assessment struct {
	TypeMeta `json:",inline"`
	Metadata Metadata `json:"metadata,omitzero"`
	// Encryption says whether somebody requires that traffic between services inside of the
	// cluster is encrypted; Identity, that services authenticate each other.
	Encryption *Requirement `json:"encryption,omitempty"`
	Identity   *Requirement `json:"identity,omitempty"`
	// Platform is who would run the mesh.
	Platform *PlatformTeam `json:"platform,omitempty"`
	// Wants are the problems that people have with traffic.
	Wants []Want `json:"wants,omitempty"`
	// Teams that own services; 0 means that nobody counted.
	Teams int `json:"teams,omitempty"`
	// Prices of what the data plane asks for.
	Prices *Prices `json:"prices,omitempty"`
	// File and Lines say where the document was read from; set by the reader.
	File  string         `json:"-"`
	Lines map[string]int `json:"-"`
}

// Requirement says whether something is required, and by what.
type Requirement struct {
	Required *bool `json:"required"`
	// By is the rule, contract or customer that requires it ("PCI DSS 4.0, 4.2.1").
	By string `json:"by,omitempty"`
}

// PlatformTeam is who would own upgrades, policies and the debugging of traffic.
type PlatformTeam struct {
	// People who can, and the hours a week that they have for it together.
	People       int     `json:"people"`
	HoursPerWeek float64 `json:"hoursPerWeek,omitempty"`
}

// Want is a problem to be solved.
type Want string

// Wants. The first ones are about traffic between services, the others about traffic that
// enters from outside.
const (
	WantEncryption  Want = "encryption"
	WantIdentity    Want = "service-identity"
	WantPolicy      Want = "service-policy"
	WantShifting    Want = "traffic-shifting"
	WantResilience  Want = "retries-and-timeouts"
	WantVisibility  Want = "visibility"
	WantEdgeAuth    Want = "edge-authentication"
	WantEdgeLimits  Want = "edge-rate-limits"
	WantEdgeRouting Want = "public-routing"
	WantPartners    Want = "partner-access"
)

// Wants lists the closed set, in the order of this file.
func Wants() []Want {
	return []Want{
		WantEncryption, WantIdentity, WantPolicy, WantShifting, WantResilience, WantVisibility,
		WantEdgeAuth, WantEdgeLimits, WantEdgeRouting, WantPartners,
	}
}

// AtEdge tells whether the want is about traffic that enters from outside.
func (w Want) AtEdge() bool {
	switch w {
	case WantEdgeAuth, WantEdgeLimits, WantEdgeRouting, WantPartners:
		return true
	case WantEncryption, WantIdentity, WantPolicy, WantShifting, WantResilience, WantVisibility:
	}
	return false
}

// Prices by the hour.
type Prices struct {
	Currency string `json:"currency"`
	// VCPUHour and GiBHour are prices of one vCPU and one GiB of memory for an hour.
	VCPUHour float64 `json:"vCPUHour"`
	GiBHour  float64 `json:"giBHour"`
}

// AssessmentReport answers whether a mesh, and whether ambient mode, is worth it here.
type AssessmentReport struct {
	TypeMeta `json:",inline"`
	Tool     string `json:"tool,omitempty"`
	// Digest is "sha256:..." over everything that was read.
	Digest  string            `json:"digest"`
	Verdict AssessmentVerdict `json:"verdict"`
	// Sentence says it in words.
	Sentence string `json:"sentence"`
	// Because are the reasons, the weightiest first.
	Because []AssessmentReason `json:"because"`
	// Depends says what the verdict is for each answer to what is not known; empty when it
	// is the same for all of them.
	Depends []Alternative `json:"depends,omitempty"`
	// Changes says which single different fact would change the verdict.
	Changes []Alternative `json:"changes"`
	// Questions are the five.
	Questions []AssessmentQuestion `json:"questions"`
	// Namespaces of the mesh, with what moving each would bring.
	Namespaces []NamespaceVerdict `json:"namespaces"`
	// Options compares what could do the work.
	Options []Option `json:"options"`
	// Found is what was recognised that does a part of the work today.
	Found []FoundPart `json:"found"`
	// Contradictions between answers, or between answers and the cluster.
	Contradictions []string `json:"contradictions,omitempty"`
	// Cost of the data plane of Istio, for each cluster that has one.
	Costs []ClusterCost `json:"costs"`
	// Unknowns of the assessment itself; those of the plan are in the plan.
	Unknowns []Unknown `json:"unknowns"`
}

// AssessmentVerdict is the answer. The zero value is unset.
type AssessmentVerdict string

// Verdicts.
const (
	AssessmentUnset AssessmentVerdict = ""
	// AdoptAmbient: run Istio in ambient mode; a mesh of sidecars moves as a whole.
	AdoptAmbient AssessmentVerdict = "adopt-ambient"
	// MigrateSome: move the namespaces that are named, the others keep their sidecars.
	MigrateSome AssessmentVerdict = "migrate-some"
	// Stay: leave it as it is, with or without a mesh.
	Stay AssessmentVerdict = "stay-as-you-are"
	// UseGateway, UseCilium and UseLibraries: something smaller does the work.
	UseGateway   AssessmentVerdict = "use-a-gateway"
	UseCilium    AssessmentVerdict = "use-cilium"
	UseLibraries AssessmentVerdict = "use-libraries"
	// RemoveMesh: what the mesh does is not used.
	RemoveMesh AssessmentVerdict = "remove-the-mesh"
	// ItDepends: the answer differs with what is not known; Depends lists how.
	ItDepends AssessmentVerdict = "it-depends"
)

// Weight of a reason or of an answer. The zero value is unset.
type Weight string

// Weights.
const (
	WeightUnset Weight = ""
	// Decides: alone enough for the verdict.
	Decides Weight = "decides"
	Strong  Weight = "strong"
	Some    Weight = "some"
	None    Weight = "none"
)

// AssessmentReason is one reason for the verdict.
type AssessmentReason struct {
	What   string `json:"what"`
	Weight Weight `json:"weight"`
	// Question that it comes from, 1 to 5; 0 for the cost and the plan.
	Question int `json:"question,omitempty"`
}

// Alternative is another verdict and what it takes.
type Alternative struct {
	If      string            `json:"if"`
	Verdict AssessmentVerdict `json:"verdict"`
	Because string            `json:"because,omitempty"`
}

// Direction is where an answer points. The zero value is unset.
type Direction string

// Directions.
const (
	DirectionUnset   Direction = ""
	ForMesh          Direction = "for a mesh"
	AgainstMesh      Direction = "against a mesh"
	NeitherWay       Direction = "neither"
	DirectionUnknown Direction = "not known"
)

// AssessmentQuestion is one of the five, with its answer.
type AssessmentQuestion struct {
	Number int    `json:"number"`
	Ask    string `json:"ask"`
	// Answer in words, and where it points.
	Answer string    `json:"answer"`
	Points Direction `json:"points"`
	Weight Weight    `json:"weight"`
	// Facts that it rests on.
	Facts []AssessmentFact `json:"facts"`
	// Missing is what nobody answered, with the field of the Assessment that does.
	Missing []string `json:"missing,omitempty"`
	// Change is what would change the answer.
	Change string `json:"change"`
}

// AssessmentFact is something that was seen or answered.
type AssessmentFact struct {
	What     string     `json:"what"`
	Evidence []Evidence `json:"evidence,omitempty"`
}

// NamespaceAction is what to do with a namespace. The zero value is unset.
type NamespaceAction string

// Actions.
const (
	NamespaceUnset NamespaceAction = ""
	// NamespaceMove: it can move, and that brings something.
	NamespaceMove NamespaceAction = "move"
	// NamespaceLittle: it can move, and asks for more afterwards than before.
	NamespaceLittle NamespaceAction = "no-benefit"
	// NamespaceKeep: something in it keeps or needs sidecars.
	NamespaceKeep NamespaceAction = "keep-sidecars"
	// NamespaceDone: it is in ambient mode.
	NamespaceDone NamespaceAction = "ambient-already"
)

// NamespaceVerdict is what becomes of a namespace, and what it brings.
type NamespaceVerdict struct {
	Cluster   string          `json:"cluster,omitempty"`
	Namespace string          `json:"namespace"`
	Action    NamespaceAction `json:"action"`
	// Why in words.
	Why []string `json:"why"`
	// Sidecars of today, Waypoints that it gets.
	Sidecars  int `json:"sidecars"`
	Waypoints int `json:"waypoints,omitempty"`
	// Frees is what is asked for less, without what runs on nodes; negative when more. For
	// one that keeps its sidecars it is what moving would bring, without waypoints.
	Frees Resources `json:"frees"`
	// L4Only counts services for which ztunnel is enough.
	L4Only   int `json:"l4Only,omitempty"`
	Services int `json:"services,omitempty"`
}

// Option is one way to do the work.
type Option struct {
	Name string `json:"name"`
	// InUse says how it is there today; empty when it was not seen.
	InUse string `json:"inUse,omitempty"`
	// Covers and Lacks are what is used or required here, and whether the option does it.
	Covers []string `json:"covers"`
	Partly []string `json:"partly,omitempty"`
	Lacks  []string `json:"lacks"`
	// Takes is what it takes to run it.
	Takes string `json:"takes"`
}

// FoundPart is something that was recognised.
type FoundPart struct {
	Cluster string `json:"cluster,omitempty"`
	// Name, for example "Linkerd"; Kind is "mesh", "gateway" or "network".
	Name     string     `json:"name"`
	Kind     string     `json:"kind"`
	What     string     `json:"what"`
	Evidence []Evidence `json:"evidence"`
}

// ClusterCost is the cost in one cluster.
type ClusterCost struct {
	Cluster string `json:"cluster,omitempty"`
	Cost    Cost   `json:"cost"`
	// Price a month of 730 hours, by what is asked for; nil without prices.
	Price *PriceDelta `json:"price,omitempty"`
}

// PriceDelta is a price a month, before and after.
type PriceDelta struct {
	Currency string  `json:"currency"`
	Before   float64 `json:"before"`
	After    float64 `json:"after"`
	// Whole is false when the cost misses something, so that After is too low.
	Whole bool `json:"whole"`
}
