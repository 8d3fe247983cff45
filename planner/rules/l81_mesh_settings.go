package rules

import (
	"fmt"
	"maps"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l81 = Rule{
	ID: "L81", Title: "Mesh-wide settings that only Envoy obeys",
	Doc: Doc{
		Why: "Most of MeshConfig, and all of its defaultConfig, sets up Envoy. Sidecars, gateways and waypoints obey it; ztunnel is set up by its own DaemonSet. What the mesh gets " +
			"from such a setting ends for every service that has no waypoint.",
		Effect:  "the settings stay in force for gateways, waypoints and the sidecars that remain, and mean nothing for ambient pods",
		Remedy:  "leave them as long as one sidecar, gateway or waypoint runs; set up ztunnel in the values of its chart",
		Sources: []string{"istio.io: Global Mesh Options", "istio/istio pkg/config/mesh/mesh.go", "istio/istio manifests/charts/ztunnel/values.yaml"},
		Facts:   []string{"L-81", "L-88", "L-74"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindMeshConfig},
	Check: checkL81,
}

func checkL81(p *Pass) {
	for _, m := range p.Mesh().MeshConfigs() {
		ref := m.Ref()
		spec, _ := m.Content["spec"].(map[string]any)
		accountMeshFields(p, ref, spec)
		for _, s := range speakingSettings() {
			v, ok := spec[s.field]
			if !ok || v == nil || v == "" || v == false || fmt.Sprint(v) == "0" {
				continue
			}
			p.ReportWith(s.severity, ref, fmt.Sprintf("%s sets %s for the whole mesh", ref, s.field), s.effect, s.action, Field(ref, "spec."+s.field, brief(v)))
		}
		proxy, _ := spec["defaultConfig"].(map[string]any)
		checkDefaultProxy(p, ref, proxy)
	}
}

// brief is a value for people: scalars as they are, anything else not at all.
func brief(v any) string {
	switch v.(type) {
	case string, bool, int64, float64:
		return fmt.Sprint(v)
	}
	return ""
}

// accountMeshFields marks the fields of MeshConfig that this rule has considered:
// those about gateways, about the control plane, and those of Envoy whose end
// changes nothing that a client or an operator sees.
func accountMeshFields(p *Pass, ref api.Ref, spec map[string]any) {
	for _, f := range []string{
		"proxyListenPort", "proxyInboundListenPort", "connectTimeout", "hboneIdleTimeout", "protocolDetectionTimeout", "tcpKeepalive",
		"ingressClass", "ingressService", "ingressControllerMode", "ingressSelector",
		"accessLogFormat", "accessLogEncoding", "disableEnvoyListenerLog", "configSources", "trustDomain", "rootNamespace",
		"dnsRefreshRate", "inboundClusterStatName", "outboundClusterStatName", "serviceScopeConfigs", "pathNormalization",
		"enablePrometheusMerge", "verifyCertificateAtClient", "meshMTLS", "tlsDefaults", "certificates", "ca",
	} {
		if _, ok := spec[f]; ok {
			p.Account(Field(ref, "spec."+f, ""))
		}
	}
}

type speakingSetting struct {
	field          string
	severity       api.Severity
	effect, action string
}

// speakingSettings are those whose end somebody may notice.
func speakingSettings() []speakingSetting {
	const logs = "decide which services need HTTP access logs and ask for l7-telemetry in their FeatureNeeds; change parsers and alerts for ztunnel's format"
	const exports = "write AuthorizationPolicies where visibility was meant to restrict who may call what"
	return []speakingSetting{
		{"accessLogFile", api.Warning, "services without a waypoint lose HTTP access logs with path and status; ztunnel logs one line a connection, in its own format", logs},
		{"enableEnvoyAccessLogService", api.Warning, "services without a waypoint send nothing to the access log service any more", logs},
		{"enableTracing", api.Warning, "services without a waypoint disappear from traces; a waypoint produces one span a request where two sidecars produced two",
			"decide which services need spans and ask for tracing in their FeatureNeeds"},
		{"proxyHttpPort", api.Warning, "applications that use the sidecar as an HTTP proxy on this port (http_proxy) find nothing listening there",
			"take http_proxy out of the applications; ztunnel captures their connections without it"},
		{"defaultServiceExportTo", api.Warning, "ambient mode does not hide Services by exportTo from ztunnel: every pod can reach them", exports},
		{"defaultVirtualServiceExportTo", api.Info, "at a waypoint a VirtualService counts only when it is visible in the waypoint's namespace", "check that every VirtualService is visible where its service's waypoint runs"},
		{"defaultDestinationRuleExportTo", api.Info, "at a waypoint a DestinationRule counts only when it is visible in the waypoint's namespace", "check that every DestinationRule is visible where its service's waypoint runs"},
		{"h2UpgradePolicy", api.Info, "ztunnel does not upgrade HTTP/1.1 to HTTP/2; it multiplexes connections by itself", "nothing has to be done for the move"},
		{"serviceEntryVisibility", api.Info, "it is what hides ServiceEntries in ambient mode, where exportTo does not", "nothing has to be done for the move"},
	}
}

// checkDefaultProxy looks at defaultConfig, the ProxyConfig of every proxy.
func checkDefaultProxy(p *Pass, ref api.Ref, proxy map[string]any) {
	at := func(f string) api.Evidence { return Field(ref, "spec.defaultConfig."+f, brief(proxy[f])) }
	var plain []api.Evidence
	for _, f := range slices.Sorted(maps.Keys(proxy)) {
		switch f {
		case "proxyMetadata":
			meta, _ := proxy[f].(map[string]any)
			if len(meta) == 0 {
				p.Account(at(f))
			}
			for _, k := range slices.Sorted(maps.Keys(meta)) {
				p.Account(Field(ref, Join("spec.defaultConfig.proxyMetadata", k), ""))
			}
		case "gatewayTopology":
			p.Account(at(f))
		case "tracing", "zipkinAddress":
			p.ReportWith(api.Warning, ref, fmt.Sprintf("%s sets up tracing for every sidecar", ref),
				"services without a waypoint disappear from traces; a waypoint produces one span a request where two sidecars produced two",
				"decide which services need spans and ask for tracing in their FeatureNeeds", at(f))
		case "interceptionMode":
			p.Account(at(f))
			if proxy[f] == "NONE" {
				p.ReportWith(api.Warning, ref, fmt.Sprintf("%s switches interception off for every sidecar", ref),
					"in ambient mode all TCP traffic of a pod is captured", "find out why pods must not be captured before they move", at(f))
			}
		case "envoyAccessLogService", "envoyMetricsService", "envoyMetricsServiceAddress", "statsdUdpAddress", "proxyHeaders", "privateKeyProvider":
			p.ReportWith(api.Warning, ref, fmt.Sprintf("%s sets defaultConfig.%s for every sidecar", ref, f),
				"gateways and waypoints obey it, ztunnel does not: for services without a waypoint it ends",
				"find out who relies on it, and give their services a waypoint", at(f))
		default:
			if plainProxySetting(f) {
				plain = append(plain, at(f))
			}
		}
	}
	if len(plain) > 0 {
		p.Report(api.Info, ref, fmt.Sprintf("%s sets up sidecars, gateways and waypoints, and not ztunnel", ref), plain...)
	}
}
