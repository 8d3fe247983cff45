package promql

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/template"
	"go.yaml.in/yaml/v3"
)

// AlertRule is an alert as it stands in a rule file.
type AlertRule struct {
	// File is the name of the rule file, as rule_files of the unit test will have it: relative to the test's own.
	File string
	// Alert is the name, Query what the file's expression becomes.
	Alert string
	Query *Query
	// For and KeepFiringFor of the rule.
	For, KeepFiringFor time.Duration
	// Labels and Annotations of the rule, with their templates.
	Labels, Annotations map[string]string
}

type alertTest struct {
	EvalTime string     `yaml:"eval_time"`
	Alert    string     `yaml:"alertname"`
	Expected []expAlert `yaml:"exp_alerts"`
}

type expAlert struct {
	Labels      map[string]string `yaml:"exp_labels,omitempty"`
	Annotations map[string]string `yaml:"exp_annotations,omitempty"`
}

// AlertTest writes a unit test for "promtool test rules": in each state of the plan that looks different to the rewritten
// rule, an incident at the same minute, and what fires before, during and after it. The original says on the old model
// which traffic is the incident. Labels and annotations are expanded as Prometheus does. It fails for alerts that no
// traffic starts and stops, that look back for more than two hours, that rest on recording rules, or whose templates
// do not expand.
func (b *Bench) AlertTest(original *Query, rule AlertRule) ([]byte, error) {
	d, err := b.drill(original, rule.For, rule.KeepFiringFor)
	if err != nil {
		return nil, fmt.Errorf("promql: alert %s: %w", rule.Alert, err)
	}
	d.rewritten = rule.Query
	if len(b.prepare(rule.Query).order) > 0 {
		return nil, fmt.Errorf("promql: alert %s rests on recording rules", rule.Alert)
	}
	file := unitTest{RuleFiles: []string{rule.File}, EvaluationInterval: "1m"}
	for _, alike := range b.distinct(d) {
		state := alike[0]
		g, err := b.alertGroup(rule, d, state)
		if err != nil {
			return nil, fmt.Errorf("promql: alert %s: %w", rule.Alert, err)
		}
		g.Name = rule.Alert + " in " + b.named(alike)
		file.Tests = append(file.Tests, g)
	}
	out, err := yaml.Marshal(file)
	if err != nil {
		return nil, fmt.Errorf("promql: %w", err)
	}
	return out, nil
}

// named lists states, the first few by name.
func (b *Bench) named(states []int) string {
	const few = 3
	var all []string
	for _, i := range states[:min(len(states), few)] {
		all = append(all, b.states[i].Name)
	}
	text := strings.Join(all, ", ")
	if more := len(states) - few; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func (b *Bench) alertGroup(rule AlertRule, d drill, state int) (testGroup, error) {
	g := testGroup{Interval: "15s"}
	line, err := b.timeline(d.stages(b, state, state, 0), 0)
	if err != nil {
		return g, err
	}
	db, err := line.db(b.prepare(rule.Query))
	if err != nil {
		return g, err
	}
	g.InputSeries = notation(db, d.until)
	if db, err = read(g.InputSeries); err != nil {
		return g, err
	}
	run := alertRun{rule: rule, prover: b.prover, db: db, active: actives{}}
	firing := make([][]expAlert, 0, int(d.until/time.Minute)+1)
	for at := time.Duration(0); at <= d.until; at += time.Minute {
		now, err := run.step(at)
		if err != nil {
			return g, err
		}
		firing = append(firing, now)
	}
	expect := func(minute int) {
		at := time.Duration(minute) * time.Minute
		g.Alerts = append(g.Alerts, alertTest{EvalTime: at.String(), Alert: rule.Alert, Expected: firing[minute]})
	}
	expect(int(d.begin / time.Minute))
	for minute := int(d.begin/time.Minute) + 1; minute < len(firing); minute++ {
		// The last minute before and the first minute of each change.
		if (len(firing[minute]) > 0) != (len(firing[minute-1]) > 0) {
			if last := g.Alerts[len(g.Alerts)-1].EvalTime; last != (time.Duration(minute-1) * time.Minute).String() {
				expect(minute - 1)
			}
			expect(minute)
		}
	}
	if len(g.Alerts) == 1 {
		expect(int(d.end / time.Minute))
	}
	return g, nil
}

// alertRun evaluates an alert over time as Prometheus does.
type alertRun struct {
	rule   AlertRule
	prover prover
	db     *synthetic
	active actives
	// texts of the elements, by their key, as of the last time that they were there.
	texts map[string]expAlert
}

// step gives the alerts that fire at a time.
func (r *alertRun) step(at time.Duration) ([]expAlert, error) {
	v, err := r.prover.vector(r.rule.Query.Filled, r.db, at.Milliseconds())
	if err != nil {
		return nil, err
	}
	if r.texts == nil {
		r.texts = map[string]expAlert{}
	}
	present := map[string]bool{}
	for _, s := range v {
		text, key, err := r.expand(s, at)
		if err != nil {
			return nil, err
		}
		if present[key] {
			return nil, errors.New("two elements have the same labels")
		}
		present[key] = true
		r.texts[key] = text
	}
	r.active.step(present, at, r.rule.For, r.rule.KeepFiringFor)
	firing := []expAlert{}
	for _, key := range slices.Sorted(maps.Keys(r.active)) {
		if r.active[key].firing {
			firing = append(firing, r.texts[key])
		}
	}
	return firing, nil
}

// expand fills the rule's templates for an element; the key is its identity: all its labels.
func (r *alertRun) expand(s promql.Sample, at time.Duration) (expAlert, string, error) {
	l := labels.NewBuilder(s.Metric).Del(nameLabel)
	for _, name := range slices.Sorted(maps.Keys(r.rule.Labels)) {
		text, err := r.template(r.rule.Labels[name], s, at)
		if err != nil {
			return expAlert{}, "", fmt.Errorf("label %s: %w", name, err)
		}
		l.Set(name, text)
	}
	all := l.Labels()
	e := expAlert{Labels: all.Map(), Annotations: map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(r.rule.Annotations)) {
		text, err := r.template(r.rule.Annotations[name], s, at)
		if err != nil {
			return expAlert{}, "", fmt.Errorf("annotation %s: %w", name, err)
		}
		e.Annotations[name] = text
	}
	return e, all.String(), nil
}

// maxTemplate bounds templates and what they expand to, in bytes.
const maxTemplate = 64 << 10

// template expands with Prometheus's own expander. External labels are empty, as in promtool.
func (r *alertRun) template(text string, s promql.Sample, at time.Duration) (string, error) {
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	if len(text) > maxTemplate {
		return "", fmt.Errorf("the template has %d bytes, more than %d", len(text), maxTemplate)
	}
	const variables = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}"
	data := template.AlertTemplateData(s.Metric.Map(), map[string]string{}, "", s)
	noQuery := func(context.Context, string, time.Time) (promql.Vector, error) {
		return nil, errors.New("the template asks for a query")
	}
	e := template.NewTemplateExpander(context.Background(), variables+text, "__alert_"+r.rule.Alert, data,
		model.Time(at.Milliseconds()), noQuery, &url.URL{}, nil)
	out, err := e.Expand()
	if err != nil {
		return "", fmt.Errorf("promql: %w", err)
	}
	if len(out) > maxTemplate {
		return "", errors.New("the template grows without end")
	}
	return out, nil
}
