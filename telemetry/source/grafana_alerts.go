package source

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/ambientplan/ambientplan/telemetry/span"
)

// onEmptyOf is what noDataState says: Grafana's managed alerts fire DatasourceNoData by default (observability.md 4.3).
func onEmptyOf(state string) OnEmpty {
	switch strings.ToLower(state) {
	case "ok":
		return EmptySilent
	case "keeplast", "keep_state":
		return EmptyKeeps
	case "", "nodata", "no_data", "alerting":
		return EmptyFires
	}
	return EmptyUnknown
}

// comparisons are Grafana's evaluators in PromQL's words.
var comparisons = map[string]string{"gt": ">", "lt": "<", "gte": ">=", "lte": "<=", "eq": "==", "ne": "!="}

// evaluated reads a condition with evaluator and reducer: of legacy alerts, classic conditions, thresholds.
func evaluated(c *span.Node) (string, *Threshold) {
	kind, reducer := c.Str("evaluator", "type"), c.Str("reducer", "type")
	var params []string
	for _, p := range c.List("evaluator", "params") {
		params = append(params, p.Str())
	}
	left := "the result"
	if reducer != "" {
		left = reducer + "()"
	}
	if op, ok := comparisons[kind]; ok && len(params) > 0 {
		if value, err := strconv.ParseFloat(params[0], 64); err == nil {
			return fmt.Sprintf("%s %s %s", left, op, params[0]), &Threshold{Reducer: reducer, Op: op, Value: value}
		}
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", left, strings.ReplaceAll(kind, "_", " "), strings.Join(params, " to "))), nil
}

// provisionedAlerts says that a document is a file of alert provisioning, or an export: groups of rules with data.
func provisionedAlerts(doc *span.Node) bool {
	for _, g := range doc.List("groups") {
		for _, rule := range g.List("rules") {
			if rule.Get("data").Is(span.List) || rule.Get("grafana_alert").Is(span.Object) {
				return true
			}
		}
	}
	return false
}

// alertRuleItem says that a document is one rule, as Grafana's provisioning API lists them.
func alertRuleItem(doc *span.Node) bool {
	return doc.Get("data", "0", "refId") != nil && doc.Get("condition") != nil
}

// ruler says that a document is what Grafana's ruler API answers: groups by folder.
func ruler(doc *span.Node) bool {
	for _, m := range doc.Map() {
		if m.Value.Get("0", "rules", "0", "grafana_alert").Is(span.Object) {
			return true
		}
	}
	return false
}

// alertGroups reads groups of Grafana-managed rules.
func (r *reader) alertGroups(groups *span.Node, path string, o Object) {
	for i, g := range groups.List() {
		if folder := g.Str("folder"); folder != "" {
			o.Owner = folder
		}
		r.alertRules(g, at("", path, i)+".", o)
	}
}

func (r *reader) alertRules(group *span.Node, path string, o Object) {
	for i, rule := range group.List("rules") {
		r.alertRule(rule, group, at(path, "rules", i), o)
	}
}

// alertRule reads one rule: its queries, and the conditions on them.
func (r *reader) alertRule(rule, group *span.Node, path string, o Object) {
	// The ruler's API has half of the fields one level up.
	outer := rule
	if inner := rule.Get("grafana_alert"); inner.Is(span.Object) {
		path = under(path) + "grafana_alert"
		rule = inner
	}
	field := func(name string) string { return either(rule.Str(name), outer.Str(name)) }
	o.UID = rule.Str("uid")
	if o.Name == "" {
		o.Name = either(group.Str("name"), rule.Str("ruleGroup"))
	}
	labels := labelsOf(cmp.Or(rule.Get("labels"), outer.Get("labels")))
	for _, key := range []string{"team", "owner"} {
		if labels[key] != "" {
			o.Owner = labels[key]
		}
	}
	b := r.board("", o, "")
	if o.UID != "" {
		line, _ := r.position(rule.At)
		r.file.identities = append(r.file.identities, identity{o.UID, "alert", line})
	}
	model := alertModel{data: map[string]*span.Node{}}
	for _, d := range rule.List("data") {
		model.data[d.Str("refId")] = d
	}
	for i, d := range rule.List("data") {
		expr := d.Get("model", "expr")
		if d.Str("datasourceUid") == "__expr__" || d.Str("datasourceUid") == "-100" {
			continue
		}
		if !filled(expr) {
			b.foreign(rule.Str("title"), d.Get("model"))
			continue
		}
		q := Query{
			Path: fmt.Sprintf("%sdata[%d].model.expr", under(path), i), Name: rule.Str("title"), Role: Alert,
			Language: b.language(d.Get("model", "datasource"), nil, expr.Str()), OnEmpty: onEmptyOf(either(rule.Str("noDataState"), rule.Str("no_data_state"))),
			For: duration(field("for")), KeepFiring: duration(either(field("keepFiringFor"), field("keep_firing_for"))),
			Interval: duration(group.Str("interval")),
			Labels:   labels, Annotations: labelsOf(cmp.Or(rule.Get("annotations"), outer.Get("annotations"))),
		}
		if metric := rule.Str("record", "metric"); metric != "" {
			q.Role, q.Record, q.Name, q.OnEmpty = Recording, metric, metric, EmptySilent
		}
		q.Condition, q.Threshold = model.condition(rule.Str("condition"), d.Str("refId"))
		b.query(q, expr)
	}
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// alertModel is the data of a rule by refId.
type alertModel struct {
	data map[string]*span.Node
}

// mathThreshold is a comparison with a number, as $B > 0.05.
var mathThreshold = regexp.MustCompile(`^\s*\$\{?(\w+)\}?\s*(>=|<=|==|!=|>|<)\s*([-+0-9.eE]+)\s*$`)

// condition is what a rule's condition says of one query: text, and a comparison if it is a plain one. The expressions
// form a graph by refId; a text names all of it.
func (m alertModel) condition(ref, query string) (string, *Threshold) {
	if ref == "" {
		return "", nil
	}
	if ref == query {
		return "the result is not 0", &Threshold{Op: "!=", Value: 0}
	}
	text := m.text(ref, 0)
	t, ok := m.threshold(ref, query, 0)
	if !ok {
		return text, nil
	}
	return text, t
}

// maxChain is how many expressions refer to each other in a row.
const maxChain = 20

// operand of a threshold; older rules have it in the condition.
func operand(model *span.Node) string {
	return either(model.Str("expression"), model.Str("conditions", "0", "query", "params", "0"))
}

// text writes an expression for people.
func (m alertModel) text(ref string, depth int) string {
	d := m.data[ref]
	model := d.Get("model")
	if d == nil || depth > maxChain || filled(model.Get("expr")) {
		return ref
	}
	inner := func(name string) string { return m.text(strings.Trim(name, "${}"), depth+1) }
	switch model.Str("type") {
	case "reduce":
		return fmt.Sprintf("%s(%s)", model.Str("reducer"), inner(model.Str("expression")))
	case "resample":
		return inner(model.Str("expression"))
	case "threshold":
		text, _ := evaluated(model.Get("conditions", "0"))
		_, comparison, _ := strings.Cut(text, " ")
		return inner(operand(model)) + " " + strings.TrimPrefix(comparison, "result ")
	case "math":
		return refNames.ReplaceAllStringFunc(model.Str("expression"), inner)
	case "classic_conditions":
		var all []string
		for i, c := range model.List("conditions") {
			text, _ := evaluated(c)
			if i > 0 {
				all = append(all, either(c.Str("operator", "type"), "and"))
			}
			all = append(all, strings.Replace(text, "()", "("+c.Str("query", "params", "0")+")", 1))
		}
		return strings.Join(all, " ")
	}
	return ref
}

var refNames = regexp.MustCompile(`\$\{\w+\}|\$\w+`)

// threshold follows a chain of threshold, math, reduce to one query; false if it is anything else.
func (m alertModel) threshold(ref, query string, depth int) (*Threshold, bool) {
	model := m.data[ref].Get("model")
	if model == nil || depth > maxChain {
		return nil, false
	}
	var t *Threshold
	from := strings.Trim(operand(model), "${}")
	switch model.Str("type") {
	case "threshold":
		if len(model.List("conditions")) == 1 && model.Get("conditions", "0", "unloadEvaluator") == nil {
			_, t = evaluated(model.Get("conditions", "0"))
		}
		if t != nil {
			t.Reducer = ""
		}
	case "math":
		match := mathThreshold.FindStringSubmatch(model.Str("expression"))
		if match == nil {
			return nil, false
		}
		value, err := strconv.ParseFloat(match[3], 64)
		if err != nil {
			return nil, false
		}
		from, t = match[1], &Threshold{Op: match[2], Value: value}
	case "classic_conditions":
		if len(model.List("conditions")) != 1 {
			return nil, false
		}
		_, t = evaluated(model.Get("conditions", "0"))
		return t, t != nil && model.Str("conditions", "0", "query", "params", "0") == query
	}
	if t == nil {
		return nil, false
	}
	for range maxChain {
		inner := m.data[from].Get("model")
		switch {
		case from == query:
			return t, true
		case inner.Str("type") == "reduce" && t.Reducer == "":
			t.Reducer = inner.Str("reducer")
		case inner.Str("type") == "resample":
		default:
			return nil, false
		}
		from = strings.Trim(inner.Str("expression"), "${}")
	}
	return nil, false
}
