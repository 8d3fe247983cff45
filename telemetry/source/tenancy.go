package source

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8slabels "k8s.io/apimachinery/pkg/labels"

	"github.com/ambientplan/ambientplan/telemetry/span"
)

// tenancy is what a Prometheus of prometheus-operator says of the objects around it.
type tenancy struct {
	object Object
	// label that it adds to each selector of rules, "" for none.
	label string
	// excluded from that, as resource, namespace and name; a name of "" is all.
	excluded []exclusion
	// rules says that it evaluates rules.
	rules bool
	// monitors are its selectors, by the kind of the objects; nil selects none.
	monitors map[string]*metav1.LabelSelector
}

type exclusion struct{ resource, namespace, name string }

// tenancy reads a Prometheus, a PrometheusAgent or a ThanosRuler.
func (r *reader) tenancy(doc *span.Node, o Object) {
	spec := doc.Get("spec")
	t := tenancy{object: o, label: spec.Str("enforcedNamespaceLabel"), rules: o.Kind != "PrometheusAgent"}
	for _, e := range spec.List("excludedFromEnforcement") {
		t.excluded = append(t.excluded, exclusion{e.Str("resource"), e.Str("namespace"), e.Str("name")})
	}
	for _, e := range spec.List("prometheusRulesExcludedFromEnforce") {
		t.excluded = append(t.excluded, exclusion{"prometheusrules", e.Str("ruleNamespace"), e.Str("ruleName")})
	}
	if o.Kind != "ThanosRuler" {
		t.monitors = map[string]*metav1.LabelSelector{}
		for kind, field := range map[string]string{"PodMonitor": "podMonitorSelector", "ServiceMonitor": "serviceMonitorSelector"} {
			if n := spec.Get(field); n.Is(span.Object) {
				s := selectorOf(n)
				t.monitors[kind] = &s
			}
		}
	}
	if t.label != "" && t.label != "namespace" {
		r.note(doc.At, o, FlagOnly, fmt.Sprintf("it adds the label %s to each selector of rules: what they see of waypoints and ztunnel in other namespaces depends on it", t.label))
	}
	r.file.tenancies = append(r.file.tenancies, t)
}

func (t *tenancy) excludes(resource string, o Object) bool {
	return slices.ContainsFunc(t.excluded, func(e exclusion) bool {
		return e.resource == resource && e.namespace == o.Namespace && (e.name == "" || e.name == o.Name)
	})
}

// Relate tells files of each other, after all of them were parsed: a Prometheus with enforcedNamespaceLabel gives rules
// their Scope, and a monitor that no Prometheus among the files selects is Unknown, since another one may. Autoscalers learn what
// their metrics are made of. Which of
// several Prometheus a rule is for is not looked at: that a rule sees less than it does is the safer mistake
// (observability.md 1.4).
func Relate(files []*File) {
	var all []tenancy
	var rules []adapted
	for _, f := range files {
		rules = append(rules, f.adapted...)
		all = append(all, f.tenancies...)
	}
	for _, f := range files {
		f.resolve(rules)
		for _, q := range f.Queries {
			for i := range all {
				t := &all[i]
				if t.rules && t.label != "" && q.Object.Kind == "PrometheusRule" && !t.excludes("prometheusrules", q.Object) {
					q.Scope = q.Object.Namespace
				}
			}
		}
		for i := range f.Scrapes {
			f.Scrapes[i].selectedBy(all)
		}
	}
}

// selectedBy says in Unknown that none of the Prometheus selects the monitor.
func (s *Scrape) selectedBy(all []tenancy) {
	if s.Object.Kind != "PodMonitor" && s.Object.Kind != "ServiceMonitor" || s.Unknown != "" {
		return
	}
	why := ""
	for i := range all {
		t := &all[i]
		if t.monitors == nil {
			continue
		}
		if selector := t.monitors[s.Object.Kind]; selector != nil {
			sel, err := metav1.LabelSelectorAsSelector(selector)
			if err != nil || sel.Matches(k8slabels.Set(s.labels)) {
				return
			}
		}
		why = fmt.Sprintf("the %s %s/%s does not select it, and no other one that was read", t.object.Kind, t.object.Namespace, t.object.Name)
	}
	s.Unknown = why
}
