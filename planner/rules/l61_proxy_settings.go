package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l61 = Rule{
	ID: "L61", Title: "Settings of the sidecar in the pod's annotations",
	Doc: Doc{
		Why: "Annotations on pods set up their sidecar: resources, log level, statistics, start order, probes, volumes, a bootstrap of their own. Without a sidecar nobody reads them. " +
			"Most can be cleaned up later; some carry behaviour that somebody relies on.",
		Effect:  "the settings do nothing in ambient mode; resources and log levels of ztunnel and waypoints are set for a node or a waypoint, not for a pod",
		Remedy:  "leave the annotations until the way back is no longer needed, then remove them",
		Sources: []string{"istio.io: Resource annotations", "istio/istio pkg/kube/inject/inject.go", "istio/istio manifests/charts/istio-control/istio-discovery/files/injection-template.yaml"},
		Facts:   []string{"L-61", "L-62", "L-64", "L-66", "E-34"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindNamespace, mesh.KindWorkload},
	Check: checkL61,
}

const (
	annotationProxyConfig = "proxy.istio.io/config"
	annotationBootstrap   = "sidecar.istio.io/bootstrapOverride"
)

func checkL61(p *Pass) {
	st := p.Mesh()
	ws := st.Workloads()
	for i := range ws {
		w := &ws[i]
		keys := annotationKeys(w, ignoredSetting)
		if !st.InMesh(w) {
			continue
		}
		if len(keys) > 0 {
			ev := make([]api.Evidence, len(keys))
			for j, k := range keys {
				ev[j] = podAnnotation(w, k)
			}
			p.Report(api.Info, w.Ref(), fmt.Sprintf("annotations set up the sidecar of %s and do nothing without it: %s", w.Ref(), listed(keys)), ev...)
		}
		checkProxySettings(p, w)
	}
}

// ignoredSetting tells whether an annotation only sets up a sidecar.
func ignoredSetting(key string) bool {
	switch key {
	case annotationProxyConfig, "inject.istio.io/istio-proxy":
		return true
	case mesh.LabelInject, mesh.AnnotationStatus, annotationBootstrap, interceptionMode,
		"sidecar.istio.io/userVolume", "sidecar.istio.io/userVolumeMount":
		return false
	}
	return strings.HasPrefix(key, "sidecar.istio.io/") || strings.HasPrefix(key, "readiness.status.sidecar.istio.io/") || strings.HasPrefix(key, "status.sidecar.istio.io/")
}

// checkProxySettings reports the settings that carry behaviour.
func checkProxySettings(p *Pass, w *api.Workload) {
	if name := w.PodAnnotations[annotationBootstrap]; name != "" {
		p.Unknown(w.Ref(), fmt.Sprintf("what the bootstrap of %s in ConfigMap %s/%s makes of its Envoy: an inventory holds no ConfigMap", w.Ref(), w.Namespace, name),
			"a bootstrap can hold listeners, filters, tracers and sinks that disappear with the sidecar",
			"read the ConfigMap and find another place for what it does, or keep the sidecar (keepSidecar in the FeatureNeeds)", podAnnotation(w, annotationBootstrap))
	}
	volumes := annotationKeys(w, func(k string) bool {
		return k == "sidecar.istio.io/userVolume" || k == "sidecar.istio.io/userVolumeMount"
	})
	if len(volumes) > 0 {
		ev := make([]api.Evidence, len(volumes))
		for i, k := range volumes {
			ev[i] = podAnnotation(w, k)
		}
		p.ReportWith(api.Warning, w.Ref(), fmt.Sprintf("%s mounts files into its sidecar", w.Ref()),
			"neither ztunnel nor a waypoint has these files: a DestinationRule whose tls names them (clientCertificate, privateKey, caCertificates) fails at a waypoint, and a Wasm module among them is missing",
			"find the DestinationRules, Gateways and plugins that name files below these mounts, and give them a Secret (credentialName) or a registry instead", ev...)
	}
	text := w.PodAnnotations[annotationProxyConfig]
	if text == "" {
		return
	}
	at := podAnnotation(w, annotationProxyConfig)
	at.Value = ""
	var cfg map[string]any
	if err := yaml.Unmarshal([]byte(text), &cfg); err != nil {
		p.Unknown(w.Ref(), fmt.Sprintf("what proxy.istio.io/config of %s sets: it is no YAML", w.Ref()),
			"a setting that somebody relies on may disappear with the sidecar", "correct or remove the annotation", at)
		return
	}
	checkProxyConfigText(p, w, cfg, at)
}

// checkProxyConfigText looks at the fields of a proxy.istio.io/config annotation.
func checkProxyConfigText(p *Pass, w *api.Workload, cfg map[string]any, at api.Evidence) {
	if _, ok := cfg["tracing"]; ok {
		p.ReportWith(api.Warning, w.Ref(), fmt.Sprintf("proxy.istio.io/config of %s sets up tracing", w.Ref()),
			"ztunnel produces no spans: without a waypoint the workload disappears from traces, with one the waypoint's own tracing setup holds",
			"ask for tracing in the FeatureNeeds of its service and set it up with a Telemetry, or let it go", at)
	}
	if m, _ := cfg["interceptionMode"].(string); m == "NONE" {
		p.ReportWith(api.Warning, w.Ref(), fmt.Sprintf("proxy.istio.io/config of %s switches interception off", w.Ref()),
			"in ambient mode all TCP traffic of the pod is captured", "find out why it must not be captured; keep the sidecar or set istio.io/dataplane-mode=none", at)
	}
	if meta, ok := cfg["proxyMetadata"].(map[string]any); ok {
		var odd []string
		for _, k := range slices.Sorted(maps.Keys(meta)) {
			switch k {
			case "ISTIO_META_DNS_CAPTURE", "ISTIO_META_DNS_AUTO_ALLOCATE", "ISTIO_META_ENABLE_HBONE", "EXIT_ON_ZERO_ACTIVE_CONNECTIONS", "MINIMUM_DRAIN_DURATION":
			default:
				odd = append(odd, k)
			}
		}
		if len(odd) > 0 {
			p.ReportWith(api.Info, w.Ref(), fmt.Sprintf("proxy.istio.io/config of %s sets variables of its proxy: %s", w.Ref(), listed(odd)),
				"ztunnel and waypoints do not read them", "check that nobody relies on them, for example an EnvoyFilter that matches proxy metadata", at)
		}
		if fmt.Sprint(meta["ISTIO_META_DNS_CAPTURE"]) == "false" {
			p.ReportWith(api.Warning, w.Ref(), fmt.Sprintf("%s does without Istio's DNS proxy", w.Ref()),
				"ambient mode answers the pod's DNS queries in ztunnel: hosts of ServiceEntries begin to resolve, and search paths behave differently",
				"set the pod annotation ambient.istio.io/dns-capture=false when it must stay so", at)
		}
	}
	var rest []string
	for k := range cfg {
		if !plainProxySetting(k) {
			rest = append(rest, k)
		}
	}
	if len(rest) > 0 {
		p.Unknown(w.Ref(), fmt.Sprintf("what these fields of proxy.istio.io/config do for %s: %s", w.Ref(), listed(rest)),
			"behaviour that they bring about ends with the sidecar", "find out what each is for; consent by id when none matters", at)
	}
}

// plainProxySetting tells whether a field of ProxyConfig is dealt with above or
// only concerns the sidecar's own process.
func plainProxySetting(k string) bool {
	switch k {
	case "tracing", "interceptionMode", "proxyMetadata", "holdApplicationUntilProxyStarts", "concurrency", "terminationDrainDuration", "drainDuration",
		"parentShutdownDuration", "discoveryAddress", "configPath", "binaryPath", "serviceCluster", "proxyAdminPort", "statNameLength", "proxyStatsMatcher",
		"extraStatTags", "statusPort", "readinessProbe", "proxyBootstrapTemplatePath", "image", "meshId", "controlPlaneAuthPolicy",
		"availabilityZone", "fileFlushInterval", "fileFlushMinSizeKb", "statsCompression":
		return true
	}
	return false
}
