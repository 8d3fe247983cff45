package source

import (
	"fmt"
	"strings"

	"github.com/ambientplan/ambientplan/telemetry/span"
	"github.com/ambientplan/ambientplan/telemetry/template"
)

// grafana reads what Grafana, Perses and their operators know: dashboards in all forms, alert provisioning
// (observability.md 4.1). It says whether it knows the document.
func (r *reader) grafana(doc *span.Node) bool {
	group, _, _ := strings.Cut(doc.Str("apiVersion"), "/")
	kind := doc.Str("kind")
	switch {
	case kind == "ConfigMap":
		return r.dashboardMap(doc)
	case group == "dashboard.grafana.app" && (kind == "Dashboard" || kind == "DashboardWithAccessInfo"):
		return r.resource(doc)
	case group == "grafana.integreatly.org" || group == "integreatly.org":
		return r.operated(doc, kind)
	case perses(doc):
		r.persesDashboard(doc)
		return true
	case classic(doc):
		r.classic(doc, "", Object{Kind: "Dashboard"}, "")
		return true
	case schemaV2(doc):
		r.dashboardV2(doc, "", Object{Kind: "Dashboard"}, "")
		return true
	case enveloped(doc):
		return r.envelope(doc)
	case provisionedAlerts(doc):
		r.alertGroups(doc.Get("groups"), "groups", Object{Kind: "Grafana alert rules"})
		return true
	case alertRuleItem(doc):
		r.alertRule(doc, nil, "", Object{Kind: "Grafana alert rules", Owner: doc.Str("folderUID")})
		return true
	case ruler(doc):
		for _, m := range doc.Map() {
			r.alertGroups(m.Value, m.Key.String, Object{Kind: "Grafana alert rules", Owner: m.Key.String})
		}
		return true
	}
	return false
}

// classic says that a document is a dashboard in Grafana's classic JSON. rows is the form before version 16 of the
// schema.
func classic(doc *span.Node) bool {
	if !doc.Is(span.Object) {
		return false
	}
	panels := doc.Get("panels").Is(span.List) || doc.Get("rows").Is(span.List)
	marks := doc.Get("schemaVersion") != nil || doc.Get("templating") != nil || doc.Get("__inputs") != nil || doc.Get("title") != nil
	return panels && marks
}

// schemaV2 says that a document is the spec of a v2 dashboard.
func schemaV2(doc *span.Node) bool {
	return doc.Get("elements").Is(span.Object) && doc.Get("layout") != nil
}

// enveloped says that a document is what Grafana's API answers, or a library panel of its API.
func enveloped(doc *span.Node) bool {
	return anyDashboard(doc.Get("dashboard")) || anyDashboard(doc.Get("spec")) && doc.Str("apiVersion") == ""
}

func anyDashboard(n *span.Node) bool { return classic(n) || schemaV2(n) }

// anyForm reads a dashboard, classic or v2.
func (r *reader) anyForm(n *span.Node, prefix string, o Object, frozen string) {
	if schemaV2(n) {
		r.dashboardV2(n, prefix, o, frozen)
		return
	}
	r.classic(n, prefix, o, frozen)
}

func (r *reader) envelope(doc *span.Node) bool {
	o := Object{Kind: "Dashboard", Owner: doc.Str("meta", "folderTitle")}
	frozen := ""
	if doc.Str("meta", "provisioned") == "true" {
		frozen = "Grafana says that the dashboard is provisioned from a file: change that file"
	}
	for _, key := range []string{"dashboard", "spec"} {
		if n := doc.Get(key); anyDashboard(n) {
			r.anyForm(n, key+".", o, frozen)
			return true
		}
	}
	return false
}

// resource is a Kubernetes-style dashboard: spec is classic in v0 and v1.
func (r *reader) resource(doc *span.Node) bool {
	o := objectOf(doc)
	o.UID = o.Name
	o.Owner = ownerOf(doc)
	spec := doc.Get("spec")
	if !anyDashboard(spec) {
		if !spec.Is(span.Object) {
			r.note(doc.At, o, Unreadable, "the dashboard has no spec that is a dashboard")
			return true
		}
	}
	r.anyForm(spec, "spec.", o, "")
	return true
}

// ownerOf is the folder or the team that a Kubernetes object names.
func ownerOf(doc *span.Node) string {
	for _, key := range []string{"team", "owner", "app.kubernetes.io/team", "app.kubernetes.io/owner"} {
		if v := doc.Str("metadata", "labels", key); v != "" {
			return v
		}
	}
	for _, key := range []string{"grafana.app/folder", "grafana_folder", "k8s-sidecar-target-directory"} {
		if v := doc.Str("metadata", "annotations", key); v != "" {
			return v
		}
	}
	return doc.Str("spec", "folder")
}

// board is a dashboard while it is read.
type board struct {
	r      *reader
	object Object
	// prefix of paths within the document.
	prefix string
	// frozen says why nothing of it can be edited.
	frozen string
	// variables by name, built-in ones as well; sources are the types of data sources by the variable or input that
	// stands for them.
	variables map[string]*Variable
	sources   map[string]string
	// defines says that it is a whole dashboard, which has all of its variables.
	defines bool
	// queries by refId of the panel at hand, for legacy alerts.
	panel map[string]*Query
}

func (r *reader) board(prefix string, o Object, frozen string) *board {
	if in := r.within; in != nil {
		o.Namespace = either(o.Namespace, in.Namespace)
		o.Name = either(o.Name, in.Name)
		o.Owner = either(o.Owner, in.Owner)
	}
	b := &board{r: r, object: o, prefix: prefix, frozen: frozen, variables: map[string]*Variable{}, sources: map[string]string{}}
	for _, v := range builtIns() {
		b.variables[v.Name] = v
	}
	return b
}

// builtIns are Grafana's own variables: what a dashboard of an hour at 15 s gets.
func builtIns() []*Variable {
	var all []*Variable
	for _, v := range []struct{ name, value string }{
		{"__interval", "15s"}, {"__rate_interval", "1m"}, {"__range", "1h"}, {"__interval_ms", "15000"},
		{"__range_s", "3600"}, {"__range_ms", "3600000"}, {"__rate_interval_ms", "60000"},
	} {
		all = append(all, &Variable{Name: v.name, Kind: Given, Values: []string{v.value}})
	}
	return all
}

// query adds one of the dashboard.
func (b *board) query(q Query, n *span.Node) *Query {
	return b.part(q, n.Text, 0, len(n.Text.String))
}

func (b *board) part(q Query, t span.Text, from, to int) *Query {
	q.Object, q.Path = b.object, b.prefix+q.Path
	q.Frozen = b.frozen
	if q.OnEmpty == EmptyUnknown {
		q.OnEmpty = EmptySilent
	}
	if strings.Contains(t.String[from:to], "{{") && q.Frozen == "" {
		q.Frozen = "the text holds {{: it is a template of Helm or its like, and is to be changed there"
	}
	out := b.r.add(&q, t, from, to, template.Grafana, b.variables)
	if out.Unread != "" && q.Language == PromQL && logQL.MatchString(out.Text) {
		out.Unread += " (it looks like LogQL, and its data source is Prometheus)"
	}
	b.spellings(out)
	return out
}

// spellings notes how the query's text writes its variables, and makes variables of those that nobody defines.
func (b *board) spellings(q *Query) {
	tpl, _ := template.Grafana(q.Text, nil)
	for _, u := range tpl.Uses {
		v := b.variables[u.Name]
		if v == nil {
			v = &Variable{Name: u.Name}
			b.variables[u.Name] = v
			if b.defines && !strings.HasPrefix(u.Name, "__") {
				b.r.note(q.text.Start(), b.object, Suspicious, fmt.Sprintf("%s names the variable %s, which the dashboard does not define", q.Path, u.Spelling))
			}
		}
		v.spelt(u.Spelling)
		q.names(v)
	}
}

// path of a member.
func at(path string, field string, i int) string { return fmt.Sprintf("%s%s[%d]", path, field, i) }
