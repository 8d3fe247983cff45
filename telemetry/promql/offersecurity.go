package promql

import (
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"
)

// denied is Q36: without a waypoint a refusal is a closed connection, never a 403.
func (o offerer) denied() (Offer, bool) {
	for _, w := range o.requests() {
		if !only(w.s, "response_code", "403", "200", "404", "500", "503") {
			continue
		}
		tcp := w.with("istio_tcp_connections_failed_total", `reporter="destination",response_flags="DENY"`, ofRequests...)
		view, ok := w.view()
		http, applied := apply(o.q.Text, view)
		return Offer{
			Text: "(sum by (destination_workload) (" + tcp + ") > 0) or (" + http + ")",
			Why:  "ztunnel refuses connections and knows no 403: response_flags DENY counts connections, not requests (Q36)",
		}, ok && applied && o.q.expression()
	}
	return Offer{}, false
}

// expression says that the text can stand in parentheses: it does not end in a comment.
func (q *Query) expression() bool {
	_, err := q.with("(" + q.Text + ")")
	return err == nil
}

// plaintext is Q37: ztunnel never says "none".
func (o offerer) plaintext() (Offer, bool) {
	for _, w := range o.rewritings(func(s Selector) bool {
		return only(s, "connection_security_policy", "none", "mutual_tls") && strings.HasPrefix(s.Metric, "istio_")
	}) {
		const policy = `connection_security_policy!="mutual_tls"`
		http := w.with("istio_requests_total", `reporter=~"destination|waypoint",`+policy, "reporter", "connection_security_policy")
		tcp := w.with("istio_tcp_connections_opened_total", `reporter="destination",`+policy, append([]string{"connection_security_policy"}, ofRequests...)...)
		return Offer{
			Text: "sum by (destination_workload,destination_workload_namespace) (" + http + " or " + tcp + ") > 0",
			Why:  "ztunnel reports plaintext as unknown, never as none: this alert would never fire again; waypoints are not left out, since one that reaches an unrestarted sidecar in plaintext must be seen (Q37, M-03)",
		}, w.start != w.s.Start
	}
	return Offer{}, false
}

// flags is Q40: below HTTP there are no Envoy flags.
func (o offerer) flags() (Offer, bool) {
	for _, w := range o.rewritings(func(s Selector) bool {
		return s.Metric == "istio_requests_total" || strings.HasPrefix(s.Metric, "istio_tcp_")
	}) {
		if !slices.ContainsFunc(w.bytes.Matchers, func(m matcherBytes) bool { return m.Label == "response_flags" }) || w.s.has("response_flags", "-") {
			continue
		}
		text := w.with("istio_tcp_connections_failed_total", `reporter="source",response_flags=~"CONNECT|TLS_FAILURE|H2_HANDSHAKE_FAILURE|NETWORK_POLICY|IDENTITY_ERROR"`, ofRequests...)
		return o.edited("without a waypoint there is no circuit breaker, retry or timeout, and no flag of one; ztunnel has its own words for connections that fail, and counts connections (Q40)", Edit{w.start, w.end, text})
	}
	return Offer{}, false
}

// egress is Q41: ztunnel passes on what it does not know, without a name for it.
func (o offerer) egress() (Offer, bool) {
	var edits []Edit
	for _, w := range o.rewritings(func(s Selector) bool {
		return s.Metric == "istio_requests_total" && (s.has("destination_service_name", "PassthroughCluster") || s.has("destination_service_name", "BlackHoleCluster"))
	}) {
		text := w.with("istio_tcp_connections_opened_total", `reporter="source",destination_workload="unknown",connection_security_policy!="mutual_tls"`,
			append([]string{"destination_service_name", "destination_service", "destination_workload", "connection_security_policy"}, ofRequests...)...)
		edits = append(edits, Edit{w.start, w.end, text})
	}
	return o.edited("ztunnel has neither PassthroughCluster nor BlackHoleCluster and does not enforce REGISTRY_ONLY: connections to the unknown, without a host name; a ServiceEntry with a waypoint has reporter=\"waypoint\" (Q41)", edits...)
}

// onlyTCP is Q35 and Q39: ztunnel counts the connections of HTTP as well, and does so at both ends.
func (o offerer) onlyTCP() (Offer, bool) {
	const why = "ztunnel counts the connections of all traffic, HTTP's too, and a waypoint counts TCP once more"
	var edits []Edit
	for _, w := range o.rewritings(func(s Selector) bool { return strings.HasPrefix(s.Metric, "istio_tcp_") }) {
		reporter := `reporter="destination"`
		if w.role == clientRole {
			reporter = `reporter="source"`
		}
		if w.role == bothRole || o.n.tcp == "" {
			return Offer{Why: why + ": keep the old meaning by the names of the services that speak TCP, and one reporter, or accept the new one and give it another title (Q35)"}, true
		}
		more := "destination_service_name=~" + strconv.Quote(o.n.tcp)
		if slices.ContainsFunc(w.bytes.Matchers, func(m matcherBytes) bool { return strings.HasPrefix(m.Label, "destination_service") }) {
			more = ""
		}
		one, ok := w.edits(reporter, more)
		if !ok {
			return Offer{}, false
		}
		edits = append(edits, one...)
	}
	return o.edited(why+": this keeps the old meaning, of the services that speak TCP (Q35)", edits...)
}

// principals is Q42 for connections: the server's ztunnel sees the waypoint as caller.
func (o offerer) principals() (Offer, bool) {
	var edits []Edit
	for _, w := range o.rewritings(func(s Selector) bool { return strings.HasPrefix(s.Metric, "istio_tcp_") }) {
		if w.role != serverRole || !slices.ContainsFunc(w.bytes.Matchers, func(m matcherBytes) bool { return strings.HasPrefix(m.Label, "source_") }) {
			continue
		}
		more, ok := w.edits(`reporter="source"`, "")
		if !ok {
			return Offer{}, false
		}
		edits = append(edits, more...)
	}
	return o.edited("behind a waypoint the server's ztunnel names the waypoint as caller; the client's names the client, but says nothing of clients outside of the mesh (Q42)", edits...)
}

// proxyContainers are metrics of containers, the proxies' among them.
func proxyContainers(s Selector) bool {
	return strings.HasPrefix(s.Metric, "container_") && s.has("container", "istio-proxy")
}

// remainingSidecars is Q43: the containers of ztunnel and waypoints have the sidecar's name.
func (o offerer) remainingSidecars() (Offer, bool) {
	pods := []string{"ztunnel"}
	if o.n.workloads != "" {
		pods = append(pods, o.n.workloads)
	}
	pods = append(pods, o.b.gateways()...)
	var edits []Edit
	for _, w := range o.rewritings(proxyContainers) {
		more, ok := w.edits("", `pod!~"(`+strings.Join(pods, "|")+`)-.*"`)
		if !ok {
			return Offer{}, false
		}
		edits = append(edits, more...)
	}
	return o.edited("ztunnel's and the waypoints' only container has the sidecar's name: this counts the remaining sidecars, and ends with the last of them; watch ztunnel and waypoints apart (Q43)", edits...)
}

// meshCost is Q44: the mesh's cost is in istio-system by now.
func (o offerer) meshCost() (Offer, bool) {
	var edits []Edit
	for _, w := range o.rewritings(proxyContainers) {
		if len(w.bytes.Matchers) < 2 || w.s.has("namespace", "istio-system") || !slices.ContainsFunc(w.bytes.Matchers, func(m matcherBytes) bool { return m.Label == "namespace" }) {
			return Offer{}, false
		}
		edits = append(edits, Edit{w.start, w.end, w.with("", "", "namespace")})
	}
	return o.edited("for the cost of the whole mesh, ztunnel's too: without the matcher of the namespace (Q44)", edits...)
}

// costPerRequest is Q45: what is divided by requests that both sides counted.
func (o offerer) costPerRequest() (Offer, bool) {
	ws := o.requests()
	if len(ws) == len(o.q.Selectors) {
		return Offer{}, false
	}
	var edits []Edit
	for _, w := range ws {
		text, ok := w.universal()
		if !ok || w.role != bothRole {
			return Offer{}, false
		}
		edits = append(edits, Edit{w.start, w.end, text})
	}
	return o.edited("requests were counted by both sides, and are counted once behind a waypoint: with the larger of what reporters say the value is twice the old one, in all states that have requests (Q45)", edits...)
}

// sidecarReady is Q47: the pod's readiness stands for the proxy's.
func (o offerer) sidecarReady() (Offer, bool) {
	var edits []Edit
	for _, w := range o.rewritings(named("kube_pod_container_status_ready")) {
		if w.s.has("container", "istio-proxy") {
			edits = append(edits, Edit{w.start, w.end, w.with("kube_pod_status_ready", `condition="true"`, "container")})
		}
	}
	return o.edited("pods have no proxy of their own any more: this counts ready pods, the waypoints' among them (Q47)", edits...)
}

// sidecarMissing is Q47: being in the mesh is an annotation.
func (o offerer) sidecarMissing() (Offer, bool) {
	var edits []Edit
	for _, w := range o.rewritings(named("kube_pod_container_info")) {
		if w.s.has("container", "istio-proxy") {
			tail := w.with("kube_pod_annotations", `annotation_ambient_istio_io_redirection="enabled"`, "container", "image")
			edits = append(edits, Edit{w.start, w.end, "(" + w.q.Text[w.start:w.end] + " or " + tail + ")"})
		}
	}
	return o.edited("a pod is in the mesh by its annotation ambient.istio.io/redirection, which kube-state-metrics must be told to export (Q47)", edits...)
}

// targets is Q48: each pod was a target.
func (o offerer) targets() (Offer, bool) {
	return Offer{Why: "pods are no targets any more: expect one for each node's ztunnel and one for each waypoint's pod; up == 0 stays right (Q48)"},
		o.q.Alerting() && len(o.rewritings(named("up"))) > 0
}

// connectedProxies is Q49.
func (o offerer) connectedProxies() (Offer, bool) {
	var edits []Edit
	for _, w := range o.rewritings(named("envoy_cluster_upstream_cx_active")) {
		if w.s.has("cluster_name", "xds-grpc") && w.start == w.s.Start {
			edits = append(edits, Edit{w.start, w.end, "pilot_xds"})
		}
	}
	return o.edited("ztunnel has no such metric: istiod counts the proxies that are connected, of the whole mesh and not of a namespace (Q49)", edits...)
}

// fewerProxies is Q50.
func (o offerer) fewerProxies() (Offer, bool) {
	return Offer{Why: "istiod's clients fall from the number of pods to that of nodes and waypoints: lower the threshold to these, or inhibit it during the waves (Q50)"},
		o.q.Alerting() && len(o.rewritings(named("pilot_xds"))) > 0
}

// injection is Q53.
func (o offerer) injection() (Offer, bool) {
	return Offer{Why: "nothing is injected after the last wave: retire it with that wave; failures stay worth an alert (Q53)"},
		len(o.rewritings(named("sidecar_injection_success_total"))) > 0
}

// certificates is Q54.
func (o offerer) certificates() (Offer, bool) {
	var edits []Edit
	for _, w := range o.rewritings(named("istio_agent_cert_expiry_seconds")) {
		if w.start == w.s.Start {
			edits = append(edits, Edit{w.start, w.end, "citadel_server_root_cert_expiry_seconds"})
		}
	}
	return o.edited("ztunnel exports no metric of its certificates: nothing replaces this; the root's expiry is istiod's, and a failed one shows as response_flags IDENTITY_ERROR of istio_tcp_connections_failed_total (Q54)", edits...)
}

// versions is Q55.
func (o offerer) versions() (Offer, bool) {
	var edits []Edit
	for _, w := range o.rewritings(named("istio_build")) {
		if only(w.s, "component", "proxy", "pilot") {
			edits = append(edits, Edit{w.start, w.end, w.with("", `component=~"proxy|ztunnel"`, "component", "namespace", "pod", "app")})
		}
	}
	if len(edits) == 0 {
		return Offer{}, false
	}
	o.inspect(func(n parser.Node) {
		if a, ok := n.(*parser.AggregateExpr); ok && slices.Contains(a.Grouping, "tag") && !slices.Contains(a.Grouping, "component") {
			r := a.PositionRange()
			edits = append(edits, o.relabelled(int(r.Start), int(r.End), []parser.Expr{a.Expr}, map[string]string{"tag": "component,tag"})...)
		}
	})
	return o.edited("pods have no proxy of their own: ztunnel's versions stand beside the remaining proxies' (Q55)", edits...)
}
