package source

import (
	"slices"
	"strings"

	"github.com/ambientplan/ambientplan/telemetry/span"
	"github.com/ambientplan/ambientplan/telemetry/template"
)

// manifest reads what everybody but Grafana knows: rules, SLOs, autoscalers, canary analyses, scrape configurations.
// It says whether it knows the document.
func (r *reader) manifest(doc *span.Node) bool {
	group, _, _ := strings.Cut(doc.Str("apiVersion"), "/")
	o := objectOf(doc)
	o.Owner = ownerOf(doc)
	switch group + "/" + o.Kind {
	case "/":
		return r.bare(doc)
	case "v1/Secret":
		r.secret(doc, o)
	case "v1/ConfigMap":
		return r.configMap(doc, o)
	case "monitoring.coreos.com/PrometheusRule", "monitoring.openshift.io/AlertingRule", "operator.victoriametrics.com/VMRule",
		"monitoring.googleapis.com/Rules", "monitoring.googleapis.com/ClusterRules", "monitoring.googleapis.com/GlobalRules":
		r.ruleObject(doc, o)
	case "sloth.slok.dev/PrometheusServiceLevel":
		r.sloth(doc.Get("spec"), "spec.", o)
	case "pyrra.dev/ServiceLevelObjective":
		r.pyrra(doc, o)
	case "flagger.app/MetricTemplate":
		r.metricTemplate(doc, o)
	case "flagger.app/Canary":
		r.flaggerCanary(doc, o)
	case "argoproj.io/AnalysisTemplate", "argoproj.io/ClusterAnalysisTemplate", "argoproj.io/AnalysisRun":
		r.analysis(doc, o)
	case "keda.sh/ScaledObject", "keda.sh/ScaledJob":
		r.keda(doc, o)
	case "autoscaling/HorizontalPodAutoscaler":
		r.horizontal(doc, o)
	case "autoscaling.k8s.io/VerticalPodAutoscaler":
		r.vertical(doc, o)
	case "loki.grafana.com/AlertingRule", "loki.grafana.com/RecordingRule":
		r.logs = true
		r.groups(doc.Get("spec", "groups"), "spec.groups", o, "")
		r.logs = false
	case "openslo/SLI", "openslo/SLO", "openslo.com/SLI", "openslo.com/SLO":
		r.openSLO(doc, o)
	case "n9/SLO":
		r.nobl9(doc, o)
	case "metrics.keptn.sh/KeptnMetric":
		r.keptn(doc, o)
	case "prometheusservice.services.k8s.aws/RuleGroupsNamespace":
		return r.nested(doc.Get("spec", "configuration"), "spec.configuration.", o)
	case "monitoring.coreos.com/AlertmanagerConfig":
		r.routing(doc.Get("spec"), o)
	case "monitoring.coreos.com/Prometheus", "monitoring.coreos.com/PrometheusAgent", "monitoring.coreos.com/ThanosRuler":
		r.tenancy(doc, o)
		return false // Its scrape configurations in other fields are searched for the mesh's metrics.
	case "apps/Deployment", "apps/StatefulSet", "apps/DaemonSet", "batch/CronJob", "batch/Job", "v1/Pod", "argoproj.io/Rollout":
		r.autodiscovery(doc, o)
		return false
	default:
		return r.scrapeObject(group, doc, o) || r.vendor(group, doc, o)
	}
	return true
}

// bare reads documents that are no Kubernetes objects.
func (r *reader) bare(doc *span.Node) bool {
	name := strings.TrimSuffix(r.file.Path[strings.LastIndexByte(r.file.Path, '/')+1:], ".yaml")
	switch {
	case len(doc.List("groups")) > 0:
		return r.groups(doc.Get("groups"), "groups", Object{Kind: "rule file", Namespace: "", Name: name}, "")
	case strings.HasPrefix(doc.Str("version"), "prometheus/v1") && len(doc.List("slos")) > 0:
		r.sloth(doc, "", Object{Kind: "Sloth specification", Name: doc.Str("service")})
		return true
	case len(doc.List("scrape_configs")) > 0:
		r.scrapeConfigs(doc.List("scrape_configs"), Object{Kind: "Prometheus configuration", Name: name})
		return true
	case doc.Get("route").Is(span.Object) && len(doc.List("receivers")) > 0:
		r.routing(doc, Object{Kind: "Alertmanager configuration", Name: name})
		return true
	}
	return false
}

// secret says that what a Secret holds is not read: scrape configurations of prometheus-operator may stand there.
func (r *reader) secret(doc *span.Node, o Object) {
	for _, m := range append(slices.Clone(doc.Map("data")), doc.Map("stringData")...) {
		if strings.HasSuffix(m.Key.String, ".yaml") || strings.HasSuffix(m.Key.String, ".yml") {
			r.note(doc.At, o, FlagOnly, "a Secret is never read, and its key "+m.Key.String+" may hold scrape configurations or rules: hand them in as a file")
			return
		}
	}
}

// configMap reads rule files, scrape configurations and the configuration of prometheus-adapter in a ConfigMap.
func (r *reader) configMap(doc *span.Node, o Object) bool {
	known := false
	r.logs = doc.Str("metadata", "labels", "loki_rule") != ""
	defer func() { r.logs = false }()
	for _, m := range doc.Map("data") {
		v := m.Value
		if !v.Is(span.String) || !strings.Contains(v.Text.String, ":") || strings.HasSuffix(m.Key.String, ".json") {
			continue
		}
		docs, err := span.YAML(v.Text)
		if err != nil {
			continue
		}
		for _, d := range docs {
			switch {
			case len(d.List("groups")) > 0:
				if r.groups(d.Get("groups"), "data["+m.Key.String+"].groups", o, "") {
					known = true
					r.taken[v] = true
				}
			case len(d.List("scrape_configs")) > 0:
				r.scrapeConfigs(d.List("scrape_configs"), o)
				known = true
				r.taken[v] = true
			case d.Is(span.List) && d.Get("0").Str("job_name") != "":
				r.scrapeConfigs(d.List(), o) // for additionalScrapeConfigs of prometheus-operator
				known = true
				r.taken[v] = true
			case d.Get("route").Is(span.Object) && len(d.List("receivers")) > 0:
				r.routing(d, o)
			case len(d.List("rules")) > 0 || len(d.List("externalRules")) > 0:
				if r.adapter(d, "data["+m.Key.String+"].", o) {
					known = true
					r.taken[v] = true
				}
			}
		}
	}
	return known
}

// nested reads a rule file that stands in a string.
func (r *reader) nested(n *span.Node, prefix string, o Object) bool {
	if !n.Is(span.String) {
		return false
	}
	docs, err := span.YAML(n.Text)
	if err != nil {
		return false
	}
	known := false
	for _, d := range docs {
		known = r.groups(d.Get("groups"), prefix+"groups", o, "") || known
	}
	return known
}

// given are variables that a tool fills in, with what is known of their values.
func given(values map[string][]string) map[string]*Variable {
	out := map[string]*Variable{}
	for name, v := range values {
		out[name] = &Variable{Name: name, Kind: Given, Values: v}
	}
	return out
}

// braces adds a query with {{ }} in it. Variables that nobody gives are made, so that their spelling is known.
func (r *reader) braces(q Query, n *span.Node, variables map[string]*Variable) *Query {
	if variables == nil {
		variables = map[string]*Variable{}
	}
	tpl, _ := template.Braces(n.Text.String, nil)
	for _, u := range tpl.Uses {
		v := variables[u.Name]
		if v == nil {
			v = &Variable{Name: u.Name, Kind: Given}
			variables[u.Name] = v
		}
		v.spelt(u.Spelling)
	}
	return r.node(&q, n, template.Braces, variables)
}
