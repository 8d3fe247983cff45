package source

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/ambientplan/ambientplan/telemetry/span"
)

// adapted is a metric of autoscalers that a rule of prometheus-adapter makes.
type adapted struct {
	file string
	line int
	// name of the metric; "" when the rule makes metrics of names that only the series tell.
	name   string
	series string
}

// scaling is a metric that a HorizontalPodAutoscaler asks for.
type scaling struct {
	name, path   string
	line, column int
	object       Object
}

var exactName = regexp.MustCompile(`__name__\s*=\s*"([^"]+)"`)

// adapts notes which metric a rule makes. Source: prometheus-adapter, pkg/naming/metric_namer.go: without matches the
// whole name is taken, without as the first group, or everything.
func (r *reader) adapts(rule, series *span.Node) {
	a := adapted{file: r.file.Path, series: strings.TrimSpace(series.Text.String)}
	a.line, _ = r.position(series.Text.Start())
	metric, _, _ := strings.Cut(a.series, "{")
	if m := exactName.FindStringSubmatch(a.series); metric == "" && m != nil {
		metric = m[1]
	}
	re, err := regexp.Compile(orElse(rule.Str("name", "matches"), ".*"))
	if err == nil && metric != "" {
		if m := re.FindStringSubmatchIndex(metric); m != nil {
			as := "$0"
			if re.NumSubexp() == 1 {
				as = "$1"
			}
			a.name = string(re.ExpandString(nil, orElse(rule.Str("name", "as"), as), metric, m))
		}
	}
	r.file.adapted = append(r.file.adapted, a)
}

// scalesBy notes a metric of a HorizontalPodAutoscaler, for Relate.
func (r *reader) scalesBy(name string, i int, n *span.Node, o Object) {
	s := scaling{name: name, path: fmt.Sprintf("spec.metrics[%d]", i), object: o}
	s.line, s.column = r.position(n.At)
	r.file.scalings = append(r.file.scalings, s)
}

// resolve notes what the metrics of the file's autoscalers are made of, by the rules of all files. What is made of other
// series than the mesh's is not noted.
func (f *File) resolve(rules []adapted) {
	for _, s := range f.scalings {
		text := fmt.Sprintf("%s scales by the metric %s: no rule of a metrics adapter that was read makes it, so whether it rests on metrics of the mesh is not known (Q70)", s.path, s.name)
		for _, a := range rules {
			if a.name == "" && meshMetric.MatchString(a.series) {
				text = fmt.Sprintf("%s scales by the metric %s: the rule at %s:%d, of %s, may make it, look there (Q70)", s.path, s.name, a.file, a.line, a.series)
			}
			if a.name != s.name {
				continue
			}
			text = fmt.Sprintf("%s scales by the metric %s, which the rule at %s:%d makes of %s: what becomes of it is said there (Q70)", s.path, s.name, a.file, a.line, a.series)
			if !meshMetric.MatchString(a.series) {
				text = ""
			}
			break
		}
		if text != "" {
			f.Notes = append(f.Notes, Note{f.Path, s.line, s.column, s.object, FlagOnly, text})
		}
	}
	f.scalings = nil // A second call adds nothing.
}
