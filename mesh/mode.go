package mesh

import api "github.com/ambientplan/ambientplan/api/v1alpha1"

// Mode is the data plane mode of a workload. The zero value is unknown.
type Mode int

// Modes.
const (
	ModeUnknown Mode = iota
	ModeSidecar
	ModeAmbient
	ModeNone
	// ModeMixed: some pods in one mode and some in another.
	ModeMixed
	// ModeGateway: an injected or auto-deployed gateway or waypoint, never captured.
	ModeGateway
)

// String is the word for a mode in documents.
func (m Mode) String() string {
	switch m {
	case ModeSidecar:
		return "sidecar"
	case ModeAmbient:
		return "ambient"
	case ModeNone:
		return "none"
	case ModeMixed:
		return "mixed"
	case ModeGateway:
		return "gateway"
	case ModeUnknown:
	}
	return "unknown"
}

// Labels and annotations that decide the mode. Source: istio.io/api label and
// annotation packages.
const (
	LabelInjection      = "istio-injection"
	LabelRevision       = "istio.io/rev"
	LabelInject         = "sidecar.istio.io/inject"
	LabelDataplaneMode  = "istio.io/dataplane-mode"
	LabelUseWaypoint    = "istio.io/use-waypoint"
	LabelUseWaypointNS  = "istio.io/use-waypoint-namespace"
	LabelIngressUse     = "istio.io/ingress-use-waypoint"
	LabelWaypointFor    = "istio.io/waypoint-for"
	LabelTunnel         = "networking.istio.io/tunnel"
	LabelGatewayName    = "gateway.networking.k8s.io/gateway-name"
	AnnotationTemplates = "inject.istio.io/templates"
	AnnotationStatus    = "sidecar.istio.io/status"
)

// Mode of a workload: what is in its pods when they were read, else what its
// labels and its namespace's labels say would happen to a new pod.
//
// Injection follows Injected. Capture follows istio-cni's
// enablement selectors: pod label beats namespace label, a sidecar excludes
// capture, host network is never captured.
func (s *State) Mode(w *api.Workload) Mode {
	if s.IsGateway(w) {
		return ModeGateway
	}
	if w.Pods.Observed && w.Pods.Total > w.Pods.Done {
		return observedMode(w.Pods)
	}
	ns := s.Namespace(w.Namespace)
	if ns == nil {
		return ModeUnknown
	}
	return FreshMode(ns, w)
}

// FreshMode is the mode of a new pod of a workload that is no gateway, by its labels
// and those of its namespace.
func FreshMode(ns *api.Namespace, w *api.Workload) Mode {
	switch {
	case w.HostNetwork:
		return ModeNone
	case w.ManualProxy || Injected(ns, w):
		return ModeSidecar
	case Captured(ns, w):
		return ModeAmbient
	case ns.Implied && !neverInMesh(ns, w):
		// Nobody showed us the Namespace object, so its labels are not known.
		return ModeUnknown
	}
	return ModeNone
}

// neverInMesh tells whether a pod stays out of the mesh whatever the labels of its
// namespace are: neither the injector nor istio-cni touches kube-system, and a pod
// may refuse both (facts E-03, E-04, E-29).
func neverInMesh(ns *api.Namespace, w *api.Workload) bool {
	inject, labelled := w.PodLabels[LabelInject]
	if !labelled {
		inject = w.PodAnnotations[LabelInject]
	}
	return ns.Name == "kube-system" || inject == "false" && w.PodLabels[LabelDataplaneMode] == "none"
}

// observedMode reads the mode off the live pods.
func observedMode(p api.PodCounts) Mode {
	kinds, m := 0, ModeUnknown
	for _, c := range []struct {
		n int
		m Mode
	}{{p.Sidecar, ModeSidecar}, {p.Ambient, ModeAmbient}, {p.Uncaptured, ModeNone}} {
		if c.n > 0 {
			kinds++
			m = c.m
		}
	}
	if kinds > 1 {
		return ModeMixed
	}
	return m
}

// Injected tells whether a new pod of the workload gets a sidecar (facts E-01 to
// E-03). Two things must agree: a webhook must select the pod, and the injector
// must want it. The webhooks of pods that ask for themselves only look at
// namespaces without any injection label, so "istio-injection: disabled" wins
// over everything, and the old annotation alone asks for nothing. Source: the
// istiod chart's templates/mutatingwebhook.yaml and pkg/kube/inject (injectRequired).
func Injected(ns *api.Namespace, w *api.Workload) bool {
	if w.HostNetwork {
		return false
	}
	switch ns.Name {
	case "kube-system", "kube-public", "kube-node-lease":
		return false
	}
	label, labelled := w.PodLabels[LabelInject]
	injection, hasInjection := ns.Labels[LabelInjection]
	revision, hasRevision := ns.Labels[LabelRevision]
	switch {
	case hasInjection && injection != "enabled":
		return false
	case hasInjection:
	case hasRevision && revision == "":
		return false
	case hasRevision:
	case label != "true" && w.PodLabels[LabelRevision] == "":
		return false
	}
	if !labelled {
		label = w.PodAnnotations[LabelInject]
	}
	return label != "false"
}

// Captured tells whether ztunnel captures a new pod of the workload that has no
// sidecar (facts E-04, E-20).
func Captured(ns *api.Namespace, w *api.Workload) bool {
	if w.HostNetwork || ns.Name == "kube-system" {
		return false
	}
	switch w.PodLabels[LabelDataplaneMode] {
	case "ambient":
		return true
	case "none":
		return false
	}
	return ns.Labels[LabelDataplaneMode] == "ambient"
}

// IsGateway tells whether the workload is an Istio gateway or waypoint: it runs
// Envoy as its only purpose and is never captured (facts E-28).
func (s *State) IsGateway(w *api.Workload) bool {
	if w.PodAnnotations[AnnotationTemplates] == "gateway" || w.PodLabels[LabelGatewayName] != "" {
		return true
	}
	if _, ok := w.Labels[LabelGatewayName]; ok {
		return true
	}
	switch w.PodLabels["istio"] {
	case "ingressgateway", "egressgateway", "eastwestgateway":
		return true
	}
	// A template whose only container is the proxy has no application: it is a
	// gateway, also one written by hand (Knative's cluster-local-gateway).
	return w.ManualProxy && len(w.Containers) == 1
}

// ControlPlaneNamespace tells whether a namespace holds Istio or Kubernetes
// themselves and never moves (facts E-29).
func (s *State) ControlPlaneNamespace(name string) bool {
	switch name {
	case "kube-system", "kube-public", "kube-node-lease", s.RootNamespace(), "istio-system", "istio-cni", "ztunnel":
		return true
	}
	return false
}

// TemplateLabels is where the labels of the pods of a kind of workload stand; nil
// for a kind whose pods follow no template that can be changed.
func TemplateLabels(kind string) []string {
	switch kind {
	case "Deployment", "StatefulSet", "DaemonSet", "Rollout":
		return []string{"spec", "template", "metadata", "labels"}
	case "CronJob":
		return []string{"spec", "jobTemplate", "spec", "template", "metadata", "labels"}
	}
	return nil
}
