package promql

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/ambientplan/ambientplan/telemetry/series"
)

// class is what the model knows of a selector's metric.
type class int

const (
	classUnknown class = iota
	// classModelled: package series emits it.
	classModelled
	// classDead: no Istio emits it.
	classDead
	// classForeign: no part of the data plane emits it.
	classForeign
	// classThroughProxy: an application's metric that was scraped through the sidecar.
	classThroughProxy
)

// foreignPrefixes are metrics of things that are not in the mesh and do not change when it does.
var foreignPrefixes = []string{
	"node_", "kube_", "kubelet_", "apiserver_", "etcd_", "coredns_", "prometheus_", "alertmanager_", "machine_",
	"container_", "citadel_", "pilot_", "scheduler_", "rest_client_", "workqueue_", "ALERTS",
}

// leaf is a selector that asks for raw series: of the query, or of a recording rule that it rests on.
type leaf struct {
	Selector
	text, record string
	// id is the same for selectors that take the same series.
	id string
}

func leaves(q *Query, order []Rule) []leaf {
	recorded := map[string]bool{}
	for _, r := range order {
		recorded[r.Record] = true
	}
	var all []leaf
	add := func(q *Query, record string) {
		for _, s := range q.Selectors {
			if !recorded[s.Metric] {
				all = append(all, leaf{s, s.Text(q), record, idOf(s.Matchers)})
			}
		}
	}
	add(q, "")
	for _, r := range order {
		if sub, err := Parse(r.Expr); err == nil {
			add(sub, r.Record)
		}
	}
	return all
}

// metricNames are the names that the model emits.
func metricNames() []string {
	all := []string{"pilot_xds", "sidecar_injection_success_total", "sidecar_injection_failure_total", "pilot_conflict_inbound_listener", "pilot_no_ip", "pilot_eds_no_instances", "pilot_total_xds_rejects"}
	for _, f := range series.Families() {
		switch f.Kind {
		case series.DurationHistogram, series.BytesHistogram:
			all = append(all, f.Name+"_bucket", f.Name+"_sum", f.Name+"_count")
		case series.Counter, series.BytesCounter, series.KindUnknown:
			all = append(all, f.Name)
		}
	}
	all = append(all, series.PodFamilies()...)
	for _, f := range series.WorkloadFamilies() {
		all = append(all, f.Name)
	}
	return all
}

func classify(s Selector) (class, string) {
	name := s.Metric
	if name == "" {
		for _, m := range metricNames() {
			if s.Matches(m, nil) || s.nameMatches(m) {
				return classModelled, ""
			}
		}
		return classUnknown, "a selector without a metric name takes whatever there is"
	}
	if slices.Contains(metricNames(), name) {
		if s.ofContainers() && !s.has("container", "istio-proxy") {
			return classForeign, ""
		}
		return classModelled, ""
	}
	for _, d := range series.Dead() {
		if name == d || strings.HasSuffix(d, "_") && strings.HasPrefix(name, d) ||
			slices.Contains([]string{d + "_bucket", d + "_sum", d + "_count"}, name) {
			return classDead, ""
		}
	}
	if strings.HasPrefix(name, "istio_") || strings.HasPrefix(name, "envoy_") {
		return classUnknown, name + " is not in the metrics model"
	}
	for _, p := range foreignPrefixes {
		if strings.HasPrefix(name, p) {
			return classForeign, ""
		}
	}
	if by := s.throughProxy(); by != "" {
		return classThroughProxy, name + " is selected by " + by + ", the sidecar's target: without a sidecar the application's own port has other labels, if anything scrapes it (1.5)"
	}
	return classUnknown, name + " is not a metric of the mesh; whether it was merged through the sidecar's port 15020 is not known (1.5)"
}

// nameMatches asks only the matchers of the name.
func (s Selector) nameMatches(name string) bool {
	any := false
	for _, m := range s.Matchers {
		if m.Name == nameLabel {
			if !m.Matches(name) {
				return false
			}
			any = true
		}
	}
	return any
}

func (s Selector) has(label, value string) bool {
	return slices.ContainsFunc(s.Matchers, func(m *labels.Matcher) bool {
		return m.Name == label && m.Matches(value) && !m.Matches("")
	})
}

// ofContainers: cAdvisor and kube-state-metrics know all containers; only the proxies' are modelled.
func (s Selector) ofContainers() bool {
	return strings.HasPrefix(s.Metric, "container_") || strings.HasPrefix(s.Metric, "kube_pod_container_")
}

// throughProxy is the matcher that picks the sidecar's scrape target.
func (s Selector) throughProxy() string {
	proxy := []struct{ label, value, other string }{
		{"container", "istio-proxy", "app"},
		{"endpoint", "http-envoy-prom", "http"},
		{"instance", "10.0.0.1:15020", "10.0.0.1:8080"},
		{"instance", "10.0.0.1:15090", "10.0.0.1:8080"},
		{"job", "istio-system/envoy-stats-monitor", "app"},
		{"job", "envoy-stats", "app"},
	}
	for _, p := range proxy {
		for _, m := range s.Matchers {
			if m.Name == p.label && m.Matches(p.value) && !m.Matches(p.other) {
				return m.String()
			}
		}
	}
	return ""
}

// evidenceOf says for each selector whose series it loses and gains, between two states with one traffic.
func (j judge) evidenceOf(v int) ([]Evidence, error) {
	var all []Evidence
	for _, s := range j.leaves {
		was, err := j.taken(s, j.was, v)
		if err != nil {
			return nil, err
		}
		is, err := j.taken(s, j.is, v)
		if err != nil {
			return nil, err
		}
		had, has := facts(was), facts(is)
		e := Evidence{Selector: s.text, Start: s.Start, Record: s.record, Lost: without(had, has), Gained: without(has, had)}
		known := map[string]bool{}
		for _, key := range e.Lost {
			for _, f := range had[key] {
				known[f] = true
			}
		}
		for _, key := range e.Gained {
			for _, f := range has[key] {
				known[f] = true
			}
		}
		e.Facts = slices.Sorted(maps.Keys(known))
		if len(e.Lost)+len(e.Gained) > 0 {
			all = append(all, e)
		}
	}
	slices.SortStableFunc(all, func(a, b Evidence) int {
		return cmp.Or(cmp.Compare(a.Record, b.Record), cmp.Compare(a.Start, b.Start))
	})
	return all, nil
}

// facts groups series by who emits them, in words.
func facts(all []*timed) map[string][]string {
	groups := map[string][]string{}
	for _, one := range all {
		groups[one.from.who] = one.from.facts
	}
	return groups
}

func without(a, b map[string][]string) []string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(a)) {
		if _, ok := b[key]; !ok {
			all = append(all, key)
		}
	}
	return all
}
