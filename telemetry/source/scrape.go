package source

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/relabel"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ambientplan/ambientplan/telemetry/span"
)

// Scrape is a scrape configuration: what Prometheus fetches, and from where. A monitor with several endpoints is
// several of them.
type Scrape struct {
	File         string
	Line, Column int
	Object       Object
	// Job that it gives to targets, "" when that depends on labels.
	Job string
	// Services says that it looks for Services, else for pods.
	Services bool
	// Namespaces in which it looks; none and AnyNamespace for all.
	Namespaces   []string
	AnyNamespace bool
	// Selector of pods or Services by their labels.
	Selector metav1.LabelSelector
	// Port by name, PortNumber by number; "" and 0 for all.
	Port       string
	PortNumber int
	// Path of the metrics before relabelling; "" is /metrics.
	Path string
	// Relabel is what decides further, in order.
	Relabel []*relabel.Config
	// Unknown says why it cannot be told what it selects; "" when it can.
	Unknown string

	// labels of the object, by which a Prometheus selects it.
	labels map[string]string
	// plain says that it is an entry of scrape_configs: targets have no labels but those that it gives them.
	plain bool
}

// scrapeObject reads monitors of prometheus-operator and its relatives.
func (r *reader) scrapeObject(group string, doc *span.Node, o Object) bool {
	pods, endpoints := true, ""
	switch group + "/" + o.Kind {
	case "monitoring.coreos.com/PodMonitor", "operator.victoriametrics.com/VMPodScrape":
		endpoints = "podMetricsEndpoints"
	case "monitoring.coreos.com/ServiceMonitor", "operator.victoriametrics.com/VMServiceScrape":
		endpoints, pods = "endpoints", false
	case "monitoring.googleapis.com/PodMonitoring", "monitoring.googleapis.com/ClusterPodMonitoring":
		endpoints = "endpoints"
	case "monitoring.coreos.com/ScrapeConfig", "monitoring.coreos.com/Probe":
		r.scrape(Scrape{Object: o, Unknown: "a " + o.Kind + " is not evaluated"}, doc)
		return true
	default:
		return false
	}
	base := Scrape{Object: o, Services: !pods, Namespaces: []string{o.Namespace}, Job: o.Namespace + "/" + o.Name, labels: labelsOf(doc.Get("metadata", "labels"))}
	if doc.Str("spec", "namespaceSelector", "any") == "true" || o.Kind == "ClusterPodMonitoring" {
		base.Namespaces, base.AnyNamespace = nil, true
	} else if names := doc.List("spec", "namespaceSelector", "matchNames"); len(names) > 0 {
		base.Namespaces = nil
		for _, n := range names {
			base.Namespaces = append(base.Namespaces, n.Text.String)
		}
	}
	base.Selector = selectorOf(doc.Get("spec", "selector"))
	for _, e := range doc.List("spec", endpoints) {
		s := base
		s.Path = e.Str("path")
		s.Port, s.PortNumber = e.Str("port"), number(e.Str("targetPort"))
		if s.PortNumber == 0 {
			s.PortNumber = number(e.Str("portNumber"))
		}
		if n := number(s.Port); n > 0 {
			s.Port, s.PortNumber = "", n
		}
		s.Relabel, s.Unknown = relabelings(e.List("relabelings"), "sourceLabels", "targetLabel")
		r.scrape(s, e)
	}
	return true
}

func (r *reader) scrape(s Scrape, n *span.Node) {
	s.File = r.file.Path
	s.Line, s.Column = r.position(n.At)
	r.file.Scrapes = append(r.file.Scrapes, s)
}

// scrapeConfigs reads the scrape_configs of a Prometheus configuration. Those of other discoveries than pods are kept as
// unknown.
func (r *reader) scrapeConfigs(configs []*span.Node, o Object) {
	for _, c := range configs {
		s := Scrape{Object: o, Job: c.Str("job_name"), Path: c.Str("metrics_path"), AnyNamespace: true, plain: true}
		sd := c.List("kubernetes_sd_configs")
		switch {
		case len(sd) == 1 && sd[0].Str("role") == "pod":
			s.Relabel, s.Unknown = relabelings(c.List("relabel_configs"), "source_labels", "target_label")
			for _, n := range sd[0].List("namespaces", "names") {
				s.Namespaces, s.AnyNamespace = append(s.Namespaces, n.Text.String), false
			}
		case len(sd) == 0 && len(c.List("static_configs")) > 0:
			continue // fixed targets are neither waypoints nor ztunnel
		case len(sd) == 1 && (sd[0].Str("role") == "node" || sd[0].Str("role") == "ingress"):
			continue
		default:
			s.Services, s.Unknown = true, "targets of this discovery are not evaluated"
		}
		r.scrape(s, c)
	}
}

func number(s string) int {
	n := 0
	for _, c := range s {
		if c < '0' || c > '9' || n > 65535 {
			return 0
		}
		n = n*10 + int(c-'0')
	}
	return n
}

func selectorOf(n *span.Node) metav1.LabelSelector {
	out := metav1.LabelSelector{MatchLabels: labelsOf(n.Get("matchLabels"))}
	for _, e := range n.List("matchExpressions") {
		req := metav1.LabelSelectorRequirement{Key: e.Str("key"), Operator: metav1.LabelSelectorOperator(e.Str("operator"))}
		for _, v := range e.List("values") {
			req.Values = append(req.Values, v.Text.String)
		}
		out.MatchExpressions = append(out.MatchExpressions, req)
	}
	return out
}

// relabelings reads relabelling rules in the spelling of prometheus-operator or of Prometheus.
func relabelings(list []*span.Node, sources, target string) ([]*relabel.Config, string) {
	var out []*relabel.Config
	for i, n := range list {
		c := relabel.DefaultRelabelConfig
		c.NameValidationScheme = model.UTF8Validation
		for _, l := range n.List(sources) {
			c.SourceLabels = append(c.SourceLabels, model.LabelName(l.Text.String))
		}
		if v := n.Get("separator"); v != nil {
			c.Separator = v.Text.String
		}
		if v := n.Get("regex"); v != nil {
			re, err := relabel.NewRegexp(v.Text.String)
			if err != nil {
				return nil, fmt.Sprintf("relabelling %d: %v", i, err)
			}
			c.Regex = re
		}
		if v := n.Get("replacement"); v != nil {
			c.Replacement = v.Text.String
		}
		c.TargetLabel, c.Modulus = n.Str(target), uint64(number(n.Str("modulus")))
		if a := n.Str("action"); a != "" {
			c.Action = relabel.Action(strings.ToLower(a))
		}
		if err := c.Validate(model.UTF8Validation); err != nil {
			return nil, fmt.Sprintf("relabelling %d: %v", i, err)
		}
		out = append(out, &c)
	}
	return out, ""
}

// in says that it looks into a namespace.
func (s *Scrape) in(namespace string) bool {
	return s.AnyNamespace || slices.Contains(s.Namespaces, namespace)
}
