package v1alpha1

// MigrationPolicy is written by the platform team: how the migration may run.
type MigrationPolicy struct {
	TypeMeta `json:",inline"`
	Metadata Metadata `json:"metadata,omitzero"`
	// First and Last name namespaces that move in the first and last waves.
	First []string `json:"first,omitempty"`
	Last  []string `json:"last,omitempty"`
	// Exclude names namespaces that keep their sidecars; each with a reason.
	Exclude []ExcludedNamespace `json:"exclude,omitempty"`
	// Together names namespaces that move in one wave.
	Together []Group  `json:"together,omitempty"`
	Capacity Capacity `json:"capacity,omitzero"`
	// CanaryCluster names the cluster of a fleet that takes each step first. Without it
	// that is the smallest one that is not critical.
	CanaryCluster string `json:"canaryCluster,omitempty"`
	// Calendar turns waves into dates; without it waves have no dates.
	Calendar *Calendar `json:"calendar,omitempty"`
	// SoakTime is the least time between two waves, as a Go duration ("72h").
	SoakTime string `json:"soakTime,omitempty"`
	// Consents accepts findings and unknowns by id, with a reason and a name.
	Consents []Consent      `json:"consents,omitempty"`
	Waypoint WaypointPolicy `json:"waypoint,omitzero"`
	// Routes is "convert" (default): VirtualServices of the mesh become routes of the
	// Gateway API where these mean exactly the same; or "keep": waypoints serve them as
	// they are, which Istio calls Alpha.
	Routes string `json:"routes,omitempty"`
	// GitOps is "none" (default), "argocd" or "flux".
	GitOps string `json:"gitops,omitempty"`
	// Labels says which labels of namespaces and workloads name owner, team and tier.
	Labels LabelNames     `json:"labels,omitzero"`
	File   string         `json:"-"`
	Lines  map[string]int `json:"-"`
}

// What a plan does with VirtualServices.
const (
	RoutesConvert = "convert"
	RoutesKeep    = "keep"
)

// ExcludedNamespace keeps its sidecars.
type ExcludedNamespace struct {
	Namespace string `json:"namespace"`
	Reason    string `json:"reason"`
}

// Group is a set of namespaces that move together.
type Group struct {
	Name       string   `json:"name"`
	Namespaces []string `json:"namespaces"`
	Reason     string   `json:"reason,omitempty"`
}

// Capacity bounds one wave; 0 means no bound.
type Capacity struct {
	Namespaces int `json:"namespaces,omitempty"`
	Pods       int `json:"pods,omitempty"`
	Waypoints  int `json:"waypoints,omitempty"`
	Teams      int `json:"teams,omitempty"`
	// RestartBatch is how many workloads of a namespace are restarted in one
	// cutover step; 0 means the default of 10.
	RestartBatch int `json:"restartBatch,omitempty"`
}

// Calendar gives waves their dates.
type Calendar struct {
	// Start is the first day, as YYYY-MM-DD.
	Start string `json:"start"`
	// Weekdays on which a wave may start ("Mon", "Tue", ...); empty means Monday to Thursday.
	Weekdays []string `json:"weekdays,omitempty"`
	// Freeze lists the windows in which no wave starts.
	Freeze []FreezeWindow `json:"freeze,omitempty"`
}

// FreezeWindow is a closed interval of days, both inclusive, as YYYY-MM-DD.
type FreezeWindow struct {
	Name string `json:"name"`
	From string `json:"from"`
	To   string `json:"to"`
	// Namespaces that the window holds for; empty means all.
	Namespaces []string `json:"namespaces,omitempty"`
}

// Consent accepts one finding or unknown.
type Consent struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
	// By is the person who consents.
	By string `json:"by"`
	// Namespace and Name narrow the consent to one subject; empty means all.
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
}

// WaypointPolicy says how waypoints are made.
type WaypointPolicy struct {
	// Scope is "namespace" (default), "service" or "shared".
	Scope string `json:"scope,omitempty"`
	// Namespace and Name of the shared waypoint.
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	// MinReplicas is at least 2, the default; MaxReplicas defaults to 5.
	MinReplicas int `json:"minReplicas,omitempty"`
	MaxReplicas int `json:"maxReplicas,omitempty"`
	// TargetCPUPercent of the HorizontalPodAutoscaler; default 70.
	TargetCPUPercent int `json:"targetCPUPercent,omitempty"`
	// Requests of a waypoint pod; defaults are the chart's 100m and 128Mi.
	CPURequest    string `json:"cpuRequest,omitempty"`
	MemoryRequest string `json:"memoryRequest,omitempty"`
}

// LabelNames are label or annotation keys.
type LabelNames struct {
	Owner string `json:"owner,omitempty"`
	Team  string `json:"team,omitempty"`
	Tier  string `json:"tier,omitempty"`
}
