package v1alpha1

// FleetPlan is one plan for several clusters: the plan of each, made so that Services of
// the same name in namespaces of the same name have the same mode in all clusters of a
// mesh (facts M-35), and the order in which the clusters take their waves.
type FleetPlan struct {
	TypeMeta `json:",inline"`
	// Tool is the version of ambientplan that made the plan.
	Tool string `json:"tool,omitempty"`
	// Digest is "sha256:..." over all inventories, needs and policy.
	Digest string `json:"digest"`
	// Complete is false while a cluster's plan is not complete, a cluster could not be
	// read, a blocker is open, or an unknown is neither resolved nor accepted. It is
	// computed, never set.
	Complete bool `json:"complete"`
	// Incomplete says why, in words; empty when Complete.
	Incomplete []string     `json:"incomplete,omitempty"`
	Summary    FleetSummary `json:"summary"`
	// Clusters, sorted by name.
	Clusters []FleetCluster `json:"clusters"`
	// Waves in the order in which they are carried out. Number 0 is the foundation.
	Waves []FleetWave `json:"waves"`
	// Shared are the Services that more than one cluster of a mesh has, sorted by namespace and name.
	Shared   []SharedService `json:"shared"`
	Findings []Finding       `json:"findings"`
	Unknowns []Unknown       `json:"unknowns"`
}

// FleetSummary counts. Blockers, Warnings and Unknowns are those of the fleet; those of
// a cluster stand in its plan.
type FleetSummary struct {
	Clusters   int `json:"clusters"`
	Planned    int `json:"planned"`
	Blocked    int `json:"blocked"`
	Unreadable int `json:"unreadable"`
	// Complete is how many of the clusters' own plans are complete.
	Complete int `json:"complete"`
	// Namespaces and Pods are summed up over the clusters that were read.
	Namespaces int `json:"namespaces"`
	Pods       int `json:"pods"`
	// Waves without the foundation.
	Waves int `json:"waves"`
	// Shared Services, and how many of them do not have one mode in all clusters.
	Shared       int `json:"shared"`
	Inconsistent int `json:"inconsistent"`
	Blockers     int `json:"blockers"`
	Warnings     int `json:"warnings"`
	Unknowns     int `json:"unknowns"`
}

// ClusterRole is where the control plane of a cluster is.
type ClusterRole string

// Roles.
const (
	RoleUnset ClusterRole = ""
	// RolePrimary: an istiod runs in the cluster.
	RolePrimary ClusterRole = "primary"
	// RoleRemote: its proxies are served from another cluster, which ambient mode does
	// not support (facts P-12).
	RoleRemote ClusterRole = "remote"
	// RoleUnknown: no istiod was seen, and nothing that says where it is.
	RoleUnknown ClusterRole = "unknown"
)

// FleetState says what became of a cluster in the plan. The zero value is unset and is
// treated as unreadable.
type FleetState string

// States.
const (
	FleetStateUnset FleetState = ""
	// FleetPlanned: it has a plan.
	FleetPlanned FleetState = "planned"
	// FleetBlocked: it has a plan in which nothing moves, for a reason that concerns the
	// cluster as a whole.
	FleetBlocked FleetState = "blocked"
	// FleetUnreadable: it could not be read, and nothing is known of it.
	FleetUnreadable FleetState = "unreadable"
)

// FleetCluster is one cluster of a fleet.
type FleetCluster struct {
	Name string      `json:"name"`
	Role ClusterRole `json:"role"`
	// Canary is true for the one cluster that goes first.
	Canary bool `json:"canary,omitempty"`
	// Network, MeshID and TrustDomain as the cluster's own configuration names them;
	// empty when it does not, or when it was not read.
	Network     string `json:"network,omitempty"`
	MeshID      string `json:"meshID,omitempty"`
	TrustDomain string `json:"trustDomain,omitempty"`
	// Istiod are the versions of its control planes, sorted.
	Istiod []string   `json:"istiod,omitempty"`
	State  FleetState `json:"state"`
	// Reason of a state that is not "planned", or of the choice of the canary.
	Reason string `json:"reason,omitempty"`
	// Plan of the cluster alone; nil when it could not be read.
	Plan *MigrationPlan `json:"plan,omitempty"`
}

// FleetWave is what moves at one time.
type FleetWave struct {
	Number int    `json:"number"`
	Name   string `json:"name"`
	// Clusters that take a part: the first one alone, and when it is done and has soaked
	// the others, side by side.
	Clusters []FleetMove `json:"clusters"`
	// Reasons say why the wave stands where it stands.
	Reasons []string `json:"reasons"`
}

// FleetMove is one wave of one cluster's plan.
type FleetMove struct {
	Cluster string `json:"cluster"`
	// Wave is the number in the cluster's own plan.
	Wave       int      `json:"wave"`
	Namespaces []string `json:"namespaces"`
	// NotBefore is YYYY-MM-DD when the policy has a calendar.
	NotBefore string `json:"notBefore,omitempty"`
}

// SharedService is a Service that several clusters have under the same name. Istio
// merges their endpoints.
type SharedService struct {
	Namespace string `json:"namespace"`
	Service   string `json:"service"`
	// Clusters that have it, or that could not be read, sorted by name.
	Clusters []SharedPart `json:"clusters"`
	// Consistent is true only when every cluster was read, and it has the same mode in
	// all of them, today and in the end.
	Consistent bool `json:"consistent"`
	// What is to be known about it, in words.
	What string `json:"what,omitempty"`
}

// SharedPart is a shared Service in one cluster.
type SharedPart struct {
	Cluster string `json:"cluster"`
	// Decision in the cluster's plan; empty when the cluster could not be read.
	Decision DecisionKind `json:"decision,omitempty"`
	// Mode today: "sidecar", "ambient", "none", "mixed", "unknown".
	Mode string `json:"mode,omitempty"`
	// Wave of the fleet in which it cuts over; 0 when it does not.
	Wave int `json:"wave,omitempty"`
	// Held is true when its namespace is in no wave though the decision would let it move.
	Held bool `json:"held,omitempty"`
}
