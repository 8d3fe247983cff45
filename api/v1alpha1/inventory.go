package v1alpha1

import "encoding/json"

// Inventory is the mesh-relevant snapshot of one or more clusters. It holds no
// Secret, and of environment values only feature flags of istiod and settings of
// network plugins (ControlPlane.Flags, Component.Settings). Every list is sorted by its references.
type Inventory struct {
	TypeMeta   `json:",inline"`
	Clusters   []Cluster   `json:"clusters,omitempty"`
	Namespaces []Namespace `json:"namespaces,omitempty"`
	Workloads  []Workload  `json:"workloads,omitempty"`
	Services   []Service   `json:"services,omitempty"`
	// Objects are the objects of Istio, Gateway API, NetworkPolicy, autoscaling
	// and disruption budgets, whole except for status and managedFields.
	Objects  []Object       `json:"objects,omitempty"`
	Edges    []Edge         `json:"edges,omitempty"`
	Coverage []KindCoverage `json:"coverage,omitempty"`
	// Unknowns are documents that could not be read and duplicates that contradict.
	Unknowns []Unknown `json:"unknowns,omitempty"`
	// Documents accounts for everything that was read.
	Documents DocumentCount `json:"documents,omitzero"`
}

// DocumentCount accounts for the documents of the input:
// Read = Kept + Irrelevant + Unreadable + Duplicate.
type DocumentCount struct {
	Read       int `json:"read"`
	Kept       int `json:"kept"`
	Irrelevant int `json:"irrelevant"`
	Unreadable int `json:"unreadable"`
	Duplicate  int `json:"duplicate"`
}

// Cluster is what is known of a cluster as a whole.
type Cluster struct {
	Name string `json:"name"`
	// KubernetesVersion, for example "1.37.2"; empty when unknown.
	KubernetesVersion string `json:"kubernetesVersion,omitempty"`
	// Istiods lists the control planes found.
	Istiods []ControlPlane `json:"istiods,omitempty"`
	// Nodes are counted by shape; empty when nodes were not read.
	Nodes []NodeShape `json:"nodes,omitempty"`
	// Components found by their workloads: "ztunnel", "istio-cni-node", "cilium", "calico", ...
	Components []Component `json:"components,omitempty"`
	// Platforms that nodes say they run on, sorted by name; empty when no node was
	// read, and also when none says anything.
	Platforms []Platform `json:"platforms,omitempty"`
	// Unreadable says why a cluster that should be in the inventory is not: nothing else
	// is known of it. Empty for a cluster that was read.
	Unreadable string `json:"unreadable,omitempty"`
}

// Platform is what nodes say about the distribution or cloud they belong to (facts P-09).
type Platform struct {
	// Name is "aks", "eks", "gke", "k3d", "k3s", "kind", "microk8s", "minikube",
	// "openshift" or "rke2".
	Name string `json:"name"`
	// Nodes that say so.
	Nodes int `json:"nodes"`
	// Evidence is the field of the first of these nodes that says so.
	Evidence Evidence `json:"evidence"`
}

// ControlPlane is one istiod.
type ControlPlane struct {
	Ref      Ref    `json:"ref"`
	Revision string `json:"revision,omitempty"`
	Version  string `json:"version,omitempty"`
	// Flags are the feature flags of istiod that change what ambient does, as
	// facts P-03 and L-17 list them ("PILOT_ENABLE_AMBIENT"); nothing else of its environment.
	Flags map[string]string `json:"flags,omitempty"`
}

// NodeShape counts nodes that look alike.
type NodeShape struct {
	OS     string `json:"os,omitempty"`
	CPU    string `json:"cpu,omitempty"`
	Memory string `json:"memory,omitempty"`
	Count  int    `json:"count"`
}

// Component is a piece of infrastructure recognised in the cluster.
type Component struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	// Settings of a network plugin that decide whether ambient mode works with it
	// (facts P-09), by their own names: "cni-exclusive" of Cilium,
	// "FELIX_BPFENABLED" of Calico, "POD_SECURITY_GROUP_ENFORCING_MODE" of the VPC
	// CNI of AWS. One that was not set is missing.
	Settings map[string]string `json:"settings,omitempty"`
	// Requests of one pod of it; nil when its template sets none.
	Requests *Resources `json:"requests,omitempty"`
	Ref      Ref        `json:"ref"`
}

// Resources are requests or limits of CPU and memory, in milli-CPU and MiB.
type Resources struct {
	MilliCPU  int64 `json:"milliCPU"`
	MemoryMiB int64 `json:"memoryMiB"`
}

// Plus adds two of them up.
func (r Resources) Plus(o Resources) Resources {
	return Resources{MilliCPU: r.MilliCPU + o.MilliCPU, MemoryMiB: r.MemoryMiB + o.MemoryMiB}
}

// Minus takes o away; what is left can be negative.
func (r Resources) Minus(o Resources) Resources {
	return Resources{MilliCPU: r.MilliCPU - o.MilliCPU, MemoryMiB: r.MemoryMiB - o.MemoryMiB}
}

// Times is n of them.
func (r Resources) Times(n int) Resources {
	return Resources{MilliCPU: r.MilliCPU * int64(n), MemoryMiB: r.MemoryMiB * int64(n)}
}

// ProxyResources are what sidecars of running pods are given, added up.
type ProxyResources struct {
	// Pods that were added up; a sidecar that only an annotation tells of is none of them.
	Pods     int       `json:"pods"`
	Requests Resources `json:"requests"`
	Limits   Resources `json:"limits,omitzero"`
	// NoRequests and NoLimits count sidecars that leave out CPU, memory or both.
	NoRequests int `json:"noRequests,omitempty"`
	NoLimits   int `json:"noLimits,omitempty"`
}

// Namespace of a cluster. Annotations are only those that the mesh or
// ambientplan reads.
type Namespace struct {
	Cluster     string            `json:"cluster,omitempty"`
	Name        string            `json:"name"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	// Implied is true when no Namespace object was read and only objects in it.
	Implied bool   `json:"implied,omitempty"`
	Owner   *Owner `json:"owner,omitempty"`
	Origin  Origin `json:"origin,omitzero"`
}

// Ref of the Namespace object.
func (n *Namespace) Ref() Ref { return Ref{Cluster: n.Cluster, Kind: "Namespace", Name: n.Name} }

// Workload is what owns pods: Deployment, StatefulSet, DaemonSet, Rollout,
// ReplicaSet, Job, CronJob, or a bare Pod.
type Workload struct {
	Cluster        string            `json:"cluster,omitempty"`
	Group          string            `json:"group,omitempty"`
	Kind           string            `json:"kind"`
	Namespace      string            `json:"namespace"`
	Name           string            `json:"name"`
	APIVersion     string            `json:"apiVersion"`
	Labels         map[string]string `json:"labels,omitempty"`
	ServiceAccount string            `json:"serviceAccount,omitempty"`
	// PodLabels of the template, or of the pods when they are read and agree.
	PodLabels map[string]string `json:"podLabels,omitempty"`
	// PodAnnotations that the mesh or a scraper reads.
	PodAnnotations map[string]string `json:"podAnnotations,omitempty"`
	// Replicas asked for; nil when the kind has none (DaemonSet, Job) or it is unknown.
	Replicas    *int32          `json:"replicas,omitempty"`
	Ports       []ContainerPort `json:"ports,omitempty"`
	HostNetwork bool            `json:"hostNetwork,omitempty"`
	// OS is "windows" when the template selects Windows nodes, else empty.
	OS string `json:"os,omitempty"`
	// Containers of the template by name, injected ones included.
	Containers []string `json:"containers,omitempty"`
	// ProxyEnv are the settings of an istio-proxy container written into the
	// template by hand or by kube-inject; true when such a container is there.
	ManualProxy bool `json:"manualProxy,omitempty"`
	// ProxyCalls are the field paths of hooks, probes and commands of the
	// application that call the sidecar on localhost:15000, 15020 or 15021.
	ProxyCalls []string `json:"proxyCalls,omitempty"`
	// Shifts are the VirtualServices and DestinationRules that the controller of
	// the workload rewrites while it shifts traffic: those that
	// strategy.canary.trafficRouting.istio of an Argo Rollout names (facts Q-90).
	Shifts []Ref     `json:"shifts,omitempty"`
	Pods   PodCounts `json:"pods,omitzero"`
	Owner  *Owner    `json:"owner,omitempty"`
	Origin Origin    `json:"origin,omitzero"`
}

// Ref of the workload object.
func (w *Workload) Ref() Ref {
	return Ref{Cluster: w.Cluster, Group: w.Group, Kind: w.Kind, Namespace: w.Namespace, Name: w.Name}
}

// ContainerPort that a container declares.
type ContainerPort struct {
	Name     string `json:"name,omitempty"`
	Port     int32  `json:"port"`
	Protocol string `json:"protocol,omitempty"`
}

// PodCounts says what is really in the pods of a workload. When Observed is
// false no pod was read and all counts are 0; what would happen follows from
// labels. Each pod counts in exactly one of Sidecar, Ambient, Uncaptured, Done.
type PodCounts struct {
	Observed bool `json:"observed,omitempty"`
	// Total pods read, finished ones included.
	Total int `json:"total,omitempty"`
	// Sidecar pods carry an istio-proxy, as a container or a native sidecar.
	Sidecar int `json:"sidecar,omitempty"`
	// NativeSidecar of these have it among their init containers.
	NativeSidecar int `json:"nativeSidecar,omitempty"`
	// HBONE of the sidecar pods accept HBONE (label networking.istio.io/tunnel=http).
	HBONE int `json:"hbone,omitempty"`
	// Ambient pods carry ambient.istio.io/redirection=enabled.
	Ambient int `json:"ambient,omitempty"`
	// Uncaptured pods run with neither.
	Uncaptured int `json:"uncaptured,omitempty"`
	// Done pods have finished (phase Succeeded or Failed).
	Done int `json:"done,omitempty"`
	// HostNetwork pods, whatever else they are.
	HostNetwork int `json:"hostNetwork,omitempty"`
	// Proxies is what the Sidecar pods give to their sidecars; nil when there is none.
	Proxies *ProxyResources `json:"proxies,omitempty"`
}

// Service of a cluster. Annotations are only those that the mesh or ambientplan reads.
type Service struct {
	Cluster             string            `json:"cluster,omitempty"`
	Namespace           string            `json:"namespace"`
	Name                string            `json:"name"`
	Labels              map[string]string `json:"labels,omitempty"`
	Annotations         map[string]string `json:"annotations,omitempty"`
	Type                string            `json:"type,omitempty"`
	Headless            bool              `json:"headless,omitempty"`
	ExternalName        string            `json:"externalName,omitempty"`
	Selector            map[string]string `json:"selector,omitempty"`
	Ports               []ServicePort     `json:"ports,omitempty"`
	PublishNotReady     bool              `json:"publishNotReady,omitempty"`
	TrafficDistribution string            `json:"trafficDistribution,omitempty"`
	Owner               *Owner            `json:"owner,omitempty"`
	Origin              Origin            `json:"origin,omitzero"`
}

// Ref of the Service object.
func (s *Service) Ref() Ref {
	return Ref{Cluster: s.Cluster, Kind: "Service", Namespace: s.Namespace, Name: s.Name}
}

// ServicePort with its protocol as Istio resolves it.
type ServicePort struct {
	Name string `json:"name,omitempty"`
	Port int32  `json:"port"`
	// TargetPort is a number or a container port's name; empty means Port.
	TargetPort string `json:"targetPort,omitempty"`
	// Transport is "TCP", "UDP" or "SCTP".
	Transport   string `json:"transport,omitempty"`
	AppProtocol string `json:"appProtocol,omitempty"`
	// Protocol is what Istio makes of appProtocol and name: "HTTP", "HTTP2",
	// "GRPC", "GRPC-Web", "HTTPS", "TLS", "TCP", "Mongo", "Redis", "MySQL", "UDP",
	// or "" when nothing declares it and a proxy would sniff.
	Protocol string `json:"protocol,omitempty"`
}

// Object is any other mesh-relevant object, whole.
type Object struct {
	Cluster    string `json:"cluster,omitempty"`
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
	// Content is the object without status and managedFields.
	Content Content `json:"content"`
	Owner   *Owner  `json:"owner,omitempty"`
	Origin  Origin  `json:"origin,omitzero"`
}

// Ref of the object.
func (o *Object) Ref() Ref {
	return Ref{Cluster: o.Cluster, Group: GroupOf(o.APIVersion), Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}
}

// Labels of the object; nil when there are none.
func (o *Object) Labels() map[string]string { return o.Content.stringMap("labels") }

// Annotations of the object; nil when there are none.
func (o *Object) Annotations() map[string]string { return o.Content.stringMap("annotations") }

// Content is a JSON object whose integers stay integers (int64).
type Content map[string]any

// stringMap reads metadata.KEY.
func (c Content) stringMap(key string) map[string]string {
	meta, _ := c["metadata"].(map[string]any)
	m, _ := meta[key].(map[string]any)
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		if s, ok := v.(string); ok {
			out[k] = s
		}
	}
	return out
}

// Owner is who else manages an object, as read from the object itself.
type Owner struct {
	// By is "argocd", "flux", "helm", "controller" or "operator".
	By string `json:"by"`
	// Name of the application, kustomization, release or owning object.
	Name string `json:"name,omitempty"`
	// Evidence is the label, annotation, owner reference or field manager that says so.
	Evidence string `json:"evidence,omitempty"`
}

// Provenance says how an edge is known.
type Provenance string

// Provenances of an edge.
const (
	ProvenanceUnset Provenance = ""
	Observed        Provenance = "observed"
	Declared        Provenance = "declared"
	Possible        Provenance = "possible"
)

// Edge is a call from a client to a service.
type Edge struct {
	// From is a workload; Kind "ServiceAccount" or "Namespace" when only that is
	// known; "Gateway" when the pods of a gateway are not in the inventory; KindOutside
	// for callers that nobody could tell.
	From Ref `json:"from"`
	// To is a Service or a ServiceEntry.
	To       Ref    `json:"to"`
	Port     int    `json:"port,omitempty"`
	Protocol string `json:"protocol,omitempty"`
	// Rate is how many requests a second were seen, at the busiest time that was
	// looked at; 0 means that nobody said.
	Rate       float64    `json:"rate,omitempty"`
	Provenance Provenance `json:"provenance"`
	// Seen says when it was observed; nil when nobody says.
	Seen     *Seen      `json:"seen,omitempty"`
	Evidence []Evidence `json:"evidence,omitempty"`
}

// Seen is the time that was looked at for a call, as RFC 3339.
type Seen struct {
	From  string `json:"from"`
	Until string `json:"until"`
	// Passed is true when a request was answered with success, so that policies let it in.
	Passed bool `json:"passed,omitempty"`
	// Refused is true when requests were refused (403, or PERMISSION_DENIED of gRPC) and none passed.
	Refused bool `json:"refused,omitempty"`
}

// KindOutside is the kind of a caller that was seen but is no workload of the inventory.
const KindOutside = "Outside"

// Callers of KindOutside, by name.
const (
	// OutsideUnidentified is without identity: no sidecar, or outside of the cluster.
	OutsideUnidentified = "*"
	// OutsideUnmatched may be anybody: its name is not in the inventory, or was not told.
	OutsideUnmatched = "unmatched"
)

// CoverageState says how well a kind was seen. The zero value is unset and is
// treated as unknown.
type CoverageState string

// Coverage states.
const (
	CoverageUnset CoverageState = ""
	// Complete: every object of the kind was read.
	Complete CoverageState = "complete"
	// Absent: the input holds none, and that is taken as true.
	Absent CoverageState = "absent"
	// Forbidden: the cluster refused the list call.
	Forbidden CoverageState = "forbidden"
	// NotKnown: the kind could not be read, or only in part.
	NotKnown CoverageState = "unknown"
)

// Known tells whether the state lets a rule rely on what it sees.
func (s CoverageState) Known() bool { return s == Complete || s == Absent }

// KindCoverage is the coverage of one kind.
type KindCoverage struct {
	Cluster string        `json:"cluster,omitempty"`
	Group   string        `json:"group,omitempty"`
	Kind    string        `json:"kind"`
	State   CoverageState `json:"state"`
	Count   int           `json:"count,omitempty"`
	Reason  string        `json:"reason,omitempty"`
	// ResourceVersion of the list that a cluster gave; empty for files. Lists of several
	// kinds are not of one moment.
	ResourceVersion string `json:"resourceVersion,omitempty"`
}

// GroupOf is the group part of an apiVersion; "" for the core group.
func GroupOf(apiVersion string) string {
	for i := range len(apiVersion) {
		if apiVersion[i] == '/' {
			return apiVersion[:i]
		}
	}
	return ""
}

var _ json.Unmarshaler = (*Content)(nil)
