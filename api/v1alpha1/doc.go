// Package v1alpha1 holds the documents that people and other programs read and
// write with ambientplan: Inventory (what is in a cluster), FeatureNeeds (what
// the owners of services ask for), MigrationPolicy (what the platform team
// decides) and MigrationPlan (the result).
//
// All of them are plain data. The only logic here is decoding, which is strict:
// an unknown or repeated field is an error that names file and line. The zero
// value of every verdict in this package means "not decided", never "fine".
package v1alpha1

// APIVersion is the apiVersion of every document in this package.
const APIVersion = "ambientplan.dev/v1alpha1"

// Kinds of the documents.
const (
	KindInventory        = "Inventory"
	KindFeatureNeeds     = "FeatureNeeds"
	KindMigrationPolicy  = "MigrationPolicy"
	KindMigrationPlan    = "MigrationPlan"
	KindPlanDiff         = "PlanDiff"
	KindMigrationStatus  = "MigrationStatus"
	KindAssessment       = "Assessment"
	KindAssessmentReport = "AssessmentReport"
	KindFleetPlan        = "FleetPlan"
)

// TypeMeta is the head of every document.
type TypeMeta struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
}

// Metadata is the optional name of a document that people write.
type Metadata struct {
	Name string `json:"name,omitempty"`
}
