package source

// Watch is something that rests on sidecars and is no query: a HorizontalPodAutoscaler on the container istio-proxy,
// a VerticalPodAutoscaler's policy for it, an autodiscovery annotation.
type Watch struct {
	File         string
	Line, Column int
	Object       Object
	Role         Role
	// Namespace and Workload (kind/name) that it looks at; a Workload of "" is any.
	Namespace, Workload string
	// Text is one sentence: what it rests on, and what happens without the sidecar.
	Text string
	// Blocks says that the wave must not begin before it is changed.
	Blocks bool
	// Facts behind it.
	Facts []string
}
