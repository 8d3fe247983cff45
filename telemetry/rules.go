package telemetry

// Rule is an entry of the rule reference.
type Rule struct {
	// ID as in "T01"; ids are never reused.
	ID, Title string
	// Why it matters, Effect of doing nothing, Remedy.
	Why, Effect, Remedy string
	// Facts are sections and patterns of the observability facts.
	Facts []string
	Since string
}

// Rules are all rules of this package, by id. It returns a new slice at each call.
func Rules() []Rule {
	return []Rule{
		{
			"T01", "A query goes silent",
			"A selector names a reporter, or a pod, that reports nothing any more once one end of a call has left its sidecar: ztunnel counts connections only, and a waypoint reports as reporter=\"waypoint\". " +
				"Which selector loses what depends on which end moved first, and on whether the way leads through a waypoint.",
			"an alert that does not fire looks exactly like a healthy system; a panel is empty",
			"commit the proposed rewrite before the step that is named: it gives the same result before, during and after; where requests are not counted at all (L4 only), choose a waypoint or a metric of the application",
			[]string{"1.9", "3.1", "Q01", "Q03", "Q58", "Q61"}, "0.1.0",
		},
		{
			"T02", "An alert fires falsely",
			"absent() and counts of sidecars, proxies or targets see the move itself as a failure.",
			"people are paged while nothing is wrong, and learn to ignore it",
			"commit the proposed rewrite before the step, or inhibit the alert while the wave lasts",
			[]string{"1.8", "Q47", "Q48", "Q50", "Q53", "Q58", "Q63"}, "0.1.0",
		},
		{
			"T03", "A query counts calls twice",
			"On the way from an ambient client through a waypoint to a server that still has its sidecar, both report the call; so do a gateway and a waypoint.",
			"rates are too high, thresholds are reached too early, autoscalers run too many replicas",
			"commit the proposed rewrite, which leaves the waypoint's own calls out",
			[]string{"1.9", "Q05", "Q22"}, "0.1.0",
		},
		{
			"T04", "A query counts half",
			"A query without a matcher on reporter counts each call between sidecars twice, and once when a waypoint reports it.",
			"thresholds that were tuned on the doubled number are not reached, autoscalers run half of the replicas",
			"commit the proposed rewrite and divide the threshold as it says",
			[]string{"1.9", "Q06", "Q21", "Q69"}, "0.1.0",
		},
		{
			"T05", "A query changes its meaning",
			"It still gives a number, which is about something else: latency at the waypoint includes the way to the server's pod, istio_tcp_* counts all traffic, labels of the target name the waypoint.",
			"thresholds and conclusions that fitted the old number do not fit the new one",
			"read what it counts now, and change its title, its threshold or the query",
			[]string{"1.3", "Q10", "Q26", "Q28", "Q35", "Q43"}, "0.1.0",
		},
		{
			"T06", "It cannot be told what happens to a query",
			"It rests on metrics that the model does not have, on calls that nobody knows, or is not understood.",
			"nobody knows whether it still works: that is not the same as fine",
			"look at it, name the callers with --edges, or hand in the recording rules that it rests on",
			[]string{"5.3"}, "0.1.0",
		},
		{
			"T07", "A canary analysis is decided by nothing",
			"Flagger and Argo Rollouts judge releases by request metrics. What they do with an empty result differs: some roll every release back, some let every release pass.",
			"bad releases reach everybody, or good ones nobody",
			"commit the rewrite before the step; for Flagger's own metrics write a MetricTemplate; take `len(result) == 0 ||` out of success conditions",
			[]string{"Q65", "Q66", "Q67"}, "0.1.0",
		},
		{
			"T08", "An autoscaler scales by nothing",
			"KEDA takes an empty result for 0 unless ignoreNullValues is \"false\"; an HorizontalPodAutoscaler stops scaling.",
			"under full load it runs its minimum, or adds no replica",
			"commit the rewrite before the step and set ignoreNullValues to \"false\" with a fallback while the wave lasts",
			[]string{"Q06", "Q69", "Q70", "Q71"}, "0.1.0",
		},
		{
			"T09", "Silence is shown as a good number",
			"`or vector(0)` turns \"nothing is measured\" into \"no errors\".",
			"a green panel over a broken service",
			"commit the rewrite before the step; where requests are not counted any more, show that there is no data",
			[]string{"Q08", "Q09"}, "0.1.0",
		},
		{
			"T10", "A security alert goes silent",
			"ztunnel says \"unknown\" where a sidecar says \"none\" for plaintext, and never reports a response code.",
			"plaintext or refused calls are not seen any more",
			"commit the rewrite, or watch ztunnel's own series: connections that are not mutual_tls, response_flags=\"DENY\"",
			[]string{"Q36", "Q37", "Q42"}, "0.1.0",
		},
		{
			"T11", "Application metrics were fetched by the sidecar",
			"With metrics merging, which is the default, Prometheus scraped the sidecar on port 15020, and it fetched the application's metrics from localhost.",
			"once the sidecar is gone nobody scrapes the application, or it is scraped with other target labels, or refused under STRICT mutual TLS",
			"add a PodMonitor or ServiceMonitor for the application's own port before the step, and admit Prometheus there",
			[]string{"1.5"}, "0.1.0",
		},
		{
			"T12", "Nobody scrapes the waypoint or ztunnel",
			"Monitors that select pods by label or port of sidecars do not select waypoints and ztunnel.",
			"all rewrites are in vain: there are no series",
			"commit the PodMonitor that the report proposes before the first waypoint carries traffic",
			[]string{"1.4"}, "0.1.0",
		},
		{
			"T13", "A service would lose its request metrics, and queries watch them",
			"An L4 only service is served by ztunnel, which counts connections and bytes and sees no request.",
			"its alerts on requests end",
			"give it a waypoint for its telemetry (capability l7-telemetry), or use metrics of the application, or accept alerts on connections",
			[]string{"1.9", "7.5"}, "0.1.0",
		},
		{
			"T14", "Telemetry switches a waypoint's metrics off",
			"Waypoints follow what Telemetry says for mode SERVER; disabling SERVER metrics, a popular saving, leaves a waypoint without any. Overrides for CLIENT are not followed.",
			"a service with a waypoint has no request metrics at all",
			"enable SERVER metrics for waypoints with a Telemetry that targets the Gateway",
			[]string{"1.6"}, "0.1.0",
		},
		{
			"T15", "A query was dead before",
			"It asks for metrics that no Istio since 1.5 has.",
			"nothing changes: it shows nothing today either",
			"remove it",
			[]string{"1.2"}, "0.1.0",
		},
		{
			"T16", "A file or query was not understood",
			"It is broken, templated, remote, or in a language that is flagged only.",
			"what it watches may break unseen",
			"look at it; hand in the rendered output instead of a template",
			[]string{"4"}, "0.1.0",
		},
		{
			"T17", "Something else rests on the sidecar's container",
			"Autoscalers on the container istio-proxy, and on the pod's sum of requests, vertical autoscalers and autodiscovery annotations of the sidecar.",
			"it fails, becomes inert, or scales by other numbers",
			"point it at the application's container before the step",
			[]string{"1.7", "Q72"}, "0.1.0",
		},
		{
			"T18", "A histogram's bucket is missing at the waypoint",
			"sidecar.istio.io/statsHistogramBuckets holds for one sidecar only; a waypoint has the default buckets.",
			"a latency objective with its own le has no numerator",
			"put the annotation on the waypoint's Gateway (spec.infrastructure.annotations)",
			[]string{"1.3", "Q13", "Q14"}, "0.1.0",
		},
	}
}
