package source

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Tools whose queries are PromQL are read; those with languages of their own are flagged at the line.
func TestOtherTools(t *testing.T) {
	data, err := os.ReadFile("testdata/manifests/others.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f := Parse("others.yaml", string(data), promQL)
	var got []string
	for _, q := range f.Queries {
		got = append(got, oneLine(q))
	}
	for _, w := range f.Watches {
		got = append(got, fmt.Sprintf("watch %d %s", w.Line, w.Workload))
	}
	for _, n := range f.Notes {
		got = append(got, fmt.Sprintf("note %d %s %d", n.Line, n.Object.Kind, n.Kind))
	}
	want := []string{
		"11 SLO cart-errors empty=1",
		"21 SLO fast empty=1",
		"24 SLO cart empty=1",
		"29 canary analysis rate empty=0",
		"41 alert Down empty=1",
		"51 alert Silent empty=1 unread",
		"watch 66 deployment/cart",
		"note 13 SLI 4",
		"note 23 SLO 4",
		"note 57 DatadogMonitor 4",
		"note 74 Kiali 4",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// LogQL without pipes is PromQL for the parser: where the file lies says whose it is.
func TestRulesOfLokiAreToldByTheirPlace(t *testing.T) {
	const rules = `groups: [{name: x, rules: [{alert: A, expr: 'sum(rate({container="istio-proxy"}[5m])) == 0'}]}]`
	for path, want := range map[string]Language{
		"loki/rules/x.yaml": LogQL, "clusters/prod-loki.yaml": LogQL, "prometheus/x.yaml": PromQL, "locking/lokinet.yaml": PromQL,
	} {
		if got := Parse(path, rules, promQL).Queries[0].Language; got != want {
			t.Errorf("%s: language %d, want %d", path, got, want)
		}
	}
	configMap := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, labels: {%s: \"1\"}}\ndata:\n  x.yaml: |\n    " + rules
	for label, want := range map[string]Language{"loki_rule": LogQL, "prometheus_rule": PromQL} {
		if got := Parse("x.yaml", fmt.Sprintf(configMap, label), promQL).Queries[0].Language; got != want {
			t.Errorf("label %s: language %d, want %d", label, got, want)
		}
	}
}

const tenantRule = `
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: %s, namespace: %s}
spec: {groups: [{name: x, rules: [{alert: A, expr: absent(istio_requests_total)}]}]}
`

// A Prometheus with enforcedNamespaceLabel adds the namespace of each rule to its selectors (observability.md 1.4).
func TestTenancyGivesRulesTheirScope(t *testing.T) {
	prometheus := func(spec string) *File {
		return Parse("prometheus.yaml", "apiVersion: monitoring.coreos.com/v1\nkind: Prometheus\nmetadata: {name: k8s, namespace: monitoring}\nspec: {"+spec+"}\n", promQL)
	}
	for spec, want := range map[string][]string{
		"":                                  {"", "", ""},
		"enforcedNamespaceLabel: namespace": {"shop", "shop", "mesh"},
		"enforcedNamespaceLabel: namespace, excludedFromEnforcement: [{group: monitoring.coreos.com, resource: prometheusrules, namespace: mesh}]":          {"shop", "shop", ""},
		"enforcedNamespaceLabel: namespace, excludedFromEnforcement: [{group: monitoring.coreos.com, resource: prometheusrules, namespace: shop, name: a}]": {"", "shop", "mesh"},
		"enforcedNamespaceLabel: namespace, excludedFromEnforcement: [{group: monitoring.coreos.com, resource: podmonitors, namespace: shop, name: a}]":     {"shop", "shop", "mesh"},
		"enforcedNamespaceLabel: namespace, prometheusRulesExcludedFromEnforce: [{ruleNamespace: shop, ruleName: b}]":                                       {"shop", "", "mesh"},
	} {
		rules := Parse("rules.yaml", fmt.Sprintf(tenantRule+"---"+tenantRule+"---"+tenantRule, "a", "shop", "b", "shop", "a", "mesh"), promQL)
		Relate([]*File{rules, prometheus(spec)})
		var got []string
		for _, q := range rules.Queries {
			got = append(got, q.Scope)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", spec, d)
		}
	}
	if f := prometheus("enforcedNamespaceLabel: tenant"); len(f.Notes) != 1 {
		t.Errorf("another label: %+v", f.Notes)
	}
}

// A monitor that no Prometheus selects fetches nothing that is known.
func TestAMonitorIsKnownOnlyIfAPrometheusSelectsIt(t *testing.T) {
	const monitor = `
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata: {name: m, namespace: shop, labels: {release: stack}}
spec: {podMetricsEndpoints: [{port: http-envoy-prom}]}
`
	for spec, known := range map[string]bool{
		"podMonitorSelector: {}":                              true,
		"podMonitorSelector: {matchLabels: {release: stack}}": true,
		"podMonitorSelector: {matchLabels: {release: other}}": false,
		"serviceMonitorSelector: {}":                          false,
	} {
		f := Parse("x.yaml", monitor+"---\napiVersion: monitoring.coreos.com/v1\nkind: Prometheus\nmetadata: {name: k8s}\nspec: {"+spec+"}\n", promQL)
		Relate([]*File{f})
		targets, got := f.Scrapes[0].Targets(Waypoint("shop", "waypoint"))
		if got != known || known && len(targets) != 1 {
			t.Errorf("%s: known %v, %d targets", spec, got, len(targets))
		}
	}
}

// Endpoints have all ports of their pods by number: a monitor of Services with targetPort may reach a waypoint.
func TestAMonitorOfServicesMayReachAPodByNumber(t *testing.T) {
	for endpoint, known := range map[string]bool{"targetPort: 15090": false, "targetPort: 15020": false, "targetPort: 8080": true, "port: metrics": true} {
		f := Parse("x.yaml", "apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: m}\nspec: {namespaceSelector: {any: true}, endpoints: [{"+endpoint+"}]}", promQL)
		if targets, got := f.Scrapes[0].Targets(Waypoint("shop", "waypoint")); got != known || len(targets) > 0 {
			t.Errorf("%s: known %v, targets %v", endpoint, got, targets)
		}
	}
}

func TestRoutesAskForLabels(t *testing.T) {
	f := Parse("x.yaml", `
route:
  receiver: all
  group_by: [alertname, namespace]
  routes:
    - {receiver: shop, matchers: ['namespace=~"shop|cart"', severity = critical]}
    - {match: {pod: cart-0}, match_re: {app: .*}}
    - {receiver: none}
inhibit_rules:
  - {source_matchers: ['{alertname="Down",cluster!="x"}'], target_match: {severity: warning}, equal: [namespace]}
receivers: [{name: all}]
---
apiVersion: monitoring.coreos.com/v1
kind: AlertmanagerConfig
metadata: {name: team, namespace: shop}
spec:
  route:
    groupBy: ['...']
    matchers: [{name: destination_service, matchType: "=~", value: cart.*}]
  inhibitRules: [{sourceMatch: [{name: a, value: b}], equal: [pod]}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: am}
data:
  alertmanager.yaml: |
    route: {group_by: [job]}
    receivers: [{name: x}]
  extra.yaml: |
    - job_name: mesh
      kubernetes_sd_configs: [{role: pod}]
`, promQL)
	var got []string
	for _, r := range f.Routes {
		got = append(got, fmt.Sprintf("%d %s: %s %v %v %v", r.Line, r.Object.Kind, r.Receiver, r.Matchers, r.Labels, r.Inhibits))
	}
	want := []string{
		`3 Alertmanager configuration: all [] [alertname namespace] false`,
		`6 Alertmanager configuration: shop [namespace=~"shop|cart" severity = critical] [namespace severity] false`,
		`7 Alertmanager configuration:  [pod=cart-0 app=.*] [app pod] false`,
		`10 Alertmanager configuration:  [severity=warning {alertname="Down",cluster!="x"}] [alertname cluster namespace severity] true`,
		`18 AlertmanagerConfig:  [destination_service=~cart.*] [destination_service] false`,
		`20 AlertmanagerConfig:  [a=b] [a pod] true`,
		`27 ConfigMap:  [] [job] false`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if len(f.Scrapes) != 1 || f.Scrapes[0].Job != "mesh" {
		t.Fatalf("scrapes %+v", f.Scrapes)
	}
	// Only prometheus-operator adds labels of the pod by itself.
	targets, _ := f.Scrapes[0].Targets(Waypoint("shop", "waypoint"))
	if len(targets) != 3 || targets[0].Labels["namespace"] != "" || targets[0].Labels["job"] != "mesh" {
		t.Errorf("targets %+v", targets)
	}
}

// A HorizontalPodAutoscaler names a metric, and a rule of the adapter, in another file, says what it is made of (Q70).
func TestMetricsOfAutoscalersAreResolved(t *testing.T) {
	autoscaler := "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: cart, namespace: shop}\nspec: {metrics: [{type: Pods, pods: {metric: {name: %s}}}]}\n"
	rules := func(rule string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: adapter}\ndata:\n  config.yaml: |\n    rules: [{" + rule + ", metricsQuery: 'sum(<<.Series>>)'}]\n"
	}
	for _, tt := range []struct{ name, metric, rule, want string }{
		{"by name", "rps", `seriesQuery: 'istio_requests_total{reporter="destination"}', name: {as: rps}`, "makes of istio_requests_total"},
		{"by group", "istio_requests_per_second", `seriesQuery: 'istio_requests_total', name: {matches: "^(.*)_total", as: "${1}_per_second"}`, "makes of istio_requests_total"},
		{"only a group", "istio_requests", `seriesQuery: '{__name__="istio_requests_total"}', name: {matches: "^(.*)_total"}`, "makes of"},
		{"by itself", "istio_requests_total", `seriesQuery: 'istio_requests_total'`, "makes of"},
		{"a name that series tell", "rps", `seriesQuery: '{__name__=~"istio_requests.*"}'`, "may make it"},
		{"no metric of the mesh", "queue", `seriesQuery: 'queue_length', name: {as: queue}`, ""},
		{"nobody makes it", "queue", `seriesQuery: 'other'`, "not known"},
	} {
		files := []*File{Parse("hpa.yaml", fmt.Sprintf(autoscaler, tt.metric), promQL), Parse("adapter.yaml", rules(tt.rule), promQL)}
		Relate(files)
		got := ""
		if notes := files[0].Notes; len(notes) > 0 {
			got = notes[0].Text
		}
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestTriggersOnResourcesAreWatched(t *testing.T) {
	const object = "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: cart, namespace: shop}\nspec: {scaleTargetRef: {name: cart}, triggers: [{%s}]}\n"
	for trigger, want := range map[string]string{
		"type: cpu, metricType: Utilization, metadata: {value: '60', containerName: istio-proxy}": "deployment/cart true",
		"type: cpu, metricType: Utilization, metadata: {value: '60'}":                             "deployment/cart false",
		"type: memory, metadata: {type: Utilization, value: '60'}":                                "deployment/cart false",
		"type: cpu, metricType: Utilization, metadata: {value: '60', containerName: cart}":        "",
		"type: cpu, metricType: AverageValue, metadata: {value: '60'}":                            "",
	} {
		got := ""
		for _, w := range Parse("x.yaml", fmt.Sprintf(object, trigger), promQL).Watches {
			got += fmt.Sprint(w.Workload, " ", w.Blocks)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", trigger, got, want)
		}
	}
}
