package v1alpha1

import "cmp"

// FeatureNeeds is written by the owners of services: what their services need
// from the mesh, or do without, and who to ask. Several files merge.
type FeatureNeeds struct {
	TypeMeta `json:",inline"`
	Metadata Metadata       `json:"metadata,omitzero"`
	Services []ServiceNeeds `json:"services,omitempty"`
	Edges    []DeclaredEdge `json:"edges,omitempty"`
	// File is the name the document was read from; set by the reader.
	File string `json:"-"`
	// Lines maps a field path of this document to its line; set by the reader.
	Lines map[string]int `json:"-"`
}

// ServiceNeeds is what one service, workload or namespace needs. Without
// Service and Workload the entry holds for every service of the namespace.
type ServiceNeeds struct {
	Cluster   string `json:"cluster,omitempty"`
	Namespace string `json:"namespace"`
	Service   string `json:"service,omitempty"`
	Workload  string `json:"workload,omitempty"`
	// Capabilities that the owner wants, whatever the tool detects.
	Capabilities []WantedCapability `json:"capabilities,omitempty"`
	// Waive lists detected capabilities that the owner does not rely on.
	Waive []Waiver `json:"waive,omitempty"`
	// KeepSidecar asks for the sidecar to stay.
	KeepSidecar *KeepSidecar `json:"keepSidecar,omitempty"`
	Owner       string       `json:"owner,omitempty"`
	Team        string       `json:"team,omitempty"`
	// Tier is the owner's word for how critical the service is; "0" or
	// "critical" move last, higher numbers earlier.
	Tier    string `json:"tier,omitempty"`
	SLO     string `json:"slo,omitempty"`
	Contact string `json:"contact,omitempty"`
	// LatencyBudget is how much latency the service may gain, as a Go duration ("2ms").
	LatencyBudget string `json:"latencyBudget,omitempty"`
}

// WantedCapability is a capability an owner asks for.
type WantedCapability struct {
	Capability Capability `json:"capability"`
	Reason     string     `json:"reason,omitempty"`
}

// Waiver drops a detected need. A waiver without a reason is an error.
type Waiver struct {
	Capability Capability `json:"capability"`
	Reason     string     `json:"reason"`
}

// KeepSidecar is an owner's wish to stay on the sidecar; the reason is required.
type KeepSidecar struct {
	Reason string `json:"reason"`
}

// DeclaredEdge is a call that an owner knows of. The client is a workload or a
// service account or, with neither, any workload of the namespace.
type DeclaredEdge struct {
	FromNamespace string `json:"fromNamespace"`
	From          string `json:"from,omitempty"`
	ToNamespace   string `json:"toNamespace"`
	To            string `json:"to"`
	Port          int    `json:"port,omitempty"`
	Protocol      string `json:"protocol,omitempty"`
}

// Need is one capability that a service or workload needs, with its evidence.
type Need struct {
	Subject    Ref        `json:"-"`
	Capability Capability `json:"capability"`
	// Rule is the id of the rule that found it, or "declared".
	Rule     string     `json:"rule"`
	Reason   string     `json:"reason,omitempty"`
	Evidence []Evidence `json:"evidence"`
	// Waived holds the owner's reason when a waiver drops the need.
	Waived string `json:"waived,omitempty"`
}

// Compare orders needs by subject, capability, rule, reason and first evidence.
func (n Need) Compare(o Need) int {
	c := cmp.Or(n.Subject.Compare(o.Subject), cmp.Compare(n.Capability, o.Capability), cmp.Compare(n.Rule, o.Rule), cmp.Compare(n.Reason, o.Reason))
	for i := 0; c == 0 && i < len(n.Evidence) && i < len(o.Evidence); i++ {
		c = n.Evidence[i].Compare(o.Evidence[i])
	}
	return cmp.Or(c, cmp.Compare(len(n.Evidence), len(o.Evidence)))
}
