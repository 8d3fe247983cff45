package rules

import (
	"fmt"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l51 = Rule{
	ID: "L51", Title: "EnvoyFilters of sidecars",
	Doc: Doc{
		Why: "An EnvoyFilter patches the Envoy of a pod. An ambient pod has none. A waypoint applies an EnvoyFilter only through targetRefs to its Gateway or GatewayClass, " +
			"never to a Service, and routes and clusters of its services mostly stay unpatched. So what a filter does has to be said in another way, or the sidecar has to stay.",
		Effect: "whatever the patch does for these workloads, rate limits and authorization included, silently stops when their sidecar goes",
		Remedy: "find out what each patch is for, then replace it by the Istio or Gateway API resource that does the same at a waypoint, attach it to the waypoint's Gateway and " +
			"test it there, keep the sidecar of these workloads (keepSidecar in the FeatureNeeds), or drop it",
		Sources: []string{"istio/istio pilot/pkg/model/envoyfilter.go", "istio/istio pilot/pkg/networking/core/listener_waypoint.go", "istio/istio issue 58032"},
		Facts:   []string{"L-51"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindEnvoyFilter, mesh.KindNamespace, mesh.KindService, mesh.KindWorkload},
	Check: checkL51,
}

// l51Effect is what happens to whatever a filter does.
const l51Effect = "whatever the patch does for these workloads silently stops when their sidecar goes"

func checkL51(p *Pass) {
	st := p.Mesh()
	for _, o := range st.EnvoyFilters() {
		ref := o.Ref()
		for _, f := range []string{"workloadSelector", "targetRefs", "configPatches", "priority"} {
			p.Account(Field(ref, "spec."+f, ""))
		}
		if len(o.Spec.GetTargetRefs()) > 0 {
			checkTargetedFilter(p, ref, o.Spec)
			continue
		}
		if ref.Namespace == st.RootNamespace() && shippedFilter(o.Object) {
			p.ReportWith(api.Info, ref, fmt.Sprintf("%s is a telemetry filter that Istio installed itself", ref),
				"it is a leftover of a version whose proxies produced their metrics that way; sidecars and waypoints of today do without it",
				"remove it when no proxy of that version runs any more", Field(ref, "spec.configPatches", ""))
			continue
		}
		checkWorkloadFilter(p, o)
	}
}

// checkWorkloadFilter triages one EnvoyFilter with or without a workload selector.
func checkWorkloadFilter(p *Pass, o mesh.Typed[*networking.EnvoyFilter]) {
	st, ref := p.Mesh(), o.Ref()
	selector := o.Spec.GetWorkloadSelector().GetLabels()
	all := st.Selected(ref.Namespace, selector)
	members := membersOf(st, all)
	sidecar := sidecarPatches(o.Spec)
	who := Field(ref, "spec.configPatches", "")
	if len(selector) > 0 {
		who = Field(ref, "spec.workloadSelector", "")
	}
	unknown := slices.ContainsFunc(all, func(w *api.Workload) bool { return st.Mode(w) == mesh.ModeUnknown })
	switch {
	case len(o.Spec.GetConfigPatches()) == 0:
		return // It patches nothing; fields of the API before 1.5 stay open in the ledger.
	case len(sidecar) == 0:
		p.ReportWith(api.Info, ref, fmt.Sprintf("%s patches no sidecar", ref),
			"gateways keep their Envoy, so what it does for them goes on; the context WAYPOINT has no implementation in Istio 1.31",
			"nothing has to be done for the move", who)
		return
	case len(all) == 0:
		p.ReportWith(api.Warning, ref, fmt.Sprintf("%s selects no workload that was read", ref),
			"it patches nothing today, or it is meant for pods that this inventory does not hold", "remove it, or add the workloads that it is meant for", who)
		return
	case len(members) == 0 && unknown:
		p.Unknown(ref, fmt.Sprintf("whether %s patches sidecars: it is not known whether the pods that it selects are in the mesh", ref),
			l51Effect, "add the Namespace objects, or take the inventory from the cluster", who)
		return
	case len(members) == 0:
		p.ReportWith(api.Info, ref, fmt.Sprintf("%s selects no sidecar", ref),
			"it patches gateways, which keep their Envoy, or pods outside of the mesh", "nothing has to be done for the move", who)
		return
	}
	ev := make([]api.Evidence, 0, len(sidecar))
	for _, i := range sidecar {
		c := o.Spec.GetConfigPatches()[i]
		ev = append(ev, Field(ref, fmt.Sprintf("spec.configPatches[%d]", i), c.GetApplyTo().String()+" "+c.GetMatch().GetContext().String()))
	}
	for _, w := range members {
		needOf(p, w, api.CapEnvoyFilter, fmt.Sprintf("%s patches its sidecar", ref), ev...)
	}
	found, rest := recogniseFilter(o, sidecar)
	message := fmt.Sprintf("%s patches the sidecars of %s", ref, scopeOf(members))
	if len(found) == 0 {
		p.Report(api.Blocker, ref, message+": what for is not known", ev...)
		return
	}
	var does, instead []string
	for _, k := range found {
		does = append(does, k.does)
		instead = append(instead, k.does+": "+k.instead)
	}
	if len(rest) > 0 {
		message += fmt.Sprintf(" (what %s is for is not known)", listed(rest))
	}
	p.ReportWith(api.Blocker, ref, message+": "+strings.Join(does, ", "), fmt.Sprintf("%s stops for these workloads when their sidecar goes, without an error", strings.Join(does, ", ")),
		strings.Join(instead, "; ")+"; or keep the sidecar of these workloads (keepSidecar in the FeatureNeeds)", ev...)
}

// scopeOf says in a few words how much a list of workloads is.
func scopeOf(ws []*api.Workload) string {
	if len(ws) <= maxListed {
		names := make([]string, len(ws))
		for i, w := range ws {
			names[i] = w.Ref().String()
		}
		return listed(names)
	}
	namespaces := map[string]bool{}
	for _, w := range ws {
		namespaces[w.Namespace] = true
	}
	return fmt.Sprintf("%d workloads in %d namespaces", len(ws), len(namespaces))
}

// sidecarPatches are the indices of the patches that reach sidecars.
func sidecarPatches(spec *networking.EnvoyFilter) []int {
	var out []int
	for i, c := range spec.GetConfigPatches() {
		switch c.GetMatch().GetContext() {
		case networking.EnvoyFilter_GATEWAY, networking.EnvoyFilter_WAYPOINT:
		default:
			out = append(out, i)
		}
	}
	return out
}

// shippedFilter recognises the EnvoyFilters that istiod's charts installed up to
// Istio 1.17 (manifests/charts/istio-control/istio-discovery/templates/telemetryv2_*.yaml
// of these versions): telemetry in the Envoy of old proxies. They carry the revision, and
// their names the version of the proxies that they are for.
func shippedFilter(o *api.Object) bool {
	for _, base := range []string{"stats-filter", "tcp-stats-filter", "metadata-exchange", "tcp-metadata-exchange", "stackdriver-filter"} {
		rest, ok := strings.CutPrefix(o.Name, base)
		if !ok {
			continue
		}
		if _, labelled := o.Labels()[mesh.LabelRevision]; labelled || strings.HasPrefix(rest, "-1.") {
			return true
		}
	}
	return false
}

func checkTargetedFilter(p *Pass, ref api.Ref, spec *networking.EnvoyFilter) {
	for _, t := range spec.GetTargetRefs() {
		if k := t.GetKind(); k == "Service" || k == "ServiceEntry" {
			p.ReportWith(api.Warning, ref, fmt.Sprintf("%s targets %s %s, which never matches", ref, k, t.GetName()),
				"an EnvoyFilter reaches a waypoint only through its Gateway or GatewayClass, so this one patches nothing",
				"target the waypoint's Gateway, and test what lands: routes and clusters of its services stay unpatched", Field(ref, "spec.targetRefs", k+" "+t.GetName()))
			return
		}
	}
}

// known maps what an EnvoyFilter inserts to what it does and what replaces it.
type known struct{ word, does, instead string }

func knownFilters() []known {
	return []known{
		{"ext_authz", "external authorization", "use an AuthorizationPolicy with action CUSTOM and targetRefs to the Service, and an extension provider"},
		{"jwt_authn", "JWT authentication", "use a RequestAuthentication with targetRefs to the Service"},
		{"filters.http.rbac", "authorization", "use an AuthorizationPolicy with targetRefs to the Service"},
		{"local_ratelimit", "local rate limiting", "attach the EnvoyFilter to the waypoint's Gateway with targetRefs and test it there; the limit then holds for each waypoint pod and no longer for each application pod"},
		{"localratelimit", "local rate limiting", "attach the EnvoyFilter to the waypoint's Gateway with targetRefs and test it there; the limit then holds for each waypoint pod and no longer for each application pod"},
		{"ratelimit", "global rate limiting", "attach the EnvoyFilter to the waypoint's Gateway with targetRefs and test it there; patches of routes and clusters do not land for routed services"},
		{".lua", "a Lua script", "use a TrafficExtension with lua and targetRefs to the Service (Istio 1.31), or filters of an HTTPRoute"},
		{"wasm", "a Wasm module", "use a WasmPlugin with targetRefs to the Service"},
		{"filters.http.fault", "fault injection", "use a VirtualService with fault, served by a waypoint"},
		{"filters.http.cors", "CORS", "use the CORS filter of an HTTPRoute, or a VirtualService with corsPolicy, served by a waypoint"},
		{"istio.stats", "metrics", "use a Telemetry with targetRefs to the Service"},
		{"access_log", "access logging", "use a Telemetry with targetRefs to the Service"},
		{"tcp_keepalive", "TCP keep-alive", "use connectionPool.tcp.tcpKeepalive of a DestinationRule, served by a waypoint"},
		{"idle_timeout", "timeouts of connections", "use connectionPool of a DestinationRule, served by a waypoint"},
		{"idletimeout", "timeouts of connections", "use connectionPool of a DestinationRule, served by a waypoint"},
		{"circuit_breakers", "limits of connections", "use connectionPool of a DestinationRule, served by a waypoint"},
		{"request_headers_to_add", "headers", "use the header filters of an HTTPRoute, served by a waypoint"},
		{"response_headers_to_add", "headers", "use the header filters of an HTTPRoute, served by a waypoint"},
		{"header_mutation", "headers", "use the header filters of an HTTPRoute (RequestHeaderModifier, ResponseHeaderModifier), served by a waypoint"},
		{"header_to_metadata", "headers as metadata", "attach the EnvoyFilter to the waypoint's Gateway with targetRefs and test it there"},
		{"accesslog", "access logging", "use a Telemetry with targetRefs to the Service"},
		{"tracing", "tracing", "use a Telemetry with tracing and targetRefs to the Service, and an extension provider"},
		{"http.gzip", "compression of responses", "attach the EnvoyFilter to the waypoint's Gateway with targetRefs and test it there, or compress in the application"},
		{"max_request_bytes", "limits of the size of requests", "attach the EnvoyFilter to the waypoint's Gateway with targetRefs and test it there, or limit them in the application"},
		{"compressor", "compression of responses", "attach the EnvoyFilter to the waypoint's Gateway with targetRefs and test it there, or compress in the application"},
		{"grpc_json_transcoder", "transcoding of gRPC", "attach the EnvoyFilter to the waypoint's Gateway with targetRefs and test it there"},
	}
}

// recogniseFilter names what the patches with the given indices do, and what does
// the same in ambient mode, in the order of the table; rest are the paths of patches
// in which none of the known words stands. Each word counts for the first line of the
// table that it fits, so that a local rate limit is no global one.
func recogniseFilter(o mesh.Typed[*networking.EnvoyFilter], indices []int) (found []known, rest []string) {
	spec, _ := o.Content["spec"].(map[string]any)
	patches, _ := spec["configPatches"].([]any)
	table := knownFilters()
	hit := make([]bool, len(table))
	for _, i := range indices {
		if i >= len(patches) {
			continue
		}
		c, _ := patches[i].(map[string]any)
		patch, _ := c["patch"].(map[string]any)
		var words []string
		collectWords(patch["value"], &words)
		any := false
		for _, w := range words {
			if k := slices.IndexFunc(table, func(k known) bool { return strings.Contains(w, k.word) }); k >= 0 {
				hit[k], any = true, true
			}
		}
		if !any {
			rest = append(rest, fmt.Sprintf("spec.configPatches[%d]", i))
		}
	}
	for k, yes := range hit {
		if yes && !slices.ContainsFunc(found, func(f known) bool { return f.does == table[k].does }) {
			found = append(found, table[k])
		}
	}
	return found, rest
}

// collectWords gathers keys, filter names and type URLs of a patch, in lower case.
func collectWords(v any, into *[]string) {
	switch v := v.(type) {
	case map[string]any:
		for k, c := range v {
			*into = append(*into, strings.ToLower(k))
			if s, ok := c.(string); ok && (k == "name" || k == "@type" || k == "type_url") {
				*into = append(*into, strings.ToLower(s))
			}
			collectWords(c, into)
		}
	case []any:
		for _, c := range v {
			collectWords(c, into)
		}
	}
}
