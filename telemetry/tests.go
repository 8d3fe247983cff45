package telemetry

import (
	"bytes"
	"fmt"
	"path"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/ambientplan/ambientplan/telemetry/promql"
	"github.com/ambientplan/ambientplan/telemetry/source"
)

// ruleFile is a rule file of Prometheus with one alert in it.
type ruleFile struct {
	Groups []ruleGroup `yaml:"groups"`
}

type ruleGroup struct {
	Name  string      `yaml:"name"`
	Rules []alertRule `yaml:"rules"`
}

type alertRule struct {
	Alert         string            `yaml:"alert"`
	Expr          string            `yaml:"expr"`
	For           string            `yaml:"for,omitempty"`
	KeepFiringFor string            `yaml:"keep_firing_for,omitempty"`
	Labels        map[string]string `yaml:"labels,omitempty"`
	Annotations   map[string]string `yaml:"annotations,omitempty"`
}

// tests are unit tests for "promtool test rules", with the rules that they test, by path: for each alert that was
// rewritten the same incident in each state of the plan. promtool reads rule files only, so each alert is taken out of
// what holds it. What cannot be tested is said in the report.
func (a *analysis) tests() map[string][]byte {
	out := map[string][]byte{}
	for _, j := range a.judged {
		if j.q.Role != source.Alert || j.rewrite == nil || len(j.rewrite.Edits) == 0 || len(j.whole) == 0 {
			continue
		}
		if j.q.Group == "" || len(j.q.Variables) > 0 {
			continue // not a rule of Prometheus
		}
		stem := fmt.Sprintf("%s.%d.%s", strings.TrimSuffix(j.q.File, path.Ext(j.q.File)), j.q.Line, fileName(j.q.Name))
		rules := path.Base(stem) + ".rules.yaml"
		text, err := a.alertTest(j, rules)
		if err != nil {
			j.untested = err.Error()
			continue
		}
		b, err := encodeYAML(ruleFile{[]ruleGroup{{j.q.Group, []alertRule{{
			j.q.Name, j.rewrite.Text, prometheusDuration(j.q.For), prometheusDuration(j.q.KeepFiring), j.q.Labels, j.q.Annotations,
		}}}}})
		if err != nil {
			j.untested = err.Error()
			continue
		}
		out["tests/"+stem+".test.yaml"], out["tests/"+path.Dir(stem)+"/"+rules] = text, b
		j.tested = "tests/" + stem + ".test.yaml"
	}
	return out
}

func (a *analysis) alertTest(j *judged, file string) ([]byte, error) {
	t := j.whole[0]
	rewritten, err := promql.Parse(j.rewrite.Text)
	if err != nil {
		return nil, err
	}
	return t.Bench.AlertTest(t.Query, promql.AlertRule{
		File: file, Alert: j.q.Name, Query: rewritten, For: j.q.For, KeepFiringFor: j.q.KeepFiring, Labels: j.q.Labels, Annotations: j.q.Annotations,
	})
}

// fileName keeps of a name what is safe in a path everywhere.
func fileName(s string) string {
	safe := func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '_'
	}
	s = strings.Map(safe, s)
	return s[:min(len(s), 60)]
}

// prometheusDuration is "" for none.
func prometheusDuration(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return fmt.Sprintf("%dms", d.Milliseconds())
}

func encodeYAML(v any) ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), e.Close()
}
